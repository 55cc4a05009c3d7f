// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Policy} from "../src/governance/Policy.sol";
import {IAggregatorV3} from "../src/interfaces/IAggregatorV3.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {IPrices} from "../src/interfaces/IPrices.sol";
import {ITimelocked} from "../src/interfaces/ITimelocked.sol";
import {Prices} from "../src/market/Prices.sol";
import {TestFeed} from "../src/market/TestFeed.sol";
import {PolicyKit} from "./lib/PolicyKit.sol";

/// @dev A feed that says whatever it is told to.
contract LooseFeed is IAggregatorV3 {
    uint8 public decimals = 8;
    uint80 private _roundId;
    int256 private _answer;
    uint256 private _updatedAt;
    uint80 private _answeredInRound;

    function say(uint80 roundId, int256 answer, uint256 updatedAt, uint80 answeredInRound)
        external
    {
        (_roundId, _answer, _updatedAt, _answeredInRound) =
        (roundId, answer, updatedAt, answeredInRound);
    }

    function setDecimals(uint8 given) external {
        decimals = given;
    }

    function latestRoundData() external view returns (uint80, int256, uint256, uint256, uint80) {
        return (_roundId, _answer, _updatedAt, _updatedAt, _answeredInRound);
    }
}

/// @dev Q10: a stale price is refused. R30: losses in ETH are paid whatever ANKR does meanwhile.
contract PricesTest is PolicyKit {
    address private constant TIMELOCK = address(0x71);
    int256 private constant ANKR_USD = 10 ** 6; // 0.01 USD, of 8 decimals
    int256 private constant ETH_USD = 2_500 * 10 ** 8;
    uint256 private constant CENT = 10 ** 16;
    uint256 private constant START_S = 1_000_000;

    Policy private policy;
    TestFeed private ankrFeed;
    TestFeed private ethFeed;
    Prices private prices;
    uint256 private confirmS;
    uint256 private ageSMax;

    function setUp() public {
        vm.warp(START_S);
        policy = _policy(TIMELOCK);
        ankrFeed = new TestFeed(8, ANKR_USD);
        ethFeed = new TestFeed(8, ETH_USD);
        prices = new Prices(TIMELOCK, policy, _ankr(ankrFeed), _eth());
        confirmS = policy.get(Parameter.PriceConfirmS);
        ageSMax = policy.get(Parameter.PriceAgeSMax);
    }

    // What a price is.

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_ankrPerEth_isOnePriceInTheOther() public {
        vm.assertEq(prices.ankrPerEth(), 250_000 ether);
        ankrFeed.set(ANKR_USD - 1);
        // 2,500 / 0.00999999, rounded down.
        vm.assertEq(prices.ankrPerEth(), 250_000_250_000_250_000_250_000);
        vm.snapshotGasLastCall("ankrPerEth");
    }

    function test_ankrOfUsd_isRoundedUp() public {
        vm.assertEq(prices.ankrOfUsd(0), 0);
        vm.assertEq(prices.ankrOfUsd(1), 100);
        ankrFeed.set(1_100_000);
        // 1 / 0.011 = 90.9…
        vm.assertEq(prices.ankrOfUsd(1), 91);
    }

    function testFuzz_ankrOfUsd_isTheLeastThatPaysTheAmount(uint128 usd, uint256 answer) public {
        answer = bound(answer, 800_000, 1_200_000);
        ankrFeed.set(SafeCast.toInt256(answer));
        uint256 ankr = prices.ankrOfUsd(usd);
        uint256 price = answer * 10 ** 10;
        vm.assertTrue(ankr * price >= uint256(usd) * 10 ** 18);
        if (ankr > 0) vm.assertTrue((ankr - 1) * price < uint256(usd) * 10 ** 18);
    }

    function testFuzz_prices_areTheSameWhateverTheDecimals(uint8 decimals) public {
        decimals = uint8(bound(decimals, 2, 18));
        TestFeed feed = new TestFeed(decimals, SafeCast.toInt256(10 ** (decimals - 2)));
        prices = new Prices(TIMELOCK, policy, _ankr(feed), _eth());
        vm.assertEq(prices.ankrPerEth(), 250_000 ether);
        vm.assertEq(prices.ankrOfUsd(1 ether), 100 ether);
    }

    /// @dev 10^-9 USD for one and 10^9 USD for the other, both ways round.
    function test_ankrPerEth_isNeverZeroAndNeverOverflows() public {
        IPrices.Source memory least = IPrices.Source(new TestFeed(18, 10 ** 9), 10 ** 9);
        IPrices.Source memory most = IPrices.Source(new TestFeed(18, 10 ** 27), 10 ** 27);
        vm.assertEq(new Prices(TIMELOCK, policy, most, least).ankrPerEth(), 1);
        vm.assertEq(new Prices(TIMELOCK, policy, least, most).ankrPerEth(), 10 ** 36);
    }

    function test_testFeed_countsItsRounds() public {
        vm.warp(START_S + 5);
        vm.expectEmit(address(ethFeed));
        emit TestFeed.Answered(2, 7);
        ethFeed.set(7);
        (uint80 roundId, int256 answer, uint256 startedAt, uint256 updatedAt, uint80 answeredIn) =
            ethFeed.latestRoundData();
        vm.assertEq(abi.encode(roundId, answer, answeredIn), abi.encode(2, 7, 2));
        vm.assertEq(abi.encode(startedAt, updatedAt), abi.encode(START_S + 5, START_S + 5));
    }

    // Refused, never guessed (Q10).

    function test_stalePrice_isRefusedOnceItIsTooOld() public {
        vm.warp(START_S + ageSMax);
        prices.ankrPerEth();
        uint256 laterS = START_S + ageSMax + 1;
        vm.warp(laterS);
        ethFeed.set(ETH_USD);
        bytes4 stale = IPrices.StalePrice.selector;
        _isRefused(abi.encodeWithSelector(stale, ankrFeed, START_S, ageSMax));
        ankrFeed.set(ANKR_USD);
        prices.ankrPerEth();
        vm.warp(laterS + ageSMax + 1);
        ankrFeed.set(ANKR_USD);
        vm.expectRevert(abi.encodeWithSelector(stale, ethFeed, laterS, ageSMax));
        prices.ankrPerEth();
    }

    function test_priceFromTheFuture_isRefused() public {
        LooseFeed feed = _loose();
        feed.say(1, ANKR_USD, START_S + 1, 1);
        _isRefused(abi.encodeWithSelector(IPrices.FuturePrice.selector, feed, START_S + 1));
    }

    function test_unfinishedRound_isRefused() public {
        LooseFeed feed = _loose();
        bytes4 unfinished = IPrices.UnfinishedRound.selector;
        feed.say(2, ANKR_USD, START_S, 1);
        _isRefused(abi.encodeWithSelector(unfinished, feed, 2, 1));
        feed.say(2, ANKR_USD, 0, 2);
        _isRefused(abi.encodeWithSelector(unfinished, feed, 2, 2));
    }

    function test_absurdPrice_isRefused() public {
        LooseFeed feed = _loose();
        int256[5] memory absurd = [type(int256).min, -1, int256(0), 10 ** 17 + 1, type(int256).max];
        for (uint256 i = 0; i < absurd.length; ++i) {
            feed.say(1, absurd[i], START_S, 1);
            _isRefused(abi.encodeWithSelector(IPrices.BadPrice.selector, feed, absurd[i]));
        }
    }

    function test_priceBelowABillionthOfADollar_isRefused() public {
        LooseFeed feed = _loose();
        feed.setDecimals(18);
        feed.say(1, 10 ** 9 - 1, START_S, 1);
        _isRefused(abi.encodeWithSelector(IPrices.BadPrice.selector, feed, 10 ** 9 - 1));
    }

    function test_feedThatGrowsTooManyDecimals_isRefused() public {
        LooseFeed feed = _loose();
        feed.say(1, ANKR_USD, START_S, 1);
        prices.ankrPerEth();
        feed.setDecimals(19);
        _isRefused(abi.encodeWithSelector(IPrices.BadDecimals.selector, feed, 19));
    }

    // Manipulated prices (R30).

    function test_manipulatedPrice_isRefusedJustBeyondTheBound() public {
        ankrFeed.set(1_200_000);
        prices.ankrPerEth();
        ankrFeed.set(1_200_001);
        _isRefusedAsMoved(12_000_010 * 10 ** 9);
        ankrFeed.set(800_000);
        prices.ankrPerEth();
        ankrFeed.set(799_999);
        _isRefusedAsMoved(7_999_990 * 10 ** 9);
    }

    function test_manipulatedPrice_oneSpikeWithinABlockMovesNothing() public {
        ankrFeed.set(3 * ANKR_USD);
        prices.poke();
        prices.poke();
        _isRefusedAsMoved(3 * CENT);
        ankrFeed.set(ANKR_USD);
        prices.poke();
        vm.assertEq(prices.sourceOf(IPrices.Asset.Ankr).base, CENT);
        vm.assertEq(prices.ankrPerEth(), 250_000 ether);
    }

    /// @dev Each step is within the bound, and all together go far beyond it.
    function test_manipulatedPrice_cannotBeWalkedWithinABlock() public {
        for (int256 i = 1; i <= 3; ++i) {
            ankrFeed.set(ANKR_USD + i * 150_000);
            prices.poke();
        }
        vm.assertEq(prices.sourceOf(IPrices.Asset.Ankr).base, CENT * 115 / 100);
        _isSuspected(CENT * 145 / 100, START_S);
    }

    function test_manipulatedPrice_thatWentAndComesBackBeginsAnew() public {
        ankrFeed.set(3 * ANKR_USD);
        prices.poke();
        ankrFeed.set(ANKR_USD);
        prices.poke();
        _isSuspected(0, 0);
        vm.warp(START_S + confirmS);
        ankrFeed.set(3 * ANKR_USD);
        prices.poke();
        vm.assertEq(prices.sourceOf(IPrices.Asset.Ankr).base, CENT);
        _isSuspected(3 * CENT, START_S + confirmS);
    }

    function test_manipulatedPrice_anotherSuspectBeginsAnew() public {
        ankrFeed.set(3 * ANKR_USD);
        prices.poke();
        vm.warp(START_S + confirmS);
        ankrFeed.set(5 * ANKR_USD);
        prices.poke();
        _isSuspected(5 * CENT, START_S + confirmS);
    }

    /// @dev Nobody looked in between: two spikes are no market.
    function test_manipulatedPrice_anOldSightingConfirmsNothing() public {
        ankrFeed.set(3 * ANKR_USD);
        prices.poke();
        vm.warp(START_S + confirmS + ageSMax + 1);
        ankrFeed.set(3 * ANKR_USD);
        ethFeed.set(ETH_USD);
        prices.poke();
        vm.assertEq(prices.sourceOf(IPrices.Asset.Ankr).base, CENT);
        _isSuspected(3 * CENT, START_S + confirmS + ageSMax + 1);
    }

    /// forge-config: default.isolate = true
    /// forge-config: ci.isolate = true
    function test_realMove_isFollowedOnceItHasLasted() public {
        ankrFeed.set(3 * ANKR_USD);
        vm.expectEmit(address(prices));
        emit IPrices.PriceSuspected(IPrices.Asset.Ankr, 3 * CENT, CENT);
        prices.poke();
        vm.snapshotGasLastCall("poke, one price suspected");
        vm.warp(START_S + confirmS - 1);
        ankrFeed.set(2_900_000);
        prices.poke();
        _isRefusedAsMoved(29 * 10 ** 15);
        _isSuspected(3 * CENT, START_S);
        vm.warp(START_S + confirmS);
        vm.expectEmit(address(prices));
        emit IPrices.BaseMoved(IPrices.Asset.Ankr, CENT, 29 * 10 ** 15);
        prices.poke();
        vm.snapshotGasLastCall("poke, one price confirmed");
        _isSuspected(0, 0);
        vm.assertEq(prices.ankrOfUsd(29), 1_000);
    }

    function test_realMove_withinTheBoundIsFollowedAtOnce() public {
        ethFeed.set(ETH_USD / 10 * 12);
        vm.expectEmit(address(prices));
        emit IPrices.BaseMoved(IPrices.Asset.Eth, 2_500 ether, 3_000 ether);
        prices.poke();
        ethFeed.set(ETH_USD / 10 * 14);
        vm.assertEq(prices.ankrPerEth(), 350_000 ether);
        prices.poke();
        vm.assertEq(prices.sourceOf(IPrices.Asset.Eth).base, 3_000 ether);
        vm.warp(START_S + confirmS);
        prices.poke();
        vm.assertEq(prices.sourceOf(IPrices.Asset.Eth).base, 3_500 ether);
    }

    function test_poke_refusesWhatIsRefused() public {
        ankrFeed.set(0);
        vm.expectRevert(abi.encodeWithSelector(IPrices.BadPrice.selector, ankrFeed, 0));
        prices.poke();
    }

    // New feeds.

    function test_setFeeds_replacesADeadFeed() public {
        vm.warp(START_S + ageSMax + 1);
        ethFeed.set(ETH_USD);
        TestFeed feed = new TestFeed(18, SafeCast.toInt256(2 * CENT));
        IPrices.Source memory ankr = IPrices.Source(feed, 2 * CENT);
        IPrices.Source memory before = _ankr(ankrFeed);
        vm.expectEmit(address(prices));
        emit IPrices.FeedsSet(before, _eth(), ankr, _eth());
        vm.prank(TIMELOCK);
        prices.setFeeds(ankr, _eth());
        vm.assertEq(prices.ankrPerEth(), 125_000 ether);
        vm.assertEq(address(prices.sourceOf(IPrices.Asset.Ankr).feed), address(feed));
    }

    /// @dev Whoever executes a decision picks the block. A spike in it must not become the reference.
    function test_setFeeds_takesTheReferenceThatWasDecided() public {
        ankrFeed.set(3 * ANKR_USD);
        vm.prank(TIMELOCK);
        prices.setFeeds(_ankr(ankrFeed), _eth());
        _isRefusedAsMoved(3 * CENT);
    }

    function test_setFeeds_forgetsSuspects() public {
        ankrFeed.set(3 * ANKR_USD);
        prices.poke();
        vm.prank(TIMELOCK);
        prices.setFeeds(_ankr(ankrFeed), _eth());
        _isSuspected(0, 0);
    }

    function test_setFeeds_RevertWhen_TheReferenceIsAbsurd() public {
        uint256[3] memory absurd = [0, 10 ** 9 - 1, uint256(10 ** 27 + 1)];
        for (uint256 i = 0; i < absurd.length; ++i) {
            vm.expectRevert(abi.encodeWithSelector(IPrices.BadBase.selector, ankrFeed, absurd[i]));
            vm.prank(TIMELOCK);
            prices.setFeeds(IPrices.Source(ankrFeed, absurd[i]), _eth());
        }
    }

    function test_setFeeds_RevertWhen_AFeedHasTooManyDecimals() public {
        TestFeed feed = new TestFeed(19, 1);
        vm.expectRevert(abi.encodeWithSelector(IPrices.BadDecimals.selector, feed, 19));
        vm.prank(TIMELOCK);
        prices.setFeeds(_ankr(feed), _eth());
    }

    function testFuzz_setFeeds_RevertWhen_TheCallerIsNotTheTimelock(address caller) public {
        vm.assume(caller != TIMELOCK);
        vm.expectRevert(abi.encodeWithSelector(ITimelocked.NotTimelock.selector, caller));
        vm.prank(caller);
        prices.setFeeds(_ankr(ankrFeed), _eth());
    }

    /// @dev Prices with this feed for ANKR.
    function _loose() private returns (LooseFeed feed) {
        feed = new LooseFeed();
        prices = new Prices(TIMELOCK, policy, _ankr(feed), _eth());
    }

    /// @dev Every reader refuses for the same reason, and the poke does too.
    function _isRefused(bytes memory reason) private {
        vm.expectRevert(reason);
        prices.ankrOfUsd(1);
        vm.expectRevert(reason);
        prices.ankrPerEth();
        vm.expectRevert(reason);
        prices.poke();
    }

    function _isRefusedAsMoved(uint256 price) private {
        bytes memory reason =
            abi.encodeWithSelector(IPrices.PriceMoved.selector, ankrFeed, price, CENT);
        vm.expectRevert(reason);
        prices.ankrOfUsd(1);
        vm.expectRevert(reason);
        prices.ankrPerEth();
    }

    function _isSuspected(uint256 price, uint256 since) private view {
        (uint256 suspect, uint256 suspectAt) = prices.suspectOf(IPrices.Asset.Ankr);
        vm.assertEq(suspect, price);
        vm.assertEq(suspectAt, since);
    }

    function _eth() private view returns (IPrices.Source memory) {
        return IPrices.Source(ethFeed, 2_500 ether);
    }

    function _ankr(IAggregatorV3 feed) private pure returns (IPrices.Source memory) {
        return IPrices.Source(feed, CENT);
    }
}
