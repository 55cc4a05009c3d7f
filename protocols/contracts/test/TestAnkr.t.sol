// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestAnkr} from "../src/TestAnkr.sol";
import {Test} from "./lib/Test.sol";

contract TestAnkrTest is Test {
    function testFuzz_constructor_givesTheDeployerTheSupply(uint256 supply) public {
        TestAnkr ankr = new TestAnkr(supply);
        vm.assertEq(ankr.balanceOf(address(this)), supply);
        vm.assertEq(ankr.totalSupply(), supply);
    }

    function testFuzz_mint_givesAnyoneUpToTheMaximum(address to, uint256 amount) public {
        vm.assume(to != address(0));
        TestAnkr ankr = new TestAnkr(0);
        amount = bound(amount, 0, ankr.FAUCET_MAX());
        ankr.mint(to, amount);
        vm.assertEq(ankr.balanceOf(to), amount);
    }

    function test_mint_RevertWhen_ItIsTooMuch() public {
        TestAnkr ankr = new TestAnkr(0);
        uint256 most = ankr.FAUCET_MAX();
        vm.expectRevert(abi.encodeWithSelector(TestAnkr.FaucetExceeded.selector, most + 1, most));
        ankr.mint(address(this), most + 1);
    }
}
