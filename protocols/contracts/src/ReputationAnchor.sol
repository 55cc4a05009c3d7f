// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Math} from "@openzeppelin/contracts/utils/math/Math.sol";
import {Anchors} from "./Anchors.sol";
import {Bonds} from "./Bonds.sol";
import {Epochs} from "./Epochs.sol";
import {G2Key} from "./G2Key.sol";
import {ScoreMath} from "./ScoreMath.sol";
import {Scoring} from "./Scoring.sol";
import {IChallenges} from "./interfaces/IChallenges.sol";

/// @title Epochs' results, and how a wrong one is overturned
contract ReputationAnchor is IChallenges, Anchors, Scoring {
    uint256 private constant SCORE_WORDS = 16;
    uint256 private constant EVIDENCE_WORDS = 6;
    uint256 private constant ROSTER_WORDS = 8;

    /// @dev Words of a leaf in the roster.
    uint256 private constant KIND = 3;
    uint256 private constant RANK = 5;
    uint256 private constant FULL_COUNT = 6;
    uint256 private constant LIGHT_COUNT = 7;

    uint256 private constant KIND_LIGHT = 1;

    /// @dev A fault beside those of `ScoreMath`: it is the score of nobody who was a member.
    uint8 private constant STRANGER = 18;

    /// @param setup What is fixed at deployment.
    constructor(Setup memory setup)
        Epochs(setup.genesisMs, setup.epochMs)
        G2Key(setup.key)
        Bonds(setup.council, setup.token, setup.policy)
        Anchors(setup.settleMs)
        Scoring(setup.scoring)
    {}

    /// @inheritdoc IChallenges
    function challenge(Challenge calldata given) external {
        _checkDeposit(msg.sender);
        uint8 fault = faultOf(given);
        uint64 epoch = given.header.epoch;
        if (fault == ScoreMath.RIGHT) {
            emit ChallengeFailed(epoch, msg.sender);
            _takeDeposit(msg.sender);
        } else {
            _voidFrom(epoch);
            emit Voided(epoch, voids, msg.sender, fault);
            _slash(msg.sender);
        }
    }

    /// @inheritdoc IChallenges
    function scoring() external view returns (ScoreMath.Params memory) {
        return _params();
    }

    /// @inheritdoc IChallenges
    function faultOf(Challenge calldata given) public view returns (uint8) {
        Header calldata header = given.header;
        if (!_isAnchored(header)) revert HeaderNotAnchored(header.epoch);
        uint256 untilS = finalAt(header.epoch);
        if (block.timestamp >= untilS) revert EpochFinal(header.epoch, untilS);
        if (!_isShown(header.scoreRoot, given.score, SCORE_WORDS)) revert ScoreNotProved();
        if (given.stranger.length != 0 || header.rosterRoot == 0) {
            if (!_isAbsent(header.rosterRoot, given.stranger, given.score)) revert NotStranger();
            return STRANGER;
        }
        uint256[SCORE_WORDS] memory old = _oldScore(given);
        (uint256 auditors, uint256 rounds, bytes calldata matrix) = _seen(given);
        ScoreMath.Claim memory claim = ScoreMath.Claim({
            score: _score(given.score),
            old: old,
            auditors: auditors,
            rounds: rounds,
            epoch: header.epoch,
            medianPpm: header.medianPpm,
            isVoid: header.isVoid
        });
        return ScoreMath.fault(claim, matrix, _params());
    }

    /// @dev The score that the one in question must follow from.
    function _oldScore(Challenge calldata given)
        private
        view
        returns (uint256[SCORE_WORDS] memory old)
    {
        (old[ScoreMath.NODE], old[ScoreMath.NONCE]) =
        (uint256(given.score.words[0]), uint256(given.score.words[1]));
        if (given.header.epoch == 0) return old;
        Header calldata before = given.headerBefore;
        if (before.epoch != given.header.epoch - 1 || !_isAnchored(before)) {
            revert HeaderNotAnchored(before.epoch);
        }
        if (given.old.words.length == 0) {
            if (!_isAbsent(before.rosterRoot, given.newcomer, given.score)) revert NotNewcomer();
            return old;
        }
        if (!_isShown(before.scoreRoot, given.old, SCORE_WORDS)) revert OldScoreNotProved();
        _checkSame(given.score, given.old);
        return _score(given.old);
    }

    /// @dev How many auditors the member had, in how many rounds it was drawn, and what they saw;
    ///      nothing in a void epoch, which goes by the score before alone.
    function _seen(Challenge calldata given)
        private
        pure
        returns (uint256 auditors, uint256 rounds, bytes calldata matrix)
    {
        if (given.header.isVoid) return (0, 0, given.matrix[:0]);
        Leaf calldata evidence = given.evidence;
        if (evidence.words.length == 0 && given.light.words.length != 0) {
            _checkMember(given.header.rosterRoot, given.light);
            _checkSame(given.score, given.light);
            if (uint256(given.light.words[KIND]) != KIND_LIGHT) revert NotLight();
            return (0, 0, given.matrix[:0]);
        }
        if (!_isShown(given.header.evidenceRoot, evidence, EVIDENCE_WORDS)) {
            revert EvidenceNotProved();
        }
        _checkSame(given.score, evidence);
        if (keccak256(given.matrix) != evidence.words[5]) revert OtherMatrix();
        return (uint256(evidence.words[2]), uint256(evidence.words[3]), given.matrix);
    }

    /// @dev Whether some members of a roster show that the one of a score is not in it. Of each kind,
    ///      those up to rank `below` are below it and those from rank `above` on are above it.
    function _isAbsent(bytes32 root, Leaf[] calldata shown, Leaf calldata score)
        private
        pure
        returns (bool)
    {
        if (root == 0) return true;
        if (shown.length == 0) return false;
        uint256[2] memory below = [uint256(0), 0];
        uint256[2] memory above = [type(uint256).max, type(uint256).max];
        for (uint256 i = 0; i < shown.length; ++i) {
            _checkMember(root, shown[i]);
            bytes32[] calldata words = shown[i].words;
            if (words[0] == score.words[0]) return words[1] != score.words[1];
            if (i == 0) above = [uint256(words[FULL_COUNT]), uint256(words[LIGHT_COUNT])];
            uint256 kind = Math.min(uint256(words[KIND]), KIND_LIGHT);
            uint256 rank = uint256(words[RANK]);
            if (words[0] < score.words[0]) below[kind] = Math.max(below[kind], rank + 1);
            else above[kind] = Math.min(above[kind], rank);
        }
        return below[0] >= above[0] && below[1] >= above[1];
    }

    function _checkMember(bytes32 root, Leaf calldata member) private pure {
        if (!_isShown(root, member, ROSTER_WORDS)) revert MemberNotProved();
    }

    /// @dev Every leaf begins with node id and nonce.
    function _checkSame(Leaf calldata score, Leaf calldata other) private pure {
        bool isSame = score.words[0] == other.words[0] && score.words[1] == other.words[1];
        if (!isSame) revert OtherMember();
    }

    function _isShown(bytes32 root, Leaf calldata leaf, uint256 count) private pure returns (bool) {
        if (leaf.words.length != count) return false;
        return _isInTree(root, abi.encodePacked(leaf.words), leaf.proof);
    }

    function _score(Leaf calldata leaf) private pure returns (uint256[SCORE_WORDS] memory) {
        return abi.decode(abi.encodePacked(leaf.words), (uint256[16]));
    }
}
