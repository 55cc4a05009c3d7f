"""Computing an epoch anew from what a node has stored.

Nothing here believes the stored score table of the epoch itself: rounds are verified against the
beacon's key, batches are checked and folded, and what follows is compared with what was anchored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.core.anchor import (
    ClosedEpoch,
    SealedAnchor,
    by_member,
    close_epoch,
    is_sealed_by_council,
    members_in,
)
from stkrp2p.core.batch import Batch, EpochView, check_batch
from stkrp2p.core.beacon import BeaconRound, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import roster_of
from stkrp2p.core.types import Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import encode
from stkrp2p.ports import RegistrySnapshot, StoredEpoch
from stkrp2p.services.ledger import MissingBatches, included_batches
from stkrp2p.services.views import build_view


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
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
class Replayed:
    """An epoch as it follows from its evidence, beside what is stored of its anchor."""

    opened: Opened
    closed: ClosedEpoch
    is_signed: bool
    """Whether the stored header carries the council's true signature."""


class Unreplayable(Failure):
    """The store lacks something the epoch needs."""

    def __init__(self, epoch: Epoch, why: str, hint: str = "") -> None:
        super().__init__(f"epoch {epoch} cannot be computed anew", why=why, hint=hint)


async def stored_epoch(store: StoreReader, epoch: Epoch) -> StoredEpoch:
    """Return what is stored of an epoch's anchor.

    Raises:
        Failure: Nothing is.
    """
    found = await store.epoch(epoch)
    if found is not None:
        return found
    last = await store.last_anchored()
    raise Failure(
        f"no anchor of epoch {epoch} is stored",
        why="no epoch is anchored yet" if last is None else f"the last one stored is {last}",
        hint="stkrp2p status",
        code=Exit.FAILED,
    )


async def stored_registry(store: StoreReader) -> RegistrySnapshot:
    """Return the registry as the node last read it.

    Raises:
        Failure: It never did.
    """
    snapshot = await store.registry()
    if snapshot is None:
        raise Failure(
            "the registry was never read",
            why="the node has not reached an Ethereum endpoint yet",
            hint="stkrp2p doctor",
            code=Exit.NOT_RUNNING,
        )
    return snapshot


async def open_epoch(genesis: Genesis, store: StoreReader, epoch: Epoch) -> Opened:
    """Read and check an anchored epoch's evidence.

    Raises:
        Failure: The epoch is not anchored, or its evidence is not (or no longer) stored, or what is
            stored does not pass the protocol's checks.
    """
    stored = await stored_epoch(store, epoch)
    if stored.proposal is None:
        raise Unreplayable(epoch, "its proposal, which names the included batches, is not stored")
    view = await _view(genesis, store, epoch)
    try:
        included = await _included(store, view, stored)
        tainted = frozenset(members_in(view, stored.proposal.tainted))
    except ProtocolError as error:
        raise Unreplayable(epoch, f"what is stored is not valid: {error}") from error
    return Opened(view=view, included=included, tainted=tainted, stored=stored)


async def replay_epoch(genesis: Genesis, store: StoreReader, epoch: Epoch) -> Replayed:
    """Compute an anchored epoch anew.

    Raises:
        Failure: As `open_epoch`, or the score table before it is not stored.
    """
    opened = await open_epoch(genesis, store, epoch)
    before = () if epoch == 0 else await store.scores(Epoch(epoch - 1))
    if epoch > 0 and not before:
        raise Unreplayable(
            epoch,
            f"the score table of epoch {epoch - 1} is not stored: a light node keeps none, and a "
            "newcomer starts at a later one",
        )
    closed = close_epoch(opened.view, opened.included, opened.tainted, by_member(before))
    return Replayed(opened=opened, closed=closed, is_signed=is_signed(genesis, opened.stored))


async def _view(genesis: Genesis, store: StoreReader, epoch: Epoch) -> EpochView:
    numbers = genesis.clock.rounds(epoch)
    held = await store.rounds(Round(numbers[0]), Round(numbers[-1]))
    try:
        rounds = {r.number: _verified(genesis, r) for r in held}
    except ProtocolError as error:
        raise Unreplayable(epoch, f"a stored beacon round is false: {error}") from error
    registry = await stored_registry(store)
    roster = roster_of(genesis.network_id, epoch, registry.registrations)
    view = build_view(genesis, roster, rounds, epoch)
    if view is None:
        kept = genesis.params.retain_epochs
        raise Unreplayable(
            epoch,
            f"{len(numbers) - len(rounds)} of its {len(numbers)} beacon rounds are not stored; full "
            f"nodes keep {kept} epochs, light ones two",
        )
    return view


def _verified(genesis: Genesis, one: BeaconRound) -> BeaconRound:
    return verified(genesis.beacon, one.number, one.signature)


async def _included(
    store: StoreReader, view: EpochView, stored: StoredEpoch
) -> dict[NodeId, Batch]:
    """Return the batches the anchored proposal names, each checked.

    Raises:
        ProtocolError: The proposal is not the anchored one, or a batch is not valid.
        Unreplayable: Batches are missing.
    """
    if stored.proposal is None or sha256(encode(stored.proposal)) != stored.header.proposal_hash:
        raise ProtocolError("other-proposal")
    held: dict[NodeId, list[Batch]] = {}
    for batch in await store.batches(view.epoch):
        if batch.body.seed == view.seed:
            held.setdefault(batch.auditor, []).append(batch)
    try:
        included = included_batches(stored.proposal, view, held)
    except MissingBatches as error:
        why = f"{len(error.auditors)} of its included batches are not stored"
        raise Unreplayable(view.epoch, why, "stkrp2p run") from error
    for batch in included.values():
        check_batch(batch, view)
    return included


def is_signed(genesis: Genesis, stored: StoredEpoch) -> bool:
    """Tell whether a stored header carries the council's true signature."""
    if stored.proposal is None or stored.signature is None:
        return False
    sealed = SealedAnchor(
        header=stored.header, proposal=stored.proposal, signature=stored.signature
    )
    return is_sealed_by_council(genesis, sealed)
