# ruff: noqa: D102, ARG002 - the methods of a port, and their arguments, are documented in `ports`
"""A seeded network in one process: the real services over in-memory ports and a virtual clock.

What varies is an argument: the seed, the latencies, who is cut off from whom, what the beacon, the
chain and the disks do. The same seed gives the same run, event for event, in every process. Real
sockets, processes and contracts are the local network's business (`testnet.cluster`); this is for the
cases that need hours, hundreds of nodes or an adversary.
"""

from __future__ import annotations

import hashlib
import logging
import random  # noqa: TID251 - seeded: a run is a function of its seed
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from functools import lru_cache
from typing import TypeVar

import structlog
import trio
import trio.testing
from trio._core import _run as trio_internals

from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, anchor_message
from stkrp2p.core.batch import Batch, read_batch
from stkrp2p.core.beacon import Beacon, BeaconRound, round_message
from stkrp2p.core.crypto import node_id_of
from stkrp2p.core.fraud import Challenge, first_wrong_word
from stkrp2p.core.group import Purpose
from stkrp2p.core.merkle import is_proved
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL, Params
from stkrp2p.core.roster import Profile, Registration, sign_claim
from stkrp2p.core.score import Score
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Judgement,
    Kind,
    NodeId,
    Operator,
    ProtocolError,
    Round,
    UnixMs,
)
from stkrp2p.core.wire import encode
from stkrp2p.node import Identity, Node, Ports, build_node
from stkrp2p.ports import (
    ANCHORS_MAX,
    AnchorRecord,
    BeaconUnavailable,
    ChainState,
    ChainUnavailable,
    Handler,
    Judge,
    NoSpace,
    Observation,
    PeerStatus,
    RegistrySnapshot,
    StoredEpoch,
    Unreachable,
    WorkloadError,
    WorkloadHealth,
)
from stkrp2p.services.council import Seat, Seats
from testnet.dealer import deal, draw_polynomials

GENESIS_S = 5
"""Virtual seconds before round 1."""

SHORT = replace(MINIMAL, rounds_per_epoch=6, retain_epochs=16)
"""`MINIMAL` with epochs of half the length: what most simulations need."""

MESH = 2
"""Peers to which a node forwards a message that it accepted."""

T = TypeVar("T")


@contextmanager
def _pairings_remembered() -> Iterator[None]:
    """Check each beacon round once and not once a node: the check is pure, and most of the work."""
    check, sign = bls.is_signed_by, bls.sign
    bls.is_signed_by = lru_cache(maxsize=1 << 16)(check)
    bls.sign = lru_cache(maxsize=1 << 16)(sign)
    try:
        yield
    finally:
        bls.is_signed_by, bls.sign = check, sign


