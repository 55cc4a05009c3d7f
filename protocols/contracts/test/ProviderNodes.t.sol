// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../src/ScoreMath.sol";
import {Parameter, Resources} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {IProviderStakes} from "../src/interfaces/IProviderStakes.sol";
import {IRegistry} from "../src/interfaces/IRegistry.sol";
import {IScores, MemberProof, ScoreProof} from "../src/interfaces/IScores.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev R9, R26, R31, R35, R44, R61, Q20: nodes, what they serve, and what their scores do.
contract ProviderNodesTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);
    bytes32 private constant CHAIN_NODE = "chain node";

    uint256 private node;

    function setUp() public {
        _deploy(DEALS);
        _provider(ALICE, "Alice", 0);
        _provider(BOB, "Bob", 0);
        node = _node(ALICE, "alice");
    }

    // One sidecar, one blockchain node (R9, R26, R35).

    function test_addNode_bindsOneSidecarToOneBlockchainNode() public {
        uint256 second = _register(ALICE, "second", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), second);
        vm.expectEmit(address(providers));
        emit IProviders.NodeAdded(ALICE, second, CHAIN_NODE);
        _adds(ALICE, second, CHAIN_NODE, shown);
        IProviders.Sidecar memory sidecar = providers.sidecarOf(second);
        vm.assertTrue(sidecar.isInstalled);
        vm.assertEq(sidecar.operator, ALICE);
        vm.assertEq(sidecar.nodeId, "second");
        vm.assertEq(sidecar.chainNode, CHAIN_NODE);
        vm.assertFalse(sidecar.isBusy);
        vm.assertEq(providers.nodeCount(ALICE), 2);
        uint256[] memory nodes = providers.nodesAt(ALICE, 0, 100);
        vm.assertEq(nodes[0], node);
        vm.assertEq(nodes[1], second);
        vm.assertEq(providers.nodesAt(ALICE, 1, 1).length, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IProviders.AlreadyBound.selector, second, CHAIN_NODE)
        );
        _adds(ALICE, second, "another", shown);
    }

    function test_addNode_RevertWhen_AnotherSidecarControlsTheBlockchainNode() public {
        uint256 other = _register(BOB, "bob", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), other);
        bytes32 taken = providers.sidecarOf(node).chainNode;
        vm.expectRevert(abi.encodeWithSelector(IProviders.ChainNodeTaken.selector, taken, node));
        _adds(BOB, other, taken, shown);
    }

    /// @dev Nobody keeps a blockchain node out for good: who is no provider any more gives way.
    function test_addNode_takesTheBlockchainNodeOfAProviderThatLeft() public {
        bytes32 taken = providers.sidecarOf(node).chainNode;
        uint256 other = _register(BOB, "bob", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), other);
        vm.prank(ALICE);
        providers.resign();
        vm.expectEmit(address(providers));
        emit IProviders.NodeRemoved(ALICE, node, taken);
        _adds(BOB, other, taken, shown);
        vm.assertEq(providers.sidecarOf(node).chainNode, 0);
        vm.assertEq(providers.sidecarOf(other).chainNode, taken);
        vm.assertEq(providers.nodeCount(ALICE), 0);
    }

    function test_addNode_takesTheBlockchainNodeOfARegistrationThatWasLeft() public {
        bytes32 taken = providers.sidecarOf(node).chainNode;
        vm.prank(ALICE);
        registry.exit(node);
        vm.assertFalse(providers.isFree(ALICE, node));
        vm.assertFalse(providers.sidecarOf(node).isInstalled);
        uint256 again = _register(ALICE, "alice", IRegistry.Kind.Full);
        _adds(ALICE, again, taken, _member(_finalEpoch(), again));
        vm.assertTrue(providers.isFree(ALICE, again));
        vm.assertEq(providers.nodeCount(ALICE), 1);
    }

    function test_addNode_RevertWhen_TheBlockchainNodeServesADeal() public {
        bytes32 taken = providers.sidecarOf(node).chainNode;
        _occupies(node);
        vm.prank(ALICE);
        registry.exit(node);
        uint256 again = _register(ALICE, "alice", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), again);
        vm.expectRevert(abi.encodeWithSelector(IProviders.ChainNodeTaken.selector, taken, node));
        _adds(ALICE, again, taken, shown);
    }

    /// @dev Q20.
    function test_addNode_RevertWhen_TheSidecarIsLight() public {
        uint256 light = _register(ALICE, "light", IRegistry.Kind.Light);
        MemberProof memory shown = _member(_finalEpoch(), light);
        vm.expectRevert(abi.encodeWithSelector(IProviders.LightSidecar.selector, light));
        _adds(ALICE, light, CHAIN_NODE, shown);
        vm.assertTrue(providers.sidecarOf(light).kind == IRegistry.Kind.Light);
    }

    function test_addNode_RevertWhen_TheRegistrationIsNotTheCallersOrWasLeft() public {
        uint256 other = _register(BOB, "bob", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), other);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NotOperator.selector, other, ALICE));
        _adds(ALICE, other, CHAIN_NODE, shown);
        vm.prank(BOB);
        registry.exit(other);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NotActive.selector, other));
        _adds(BOB, other, CHAIN_NODE, shown);
    }

    function test_addNode_RevertWhen_TheBlockchainNodeIsNone() public {
        uint256 other = _register(BOB, "bob", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), other);
        vm.expectRevert(IProviders.ZeroChainNode.selector);
        _adds(BOB, other, 0, shown);
    }

    function test_addNode_RevertWhen_NotApproved() public {
        address carol = address(0xca201);
        _give(carol, WEALTH);
        vm.prank(carol);
        ankr.approve(address(registry), WEALTH);
        uint256 other = _register(carol, "carol", IRegistry.Kind.Full);
        MemberProof memory shown = _member(_finalEpoch(), other);
        vm.expectRevert(
            abi.encodeWithSelector(IProviders.WrongStatus.selector, carol, IProviders.Status.None)
        );
        _adds(carol, other, CHAIN_NODE, shown);
    }

    /// @dev Two operators may register one node id with one nonce, and a score names no operator.
    ///      The roster does, and leaves out whose claim is false.
    function test_addNode_RevertWhen_TheNodeIsAnothersAndTheClaimFalse() public {
        uint256 stolen = _register(BOB, "alice", IRegistry.Kind.Full);
        uint64 epoch = _finalEpoch();
        MemberProof memory shown = _member(epoch, node);
        vm.assertEq(shown.words[1], bytes32(uint256(registry.registrationAt(stolen).nonce)));
        vm.expectRevert(
            abi.encodeWithSelector(IScores.OtherNode.selector, shown.words[0], shown.words[1])
        );
        _adds(BOB, stolen, CHAIN_NODE, shown);
        shown.words[2] = bytes32(uint256(uint160(BOB)));
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        _adds(BOB, stolen, CHAIN_NODE, shown);
        ScoreProof memory score = _shown(epoch, node);
        vm.expectRevert(abi.encodeWithSelector(IScores.NeverAdded.selector, stolen));
        providers.provedScore(stolen, score);
    }

    function test_addNode_RevertWhen_TheRosterIsNotFinal() public {
        uint256 other = _register(BOB, "bob", IRegistry.Kind.Full);
        uint64 epoch = _anchorFresh();
        MemberProof memory shown = _member(epoch, other);
        vm.expectRevert(abi.encodeWithSelector(IScores.EpochNotFinal.selector, epoch));
        _adds(BOB, other, CHAIN_NODE, shown);
    }

    function test_removeNode_unbindsAndLetsItBindAnew() public {
        bytes32 chainNode = providers.sidecarOf(node).chainNode;
        vm.expectEmit(address(providers));
        emit IProviders.NodeRemoved(ALICE, node, chainNode);
        _removes(ALICE);
        vm.assertFalse(providers.isFree(ALICE, node));
        vm.assertEq(providers.nodeCount(ALICE), 0);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NotBound.selector, node));
        _removes(ALICE);
        _adds(ALICE, node, CHAIN_NODE, _member(_finalEpoch(), node));
        vm.assertTrue(providers.isFree(ALICE, node));
    }

    function test_removeNode_RevertWhen_ItIsNotTheCallersOrServesADeal() public {
        vm.expectRevert(abi.encodeWithSelector(IProviders.NotOperator.selector, node, BOB));
        _removes(BOB);
        _occupies(node);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NodeNotFree.selector, ALICE, node));
        _removes(ALICE);
    }

    // Capacity (R44).

    function test_occupy_reservesUntilRelease() public {
        vm.expectEmit(address(providers));
        emit IProviders.Occupied(ALICE, node, _need());
        _occupies(node);
        vm.assertFalse(providers.isFree(ALICE, node));
        vm.assertTrue(providers.sidecarOf(node).isBusy);
        vm.assertEq(providers.providerOf(ALICE).runningDeals, 1);
        _uses(ALICE, _need());
        vm.expectRevert(abi.encodeWithSelector(IProviders.NodeNotFree.selector, ALICE, node));
        _occupies(node);
        vm.expectEmit(address(providers));
        emit IProviders.Released(ALICE, node, _need());
        _releases(ALICE, node);
        vm.assertTrue(providers.isFree(ALICE, node));
        vm.assertEq(providers.providerOf(ALICE).runningDeals, 0);
        _uses(ALICE, Resources(0, 0, 0, 0));
        vm.expectRevert(abi.encodeWithSelector(IProviders.NodeNotBusy.selector, ALICE, node));
        _releases(ALICE, node);
    }

    function test_occupy_RevertWhen_TheCapacityIsUsedUp() public {
        uint256[] memory nodes = new uint256[](5);
        for (uint256 i = 0; i < 5; ++i) {
            nodes[i] = _node(ALICE, bytes32(i + 1));
        }
        for (uint256 i = 0; i < providers.nodesMax(ALICE, _need()); ++i) {
            _occupies(nodes[i]);
        }
        vm.assertFalse(providers.isEligible(ALICE, _need(), 0));
        IProviders.Provider memory held = providers.providerOf(ALICE);
        vm.expectRevert(
            abi.encodeWithSelector(
                IProviders.CapacityExceeded.selector, held.capacity, held.inUse, _need()
            )
        );
        _occupies(nodes[4]);
        _releases(ALICE, nodes[0]);
        _occupies(nodes[4]);
    }

    function test_occupy_RevertWhen_TheNodeIsAnothers() public {
        Resources memory need = _need();
        vm.expectRevert(abi.encodeWithSelector(IProviders.NodeNotFree.selector, BOB, node));
        vm.prank(DEALS);
        providers.occupy(BOB, node, need);
        _occupies(node);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NodeNotBusy.selector, BOB, node));
        _releases(BOB, node);
    }

    function test_occupy_RevertWhen_TheProviderLeft() public {
        vm.prank(ALICE);
        providers.resign();
        vm.expectRevert(
            abi.encodeWithSelector(
                IProviders.WrongStatus.selector, ALICE, IProviders.Status.Leaving
            )
        );
        _occupies(node);
    }

    function test_update_RevertWhen_LessThanIsInUse() public {
        _occupies(node);
        Resources memory less = _need();
        vm.prank(ALICE);
        providers.update(less, 1, "");
        less.bandwidthMbps -= 1;
        vm.expectRevert(abi.encodeWithSelector(IProviders.CapacityBelowUse.selector, less, _need()));
        vm.prank(ALICE);
        providers.update(less, 1, "");
    }

    function test_withdraw_RevertWhen_ANodeServesADeal() public {
        _occupies(node);
        vm.prank(ALICE);
        providers.resign();
        vm.warp(block.timestamp + 365 days);
        vm.expectRevert(abi.encodeWithSelector(IProviderStakes.StakeLocked.selector, ALICE, 0, 1));
        vm.prank(ALICE);
        providers.withdraw();
        _releases(ALICE, node);
        vm.prank(ALICE);
        providers.withdraw();
    }

    // Scores.

    /// forge-config: default.fuzz.runs = 16
    /// forge-config: ci.fuzz.runs = 256
    function testFuzz_provedScore_saysWhatIsAnchored(
        uint256 reliabilityPpm,
        uint256 uptimePpm,
        uint256 state
    ) public {
        reliabilityPpm = bound(reliabilityPpm, 0, 1_000_000);
        uptimePpm = bound(uptimePpm, 0, 1_000_000);
        _score(node, reliabilityPpm, uptimePpm, state % 4, ScoreMath.UP);
        ScoreProof memory shown = _shown(_finalEpoch(), node);
        (uint32 reliability, uint32 uptime, uint8 found) = providers.provedScore(node, shown);
        vm.assertEq(reliability, reliabilityPpm);
        vm.assertEq(uptime, uptimePpm);
        vm.assertEq(found, state % 4);
    }

    function test_provedScore_RevertWhen_TheEpochIsNotFinal() public {
        uint64 epoch = _anchorFresh();
        ScoreProof memory shown = _shown(epoch, node);
        vm.warp(anchors.finalAt(epoch) - 1);
        vm.expectRevert(abi.encodeWithSelector(IScores.EpochNotFinal.selector, epoch));
        providers.provedScore(node, shown);
        vm.warp(anchors.finalAt(epoch));
        providers.provedScore(node, shown);
    }

    function test_provedScore_RevertWhen_AnythingIsNotWhatWasAnchored() public {
        uint256 other = _node(BOB, "bob");
        uint64 epoch = _finalEpoch();
        ScoreProof memory shown = _shown(epoch, node);
        vm.expectRevert(
            abi.encodeWithSelector(IScores.OtherNode.selector, shown.words[0], shown.words[1])
        );
        providers.provedScore(other, shown);
        shown.words[1] = bytes32(uint256(1));
        vm.expectRevert(
            abi.encodeWithSelector(IScores.OtherNode.selector, shown.words[0], shown.words[1])
        );
        providers.provedScore(node, shown);
        shown.words[1] = 0;
        shown.words[14] = bytes32(uint256(1_000_000));
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        providers.provedScore(node, shown);
        shown = _shown(epoch, node);
        shown.header.scoreRoot = _leaf(abi.encode(shown.words));
        shown.proof = new bytes32[](0);
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        providers.provedScore(node, shown);
    }

    // Disqualification (R61).

    /// forge-config: default.fuzz.runs = 16
    /// forge-config: ci.fuzz.runs = 256
    function testFuzz_disqualify_takesAnUptimeBelowTheThreshold(uint256 uptimePpm) public {
        uint256 least = policy.get(Parameter.DisqualifyBelowPpm);
        uptimePpm = bound(uptimePpm, 0, 1_000_000);
        _score(node, 900_000, uptimePpm, ScoreMath.ACTIVE, ScoreMath.UP);
        ScoreProof memory shown = _shown(_finalEpoch(), node);
        bool isGood = uptimePpm >= least;
        if (isGood) _expectGoodEnough(uptimePpm, ScoreMath.ACTIVE);
        providers.disqualify(node, shown);
        vm.assertTrue(providers.isEligible(ALICE, _need(), 0) == isGood);
    }

    function test_disqualify_takesASuspendedNodeWhateverItsUptime() public {
        _score(node, 900_000, 1_000_000, ScoreMath.SUSPENDED, ScoreMath.UP);
        ScoreProof memory shown = _shown(_finalEpoch(), node);
        uint256 untilS = block.timestamp + policy.get(Parameter.DisqualifyS);
        vm.expectEmit(address(providers));
        emit IProviders.Disqualified(ALICE, untilS);
        providers.disqualify(node, shown);
        vm.assertEq(providers.providerOf(ALICE).failures, 0);
        vm.warp(untilS - 1);
        vm.assertFalse(providers.isEligible(ALICE, _need(), 0));
        vm.warp(untilS);
        vm.assertTrue(providers.isEligible(ALICE, _need(), 0));
    }

    function test_disqualify_RevertWhen_TheNodeIsTooNewToJudge() public {
        _score(node, 0, 0, ScoreMath.VETTING, ScoreMath.DOWN);
        ScoreProof memory shown = _shown(_finalEpoch(), node);
        _expectGoodEnough(0, ScoreMath.VETTING);
        providers.disqualify(node, shown);
    }

    /// @dev R61: vetting ends by age. Whom no audit decided on has an uptime of 0 and is at no fault:
    ///      nobody gets a rival out of the way for what was not seen.
    function test_disqualify_RevertWhen_TheNodeWasNeverSeen() public {
        _score(node, 0, 0, ScoreMath.ACTIVE, 0);
        _unseen(node);
        ScoreProof memory shown = _shown(_finalEpoch(), node);
        _expectGoodEnough(0, ScoreMath.ACTIVE);
        providers.disqualify(node, shown);
    }

    /// @dev An old fault is no reason for ever: only the latest final epoch counts, and once.
    function test_disqualify_RevertWhen_TheEpochIsOldOrWasUsed() public {
        _score(node, 0, 0, ScoreMath.PROBATION, ScoreMath.DOWN);
        uint64 bad = _finalEpoch();
        ScoreProof memory shown = _shown(bad, node);
        providers.disqualify(node, shown);
        vm.expectRevert(abi.encodeWithSelector(IProviders.AlreadyJudged.selector, node, bad));
        providers.disqualify(node, shown);
        _score(node, 900_000, 900_000, ScoreMath.ACTIVE, ScoreMath.UP);
        _finalEpoch();
        vm.expectRevert(abi.encodeWithSelector(IProviders.EpochNotLatest.selector, bad));
        providers.disqualify(node, shown);
    }

    function test_disqualify_isNotEscapedByUnbinding() public {
        _score(node, 0, 0, ScoreMath.PROBATION, ScoreMath.DOWN);
        ScoreProof memory shown = _shown(_finalEpoch(), node);
        _removes(ALICE);
        providers.disqualify(node, shown);
        vm.assertFalse(providers.isEligible(ALICE, _need(), 0));
    }

    function test_recordFailure_countsAndNeverShortensADisqualification() public {
        vm.prank(DEALS);
        providers.recordFailure(ALICE);
        uint64 untilS = providers.providerOf(ALICE).disqualifiedUntil;
        vm.assertEq(untilS, block.timestamp + policy.get(Parameter.DisqualifyS));
        vm.prank(TIMELOCK);
        policy.set(Parameter.DisqualifyS, 1);
        vm.expectEmit(address(providers));
        emit IProviders.Failed(ALICE, 2);
        vm.prank(DEALS);
        providers.recordFailure(ALICE);
        vm.assertEq(providers.providerOf(ALICE).disqualifiedUntil, untilS);
    }

    function _adds(
        address account,
        uint256 registration,
        bytes32 chainNode,
        MemberProof memory shown
    ) private {
        vm.prank(account);
        providers.addNode(registration, chainNode, shown);
    }

    function _removes(address account) private {
        vm.prank(account);
        providers.removeNode(node);
    }

    function _occupies(uint256 registration) private {
        vm.prank(DEALS);
        providers.occupy(ALICE, registration, _need());
    }

    function _releases(address account, uint256 registration) private {
        vm.prank(DEALS);
        providers.release(account, registration, _need());
    }

    function _uses(address account, Resources memory expected) private view {
        Resources memory inUse = providers.providerOf(account).inUse;
        vm.assertEq(keccak256(abi.encode(inUse)), keccak256(abi.encode(expected)));
    }

    function _expectGoodEnough(uint256 uptimePpm, uint256 state) private {
        uint256 least = policy.get(Parameter.DisqualifyBelowPpm);
        vm.expectRevert(
            abi.encodeWithSelector(IProviders.GoodEnough.selector, uptimePpm, least, state)
        );
    }
}
