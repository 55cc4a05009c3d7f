// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {TestAnkr} from "../src/TestAnkr.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Parameter, Rule} from "../src/interfaces/IPolicy.sol";
import {Market} from "../src/market/Market.sol";
import {Pot} from "../src/market/Pot.sol";
import {MarketKit} from "./lib/MarketKit.sol";
import {SomeDeals} from "./lib/SomeDeals.sol";

/// @dev Everybody of a market: a requester, providers, governors, and whoever draws, closes and
///      flushes. Each act is one that is allowed just then, so that none may revert.
contract Traders is MarketKit {
    uint256 public constant BIDDERS = 6;

    /// @notice What the requester paid in and collected.
    uint256 public paidIn;
    uint256 public collected;

    /// @notice What each bidder paid for bonds and reclaimed.
    mapping(uint256 bidder => uint256) public bonded;
    mapping(uint256 bidder => uint256) public reclaimed;

    constructor() {
        _begin(BIDDERS);
        _set(Parameter.DisqualifyS, 1_000);
    }

    function open(uint8 rule, uint8 shortlist, uint256 bondWei, uint256 lengthS) public {
        _setType(Rule(rule % 3), uint8(bound(shortlist, 1, 5)));
        _set(Parameter.BidBond, bound(bondWei, BOND, 3 * BOND));
        IMarket.Request memory request = _request();
        request.lengthS = uint32(bound(lengthS, 1, 2 * HOUR_S));
        ankrUsd.set(USD_PER_ANKR);
        uint256 before = ankr.balanceOf(RITA);
        vm.prank(RITA);
        market.open(request, type(uint256).max);
        paidIn += before - ankr.balanceOf(RITA);
    }

    /// @dev Who is in `mask` seals a bid, if it may.
    function commit(uint256 dealSeed, uint8 mask) public {
        (uint256 deal,) = _pair(dealSeed, 0);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isTime = auction.stage == IMarket.Stage.Open && block.timestamp < auction.commitUntilS;
        for (uint256 i = 0; isTime && i < BIDDERS; ++i) {
            bool isNew = market.bidOf(deal, _who(i)).state == IMarket.BidState.None;
            if ((mask >> i) & 1 == 0 || !isNew || !_isEligible(i)) continue;
            _commit(deal, i, priceOf(deal, i));
            bonded[i] += auction.bondWei;
        }
    }

    /// @dev Who is in `mask` opens its bid, if it may.
    function reveal(uint256 dealSeed, uint8 mask) public {
        (uint256 deal,) = _pair(dealSeed, 0);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isTime = auction.stage == IMarket.Stage.Open && block.timestamp >= auction.commitUntilS
            && block.timestamp < auction.revealUntilS;
        for (uint256 i = 0; isTime && i < BIDDERS; ++i) {
            bool isSealed = market.bidOf(deal, _who(i)).state == IMarket.BidState.Committed;
            bool isFree = _isEligible(i) && providers.isFree(_who(i), i);
            if ((mask >> i) & 1 == 0 || !isSealed || !isFree) continue;
            if (priceOf(deal, i) <= auction.fpWei) _reveal(deal, i, priceOf(deal, i));
        }
    }

    function choose(uint256 dealSeed, uint256 bidderSeed) external {
        (uint256 deal, uint256 i) = _pair(dealSeed, bidderSeed);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isTime = auction.stage == IMarket.Stage.Open && block.timestamp >= auction.revealUntilS
            && block.timestamp < auction.chooseUntilS;
        bool isFree = _isEligible(i) && providers.isFree(_who(i), i);
        if (!isTime || !isFree || !_isShortlisted(deal, i)) return;
        vm.prank(RITA);
        market.choose(deal, _who(i));
    }

    function draw(uint256 dealSeed) public {
        (uint256 deal,) = _pair(dealSeed, 0);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isTime = auction.stage == IMarket.Stage.Open
            && block.timestamp >= _dueS(auction.drawRound) && block.timestamp < auction.drawUntilS;
        if (isTime && auction.revealed != 0) _draw(deal);
    }

    function close(uint256 dealSeed) external {
        (uint256 deal,) = _pair(dealSeed, 0);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isTooLate = block.timestamp >= auction.drawUntilS;
        bool isEmpty = auction.committed == 0
            || (auction.revealed == 0 && block.timestamp >= auction.revealUntilS);
        if (auction.stage != IMarket.Stage.Open || !(isTooLate || isEmpty)) return;
        vm.prank(RITA);
        market.close(deal);
    }

    function reclaim(uint256 dealSeed, uint256 bidderSeed) external {
        (uint256 deal, uint256 i) = _pair(dealSeed, bidderSeed);
        bool isOver = market.auctionOf(deal).stage > IMarket.Stage.Open;
        if (!isOver || market.bidOf(deal, _who(i)).state != IMarket.BidState.Revealed) return;
        uint256 before = ankr.balanceOf(_who(i));
        vm.prank(_who(i));
        market.reclaim(deal);
        reclaimed[i] += ankr.balanceOf(_who(i)) - before;
    }

    function flush(uint256 dealSeed) external {
        (uint256 deal,) = _pair(dealSeed, 0);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isLost = auction.committed > auction.revealed || auction.unavailable != 0;
        if (auction.stage > IMarket.Stage.Open && isLost && !auction.isFlushed) market.flush(deal);
    }

    function collect() external {
        uint256 owed = market.ankrOf(RITA);
        if (owed == 0) return;
        vm.prank(RITA);
        market.collect();
        collected += owed;
    }

    /// @dev Mostly until the next phase of an auction begins.
    function wait(uint256 dealSeed, uint256 timeS) external {
        (uint256 deal,) = _pair(dealSeed, 0);
        IMarket.Auction memory auction = market.auctionOf(deal);
        bool isOpen = auction.stage == IMarket.Stage.Open;
        uint256 untilS = block.timestamp + bound(timeS, 1, COMMIT_S);
        if (isOpen && timeS % 4 != 0) untilS = _nextPhaseS(auction);
        vm.warp(untilS);
    }

    /// @dev A provider fails elsewhere, or has done with what it served.
    function elsewhere(uint256 bidderSeed, bool isFailing) public {
        uint256 i = bidderSeed % BIDDERS;
        if (isFailing) _ban(i);
        if (!providers.sidecarOf(i).isBusy) return;
        vm.prank(address(deals));
        providers.release(_who(i), i, _need());
    }

    /// @dev A whole auction at once, so that not all depends on luck; the lowest may fail before the
    ///      draw.
    function hold(uint8 rule, uint8 sealing, uint8 opening, uint256 failing) external {
        open(rule, rule, failing, failing);
        commit(0, sealing);
        IMarket.Auction memory opened = market.auctionOf(market.deals());
        vm.warp(opened.commitUntilS);
        reveal(0, opening);
        IMarket.Entry[] memory entries = market.entriesOf(market.deals());
        if (entries.length != 0 && failing % 2 == 0) _ban(entries[0].registration);
        vm.warp(_dueS(opened.drawRound));
        draw(0);
    }

    function kept() external view returns (Market, TestAnkr, SomeDeals, Pot) {
        return (market, ankr, deals, insurance);
    }

    function who(uint256 i) external pure returns (address) {
        return _who(i);
    }

    /// @notice What a bidder asks. Where the project is short, some of it is above the fixed price.
    function priceOf(uint256 deal, uint256 i) public pure returns (uint256) {
        return uint256(keccak256(abi.encode(deal, i))) % FP;
    }

    function _pair(uint256 dealSeed, uint256 bidderSeed) private view returns (uint256, uint256) {
        uint256 count = market.deals();
        uint256 back = count < 4 ? count : 4;
        return (back == 0 ? 0 : count - dealSeed % back, bidderSeed % BIDDERS);
    }

    function _nextPhaseS(IMarket.Auction memory auction) private view returns (uint256) {
        if (block.timestamp < auction.commitUntilS) return auction.commitUntilS;
        if (block.timestamp < auction.revealUntilS) return auction.revealUntilS;
        uint256 dueS = _dueS(auction.drawRound);
        if (block.timestamp < dueS) return dueS;
        return block.timestamp < auction.drawUntilS ? auction.drawUntilS : block.timestamp;
    }

    function _isEligible(uint256 i) private view returns (bool) {
        return providers.isEligible(_who(i), _need(), 2);
    }

    function _isShortlisted(uint256 deal, uint256 i) private view returns (bool) {
        (IMarket.Entry[] memory entries,) = market.shortlistOf(deal);
        for (uint256 k = 0; k < entries.length; ++k) {
            if (entries[k].provider == _who(i)) return true;
        }
        return false;
    }
}

