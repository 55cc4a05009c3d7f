"""Seal epochs: the council of one proposes, signs and anchors, epoch after epoch in order.

At the sealing round the batches that came in time and whose auditors show the sampled receipt are
included; those of equivocators are not. Proposal and header are on disk before the header is signed,
so the council never signs two headers of one epoch, and can go on from any moment. An epoch is sealed
on top of the scores of the one before, which must be anchored; an anchor that waits for the chain, or
that a reorganisation took back, is sent again, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core import bls
from stkrp2p.core.anchor import SealedAnchor, anchor_message, differences, members_in
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.reconcile import AskReceipt, ReceiptProof, bitmap_of
from stkrp2p.core.sample import Sample, check_receipt, sample_of
from stkrp2p.core.types import Digest, Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode
from stkrp2p.ports import (
    Chain,
    ChainUnavailable,
    NoSpace,
    Store,
    StoredEpoch,
    Unreachable,
    WallClock,
)
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.sync import ASK_MS_MAX, SyncClient

log = structlog.get_logger()

ASKED_AT_ONCE_MAX = 32
"""Auditors asked for their sampled receipt at once."""

SAMPLE_TRIES = 2
"""Times an auditor is asked before its batch is left out."""

SAMPLE_PARTS = 2
"""An auditor has this part of the settle rounds to show its receipt."""

NOTE_PARTS = 20
"""Looks at the clock in a period, to note who delivered in time."""

IN_TIME_MAX = 1024
"""Unsealed epochs for which we remember who delivered in time."""


@dataclass(frozen=True, slots=True)
class InTime:
    """Who had delivered its batch of an epoch when its sealing round fell due."""

    seed: Digest
    """Of the epoch, with the roster as it was known then."""

    bitmap: bytes
    """One bit a member."""

    def members(self, view: EpochView) -> frozenset[NodeId]:
        """Return who delivered; everybody, if the roster turned out to be another one."""
        if self.seed != view.seed:
            return frozenset(m.node for m in view.roster.members)
        return frozenset(members_in(view, self.bitmap))


@dataclass(slots=True, kw_only=True)
class Sealer:
    """The council's part of a node that holds its key."""

    node: NodeId
    council_secret: int = field(repr=False)
    ledger: Ledger
    sync: SyncClient
    chain: Chain
    store: Store
    clock: WallClock
    in_time: dict[Epoch, InTime] = field(default_factory=dict)
    """Of the epochs that are due and not yet sealed."""

    noted: int = -1
    """The last epoch looked at for that."""

    async def seal(self, epoch: Epoch) -> SealedAnchor | None:
        """Propose and sign the next epoch; `None` while that cannot be done yet.

        What an earlier run proposed is signed again and nothing else: it was perhaps sent. Nor is
        anything new proposed for an epoch that is on chain.
        """
        try:
            stored = await self.store.epoch(epoch)
            if stored is None and epoch not in self.ledger.anchored:
                stored = await self._propose(epoch)
            return await self._sign(stored) if stored else None
        except NoSpace as error:
            self.ledger.note_full_disk(error)
            return None

    async def _propose(self, epoch: Epoch) -> StoredEpoch | None:
        """Close the epoch over what is right now, and put that on disk, unsigned."""
        ledger = self.ledger
        view = await ledger.open(epoch)
        sealing = ledger.round(ledger.clock.seal(epoch))
        if view is None or sealing is None or not ledger.is_roster_final(epoch):
            return None
        shown = await self._shown(view, sealing.randomness)
        # Proofs of equivocation may have come while receipts were asked for.
        tainted = ledger.evidence(epoch).equivocators()
        included = {auditor: batch for auditor, batch in shown.items() if auditor not in tainted}
        closed = await ledger.propose(included, tainted, epoch)
        if closed is None:
            return None
        stored = StoredEpoch(
            header=closed.header, proposal=closed.proposal, signature=None, is_anchored=False
        )
        await self.store.put_epoch(stored, closed.scores)
        return stored

    async def _sign(self, stored: StoredEpoch) -> SealedAnchor | None:
        """Sign a proposed header if it is the one recorded for its epoch, durably, before."""
        header, proposal = stored.header, stored.proposal
        recorded = await self.store.record_header(header)
        if recorded != header or proposal is None:
            wrong = ", ".join(differences(header, recorded))
            self.ledger.alarm = f"epoch {header.epoch} was sealed before with another {wrong}"
            log.critical("sealed before with another header", epoch=header.epoch, fields=wrong)
            return None
        message = anchor_message(self.ledger.genesis, header, self.chain.voids)
        signature = bls.sign(self.council_secret, message, bls.ANCHOR_DST)
        sealed = SealedAnchor(
            header=header, proposal=proposal, voids=self.chain.voids, signature=signature
        )
        self.ledger.proposals[Epoch(header.epoch)] = sealed
        return sealed

    def note_batches_in_time(self) -> None:
        """Remember who had delivered when an epoch's sealing round fell due.

        From that moment its sample can be known, so a batch that comes later proves nothing. What
        came while we were down cannot be told apart, and is taken.
        """
        ledger, clock = self.ledger, self.ledger.clock
        last_due = ledger.genesis.beacon.last_due(self.clock.unix_ms())
        due = Epoch(clock.epoch_of(Round(last_due - ledger.params.settle_rounds + 1)) - 1)
        view = ledger.view(due)
        if due > self.noted and view is not None:
            self.noted = due
            if last_due == clock.seal(due):
                evidence = ledger.evidence(due)
                held = [bool(evidence.of(m.node)) for m in view.roster.members]
                self.in_time[due] = InTime(view.seed, bitmap_of(held))
        for epoch in [e for e in self.in_time if e <= max(ledger.last_folded, due - IN_TIME_MAX)]:
            del self.in_time[epoch]

    async def _shown(self, view: EpochView, randomness: Digest) -> dict[NodeId, Batch]:
        """Return the batches that came in time and whose auditors show the sampled receipt."""
        shown: dict[NodeId, Batch] = {}
        evidence = self.ledger.evidence(view.epoch)
        noted = self.in_time.get(view.epoch)
        left_out = evidence.equivocators()
        if noted is not None:
            left_out |= {b.auditor for b in evidence} - noted.members(view)
        turns = trio.CapacityLimiter(ASKED_AT_ONCE_MAX)

        async def examine(batch: Batch) -> None:
            async with turns:
                if await self._is_shown(batch, view, randomness):
                    shown[batch.auditor] = batch

        async with trio.open_nursery() as nursery:
            for batch in evidence:
                if batch.auditor not in left_out:
                    nursery.start_soon(examine, batch)
        return shown

    async def _is_shown(self, batch: Batch, view: EpochView, randomness: Digest) -> bool:
        """Tell whether the auditor shows the receipt that the sealing round picked."""
        sample = sample_of(batch, view, randomness)
        if sample is None or batch.auditor == self.node:
            return True
        for _ in range(SAMPLE_TRIES):
            try:
                await self._check_sample(batch, view, sample)
            except (Unreachable, ProtocolError) as error:
                log.info("receipt not shown", auditor=batch.auditor.hex()[:8], error=str(error))
            else:
                return True
        return False

    async def _check_sample(self, batch: Batch, view: EpochView, sample: Sample) -> None:
        question = AskReceipt(
            network=view.network, epoch=view.epoch, target=sample.target, round=sample.round
        )
        params = self.ledger.params
        settle_ms = params.settle_rounds * params.period_ms
        timeout_ms = max(1, min(ASK_MS_MAX, settle_ms // SAMPLE_PARTS))
        raw = await self.sync.ask(batch.auditor, question, timeout_ms=timeout_ms)
        if not raw:
            raise ProtocolError("no-receipt")
        shown = decode(raw, ReceiptProof, bytes_max=ANSWER_BYTES_MAX)
        probed = self.ledger.round(sample.round)
        if probed is None:
            raise ProtocolError("not-ready")
        check_receipt(
            shown.receipt,
            shown.proof,
            batch=batch,
            sample=sample,
            randomness=probed.randomness,
        )

    async def anchor(self, sealed: SealedAnchor) -> bool:
        """Send an epoch's anchor; tell whether the chain took the order."""
        try:
            await self.chain.submit_anchor(sealed.header, sealed.signature)
        except ChainUnavailable as error:
            log.info("anchor waits for the chain", epoch=sealed.header.epoch, error=str(error))
            return False
        return True

    async def step(self) -> None:
        """Send the oldest anchor that the chain lacks; seal its epoch first if that is due.

        Nothing is done before the chain was seen: it may know what we have forgotten.
        """
        ledger = self.ledger
        if not ledger.is_chain_seen:
            return
        if ledger.taken_back:
            epoch = ledger.taken_back[0]
            sealed = await ledger.sealed(epoch)
        else:
            epoch = Epoch(ledger.last_folded + 1)
            due_ms = ledger.genesis.beacon.due_ms(ledger.clock.seal(epoch))
            if self.clock.unix_ms() < due_ms:
                return
            sealed = ledger.proposals.get(epoch) or await self.seal(epoch)
        if sealed is not None and epoch not in ledger.anchored:
            await self.anchor(sealed)


async def run_sealer(sealer: Sealer) -> None:
    """Seal and anchor each epoch as it falls due, in order, until cancelled.

    An epoch is sealed after the one before it was folded, which needs its anchor on chain: scores
    build on anchored scores only.
    """
    poll_s = sealer.ledger.genesis.beacon.period_ms / 2000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_note_forever, sealer)
        while True:
            sealer.note_batches_in_time()
            await sealer.step()
            await trio.sleep(poll_s)


async def _note_forever(sealer: Sealer) -> None:
    while True:
        sealer.note_batches_in_time()
        await trio.sleep(sealer.ledger.genesis.beacon.period_ms / NOTE_PARTS / 1000)
