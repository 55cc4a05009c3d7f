"""Checking account proofs: that a state root says this, or nothing, of an address.

Ethereum's state is a Merkle-Patricia trie under keccak256(address), 64 nibbles. A proof is the nodes
from the root down (`eth_getProof`); it holds if each node hashes to what the one above says and the
last one settles the matter: the account's leaf, or a place where the path ends or turns away. Showing
that there is no account takes the same nodes as showing one. (Yellow Paper, appendix D.)
"""

from __future__ import annotations

from collections.abc import Sequence

from stkrp2p.adapters.workloads.rlp import NotRlp, read_list
from stkrp2p.core.merkle import keccak256

NODES_MAX = 65
"""Most nodes of a proof: one a nibble, and a leaf."""

NODE_BYTES_MAX = 544
"""Largest node: sixteen hashes and an empty value."""

_BRANCH_ITEMS = 17
_PAIR_ITEMS = 2
_ACCOUNT_FIELDS = 4
_HASH_BYTES = 32


def is_proved(root: bytes, address: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the proof settles what the state of this root says of the address.

    False for any other bytes; never raises.

    Args:
        root: The state root, 32 bytes.
        address: 20 bytes.
        proof: The nodes from the root down, none missing and none too many.
    """
    if not 0 < len(proof) <= NODES_MAX or any(len(n) > NODE_BYTES_MAX for n in proof):
        return False
    path = keccak256(address).hex()
    expected = root
    for node in proof[:-1]:
        if keccak256(node) != expected:
            return False
        expected, path = _step(node, path)
        if len(expected) != _HASH_BYTES:
            return False
    return keccak256(proof[-1]) == expected and _settles(proof[-1], path)


def _step(node: bytes, path: str) -> tuple[bytes, str]:
    """Return (hash of the next node, what is left of the path); no hash if none follows."""
    try:
        items = read_list(node)
    except NotRlp:
        return b"", ""
    if len(items) == _BRANCH_ITEMS and path:
        return items[int(path[0], 16)], path[1:]
    if len(items) == _PAIR_ITEMS:
        kind, nibbles = _nibbles(items[0])
        if kind == "extension" and path.startswith(nibbles):
            return items[1], path[len(nibbles) :]
    return b"", ""


def _settles(node: bytes, path: str) -> bool:
    """Tell whether the path ends at this node, with an account or without."""
    try:
        items = read_list(node)
        if len(items) == _BRANCH_ITEMS and path:
            return items[int(path[0], 16)] == b""
        if len(items) != _PAIR_ITEMS:
            return False
        kind, nibbles = _nibbles(items[0])
        if kind == "leaf" and len(nibbles) == len(path):
            return nibbles != path or len(read_list(items[1])) == _ACCOUNT_FIELDS
    except NotRlp:
        return False
    return kind == "extension" and bool(nibbles) and not path.startswith(nibbles)


def _nibbles(key: bytes) -> tuple[str, str]:
    """Read a hex-prefix key: what kind of node it is of ("" for none), and its nibbles."""
    digits = key.hex()
    match digits[:1]:
        case "0" | "2" if digits[1] == "0":
            nibbles = digits[2:]
        case "1" | "3":
            nibbles = digits[1:]
        case _:
            return "", ""
    return ("extension" if digits[0] in "01" else "leaf"), nibbles
