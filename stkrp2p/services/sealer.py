"""Seal epochs: the council of one proposes, signs and anchors, epoch after epoch in order.

At the sealing round the batches that came in time and whose auditors show the sampled receipt are
included; those of equivocators are not. The header is on disk before it is signed, so the council
never signs two headers of one epoch, whatever happens in between. Without a reachable chain sealing
goes on and the anchors are sent in order when it is back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core import bls
from stkrp2p.core.anchor import ClosedEpoch, SealedAnchor, anchor_message, differences
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.reconcile import AskReceipt, ReceiptProof
from stkrp2p.core.sample import Sample, check_receipt, sample_of
from stkrp2p.core.types import Digest, Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode
from stkrp2p.ports import Chain, ChainUnavailable, Store, Unreachable, WallClock
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.sync import SyncClient

log = structlog.get_logger()

ASKED_AT_ONCE_MAX = 32
"""Auditors asked for their sampled receipt at once."""

SAMPLE_TRIES = 2
"""Times an auditor is asked before its batch is left out."""


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

    async def seal(self, epoch: Epoch) -> SealedAnchor | None:
        """Propose and sign the next epoch; `None` while its rounds are not all known.

        After a crash the header on disk is compared with what follows now: only the recorded one is
        ever signed.
        """
        view = self.ledger.view(epoch)
        sealing = self.ledger.round(self.ledger.clock.seal(epoch))
        if view is None or sealing is None or not self.ledger.is_roster_final(epoch):
            return None
        closed = self.ledger.propose(await self._included(view, sealing.randomness), epoch)
        recorded = await self.store.record_header(closed.header)
        if recorded != closed.header:
            return await self._recover(epoch, closed)
        message = anchor_message(self.ledger.genesis, closed.header)
        signature = bls.sign(self.council_secret, message, bls.ANCHOR_DST)
        sealed = SealedAnchor(header=closed.header, proposal=closed.proposal, signature=signature)
        self.ledger.proposals[epoch] = sealed
        return sealed

    async def _recover(self, epoch: Epoch, closed: ClosedEpoch) -> SealedAnchor | None:
        """Find the recorded header's proposal among our own or our peers'."""
        sealed = await self.ledger.sealed(epoch) or await self.sync.sealed_anchor(epoch)
        recorded = await self.store.record_header(closed.header)
        if sealed is not None and sealed.header == recorded:
            self.ledger.proposals[epoch] = sealed
            return sealed
        wrong = ", ".join(differences(closed.header, recorded))
        self.ledger.alarm = f"epoch {epoch} was sealed before with another {wrong}"
        return None

    async def _included(self, view: EpochView, randomness: Digest) -> dict[NodeId, Batch]:
        included: dict[NodeId, Batch] = {}
        evidence = self.ledger.evidence(view.epoch)
        tainted = evidence.equivocators()
        turns = trio.CapacityLimiter(ASKED_AT_ONCE_MAX)

        async def examine(batch: Batch) -> None:
            async with turns:
                if await self._is_shown(batch, view, randomness):
                    included[batch.auditor] = batch

        async with trio.open_nursery() as nursery:
            for batch in evidence:
                if batch.auditor not in tainted:
                    nursery.start_soon(examine, batch)
        return included

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
        raw = await self.sync.ask(batch.auditor, question)
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


async def run_sealer(sealer: Sealer) -> None:
    """Seal and anchor each epoch as it falls due, in order, until cancelled.

    An epoch is sealed after the one before it was folded, which needs its anchor on chain: scores
    build on anchored scores only.
    """
    ledger, beacon = sealer.ledger, sealer.ledger.genesis.beacon
    poll_s = beacon.period_ms / 2000
    while True:
        epoch = Epoch(ledger.last_folded + 1)
        due_ms = beacon.due_ms(Round(ledger.clock.seal(epoch)))
        if sealer.clock.unix_ms() >= due_ms and epoch not in ledger.anchored:
            sealed = ledger.proposals.get(epoch) or await sealer.seal(epoch)
            if sealed is not None:
                await sealer.anchor(sealed)
        await trio.sleep(poll_s)
