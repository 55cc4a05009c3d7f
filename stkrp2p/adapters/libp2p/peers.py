"""Who may come in, and whom to dial when: rules without I/O.

`Gate` counts inbound connections by address and holds the bans; `PeerBook` knows where peers may be
found and when the next dial of each is due. Both are told the time; neither sleeps nor opens
anything.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stkrp2p.adapters.libp2p.bounds import Pace
from stkrp2p.adapters.libp2p.identity import tcp_endpoint, without_peer_id
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.core.types import NodeId


class Gate:
    """Counts inbound connections and refuses those above the limits.

    Each connection is counted twice until its identity is proved: as half-open and as a connection.
    Every refusal is counted by its reason.
    """

    def __init__(self, limits: EdgeLimits, counters: Counter[str]) -> None:
        self.banned: set[NodeId] = set()
        self._limits = limits
        self._counters = counters
        self._half_open: Counter[str] = Counter()
        self._open: Counter[str] = Counter()
        self._pace = Pace(limits.connections_per_ip_per_s_max)

    def knock(self, group: str, *, now_s: float) -> bool:
        """Count a connection that was just accepted; `False` refuses it and counts nothing.

        Args:
            group: Where it comes from, as `identity.ip_group` says.
            now_s: The time.
        """
        reason = self._refusal(group)
        if not reason and not self._pace.take(group.encode(), now_s=now_s):
            reason = "connections_refused_too_fast"
        if reason:
            self._counters[reason] += 1
            return False
        self._half_open[group] += 1
        self._open[group] += 1
        return True

    def prove(self, group: str) -> None:
        """Note that a connection is no longer half-open: identity proved, or given up."""
        _decrement(self._half_open, group)

    def leave(self, group: str) -> None:
        """Note that a connection has ended."""
        _decrement(self._open, group)

    @property
    def inbound(self) -> int:
        """Inbound connections now, half-open ones included."""
        return self._open.total()

    @property
    def half_open(self) -> int:
        """Inbound connections that have not proved an identity yet."""
        return self._half_open.total()

    def _refusal(self, group: str) -> str:
        limits = self._limits
        if self._half_open[group] >= limits.half_open_per_ip_max:
            return "connections_refused_half_open_per_ip"
        if self._half_open.total() >= limits.half_open_max:
            return "connections_refused_half_open"
        if self._open[group] >= limits.connections_per_ip_max:
            return "connections_refused_per_ip"
        if self._open.total() >= limits.connections_inbound_max:
            return "connections_refused_inbound"
        return ""


def _decrement(counter: Counter[str], group: str) -> None:
    counter[group] -= 1
    if counter[group] <= 0:
        del counter[group]


@dataclass(slots=True)
class _Entry:
    addresses: tuple[str, ...] = ()
    learned: tuple[str, ...] = ()
    last_good: str | None = None
    failures: int = 0
    failing_since_s: float = 0.0
    next_dial_s: float = 0.0
    is_kept: bool = False


@dataclass(slots=True)
class PeerBook:
    """Addresses of peers and when to dial them.

    Times are seconds of one monotonic clock. Backing off doubles from `backoff_first_s` to
    `backoff_s_max`, less a random share of up to half, so that peers cut off together do not come
    back together.
    """

    node: NodeId
    limits: EdgeLimits
    _entries: dict[NodeId, _Entry] = field(default_factory=dict)

    def replace(self, book: Mapping[NodeId, Sequence[str]], *, now_s: float) -> int:
        """Keep connections with exactly the peers of `book`; return how many addresses were unfit.

        What is known of a peer's dials, and what was learned of its addresses, stays.
        """
        unfit = 0
        entries: dict[NodeId, _Entry] = {}
        for node, addresses in book.items():
            if node == self.node or len(entries) >= self.limits.book_peers_max:
                unfit += len(addresses)
                continue
            entry = self._entries.get(node) or self._new_entry(node, now_s=now_s)
            entry.is_kept = True
            entry.addresses, refused = self._fit(addresses)
            unfit += refused
            entries[node] = entry
        for node, entry in self._entries.items():
            if node not in entries and entry.learned and len(entries) < self.limits.book_peers_max:
                entry.is_kept = False
                entry.addresses = ()
                entries[node] = entry
        self._entries = entries
        return unfit

    def learn(self, node: NodeId, addresses: Sequence[str], *, now_s: float) -> int:
        """Add addresses another source named; return how many were unfit or too many."""
        if node == self.node:
            return 0
        entry = self._entry(node, now_s=now_s)
        if entry is None:
            return len(addresses)
        entry.learned, refused = self._fit((*addresses, *entry.learned))
        return refused

    def addresses(self, node: NodeId) -> tuple[str, ...]:
        """Return where a peer may be found: where it was last, then the book, then hearsay."""
        entry = self._entries.get(node)
        if entry is None:
            return ()
        known = (*entry.addresses, *entry.learned)
        first = (entry.last_good,) if entry.last_good in known else ()
        return tuple(dict.fromkeys((*first, *known)))

    def due(self, busy: Iterable[NodeId], *, now_s: float) -> list[NodeId]:
        """Return the peers to dial now, those waiting longest first.

        Args:
            busy: Peers that are connected, being dialled or banned.
            now_s: The time.
        """
        skip = set(busy)
        waiting = [
            (entry.next_dial_s, node)
            for node, entry in self._entries.items()
            if entry.is_kept and entry.next_dial_s <= now_s and node not in skip
        ]
        return [node for _, node in sorted(waiting)]

    def next_due_s(self, busy: Iterable[NodeId]) -> float | None:
        """Return when the next dial falls due; `None` if none will."""
        skip = set(busy)
        times = [e.next_dial_s for n, e in self._entries.items() if e.is_kept and n not in skip]
        return min(times, default=None)

    def reached(self, node: NodeId, *, address: str | None) -> None:
        """Note that a peer is connected; `address` is `None` if it dialled us."""
        entry = self._entries.get(node)
        if entry is not None:
            entry.failures = 0
            entry.last_good = address or entry.last_good

    def failed(self, node: NodeId, *, now_s: float) -> None:
        """Note that no address of a peer answered: the next dial is backed off."""
        entry = self._entries.get(node)
        if entry is None:
            return
        if entry.failures == 0:
            entry.failing_since_s = now_s
        entry.failures += 1
        entry.next_dial_s = now_s + jittered(self._backoff_s(entry, now_s=now_s))

    def lost(self, node: NodeId, *, now_s: float) -> None:
        """Note that a connection with a peer ended: dial again soon."""
        entry = self._entries.get(node)
        if entry is not None:
            wait_s = jittered(self.limits.backoff_first_s) + self._courtesy_s(node)
            entry.next_dial_s = max(entry.next_dial_s, now_s + wait_s)

    def _backoff_s(self, entry: _Entry, *, now_s: float) -> float:
        limits = self.limits
        if now_s - entry.failing_since_s > limits.gone_after_s:
            return limits.backoff_gone_s
        return min(
            limits.backoff_s_max, limits.backoff_first_s * 2.0 ** min(entry.failures - 1, 16)
        )

    def _courtesy_s(self, node: NodeId) -> float:
        return self.limits.second_dialer_s if self.node > node else 0.0

    def _entry(self, node: NodeId, *, now_s: float) -> _Entry | None:
        entry = self._entries.get(node)
        if entry is None and len(self._entries) < self.limits.book_peers_max:
            entry = self._entries[node] = self._new_entry(node, now_s=now_s)
        return entry

    def _new_entry(self, node: NodeId, *, now_s: float) -> _Entry:
        return _Entry(next_dial_s=now_s + self._courtesy_s(node))

    def _fit(self, addresses: Sequence[str]) -> tuple[tuple[str, ...], int]:
        fit = [without_peer_id(a) for a in addresses if _is_dialable(a)]
        kept = tuple(dict.fromkeys(fit))[: self.limits.addresses_per_peer_max]
        return kept, len(set(addresses)) - len(kept)


def jittered(wait_s: float) -> float:
    """Return a wait of between half of `wait_s` and all of it."""
    return wait_s * (0.5 + secrets.randbelow(1001) / 2000)


def _is_dialable(address: str) -> bool:
    try:
        _, port = tcp_endpoint(address)
    except ValueError:
        return False
    return port > 0
