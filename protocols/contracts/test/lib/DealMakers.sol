// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {Parameter} from "../../src/interfaces/IPolicy.sol";
import {IProviders, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {DealsKit} from "./DealsKit.sol";

/// @dev Two requesters, two providers with two nodes each, a stranger that adds profit, a watcher,
///      governors and collectors, in any order. Each does only what should work: a revert is a fault.
contract DealMakers is DealsKit {
    address internal constant REQUESTER_2 = address(0x4e90e57e42);
    address internal constant PROVIDER_2 = address(0x940f1de42);
    uint256 private constant NODES = 4;

    /// @notice What came into the contract, and what left it, as those count who brought and got it.
    uint256 public ankrIn;
    uint256 public ankrOut;
    uint256 public ethIn;
    uint256 public ethOut;

    /// @notice Losses of all deals that failed, and what of them the insurance paid.
    uint256 public lostWei;
    uint256 public insuredWei;

    uint256[NODES] private _nodes;

    constructor() {
        _build();
        _give(REQUESTER_2);
        _nodes = [node, _node(PROVIDER), 0, 0];
        _nodes[2] = _provider(PROVIDER_2, IProviders.Tier.Trusted, 0, STAKE);
        _nodes[3] = _node(PROVIDER_2);
        parties.push(REQUESTER_2);
        parties.push(PROVIDER_2);
    }

    function assign(uint256 who, uint256 paid, uint256 expected, uint256 lengthS) external {
        IDeals.Assignment memory given = _assignment();
        given.registration = _nodes[who % NODES];
        given.provider = who % NODES < 2 ? PROVIDER : PROVIDER_2;
        if (!providers.isFree(given.provider, given.registration)) return;
        given.requester = who % 3 == 0 ? REQUESTER : REQUESTER_2;
        given.fpWei = FP + who % 999;
        given.paidWei = paid % 3 == 0 ? given.fpWei : bound(paid, 0, given.fpWei);
        given.lengthS = SafeCast.toUint32(bound(lengthS, 1, 300));
        given.ethStakeWei = expected % 4 == 0 ? 0 : ETH_STAKE;
        given.expectedProfitWei = bound(expected, 0, 40 ether);
        uint256 deal = _assign(given);
        ankrIn += given.fpWei + BOND;
        if (who % 16 >= 12) return;
        // Most go on at once, or hardly one would ever run.
        if (deals.dealOf(deal).state == IDeals.State.Assigned) _fundNow(deal);
        _startNow(deal);
    }

    function fund(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Assigned, seed);
        if (deal == 0) return;
        if (block.timestamp > deals.dealOf(deal).dueAt) deals.abandon(deal);
        else _fundNow(deal);
    }

    function start(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Funded, seed);
        if (deal == 0) return;
        if (block.timestamp > deals.dealOf(deal).dueAt) deals.abandon(deal);
        else _startNow(deal);
    }

    function addProfit(uint256 seed, uint256 ankrWei, uint256 ethWei) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        ankrWei = seed % 3 == 0 ? 0 : bound(ankrWei, 1, 1_000 ether);
        ethWei = seed % 3 == 1 ? 0 : bound(ethWei, 1, 100 ether);
        _addProfit(deal, ankrWei, ethWei);
        ankrIn += ankrWei;
        ethIn += ethWei;
    }

    function complete(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        (uint256 ankrWei, uint256 ethWei) = _inside(held);
        (uint256 ankrBefore, uint256 ethBefore) = _credits();
        uint256 requesterWei = deals.ethOf(held.requester);
        _complete(deal);
        (uint256 ankrAfter, uint256 ethAfter) = _credits();
        vm.assertEq(ankrAfter, ankrBefore + ankrWei);
        vm.assertEq(ethAfter, ethBefore + ethWei);
        uint256 stakedWei = held.ethStakeWei - held.kEthWei;
        vm.assertTrue(deals.ethOf(held.requester) >= requesterWei + stakedWei);
    }

    function fail(uint256 seed, uint256 uptimePpm, uint256 priced) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        uint64 epoch = _firstEpoch(deal);
        if (_startOf(epoch + 1) > held.endsAt) return;
        uint256 nowS = _startOf(epoch + 1 + seed % 4);
        nowS = nowS > held.frozenUntil ? nowS : held.frozenUntil;
        if (nowS > block.timestamp) vm.warp(nowS);
        _setPrices(priced % 4 != 0);
        uptimePpm = bound(uptimePpm, 0, held.terms.failBelowPpm - 1);
        ScoreProof memory shown = _shown(held.registration, epoch, uptimePpm, ACTIVE);
        uint256 tokensBefore = token.balanceOf(address(deals));
        deals.fail(deal, shown);
        ankrIn += token.balanceOf(address(deals)) - tokensBefore;
        lostWei += held.expectedProfitWei;
    }

    function compensate(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Failed, seed);
        if (deal == 0 || deals.dealOf(deal).isCompensated) return;
        _setPrices(true);
        uint256 tokensBefore = token.balanceOf(address(deals));
        deals.compensate(deal);
        ankrIn += token.balanceOf(address(deals)) - tokensBefore;
    }

    function insure(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Failed, seed);
        if (deal == 0 || !deals.dealOf(deal).isCompensated) return;
        uint256 potWei = address(insurance).balance;
        if (deals.dealOf(deal).owedWei == 0 || potWei == 0) return;
        deals.insure(deal);
        uint256 paidWei = potWei - address(insurance).balance;
        ethIn += paidWei;
        insuredWei += paidWei;
    }

    function dispute(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        bool isByRequester = seed % 2 == 0;
        if (held.disputes & (isByRequester ? 1 : 2) != 0) return;
        if (block.timestamp < held.frozenUntil) return;
        if (block.timestamp >= deals.completableAt(deal)) return;
        vm.prank(isByRequester ? held.requester : held.provider);
        deals.dispute(deal, "");
    }

    function rule(uint256 seed, uint256 failed, uint256 lossWei, uint256 priced) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        if (block.timestamp >= held.frozenUntil) return;
        bool isFailed = failed % 2 == 0;
        lossWei = isFailed ? bound(lossWei, 0, held.ethStakeWei) : 0;
        _setPrices(priced % 4 != 0);
        uint256 tokensBefore = token.balanceOf(address(deals));
        vm.prank(TIMELOCK);
        deals.rule(deal, IDeals.Ruling(held.disputedAt, isFailed, lossWei));
        ankrIn += token.balanceOf(address(deals)) - tokensBefore;
        if (isFailed) lostWei += held.expectedProfitWei + lossWei;
    }

    function cancel(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        if (block.timestamp >= providers.providerOf(held.provider).disqualifiedUntil) {
            uint64 epoch = anchor.epochAt(block.timestamp) - 1;
            providers.disqualify(held.registration, _shown(held.registration, epoch, 0, SUSPENDED));
        }
        vm.prank(TIMELOCK);
        deals.cancel(deal);
    }

    function collect(uint256 seed) external {
        address who = parties[seed % parties.length];
        (uint256 ankrWei, uint256 ethWei) = (deals.ankrOf(who), deals.ethOf(who));
        if (ankrWei == 0 && ethWei == 0) return;
        (uint256 ankrBefore, uint256 ethBefore) = (token.balanceOf(who), who.balance);
        vm.prank(who);
        if (who == address(insurance) || who == address(rewards)) deals.flush(who);
        else deals.collect();
        vm.assertEq(token.balanceOf(who), ankrBefore + ankrWei);
        vm.assertEq(who.balance, ethBefore + ethWei);
        ankrOut += ankrWei;
        ethOut += ethWei;
    }

    /// @dev Nothing that was ended pays again, whoever tries what.
    function tryAgain(uint256 seed) external {
        IDeals.State state = IDeals.State(bound(seed, 4, 7));
        uint256 deal = _pick(state, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        ScoreProof memory shown = _shown(held.registration, _firstEpoch(deal), 0, ACTIVE);
        bytes[6] memory calls = [
            abi.encodeCall(IDeals.complete, (deal)),
            abi.encodeCall(IDeals.fail, (deal, shown)),
            abi.encodeCall(IDeals.abandon, (deal)),
            abi.encodeCall(IDeals.cancel, (deal)),
            abi.encodeCall(IDeals.rule, (deal, IDeals.Ruling(held.disputedAt, true, 0))),
            abi.encodeCall(IDeals.start, (deal))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(i == 3 || i == 4 ? TIMELOCK : held.provider);
            (bool ok,) = address(deals).call(calls[i]);
            vm.assertFalse(ok);
        }
    }

    function govern(uint256 reward, uint256 insured, uint256 kEthWei) external {
        reward = bound(reward, 0, 2_500);
        vm.startPrank(TIMELOCK);
        policy.set(Parameter.RewardBps, reward);
        policy.set(Parameter.InsuranceBps, bound(insured, 0, 2_500));
        uint128 kEth = SafeCast.toUint128(bound(kEthWei, 1, 32 ether));
        providers.setTier(PROVIDER, IProviders.Tier.SemiTrusted, kEth);
        vm.stopPrank();
    }

    function wait(uint256 timeS) external {
        vm.warp(block.timestamp + bound(timeS, 1, 200));
    }

    /// @dev A provider whose ANKR was taken brings new ANKR.
    function restake(uint256 which) external {
        address who = which % 2 == 0 ? PROVIDER_2 : PROVIDER;
        uint256 lostAnkr = STAKE - providers.providerOf(who).stake;
        if (lostAnkr == 0) return;
        vm.prank(who);
        providers.stake(lostAnkr);
    }

    /// @notice The contract holds what it owes and what is in open deals.
    function checkHeld() external view {
        _isConserved();
    }

    /// @notice What came in has either left to those it was owed to, or is there.
    function checkFlows() external view {
        vm.assertEq(token.balanceOf(address(deals)), ankrIn - ankrOut);
        vm.assertEq(address(deals).balance, ethIn - ethOut);
    }

    /// @notice Each open deal holds one node and locks the stake, a claim that waits locks it too, and
    ///         nothing else does; no provider serves more than it has.
    function checkProviders() external view {
        for (uint256 i = 0; i < 2; ++i) {
            address who = i == 0 ? PROVIDER : PROVIDER_2;
            (uint256 open, uint256 waiting) = _countOf(who);
            IProviders.Provider memory held = providers.providerOf(who);
            vm.assertEq(held.runningDeals, open);
            vm.assertEq(held.locks, open + waiting);
            vm.assertEq(held.inUse.cpuMilli, open * _need().cpuMilli);
            vm.assertTrue(held.inUse.cpuMilli <= held.capacity.cpuMilli);
        }
    }

    /// @notice No more is insured than was lost, and what a deal still claims is no more than its loss.
    function checkInsurance() external view {
        vm.assertTrue(insuredWei <= lostWei);
        uint256 openWei = 0;
        for (uint256 deal = 1; deal <= dealCount; ++deal) {
            openWei += deals.dealOf(deal).owedWei;
        }
        vm.assertTrue(insuredWei + openWei <= lostWei);
    }

    /// @notice How many deals are in each state.
    function countByState() external view returns (uint256[8] memory counts) {
        for (uint256 deal = 1; deal <= dealCount; ++deal) {
            ++counts[uint256(deals.dealOf(deal).state)];
        }
    }

    /// @dev How many deals a provider serves, and how many claims against it wait for a price.
    function _countOf(address who) private view returns (uint256 open, uint256 waiting) {
        for (uint256 deal = 1; deal <= dealCount; ++deal) {
            IDeals.Deal memory held = deals.dealOf(deal);
            if (held.provider != who) continue;
            if (held.state < IDeals.State.Completed) ++open;
            if (held.state == IDeals.State.Failed && !held.isCompensated) ++waiting;
        }
    }

    function _fundNow(uint256 deal) private {
        _fund(deal);
        IDeals.Deal memory held = deals.dealOf(deal);
        ethIn += held.ethStakeWei - held.kEthWei;
    }

    function _startNow(uint256 deal) private {
        _start(deal);
        ethIn += deals.dealOf(deal).kEthWei;
    }

    function _setPrices(bool isPriced) private {
        _refreshPrices();
        if (!isPriced) ethFeed.set(0);
    }

    /// @dev One of the deals in this state; 0 if there is none.
    function _pick(IDeals.State state, uint256 seed) private view returns (uint256) {
        for (uint256 i = 0; i < dealCount; ++i) {
            uint256 deal = 1 + (seed % dealCount + i) % dealCount;
            if (deals.dealOf(deal).state == state) return deal;
        }
        return 0;
    }

    function _credits() private view returns (uint256 ankrWei, uint256 ethWei) {
        for (uint256 i = 0; i < parties.length; ++i) {
            ankrWei += deals.ankrOf(parties[i]);
            ethWei += deals.ethOf(parties[i]);
        }
    }
}
