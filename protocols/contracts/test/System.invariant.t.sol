// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Address} from "@openzeppelin/contracts/utils/Address.sol";
import {SystemActors} from "./lib/SystemActors.sol";
import {SystemTraders} from "./lib/SystemTraders.sol";
import {Test} from "./lib/Test.sol";

/// @dev R13, R16, R43, R55, R59, R61, R62; Q11, Q12, Q27. All of rule and market at once, everybody in
///      any order. What they do must work, so a revert is a fault too. One campaign for all: each of its
///      lines would cost a whole one otherwise.
///
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract SystemInvariantTest is Test {
    SystemActors private actors;

    function setUp() public {
        actors = new SystemActors();
        targetContract(address(actors));
    }

    /// @dev The campaign is worth something only if deals go all ways in it, and governors all theirs.
    function test_actors_bringDealsToEveryEndAndCouncilsToTheirs() public {
        for (uint256 i = 0; i < 500; ++i) {
            uint256 seed = uint256(keccak256(abi.encode(i)));
            bytes4 selector = _selectorOf(seed % 28);
            bytes memory data = abi.encodeWithSelector(selector, seed / 28, seed / 3, seed / 5);
            // Like a call, with whatever it reverts with.
            Address.functionCall(address(actors), data);
        }
        uint256[8] memory counts = actors.countByState();
        for (uint256 state = 4; state < 8; ++state) {
            vm.assertTrue(counts[state] > 0);
        }
        vm.assertTrue(actors.rulings() > 0 && actors.cancels() > 0 && actors.elections() > 1);
        (uint256 ankrWei, uint256 ethWei, uint256 slashedWei) = actors.potOf();
        vm.assertTrue(ankrWei > 0 && ethWei != 3 ether && slashedWei > 0);
        invariant_moneyIsConservedAndEverybodyStaysInBounds();
    }

    function invariant_moneyIsConservedAndEverybodyStaysInBounds() public view {
        actors.checkWorld();
        actors.checkDeals();
        actors.checkMarket();
        actors.checkProviders();
        actors.checkCouncil();
        actors.checkPots();
        actors.checkPolicy();
    }

    /// @dev One act of six is a trade, or there would be hardly anything to end.
    function _selectorOf(uint256 which) private pure returns (bytes4) {
        bytes4[23] memory all = [
            SystemTraders.go.selector,
            SystemTraders.addProfit.selector,
            SystemTraders.complete.selector,
            SystemTraders.fail.selector,
            SystemTraders.failSilent.selector,
            SystemTraders.answer.selector,
            SystemTraders.compensate.selector,
            SystemTraders.insure.selector,
            SystemTraders.collect.selector,
            SystemTraders.fetch.selector,
            SystemTraders.restake.selector,
            SystemTraders.collectBonds.selector,
            SystemTraders.movePrices.selector,
            SystemActors.dispute.selector,
            SystemActors.cancel.selector,
            SystemActors.govern.selector,
            SystemActors.setTier.selector,
            SystemActors.elect.selector,
            SystemActors.restakeInCouncil.selector,
            SystemActors.handOn.selector,
            SystemActors.wait.selector,
            SystemActors.tryAgain.selector,
            SystemActors.trespass.selector
        ];
        return which < all.length ? all[which] : SystemTraders.trade.selector;
    }
}
