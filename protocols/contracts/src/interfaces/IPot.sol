// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IInsurance} from "./IReceiver.sol";
import {ITimelocked} from "./ITimelocked.sol";

/// @title  A pot that shares of deals go into (R52, R53)
/// @notice It keeps ANKR and ETH together, whoever brought them. As an insurance it pays losses in
///         ETH to whom its one payer names; what else leaves it, governors decide.
interface IPot is IInsurance, ITimelocked {
    /// @notice Something came in.
    /// @param  ankr   In 10^-18 ANKR.
    /// @param  ethWei In wei.
    event Taken(address indexed source, uint256 ankr, uint256 ethWei);

    /// @notice A loss was paid, in wei; what is missing to `lossWei` was not there.
    event Covered(address indexed to, uint256 lossWei, uint256 paidWei);

    /// @notice Governors sent something somewhere.
    event Released(address indexed to, uint256 ankr, uint256 ethWei);

    /// @notice Only the payer may have losses paid.
    error NotPayer(address caller);

    /// @notice Who may have losses paid; the zero address if nobody.
    function PAYER() external view returns (address);

    /// @notice What came from `source` by `take` or as plain ETH, ever: in 10^-18 ANKR and in wei.
    ///         ANKR sent to the pot without a call is in its balance only.
    function broughtBy(address source) external view returns (uint256 ankr, uint256 ethWei);

    /// @notice Sends `ankr` and `ethWei` to `to`. Only the timelock may.
    /// @param  ankr   In 10^-18 ANKR.
    /// @param  ethWei In wei.
    function release(uint256 ankr, uint256 ethWei, address to) external;
}
