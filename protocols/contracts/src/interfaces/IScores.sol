// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IReputationAnchor} from "./IReputationAnchor.sol";

/// @notice A score in an anchored epoch, and what proves it.
/// @param  header The epoch's header.
/// @param  words  The score's 16 words (`protocols/reputation.md`, section 2).
/// @param  proof  Siblings in the epoch's tree of scores.
struct ScoreProof {
    IReputationAnchor.Header header;
    bytes32[16] words;
    bytes32[] proof;
}

/// @notice A member of an anchored epoch's roster, and what proves it.
/// @param  header The epoch's header.
/// @param  words  The member's 8 words (`protocols/roster.md`, section 3).
/// @param  proof  Siblings in the epoch's tree of members.
struct MemberProof {
    IReputationAnchor.Header header;
    bytes32[8] words;
    bytes32[] proof;
}

/// @title Scores that are proved against the anchors
interface IScores {
    /// @notice The registration was never shown to be a member: `IProviders.addNode` does that.
    error NeverAdded(uint256 registration);

    /// @notice The leaf is of another node, or of another registration of it.
    error OtherNode(bytes32 nodeId, bytes32 nonce);

    /// @notice The epoch is not anchored, or may still be challenged.
    error EpochNotFinal(uint64 epoch);

    /// @notice Not in the anchored tree, or not under the anchored header.
    error NotProved(uint64 epoch);

    /// @notice Checks a score of a provider's node in a final epoch; reverts unless it is proved.
    /// @return reliabilityPpm Anchored reliability.
    /// @return uptimePpm      Anchored uptime.
    /// @return state          0 vetting, 1 active, 2 probation, 3 suspended.
    function provedScore(uint256 registration, ScoreProof calldata shown)
        external
        view
        returns (uint32 reliabilityPpm, uint32 uptimePpm, uint8 state);
}
