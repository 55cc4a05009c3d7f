// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  What the governors answer with for their anchors
/// @notice Governors put ANKR into one pool. Whoever shows that an anchor was wrong takes a part of
///         it, and all who have bonded lose alike: a signature does not say who of them made it.
/// @dev    A bond is a number of shares of the pool. What is not given out when amounts are rounded,
///         down, stays in the pool. The contract holds exactly the pool, plus what others sent by
///         mistake.
interface IBonds {
    /// @notice What an anchor is worth, and what showing that it is wrong.
    /// @param  bondMin     Least pool that must be there to anchor, in 10^-18 ANKR.
    /// @param  deposit     What a challenge of a right score costs, in 10^-18 ANKR.
    /// @param  slashBps    Share of the pool that a wrong score costs, in 1/10,000.
    /// @param  rewardBps   Share of that which the challenger gets, in 1/10,000.
    /// @param  challengeS  How long after it was anchored an epoch may be challenged, in seconds;
    ///                     more than 0.
    /// @param  sink        Who gets the rest of what is slashed; not 0.
    struct Policy {
        uint128 bondMin;
        uint128 deposit;
        uint16 slashBps;
        uint16 rewardBps;
        uint32 challengeS;
        address sink;
    }

    /// @notice A governor bonded.
    /// @param  account  Who.
    /// @param  amount   How much, in 10^-18 ANKR.
    /// @param  shares   What it got for that.
    event Bonded(address indexed account, uint256 amount, uint256 shares);

    /// @notice A bond was paid back.
    /// @param  account  To whom.
    /// @param  amount   How much, in 10^-18 ANKR.
    event Unbonded(address indexed account, uint256 amount);

    /// @notice A part of the pool was taken for a wrong score.
    /// @param  amount  How much, in 10^-18 ANKR.
    /// @param  reward  How much of it went to the challenger.
    event Slashed(uint256 amount, uint256 reward);

    /// @notice Deployment: more than `SLASH_BPS_MAX` or `REWARD_BPS_MAX`, no time to challenge, or
    ///         nobody to get the rest.
    error BadPolicy();

    /// @notice Only who sits in the council bonds.
    error NotGovernor(address account);

    /// @notice So little is not worth a share.
    error BondTooSmall(uint256 amount);

    /// @notice The account has no bond.
    error NoBond(address account);

    /// @notice The bond stays until `untilS` (Unix seconds): so long the account sits, or what it
    ///         signed may be challenged. While it sits nobody knows, and it is a time without end.
    error StillLiable(address account, uint256 untilS);

    /// @notice Who challenges must have the deposit, and approve it.
    error DepositMissing(address account, uint256 deposit);

    /// @notice Adds to the caller's bond. Only governors may, and must approve the amount before.
    /// @param  amount  How much more, in 10^-18 ANKR.
    function bond(uint256 amount) external;

    /// @notice Pays the caller's whole bond back, once it sits no longer and the last epoch that it
    ///         may have signed can no longer be challenged.
    function unbond() external;

    /// @notice All bonds together, in 10^-18 ANKR.
    function pool() external view returns (uint128);

    /// @notice What an account's bond is worth now, in 10^-18 ANKR.
    function bondOf(address account) external view returns (uint256);

    /// @notice An account's shares of the pool.
    function sharesOf(address account) external view returns (uint256);

    /// @notice The policy's numbers, as they were given at deployment.
    function policy() external view returns (Policy memory);

    /// @notice The largest share of the pool that one wrong score may cost, in 1/10,000. Less than
    ///         all, so that shares keep a value.
    function SLASH_BPS_MAX() external view returns (uint16);

    /// @notice The largest share of it that the challenger may get, in 1/10,000. At half, a majority
    ///         of governors with equal bonds gains nothing by challenging itself.
    function REWARD_BPS_MAX() external view returns (uint16);
}
