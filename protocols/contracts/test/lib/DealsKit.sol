// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Registry} from "../../src/Registry.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {Policy} from "../../src/governance/Policy.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IEpochs} from "../../src/interfaces/IEpochs.sol";
import {Resources} from "../../src/interfaces/IPolicy.sol";
import {IPrices} from "../../src/interfaces/IPrices.sol";
import {IProviders, MemberProof, ScoreProof} from "../../src/interfaces/IProviders.sol";
import {IRegistry} from "../../src/interfaces/IRegistry.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {Deals} from "../../src/market/Deals.sol";
import {Pot} from "../../src/market/Pot.sol";
import {Prices} from "../../src/market/Prices.sol";
import {Providers} from "../../src/market/Providers.sol";
import {TestFeed} from "../../src/market/TestFeed.sol";
import {PolicyKit} from "./PolicyKit.sol";
import {SomeAnchor} from "./SomeAnchor.sol";
import {TellingToken} from "./TellingToken.sol";

/// @dev Everything that deals depend on, but the market and the council, which are accounts here.
///      Nothing is replaced besides the anchors' signatures.
abstract contract DealsKit is PolicyKit {
    uint64 internal constant START_S = 1_000_000;
    uint64 internal constant EPOCH_S = 12;
    uint32 internal constant LENGTH_S = 1_200;

    uint256 internal constant FP = 100 ether;
    uint256 internal constant PAID = 60 ether;
    uint256 internal constant BOND = 10 ether;
    uint256 internal constant ETH_STAKE = 32 ether;
    uint128 internal constant K_ETH = 16 ether;
    uint256 internal constant EXPECTED = 2 ether;
    uint256 internal constant STAKE = 10_000 ether;

    /// @dev Of the minimal preset.
    uint256 internal constant FUND_S = 60;
    uint256 internal constant START_WITHIN_S = 60;
    uint256 internal constant REVIEW_S = 45;
    uint256 internal constant DISPUTE_S = 60;
    uint256 internal constant FAIL_BELOW_PPM = 600_000;

    /// @dev 0.02 USD and 2,000 USD: 100,000 ANKR for one ETH.
    int256 internal constant ANKR_USD = 2_000_000;
    int256 internal constant ETH_USD = 2_000e8;
    uint256 internal constant ANKR_PER_ETH = 100_000 ether;

    uint8 internal constant ACTIVE = 1;
    uint8 internal constant SUSPENDED = 3;

    address internal constant MARKET = address(0x3a4ce7);
    address internal constant TIMELOCK = address(0x71e10c);
    address internal constant REQUESTER = address(0x4e90e57e4);
    address internal constant PROVIDER = address(0x940f1de4);
    address internal constant STRANGER = address(0x574a9e4);

    TellingToken internal token;
    SomeAnchor internal anchor;
    Registry internal registry;
    Policy internal policy;
    Prices internal prices;
    TestFeed internal ankrFeed;
    TestFeed internal ethFeed;
    Pot internal insurance;
    Pot internal rewards;
    Providers internal providers;
    Deals internal deals;

    /// @dev The provider's node.
    uint256 internal node;

    /// @dev Everybody who may be owed something.
    address[] internal parties;

    /// @dev Deals that were assigned; they are numbered from 1.
    uint256 internal dealCount;

    /// @dev Deploys all, and gives everybody what they need.
    function _build() internal {
        vm.warp(START_S);
        token = new TellingToken();
        anchor = new SomeAnchor(START_S * 1000, EPOCH_S * 1000);
        registry = new Registry(token, START_S * 1000, EPOCH_S * 1000, 1 ether, 1 ether, 5);
        policy = _policy(TIMELOCK);
        ankrFeed = new TestFeed(8, ANKR_USD);
        ethFeed = new TestFeed(8, ETH_USD);
        prices = new Prices(
            TIMELOCK,
            policy,
            IPrices.Source(ankrFeed, 0.02 ether),
            IPrices.Source(ethFeed, 2_000 ether)
        );
        _deploy();
        vm.warp(START_S + EPOCH_S);
        node = _provider(PROVIDER, IProviders.Tier.Untrusted, K_ETH, STAKE);
        _give(REQUESTER);
        _give(STRANGER);
        _give(MARKET);
        vm.deal(address(insurance), 100 ether);
        parties = [REQUESTER, PROVIDER, STRANGER, address(insurance), address(rewards)];
    }

    function _deploy() private {
        uint256 nonce = vm.getNonce(address(this));
        address foretold = vm.computeCreateAddress(address(this), nonce + 3);
        insurance = new Pot(token, TIMELOCK, foretold);
        rewards = new Pot(token, TIMELOCK, address(0));
        providers = new Providers(
            token, policy, TIMELOCK, registry, IReputationAnchor(address(anchor)), foretold
        );
        deals = new Deals(
            IDeals.Setup({
                token: token,
                policy: policy,
                prices: prices,
                providers: providers,
                epochs: IEpochs(address(anchor)),
                market: MARKET,
                timelock: TIMELOCK,
                insurance: insurance,
                rewards: rewards
            })
        );
        vm.assertEq(address(deals), foretold);
    }

    /// @dev ANKR and ETH enough for anything, and leave to take the ANKR.
    function _give(address who) internal {
        require(token.transfer(who, 1e9 ether), "a test token pays");
        vm.deal(who, 1e6 ether);
        vm.startPrank(who);
        token.approve(address(deals), type(uint256).max);
        token.approve(address(providers), type(uint256).max);
        token.approve(address(registry), type(uint256).max);
        vm.stopPrank();
    }

    /// @dev Makes an approved and staked provider with a node; returns the node.
    function _provider(address who, IProviders.Tier tier, uint128 kEthWei, uint256 stake)
        internal
        returns (uint256 registration)
    {
        _give(who);
        string memory name = string(abi.encodePacked(who));
        vm.prank(who);
        providers.apply_(name, Resources(100_000, 100_000, 100_000, 100_000), 1 ether, "");
        vm.prank(TIMELOCK);
        providers.approve(who, name, tier, kEthWei);
        vm.prank(who);
        providers.stake(stake);
        return _node(who);
    }

    /// @dev One more node of a provider.
    function _node(address who) internal returns (uint256 registration) {
        bytes32 nodeId = keccak256(abi.encode(registry.registrationCount()));
        vm.startPrank(who);
        registration = registry.register(nodeId, IRegistry.Kind.Full, 1 ether, new bytes(64), "");
        MemberProof memory shown;
        shown.words[0] = nodeId;
        shown.words[1] = bytes32(uint256(registry.registrationAt(registration).nonce));
        shown.words[2] = bytes32(uint256(uint160(who)));
        providers.addNode(registration, nodeId, shown);
        vm.stopPrank();
    }

    function _need() internal pure returns (Resources memory) {
        return Resources(1_000, 2_000, 30, 4);
    }

    function _assignment() internal view returns (IDeals.Assignment memory) {
        return IDeals.Assignment({
            requester: REQUESTER,
            provider: PROVIDER,
            registration: node,
            projectType: 7,
            lengthS: LENGTH_S,
            need: _need(),
            fpWei: FP,
            paidWei: PAID,
            bondWei: BOND,
            ethStakeWei: ETH_STAKE,
            expectedProfitWei: EXPECTED
        });
    }

    function _assign() internal returns (uint256) {
        return _assign(_assignment());
    }

    function _assign(IDeals.Assignment memory given) internal returns (uint256 deal) {
        deal = ++dealCount;
        vm.prank(MARKET);
        deals.assign(deal, given);
    }

    function _funded() internal returns (uint256 deal) {
        deal = _assign();
        _fund(deal);
    }

    function _running() internal returns (uint256) {
        return _running(_assignment());
    }

    function _running(IDeals.Assignment memory given) internal returns (uint256 deal) {
        deal = _assign(given);
        if (deals.dealOf(deal).state == IDeals.State.Assigned) _fund(deal);
        _start(deal);
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

    function _addProfit(uint256 deal, uint256 ankrWei, uint256 ethWei) internal {
        vm.prank(STRANGER);
        deals.addProfit{value: ethWei}(deal, ankrWei);
    }

    /// @dev Completes a running deal at the first moment, with fresh prices.
    function _complete(uint256 deal) internal {
        _waitUntil(deals.completableAt(deal));
        _refreshPrices();
        deals.complete(deal);
    }

    function _refreshPrices() internal {
        ankrFeed.set(ANKR_USD);
        ethFeed.set(ETH_USD);
    }

    function _waitUntil(uint256 timestamp) internal {
        if (block.timestamp < timestamp) vm.warp(timestamp);
    }

    /// @dev When an epoch starts, in Unix seconds.
    function _startOf(uint256 epoch) internal pure returns (uint256) {
        return START_S + epoch * EPOCH_S;
    }

    /// @dev The epoch that wholly lies in the run first.
    function _firstEpoch(uint256 deal) internal view returns (uint64) {
        return anchor.epochAt(deals.dealOf(deal).startedAt + EPOCH_S - 1);
    }

    /// @dev An anchored score of a node.
    function _shown(uint256 registration, uint64 epoch, uint256 uptimePpm, uint8 state)
        internal
        returns (ScoreProof memory shown)
    {
        IRegistry.Registration memory member = registry.registrationAt(registration);
        shown.header.epoch = epoch;
        shown.words[ScoreMath.NODE] = member.nodeId;
        shown.words[ScoreMath.NONCE] = bytes32(uint256(member.nonce));
        shown.words[ScoreMath.N] = bytes32(uint256(1_000));
        shown.words[ScoreMath.UPTIME_PPM] = bytes32(uptimePpm);
        shown.words[ScoreMath.STATE] = bytes32(uint256(state));
        anchor.tell(shown.header, shown.words);
    }

    /// @dev Fails a running deal by the first epoch of its run, just after that.
    function _fail(uint256 deal) internal {
        uint64 epoch = _firstEpoch(deal);
        _waitUntil(_startOf(epoch + 1));
        ScoreProof memory shown =
            _shown(deals.dealOf(deal).registration, epoch, FAIL_BELOW_PPM - 1, ACTIVE);
        deals.fail(deal, shown);
    }

    /// @dev Challenges the node, and lets the time for an answer go by.
    function _silent(uint256 challengedAt) internal returns (uint256 challenge) {
        vm.warp(challengedAt);
        vm.prank(STRANGER);
        challenge = providers.challenge(node);
        IReputationAnchor.Header memory header;
        header.epoch = anchor.epochAt(challengedAt) + 1;
        vm.warp(_startOf(header.epoch + 1) + 60);
        providers.timeOut(challenge, header);
    }

    /// @dev A running deal of a provider that brought no ETH.
    function _trusted() internal returns (uint256) {
        vm.prank(TIMELOCK);
        providers.setTier(PROVIDER, IProviders.Tier.Trusted, 0);
        return _running();
    }

    function _isState(uint256 deal, IDeals.State state) internal view {
        vm.assertEq(uint256(deals.dealOf(deal).state), uint256(state));
    }

    function _isOwed(address who, uint256 ankrWei, uint256 ethWei) internal view {
        vm.assertEq(deals.ankrOf(who), ankrWei);
        vm.assertEq(deals.ethOf(who), ethWei);
    }

    /// @dev Everybody collects, the pots get theirs, and nothing is left.
    function _isPaidOut() internal {
        for (uint256 i = 0; i < parties.length; ++i) {
            address who = parties[i];
            if (deals.ankrOf(who) == 0 && deals.ethOf(who) == 0) continue;
            bool isPot = who == address(insurance) || who == address(rewards);
            vm.prank(who);
            if (isPot) deals.flush(who);
            else deals.collect();
        }
        vm.assertEq(token.balanceOf(address(deals)), 0);
        vm.assertEq(address(deals).balance, 0);
    }

    /// @dev The contract holds what it owes and what is in open deals, to the wei.
    function _isConserved() internal view {
        uint256 ankrWei = 0;
        uint256 ethWei = 0;
        for (uint256 i = 0; i < parties.length; ++i) {
            ankrWei += deals.ankrOf(parties[i]);
            ethWei += deals.ethOf(parties[i]);
        }
        for (uint256 deal = 1; deal <= dealCount; ++deal) {
            (uint256 ankrInside, uint256 ethInside) = _inside(deals.dealOf(deal));
            ankrWei += ankrInside;
            ethWei += ethInside;
        }
        vm.assertEq(token.balanceOf(address(deals)), ankrWei);
        vm.assertEq(address(deals).balance, ethWei);
    }

    /// @dev What a deal holds that is nobody's yet.
    function _inside(IDeals.Deal memory held)
        internal
        pure
        returns (uint256 ankrWei, uint256 ethWei)
    {
        bool isWaiting =
            held.state == IDeals.State.Assigned || held.state == IDeals.State.Funded;
        if (isWaiting) ankrWei = uint256(held.fpWei) + held.bondWei;
        if (held.state == IDeals.State.Funded) ethWei = held.ethStakeWei - held.kEthWei;
        if (held.state == IDeals.State.Running) {
            ankrWei = uint256(held.fpWei) + held.ankrProfitWei;
            ethWei = uint256(held.ethStakeWei) + held.ethProfitWei;
        }
    }
}
