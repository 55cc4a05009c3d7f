"""Logs of a contract, however many blocks they lie in: asked for in pieces that endpoints answer."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from stkrp2p.adapters.chain.endpoint import Endpoint, Refused, unhex
from stkrp2p.adapters.chain.follower import RANGE_BLOCKS_MAX, Hex


class Log(msgspec.Struct, frozen=True):
    """What a contract said."""

    topics: tuple[Hex, ...]
    data: Hex

    @property
    def topic_bytes(self) -> list[bytes]:
        """Its topics, 32 bytes each."""
        return [unhex(topic) for topic in self.topics]


async def find_logs(
    endpoint: Endpoint, address: bytes, topics: Sequence[bytes | None], *, first: int, last: int
) -> list[Log]:
    """Return a contract's logs of some blocks, in their order.

    Args:
        endpoint: Who is asked.
        address: The contract's, 20 bytes.
        topics: What each topic must be; `None` for any.
        first: The first block.
        last: The last block.

    Raises:
        EndpointFailed: It did not tell, not even for a single block.
    """
    wanted: dict[str, object] = {
        "address": f"0x{address.hex()}",
        "topics": [None if topic is None else f"0x{topic.hex()}" for topic in topics],
    }
    found: list[Log] = []
    blocks = RANGE_BLOCKS_MAX
    start = first
    while start <= last:
        end = min(last, start + blocks - 1)
        piece = wanted | {"fromBlock": hex(start), "toBlock": hex(end)}
        try:
            found += await endpoint.ask("eth_getLogs", piece, parse=_read)
        except Refused:
            if end == start:
                raise
            blocks = max(1, (end - start + 1) // 2)
        else:
            start = end + 1
    return found


def _read(result: object) -> list[Log]:
    return msgspec.convert(result, list[Log])
