// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VoterRewards} from "../src/governance/VoterRewards.sol";
import {IBallots} from "../src/interfaces/IBallots.sol";
import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {IVoterRewards} from "../src/interfaces/IVoterRewards.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev R13, Q21: what stakers vote on, and what they earn by it.
contract ReferendaTest is CouncilKit {
    address private constant ALICE = address(0xa);
    address private constant BOB = address(0xb);
    address private constant CAROL = address(0xc);
    uint256 private constant FUND = 90 ether;

    VoterRewards private pot;

    function setUp() public {
        _deploy(_testAnkr());
        _acceptAll();
        _stake(ALICE, 3 * STAKE);
        _stake(BOB, 2 * STAKE);
        pot = new VoterRewards(ankr, council);
        vm.warp(START + 1);
    }

    // Referenda (Q21).

    /// @dev Q21: a referendum needs the governors' majority and the stakers'.
    function testFuzz_aReferendumNeedsBothMajorities(bool isByGovernors, bool isByStakers) public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _voteAsStaker(ALICE, proposal, isByStakers ? IProposals.Choice.Yes : IProposals.Choice.No);
        _voteAsStaker(BOB, proposal, isByStakers ? IProposals.Choice.No : IProposals.Choice.Yes);
        for (uint256 i = 0; i < 3; ++i) {
            bool isYes = isByGovernors == (i != 0);
            _vote(i, proposal, isYes ? IProposals.Choice.Yes : IProposals.Choice.No);
        }
        bool isPassed = _closeProposal(proposal, _noCalls()) == IProposals.Outcome.Passed;
        vm.assertTrue(isPassed == (isByGovernors && isByStakers));
    }

    /// @dev Q21 for every share that may vote: the quorum is of all that was staked.
    function testFuzz_aReferendumNeedsTheStakersQuorum(uint256 quorumBps, uint256 amount) public {
        quorumBps = bound(quorumBps, 100, 5_000);
        amount = bound(amount, 1, 20 * STAKE);
        _set(Parameter.ReferendumQuorumBps, quorumBps);
        _stake(CAROL, amount);
        vm.warp(block.timestamp + 1);
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _voteAsStaker(CAROL, proposal, IProposals.Choice.Yes);
        _voteYes(proposal, 3);
        bool isPassed = _closeProposal(proposal, _noCalls()) == IProposals.Outcome.Passed;
        vm.assertTrue(isPassed == (amount * 10_000 >= quorumBps * (9 * STAKE + amount)));
    }

    function test_stakersAbstentionsCountForTheQuorumOnly() public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Abstain);
        _voteAsStaker(_person(3), proposal, IProposals.Choice.Yes);
        vm.assertEq(council.tallyOf(proposal).yes, STAKE);
        vm.assertEq(council.tallyOf(proposal).no, 0);
        vm.assertEq(council.ballotAt(1).cast, 4 * STAKE);
        _voteYes(proposal, 3);
        vm.assertTrue(_closeProposal(proposal, _noCalls()) == IProposals.Outcome.Passed);
    }

    function test_aReferendumIsDoneByTheTimelockLikeEveryProposal() public {
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _proposeReferendum(0, calls);
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
        _voteYes(proposal, 3);
        council.close(proposal, calls);
        vm.warp(block.timestamp + DELAY_S);
        _execute(proposal, calls);
        vm.assertEq(policy.get(Parameter.BidBond), 7 ether);
    }

    /// @dev Q21: policy is by governors.
    function test_voteAsStaker_RevertWhen_ItIsNoReferendum() public {
        uint64 proposal = _propose(0, _noCalls());
        vm.expectRevert(abi.encodeWithSelector(IProposals.NotReferendum.selector, proposal));
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
    }

    function test_voteAsStaker_RevertWhen_TheStakeHasVoted() public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
        vm.expectRevert(abi.encodeWithSelector(IBallots.AlreadyCast.selector, 1, ALICE));
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
    }

    function test_voteAsStaker_RevertWhen_TheTimeIsOver() public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        uint48 closesAt = council.proposalAt(proposal).closesAt;
        vm.warp(closesAt);
        vm.expectRevert(abi.encodeWithSelector(IProposals.VotingOver.selector, proposal, closesAt));
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
    }

    function test_ballotAt_RevertWhen_ThereIsNoSuchBallot() public {
        vm.expectRevert(abi.encodeWithSelector(IBallots.NoSuchBallot.selector, 0));
        council.ballotAt(0);
        vm.expectRevert(abi.encodeWithSelector(IBallots.NoSuchBallot.selector, 1));
        council.ballotAt(1);
    }

    // What voters earn (R13).

    /// @dev R13: by weight, whatever was voted.
    function test_claim_paysEachVoterByItsWeight() public {
        _ballot(true);
        _fund(CAROL, FUND);
        vm.expectEmit(address(pot));
        emit IVoterRewards.Claimed(1, ALICE, FUND * 3 / 5);
        vm.prank(ALICE);
        pot.claim(1);
        vm.prank(BOB);
        pot.claim(1);
        vm.assertEq(ankr.balanceOf(ALICE), FUND * 3 / 5);
        vm.assertEq(ankr.balanceOf(BOB), FUND * 2 / 5);
        vm.assertEq(ankr.balanceOf(address(pot)), 0);
    }

    /// @dev R13: an election is a ballot too, and a candidate's own stake has voted.
    function test_claim_paysForElectionsToo() public {
        _stakeMany(10, 1);
        vm.warp(PHASE_2_AT);
        _open();
        _stand(10);
        _back(ALICE, 10);
        _fund(CAROL, FUND);
        vm.assertEq(pot.claimableOf(1, ALICE), 0);
        _close();
        uint256 cast = 4 * STAKE + 10 ether;
        vm.assertEq(pot.claimableOf(1, ALICE), FUND * 3 * STAKE / cast);
        vm.assertEq(pot.claimableOf(1, _person(10)), FUND * (STAKE + 10 ether) / cast);
    }

    /// @dev R13: whatever is put in and when, all claims together are at most what was put in, and
    ///      the order of claims changes nothing but rounding.
    function testFuzz_claim_neverPaysMoreThanWasPutIn(uint96[4] memory amounts, uint8 order)
        public
    {
        _ballot(true);
        uint256 funded = 0;
        for (uint256 i = 0; i < 4; ++i) {
            uint256 amount = uint256(amounts[i]) + 1;
            _fund(CAROL, amount);
            funded += amount;
            address claimer = order >> i & 1 == 0 ? ALICE : BOB;
            if (pot.claimableOf(1, claimer) == 0) continue;
            vm.prank(claimer);
            pot.claim(1);
        }
        uint256 alice = ankr.balanceOf(ALICE) + pot.claimableOf(1, ALICE);
        uint256 bob = ankr.balanceOf(BOB) + pot.claimableOf(1, BOB);
        vm.assertEq(alice, funded * 3 / 5);
        vm.assertEq(bob, funded * 2 / 5);
        vm.assertTrue(alice + bob <= funded);
        vm.assertEq(pot.fundedOf(1), funded);
    }

    function test_claim_paysOnce() public {
        _ballot(true);
        _fund(CAROL, FUND);
        vm.prank(ALICE);
        pot.claim(1);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.NothingToClaim.selector, 1, ALICE));
        vm.prank(ALICE);
        pot.claim(1);
    }

    function test_claim_RevertWhen_TheCallerDidNotVote() public {
        _ballot(true);
        _fund(CAROL, FUND);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.NothingToClaim.selector, 1, CAROL));
        vm.prank(CAROL);
        pot.claim(1);
    }

    function test_claim_RevertWhen_TheBallotRuns() public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
        _fund(CAROL, FUND);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.BallotRuns.selector, 1));
        vm.prank(ALICE);
        pot.claim(1);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.BallotRuns.selector, 1));
        vm.prank(CAROL);
        pot.reclaim(1);
    }

    function test_fund_RevertWhen_ItIsNothingOrForNobody() public {
        vm.expectRevert(IVoterRewards.ZeroReward.selector);
        pot.fund(1, 0);
        vm.expectRevert(abi.encodeWithSelector(IBallots.NoSuchBallot.selector, 1));
        pot.fund(1, 1);
        _ballot(false);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.NobodyVoted.selector, 1));
        pot.fund(1, 1);
    }

    function test_reclaim_paysBackWhatNobodyEarned() public {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        _fund(CAROL, FUND);
        _closeProposal(proposal, _noCalls());
        vm.assertEq(pot.claimableOf(1, ALICE), 0);
        vm.expectEmit(address(pot));
        emit IVoterRewards.Reclaimed(1, CAROL, FUND);
        vm.prank(CAROL);
        pot.reclaim(1);
        vm.assertEq(ankr.balanceOf(CAROL), FUND);
        vm.assertEq(pot.fundedOf(1), 0);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.NothingToClaim.selector, 1, CAROL));
        vm.prank(CAROL);
        pot.reclaim(1);
    }

    function test_reclaim_RevertWhen_SomebodyVoted() public {
        _ballot(true);
        _fund(CAROL, FUND);
        vm.expectRevert(abi.encodeWithSelector(IVoterRewards.SomebodyVoted.selector, 1));
        vm.prank(CAROL);
        pot.reclaim(1);
    }

    /// @dev A referendum that is over; Alice and Bob may have voted.
    function _ballot(bool isVoted) private {
        uint64 proposal = _proposeReferendum(0, _noCalls());
        if (isVoted) {
            _voteAsStaker(ALICE, proposal, IProposals.Choice.Yes);
            _voteAsStaker(BOB, proposal, IProposals.Choice.No);
        }
        _closeProposal(proposal, _noCalls());
    }

    function _fund(address who, uint256 amount) private {
        require(ankr.transfer(who, amount), "a test token pays");
        vm.prank(who);
        ankr.approve(address(pot), amount);
        vm.prank(who);
        pot.fund(1, amount);
    }
}
