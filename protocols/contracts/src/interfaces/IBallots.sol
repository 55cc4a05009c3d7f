// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  What stakers vote on: elections and referenda (R13, Q21)
/// @notice Each election and each referendum is one ballot. A stake votes with what it was in the
///         second before the ballot opened, once: what is staked, lent or moved in the block that
///         opens it or later counts nothing, and ANKR that moves on has voted already.
/// @dev    All that is cast in a ballot is never more than all that was staked at its snapshot.
interface IBallots {
    /// @notice A ballot.
    /// @param  snapshotAt  When stakes are looked at: the end of this second, Unix seconds.
    /// @param  cast        What has voted, in 10^-18 ANKR.
    /// @param  isClosed    Whether it is over.
    struct Ballot {
        uint48 snapshotAt;
        uint200 cast;
        bool isClosed;
    }

    /// @notice A ballot was opened.
    event BallotOpened(uint64 indexed ballot, uint48 snapshotAt);

    /// @notice A staker voted.
    /// @param  ballot   In which ballot.
    /// @param  account  Who.
    /// @param  weight   Its stake at the snapshot, in 10^-18 ANKR.
    event BallotCast(uint64 indexed ballot, address indexed account, uint256 weight);

    /// @notice A ballot is over.
    /// @param  ballot  Which.
    /// @param  cast    What has voted, in 10^-18 ANKR.
    event BallotClosed(uint64 indexed ballot, uint256 cast);

    /// @notice There is no ballot of this number.
    error NoSuchBallot(uint64 ballot);

    /// @notice A stake votes once in a ballot.
    error AlreadyCast(uint64 ballot, address account);

    /// @notice The account had no stake at the ballot's snapshot.
    error NoWeight(uint64 ballot, address account, uint48 snapshotAt);

    /// @notice A ballot, by its number.
    function ballotAt(uint64 ballot) external view returns (Ballot memory);

    /// @notice With what an account has voted in a ballot, in 10^-18 ANKR; 0 if it has not.
    function weightIn(uint64 ballot, address account) external view returns (uint256);

    /// @notice Number of the ballot opened last, counted from 1; 0 if none was.
    function latestBallot() external view returns (uint64);
}
