// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Registry} from "../../src/Registry.sol";
import {ReputationAnchor} from "../../src/ReputationAnchor.sol";
import {ScoreMath} from "../../src/ScoreMath.sol";
import {IChallenges} from "../../src/interfaces/IChallenges.sol";
import {IPolicy, Parameter, Resources} from "../../src/interfaces/IPolicy.sol";
import {IProviders} from "../../src/interfaces/IProviders.sol";
import {IRegistry} from "../../src/interfaces/IRegistry.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {MemberProof, ScoreProof} from "../../src/interfaces/IScores.sol";
import {Providers} from "../../src/market/Providers.sol";
import {AnchorKit} from "./AnchorKit.sol";
import {PolicyKit} from "./PolicyKit.sol";

/// @dev Providers with registered nodes, in a network whose council anchors what a test wants.
abstract contract ProviderKit is AnchorKit, PolicyKit {
    address internal constant TIMELOCK = address(0x71e10c);
    uint32 internal constant FINAL_S = 20;
    uint256 internal constant SIDECAR_STAKE = 1_000 ether;
    uint256 internal constant WEALTH = 10 ** 6 * 1 ether;

    Registry internal registry;
    IPolicy internal policy;
    Providers internal providers;

    /// @dev The score of each registration, in its order, in the next epoch that is anchored.
    bytes32[16][] private _now;

    /// @dev What was anchored: headers, and their leaves by registration.
    mapping(uint64 epoch => IReputationAnchor.Header) private _headers;
    mapping(uint64 epoch => bytes32[16][]) private _scores;
    mapping(uint64 epoch => bytes32[8][]) private _rosters;

    /// @dev Deploys everything but the deals, which `deals` stands or will stand for. Time begins
    ///      with the first epoch.
    function _deploy(address deals) internal {
        IChallenges.Setup memory setup = _setup();
        setup.policy.challengeS = FINAL_S;
        anchors = new ReputationAnchor(setup);
        registry = new Registry(ankr, GENESIS_MS, EPOCH_MS, SIDECAR_STAKE, SIDECAR_STAKE / 10, 5);
        policy = _policy(TIMELOCK);
        providers = new Providers(ankr, policy, TIMELOCK, registry, anchors, deals);
        vm.warp(GENESIS_MS / 1000 + 1);
    }

    /// @dev Lets an account apply and governors approve, and stakes `stake` for it.
    function _approve(address account, string memory name, IProviders.Tier tier, uint128 kEthWei)
        internal
    {
        _give(account, WEALTH);
        vm.startPrank(account);
        ankr.approve(address(providers), type(uint256).max);
        ankr.approve(address(registry), type(uint256).max);
        providers.apply_(name, _capacity(), 1 ether, "https://example.org");
        vm.stopPrank();
        vm.prank(TIMELOCK);
        providers.approve(account, name, tier, kEthWei);
    }

    /// @dev An approved and staked provider that brings `kEthWei` of 32 ETH.
    function _provider(address account, string memory name, uint128 kEthWei) internal {
        IProviders.Tier tier = IProviders.Tier.SemiTrusted;
        if (kEthWei == 0) tier = IProviders.Tier.Trusted;
        if (kEthWei >= 16 ether) tier = IProviders.Tier.Untrusted;
        _approve(account, name, tier, kEthWei);
        uint256 stakeMin = policy.get(Parameter.StakeMin);
        vm.prank(account);
        providers.stake(stakeMin);
    }

    /// @dev Registers a node of an account as a sidecar. Its score is a good one until a test says
    ///      otherwise.
    function _register(address operator, bytes32 nodeId, IRegistry.Kind kind)
        internal
        returns (uint256 registration)
    {
        uint64 nonce = registry.nextNonce(operator);
        vm.prank(operator);
        registration = registry.register(nodeId, kind, SIDECAR_STAKE, new bytes(64), "");
        bytes32[16] memory words;
        (words[0], words[1]) = (nodeId, bytes32(uint256(nonce)));
        words[ScoreMath.N] = bytes32(uint256(1_000));
        _now.push(words);
        _score(registration, 900_000, 950_000, ScoreMath.ACTIVE, ScoreMath.UP);
    }

    /// @dev Registers a node of a provider, lets it become a member, and binds it.
    function _node(address operator, bytes32 nodeId) internal returns (uint256 registration) {
        registration = _register(operator, nodeId, IRegistry.Kind.Full);
        uint64 epoch = _finalEpoch();
        vm.prank(operator);
        providers.addNode(
            registration, keccak256(bytes.concat(nodeId)), _member(epoch, registration)
        );
    }

    /// @dev Sets a node's score in the epochs that are anchored from now on.
    function _score(
        uint256 registration,
        uint256 reliabilityPpm,
        uint256 uptimePpm,
        uint256 state,
        uint256 lastVerdict
    ) internal {
        bytes32[16] storage words = _now[registration];
        words[ScoreMath.RELIABILITY_PPM] = bytes32(reliabilityPpm);
        words[ScoreMath.UPTIME_PPM] = bytes32(uptimePpm);
        words[ScoreMath.STATE] = bytes32(state);
        words[ScoreMath.LAST_VERDICT] = bytes32(lastVerdict);
    }

    /// @dev No audit has decided on a node.
    function _unseen(uint256 registration) internal {
        _now[registration][ScoreMath.N] = 0;
    }

    /// @dev Anchors the next epoch, and waits until that may be done.
    function _anchorNext(bool isVoid) internal returns (uint64 epoch) {
        epoch = anchors.nextEpoch();
        uint256 settledS = (GENESIS_MS + (epoch + 1) * EPOCH_MS + SETTLE_MS + 999) / 1000;
        if (block.timestamp < settledS) vm.warp(settledS);
        for (uint256 i = 0; i < _now.length; ++i) {
            _scores[epoch].push(_now[i]);
            _rosters[epoch].push(_rosterWords(i));
        }
        IReputationAnchor.Header memory header = _header(epoch);
        header.isVoid = isVoid;
        if (_now.length != 0) {
            header.scoreRoot = _root(_scoreLeaves(epoch));
            header.rosterRoot = _root(_rosterLeaves(epoch));
        }
        _headers[epoch] = header;
        _anchor(header);
    }

    /// @dev Anchors an epoch that begins after this moment, and all before it.
    function _anchorFresh() internal returns (uint64 epoch) {
        uint64 fresh = anchors.epochAt(block.timestamp) + 1;
        do {
            epoch = _anchorNext(false);
        } while (epoch < fresh);
    }

    /// @dev Anchors the epochs up to one that begins after this moment, and waits until it is final.
    function _finalEpoch() internal returns (uint64 epoch) {
        epoch = _anchorFresh();
        vm.warp(anchors.finalAt(epoch));
    }

    /// @dev What shows a registration's score in an anchored epoch.
    function _shown(uint64 epoch, uint256 registration) internal view returns (ScoreProof memory) {
        return ScoreProof({
            header: _headers[epoch],
            words: _scores[epoch][registration],
            proof: _proof(_scoreLeaves(epoch), registration)
        });
    }

    /// @dev What shows that a registration was a member in an anchored epoch.
    function _member(uint64 epoch, uint256 registration)
        internal
        view
        returns (MemberProof memory)
    {
        return MemberProof({
            header: _headers[epoch],
            words: _rosters[epoch][registration],
            proof: _proof(_rosterLeaves(epoch), registration)
        });
    }

    function _headerOf(uint64 epoch) internal view returns (IReputationAnchor.Header memory) {
        return _headers[epoch];
    }

    /// @dev What a provider of the kit has: room for four nodes that need `_need()`.
    function _capacity() internal pure returns (Resources memory) {
        return Resources({cpuMilli: 16_000, ramMb: 64_000, storageGb: 8_000, bandwidthMbps: 1_000});
    }

    function _need() internal pure returns (Resources memory) {
        return Resources({cpuMilli: 4_000, ramMb: 16_000, storageGb: 1_000, bandwidthMbps: 100});
    }

    function _rosterWords(uint256 registration) private view returns (bytes32[8] memory words) {
        IRegistry.Registration memory held = registry.registrationAt(registration);
        (words[0], words[1]) = (held.nodeId, bytes32(uint256(held.nonce)));
        words[2] = bytes32(uint256(uint160(held.operator)));
        words[3] = bytes32(uint256(held.kind));
        words[4] = bytes32(uint256(held.stake));
        words[5] = bytes32(registration);
        words[6] = bytes32(_now.length);
    }

    function _scoreLeaves(uint64 epoch) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](_scores[epoch].length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = _leaf(abi.encode(_scores[epoch][i]));
        }
    }

    function _rosterLeaves(uint64 epoch) private view returns (bytes32[] memory leaves) {
        leaves = new bytes32[](_rosters[epoch].length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            leaves[i] = _leaf(abi.encode(_rosters[epoch][i]));
        }
    }
}
