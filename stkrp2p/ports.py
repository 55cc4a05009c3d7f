"""What the services need of the world, as small protocols; adapters implement them.

No port has a method that no service calls. Every call that leaves the process may fail with the
errors named here and with nothing else, so a service can answer each of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Protocol

from stkrp2p.core.types import Judgement, NodeId, UnixMs

Handler = Callable[[NodeId, bytes], Awaitable[bytes]]
"""Answers one question frame of an authenticated peer with one answer frame."""

Judge = Callable[[NodeId, bytes], Judgement]
"""Judges one gossiped message (forwarder, data); quick, pure of I/O, and never raises."""


class Unreachable(Exception):
    """A peer gave no (whole) answer in time: not connected, refused, reset, or too slow."""


class WallClock(Protocol):
    """The machine's idea of what time it is; asked only for "which round is due"."""

    def unix_ms(self) -> UnixMs: ...


class Entropy(Protocol):
    """Randomness for jitter and peer choice; never for anything signed or scored."""

    def below(self, limit: int) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerStatus:
    """One peer as the network edge sees it now."""

    node: NodeId
    address: str
    """The multiaddr in use."""

    is_inbound: bool
    latency_ms: int | None
    """Of the last liveness probe; `None` before the first."""

    connected_s: int


class Network(Protocol):
    """The libp2p edge: authenticated peers, gossip, and one-question streams.

    Peers are known by node id; the edge finds them through `set_addresses` and keeps connections
    up by itself. Callers never see a library's exception.
    """

    @property
    def node(self) -> NodeId:
        """Our own id."""

    @property
    def addresses(self) -> tuple[str, ...]:
        """The multiaddrs we listen on, without `/p2p/…`."""

    def set_addresses(self, book: Mapping[NodeId, Sequence[str]]) -> None:
        """Replace the address book: whom to stay connected with, and where they may be found."""

    def learn_addresses(self, node: NodeId, addresses: Sequence[str]) -> None:
        """Add addresses for one peer that another source (a signed record) named."""

    def join_topic(self, topic: str, judge: Judge) -> None:
        """Take part in a topic; `judge` decides on every message before it is passed on.

        ACCEPT passes it on, IGNORE drops it, REJECT drops it and counts against the forwarder.
        """

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip one message of our own; returns when it is queued for the mesh.

        Raises:
            ValueError: `data` is larger than the topic's cap.
        """

    def serve(self, protocol: str, handler: Handler, *, answer_bytes_max: int) -> None:
        """Answer `protocol`'s questions. An exception in the handler closes that stream only."""

    async def ask(
        self, node: NodeId, protocol: str, question: bytes, *, timeout_ms: int, answer_bytes_max: int
    ) -> bytes:
        """Send one question on a stream of its own and return the answer.

        Raises:
            Unreachable: No whole answer within `timeout_ms`, whatever the reason.
        """

    def peers(self) -> tuple[PeerStatus, ...]:
        """The peers connected now, sorted by node id."""

    def ban(self, node: NodeId) -> None:
        """Drop the peer's connections and refuse new ones until restart."""

    def counters(self) -> Mapping[str, int]:
        """Counts of everything dropped or refused, by reason; nothing is dropped uncounted."""


class ChainState(StrEnum):
    """How the node stands with its Ethereum endpoint."""

    OK = auto()
    CONNECTING = auto()
    DOWN = auto()
    """Refused, hanging or answering nonsense; audits and gossip go on."""

    WRONG_CHAIN = auto()
    """Another chain id, or no contracts at the addresses: nothing is read or sent."""


class ChainUnavailable(Exception):
    """The endpoint is down, hanging, on the wrong chain, or answered nonsense."""


class WorkloadError(Exception):
    """The blockchain node or service behind us cannot answer now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadHealth:
    """What a workload says of itself."""

    is_ready: bool
    detail: str
    """One line for people: version and head, or what is wrong."""


class Workload(Protocol):
    """The blockchain node (or service) one sidecar looks after (R10, R64, R70)."""

    kind: str
    """Name in configuration and reports: `ethereum`, `http`, `none`."""

    async def health(self) -> WorkloadHealth: ...

    async def answer(self, challenge: bytes) -> bytes:
        """Return the report only a working node can give for this 32-byte challenge.

        Raises:
            WorkloadError: The node behind us cannot answer.
        """


ReportCheck = Callable[[bytes, bytes, UnixMs], str]
"""(challenge, report, now_ms) -> "" if the report is right, else one word that says why not. Pure."""
