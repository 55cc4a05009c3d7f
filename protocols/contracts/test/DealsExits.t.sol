// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDeals} from "../src/interfaces/IDeals.sol";
import {IPrices} from "../src/interfaces/IPrices.sol";
import {TestFeed} from "../src/market/TestFeed.sol";
import {DealsKit} from "./lib/DealsKit.sol";

/// @dev Every state of a deal, and for everybody's money a way out of it that nobody can bar.
contract DealsExitsTest is DealsKit {
    /// @dev How a deal may go, from each state on.
    enum Way {
        RequesterNeverFunds,
        ProviderNeverStarts,
        Completes,
        CompletesAtAPrice,
        FailsByScore,
        FailsBySilence,
        DisputeIsForgotten,
        DisputesFollowEachOther,
        RuledToGoOn,
        RuledToHaveFailed,
        Cancelled,
        FailsWithoutAPrice,
        FailsWithADeadFeed,
        FailsWithAnEmptyInsurance
    }

    function setUp() public {
        _build();
    }

    /// @dev R43, R51, R59, R60, R62, Q11, Q12, Q27: on each way out all ANKR and ETH leave the contract,
    ///      the node is free, and the provider gets what is left of its stake.
    function test_everyStateOfADeal_hasAWayOutForEverybodysMoney() public {
        for (uint256 way = 0; way <= uint256(type(Way).max); ++way) {
            IDeals.State end = _goes(Way(way));
            _isState(dealCount, end);
            _isConserved();
            _isPaidOut();
            vm.assertTrue(providers.isFree(PROVIDER, node));
            vm.assertEq(providers.providerOf(PROVIDER).locks, 0);
        }
        vm.prank(PROVIDER);
        providers.resign();
        vm.warp(block.timestamp + 1 days);
        vm.prank(PROVIDER);
        providers.withdraw();
        vm.assertEq(providers.providerOf(PROVIDER).unbonding, 0);
    }

    function _goes(Way way) private returns (IDeals.State) {
        _refreshPrices();
        if (way <= Way.ProviderNeverStarts) return _abandoned(way);
        if (way <= Way.CompletesAtAPrice) return _completed(way);
        if (way <= Way.FailsBySilence) return _failed(way);
        if (way <= Way.RuledToHaveFailed) return _disputed(way);
        if (way == Way.Cancelled) return _cancelled();
        return _failedWithoutCollateral(way);
    }

    function _abandoned(Way way) private returns (IDeals.State) {
        uint256 deal = way == Way.RequesterNeverFunds ? _assign() : _funded();
        vm.warp(uint256(deals.dealOf(deal).dueAt) + 1);
        deals.abandon(deal);
        return IDeals.State.Abandoned;
    }

    function _completed(Way way) private returns (IDeals.State) {
        IDeals.Assignment memory given = _assignment();
        if (way == Way.CompletesAtAPrice) given.paidWei = FP;
        uint256 deal = _running(given);
        _addProfit(deal, 1 ether, 3 ether);
        _complete(deal);
        return IDeals.State.Completed;
    }

    function _failed(Way way) private returns (IDeals.State) {
        uint256 deal = _running();
        _addProfit(deal, 1 ether, 3 ether);
        if (way == Way.FailsByScore) _fail(deal);
        else deals.failSilent(deal, _silent(block.timestamp + 1));
        return IDeals.State.Failed;
    }

    function _disputed(Way way) private returns (IDeals.State) {
        uint256 deal = _running();
        vm.prank(REQUESTER);
        deals.dispute(deal, "");
        if (way == Way.DisputesFollowEachOther) {
            vm.warp(deals.completableAt(deal) - 1);
            vm.prank(PROVIDER);
            deals.dispute(deal, "");
        }
        bool isFailed = way == Way.RuledToHaveFailed;
        if (isFailed || way == Way.RuledToGoOn) {
            uint64 disputedAt = deals.dealOf(deal).disputedAt;
            vm.prank(TIMELOCK);
            deals.rule(deal, IDeals.Ruling(disputedAt, isFailed, isFailed ? 4 ether : 0));
        }
        if (isFailed) return IDeals.State.Failed;
        _complete(deal);
        return IDeals.State.Completed;
    }

    function _cancelled() private returns (IDeals.State) {
        uint256 deal = _running();
        _addProfit(deal, 1 ether, 3 ether);
        providers.disqualify(node, _shown(node, anchor.epochAt(block.timestamp) - 1, 0, ACTIVE));
        vm.prank(TIMELOCK);
        deals.cancel(deal);
        return IDeals.State.Cancelled;
    }

    /// @dev The provider brought no ETH, and its claim needs a price, and more than its ANKR.
    function _failedWithoutCollateral(Way way) private returns (IDeals.State) {
        uint256 lostWei = STAKE - providers.providerOf(PROVIDER).stake;
        if (lostWei > 0) {
            vm.prank(PROVIDER);
            providers.stake(lostWei);
        }
        uint256 deal = _trusted();
        uint256 potWei = address(insurance).balance;
        if (way == Way.FailsWithAnEmptyInsurance) vm.deal(address(insurance), 0);
        if (way == Way.FailsWithoutAPrice) ankrFeed.set(0);
        if (way == Way.FailsWithADeadFeed) vm.etch(address(ethFeed), hex"fe");
        _fail(deal);
        if (way == Way.FailsWithADeadFeed) _replaceFeeds();
        _refreshPrices();
        if (!deals.dealOf(deal).isCompensated) deals.compensate(deal);
        if (way == Way.FailsWithAnEmptyInsurance) {
            vm.prank(REQUESTER);
            deals.collect();
            vm.deal(address(insurance), potWei);
        }
        deals.insure(deal);
        vm.assertEq(deals.dealOf(deal).owedWei, 0);
        return IDeals.State.Failed;
    }

    function _replaceFeeds() private {
        ethFeed = new TestFeed(8, ETH_USD);
        vm.prank(TIMELOCK);
        prices.setFeeds(IPrices.Source(ankrFeed, 0.02 ether), IPrices.Source(ethFeed, 2_000 ether));
    }
}
