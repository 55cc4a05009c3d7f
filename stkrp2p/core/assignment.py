"""Who audits whom in an epoch, and who is audited in a round (R65, Q18, Q19).

The seed of an epoch is known with the randomness of its first round. From it:

* Members stand on a circle of n places. The m full members are spread evenly: the j-th of them, in
  shuffled order, stands at place floor(j * n / m); light members fill the rest in shuffled order.
  The shuffle is Ethereum's swap-or-not, so one place is found without the others.
* A seeded turn b puts a target's candidates right behind it: places p - b - 1, p - b - 2, … (mod n).
  Its auditors are the first `k_aud` of the `candidates` whose operators differ from the target's and
  from each other. b keeps a member from being its own candidate.

Any k places in a row hold floor or ceil of k * m / n full members, because full members are spread
evenly; so every sidecar audits floor or ceil of its share unless the operator rule strikes. And a
member's targets and their candidates all stand within two windows: a light peer finds its own row
with a few dozen shuffles at any size. See `protocols/assignment.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator

from stkrp2p.core.crypto import DRAW_TAG, SEED_TAG, sha256, u64
from stkrp2p.core.params import Params
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import (
    ONE_PPM,
    Digest,
    Epoch,
    Kind,
    NetworkId,
    NodeId,
    Operator,
    Ppm,
)

SHUFFLE_ROUNDS = 90
"""As in Ethereum's consensus specification."""

_FULL_TAG = b"stkr/circle-full/1"
_LIGHT_TAG = b"stkr/circle-light/1"
_TURN_TAG = b"stkr/circle-turn/1"


def seed_of(
    network: NetworkId,
    epoch: Epoch,
    randomness: Digest,
    roster_root: Digest,
    *,
    mixed: Digest | None = None,
) -> Digest:
    """Return an epoch's seed.

    Args:
        network: Its id, which tells whether a second beacon is mixed in.
        epoch: Which one.
        randomness: Of the epoch's first round.
        roster_root: Of its roster.
        mixed: Randomness of the second beacon's round, `Genesis.mixed_round`; `None` without one.
    """
    return sha256(SEED_TAG, network, u64(epoch), randomness, mixed or b"", roster_root)


class Shuffle:
    """Swap-or-not over 0 … size - 1: a permutation one index at a time, both ways."""

    def __init__(self, seed: Digest, size: int) -> None:
        """Prepare the pivots; the source blocks are hashed as they are needed."""
        self._seed = seed
        self._size = size
        self._pivots = [
            int.from_bytes(sha256(seed, bytes([r]))[:8], "little") % max(1, size)
            for r in range(SHUFFLE_ROUNDS)
        ]
        self._blocks: list[dict[int, bytes]] = [{} for _ in range(SHUFFLE_ROUNDS)]

    def forward(self, index: int) -> int:
        """Return where an index goes (`compute_shuffled_index`)."""
        return self._walk(index, range(SHUFFLE_ROUNDS))

    def inverse(self, index: int) -> int:
        """Return which index goes there."""
        return self._walk(index, range(SHUFFLE_ROUNDS - 1, -1, -1))

    def _walk(self, index: int, rounds: range) -> int:
        size, seed, pivots, blocks = self._size, self._seed, self._pivots, self._blocks
        for r in rounds:
            flip = (pivots[r] - index) % size
            position = max(index, flip)
            cache = blocks[r]
            block = cache.get(position >> 8)
            if block is None:
                source = seed + bytes([r]) + (position >> 8).to_bytes(4, "little")
                block = cache[position >> 8] = hashlib.sha256(source).digest()
            if block[(position & 255) >> 3] >> (position & 7) & 1:
                index = flip
        return index


