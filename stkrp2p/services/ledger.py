"""What a node knows: beacon rounds, rosters, evidence and roots, and how they follow each other.

One `Ledger` a node, used by all of its services from one trio thread. It asks the core what follows
from what, keeps the open epochs in memory and writes through to the store; it opens no connection
and starts no task. Epochs are folded strictly in order, each over exactly the batches that its
anchored proposal names, so a node's scores never drift from the anchored ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import structlog

from stkrp2p.core.anchor import (
    ClosedEpoch,
    Header,
    Proposal,
    SealedAnchor,
    by_member,
    check_proposal,
    close_epoch,
    differences,
    members_in,
)
from stkrp2p.core.assignment import Assignment, seed_of
from stkrp2p.core.batch import Batch, EpochView, drawn_rounds
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.crypto import sha256
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.merkle import Tree
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import Roster, roster_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, NodeId, ProtocolError, Round, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import RegistrySnapshot, Store, StoredEpoch

log = structlog.get_logger()

ROSTER_LAG_EPOCHS = 2
"""Epochs between the moment a roster is frozen and the epoch it is for."""

EPOCHS_KEPT_MAX = 8
"""Epochs held in memory; older ones are read from the store when asked for."""

AMBIGUOUS_MAX = 8
"""Included auditors of one epoch that may hold two batches; beyond this we wait for the ids."""


class AnchorMismatch(Exception):
    """Our roots of an epoch differ from the anchored ones: somebody computes something else."""

    def __init__(self, epoch: Epoch, fields: tuple[str, ...]) -> None:
        super().__init__(f"epoch {epoch}: our {', '.join(fields)} differ from the anchored ones")
        self.epoch = epoch
        self.fields = fields


class MissingBatches(Exception):
    """A proposal names batches we do not hold yet."""

    def __init__(self, epoch: Epoch, auditors: tuple[NodeId, ...]) -> None:
        super().__init__(f"epoch {epoch}: {len(auditors)} included batches are missing")
        self.epoch = epoch
        self.auditors = auditors


def build_view(
    genesis: Genesis, roster: Roster, rounds: Mapping[Round, BeaconRound], epoch: Epoch
) -> EpochView | None:
    """Return an epoch's view, or `None` as long as one of its rounds is unknown."""
    numbers = [Round(r) for r in genesis.clock.rounds(epoch)]
    if any(r not in rounds for r in numbers):
        return None
    randomness = {r: rounds[r].randomness for r in numbers}
    seed = seed_of(genesis.network_id, epoch, randomness[numbers[0]], roster.root)
    drawn = drawn_rounds((m.node for m in roster.full), randomness, genesis.params)
    return EpochView(
        network=genesis.network_id,
        epoch=epoch,
        seed=seed,
        roster=roster,
        params=genesis.params,
        drawn=drawn,
    )


def included_batches(
    proposal: Proposal, view: EpochView, held: Mapping[NodeId, Sequence[Batch]]
) -> dict[NodeId, Batch]:
    """Return the batches a proposal names, out of those we hold.

    An auditor of whom we hold two (we know of an equivocation the proposer did not) is resolved by
    the proposal's digest of ids.

    Raises:
        MissingBatches: Some are not held, or none of the choices gives the digest.
        ProtocolError: The proposal does not fit the epoch.
    """
    nodes = members_in(view, proposal.included)
    missing = tuple(n for n in nodes if not held.get(n))
    if missing:
        raise MissingBatches(view.epoch, missing)
    choices = [held[n] for n in nodes]
    twice = tuple(n for n in nodes if len(held[n]) > 1)
    if len(twice) > AMBIGUOUS_MAX:
        raise MissingBatches(view.epoch, twice)
    for choice in itertools.product(*choices):
        if sha256(*(b.id for b in choice)) == proposal.ids_digest:
            included = dict(zip(nodes, choice, strict=True))
            check_proposal(proposal, view, included)
            return included
    raise MissingBatches(view.epoch, twice or nodes)


