"""Keccak Merkle trees that OpenZeppelin's `MerkleProof` checks on chain.

The standard tree of `@openzeppelin/merkle-tree`: a leaf is hashed twice, so no inner node passes
for a leaf; the leaves are sorted by hash, so a tree is a set; a pair is hashed in sorted order, so
a proof needs no directions. The nodes of n leaves lie in one list of 2n - 1, root first, the leaves
last and in reverse order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sha3

from stkrp2p.core.types import Digest

EMPTY_ROOT = Digest(bytes(32))
"""Root of a tree without leaves; no proof leads to it."""

WORD_BYTES = 32


def keccak256(data: bytes) -> Digest:
    """Return Keccak-256, Ethereum's hash."""
    return Digest(sha3.keccak_256(data).digest())


def words(*values: int | bytes) -> bytes:
    """Return `abi.encode` of static values: 32 bytes each, integers to the right, bytes as given.

    Args:
        values: Integers from 0 to 2**256 - 1, or byte strings of exactly 32 bytes.

    Raises:
        ValueError: A byte string of another length.
        OverflowError: An integer out of range.
    """
    return b"".join(
        [v.to_bytes(WORD_BYTES, "big") if isinstance(v, int) else _word(v) for v in values]
    )


def _word(value: bytes) -> bytes:
    if len(value) != WORD_BYTES:
        raise ValueError(f"a word has {WORD_BYTES} bytes, got {len(value)}")
    return value


def words_in(data: bytes) -> list[bytes]:
    """Return the words of encoded data, such as a leaf's."""
    return [data[at : at + WORD_BYTES] for at in range(0, len(data), WORD_BYTES)]


def leaf_hash(data: bytes) -> Digest:
    """Return the hash of a leaf, double so that it differs from every inner node's."""
    return keccak256(keccak256(data))


def _pair(a: bytes, b: bytes) -> Digest:
    return keccak256(a + b if a < b else b + a)


class Tree:
    """A tree over leaf data; the order of the leaves does not matter, copies count once each."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Build the tree; costs two hashes a leaf and one an inner node."""
        hashes = sorted(map(leaf_hash, leaves))
        count = len(hashes)
        nodes: list[Digest] = [EMPTY_ROOT] * max(0, count - 1) + hashes[::-1]
        for i in range(count - 2, -1, -1):
            nodes[i] = _pair(nodes[2 * i + 1], nodes[2 * i + 2])
        self._nodes = nodes
        self._index = {
            node: i for i, node in enumerate(nodes[max(0, count - 1) :], max(0, count - 1))
        }

    @property
    def root(self) -> Digest:
        """The root, `EMPTY_ROOT` for no leaves."""
        return self._nodes[0] if self._nodes else EMPTY_ROOT

    def proof(self, leaf: bytes) -> tuple[Digest, ...]:
        """Return the siblings from the leaf up.

        Raises:
            KeyError: The leaf is not in the tree.
        """
        index = self._index[leaf_hash(leaf)]
        siblings = []
        while index > 0:
            siblings.append(self._nodes[index + 1 if index % 2 else index - 1])
            index = (index - 1) // 2
        return tuple(siblings)


def is_proved(root: Digest, leaf: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the proof leads from the leaf to the root."""
    node = leaf_hash(leaf)
    for sibling in proof:
        node = _pair(node, sibling)
    return node == root
