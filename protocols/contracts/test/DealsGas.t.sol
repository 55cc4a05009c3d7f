// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {ScoreProof} from "../src/interfaces/IProviders.sol";
import {DealsKit} from "./lib/DealsKit.sol";

/// @dev What calls cost, each as a transaction of its own, and that none costs more the more deals and
///      requesters there are.
///
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract DealsGasTest is DealsKit {
    /// @dev Where the list of requesters keeps its length.
    bytes32 private constant LIST_SLOT = bytes32(uint256(5));

    function setUp() public {
        _build();
    }

    function test_gas_ofADealThatIsCompleted() public {
        uint256 deal = _assign();
        vm.snapshotGasLastCall("assign");
        _fund(deal);
        vm.snapshotGasLastCall("fund");
        _start(deal);
        vm.snapshotGasLastCall("start");
        _addProfit(deal, 300 ether, 1 ether);
        vm.snapshotGasLastCall("addProfit");
        vm.prank(REQUESTER);
        deals.dispute(deal, "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi");
        vm.snapshotGasLastCall("dispute");
        uint64 disputedAt = deals.dealOf(deal).disputedAt;
        vm.prank(TIMELOCK);
        deals.rule(deal, IDeals.Ruling(disputedAt, false, 0));
        vm.snapshotGasLastCall("rule: goes on");
        _complete(deal);
        vm.snapshotGasLastCall("complete");
        vm.prank(REQUESTER);
        deals.collect();
        vm.snapshotGasLastCall("collect");
        deals.flush(address(insurance));
        vm.snapshotGasLastCall("flush");
    }

    function test_gas_ofACompletionAtAPrice() public {
        IDeals.Assignment memory given = _assignment();
        given.paidWei = FP;
        uint256 deal = _running(given);
        _addProfit(deal, 0, 1 ether);
        _complete(deal);
        vm.snapshotGasLastCall("complete: at a price");
    }

    function test_gas_ofAFailure() public {
        uint256 deal = _trusted();
        ethFeed.set(0);
        uint64 epoch = _firstEpoch(deal);
        vm.warp(_startOf(epoch + 1));
        ScoreProof memory shown = _shown(node, epoch, 0, ACTIVE);
        deals.fail(deal, shown);
        vm.snapshotGasLastCall("fail: without a price");
        _refreshPrices();
        deals.compensate(deal);
        vm.snapshotGasLastCall("compensate");
        deals.insure(deal);
        vm.snapshotGasLastCall("insure");
    }

    function test_gas_ofADealThatNeverRan() public {
        uint256 deal = _funded();
        vm.warp(uint256(deals.dealOf(deal).dueAt) + 1);
        deals.abandon(deal);
        vm.snapshotGasLastCall("abandon");
    }

    /// @dev With 10, 1,000 and 100,000 requesters before, each call takes the same gas.
    function test_gas_isFlatHoweverManyRequestersThereAre() public {
        uint256[3] memory counts = [uint256(10), 1_000, 100_000];
        uint256[3] memory used;
        _complete(_running());
        for (uint256 i = 0; i < 3; ++i) {
            vm.store(address(deals), LIST_SLOT, bytes32(counts[i]));
            vm.assertEq(deals.requesterCount(), counts[i]);
            IDeals.Assignment memory given = _assignment();
            given.requester = address(SafeCast.toUint160(0xabc000 + i));
            vm.deal(given.requester, 100 ether);
            uint256 before = gasleft();
            _complete(_running(given));
            used[i] = before - gasleft();
            vm.assertEq(deals.requesters(counts[i], 1)[0], given.requester);
        }
        // Times and numbers differ, so the bytes of calls that are 0 do, each worth 12 gas.
        vm.assertTrue(used[1] < used[0] + 1_000 && used[2] < used[0] + 1_000);
    }
}
