"""Recompute a past epoch from what the store holds: for `replay`, `explain`, and whoever doubts.

Nothing that the node computed at the time is used but the table of scores before the epoch, which is
itself checked against its anchored root. So equal headers mean: this evidence gives these roots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stkrp2p.core.anchor import ClosedEpoch, Header, by_member, close_epoch, members_in
from stkrp2p.core.batch import Batch, EpochView, check_batch
from stkrp2p.core.beacon import verified
from stkrp2p.core.merkle import Tree
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import roster_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId, ProtocolError, Round
from stkrp2p.ports import History
from stkrp2p.services.ledger import MissingBatches, included_batches
from stkrp2p.services.views import build_view


class NotReplayable(Exception):
    """The store lacks something that the epoch needs; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A past epoch, computed anew."""

    view: EpochView
    included: Mapping[NodeId, Batch]
    before: Mapping[tuple[NodeId, int], Score]
    """Scores after the epoch before."""

    closed: ClosedEpoch
    anchored: Header
    """What the store holds as anchored."""


async def replay(genesis: Genesis, store: History, epoch: Epoch) -> Replay:
    """Compute an anchored epoch anew: rounds, roster, batches and signatures are all checked.

    Raises:
        NotReplayable: Something is missing, pruned, or does not verify.
    """
    stored = await store.epoch(epoch)
    if stored is None or stored.proposal is None or not stored.is_anchored:
        raise NotReplayable(f"epoch {epoch} is not anchored, or this node has not folded it yet")
    view = await _view(genesis, store, epoch)
    held: dict[NodeId, list[Batch]] = {}
    for batch in await store.batches(epoch):
        if batch.body.seed == view.seed:
            held.setdefault(batch.auditor, []).append(batch)
    try:
        included = included_batches(stored.proposal, view, held)
        for batch in included.values():
            check_batch(batch, view)
        tainted = frozenset(members_in(view, stored.proposal.tainted))
    except (MissingBatches, ProtocolError) as error:
        raise NotReplayable(f"epoch {epoch}: {error}") from error
    before = await _scores_before(store, epoch)
    return Replay(
        view=view,
        included=included,
        before=before,
        closed=close_epoch(view, included, tainted, before),
        anchored=stored.header,
    )


async def _view(genesis: Genesis, store: History, epoch: Epoch) -> EpochView:
    numbers = genesis.clock.rounds(epoch)
    try:
        rounds = {
            r.number: verified(genesis.beacon, r.number, r.signature)
            for r in await store.rounds(Round(numbers[0]), Round(numbers[-1]))
        }
    except ProtocolError as error:
        raise NotReplayable(f"a stored beacon round does not verify: {error}") from error
    snapshot = await store.registry()
    if snapshot is None:
        raise NotReplayable("the registry was never read: is the RPC endpoint configured?")
    roster = roster_of(genesis.network_id, epoch, snapshot.registrations)
    view = build_view(genesis, roster, rounds, epoch)
    if view is None:
        raise NotReplayable(f"beacon rounds of epoch {epoch} are missing or pruned")
    return view


async def _scores_before(store: History, epoch: Epoch) -> Mapping[tuple[NodeId, int], Score]:
    if epoch == 0:
        return {}
    before = Epoch(epoch - 1)
    stored, scores = await store.epoch(before), await store.scores(before)
    if stored is None or Tree(s.leaf() for s in scores).root != stored.header.score_root:
        raise NotReplayable(f"the score table of epoch {before} is missing or not the anchored one")
    return by_member(scores)
