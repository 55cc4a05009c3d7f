// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Resources} from "./IPolicy.sol";

/// @title Deals from the draw to the last payment (R43, R51, R55, R58-R62)
interface IDeals {
    /// @notice What an auction came to.
    /// @param  requester         Who asked and paid `fpWei`.
    /// @param  provider          Who was drawn or chosen.
    /// @param  registration      The provider's node that serves.
    /// @param  projectType       The policy's type of project.
    /// @param  lengthS           How long it runs, in seconds.
    /// @param  need              What it needs.
    /// @param  fpWei             The fixed price, in 10^-18 ANKR.
    /// @param  paidWei           What the provider is paid, in 10^-18 ANKR; at most `fpWei`.
    /// @param  bondWei           The provider's bond for its bid, in 10^-18 ANKR.
    /// @param  ethStakeWei       What both stake together, in wei.
    /// @param  expectedProfitWei What the project is expected to bring, in wei.
    struct Assignment {
        address requester;
        address provider;
        uint256 registration;
        uint16 projectType;
        uint32 lengthS;
        Resources need;
        uint256 fpWei;
        uint256 paidWei;
        uint256 bondWei;
        uint256 ethStakeWei;
        uint256 expectedProfitWei;
    }

    /// @notice Begins a deal. Only the market may; it has sent `fpWei + bondWei` just before.
    function assign(uint256 deal, Assignment calldata given) external;
}
