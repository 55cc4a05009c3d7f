// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ISeats} from "../src/interfaces/ISeats.sol";
import {IStakes} from "../src/interfaces/IStakes.sol";
import {IProposals} from "../src/interfaces/IProposals.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {CouncilKit} from "./lib/CouncilKit.sol";

/// @dev R20, Q8: absence.
contract AttendanceTest is CouncilKit {
    function setUp() public {
        _deploy(_testAnkr());
        _acceptAll();
    }

    /// @dev R20, Q8: the third vote missed in a row costs a part of the stake.
    function test_threeMissedVotesSlashAPart() public {
        _voteAndClose(1, IProposals.Choice.Yes);
        _voteAndClose(1, IProposals.Choice.Yes);
        vm.assertEq(council.missedOf(_person(0)), 2);
        vm.assertEq(council.stakeOf(_person(0)), STAKE);
        uint64 proposal = _propose(1, _noCalls());
        _vote(1, proposal, IProposals.Choice.Yes);
        vm.warp(council.proposalAt(proposal).closesAt);
        vm.expectEmit(address(council));
        emit IProposals.VoteMissed(proposal, _person(0), 3);
        vm.expectEmit(address(council));
        emit IStakes.Slashed(_person(0), STAKE / 10, STAKE - STAKE / 10);
        council.close(proposal, _noCalls());
        vm.assertEq(council.stakeOf(_person(0)), STAKE - STAKE / 10);
        vm.assertEq(council.stakeOf(_person(1)), STAKE);
    }

    /// @dev R20: it is the votes in a row that count.
    function test_aVoteInBetweenStartsTheCountAnew() public {
        _voteAndClose(1, IProposals.Choice.Yes);
        _voteAndClose(1, IProposals.Choice.Yes);
        _voteAndClose(0, IProposals.Choice.No);
        _voteAndClose(1, IProposals.Choice.Yes);
        _voteAndClose(1, IProposals.Choice.Yes);
        vm.assertEq(council.stakeOf(_person(0)), STAKE);
        vm.assertEq(council.missedOf(_person(0)), 2);
    }

    /// @dev Q8: abstaining counts as voting.
    function test_whoAbstainsIsNotSlashed() public {
        for (uint256 i = 0; i < 6; ++i) {
            _voteAndClose(0, IProposals.Choice.Abstain);
        }
        vm.assertEq(council.stakeOf(_person(0)), STAKE);
        vm.assertEq(council.missedOf(_person(0)), 0);
    }

    function test_aSlashStartsTheCountAnew() public {
        for (uint256 i = 0; i < 5; ++i) {
            _voteAndClose(1, IProposals.Choice.Yes);
        }
        vm.assertEq(council.stakeOf(_person(0)), STAKE - STAKE / 10);
        vm.assertEq(council.missedOf(_person(0)), 2);
        _voteAndClose(1, IProposals.Choice.Yes);
        vm.assertEq(council.stakeOf(_person(0)), 810 ether);
    }

    /// @dev R20 for all that the policy may say, against the plain rule.
    function testFuzz_absenceCostsWhatThePolicySays(bool[12] memory isThere, uint256 a, uint256 b)
        public
    {
        uint256 missedMax = bound(a, 1, 10);
        uint256 shareBps = bound(b, 1, 5_000);
        _set(Parameter.MissedVotesMax, missedMax);
        _set(Parameter.AbsenceSlashBps, shareBps);
        uint256 missed = 0;
        uint256 left = STAKE;
        for (uint256 i = 0; i < 12; ++i) {
            bool canVote = isThere[i] && left == STAKE;
            _voteAndClose(canVote ? 0 : 7, IProposals.Choice.Yes);
            missed = canVote ? 0 : missed + 1;
            if (missed < missedMax) continue;
            (left, missed) = (left - left * shareBps / 10_000, 0);
        }
        vm.assertEq(council.stakeOf(_person(0)), left);
        vm.assertEq(council.missedOf(_person(0)), missed);
    }

    /// @dev What somebody missed goes by the order of the proposals, not by when they are closed.
    function test_threeProposalsAtOnceAreThreeVotes() public {
        for (uint256 i = 1; i < 4; ++i) {
            _propose(i, _noCalls());
        }
        vm.warp(START + VOTING_S);
        for (uint64 proposal = 1; proposal < 4; ++proposal) {
            council.close(proposal, _noCalls());
        }
        vm.assertEq(council.stakeOf(_person(0)), STAKE - STAKE / 10);
    }

    /// @dev A seat is kept by who was slashed, but its vote only by who pays the stake up again.
    function test_whoWasSlashedVotesAgainOnceItAddedToItsStake() public {
        for (uint256 i = 0; i < 3; ++i) {
            _voteAndClose(1, IProposals.Choice.Yes);
        }
        uint64 proposal = _propose(1, _noCalls());
        bytes memory reason =
            abi.encodeWithSelector(ISeats.NotEnoughStake.selector, _person(0), 900 ether, STAKE);
        vm.expectRevert(reason);
        _vote(0, proposal, IProposals.Choice.Yes);
        vm.expectRevert(reason);
        _propose(0, _noCalls());
        vm.assertTrue(council.isGovernor(_person(0)));
        _stake(_person(0), 100 ether);
        _vote(0, proposal, IProposals.Choice.Yes);
        vm.assertEq(council.proposalAt(proposal).yes, 1);
    }

    /// @dev What it costs to miss a vote is known when it opens.
    function test_noChangeOfThePolicyIsRetroactive() public {
        uint64 proposal = _propose(1, _noCalls());
        _set(Parameter.MissedVotesMax, 1);
        _set(Parameter.AbsenceSlashBps, 5_000);
        _set(Parameter.QuorumBps, 8_000);
        vm.assertEq(council.proposalAt(proposal).votesMin, 2);
        _closeProposal(proposal, _noCalls());
        vm.assertEq(council.stakeOf(_person(0)), STAKE);
        _closeProposal(_propose(1, _noCalls()), _noCalls());
        vm.assertEq(council.stakeOf(_person(0)), STAKE / 2);
    }

    /// @dev A majority cannot take the vote of others by asking for more stake than they came with.
    function test_aRaisedStakeTakesNobodysVote() public {
        _set(Parameter.GovernorStakeMin, 100 * STAKE);
        uint64 proposal = _propose(0, _noCalls());
        _vote(0, proposal, IProposals.Choice.Yes);
        vm.assertEq(council.proposalAt(proposal).yes, 1);
    }

    /// @dev Who is elected again brings what it missed along.
    function test_aNewTermForgivesNothing() public {
        _voteAndClose(1, IProposals.Choice.Yes);
        _voteAndClose(1, IProposals.Choice.Yes);
        _stakeMany(20, N);
        vm.warp(PHASE_3_AT);
        _open();
        _stand(0);
        _standMany(20, N);
        _close();
        vm.assertEq(council.missedOf(_person(0)), 2);
        uint64 proposal = _propose(20, _noCalls());
        _closeProposal(proposal, _noCalls());
        vm.assertEq(council.stakeOf(_person(0)), STAKE - STAKE / 10);
    }

    /// @dev What is lost is worth the share of all that is staked, and nobody can take it out before.
    function test_aLargerStakeLosesMore() public {
        _stake(_person(0), 9 * STAKE);
        for (uint256 i = 0; i < 3; ++i) {
            _voteAndClose(1, IProposals.Choice.Yes);
        }
        vm.assertEq(council.stakeOf(_person(0)), 10 * STAKE - STAKE);
        vm.assertEq(council.slashed(), STAKE + 2 * STAKE / 10);
    }

    /// @dev Only this governor votes; 7 is nobody.
    function _voteAndClose(uint256 voter, IProposals.Choice choice) private {
        uint64 proposal = _propose(1, _noCalls());
        if (voter != 7) _vote(voter, proposal, choice);
        if (voter != 1) _vote(1, proposal, IProposals.Choice.Yes);
        _closeProposal(proposal, _noCalls());
    }
}
