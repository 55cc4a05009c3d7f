// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  What providers answer with (R45, R46)
/// @notice A provider stakes ANKR, once for all its nodes (Q13). It counts in the market from the
///         policy's StakeMin on and up to StakeMax. It comes back `UnbondS` after the provider asked
///         for it, and not while a deal runs or a claim is open. Only the deals' contract takes of
///         it, and only what there is.
interface IProviderStakes {
    /// @notice A provider added to its stake.
    /// @param  account  Who.
    /// @param  amount   How much, in 10^-18 ANKR.
    /// @param  stake    All that it stakes now, without what is unbonding.
    event Staked(address indexed account, uint256 amount, uint256 stake);

    /// @notice A part of a stake is on its way back to the provider.
    /// @param  account    Whose.
    /// @param  amount     How much more than before, in 10^-18 ANKR.
    /// @param  unbonding  All that is on its way.
    /// @param  untilS     When it may be withdrawn at the earliest, Unix seconds.
    event Unbonding(address indexed account, uint256 amount, uint256 unbonding, uint256 untilS);

    /// @notice What was unbonding was paid out.
    event Withdrawn(address indexed account, uint256 amount);

    /// @notice A part of a stake was taken for a failed deal (R59).
    /// @param  account  Whose.
    /// @param  wanted   How much was owed, in 10^-18 ANKR.
    /// @param  taken    How much of it there was.
    /// @param  to       Who got it.
    event Seized(address indexed account, uint256 wanted, uint256 taken, address indexed to);

    /// @notice A stake is locked once more; `locks` are all that keep it now.
    event Locked(address indexed account, uint256 locks);

    /// @notice A stake is locked once less; it may be withdrawn when `locks` is 0 and no deal runs.
    event Unlocked(address indexed account, uint256 locks);

    /// @notice Only the deals' contract may.
    error NotDeals(address caller);

    /// @notice No more than `stakeMax` may be staked.
    error StakeTooHigh(uint256 stake, uint256 stakeMax);

    /// @notice A provider that stays keeps `stakeMin` staked.
    error StakeTooLow(uint256 stake, uint256 stakeMin);

    /// @notice The amount must be more than 0.
    error ZeroAmount();

    /// @notice Nothing of this stake was asked back.
    error NothingUnbonding(address account);

    /// @notice The stake may be withdrawn from `untilS` (Unix seconds) on.
    error StillUnbonding(address account, uint256 untilS);

    /// @notice The stake answers for deals that run and for claims that are open.
    error StakeLocked(address account, uint256 locks, uint256 runningDeals);

    /// @notice There is no lock to undo.
    error NotLocked(address account);

    /// @notice Adds to the caller's stake, up to the policy's StakeMax. Only an approved provider
    ///         may, and must approve the amount before.
    /// @param  amount  How much more, in 10^-18 ANKR; more than 0.
    function stake(uint256 amount) external;

    /// @notice Asks back what the caller staked above the policy's StakeMin.
    /// @dev    It counts no longer, but can still be seized until it is withdrawn. The time begins
    ///         anew for all that is unbonding.
    /// @param  amount  How much, in 10^-18 ANKR; more than 0.
    function unstake(uint256 amount) external;

    /// @notice Asks the caller's whole stake back: it gets no new deals, and its name is free. Deals
    ///         that run go on, and keep the stake until they have ended.
    function resign() external;

    /// @notice Pays out what is unbonding, once its time has come and nothing locks the stake. Who
    ///         left may apply again from then on.
    function withdraw() external;

    /// @notice Keeps a provider's stake where it is until it is unlocked. Only the deals' contract may.
    function lock(address account) external;

    /// @notice Undoes one `lock`. Only the deals' contract may.
    function unlock(address account) external;

    /// @notice Takes up to `ankr` of a provider's stake for `to`. Only the deals' contract may.
    /// @dev    What is unbonding goes first: what stays is what keeps the provider eligible.
    /// @return taken What there was of it, in 10^-18 ANKR.
    function seize(address account, uint256 ankr, address to) external returns (uint256 taken);
}
