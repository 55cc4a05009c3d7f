"""Score tables with their trees, as peers ask for them.

A table of 10,000 scores takes a tenth of a second to read and to hash; peers ask for its pages and
for proofs out of it. So the last few are kept, and a table that does not give the anchored root (a
light node has one score of it) is not offered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from stkrp2p.core.merkle import Tree
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId
from stkrp2p.ports import History, StoredEpoch
from stkrp2p.services.offload import offload

TABLES_KEPT_MAX = 3
"""Tables in memory: those of the last epochs, and one that somebody catches up with."""


@dataclass(frozen=True, slots=True)
class Table:
    """An anchored epoch's scores, in roster order, and their tree."""

    scores: tuple[Score, ...]
    tree: Tree
    by_node: dict[NodeId, Score]


def _table(scores: Sequence[Score]) -> Table:
    tree = Tree(s.leaf() for s in scores)
    return Table(tuple(scores), tree, {NodeId(s.node): s for s in scores})


async def stored_or_contested(
    store: History, epoch: Epoch
) -> tuple[StoredEpoch, tuple[Score, ...]] | None:
    """Return an anchored epoch with its table; one that we contest as long as it stands."""
    stored = await store.epoch(epoch)
    if stored is not None and stored.is_anchored:
        return stored, await store.scores(epoch)
    return await store.contested(epoch)


class Tables:
    """The tables asked for last."""

    def __init__(self, store: History) -> None:
        """Start without any."""
        self._store = store
        self._kept: OrderedDict[Epoch, Table] = OrderedDict()
        self._reading = trio.Lock()

    async def get(self, epoch: Epoch) -> Table | None:
        """Return an anchored epoch's table, `None` if the store does not hold all of it."""
        async with self._reading:
            known = self._kept.get(epoch)
            if known is None:
                known = await self._read(epoch)
            if known is not None and epoch not in await self._store.contests():
                self._kept[epoch] = known
                self._kept.move_to_end(epoch)
                if len(self._kept) > TABLES_KEPT_MAX:
                    self._kept.popitem(last=False)
            return known

    async def _read(self, epoch: Epoch) -> Table | None:
        found = await stored_or_contested(self._store, epoch)
        if found is None or not found[1]:
            return None
        stored, scores = found
        table = await offload(lambda: _table(scores), members=len(scores))
        return table if table.tree.root == stored.header.score_root else None
