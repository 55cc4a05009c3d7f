// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BeaconVerifier} from "../src/BeaconVerifier.sol";
import {IDeals} from "../src/interfaces/IDeals.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Rule} from "../src/interfaces/IPolicy.sol";
import {DrawHarness} from "./lib/DrawHarness.sol";
import {MarketKit} from "./lib/MarketKit.sol";
import {Signer} from "./lib/Signer.sol";

/// @dev R32, R43, R50, R51, R60; Q1, Q2: how an auction ends, and where everybody's money is then.
contract MarketEndTest is MarketKit {
    DrawHarness private harness;
    BeaconVerifier private verifier;

    function setUp() public {
        _begin(6);
        harness = new DrawHarness();
        verifier = new BeaconVerifier(Signer.publicKey(BEACON_SECRET));
    }

    // The draw.

    /// @dev R58, Q1: with a shortlist of one the lowest of 60, 70 and 75 is paid its own bid.
    function test_draw_PaysTheLowestItsOwnBid() public {
        _setType(Rule.FirstPrice, 1);
        uint256 deal = _drawn(_list(75, 60, 70));
        vm.assertEq(deals.assignmentOf(deal).provider, _who(1));
        vm.assertEq(deals.assignmentOf(deal).paidWei, 60 ether);
    }

    /// @dev R58, Q1: and under Vickrey's rule it is paid the second lowest.
    function test_draw_PaysTheLowestTheSecondLowestBid() public {
        _setType(Rule.Vickrey, 1);
        uint256 deal = _drawn(_list(75, 60, 70));
        vm.assertEq(deals.assignmentOf(deal).provider, _who(1));
        vm.assertEq(deals.assignmentOf(deal).paidWei, 70 ether);
    }

    function test_draw_PaysASoleBidderTheFixedPriceUnderVickrey() public {
        _setType(Rule.Vickrey, 3);
        uint256 deal = _drawn(new uint256[](1));
        vm.assertEq(deals.assignmentOf(deal).paidWei, FP);
    }

    /// @dev Who is drawn though it is not the lowest is paid its own bid, not less.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_draw_PaysAtLeastTheOwnBidUnderVickrey(uint32 waitS) public {
        vm.warp(block.timestamp + waitS);
        _setType(Rule.Vickrey, 3);
        IDeals.Assignment memory given = deals.assignmentOf(_drawn(_list(60, 70, 75)));
        vm.assertEq(given.paidWei, given.provider == _who(2) ? 75 ether : 70 ether);
    }

    /// @dev R50: anyone can draw again from what is public, and comes to the same.
    /// forge-config: default.fuzz.runs = 32
    function testFuzz_draw_FollowsFromTheShortlistAndTheRound(uint32 waitS) public {
        vm.warp(block.timestamp + waitS);
        _stakeMore(1, 3 * STAKE);
        uint256 deal = _drawn(_list(60, 70, 75));
        (IMarket.Entry[] memory entries, uint256[] memory weights) = market.shortlistOf(deal);
        uint256 index = harness.pick(weights, _seedOf(deal));
        vm.assertEq(deals.assignmentOf(deal).provider, entries[index].provider);
        vm.assertEq(deals.assignmentOf(deal).paidWei, entries[index].priceWei);
    }

    /// @dev Q2: those that tie with the last of the shortlist are in the draw.
    function test_shortlistOf_HasTheLowestAndWhoTiesAtTheCut() public {
        _setType(Rule.FirstPrice, 2);
        uint256 deal = _open();
        uint256[] memory ankrs = new uint256[](5);
        (ankrs[0], ankrs[1], ankrs[2], ankrs[3], ankrs[4]) = (70, 80, 60, 70, 70);
        _bidAll(deal, ankrs);
        (IMarket.Entry[] memory entries, uint256[] memory weights) = market.shortlistOf(deal);
        vm.assertEq(entries.length, 4);
        vm.assertEq(weights.length, 4);
        vm.assertEq(entries[0].provider, _who(2));
        vm.assertEq(entries[1].provider, _who(0));
        vm.assertEq(entries[2].provider, _who(3));
        vm.assertEq(entries[3].provider, _who(4));
        vm.assertEq(market.entriesOf(deal).length, 5);
    }

    /// @dev R51: what was agreed goes on, and the fixed price and the winner's bond with it.
    function test_draw_HandsTheDealOnAsItWasOpened() public {
        _setType(Rule.FirstPrice, 1);
        uint256 deal = _open();
        _bidAll(deal, _list(60, 70, 75));
        _toDraw(deal);
        vm.expectEmit(address(market));
        emit IMarket.Drawn(deal, market.auctionOf(deal).drawRound, _randomnessOf(deal));
        vm.expectEmit(address(market));
        emit IMarket.Assigned(deal, _who(0), 0, 60 ether);
        _draw(deal);
        IDeals.Assignment memory expected = IDeals.Assignment({
            requester: RITA,
            provider: _who(0),
            registration: 0,
            projectType: TYPE,
            lengthS: HOUR_S,
            failBelowPpm: market.auctionOf(deal).failBelowPpm,
            need: _need(),
            fpWei: FP,
            paidWei: 60 ether,
            bondWei: BOND,
            ethStakeWei: 32 ether,
            expectedProfitWei: market.auctionOf(deal).expectedProfitWei
        });
        IDeals.Assignment memory given = deals.assignmentOf(deal);
        vm.assertEq(keccak256(abi.encode(given)), keccak256(abi.encode(expected)));
        vm.assertEq(ankr.balanceOf(address(deals)), FP + BOND);
        vm.assertEq(ankr.balanceOf(address(market)), 2 * BOND);
        vm.assertEq(uint256(market.auctionOf(deal).stage), uint256(IMarket.Stage.Assigned));
    }

    function test_draw_RevertWhen_TheRoundIsNotDue() public {
        uint256 deal = _opened(_list(60, 70, 75));
        _toDraw(deal);
        vm.warp(block.timestamp - 1);
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        vm.expectRevert(_outsideDraw(deal));
        market.draw(deal, signature);
    }

    function test_draw_RevertWhen_NobodyRevealed() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toDraw(deal);
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NobodyRevealed.selector, deal));
        market.draw(deal, signature);
    }

    function test_draw_RevertWhen_ItWasMade() public {
        uint256 deal = _drawn(_list(60, 70, 75));
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOpen.selector, deal));
        market.draw(deal, signature);
    }

    // A winner that cannot serve.

    /// @dev Its bond is lost, and the draw goes on as if it had not bid: 70 and 75 are left, and the
    ///      second lowest bid is 75.
    function test_draw_GoesOnWithoutAWinnerWhoseNodeServesAnother() public {
        _setType(Rule.Vickrey, 1);
        uint256 deal = _opened(_list(60, 70, 75));
        _occupy(0);
        _toDraw(deal);
        vm.expectEmit(address(market));
        emit IMarket.Unavailable(deal, _who(0));
        _draw(deal);
        vm.assertEq(deals.assignmentOf(deal).provider, _who(1));
        vm.assertEq(deals.assignmentOf(deal).paidWei, 75 ether);
        _flushes(deal, BOND);
        _cannotReclaim(deal, 0);
        _cannotReclaim(deal, 1);
        _reclaims(deal, 2);
        vm.assertEq(ankr.balanceOf(address(market)), 0);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_draw_TakesTheNextWordForTheNextDraw(uint32 waitS) public {
        vm.warp(block.timestamp + waitS);
        _setType(Rule.FirstPrice, 4);
        uint256 deal = _opened(_list(60, 60, 60));
        bytes32 seed = _seedOf(deal);
        (, uint256[] memory weights) = market.shortlistOf(deal);
        uint256 first = uint256(seed) % (3 * weights[0]) / weights[0];
        _ban(first);
        _toDraw(deal);
        _draw(deal);
        uint256 second = uint256(keccak256(abi.encode(seed))) % (2 * weights[0]) / weights[0];
        uint256 expected = second < first ? second : second + 1;
        vm.assertEq(deals.assignmentOf(deal).provider, _who(expected));
    }

    function test_draw_RefundsIfNobodyDrawnCanServe() public {
        uint256 deal = _opened(_list(60, 70, 75));
        for (uint256 i = 0; i < 3; ++i) {
            _ban(i);
        }
        _toDraw(deal);
        _draw(deal);
        vm.assertEq(uint256(market.auctionOf(deal).stage), uint256(IMarket.Stage.Closed));
        vm.assertEq(market.ankrOf(RITA), FP);
        _flushes(deal, 3 * BOND);
        vm.assertEq(ankr.balanceOf(address(market)), FP);
    }

    // The requester's choice: Q2.

    function test_choose_GivesTheDealToWhomTheRequesterChooses() public {
        uint256 deal = _choosable();
        _toChoice(deal);
        vm.prank(RITA);
        market.choose(deal, _who(2));
        vm.assertEq(deals.assignmentOf(deal).provider, _who(2));
        vm.assertEq(deals.assignmentOf(deal).paidWei, 75 ether);
        _reclaims(deal, 0);
        _cannotReclaim(deal, 2);
    }

    /// @dev The round is due when the time to choose is over: nobody chooses knowing the draw.
    function test_choose_IsFollowedByADrawIfTheRequesterDoesNot() public {
        uint256 deal = _choosable();
        IMarket.Auction memory auction = market.auctionOf(deal);
        vm.assertEq(auction.chooseUntilS, auction.revealUntilS + CHOICE_S);
        vm.assertTrue(_dueS(auction.drawRound) >= auction.chooseUntilS + BEACON_PERIOD_MS / 1000);
        _toDraw(deal);
        _draw(deal);
        vm.assertTrue(deals.assignmentOf(deal).provider != address(0));
    }

    function test_choose_RevertWhen_ItIsNotTheTime() public {
        uint256 deal = _choosable();
        IMarket.Auction memory auction = market.auctionOf(deal);
        bytes memory refusal = abi.encodeWithSelector(
            IMarket.OutsideTime.selector, deal, auction.revealUntilS, auction.chooseUntilS
        );
        vm.warp(auction.revealUntilS - 1);
        _choiceRefused(deal, RITA, 0, refusal);
        vm.warp(auction.chooseUntilS);
        _choiceRefused(deal, RITA, 0, refusal);
    }

    function test_choose_RevertWhen_TheChoiceIsNotTheirs() public {
        uint256 deal = _choosable();
        _toChoice(deal);
        bytes4 selector = IMarket.NotRequester.selector;
        _choiceRefused(deal, _who(0), 0, abi.encodeWithSelector(selector, deal, _who(0)));
        _setType(Rule.FirstPrice, 3);
        deal = _opened(_list(60, 70, 75));
        _toChoice(deal);
        _choiceRefused(deal, RITA, 0, abi.encodeWithSelector(IMarket.NoChoice.selector, deal));
    }

    function test_choose_RevertWhen_TheProviderIsNotAmongTheLowestOrCannotServe() public {
        _setType(Rule.RequesterChoice, 2);
        uint256 deal = _opened(_list(60, 70, 75));
        _toChoice(deal);
        bytes4 selector = IMarket.NotShortlisted.selector;
        _choiceRefused(deal, RITA, 2, abi.encodeWithSelector(selector, deal, _who(2)));
        _occupy(0);
        selector = IMarket.NotEligible.selector;
        _choiceRefused(deal, RITA, 0, abi.encodeWithSelector(selector, deal, _who(0)));
        vm.prank(RITA);
        market.choose(deal, _who(1));
    }

    // Refunds.

    /// @dev R60: before anybody sealed a bid the requester may step back at once.
    function test_close_RefundsTheRequesterBeforeAnyBid() public {
        uint256 deal = _open();
        vm.expectEmit(address(market));
        emit IMarket.Closed(deal, FP);
        vm.prank(RITA);
        market.close(deal);
        _collectsItsFixedPrice(deal);
    }

    /// @dev R60: and from the first sealed bid on it may not.
    function test_close_RevertWhen_BidsAreSealed() public {
        uint256 deal = _open();
        _closeRefused(deal, _who(0));
        _commit(deal, 0, 60 ether);
        _closeRefused(deal, RITA);
        _toReveal(deal);
        _closeRefused(deal, RITA);
        _reveal(deal, 0, 60 ether);
        vm.warp(market.auctionOf(deal).drawUntilS - 1);
        _closeRefused(deal, RITA);
    }

    function test_close_RefundsIfNobodyIsEligibleOrBids() public {
        uint256 deal = _open();
        _toReveal(deal);
        market.close(deal);
        _collectsItsFixedPrice(deal);
    }

    function test_close_RefundsIfNobodyRevealed() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toChoice(deal);
        market.close(deal);
        _collectsItsFixedPrice(deal);
        _flushes(deal, BOND);
    }

    function test_close_RefundsIfTheBeaconDoesNotCome() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _commit(deal, 1, 70 ether);
        _toReveal(deal);
        _reveal(deal, 1, 70 ether);
        _toRefund(deal);
        market.close(deal);
        _collectsItsFixedPrice(deal);
        _reclaims(deal, 1);
        _flushes(deal, BOND);
        vm.assertEq(ankr.balanceOf(address(market)), 0);
    }

    function test_close_RevertWhen_TheAuctionIsOver() public {
        uint256 deal = _drawn(_list(60, 70, 75));
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOpen.selector, deal));
        market.close(deal);
    }

    // Bonds.

    function test_ALosingBidderGetsItsBondBackOnce() public {
        _setType(Rule.FirstPrice, 1);
        uint256 deal = _drawn(_list(60, 70, 75));
        _reclaims(deal, 1);
        _cannotReclaim(deal, 1);
        _reclaims(deal, 2);
        _cannotReclaim(deal, 0);
        _cannotReclaim(deal, 5);
        vm.assertEq(ankr.balanceOf(address(market)), 0);
    }

    function test_reclaim_RevertWhen_TheAuctionIsNotOver() public {
        uint256 deal = _opened(_list(60, 70, 75));
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOver.selector, deal));
        vm.prank(_who(1));
        market.reclaim(deal);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOver.selector, 99));
        market.reclaim(99);
    }

    function test_flush_RevertWhen_NoBondIsLostOrAllAreGone() public {
        uint256 deal = _drawn(_list(60, 70, 75));
        _nothingToFlush(deal);
        deal = _open();
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOver.selector, deal));
        market.flush(deal);
        _commit(deal, 5, 60 ether);
        _toChoice(deal);
        market.close(deal);
        _flushes(deal, BOND);
        _nothingToFlush(deal);
    }

    function test_collect_RevertWhen_NothingIsOwed() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingOwed.selector, RITA));
        vm.prank(RITA);
        market.collect();
    }

    // Helpers.

    function _opened(uint256[] memory ankrs) private returns (uint256 deal) {
        deal = _open();
        _bidAll(deal, ankrs);
    }

    function _drawn(uint256[] memory ankrs) private returns (uint256 deal) {
        deal = _opened(ankrs);
        _toDraw(deal);
        _draw(deal);
    }

    function _choosable() private returns (uint256) {
        _setType(Rule.RequesterChoice, 3);
        return _opened(_list(60, 70, 75));
    }

    function _randomnessOf(uint256 deal) private view returns (bytes32) {
        uint64 round = market.auctionOf(deal).drawRound;
        return verifier.verifyRound(round, _beaconSignature(round));
    }

    function _seedOf(uint256 deal) private view returns (bytes32) {
        bytes32 tag = "stkr/market-draw/1";
        bytes32 randomness = _randomnessOf(deal);
        return keccak256(abi.encode(tag, block.chainid, address(market), deal, randomness));
    }

    function _outsideDraw(uint256 deal) private view returns (bytes memory) {
        IMarket.Auction memory auction = market.auctionOf(deal);
        return abi.encodeWithSelector(
            IMarket.OutsideTime.selector, deal, _dueS(auction.drawRound), auction.drawUntilS
        );
    }

    function _choiceRefused(uint256 deal, address caller, uint256 i, bytes memory refusal) private {
        vm.expectRevert(refusal);
        vm.prank(caller);
        market.choose(deal, _who(i));
    }

    function _closeRefused(uint256 deal, address caller) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.StillUnderWay.selector, deal));
        vm.prank(caller);
        market.close(deal);
    }

    function _collectsItsFixedPrice(uint256 deal) private {
        vm.assertEq(uint256(market.auctionOf(deal).stage), uint256(IMarket.Stage.Closed));
        uint256 before = ankr.balanceOf(RITA);
        vm.assertEq(market.ankrOf(RITA), FP);
        vm.expectEmit(address(market));
        emit IMarket.Collected(RITA, FP);
        vm.prank(RITA);
        market.collect();
        vm.assertEq(ankr.balanceOf(RITA), before + FP);
        vm.assertEq(market.ankrOf(RITA), 0);
    }

    function _reclaims(uint256 deal, uint256 i) private {
        uint256 before = ankr.balanceOf(_who(i));
        vm.expectEmit(address(market));
        emit IMarket.Reclaimed(deal, _who(i), BOND);
        vm.prank(_who(i));
        market.reclaim(deal);
        vm.assertEq(ankr.balanceOf(_who(i)), before + BOND);
    }

    function _cannotReclaim(uint256 deal, uint256 i) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToReclaim.selector, deal, _who(i)));
        vm.prank(_who(i));
        market.reclaim(deal);
    }

    function _flushes(uint256 deal, uint256 expected) private {
        uint256 before = ankr.balanceOf(address(insurance));
        vm.expectEmit(address(market));
        emit IMarket.Flushed(deal, expected);
        market.flush(deal);
        vm.assertEq(ankr.balanceOf(address(insurance)), before + expected);
    }

    function _nothingToFlush(uint256 deal) private {
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToFlush.selector, deal));
        market.flush(deal);
    }
}
