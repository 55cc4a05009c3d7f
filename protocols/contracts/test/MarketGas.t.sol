// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IMarket} from "../src/interfaces/IMarket.sol";
import {Rule} from "../src/interfaces/IPolicy.sol";
import {ScoreProof} from "../src/interfaces/IScores.sol";
import {MarketKit} from "./lib/MarketKit.sol";

/// @dev Unbounded lists: what a call costs, as a transaction of its own, does not grow with the number of
///      bids. 34 providers fill the list of those that are kept; beyond that only counters are larger.
///
/// forge-config: default.isolate = true
/// forge-config: ci.isolate = true
contract MarketGasTest is MarketKit {
    uint256 private constant FULL = 33;

    /// @dev Where the counters of auction 1 stand: the last of its seven slots.
    bytes32 private constant COUNTERS =
        bytes32(uint256(keccak256(abi.encode(uint256(1), uint256(1)))) + 6);

    uint256[3] private sizes = [uint256(10), 1_000, 100_000];
    string[3] private names = [", 10 bids", ", 1,000 bids", ", 100,000 bids"];
    uint256[3] private gas;

    function setUp() public {
        _begin(FULL + 2);
    }

    function test_UnboundedLists_ACommitCostsTheSame() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        for (uint256 i = 0; i < 3; ++i) {
            _setCounts(sizes[i], 0);
            bytes32 commitment = market.commitmentOf(deal, _who(i + 1), i + 1, FP, _salt(i + 1));
            vm.prank(_who(i + 1));
            market.commit(deal, commitment);
            gas[i] = vm.snapshotGasLastCall(string.concat("commit", names[i]));
        }
        vm.assertEq(gas[1], gas[0]);
        vm.assertEq(gas[2], gas[0]);
    }

    /// @dev The lowest bid of all, into a list of 10 and into a full one: the dearest case.
    function test_UnboundedLists_ARevealCostsNoMore() public {
        uint256 deal = _sealed();
        for (uint256 i = 0; i < 10; ++i) {
            _reveal(deal, i, _priceOf(i));
        }
        _measureReveal(deal, 0, FULL - 1);
        for (uint256 i = 10; i < FULL - 1; ++i) {
            _reveal(deal, i, _priceOf(i));
        }
        for (uint256 i = 1; i < 3; ++i) {
            _setCounts(sizes[i], sizes[i]);
            _measureReveal(deal, i, FULL + i - 1);
        }
        vm.assertTrue(gas[1] <= gas[0] && gas[2] <= gas[0]);
    }

    function _measureReveal(uint256 deal, uint256 size, uint256 i) private {
        ScoreProof memory proof = _proofOf(i);
        uint256 priceWei = _priceOf(i);
        vm.prank(_who(i));
        market.reveal(deal, i, priceWei, _salt(i), proof);
        gas[size] = vm.snapshotGasLastCall(string.concat("reveal", names[size]));
    }

    /// @dev All 32 that are kept tie, and are in the draw.
    function test_UnboundedLists_ADrawOfAllThatAreKeptCostsTheSame() public {
        uint256 deal = _tied();
        uint256 state = vm.snapshotState();
        for (uint256 i = 1; i < 3; ++i) {
            _setCounts(sizes[i], sizes[i]);
            gas[i] = _measureDraw(deal, string.concat("draw, 32 tied", names[i]));
            vm.revertToState(state);
        }
        vm.assertEq(gas[1], gas[2]);
        vm.assertTrue(gas[1] < 900_000);
    }

    /// @dev The worst case of all: none of the 32 can serve any more.
    function test_UnboundedLists_ADrawOfNobodyWhoCanServeIsBounded() public {
        uint256 deal = _tied();
        for (uint256 i = 0; i < FULL; ++i) {
            _ban(i);
        }
        vm.assertTrue(_measureDraw(deal, "draw, none of 32 can serve") < 4_000_000);
        vm.assertEq(market.auctionOf(deal).unavailable, 32);
    }

    function _tied() private returns (uint256 deal) {
        deal = _open();
        for (uint256 i = 0; i < FULL; ++i) {
            _commit(deal, i, 60 ether);
        }
        _toReveal(deal);
        for (uint256 i = 0; i < FULL; ++i) {
            _reveal(deal, i, 60 ether);
        }
        _toDraw(deal);
    }

    function _measureDraw(uint256 deal, string memory name) private returns (uint256) {
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        market.draw(deal, signature);
        return vm.snapshotGasLastCall(name);
    }

    function test_Gas_OfATypicalAuction() public {
        ankrUsd.set(USD_PER_ANKR);
        IMarket.Request memory request = _request();
        vm.prank(RITA);
        uint256 deal = market.open(request, FP);
        vm.snapshotGasLastCall("open");
        _commit(deal, 4, 80 ether);
        _bidAll(deal, _list(60, 70, 75));
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        _toDraw(deal);
        market.draw(deal, signature);
        vm.snapshotGasLastCall("draw of 3");
        uint256 loser = deals.assignmentOf(deal).provider == _who(0) ? 1 : 0;
        vm.prank(_who(loser));
        market.reclaim(deal);
        vm.snapshotGasLastCall("reclaim");
        market.flush(deal);
        vm.snapshotGasLastCall("flush");
    }

    function test_Gas_OfARefund() public {
        uint256 deal = _open();
        _toReveal(deal);
        market.close(deal);
        vm.snapshotGasLastCall("close");
        vm.prank(RITA);
        market.collect();
        vm.snapshotGasLastCall("collect");
    }

    function test_Gas_OfAChoice() public {
        _setType(Rule.RequesterChoice, 3);
        uint256 deal = _open();
        _bidAll(deal, _list(60, 70, 75));
        _toChoice(deal);
        vm.prank(RITA);
        market.choose(deal, _who(1));
        vm.snapshotGasLastCall("choose");
    }

    function _sealed() private returns (uint256 deal) {
        deal = _open();
        for (uint256 i = 0; i < FULL + 2; ++i) {
            _commit(deal, i, _priceOf(i));
        }
        _toReveal(deal);
    }

    /// @dev Each bids less than all before it.
    function _priceOf(uint256 i) private pure returns (uint256) {
        return FP - i * 1 ether;
    }

    /// @dev After `failuresMax`, which stays, come the counts of sealed and of opened bids.
    function _setCounts(uint256 committed, uint256 revealed) private {
        vm.store(address(market), COUNTERS, bytes32(2 | (committed << 32) | (revealed << 64)));
        vm.assertEq(market.auctionOf(1).committed, committed);
        vm.assertEq(market.auctionOf(1).revealed, revealed);
        vm.assertEq(market.auctionOf(1).failuresMax, 2);
    }
}
