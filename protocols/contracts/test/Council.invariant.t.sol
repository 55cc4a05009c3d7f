// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {Council} from "../src/governance/Council.sol";
import {VoterRewards} from "../src/governance/VoterRewards.sol";
import {IBallots} from "../src/interfaces/IBallots.sol";
import {IElections} from "../src/interfaces/IElections.sol";
import {ISeats} from "../src/interfaces/ISeats.sol";
import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev Fourteen people stake, stand, back, govern, are absent and leave, as time goes by; four of them
///      were invited. Each does what it may and what it may not.
contract Citizens is CouncilKit {
    uint256 public constant PEOPLE = 14;

    /// @notice What went into the council's contract and out of it, in 10^-18 ANKR.
    uint256 public paidIn;
    uint256 public paidOut;

    /// @notice What of a ballot was claimed, in 10^-18 ANKR.
    mapping(uint64 ballot => uint256) public claimed;

    /// @notice What somebody noticed that must not be; empty as long as all is well.
    string public fault;

    VoterRewards private _pot;
    mapping(uint64 proposal => bytes) private _calls;
    mapping(uint64 proposal => bool) private _isDone;

    constructor() {
        _deploy(_testAnkr());
        _set(Parameter.MissedVotesMax, 2);
        _pot = new VoterRewards(ankr, council);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            require(ankr.transfer(_person(i), 10 ** 26), "a test token pays");
            vm.startPrank(_person(i));
            ankr.approve(address(council), 10 ** 26);
            ankr.approve(address(_pot), 10 ** 26);
            council.stake(STAKE + i * 1 ether);
            paidIn += STAKE + i * 1 ether;
            if (i < N) council.accept();
            vm.stopPrank();
        }
        vm.warp(PHASE_2_AT - 1 days);
    }

    modifier counted() {
        uint256 before = ankr.balanceOf(address(council));
        _;
        uint256 afterwards = ankr.balanceOf(address(council));
        if (afterwards > before) paidIn += afterwards - before;
        else paidOut += before - afterwards;
    }

    // Stakes.

    function stake(uint256 who, uint256 amount) external counted {
        // Mostly as much as it takes to stand.
        amount = amount % 4 == 0 ? amount % STAKE : STAKE + amount % STAKE;
        vm.prank(_one(who));
        council.stake(amount);
    }

    function unstake(uint256 who, uint256 amount) external counted {
        address account = _one(who);
        bool isBound = council.isBound(account);
        amount = bound(amount, 1, council.stakeOf(account) + 1);
        vm.prank(account);
        council.unstake(amount);
        if (isBound) fault = "a bound stake left";
    }

    function withdraw(uint256 who) external counted {
        address account = _one(who);
        (uint208 amount, uint48 readyAt) = council.leavingOf(account);
        uint256 before = ankr.balanceOf(account);
        if (who % 4 != 0) _goTo(readyAt);
        vm.prank(account);
        council.withdraw();
        if (block.timestamp < readyAt) fault = "a stake was paid back early";
        if (ankr.balanceOf(account) != before + amount) fault = "not what was leaving was paid";
    }

    function handOn() external counted {
        council.handOnSlashed();
    }

    // Seats and elections.

    function accept(uint256 who) external counted {
        vm.prank(_person(who % INVITED));
        council.accept();
    }

    function openElection(uint256 luck) external {
        uint48 dueAt = council.dueAt();
        if (luck % 2 == 0) _goTo(dueAt);
        council.openElection();
        if (block.timestamp < dueAt) fault = "an election was opened early";
    }

    function stand(uint256 who) external {
        address account = _one(who);
        uint64 election = council.latestElection();
        vm.prank(account);
        council.stand(election, _node(who % PEOPLE));
        if (council.candidateOf(election, account).votes < council.electionAt(election).stakeMin) {
            fault = "somebody stands with too little";
        }
    }

    /// @dev Nearly everybody stands, or renewals would hardly ever succeed.
    function standAll(uint256 absent) external {
        uint64 election = council.latestElection();
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (absent >> (2 * i) & 3 == 0) continue;
            vm.prank(_person(i));
            try council.stand(election, _node(i)) {} catch {}
        }
    }

    function back(uint256 who, uint256 whom) external {
        uint64 election = council.latestElection();
        address[] memory best = council.standings(election);
        bool isBest = whom % 8 != 0 && best.length != 0;
        address candidate = isBest ? best[whom % best.length] : _one(whom);
        vm.prank(_one(who));
        council.back(election, candidate);
    }

    function closeElection(uint256 luck) external {
        uint48 closesAt = council.electionAt(council.latestElection()).closesAt;
        if (luck % 4 != 0) _goTo(closesAt);
        council.closeElection();
        if (block.timestamp < closesAt) fault = "an election was closed early";
    }

    // Proposals.

    function propose(uint256 who, uint256 what, uint256 value) external {
        Call[] memory calls = what % 3 == 0 ? _noCalls() : _someSetting(what, value);
        address governor = _governor(who);
        vm.prank(governor);
        uint64 proposal = council.propose(calls, what % 2 == 0, "as it comes");
        _calls[proposal] = abi.encode(calls);
    }

    function vote(uint256 who, uint256 which, uint256 choice) external {
        uint64 proposal = _openOne(which);
        address governor = _governor(who);
        vm.prank(governor);
        council.vote(proposal, IProposals.Choice(choice % 3));
    }

    /// @dev Most governors say yes, or nothing would ever pass; some are absent.
    function voteAll(uint256 which, uint256 absent) external {
        uint64 proposal = _openOne(which);
        for (uint256 i = 0; i < PEOPLE; ++i) {
            if (absent >> (2 * i) & 3 == 0) continue;
            vm.prank(_person(i));
            try council.vote(proposal, IProposals.Choice.Yes) {} catch {}
            vm.prank(_person(i));
            try council.voteAsStaker(proposal, IProposals.Choice.Yes) {} catch {}
        }
    }

    function voteAsStaker(uint256 who, uint256 which, uint256 choice) external {
        uint64 proposal = _openOne(which);
        vm.prank(_one(who));
        council.voteAsStaker(proposal, IProposals.Choice(choice % 3));
    }

    function close(uint256 luck) external counted {
        uint64 proposal = council.nextToClose();
        if (luck % 4 != 0) _goTo(council.proposalAt(proposal).closesAt);
        council.close(proposal, _callsOf(proposal));
    }

    function execute(uint256 which) external {
        uint64 proposal = uint64(bound(which, 1, council.latestProposal()));
        IProposals.Proposal memory asked = council.proposalAt(proposal);
        uint256 readyAt = asked.closesAt + DELAY_S;
        if (which % 4 != 0) _goTo(readyAt);
        _execute(proposal, _callsOf(proposal));
        if (_isDone[proposal]) fault = "a decision was made twice";
        if (asked.outcome != IProposals.Outcome.Passed) fault = "no decision was executed";
        if (block.timestamp < readyAt) fault = "the delay was left out";
        _isDone[proposal] = true;
    }

    // Rewards.

    function fund(uint256 who, uint256 which, uint256 amount) external {
        uint64 ballot = _ballot(which);
        vm.prank(_one(who));
        _pot.fund(ballot, amount % 10 ** 20);
    }

    function claim(uint256 who, uint256 which) external {
        uint64 ballot = _ballot(which);
        uint256 before = ankr.balanceOf(address(_pot));
        vm.prank(_one(who));
        _pot.claim(ballot);
        claimed[ballot] += before - ankr.balanceOf(address(_pot));
        if (claimed[ballot] > _pot.fundedOf(ballot)) fault = "more was claimed than put in";
    }

    function reclaim(uint256 who, uint256 which) external {
        uint64 ballot = _ballot(which);
        vm.prank(_one(who));
        _pot.reclaim(ballot);
    }

    function wait(uint256 timeS) external {
        // Hours mostly, and weeks at times.
        vm.warp(block.timestamp + (timeS % 4 == 0 ? timeS % 21 days : timeS % 8 hours));
    }

    function kept() external view returns (Council, VoterRewards, IERC20) {
        return (council, _pot, ankr);
    }

    function person(uint256 index) external pure returns (address) {
        return _person(index);
    }

    /// @dev Lets time pass until then, if it is not over.
    function _goTo(uint256 time) private {
        if (time > block.timestamp) vm.warp(time);
    }

    function _one(uint256 who) private pure returns (address) {
        return _person(who % PEOPLE);
    }

    /// @dev Mostly somebody who sits.
    function _governor(uint256 who) private view returns (address) {
        ISeats.Seat[] memory seats = council.seats();
        if (who % 8 == 0 || seats.length == 0) return _one(who);
        return seats[who % seats.length].account;
    }

    /// @dev Mostly a proposal that is open.
    function _openOne(uint256 which) private view returns (uint64) {
        return uint64(bound(which, council.nextToClose(), council.latestProposal() + 1));
    }

    function _ballot(uint256 which) private view returns (uint64) {
        return uint64(bound(which, 1, council.latestBallot() + 1));
    }

    function _callsOf(uint64 proposal) private view returns (Call[] memory) {
        return abi.decode(_calls[proposal], (Call[]));
    }

    /// @dev Numbers that the council itself goes by.
    function _someSetting(uint256 what, uint256 value) private view returns (Call[] memory) {
        if (what % 5 == 0) return _setting(Parameter.CouncilN, bound(value, 1, 6));
        if (what % 5 == 1) return _setting(Parameter.GovernorStakeMin, bound(value, 1e18, 1e22));
        if (what % 5 == 2) return _setting(Parameter.AbsenceSlashBps, bound(value, 1, 5_000));
        if (what % 5 == 3) return _setting(Parameter.UnbondS, bound(value, 1, 30 days));
        return _setting(Parameter.VotingS, bound(value, 1, 10 days));
    }
}

