// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IEpochs} from "./interfaces/IEpochs.sol";

/// @title When a network's epochs are
abstract contract Epochs is IEpochs {
    /// @inheritdoc IEpochs
    uint64 public immutable GENESIS_MS;

    /// @inheritdoc IEpochs
    uint64 public immutable EPOCH_MS;

    /// @param genesisMs When epoch 0 starts: Unix time in milliseconds.
    /// @param epochMs   How long an epoch lasts, in milliseconds; more than 0.
    constructor(uint64 genesisMs, uint64 epochMs) {
        if (epochMs == 0) revert ZeroEpochLength();
        GENESIS_MS = genesisMs;
        EPOCH_MS = epochMs;
    }

    /// @inheritdoc IEpochs
    function epochAt(uint256 timestamp) public view returns (uint64) {
        if (!_hasStarted(timestamp)) return 0;
        return SafeCast.toUint64((timestamp * 1000 - GENESIS_MS) / EPOCH_MS);
    }

    /// @dev Whether epoch 0 has started. `timestamp` is in seconds.
    function _hasStarted(uint256 timestamp) internal view returns (bool) {
        return timestamp * 1000 >= GENESIS_MS;
    }

    /// @dev When an epoch starts: Unix time in milliseconds. Wide, so that no sum overflows.
    function _startMs(uint256 epoch) internal view returns (uint256) {
        return GENESIS_MS + epoch * EPOCH_MS;
    }
}
