"""Seal epochs: governors move, examine and vote, and whoever holds t votes anchors.

After an epoch's sealing round the governors take turns, slot by slot. The proposer of a slot asks the
others whose batches they held in time, and moves the header that follows from all of these. A governor
that is moved a motion tells the others of it, fetches what it lacks, recomputes all roots, refuses with
a reason what leaves out a batch it holds or was moved differently elsewhere, and else votes: header and
vote are on disk before anybody sees them. Votes go to all governors; any of them that holds t makes the
council's signature of them and sends the anchor, in a staggered order. Two motions of two slots may both
find t votes; Ethereum orders them, and the first is the epoch's.

An epoch is sealed on top of the scores of the one before, which must be anchored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec
import structlog
import trio

from stkrp2p.core.anchor import (
    ClosedEpoch,
    Header,
    Proposal,
    SealedAnchor,
    anchor_message,
    differences,
    members_in,
)
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.council import (
    REASON_CHARACTERS_MAX,
    AskHeld,
    AskShown,
    Echo,
    EchoHeard,
    GiveVote,
    Heard,
    HeldList,
    Motion,
    Vote,
    check_motion,
    echo_of,
    id_of,
    is_moved_by,
    proposer_of,
    sign_motion,
    slot_ms,
)
from stkrp2p.core.group import GovernorShare, Group, Purpose, combine, partial_sign
from stkrp2p.core.reconcile import ReceiptProof, bitmap_of
from stkrp2p.core.types import Epoch, NodeId, ProtocolError
from stkrp2p.ports import (
    Chain,
    ChainUnavailable,
    NoSpace,
    Store,
    StoredEpoch,
    Unreachable,
    WallClock,
)
from stkrp2p.services.council import Council, CouncilServer, Seat, Seats
from stkrp2p.services.ledger import Ledger, MissingBatches, included_batches
from stkrp2p.services.sampler import Sampler, Shown
from stkrp2p.services.sync import SyncClient

log = structlog.get_logger()

NOTE_PARTS = 20
"""Looks at the clock in a period, to note who delivered in time."""

ECHO_PARTS = 8
"""A governor waits this part of a slot for word of another motion before it votes."""

ECHO_MS_MAX = 2_000

SLOTS_HEARD_MAX = 4
"""Slots of an epoch whose motions are remembered."""

MOTIONS_MAX = 2
"""Motions of one slot that are remembered: two show that its proposer is dishonest."""

MOVED_MAX = 64
"""Motions of an epoch that we voted for and keep, as many as governors; each has up to 64 kB."""

VOTED_MAX = 4
"""Headers of an epoch for which one governor's votes are kept."""

FETCHED_MAX = 1024
"""Batches and receipts a proposer takes over from one other governor."""

ASK_PARTS = 4
"""Governors have this part of a slot to say what a proposer could take over."""

FETCH_PARTS = 2
"""And this part of it to show all that; what does not come by then is not in the motion."""

UNEXAMINED = frozenset(
    {"voids", "not-ready", "turn", "slot", "other-proposal", "bad-signature", "busy"}
)
"""Reasons that cost its sender nothing: told in `refusals`, lest motions without end fill a log."""

STAGGER_ROUNDS = 2
"""Rounds by which one governor waits longer than the next before it sends an anchor."""


class Refused(Exception):
    """A motion gets no vote; the reason is a word of `protocols/council.md`, and what about."""


@dataclass(frozen=True, slots=True)
class _Key:
    """What a vote is for."""

    epoch: Epoch
    voids: int
    session: int
    header_hash: bytes


@dataclass(frozen=True, slots=True)
class _Voted:
    """A motion that we voted for."""

    motion: Motion
    before: Header | None
    """What was anchored of the epoch before: what it follows from; `None` for epoch 0."""