class Ledger:
    """The node's knowledge. Methods that write say so by being `async`."""

    def __init__(self, genesis: Genesis, store: Store, *, retain_epochs: int) -> None:
        """Start empty; `load` brings back what the store holds."""
        self.genesis = genesis
        self.clock = genesis.clock
        self.params = genesis.params
        self.network_id = genesis.network_id
        self.last_folded: Epoch = Epoch(-1)
        self.anchored: dict[Epoch, Header] = {}
        """Headers on chain that we have not folded yet, and the last few that we have."""

        self.proposals: dict[Epoch, SealedAnchor] = {}
        self.alarm = ""
        """Set when our roots differ from the anchored ones; for people."""

        self.snapshot = RegistrySnapshot(registrations=(), block=-1, block_ms=UnixMs(0))
        self.views: dict[Epoch, EpochView] = {}
        self._store = store
        self._retain_epochs = retain_epochs
        self._rounds: dict[Round, BeaconRound] = {}
        self._rosters: dict[Epoch, Roster] = {}
        self._assignments: dict[Epoch, Assignment] = {}
        self._evidence: dict[Epoch, Evidence] = {}
        self._scores: tuple[Score, ...] = ()

    async def load(self, last_due: Round) -> None:
        """Read back what a restart needs: registry, folded scores, rounds and batches."""
        self.snapshot = await self._store.registry() or self.snapshot
        folded = await self._store.last_anchored()
        if folded is not None:
            self.last_folded = folded
            self._scores = await self._store.scores(folded)
        current = self.clock.epoch_of(last_due)
        for epoch in self._open_epochs(current):
            rounds = self.clock.rounds(epoch)
            for one in await self._store.rounds(Round(rounds[0]), Round(rounds[-1])):
                self._rounds[one.number] = one
            self._evidence[epoch] = Evidence(await self._store.batches(epoch))

    def _open_epochs(self, current: Epoch) -> list[Epoch]:
        return [Epoch(e) for e in range(max(0, current - EPOCHS_KEPT_MAX + 1), current + 1)]

    # ------------------------------------------------------------------ rounds

    def round(self, number: Round) -> BeaconRound | None:
        """Return a verified round held in memory."""
        return self._rounds.get(number)

    def missing_rounds(self, epoch: Epoch, up_to: Round) -> list[Round]:
        """Return the epoch's rounds due by `up_to` that are not held."""
        numbers = self.clock.rounds(epoch)
        return [Round(r) for r in numbers if r <= up_to and r not in self._rounds]

    async def add_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        """Keep verified rounds, in the store first."""
        await self._store.put_rounds(rounds)
        for one in rounds:
            self._rounds[one.number] = one

    async def rounds_from(self, first: Round, count: int) -> list[BeaconRound]:
        """Return up to `count` consecutive rounds from `first` on, from memory or the store."""
        last = Round(first + count - 1)
        held = {r.number: r for r in await self._store.rounds(first, last)}
        run = itertools.takewhile(lambda n: n in held, range(first, last + 1))
        return [held[Round(n)] for n in run]

    # ------------------------------------------------------------------ rosters and views

    async def set_registry(self, snapshot: RegistrySnapshot) -> None:
        """Take over a newer registry; rosters that were provisional are computed anew."""
        known = self.snapshot
        if snapshot.block <= known.block:
            return
        if snapshot.registrations != known.registrations:
            await self._store.put_registry(snapshot)
        provisional = [e for e in self._rosters if not self.is_roster_final(e)]
        self.snapshot = snapshot
        for epoch in provisional:
            fresh = roster_of(self.network_id, epoch, snapshot.registrations)
            if fresh.root != self._rosters[epoch].root:
                log.warning("roster changed", epoch=epoch)
                self._rosters[epoch] = fresh
                self._assignments.pop(epoch, None)
                self.views.pop(epoch, None)

    def is_roster_final(self, epoch: Epoch) -> bool:
        """Tell whether the registry we know was read after the epoch's roster was frozen."""
        frozen = Epoch(max(0, epoch - ROSTER_LAG_EPOCHS))
        return self.snapshot.block_ms >= self.genesis.start_ms(frozen)

    def roster(self, epoch: Epoch) -> Roster:
        """Return an epoch's roster, provisional if the registry was not read since it froze."""
        known = self._rosters.get(epoch)
        if known is None:
            known = roster_of(self.network_id, epoch, self.snapshot.registrations)
            before = self._rosters.get(Epoch(epoch - 1))
            if before is not None and before.members == known.members:
                known = before
            self._rosters[epoch] = known
        return known

    def assignment(self, epoch: Epoch) -> Assignment | None:
        """Return who audits whom, once the epoch's first round is known."""
        known = self._assignments.get(epoch)
        first = self._rounds.get(self.clock.first(epoch))
        if known is None and first is not None:
            roster = self.roster(epoch)
            seed = seed_of(self.network_id, epoch, first.randomness, roster.root)
            known = self._assignments[epoch] = Assignment(seed, roster, self.params)
        return known

    def view(self, epoch: Epoch) -> EpochView | None:
        """Return the epoch's view, once all of its rounds are known."""
        known = self.views.get(epoch)
        if known is None and epoch >= 0:
            known = build_view(self.genesis, self.roster(epoch), self._rounds, epoch)
            if known is not None:
                self.views[epoch] = known
        return known

    # ------------------------------------------------------------------ evidence

    def evidence(self, epoch: Epoch) -> Evidence:
        """Return the epoch's evidence as it is now; it grows in place."""
        return self._evidence.setdefault(epoch, Evidence())

    def known_ids(self, epoch: Epoch) -> frozenset[Digest]:
        """Return the ids of the batches held of an epoch."""
        return frozenset(b.id for b in self.evidence(epoch))

    async def store_batches(self, epoch: Epoch, batches: Sequence[Batch]) -> None:
        """Write accepted batches through to the store."""
        await self._store.put_batches(epoch, batches)

    # ------------------------------------------------------------------ folding

    @property
    def scores(self) -> tuple[Score, ...]:
        """The score table after the last folded epoch, in its roster's order."""
        return self._scores

    def propose(self, included: Mapping[NodeId, Batch], epoch: Epoch) -> ClosedEpoch:
        """Close the next epoch over these batches, changing nothing.

        Raises:
            ValueError: It is not the next epoch, or not yet complete.
        """
        view = self.view(epoch)
        if view is None or epoch != self.last_folded + 1:
            raise ValueError(f"epoch {epoch} cannot be closed after {self.last_folded}")
        tainted = self.evidence(epoch).equivocators()
        return close_epoch(view, included, tainted, by_member(self._scores))

    async def fold(self, sealed: SealedAnchor, anchored: Header) -> ClosedEpoch:
        """Fold the next epoch exactly as it was anchored.

        Args:
            sealed: The proposal behind the anchor.
            anchored: The header the chain holds.

        Raises:
            MissingBatches: Batches the proposal names are not held yet.
            AnchorMismatch: Our roots differ; nothing is folded.
            ProtocolError: The proposal is not the anchored one, or does not fit the epoch.
            ValueError: It is not the next epoch, or not yet complete.
        """
        epoch = Epoch(anchored.epoch)
        view = self.view(epoch)
        if view is None or epoch != self.last_folded + 1:
            raise ValueError(f"epoch {epoch} cannot be folded after {self.last_folded}")
        if sha256(encode(sealed.proposal)) != anchored.proposal_hash:
            raise ProtocolError("other-proposal")
        held = await self._held(epoch, view)
        included = included_batches(sealed.proposal, view, held)
        tainted = frozenset(members_in(view, sealed.proposal.tainted))
        closed = close_epoch(view, included, tainted, by_member(self._scores))
        wrong = differences(closed.header, anchored)
        if wrong:
            self.alarm = str(AnchorMismatch(epoch, wrong))
            raise AnchorMismatch(epoch, wrong)
        await self._keep(sealed, closed.scores)
        return closed

    async def _held(self, epoch: Epoch, view: EpochView) -> dict[NodeId, list[Batch]]:
        held: dict[NodeId, list[Batch]] = {}
        stored = await self._store.batches(epoch)
        for batch in sorted({b.id: b for b in (*stored, *self.evidence(epoch))}.values()):
            if batch.body.seed == view.seed:
                held.setdefault(batch.auditor, []).append(batch)
        return held

    async def take_table(self, sealed: SealedAnchor, scores: Sequence[Score]) -> None:
        """Start from an anchored score table instead of folding all epochs before it.

        Raises:
            ProtocolError: `other-scores`: the table does not hash to the anchored root.
        """
        if Tree(s.leaf() for s in scores).root != sealed.header.score_root:
            raise ProtocolError("other-scores")
        await self._keep(sealed, scores)

    async def follow(self, sealed: SealedAnchor, scores: Sequence[Score] = ()) -> None:
        """Take an anchored epoch's roots over without its table, as a light node does."""
        await self._keep(sealed, scores)

    async def _keep(self, sealed: SealedAnchor, scores: Sequence[Score]) -> None:
        epoch = Epoch(sealed.header.epoch)
        stored = StoredEpoch(
            header=sealed.header,
            proposal=sealed.proposal,
            signature=sealed.signature,
            is_anchored=True,
        )
        await self._store.put_epoch(stored, scores)
        self._scores = tuple(scores)
        self.last_folded = epoch
        self.proposals[epoch] = sealed

    async def sealed(self, epoch: Epoch) -> SealedAnchor | None:
        """Return an epoch's proposal with the council's signature, if we have it."""
        known = self.proposals.get(epoch)
        if known is not None:
            return known
        stored = await self._store.epoch(epoch)
        if stored is None or stored.proposal is None or stored.signature is None:
            return None
        return SealedAnchor(
            header=stored.header, proposal=stored.proposal, signature=stored.signature
        )

    # ------------------------------------------------------------------ forgetting

    async def forget(self, current: Epoch) -> None:
        """Drop what is too old: from memory, and from the store what is beyond retention."""
        oldest = min(current - EPOCHS_KEPT_MAX + 1, self.last_folded)
        maps: Iterable[dict[Epoch, object]] = (
            self.views,  # type: ignore[assignment]  # only keys are looked at
            self._rosters,
            self._assignments,
            self._evidence,
            self.anchored,
            self.proposals,
        )
        for one in maps:
            for epoch in [e for e in one if e < oldest]:
                del one[epoch]
        first = self.clock.first(Epoch(max(0, oldest)))
        for number in [r for r in self._rounds if r < first]:
            del self._rounds[number]
        keep_from = Epoch(current - self._retain_epochs + 1)
        if keep_from > 0:
            await self._store.prune(keep_from, self.clock.first(keep_from))
