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
DELIVERIES_PER_S = 40
"""(message, node) pairs a second, unless the rate is at a bound: some half of what the library can
do on one core."""

RATE_PER_S_MAX = 5.0
RATE_PER_S_MIN = 1.0
SPAN_S = 5.0
"""Length of a burst, and of being idle."""

TURNS = 4
LINKS = 6
"""Connections of a host where not all are connected: all of them carry the mesh."""

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


@dataclass(frozen=True, slots=True)
class Setup:
    """A mesh to measure."""

    kind: str
    """`ours` or `stock`."""

    nodes: int
    links: int
    """Connections of each."""

    rate_per_s: float
    """Messages a second, of all together."""

    is_aimed: bool = False

    def __str__(self) -> str:
        """Return the name it is shown under."""
        return f"{self.kind}, {self.nodes} nodes, {self.links} link{'s' * (self.links > 1)} each"


def _rate_per_s(nodes: int) -> float:
    return max(RATE_PER_S_MIN, min(RATE_PER_S_MAX, DELIVERIES_PER_S / nodes))


GROUPS = (
    (Setup("ours", 2, 1, RATE_PER_S_MAX), Setup("stock", 2, 1, RATE_PER_S_MAX)),
    (
        Setup("ours", 8, LINKS - 1, _rate_per_s(8), is_aimed=True),
        Setup("stock", 8, LINKS - 1, _rate_per_s(8)),
    ),
    (
        Setup("ours", 20, LINKS, _rate_per_s(20), is_aimed=True),
        Setup("stock", 20, LINKS, _rate_per_s(20)),
        Setup("ours", 20, 19, RATE_PER_S_MAX, is_aimed=True),
    ),
    (Setup("ours", 50, LINKS, _rate_per_s(50)),),
)
"""What is measured in turns with what. At 50 nodes the library fills a core at a message a second."""

GROUPS_QUICK = (
    (Setup("ours", 2, 1, RATE_PER_S_MAX), Setup("stock", 2, 1, RATE_PER_S_MAX)),
    (Setup("ours", 4, 3, RATE_PER_S_MAX, is_aimed=True),),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one mesh cost."""

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

    setup: Setup
    process: subprocess.Popen[str]
    bursts: list[Burst] = field(default_factory=list)
    idles: list[Burst] = field(default_factory=list)

    def order(self, order: Order) -> Burst:
        """Give an order and return what it took."""
        if self.process.stdin is not None:
            self.process.stdin.write(msgspec.json.encode(order).decode() + "\n")
            self.process.stdin.flush()
        return msgspec.json.decode(self.line(), type=Burst)

    def burst(self, span_s: float) -> Burst:
        """Let it gossip for a while at its rate."""
        rate = self.setup.rate_per_s
        return self.order(Order(messages=max(1, round(rate * span_s)), rate_per_s=rate))

    def line(self) -> str:
        """Return the next line it prints.

        Raises:
            RuntimeError: It ended; why is on standard error.
        """
        line = self.process.stdout.readline() if self.process.stdout is not None else ""
        if not line:
            raise RuntimeError(f"the mesh of {self.setup} ended")
        return line

    def cost(self) -> Cost:
        """Sum up what it did."""
        messages = sum(b.messages for b in self.bursts)
        pairs = messages * self.setup.nodes
        whole_s = sum(b.cpu_s for b in self.bursts)
        idle_share = sum(b.cpu_s for b in self.idles) / sum(b.took_s for b in self.idles)
        net_s = whole_s - idle_share * sum(b.took_s for b in self.bursts)
        return Cost(
            messages=messages,
            delivered=sum(b.delivered for b in self.bursts),
            expected=sum(b.expected for b in self.bursts),
            cost_ms=round(1e3 * net_s / pairs, 3),
            whole_ms=round(1e3 * whole_s / pairs, 3),
            idle_ms_per_s=round(1e3 * idle_share / self.setup.nodes, 3),
            copies=round(sum(b.copies for b in self.bursts) / pairs, 2),
            latency_ms_median=median(b.latencies_ms[0] for b in self.bursts),
            latency_ms_p99=max(b.latencies_ms[1] for b in self.bursts),
        )


@contextmanager
def open_mesh(setup: Setup) -> Iterator[MeshProcess]:
    """Run a mesh for the time of the context."""
    size = (str(setup.nodes), str(setup.links))
    process = subprocess.Popen(
        [sys.executable, "-m", "testnet.bench.mesh", setup.kind, *size],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield MeshProcess(setup, process)
    finally:
        process.kill()  # the library does not close what it opened; the system does
        process.communicate()


def compare(setups: tuple[Setup, ...], *, turns: int, span_s: float) -> dict[Setup, Cost]:
    """Measure meshes in turns: a burst of each, then each idle.

    Args:
        setups: The meshes; all live at once.
        turns: How often.
        span_s: Length of a burst, and of being idle.
    """
    with ExitStack() as stack:
        meshes = [stack.enter_context(open_mesh(setup)) for setup in setups]
        for mesh in meshes:
            mesh.line()
            mesh.burst(span_s)  # fills caches, and finds the mesh still forming
        for _ in range(turns):
            for mesh in meshes:
                mesh.bursts.append(mesh.burst(span_s))
            for mesh in meshes:
                mesh.idles.append(mesh.order(Order(idle_s=span_s)))
        return {mesh.setup: mesh.cost() for mesh in meshes}


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
    """Compare the meshes of all groups."""
    turns, span_s, groups = (1, 0.5, GROUPS_QUICK) if is_quick else (TURNS, SPAN_S, GROUPS)
    least_ms = trio.run(floor_ms, FLOOR_MESSAGES)
    costs: dict[Setup, Cost] = {}
    for group in groups:
        costs |= compare(group, turns=turns, span_s=span_s)
    detail: dict[str, object] = {
        str(s): {**asdict(cost), "rate_per_s": s.rate_per_s} for s, cost in costs.items()
    }
    figures = [_figure(s, cost, least_ms) for s, cost in costs.items()]
    figures += [_idle_figure(s, cost) for s, cost in costs.items() if s.is_aimed]
    return Report(figures=tuple(figures), detail={**detail, "floor_ms": round(least_ms, 3)})


def _figure(setup: Setup, cost: Cost, least_ms: float) -> Figure:
    lost = "" if cost.is_whole else f", only {cost.delivered} of {cost.expected}"
    return Figure(
        name=f"gossip: {setup}{lost}",
        measured=cost.cost_ms,
        unit="ms",
        aim=COST_MS_MAX if setup.is_aimed else None,
        limit=least_ms,
        limit_is="one signed copy",
    )


def _idle_figure(setup: Setup, cost: Cost) -> Figure:
    return Figure(
        name=f"gossip: {setup}, idle",
        measured=cost.idle_ms_per_s,
        unit="ms/s",
        limit_is="heartbeat, pings",
    )
