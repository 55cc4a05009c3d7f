"""Governors that make keys over a simulated network and board, with real files.

A `Desk` is one governor: its secrets, its directory, its way to the board and to the others. It can be
killed and started again; what its directory holds is all that it comes back with.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import trio

from stkrp2p.adapters.council_files import CouncilFiles
from stkrp2p.core.council import COUNCIL_PROTOCOL, AskDeal, AskGroup
from stkrp2p.core.crypto import Secret, node_id_of, sha256
from stkrp2p.core.deal import Deal, Dealer, deal_of, hash_of_deal, justification_of
from stkrp2p.core.group import Group, Purpose, combine, partial_sign
from stkrp2p.core.types import NetworkId, NodeId, UnixMs
from stkrp2p.core.wire import ANSWER_BYTES_MAX, encode
from stkrp2p.ports import BoardSession, Governor, Phase
from stkrp2p.services.ceremony import (
    Ceremonies,
    _Part,
    load_seats,
    posts_of,
    run_ceremonies,
)
from stkrp2p.services.council import Council, CouncilServer, Seats
from testnet.board import Record, SimBoard, SimBoardPort
from testnet.sim import SimClock, SimEdge, SimWire, run_seeded

CHAIN_ID = 31337
CONTRACT = bytes(range(20))
NETWORK_ID = NetworkId(sha256(b"network"))
PHASE_S = 30
STORY_S_MAX = 3_600
"""Virtual seconds a story may take."""

MESSAGE = b"a message"


async def inline(work, /):
    """Run what blocks at once: a simulation must not wait for threads."""
    await trio.lowlevel.checkpoint()
    return work()


@dataclass(slots=True, kw_only=True)
class Corrupt(Ceremonies):
    """A governor that does some of its part otherwise."""

    tamper: Callable[[Dealer, Deal], Deal | bytes | None] = lambda _dealer, deal: deal
    """Changes our deal; `None` posts none, bytes are posted as they are."""

    complain: Callable[[int], int | None] = lambda complaints: complaints
    """Changes our complaints; `None` does not respond."""

    answers: Callable[[NodeId, Deal | None], Deal | None] = lambda _peer, deal: deal
    """Changes what a peer is given of our own deal."""

    is_silent_when_accused: bool = False

    async def _deal(self, part: _Part, session: BoardSession) -> None:
        if part.dealer is None or session.deals[part.dealer] is not None:
            return
        dealer = await self._own_dealer(part)
        assert dealer is not None
        changed = self.tamper(dealer, deal_of(dealer))
        if changed is not None:
            body = changed if isinstance(changed, bytes) else encode(changed)
            await part.deals.put(dealer.index, body)
            await self.board.post_deal(session.number, hash_of_deal(body))

    async def _give_deal(self, peer: NodeId, question: AskDeal) -> Deal | None:
        # `super()` does not find its class in a dataclass with slots.
        given = await Ceremonies._give_deal(self, peer, question)
        is_own = self._part is not None and question.dealer == self._part.dealer
        return self.answers(peer, given) if is_own else given

    async def _justify(self, part: _Part, session: BoardSession) -> None:
        dealer = None if self.is_silent_when_accused else await self._own_dealer(part)
        if dealer is not None:
            posts = posts_of(session)
            for receiver in posts.complainants(dealer.index):
                if (dealer.index, receiver) not in posts.justifications:
                    shares = justification_of(dealer, receiver)
                    await self.board.justify(session.number, receiver, shares)

    async def _respond(self, part: _Part, session: BoardSession) -> None:
        port, complain = self.board, self.complain

        class Liar:
            async def respond(self, number: int, complaints: int) -> None:
                said = complain(complaints)
                if said is not None:
                    await port.respond(number, said)

        self.board = Liar()  # type: ignore[assignment]
        try:
            await Ceremonies._respond(self, part, session)
        finally:
            self.board = port


@dataclass(slots=True, kw_only=True)
class Desk:
    """One governor."""

    name: str
    folder: Path
    port: SimBoardPort
    seats: Seats = field(default_factory=Seats)
    corrupt: dict[str, object] | None = None
    """Arguments of `Corrupt`; `None` for an honest governor."""

    running: Ceremonies | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    stopped: trio.Event = field(default_factory=trio.Event)
    edge: SimEdge | None = None
    kills: int = 0

    @property
    def secret(self) -> bytes:
        return sha256(b"secret of " + self.name.encode())

    @property
    def node(self) -> NodeId:
        return node_id_of(self.secret)

    @property
    def governor(self) -> Governor:
        return Governor(account=self.port.own, node=self.node)

    @property
    def group(self) -> Group | None:
        """The group of our newest seat."""
        return self.seats.newest.group if self.seats.newest else None

    @property
    def ceremonies(self) -> Ceremonies:
        assert self.running is not None
        return self.running

    def safe(self) -> CouncilFiles:
        return CouncilFiles(
            directory=self.folder / "council",
            node=self.node,
            chain_id=CHAIN_ID,
            board=CONTRACT,
            iterations=1,
            run=inline,
        )

    def files(self) -> dict[str, bytes]:
        """Return all that is on this governor's disk."""
        found = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return {str(p.relative_to(self.folder)): p.read_bytes() for p in found}


