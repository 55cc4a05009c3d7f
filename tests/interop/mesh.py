"""A small real mesh: two of our nodes on the libp2p edge, and the JavaScript peer as a process.

Real are the sockets, streams, gossip, stores, clock, audits of a web service, and all that is signed.
Only the beacon's source and the chain are stand-ins in this process, because neither is libp2p.
"""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import trio

from stkrp2p.adapters.clock import SystemClock, SystemEntropy
from stkrp2p.adapters.libp2p import open_network
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.adapters.workloads import NoWorkload, WorkloadExaminer
from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, anchor_message
from stkrp2p.core.beacon import Beacon, round_message
from stkrp2p.core.crypto import Secret, node_id_of, sha256
from stkrp2p.core.group import solo_share
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.roster import Profile, Registration, sign_claim
from stkrp2p.core.types import ONE_PPM, Epoch, Kind, NodeId, Operator, Round, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.node import Identity, Node, Ports, build_node
from stkrp2p.ports import (
    AnchorRecord,
    BeaconUnavailable,
    ChainState,
    ChainUnavailable,
    Network,
    RegistrySnapshot,
    Store,
)
from stkrp2p.services.council import Seat, Seats
from testnet.vectors.form import entry_facts

JS = Path(__file__).parent / "js"

PARAMS = replace(MINIMAL, rounds_per_epoch=4, settle_rounds=3, draw_ppm=ONE_PPM)
"""Short epochs in which everybody is audited every second."""

START_MS = 3_000
"""Time for everybody to connect before the first round."""

OURS = ("alice", "bob")


def secret_of(name: str) -> bytes:
    return sha256(b"interop " + name.encode())


def bls_secret_of(name: str) -> int:
    return bls.secret_of(secret_of(name) * 2)


@dataclass
class Rounds:
    """A beacon of one key; gives rounds that are due."""

    beacon: Beacon

    async def fetch(self, number: Round) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.beacon.due_ms(number) > SystemClock().unix_ms():
            raise BeaconUnavailable("not due")
        return bls.sign(bls_secret_of("beacon"), round_message(number), bls.ROUND_DST)


@dataclass
class Contracts:
    """What the contracts hold: registrations, and anchors the council signed."""

    genesis: Genesis
    registrations: list[Registration] = field(default_factory=list)
    headers: list[Header] = field(default_factory=list)
    state: ChainState = ChainState.OK
    detail: str = ""

    async def registry(self) -> RegistrySnapshot:
        await trio.lowlevel.checkpoint()
        now_ms = SystemClock().unix_ms()
        return RegistrySnapshot(
            registrations=tuple(self.registrations), block=now_ms // 1000, block_ms=now_ms
        )

    async def anchors(self, first: Epoch) -> tuple[AnchorRecord, ...]:
        await trio.lowlevel.checkpoint()
        return tuple(
            AnchorRecord(header=h, block=1, is_final=True, transaction="0x")
            for h in self.headers[first:]
        )

    @property
    def voids(self) -> int:
        return 0

    async def submit_anchor(self, header: Header, signature: bytes) -> None:
        await trio.lowlevel.checkpoint()
        key, message = self.genesis.council_key, anchor_message(self.genesis, header, 0)
        if not bls.is_signed_by(key, message, signature, bls.ANCHOR_DST):
            raise ChainUnavailable("bad council signature")
        if header.epoch == len(self.headers):
            self.headers.append(header)

    async def is_score_proved(self, *_: object) -> bool:
        raise ChainUnavailable("nobody asks this here")


@dataclass
class JsPeer:
    """The process, and all it said."""

    process: trio.Process
    events: list[dict] = field(default_factory=list)
    changed: trio.Event = field(default_factory=trio.Event)

    async def read(self) -> None:
        rest = b""
        async for chunk in self.process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            self.events += [json.loads(line) for line in lines]
            self.changed.set()
            self.changed = trio.Event()

    async def tell(self, **facts: object) -> None:
        await self.process.stdin.send_all(json.dumps(facts).encode() + b"\n")

    def said(self, ev: str, **facts: object) -> list[dict]:
        """Return the events of a kind that have these facts."""
        return [e for e in self.events if e["ev"] == ev and facts.items() <= e.items()]

    async def until(self, ev: str, **facts: object) -> dict:
        """Wait for an event; the test's own deadline bounds the wait."""
        while not self.said(ev, **facts):
            assert not self.said("failed"), self.said("failed")
            await self.changed.wait()
        return self.said(ev, **facts)[0]


@dataclass
class Mesh:
    genesis: Genesis
    nodes: dict[str, Node]
    contracts: Contracts
    js: JsPeer
    js_node: NodeId


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; the test's own deadline bounds the wait."""
    while not condition():  # noqa: ASYNC110 - what is looked at gives no event
        await trio.sleep(0.05)


