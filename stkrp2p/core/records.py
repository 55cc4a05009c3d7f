"""Where a node can be reached, in its own signed words.

The registry's profiles bring two strangers together; a record that peers hand on lets a node move
without a transaction. Of two records of one node the one with the higher sequence number counts.
Specified in `protocols/sync.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from stkrp2p.core.crypto import RECORD_TAG, is_signed_by, sign
from stkrp2p.core.types import NetworkId, NodeId
from stkrp2p.core.wire import Bytes32, Bytes64, Message, Uint, encode

ADDRESSES_MAX = 4
"""Most addresses of one node."""

ADDRESS_BYTES_MAX = 256


class AddressRecord(Message, frozen=True):
    """Where a node can be reached, signed by it; the highest sequence number counts."""

    node: Bytes32
    sequence: Uint
    addresses: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=ADDRESS_BYTES_MAX)], ...],
        msgspec.Meta(max_length=ADDRESSES_MAX),
    ]
    signature: Bytes64


def _payload(network: NetworkId, node: NodeId, sequence: int, addresses: Sequence[str]) -> bytes:
    return encode([network, node, sequence, list(addresses)])


def sign_record(
    secret: bytes, network: NetworkId, node: NodeId, *, sequence: int, addresses: Sequence[str]
) -> AddressRecord:
    """Return a node's signed word on where it can be reached."""
    signature = sign(secret, RECORD_TAG, _payload(network, node, sequence, addresses))
    return AddressRecord(
        node=node, sequence=sequence, addresses=tuple(addresses), signature=signature
    )


def is_record_signed(network: NetworkId, record: AddressRecord) -> bool:
    """Tell whether the node itself signed this record for this network."""
    node = NodeId(record.node)
    payload = _payload(network, node, record.sequence, record.addresses)
    return is_signed_by(node, RECORD_TAG, payload, record.signature)
