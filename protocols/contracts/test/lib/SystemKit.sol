// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {BeaconVerifier} from "../../src/BeaconVerifier.sol";
import {Registry} from "../../src/Registry.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {Call, IProposals} from "../../src/interfaces/IProposals.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IEpochs} from "../../src/interfaces/IEpochs.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {IPolicy, Parameter, ProjectType, Resources, Rule} from "../../src/interfaces/IPolicy.sol";
import {IPrices} from "../../src/interfaces/IPrices.sol";
import {IProviders, MemberProof, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {IRegistry} from "../../src/interfaces/IRegistry.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {ISeats} from "../../src/interfaces/ISeats.sol";
import {Deals} from "../../src/market/Deals.sol";
import {Market} from "../../src/market/Market.sol";
import {Pot} from "../../src/market/Pot.sol";
import {Prices} from "../../src/market/Prices.sol";
import {Providers} from "../../src/market/Providers.sol";
import {TestFeed} from "../../src/market/TestFeed.sol";
import {CouncilKit} from "./CouncilKit.sol";
import {Signer} from "./Signer.sol";
import {SomeAnchor} from "./SomeAnchor.sol";

/// @dev All of rule and market, wired as the deployment does it: the council governs through the
///      timelock, and nobody else may. Only the anchors' signatures are replaced.
abstract contract SystemKit is CouncilKit {
    uint256 internal constant BIDDERS = 3;
    uint256 internal constant NODES = 2;
    uint256 internal constant WEALTH = 10 ** 9 * 1 ether;
    uint256 internal constant SIDECAR_STAKE = 1 ether;
    uint64 internal constant EPOCH_S = 12;
    uint64 internal constant BEACON_PERIOD_MS = 3_000;
    uint256 internal constant BEACON_SECRET = 0xbeac0;
    bytes private constant BEACON_DOMAIN = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_";

    address internal constant RITA = address(0x417a);
    address internal constant WATCHER = address(0x3a7c4e4);
    address internal constant STRANGER = address(0x574a9e4);

    SomeAnchor internal anchor;
    Registry internal registry;
    TestFeed internal ankrFeed;
    TestFeed internal ethFeed;
    Prices internal prices;
    Pot internal insurance;
    Providers internal providers;
    Market internal market;
    Deals internal deals;

    /// @dev Deploys all, seats the invited, and lets them decide who provides what kinds of projects.
    function _begin() internal {
        _deploy(_testAnkr());
        // A vote and the timelock's delay take five days.
        _set(Parameter.DisputeS, 30 days);
        _set(Parameter.DisqualifyS, 6 days);
        _set(Parameter.PriceAgeSMax, 7 days);
        _set(Parameter.MissedVotesMax, 1);
        _acceptAll();
        anchor = new SomeAnchor(uint64(START) * 1000, EPOCH_S * 1000);
        uint64 genesisMs = anchor.GENESIS_MS();
        registry = new Registry(ankr, genesisMs, EPOCH_S * 1000, SIDECAR_STAKE, SIDECAR_STAKE, 5);
        ankrFeed = new TestFeed(8, 2_000_000);
        ethFeed = new TestFeed(8, 2_000e8);
        prices = new Prices(
            address(timelock),
            policy,
            IPrices.Source(ankrFeed, 0.02 ether),
            IPrices.Source(ethFeed, 2_000 ether)
        );
        _deployTrade();
        _give(RITA);
        _give(WATCHER);
        _give(STRANGER);
        vm.deal(address(insurance), 3 ether);
        _enrol();
    }

    function _deployTrade() private {
        address foretold = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 4);
        insurance = new Pot(ankr, address(timelock), foretold);
        IReputationAnchor anchors = IReputationAnchor(address(anchor));
        providers = new Providers(ankr, policy, address(timelock), registry, anchors, foretold);
        BeaconVerifier beacon = new BeaconVerifier(Signer.publicKey(BEACON_SECRET));
        market = new Market(
            IMarket.Setup({
                token: ankr,
                policy: policy,
                prices: prices,
                providers: providers,
                deals: IDeals(foretold),
                beacon: beacon,
                beaconGenesisMs: uint64(START) * 1000,
                beaconPeriodMs: BEACON_PERIOD_MS,
                anchor: anchors,
                insurance: insurance
            })
        );
        deals = new Deals(
            IDeals.Setup({
                token: ankr,
                policy: policy,
                prices: prices,
                providers: providers,
                epochs: IEpochs(address(anchor)),
                market: address(market),
                timelock: address(timelock),
                insurance: insurance,
                rewards: rewards
            })
        );
        vm.assertEq(address(deals), foretold);
    }

    /// @dev Bidders apply; one vote approves them and opens a type of project for each rule.
    function _enrol() private {
        Call[] memory calls = new Call[](2 * BIDDERS);
        for (uint256 i = 0; i < BIDDERS; ++i) {
            _give(_bidder(i));
            vm.prank(_bidder(i));
            providers.apply_(_nameOf(i), _capacityOf(i), 1 ether, "");
            calls[i] = Call(address(providers), 0, _approval(i));
            calls[BIDDERS + i] = Call(address(policy), 0, _opening(i));
        }
        _decide(calls);
        for (uint256 i = 0; i < BIDDERS; ++i) {
            vm.prank(_bidder(i));
            providers.stake(2_000 ether);
            for (uint256 k = 0; k < NODES; ++k) {
                _bind(_bidder(i));
            }
        }
    }

    function _approval(uint256 i) private pure returns (bytes memory) {
        uint128[BIDDERS] memory kEthWei = [uint128(16 ether), 4 ether, 0];
        IProviders.Tier[BIDDERS] memory tiers =
            [IProviders.Tier.Untrusted, IProviders.Tier.SemiTrusted, IProviders.Tier.Trusted];
        return abi.encodeCall(IProviders.approve, (_bidder(i), _nameOf(i), tiers[i], kEthWei[i]));
    }

    function _opening(uint256 i) private pure returns (bytes memory) {
        ProjectType memory kind = ProjectType({
            isOpen: true,
            rule: Rule(i),
            shortlist: 2,
            reliabilityPpmMin: 500_000,
            uptimePpmMin: 500_000,
            failuresMax: 1_000,
            ethStakeWei: 32 ether,
            need: _need()
        });
        return abi.encodeCall(IPolicy.setProjectType, (SafeCast.toUint16(1 + i), kind));
    }

    function _bind(address who) private {
        bytes32 nodeId = keccak256(abi.encode(registry.registrationCount()));
        vm.startPrank(who);
        uint256 registration =
            registry.register(nodeId, IRegistry.Kind.Full, SIDECAR_STAKE, new bytes(64), "");
        MemberProof memory shown;
        shown.words[0] = nodeId;
        shown.words[1] = bytes32(uint256(registry.registrationAt(registration).nonce));
        shown.words[2] = bytes32(uint256(uint160(who)));
        providers.addNode(registration, nodeId, shown);
        vm.stopPrank();
    }

    /// @dev ANKR and ETH enough for anything, and leave to take the ANKR.
    function _give(address who) private {
        require(ankr.transfer(who, WEALTH), "a test token pays");
        vm.deal(who, 10 ** 6 * 1 ether);
        vm.startPrank(who);
        ankr.approve(address(deals), type(uint256).max);
        ankr.approve(address(market), type(uint256).max);
        ankr.approve(address(providers), type(uint256).max);
        ankr.approve(address(registry), type(uint256).max);
        vm.stopPrank();
    }

    // Governors.

    /// @dev All governors vote yes, the timelock waits, and it is done.
    function _decide(Call[] memory calls) internal {
        _decide(calls, type(uint256).max);
    }

    /// @dev The same, with one governor absent.
    function _decide(Call[] memory calls, uint256 absent) internal {
        ISeats.Seat[] memory seats = council.seats();
        for (uint256 i = 0; i < seats.length; ++i) {
            _topUp(seats[i]);
        }
        vm.prank(seats[0].account);
        uint64 proposal = council.propose(calls, false, "");
        for (uint256 i = 0; i < seats.length; ++i) {
            if (i == absent) continue;
            vm.prank(seats[i].account);
            council.vote(proposal, IProposals.Choice.Yes);
        }
        IProposals.Outcome outcome = _closeProposal(proposal, calls);
        vm.assertTrue(outcome == IProposals.Outcome.Passed);
        vm.warp(block.timestamp + timelock.getMinDelay());
        _execute(proposal, calls);
    }

    /// @dev A governor that was slashed stakes what it lacks.
    function _topUp(ISeats.Seat memory seat) private {
        uint256 staked = council.stakeOf(seat.account);
        if (staked < seat.stakeMin) _stake(seat.account, seat.stakeMin - staked);
    }

    function _one(address target, bytes memory data) internal pure returns (Call[] memory calls) {
        calls = new Call[](1);
        calls[0] = Call(target, 0, data);
    }

    // The market.

    /// @dev Prices as the references say.
    function _freshPrices() internal {
        ankrFeed.set(SafeCast.toInt256(prices.sourceOf(IPrices.Asset.Ankr).base / 10 ** 10));
        ethFeed.set(SafeCast.toInt256(prices.sourceOf(IPrices.Asset.Eth).base / 10 ** 10));
    }

    function _openAuction(uint16 kind, uint32 lengthS) internal returns (uint256) {
        _freshPrices();
        uint64 epoch = anchor.epochAt(block.timestamp) - 1;
        vm.prank(RITA);
        return market.open(IMarket.Request(kind, lengthS, _need(), epoch), type(uint256).max);
    }

    function _commit(uint256 deal, uint256 i, uint256 registration, uint256 priceWei) internal {
        bytes32 sealed_ = market.commitmentOf(deal, _bidder(i), registration, priceWei, bytes32(i));
        vm.prank(_bidder(i));
        market.commit(deal, sealed_);
    }

    function _reveal(uint256 deal, uint256 i, uint256 registration, uint256 priceWei) internal {
        ScoreProof memory shown =
            _shown(registration, market.auctionOf(deal).scoreEpoch, 950_000, ScoreMath.ACTIVE);
        vm.prank(_bidder(i));
        market.reveal(deal, registration, priceWei, bytes32(i), shown);
    }

    function _draw(uint256 deal) internal {
        uint64 round = market.auctionOf(deal).drawRound;
        vm.warp(START + (uint256(round - 1) * BEACON_PERIOD_MS + 999) / 1000);
        bytes memory message = abi.encodePacked(sha256(abi.encodePacked(round)));
        market.draw(deal, Signer.sign(BEACON_SECRET, BEACON_DOMAIN, message));
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

    /// @dev An anchored score of a node.
    function _shown(uint256 registration, uint64 epoch, uint256 uptimePpm, uint256 state)
        internal
        returns (ScoreProof memory shown)
    {
        IRegistry.Registration memory member = registry.registrationAt(registration);
        shown.header.epoch = epoch;
        shown.words[0] = member.nodeId;
        shown.words[1] = bytes32(uint256(member.nonce));
        shown.words[ScoreMath.N] = bytes32(uint256(1_000));
        shown.words[ScoreMath.UPTIME_PPM] = bytes32(uptimePpm);
        shown.words[ScoreMath.RELIABILITY_PPM] = bytes32(uptimePpm);
        shown.words[ScoreMath.STATE] = bytes32(state);
        shown.words[ScoreMath.LAST_VERDICT] = bytes32(ScoreMath.UP);
        anchor.tell(shown.header, shown.words);
    }

    function _bidder(uint256 i) internal pure returns (address) {
        return address(SafeCast.toUint160(0xb0b000 + i));
    }

    function _nameOf(uint256 i) internal pure returns (string memory) {
        return string(abi.encodePacked("Provider ", bytes32(i)));
    }

    /// @dev The first has two nodes, but room for one.
    function _capacityOf(uint256 i) private pure returns (Resources memory) {
        return i == 0 ? _need() : Resources(8_000, 32_000, 2_000, 200);
    }

    function _need() internal pure returns (Resources memory) {
        return Resources({cpuMilli: 4_000, ramMb: 16_000, storageGb: 1_000, bandwidthMbps: 100});
    }
}
