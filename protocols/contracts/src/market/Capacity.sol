// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Resources} from "../interfaces/IPolicy.sol";

/// @title How resources add up (R44)
library Capacity {
    /// @notice Whether nothing is larger in `part` than in `whole`.
    function covers(Resources memory whole, Resources memory part) internal pure returns (bool) {
        return part.cpuMilli <= whole.cpuMilli && part.ramMb <= whole.ramMb
            && part.storageGb <= whole.storageGb && part.bandwidthMbps <= whole.bandwidthMbps;
    }

    /// @notice Returns the sum; reverts if it is too large for a number of either.
    function plus(Resources memory left, Resources memory right)
        internal
        pure
        returns (Resources memory)
    {
        return Resources({
            cpuMilli: left.cpuMilli + right.cpuMilli,
            ramMb: left.ramMb + right.ramMb,
            storageGb: left.storageGb + right.storageGb,
            bandwidthMbps: left.bandwidthMbps + right.bandwidthMbps
        });
    }

    /// @notice Returns the difference; reverts unless `left` covers `right`.
    function minus(Resources memory left, Resources memory right)
        internal
        pure
        returns (Resources memory)
    {
        return Resources({
            cpuMilli: left.cpuMilli - right.cpuMilli,
            ramMb: left.ramMb - right.ramMb,
            storageGb: left.storageGb - right.storageGb,
            bandwidthMbps: left.bandwidthMbps - right.bandwidthMbps
        });
    }

    /// @notice Returns how many nodes that need `need` fit into `whole`, rounded down: as many as
    ///         the scarcest resource allows; 2^256 - 1 if they need nothing.
    function countOf(Resources memory whole, Resources memory need)
        internal
        pure
        returns (uint256)
    {
        uint256 byWork = Math.min(
            _times(whole.cpuMilli, need.cpuMilli), _times(whole.ramMb, need.ramMb)
        );
        uint256 byRoom = Math.min(
            _times(whole.storageGb, need.storageGb), _times(whole.bandwidthMbps, need.bandwidthMbps)
        );
        return Math.min(byWork, byRoom);
    }

    function _times(uint256 whole, uint256 part) private pure returns (uint256) {
        return part == 0 ? type(uint256).max : whole / part;
    }
}
