// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";

/// @title  How a provider is drawn among the lowest bids (R50, Q2, Q16)
/// @notice Pure, so that anyone can compute a draw again: bids in market order, that is by price and,
///         where prices are equal, by who revealed first.
/// @dev    Stake enters linearly up to a cap, so stake that is split over many names weighs what it
///         weighed before; reliability alone cannot be bought.
library Draw {
    bytes32 private constant TAG_BID = "stkr/market-bid/1";
    bytes32 private constant TAG_DRAW = "stkr/market-draw/1";

    uint256 private constant ONE_PPM = 1_000_000;

    /// @dev Bounds of the price term: however the median is moved, a bid gains or loses at most 2x.
    uint256 private constant RATIO_PPM_MIN = 500_000;
    uint256 private constant RATIO_PPM_MAX = 2_000_000;

    /// @notice What a sealed bid is the hash of. Names the bidder, so that a copy opens for nobody,
    ///         and chain, market and deal, so that it opens nowhere else.
    /// @param  priceWei In 10^-18 ANKR.
    function commitmentOf(
        uint256 deal,
        address provider,
        uint256 registration,
        uint256 priceWei,
        bytes32 salt
    ) internal view returns (bytes32) {
        return keccak256(
            abi.encode(
                TAG_BID, block.chainid, address(this), deal, provider, registration, priceWei, salt
            )
        );
    }

    /// @notice The random word of a deal's first draw.
    /// @param  randomness Of the deal's beacon round.
    function seedOf(uint256 deal, bytes32 randomness) internal view returns (bytes32) {
        return keccak256(abi.encode(TAG_DRAW, block.chainid, address(this), deal, randomness));
    }

    /// @notice The random word of the draw after one whose winner could not serve.
    function seedAfter(bytes32 seed) internal pure returns (bytes32) {
        return keccak256(abi.encode(seed));
    }

    /// @notice Selection weights: min(stake, cap) x reliability x clamp(median price / price).
    /// @dev    In 10^-18 ANKR x ppm x ppm. The median is the lower one; the quotient is rounded down
    ///         and counts as the upper bound for a price of 0. If all weights are 0, each is 1.
    /// @param  prices         In market order, in 10^-18 ANKR.
    /// @param  stakes         In 10^-18 ANKR.
    /// @param  reliabilities  In ppm.
    /// @param  stakeWeiMax    Up to where stake counts.
    function weightsOf(
        uint256[] memory prices,
        uint256[] memory stakes,
        uint256[] memory reliabilities,
        uint256 stakeWeiMax
    ) internal pure returns (uint256[] memory weights) {
        uint256 count = prices.length;
        weights = new uint256[](count);
        if (count == 0) return weights;
        uint256 median = prices[(count - 1) / 2];
        uint256 sum = 0;
        for (uint256 i = 0; i < count; ++i) {
            weights[i] =
                Math.min(stakes[i], stakeWeiMax) * reliabilities[i] * _ratioPpm(median, prices[i]);
            sum += weights[i];
        }
        if (sum == 0) _even(weights);
    }

    /// @notice Draws one of `weights`: the first whose running sum exceeds `seed` modulo the sum.
    /// @param  weights Not all 0.
    function pick(uint256[] memory weights, bytes32 seed) internal pure returns (uint256 index) {
        uint256 sum = 0;
        for (uint256 i = 0; i < weights.length; ++i) {
            sum += weights[i];
        }
        uint256 left = uint256(seed) % sum;
        while (left >= weights[index]) {
            left -= weights[index];
            ++index;
        }
    }

    function _ratioPpm(uint256 median, uint256 price) private pure returns (uint256) {
        if (price == 0) return RATIO_PPM_MAX;
        uint256 ratioPpm = median * ONE_PPM / price;
        return Math.min(Math.max(ratioPpm, RATIO_PPM_MIN), RATIO_PPM_MAX);
    }

    function _even(uint256[] memory weights) private pure {
        for (uint256 i = 0; i < weights.length; ++i) {
            weights[i] = 1;
        }
    }
}
