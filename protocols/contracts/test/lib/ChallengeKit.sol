// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ScoreMath} from "../../src/ScoreMath.sol";
import {IChallenges} from "../../src/interfaces/IChallenges.sol";
import {IReputationAnchor} from "../../src/interfaces/IReputationAnchor.sol";
import {AnchorKit} from "./AnchorKit.sol";

/// @dev Two epochs of a network of four members, and what a challenger shows of them.
///
///      member | node | kind  | joined
///      ALICE  |  20  | full  | before epoch 0
///      NINA   |  25  | full  | in epoch 1
///      LARS   |  30  | light | before epoch 0
///      CAROL  |  40  | full  | before epoch 0
abstract contract ChallengeKit is AnchorKit {
    uint256 internal constant ALICE = 0;
    uint256 internal constant NINA = 1;
    uint256 internal constant LARS = 2;
    uint256 internal constant CAROL = 3;

    uint256 internal constant ASSIGNED = 3;
    uint256 internal constant DRAWN = 5;

    address internal constant WATCHER = address(0x3a7c4e5);

    /// @dev What stands in the trees of both epochs, leaf by leaf.
    struct World {
        bytes32[][] oldScores;
        bytes32[][] oldRoster;
        bytes32[][] roster;
        bytes32[][] evidence;
        bytes32[][] scores;
        bytes matrix;
        IReputationAnchor.Header before;
        IReputationAnchor.Header header;
    }

    /// @dev A right world: all scores of epoch 1 follow from those of epoch 0.
    function _world() internal view returns (World memory) {
        return _world(hex"0101040102" hex"0104040002" hex"0001030501");
    }

    function _world(bytes memory matrix) internal view returns (World memory w) {
        w.matrix = matrix;
        w.before = _header(0);
        w.header = _header(1);
        w.oldRoster = new bytes32[][](3);
        w.oldRoster[0] = _member(ALICE, 0, 2);
        w.oldRoster[1] = _member(LARS, 0, 2);
        w.oldRoster[2] = _member(CAROL, 1, 2);
        w.roster = new bytes32[][](4);
        w.roster[ALICE] = _member(ALICE, 0, 3);
        w.roster[NINA] = _member(NINA, 1, 3);
        w.roster[LARS] = _member(LARS, 0, 3);
        w.roster[CAROL] = _member(CAROL, 2, 3);
        w.evidence = new bytes32[][](4);
        w.oldScores = new bytes32[][](4);
        w.scores = new bytes32[][](4);
        for (uint256 who = 0; who < 4; ++who) {
            w.evidence[who] = _evidence(who, matrix);
            w.oldScores[who] = _oldScore(who);
            w.scores[who] = _right(w, who);
        }
        w.evidence[LARS] = _evidence(CAROL, matrix); // a light member has none
        w.oldScores[NINA] = _oldScore(CAROL); // nor has a new one a score
    }

    /// @dev Anchors both epochs as they stand in the world.
    function _anchorAll(World memory w) internal {
        _root(w);
        _warpToSettled(1);
        _anchor(w.before);
        _anchor(w.header);
    }

    /// @dev Writes the trees' roots into the headers.
    function _root(World memory w) internal pure {
        w.before.rosterRoot = _treeRoot(w.oldRoster);
        w.before.scoreRoot = _treeRoot(w.oldScores);
        w.header.rosterRoot = _treeRoot(w.roster);
        w.header.evidenceRoot = _treeRoot(w.evidence);
        w.header.scoreRoot = _treeRoot(w.scores);
    }

    /// @dev The challenge of one member's score in epoch 1.
    function _against(World memory w, uint256 who)
        internal
        pure
        returns (IChallenges.Challenge memory given)
    {
        given.header = w.header;
        given.headerBefore = w.before;
        given.score = _shown(w.scores, who);
        if (who == NINA) given.newcomer = _some(w.oldRoster, type(uint256).max);
        else given.old = _shown(w.oldScores, who);
        if (who == LARS) {
            given.light = _shown(w.roster, who);
        } else {
            given.evidence = _shown(w.evidence, who);
            given.matrix = w.matrix;
        }
        // A copy: what a test changes must not change the world.
        return abi.decode(abi.encode(given), (IChallenges.Challenge));
    }

    /// @dev What a member's score comes to in epoch 1.
    function _right(World memory w, uint256 who) internal view returns (bytes32[] memory) {
        bytes memory matrix = who == LARS ? bytes("") : w.matrix;
        uint256[16] memory old = _numbers(w.oldScores[who]);
        if (who == NINA) old = _blank(NINA);
        return _words(this.next(old, matrix, w.header.medianPpm));
    }

    /// @notice As the contract computes it; the mathematics itself is held against the core elsewhere.
    function next(uint256[16] memory old, bytes calldata matrix, uint256 medianPpm)
        external
        pure
        returns (uint256[16] memory)
    {
        (uint256 auditors, uint256 rounds) = matrix.length == 0 ? (0, 0) : (ASSIGNED, DRAWN);
        ScoreMath.Seen memory seen =
            ScoreMath.tally(matrix, auditors, rounds, old[ScoreMath.LAST_VERDICT]);
        (seen.delivered, seen.owed) = (11, 12);
        return ScoreMath.next(old, seen, 1, medianPpm, _scoring());
    }

    function _node(uint256 who) internal pure returns (bytes32) {
        return bytes32([uint256(20), 25, 30, 40][who]);
    }

    function _nonce(uint256 who) internal pure returns (bytes32) {
        return bytes32(who == NINA ? 0 : who + 3);
    }

    function _member(uint256 who, uint256 rank, uint256 fullCount)
        internal
        pure
        returns (bytes32[] memory words)
    {
        words = new bytes32[](8);
        (words[0], words[1]) = (_node(who), _nonce(who));
        words[2] = bytes32(uint256(0x0be7a7));
        words[3] = bytes32(uint256(who == LARS ? 1 : 0));
        words[4] = bytes32(uint256(10 ** 23));
        words[5] = bytes32(rank);
        (words[6], words[7]) = (bytes32(fullCount), bytes32(uint256(1)));
    }

    function _evidence(uint256 who, bytes memory matrix)
        internal
        pure
        returns (bytes32[] memory words)
    {
        words = new bytes32[](6);
        (words[0], words[1]) = (_node(who), _nonce(who));
        (words[2], words[3]) = (bytes32(ASSIGNED), bytes32(DRAWN));
        words[4] = keccak256("auditors");
        words[5] = keccak256(matrix);
    }

    function _oldScore(uint256 who) internal pure returns (bytes32[] memory words) {
        uint256[16] memory old;
        (old[0], old[1]) = (uint256(_node(who)), uint256(_nonce(who)));
        (old[2], old[3], old[4], old[5]) = (400_000, 500_000, 6, 1);
        (old[6], old[7], old[8], old[9]) = (1, 1, 600_000, 700_000);
        (old[12], old[13], old[14], old[15]) = (800_000, 6, 100_000, 857_142);
        return _words(old);
    }

    /// @dev What a new member's score starts with.
    function _blank(uint256 who) internal pure returns (uint256[16] memory blank) {
        (blank[0], blank[1]) = (uint256(_node(who)), uint256(_nonce(who)));
    }

    function _numbers(bytes32[] memory words) internal pure returns (uint256[16] memory) {
        return abi.decode(abi.encodePacked(words), (uint256[16]));
    }

    function _words(uint256[16] memory numbers) internal pure returns (bytes32[] memory words) {
        words = new bytes32[](16);
        for (uint256 i = 0; i < 16; ++i) {
            words[i] = bytes32(numbers[i]);
        }
    }

    function _treeRoot(bytes32[][] memory leaves) internal pure returns (bytes32) {
        return leaves.length == 0 ? bytes32(0) : _root(_hashes(leaves));
    }

    function _shown(bytes32[][] memory leaves, uint256 index)
        internal
        pure
        returns (IChallenges.Leaf memory)
    {
        return IChallenges.Leaf({words: leaves[index], proof: _proof(_hashes(leaves), index)});
    }

    /// @dev Those leaves whose bits are set in `which`.
    function _some(bytes32[][] memory leaves, uint256 which)
        internal
        pure
        returns (IChallenges.Leaf[] memory shown)
    {
        uint256 count = 0;
        for (uint256 i = 0; i < leaves.length; ++i) {
            count += which >> i & 1;
        }
        shown = new IChallenges.Leaf[](count);
        for (uint256 i = leaves.length; i != 0; --i) {
            if (which >> (i - 1) & 1 == 1) shown[--count] = _shown(leaves, i - 1);
        }
    }

    function _hashes(bytes32[][] memory leaves) private pure returns (bytes32[] memory hashes) {
        hashes = new bytes32[](leaves.length);
        for (uint256 i = 0; i < leaves.length; ++i) {
            hashes[i] = _leaf(abi.encodePacked(leaves[i]));
        }
    }
}
