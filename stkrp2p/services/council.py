"""Governors among themselves: which share is in force, who is asked, and who answers what.

A share belongs to a group, and a group to a session of the bulletin board; from the moment a session
starts its shares sign and the earlier ones do not. The services that have something to say to other
governors (rounds, anchors, ceremonies) name here what they answer, and ask through here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import structlog
import trio

from stkrp2p.core.council import COUNCIL_PROTOCOL, AskDeal, AskGroup, Question, read_question
from stkrp2p.core.group import GovernorShare, Group
from stkrp2p.core.types import NetworkId, NodeId, ProtocolError, UnixMs
from stkrp2p.core.wire import ANSWER_BYTES_MAX, M, Message, decode, encode
from stkrp2p.ports import KEPT_GROUPS_MAX, Network, Unreachable

log = structlog.get_logger()

ASK_MS_MAX = 3_000
"""Time a governor has to answer."""

Q = TypeVar("Q", bound=Message)

Answering = Callable[[NodeId, Q], Awaitable[Message | None]]
"""Answers a governor's question; `None` for nothing to give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A group, our share of its keys if we are in it, and when it starts."""

    group: Group
    share: GovernorShare | None
    starts_ms: UnixMs
    """Rounds due from then on, and motions made from then on, are signed with this group's shares."""


class Seats:
    """The groups that a node knows: the one in force, and those that follow or went before."""

    def __init__(self, *seats: Seat) -> None:
        """Start with these."""
        self._seats: list[Seat] = []
        for seat in seats:
            self.add(seat)

    def __iter__(self) -> Iterator[Seat]:
        return iter(self._seats)

    def add(self, seat: Seat) -> None:
        """Take a group in; the oldest is forgotten, and with it our share of it."""
        others = [s for s in self._seats if s.group.session != seat.group.session]
        self._seats = sorted([*others, seat], key=lambda s: s.group.session)[-KEPT_GROUPS_MAX:]

    def at(self, now_ms: UnixMs) -> Seat | None:
        """Return the seat in force at a time, `None` before the first group."""
        started = [s for s in self._seats if s.starts_ms <= now_ms]
        return started[-1] if started else None

    def of(self, session: int) -> Seat | None:
        """Return the seat of a session, if it is remembered."""
        return next((s for s in self._seats if s.group.session == session), None)

    def before(self, session: int) -> Seat | None:
        """Return the seat of the latest session below a number, if one is remembered."""
        earlier = [s for s in self._seats if s.group.session < session]
        return earlier[-1] if earlier else None

    def drop(self, session: int) -> None:
        """Forget a group that is not to start after all."""
        self._seats = [s for s in self._seats if s.group.session != session]

    def forget_before(self, session: int) -> None:
        """Forget our shares of the groups before a session's; who was in them stays known."""
        self._seats = [
            replace(s, share=None) if s.group.session < session else s for s in self._seats
        ]

    @property
    def newest(self) -> Seat | None:
        """The group of the latest session, in force or not."""
        return self._seats[-1] if self._seats else None

    def is_governor(self, node: NodeId) -> bool:
        """Tell whether a node is in one of the groups."""
        return any(node in s.group.governors for s in self._seats)


@dataclass(slots=True, kw_only=True)
class Council:
    """The asking side: one governor's line to the others."""

    node: NodeId
    network: Network

    def others(self, group: Group) -> list[NodeId]:
        """Return the group's governors without ourselves, in order."""
        return [NodeId(n) for n in group.governors if n != self.node]

    async def ask(
        self, node: NodeId, question: Question, shape: type[M], *, timeout_ms: int = ASK_MS_MAX
    ) -> M | None:
        """Return a governor's answer; `None` if it has nothing to give.

        Raises:
            Unreachable: No whole answer in time.
            ProtocolError: It is no such answer.
        """
        raw = await self.network.ask(
            node,
            COUNCIL_PROTOCOL,
            encode(question),
            timeout_ms=timeout_ms,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        return decode(raw, shape, bytes_max=ANSWER_BYTES_MAX) if raw else None

    async def ask_all(
        self, group: Group, question: Question, shape: type[M], *, timeout_ms: int = ASK_MS_MAX
    ) -> dict[NodeId, M]:
        """Ask all others of a group at once; return the answers of those that gave one."""
        answers: dict[NodeId, M] = {}

        async def ask_one(node: NodeId) -> None:
            try:
                answer = await self.ask(node, question, shape, timeout_ms=timeout_ms)
            except (Unreachable, ProtocolError) as error:
                log.debug("governor does not answer", governor=node.hex()[:8], error=str(error))
            else:
                if answer is not None:
                    answers[node] = answer

        async with trio.open_nursery() as nursery:
            for node in self.others(group):
                nursery.start_soon(ask_one, node)
        return answers


@dataclass(slots=True, kw_only=True)
class CouncilServer:
    """The answering side; services say with `on` what they answer."""

    network_id: NetworkId | None
    """`None` before the network exists: then only deals are given."""

    seats: Seats
    served: Counter[str] = field(default_factory=Counter)
    """Questions answered by kind, for `status`."""

    _answering: dict[type, Answering] = field(default_factory=dict)  # type: ignore[type-arg]
    _is_open: dict[type, bool] = field(default_factory=dict)

    def on(self, kind: type[Q], answering: Answering[Q], *, is_open: bool = False) -> None:
        """Answer a kind of question.

        Args:
            kind: Which.
            answering: Returns the answer; may raise `ProtocolError`, which closes that stream.
            is_open: Whether anybody may ask; else only the governors we know.
        """
        self._answering[kind] = answering
        self._is_open[kind] = is_open

    async def answer(self, peer: NodeId, frame: bytes) -> bytes:
        """Return the answer to one question; empty for nothing to give.

        Raises:
            ProtocolError: The question is not one, of another network, or not for this peer to ask.
        """
        question = read_question(frame)
        kind = type(question)
        if not isinstance(question, AskDeal) and question.network != self.network_id:
            raise ProtocolError("foreign-network")
        if not self._is_open.get(kind, False) and not self.seats.is_governor(peer):
            raise ProtocolError("no-governor")
        answering = self._answering.get(kind)
        self.served[kind.__name__] += 1
        answer = None if answering is None else await answering(peer, question)
        return b"" if answer is None else encode(answer)

    async def give_group(self, _peer: NodeId, question: AskGroup) -> Group | None:
        """Answer with a group we know: what everybody may know of the council's keys."""
        seat = self.seats.before(question.before)
        return seat.group if seat else None

    def counters(self) -> Mapping[str, int]:
        """Return how many questions of each kind were answered."""
        return dict(sorted(self.served.items()))
