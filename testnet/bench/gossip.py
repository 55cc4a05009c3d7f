"""What a gossiped message costs each node, for our edge and for the library as it comes.

Each mesh lives in a process of its own (`testnet.bench.mesh`); the two kinds take turns, so that a
machine that is slow for a while is so for both. Processor time is the kernel's count for the whole
process. Heartbeats and pings go on without messages too and at any rate of messages: what they take
is measured between the bursts, told as a figure of its own, and left out of a message's. A figure
counts only if every message reached every node.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from statistics import median

import msgspec
import trio
from nacl import bindings
from nacl.signing import SigningKey

from testnet.bench.figures import Figure, Report

COST_MS_MAX = 3.5
SIZES = (2, 8, 20, 50)
AIMED_SIZES = (8, 20)
STOCK_NODES_MAX = 20
"""Beyond it the library fills a core even at a message a second."""

DELIVERIES_PER_S = 40
"""(message, node) pairs a second, unless the rate is at a bound: some half of what the library can
do on one core."""

RATE_PER_S_MAX = 5.0
RATE_PER_S_MIN = 1.0
BURST_S = 5.0
TURNS = 4
IDLE_S = 5.0

FLOOR_MESSAGES = 2_000
_FRAME_BYTES = 1_200
"""A message of 1,000 bytes with its author, number, topic and signature."""

_TAG_BYTES = 16
_NONCE = bytes(12)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a mesh shall do next: publish `messages`, or be idle."""

    messages: int = 0
    rate_per_s: float = 1.0
    idle_s: float = 0.0


class Burst(msgspec.Struct, frozen=True, kw_only=True):
    """What it took."""

    cpu_s: float
    took_s: float
    messages: int = 0
    delivered: int = 0
    """Arrivals, each node's first of each message; its own do not count."""

    expected: int = 0
    copies: int = 0
    """Arrivals with all copies; 0 where nobody counts."""

    latencies_ms: tuple[float, float] = (0.0, 0.0)
    """Median, and what 99 of 100 arrivals keep below; publisher and receiver share a processor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one kind of mesh cost."""

    nodes: int
    messages: int
    delivered: int
    expected: int
    cost_ms: float
    """Processor time for each message and node, the publisher included, beyond what is idle's."""

    whole_ms: float
    """The same with idle's, at the rate of this run."""

    idle_ms_per_s: float
    """What a node uses without messages, for its heartbeat and its connections."""

    copies: float
    """Copies a node takes in for each message; 0 where nobody counts."""

    latency_ms_median: float
    latency_ms_p99: float

    @property
    def is_whole(self) -> bool:
        """Whether everything arrived; else the cost means nothing."""
        return self.delivered == self.expected


@dataclass(slots=True)
class MeshProcess:
    """A mesh in a process of its own, and what it did so far."""

    nodes: int
    process: subprocess.Popen[str]
    bursts: list[Burst] = field(default_factory=list)
    idles: list[Burst] = field(default_factory=list)

    def order(self, order: Order) -> Burst:
        """Give an order and return what it took."""
        if self.process.stdin is not None:
            self.process.stdin.write(msgspec.json.encode(order).decode() + "\n")
            self.process.stdin.flush()
        return msgspec.json.decode(self.line(), type=Burst)

    def line(self) -> str:
        """Return the next line it prints.

        Raises:
            RuntimeError: It ended; why is on standard error.
        """
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"a mesh of {self.nodes} ended")
        return line

    def cost(self) -> Cost:
        """Sum up what it did."""
        messages = sum(b.messages for b in self.bursts)
        pairs = messages * self.nodes
        whole_s = sum(b.cpu_s for b in self.bursts)
        idle_share = sum(b.cpu_s for b in self.idles) / sum(b.took_s for b in self.idles)
        net_s = whole_s - idle_share * sum(b.took_s for b in self.bursts)
        return Cost(
            nodes=self.nodes,
            messages=messages,
            delivered=sum(b.delivered for b in self.bursts),
            expected=sum(b.expected for b in self.bursts),
            cost_ms=round(1e3 * net_s / pairs, 3),
            whole_ms=round(1e3 * whole_s / pairs, 3),
            idle_ms_per_s=round(1e3 * idle_share / self.nodes, 3),
            copies=round(sum(b.copies for b in self.bursts) / pairs, 2),
            latency_ms_median=median(b.latencies_ms[0] for b in self.bursts),
            latency_ms_p99=max(b.latencies_ms[1] for b in self.bursts),
        )


