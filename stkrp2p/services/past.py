"""Epochs that are folded and closed, read again from the store for peers that catch up.

A peer that was away asks for one old epoch after the other, many questions each. The last few asked
for stay in memory; they are read one at a time, so that old questions never crowd out new ones.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial

import trio

from stkrp2p.core.batch import EpochView
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.types import Epoch, Round
from stkrp2p.ports import History
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.offload import offload
from stkrp2p.services.views import build_view, mixed_round_of

PAST_KEPT_MAX = 2
"""Closed epochs in memory."""


@dataclass(frozen=True, slots=True)
class Past:
    """A closed epoch."""

    view: EpochView
    evidence: Evidence


class PastEpochs:
    """The closed epochs asked for last."""

    def __init__(self, ledger: Ledger, store: History) -> None:
        """Start without any."""
        self._ledger = ledger
        self._store = store
        self._kept: OrderedDict[Epoch, Past] = OrderedDict()
        self._reading = trio.Lock()

    async def get(self, epoch: Epoch) -> Past | None:
        """Return a folded epoch, `None` if the store does not hold all of its rounds any more."""
        if epoch > self._ledger.last_folded:
            return None
        async with self._reading:
            known = self._kept.get(epoch) or await self._read(epoch)
            if known is not None:
                self._kept[epoch] = known
                self._kept.move_to_end(epoch)
                if len(self._kept) > PAST_KEPT_MAX:
                    self._kept.popitem(last=False)
            return known

    async def _read(self, epoch: Epoch) -> Past | None:
        ledger, numbers = self._ledger, self._ledger.clock.rounds(epoch)
        found = await self._store.rounds(Round(numbers[0]), Round(numbers[-1]))
        if len(found) < len(numbers):
            return None
        roster = await ledger.rosters.compute(epoch)
        rounds = {one.number: one for one in found}
        mixed = await mixed_round_of(ledger.genesis, self._store, epoch)
        work = partial(build_view, ledger.genesis, roster, rounds, epoch, mixed)
        view = await offload(work, members=len(roster))
        batches = await self._store.batches(epoch)
        if view is None:
            return None
        return Past(view, Evidence(b for b in batches if b.body.seed == view.seed))
