// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a contract has that the timelock, and nobody else, may change
interface ITimelocked {
    /// @notice Only the timelock may, after its delay.
    error NotTimelock(address caller);

    /// @notice There is no timelock at the zero address.
    error NoTimelock();

    /// @notice Who may change what governors decide.
    function TIMELOCK() external view returns (address);
}
