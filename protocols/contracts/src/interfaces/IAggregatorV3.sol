// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What we need of a Chainlink price feed (its `AggregatorV3Interface`)
interface IAggregatorV3 {
    /// @notice How many decimals `answer` has.
    function decimals() external view returns (uint8);

    /// @notice The latest round.
    /// @return roundId         Grows with each round.
    /// @return answer          The price, in 10^-decimals of the quote currency.
    /// @return startedAt       When the round began, in Unix seconds.
    /// @return updatedAt       When it was answered, in Unix seconds; 0 while it is not.
    /// @return answeredInRound The round the answer is from.
    function latestRoundData()
        external
        view
        returns (
            uint80 roundId,
            int256 answer,
            uint256 startedAt,
            uint256 updatedAt,
            uint80 answeredInRound
        );
}
