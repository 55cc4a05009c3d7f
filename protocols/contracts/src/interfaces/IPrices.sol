// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAggregatorV3} from "./IAggregatorV3.sol";
import {ITimelocked} from "./ITimelocked.sol";

/// @title  Prices of ANKR and ETH, refused rather than guessed (Q10, R30)
/// @notice Two feeds of USD. Each has a reference, the last price that was accepted. A price further
///         from its reference than `PriceMoveBpsMax` is a suspect: it counts for nothing until it
///         has lasted `PriceConfirmS`. So one spike moves nothing, and a market that really moved is
///         followed. While a price is refused, what needs it waits.
interface IPrices is ITimelocked {
    /// @notice Which of the two.
    enum Asset {
        Ankr,
        Eth
    }

    /// @notice Where a price comes from.
    /// @param  feed The feed of USD, of at most 18 decimals.
    /// @param  base What it is worth about now, in 10^-18 USD: the first reference. It is stated, not
    ///              read, so that nobody can pick the moment it is taken at.
    struct Source {
        IAggregatorV3 feed;
        uint256 base;
    }

    /// @notice The feeds were replaced, and the references with them; all zero before deployment.
    event FeedsSet(Source ankrUsdBefore, Source ethUsdBefore, Source ankrUsd, Source ethUsd);

    /// @notice A reference moved; in 10^-18 USD.
    event BaseMoved(Asset indexed asset, uint256 before, uint256 base);

    /// @notice A price too far from its reference was seen; it counts if it lasts.
    event PriceSuspected(Asset indexed asset, uint256 price, uint256 base);

    /// @notice A feed has more than 18 decimals.
    error BadDecimals(address feed, uint8 decimals);

    /// @notice The price is older than allowed; times in Unix seconds.
    error StalePrice(address feed, uint256 updatedAt, uint256 ageSMax);

    /// @notice The price is from the future.
    error FuturePrice(address feed, uint256 updatedAt);

    /// @notice The feed's latest round has no answer of its own yet.
    error UnfinishedRound(address feed, uint256 roundId, uint256 answeredInRound);

    /// @notice The price is zero, negative, or beyond all sense (`PRICE_MIN`, `PRICE_MAX`).
    error BadPrice(address feed, int256 answer);

    /// @notice The reference lies beyond all sense; in 10^-18 USD.
    error BadBase(address feed, uint256 base);

    /// @notice The price moved further from the reference than allowed without being confirmed.
    error PriceMoved(address feed, uint256 price, uint256 base);

    /// @notice The smallest price that may be true: 10^-9 USD; in 10^-18 USD.
    function PRICE_MIN() external view returns (uint256);

    /// @notice The largest price that may be true: 10^9 USD; in 10^-18 USD.
    function PRICE_MAX() external view returns (uint256);

    /// @notice What an amount of USD costs in ANKR, rounded up.
    /// @param  usd In 10^-18 USD.
    /// @return In 10^-18 ANKR.
    function ankrOfUsd(uint256 usd) external view returns (uint256);

    /// @notice ANKR wei for one ETH, rounded down; more than 0.
    function ankrPerEth() external view returns (uint256);

    /// @notice Where a price comes from, and its reference now.
    function sourceOf(Asset asset) external view returns (Source memory);

    /// @notice A price that waits for confirmation.
    /// @return price     In 10^-18 USD; 0 if there is none.
    /// @return suspectAt When it was first seen, in Unix seconds; 0 if there is none.
    function suspectOf(Asset asset) external view returns (uint256 price, uint256 suspectAt);

    /// @notice Looks at both feeds and moves the references as far as the rules let it. A price within
    ///         `PriceMoveBpsMax` becomes the reference at once, though only once in `PriceConfirmS`;
    ///         one further away if an earlier call saw about the same price `PriceConfirmS` ago or
    ///         longer, but not so long ago that the sighting is stale itself.
    /// @dev    A feed that is refused refuses the whole call. Governors replace it.
    function poke() external;

    /// @notice Replaces both feeds and their references. Only the timelock may.
    function setFeeds(Source calldata ankrUsd, Source calldata ethUsd) external;
}
