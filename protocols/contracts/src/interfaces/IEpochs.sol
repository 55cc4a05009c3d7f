// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title  When a network's epochs are
/// @notice Epoch e runs from `GENESIS_MS + e * EPOCH_MS` until the next one starts.
interface IEpochs {
    /// @notice An epoch must last longer than no time.
    error ZeroEpochLength();

    /// @notice When epoch 0 starts: Unix time in milliseconds.
    function GENESIS_MS() external view returns (uint64);

    /// @notice How long an epoch lasts, in milliseconds.
    function EPOCH_MS() external view returns (uint64);

    /// @notice The epoch that a block of this time falls in; 0 also for all time before epoch 0.
    /// @param  timestamp  Unix time in seconds, as blocks have it.
    function epochAt(uint256 timestamp) external view returns (uint64);
}