@contextmanager
def open_mesh(kind: str, nodes: int) -> Iterator[MeshProcess]:
    """Run a mesh for the time of the context.

    Args:
        kind: `ours` or `stock`.
        nodes: How many hosts.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "testnet.bench.mesh", kind, str(nodes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield MeshProcess(nodes, process)
    finally:
        process.kill()  # the library does not close what it opened; the system does
        process.communicate()


def compare(nodes: int, *, turns: int, burst_s: float, idle_s: float) -> dict[str, Cost]:
    """Measure our mesh and, up to `STOCK_NODES_MAX`, the library's, in turns."""
    kinds = ("ours", "stock") if nodes <= STOCK_NODES_MAX else ("ours",)
    rate = max(RATE_PER_S_MIN, min(RATE_PER_S_MAX, DELIVERIES_PER_S / nodes))
    order = Order(messages=max(1, round(rate * burst_s)), rate_per_s=rate)
    with ExitStack() as stack:
        meshes = {kind: stack.enter_context(open_mesh(kind, nodes)) for kind in kinds}
        for mesh in meshes.values():
            mesh.line()
            mesh.order(order)  # the first burst fills caches and finds the mesh still forming
        for _ in range(turns):
            for mesh in meshes.values():
                mesh.bursts.append(mesh.order(order))
            for mesh in meshes.values():
                mesh.idles.append(mesh.order(Order(idle_s=idle_s)))
        return {kind: mesh.cost() for kind, mesh in meshes.items()}


async def floor_ms(messages: int) -> float:
    """Return what one copy costs at the least: one signature checked, one encrypted frame sent.

    A frame of a gossiped message goes through a loopback socket of the event loop, encrypted as noise
    does it, and its author's signature is checked. In milliseconds of processor time.
    """
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sender = await trio.open_tcp_stream("127.0.0.1", listeners[0].socket.getsockname()[1])
    receiver = await listeners[0].accept()
    key = SigningKey(bytes(32))
    signed = key.sign(bytes(_FRAME_BYTES - bindings.crypto_sign_BYTES))
    began = time.process_time()
    for _ in range(messages):
        sealed = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(signed, None, _NONCE, bytes(32))
        await sender.send_all(sealed)
        got = b""
        while len(got) < _FRAME_BYTES + _TAG_BYTES:
            got += await receiver.receive_some()
        frame = bindings.crypto_aead_chacha20poly1305_ietf_decrypt(got, None, _NONCE, bytes(32))
        bindings.crypto_sign_open(frame, bytes(key.verify_key))
    taken_s = time.process_time() - began
    for end in (sender, receiver, listeners[0]):
        await end.aclose()
    return 1e3 * taken_s / messages


def measure(*, is_quick: bool) -> Report:
    """Compare the meshes of all sizes."""
    turns, burst_s, idle_s = (1, 1.0, 0.5) if is_quick else (TURNS, BURST_S, IDLE_S)
    sizes = (2, 4) if is_quick else SIZES
    least_ms = trio.run(floor_ms, FLOOR_MESSAGES)
    costs = {n: compare(n, turns=turns, burst_s=burst_s, idle_s=idle_s) for n in sizes}
    detail: dict[str, object] = {
        str(n): {kind: asdict(cost) for kind, cost in pair.items()} for n, pair in costs.items()
    }
    figures = [_figure(kind, c, least_ms) for pair in costs.values() for kind, c in pair.items()]
    figures += [_idle_figure(kind, c) for pair in costs.values() for kind, c in pair.items()]
    return Report(figures=tuple(figures), detail={**detail, "floor_ms": round(least_ms, 3)})


def _figure(kind: str, cost: Cost, least_ms: float) -> Figure:
    lost = "" if cost.is_whole else f", only {cost.delivered} of {cost.expected}"
    is_aimed = kind == "ours" and cost.nodes in AIMED_SIZES
    return Figure(
        name=f"gossip, a message and node of {cost.nodes}, {kind}{lost}",
        measured=cost.cost_ms,
        unit="ms",
        aim=COST_MS_MAX if is_aimed else None,
        limit=least_ms,
        limit_is="one signed copy by socket",
    )


def _idle_figure(kind: str, cost: Cost) -> Figure:
    return Figure(
        name=f"gossip, an idle node of {cost.nodes}, {kind}",
        measured=cost.idle_ms_per_s,
        unit="ms/s",
        limit_is="heartbeat, pings",
    )
