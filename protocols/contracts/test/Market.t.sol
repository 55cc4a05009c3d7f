// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ScoreMath} from "../src/ScoreMath.sol";
import {IMarket} from "../src/interfaces/IMarket.sol";
import {Parameter, ProjectType, Resources, Rule} from "../src/interfaces/IPolicy.sol";
import {IScores, ScoreProof} from "../src/interfaces/IScores.sol";
import {IPrices} from "../src/interfaces/IPrices.sol";
import {Market} from "../src/market/Market.sol";
import {MarketKit} from "./lib/MarketKit.sol";

/// @dev R32, R40, R42, R43, R47-R50: the quote, and an auction up to its last opened bid.
contract MarketTest is MarketKit {
    function setUp() public {
        _begin(5);
    }

    // Quote: R47.

    function test_quote_SumsThePublishedPricesOverNeedAndTime() public view {
        (uint256 fpWei, uint256 ethStakeWei, uint256 expectedProfitWei) =
            market.quote(TYPE, _need(), HOUR_S);
        vm.assertEq(fpWei, FP);
        vm.assertEq(ethStakeWei, 32 ether);
        vm.assertEq(expectedProfitWei, uint256(32 ether) * 400 * 3_600 / (10_000 * 31_536_000));
    }

    function testFuzz_quote_RoundsThePriceUpAndTheProfitDown(
        Resources memory need,
        uint32 lengthS,
        uint64 profitBps
    ) public {
        vm.assume(lengthS != 0 && need.cpuMilli != 0);
        profitBps = uint64(bound(profitBps, 0, 10_000));
        _setType(_least());
        _set(Parameter.ProfitBpsPerYear, profitBps);
        (uint256 fpWei,, uint256 profitWei) = market.quote(TYPE, need, lengthS);
        uint256 perHour = need.cpuMilli * uint256(0.25 ether) + need.ramMb * uint256(0.025 ether)
            + need.storageGb * uint256(0.4 ether) + need.bandwidthMbps * uint256(2 ether);
        uint256 usd = fpWei / 50;
        vm.assertEq(usd * 50, fpWei);
        vm.assertTrue(usd * 3_600_000 >= perHour * lengthS);
        vm.assertTrue((usd - 1) * 3_600_000 < perHour * lengthS);
        uint256 profit = uint256(32 ether) * profitBps * lengthS;
        uint256 year = 10_000 * uint256(31_536_000);
        vm.assertTrue(profitWei * year <= profit && (profitWei + 1) * year > profit);
    }

    function test_quote_RevertWhen_TheTypeIsClosed() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.TypeClosed.selector, 7));
        market.quote(7, _need(), HOUR_S);
    }

    /// @dev R42: each resource is held against the type's.
    function test_quote_RevertWhen_ItNeedsLessThanItsType() public {
        for (uint256 i = 0; i < 4; ++i) {
            Resources memory need = _need();
            if (i == 0) --need.cpuMilli;
            if (i == 1) --need.ramMb;
            if (i == 2) --need.storageGb;
            if (i == 3) --need.bandwidthMbps;
            vm.expectRevert(abi.encodeWithSelector(IMarket.NeedTooSmall.selector, TYPE));
            market.quote(TYPE, need, HOUR_S);
        }
    }

    /// @dev A type that needs next to nothing.
    function _least() private pure returns (ProjectType memory kind) {
        kind = _typeOf(Rule.FirstPrice, 1);
        kind.need = Resources({cpuMilli: 1, ramMb: 0, storageGb: 0, bandwidthMbps: 0});
    }

    function test_quote_RevertWhen_ItTakesNoTime() public {
        vm.expectRevert(IMarket.ZeroLength.selector);
        market.quote(TYPE, _need(), 0);
    }

    /// @dev R30, Q10: a price is refused, never guessed.
    function test_quote_RevertWhen_ThePriceIsStale() public {
        uint256 ageSMax = policy.get(Parameter.PriceAgeSMax);
        (,,, uint256 updatedAt,) = ankrUsd.latestRoundData();
        vm.warp(updatedAt + ageSMax + 1);
        bytes4 selector = IPrices.StalePrice.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, address(ankrUsd), updatedAt, ageSMax));
        market.quote(TYPE, _need(), HOUR_S);
    }

    // Open: R40, R43, R49.

    function test_open_TakesTheFixedPriceInAnkrAndNothingElse() public {
        uint256 before = ankr.balanceOf(RITA);
        uint64 round = _drawRoundFrom(block.timestamp + COMMIT_S + REVEAL_S);
        vm.expectEmit(address(market));
        emit IMarket.Opened(1, RITA, TYPE, FP, round, scoreEpoch);
        vm.prank(RITA);
        vm.assertEq(market.open(_request(), FP), 1);
        vm.assertEq(market.deals(), 1);
        vm.assertEq(ankr.balanceOf(RITA), before - FP);
        vm.assertEq(ankr.balanceOf(address(market)), FP);
    }

    function test_open_FixesAllRulesBeforeAnyBid() public {
        IMarket.Auction memory fixedThen = market.auctionOf(_open());
        vm.assertEq(fixedThen.requester, RITA);
        vm.assertEq(uint256(fixedThen.stage), uint256(IMarket.Stage.Open));
        vm.assertEq(fixedThen.commitUntilS, block.timestamp + COMMIT_S);
        vm.assertEq(fixedThen.revealUntilS, block.timestamp + COMMIT_S + REVEAL_S);
        vm.assertEq(fixedThen.chooseUntilS, fixedThen.revealUntilS);
        vm.assertEq(fixedThen.drawUntilS, _dueS(fixedThen.drawRound) + DRAW_S);
        vm.assertEq(fixedThen.bondWei, BOND);
        vm.assertEq(fixedThen.stakeWeiMax, STAKE_MAX);
        vm.assertEq(fixedThen.ethStakeWei, 32 ether);
        vm.assertEq(fixedThen.shortlist, 3);
        _changeThePolicy();
        vm.assertEq(keccak256(abi.encode(market.auctionOf(1))), keccak256(abi.encode(fixedThen)));
    }

    /// @dev What governors do after the opening meets the next auction, not this one.
    function _changeThePolicy() private {
        _setType(Rule.Vickrey, 1);
        _set(Parameter.BidBond, 2 * BOND);
        _set(Parameter.StakeMax, 2 * STAKE_MAX);
        _set(Parameter.CommitS, 1);
        _set(Parameter.DrawS, 1);
    }

    function testFuzz_open_TakesTheFirstRoundDueAPeriodAfterTheLastBid(uint32 waitS) public {
        vm.warp(block.timestamp + waitS);
        IMarket.Auction memory auction = market.auctionOf(_open());
        uint256 fromMs = uint256(auction.revealUntilS) * 1000 + BEACON_PERIOD_MS;
        uint256 dueMs = BEACON_GENESIS_MS + uint256(auction.drawRound - 1) * BEACON_PERIOD_MS;
        vm.assertTrue(dueMs >= fromMs && dueMs < fromMs + BEACON_PERIOD_MS);
    }

    function test_open_TakesRoundOneOfABeaconThatStartsLater() public {
        IMarket.Setup memory setup = _setupOf(BEACON_PERIOD_MS);
        setup.beaconGenesisMs = uint64(block.timestamp * 1000 + 10 ** 9);
        _use(new Market(setup), 0);
        IMarket.Auction memory auction = market.auctionOf(_open());
        vm.assertEq(auction.drawRound, 1);
        vm.assertEq(auction.drawUntilS, (setup.beaconGenesisMs + 999) / 1000 + DRAW_S);
    }

    function test_open_RevertWhen_TheEpochIsNotTheLatestFinalOne() public {
        IMarket.Request memory request = _request();
        _opens(request, scoreEpoch + 1);
        uint64 next = _anchorNext(false);
        _opens(request, next);
        vm.warp(anchors.finalAt(next));
        _opens(request, scoreEpoch);
        request.scoreEpoch = next;
        vm.prank(RITA);
        vm.assertEq(market.open(request, FP), 1);
    }

    function _opens(IMarket.Request memory request, uint64 epoch) private {
        request.scoreEpoch = epoch;
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotLatestEpoch.selector, epoch));
        vm.prank(RITA);
        market.open(request, FP);
    }

    function test_open_RevertWhen_ThePriceRoseAboveWhatTheRequesterWillPay() public {
        IMarket.Request memory request = _request();
        vm.expectRevert(abi.encodeWithSelector(IMarket.FixedPriceAbove.selector, FP, FP - 1));
        vm.prank(RITA);
        market.open(request, FP - 1);
    }

    function test_open_RevertWhen_TheFixedPriceIsNotPaid() public {
        bytes4 selector = IERC20Errors.ERC20InsufficientAllowance.selector;
        vm.expectRevert(abi.encodeWithSelector(selector, address(market), 0, FP));
        vm.prank(address(0x9009));
        market.open(_request(), FP);
    }

    function test_constructor_RevertWhen_TheBeaconStandsStill() public {
        IMarket.Setup memory setup = _setupOf(0);
        vm.expectRevert(IMarket.ZeroBeaconPeriod.selector);
        new Market(setup);
    }

    // Commit.

    function test_commit_TakesTheBondAndShowsNoPrice() public {
        uint256 deal = _open();
        uint256 before = ankr.balanceOf(_who(0));
        bytes32 commitment = market.commitmentOf(deal, _who(0), 0, 60 ether, _salt(0));
        vm.expectEmit(address(market));
        emit IMarket.Committed(deal, _who(0), commitment);
        _commit(deal, 0, 60 ether);
        vm.assertEq(ankr.balanceOf(_who(0)), before - BOND);
        vm.assertEq(market.bidOf(deal, _who(0)).commitment, commitment);
        vm.assertEq(market.auctionOf(deal).committed, 1);
    }

    function test_commitmentOf_IsTheHashThatTheInterfaceSays() public view {
        bytes32 tag = "stkr/market-bid/1";
        bytes32 salt = "salt";
        bytes32 expected = keccak256(abi.encode(tag, block.chainid, market, 5, RITA, 6, 7, salt));
        vm.assertEq(market.commitmentOf(5, RITA, 6, 7, salt), expected);
    }

    function test_commit_RevertWhen_ItComesTooLate() public {
        uint256 deal = _open();
        _toReveal(deal);
        vm.expectRevert(_outside(deal, 0, block.timestamp));
        vm.prank(_who(0));
        market.commit(deal, "sealed");
    }

    function test_commit_RevertWhen_TheProviderIsNotEligible() public {
        uint256 deal = _open();
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotEligible.selector, deal, RITA));
        vm.prank(RITA);
        market.commit(deal, "sealed");
    }

    function test_commit_RevertWhen_ThereIsNoSuchAuction() public {
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOpen.selector, 9));
        vm.prank(_who(0));
        market.commit(9, "sealed");
    }

    // Reveal: R50's filter.

    function test_reveal_RecordsAllThatTheDrawDependsOn() public {
        uint256 deal = _open();
        _commit(deal, 4, 60 ether);
        _toReveal(deal);
        IMarket.Entry memory entry = IMarket.Entry({
            provider: _who(4),
            registration: 4,
            reliabilityPpm: 900_000,
            uptimePpm: 950_000,
            priceWei: 60 ether,
            stakeWei: STAKE
        });
        ScoreProof memory proof = _proofOf(4);
        vm.expectEmit(address(market));
        emit IMarket.Revealed(deal, _who(4), entry);
        vm.prank(_who(4));
        market.reveal(deal, 4, 60 ether, _salt(4), proof);
        vm.assertEq(keccak256(abi.encode(market.entriesOf(deal)[0])), keccak256(abi.encode(entry)));
        vm.assertEq(market.auctionOf(deal).revealed, 1);
    }

    function test_reveal_TakesABidOfNothingAndOneOfTheFixedPrice() public {
        uint256 deal = _open();
        _commit(deal, 0, FP);
        _commit(deal, 1, 0);
        _toReveal(deal);
        _reveal(deal, 0, FP);
        _reveal(deal, 1, 0);
        vm.assertEq(market.entriesOf(deal)[0].provider, _who(1));
        vm.assertEq(market.entriesOf(deal)[1].provider, _who(0));
    }

    function test_reveal_RevertWhen_ItIsNotTheTime() public {
        uint256 deal = _open();
        IMarket.Auction memory auction = market.auctionOf(deal);
        _commit(deal, 0, 60 ether);
        bytes memory refusal = _outside(deal, auction.commitUntilS, auction.revealUntilS);
        _refuses(deal, 0, 60 ether, refusal);
        _toChoice(deal);
        _refuses(deal, 0, 60 ether, refusal);
    }

    function test_reveal_RevertWhen_ItIsNotWhatWasSealed() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toReveal(deal);
        _refuses(deal, 0, 59 ether, _notCommitted(deal, 0, 59 ether));
        _refuses(deal, 1, 60 ether, _notCommitted(deal, 1, 60 ether));
        _reveal(deal, 0, 60 ether);
        _refuses(deal, 0, 60 ether, _notCommitted(deal, 0, 60 ether));
    }

    function test_reveal_RevertWhen_TheBidIsAboveTheFixedPrice() public {
        uint256 deal = _open();
        _commit(deal, 0, FP + 1);
        _toReveal(deal);
        bytes4 selector = IMarket.BidAboveFixedPrice.selector;
        _refuses(deal, 0, FP + 1, abi.encodeWithSelector(selector, FP + 1, FP));
    }

    function test_reveal_RevertWhen_TheProviderIsNoLongerEligible() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toReveal(deal);
        _ban(0);
        bytes4 selector = IMarket.NotEligible.selector;
        _refuses(deal, 0, 60 ether, abi.encodeWithSelector(selector, deal, _who(0)));
    }

    function test_reveal_RevertWhen_TheNodeServesAnother() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toReveal(deal);
        _occupy(0);
        bytes4 selector = IMarket.NodeNotFree.selector;
        _refuses(deal, 0, 60 ether, abi.encodeWithSelector(selector, _who(0), 0));
    }

    function test_reveal_RevertWhen_TheNodeIsAnothers() public {
        uint256 deal = _open();
        bytes32 commitment = market.commitmentOf(deal, _who(0), 1, 60 ether, _salt(0));
        vm.prank(_who(0));
        market.commit(deal, commitment);
        _toReveal(deal);
        ScoreProof memory proof = _proofOf(1);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NodeNotFree.selector, _who(0), 1));
        vm.prank(_who(0));
        market.reveal(deal, 1, 60 ether, _salt(0), proof);
    }

    function test_reveal_RevertWhen_TheScoreIsOfAnotherEpoch() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toReveal(deal);
        ScoreProof memory proof = _proofOf(0);
        uint64 other = scoreEpoch - 1;
        proof.header.epoch = other;
        vm.expectRevert(abi.encodeWithSelector(IMarket.OtherEpoch.selector, other, scoreEpoch));
        vm.prank(_who(0));
        market.reveal(deal, 0, 60 ether, _salt(0), proof);
    }

    function test_reveal_RevertWhen_TheScoreIsNotProved() public {
        uint256 deal = _open();
        _commit(deal, 0, 60 ether);
        _toReveal(deal);
        ScoreProof memory proof = _proofOf(0);
        proof.words[14] = bytes32(uint256(1_000_000));
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, scoreEpoch));
        vm.prank(_who(0));
        market.reveal(deal, 0, 60 ether, _salt(0), proof);
    }

    function _refuses(uint256 deal, uint256 i, uint256 priceWei, bytes memory refusal) private {
        ScoreProof memory proof = _proofOf(i);
        vm.expectRevert(refusal);
        vm.prank(_who(i));
        market.reveal(deal, i, priceWei, _salt(i), proof);
    }

    function _notCommitted(uint256 deal, uint256 i, uint256 priceWei)
        private
        view
        returns (bytes memory)
    {
        bytes32 commitment = market.commitmentOf(deal, _who(i), i, priceWei, _salt(i));
        return abi.encodeWithSelector(IMarket.NotCommitted.selector, deal, _who(i), commitment);
    }

    function _outside(uint256 deal, uint256 earliestS, uint256 untilS)
        private
        pure
        returns (bytes memory)
    {
        return abi.encodeWithSelector(IMarket.OutsideTime.selector, deal, earliestS, untilS);
    }

    function _drawRoundFrom(uint256 timeS) private pure returns (uint64) {
        uint256 sinceMs = timeS * 1000 + BEACON_PERIOD_MS - BEACON_GENESIS_MS;
        return uint64((sinceMs + BEACON_PERIOD_MS - 1) / BEACON_PERIOD_MS + 1);
    }
}

