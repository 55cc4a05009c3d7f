"""Who delivered a batch in time, and showed the receipt that the sealing round picked.

From the moment an epoch's sealing round falls due its sample can be known, so a batch that comes later
proves nothing. Each governor notes what it held then, asks the auditors for their receipts, and tells
the other governors; receipts that one of them was shown it hands on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core.anchor import members_in
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.reconcile import AskReceipt, ReceiptProof, bitmap_of
from stkrp2p.core.sample import Sample, check_receipt, sample_of
from stkrp2p.core.types import Digest, Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode
from stkrp2p.ports import Unreachable, WallClock
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.sync import ASK_MS_MAX, SyncClient

log = structlog.get_logger()

ASKED_AT_ONCE_MAX = 32
"""Auditors asked for their sampled receipt at once."""

SAMPLE_TRIES = 2
"""Times an auditor is asked before its batch is left out."""

SAMPLE_PARTS = 2
"""An auditor has this part of the settle rounds to show its receipt."""

IN_TIME_MAX = 1024
"""Unsealed epochs for which we remember who delivered in time."""

SHOWN_EPOCHS_MAX = 4
"""Epochs whose receipts we remember: the next one to seal, and those just sealed."""


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


@dataclass(slots=True)
class Shown:
    """The batches of an epoch whose sampled receipt we have seen."""

    seed: Digest
    batches: dict[NodeId, Batch] = field(default_factory=dict)
    receipts: dict[NodeId, ReceiptProof] = field(default_factory=dict)
    """Of those auditors that had to show one."""


@dataclass(slots=True, kw_only=True)
class Sampler:
    """One governor's notes of who delivered, and who showed what."""

    node: NodeId
    ledger: Ledger
    sync: SyncClient
    clock: WallClock
    in_time: dict[Epoch, InTime] = field(default_factory=dict)
    """Of the epochs that are due and not yet sealed."""

    noted: int = -1
    """The last epoch looked at for that."""

    _shown: dict[Epoch, Shown] = field(default_factory=dict)
    _asking: trio.Lock = field(default_factory=trio.Lock)

    def note_batches_in_time(self) -> None:
        """Remember who had delivered when an epoch's sealing round fell due.

        What came while we were down cannot be told apart, and is taken.
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

    def sealing_randomness(self, epoch: Epoch) -> Digest | None:
        """Return the randomness that picks an epoch's sample, once it is known."""
        sealing = self.ledger.round(self.ledger.clock.seal(epoch))
        return sealing.randomness if sealing else None

    async def shown(self, view: EpochView) -> Shown | None:
        """Return the batches that came in time and whose auditors show the sampled receipt.

        The first call asks them; `None` while the sealing round is not known.
        """
        randomness = self.sealing_randomness(view.epoch)
        if randomness is None:
            return None
        async with self._asking:
            known = self._shown.get(view.epoch)
            if known is None or known.seed != view.seed:
                known = self._shown[view.epoch] = await self._ask_auditors(view, randomness)
                for epoch in sorted(self._shown)[:-SHOWN_EPOCHS_MAX]:
                    del self._shown[epoch]
        return known

    def known(self, view: EpochView) -> Shown | None:
        """Return what `shown` found, without asking anybody."""
        shown = self._shown.get(view.epoch)
        return shown if shown is not None and shown.seed == view.seed else None

    async def _ask_auditors(self, view: EpochView, randomness: Digest) -> Shown:
        shown = Shown(view.seed)
        evidence = self.ledger.evidence(view.epoch)
        noted = self.in_time.get(view.epoch)
        left_out = evidence.equivocators()
        if noted is not None:
            left_out |= {b.auditor for b in evidence} - noted.members(view)
        turns = trio.CapacityLimiter(ASKED_AT_ONCE_MAX)

        async def examine(batch: Batch) -> None:
            async with turns:
                await self._examine(batch, view, randomness, shown)

        async with trio.open_nursery() as nursery:
            for batch in evidence:
                if batch.auditor not in left_out:
                    nursery.start_soon(examine, batch)
        return shown

    async def _examine(
        self, batch: Batch, view: EpochView, randomness: Digest, shown: Shown
    ) -> None:
        """Ask an auditor for the receipt that the sealing round picked."""
        sample = sample_of(batch, view, randomness)
        if sample is None or batch.auditor == self.node:
            shown.batches[batch.auditor] = batch
            return
        for _ in range(SAMPLE_TRIES):
            try:
                receipt = await self._ask_receipt(batch, view, sample)
            except (Unreachable, ProtocolError) as error:
                log.info("receipt not shown", auditor=batch.auditor.hex()[:8], error=str(error))
            else:
                shown.batches[batch.auditor] = batch
                shown.receipts[batch.auditor] = receipt
                return

    async def _ask_receipt(self, batch: Batch, view: EpochView, sample: Sample) -> ReceiptProof:
        question = AskReceipt(
            network=view.network, epoch=view.epoch, target=sample.target, round=sample.round
        )
        params = self.ledger.params
        settle_ms = params.settle_rounds * params.period_ms
        timeout_ms = max(1, min(ASK_MS_MAX, settle_ms // SAMPLE_PARTS))
        raw = await self.sync.ask(batch.auditor, question, timeout_ms=timeout_ms)
        if not raw:
            raise ProtocolError("no-receipt")
        receipt = decode(raw, ReceiptProof, bytes_max=ANSWER_BYTES_MAX)
        self._check(receipt, batch, sample)
        return receipt

    def _check(self, shown: ReceiptProof, batch: Batch, sample: Sample) -> None:
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

    async def ask(self, batch: Batch, view: EpochView) -> None:
        """Ask one more auditor for the receipt that the sealing round picked.

        Raises:
            Unreachable, ProtocolError: It does not show it.
        """
        randomness = self.sealing_randomness(view.epoch)
        sample = None if randomness is None else sample_of(batch, view, randomness)
        receipt = None if sample is None else await self._ask_receipt(batch, view, sample)
        self.accept(batch, view, receipt)

    def accept(self, batch: Batch, view: EpochView, receipt: ReceiptProof | None) -> None:
        """Take over what another governor was shown.

        Args:
            batch: One that passed `check_batch`.
            view: Its epoch, of which `shown` was asked before.
            receipt: What its auditor showed; `None` if it had nothing to show.

        Raises:
            ProtocolError: The receipt does not show the sampled observation.
        """
        randomness, shown = self.sealing_randomness(view.epoch), self.known(view)
        if randomness is None or shown is None:
            raise ProtocolError("not-ready")
        sample = sample_of(batch, view, randomness)
        if sample is not None:
            if receipt is None:
                raise ProtocolError("no-receipt")
            self._check(receipt, batch, sample)
            shown.receipts[batch.auditor] = receipt
        shown.batches[batch.auditor] = batch
