// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Time} from "@openzeppelin/contracts/utils/types/Time.sol";
import {IBallots} from "../interfaces/IBallots.sol";
import {Stakes} from "./Stakes.sol";

/// @title What stakers vote on
abstract contract Ballots is Stakes, IBallots {
    /// @inheritdoc IBallots
    uint64 public latestBallot;

    /// @inheritdoc IBallots
    mapping(uint64 ballot => mapping(address account => uint256)) public weightIn;

    mapping(uint64 ballot => Ballot) private _ballots;

    /// @inheritdoc IBallots
    function ballotAt(uint64 ballot) external view returns (Ballot memory) {
        if (ballot == 0 || ballot > latestBallot) revert NoSuchBallot(ballot);
        return _ballots[ballot];
    }

    /// @dev Its snapshot is the end of the second before: of a block's time, stakes may still change.
    function _openBallot() internal returns (uint64 ballot) {
        ballot = ++latestBallot;
        uint48 snapshotAt = Time.timestamp() - 1;
        _ballots[ballot].snapshotAt = snapshotAt;
        emit BallotOpened(ballot, snapshotAt);
    }

    /// @dev Votes with the whole stake of an account. Whether the ballot is open is the caller's to
    ///      check.
    function _cast(uint64 ballot, address account) internal returns (uint208 weight) {
        if (weightIn[ballot][account] != 0) revert AlreadyCast(ballot, account);
        weight = _weightAt(ballot, account);
        if (weight == 0) revert NoWeight(ballot, account, _ballots[ballot].snapshotAt);

        weightIn[ballot][account] = weight;
        _ballots[ballot].cast += SafeCast.toUint200(weight);
        emit BallotCast(ballot, account, weight);
    }

    function _closeBallot(uint64 ballot) internal {
        _ballots[ballot].isClosed = true;
        emit BallotClosed(ballot, _ballots[ballot].cast);
    }

    /// @dev What an account may vote with in a ballot, whether it has or not.
    function _weightAt(uint64 ballot, address account) internal view returns (uint208) {
        return _stakeAt(account, _ballots[ballot].snapshotAt);
    }

    /// @dev Whether enough of all stakes has voted: a share of at least so many basis points.
    function _isQuorate(uint64 ballot, uint256 quorumBps) internal view returns (bool) {
        Ballot storage asked = _ballots[ballot];
        return uint256(asked.cast) * BPS >= quorumBps * _totalStakeAt(asked.snapshotAt);
    }
}
