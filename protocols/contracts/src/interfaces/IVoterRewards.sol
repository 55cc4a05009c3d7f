// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  What stakers earn by voting (R13, Q21)
/// @notice Anyone puts ANKR into a ballot, which is an election or a referendum. Once the ballot is
///         over everyone who voted takes a share, by the weight it voted with, whatever it voted.
/// @dev    A share of all that was ever put in is rounded down, and what was claimed before is taken
///         off: all claims together are never more than what was put in, and it does not matter who
///         claims first. What rounding leaves, less than a 10^-18 ANKR a voter, stays.
interface IVoterRewards {
    /// @notice Somebody put ANKR into a ballot.
    event Funded(uint64 indexed ballot, address indexed account, uint256 amount);

    /// @notice A voter took its share.
    event Claimed(uint64 indexed ballot, address indexed account, uint256 amount);

    /// @notice What was put into a ballot in which nobody voted was paid back.
    event Reclaimed(uint64 indexed ballot, address indexed account, uint256 amount);

    /// @notice A reward must be more than 0.
    error ZeroReward();

    /// @notice The ballot is not over.
    error BallotRuns(uint64 ballot);

    /// @notice Nobody voted in the ballot.
    error NobodyVoted(uint64 ballot);

    /// @notice Somebody voted in the ballot: what was put in is theirs.
    error SomebodyVoted(uint64 ballot);

    /// @notice Nothing of the ballot is the account's, or no more.
    error NothingToClaim(uint64 ballot, address account);

    /// @notice Puts ANKR of the caller, who allowed it, into a ballot that is open, or in which
    ///         somebody voted.
    /// @param  ballot  Number of the ballot.
    /// @param  amount  In 10^-18 ANKR; more than 0.
    function fund(uint64 ballot, uint256 amount) external;

    /// @notice Pays the caller its share of a ballot that is over.
    function claim(uint64 ballot) external;

    /// @notice Pays back what the caller put into a ballot in which nobody voted.
    function reclaim(uint64 ballot) external;

    /// @notice What an account can claim of a ballot now, in 10^-18 ANKR; 0 while it runs.
    function claimableOf(uint64 ballot, address account) external view returns (uint256);

    /// @notice All that was put into a ballot, in 10^-18 ANKR.
    function fundedOf(uint64 ballot) external view returns (uint256);
}
