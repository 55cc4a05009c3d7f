# ruff: noqa: D102, ARG002 - the methods of a port, and their arguments, are documented in `ports`
"""A seeded network in one process: the real services over in-memory ports and a virtual clock.

What varies is an argument: the seed, the latencies, who is cut off from whom, what the beacon and the
chain do. The same seed gives the same run, event for event. Real sockets, processes and contracts
are the local network's business (`testnet.cluster`); this is for the cases that need hours, hundreds
of nodes or an adversary.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: a run is a function of its seed
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import trio

from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, anchor_message
from stkrp2p.core.batch import Batch
from stkrp2p.core.beacon import Beacon, BeaconRound, round_message
from stkrp2p.core.crypto import node_id_of
from stkrp2p.core.merkle import is_proved
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL, Params
from stkrp2p.core.roster import Profile, Registration, sign_claim
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, Judgement, Kind, NodeId, Operator, Round, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.node import Identity, Node, Ports, build_node
from stkrp2p.ports import (
    AnchorRecord,
    BeaconUnavailable,
    ChainState,
    ChainUnavailable,
    Handler,
    Judge,
    Observation,
    PeerStatus,
    RegistrySnapshot,
    StoredEpoch,
    Unreachable,
    WorkloadError,
    WorkloadHealth,
)

if TYPE_CHECKING:
    from trio_typing import TaskStatus  # libp2p brings its stubs, which hide trio's own types

GENESIS_S = 5
"""Virtual seconds before round 1."""


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


@dataclass(slots=True)
class SimBeacons:
    """A beacon with one key; `fault` may replace what a node is told."""

    secret: int
    beacon: Beacon
    fault: Callable[[Round], bytes | None] = lambda _number: b""
    """Returns b"" for the truth, `None` for no answer, or another signature."""

    async def fetch(self, number: Round) -> bytes:
        await trio.sleep(0.01)
        told = self.fault(number)
        if told is None or self.beacon.due_ms(number) > SimClock().unix_ms():
            raise BeaconUnavailable("no answer")
        return told or bls.sign(self.secret, round_message(number), bls.ROUND_DST)


@dataclass(slots=True)
class SimChain:
    """The contracts' rules in memory, shared by all nodes."""

    genesis: Genesis
    registrations: list[Registration] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    submissions: Counter[int] = field(default_factory=Counter)
    is_down: bool = False

    def port(self) -> SimChainPort:
        return SimChainPort(self)


@dataclass(slots=True)
class SimChainPort:
    """One node's endpoint."""

    chain: SimChain
    is_down: bool = False

    @property
    def state(self) -> ChainState:
        return ChainState.DOWN if self._is_gone else ChainState.OK

    @property
    def detail(self) -> str:
        return str(self.state)

    @property
    def _is_gone(self) -> bool:
        return self.is_down or self.chain.is_down

    async def _call(self) -> None:
        await trio.sleep(0.02)
        if self._is_gone:
            raise ChainUnavailable("down")

    async def registry(self) -> RegistrySnapshot:
        await self._call()
        now = SimClock().unix_ms()
        return RegistrySnapshot(
            registrations=tuple(self.chain.registrations), block=now // 1000, block_ms=now
        )

    async def anchors(self, first: Epoch) -> tuple[AnchorRecord, ...]:
        await self._call()
        return tuple(
            AnchorRecord(header=h, block=0, is_final=True, transaction="0x")
            for h in self.chain.headers[max(0, first) :]
        )

    async def submit_anchor(self, header: Header, signature: bytes) -> None:
        await self._call()
        message = anchor_message(self.chain.genesis, header)
        key = self.chain.genesis.council_key
        if not bls.is_signed_by(key, message, signature, bls.ANCHOR_DST):
            raise ChainUnavailable("BadCouncilSignature")
        if header.epoch == len(self.chain.headers):
            self.chain.submissions[header.epoch] += 1
            self.chain.headers.append(header)

    async def is_score_proved(self, header: Header, score: Score, proof: Sequence[bytes]) -> bool:
        await self._call()
        return header in self.chain.headers and is_proved(
            Digest(header.score_root), score.leaf(), proof
        )