class Hall:
    """All governors, their board and their wires."""

    def __init__(self, folder: Path, names: Sequence[str], nursery: trio.Nursery, seed: int):
        self.folder, self.nursery = folder, nursery
        self.wire = SimWire(seed, nursery)
        self.random = random.Random(seed)
        self.board = SimBoard((), PHASE_S)
        self.desks = [self.add(name) for name in names]
        self.board.governors = tuple(d.governor for d in self.desks)

    def add(self, name: str) -> Desk:
        """Prepare a governor that is in no list yet."""
        folder = self.folder / name
        folder.mkdir(mode=0o700)
        port = SimBoardPort(self.board, sha256(b"account", name.encode())[:20])
        return Desk(name=name, folder=folder, port=port)

    async def start(self, *desks: Desk) -> None:
        """Start governors, or start them again with what is on their disks."""
        for desk in desks:
            desk.seats = Seats()
            await load_seats(desk.safe(), desk.seats)
            desk.edge = self.wire.edges[desk.node] = SimEdge(self.wire, desk.node)
            server = CouncilServer(network_id=NETWORK_ID, seats=desk.seats)
            server.on(AskGroup, server.give_group, is_open=True)
            kind = Ceremonies if desk.corrupt is None else Corrupt
            desk.running = kind(
                secret=Secret(desk.secret),
                chain_id=CHAIN_ID,
                contract=CONTRACT,
                network_id=NETWORK_ID,
                board=desk.port,
                safe=desk.safe(),
                seats=desk.seats,
                council=Council(node=desk.node, network=desk.edge),
                clock=SimClock(),
                **(desk.corrupt or {}),
            )
            desk.running.serve(server)
            desk.edge.serve(COUNCIL_PROTOCOL, server.answer, answer_bytes_max=ANSWER_BYTES_MAX)
            desk.scope, desk.stopped = trio.CancelScope(), trio.Event()
            self.nursery.start_soon(self._run, desk, desk.running)

    async def _run(self, desk: Desk, ceremonies: Ceremonies) -> None:
        try:
            with desk.scope:
                await run_ceremonies(ceremonies)
        finally:
            self.wire.edges.pop(desk.node, None)
            desk.stopped.set()

    async def kill(self, desk: Desk) -> None:
        """End a governor's process at once; only its disk remains."""
        desk.scope.cancel()
        await desk.stopped.wait()
        desk.running, desk.seats = None, Seats()
        desk.kills += 1

    async def support(self, *desks: Desk, receivers: Sequence[Desk] | None = None) -> None:
        """Let governors ask for a session, one after the other."""
        wanted = [d.governor for d in receivers] if receivers else self.board.seated
        number = len(self.board.records) + 1
        for desk in desks:
            await desk.port.support(number, wanted)

    async def until(self, holds: Callable[[], object], *, within_s: float = 600) -> None:
        """Sleep until something holds."""
        give_up_s = trio.current_time() + within_s
        while not holds():  # in virtual time looking costs nothing
            await trio.sleep(0.25)
            assert trio.current_time() < give_up_s, self.told()

    @property
    def record(self) -> Record:
        """The latest session."""
        return self.board.records[-1]

    @property
    def phase(self) -> Phase | None:
        """The latest session's phase."""
        if not self.board.records:
            return None
        return self.record.phase(self.board.now_s)

    @property
    def now_ms(self) -> UnixMs:
        return SimClock().unix_ms()

    @property
    def starts_ms(self) -> UnixMs:
        """From when the latest session's shares sign."""
        return UnixMs(self.record.starts_s * 1000)

    async def until_phase(self, *phases: Phase) -> None:
        await self.until(lambda: self.phase in phases)

    async def until_seated(self, desks: Iterable[Desk], *, session: int = 1) -> Group:
        """Sleep until these governors have their seats of a session; return the group."""
        desks = list(desks)
        await self.until(lambda: all(d.group and d.group.session == session for d in desks))
        return one_group(desks)

    def told(self) -> str:
        """Say how everybody stands, for a test that fails."""
        lines = [f"{self.phase} {self.record if self.board.records else None}"]
        for desk in self.desks:
            state = desk.running.state if desk.running else None
            lines.append(f"{desk.name} {state and (state.trouble, state.outcome)} {desk.group}")
        return "\n".join(lines)

    def split(self, *groups: Sequence[Desk]) -> None:
        side = {d.node: i for i, group in enumerate(groups) for d in group}
        self.wire.is_cut = lambda a, b: a in side and b in side and side[a] != side[b]


def one_group(desks: Sequence[Desk]) -> Group:
    """Check that all have shares of one group, any t of which sign; return it."""
    group = desks[0].group
    assert group is not None
    shares = []
    for desk in desks:
        seat = desk.seats.newest
        assert seat is not None
        assert seat.group == group, desk.name
        assert seat.share is not None, desk.name
        shares.append(seat.share)
    for purpose in Purpose:
        partials = {s.index: partial_sign(s, purpose, MESSAGE) for s in shares}
        chosen = list(combinations(sorted(partials), group.threshold))
        signatures = {
            combine(group, purpose, {i: partials[i] for i in some}, MESSAGE)
            for some in (chosen[0], chosen[-1])
        }
        assert len(signatures) == 1
        assert signatures != {None}
    return group


def play(
    folder: Path,
    story: Callable[[Hall], Awaitable[None]],
    *,
    governors: int = 3,
    seed: int = 1,
) -> None:
    """Run a story of so many governors under a virtual clock."""

    async def simulate() -> None:
        async with trio.open_nursery() as nursery:
            hall = Hall(folder, [f"g{i}" for i in range(governors)], nursery, seed)
            with trio.fail_after(STORY_S_MAX):
                await story(hall)
            nursery.cancel_scope.cancel()

    run_seeded(seed, simulate)
