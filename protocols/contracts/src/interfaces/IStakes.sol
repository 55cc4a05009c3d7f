// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  What governors and voters answer with (R13, R16, R17)
/// @notice Anyone stakes ANKR. A stake is a vote in elections and referenda; a governor's is also
///         what it loses by absence. A stake leaves in two steps: it counts no longer at once, and
///         is paid back when the policy's `UnbondS` is over.
/// @dev    Every change of a stake is kept with the time of its block, so what somebody had at a
///         time that is over can be asked for ever. The contract holds exactly all stakes, what is
///         leaving and what was slashed and not yet handed on, plus what others sent by mistake.
interface IStakes {
    /// @notice Somebody staked.
    /// @param  account  Who.
    /// @param  amount   How much more, in 10^-18 ANKR.
    /// @param  stake    Its stake now, in 10^-18 ANKR.
    event Staked(address indexed account, uint256 amount, uint256 stake);

    /// @notice A part of a stake is leaving.
    /// @param  account  Whose.
    /// @param  amount   How much, in 10^-18 ANKR.
    /// @param  stake    Its stake now, in 10^-18 ANKR.
    /// @param  readyAt  From when on all that is leaving may be withdrawn, Unix seconds.
    event Unstaked(address indexed account, uint256 amount, uint256 stake, uint48 readyAt);

    /// @notice What was leaving has been paid back.
    /// @param  account  To whom.
    /// @param  amount   How much, in 10^-18 ANKR.
    event Withdrawn(address indexed account, uint256 amount);

    /// @notice A governor lost a part of its stake.
    /// @param  account  Who.
    /// @param  amount   How much, in 10^-18 ANKR.
    /// @param  stake    Its stake now, in 10^-18 ANKR.
    event Slashed(address indexed account, uint256 amount, uint256 stake);

    /// @notice What was slashed went to the receiver.
    /// @param  amount  How much, in 10^-18 ANKR.
    event SlashedHandedOn(uint256 amount);

    /// @notice The amount must be more than 0.
    error ZeroAmount();

    /// @notice There is not so much staked.
    error StakeTooSmall(address account, uint256 stake, uint256 amount);

    /// @notice The stake stays while its owner sits in the council or stands in an open election.
    error StakeBound(address account);

    /// @notice Nothing of the account is leaving.
    error NothingLeaving(address account);

    /// @notice What is leaving may be withdrawn from `readyAt` on, Unix seconds.
    error StillLeaving(address account, uint48 readyAt);

    /// @notice Nothing that was slashed waits to be handed on.
    error NothingSlashed();

    /// @notice A stake is final only for a time that is over, Unix seconds.
    error NotYetOver(uint48 time);

    /// @notice Adds to the caller's stake, which must approve the amount before.
    /// @param  amount  How much more, in 10^-18 ANKR; more than 0.
    function stake(uint256 amount) external;

    /// @notice Takes a part out of the caller's stake. It can be withdrawn after the policy's
    ///         `UnbondS`, and all that is leaving already waits with it.
    /// @param  amount  How much, in 10^-18 ANKR; more than 0.
    function unstake(uint256 amount) external;

    /// @notice Pays back all that is leaving, once its time has come.
    function withdraw() external;

    /// @notice Hands on what was slashed to the receiver. Anyone may.
    function handOnSlashed() external;

    /// @notice An account's stake now, in 10^-18 ANKR.
    function stakeOf(address account) external view returns (uint256);

    /// @notice An account's stake at the end of a second that is over, in 10^-18 ANKR.
    /// @param  time  Unix seconds; before now.
    function stakeAt(address account, uint48 time) external view returns (uint256);

    /// @notice All stakes at the end of a second that is over, in 10^-18 ANKR.
    /// @param  time  Unix seconds; before now.
    function totalStakeAt(uint48 time) external view returns (uint256);

    /// @notice All stakes now, in 10^-18 ANKR.
    function totalStake() external view returns (uint256);

    /// @notice What of an account is leaving.
    /// @return amount   How much, in 10^-18 ANKR.
    /// @return readyAt  From when on it may be withdrawn, Unix seconds.
    function leavingOf(address account) external view returns (uint208 amount, uint48 readyAt);

    /// @notice What was slashed and waits to be handed on, in 10^-18 ANKR.
    function slashed() external view returns (uint256);

    /// @notice Whether the account cannot unstake now: it sits, or stands in an open election.
    function isBound(address account) external view returns (bool);
}
