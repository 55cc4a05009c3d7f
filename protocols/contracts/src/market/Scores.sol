// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";
import {ScoreMath} from "../ScoreMath.sol";
import {IRegistry} from "../interfaces/IRegistry.sol";
import {IReputationAnchor} from "../interfaces/IReputationAnchor.sol";
import {IScores, MemberProof, ScoreProof} from "../interfaces/IScores.sol";

/// @title  What anchored epochs say of a registered node
/// @notice A score names its node and nonce but not its operator, and the registry takes a node id
///         from whoever claims it. Only a roster names all three, and leaves out false claims: what
///         is built on scores asks for a member's roster first.
library Scores {
    /// @dev Words of a leaf in the roster.
    uint256 private constant OPERATOR = 2;

    /// @notice Reverts unless nobody can challenge an anchored epoch any more.
    function checkFinal(IReputationAnchor anchor, uint64 epoch) internal view {
        if (!anchor.isFinal(epoch)) revert IScores.EpochNotFinal(epoch);
    }

    /// @notice Reverts unless `header` is the anchored one of its epoch.
    function checkAnchored(IReputationAnchor anchor, IReputationAnchor.Header calldata header)
        internal
        view
    {
        // slither-disable-next-line unused-return -- when it was is of no interest here
        (bytes24 headerHash,) = anchor.recordOf(header.epoch);
        // forge-lint: disable-next-line(unsafe-typecast) -- the anchor keeps it cut
        if (headerHash != bytes24(keccak256(abi.encode(header)))) {
            revert IScores.NotProved(header.epoch);
        }
    }

    /// @notice Reverts unless a final roster has this registration as its operator's own.
    function checkMember(
        IReputationAnchor anchor,
        IRegistry.Registration memory member,
        MemberProof calldata shown
    ) internal view {
        uint64 epoch = shown.header.epoch;
        checkFinal(anchor, epoch);
        bool isIts = uint256(shown.words[OPERATOR]) == uint160(member.operator);
        if (!isIts || !_isOf(member, shown.words[0], shown.words[1])) {
            revert IScores.OtherNode(shown.words[0], shown.words[1]);
        }
        if (!anchor.verifyRoster(shown.header, shown.words, shown.proof)) {
            revert IScores.NotProved(epoch);
        }
    }

    /// @notice Reverts unless an anchored epoch has this score of this registration. Whether the
    ///         epoch is final is not asked.
    function checkScore(
        IReputationAnchor anchor,
        IRegistry.Registration memory member,
        ScoreProof calldata shown
    ) internal view {
        if (!_isOf(member, shown.words[0], shown.words[1])) {
            revert IScores.OtherNode(shown.words[0], shown.words[1]);
        }
        if (!anchor.verifyScore(shown.header, shown.words, shown.proof)) {
            revert IScores.NotProved(shown.header.epoch);
        }
    }

    /// @notice Returns what the market asks of a score.
    /// @return reliabilityPpm Anchored reliability.
    /// @return uptimePpm      Anchored uptime.
    /// @return state          0 vetting, 1 active, 2 probation, 3 suspended.
    function numbersOf(bytes32[16] calldata words)
        internal
        pure
        returns (uint32 reliabilityPpm, uint32 uptimePpm, uint8 state)
    {
        reliabilityPpm = SafeCast.toUint32(uint256(words[ScoreMath.RELIABILITY_PPM]));
        uptimePpm = SafeCast.toUint32(uint256(words[ScoreMath.UPTIME_PPM]));
        state = SafeCast.toUint8(uint256(words[ScoreMath.STATE]));
    }

    /// @notice Whether the node was up in its last decided round.
    function isUp(bytes32[16] calldata words) internal pure returns (bool) {
        return uint256(words[ScoreMath.LAST_VERDICT]) == ScoreMath.UP;
    }

    function _isOf(IRegistry.Registration memory member, bytes32 nodeId, bytes32 nonce)
        private
        pure
        returns (bool)
    {
        return member.nodeId == nodeId && member.nonce == uint256(nonce);
    }
}
