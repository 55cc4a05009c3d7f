"""Deals of a ceremony: fetched from whoever has them, kept, and given to who lacks them.

The board holds each deal's hash, so it does not matter who hands one over: its dealer is asked
first, then other participants. Nobody gets a deal before the dealing is over: as long as hashes are
all that is known of the others', no dealer can fit its own to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core.council import AskDeal
from stkrp2p.core.deal import DEAL_BYTES_MAX, Ceremony, Deal, hash_of_deal
from stkrp2p.core.types import NodeId, ProtocolError
from stkrp2p.core.wire import decode, encode
from stkrp2p.ports import Safe, Unreachable
from stkrp2p.services.council import Council

log = structlog.get_logger()

ASKED_MAX = 4
"""Participants asked for one deal in one go, its dealer included."""

ASKING_MAX = 8
"""Deals asked for at a time."""

GATHER_S_MAX = 10.0
"""How long one go at finding deals may take."""


@dataclass(slots=True, kw_only=True)
class Deals:
    """The deals of one ceremony, as far as we have them."""

    ceremony: Ceremony
    council: Council
    safe: Safe
    bodies: dict[int, bytes]
    """Dealer -> its encoded deal; only what has the hash on the board once it is over."""

    is_dealt: bool = False
    """Whether the dealing is over, and deals are given and asked for."""

    _turn: int = 0
    _slots: trio.CapacityLimiter = field(default_factory=lambda: trio.CapacityLimiter(ASKING_MAX))

    def missing(self, posted: Mapping[int, bytes]) -> list[int]:
        """Return the dealers whose deals we lack, of those that posted a hash."""
        return [d for d, h in posted.items() if hash_of_deal(self.bodies.get(d, b"")) != h]

    async def put(self, dealer: int, body: bytes) -> None:
        """Keep a deal.

        Raises:
            SafeError: It could not be kept; we do not count on it then.
        """
        await self.safe.put_deal(self.ceremony.session, dealer, body)
        self.bodies[dealer] = body

    async def gather(self, posted: Mapping[int, bytes], *, within_s: float) -> None:
        """Ask for the deals that we lack, each its dealer and some others; not all may be found.

        Others are asked in turn from one call to the next, so that in the end all are.

        Args:
            posted: Dealer -> hash on the board.
            within_s: How long it may take; at most `GATHER_S_MAX`.

        Raises:
            SafeError: A deal could not be kept.
        """
        self._turn += 1
        found: dict[int, bytes] = {}
        with trio.move_on_after(min(within_s, GATHER_S_MAX)):
            async with trio.open_nursery() as nursery:
                for dealer in self.missing(posted):
                    nursery.start_soon(self._find, dealer, posted[dealer], found)
        for dealer, body in sorted(found.items()):
            await self.put(dealer, body)

    async def _find(self, dealer: int, posted: bytes, found: dict[int, bytes]) -> None:
        async with self._slots:
            for node in self._sources(dealer):
                body = await self._ask(node, dealer)
                if hash_of_deal(body) == posted:
                    found[dealer] = body
                    return

    def _sources(self, dealer: int) -> list[NodeId]:
        """Return whom to ask this time: the dealer, and some of the others in turn."""
        ceremony, ours = self.ceremony, self.council.node
        first = ceremony.dealers[dealer]
        others = [n for n in dict.fromkeys((*ceremony.receivers, *ceremony.dealers)) if n != first]
        others = [n for n in others if n != ours]
        start = (self._turn - 1) * (ASKED_MAX - 1) % max(1, len(others))
        turn = [*others[start:], *others[:start]][: ASKED_MAX - 1]
        return [n for n in (first, *turn) if n != ours]

    async def _ask(self, node: NodeId, dealer: int) -> bytes:
        question = AskDeal(ceremony=self.ceremony.id, dealer=dealer)
        try:
            deal = await self.council.ask(node, question, Deal)
        except (Unreachable, ProtocolError) as error:
            log.debug("no deal", dealer=dealer, asked=node.hex()[:8], error=str(error))
            return b""
        return b"" if deal is None else encode(deal)

    def give(self, peer: NodeId, dealer: int) -> Deal | None:
        """Return a deal to a participant; nothing if we lack it or the dealing goes on.

        Raises:
            ProtocolError: `no-governor`: the peer takes no part.
        """
        if peer not in self.ceremony.dealers and peer not in self.ceremony.receivers:
            raise ProtocolError("no-governor")
        body = self.bodies.get(dealer)
        if body is None or not self.is_dealt:
            return None
        try:
            return decode(body, Deal, bytes_max=DEAL_BYTES_MAX)
        except ProtocolError:
            return None  # its dealer's hash is of something that is no deal
