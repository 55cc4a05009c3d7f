// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Prices of ANKR and ETH, refused rather than guessed (Q10, R30)
interface IPrices {
    /// @notice The price is older than allowed, not of a finished round, or from the future.
    error StalePrice(address feed, uint256 updatedAt, uint256 ageSMax);

    /// @notice The price is zero or below.
    error BadPrice(address feed, int256 answer);

    /// @notice The price moved further from the reference than allowed without being confirmed.
    error PriceMoved(address feed, uint256 price, uint256 base);

    /// @notice What an amount of USD costs in ANKR, rounded up.
    /// @param  usd In 10^-18 USD.
    /// @return In 10^-18 ANKR.
    function ankrOfUsd(uint256 usd) external view returns (uint256);

    /// @notice ANKR wei for one ETH, rounded down; more than 0.
    function ankrPerEth() external view returns (uint256);

    /// @notice Looks at both feeds and moves the references as far as the rules let it.
    function poke() external;
}
