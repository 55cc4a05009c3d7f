// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {BLS12381} from "./BLS12381.sol";
import {Bonds} from "./Bonds.sol";
import {Epochs} from "./Epochs.sol";
import {G2Key} from "./G2Key.sol";
import {IReputationAnchor} from "./interfaces/IReputationAnchor.sol";

/// @title Epochs' results, anchored
abstract contract Anchors is IReputationAnchor, Epochs, G2Key, Bonds {
    bytes32 private constant TAG = "stkr/anchor/2";
    bytes private constant DOMAIN = "STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_";
    uint32 private constant ONE_PPM = 1_000_000;

    /// @inheritdoc IReputationAnchor
    uint64 public immutable SETTLE_MS;

    /// @dev What is kept of an anchored epoch, in one slot: two would cost 22,100 gas more. To find
    ///      two headers whose hashes begin with the same 24 bytes takes some 2^96 hashes.
    struct Record {
        bytes24 headerHash;
        uint64 anchoredAt;
    }

    /// @dev `nextEpoch` plus 1: never 0, so that the first anchor costs no more than the others. It
    ///      and `voids` share a slot with `pool`, and an anchor needs all three.
    uint64 private _next = 1;

    /// @inheritdoc IReputationAnchor
    uint64 public voids;

    /// @dev Records from `nextEpoch` on are those of voided anchors, and count for nothing.
    mapping(uint64 epoch => Record) private _records;

    /// @param settleMs How long after its end an epoch's batches may travel, in milliseconds.
    constructor(uint64 settleMs) {
        SETTLE_MS = settleMs;
    }

    /// @inheritdoc IReputationAnchor
    function anchor(Header calldata header, bytes calldata signature) external {
        uint64 epoch = header.epoch;
        if (epoch != nextEpoch()) revert EpochNotNext(epoch, nextEpoch());
        uint256 untilMs = _startMs(uint256(epoch) + 1) + SETTLE_MS;
        if (block.timestamp * 1000 < untilMs) revert EpochNotSettled(epoch, untilMs);
        if (header.medianPpm > ONE_PPM) revert MedianAboveOne(header.medianPpm);
        if (pool < BOND_MIN) revert PoolTooSmall(pool, BOND_MIN);
        bytes32 headerHash = _hashOf(header);
        bytes memory hash = BLS12381.hashToG1(DOMAIN, bytes.concat(_message(headerHash)));
        if (!BLS12381.verify(_key(), hash, signature)) revert BadCouncilSignature(epoch);

        _records[epoch] = Record(_kept(headerHash), uint64(block.timestamp));
        ++_next;
        emit Anchored(
            epoch,
            header.rosterRoot,
            header.proposalHash,
            header.evidenceRoot,
            header.scoreRoot,
            header.medianPpm,
            header.isVoid
        );
    }

    /// @inheritdoc IReputationAnchor
    function anchorMessage(Header calldata header) external view returns (bytes32) {
        return _message(_hashOf(header));
    }

    /// @inheritdoc IReputationAnchor
    function verifyScore(
        Header calldata header,
        bytes32[16] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _proves(header, header.scoreRoot, abi.encode(words), proof);
    }

    /// @inheritdoc IReputationAnchor
    function verifyEvidence(
        Header calldata header,
        bytes32[6] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _proves(header, header.evidenceRoot, abi.encode(words), proof);
    }

    /// @inheritdoc IReputationAnchor
    function verifyRoster(
        Header calldata header,
        bytes32[8] calldata words,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _proves(header, header.rosterRoot, abi.encode(words), proof);
    }

    /// @inheritdoc IReputationAnchor
    function councilKey() external view returns (bytes memory) {
        return _key();
    }

    /// @inheritdoc IReputationAnchor
    function recordOf(uint64 epoch) external view returns (bytes24 headerHash, uint64 anchoredAt) {
        if (epoch >= nextEpoch()) return (0, 0);
        Record memory held = _records[epoch];
        return (held.headerHash, held.anchoredAt);
    }

    /// @inheritdoc IReputationAnchor
    function isFinal(uint64 epoch) external view returns (bool) {
        return epoch < nextEpoch() && block.timestamp >= finalAt(epoch);
    }

    /// @inheritdoc IReputationAnchor
    function finalAt(uint64 epoch) public view returns (uint256) {
        return epoch < nextEpoch() ? uint256(_records[epoch].anchoredAt) + CHALLENGE_S : 0;
    }

    /// @inheritdoc IReputationAnchor
    function nextEpoch() public view returns (uint64) {
        return _next - 1;
    }

    /// @dev Takes back the anchors from `epoch` on.
    function _voidFrom(uint64 epoch) internal {
        _next = epoch + 1;
        ++voids;
    }

    /// @dev Whether this is the anchored header of its epoch.
    function _isAnchored(Header calldata header) internal view returns (bool) {
        return
            header.epoch < nextEpoch()
                && _records[header.epoch].headerHash == _kept(_hashOf(header));
    }

    /// @dev Whether a leaf is in the tree of `root`.
    function _isInTree(bytes32 root, bytes memory leaf, bytes32[] calldata proof)
        internal
        pure
        returns (bool)
    {
        return MerkleProof.verifyCalldata(proof, root, keccak256(bytes.concat(keccak256(leaf))));
    }

    /// @dev Whether `header` is anchored and `leaf` is in the tree of its `root`.
    function _proves(
        Header calldata header,
        bytes32 root,
        bytes memory leaf,
        bytes32[] calldata proof
    ) private view returns (bool) {
        return _isAnchored(header) && _isInTree(root, leaf, proof);
    }

    function _message(bytes32 headerHash) private view returns (bytes32) {
        return keccak256(abi.encode(TAG, block.chainid, address(this), voids, headerHash));
    }

    function _hashOf(Header calldata header) private pure returns (bytes32) {
        return keccak256(abi.encode(header));
    }

    /// @dev The part of a header's hash that is kept.
    function _kept(bytes32 headerHash) private pure returns (bytes24) {
        // forge-lint: disable-next-line(unsafe-typecast) -- it is meant to be cut
        return bytes24(headerHash);
    }
}
