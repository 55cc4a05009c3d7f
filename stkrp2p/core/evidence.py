"""The evidence of one epoch: a CRDT of batches.

    auditor -> at most two batches, those with the smallest ids

Two batches of one auditor are a proof of equivocation that anybody can check; a third adds nothing
and is dropped. Joining takes the union for each auditor and keeps the two smallest again, so it is
commutative, associative and idempotent: replicas that got the same batches, in any order and any
number of times, hold the same state. Of two signatures of one batch the smaller is kept. Only
batches that passed `check_batch` come in here. See `protocols/batch.md`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stkrp2p.core.batch import Batch
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import Digest, NodeId

KEPT_MAX = 2
"""Batches kept of one auditor: enough to prove that it equivocated."""


class Evidence:
    """A grow-only set of batches with at most two of each auditor."""

    __slots__ = ("_batches",)

    def __init__(self, batches: Iterable[Batch] = ()) -> None:
        """Start with these batches, in any order."""
        self._batches: dict[NodeId, tuple[Batch, ...]] = {}
        for batch in batches:
            self.add(batch)

    def add(self, batch: Batch) -> bool:
        """Take one batch in; tell whether that changed anything."""
        held = self._batches.get(batch.auditor, ())
        if not held:
            self._batches[batch.auditor] = (batch,)
            return True
        kept = _two_smallest((*held, batch))
        if kept == held:
            return False
        self._batches[batch.auditor] = kept
        return True

    def join(self, other: Evidence) -> Evidence:
        """Return the least state that holds all of both; neither changes."""
        return Evidence([*self, *other])

    def of(self, auditor: NodeId) -> tuple[Batch, ...]:
        """Return the auditor's batches, smallest id first."""
        return self._batches.get(auditor, ())

    def equivocators(self) -> frozenset[NodeId]:
        """Return the auditors that signed two batches."""
        return frozenset(a for a, held in self._batches.items() if len(held) == KEPT_MAX)

    def ids(self, auditor: NodeId) -> tuple[Digest, ...]:
        """Return the ids of the auditor's batches, smallest first."""
        return tuple(b.id for b in self._batches.get(auditor, ()))

    def digest(self) -> Digest:
        """Return a hash of the state's values: auditors and batch ids, sorted; no signatures."""
        return sha256(*(part for a in sorted(self._batches) for part in (a, *self.ids(a))))

    def __contains__(self, batch: Batch) -> bool:
        return batch.id in self.ids(batch.auditor)

    def __iter__(self) -> Iterator[Batch]:
        for auditor in sorted(self._batches):
            yield from self._batches[auditor]

    def __len__(self) -> int:
        return sum(map(len, self._batches.values()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Evidence) and self._batches == other._batches

    __hash__ = None  # type: ignore[assignment]  # mutable


def _two_smallest(batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    by_id: dict[Digest, Batch] = {}
    for batch in sorted(batches, reverse=True):
        by_id[batch.id] = batch  # the smallest signature of an id comes last
    return tuple(sorted(by_id.values())[:KEPT_MAX])
