// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DealMakers} from "./lib/DealMakers.sol";
import {Test} from "./lib/Test.sol";

/// @dev R55, R59, R60; Q11, Q12, Q27. What `DealMakers` do must work, so a revert is a fault too. One
///      campaign for all: each of these lines costs a whole one otherwise.
///
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract DealsInvariantTest is Test {
    DealMakers private makers;

    function setUp() public {
        makers = new DealMakers();
        targetContract(address(makers));
    }

    /// @dev The campaign is worth something only if deals go all ways in it.
    function test_dealMakers_bringDealsToEveryEnd() public {
        bytes4[16] memory calls = [
            DealMakers.assign.selector,
            DealMakers.fund.selector,
            DealMakers.start.selector,
            DealMakers.addProfit.selector,
            DealMakers.complete.selector,
            DealMakers.fail.selector,
            DealMakers.compensate.selector,
            DealMakers.insure.selector,
            DealMakers.dispute.selector,
            DealMakers.rule.selector,
            DealMakers.cancel.selector,
            DealMakers.collect.selector,
            DealMakers.tryAgain.selector,
            DealMakers.govern.selector,
            DealMakers.wait.selector,
            DealMakers.restake.selector
        ];
        for (uint256 i = 0; i < 400; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            (bool ok,) = address(makers)
                .call(
                    abi.encodeWithSelector(
                        calls[seed % 16], seed / 16, seed / 3, seed / 5, seed / 7
                    )
                );
            vm.assertTrue(ok);
        }
        uint256[8] memory counts = makers.countByState();
        for (uint256 state = 4; state < 8; ++state) {
            vm.assertTrue(counts[state] > 0);
        }
        vm.assertTrue(makers.insuredWei() > 0);
        makers.checkHeld();
    }

    function invariant_dealsHoldWhatTheyOweAndNobodyGetsMore() public view {
        makers.checkHeld();
        makers.checkFlows();
        makers.checkProviders();
        makers.checkInsurance();
    }
}
