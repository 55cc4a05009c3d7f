// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {Test} from "./Test.sol";

/// @dev Acts of a campaign that are also tried when they must be refused.
abstract contract Acts is Test {
    /// @notice How often what an act tries had to succeed, and did.
    mapping(bytes4 act => uint256) public successes;

    /// @dev The next call must be refused with this error, whatever it says; if it is 0, it must succeed.
    function _expect(bytes4 refusal) internal {
        if (refusal == 0) ++successes[msg.sig];
        else vm.expectPartialRevert(refusal);
    }
}

/// @dev A campaign is worth something only if each of its acts succeeds at times.
abstract contract ActsTest is Test {
    /// @dev Makes so many of the acts, in any order, and sees that each has succeeded.
    function _checkThatAllSucceed(Acts actors, bytes4[] memory acts, uint256 count) internal {
        for (uint256 i = 0; i < count; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            bytes4 act = acts[seed % acts.length];
            seed /= acts.length;
            // Like a call, with whatever it reverts with.
            Address.functionCall(
                address(actors), abi.encodeWithSelector(act, seed, seed / 3, seed / 5)
            );
        }
        for (uint256 i = 0; i < acts.length; ++i) {
            vm.assertTrue(actors.successes(acts[i]) > 0);
        }
    }
}
