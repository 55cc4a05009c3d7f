// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VoterRewards} from "../../src/governance/VoterRewards.sol";
import {IBallots} from "../../src/interfaces/IBallots.sol";
import {IElections} from "../../src/interfaces/IElections.sol";
import {IProposals} from "../../src/interfaces/IProposals.sol";
import {ISeats} from "../../src/interfaces/ISeats.sol";
import {IStakes} from "../../src/interfaces/IStakes.sol";
import {IVoterRewards} from "../../src/interfaces/IVoterRewards.sol";
import {Acts} from "./Acts.sol";
import {CouncilKit} from "./CouncilKit.sol";

/// @dev Why the council and the rewards must refuse something just now: the error, or 0 if they must not.
abstract contract CouncilRefusals is Acts, CouncilKit {
    VoterRewards internal pot;

    function _unstakeRefusal(address who, uint256 amount) internal view returns (bytes4) {
        if (council.isBound(who)) return IStakes.StakeBound.selector;
        if (amount > council.stakeOf(who)) return IStakes.StakeTooSmall.selector;
        return 0;
    }

    function _withdrawRefusal(address who) internal view returns (bytes4) {
        (uint208 amount, uint48 readyAt) = council.leavingOf(who);
        if (amount == 0) return IStakes.NothingLeaving.selector;
        return block.timestamp < readyAt ? IStakes.StillLeaving.selector : bytes4(0);
    }

    /// @dev Of somebody who was invited.
    function _acceptRefusal(address who) internal view returns (bytes4) {
        if (council.term().number != 0) return ISeats.InvitationOver.selector;
        if (council.isGovernor(who)) return ISeats.AlreadySeated.selector;
        return _stakeRefusal(council.stakeOf(who), council.stakeMin());
    }

    function _openElectionRefusal() internal view returns (bytes4) {
        if (_isOpen(council.latestElection())) return IElections.ElectionOpen.selector;
        bool isDue = block.timestamp >= council.dueAt();
        return isDue ? bytes4(0) : IElections.ElectionNotDue.selector;
    }

    /// @dev Of somebody with a node of its own.
    function _standRefusal(uint64 election, address who) internal view returns (bytes4) {
        bytes4 refusal = _electionRefusal(election);
        if (refusal != 0) return refusal;
        IElections.Election memory asked = council.electionAt(election);
        if (!asked.isRenewal && council.isInvited(who)) return IElections.IsInvited.selector;
        refusal = _stakeRefusal(council.stakeOf(who), asked.stakeMin);
        if (refusal != 0) return refusal;
        refusal = _stakeRefusal(_weightOf(asked.ballot, who), asked.stakeMin);
        return refusal == 0 ? _castRefusal(asked.ballot, who) : refusal;
    }

    function _backRefusal(uint64 election, address who, address candidate)
        internal
        view
        returns (bytes4 refusal)
    {
        refusal = _electionRefusal(election);
        if (refusal != 0) return refusal;
        bool stands = council.candidateOf(election, candidate).place != 0;
        if (!stands) return IElections.NotCandidate.selector;
        return _castRefusal(council.electionAt(election).ballot, who);
    }

    function _closeElectionRefusal(uint64 election) internal view returns (bytes4) {
        if (!_isOpen(election)) return IElections.ElectionNotOpen.selector;
        bool isOver = block.timestamp >= council.electionAt(election).closesAt;
        return isOver ? bytes4(0) : IElections.ElectionRuns.selector;
    }

    function _proposeRefusal(address who) internal view returns (bytes4 refusal) {
        (refusal,) = _governorRefusal(who);
        if (refusal != 0) return refusal;
        for (uint64 i = council.nextToClose(); i <= council.latestProposal(); ++i) {
            if (council.proposalAt(i).proposer == who) return IProposals.ProposalOpen.selector;
        }
        return 0;
    }

    function _voteRefusal(uint64 proposal, address who) internal view returns (bytes4 refusal) {
        refusal = _proposalRefusal(proposal);
        if (refusal != 0) return refusal;
        uint256 place;
        (refusal, place) = _governorRefusal(who);
        if (refusal != 0) return refusal;
        IProposals.Proposal memory asked = council.proposalAt(proposal);
        if (place >= asked.seatCount) return IProposals.SeatedLater.selector;
        bool hasVoted = asked.voted >> place & 1 != 0;
        return hasVoted ? IProposals.AlreadyVoted.selector : bytes4(0);
    }

    function _stakerRefusal(uint64 proposal, address who) internal view returns (bytes4 refusal) {
        refusal = _proposalRefusal(proposal);
        if (refusal != 0) return refusal;
        uint64 ballot = council.proposalAt(proposal).ballot;
        return ballot == 0 ? IProposals.NotReferendum.selector : _castRefusal(ballot, who);
    }

    function _fundRefusal(uint64 ballot, uint256 amount) internal view returns (bytes4) {
        if (amount == 0) return IVoterRewards.ZeroReward.selector;
        if (ballot > council.latestBallot()) return IBallots.NoSuchBallot.selector;
        IBallots.Ballot memory asked = council.ballotAt(ballot);
        bool isLost = asked.isClosed && asked.cast == 0;
        return isLost ? IVoterRewards.NobodyVoted.selector : bytes4(0);
    }

    function _claimRefusal(uint64 ballot, address who) internal view returns (bytes4) {
        if (ballot > council.latestBallot()) return IBallots.NoSuchBallot.selector;
        if (!council.ballotAt(ballot).isClosed) return IVoterRewards.BallotRuns.selector;
        bool isOwed = pot.claimableOf(ballot, who) != 0;
        return isOwed ? bytes4(0) : IVoterRewards.NothingToClaim.selector;
    }

    function _reclaimRefusal(uint64 ballot, uint256 given) internal view returns (bytes4) {
        if (ballot > council.latestBallot()) return IBallots.NoSuchBallot.selector;
        IBallots.Ballot memory asked = council.ballotAt(ballot);
        if (!asked.isClosed) return IVoterRewards.BallotRuns.selector;
        if (asked.cast != 0) return IVoterRewards.SomebodyVoted.selector;
        return given == 0 ? IVoterRewards.NothingToClaim.selector : bytes4(0);
    }

    function _isOpen(uint64 election) internal view returns (bool) {
        return election != 0 && !council.electionAt(election).isClosed;
    }

    function _electionRefusal(uint64 election) private view returns (bytes4) {
        if (!_isOpen(election)) return IElections.ElectionNotOpen.selector;
        bool isOver = block.timestamp >= council.electionAt(election).closesAt;
        return isOver ? IElections.ElectionOver.selector : bytes4(0);
    }

    function _proposalRefusal(uint64 proposal) private view returns (bytes4) {
        if (proposal > council.latestProposal()) return IProposals.NoSuchProposal.selector;
        IProposals.Proposal memory asked = council.proposalAt(proposal);
        if (block.timestamp >= asked.closesAt) return IProposals.VotingOver.selector;
        bool isOfThisTerm = asked.term == council.term().number;
        return isOfThisTerm ? bytes4(0) : IProposals.OtherTerm.selector;
    }

    /// @dev Of who should sit, and where it does.
    function _governorRefusal(address who) private view returns (bytes4, uint256 place) {
        ISeats.Seat[] memory seats = council.seats();
        while (place < seats.length && seats[place].account != who) ++place;
        if (place == seats.length) return (ISeats.NotGovernor.selector, place);
        return (_stakeRefusal(council.stakeOf(who), seats[place].stakeMin), place);
    }

    function _castRefusal(uint64 ballot, address who) private view returns (bytes4) {
        if (council.weightIn(ballot, who) != 0) return IBallots.AlreadyCast.selector;
        return _weightOf(ballot, who) == 0 ? IBallots.NoWeight.selector : bytes4(0);
    }

    function _weightOf(uint64 ballot, address who) private view returns (uint256) {
        return council.stakeAt(who, council.ballotAt(ballot).snapshotAt);
    }

    function _stakeRefusal(uint256 staked, uint256 needed) private pure returns (bytes4) {
        return staked < needed ? ISeats.NotEnoughStake.selector : bytes4(0);
    }
}
