// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";

/// @title  A stand-in for a price feed on development networks
/// @notice Anyone sets its price. Never use it where prices mean something.
contract TestFeed is IAggregatorV3 {
    /// @inheritdoc IAggregatorV3
    uint8 public immutable decimals;

    uint80 private _roundId;
    uint64 private _updatedAt;
    int256 private _answer;

    /// @notice A round was answered.
    event Answered(uint80 indexed roundId, int256 answer);

    /// @param decimals_ How many decimals `answer` has.
    /// @param answer    The first price, in 10^-decimals USD.
    constructor(uint8 decimals_, int256 answer) {
        decimals = decimals_;
        set(answer);
    }

    /// @notice Answers the next round now. Open to everyone.
    /// @param  answer The price, in 10^-decimals USD.
    function set(int256 answer) public {
        ++_roundId;
        _updatedAt = uint64(block.timestamp);
        _answer = answer;
        emit Answered(_roundId, answer);
    }

    /// @inheritdoc IAggregatorV3
    function latestRoundData()
        external
        view
        returns (
            uint80 roundId,
            int256 answer,
            uint256 startedAt,
            uint256 updatedAt,
            uint80 answeredInRound
        )
    {
        return (_roundId, _answer, _updatedAt, _updatedAt, _roundId);
    }
}
