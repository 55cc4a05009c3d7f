// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IEpochs} from "./IEpochs.sol";

/// @title  Epochs' results, anchored
/// @notice Once an epoch is settled the council signs its header; one transaction by anyone anchors
///         it. Epochs are anchored in order without gaps, the first valid header of an epoch stands,
///         and every score, roster and observation in it can be proved for ever after, unless the
///         anchor is voided within `CHALLENGE_S`.
/// @dev    Only a hash of the header is stored; the header itself is in the event, and whoever proves
///         something brings it. Trees are OpenZeppelin's standard Merkle trees: pairs are sorted, and
///         a leaf is keccak256(keccak256(words)).
interface IReputationAnchor is IEpochs {
    /// @notice What an epoch came to.
    /// @param  epoch         The epoch, counted from 0.
    /// @param  rosterRoot    Root of the tree of members.
    /// @param  proposalHash  Hash of the proposal: which batches are in.
    /// @param  evidenceRoot  Root of the tree of who saw what, one leaf a target.
    /// @param  scoreRoot     Root of the tree of scores, one leaf a member.
    /// @param  medianPpm     Median uptime of the members, in parts per million.
    /// @param  isVoid        So much was down or unseen that no score moved.
    struct Header {
        uint64 epoch;
        bytes32 rosterRoot;
        bytes32 proposalHash;
        bytes32 evidenceRoot;
        bytes32 scoreRoot;
        uint32 medianPpm;
        bool isVoid;
    }

    /// @notice An epoch was anchored; the parameters are the header's fields.
    event Anchored(
        uint64 indexed epoch,
        bytes32 rosterRoot,
        bytes32 proposalHash,
        bytes32 evidenceRoot,
        bytes32 scoreRoot,
        uint32 medianPpm,
        bool isVoid
    );

    /// @notice Epochs are anchored in order: it is another one's turn, or this one is done.
    error EpochNotNext(uint64 epoch, uint64 nextEpoch);

    /// @notice The epoch's batches may still travel until `untilMs` (Unix milliseconds).
    error EpochNotSettled(uint64 epoch, uint256 untilMs);

    /// @notice A median above one million parts per million.
    error MedianAboveOne(uint32 medianPpm);

    /// @notice The signature is not the council's on this header, on this chain, for this contract.
    error BadCouncilSignature(uint64 epoch);

    /// @notice The governors' bond is too small to answer for an anchor.
    error PoolTooSmall(uint256 pool, uint256 poolMin);

    /// @notice Anchors the next epoch. Anyone may; the council's signature is what counts.
    /// @param  header     What the epoch came to.
    /// @param  signature  The council's BLS signature on `anchorMessage(header)`: G1, uncompressed
    ///                    (EIP-2537), 128 bytes.
    function anchor(Header calldata header, bytes calldata signature) external;

    /// @notice The epoch to be anchored next.
    function nextEpoch() external view returns (uint64);

    /// @notice How often an anchor has been voided.
    function voids() external view returns (uint64);

    /// @notice What is kept of an epoch; zeros if it is not anchored.
    /// @return headerHash  The first 24 bytes of keccak256(abi.encode(header)).
    /// @return anchoredAt  Time of the block that anchored it, Unix seconds.
    function recordOf(uint64 epoch) external view returns (bytes24 headerHash, uint64 anchoredAt);

    /// @notice Whether an epoch is anchored and can no longer be challenged.
    function isFinal(uint64 epoch) external view returns (bool);

    /// @notice From when on an epoch can no longer be challenged, Unix seconds; 0 if it is not
    ///         anchored.
    function finalAt(uint64 epoch) external view returns (uint256);

    /// @notice The 32 bytes that the council signs for this header.
    /// @dev    keccak256(abi.encode("stkr/anchor/2", chain id, this contract, voids, header hash)), hashed to
    ///         G1 under "STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_". Naming chain and contract
    ///         keeps a signature from being used anywhere else, and naming the voids from being used
    ///         again after its anchor was voided.
    function anchorMessage(Header calldata header) external view returns (bytes32);

    /// @notice Says whether a score is in an anchored epoch.
    /// @param  header  The epoch's header, as in its `Anchored` event.
    /// @param  words   node_id, nonce, s, n, up_rounds, outages, age_epochs, last_up, duty_s, duty_n,
    ///                 state, state_until, uptime_ppm, run_time_rounds, reliability_ppm, duty_ppm.
    /// @param  proof   Siblings from the leaf to the root.
    function verifyScore(
        Header calldata header,
        bytes32[16] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Says whether an account of who saw what is in an anchored epoch.
    /// @param  header  The epoch's header.
    /// @param  words   target, nonce, assigned, drawn, auditors_hash, matrix_hash.
    /// @param  proof   Siblings from the leaf to the root.
    function verifyEvidence(
        Header calldata header,
        bytes32[6] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice Says whether a member is in the roster of an anchored epoch.
    /// @param  header  The epoch's header.
    /// @param  words   node_id, nonce, operator, kind, stake, rank, full members, light members.
    /// @param  proof   Siblings from the leaf to the root.
    function verifyRoster(
        Header calldata header,
        bytes32[8] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool);

    /// @notice The council's public key, G2 as EIP-2537 encodes it, 256 bytes.
    function councilKey() external view returns (bytes memory);

    /// @notice How long after its end an epoch's batches may still travel, in milliseconds.
    /// @dev    (settle rounds - 1) * period opens an epoch just as the round that seals it falls due.
    function SETTLE_MS() external view returns (uint64);
}
