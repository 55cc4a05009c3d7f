// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BeaconVerifier} from "../../src/BeaconVerifier.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {Parameter, ProjectType, Rule} from "../../src/interfaces/IPolicy.sol";
import {IPrices} from "../../src/interfaces/IPrices.sol";
import {IRegistry} from "../../src/interfaces/IRegistry.sol";
import {MemberProof, ScoreProof} from "../../src/interfaces/IScores.sol";
import {Market} from "../../src/market/Market.sol";
import {Pot} from "../../src/market/Pot.sol";
import {Prices} from "../../src/market/Prices.sol";
import {TestFeed} from "../../src/market/TestFeed.sol";
import {ProviderKit} from "./ProviderKit.sol";
import {Signer} from "./Signer.sol";
import {SomeDeals} from "./SomeDeals.sol";

/// @dev A market whose providers have registered nodes, and scores that are anchored and final. The
///      beacon has one key. Nodes are registered in their providers' order, so both have one number.
abstract contract MarketKit is ProviderKit {
    address internal constant RITA = address(0x417a);
    uint16 internal constant TYPE = 1;
    uint256 internal constant FP = 100 ether;
    uint256 internal constant BOND = 10 ether;
    uint112 internal constant STAKE = 1_000 ether;
    uint128 internal constant STAKE_MAX = 5_000 ether;
    uint32 internal constant HOUR_S = 3_600;

    uint256 internal constant COMMIT_S = 600;
    uint256 internal constant REVEAL_S = 300;
    uint256 internal constant CHOICE_S = 120;
    uint256 internal constant DRAW_S = 900;

    /// @dev 0.02 USD, with 8 decimals.
    int256 internal constant USD_PER_ANKR = 2_000_000;

    uint256 internal constant BEACON_SECRET = 0xbeac0;
    uint64 internal constant BEACON_GENESIS_MS = 999_999_000;
    uint64 internal constant BEACON_PERIOD_MS = 3_000;
    bytes private constant BEACON_DOMAIN = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

    TestFeed internal ankrUsd;
    Prices internal prices;
    SomeDeals internal deals;
    Pot internal insurance;
    Market internal market;

    /// @dev The latest final epoch: its scores count.
    uint64 internal scoreEpoch;

    /// @dev Deploys a market with `count` providers, each with a node and the least stake.
    function _begin(uint256 count) internal {
        deals = new SomeDeals(ankr);
        _deploy(address(deals));
        deals.serve(providers);
        prices = _pricesOf(new TestFeed(8, USD_PER_ANKR), new TestFeed(8, 2_000 * 10 ** 8));
        insurance = new Pot(ankr, TIMELOCK, address(deals));
        _setNumbers();
        _setType(Rule.FirstPrice, 3);
        market = new Market(_setupOf(BEACON_PERIOD_MS));
        _give(RITA, WEALTH);
        _allow(RITA);
        _enrol(count);
    }

    /// @dev Lets a market of a test's own take what RITA and the first `count` providers have.
    function _use(Market another, uint256 count) internal {
        market = another;
        _allow(RITA);
        for (uint256 i = 0; i < count; ++i) {
            _allow(_who(i));
        }
    }

    function _pricesOf(TestFeed ofAnkr, TestFeed ofEth) private returns (Prices) {
        ankrUsd = ofAnkr;
        IPrices.Source memory first = IPrices.Source({feed: ofAnkr, base: 0.02 ether});
        IPrices.Source memory second = IPrices.Source({feed: ofEth, base: 2_000 ether});
        return new Prices(TIMELOCK, policy, first, second);
    }

    function _enrol(uint256 count) private {
        for (uint256 i = 0; i < count; ++i) {
            // forge-lint: disable-next-line(unsafe-typecast) -- there are fewer letters than that
            _provider(_who(i), string(abi.encodePacked("Provider ", bytes1(uint8(65 + i)))), 0);
            _register(_who(i), bytes32(i + 1), IRegistry.Kind.Full);
            _allow(_who(i));
        }
        scoreEpoch = _finalEpoch();
        for (uint256 i = 0; i < count; ++i) {
            MemberProof memory member = _member(scoreEpoch, i);
            vm.prank(_who(i));
            providers.addNode(i, bytes32(1000 + i), member);
        }
    }

    function _setupOf(uint64 periodMs) internal returns (IMarket.Setup memory) {
        return IMarket.Setup({
            token: ankr,
            policy: policy,
            prices: prices,
            providers: providers,
            deals: IDeals(address(deals)),
            beacon: new BeaconVerifier(Signer.publicKey(BEACON_SECRET)),
            beaconGenesisMs: BEACON_GENESIS_MS,
            beaconPeriodMs: periodMs,
            anchor: anchors,
            insurance: insurance
        });
    }

    function _setNumbers() private {
        _set(Parameter.BidBond, BOND);
        _set(Parameter.StakeMin, STAKE);
        _set(Parameter.StakeMax, STAKE_MAX);
        _set(Parameter.UsdPerCoreHour, 0.25 ether);
        _set(Parameter.UsdPerRamGbHour, 0.025 ether);
        _set(Parameter.UsdPerStorageGbHour, 0.0004 ether);
        _set(Parameter.UsdPerMbpsHour, 0.002 ether);
        _set(Parameter.ProfitBpsPerYear, 400);
        _set(Parameter.CommitS, COMMIT_S);
        _set(Parameter.RevealS, REVEAL_S);
        _set(Parameter.ChoiceS, CHOICE_S);
        _set(Parameter.DrawS, DRAW_S);
        _set(Parameter.DisqualifyS, 30 days);
    }

    function _set(Parameter parameter, uint256 value) internal {
        vm.prank(TIMELOCK);
        policy.set(parameter, value);
    }

    function _setType(Rule rule, uint8 shortlist) internal {
        _setType(_typeOf(rule, shortlist));
    }

    function _setType(ProjectType memory kind) internal {
        vm.prank(TIMELOCK);
        policy.setProjectType(TYPE, kind);
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
    function _request() internal view returns (IMarket.Request memory) {
        return IMarket.Request(TYPE, HOUR_S, _need(), scoreEpoch);
    }

    function _who(uint256 i) internal pure returns (address) {
        // forge-lint: disable-next-line(unsafe-typecast) -- tests have a few
        return address(uint160(0xb0b000 + i));
    }

    function _allow(address who) internal {
        vm.prank(who);
        ankr.approve(address(market), type(uint256).max);
    }

    /// @dev Lets provider `i` stake more.
    function _stakeMore(uint256 i, uint256 ankrWei) internal {
        vm.prank(_who(i));
        providers.stake(ankrWei);
    }

    /// @dev Disqualifies provider `i`.
    function _ban(uint256 i) internal {
        vm.prank(address(deals));
        providers.recordFailure(_who(i));
    }

    /// @dev Lets the node of provider `i` serve somebody else.
    function _occupy(uint256 i) internal {
        vm.prank(address(deals));
        providers.occupy(_who(i), i, _need());
    }

    function _proofOf(uint256 i) internal view returns (ScoreProof memory) {
        return _shown(scoreEpoch, i);
    }

    // Auctions.

    /// @dev With a fresh price.
    function _open() internal returns (uint256) {
        ankrUsd.set(USD_PER_ANKR);
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
