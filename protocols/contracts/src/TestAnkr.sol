// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title  A stand-in for ANKR on development networks
/// @notice Worth nothing: anyone mints what they need, `FAUCET_MAX` at a time. Never use it where
///         stakes mean something.
contract TestAnkr is ERC20 {
    /// @notice The most one call of `mint` gives, in the token's smallest unit (10^-18).
    uint256 public constant FAUCET_MAX = 1_000_000 ether;

    /// @notice More than `FAUCET_MAX` was asked for at once.
    error FaucetExceeded(uint256 amount, uint256 amountMax);

    /// @param supply What the deployer starts with, in the token's smallest unit.
    constructor(uint256 supply) ERC20("Test ANKR", "tANKR") {
        _mint(msg.sender, supply);
    }

    /// @notice Gives `amount` new tokens to `to`. Open to everyone.
    function mint(address to, uint256 amount) external {
        if (amount > FAUCET_MAX) revert FaucetExceeded(amount, FAUCET_MAX);
        _mint(to, amount);
    }
}
