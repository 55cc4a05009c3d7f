// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title How a deal's money is split, and who pays for a loss
/// @notice The same as in `stkrp2p/core/economics.py`, to the last rounding. Pure: what is paid when
///         is another matter. ETH is in wei, ANKR in 10^-18 ANKR, a price in ANKR wei for one ETH.
library Money {
    uint256 internal constant BPS = 10_000;
    uint256 internal constant ONE_ETH = 1 ether;

    /// @notice What there is, and what it is split by.
    /// @param  ankrWei       Fixed price and profit in ANKR.
    /// @param  ethWei        Profit in ETH.
    /// @param  paidWei       What the provider is paid, in ANKR.
    /// @param  rewardBps     The reward pot's share, in 1/10,000.
    /// @param  insuranceBps  The insurance pot's share, in 1/10,000; with the other at most 10,000.
    struct Sum {
        uint256 ankrWei;
        uint256 ethWei;
        uint256 paidWei;
        uint256 rewardBps;
        uint256 insuranceBps;
    }

    /// @notice Who gets what. Provider, pots and requester together get exactly what there is.
    struct Shares {
        uint256 providerAnkrWei;
        uint256 rewardAnkrWei;
        uint256 insuranceAnkrWei;
        uint256 requesterAnkrWei;
        uint256 rewardEthWei;
        uint256 insuranceEthWei;
        uint256 requesterEthWei;
    }

    /// @notice Splits a deal's money (R55, Q11).
    /// @dev    First the provider is paid, then the pots get their shares of all ANKR, as far as it
    ///         reaches; each gets its share of the ETH, and what it lacks in ANKR out of the rest of
    ///         the ETH, as far as that reaches. All that is left is the requester's, also what
    ///         rounding leaves.
    /// @param  ankrPerEthWei  The price; not looked at unless `needsPrice`.
    function split(Sum memory sum, uint256 ankrPerEthWei) internal pure returns (Shares memory to) {
        (uint256 rewardDue, uint256 insuranceDue) = _dues(sum.ankrWei, sum);
        to.providerAnkrWei = Math.min(sum.paidWei, sum.ankrWei);
        uint256 ankrLeft = sum.ankrWei - to.providerAnkrWei;
        (to.rewardAnkrWei, to.insuranceAnkrWei) = shared(ankrLeft, rewardDue, insuranceDue);
        to.requesterAnkrWei = ankrLeft - to.rewardAnkrWei - to.insuranceAnkrWei;

        (to.rewardEthWei, to.insuranceEthWei) = _dues(sum.ethWei, sum);
        uint256 ethLeft = sum.ethWei - to.rewardEthWei - to.insuranceEthWei;
        if (needsPrice(sum)) {
            (uint256 rewardMore, uint256 insuranceMore) = shared(
                ethLeft,
                _ethOf(rewardDue - to.rewardAnkrWei, ankrPerEthWei),
                _ethOf(insuranceDue - to.insuranceAnkrWei, ankrPerEthWei)
            );
            to.rewardEthWei += rewardMore;
            to.insuranceEthWei += insuranceMore;
            ethLeft -= rewardMore + insuranceMore;
        }
        to.requesterEthWei = ethLeft;
    }

    /// @notice Whether the ANKR does not suffice for the pots, and there is ETH to make up for it.
    function needsPrice(Sum memory sum) internal pure returns (bool) {
        (uint256 rewardDue, uint256 insuranceDue) = _dues(sum.ankrWei, sum);
        uint256 ankrLeft = sum.ankrWei - Math.min(sum.paidWei, sum.ankrWei);
        return sum.ethWei > 0 && ankrLeft < rewardDue + insuranceDue;
    }

    /// @notice What two pots get out of an amount: their dues, or if it is too little their parts of
    ///         it, the reward pot's rounded down. Neither ever gets more than its due.
    function shared(uint256 amount, uint256 rewardDue, uint256 insuranceDue)
        internal
        pure
        returns (uint256 reward, uint256 insurance)
    {
        uint256 dues = rewardDue + insuranceDue;
        if (amount >= dues) return (rewardDue, insuranceDue);
        reward = Math.mulDiv(amount, rewardDue, dues);
        insurance = amount - reward;
    }

    /// @notice What a requester loses of its expected profit, in wei, rounded down (Q12).
    /// @param  unservedS  How long it is not served; at most `lengthS`.
    /// @param  lengthS    How long the project should run; more than 0.
    function lossOf(uint256 expectedProfitWei, uint256 unservedS, uint256 lengthS)
        internal
        pure
        returns (uint256)
    {
        return Math.mulDiv(expectedProfitWei, unservedS, lengthS);
    }

    /// @notice The ANKR that a loss is worth, rounded up: the provider pays the fraction.
    function ankrFor(uint256 lossWei, uint256 ankrPerEthWei) internal pure returns (uint256) {
        return Math.mulDiv(lossWei, ankrPerEthWei, ONE_ETH, Math.Rounding.Ceil);
    }

    /// @notice What of a loss some ANKR covers, in wei: all of it, if it is as much as `ankrFor` says;
    ///         else what it is worth, rounded down.
    function covered(uint256 lossWei, uint256 ankrWei, uint256 ankrPerEthWei)
        internal
        pure
        returns (uint256)
    {
        bool isWhole = ankrWei >= ankrFor(lossWei, ankrPerEthWei);
        return isWhole ? lossWei : _ethOf(ankrWei, ankrPerEthWei);
    }

    /// @dev What some ANKR is worth, in wei, rounded down.
    function _ethOf(uint256 ankrWei, uint256 ankrPerEthWei) private pure returns (uint256) {
        return Math.mulDiv(ankrWei, ONE_ETH, ankrPerEthWei);
    }

    /// @dev The pots' shares of an amount, both rounded down.
    function _dues(uint256 amount, Sum memory sum) private pure returns (uint256, uint256) {
        return (Math.mulDiv(amount, sum.rewardBps, BPS), Math.mulDiv(amount, sum.insuranceBps, BPS));
    }
}
