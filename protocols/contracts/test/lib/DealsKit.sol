// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../../src/ScoreMath.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IProviders, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {IRegistry} from "../../src/interfaces/IRegistry.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {Deals} from "../../src/market/Deals.sol";
import {DealsStage} from "./DealsStage.sol";

/// @dev How deals go, step by step.
abstract contract DealsKit is DealsStage {
    /// @dev Deals that were assigned; they are numbered from 1.
    uint256 internal dealCount;

    function _assignment() internal view returns (IDeals.Assignment memory) {
        return IDeals.Assignment({
            requester: REQUESTER,
            provider: PROVIDER,
            registration: node,
            projectType: 7,
            lengthS: LENGTH_S,
            failBelowPpm: FAIL_BELOW_PPM,
            need: _need(),
            fpWei: FP,
            paidWei: PAID,
            bondWei: BOND,
            ethStakeWei: ETH_STAKE,
            expectedProfitWei: EXPECTED
        });
    }

    function _assign() internal returns (uint256) {
        return _assign(_assignment());
    }

    function _assign(IDeals.Assignment memory given) internal returns (uint256 deal) {
        deal = ++dealCount;
        vm.prank(MARKET);
        deals.assign(deal, given);
    }

    function _funded() internal returns (uint256 deal) {
        deal = _assign();
        _fund(deal);
    }

    function _running() internal returns (uint256) {
        return _running(_assignment());
    }

    function _running(IDeals.Assignment memory given) internal returns (uint256 deal) {
        deal = _assign(given);
        if (deals.dealOf(deal).state == IDeals.State.Assigned) _fund(deal);
        _start(deal);
    }

    function _fund(uint256 deal) internal {
        IDeals.Deal memory held = deals.dealOf(deal);
        vm.prank(held.requester);
        deals.fund{value: held.ethStakeWei - held.kEthWei}(deal);
    }

    function _start(uint256 deal) internal {
        IDeals.Deal memory held = deals.dealOf(deal);
        vm.prank(held.provider);
        deals.start{value: held.kEthWei}(deal);
    }

    function _addProfit(uint256 deal, uint256 ankrWei, uint256 ethWei) internal {
        vm.prank(STRANGER);
        deals.addProfit{value: ethWei}(deal, ankrWei);
    }

    /// @dev Completes a running deal at the first moment, with fresh prices.
    function _complete(uint256 deal) internal {
        _waitUntil(deals.completableAt(deal));
        _refreshPrices();
        deals.complete(deal);
    }

    function _refreshPrices() internal {
        ankrFeed.set(ANKR_USD);
        ethFeed.set(ETH_USD);
    }

    function _waitUntil(uint256 timestamp) internal {
        if (block.timestamp < timestamp) vm.warp(timestamp);
    }

    /// @dev When an epoch starts, in Unix seconds.
    function _startOf(uint256 epoch) internal pure returns (uint256) {
        return START_S + epoch * EPOCH_S;
    }

    /// @dev The epoch that wholly lies in the run first.
    function _firstEpoch(uint256 deal) internal view returns (uint64) {
        return anchor.epochAt(deals.dealOf(deal).startedAt + EPOCH_S - 1);
    }

    /// @dev An anchored score of a node.
    function _shown(uint256 registration, uint64 epoch, uint256 uptimePpm, uint8 state)
        internal
        returns (ScoreProof memory shown)
    {
        IRegistry.Registration memory member = registry.registrationAt(registration);
        shown.header.epoch = epoch;
        shown.words[ScoreMath.NODE] = member.nodeId;
        shown.words[ScoreMath.NONCE] = bytes32(uint256(member.nonce));
        shown.words[ScoreMath.N] = bytes32(uint256(1_000));
        shown.words[ScoreMath.UPTIME_PPM] = bytes32(uptimePpm);
        shown.words[ScoreMath.STATE] = bytes32(uint256(state));
        anchor.tell(shown.header, shown.words);
    }

    /// @dev Fails a running deal by the first epoch of its run, just after that.
    function _fail(uint256 deal) internal {
        uint64 epoch = _firstEpoch(deal);
        _waitUntil(_startOf(epoch + 1));
        ScoreProof memory shown =
            _shown(deals.dealOf(deal).registration, epoch, FAIL_BELOW_PPM - 1, ACTIVE);
        deals.fail(deal, shown);
    }

    /// @dev Challenges the node, and lets the time for an answer go by.
    function _silent(uint256 challengedAt) internal returns (uint256 challenge) {
        vm.warp(challengedAt);
        vm.prank(STRANGER);
        challenge = providers.challenge(node);
        IReputationAnchor.Header memory header;
        header.epoch = anchor.epochAt(challengedAt) + 1;
        vm.warp(_startOf(header.epoch + 1) + 60);
        providers.timeOut(challenge, header);
    }

    /// @dev A running deal of a provider that brought no ETH.
    function _trusted() internal returns (uint256) {
        vm.prank(TIMELOCK);
        providers.setTier(PROVIDER, IProviders.Tier.Trusted, 0);
        return _running();
    }

    function _isState(uint256 deal, IDeals.State state) internal view {
        vm.assertEq(uint256(deals.dealOf(deal).state), uint256(state));
    }

    function _isOwed(address who, uint256 ankrWei, uint256 ethWei) internal view {
        vm.assertEq(deals.ankrOf(who), ankrWei);
        vm.assertEq(deals.ethOf(who), ethWei);
    }

    /// @dev Everybody collects, the pots get theirs, and nothing is left.
    function _isPaidOut() internal {
        for (uint256 i = 0; i < parties.length; ++i) {
            address who = parties[i];
            if (deals.ankrOf(who) == 0 && deals.ethOf(who) == 0) continue;
            bool isPot = who == address(insurance) || who == address(rewards);
            vm.prank(who);
            if (isPot) deals.flush(who);
            else deals.collect();
        }
        vm.assertEq(token.balanceOf(address(deals)), 0);
        vm.assertEq(address(deals).balance, 0);
    }

    /// @dev The contract holds what it owes and what is in open deals, to the wei.
    function _isConserved() internal view {
        uint256 ankrWei = 0;
        uint256 ethWei = 0;
        for (uint256 i = 0; i < parties.length; ++i) {
            ankrWei += deals.ankrOf(parties[i]);
            ethWei += deals.ethOf(parties[i]);
        }
        for (uint256 deal = 1; deal <= dealCount; ++deal) {
            (uint256 ankrInside, uint256 ethInside) = _inside(deals.dealOf(deal));
            ankrWei += ankrInside;
            ethWei += ethInside;
        }
        vm.assertEq(token.balanceOf(address(deals)), ankrWei);
        vm.assertEq(address(deals).balance, ethWei);
    }

    /// @dev What a deal holds that is nobody's yet.
    function _inside(IDeals.Deal memory held)
        internal
        pure
        returns (uint256 ankrWei, uint256 ethWei)
    {
        bool isWaiting =
            held.state == IDeals.State.Assigned || held.state == IDeals.State.Funded;
        if (isWaiting) ankrWei = uint256(held.fpWei) + held.bondWei;
        if (held.state == IDeals.State.Funded) ethWei = held.ethStakeWei - held.kEthWei;
        if (held.state == IDeals.State.Running) {
            ankrWei = uint256(held.fpWei) + held.ankrProfitWei;
            ethWei = uint256(held.ethStakeWei) + held.ethProfitWei;
        }
    }
}
