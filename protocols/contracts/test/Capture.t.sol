// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Council} from "../src/governance/Council.sol";
import {IBallots} from "../src/interfaces/IBallots.sol";
import {IElections} from "../src/interfaces/IElections.sol";
import {ISeats} from "../src/interfaces/ISeats.sol";
import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev Has much for the length of one call only, as if it were lent.
contract Flash {
    function buy(Council council, IERC20 token, uint256 amount, address candidate) external {
        token.approve(address(council), amount);
        council.stake(amount);
        uint64 election = council.openElection();
        council.back(election, candidate);
    }
}

/// @dev Attempts to govern that must fail, each named after the attack.
contract CaptureTest is CouncilKit {
    address private constant WHALE = address(0x3a1e);
    address private constant ALICE = address(0xa);
    address private constant BOB = address(0xb);

    function setUp() public {
        _deploy(_testAnkr());
        _acceptAll();
    }

    // Votes bought or used twice.

    /// @dev Vote buying by flash stake: what comes in the block that opens an election is no vote.
    function testFuzz_aFlashStakeInTheOpeningBlockCountsNothing(uint256 amount) public {
        amount = bound(amount, STAKE, 10 ** 28);
        _stakeMany(10, 1);
        vm.warp(PHASE_2_AT);
        _stake(WHALE, amount);
        _open();
        _stand(10);
        _isPowerless(1);
        vm.assertEq(council.ballotAt(1).cast, STAKE + 10 ether);
    }

    /// @dev The same in one transaction, as with a flash loan.
    function test_aFlashLoanBuysNoVote() public {
        _stakeMany(10, 1);
        vm.warp(PHASE_2_AT);
        Flash flash = new Flash();
        require(ankr.transfer(address(flash), 10 ** 28), "a test token pays");
        vm.expectRevert(abi.encodeWithSelector(IElections.NotCandidate.selector, 1, _person(10)));
        flash.buy(council, ankr, 10 ** 28, _person(10));
        _open();
        _stand(10);
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionOpen.selector, 1));
        flash.buy(council, ankr, 10 ** 28, _person(10));
    }

    /// @dev One amount, two accounts: at the snapshot it was only in one of them.
    function test_theSameAnkrVotesOnceHoweverItMoves() public {
        _set(Parameter.UnbondS, 1);
        _stakeMany(10, 1);
        _stake(ALICE, STAKE);
        vm.warp(PHASE_2_AT);
        _open();
        _stand(10);
        _back(ALICE, 10);
        vm.prank(ALICE);
        council.unstake(STAKE);
        vm.warp(PHASE_2_AT + 1);
        vm.prank(ALICE);
        council.withdraw();
        vm.prank(ALICE);
        require(ankr.transfer(BOB, STAKE), "a test token pays");
        vm.prank(BOB);
        ankr.approve(address(council), STAKE);
        vm.prank(BOB);
        council.stake(STAKE);
        vm.expectRevert(abi.encodeWithSelector(IBallots.NoWeight.selector, 1, BOB, PHASE_2_AT - 1));
        vm.prank(BOB);
        council.back(1, _person(10));
        IBallots.Ballot memory ballot = council.ballotAt(1);
        vm.assertEq(ballot.cast, 2 * STAKE + 10 ether);
        vm.assertTrue(ballot.cast <= council.totalStakeAt(ballot.snapshotAt));
    }

    // Capture within one period.

    /// @dev Who had no stake when a period began, that is at the end of the second before an election
    ///      opened, changes nothing of who is elected, who sits and what governors decide until the
    ///      next one opens, however much it stakes.
    function testFuzz_aWhaleThatComesLateChangesNothingInThePeriod(uint256 amount, uint256 waitS)
        public
    {
        amount = bound(amount, STAKE, 10 ** 28);
        _stakeMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT);
        _open();
        vm.warp(PHASE_3_AT + bound(waitS, 0, ELECTION_S - 1));
        _stake(WHALE, amount);
        _standMany(20, 2 * N + 1);
        _isPowerless(1);
        _close();
        _sitTheElected(20);

        uint64 proposal = _proposeReferendum(20, _noCalls());
        uint48 dueAt = council.dueAt();
        vm.warp(dueAt - 1);
        vm.expectRevert(abi.encodeWithSelector(IElections.ElectionNotDue.selector, dueAt));
        vm.prank(WHALE);
        council.openElection();
        vm.expectRevert(abi.encodeWithSelector(ISeats.NotGovernor.selector, WHALE));
        vm.prank(WHALE);
        council.propose(_noCalls(), false, "mine");
        council.close(proposal, _noCalls());
        _sitTheElected(20);
    }

    /// @dev It may say no or yes in referenda that open after it staked, but a yes of its own is none
    ///      of the governors.
    function test_aWhaleAloneCarriesNoReferendum() public {
        _stake(WHALE, 10 ** 28);
        vm.warp(START + 1);
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _voteAsStaker(WHALE, proposal, IProposals.Choice.Yes);
        _vote(0, proposal, IProposals.Choice.Yes);
        vm.assertTrue(_closeProposal(proposal, _noCalls()) == IProposals.Outcome.Rejected);
    }

    /// @dev With more than everybody else it is elected at last, and all see it coming: a term, an
    ///      election, a vote and the timelock's delay lie between its stake and what it decides.
    function test_aWhaleNeedsATermAnElectionAVoteAndTheDelay() public {
        _stakeMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT);
        _open();
        _standMany(20, 2 * N + 1);
        // People from 40 on are the whale's. It comes as early as is too late.
        _stakeMany(40, 2 * N + 1);
        _close();
        vm.warp(council.dueAt());
        _open();
        _standMany(40, 2 * N + 1);
        _close();
        _sitTheElected(40);

        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _propose(40, calls);
        for (uint256 i = 40; i < 47; ++i) {
            _vote(i, proposal, IProposals.Choice.Yes);
        }
        _closeProposal(proposal, calls);
        vm.warp(block.timestamp + DELAY_S);
        _execute(proposal, calls);
        vm.assertEq(policy.get(Parameter.BidBond), 7 ether);
        vm.assertEq(block.timestamp, PHASE_3_AT + TERM_S + ELECTION_S + VOTING_S + DELAY_S);
    }

    // Those who sit and want to stay (Q22).

    /// @dev Nothing they set keeps others from the next election: neither a stake nobody has, nor an n
    ///      nobody fills, nor an election too short to stand in.
    function test_noNumberThatTheCouncilSetsKeepsItInOffice() public {
        _set(Parameter.GovernorStakeMin, 100_000_000 ether);
        _set(Parameter.CouncilN, 31);
        _set(Parameter.ElectionS, 1);
        _stakeMany(20, N + 1);
        vm.warp(PHASE_3_AT);
        _open();
        vm.assertEq(council.electionAt(1).closesAt, PHASE_3_AT + ELECTION_S);
        _standMany(20, N + 1);
        _close();
        vm.assertFalse(council.isGovernor(_person(0)));
        vm.assertEq(council.seatCount(), N + 1);
        // Nor the one after it: what the first list of an n too large lacks is not asked of the next.
        vm.assertEq(council.term().n, N);
    }

    /// @dev Once more the same, a term later: the n that counts is one that a list has filled.
    function testFuzz_aRenewalNeverNeedsMoreThanTheListBeforeHas(uint256[3] memory ns, uint8 few)
        public
    {
        uint256 winners = N + 1 + few % 4;
        for (uint256 i = 0; i < 3; ++i) {
            _set(Parameter.CouncilN, bound(ns[i], 1, 31));
            _renew(20 + 20 * i, winners);
            vm.assertEq(council.term().number, i + 1);
            uint256 count = council.seatCount();
            vm.assertTrue(uint256(council.term().n) + 1 <= count);
            vm.assertTrue(count <= 2 * uint256(council.term().n) + 1);
            winners = uint256(council.term().n) + 1;
        }
    }

    /// @dev Nobody who sits has to do anything for an election, nor can undo one.
    function test_nobodyWhoSitsCanHoldUpARenewal() public {
        _stakeMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT);
        vm.prank(address(0xffff));
        council.openElection();
        _standMany(20, 2 * N + 1);
        for (uint256 i = 0; i < INVITED; ++i) {
            _propose(i, _noCalls());
        }
        vm.warp(PHASE_3_AT + ELECTION_S);
        vm.prank(address(0xffff));
        council.closeElection();
        _sitTheElected(20);
    }

    /// @dev A vote cannot be made so short that the others miss it and are slashed.
    function test_noMajorityMakesVotesTooShort() public {
        _set(Parameter.VotingS, 1);
        vm.assertEq(council.proposalAt(_propose(0, _noCalls())).closesAt, START + VOTING_S);
    }

    /// @dev Late acceptance and the election of phase 2 together stay within 2n + 1 (R15).
    function test_whoAcceptsLateDoesNotMakeTheCouncilTooLarge() public {
        _deploy(_testAnkr());
        _accept(0);
        _stakeMany(10, 2 * N + 1);
        vm.warp(PHASE_2_AT);
        _open();
        _standMany(10, 2 * N + 1);
        _close();
        vm.assertEq(council.seatCount(), N + 1);
        for (uint256 i = 1; i < INVITED; ++i) {
            _accept(i);
        }
        vm.assertEq(council.seatCount(), 2 * N + 1);
    }

    // Keys that nobody has.

    /// @dev R24: after deployment the council alone proposes to the timelock, everybody executes, and
    ///      nobody cancels or gives roles, but the timelock itself.
    function test_nobodyHasAnOwnersKey() public view {
        address[6] memory some =
            [address(this), address(council), address(timelock), _person(0), WHALE, address(0)];
        for (uint256 i = 0; i < some.length; ++i) {
            bool isCouncil = some[i] == address(council);
            bool isTimelock = some[i] == address(timelock);
            vm.assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), some[i]) == isCouncil);
            vm.assertTrue(timelock.hasRole(timelock.DEFAULT_ADMIN_ROLE(), some[i]) == isTimelock);
            vm.assertFalse(timelock.hasRole(timelock.CANCELLER_ROLE(), some[i]));
        }
        vm.assertTrue(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)));
    }

    /// @dev It can neither stand nor back in the election, now or later.
    function _isPowerless(uint64 election) private {
        uint48 snapshotAt = council.ballotAt(council.electionAt(election).ballot).snapshotAt;
        address candidate = council.standings(election)[0];
        vm.expectRevert(
            abi.encodeWithSelector(IBallots.NoWeight.selector, election, WHALE, snapshotAt)
        );
        vm.prank(WHALE);
        council.back(election, candidate);
        vm.expectRevert(abi.encodeWithSelector(ISeats.NotEnoughStake.selector, WHALE, 0, STAKE));
        vm.prank(WHALE);
        council.stand(election, _node(99));
    }

    function _sitTheElected(uint256 first) private view {
        vm.assertEq(council.seatCount(), 2 * N + 1);
        for (uint256 i = first; i < first + 2 * N + 1; ++i) {
            vm.assertTrue(council.isGovernor(_person(i)));
        }
        vm.assertFalse(council.isGovernor(WHALE));
    }
}
