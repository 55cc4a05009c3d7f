// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Beacon} from "../src/Beacon.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Parameter, Rule} from "../src/interfaces/IPolicy.sol";
import {ScoreProof} from "../src/interfaces/IScores.sol";
import {DrawHarness} from "./lib/DrawHarness.sol";
import {MarketKit} from "./lib/MarketKit.sol";

/// @dev R50, R60, Q2, Q16: attacks on auctions, each named, and what it comes to.
contract MarketAttacksTest is MarketKit {
    DrawHarness private harness;

    function setUp() public {
        _begin(6);
        harness = new DrawHarness();
    }

    // Bid copying.

    /// @dev Who copies a sealed bid cannot open it, even when price and salt are public.
    function test_BidCopying_ACopiedBidOpensForNobodyElse() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        bytes32 copied = market.bidOf(deal, _who(0)).commitment;
        vm.prank(_who(1));
        market.commit(deal, copied);
        _toReveal(deal);
        _reveal(deal, 0, 60 ether);
        for (uint256 node = 0; node < 2; ++node) {
            _opensForNobody(deal, node);
        }
        _toDraw(deal);
        _draw(deal);
        vm.assertEq(deals.assignmentOf(deal).provider, _who(0));
        _insuranceGets(deal, BOND);
    }

    function _opensForNobody(uint256 deal, uint256 node) private {
        bytes32 opened = market.commitmentOf(deal, _who(1), node, 60 ether, _salt(0));
        bytes4 selector = IMarket.NotCommitted.selector;
        bytes memory refusal = abi.encodeWithSelector(selector, deal, _who(1), opened);
        _revealRefused(deal, 1, node, refusal);
    }

    /// @dev A bid that was sealed for one auction opens in no other.
    function test_BidCopying_ABidOpensInItsOwnAuctionOnly() public {
        uint256 first = _open();
        uint256 second = _open();
        _commit(first, 0, 60 ether);
        bytes32 commitment = market.bidOf(first, _who(0)).commitment;
        vm.prank(_who(0));
        market.commit(second, commitment);
        _toReveal(second);
        _reveal(first, 0, 60 ether);
        bytes32 opened = market.commitmentOf(second, _who(0), 0, 60 ether, _salt(0));
        bytes4 selector = IMarket.NotCommitted.selector;
        _revealRefused(second, 0, 0, abi.encodeWithSelector(selector, second, _who(0), opened));
    }

    // Withheld reveal.

    /// @dev Who does not open its bid loses the bond, and nobody else notices.
    function test_WithheldReveal_CostsTheBondAndHurtsNobodyElse() public {
        _setType(Rule.Vickrey, 1);
        uint256 deal = _open();
        _commit(deal, 0, 10 ether);
        _commit(deal, 1, 60 ether);
        _commit(deal, 2, 70 ether);
        _toReveal(deal);
        _reveal(deal, 1, 60 ether);
        _reveal(deal, 2, 70 ether);
        _toDraw(deal);
        _draw(deal);
        vm.assertEq(deals.assignmentOf(deal).provider, _who(1));
        vm.assertEq(deals.assignmentOf(deal).paidWei, 70 ether);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NothingToReclaim.selector, deal, _who(0)));
        vm.prank(_who(0));
        market.reclaim(deal);
        _insuranceGets(deal, BOND);
        vm.prank(_who(2));
        market.reclaim(deal);
        vm.assertEq(ankr.balanceOf(address(market)), 0);
    }

    // Draw grinding.

    /// @dev Of all rounds and all keys, only the deal's round by the beacon's key draws.
    function test_DrawGrinding_OnlyTheRoundFixedAtTheOpeningDraws() public {
        uint256 deal = _open();
        uint64 round = market.auctionOf(deal).drawRound;
        _bidAll(deal, _list(60, 70, 75));
        _toDraw(deal);
        vm.assertEq(market.auctionOf(deal).drawRound, round);
        _drawRefused(deal, round, _beaconSignature(round - 1));
        _drawRefused(deal, round, _beaconSignature(round + 1));
        _drawRefused(deal, round, _beaconSignature(BEACON_SECRET + 1, round));
        _drawRefused(deal, round, new bytes(128));
        _draw(deal);
    }

    /// @dev The first moment at which the round may be known comes a period after the last at which a
    ///      bid can be opened.
    function test_DrawGrinding_NobodyOpensABidKnowingTheRound() public {
        uint256 deal = _open();
        IMarket.Auction memory auction = market.auctionOf(deal);
        vm.assertTrue(_dueS(auction.drawRound) >= auction.revealUntilS + BEACON_PERIOD_MS / 1000);
    }

    /// @dev Two deals that share a round draw by different words, and so does another chain.
    function test_DrawGrinding_OneRoundDrawsEachDealAnew() public {
        bytes32 here = harness.seedOf(1, "randomness");
        vm.assertTrue(here != harness.seedOf(2, "randomness"));
        vm.assertTrue(here != new DrawHarness().seedOf(1, "randomness"));
        vm.chainId(block.chainid + 1);
        vm.assertTrue(here != harness.seedOf(1, "randomness"));
    }

    /// @dev A winner that steps back, to let another of its names be drawn, pays for it.
    function test_DrawGrinding_SteppingBackCostsTheBond() public {
        _setType(Rule.FirstPrice, 1);
        uint256 deal = _open();
        _bidAll(deal, _list(60, 70, 75));
        _toDraw(deal);
        vm.prank(_who(0));
        providers.resign();
        _draw(deal);
        vm.assertEq(deals.assignmentOf(deal).provider, _who(1));
        _insuranceGets(deal, BOND);
    }

    // Late beacon.

    /// @dev Until the last second anyone draws; from then on nobody, and all get their money back: the
    ///      requester never chooses between a draw it knows and a refund.
    function test_LateBeacon_IsDrawnInTimeOrNever() public {
        uint256 deal = _open();
        _bidAll(deal, _list(60, 70, 75));
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        uint256 untilS = market.auctionOf(deal).drawUntilS;
        vm.warp(untilS - 1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.StillUnderWay.selector, deal));
        vm.prank(RITA);
        market.close(deal);
        vm.warp(untilS);
        uint256 dueS = _dueS(market.auctionOf(deal).drawRound);
        vm.expectRevert(abi.encodeWithSelector(IMarket.OutsideTime.selector, deal, dueS, untilS));
        market.draw(deal, signature);
        market.close(deal);
        vm.assertEq(market.ankrOf(RITA), FP);
    }

    function test_LateBeacon_AnyoneDrawsInTheLastSecond() public {
        uint256 deal = _open();
        _bidAll(deal, _list(60, 70, 75));
        vm.warp(market.auctionOf(deal).drawUntilS - 1);
        bytes memory signature = _beaconSignature(market.auctionOf(deal).drawRound);
        vm.prank(address(0xa11ce));
        market.draw(deal, signature);
        vm.assertTrue(deals.assignmentOf(deal).provider != address(0));
    }

    // Shill bids.

    function test_ShillBids_OneBidForEachProvider() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        vm.expectRevert(abi.encodeWithSelector(IMarket.AlreadyCommitted.selector, deal, _who(0)));
        vm.prank(_who(0));
        market.commit(deal, "another");
    }

    /// @dev 3,000 ANKR under three names weigh what they weigh under one (Q16). The names cost three
    ///      bonds, three approvals and three nodes.
    function test_ShillBids_StakeUnderSeveralNamesWeighsWhatItWeighsUnderOne() public {
        _setType(Rule.FirstPrice, 4);
        _stakeMore(3, 2 * STAKE);
        uint256 deal = _open();
        _bidAll(deal, _four(60, 60, 60, 60));
        (, uint256[] memory weights) = market.shortlistOf(deal);
        vm.assertEq(weights[0] + weights[1] + weights[2], weights[3]);
    }

    /// @dev Three names that bid the fixed price lift the median from 60 to 100, three that bid nothing
    ///      push it to 0: the honest weight is 5/3 and a half of what it was, and no bid can make it
    ///      more than twice or less than a half.
    function test_ShillBids_MoveThePriceTermByAtMostTwo() public {
        _setType(Rule.FirstPrice, 5);
        uint256 worth = STAKE * uint256(900_000);
        vm.assertEq(_honestWeight(100), worth * 1_666_666);
        vm.assertEq(_honestWeight(0), worth * 500_000);
    }

    /// @dev The weight of who bids 60 among shills that bid `ankrs`.
    function _honestWeight(uint256 ankrs) private returns (uint256) {
        uint256 deal = _open();
        _bidAll(deal, _four(60, ankrs, ankrs, ankrs));
        (IMarket.Entry[] memory entries, uint256[] memory weights) = market.shortlistOf(deal);
        return entries[0].provider == _who(0) ? weights[0] : weights[3];
    }

    // Replay on another chain.

    function test_ReplayOnAnotherChain_ASealedBidDoesNotOpenThere() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toReveal(deal);
        uint256 here = block.chainid;
        vm.chainId(here + 1);
        bytes32 opened = market.commitmentOf(deal, _who(0), 0, 60 ether, _salt(0));
        bytes4 selector = IMarket.NotCommitted.selector;
        _revealRefused(deal, 0, 0, abi.encodeWithSelector(selector, deal, _who(0), opened));
        vm.chainId(here);
        _reveal(deal, 0, 60 ether);
    }

    // Insurance drain.

    /// @dev A loss is a part of the expected profit, which grows with the length. If a requester named
    ///      any length, one failure would cost the insurance more than all the collateral.
    function test_InsuranceDrain_NoProjectIsSoLongThatItsLossOutgrowsTheStake() public {
        IMarket.Request memory request = _request();
        ankrUsd.set(USD_PER_ANKR);
        request.lengthS = uint32(market.LENGTH_S_MAX()) + 1;
        vm.expectRevert(
            abi.encodeWithSelector(
                IMarket.LengthTooLong.selector, request.lengthS, market.LENGTH_S_MAX()
            )
        );
        vm.prank(RITA);
        market.open(request, type(uint256).max);
        --request.lengthS;
        _give(RITA, 1_000_000 ether);
        vm.prank(RITA);
        uint256 deal = market.open(request, type(uint256).max);
        uint256 yearBps = policy.get(Parameter.ProfitBpsPerYear);
        vm.assertEq(market.auctionOf(deal).expectedProfitWei, 32 ether * yearBps / 10_000);
    }

    // Dust.

    /// @dev What others send changes nobody's share; a bid costs a bond, however little it asks.
    function test_DustGriefing_StrayTokensAreNobodys() public {
        _setType(Rule.FirstPrice, 1);
        uint256 deal = _open();
        _give(address(market), 1);
        _commit(deal, 0, 1);
        _commit(deal, 1, FP);
        _toReveal(deal);
        _reveal(deal, 0, 1);
        _reveal(deal, 1, FP);
        _toDraw(deal);
        _draw(deal);
        vm.assertEq(deals.assignmentOf(deal).paidWei, 1);
        vm.assertEq(ankr.balanceOf(address(deals)), FP + BOND);
        vm.prank(_who(1));
        market.reclaim(deal);
        vm.assertEq(ankr.balanceOf(address(market)), 1);
    }

    // Helpers.

    function _four(uint256 a, uint256 b, uint256 c, uint256 d)
        private
        pure
        returns (uint256[] memory list)
    {
        list = new uint256[](4);
        (list[0], list[1], list[2], list[3]) = (a, b, c, d);
    }

    function _revealRefused(uint256 deal, uint256 i, uint256 node, bytes memory refusal) private {
        ScoreProof memory proof = _proofOf(node);
        vm.expectRevert(refusal);
        vm.prank(_who(i));
        market.reveal(deal, node, 60 ether, _salt(0), proof);
    }

    function _drawRefused(uint256 deal, uint64 round, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(Beacon.BadRoundSignature.selector, round));
        market.draw(deal, signature);
    }

    function _insuranceGets(uint256 deal, uint256 ankrWei) private {
        uint256 before = ankr.balanceOf(address(insurance));
        market.flush(deal);
        vm.assertEq(ankr.balanceOf(address(insurance)), before + ankrWei);
    }
}
