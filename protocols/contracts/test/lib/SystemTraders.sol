// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {IProviders, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {SystemChecks} from "./SystemChecks.sol";

/// @dev A requester, bidders that serve or fail, a watcher that shows it, and whoever adds profit. Each
///      does only what should work then: a revert is a fault.
abstract contract SystemTraders is SystemChecks {
    uint256 private constant NO_NODE = type(uint256).max;

    /// @dev An auction of any rule. Each bidder has two bits of `bidding` and of `opening`: three of
    ///      four times it bids, and opens its bid. Most deals then start at once; half are short.
    function trade(uint256 seed, uint256 bidding, uint256 opening) external {
        uint256 lengthSMax = seed % 2 == 0 ? 2 hours : 20 days;
        uint256 deal = _openAuction(
            SafeCast.toUint16(1 + seed % 3), SafeCast.toUint32(bound(seed, 60, lengthSMax))
        );
        uint256[BIDDERS] memory nodes = _sealBids(deal, bidding);
        vm.warp(market.auctionOf(deal).commitUntilS);
        for (uint256 i = 0; i < BIDDERS; ++i) {
            if (nodes[i] == NO_NODE || !_isOneOf(i, opening)) continue;
            _reveal(deal, i, nodes[i], _priceOf(deal, i));
        }
        _endAuction(deal, seed);
        if (deals.dealOf(deal).state != IDeals.State.Assigned || seed % 8 == 0) return;
        _fund(deal);
        if (seed % 8 != 1) _start(deal);
    }

    /// @dev The next step of a deal that does not run yet.
    function go(uint256 seed) external {
        IDeals.State state = seed % 2 == 0 ? IDeals.State.Assigned : IDeals.State.Funded;
        uint256 deal = _pick(state, seed);
        if (deal == 0) return;
        if (block.timestamp > deals.dealOf(deal).dueAt) deals.abandon(deal);
        else if (state == IDeals.State.Assigned) _fund(deal);
        else _start(deal);
    }

    function addProfit(uint256 seed, uint256 ankrWei, uint256 ethWei) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        vm.prank(STRANGER);
        deals.addProfit{value: bound(ethWei, 0, 10 ether)}(deal, bound(ankrWei, 1, 1_000 ether));
    }

    function complete(uint256 seed) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        uint256 earliestS = deals.completableAt(deal);
        if (block.timestamp < earliestS) vm.warp(earliestS);
        _freshPrices();
        deals.complete(deal);
    }

    /// @dev The node was down in an epoch of the run.
    function fail(uint256 seed, uint256 uptimePpm, uint256 priced) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        if (block.timestamp < held.frozenUntil) return;
        uint64 epoch = anchor.epochAt(held.startedAt + EPOCH_S - 1);
        uint256 overS = START + (uint256(epoch) + 1) * EPOCH_S;
        if (overS > held.endsAt) return;
        if (block.timestamp < overS) vm.warp(overS);
        _setPrices(priced % 4 != 0);
        uptimePpm = bound(uptimePpm, 0, held.terms.failBelowPpm - 1);
        deals.fail(deal, _shown(held.registration, epoch, uptimePpm, ScoreMath.ACTIVE));
    }

    /// @dev The watcher challenges a node that serves, and no answer comes.
    function failSilent(uint256 seed, uint256 priced) external {
        uint256 deal = _pick(IDeals.State.Running, seed);
        if (deal == 0) return;
        IDeals.Deal memory held = deals.dealOf(deal);
        IReputationAnchor.Header memory header;
        header.epoch = anchor.epochAt(block.timestamp) + 1;
        uint256 overS = START + (uint256(header.epoch) + 1) * EPOCH_S;
        if (overS > held.endsAt || overS + 60 < held.frozenUntil) return;
        vm.prank(WATCHER);
        uint256 challenge = providers.challenge(held.registration);
        challengeCount = challenge;
        vm.warp(overS + 60);
        providers.timeOut(challenge, header);
        _setPrices(priced % 4 != 0);
        deals.failSilent(deal, challenge);
    }

    /// @dev A challenge that is answered: its bond is the provider's.
    function answer(uint256 seed) external {
        uint256 registration = seed % (BIDDERS * NODES);
        vm.prank(WATCHER);
        uint256 challenge = providers.challenge(registration);
        challengeCount = challenge;
        uint64 epoch = anchor.epochAt(block.timestamp) + 1;
        vm.warp(START + (uint256(epoch) + 1) * EPOCH_S);
        providers.answer(challenge, _shown(registration, epoch, 950_000, ScoreMath.ACTIVE));
    }

    /// @dev Every claim that waited for a price.
    function compensate() external {
        _freshPrices();
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            IDeals.Deal memory held = deals.dealOf(deal);
            if (held.state == IDeals.State.Failed && !held.isCompensated) deals.compensate(deal);
        }
    }

    /// @dev Every claim on the insurance, until it is empty.
    function insure() external {
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            IDeals.Deal memory held = deals.dealOf(deal);
            bool isClaim = held.isCompensated && held.owedWei != 0;
            if (isClaim && address(insurance).balance != 0) deals.insure(deal);
        }
    }

    /// @dev Who is owed something by the deals fetches it, and gets just that.
    function collect(uint256 seed) external {
        address[6] memory owed =
            [RITA, _bidder(0), _bidder(1), _bidder(2), address(insurance), address(rewards)];
        address who = owed[seed % owed.length];
        (uint256 ankrWei, uint256 ethWei) = (deals.ankrOf(who), deals.ethOf(who));
        if (ankrWei == 0 && ethWei == 0) return;
        (uint256 ankrBefore, uint256 ethBefore) = (ankr.balanceOf(who), who.balance);
        vm.prank(who);
        if (seed % owed.length > BIDDERS) deals.flush(who);
        else deals.collect();
        vm.assertEq(ankr.balanceOf(who), ankrBefore + ankrWei);
        vm.assertEq(who.balance, ethBefore + ethWei);
    }

    /// @dev What an auction that is over still holds goes to its owners.
    function fetch(uint256 seed) external {
        if (market.ankrOf(RITA) != 0) {
            vm.prank(RITA);
            market.collect();
        }
        uint256 count = market.deals();
        if (count == 0) return;
        uint256 deal = 1 + seed % count;
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isLost = auction.committed > auction.revealed || auction.unavailable != 0;
        if (isLost && !auction.isFlushed) market.flush(deal);
        for (uint256 i = 0; i < BIDDERS; ++i) {
            if (market.bidOf(deal, _bidder(i)).state != IMarket.BidState.Revealed) continue;
            vm.prank(_bidder(i));
            market.reclaim(deal);
        }
    }

    /// @dev A bidder takes some of its stake out, or withdraws.
    function restake(uint256 seed) external {
        address who = _bidder(seed % BIDDERS);
        IProviders.Provider memory held = providers.providerOf(who);
        uint256 before = ankr.balanceOf(who);
        vm.startPrank(who);
        if (held.unbonding == 0 && held.stake > 1_000 ether) {
            providers.unstake(bound(seed, 1, held.stake - 1_000 ether));
        } else if (held.unbonding != 0 && block.timestamp >= held.unbondedAt && held.locks == 0) {
            providers.withdraw();
            vm.assertEq(ankr.balanceOf(who), before + held.unbonding);
        }
        vm.stopPrank();
    }

    /// @dev Bonds of challenges go to whom they are owed.
    function collectBonds(uint256 seed) external {
        address who = seed % 4 == 3 ? WATCHER : _bidder(seed % 4);
        uint256 owed = providers.owedTo(who);
        if (owed == 0) return;
        uint256 before = ankr.balanceOf(who);
        vm.prank(who);
        providers.collect();
        vm.assertEq(ankr.balanceOf(who), before + owed);
    }

    /// @dev Feeds move a little, or fail.
    function movePrices(uint256 seed) external {
        _freshPrices();
        ankrFeed.set(SafeCast.toInt256(bound(seed, 1_900_000, 2_100_000)));
        (bool isPoked,) = address(prices).call(abi.encodeCall(prices.poke, ()));
        vm.assertTrue(isPoked);
        if (seed % 4 == 0) ethFeed.set(0);
    }

    /// @dev One of the deals in this state; 0 if there is none.
    function _pick(IDeals.State state, uint256 seed) internal view returns (uint256) {
        uint256 count = market.deals();
        for (uint256 i = 0; i < count; ++i) {
            uint256 deal = 1 + (seed % count + i) % count;
            if (deals.dealOf(deal).state == state) return deal;
        }
        return 0;
    }

    function _setPrices(bool isPriced) internal {
        _freshPrices();
        if (!isPriced) ethFeed.set(0);
    }

    /// @dev Returns the node that each bidder bids with; `NO_NODE` if it does not.
    function _sealBids(uint256 deal, uint256 bidding)
        private
        returns (uint256[BIDDERS] memory nodes)
    {
        for (uint256 i = 0; i < BIDDERS; ++i) {
            _refill(i);
            nodes[i] = _freeNode(i);
            if (!_isOneOf(i, bidding)) nodes[i] = NO_NODE;
            if (nodes[i] == NO_NODE) continue;
            _commit(deal, i, nodes[i], _priceOf(deal, i));
        }
    }

    /// @dev A bidder whose stake was taken brings new ANKR.
    function _refill(uint256 i) private {
        uint256 staked = providers.providerOf(_bidder(i)).stake;
        if (staked >= 1_000 ether) return;
        vm.prank(_bidder(i));
        providers.stake(2_000 ether - staked);
    }

    function _endAuction(uint256 deal, uint256 seed) private {
        IMarket.Auction memory auction = market.auctionOf(deal);
        vm.warp(auction.revealUntilS);
        if (auction.revealed == 0) {
            market.close(deal);
        } else if (seed % 8 == 3) {
            vm.warp(auction.drawUntilS);
            market.close(deal);
        } else if (auction.chooseUntilS != auction.revealUntilS && seed % 2 == 0) {
            (IMarket.Entry[] memory entries,) = market.shortlistOf(deal);
            vm.prank(RITA);
            market.choose(deal, entries[seed % entries.length].provider);
        } else {
            _draw(deal);
        }
    }

    function _isOneOf(uint256 i, uint256 mask) private pure returns (bool) {
        return (mask >> (2 * i)) & 3 != 0;
    }

    function _priceOf(uint256 deal, uint256 i) private view returns (uint256) {
        return uint256(keccak256(abi.encode(deal, i))) % (market.auctionOf(deal).fpWei + 1);
    }

    function _freeNode(uint256 i) private view returns (uint256) {
        if (!providers.isEligible(_bidder(i), _need(), 1_000)) return NO_NODE;
        for (uint256 k = 0; k < NODES; ++k) {
            if (providers.isFree(_bidder(i), NODES * i + k)) return NODES * i + k;
        }
        return NO_NODE;
    }
}
