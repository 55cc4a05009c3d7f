"""Recompute a past epoch from what the store holds: for `replay`, `explain`, and whoever doubts.

Nothing that the node computed at the time is used but the table of scores before the epoch, which is
itself checked against its anchored root. So equal headers mean: this evidence gives these roots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stkrp2p.core.anchor import (
    ClosedEpoch,
    by_member,
    close_epoch,
    is_sealed_by_council,
    members_in,
)
from stkrp2p.core.batch import Batch, EpochView, check_batch
from stkrp2p.core.beacon import Beacon, BeaconRound, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.merkle import Tree
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import roster_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import encode
from stkrp2p.ports import History, StoredEpoch
from stkrp2p.services.ledger import MissingBatches, included_batches
from stkrp2p.services.views import build_view, mixed_round_of


class NotReplayable(Exception):
    """The store lacks something that the epoch needs, or holds something false; `why` says what."""

    def __init__(self, epoch: Epoch, why: str) -> None:
        super().__init__(f"epoch {epoch}: {why}")
        self.epoch = epoch
        self.why = why


class NotAnchored(NotReplayable):
    """Nothing is stored of the epoch's anchor."""

    def __init__(self, epoch: Epoch) -> None:
        super().__init__(epoch, "it is not anchored, or this node has not folded it yet")


class NoRegistry(NotReplayable):
    """The node has never read the registry."""

    def __init__(self, epoch: Epoch) -> None:
        super().__init__(epoch, "the registry was never read")


@dataclass(frozen=True, slots=True, kw_only=True)
class PastEpoch:
    """An anchored epoch's evidence, checked."""

    view: EpochView
    included: Mapping[NodeId, Batch]
    tainted: frozenset[NodeId]
    stored: StoredEpoch

    @property
    def epoch(self) -> Epoch:
        """Which epoch."""
        return self.view.epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A past epoch as it follows from its evidence, beside what is stored of its anchor."""

    past: PastEpoch
    closed: ClosedEpoch
    is_signed: bool
    """Whether the stored header carries the council's true signature."""


async def open_past(genesis: Genesis, store: History, epoch: Epoch) -> PastEpoch:
    """Read and check an anchored epoch's evidence: rounds, roster, batches and signatures.

    Raises:
        NotReplayable: Something is missing, pruned, or does not verify.
    """
    stored = await store.epoch(epoch)
    if stored is None:
        raise NotAnchored(epoch)
    return await open_stored(genesis, store, stored)


async def open_stored(genesis: Genesis, store: History, stored: StoredEpoch) -> PastEpoch:
    """Read and check the evidence of an anchored epoch whose roots were read before.

    Raises:
        NotReplayable: Something is missing, pruned, or does not verify.
    """
    epoch = Epoch(stored.header.epoch)
    if stored.proposal is None:
        why = "its proposal, which names the included batches, is not stored"
        raise NotReplayable(epoch, why)
    view = await _view(genesis, store, epoch)
    try:
        included = await _included(store, view, stored)
        tainted = frozenset(members_in(view, stored.proposal.tainted))
    except ProtocolError as error:
        raise NotReplayable(epoch, f"what is stored is not valid: {error}") from error
    return PastEpoch(view=view, included=included, tainted=tainted, stored=stored)


async def replay(genesis: Genesis, store: History, epoch: Epoch) -> Replay:
    """Compute an anchored epoch anew.

    Raises:
        NotReplayable: As `open_past`, or the score table before it is not stored as anchored.
    """
    past = await open_past(genesis, store, epoch)
    before = await _scores_before(store, epoch)
    closed = close_epoch(past.view, past.included, past.tainted, before)
    return Replay(past=past, closed=closed, is_signed=is_signed(genesis, past.stored))


def is_signed(genesis: Genesis, stored: StoredEpoch) -> bool:
    """Tell whether a stored header carries the council's true signature."""
    sealed = stored.sealed()
    return sealed is not None and is_sealed_by_council(genesis, sealed)


async def _view(genesis: Genesis, store: History, epoch: Epoch) -> EpochView:
    numbers = genesis.clock.rounds(epoch)
    held = await store.rounds(Round(numbers[0]), Round(numbers[-1]))
    mixed = await mixed_round_of(genesis, store, epoch)
    try:
        rounds = {r.number: _verified(genesis.beacon, r) for r in held}
        if genesis.mixed is not None and mixed is not None:
            _verified(genesis.mixed, mixed)
    except ProtocolError as error:
        raise NotReplayable(epoch, f"a stored beacon round is false: {error}") from error
    registry = await store.registry()
    if registry is None:
        raise NoRegistry(epoch)
    roster = roster_of(genesis.network_id, epoch, registry.registrations)
    if genesis.mixed is not None and mixed is None:
        number = genesis.mixed_round(epoch)
        raise NotReplayable(epoch, f"round {number} of the second beacon is not stored")
    view = build_view(genesis, roster, rounds, epoch, mixed)
    if view is None:
        raise NotReplayable(
            epoch,
            f"{len(numbers) - len(rounds)} of its {len(numbers)} beacon rounds are not stored; full "
            f"nodes keep {genesis.params.retain_epochs} epochs, light ones two",
        )
    return view


def _verified(beacon: Beacon, one: BeaconRound) -> BeaconRound:
    return verified(beacon, one.number, one.signature)


async def _included(store: History, view: EpochView, stored: StoredEpoch) -> dict[NodeId, Batch]:
    """Return the batches the anchored proposal names, each checked.

    Raises:
        ProtocolError: The proposal is not the anchored one, or a batch is not valid.
        NotReplayable: Batches are missing.
    """
    if stored.proposal is None or sha256(encode(stored.proposal)) != stored.header.proposal_hash:
        raise ProtocolError("other-proposal")
    batches = await store.batches(view.epoch)
    try:
        included = included_batches(stored.proposal, view, batches)
    except MissingBatches as error:
        why = f"{len(error.auditors)} of its included batches are not stored"
        raise NotReplayable(view.epoch, why) from error
    for batch in included.values():
        check_batch(batch, view)
    return included


async def _scores_before(store: History, epoch: Epoch) -> Mapping[tuple[NodeId, int], Score]:
    if epoch == 0:
        return {}
    before = Epoch(epoch - 1)
    stored, scores = await store.epoch(before), await store.scores(before)
    if not scores:
        raise NotReplayable(
            epoch,
            f"the score table of epoch {before} is not stored: a light node keeps none, and a "
            "newcomer starts at a later one",
        )
    if stored is None or Tree(s.leaf() for s in scores).root != stored.header.score_root:
        raise NotReplayable(epoch, f"the score table of epoch {before} is not the anchored one")
    return by_member(scores)
