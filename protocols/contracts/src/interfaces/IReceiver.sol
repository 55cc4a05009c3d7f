// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Somebody that gets shares of deals: an insurance or a reward pool
interface IReceiver {
    /// @notice Takes what comes with the call in ETH, and `ankr` from the caller, who allowed it.
    /// @param  ankr In 10^-18 ANKR; may be 0.
    function take(uint256 ankr) external payable;
}

/// @title A receiver that pays losses
interface IInsurance is IReceiver {
    /// @notice Pays a loss as far as its ETH reaches, by a call to `to` with all the gas there is.
    ///         Reverts if `to` refuses: then nothing is paid, and nobody else waits for it. Only the
    ///         payer may that was fixed at deployment: the deals' contract.
    /// @param  to      Who gets it.
    /// @param  lossWei The loss, in wei.
    /// @return paid    What was paid, in wei: the loss or all there is.
    function cover(address to, uint256 lossWei) external returns (uint256 paid);
}
