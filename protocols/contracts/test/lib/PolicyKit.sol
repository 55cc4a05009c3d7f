// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Policy} from "../../src/governance/Policy.sol";
import {Parameter} from "../../src/interfaces/IPolicy.sol";
import {Test} from "./Test.sol";

/// @dev A policy with the numbers of a preset.
abstract contract PolicyKit is Test {
    uint256 internal constant PARAMETERS = uint256(type(Parameter).max) + 1;

    /// @dev The policy of local networks, which `timelock` may change.
    function _policy(address timelock) internal returns (Policy) {
        uint256[] memory values = _values("minimal");
        return new Policy(timelock, values, _distribution(), 1, keccak256("params"));
    }

    /// @dev The numbers of `protocols/presets/policy-<preset>.json`, in the order of `Parameter`.
    function _values(string memory preset) internal view returns (uint256[] memory values) {
        string memory json = vm.readFile(string.concat("../presets/policy-", preset, ".json"));
        string[] memory names = vm.parseJsonKeys(json, ".parameters");
        values = new uint256[](names.length);
        for (uint256 i = 0; i < names.length; ++i) {
            values[i] = vm.parseJsonUint(json, string.concat(".parameters.", names[i]));
        }
    }

    /// @dev R54.
    function _distribution() internal pure returns (uint16[4] memory) {
        return [uint16(3_000), 4_000, 2_000, 1_000];
    }
}