class Circle:
    """Where the members of an epoch stand; places count from 0."""

    def __init__(self, seed: Digest, full_count: int, light_count: int) -> None:
        """Prepare both shuffles; nothing is computed for members nobody asks about."""
        self.size = full_count + light_count
        self._full_count = full_count
        self._full = Shuffle(sha256(_FULL_TAG, seed), full_count)
        self._light = Shuffle(sha256(_LIGHT_TAG, seed), light_count)

    def _fulls_before(self, place: int) -> int:
        """Return how many full members stand before a place: ceil(place * m / n)."""
        return -(-place * self._full_count // self.size)

    def place_of_full(self, index: int) -> int:
        """Return the place of the full member with this index among the full members."""
        return self._full.forward(index) * self.size // self._full_count

    def place_of_light(self, index: int) -> int:
        """Return the place of the light member with this index among the light members.

        Up to and with a place p stand floor((p + 1) * l / n) of the l light members: the j-th of
        them, in shuffled order from 0, stands at the first p where that is j + 1.
        """
        light_count = self.size - self._full_count
        return ((self._light.forward(index) + 1) * self.size - 1) // light_count

    def at(self, place: int) -> tuple[bool, int]:
        """Return (is a full member, its index among those of its kind) for a place."""
        before = self._fulls_before(place)
        if self._fulls_before(place + 1) > before:
            return True, self._full.inverse(before)
        return False, self._light.inverse(place - before)


class Assignment:
    """Who audits whom in one epoch; rows and columns are computed when asked and kept."""

    def __init__(self, seed: Digest, roster: Roster, params: Params) -> None:
        """Fix the circle and the turn; costs 180 hashes, whatever the roster's size."""
        self._roster = roster
        self._params = params
        self._circle = Circle(seed, len(roster.full), len(roster.light))
        size = len(roster)
        self._window = min(params.candidates, max(0, size - 1))
        spare = size - self._window
        self._turn = int.from_bytes(sha256(_TURN_TAG, seed)[:8], "big") % max(1, spare)
        self._at: dict[int, Member] = {}
        self._places: dict[NodeId, int] = {}
        self._auditors: dict[NodeId, tuple[NodeId, ...]] = {}

    def auditors(self, target: NodeId) -> tuple[NodeId, ...]:
        """Return a target's auditors in the order of the circle; empty for who is not audited.

        `k_aud` of them unless fewer of the candidates pass the operator rule.
        """
        found = self._auditors.get(target)
        if found is None:
            found = self._auditors[target] = self._choose(target)
        return found

    def candidates(self, target: NodeId) -> Iterator[Member]:
        """Yield the members behind a target, nearest first, whoever runs them.

        Auditors are taken from among them. None for who is not audited.
        """
        member = self._roster.get(target)
        if member is not None and member.kind is Kind.FULL:
            start = self._place_of(member) - self._turn
            for d in range(1, self._window + 1):
                yield self._member_at(start - d)

    def targets(self, auditor: NodeId) -> tuple[NodeId, ...]:
        """Return whom a member audits, sorted by node id; empty for who is no member."""
        member = self._roster.get(auditor)
        if member is None:
            return ()
        start = self._place_of(member) + self._turn
        near = (self._member_at(start + d) for d in range(1, self._window + 1))
        return tuple(sorted(m.node for m in near if auditor in self.auditors(m.node)))

    def all_targets(self) -> dict[NodeId, tuple[NodeId, ...]]:
        """Return every member's targets: what judging a whole epoch needs."""
        rows: dict[NodeId, list[NodeId]] = {m.node: [] for m in self._roster.members}
        for member in self._roster.members:
            self._at[self._place_of(member)] = member  # spares finding them by place
        for member in self._roster.full:
            for auditor in self.auditors(member.node):
                rows[auditor].append(member.node)
        return {auditor: tuple(targets) for auditor, targets in rows.items()}

    def _place_of(self, member: Member) -> int:
        place = self._places.get(member.node)
        if place is None:
            rank = self._roster.rank[member.node]
            is_full = member.kind is Kind.FULL
            find = self._circle.place_of_full if is_full else self._circle.place_of_light
            place = self._places[member.node] = find(rank)
        return place

    def _member_at(self, place: int) -> Member:
        place %= self._circle.size
        member = self._at.get(place)
        if member is None:
            is_full, index = self._circle.at(place)
            member = (self._roster.full if is_full else self._roster.light)[index]
            self._at[place] = member
            self._places[member.node] = place
        return member

    def _choose(self, target: NodeId) -> tuple[NodeId, ...]:
        member = self._roster.get(target)
        used: set[Operator] = {member.operator} if member else set()
        chosen: list[NodeId] = []
        for candidate in self.candidates(target):
            if candidate.operator not in used:
                used.add(candidate.operator)
                chosen.append(candidate.node)
                if len(chosen) == self._params.k_aud:
                    break
        return tuple(chosen)


def drawn_of(targets: Iterable[NodeId], randomness: Digest, draw_ppm: Ppm) -> list[NodeId]:
    """Return those of the targets that are audited in the round with this randomness, in order.

    A target is drawn when the first 32 bits of H(tag, randomness, target) fall below the share
    `draw_ppm` of 2**32: nobody knows before the beacon does.
    """
    if draw_ppm >= ONE_PPM:
        return list(targets)
    limit = -(-(draw_ppm << 32) // ONE_PPM)
    first_bytes = limit.to_bytes(4, "big")  # a longer string with these first bytes is not below it
    prefix = hashlib.sha256(DRAW_TAG + randomness)
    drawn = []
    for target in targets:
        state = prefix.copy()
        state.update(target)
        if state.digest() < first_bytes:
            drawn.append(target)
    return drawn


def draw_of(randomness: Digest, draw_ppm: Ppm) -> Callable[[NodeId], bool]:
    """Return the test "is this target audited in the round with this randomness?" (`drawn_of`)."""
    return lambda target: bool(drawn_of((target,), randomness, draw_ppm))
