// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {ReputationAnchor} from "../src/ReputationAnchor.sol";
import {ScoreMath} from "../src/ScoreMath.sol";
import {IBonds} from "../src/interfaces/IBonds.sol";
import {IChallenges} from "../src/interfaces/IChallenges.sol";
import {IReputationAnchor} from "../src/interfaces/IReputationAnchor.sol";
import {ChallengeKit} from "./lib/ChallengeKit.sol";

contract ChallengeTest is ChallengeKit {
    uint128 private constant BOND = 100_000 ether;
    address private constant GOVERNOR = address(0x60e4);
    uint8 private constant RIGHT = 255;

    /// @dev A reliability that nobody reaches.
    bytes32 private constant PERFECT = bytes32(uint256(1_000_000));

    function setUp() public {
        council.seat(GOVERNOR);
        _give(GOVERNOR, BOND);
        vm.startPrank(GOVERNOR);
        ankr.approve(address(anchors), BOND);
        anchors.bond(BOND);
        vm.stopPrank();
        _give(WATCHER, DEPOSIT);
        vm.prank(WATCHER);
        ankr.approve(address(anchors), DEPOSIT);
    }

    // Right scores.

    function test_challenge_ofARightScoreCostsTheDeposit() public {
        World memory w = _world();
        _anchorAll(w);
        for (uint256 who = 0; who < 4; ++who) {
            _give(WATCHER, DEPOSIT);
            vm.prank(WATCHER);
            ankr.approve(address(anchors), DEPOSIT);
            vm.expectEmit(address(anchors));
            emit IChallenges.ChallengeFailed(1, WATCHER);
            vm.prank(WATCHER);
            anchors.challenge(_against(w, who));
            vm.assertEq(anchors.nextEpoch(), 2);
            vm.assertEq(anchors.voids(), 0);
            vm.assertEq(anchors.pool(), BOND + (who + 1) * DEPOSIT);
            vm.assertEq(ankr.balanceOf(WATCHER), DEPOSIT);
            vm.assertEq(ankr.balanceOf(address(anchors)), anchors.pool());
        }
    }

    /// @dev Whatever the auditors saw, and however the member stood before.
    function testFuzz_challenge_neverOverturnsARightScore(
        bytes15 outcomes,
        uint64[14] memory numbers,
        uint32 medianPpm
    ) public {
        World memory w = _world(abi.encodePacked(outcomes & bytes15(_sevens())));
        w.header.medianPpm = uint32(bound(medianPpm, 0, 1_000_000));
        for (uint256 i = 0; i < 14; ++i) {
            w.oldScores[ALICE][i + 2] = bytes32(uint256(numbers[i]));
        }
        if (numbers[0] > numbers[1]) w.oldScores[ALICE][2] = w.oldScores[ALICE][3];
        for (uint256 who = 0; who < 4; ++who) {
            w.scores[who] = _right(w, who);
        }
        _anchorAll(w);
        for (uint256 who = 0; who < 4; ++who) {
            vm.assertEq(anchors.faultOf(_against(w, who)), RIGHT);
        }
    }

    // Wrong scores.

    function testFuzz_challenge_overturnsAWrongWord(uint256 who, uint256 word, uint256 value)
        public
    {
        World memory w = _world();
        (who, word) = (who % 4, bound(word, 2, 15));
        vm.assume(bytes32(value) != w.scores[who][word]);
        w.scores[who][word] = bytes32(value);
        _anchorAll(w);
        // Another number of whole observations might have been delivered or owed: see below.
        if ((word == 8 || word == 9) && _canBeDuty(w, who)) return;
        _overturns(w, who, word == 8 || word == 9 ? anchors.faultOf(_against(w, who)) : word);
    }

    function test_challenge_overturnsEachWordThatIsOffByOne() public {
        World memory w = _world();
        for (uint256 who = 0; who < 4; ++who) {
            for (uint256 word = 2; word < 16; ++word) {
                uint256 right = uint256(w.scores[who][word]);
                w.scores[who][word] = bytes32(right + 1);
                _anchorAll(w);
                vm.assertEq(anchors.faultOf(_against(w, who)), word);
                w.scores[who][word] = bytes32(right);
                anchors = new ReputationAnchor(_setup());
            }
        }
    }

    /// @dev Duty is not in the evidence: what can be is all that is checked.
    function test_challenge_overturnsDutiesThatCannotBe() public {
        World memory w = _world();
        uint256 dutyS = uint256(w.scores[ALICE][8]);
        uint256 dutyN = uint256(w.scores[ALICE][9]);
        _hasDuty(w, dutyS - 12 * 65_536, dutyN, 8); // less than is left of the old
        _hasDuty(w, dutyS + 1, dutyN, 8); // no whole observation
        _hasDuty(w, dutyS + 2 * 65_536, dutyN, 9); // more delivered than owed
        _hasDuty(w, dutyS, dutyN - 13 * 65_536, 9);
        _hasDuty(w, dutyS, dutyN - 2 * 65_536, 9);
        _hasDuty(w, dutyS, dutyN + 61 * 65_536, 9); // more than anybody may owe
        _hasDuty(w, type(uint256).max, type(uint256).max, 8);
        _hasDuty(w, dutyS, dutyN + 60 * 65_536, RIGHT);
    }

    function test_challenge_overturnsWhatFollowsFromAScoreThatCannotBe() public {
        for (uint256 i = 2; i < 17; ++i) {
            World memory w = _world();
            uint256 tooMuch = uint256(type(uint64).max) + 1;
            if (i < 16) w.oldScores[ALICE][i] = bytes32(tooMuch);
            else w.oldScores[ALICE][2] = bytes32(uint256(w.oldScores[ALICE][3]) + 1);
            _anchorAll(w);
            vm.assertEq(anchors.faultOf(_against(w, ALICE)), 16);
            anchors = new ReputationAnchor(_setup());
        }
    }

    function testFuzz_challenge_overturnsEvidenceOfAnotherSize(uint256 auditors, uint256 rounds)
        public
    {
        auditors = auditors % 3 == 0 ? auditors : auditors % 20;
        rounds = rounds % 3 == 0 ? rounds : rounds % 20;
        vm.assume((auditors != 3 || rounds != 5) && (auditors != 5 || rounds != 3));
        vm.assume((auditors != 15 || rounds != 1) && (auditors != 1 || rounds != 15));
        World memory w = _world();
        (w.evidence[ALICE][2], w.evidence[ALICE][3]) = (bytes32(auditors), bytes32(rounds));
        _anchorAll(w);
        _overturns(w, ALICE, 17);
    }

    // Newcomers.

    function test_challenge_overturnsAForgedNewcomer() public {
        World memory w = _world();
        w.scores[NINA][2] = w.oldScores[CAROL][2]; // as if it had a past
        _anchorAll(w);
        _overturns(w, NINA, 2);
    }

    /// @dev Without its old score a member's right score would look wrong.
    function test_challenge_RevertWhen_AnOldScoreIsHidden() public {
        World memory w = _world();
        _anchorAll(w);
        for (uint256 who = 0; who < 4; ++who) {
            if (who == NINA) continue;
            for (uint256 shown = 0; shown < 8; ++shown) {
                IChallenges.Challenge memory given = _against(w, who);
                given.old = _none();
                given.newcomer = _some(w.oldRoster, shown);
                vm.expectRevert(IChallenges.NotNewcomer.selector);
                anchors.faultOf(given);
            }
        }
    }

    /// @dev Nina's neighbours are Alice and Carol among the full members, Lars among the light ones.
    function test_challenge_RevertWhen_ThereIsAPlaceForTheNewcomer() public {
        World memory w = _world();
        _anchorAll(w);
        for (uint256 shown = 0; shown < 7; ++shown) {
            IChallenges.Challenge memory given = _against(w, NINA);
            given.newcomer = _some(w.oldRoster, shown);
            vm.expectRevert(IChallenges.NotNewcomer.selector);
            anchors.faultOf(given);
        }
    }

    function test_challenge_takesANewcomerAtEitherEndOfTheRanks() public {
        for (uint256 i = 0; i < 2; ++i) {
            World memory w = _world();
            bytes32 node = bytes32(i == 0 ? uint256(1) : 99);
            (w.scores[NINA][0], w.evidence[NINA][0], w.roster[NINA][0]) = (node, node, node);
            _anchorAll(w);
            IChallenges.Challenge memory given = _against(w, NINA);
            given.newcomer = _some(w.oldRoster, i == 0 ? 3 : 6);
            vm.assertEq(anchors.faultOf(given), RIGHT);
            given.newcomer = _some(w.oldRoster, i == 0 ? 6 : 3);
            vm.expectRevert(IChallenges.NotNewcomer.selector);
            anchors.faultOf(given);
            anchors = new ReputationAnchor(_setup());
        }
    }

    /// @dev The same node, registered anew: a new member, and its other registration shows it.
    function test_challenge_takesANodeRegisteredAnewAsANewcomer() public {
        World memory w = _world();
        bytes32 nonce = bytes32(uint256(77));
        (w.evidence[ALICE][1], w.roster[ALICE][1]) = (nonce, nonce);
        uint256[16] memory blank = _blank(ALICE);
        blank[1] = 77;
        w.scores[ALICE] = _words(this.next(blank, w.matrix, w.header.medianPpm));
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, ALICE);
        given.old = _none();
        given.newcomer = _some(w.oldRoster, 1);
        vm.assertEq(anchors.faultOf(given), RIGHT);
        given.old = _shown(w.oldScores, ALICE);
        vm.expectRevert(IChallenges.OtherMember.selector);
        anchors.faultOf(given);
    }

    function test_challenge_takesEverybodyAsNewAfterAnEmptyRoster() public {
        World memory w = _world();
        w.oldRoster = new bytes32[][](0);
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, NINA);
        vm.assertEq(anchors.faultOf(given), RIGHT);
    }

    function test_challenge_takesEverybodyAsNewInEpoch0() public {
        World memory w = _world();
        w.header.epoch = 0;
        w.header.rosterRoot = _treeRoot(w.roster);
        w.header.evidenceRoot = _treeRoot(w.evidence);
        w.header.scoreRoot = _treeRoot(w.scores);
        _warpToSettled(0);
        _anchor(w.header);
        IChallenges.Challenge memory given = _against(w, NINA);
        given.newcomer = new IChallenges.Leaf[](0);
        given.headerBefore = _header(7);
        vm.assertEq(anchors.faultOf(given), RIGHT);
        given = _against(w, ALICE);
        vm.assertEq(anchors.faultOf(given), 8); // its duty is not that of a new member
    }

    // Light members and strangers.

    /// @dev What is not asked for must not be able to make a right score look wrong.
    function testFuzz_challenge_ignoresAMatrixBesideALightMember(bytes memory matrix) public {
        World memory w = _world();
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, LARS);
        given.matrix = matrix;
        vm.assertEq(anchors.faultOf(given), RIGHT);
    }

    function test_challenge_RevertWhen_AFullMemberIsShownAsALightOne() public {
        World memory w = _world();
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, CAROL);
        given.evidence = _none();
        given.light = _shown(w.roster, CAROL);
        vm.expectRevert(IChallenges.NotLight.selector);
        anchors.faultOf(given);
    }

    function test_challenge_overturnsAStrangersScore() public {
        World memory w = _world();
        w.scores[NINA][0] = bytes32(uint256(33));
        _anchorAll(w);
        IChallenges.Challenge memory given;
        (given.header, given.score) = (w.header, _shown(w.scores, NINA));
        for (uint256 shown = 1; shown < 16; ++shown) {
            given.stranger = _some(w.roster, shown);
            bool isEnough = shown & 14 == 14; // Nina and Carol, and Lars
            if (!isEnough) vm.expectRevert(IChallenges.NotStranger.selector);
            uint8 fault = anchors.faultOf(given);
            if (isEnough) vm.assertEq(fault, 18);
        }
    }

    function test_challenge_RevertWhen_AMemberIsCalledAStranger() public {
        World memory w = _world();
        _anchorAll(w);
        for (uint256 who = 0; who < 4; ++who) {
            IChallenges.Challenge memory given = _against(w, who);
            for (uint256 shown = 1; shown < 16; ++shown) {
                given.stranger = _some(w.roster, shown);
                vm.expectRevert(IChallenges.NotStranger.selector);
                anchors.faultOf(given);
            }
        }
    }

    function test_challenge_overturnsAnyScoreUnderAnEmptyRoster() public {
        World memory w = _world();
        w.roster = new bytes32[][](0);
        _anchorAll(w);
        IChallenges.Challenge memory given;
        (given.header, given.score) = (w.header, _shown(w.scores, CAROL));
        vm.assertEq(anchors.faultOf(given), 18);
    }

    // Void epochs.

    function testFuzz_challenge_overturnsAnyChangeInAVoidEpoch(uint256 word, uint256 value) public {
        World memory w = _world();
        w.header.isVoid = true;
        w.scores = w.oldScores;
        word = bound(word, 2, 15);
        vm.assume(bytes32(value) != w.scores[ALICE][word]);
        w.oldScores = _world().oldScores;
        w.scores[ALICE][word] = bytes32(value);
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, ALICE);
        given.evidence = _none();
        vm.assertEq(anchors.faultOf(given), word);
        given = _against(w, CAROL);
        given.evidence = _none();
        vm.assertEq(anchors.faultOf(given), RIGHT);
    }

    function test_challenge_knowsThatAVoidEpochsNewcomerIsBlank() public {
        World memory w = _world();
        w.header.isVoid = true;
        w.scores[NINA] = _words(_blank(NINA));
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, NINA);
        given.evidence = _none();
        vm.assertEq(anchors.faultOf(given), RIGHT);
    }

    // What a void does.

    function test_challenge_voidsTheEpochAndAllAfterIt() public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        _warpToSettled(4);
        for (uint64 epoch = 2; epoch < 5; ++epoch) {
            _anchor(_header(epoch));
        }
        bytes32[16] memory any;
        vm.assertEq(anchors.nextEpoch(), 5);
        _overturns(w, ALICE, 14);

        vm.assertEq(anchors.nextEpoch(), 1);
        for (uint64 epoch = 1; epoch < 6; ++epoch) {
            (bytes24 headerHash, uint64 anchoredAt) = anchors.recordOf(epoch);
            vm.assertEq(headerHash, 0);
            vm.assertEq(anchoredAt, 0);
            vm.assertFalse(anchors.verifyScore(_header(epoch), any, new bytes32[](0)));
        }
        (bytes24 kept,) = anchors.recordOf(0);
        vm.assertEq(kept, bytes24(keccak256(abi.encode(w.before))));
    }

    function test_challenge_opensTheEpochsForAnotherAnchor() public {
        World memory w = _world();
        bytes32 right = w.scores[ALICE][14];
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        _overturns(w, ALICE, 14);

        w.scores[ALICE][14] = right;
        w.header.scoreRoot = _treeRoot(w.scores);
        _warpToSettled(2);
        _anchor(w.header);
        _anchor(_header(2));
        vm.assertEq(anchors.nextEpoch(), 3);
        vm.assertEq(anchors.faultOf(_against(w, ALICE)), RIGHT);
    }

    function test_challenge_leavesTheOldSignatureWorthless() public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        bytes memory signature = anchorsSignature(w.header);
        _overturns(w, ALICE, 14);
        vm.expectRevert(abi.encodeWithSelector(IReputationAnchor.BadCouncilSignature.selector, 1));
        anchors.anchor(w.header, signature);
        vm.assertTrue(keccak256(signature) != keccak256(anchorsSignature(w.header)));
    }

    function test_challenge_RevertWhen_TheEpochIsVoidAlready() public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        _overturns(w, ALICE, 14);
        vm.expectRevert(abi.encodeWithSelector(IChallenges.HeaderNotAnchored.selector, 1));
        vm.prank(WATCHER);
        anchors.challenge(_against(w, ALICE));
    }

    function test_challenge_paysAsThePolicySays() public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        uint256 cut = uint256(BOND) * SLASH_BPS / 10_000;
        uint256 reward = cut * REWARD_BPS / 10_000;
        vm.expectEmit(address(anchors));
        emit IBonds.Slashed(cut, reward);
        vm.prank(WATCHER);
        anchors.challenge(_against(w, ALICE));
        vm.assertEq(ankr.balanceOf(WATCHER), DEPOSIT + reward);
        vm.assertEq(ankr.balanceOf(SINK), cut - reward);
        vm.assertEq(anchors.pool(), BOND - cut);
        vm.assertEq(anchors.bondOf(GOVERNOR), BOND - cut);
        vm.assertEq(ankr.balanceOf(address(anchors)), BOND - cut);
    }

    function test_anchor_RevertWhen_ThePoolIsTooSmall() public {
        IChallenges.Setup memory setup = _setup();
        setup.policy.bondMin = BOND;
        anchors = new ReputationAnchor(setup);
        _warpToSettled(0);
        bytes memory signature = anchorsSignature(_header(0));
        vm.expectRevert(abi.encodeWithSelector(IReputationAnchor.PoolTooSmall.selector, 0, BOND));
        anchors.anchor(_header(0), signature);
        _give(GOVERNOR, BOND);
        vm.startPrank(GOVERNOR);
        ankr.approve(address(anchors), BOND);
        anchors.bond(BOND);
        vm.stopPrank();
        anchors.anchor(_header(0), signature);
    }

    // The window.

    function test_challenge_isOpenUntilTheVeryLastSecond() public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        vm.warp(block.timestamp + CHALLENGE_S - 1);
        vm.assertFalse(anchors.isFinal(1));
        _overturns(w, ALICE, 14);
        vm.assertFalse(anchors.isFinal(1));
    }

    function testFuzz_challenge_RevertWhen_TheEpochIsFinal(uint256 timestamp) public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        uint256 untilS = block.timestamp + CHALLENGE_S;
        vm.warp(bound(timestamp, untilS, type(uint64).max));
        vm.assertTrue(anchors.isFinal(0));
        vm.assertTrue(anchors.isFinal(1));
        vm.assertFalse(anchors.isFinal(2));
        vm.expectRevert(abi.encodeWithSelector(IChallenges.EpochFinal.selector, 1, untilS));
        vm.prank(WATCHER);
        anchors.challenge(_against(w, ALICE));
    }

    // Challenges that show too little.

    function test_challenge_RevertWhen_TheDepositIsMissing() public {
        World memory w = _world();
        _anchorAll(w);
        vm.expectRevert(
            abi.encodeWithSelector(IBonds.DepositMissing.selector, address(this), DEPOSIT)
        );
        anchors.challenge(_against(w, ALICE));
        vm.startPrank(WATCHER);
        require(ankr.transfer(SINK, 1), "a test token pays");
        vm.expectRevert(abi.encodeWithSelector(IBonds.DepositMissing.selector, WATCHER, DEPOSIT));
        anchors.challenge(_against(w, ALICE));
        vm.stopPrank();
    }

    function test_challenge_RevertWhen_AHeaderIsNotAnchored() public {
        World memory w = _world();
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, ALICE);
        given.header.medianPpm ^= 1;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.HeaderNotAnchored.selector, 1));
        anchors.faultOf(given);
        given = _against(w, ALICE);
        given.headerBefore.isVoid = true;
        vm.expectRevert(abi.encodeWithSelector(IChallenges.HeaderNotAnchored.selector, 0));
        anchors.faultOf(given);
        given.headerBefore = w.header; // anchored, but not the one before
        vm.expectRevert(abi.encodeWithSelector(IChallenges.HeaderNotAnchored.selector, 1));
        anchors.faultOf(given);
    }

    function test_challenge_RevertWhen_ALeafIsNotProved() public {
        World memory w = _world();
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, ALICE);
        given.score.words[3] = 0;
        vm.expectRevert(IChallenges.ScoreNotProved.selector);
        anchors.faultOf(given);

        given = _against(w, ALICE);
        given.old.proof[0] = 0;
        vm.expectRevert(IChallenges.OldScoreNotProved.selector);
        anchors.faultOf(given);

        given = _against(w, ALICE);
        given.evidence.words = new bytes32[](5);
        vm.expectRevert(IChallenges.EvidenceNotProved.selector);
        anchors.faultOf(given);

        given = _against(w, ALICE);
        given.evidence = _none();
        vm.expectRevert(IChallenges.EvidenceNotProved.selector);
        anchors.faultOf(given);

        given = _against(w, NINA);
        given.newcomer[1].words[5] = bytes32(uint256(9));
        vm.expectRevert(IChallenges.MemberNotProved.selector);
        anchors.faultOf(given);

        given = _against(w, LARS);
        given.light = _shown(w.oldRoster, 1);
        vm.expectRevert(IChallenges.MemberNotProved.selector);
        anchors.faultOf(given);
    }

    function test_challenge_RevertWhen_ALeafIsAnothersOrHasAnotherMatrix() public {
        World memory w = _world();
        _anchorAll(w);
        IChallenges.Challenge memory given = _against(w, ALICE);
        given.old = _shown(w.oldScores, CAROL);
        vm.expectRevert(IChallenges.OtherMember.selector);
        anchors.faultOf(given);

        given = _against(w, ALICE);
        given.evidence = _shown(w.evidence, CAROL);
        vm.expectRevert(IChallenges.OtherMember.selector);
        anchors.faultOf(given);

        given = _against(w, LARS);
        given.score = _shown(w.scores, CAROL);
        given.old = _shown(w.oldScores, CAROL);
        vm.expectRevert(IChallenges.OtherMember.selector);
        anchors.faultOf(given);

        given = _against(w, ALICE);
        given.matrix[0] = 0x03;
        vm.expectRevert(IChallenges.OtherMatrix.selector);
        anchors.faultOf(given);
    }

    function test_gas() public {
        World memory w = _world();
        w.scores[ALICE][14] = PERFECT;
        _anchorAll(w);
        vm.prank(WATCHER);
        anchors.challenge(_against(w, ALICE));
        vm.snapshotGasLastCall("challenge of a wrong score among 4");
    }

    function anchorsSignature(IReputationAnchor.Header memory header)
        public
        view
        returns (bytes memory)
    {
        return _sign(header);
    }

    function _overturns(World memory w, uint256 who, uint256 fault) private {
        uint64 voids = anchors.voids();
        vm.expectEmit(address(anchors));
        // forge-lint: disable-next-line(unsafe-typecast) -- faults are below 256
        emit IChallenges.Voided(1, voids + 1, WATCHER, uint8(fault));
        vm.prank(WATCHER);
        anchors.challenge(_against(w, who));
        vm.assertEq(anchors.nextEpoch(), 1);
        vm.assertEq(anchors.voids(), voids + 1);
    }

    function _hasDuty(World memory w, uint256 dutyS, uint256 dutyN, uint8 fault) private {
        anchors = new ReputationAnchor(_setup());
        (w.scores[ALICE][8], w.scores[ALICE][9]) = (bytes32(dutyS), bytes32(dutyN));
        if (dutyS <= dutyN && dutyN < 2 ** 64) {
            w.scores[ALICE][15] = bytes32(dutyS * 1_000_000 / dutyN);
        }
        _anchorAll(w);
        vm.assertEq(anchors.faultOf(_against(w, ALICE)), fault);
    }

    /// @dev Whether the duty of a score is a possible one, though not the one it has in `_world`.
    function _canBeDuty(World memory w, uint256 who) private view returns (bool) {
        return anchors.faultOf(_against(w, who)) == 15;
    }

    function _none() private pure returns (IChallenges.Leaf memory none) {}

    function _sevens() private pure returns (bytes15) {
        return hex"070707070707070707070707070707";
    }
}