/// @dev Money is conserved to the wei, whatever everybody does in whatever order.
///
/// forge-config: default.invariant.fail-on-revert = true
/// forge-config: ci.invariant.fail-on-revert = true
contract MarketInvariantTest is MarketKit {
    Traders private traders;

    function setUp() public {
        traders = new Traders();
        (market, ankr, deals, insurance) = traders.kept();
        targetContract(address(traders));
    }

    /// @dev One invariant, because each would be a campaign of its own.
    function invariant_moneyIsConservedAndNobodyTakesMoreThanItsOwn() public view {
        _checkTheMarketHoldsWhatItOwesAndNothingElse();
        _checkAllMoneyIsSomewhere();
        _checkDealsPayFromTheBidToTheFixedPrice();
    }

    /// @dev ANKR held = fixed prices of open auctions + bonds that are still there + credits.
    function _checkTheMarketHoldsWhatItOwesAndNothingElse() private view {
        uint256 owed = market.ankrOf(RITA);
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            IMarket.Auction memory auction = market.auctionOf(deal);
            if (auction.stage == IMarket.Stage.Open) owed += auction.fpWei;
            owed += _bondsHeld(deal, auction) * auction.bondWei;
        }
        vm.assertEq(ankr.balanceOf(address(market)), owed);
    }

    /// @dev What went in is in the market, the deals and the insurance, or came back to who paid it.
    function _checkAllMoneyIsSomewhere() private view {
        uint256 paidIn = traders.paidIn();
        uint256 paidOut = traders.collected();
        vm.assertTrue(paidOut + market.ankrOf(RITA) <= paidIn);
        for (uint256 i = 0; i < traders.BIDDERS(); ++i) {
            vm.assertTrue(traders.reclaimed(i) <= traders.bonded(i));
            paidIn += traders.bonded(i);
            paidOut += traders.reclaimed(i);
        }
        uint256 held = ankr.balanceOf(address(market)) + ankr.balanceOf(address(deals));
        vm.assertEq(held + ankr.balanceOf(address(insurance)) + paidOut, paidIn);
    }

    /// @dev R43, Q1: no provider is paid more than the fixed price or less than its bid.
    function _checkDealsPayFromTheBidToTheFixedPrice() private view {
        for (uint256 deal = 1; deal <= market.deals(); ++deal) {
            IDeals.Assignment memory given = deals.assignmentOf(deal);
            bool isAssigned = market.auctionOf(deal).stage == IMarket.Stage.Assigned;
            vm.assertTrue(isAssigned == (given.provider != address(0)));
            if (!isAssigned) continue;
            vm.assertTrue(given.paidWei <= given.fpWei);
            vm.assertTrue(given.paidWei >= traders.priceOf(deal, given.registration));
        }
    }

    function _bondsHeld(uint256 deal, IMarket.Auction memory auction)
        private
        view
        returns (uint256 count)
    {
        for (uint256 i = 0; i < traders.BIDDERS(); ++i) {
            IMarket.BidState state = market.bidOf(deal, traders.who(i)).state;
            bool isLost = state == IMarket.BidState.Committed || state == IMarket.BidState.Forfeited;
            if (state == IMarket.BidState.Revealed || (isLost && !auction.isFlushed)) ++count;
        }
    }
}