/// @dev R50: providers whose anchored score is below the type's minimum do not get into the draw.
contract MarketFilterTest is MarketKit {
    uint32[4] private reliabilities = [uint32(499_999), 900_000, 900_000, 500_000];
    uint32[4] private uptimes = [uint32(950_000), 599_999, 950_000, 600_000];
    uint8[4] private states = [uint8(1), 1, 3, 2];

    function setUp() public {
        _begin(4);
        for (uint256 i = 0; i < 4; ++i) {
            _score(i, reliabilities[i], uptimes[i], states[i], ScoreMath.UP);
        }
        scoreEpoch = _finalEpoch();
    }

    function test_reveal_RevertWhen_TheAnchoredScoreIsTooLow() public {
        uint256 deal = _open();
        for (uint256 i = 0; i < 4; ++i) {
            _commit(deal, i, 60 ether);
        }
        _toReveal(deal);
        for (uint256 i = 0; i < 3; ++i) {
            ScoreProof memory proof = _proofOf(i);
            vm.expectRevert(
                abi.encodeWithSelector(
                    IMarket.ScoreTooLow.selector, reliabilities[i], uptimes[i], states[i]
                )
            );
            vm.prank(_who(i));
            market.reveal(deal, i, 60 ether, _salt(i), proof);
        }
        _reveal(deal, 3, 60 ether);
        vm.assertEq(market.entriesOf(deal).length, 1);
    }
}
