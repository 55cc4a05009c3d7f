"""Edges on loopback, and waiting for things to become true."""

from __future__ import annotations

import contextlib
import hashlib
import time
from pathlib import Path

import edge_attacks
import trio
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2

from stkrp2p.adapters.libp2p import EdgeLimits, open_network
from stkrp2p.core.types import Judgement, UnixMs

LOOPBACK = "/ip4/127.0.0.1/tcp/0"


class MachineClock:
    """The machine's wall clock."""

    def unix_ms(self) -> UnixMs:
        return UnixMs(time.time_ns() // 1_000_000)


class Lab:
    """Opens edges and closes them at the end of the test."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery
        self._stops: dict[bytes, tuple[trio.Event, trio.Event]] = {}

    async def edge(self, name: str, *listen: str, seed: bytes | None = None, **limits):
        """Open an edge with the identity that belongs to a name."""
        return await self._nursery.start(
            self._run, seed or seed_of(name), listen or (LOOPBACK,), EdgeLimits(**limits)
        )

    async def _run(self, seed, listen, limits, *, task_status) -> None:
        stop, stopped = trio.Event(), trio.Event()
        try:
            async with open_network(
                seed=seed, listen=listen, limits=limits, clock=MachineClock()
            ) as edge:
                self._stops[edge.node] = stop, stopped
                task_status.started(edge)
                await stop.wait()
        finally:
            stopped.set()

    async def stop(self, edge) -> None:
        stop, stopped = self._stops[edge.node]
        stop.set()
        await stopped.wait()

    async def stop_all(self) -> None:
        for stop, _ in self._stops.values():
            stop.set()
        for _, stopped in self._stops.values():
            await stopped.wait()

    @property
    def nursery(self) -> trio.Nursery:
        return self._nursery


def seed_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


async def eventually(condition, *, within_s: float = 5.0) -> float:
    """Wait until a condition holds; return how long that took, in seconds."""
    begun_s = trio.current_time()
    with trio.fail_after(within_s):
        while not condition():  # noqa: ASYNC110  - what is waited for has no event
            await trio.sleep(0.01)
    return trio.current_time() - begun_s


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def signed(author, topic: str, data: bytes, *, seqno: int = 0):
    """A gossip message with the signature of a libp2p key pair."""
    message = rpc_pb2.Message(
        data=data,
        topicIDs=[topic],
        from_id=ID.from_pubkey(author.public_key).to_bytes(),
        seqno=seqno.to_bytes(8, "big"),
    )
    message.signature = author.private_key.sign(b"libp2p-pubsub:" + message.SerializeToString())
    return message


async def introduce(*edges, within_s: float = 5.0) -> None:
    """Tell all edges of each other and wait until each is connected with each."""
    book = {edge.node: edge.addresses for edge in edges}
    for edge in edges:
        edge.set_addresses(book)
    for edge in edges:
        await eventually(lambda edge=edge: len(edge.peers()) >= len(edges) - 1, within_s=within_s)


async def meshed(topic: str, *edges, peers: int = 1) -> None:
    """Wait until each edge has at least so many mesh peers in a topic."""
    for edge in edges:
        await eventually(
            lambda edge=edge: len(edge._stack.gossip.mesh.get(topic, ())) >= peers, within_s=8
        )


class Inbox:
    """A judge that notes what it was asked and answers as told."""

    def __init__(self, judgement: Judgement = Judgement.ACCEPT) -> None:
        self.judgement = judgement
        self.got: list[tuple[bytes, bytes]] = []

    def __call__(self, forwarder, data):
        self.got.append((forwarder, data))
        return self.judgement

    @property
    def payloads(self) -> list[bytes]:
        return [data for _, data in self.got]


@contextlib.asynccontextmanager
async def proxy_to(edge):
    """A TCP proxy in front of an edge, which can be frozen."""
    port = int(edge.addresses[0].rsplit("/", 1)[1])
    proxy = edge_attacks.Proxy("127.0.0.1", port)
    async with trio.open_nursery() as nursery:
        await nursery.start(proxy.run)
        try:
            yield proxy
        finally:
            proxy.thaw()
            nursery.cancel_scope.cancel()
