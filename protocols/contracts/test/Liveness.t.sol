// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../src/ScoreMath.sol";
import {ILiveness} from "../src/interfaces/ILiveness.sol";
import {Parameter} from "../src/interfaces/IPolicy.sol";
import {IProviders} from "../src/interfaces/IProviders.sol";
import {IReputationAnchor} from "../src/interfaces/IReputationAnchor.sol";
import {IScores, ScoreProof} from "../src/interfaces/IScores.sol";
import {ProviderKit} from "./lib/ProviderKit.sol";

/// @dev R41, Q15: a node that stops answering is found out, and nobody else is.
contract LivenessTest is ProviderKit {
    address private constant DEALS = address(0xdea15);
    address private constant ALICE = address(0xa11ce);
    address private constant DOUBTER = address(0xd0b7e2);

    uint256 private node;
    uint256 private bond;
    uint256 private answerS;
    uint256 private staked;

    function setUp() public {
        _deploy(DEALS);
        _provider(ALICE, "Alice", 0);
        node = _node(ALICE, "alice");
        _give(DOUBTER, WEALTH);
        vm.prank(DOUBTER);
        ankr.approve(address(providers), WEALTH);
        bond = policy.get(Parameter.ChallengeBond);
        answerS = policy.get(Parameter.AnswerS);
        staked = ankr.balanceOf(address(providers));
    }

    function test_challenge_takesTheBondAndIsOpen() public {
        vm.expectEmit(address(providers));
        emit ILiveness.Challenged(1, node, DOUBTER, bond);
        vm.assertEq(_challenge(), 1);
        ILiveness.Challenge memory held = providers.challengeOf(1);
        _isState(1, ILiveness.ChallengeState.Open);
        vm.assertEq(held.challenger, DOUBTER);
        vm.assertEq(held.provider, ALICE);
        vm.assertEq(held.registration, node);
        vm.assertEq(held.bond, bond);
        vm.assertEq(held.answerS, answerS);
        vm.assertEq(ankr.balanceOf(DOUBTER), WEALTH - bond);
        vm.assertEq(ankr.balanceOf(address(providers)), staked + bond);
        (bool isSilent, uint256 registration, uint64 challengedAt) = providers.silence(1);
        vm.assertFalse(isSilent);
        vm.assertEq(registration, node);
        vm.assertEq(challengedAt, block.timestamp);
    }

    /// @dev Dust griefing: one at a time, and each that is answered costs the bond.
    function test_challenge_RevertWhen_OneIsOpen() public {
        _challenge();
        vm.expectRevert(abi.encodeWithSelector(ILiveness.ChallengeOpen.selector, node, 1));
        _challenge();
        providers.answer(1, _shown(_anchorFresh(), node));
        vm.assertEq(_challenge(), 2);
        vm.assertEq(ankr.balanceOf(DOUBTER), WEALTH - 2 * bond);
    }

    /// @dev Own-challenge shield: a provider that keeps a challenge of its own open keeps others from
    ///      challenging for an epoch, not until it is decided. Each is decided by itself.
    function test_challenge_ofItsOwnNodeShieldsNoProviderForLong() public {
        _give(ALICE, bond);
        vm.startPrank(ALICE);
        ankr.approve(address(providers), bond);
        providers.challenge(node);
        vm.stopPrank();
        vm.warp(block.timestamp + EPOCH_MS / 1000 - 1);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.ChallengeOpen.selector, node, 1));
        _challenge();
        vm.warp(block.timestamp + 1);
        vm.assertEq(_challenge(), 2);
        _score(node, 0, 0, ScoreMath.ACTIVE, ScoreMath.DOWN);
        uint64 epoch = _anchorFresh();
        vm.warp(block.timestamp + answerS + FINAL_S);
        providers.timeOut(2, _headerOf(epoch));
        _isState(1, ILiveness.ChallengeState.Open);
        _isState(2, ILiveness.ChallengeState.Silent);
        providers.timeOut(1, _headerOf(epoch));
        vm.assertEq(ankr.balanceOf(address(providers)), staked + 2 * bond);
        _collects(ALICE, bond);
        _collects(DOUBTER, bond);
    }

    function test_challenge_RevertWhen_TheNodeIsNotBound() public {
        vm.prank(ALICE);
        providers.removeNode(node);
        vm.expectRevert(abi.encodeWithSelector(IProviders.NotBound.selector, node));
        _challenge();
        vm.expectRevert(abi.encodeWithSelector(IProviders.NotBound.selector, 77));
        vm.prank(DOUBTER);
        providers.challenge(77);
    }

    function test_answer_givesTheBondToTheProvider() public {
        _challenge();
        uint64 epoch = _anchorFresh();
        vm.expectEmit(address(providers));
        emit ILiveness.Answered(1, node, epoch);
        providers.answer(1, _shown(epoch, node));
        _isState(1, ILiveness.ChallengeState.Answered);
        vm.assertEq(providers.sidecarOf(node).challenge, 1);
        vm.assertEq(providers.sidecarOf(node).answeredEpoch, epoch);
        vm.assertEq(providers.sidecarOf(node).answeredBlock, block.number);
        _collects(ALICE, bond);
        vm.assertEq(ankr.balanceOf(address(providers)), staked);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.NothingOwed.selector, DOUBTER));
        vm.prank(DOUBTER);
        providers.collect();
    }

    function test_answer_RevertWhen_TheEpochBeganBefore() public {
        uint64 before = anchors.epochAt(block.timestamp);
        _challenge();
        uint64 after_ = _anchorFresh();
        ScoreProof memory shown = _shown(before, node);
        uint256 challengedAt = providers.challengeOf(1).challengedAt;
        vm.expectRevert(
            abi.encodeWithSelector(ILiveness.EpochTooEarly.selector, before, challengedAt)
        );
        providers.answer(1, shown);
        vm.assertEq(after_, before + 1);
        providers.answer(1, _shown(after_, node));
    }

    function test_answer_RevertWhen_TheNodeWasNotUp() public {
        _score(node, 900_000, 900_000, ScoreMath.ACTIVE, ScoreMath.DOWN);
        _challenge();
        uint64 epoch = _anchorFresh();
        ScoreProof memory shown = _shown(epoch, node);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.NotUp.selector, node, epoch));
        providers.answer(1, shown);
    }

    function test_answer_RevertWhen_TheEpochIsVoid() public {
        _challenge();
        uint64 fresh = anchors.epochAt(block.timestamp) + 1;
        while (anchors.nextEpoch() < fresh) {
            _anchorNext(false);
        }
        uint64 epoch = _anchorNext(true);
        ScoreProof memory shown = _shown(epoch, node);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.EpochVoid.selector, epoch));
        providers.answer(1, shown);
    }

    function test_answer_RevertWhen_TheScoreIsNotAnchoredOrAnothers() public {
        _challenge();
        uint64 epoch = _anchorFresh();
        ScoreProof memory shown = _shown(epoch, node);
        shown.words[14] = bytes32(uint256(1));
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        providers.answer(1, shown);
        bytes32 other = "other";
        shown.words[0] = other;
        vm.expectRevert(abi.encodeWithSelector(IScores.OtherNode.selector, other, 0));
        providers.answer(1, shown);
    }

    function test_timeOut_saysThatTheNodeWasSilent() public {
        (uint64 epoch, uint256 untilS) = _silent();
        vm.warp(untilS);
        vm.expectEmit(address(providers));
        emit ILiveness.Silent(1, node, epoch);
        providers.timeOut(1, _headerOf(epoch));
        (bool isSilent, uint256 registration, uint64 challengedAt) = providers.silence(1);
        vm.assertTrue(isSilent);
        vm.assertEq(registration, node);
        vm.assertTrue(challengedAt < untilS);
        _collects(DOUBTER, bond);
        vm.assertEq(ankr.balanceOf(DOUBTER), WEALTH);
        vm.assertEq(ankr.balanceOf(address(providers)), staked);
    }

    /// @dev Q15: how long it takes at most, with the numbers of local networks.
    function test_timeOut_isDueAsSoonAsPromised() public {
        uint256 challengedAt = block.timestamp;
        (, uint256 untilS) = _silent();
        uint256 waitS = answerS > FINAL_S ? answerS : FINAL_S;
        vm.assertTrue(untilS - challengedAt <= (2 * EPOCH_MS + SETTLE_MS) / 1000 + 1 + waitS);
    }

    /// @dev A provider has its time from the anchor on, however long the council took.
    function test_timeOut_RevertWhen_ThereIsTimeToAnswer() public {
        (uint64 epoch, uint256 untilS) = _silent();
        IReputationAnchor.Header memory header = _headerOf(epoch);
        vm.warp(untilS - 1);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.TooEarly.selector, 1, untilS));
        providers.timeOut(1, header);
    }

    function test_timeOut_RevertWhen_TheEpochIsNotFinal() public {
        vm.prank(TIMELOCK);
        policy.set(Parameter.AnswerS, 1);
        _challenge();
        uint64 epoch = _anchorFresh();
        IReputationAnchor.Header memory header = _headerOf(epoch);
        vm.warp(anchors.finalAt(epoch) - 1);
        vm.expectRevert(abi.encodeWithSelector(IScores.EpochNotFinal.selector, epoch));
        providers.timeOut(1, header);
        vm.warp(anchors.finalAt(epoch));
        providers.timeOut(1, header);
    }

    function test_timeOut_RevertWhen_TheHeaderIsNotTheAnchoredOne() public {
        (uint64 epoch, uint256 untilS) = _silent();
        vm.warp(untilS);
        IReputationAnchor.Header memory header = _headerOf(epoch);
        header.scoreRoot = "another";
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch));
        providers.timeOut(1, header);
        header.epoch = epoch + 1;
        vm.expectRevert(abi.encodeWithSelector(IScores.NotProved.selector, epoch + 1));
        providers.timeOut(1, header);
    }

    function test_timeOut_RevertWhen_TheEpochIsVoidOrBeganBefore() public {
        uint64 before = anchors.epochAt(block.timestamp);
        _challenge();
        while (anchors.nextEpoch() <= before) {
            _anchorNext(false);
        }
        uint64 void = _anchorNext(true);
        vm.warp(block.timestamp + 1 days);
        IReputationAnchor.Header memory header = _headerOf(before);
        uint256 challengedAt = providers.challengeOf(1).challengedAt;
        vm.expectRevert(
            abi.encodeWithSelector(ILiveness.EpochTooEarly.selector, before, challengedAt)
        );
        providers.timeOut(1, header);
        header = _headerOf(void);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.EpochVoid.selector, void));
        providers.timeOut(1, header);
    }

    function test_answer_isTakenAsLongAsNobodySaidOtherwise() public {
        _challenge();
        uint64 epoch = _anchorFresh();
        vm.warp(block.timestamp + 10 * answerS);
        providers.answer(1, _shown(epoch, node));
        IReputationAnchor.Header memory header = _headerOf(epoch);
        _expectNotOpen(1, ILiveness.ChallengeState.Answered);
        providers.timeOut(1, header);
    }

    function test_answer_RevertWhen_TheNodeWasFoundSilent() public {
        (uint64 epoch, uint256 untilS) = _silent();
        vm.warp(untilS);
        providers.timeOut(1, _headerOf(epoch));
        ScoreProof memory shown = _shown(epoch, node);
        _expectNotOpen(1, ILiveness.ChallengeState.Silent);
        providers.answer(1, shown);
        _expectNotOpen(2, ILiveness.ChallengeState.None);
        providers.answer(2, shown);
    }

    /// @dev A council that anchors nothing makes nobody silent, keeps no bond, and locks no stake.
    function test_lapse_isTheWayOutWhenNothingIsAnchored() public {
        _challenge();
        uint256 untilS = block.timestamp + answerS + providers.LAPSE_S();
        vm.warp(untilS - 1);
        vm.expectRevert(abi.encodeWithSelector(ILiveness.TooEarly.selector, 1, untilS));
        providers.lapse(1);
        vm.startPrank(ALICE);
        providers.resign();
        vm.warp(providers.providerOf(ALICE).unbondedAt);
        providers.withdraw();
        vm.stopPrank();
        vm.assertEq(ankr.balanceOf(address(providers)), bond);
        vm.expectEmit(address(providers));
        emit ILiveness.Lapsed(1, node);
        providers.lapse(1);
        (bool isSilent,,) = providers.silence(1);
        vm.assertFalse(isSilent);
        _collects(DOUBTER, bond);
        vm.assertEq(ankr.balanceOf(address(providers)), 0);
        _expectNotOpen(1, ILiveness.ChallengeState.Lapsed);
        providers.lapse(1);
    }

    /// @dev Unbinding does not help, nor does leaving the roster.
    function test_timeOut_isNotEscapedByUnbindingOrExit() public {
        _challenge();
        vm.startPrank(ALICE);
        providers.removeNode(node);
        registry.exit(node);
        vm.stopPrank();
        uint64 epoch = _anchorFresh();
        vm.warp(block.timestamp + answerS + FINAL_S);
        providers.timeOut(1, _headerOf(epoch));
        _isState(1, ILiveness.ChallengeState.Silent);
    }

    function _challenge() private returns (uint256) {
        vm.prank(DOUBTER);
        return providers.challenge(node);
    }

    /// @dev A challenge of a node that is down, and from when on it can be found silent.
    function _silent() private returns (uint64 epoch, uint256 untilS) {
        _score(node, 0, 0, ScoreMath.ACTIVE, ScoreMath.DOWN);
        _challenge();
        epoch = _anchorFresh();
        (, uint64 anchoredAt) = anchors.recordOf(epoch);
        untilS = anchoredAt + answerS;
    }

    function _collects(address account, uint256 amount) private {
        vm.assertEq(providers.owedTo(account), amount);
        uint256 before = ankr.balanceOf(account);
        vm.expectEmit(address(providers));
        emit ILiveness.Collected(account, amount);
        vm.prank(account);
        providers.collect();
        vm.assertEq(ankr.balanceOf(account), before + amount);
        vm.assertEq(providers.owedTo(account), 0);
    }

    function _isState(uint256 challenge, ILiveness.ChallengeState state) private view {
        vm.assertEq(uint256(providers.challengeOf(challenge).state), uint256(state));
    }

    function _expectNotOpen(uint256 challenge, ILiveness.ChallengeState state) private {
        vm.expectRevert(
            abi.encodeWithSelector(ILiveness.ChallengeNotOpen.selector, challenge, state)
        );
    }
}