contract CouncilInvariantTest is CouncilKit {
    Citizens private citizens;
    VoterRewards private pot;
    uint256 private people;

    function setUp() public {
        citizens = new Citizens();
        (council, pot, ankr) = citizens.kept();
        people = citizens.PEOPLE();
        targetContract(address(citizens));
    }

    /// @dev R13, R17: ANKR of stakes and of rewards.
    function invariant_moneyIsConserved() public view {
        vm.assertEq(citizens.fault(), "");
        _stakesAreConserved();
        _claimsAreNeverMoreThanWasPutIn();
    }

    /// @dev R15, R18, Q22.
    function invariant_theCouncilNeverExceeds2nPlus1() public view {
        _theListIsNeverTooLarge();
        _everyAccountAndEveryNodeSitsOnce();
        _electionsAreDueOnFixedDates();
        _theBestStandFirst();
    }

    /// @dev R15, R20, Q21.
    function invariant_everyVoteCountsOnce() public view {
        _noBallotHasMoreThanWasStaked();
        _proposalsEndInOrderAndCountNobodyTwice();
        _nobodyIsAbsentTwiceUnpunished();
    }

    /// @dev To the wei: stakes, what leaves and what was slashed are all there is.
    function _stakesAreConserved() private view {
        uint256 staked = 0;
        uint256 leaving = 0;
        for (uint256 i = 0; i < people; ++i) {
            address account = citizens.person(i);
            staked += council.stakeOf(account);
            (uint208 amount,) = council.leavingOf(account);
            leaving += amount;
        }
        vm.assertEq(staked, council.totalStake());
        uint256 held = ankr.balanceOf(address(council));
        vm.assertEq(held, staked + leaving + council.slashed());
        vm.assertEq(held, citizens.paidIn() - citizens.paidOut());
    }

    /// @dev R15.
    function _theListIsNeverTooLarge() private view {
        ISeats.Term memory term = council.term();
        uint256 count = council.seatCount();
        vm.assertTrue(count <= 2 * uint256(term.n) + 1);
        vm.assertTrue(count <= council.SEATS_MAX());
        if (term.number > 0) vm.assertTrue(count > term.n);
    }

    function _everyAccountAndEveryNodeSitsOnce() private view {
        ISeats.Seat[] memory seats = council.seats();
        uint256 sitting = 0;
        for (uint256 i = 0; i < people; ++i) {
            if (council.isGovernor(citizens.person(i))) ++sitting;
        }
        vm.assertEq(sitting, seats.length);
        for (uint256 i = 0; i < seats.length; ++i) {
            vm.assertEq(council.accountOf(seats[i].nodeId), seats[i].account);
            for (uint256 j = 0; j < i; ++j) {
                vm.assertTrue(seats[i].account != seats[j].account);
                vm.assertTrue(seats[i].nodeId != seats[j].nodeId);
            }
        }
        vm.assertTrue(council.list().length % 2 == 1 || seats.length == 0);
    }

    /// @dev Q22.
    function _electionsAreDueOnFixedDates() private view {
        uint256 dueAt = council.dueAt();
        vm.assertTrue(dueAt == PHASE_2_AT || (dueAt - PHASE_3_AT) % TERM_S == 0);
        vm.assertEq(council.PHASE_2_AT(), PHASE_2_AT);
        vm.assertEq(council.PHASE_3_AT(), PHASE_3_AT);
    }

    /// @dev R17: of all who stand, the best are kept, in order.
    function _theBestStandFirst() private view {
        uint64 election = council.latestElection();
        address[] memory best = council.standings(election);
        IElections.Election memory asked = council.electionAt(election);
        uint256 seatsMax = asked.seatsMax;
        vm.assertEq(best.length, asked.candidates < seatsMax ? asked.candidates : seatsMax);
        for (uint256 rank = 0; rank < best.length; ++rank) {
            vm.assertEq(_betterThan(election, best[rank]), rank);
        }
    }

    /// @dev No stake votes twice, and none that was not there.
    function _noBallotHasMoreThanWasStaked() private view {
        for (
            uint64 ballot = _recent(council.latestBallot());
            ballot <= council.latestBallot();
            ++ballot
        ) {
            IBallots.Ballot memory asked = council.ballotAt(ballot);
            uint256 cast = 0;
            for (uint256 i = 0; i < people; ++i) {
                address account = citizens.person(i);
                uint256 weight = council.weightIn(ballot, account);
                if (weight != 0) vm.assertEq(weight, council.stakeAt(account, asked.snapshotAt));
                cast += weight;
            }
            vm.assertEq(cast, asked.cast);
            vm.assertTrue(cast <= council.totalStakeAt(asked.snapshotAt));
        }
    }

    function _proposalsEndInOrderAndCountNobodyTwice() private view {
        uint256 before = 0;
        for (uint64 proposal = 1; proposal <= council.latestProposal(); ++proposal) {
            IProposals.Proposal memory asked = council.proposalAt(proposal);
            vm.assertTrue(asked.closesAt >= before);
            vm.assertTrue(uint256(asked.yes) + asked.no + asked.abstain <= asked.seatCount);
            bool isOpen = asked.outcome == IProposals.Outcome.Open;
            vm.assertTrue(isOpen == (proposal >= council.nextToClose()));
            before = asked.closesAt;
        }
    }

    /// @dev R20: whoever reaches the limit is slashed, and starts anew.
    function _nobodyIsAbsentTwiceUnpunished() private view {
        for (uint256 i = 0; i < people; ++i) {
            vm.assertTrue(council.missedOf(citizens.person(i)) < 2);
        }
    }

    /// @dev R13.
    function _claimsAreNeverMoreThanWasPutIn() private view {
        uint256 owed = 0;
        for (uint64 ballot = 1; ballot < _recent(council.latestBallot()); ++ballot) {
            owed += pot.fundedOf(ballot) - citizens.claimed(ballot);
        }
        for (
            uint64 ballot = _recent(council.latestBallot());
            ballot <= council.latestBallot();
            ++ballot
        ) {
            uint256 claimable = 0;
            for (uint256 i = 0; i < people; ++i) {
                claimable += pot.claimableOf(ballot, citizens.person(i));
            }
            vm.assertTrue(citizens.claimed(ballot) + claimable <= pot.fundedOf(ballot));
            owed += pot.fundedOf(ballot) - citizens.claimed(ballot);
        }
        vm.assertEq(ankr.balanceOf(address(pot)), owed);
    }

    /// @dev The first of the last three. Those before were looked at when they were among them.
    function _recent(uint64 latest) private pure returns (uint64) {
        return latest < 3 ? 1 : latest - 2;
    }

    function _betterThan(uint64 election, address who) private view returns (uint256 count) {
        IElections.Candidate memory asked = council.candidateOf(election, who);
        for (uint256 i = 0; i < people; ++i) {
            IElections.Candidate memory other = council.candidateOf(election, citizens.person(i));
            if (other.place == 0) continue;
            if (other.votes > asked.votes) ++count;
            if (other.votes == asked.votes && other.place < asked.place) ++count;
        }
    }
}
