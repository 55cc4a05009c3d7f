// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {ISeats} from "../src/interfaces/ISeats.sol";
import {Call, IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

contract ProposalsTest is CouncilKit {
    function setUp() public {
        _deploy(_testAnkr());
        _acceptAll();
    }

    // Proposing.

    function test_propose_isForGovernorsOnly() public {
        vm.expectRevert(abi.encodeWithSelector(ISeats.NotGovernor.selector, _person(7)));
        _propose(7, _noCalls());
        vm.assertEq(_propose(1, _noCalls()), 1);
        IProposals.Proposal memory opened = council.proposalAt(1);
        vm.assertEq(opened.proposer, _person(1));
        vm.assertEq(opened.openedAt, START);
        vm.assertEq(opened.closesAt, START + VOTING_S);
        vm.assertEq(opened.seatCount, INVITED);
        vm.assertEq(opened.votesMin, 2);
    }

    function test_propose_RevertWhen_TheProposerHasOneOpen() public {
        _propose(0, _noCalls());
        _propose(1, _noCalls());
        vm.expectRevert(abi.encodeWithSelector(IProposals.ProposalOpen.selector, _person(0), 1));
        _propose(0, _noCalls());
        _closeProposal(1, _noCalls());
        vm.assertEq(_propose(0, _noCalls()), 3);
    }

    function test_propose_RevertWhen_ItIsTooLarge() public {
        Call[] memory calls = new Call[](council.CALLS_MAX() + 1);
        vm.expectRevert(abi.encodeWithSelector(IProposals.TooManyCalls.selector, 17, 16));
        _propose(0, calls);
        calls = new Call[](1);
        calls[0].data = new bytes(council.PROPOSAL_BYTES_MAX() - 12 * 32);
        _propose(0, calls);
        calls[0].data = new bytes(council.PROPOSAL_BYTES_MAX());
        vm.expectRevert(
            abi.encodeWithSelector(IProposals.TooManyBytes.selector, 16_384 + 10 * 32, 16_384)
        );
        _propose(1, calls);
    }

    /// @dev Of the timelock's functions only the one that keeps to bounds.
    function testFuzz_propose_RevertWhen_ItCallsTheTimelockForItsRoles(
        bytes4 selector,
        uint256 word
    ) public {
        vm.assume(selector != TimelockController.updateDelay.selector);
        Call[] memory calls = new Call[](2);
        calls[1] = Call(address(timelock), 0, abi.encodePacked(selector, word));
        vm.expectRevert(abi.encodeWithSelector(IProposals.CallForbidden.selector, selector));
        _propose(0, calls);
    }

    function test_propose_mayLengthenTheDelay() public {
        Call[] memory calls = new Call[](1);
        calls[0] = Call(address(timelock), 0, abi.encodeCall(timelock.updateDelay, (2 * DELAY_S)));
        uint64 proposal = _propose(0, calls);
        _voteYes(proposal, 3);
        council.close(proposal, calls);
        vm.warp(block.timestamp + DELAY_S);
        _execute(proposal, calls);
        vm.assertEq(timelock.getMinDelay(), 2 * DELAY_S);
    }

    /// @dev A later proposal is never due before an earlier one.
    function testFuzz_propose_deadlinesNeverDecrease(uint256[4] memory lengths) public {
        uint48 before = 0;
        for (uint256 i = 0; i < 4; ++i) {
            _set(Parameter.VotingS, bound(lengths[i], 1, 30 days));
            uint48 closesAt = council.proposalAt(_propose(i, _noCalls())).closesAt;
            vm.assertTrue(closesAt >= before);
            vm.assertTrue(closesAt >= block.timestamp + VOTING_S);
            before = closesAt;
        }
    }

    // Voting.

    /// @dev R15: one governor, one vote, whatever the stake.
    function testFuzz_vote_countsOneForEachGovernorWhateverItsStake(uint256 more) public {
        _stake(_person(3), bound(more, 1, 10 ** 28));
        uint64 proposal = _propose(0, _noCalls());
        _vote(3, proposal, IProposals.Choice.No);
        _vote(1, proposal, IProposals.Choice.Yes);
        _vote(2, proposal, IProposals.Choice.Yes);
        IProposals.Proposal memory asked = council.proposalAt(proposal);
        vm.assertEq(asked.yes, 2);
        vm.assertEq(asked.no, 1);
        vm.assertTrue(_closeProposal(proposal, _noCalls()) == IProposals.Outcome.Passed);
    }

    function test_vote_RevertWhen_TheCallerDoesNotSit() public {
        _propose(0, _noCalls());
        vm.expectRevert(abi.encodeWithSelector(ISeats.NotGovernor.selector, _person(7)));
        _vote(7, 1, IProposals.Choice.Yes);
    }

    function test_vote_RevertWhen_TheGovernorHasVoted() public {
        _propose(0, _noCalls());
        _vote(1, 1, IProposals.Choice.Abstain);
        vm.expectRevert(abi.encodeWithSelector(IProposals.AlreadyVoted.selector, 1, _person(1)));
        _vote(1, 1, IProposals.Choice.Yes);
    }

    function test_vote_RevertWhen_TheTimeIsOver() public {
        _propose(0, _noCalls());
        uint48 closesAt = START + VOTING_S;
        vm.warp(closesAt);
        vm.expectRevert(abi.encodeWithSelector(IProposals.VotingOver.selector, 1, closesAt));
        _vote(1, 1, IProposals.Choice.Yes);
    }

    function test_vote_RevertWhen_ThereIsNoSuchProposal() public {
        vm.expectRevert(abi.encodeWithSelector(IProposals.NoSuchProposal.selector, 0));
        _vote(0, 0, IProposals.Choice.Yes);
        vm.expectRevert(abi.encodeWithSelector(IProposals.NoSuchProposal.selector, 1));
        _vote(0, 1, IProposals.Choice.Yes);
    }

    function test_vote_RevertWhen_TheSeatWasTakenLater() public {
        _stakeMany(10, 1);
        vm.warp(PHASE_2_AT);
        _open();
        _stand(10);
        vm.warp(PHASE_2_AT + ELECTION_S - 1);
        _propose(0, _noCalls());
        _close();
        vm.assertTrue(council.isGovernor(_person(10)));
        vm.expectRevert(abi.encodeWithSelector(IProposals.SeatedLater.selector, 1, _person(10)));
        _vote(10, 1, IProposals.Choice.Yes);
        // It missed nothing: it was not asked.
        _closeProposal(1, _noCalls());
        vm.assertEq(council.missedOf(_person(10)), 0);
        vm.assertEq(council.missedOf(_person(1)), 1);
    }

    // Counting.

    /// @dev Every way that seven may vote: quorum with abstentions, and more yes than no.
    function testFuzz_close_needsAQuorumAndMoreYesThanNo(uint8[7] memory ways, uint256 quorumBps)
        public
    {
        _fillPhaseTwo();
        quorumBps = bound(quorumBps, 2_000, 8_000);
        _set(Parameter.QuorumBps, quorumBps);
        uint64 proposal = _propose(0, _noCalls());
        uint256[4] memory counts;
        for (uint256 i = 0; i < 7; ++i) {
            uint256 way = ways[i] % 4;
            ++counts[way];
            if (way < 3) _vote(i < 4 ? i : i + 6, proposal, IProposals.Choice(way));
        }
        uint256 voters = counts[0] + counts[1] + counts[2];
        bool isPassed = voters * 10_000 >= quorumBps * 7 && counts[1] > counts[2];
        IProposals.Outcome outcome = _closeProposal(proposal, _noCalls());
        vm.assertTrue(
            outcome == (isPassed ? IProposals.Outcome.Passed : IProposals.Outcome.Rejected)
        );
    }

    /// @dev Q8: abstaining is voting, for the quorum and for attendance.
    function test_close_countsAbstentionsForTheQuorum() public {
        uint64 proposal = _propose(0, _noCalls());
        _vote(0, proposal, IProposals.Choice.Yes);
        _vote(1, proposal, IProposals.Choice.Abstain);
        vm.assertTrue(_closeProposal(proposal, _noCalls()) == IProposals.Outcome.Passed);
        vm.assertEq(council.missedOf(_person(1)), 0);
        vm.assertEq(council.missedOf(_person(2)), 1);
    }

    /// @dev The first who accepts does not rule alone: quorums are of n + 1 seats at least.
    function test_close_needsAQuorumOfTheInvitedHoweverFewAccepted() public {
        _deploy(_testAnkr());
        _accept(0);
        uint64 proposal = _propose(0, _noCalls());
        _vote(0, proposal, IProposals.Choice.Yes);
        vm.assertTrue(_closeProposal(proposal, _noCalls()) == IProposals.Outcome.Rejected);
    }

    function test_close_RevertWhen_AnEarlierOneIsNotClosed() public {
        _propose(0, _noCalls());
        _propose(1, _noCalls());
        vm.warp(START + VOTING_S);
        vm.expectRevert(abi.encodeWithSelector(IProposals.NotNextProposal.selector, 2, 1));
        council.close(2, _noCalls());
        council.close(1, _noCalls());
        council.close(2, _noCalls());
        vm.expectRevert(abi.encodeWithSelector(IProposals.NotNextProposal.selector, 2, 3));
        council.close(2, _noCalls());
        vm.expectRevert(abi.encodeWithSelector(IProposals.NoSuchProposal.selector, 3));
        council.close(3, _noCalls());
    }

    function test_close_RevertWhen_TheVoteRuns() public {
        _propose(0, _noCalls());
        vm.warp(START + VOTING_S - 1);
        vm.expectRevert(abi.encodeWithSelector(IProposals.VotingRuns.selector, 1, START + VOTING_S));
        council.close(1, _noCalls());
    }

    function test_close_RevertWhen_TheCallsAreOthers() public {
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _propose(0, calls);
        _voteYes(proposal, 3);
        bytes32 proposed = council.proposalAt(proposal).operation;
        Call[] memory others = _setting(Parameter.BidBond, 8 ether);
        vm.expectRevert(
            abi.encodeWithSelector(IProposals.OtherCalls.selector, _idOf(others), proposed)
        );
        council.close(proposal, others);
        vm.expectRevert(
            abi.encodeWithSelector(IProposals.OtherCalls.selector, _idOf(_noCalls()), proposed)
        );
        council.close(proposal, _noCalls());
        council.close(proposal, calls);
    }

    // What follows.

    function test_close_handsTheCallsToTheTimelock() public {
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _propose(0, calls);
        bytes32 operation = council.proposalAt(proposal).operation;
        vm.assertFalse(timelock.isOperation(operation));
        _voteYes(proposal, 3);
        council.close(proposal, calls);
        vm.assertTrue(timelock.isOperationPending(operation));
        vm.assertEq(timelock.getTimestamp(operation), block.timestamp + DELAY_S);
    }

    function test_close_ofARejectedProposalLeavesTheTimelockAlone() public {
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        uint64 proposal = _propose(0, calls);
        vm.assertTrue(_closeProposal(proposal, _noCalls()) == IProposals.Outcome.Rejected);
        vm.assertFalse(timelock.isOperation(council.proposalAt(proposal).operation));
    }

    /// @dev The same calls may be decided twice, and are then made twice; each decision once.
    function test_theSameCallsAreMadeOnceForEachDecision() public {
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        for (uint256 i = 0; i < 2; ++i) {
            uint64 proposal = _propose(0, calls);
            _voteYes(proposal, 3);
            council.close(proposal, calls);
            vm.warp(block.timestamp + DELAY_S);
            _execute(proposal, calls);
            vm.expectRevert();
            this.execute(proposal, calls);
        }
    }

    /// @dev R62: matters that no contract knows are decided by an open vote without calls.
    function test_aProposalWithoutCallsIsAnOpenVote() public {
        uint64 proposal = _propose(0, _noCalls());
        _voteYes(proposal, 3);
        vm.expectEmit(address(council));
        emit IProposals.ProposalClosed(proposal, IProposals.Outcome.Passed);
        council.close(proposal, _noCalls());
        vm.assertFalse(timelock.isOperation(council.proposalAt(proposal).operation));
    }

    /// @dev A council cannot leave an open vote to the next one, nor slash it for its own.
    function test_aProposalEndsWithItsTerm() public {
        Call[] memory calls = _setting(Parameter.BidBond, 7 ether);
        _stakeMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT);
        _open();
        _standMany(20, 2 * N + 1);
        vm.warp(PHASE_3_AT + ELECTION_S - 1);
        uint64 proposal = _propose(0, calls);
        for (uint256 i = 0; i < 3; ++i) {
            _vote(i, proposal, IProposals.Choice.Yes);
        }
        _close();
        vm.expectRevert(abi.encodeWithSelector(IProposals.OtherTerm.selector, proposal, 0));
        _vote(20, proposal, IProposals.Choice.No);
        vm.assertTrue(_closeProposal(proposal, calls) == IProposals.Outcome.Lapsed);
        vm.assertFalse(timelock.isOperation(council.proposalAt(proposal).operation));
        vm.assertEq(council.missedOf(_person(20)), 0);
        vm.assertEq(council.missedOf(_person(3)), 0);
    }

    function execute(uint64 proposal, Call[] memory calls) external {
        _execute(proposal, calls);
    }

    /// @dev Number of calls at the timelock, for the first proposal.
    function _idOf(Call[] memory calls) private view returns (bytes32) {
        address[] memory targets = new address[](calls.length);
        uint256[] memory values = new uint256[](calls.length);
        bytes[] memory payloads = new bytes[](calls.length);
        for (uint256 i = 0; i < calls.length; ++i) {
            (targets[i], values[i], payloads[i]) = (calls[i].target, calls[i].value, calls[i].data);
        }
        return timelock.hashOperationBatch(targets, values, payloads, 0, bytes32(uint256(1)));
    }

    /// @dev People 10 to 12 sit besides those who were invited.
    function _fillPhaseTwo() private {
        _stakeMany(10, N);
        vm.warp(PHASE_2_AT);
        _open();
        _standMany(10, N);
        _close();
    }
}
