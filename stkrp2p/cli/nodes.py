"""How people name a node: by PeerID (`12D3KooW…`), hex id, or the beginning of either."""

from __future__ import annotations

from collections.abc import Iterable

from stkrp2p.adapters.libp2p.identity import node_from_peer_id, peer_id_text
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.core.types import NodeId

PEER_ID_START = "12D3KooW"
"""What all PeerIDs of Ed25519 keys begin with."""

SHORT_CHARACTERS = 16
"""Characters of a PeerID in tables: 8 that all share and 8 that tell."""

CANDIDATES_MAX = 5

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_NODE_HEX_CHARACTERS = 64
_PEER_ID_BYTES = 38
_PEER_ID_CHARACTERS = 52


def short(node: NodeId) -> str:
    """Return the beginning of the PeerID: enough to find the node again."""
    return peer_id_text(node)[:SHORT_CHARACTERS]


def node_from_text(text: str) -> NodeId | None:
    """Return the node that a whole PeerID or hex id names; `None` if it is neither."""
    if len(text) == _NODE_HEX_CHARACTERS:
        try:
            return NodeId(bytes.fromhex(text))
        except ValueError:
            return None
    if len(text) != _PEER_ID_CHARACTERS or any(c not in _BASE58 for c in text):
        return None
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    try:
        return node_from_peer_id(number.to_bytes(_PEER_ID_BYTES, "big"))
    except (ValueError, OverflowError):
        return None


def find_node(text: str, known: Iterable[NodeId]) -> NodeId:
    """Return the node a reference names.

    Args:
        text: A PeerID, hex id, or the beginning of one; of a PeerID also without `12D3KooW`.
        known: The nodes a beginning may stand for. A whole id needs not be among them.

    Raises:
        Failure: It names no node, or several.
    """
    whole = node_from_text(text)
    if whole is not None:
        return whole
    found = sorted({n for n in known if _is_named(n, text)})
    if len(found) == 1:
        return found[0]
    if not found:
        raise Failure(
            f'no known node is called "{text}"',
            why="a node is named by its PeerID, its hex id, or the beginning of one",
            hint="stkrp2p roster",
            code=Exit.USAGE,
        )
    names = ", ".join(short(n) for n in found[:CANDIDATES_MAX])
    more = f" and {len(found) - CANDIDATES_MAX} more" if len(found) > CANDIDATES_MAX else ""
    raise Failure(
        f'"{text}" begins the ids of {len(found)} nodes',
        why=f"they are {names}{more}",
        hint="give more characters",
        code=Exit.USAGE,
    )


def _is_named(node: NodeId, text: str) -> bool:
    peer_id = peer_id_text(node)
    rest = peer_id.removeprefix(PEER_ID_START)
    is_hex = node.hex().startswith(text.lower())
    return bool(text) and (is_hex or peer_id.startswith(text) or rest.startswith(text))
