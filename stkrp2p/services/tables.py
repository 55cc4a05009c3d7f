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
from stkrp2p.ports import History
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
            if known is not None:
                self._kept[epoch] = known
                self._kept.move_to_end(epoch)
                if len(self._kept) > TABLES_KEPT_MAX:
                    self._kept.popitem(last=False)
            return known

    async def _read(self, epoch: Epoch) -> Table | None:
        stored = await self._store.epoch(epoch)
        if stored is None or not stored.is_anchored:
            return None
        scores = await self._store.scores(epoch)
        if not scores:
            return None
        table = await offload(lambda: _table(scores), members=len(scores))
        return table if table.tree.root == stored.header.score_root else None