@dataclass(slots=True)
class SimStore:
    """A store in memory; it outlives its node, as a disk would."""

    own: dict[Epoch, Batch] = field(default_factory=dict)
    headers: dict[int, Header] = field(default_factory=dict)
    seen: dict[tuple[Round, NodeId], Observation] = field(default_factory=dict)
    batches_: dict[Epoch, dict[bytes, Batch]] = field(default_factory=lambda: defaultdict(dict))
    rounds_: dict[Round, BeaconRound] = field(default_factory=dict)
    registry_: RegistrySnapshot | None = None
    epochs: dict[Epoch, tuple[StoredEpoch, tuple[Score, ...]]] = field(default_factory=dict)

    async def record_own_batch(self, batch: Batch) -> Batch:
        await trio.lowlevel.checkpoint()
        return self.own.setdefault(batch.epoch, batch)

    async def own_batch(self, epoch: Epoch) -> Batch | None:
        await trio.lowlevel.checkpoint()
        return self.own.get(epoch)

    async def record_header(self, header: Header) -> Header:
        await trio.lowlevel.checkpoint()
        return self.headers.setdefault(header.epoch, header)

    async def put_observations(self, observations: Sequence[Observation]) -> None:
        await trio.lowlevel.checkpoint()
        self.seen.update({(o.round, o.target): o for o in observations})

    async def observations(self, first: Round, last: Round) -> tuple[Observation, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(o for k, o in sorted(self.seen.items()) if first <= k[0] <= last)

    async def put_batches(self, epoch: Epoch, batches: Sequence[Batch]) -> None:
        await trio.lowlevel.checkpoint()
        self.batches_[epoch].update({b.id: b for b in batches})

    async def batches(self, epoch: Epoch) -> tuple[Batch, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(b for _, b in sorted(self.batches_[epoch].items()))

    async def put_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        await trio.lowlevel.checkpoint()
        self.rounds_.update({r.number: r for r in rounds})

    async def rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(r for n, r in sorted(self.rounds_.items()) if first <= n <= last)

    async def put_registry(self, snapshot: RegistrySnapshot) -> None:
        await trio.lowlevel.checkpoint()
        self.registry_ = snapshot

    async def registry(self) -> RegistrySnapshot | None:
        await trio.lowlevel.checkpoint()
        return self.registry_

    async def put_epoch(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        await trio.lowlevel.checkpoint()
        self.epochs[Epoch(epoch.header.epoch)] = epoch, tuple(scores)

    async def epoch(self, epoch: Epoch) -> StoredEpoch | None:
        await trio.lowlevel.checkpoint()
        return self.epochs[epoch][0] if epoch in self.epochs else None

    async def scores(self, epoch: Epoch) -> tuple[Score, ...]:
        await trio.lowlevel.checkpoint()
        return self.epochs[epoch][1] if epoch in self.epochs else ()

    async def last_anchored(self) -> Epoch | None:
        await trio.lowlevel.checkpoint()
        return max((e for e, (s, _) in self.epochs.items() if s.is_anchored), default=None)

    async def prune(self, before: Epoch, before_round: Round) -> None:
        await trio.lowlevel.checkpoint()
        for epoch in [e for e in self.batches_ if e < before]:
            del self.batches_[epoch]
        for number in [n for n in self.rounds_ if n < before_round]:
            del self.rounds_[number]
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
        self.log: list[tuple[int, str]] = []

    def delay_s(self) -> float:
        return 0.005 + self.random.random() * 0.045

    def reaches(self, a: NodeId, b: NodeId) -> bool:
        return b in self.edges and a in self.edges and not self.is_cut(a, b)

    def is_lost(self) -> bool:
        return self.random.randrange(1_000_000) < self.loss_ppm

    async def flood(self, source: NodeId, topic: str, data: bytes) -> None:
        """Deliver a message to everybody on the topic, each once, in a seeded order."""
        others = sorted(n for n in self.edges if n != source)
        self.random.shuffle(others)
        for other in others:
            self.nursery.start_soon(self._deliver, source, other, topic, data)

    async def _deliver(self, source: NodeId, other: NodeId, topic: str, data: bytes) -> None:
        await trio.sleep(self.delay_s())
        if self.is_lost() or not self.reaches(source, other):
            return
        judge = self.edges[other].topics.get(topic)
        if judge is not None:
            judgement = judge(source, data)
            self.edges[other].judged[judgement] += 1


class SimEdge:
    """One node's edge on the wire; `ports.Network`."""

    def __init__(self, wire: SimWire, node: NodeId) -> None:
        self.node = node
        self.addresses = (f"/memory/{node.hex()[:8]}",)
        self.topics: dict[str, Judge] = {}
        self.handlers: dict[str, Handler] = {}
        self.judged: Counter[Judgement] = Counter()
        self.banned: set[NodeId] = set()
        self._wire = wire

    def set_addresses(self, book: Mapping[NodeId, Sequence[str]]) -> None:
        pass

    def learn_addresses(self, node: NodeId, addresses: Sequence[str]) -> None:
        pass

    def join_topic(self, topic: str, judge: Judge) -> None:
        self.topics[topic] = judge

    async def publish(self, topic: str, data: bytes) -> None:
        await self._wire.flood(self.node, topic, data)

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
            return await self._ask(node, protocol, question)
        raise Unreachable("too slow")

    async def _ask(self, node: NodeId, protocol: str, question: bytes) -> bytes:
        await trio.sleep(self._wire.delay_s())
        if self._wire.is_lost() or not self._wire.reaches(self.node, node):
            raise Unreachable("no way")
        handler: Callable[[NodeId, bytes], Awaitable[bytes]] | None
        handler = self._wire.edges[node].handlers.get(protocol)
        if handler is None:
            raise Unreachable("not served")
        try:
            answer = await handler(self.node, question)
        except Exception as error:  # the edge closes the stream, whatever it is
            raise Unreachable(repr(error)) from error
        await trio.sleep(self._wire.delay_s())
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
            for n in sorted(self._wire.edges)
            if n != self.node and self._wire.reaches(self.node, n)
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
    is_council: bool = False
    node: Node | None = None
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)

    @property
    def id(self) -> NodeId:
        return node_id_of(self.secret)


class SimNetwork:
    """A whole network under one virtual clock."""

    def __init__(self, *, seed: int, params: Params, nursery: trio.Nursery) -> None:
        """Prepare an empty network whose round 1 falls due in `GENESIS_S`."""
        self.random = random.Random(seed)
        self.wire = SimWire(seed, nursery)
        self.nursery = nursery
        self.beacon_secret = bls.secret_of(self.random.randbytes(48))
        self.council_secret = bls.secret_of(self.random.randbytes(48))
        beacon = Beacon(
            public_key=bls.public_key_of(self.beacon_secret),
            genesis_ms=UnixMs(int((trio.current_time() + GENESIS_S) * 1000)),
            period_ms=params.period_ms,
        )
        self.genesis = Genesis(
            name="sim",
            params=params,
            beacon=beacon,
            first_round=Round(1),
            chain_id=31337,
            registry=bytes(20),
            anchor=bytes(20),
            council_key=bls.public_key_of(self.council_secret),
        )
        self.chain = SimChain(self.genesis)
        self.nodes: list[SimNode] = []

    def add(self, kind: Kind = Kind.FULL, *, effective: int = 0) -> SimNode:
        """Register a node; the first one is the council."""
        secret = self.random.randbytes(32)
        operator = Operator(self.random.randbytes(20))
        node = SimNode(
            name=f"node{len(self.nodes)}",
            secret=secret,
            kind=kind,
            operator=operator,
            beacons=SimBeacons(self.beacon_secret, self.genesis.beacon),
            chain=self.chain.port(),
            is_council=not self.nodes,
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
        return node

    async def start(self, member: SimNode) -> None:
        """Start a node, or start it again with what its store holds."""
        edge = self.wire.edges[member.id] = SimEdge(self.wire, member.id)
        identity = Identity(
            node=member.id,
            secret=member.secret,
            is_light=member.kind is Kind.LIGHT,
            council_secret=self.council_secret if member.is_council else None,
        )
        ports = Ports(
            clock=SimClock(),
            entropy=SimEntropy(random.Random(self.random.random())),
            beacons=member.beacons,
            network=edge,
            chain=member.chain,
            store=member.store,
            workload=member.workload,
            examiner=SimExaminer(),
        )
        member.node = build_node(self.genesis, identity, ports)
        member.scope = trio.CancelScope()
        await self.nursery.start(self._run, member, member.node)

    async def _run(self, member: SimNode, node: Node, *, task_status: TaskStatus[None]) -> None:
        with member.scope:
            await node.run(task_status=task_status)

    def kill(self, member: SimNode) -> None:
        """Stop a node at once; only its store remains."""
        self.wire.edges.pop(member.id, None)
        member.scope.cancel()

    async def until_epoch_sealed(self, epoch: int, *, slack_s: float = 3.0) -> None:
        """Sleep until an epoch's sealing round has passed, and some."""
        due = self.genesis.beacon.due_ms(self.genesis.clock.seal(Epoch(epoch))) / 1000
        await trio.sleep(max(0, due + slack_s - trio.current_time()))


@asynccontextmanager
async def running(
    *, seed: int, full: int, light: int = 0, params: Params = MINIMAL
) -> AsyncIterator[SimNetwork]:
    """Run a network of so many nodes for the time of the context."""
    async with trio.open_nursery() as nursery:
        network = SimNetwork(seed=seed, params=params, nursery=nursery)
        for _ in range(full):
            network.add()
        for _ in range(light):
            network.add(Kind.LIGHT)
        for member in network.nodes:
            await network.start(member)
        yield network
        nursery.cancel_scope.cancel()
