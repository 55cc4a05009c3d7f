// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {Timelocked} from "../governance/Timelocked.sol";
import {IAggregatorV3} from "../interfaces/IAggregatorV3.sol";
import {IPolicy, Parameter} from "../interfaces/IPolicy.sol";
import {IPrices} from "../interfaces/IPrices.sol";

/// @title Prices of ANKR and ETH, refused rather than guessed (Q10, R30)
contract Prices is Timelocked, IPrices {
    /// @inheritdoc IPrices
    uint256 public constant PRICE_MIN = 10 ** 9;

    /// @inheritdoc IPrices
    /// @dev With `PRICE_MIN`, the price of one in the other is from 1 to 10^36 wei: never 0, and far
    ///      from overflowing where it is multiplied by an amount.
    uint256 public constant PRICE_MAX = 10 ** 27;

    uint256 private constant ONE = 10 ** 18;
    uint256 private constant BPS = 10_000;
    uint8 private constant DECIMALS_MAX = 18;

    /// @dev What is known of one price.
    struct Quote {
        IAggregatorV3 feed;
        uint48 suspectAt;
        uint48 movedAt;
        uint128 base;
        uint128 suspect;
    }

    /// @notice Where the limits of age and movement stand.
    IPolicy public immutable POLICY;

    mapping(Asset => Quote) private _quotes;

    /// @param timelock Who may replace the feeds.
    /// @param policy   Where the limits of age and movement stand.
    /// @param ankrUsd  The price of ANKR.
    /// @param ethUsd   The price of ETH.
    constructor(address timelock, IPolicy policy, Source memory ankrUsd, Source memory ethUsd)
        Timelocked(timelock)
    {
        POLICY = policy;
        _setFeeds(ankrUsd, ethUsd);
    }

    /// @inheritdoc IPrices
    function poke() external {
        _poke(Asset.Ankr);
        _poke(Asset.Eth);
    }

    /// @inheritdoc IPrices
    function setFeeds(Source calldata ankrUsd, Source calldata ethUsd) external onlyTimelock {
        _setFeeds(ankrUsd, ethUsd);
    }

    /// @inheritdoc IPrices
    function ankrOfUsd(uint256 usd) external view returns (uint256) {
        return Math.mulDiv(usd, ONE, _price(Asset.Ankr), Math.Rounding.Ceil);
    }

    /// @inheritdoc IPrices
    function ankrPerEth() external view returns (uint256) {
        return Math.mulDiv(_price(Asset.Eth), ONE, _price(Asset.Ankr));
    }

    /// @inheritdoc IPrices
    function suspectOf(Asset asset) external view returns (uint256 price, uint256 suspectAt) {
        Quote storage quote = _quotes[asset];
        price = quote.suspect;
        if (price != 0) suspectAt = quote.suspectAt;
    }

    /// @inheritdoc IPrices
    function sourceOf(Asset asset) public view returns (Source memory) {
        return Source(_quotes[asset].feed, _quotes[asset].base);
    }

    function _setFeeds(Source memory ankrUsd, Source memory ethUsd) private {
        emit FeedsSet(sourceOf(Asset.Ankr), sourceOf(Asset.Eth), ankrUsd, ethUsd);
        _setFeed(Asset.Ankr, ankrUsd);
        _setFeed(Asset.Eth, ethUsd);
    }

    function _setFeed(Asset asset, Source memory source) private {
        if (source.base < PRICE_MIN || source.base > PRICE_MAX) {
            revert BadBase(address(source.feed), source.base);
        }
        _decimalsOf(source.feed);
        _quotes[asset] = Quote(source.feed, 0, 0, SafeCast.toUint128(source.base), 0);
    }

    /// @dev A near price moves the reference once in `PriceConfirmS` too: else a price could be
    ///      walked anywhere in one block, step by step.
    function _poke(Asset asset) private {
        Quote storage quote = _quotes[asset];
        uint256 price = _read(quote.feed);
        if (_isNear(price, quote.base)) {
            quote.suspect = 0;
            if (price != quote.base && _hasLasted(quote.movedAt)) _move(asset, price);
        } else if (!_isSuspect(price, quote)) {
            quote.suspect = SafeCast.toUint128(price);
            quote.suspectAt = uint48(block.timestamp);
            emit PriceSuspected(asset, price, quote.base);
        } else if (_hasLasted(quote.suspectAt)) {
            _move(asset, price);
        }
    }

    function _move(Asset asset, uint256 price) private {
        Quote storage quote = _quotes[asset];
        emit BaseMoved(asset, quote.base, price);
        quote.base = SafeCast.toUint128(price);
        quote.suspect = 0;
        quote.movedAt = uint48(block.timestamp);
    }

    /// @dev The price to count with now, in 10^-18 USD.
    function _price(Asset asset) private view returns (uint256 price) {
        Quote storage quote = _quotes[asset];
        price = _read(quote.feed);
        if (!_isNear(price, quote.base)) {
            revert PriceMoved(address(quote.feed), price, quote.base);
        }
    }

    /// @dev What a feed says, in 10^-18 USD. A feed of 18 decimals or less loses nothing.
    function _read(IAggregatorV3 feed) private view returns (uint256) {
        // slither-disable-next-line unused-return -- when the round began is of no interest
        (uint80 roundId, int256 answer,, uint256 updatedAt, uint80 answeredInRound) =
            feed.latestRoundData();
        if (updatedAt == 0 || answeredInRound < roundId) {
            revert UnfinishedRound(address(feed), roundId, answeredInRound);
        }
        if (updatedAt > block.timestamp) revert FuturePrice(address(feed), updatedAt);
        uint256 ageSMax = POLICY.get(Parameter.PriceAgeSMax);
        if (block.timestamp - updatedAt > ageSMax) {
            revert StalePrice(address(feed), updatedAt, ageSMax);
        }
        if (answer <= 0) revert BadPrice(address(feed), answer);
        uint256 scale = 10 ** (DECIMALS_MAX - _decimalsOf(feed));
        uint256 price = Math.saturatingMul(SafeCast.toUint256(answer), scale);
        if (price < PRICE_MIN || price > PRICE_MAX) revert BadPrice(address(feed), answer);
        return price;
    }

    /// @dev Asked each time: what stands behind a feed's address may change.
    function _decimalsOf(IAggregatorV3 feed) private view returns (uint8 decimals) {
        decimals = feed.decimals();
        if (decimals > DECIMALS_MAX) revert BadDecimals(address(feed), decimals);
    }

    /// @dev Whether about this price was seen before, and not so long ago that the sighting is stale
    ///      itself: two spikes with a long time between them, in which nobody looked, are no market.
    function _isSuspect(uint256 price, Quote storage quote) private view returns (bool) {
        uint256 lastedSMax =
            POLICY.get(Parameter.PriceConfirmS) + POLICY.get(Parameter.PriceAgeSMax);
        bool isFresh = block.timestamp - quote.suspectAt <= lastedSMax;
        return quote.suspect != 0 && isFresh && _isNear(price, quote.suspect);
    }

    /// @dev Whether a price must last no longer to count.
    function _hasLasted(uint256 since) private view returns (bool) {
        return block.timestamp - since >= POLICY.get(Parameter.PriceConfirmS);
    }

    /// @dev Whether a price is at most `PriceMoveBpsMax` of `base` away from it.
    function _isNear(uint256 price, uint256 base) private view returns (bool) {
        uint256 distance = price > base ? price - base : base - price;
        return distance * BPS <= base * POLICY.get(Parameter.PriceMoveBpsMax);
    }
}
