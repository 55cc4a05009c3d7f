"""A mesh of gossiping hosts in this process: our edge, or the library as it comes.

    python -m testnet.bench.mesh ours|stock NODES LINKS

Once all are connected it prints `ready`, then answers each line of standard input with a line of
JSON: `{"messages": 20, "rate_per_s": 4}` publishes that many and says what it took,
`{"idle_s": 5}` says what doing nothing takes. It ends with its input.

Both kinds use real loopback sockets, noise, yamux, the same degrees and a heartbeat a second. Each
host is connected with `LINKS` others, near ones and far ones alike (`neighbours`). The library is told to leave out what would stop it:
heartbeats that slow down by themselves, the limit of ten messages a second, and meshsub 1.2, whose
IDONTWANT doubles what a small message costs it. Our edges speak 1.1 with each other as well.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Protocol

import msgspec
import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE, Transport as NoiseTransport
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.libp2p import EdgeLimits, open_network
from stkrp2p.core.types import Judgement, NodeId
from stkrp2p.ports import Network
from testnet.bench.gossip import Burst, Order

if TYPE_CHECKING:
    from libp2p.abc import IHost, ISubscriptionAPI

LIMITS = EdgeLimits()
TOPIC = "/stkr/bench/batch/1"
LISTEN = "/ip4/127.0.0.1/tcp/0"
MESSAGE_BYTES = 1_000
"""Length of a payload: a batch of a MAINNET epoch has about as much."""

NODES_MAX = 60
"""A core has no time for more."""

CONNECT_S_MAX = 120.0
ARRIVE_S_MAX = 15.0
"""How long after the last message all must have arrived."""

SETTLE_S = 4.0
"""Heartbeats that form the mesh."""

POLL_S = 0.02
_STOCK_SPEAKS = (TProtocol("/meshsub/1.1.0"),)


class Hosts(Protocol):
    """Some hosts, each connected with all others."""

    async def publish(self, index: int, data: bytes) -> None:
        """Let one of them gossip a message."""

    def copies(self) -> int:
        """Messages taken in by all so far, copies included; 0 if nobody counts."""


class Arrivals:
    """Who has which message, and how long it took."""

    def __init__(self) -> None:
        self._sent_s: dict[bytes, float] = {}
        self._seen: set[tuple[int, bytes]] = set()
        self._target = 0
        self._reached = trio.Event()
        self.latencies_s: list[float] = []

    def sent(self, data: bytes) -> None:
        """Note that a message is about to be published."""
        self._sent_s[data[:32]] = time.perf_counter()

    def arrived(self, index: int, data: bytes) -> None:
        """Note that a node has a message; its later copies do not count."""
        key = data[:32]
        if key in self._sent_s and (index, key) not in self._seen:
            self._seen.add((index, key))
            self.latencies_s.append(time.perf_counter() - self._sent_s[key])
        if len(self.latencies_s) >= self._target:
            self._reached.set()

    def expect(self, target: int) -> trio.Event:
        """Return an event that is set once so many have arrived in all."""
        self._target, self._reached = target, trio.Event()
        return self._reached


def neighbours(index: int, nodes: int, links: int) -> list[int]:
    """Return the hosts one is connected with, sorted: `links` of them, or one less.

    Hosts stand in a circle. The steps to the neighbours grow evenly in their logarithm, so that a
    message crosses a large circle in few hops.
    """
    half = nodes // 2
    pairs = min(-(-links // 2), half)
    steps = {round(half ** (i / max(1, pairs - 1))) for i in range(pairs)}
    steps |= set(sorted(set(range(1, half + 1)) - steps)[: pairs - len(steps)])
    return sorted({(index + s) % nodes for s in steps} | {(index - s) % nodes for s in steps})


@contextmanager
def _in_time(what: str) -> Iterator[None]:
    """End the process if the block takes too long: closing what is half open takes minutes."""
    with trio.move_on_after(CONNECT_S_MAX) as scope:
        yield
    if scope.cancelled_caught:
        sys.stderr.write(f"not {what} within {CONNECT_S_MAX} s; the machine is too busy\n")
        sys.stderr.flush()
        os._exit(1)


class Ours:
    """Edges of the project."""

    def __init__(self, edges: list[Network]) -> None:
        self._edges = edges

    async def publish(self, index: int, data: bytes) -> None:
        """Gossip a message."""
        await self._edges[index].publish(TOPIC, data)

    def copies(self) -> int:
        """Return accepted messages and duplicates."""
        names = ("gossip_accepted", "gossip_duplicates")
        return sum(edge.counters().get(name, 0) for edge in self._edges for name in names)


@asynccontextmanager
async def open_ours(nodes: int, links: int, arrivals: Arrivals) -> AsyncIterator[Hosts]:
    """Open edges that know of each other; leave when all are connected."""
    async with AsyncExitStack() as stack:
        edges = []
        for i in range(nodes):
            edge = await stack.enter_async_context(
                open_network(seed=_seed("ours", i), listen=[LISTEN], clock=SystemClock())
            )
            edge.join_topic(TOPIC, _judge(arrivals, i))
            edges.append(edge)
        known = [neighbours(i, nodes, links) for i in range(nodes)]
        for edge, near in zip(edges, known, strict=True):
            edge.set_addresses({edges[i].node: edges[i].addresses for i in near})
        with _in_time("connected"):
            for edge, near in zip(edges, known, strict=True):
                while len(edge.peers()) < len(near):  # noqa: ASYNC110 - the port has no event
                    await trio.sleep(POLL_S)
        yield Ours(edges)


def _judge(arrivals: Arrivals, index: int) -> Callable[[NodeId, bytes], Judgement]:
    def judge(_forwarder: NodeId, data: bytes) -> Judgement:
        arrivals.arrived(index, data)
        return Judgement.ACCEPT

    return judge


class Stock:
    """Hosts of py-libp2p as it comes."""

    def __init__(self, pubsubs: list[Pubsub]) -> None:
        self._pubsubs = pubsubs

    async def publish(self, index: int, data: bytes) -> None:
        """Gossip a message."""
        await self._pubsubs[index].publish(TOPIC, data)

    def copies(self) -> int:
        """Return 0: the library does not count."""
        return 0


@asynccontextmanager
async def open_stock(nodes: int, links: int, arrivals: Arrivals) -> AsyncIterator[Hosts]:
    """Open hosts of the library, subscribed and connected."""
    async with trio.open_nursery() as nursery:
        pubsubs = [await nursery.start(_run_stock, i, arrivals) for i in range(nodes)]
        with _in_time("connected"):
            await _connect_all(pubsubs, links)
        yield Stock(pubsubs)
        nursery.cancel_scope.cancel()


async def _run_stock(
    index: int, arrivals: Arrivals, *, task_status: trio.TaskStatus[Pubsub]
) -> None:
    host, router = _stock_host(index), _stock_router()
    pubsub = Pubsub(host, router, strict_signing=True)
    async with (
        host.run([Multiaddr(LISTEN)]),
        background_trio_service(router),
        background_trio_service(pubsub),
    ):
        await pubsub.wait_until_ready()
        subscription = await pubsub.subscribe(TOPIC)
        task_status.started(pubsub)
        await _read(subscription, index, arrivals)


def _stock_host(index: int) -> IHost:
    key_pair = create_new_key_pair(_seed("stock", index))
    noise = NoiseTransport(key_pair, noise_privkey=create_noise_key_pair().private_key)
    config = ConnectionConfig(
        min_connections=0,
        low_watermark=0,
        high_watermark=2 * NODES_MAX,
        max_connections=4 * NODES_MAX,
        auto_connect_interval=3600.0,
    )
    return new_host(key_pair=key_pair, sec_opt={NOISE: noise}, connection_config=config)


def _stock_router() -> GossipSub:
    return GossipSub(
        list(_STOCK_SPEAKS),
        LIMITS.degree,
        LIMITS.degree_low,
        LIMITS.degree_high,
        heartbeat_interval=round(LIMITS.heartbeat_s),
        adaptive_gossip_enabled=False,
        spam_protection_enabled=False,
        eclipse_protection_enabled=False,
    )


async def _read(subscription: ISubscriptionAPI, index: int, arrivals: Arrivals) -> None:
    while True:
        arrivals.arrived(index, (await subscription.get()).data)


async def _connect_all(pubsubs: list[Pubsub], links: int) -> None:
    """Let each host dial those after it, one host after the other."""
    for i, pubsub in enumerate(pubsubs):
        async with trio.open_nursery() as nursery:
            for other in neighbours(i, len(pubsubs), links):
                if other > i:
                    host = pubsubs[other].host
                    info = PeerInfo(host.get_id(), host.get_transport_addrs())
                    nursery.start_soon(pubsub.host.connect, info)


OPENERS = {"ours": open_ours, "stock": open_stock}


async def publish(hosts: Hosts, nodes: int, arrivals: Arrivals, order: Order, salt: int) -> Burst:
    """Publish at a steady rate, a message from each host in turn; wait until all have all."""
    count_before, copies_before = len(arrivals.latencies_s), hosts.copies()
    expected = order.messages * (nodes - 1)
    all_arrived = arrivals.expect(count_before + expected + order.messages)
    cpu_before, began = time.process_time(), trio.current_time()
    for number in range(order.messages):
        await trio.sleep_until(began + number / order.rate_per_s)
        data = _payload(salt, number)
        arrivals.sent(data)
        arrivals.arrived(number % nodes, data)
        await hosts.publish(number % nodes, data)
    with trio.move_on_after(ARRIVE_S_MAX):
        await all_arrived.wait()
    await trio.sleep_until(began + order.messages / order.rate_per_s)
    latencies = sorted(arrivals.latencies_s[count_before:])[order.messages :]
    return Burst(
        cpu_s=time.process_time() - cpu_before,
        took_s=trio.current_time() - began,
        messages=order.messages,
        delivered=len(latencies),
        expected=expected,
        copies=hosts.copies() - copies_before,
        latencies_ms=_quantiles_ms(latencies),
    )


def _quantiles_ms(ordered_s: list[float]) -> tuple[float, float]:
    if not ordered_s:
        return 0.0, 0.0
    last = len(ordered_s) - 1
    return round(ordered_s[last // 2] * 1e3, 1), round(ordered_s[last * 99 // 100] * 1e3, 1)


async def idle(seconds: float) -> Burst:
    """Do nothing for a while."""
    cpu_before = time.process_time()
    await trio.sleep(seconds)
    return Burst(cpu_s=time.process_time() - cpu_before, took_s=seconds)


def _seed(kind: str, index: int) -> bytes:
    return hashlib.sha256(f"{kind} {index}".encode()).digest()


def _payload(salt: int, number: int) -> bytes:
    return hashlib.shake_256(f"{salt} {number}".encode()).digest(MESSAGE_BYTES)


async def serve(kind: str, nodes: int, links: int) -> None:
    """Open the hosts, then follow the orders on standard input."""
    arrivals = Arrivals()
    async with OPENERS[kind](nodes, links, arrivals) as hosts:
        await trio.sleep(SETTLE_S)
        _say(b'"ready"')
        salt = 0
        while line := await trio.to_thread.run_sync(sys.stdin.readline):
            order, salt = msgspec.json.decode(line, type=Order), salt + 1
            done = (
                await publish(hosts, nodes, arrivals, order, salt)
                if order.messages
                else await idle(order.idle_s)
            )
            _say(msgspec.json.encode(done))


def _say(line: bytes) -> None:
    sys.stdout.write(line.decode() + "\n")
    sys.stdout.flush()


def main(kind: str, nodes: str, links: str) -> None:
    """Serve a mesh from the command line.

    Raises:
        ValueError: Too few or too many nodes.
    """
    if not 1 < int(nodes) <= NODES_MAX:
        raise ValueError(f"from 2 to {NODES_MAX} nodes, got {nodes}")
    logging.getLogger("libp2p").setLevel(logging.CRITICAL)
    trio.run(serve, kind, int(nodes), int(links))


if __name__ == "__main__":
    main(*sys.argv[1:])