@dataclass(kw_only=True)
class Sealer:
    """A governor's part in anchoring."""

    node: NodeId
    secret: bytes = field(repr=False)
    seats: Seats
    council: Council
    sampler: Sampler
    ledger: Ledger
    sync: SyncClient
    chain: Chain
    store: Store
    clock: WallClock
    refusals: dict[str, int] = field(default_factory=dict)
    """Motions that we refused, by reason, for `status`."""

    _heard: dict[tuple[Epoch, int], dict[bytes, bytes]] = field(default_factory=dict)
    """Ids and signatures of the motions of a slot."""

    _examined: set[NodeId] = field(default_factory=set)
    """Whose motions are being looked at; one at a time of each, as that takes a core a while."""

    _moved: dict[bytes, _Voted] = field(default_factory=dict)
    """Motions of the next epochs that we voted for, by header hash."""

    _votes: dict[_Key, dict[int, bytes]] = field(default_factory=dict)
    _sealed_ms: int = 0
    """When we came to hold t votes for the next epoch."""

    _last_move: tuple[Epoch, int, int] = (Epoch(-1), 0, 0)
    """Epoch, voids and slot of our last motion."""

    def serve(self, server: CouncilServer) -> None:
        """Say what other governors may ask us."""
        server.on(AskHeld, self.give_held)
        server.on(AskShown, self.give_shown)
        server.on(Motion, self.judge)
        server.on(Echo, self.hear_echo)
        server.on(GiveVote, self.take_vote)

    @property
    def is_seated(self) -> bool:
        """Whether we hold a share that signs now."""
        seat = self.seats.at(self.clock.unix_ms())
        return seat is not None and seat.share is not None

    # ------------------------------------------------------------------ turns

    def due_ms(self, epoch: Epoch) -> int:
        """Return when the turns of an epoch begin."""
        return self.ledger.genesis.beacon.due_ms(self.ledger.clock.seal(epoch))

    def slot(self, epoch: Epoch) -> int:
        """Return the slot of an epoch by our clock; negative before its turns begin."""
        return (self.clock.unix_ms() - self.due_ms(epoch)) // slot_ms(self.ledger.params)

    def _near(self) -> range:
        """Return the epochs that governors talk of: the next to seal, and one for who is ahead."""
        return range(self.ledger.last_folded + 1, self.ledger.last_folded + 3)

    def _proposer(self, view: EpochView, slot: int, group: Group) -> NodeId:
        return NodeId(group.governors[proposer_of(view.seed, slot, len(group.governors))])

    async def step(self) -> None:
        """Send the oldest anchor that the chain lacks; seal its epoch first if that is due.

        Nothing is done before the chain was seen: it may know what we have forgotten.
        """
        ledger, seat = self.ledger, self.seats.at(self.clock.unix_ms())
        self._forget()
        if not ledger.is_chain_seen or seat is None or seat.share is None:
            return
        epoch = ledger.taken_back[0] if ledger.taken_back else Epoch(ledger.last_folded + 1)
        if epoch in ledger.anchored or self.clock.unix_ms() < self.due_ms(epoch):
            return
        sealed = await self._sealed(epoch)
        if sealed is None:
            await self._take_turn(epoch, seat, seat.share)
            sealed = await self._sealed(epoch)
        if sealed is not None and self._may_send(epoch, seat, seat.share):
            await self.anchor(sealed)

    async def _sealed(self, epoch: Epoch) -> SealedAnchor | None:
        """Return the council's signature of an epoch if it still counts, made of votes if need be."""
        known = await self.ledger.sealed(epoch)
        if known is not None and known.voids == self.chain.voids:
            return known
        for key, votes in list(self._votes.items()):  # more may come meanwhile
            voted, seat = self._moved.get(key.header_hash), self.seats.of(key.session)
            if key.epoch != epoch or key.voids != self.chain.voids or voted is None or not seat:
                continue
            if voted.before != self.ledger.folded_before(epoch):
                continue  # another anchor has replaced what it follows from
            sealed = self._combined(voted.motion, key.voids, seat.group, votes)
            if sealed is not None and await self._keep(sealed):
                return sealed
        return None

    async def _keep(self, sealed: SealedAnchor) -> bool:
        """Put what will be sent on disk first: nobody could fold an anchor without its proposal."""
        epoch = Epoch(sealed.header.epoch)
        try:
            if epoch > self.ledger.last_folded:
                await self.store.put_epoch(StoredEpoch.of(sealed, is_anchored=False), ())
        except NoSpace as error:
            self.ledger.note_full_disk(error)
            return False
        self.ledger.proposals[epoch] = sealed
        self._sealed_ms = self.clock.unix_ms()
        return True

    def _combined(
        self, motion: Motion, voids: int, group: Group, votes: Mapping[int, bytes]
    ) -> SealedAnchor | None:
        message = anchor_message(self.ledger.genesis, motion.header, voids)
        signature = combine(group, Purpose.ANCHOR, votes, message)
        if signature is None:
            return None
        return SealedAnchor(
            header=motion.header, proposal=motion.proposal, voids=voids, signature=signature
        )

    def _may_send(self, epoch: Epoch, seat: Seat, share: GovernorShare) -> bool:
        """Tell whether it is our turn to send: one after the other, lest two pay for one anchor."""
        view, count = self.ledger.view(epoch), len(seat.group.governors)
        if view is None:
            return True
        first = proposer_of(view.seed, max(0, self.slot(epoch)), count)
        wait_ms = (share.index - first) % count * STAGGER_ROUNDS * self.ledger.params.period_ms
        return self.clock.unix_ms() >= self._sealed_ms + wait_ms

    async def anchor(self, sealed: SealedAnchor) -> bool:
        """Send an epoch's anchor; tell whether the chain took the order."""
        try:
            await self.chain.submit_anchor(sealed.header, sealed.signature)
        except ChainUnavailable as error:
            log.info("anchor waits for the chain", epoch=sealed.header.epoch, error=str(error))
            return False
        return True

    # ------------------------------------------------------------------ moving

    async def _take_turn(self, epoch: Epoch, seat: Seat, share: GovernorShare) -> None:
        """Move a motion if this slot is ours and half of it is left."""
        view, slot, voids = await self.ledger.open(epoch), self.slot(epoch), self.chain.voids
        if view is None or self._last_move == (epoch, voids, slot):
            return
        length_ms = slot_ms(self.ledger.params)
        left_ms = self.due_ms(epoch) + (slot + 1) * length_ms - self.clock.unix_ms()
        is_alone = len(seat.group.governors) == 1
        if self._proposer(view, slot, seat.group) != self.node:
            return
        if left_ms < length_ms // 2 and not is_alone:
            return
        with trio.move_on_after(length_ms / 1000):
            await self._move(view, slot, seat, share)

    async def _move(self, view: EpochView, slot: int, seat: Seat, share: GovernorShare) -> None:
        voids, before = self.chain.voids, self.ledger.folded_before(view.epoch)
        found = await self._terms(view, seat.group)
        if found is None:
            return
        header, proposal = found
        self._last_move = (view.epoch, voids, slot)
        motion = sign_motion(
            self.secret,
            network=view.network,
            slot=slot,
            voids=voids,
            header=header,
            proposal=proposal,
        )
        own = await self._vote(motion, share, before)
        if own is None:
            return
        answers = await self.council.ask_all(
            seat.group, motion, Vote, timeout_ms=slot_ms(self.ledger.params)
        )
        for node, vote in sorted(answers.items()):
            self._count(motion, seat.group, node, vote)

    def _count(self, motion: Motion, group: Group, node: NodeId, vote: Vote) -> None:
        if vote.reason:
            log.info(
                "motion refused",
                epoch=motion.header.epoch,
                governor=node.hex()[:8],
                reason=vote.reason,
            )
        elif vote.index < len(group.governors) and group.governors[vote.index] == node:
            self._keep_vote(motion, group.session, vote.index, vote.signature)

    async def _terms(self, view: EpochView, group: Group) -> tuple[Header, Proposal] | None:
        """Return what to move: what we voted for before, else what follows from all we can find."""
        stored = await self.store.epoch(view.epoch)
        if stored is not None and stored.proposal is not None:
            return stored.header, stored.proposal
        shown = await self.sampler.shown(view)
        if shown is None or not self.ledger.is_roster_final(view.epoch):
            return None
        await self._take_over(view, shown, group)
        closed = await self._closed(view, shown)
        return None if closed is None else (closed.header, closed.proposal)

    async def _closed(self, view: EpochView, shown: Shown) -> ClosedEpoch | None:
        # Proofs of equivocation may have come while receipts were asked for.
        tainted = self.ledger.evidence(view.epoch).equivocators()
        included = {a: b for a, b in shown.batches.items() if a not in tainted}
        return await self.ledger.propose(included, tainted, view.epoch)

    async def _take_over(self, view: EpochView, shown: Shown, group: Group) -> None:
        """Take over what other governors held in time and were shown, as far as they can show it."""
        question = AskHeld(network=view.network, epoch=view.epoch)
        length_ms = slot_ms(self.ledger.params)
        answers = await self.council.ask_all(
            group, question, HeldList, timeout_ms=length_ms // ASK_PARTS
        )
        # All at once, and not for long: one that claims much and shows nothing must not cost the turn.
        with trio.move_on_after(length_ms / FETCH_PARTS / 1000):
            async with trio.open_nursery() as nursery:
                for node, held in sorted(answers.items()):
                    nursery.start_soon(self._take_over_from, node, held, view, shown)

    async def _take_over_from(
        self, node: NodeId, held: HeldList, view: EpochView, shown: Shown
    ) -> None:
        try:
            theirs = members_in(view, held.shown) if held.seed == view.seed else ()
            lacking = [n for n in theirs if n not in shown.batches][:FETCHED_MAX]
            await self._fetch_shown(node, view, shown, lacking)
        except (Unreachable, ProtocolError) as error:
            log.info("governor shows less than it says", error=str(error))

    async def _fetch_shown(
        self, node: NodeId, view: EpochView, shown: Shown, auditors: Sequence[NodeId]
    ) -> None:
        """Fetch batches and receipts that a governor says it has, and nobody gave us meanwhile.

        Raises:
            Unreachable, ProtocolError: It does not give them.
        """
        evidence = self.ledger.evidence(view.epoch)
        if any(not evidence.of(a) for a in auditors):
            await self.sync.reconcile(node, view.epoch)
        for auditor in auditors:
            held = evidence.of(auditor)
            if len(held) == 1 and auditor not in shown.batches:
                await self._take_receipt(node, held[0], view)

    async def _take_receipt(self, node: NodeId, batch: Batch, view: EpochView) -> None:
        """Take over the receipt that a governor was shown; its own it shows as any auditor does.

        Raises:
            Unreachable, ProtocolError: It does not show it.
        """
        if batch.auditor == node:
            await self.sampler.ask(batch, view)
            return
        question = AskShown(network=view.network, epoch=view.epoch, auditor=batch.auditor)
        receipt = await self.council.ask(node, question, ReceiptProof)
        self.sampler.accept(batch, view, receipt)

    # ------------------------------------------------------------------ voting

    async def judge(self, peer: NodeId, motion: Motion) -> Vote | None:
        """Answer a motion with our vote, or with the reason why it gets none."""
        seat = self.seats.at(self.clock.unix_ms())
        if seat is None or seat.share is None:
            return None
        index, before = seat.share.index, self.ledger.folded_before(Epoch(motion.header.epoch))
        try:
            await self._examine(peer, motion, seat)
            signature = await self._vote(motion, seat.share, before)
        except Refused as refusal:
            return self._refuse(index, motion, str(refusal))
        except (ProtocolError, Unreachable, MissingBatches) as error:
            return self._refuse(index, motion, f"missing: {error}")
        if signature is None:
            return self._refuse(index, motion, "voted: for another motion of this slot")
        await self._tell(motion, seat, signature)
        return Vote(index=index, reason="", signature=signature)

    def _refuse(self, index: int, motion: Motion, reason: str) -> Vote:
        word = reason.partition(":")[0]
        self.refusals[word] = self.refusals.get(word, 0) + 1
        tell = log.debug if word in UNEXAMINED else log.warning
        tell("motion refused by us", epoch=motion.header.epoch, reason=reason)
        return Vote(index=index, reason=reason[:REASON_CHARACTERS_MAX], signature=b"")

    async def _examine(self, peer: NodeId, motion: Motion, seat: Seat) -> None:
        """Make sure that a motion deserves our vote.

        Raises:
            Refused: It does not.
            ProtocolError, Unreachable, MissingBatches: What it rests on cannot be had.
        """
        heard_s = trio.current_time()
        epoch = Epoch(motion.header.epoch)
        view = await self._view_for(motion, epoch)
        if self._proposer(view, motion.slot, seat.group) != peer:
            raise Refused("turn: this slot is another governor's")
        if abs(motion.slot - self.slot(epoch)) > 1:
            raise Refused("slot: it is not the time of this slot")
        try:
            check_motion(motion, peer)
        except ProtocolError as error:
            raise Refused(str(error)) from error
        self._hear(epoch, motion.slot, id_of(motion), motion.signature)
        if peer in self._examined:
            raise Refused("busy: another motion of the proposer is looked at")
        self._examined.add(peer)
        try:
            await self._echo(motion, seat.group, peer)
            await self._check_terms(peer, motion, view)
        finally:
            self._examined.discard(peer)
        await trio.sleep_until(heard_s + self._echo_ms / 1000)
        if len(self._heard.get((epoch, motion.slot), {})) > 1:
            raise Refused("two-motions: the proposer moved another one in this slot")

    async def _view_for(self, motion: Motion, epoch: Epoch) -> EpochView:
        ledger = self.ledger
        if motion.voids != self.chain.voids:
            raise Refused(f"voids: {motion.voids} are said, {self.chain.voids} known")
        if not ledger.is_chain_seen or epoch != ledger.last_folded + 1:
            raise Refused(f"not-ready: the next epoch here is {ledger.last_folded + 1}")
        view = await ledger.open(epoch)
        if view is None or not ledger.is_roster_final(epoch):
            raise Refused("not-ready: the epoch is not complete here")
        return view

    @property
    def _echo_ms(self) -> int:
        """How long a governor waits for word of another motion before it votes."""
        return min(ECHO_MS_MAX, slot_ms(self.ledger.params) // ECHO_PARTS)

    async def _echo(self, motion: Motion, group: Group, proposer: NodeId) -> None:
        """Tell the others of a motion, and hear whether they know of another."""
        echo = echo_of(motion)
        answers = await self.council.ask_all(group, echo, EchoHeard, timeout_ms=self._echo_ms)
        for heard in answers.values():
            other = msgspec.structs.replace(
                echo, motion_id=heard.motion_id, signature=heard.signature
            )
            if heard.motion_id and is_moved_by(proposer, other):
                self._hear(Epoch(echo.epoch), echo.slot, heard.motion_id, heard.signature)

    async def _check_terms(self, peer: NodeId, motion: Motion, view: EpochView) -> None:
        """Recompute a motion's roots from our own evidence, completed by the proposer's."""
        shown = await self.sampler.shown(view)
        if shown is None:
            raise Refused("not-ready: the sealing round is not known here")
        await self._complete(peer, motion, view)
        evidence = self.ledger.evidence(view.epoch)
        included = included_batches(motion.proposal, view, evidence)
        tainted = frozenset(members_in(view, motion.proposal.tainted))
        self._check_taints(view, included, tainted)
        omitted = sorted(n for n in shown.batches if n not in included and n not in tainted)
        if omitted:
            raise Refused(f"omits: {len(omitted)} batches, of {omitted[0].hex()[:16]} for one")
        await self._check_shown(peer, view, shown, included)
        closed = await self.ledger.propose(included, tainted, view.epoch)
        if closed is None:
            raise Refused("not-ready: the epoch was folded meanwhile")
        wrong = differences(closed.header, motion.header)
        if wrong:
            raise Refused(f"other-roots: {', '.join(wrong)}")

    async def _complete(self, peer: NodeId, motion: Motion, view: EpochView) -> None:
        """Fetch from the proposer what its proposal names and we lack."""
        evidence, proposal = self.ledger.evidence(view.epoch), motion.proposal
        lacks = any(not evidence.of(n) for n in members_in(view, proposal.included))
        unproved = set(members_in(view, proposal.tainted)) - evidence.equivocators()
        if lacks or unproved:
            await self.sync.reconcile(peer, view.epoch)

    def _check_taints(
        self, view: EpochView, included: Mapping[NodeId, Batch], tainted: frozenset[NodeId]
    ) -> None:
        proved = self.ledger.evidence(view.epoch).equivocators()
        if tainted - proved:
            raise Refused(f"unproved-taint: {len(tainted - proved)} members")
        if proved & included.keys():
            raise Refused(f"untainted: {len(proved & included.keys())} equivocators are included")

    async def _check_shown(
        self, peer: NodeId, view: EpochView, shown: Shown, included: Mapping[NodeId, Batch]
    ) -> None:
        """Make sure that every included batch's receipt was shown: to us, else to the proposer."""
        for auditor, batch in sorted(included.items()):
            if shown.batches.get(auditor) == batch:
                continue
            try:
                await self._take_receipt(peer, batch, view)
            except (ProtocolError, Unreachable) as error:
                raise Refused(f"unshown: {auditor.hex()[:16]}, {error}") from error

    async def _vote(
        self, motion: Motion, share: GovernorShare, before: Header | None
    ) -> bytes | None:
        """Sign a motion's header, recorded before; `None` if this slot has our vote already.

        The proposal goes to disk too: it is what we move when our own turn comes.

        Args:
            motion: What we agree with.
            share: What we sign with.
            before: The anchored header of the epoch before, from when we began to compute; nothing is
                signed if another one has replaced it meanwhile.
        """
        header, epoch = motion.header, Epoch(motion.header.epoch)
        if self.ledger.folded_before(epoch) != before:
            return None
        try:
            if await self.store.epoch(epoch) is None:
                await self.store.put_epoch(_unsigned(motion), ())
            recorded = await self.store.record_vote(motion.slot, motion.voids, header)
        except NoSpace as error:
            self.ledger.note_full_disk(error)
            return None
        if recorded != header or self.ledger.folded_before(epoch) != before:
            return None
        message = anchor_message(self.ledger.genesis, header, motion.voids)
        signature = partial_sign(share, Purpose.ANCHOR, message)
        self._keep_moved(_Voted(motion, before))
        self._keep_vote(motion, share.group.session, share.index, signature)
        return signature

    def _keep_moved(self, voted: _Voted) -> None:
        """Keep a motion that we voted for; the oldest of its epoch go, and can be moved again."""
        header = voted.motion.header
        self._moved[header.hash()] = voted
        of_epoch = [h for h, v in self._moved.items() if v.motion.header.epoch == header.epoch]
        for oldest in of_epoch[:-MOVED_MAX]:
            del self._moved[oldest]

    async def _tell(self, motion: Motion, seat: Seat, signature: bytes) -> None:
        """Give our vote to all governors, so that any of them can anchor."""
        if seat.share is None:
            return
        told = GiveVote(
            network=motion.network,
            session=seat.group.session,
            epoch=motion.header.epoch,
            voids=motion.voids,
            header_hash=motion.header.hash(),
            index=seat.share.index,
            signature=signature,
        )
        await self.council.ask_all(seat.group, told, Heard, timeout_ms=ECHO_MS_MAX)

    def _keep_vote(self, motion: Motion, session: int, index: int, signature: bytes) -> None:
        epoch, header_hash = Epoch(motion.header.epoch), motion.header.hash()
        self._votes.setdefault(_Key(epoch, motion.voids, session, header_hash), {})[index] = (
            signature
        )

    # ------------------------------------------------------------------ answering

    async def give_held(self, _peer: NodeId, question: AskHeld) -> HeldList | None:
        """Say whose batches we held in time and saw the sampled receipt of, in an epoch to seal.

        Of older ones it is forgotten, and asking all auditors again would keep us from sealing.
        """
        view = self.ledger.view(Epoch(question.epoch)) if question.epoch in self._near() else None
        shown = await self.sampler.shown(view) if view is not None else None
        if view is None or shown is None:
            return None
        flags = [m.node in shown.batches for m in view.roster.members]
        return HeldList(seed=view.seed, shown=bitmap_of(flags))

    async def give_shown(self, _peer: NodeId, question: AskShown) -> ReceiptProof | None:
        """Hand on the receipt that an auditor showed to us."""
        await trio.lowlevel.checkpoint()
        view = self.ledger.view(Epoch(question.epoch))
        shown = self.sampler.known(view) if view is not None else None
        return shown.receipts.get(NodeId(question.auditor)) if shown else None

    async def hear_echo(self, _peer: NodeId, echo: Echo) -> EchoHeard:
        """Note that somebody was moved a motion; say if we know of another one of that slot."""
        await trio.lowlevel.checkpoint()
        epoch, seat = Epoch(echo.epoch), self.seats.at(self.clock.unix_ms())
        view = self.ledger.view(epoch)
        if view is None or seat is None or abs(echo.slot - self.slot(epoch)) > 1:
            return EchoHeard(motion_id=b"", signature=b"")
        proposer = self._proposer(view, echo.slot, seat.group)
        if is_moved_by(proposer, echo):
            self._hear(epoch, echo.slot, echo.motion_id, echo.signature)
        others = self._heard.get((epoch, echo.slot), {})
        for motion, signature in others.items():
            if motion != echo.motion_id:
                return EchoHeard(motion_id=motion, signature=signature)
        return EchoHeard(motion_id=b"", signature=b"")

    def _hear(self, epoch: Epoch, slot: int, motion: bytes, signature: bytes) -> None:
        heard = self._heard.setdefault((epoch, slot), {})
        if motion not in heard and len(heard) < MOTIONS_MAX:
            heard[motion] = signature
            if len(heard) > 1:
                log.critical("a proposer moved two motions in one slot", epoch=epoch, slot=slot)

    async def take_vote(self, peer: NodeId, told: GiveVote) -> Heard:
        """Keep a governor's vote, if it is one of an epoch that we may anchor."""
        await trio.lowlevel.checkpoint()
        epoch, seat = Epoch(told.epoch), self.seats.of(told.session)
        is_theirs = (
            seat is not None
            and told.index < len(seat.group.governors)
            and seat.group.governors[told.index] == peer
        )
        if not is_theirs or epoch not in self._near() or told.voids != self.chain.voids:
            return Heard(is_new=False)
        key = _Key(epoch, told.voids, told.session, told.header_hash)
        # The same place in another session is another governor's.
        theirs = [
            k
            for k, votes in self._votes.items()
            if told.index in votes and replace(k, header_hash=key.header_hash) == key
        ]
        if key not in theirs and len(theirs) >= VOTED_MAX:
            return Heard(is_new=False)
        votes = self._votes.setdefault(key, {})
        is_new = votes.setdefault(told.index, told.signature) == told.signature
        return Heard(is_new=is_new)

    def _forget(self) -> None:
        """Drop what belongs to epochs that are folded, and to slots long past."""
        kept = {*self.ledger.taken_back, *self._near()}
        self._votes = {k: v for k, v in self._votes.items() if k.epoch in kept}
        self._moved = {h: v for h, v in self._moved.items() if v.motion.header.epoch in kept}
        self._heard = {
            (epoch, slot): heard
            for (epoch, slot), heard in self._heard.items()
            if epoch in kept and self.slot(epoch) < slot + SLOTS_HEARD_MAX
        }


def _unsigned(motion: Motion) -> StoredEpoch:
    return StoredEpoch(
        header=motion.header, proposal=motion.proposal, signature=None, is_anchored=False
    )


async def run_sealer(sealer: Sealer) -> None:
    """Seal and anchor each epoch as it falls due, in order, until cancelled.

    An epoch is sealed after the one before it was folded, which needs its anchor on chain: scores
    build on anchored scores only.
    """
    poll_s = sealer.ledger.genesis.beacon.period_ms / 4000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_note_forever, sealer)
        while True:
            await sealer.step()
            await trio.sleep(poll_s)


async def _note_forever(sealer: Sealer) -> None:
    """Note who delivered in time, and ask for the sampled receipts as soon as they are drawn."""
    sampler, ledger = sealer.sampler, sealer.ledger
    async with trio.open_nursery() as nursery:
        sampled = Epoch(-1)
        while True:
            if not sealer.is_seated:
                await trio.sleep(ledger.genesis.beacon.period_ms / 1000)
                continue
            sampler.note_batches_in_time()
            epoch = Epoch(ledger.last_folded + 1)
            view = ledger.view(epoch)
            if epoch > sampled and view is not None and sampler.sealing_randomness(epoch):
                sampled = epoch
                nursery.start_soon(sampler.shown, view)
            await trio.sleep(ledger.genesis.beacon.period_ms / NOTE_PARTS / 1000)
