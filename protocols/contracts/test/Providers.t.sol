// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ProviderKit} from "./lib/ProviderKit.sol";

contract ProvidersTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    function setUp() public {
        _deploy(DEALS);
    }

    function test_isEligible_onceApprovedAndStaked() public {
        _provider(ALICE, "Alice", 0);
        uint256 node = _node(ALICE, "node");
        vm.assertTrue(providers.isEligible(ALICE, _need(), 0));
        vm.assertTrue(providers.isFree(ALICE, node));
    }
}