def run_seeded(seed: int, simulate: Callable[[], Awaitable[T]]) -> T:
    """Run an asynchronous function under a virtual clock, the same way each time.

    Trio shuffles tasks that are ready in the same instant; here the shuffle is seeded, which takes
    two private names that trio's own tests use. Nothing in it may wait for threads or sockets.
    """
    before = trio_internals._ALLOW_DETERMINISTIC_SCHEDULING  # noqa: SLF001
    config = structlog.get_config()
    trio_internals._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]  # noqa: SLF001
    trio_internals._r.seed(seed)  # noqa: SLF001
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL),
        logger_factory=structlog.ReturnLoggerFactory(),
    )
    try:
        with _pairings_remembered():
            return trio.run(simulate, clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        structlog.configure(**config)
        trio_internals._ALLOW_DETERMINISTIC_SCHEDULING = before  # type: ignore[misc]  # noqa: SLF001


CHAIN_TIMEOUT_S = 8.0
"""After so long a call to an endpoint that hangs fails."""


class SimClock:
    """The wall clock as trio's virtual time tells it."""

    def unix_ms(self) -> UnixMs:
        return UnixMs(int(trio.current_time() * 1000))


@dataclass(slots=True)
class SimEntropy:
    """Seeded randomness for jitter and choices."""

    source: random.Random

    def below(self, limit: int) -> int:
        return self.source.randrange(limit)


class Hang(Exception):
    """Raised by a fault: no answer at all."""


@dataclass(slots=True)
class SimBeacons:
    """A beacon with one key; `fault` may replace what a node is told."""

    secret: int
    beacon: Beacon
    fault: Callable[[Round], bytes | None] = lambda _number: b""
    """Returns b"" for the truth, `None` for no answer, or another signature; or raises `Hang`."""

    async def fetch(self, number: Round) -> bytes:
        await trio.sleep(0.01)
        try:
            told = self.fault(number)
        except Hang:
            await trio.sleep_forever()
        if told is None or self.beacon.due_ms(number) > SimClock().unix_ms():
            raise BeaconUnavailable("no answer")
        return told or bls.sign(self.secret, round_message(number), bls.ROUND_DST)


@dataclass(slots=True)
class SimChain:
    """The contracts' rules in memory, shared by all nodes."""

    genesis: Genesis
    registrations: list[Registration] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    anchored: Counter[int] = field(default_factory=Counter)
    """How often each epoch was anchored; more than once only after a reorganisation."""

    offered: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """Hashes of the validly signed headers that were ever sent for an epoch."""

    final: int = 0
    """How many of the headers cannot be taken back any more."""

    finality_epochs: int = 2

    voids: int = 0
    """How often an anchor was voided."""

    deposits_lost: int = 0
    """Challenges of right scores."""

    def anchor(self, header: Header) -> None:
        """Take the next epoch's header."""
        if header.epoch == len(self.headers):
            self.anchored[header.epoch] += 1
            self.headers.append(header)
            self.final = max(self.final, len(self.headers) - self.finality_epochs)

    def challenge(self, challenge: Challenge) -> None:
        """Void an epoch and all later ones if the challenged score is wrong."""
        epoch = challenge.header.epoch
        near = self.headers[max(0, epoch - 1) : epoch + 1]
        shown = [h for h in (challenge.before, challenge.header) if h is not None]
        if near != shown:
            raise ChainUnavailable("NotAnchored")
        if first_wrong_word(challenge, self.genesis.params) is None:
            self.deposits_lost += 1
            return
        del self.headers[epoch:]
        self.final = min(self.final, epoch)
        self.voids += 1

    def reorganise(self, count: int) -> None:
        """Take the last anchors back."""
        del self.headers[max(self.final, len(self.headers) - count) :]


@dataclass(slots=True)
class SimChainPort:
    """One node's endpoint."""

    chain: SimChain
    fault: str = ""
    """ "" for none, "down" or "hanging"."""

    calls: int = 0

    @property
    def state(self) -> ChainState:
        return ChainState.DOWN if self.fault else ChainState.OK

    @property
    def detail(self) -> str:
        return self.fault or str(self.state)

    async def _call(self) -> None:
        self.calls += 1
        await trio.sleep(0.02)
        if self.fault == "hanging":
            await trio.sleep(CHAIN_TIMEOUT_S)
        if self.fault:
            raise ChainUnavailable(self.fault)

    async def registry(self) -> RegistrySnapshot:
        await self._call()
        now = SimClock().unix_ms()
        return RegistrySnapshot(
            registrations=tuple(self.chain.registrations), block=now // 1000, block_ms=now
        )

    @property
    def voids(self) -> int:
        return self.chain.voids

    async def anchors(self, first: Epoch) -> tuple[AnchorRecord, ...]:
        await self._call()
        return tuple(
            AnchorRecord(
                header=h, block=0, is_final=int(h.epoch) < self.chain.final, transaction="0x"
            )
            for h in self.chain.headers[max(0, first) :][:ANCHORS_MAX]
        )

    async def submit_anchor(self, header: Header, signature: bytes) -> None:
        await self._call()
        message = anchor_message(self.chain.genesis, header, self.chain.voids)
        key = self.chain.genesis.council_key
        if not bls.is_signed_by(key, message, signature, bls.ANCHOR_DST):
            raise ChainUnavailable("BadCouncilSignature")
        self.chain.offered[header.epoch].add(header.hash())
        if header.epoch > len(self.chain.headers):
            raise ChainUnavailable("EpochNotNext")
        self.chain.anchor(header)

    async def challenge(self, challenge: Challenge) -> str:
        await self._call()
        self.chain.challenge(challenge)
        return "0x"

    async def is_score_proved(self, header: Header, score: Score, proof: Sequence[bytes]) -> bool:
        await self._call()
        return header in self.chain.headers and is_proved(
            Digest(header.score_root), score.leaf(), proof
        )


class SimStore:
    """A store in memory; it outlives its node, as a disk would. One call after the other."""

    def __init__(self) -> None:
        self.own: dict[Epoch, Batch] = {}
        self.own_votes: dict[tuple[int, int, int], Header] = {}
        self.seen: dict[tuple[Round, NodeId], Observation] = {}
        self.kept_batches: dict[Epoch, dict[bytes, Batch]] = defaultdict(dict)
        self.kept_rounds: dict[Round, BeaconRound] = {}
        self.kept_mixed: dict[Round, BeaconRound] = {}
        self.snapshot: RegistrySnapshot | None = None
        self.epochs: dict[Epoch, tuple[StoredEpoch, tuple[Score, ...]]] = {}
        self.contested_epochs: dict[Epoch, tuple[StoredEpoch, tuple[Score, ...]]] = {}
        self.is_full = False
        self.delay_s: Callable[[], float] = lambda: 0.0
        """How long a call waits, both before and after it takes effect."""

        self._turn = trio.Lock()

    @asynccontextmanager
    async def _call(self, *, is_write: bool = False) -> AsyncIterator[None]:
        async with self._turn:
            await trio.sleep(self.delay_s())
            if is_write and self.is_full:
                raise NoSpace("the disk is full")
            yield
            await trio.sleep(self.delay_s())

    async def record_own_batch(self, batch: Batch) -> Batch:
        async with self._call(is_write=True):
            return self.own.setdefault(batch.epoch, batch)

    async def own_batch(self, epoch: Epoch) -> Batch | None:
        async with self._call():
            return self.own.get(epoch)

    async def record_vote(self, slot: int, voids: int, header: Header) -> Header:
        async with self._call(is_write=True):
            return self.own_votes.setdefault((header.epoch, voids, slot), header)

    async def put_observations(self, observations: Sequence[Observation]) -> None:
        async with self._call(is_write=True):
            self.seen.update({(o.round, o.target): o for o in observations})

    async def observations(self, first: Round, last: Round) -> tuple[Observation, ...]:
        async with self._call():
            return tuple(o for k, o in sorted(self.seen.items()) if first <= k[0] <= last)

    async def put_batches(self, epoch: Epoch, batches: Sequence[Batch]) -> None:
        async with self._call(is_write=True):
            self.kept_batches[epoch].update({b.id: b for b in batches})

    async def batches(self, epoch: Epoch) -> tuple[Batch, ...]:
        async with self._call():
            return tuple(b for _, b in sorted(self.kept_batches[epoch].items()))

    async def put_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        async with self._call(is_write=True):
            self.kept_rounds.update({r.number: r for r in rounds})

    async def rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]:
        async with self._call():
            held = (self.kept_rounds.get(Round(n)) for n in range(first, last + 1))
            return tuple(r for r in held if r is not None)

    async def put_mixed_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        async with self._call(is_write=True):
            self.kept_mixed.update({r.number: r for r in rounds})

    async def mixed_rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]:
        async with self._call():
            held = (self.kept_mixed.get(Round(n)) for n in range(first, last + 1))
            return tuple(r for r in held if r is not None)

    async def put_registry(self, snapshot: RegistrySnapshot) -> None:
        async with self._call(is_write=True):
            self.snapshot = snapshot

    async def registry(self) -> RegistrySnapshot | None:
        async with self._call():
            return self.snapshot

    async def put_epoch(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        async with self._call(is_write=True):
            held = self.epochs.get(Epoch(epoch.header.epoch))
            if held is None or epoch.is_anchored or not held[0].is_anchored:
                self.epochs[Epoch(epoch.header.epoch)] = epoch, tuple(scores)

    async def epoch(self, epoch: Epoch) -> StoredEpoch | None:
        async with self._call():
            return self.epochs[epoch][0] if epoch in self.epochs else None

    async def scores(self, epoch: Epoch) -> tuple[Score, ...]:
        async with self._call():
            return self.epochs[epoch][1] if epoch in self.epochs else ()

    async def take_back(self, first: Epoch) -> None:
        async with self._call(is_write=True):
            for epoch in [e for e in self.epochs if e >= first]:
                del self.epochs[epoch]

    async def put_contested(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        async with self._call(is_write=True):
            self.contested_epochs[Epoch(epoch.header.epoch)] = epoch, tuple(scores)

    async def contested(self, epoch: Epoch) -> tuple[StoredEpoch, tuple[Score, ...]] | None:
        async with self._call():
            return self.contested_epochs.get(epoch)

    async def contests(self) -> tuple[Epoch, ...]:
        async with self._call():
            return tuple(sorted(self.contested_epochs))

    async def last_anchored(self) -> Epoch | None:
        async with self._call():
            return max((e for e, (s, _) in self.epochs.items() if s.is_anchored), default=None)

    async def prune(self, before: Epoch, before_round: Round, before_mixed: Round) -> None:
        async with self._call(is_write=True):
            for epoch in [e for e in self.kept_batches if e < before]:
                del self.kept_batches[epoch]
            for number in [n for n in self.kept_rounds if n < before_round]:
                del self.kept_rounds[number]
            for number in [n for n in self.kept_mixed if n < before_mixed]:
                del self.kept_mixed[number]
            for key in [k for k in self.seen if k[0] < before_round]:
                del self.seen[key]


@dataclass(slots=True)
class SimWorkload:
    """A workload that answers with its challenge, unless `fault` says otherwise."""

    fault: Callable[[], str] = lambda: ""
    """Returns "" for a right answer, "wrong" for a wrong one, "failed" for none."""

    @property
    def descriptor(self) -> str:
        return "echo"

    async def health(self) -> WorkloadHealth:
        await trio.lowlevel.checkpoint()
        return WorkloadHealth(is_ready=not self.fault(), detail=self.fault() or "ok")

    async def answer(self, challenge: bytes) -> bytes:
        await trio.sleep(0.005)
        fault = self.fault()
        if fault == "failed":
            raise WorkloadError("no answer")
        return b"wrong" if fault else challenge


class SimExaminer:
    """Checks what `SimWorkload` answers."""

    async def fault(
        self, *, descriptor: str, host: str, challenge: bytes, report: bytes, now_ms: UnixMs
    ) -> str:
        await trio.lowlevel.checkpoint()
        return "" if report == challenge else "not-the-challenge"


class SimWire:
    """Everybody's wires: who is up, who can reach whom, and how long a message takes."""

    def __init__(self, seed: int, nursery: trio.Nursery) -> None:
        self.random = random.Random(seed)
        self.nursery = nursery
        self.edges: dict[NodeId, SimEdge] = {}
        self.is_cut: Callable[[NodeId, NodeId], bool] = lambda _a, _b: False
        self.loss_ppm = 0
        self.copies_ppm = 0
        self.latency_s = (0.005, 0.05)
        self.published: dict[tuple[NodeId, Epoch], set[Digest]] = defaultdict(set)
        """Ids of all batches that each auditor ever sent by gossip."""

        self._trace = hashlib.sha256()

    @property
    def trace(self) -> str:
        """A hash of all that went over the wires, with its times: equal runs have equal ones."""
        return self._trace.hexdigest()

    def note(self, *event: str | bytes) -> None:
        """Add an event to the trace."""
        now_us = round(trio.current_time() * 1_000_000)
        self._trace.update(repr((now_us, event)).encode())

    def delay_s(self) -> float:
        return self.random.uniform(*self.latency_s)

    def reaches(self, a: NodeId, b: NodeId) -> bool:
        return b in self.edges and a in self.edges and not self.is_cut(a, b)

    def happens(self, ppm: int) -> bool:
        return self.random.randrange(1_000_000) < ppm

    async def send(
        self, source: NodeId, topic: str, data: bytes, others: Sequence[NodeId] | None = None
    ) -> None:
        """Deliver a message to everybody on the topic, or only to some, in a seeded order."""
        self._note_batch(source, data)
        self._spread(source, topic, data, sorted(self.edges if others is None else others))
        await trio.lowlevel.checkpoint()

    def _spread(self, source: NodeId, topic: str, data: bytes, nodes: list[NodeId]) -> None:
        self.random.shuffle(nodes)
        for other in nodes:
            for _ in range(2 if self.happens(self.copies_ppm) else 1):
                if other != source:
                    self.nursery.start_soon(self._deliver, source, other, topic, data)

    def _note_batch(self, source: NodeId, data: bytes) -> None:
        try:
            batch = read_batch(data)
        except ProtocolError:
            return
        self.published[source, batch.epoch].add(batch.id)

    async def _deliver(self, source: NodeId, other: NodeId, topic: str, data: bytes) -> None:
        await trio.sleep(self.delay_s())
        if self.happens(self.loss_ppm) or not self.reaches(source, other):
            return
        edge, digest = self.edges[other], hashlib.sha256(data).digest()
        judge = edge.topics.get(topic)
        if judge is None or source in edge.banned:
            return
        judgement = judge(source, data)
        edge.judged[judgement] += 1
        self.note("gossip", source, other, str(judgement), digest)
        if judgement is Judgement.ACCEPT and digest not in edge.forwarded:
            edge.forwarded.add(digest)
            others = sorted(n for n in self.edges if n not in {source, other})
            self._spread(other, topic, data, self.random.sample(others, min(len(others), MESH)))


class SimEdge:
    """One node's edge on the wire; `ports.Network`."""

    def __init__(self, wire: SimWire, node: NodeId) -> None:
        self.node = node
        self.addresses = (f"/memory/{node.hex()[:8]}",)
        self.topics: dict[str, Judge] = {}
        self.handlers: dict[str, Handler] = {}
        self.judged: Counter[Judgement] = Counter()
        self.banned: set[NodeId] = set()
        self.forwarded: set[bytes] = set()
        self.book: Mapping[NodeId, Sequence[str]] = {}
        self.learnt: dict[NodeId, Sequence[str]] = {}
        self.calls: set[trio.CancelScope] = set()
        """Questions being answered; they end with the node."""

        self.wire = wire

    def set_addresses(self, book: Mapping[NodeId, Sequence[str]]) -> None:
        self.book = dict(book)

    def learn_addresses(self, node: NodeId, addresses: Sequence[str]) -> None:
        self.learnt[node] = addresses

    def join_topic(self, topic: str, judge: Judge) -> None:
        self.topics[topic] = judge

    async def publish(self, topic: str, data: bytes) -> None:
        await self.wire.send(self.node, topic, data)

    def serve(self, protocol: str, handler: Handler, *, answer_bytes_max: int) -> None:
        self.handlers[protocol] = handler

    async def ask(
        self,
        node: NodeId,
        protocol: str,
        question: bytes,
        *,
        timeout_ms: int,
        answer_bytes_max: int,
    ) -> bytes:
        with trio.move_on_after(timeout_ms / 1000):
            answer = await self._ask(node, protocol, question)
            if len(answer) > answer_bytes_max:
                raise Unreachable("the answer is too long")
            return answer
        raise Unreachable("too slow")

    async def _ask(self, node: NodeId, protocol: str, question: bytes) -> bytes:
        await trio.sleep(self.wire.delay_s())
        if self.wire.happens(self.wire.loss_ppm) or not self.wire.reaches(self.node, node):
            raise Unreachable("no way")
        edge = self.wire.edges[node]
        handler = edge.handlers.get(protocol)
        if handler is None:
            raise Unreachable("not served")
        answer = await self._handled(edge, handler, question)
        self.wire.note("ask", self.node, node, protocol, hashlib.sha256(answer).digest())
        await trio.sleep(self.wire.delay_s())
        if not self.wire.reaches(node, self.node):
            raise Unreachable("reset")
        return answer

    async def _handled(self, edge: SimEdge, handler: Handler, question: bytes) -> bytes:
        answer = None
        with trio.CancelScope() as scope:
            edge.calls.add(scope)
            try:
                answer = await handler(self.node, question)
            except ProtocolError as error:  # the edge closes the stream
                raise Unreachable(str(error)) from error
            finally:
                edge.calls.discard(scope)
        if answer is None:
            raise Unreachable("reset")
        return answer

    def peers(self) -> tuple[PeerStatus, ...]:
        return tuple(
            PeerStatus(
                node=n,
                address="/ip4/127.0.0.1/tcp/1",
                is_inbound=False,
                latency_ms=None,
                connected_s=0,
            )
            for n in sorted(self.wire.edges)
            if n != self.node and self.wire.reaches(self.node, n)
        )

    def ban(self, node: NodeId) -> None:
        self.banned.add(node)

    def counters(self) -> Mapping[str, int]:
        return {}


@dataclass(slots=True, kw_only=True)
class SimNode:
    """One member of the simulated network; it can be stopped and started with its store."""

    name: str
    secret: bytes
    kind: Kind
    operator: Operator
    store: SimStore = field(default_factory=SimStore)
    workload: SimWorkload = field(default_factory=SimWorkload)
    beacons: SimBeacons
    chain: SimChainPort
    corrupt: Callable[[Node], None] | None = None
    """Turns the node into an adversary before it runs."""

    seats: Seats = field(default_factory=Seats)
    """Its shares of the council's keys; they outlive it, as key files would."""

    node: Node | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    stopped: trio.Event = field(default_factory=trio.Event)

    @property
    def id(self) -> NodeId:
        return node_id_of(self.secret)

    @property
    def running(self) -> Node:
        """The node as it runs now.

        Raises:
            ValueError: It does not.
        """
        if self.node is None:
            raise ValueError(f"{self.name} does not run")
        return self.node


class RoundsBy(Enum):
    """Who makes a simulated network's rounds."""

    SOURCE = auto()
    """An outside beacon of one key, `SimBeacons`."""

    COUNCIL = auto()
    """The governors; gossip is the only source."""

    BOTH = auto()
    """The outside beacon; the governors' rounds, due at the same times, are mixed into seeds."""


class SimNetwork:
    """A whole network under one virtual clock."""

    def __init__(
        self,
        *,
        seed: int,
        params: Params,
        nursery: trio.Nursery,
        governors: int = 1,
        rounds_by: RoundsBy = RoundsBy.SOURCE,
    ) -> None:
        """Prepare an empty network whose round 1 falls due in `GENESIS_S`."""
        self.random = random.Random(seed)
        self.wire = SimWire(seed, nursery)
        self.nursery = nursery
        self.beacon_secret = bls.secret_of(self.random.randbytes(48))
        self.polynomials = draw_polynomials(self.random, governors)
        self.governors = governors
        self.rounds_by = rounds_by
        source = Beacon(
            public_key=bls.public_key_of(self.beacon_secret),
            genesis_ms=UnixMs(int((trio.current_time() + GENESIS_S) * 1000)),
            period_ms=params.period_ms,
        )
        council_key = bls.public_key_of(self.polynomials[Purpose.BEACON][0])
        council = replace(source, public_key=council_key)
        self.genesis = Genesis(
            name="sim",
            params=params,
            beacon=council if rounds_by is RoundsBy.COUNCIL else source,
            mixed=council if rounds_by is RoundsBy.BOTH else None,
            first_round=Round(1),
            chain_id=31337,
            registry=bytes(20),
            anchor=bytes(20),
            council=bytes(20),
            council_key=bls.public_key_of(self.polynomials[Purpose.ANCHOR][0]),
        )
        self.chain = SimChain(self.genesis)
        self.nodes: list[SimNode] = []
        self.member_of: dict[NodeId, SimNode] = {}

    def add(self, kind: Kind = Kind.FULL, *, effective: int = 0) -> SimNode:
        """Register a node; the first ones are the governors."""
        secret = self.random.randbytes(32)
        operator = Operator(self.random.randbytes(20))
        node = SimNode(
            name=f"node{len(self.nodes)}",
            secret=secret,
            kind=kind,
            operator=operator,
            beacons=SimBeacons(self.beacon_secret, self.genesis.beacon),
            chain=SimChainPort(self.chain),
        )
        claim = sign_claim(secret, self.genesis.network_id, operator, node.id, 0)
        profile = Profile(version=1, workload="echo", addresses=())
        entry = Registration(
            index=len(self.nodes),
            node=node.id,
            operator=operator,
            nonce=0,
            kind=kind,
            stakes=((Epoch(effective), 10**18),),
            claim=claim,
            profile=encode(profile),
        )
        self.chain.registrations.append(entry)
        self.nodes.append(node)
        self.member_of[node.id] = node
        if len(self.nodes) == self.governors:
            self._seat_governors()
        return node

    def _seat_governors(self) -> None:
        for share in deal(self.polynomials, [n.id for n in self.nodes]):
            seat = Seat(group=share.group, share=share, starts_ms=UnixMs(0))
            self.nodes[share.index].seats.add(seat)

    async def start(self, member: SimNode) -> None:
        """Start a node, or start it again with what its store holds."""
        edge = self.wire.edges[member.id] = SimEdge(self.wire, member.id)
        identity = Identity(
            node=member.id,
            secret=member.secret,
            is_light=member.kind is Kind.LIGHT,
            seats=member.seats,
        )
        ports = Ports(
            clock=SimClock(),
            entropy=SimEntropy(random.Random(self.random.random())),
            beacons=None if self.rounds_by is RoundsBy.COUNCIL else member.beacons,
            network=edge,
            chain=member.chain,
            store=member.store,
            workload=member.workload,
            examiner=SimExaminer(),
        )
        member.node = build_node(self.genesis, identity, ports)
        if member.corrupt is not None:
            member.corrupt(member.node)
        member.scope, member.stopped = trio.CancelScope(), trio.Event()
        await self.nursery.start(self._run, member, member.node)

    async def _run(
        self, member: SimNode, node: Node, *, task_status: trio.TaskStatus[None]
    ) -> None:
        try:
            with member.scope:
                await node.run(task_status=task_status)
        finally:
            member.stopped.set()

    async def kill(self, member: SimNode) -> None:
        """Stop a node at once; only its store remains."""
        edge = self.wire.edges.pop(member.id)
        for scope in tuple(edge.calls):
            scope.cancel()
        member.scope.cancel()
        await member.stopped.wait()
        member.node = None

    def split(self, *groups: Sequence[SimNode]) -> None:
        """Cut the wires between groups of nodes; who is in none reaches everybody."""
        side = {m.id: i for i, group in enumerate(groups) for m in group}
        self.wire.is_cut = lambda a, b: a in side and b in side and side[a] != side[b]

    def heal(self) -> None:
        """Mend all wires."""
        self.wire.is_cut = lambda _a, _b: False

    @property
    def epoch(self) -> Epoch:
        """The epoch by the virtual clock."""
        return self.genesis.clock.epoch_of(self.genesis.beacon.last_due(SimClock().unix_ms()))

    async def until_folded(
        self, epoch: int, members: Sequence[SimNode] | None = None, *, timeout_s: float = 60.0
    ) -> None:
        """Sleep until these nodes (else: all that run) have folded an epoch.

        Raises:
            trio.TooSlowError: Some had not within `timeout_s` after its sealing round.
        """
        await self.until_epoch_sealed(epoch, slack_s=0)
        with trio.fail_after(timeout_s):
            while any(  # noqa: ASYNC110 - in virtual time looking costs nothing
                m.node is not None and m.node.ledger.last_folded < epoch
                for m in members or self.nodes
            ):
                await trio.sleep(0.1)

    async def until_epoch_sealed(self, epoch: int, *, slack_s: float = 3.0) -> None:
        """Sleep until an epoch's sealing round has passed, and some."""
        due = self.genesis.beacon.due_ms(self.genesis.clock.seal(Epoch(epoch))) / 1000
        await trio.sleep(max(0, due + slack_s - trio.current_time()))


@asynccontextmanager
async def running(
    *,
    seed: int,
    full: int,
    light: int = 0,
    params: Params = SHORT,
    governors: int = 1,
    rounds_by: RoundsBy = RoundsBy.SOURCE,
    prepare: Callable[[SimNetwork], None] = lambda _network: None,
) -> AsyncIterator[SimNetwork]:
    """Run a network of so many nodes for the time of the context.

    Args:
        seed: Of everything random.
        full: How many full nodes.
        light: How many light nodes.
        governors: How many of the full nodes are governors; the first ones.
        rounds_by: Who makes the rounds.
        params: The preset.
        prepare: Called before the first node starts.
    """
    async with trio.open_nursery() as nursery:
        network = SimNetwork(
            seed=seed, params=params, nursery=nursery, governors=governors, rounds_by=rounds_by
        )
        for _ in range(full):
            network.add()
        for _ in range(light):
            network.add(Kind.LIGHT)
        prepare(network)
        for member in network.nodes:
            await network.start(member)
        yield network
        nursery.cancel_scope.cancel()
