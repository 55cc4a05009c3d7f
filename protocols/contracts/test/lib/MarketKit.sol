// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BeaconVerifier} from "../../src/BeaconVerifier.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {IPolicy, Parameter, ProjectType, Resources, Rule} from "../../src/interfaces/IPolicy.sol";
import {IPrices} from "../../src/interfaces/IPrices.sol";
import {IProviders, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {Market} from "../../src/market/Market.sol";
import {AnchorKit} from "./AnchorKit.sol";
import {SomeDeals, SomePolicy, SomePot, SomePrices, SomeProviders} from "./MarketStandIns.sol";
import {Signer} from "./Signer.sol";

/// @dev A market with providers whose scores are anchored and final, and a beacon of one key.
abstract contract MarketKit is AnchorKit {
    address internal constant RITA = address(0x417a);
    uint256 internal constant PROVIDERS = 40;
    uint16 internal constant TYPE = 1;
    uint256 internal constant BOND = 10 ether;
    uint128 internal constant STAKE = 1_000 ether;
    uint128 internal constant STAKE_MAX = 5_000 ether;
    uint32 internal constant HOUR_S = 3_600;

    uint256 internal constant COMMIT_S = 600;
    uint256 internal constant REVEAL_S = 300;
    uint256 internal constant CHOICE_S = 120;
    uint256 internal constant DRAW_S = 900;

    uint256 internal constant BEACON_SECRET = 0xbeac0;
    uint64 internal constant BEACON_GENESIS_MS = 999_999_000;
    uint64 internal constant BEACON_PERIOD_MS = 3_000;
    bytes private constant BEACON_DOMAIN = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

    /// @dev What a node's score comes to.
    struct Score {
        uint32 reliabilityPpm;
        uint32 uptimePpm;
        uint8 state;
    }

    SomePolicy internal policy;
    SomePrices internal prices;
    SomeProviders internal providers;
    SomeDeals internal deals;
    SomePot internal insurance;
    Market internal market;

    Score[PROVIDERS] internal scores;

    bytes32[] private _leaves;
    bytes32 private _scoreRoot;

    constructor() {
        policy = new SomePolicy();
        prices = new SomePrices();
        providers = new SomeProviders(anchors);
        deals = new SomeDeals(ankr);
        insurance = new SomePot(ankr);
        market = new Market(_setupOf(BEACON_PERIOD_MS));
        _setNumbers();
        _setType(Rule.FirstPrice, 3);
        prices.set(0.02 ether);
        for (uint256 i = 0; i < PROVIDERS; ++i) {
            providers.add(_who(i), i, STAKE);
            scores[i] = Score(900_000, 950_000, 1);
            _fund(_who(i), 10 ** 6 * BOND);
        }
        _fund(RITA, 10 ** 24);
    }

    function _setupOf(uint64 periodMs) internal returns (IMarket.Setup memory) {
        return IMarket.Setup({
            token: ankr,
            policy: IPolicy(address(policy)),
            prices: IPrices(address(prices)),
            providers: IProviders(address(providers)),
            deals: IDeals(address(deals)),
            beacon: new BeaconVerifier(Signer.publicKey(BEACON_SECRET)),
            beaconGenesisMs: BEACON_GENESIS_MS,
            beaconPeriodMs: periodMs,
            anchor: anchors,
            insurance: insurance
        });
    }

    function _setNumbers() private {
        policy.set(Parameter.BidBond, BOND);
        policy.set(Parameter.StakeMax, STAKE_MAX);
        policy.set(Parameter.UsdPerCoreHour, 0.5 ether);
        policy.set(Parameter.UsdPerRamGbHour, 0.05 ether);
        policy.set(Parameter.UsdPerStorageGbHour, 0.004 ether);
        policy.set(Parameter.UsdPerMbpsHour, 0.002 ether);
        policy.set(Parameter.ProfitBpsPerYear, 400);
        policy.set(Parameter.CommitS, COMMIT_S);
        policy.set(Parameter.RevealS, REVEAL_S);
        policy.set(Parameter.ChoiceS, CHOICE_S);
        policy.set(Parameter.DrawS, DRAW_S);
    }

    function _setType(Rule rule, uint8 shortlist) internal {
        policy.setProjectType(TYPE, _typeOf(rule, shortlist));
    }

    function _typeOf(Rule rule, uint8 shortlist) internal pure returns (ProjectType memory) {
        return ProjectType({
            isOpen: true,
            rule: rule,
            shortlist: shortlist,
            reliabilityPpmMin: 500_000,
            uptimePpmMin: 600_000,
            failuresMax: 2,
            ethStakeWei: 32 ether,
            need: _need()
        });
    }

    /// @dev An hour of it costs 2 USD: 100 ANKR.
    function _need() internal pure returns (Resources memory) {
        return Resources({cpuMilli: 2_000, ramMb: 8_000, storageGb: 100, bandwidthMbps: 100});
    }

    function _request() internal pure returns (IMarket.Request memory) {
        return IMarket.Request({projectType: TYPE, lengthS: HOUR_S, need: _need(), scoreEpoch: 0});
    }

    function _who(uint256 i) internal pure returns (address) {
        return address(uint160(0xb0b000 + i));
    }

    function _fund(address who, uint256 amount) internal {
        _give(who, amount);
        vm.prank(who);
        ankr.approve(address(market), type(uint256).max);
    }

    // Scores.

    /// @dev Anchors epoch 0 with `scores`, and waits until it is final.
    function _anchorScores() internal {
        delete _leaves;
        for (uint256 i = 0; i < PROVIDERS; ++i) {
            _leaves.push(_leaf(abi.encode(_wordsOf(i))));
        }
        _scoreRoot = _root(_leaves);
        _warpToSettled(0);
        _anchor(_scoreHeader());
        vm.warp(block.timestamp + CHALLENGE_S);
    }

    function _scoreHeader() internal view returns (IReputationAnchor.Header memory header) {
        header = _header(0);
        header.scoreRoot = _scoreRoot;
    }

    function _proofOf(uint256 i) internal view returns (ScoreProof memory) {
        return ScoreProof(_scoreHeader(), _wordsOf(i), _proof(_leaves, i));
    }

    function _wordsOf(uint256 i) private view returns (bytes32[16] memory words) {
        words[0] = bytes32(i);
        words[10] = bytes32(uint256(scores[i].state));
        words[12] = bytes32(uint256(scores[i].uptimePpm));
        words[14] = bytes32(uint256(scores[i].reliabilityPpm));
    }

    // Auctions.

    function _open() internal returns (uint256) {
        vm.prank(RITA);
        return market.open(_request(), type(uint256).max);
    }

    function _commit(uint256 deal, uint256 i, uint256 priceWei) internal {
        bytes32 commitment = market.commitmentOf(deal, _who(i), i, priceWei, _salt(i));
        vm.prank(_who(i));
        market.commit(deal, commitment);
    }

    function _reveal(uint256 deal, uint256 i, uint256 priceWei) internal {
        ScoreProof memory proof = _proofOf(i);
        vm.prank(_who(i));
        market.reveal(deal, i, priceWei, _salt(i), proof);
    }

    /// @dev Providers 0, 1, … bid these prices, in ANKR, and open their bids in this order.
    function _bidAll(uint256 deal, uint256[] memory ankrs) internal {
        for (uint256 i = 0; i < ankrs.length; ++i) {
            _commit(deal, i, ankrs[i] * 1 ether);
        }
        _toReveal(deal);
        for (uint256 i = 0; i < ankrs.length; ++i) {
            _reveal(deal, i, ankrs[i] * 1 ether);
        }
    }

    function _toReveal(uint256 deal) internal {
        vm.warp(market.auctionOf(deal).commitUntilS);
    }

    function _toChoice(uint256 deal) internal {
        vm.warp(market.auctionOf(deal).revealUntilS);
    }

    function _toDraw(uint256 deal) internal {
        vm.warp(_dueS(market.auctionOf(deal).drawRound));
    }

    function _toRefund(uint256 deal) internal {
        vm.warp(market.auctionOf(deal).drawUntilS);
    }

    function _draw(uint256 deal) internal {
        market.draw(deal, _beaconSignature(market.auctionOf(deal).drawRound));
    }

    function _dueS(uint64 round) internal pure returns (uint256) {
        return (BEACON_GENESIS_MS + uint256(round - 1) * BEACON_PERIOD_MS + 999) / 1000;
    }

    function _beaconSignature(uint64 round) internal view returns (bytes memory) {
        return _beaconSignature(BEACON_SECRET, round);
    }

    function _beaconSignature(uint256 secret, uint64 round) internal view returns (bytes memory) {
        return Signer.sign(secret, BEACON_DOMAIN, abi.encodePacked(sha256(abi.encodePacked(round))));
    }

    function _salt(uint256 i) internal pure returns (bytes32) {
        return keccak256(abi.encode("salt", i));
    }

    function _list(uint256 a, uint256 b, uint256 c) internal pure returns (uint256[] memory list) {
        list = new uint256[](3);
        (list[0], list[1], list[2]) = (a, b, c);
    }
}
