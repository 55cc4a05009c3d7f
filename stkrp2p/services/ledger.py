"""What a node knows: beacon rounds, rosters, evidence and roots, and how they follow each other.

One `Ledger` a node, used by all of its services from one trio thread. It asks the core what follows
from what, keeps the open epochs in memory and writes through to the store; it opens no connection
and starts no task. Epochs are folded strictly in order, each over exactly the batches that its
anchored proposal names, so a node's scores never drift from the anchored ones.

Open are the newest epochs and the next ones to fold. What lies between them, while the chain is down
for days, waits in the store; so memory does not grow. A disk that takes no more stops signing and
folding, and nothing else: rounds and batches are then kept in memory alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from math import prod

import structlog
import trio

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
from stkrp2p.core.assignment import Assignment
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.crypto import sha256
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.merkle import Tree
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import encode
from stkrp2p.ports import AnchorRecord, NoSpace, RegistrySnapshot, Store, StoredEpoch
from stkrp2p.services.held import HeldRounds
from stkrp2p.services.offload import offload
from stkrp2p.services.rosters import ROSTER_LAG_EPOCHS, Rosters
from stkrp2p.services.views import Draws, epoch_seed

log = structlog.get_logger()

EPOCHS_KEPT_MAX = 8
"""Newest epochs held in memory; the store has the older ones."""

CATCH_UP_EPOCHS = 2
"""Epochs held in memory beside the newest: the next ones to fold."""

UNFOLDED_EPOCHS_MAX = 1024
"""Epochs without an anchor whose evidence the store keeps, whatever its retention. Beyond it the
oldest are forgotten, and can only be taken over as anchored."""

REORG_EPOCHS_MAX = 32
"""Folded epochs whose anchors are looked at again until the chain calls them final."""

CHOICES_MAX = 1024
"""Combinations of equivocators' batches tried against a proposal's digest."""


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


def included_batches(
    proposal: Proposal, view: EpochView, batches: Iterable[Batch]
) -> dict[NodeId, Batch]:
    """Return the batches a proposal names, out of those we hold; those of another seed do not count.

    An auditor of whom we hold several (we know of an equivocation the proposer did not) is resolved
    by the proposal's digest of ids.

    Raises:
        MissingBatches: Some are not held, or none of `CHOICES_MAX` choices gives the digest.
        ProtocolError: The proposal does not fit the epoch.
    """
    held: dict[NodeId, list[Batch]] = {}
    for batch in batches:
        if batch.body.seed == view.seed:
            held.setdefault(batch.auditor, []).append(batch)
    nodes = members_in(view, proposal.included)
    missing = tuple(n for n in nodes if not held.get(n))
    if missing:
        raise MissingBatches(view.epoch, missing)
    choices = [held[n] for n in nodes]
    twice = tuple(n for n in nodes if len(held[n]) > 1)
    if prod(map(len, choices)) > CHOICES_MAX:
        raise MissingBatches(view.epoch, twice)
    for choice in itertools.product(*choices):
        if sha256(*(b.id for b in choice)) == proposal.ids_digest:
            included = dict(zip(nodes, choice, strict=True))
            check_proposal(proposal, view, included)
            return included
    raise MissingBatches(view.epoch, twice or nodes)


class Ledger:
    """The node's knowledge. Methods that read the store or write to it are `async`.

    Attributes:
        last_folded: The last epoch whose scores are ours; -1 before the first.
        anchored: Headers on chain that we have not folded yet, and the last few that we have.
        proposals: What the council sealed, of the last few epochs.
        views: The epochs known completely.
        alarm: Set when our roots differ from the anchored ones; for people.
        store_fault: Why the disk takes nothing, empty while it does; for people.
        audited: The round being audited, `None` between two.
        rounds: The rounds held of the beacon that epochs go by.
        mixed: Those held of the second beacon, `None` without one.
        rosters: Who takes part in which epoch.
        is_chain_seen: Whether the chain told its anchors since we started.
        taken_back: Folded epochs whose anchors are not on chain (any more): to be sent again.
        own_proof: Siblings from our score to the last anchored root, for a light node.
    """

    def __init__(
        self, genesis: Genesis, store: Store, *, retain_epochs: int, is_light: bool = False
    ) -> None:
        """Start empty; `load` brings back what the store holds."""
        self.genesis = genesis
        self.clock = genesis.clock
        self.params = genesis.params
        self.network_id = genesis.network_id
        self.last_folded = Epoch(-1)
        self.anchored: dict[Epoch, Header] = {}
        self.proposals: dict[Epoch, SealedAnchor] = {}
        self.views: dict[Epoch, EpochView] = {}
        self.alarm = ""
        self.store_fault = ""
        self.audited: Round | None = None
        self.own_proof: tuple[bytes, ...] = ()
        self.rounds = HeldRounds(genesis.beacon)
        self.mixed = HeldRounds(genesis.mixed, is_mixed=True) if genesis.mixed else None
        self.rosters = Rosters(genesis)
        self.is_chain_seen = False
        self.taken_back: tuple[Epoch, ...] = ()
        self._store = store
        self._is_light = is_light
        self._retain_epochs = retain_epochs
        self._kept_epochs = min(EPOCHS_KEPT_MAX, max(2, retain_epochs))
        self._draws: dict[Epoch, Draws] = {}
        self._assignments: dict[Epoch, Assignment] = {}
        self._evidence: dict[Epoch, Evidence] = {}
        self._opened: set[Epoch] = set()
        self._opening = trio.Lock()
        self._unwritten: set[Epoch] = set()
        self._folded: dict[Epoch, Header] = {}
        self._final = Epoch(-1)
        self._signed = Epoch(-1)
        self._pruned = Epoch(0)
        self._scores: tuple[Score, ...] = ()

    async def load(self, last_due: Round) -> None:
        """Read back what a restart needs: registry, folded scores, rounds and batches."""
        self.rosters.load(await self._store.registry() or self.snapshot)
        folded = await self._store.last_anchored()
        if folded is not None:
            self.last_folded = folded
            self._scores = await self._store.scores(folded)
            await self._load_headers(folded)
        current = self.clock.epoch_of(last_due)
        await self.rosters.prepare(current)
        for epoch in self.open_epochs(current):
            await self.open(epoch)
            if await self._store.own_batch(epoch) is not None:
                self.stop_recording(epoch)

    async def _load_headers(self, folded: Epoch) -> None:
        for number in range(max(0, folded - REORG_EPOCHS_MAX + 1), folded + 1):
            stored = await self._store.epoch(Epoch(number))
            if stored is not None and stored.is_anchored:
                self._folded[Epoch(number)] = stored.header

    # ------------------------------------------------------------------ open epochs

    def open_epochs(self, current: Epoch) -> list[Epoch]:
        """Return the epochs held in memory, oldest first: the newest, and the next ones to fold."""
        newest = range(max(0, current - self._kept_epochs + 1), current + 1)
        first = self.last_folded + 1
        next_ones = range(first, min(first + CATCH_UP_EPOCHS, current + 1))
        return [Epoch(e) for e in sorted({*newest, *next_ones})]

    async def open(self, epoch: Epoch) -> EpochView | None:
        """Read what the store holds of an epoch, once; return its view if it is complete."""
        async with self._opening:
            if epoch not in self._opened:
                for held in self.all_held():
                    numbers = self.numbers(epoch, held)
                    for one in await self._read_rounds(held, numbers):
                        held.hold(one, is_stored=True)
                for batch in await self._store.batches(epoch):
                    self.evidence(epoch).add(batch)
                self._drop_foreign(epoch)
                self._opened.add(epoch)
        return await self.complete(epoch)

    def _drop_foreign(self, epoch: Epoch) -> None:
        """Keep only evidence of this epoch's seed: a roster that changed has made another one."""
        view, evidence = self.views.get(epoch), self.evidence(epoch)
        if view is not None and any(b.body.seed != view.seed for b in evidence):
            self._evidence[epoch] = Evidence(b for b in evidence if b.body.seed == view.seed)

    @contextmanager
    def _without_disk(self, epoch: Epoch | None = None) -> Iterator[None]:
        """Go on in memory when the disk takes no more; `epoch` is written again when it is folded."""
        try:
            yield
        except NoSpace as error:
            self.note_full_disk(error)
            if epoch is not None:
                self._unwritten.add(epoch)
        else:
            self.store_fault = ""

    def note_full_disk(self, error: NoSpace) -> None:
        """Show in `status` that the disk takes no more; the next write that works clears it."""
        if not self.store_fault:
            log.error("disk takes no more", error=str(error))
        self.store_fault = str(error)

    # ------------------------------------------------------------------ rounds

    def all_held(self) -> tuple[HeldRounds, ...]:
        """Return the rounds held of each of the network's beacons."""
        return (self.rounds,) if self.mixed is None else (self.rounds, self.mixed)

    def numbers(self, epoch: Epoch, held: HeldRounds | None = None) -> range:
        """Return the numbers of an epoch's rounds: those that fall due in it, and its seed's.

        Args:
            epoch: Which one.
            held: Of which beacon; the one that epochs go by if not given.
        """
        if held is None or not held.is_mixed:
            return self.clock.rounds(epoch)
        first = self.genesis.mixed_round(epoch)
        return range(first, max(first, self.genesis.mixed_round(Epoch(epoch + 1)) - 1) + 1)

    def epoch_of(self, number: Round, held: HeldRounds) -> Epoch:
        """Return the epoch in which a round of a beacon falls due."""
        due_ms = held.beacon.due_ms(number)
        return self.clock.epoch_of(self.genesis.beacon.last_due(due_ms))

    def round(self, number: Round) -> BeaconRound | None:
        """Return a verified round held in memory."""
        return self.rounds.get(number)

    def missing_rounds(
        self, epoch: Epoch, up_to: Round, held: HeldRounds | None = None
    ) -> list[Round]:
        """Return the epoch's rounds due by `up_to` that are not held."""
        numbers = (n for n in self.numbers(epoch, held) if n <= up_to)
        return (held or self.rounds).missing(numbers)

    def needed_rounds(self, epoch: Epoch, up_to: Round, held: HeldRounds) -> list[Round]:
        """Return those of the epoch's missing rounds that its view needs: of the second beacon one."""
        missing = self.missing_rounds(epoch, up_to, held)
        if not held.is_mixed:
            return missing
        return [n for n in missing if n == self.genesis.mixed_round(epoch)]

    def hold_round(self, one: BeaconRound) -> None:
        """Use a verified round at once; `add_rounds` must follow."""
        self.rounds.hold(one)

    async def add_rounds(
        self, rounds: Sequence[BeaconRound], held: HeldRounds | None = None
    ) -> None:
        """Keep verified rounds, and complete the epochs whose last ones they are."""
        held = held or self.rounds
        for one in rounds:
            held.hold(one)
        by_epoch: dict[Epoch, list[BeaconRound]] = {}
        for one in held.take_unwritten(rounds):
            by_epoch.setdefault(self.epoch_of(one.number, held), []).append(one)
        for epoch, of_epoch in sorted(by_epoch.items()):
            with self._without_disk(epoch):
                await self._write_rounds(held, of_epoch)
        epochs = {self.epoch_of(one.number, held) for one in rounds}
        # A seed's round of the second beacon may fall due after the epoch, if its period is long.
        for epoch in sorted(epochs | self._draws.keys() if held.is_mixed else epochs):
            await self.complete(epoch)

    async def rounds_from(
        self, first: Round, count: int, held: HeldRounds | None = None
    ) -> list[BeaconRound]:
        """Return up to `count` consecutive rounds from `first` on, from memory or the store."""
        held = held or self.rounds
        numbers = range(first, first + count)
        found = {Round(n): held.by_number[Round(n)] for n in numbers if n in held.by_number}
        if len(found) < count:
            found |= {r.number: r for r in await self._read_rounds(held, numbers)}
        return [found[Round(n)] for n in itertools.takewhile(found.__contains__, numbers)]

    async def _read_rounds(self, held: HeldRounds, numbers: range) -> tuple[BeaconRound, ...]:
        read = self._store.mixed_rounds if held.is_mixed else self._store.rounds
        return await read(Round(numbers[0]), Round(numbers[-1]))

    async def _write_rounds(self, held: HeldRounds, rounds: Sequence[BeaconRound]) -> None:
        write = self._store.put_mixed_rounds if held.is_mixed else self._store.put_rounds
        await write(rounds)

    # ------------------------------------------------------------------ rosters

    @property
    def snapshot(self) -> RegistrySnapshot:
        """The registry as we last read it."""
        return self.rosters.snapshot

    async def set_registry(self, snapshot: RegistrySnapshot) -> None:
        """Take over a newer registry; what followed from rosters that change is computed anew."""
        known = self.snapshot
        if snapshot.block <= known.block:
            return
        if snapshot.registrations != known.registrations or not self.rosters.is_known:
            with self._without_disk():
                await self._store.put_registry(snapshot)
        for epoch in await self.rosters.replace(snapshot):
            self._assignments.pop(epoch, None)
            self._draws.pop(epoch, None)
            self.views.pop(epoch, None)
            await self.complete(epoch)

    def is_roster_final(self, epoch: Epoch) -> bool:
        """Tell whether the registry we know was read after the epoch's roster was frozen."""
        return self.rosters.is_final(epoch)

    def roster(self, epoch: Epoch) -> Roster:
        """Return an epoch's roster, provisional if the registry was not read since it froze."""
        return self.rosters.roster(epoch)

    # ------------------------------------------------------------------ views

    def assignment(self, epoch: Epoch) -> Assignment | None:
        """Return who audits whom, once the rounds that seed the epoch are known."""
        known = self._assignments.get(epoch)
        if known is None and self.clock.first(epoch) in self.rounds.by_number:
            roster = self.roster(epoch)
            seed = self._seed(epoch, roster)
            if seed is not None:
                known = self._assignments[epoch] = Assignment(seed, roster, self.params)
        return known

    def _seed(self, epoch: Epoch, roster: Roster) -> Digest | None:
        """Return an epoch's seed; `None` while one of its two beacons stalls."""
        first = self.rounds.get(self.clock.first(epoch))
        mixed = None if self.mixed is None else self.mixed.get(self.genesis.mixed_round(epoch))
        return epoch_seed(self.genesis, epoch, roster, first, mixed)

    def view(self, epoch: Epoch) -> EpochView | None:
        """Return the epoch's view, if it is complete and open."""
        return self.views.get(epoch)

    async def complete(self, epoch: Epoch) -> EpochView | None:
        """Draw the rounds that came; return the epoch's view once all of them have."""
        known = self.views.get(epoch)
        if known is not None or epoch < 0:
            return known
        numbers = self.numbers(epoch)
        held = [r for r in map(self.rounds.get, map(Round, numbers)) if r is not None]
        if not held:
            return None
        roster = self.roster(epoch)
        draws = self._draws.setdefault(epoch, Draws(roster))
        missing, members = draws.missing(held), len(roster)
        if missing:
            await offload(partial(draws.draw, missing, self.params), members=members)
        assignment, seed = self.assignment(epoch), self._seed(epoch, roster)
        if len(held) < len(numbers) or assignment is None or seed is None:
            return None
        work = partial(draws.view, self.genesis, epoch, seed, assignment)
        return self._take_view(epoch, await offload(work, members=members))

    def _take_view(self, epoch: Epoch, view: EpochView) -> EpochView | None:
        """Keep a view unless its roster changed, or another task was quicker, meanwhile."""
        if self.roster(epoch) is not view.roster:
            self._draws.pop(epoch, None)
            return self.views.get(epoch)
        kept = self.views.setdefault(epoch, view)
        self._draws.pop(epoch, None)
        self._drop_foreign(epoch)
        return kept

    # ------------------------------------------------------------------ evidence

    def evidence(self, epoch: Epoch) -> Evidence:
        """Return the epoch's evidence as it is now; it grows in place."""
        return self._evidence.setdefault(epoch, Evidence())

    async def store_batches(self, epoch: Epoch, batches: Sequence[Batch]) -> None:
        """Write accepted batches through to the store."""
        with self._without_disk(epoch):
            await self._store.put_batches(epoch, batches)

    def stop_recording(self, epoch: Epoch) -> None:
        """Our batch of this epoch is about to be signed: later observations would not be in it."""
        self._signed = max(self._signed, epoch)

    def is_recording(self, epoch: Epoch) -> bool:
        """Tell whether observations of an epoch may still be recorded."""
        return epoch > self._signed

    # ------------------------------------------------------------------ anchors

    @property
    def first_unsettled(self) -> Epoch:
        """The oldest epoch whose anchor may still come, or be taken back."""
        settled = max(self._final, self.last_folded - REORG_EPOCHS_MAX)
        return Epoch(min(settled, self.last_folded) + 1)

    def take_anchors(self, first: Epoch, records: Sequence[AnchorRecord]) -> None:
        """Take over what the chain says now of the epochs from `first` on.

        It may have reorganised, or voided what stood there; `roll_back` must follow.
        """
        for epoch in [e for e in self.anchored if e >= first]:
            del self.anchored[epoch]
        for record in records:
            epoch = Epoch(record.header.epoch)
            self.anchored[epoch] = record.header
            if record.is_final:
                self._final = max(self._final, epoch)
        taken_back = [e for e in self._folded if e >= first and e not in self.anchored]
        self.taken_back = tuple(sorted(taken_back))
        self.is_chain_seen = True

    async def contest(self, sealed: SealedAnchor, scores: Sequence[Score]) -> None:
        """Keep an anchored epoch that does not follow, with its table: for who challenges it.

        Raises:
            NoSpace: The disk takes no more.
        """
        await self._store.put_contested(StoredEpoch.of(sealed, is_anchored=True), scores)

    async def roll_back(self) -> None:
        """Take back what we folded on top of an anchor that another one has replaced.

        Two motions may both have been signed, and the chain reorganised from one to the other; or an
        anchor that a light node followed was voided, and the epoch anchored anew. What was folded
        before stands; the rest is folded again as it is anchored now.

        Raises:
            NoSpace: The disk takes no more; nothing changed.
        """
        replaced = [e for e, h in self._folded.items() if self.anchored.get(e, h) != h]
        if not replaced:
            return
        first = min(replaced)
        log.warning("anchors replaced", first=first, last=self.last_folded)
        await self._store.take_back(first)
        for epoch in [e for e in self._folded if e >= first]:
            del self._folded[epoch]
        # What is sealed and not folded yet follows from what is taken back, too.
        for epoch in [e for e in self.proposals if e >= first]:
            del self.proposals[epoch]
        folded = await self._store.last_anchored()
        self.last_folded = Epoch(-1) if folded is None else folded
        self._scores = await self._store.scores(self.last_folded)
        self._final = min(self._final, Epoch(first - 1))
        self.taken_back = tuple(e for e in self.taken_back if e < first)

    # ------------------------------------------------------------------ folding

    def folded_before(self, epoch: Epoch) -> Header | None:
        """Return the anchored header on which an epoch is folded; `None` for epoch 0."""
        return self._folded.get(Epoch(epoch - 1))

    @property
    def scores(self) -> tuple[Score, ...]:
        """The score table after the last folded epoch, in its roster's order."""
        return self._scores

    async def propose(
        self, included: Mapping[NodeId, Batch], tainted: frozenset[NodeId], epoch: Epoch
    ) -> ClosedEpoch | None:
        """Close the next epoch over these batches, changing nothing; `None` if it is not the next.

        Args:
            included: The batches to let in.
            tainted: Known equivocators; none of them is in `included`.
            epoch: Which one.
        """
        view = self.view(epoch)
        if view is None or epoch != self.last_folded + 1:
            return None
        return await self._close(view, included, tainted)

    async def _close(
        self, view: EpochView, included: Mapping[NodeId, Batch], tainted: frozenset[NodeId]
    ) -> ClosedEpoch:
        before = self._scores

        def close() -> ClosedEpoch:
            return close_epoch(view, included, tainted, by_member(before))

        return await offload(close, members=len(view.roster))

    async def fold(self, sealed: SealedAnchor, anchored: Header) -> ClosedEpoch:
        """Fold the next epoch exactly as it was anchored. One task folds, no more.

        Args:
            sealed: The proposal behind the anchor.
            anchored: The header the chain holds.

        Raises:
            MissingBatches: Batches the proposal names are not held yet.
            AnchorMismatch: Our roots differ; nothing is folded.
            ProtocolError: The proposal is not the anchored one, or does not fit the epoch.
            ValueError: It is not the next epoch, or not yet complete.
            NoSpace: The disk takes no more; nothing is folded.
        """
        epoch = Epoch(anchored.epoch)
        view = await self.open(epoch)
        if view is None or epoch != self.last_folded + 1:
            raise ValueError(f"epoch {epoch} cannot be folded after {self.last_folded}")
        if sha256(encode(sealed.proposal)) != anchored.proposal_hash:
            raise ProtocolError("other-proposal")
        included = await self._included(sealed.proposal, view)
        tainted = frozenset(members_in(view, sealed.proposal.tainted))
        closed = await self._close(view, included, tainted)
        wrong = differences(closed.header, anchored)
        if wrong:
            self.alarm = str(AnchorMismatch(epoch, wrong))
            raise AnchorMismatch(epoch, wrong)
        await self._write_again(view, included)
        await self._keep(sealed, closed.scores)
        return closed

    async def _included(self, proposal: Proposal, view: EpochView) -> dict[NodeId, Batch]:
        """Find the batches a proposal names, in memory first: the store has all that ever came."""
        try:
            return await self._find(proposal, view, tuple(self.evidence(view.epoch)))
        except MissingBatches:
            return await self._find(proposal, view, await self._store.batches(view.epoch))

    async def _find(
        self, proposal: Proposal, view: EpochView, batches: Sequence[Batch]
    ) -> dict[NodeId, Batch]:
        work = partial(included_batches, proposal, view, batches)
        return await offload(work, members=len(view.roster))

    async def _write_again(self, view: EpochView, included: Mapping[NodeId, Batch]) -> None:
        """Write what a full disk refused before: what is folded can be replayed."""
        if view.epoch in self._unwritten:
            for held in self.all_held():
                of_epoch = map(held.get, map(Round, self.numbers(view.epoch, held)))
                await self._write_rounds(held, [r for r in of_epoch if r is not None])
            await self._store.put_batches(view.epoch, list(included.values()))
            self._unwritten.discard(view.epoch)

    async def take_table(self, sealed: SealedAnchor, scores: Sequence[Score]) -> None:
        """Start from an anchored score table instead of folding all epochs before it.

        Raises:
            ProtocolError: `other-scores`: the table does not hash to the anchored root.
            NoSpace: The disk takes no more; nothing changed.
        """
        root = await offload(lambda: Tree(s.leaf() for s in scores).root, members=len(scores))
        if root != sealed.header.score_root:
            raise ProtocolError("other-scores")
        await self._keep(sealed, scores)

    async def follow(
        self, sealed: SealedAnchor, scores: Sequence[Score] = (), proof: Sequence[bytes] = ()
    ) -> None:
        """Take an anchored epoch's roots over without its table, as a light node does.

        Args:
            sealed: The anchored epoch.
            scores: Our own score in it, if it was shown.
            proof: Siblings from that score to the root.

        Raises:
            NoSpace: The disk takes no more; nothing changed.
        """
        await self._keep(sealed, scores)
        self.own_proof = tuple(proof)

    async def _keep(self, sealed: SealedAnchor, scores: Sequence[Score]) -> None:
        epoch = Epoch(sealed.header.epoch)
        try:
            await self._store.put_epoch(StoredEpoch.of(sealed, is_anchored=True), scores)
        except NoSpace as error:
            self.note_full_disk(error)
            raise
        self._scores = tuple(scores)
        self.last_folded = epoch
        self.proposals[epoch] = sealed
        self._folded[epoch] = sealed.header
        self.store_fault = self.alarm = ""

    async def sealed(self, epoch: Epoch) -> SealedAnchor | None:
        """Return an epoch's proposal with the council's signature, if we have it."""
        known = self.proposals.get(epoch)
        if known is not None:
            return known
        stored = await self._store.epoch(epoch)
        return None if stored is None else stored.sealed()

    # ------------------------------------------------------------------ forgetting

    async def forget(self, current: Epoch) -> None:
        """Drop what is no longer open from memory, and what is beyond retention from the store."""
        coming = range(current + 1, current + ROSTER_LAG_EPOCHS + 2)
        kept = {*self.open_epochs(current), self.last_folded, *map(Epoch, coming)}
        self.rosters.forget(kept)
        maps: Iterable[dict[Epoch, object]] = (
            self.views,  # type: ignore[assignment]  # only keys are looked at
            self._draws,
            self._assignments,
            self._evidence,
            self.proposals,
        )
        for one in maps:
            for epoch in [e for e in one if e not in kept]:
                del one[epoch]
        self._opened &= kept
        seeding = {self.genesis.mixed_round(e) for e in kept}
        self.rounds.forget(lambda r: self.clock.epoch_of(r) in kept)
        if self.mixed is not None:
            mixed = self.mixed
            mixed.forget(lambda r: r in seeding or self.epoch_of(r, mixed) in kept)
        settled = self.last_folded - REORG_EPOCHS_MAX
        for headers in (self.anchored, self._folded):
            for epoch in [e for e in headers if e <= settled]:
                del headers[epoch]
        self._unwritten = {e for e in self._unwritten if e > self.last_folded}
        await self._prune(current)

    async def _prune(self, current: Epoch) -> None:
        """Forget in the store what retention allows; unfolded epochs wait for their anchors."""
        retained = current - self._retain_epochs + 1
        own = min(retained, max(self.last_folded + 1, current - UNFOLDED_EPOCHS_MAX + 1))
        batches = retained if self._is_light else own
        if own <= self._pruned and batches <= self._pruned:
            return
        with self._without_disk():
            first = Epoch(max(0, own))
            await self._store.prune(
                Epoch(max(0, batches)), self.clock.first(first), self.genesis.mixed_round(first)
            )
            self._pruned = Epoch(max(own, batches))
