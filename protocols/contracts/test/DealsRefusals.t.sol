// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeals} from "../src/interfaces/IDeals.sol";
import {ILedger} from "../src/interfaces/ILedger.sol";
import {IProviders, ScoreProof} from "../src/interfaces/IProviders.sol";
import {ITimelocked} from "../src/interfaces/ITimelocked.sol";
import {DealsKit} from "./lib/DealsKit.sol";

/// @dev What a deal refuses: other callers, other times, other money, and doing a thing twice. R43, R60;
///      Q27.
contract DealsRefusalsTest is DealsKit {
    function setUp() public {
        _build();
    }

    function test_earlyCompletion_isRefused() public {
        uint256 deal = _running();
        uint256 earliestS = uint256(deals.dealOf(deal).endsAt) + REVIEW_S;
        vm.warp(earliestS - 1);
        vm.expectRevert(abi.encodeWithSelector(IDeals.TooEarly.selector, deal, earliestS));
        deals.complete(deal);
        vm.prank(REQUESTER);
        deals.dispute(deal, "");
        vm.warp(earliestS);
        earliestS = earliestS - 1 + DISPUTE_S + REVIEW_S;
        vm.expectRevert(abi.encodeWithSelector(IDeals.TooEarly.selector, deal, earliestS));
        deals.complete(deal);
    }

    function test_strangers_haveNoSay() public {
        uint256 deal = _assign();
        IDeals.Assignment memory given = _assignment();
        vm.expectRevert(_notAllowed(STRANGER, MARKET));
        vm.prank(STRANGER);
        deals.assign(2, given);
        vm.expectRevert(_notAllowed(STRANGER, REQUESTER));
        vm.prank(STRANGER);
        deals.fund{value: ETH_STAKE - K_ETH}(deal);
        _fund(deal);
        vm.expectRevert(_notAllowed(STRANGER, PROVIDER));
        vm.prank(STRANGER);
        deals.start{value: K_ETH}(deal);
    }

    function test_otherEthThanDue_isRefused() public {
        uint256 deal = _assign();
        uint256 dueWei = ETH_STAKE - K_ETH;
        vm.startPrank(REQUESTER);
        vm.expectRevert(abi.encodeWithSelector(IDeals.WrongEth.selector, dueWei - 1, dueWei));
        deals.fund{value: dueWei - 1}(deal);
        vm.expectRevert(abi.encodeWithSelector(IDeals.WrongEth.selector, dueWei + 1, dueWei));
        deals.fund{value: dueWei + 1}(deal);
        (bool ok, bytes memory answer) = address(deals).call{value: 1}("");
        vm.stopPrank();
        vm.assertFalse(ok);
        vm.assertEq(answer, abi.encodeWithSelector(ILedger.UnexpectedEth.selector, REQUESTER));
    }

    function test_lateAndEarly_areRefused() public {
        uint256 deal = _assign();
        uint256 dueAt = deals.dealOf(deal).dueAt;
        vm.warp(dueAt);
        vm.expectRevert(abi.encodeWithSelector(IDeals.TooEarly.selector, deal, dueAt + 1));
        deals.abandon(deal);
        vm.warp(dueAt + 1);
        vm.expectRevert(abi.encodeWithSelector(IDeals.TooLate.selector, deal, dueAt));
        vm.prank(REQUESTER);
        deals.fund{value: ETH_STAKE - K_ETH}(deal);
    }

    function test_assignmentsThatMakeNoSense_areRefused() public {
        _assign();
        IDeals.Assignment memory given = _assignment();
        vm.startPrank(MARKET);
        vm.expectRevert(abi.encodeWithSelector(IDeals.DealExists.selector, 1));
        deals.assign(1, given);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NodeNotFree.selector, PROVIDER, node));
        deals.assign(2, given);
        given.paidWei = FP + 1;
        vm.expectRevert(abi.encodeWithSelector(IDeals.BadAssignment.selector, 2));
        deals.assign(2, given);
        (given.paidWei, given.lengthS) = (FP, 0);
        vm.expectRevert(abi.encodeWithSelector(IDeals.BadAssignment.selector, 2));
        deals.assign(2, given);
        vm.stopPrank();
    }

    /// @dev R60, Q27: once it runs, a requester has no way to its money but the deal's end.
    function test_requesterWithdrawal_isRefusedOnceTheProjectRuns() public {
        uint256 deal = _running();
        vm.startPrank(REQUESTER);
        vm.expectRevert(abi.encodeWithSelector(ILedger.NothingOwed.selector, REQUESTER));
        deals.collect();
        vm.expectRevert(_wrongState(deal, IDeals.State.Running));
        deals.abandon(deal);
        vm.expectRevert(abi.encodeWithSelector(ITimelocked.NotTimelock.selector, REQUESTER));
        deals.cancel(deal);
        vm.expectRevert(abi.encodeWithSelector(ITimelocked.NotTimelock.selector, REQUESTER));
        deals.rule(deal, IDeals.Ruling(0, true, 0));
        vm.expectRevert(
            abi.encodeWithSelector(IDeals.TooEarly.selector, deal, deals.completableAt(deal))
        );
        deals.complete(deal);
        vm.stopPrank();
    }

    /// @dev A deal that has ended pays nothing any more, whatever is tried.
    function test_doubleSettlement_isRefused() public {
        uint256 deal = _running();
        uint64 epoch = _firstEpoch(deal);
        _complete(deal);
        ScoreProof memory shown = _shown(node, epoch, 0, ACTIVE);
        bytes[7] memory calls = [
            abi.encodeCall(IDeals.complete, (deal)),
            abi.encodeCall(IDeals.fail, (deal, shown)),
            abi.encodeCall(IDeals.abandon, (deal)),
            abi.encodeCall(IDeals.compensate, (deal)),
            abi.encodeCall(IDeals.insure, (deal)),
            abi.encodeCall(IDeals.fund, (deal)),
            abi.encodeCall(IDeals.addProfit, (deal, 1))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(REQUESTER);
            (bool ok, bytes memory answer) = address(deals).call(calls[i]);
            vm.assertFalse(ok);
            vm.assertEq(answer, _wrongState(deal, IDeals.State.Completed));
        }
        vm.startPrank(TIMELOCK);
        vm.expectRevert(_wrongState(deal, IDeals.State.Completed));
        deals.cancel(deal);
        vm.expectRevert(_wrongState(deal, IDeals.State.Completed));
        deals.rule(deal, IDeals.Ruling(0, true, 0));
        vm.stopPrank();
        _isConserved();
    }

    function _wrongState(uint256 deal, IDeals.State state) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IDeals.WrongState.selector, deal, state);
    }

    function _notAllowed(address caller, address allowed) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IDeals.NotAllowed.selector, caller, allowed);
    }
}