def genesis_from(now_ms: UnixMs) -> Genesis:
    key = bls.public_key_of(bls_secret_of("beacon"))
    due_ms = UnixMs(now_ms + START_MS)
    return Genesis(
        name="interop",
        params=PARAMS,
        beacon=Beacon(public_key=key, genesis_ms=due_ms, period_ms=PARAMS.period_ms),
        first_round=Round(1),
        chain_id=31337,
        registry=bytes(20),
        anchor=bytes(20),
        council=bytes(20),
        council_key=bls.public_key_of(bls_secret_of("council")),
    )


def registration(
    genesis: Genesis, index: int, name: str, workload: str, addresses: tuple[str, ...]
) -> Registration:
    secret = secret_of(name)
    node, operator = node_id_of(secret), Operator(secret_of("operator " + name)[:20])
    return Registration(
        index=index,
        node=node,
        operator=operator,
        nonce=0,
        kind=Kind.FULL,
        stakes=((Epoch(0), 10**18),),
        claim=sign_claim(secret, genesis.network_id, operator, node, 0),
        profile=encode(Profile(version=1, workload=workload, addresses=addresses)),
    )


def genesis_facts(genesis: Genesis) -> dict:
    """Return a genesis as the vectors write it."""
    return {
        "name": genesis.name,
        "params": asdict(genesis.params),
        "beacon": {**asdict(genesis.beacon), "public_key": genesis.beacon.public_key.hex()},
        "first_round": genesis.first_round,
        "chain_id": genesis.chain_id,
        "registry": genesis.registry.hex(),
        "anchor": genesis.anchor.hex(),
        "mixed": None,
        "council": genesis.council.hex(),
        "council_key": genesis.council_key.hex(),
    }


@asynccontextmanager
async def js_process() -> AsyncIterator[JsPeer]:
    process = await trio.lowlevel.open_process(
        ["node", "peer.mjs"], cwd=JS, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    peer = JsPeer(process)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.read)
            yield peer
            nursery.cancel_scope.cancel()
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()


def seats_of(name: str, network: Network) -> Seats:
    """Return the whole council for the first of us, nothing for the others."""
    if name != OURS[0]:
        return Seats()
    keys = [Secret(bls_secret_of(key).to_bytes(32, "big")) for key in ("beacon", "council")]
    share = solo_share(network.node, tuple(keys))
    return Seats(Seat(group=share.group, share=share, starts_ms=UnixMs(0)))


def our_node(
    name: str, *, network: Network, store: Store, contracts: Contracts, examiner: WorkloadExaminer
) -> Node:
    identity = Identity(node=network.node, secret=secret_of(name), seats=seats_of(name, network))
    ports = Ports(
        clock=SystemClock(),
        entropy=SystemEntropy(),
        beacons=Rounds(contracts.genesis.beacon),
        network=network,
        chain=contracts,
        store=store,
        workload=NoWorkload(),
        examiner=examiner,
    )
    return build_node(contracts.genesis, identity, ports)


@asynccontextmanager
async def running_mesh(folder: Path) -> AsyncIterator[Mesh]:
    """Run everybody for the time of the context; our nodes serve when it begins."""
    async with AsyncExitStack() as stack:
        js = await stack.enter_async_context(js_process())
        await js.tell(secret=secret_of("js").hex())
        ready = await js.until("ready")
        examiner = await stack.enter_async_context(aclosing(WorkloadExaminer()))
        edges, stores = {}, {}
        for name in OURS:
            listen = ["/ip4/127.0.0.1/tcp/0"]
            opened = open_network(seed=secret_of(name), listen=listen, clock=SystemClock())
            edges[name] = await stack.enter_async_context(opened)
            (folder / name).mkdir()
            stores[name] = await stack.enter_async_context(SqliteStore.open(folder / name))
        genesis = genesis_from(SystemClock().unix_ms())
        contracts = Contracts(genesis)
        members = [(name, "none", edges[name].addresses) for name in OURS]
        members.append(("js", f"http:{ready['port']}/health", tuple(ready["addresses"])))
        for index, member in enumerate(members):
            contracts.registrations.append(registration(genesis, index, *member))
        nodes = {
            name: our_node(
                name,
                network=edges[name],
                store=stores[name],
                contracts=contracts,
                examiner=examiner,
            )
            for name in OURS
        }
        nursery = await stack.enter_async_context(trio.open_nursery())
        for node in nodes.values():
            await nursery.start(node.run)
        await js.tell(
            genesis=genesis_facts(genesis),
            registry=[entry_facts(e) for e in contracts.registrations],
            peers=[f"{e.addresses[0]}/p2p/{peer_id_text(e.node)}" for e in edges.values()],
        )
        yield Mesh(genesis, nodes, contracts, js, NodeId(bytes.fromhex(ready["node"])))
        nursery.cancel_scope.cancel()
