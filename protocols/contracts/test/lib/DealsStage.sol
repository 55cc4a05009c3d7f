// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Registry} from "../../src/Registry.sol";
import {Policy} from "../../src/governance/Policy.sol";
import {IDeals} from "../../src/interfaces/IDeals.sol";
import {IEpochs} from "../../src/interfaces/IEpochs.sol";
import {Resources} from "../../src/interfaces/IPolicy.sol";
import {IPrices} from "../../src/interfaces/IPrices.sol";
import {IProviders, MemberProof} from "../../src/interfaces/IProviders.sol";
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
abstract contract DealsStage is PolicyKit {
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
    uint32 internal constant FAIL_BELOW_PPM = 600_000;

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
}
