"""Which receipt an auditor must show before its batch is sealed in, and whether it shows it.

An auditor could sign a batch without having asked anybody. So the round that seals an epoch picks one
observation of each batch for which the target must have answered, and the council asks the auditor
for that receipt:

    index = u64(first 8 bytes of SHA-256("stkr/sample/1" | randomness | batch id)) mod count

Nobody knows the choice before the batch had to be out. A batch whose auditor cannot show the receipt
is left out of the epoch. Specified in `protocols/anchor.md`; why by asking, in decision 0004.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stkrp2p.core import merkle
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.challenge import Receipt, Status, challenge_of, is_receipt_signed
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import Digest, NetworkId, NodeId, Outcome, ProtocolError, Round

SAMPLE_TAG = b"stkr/sample/1"

_STATUS_OF = {
    Outcome.OK: {Status.SERVED},
    Outcome.SLOW: {Status.SERVED},
    Outcome.WRONG: {Status.SERVED, Status.FAILED},
    Outcome.DECLARED: {Status.DECLARED},
}
"""What the target may have signed for each outcome that can be sampled: all but those that say that
nothing came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One observation whose receipt the auditor must show."""

    target: NodeId
    round: Round
    outcome: Outcome


def answered(batch: Batch, view: EpochView) -> tuple[Sample, ...]:
    """Return the batch's observations that cannot be without a receipt, by row, then by round.

    Args:
        batch: One that passed `check_batch` against `view`.
        view: The batch's epoch.
    """
    return tuple(
        Sample(target=NodeId(row.target), round=number, outcome=Outcome(seen))
        for row in batch.body.rows
        for number, seen in zip(view.drawn[NodeId(row.target)], row.outcomes, strict=True)
        if seen in _STATUS_OF
    )


def sample_of(batch: Batch, view: EpochView, randomness: Digest) -> Sample | None:
    """Return the observation whose receipt must be shown, `None` if no target answered.

    Args:
        batch: One that passed `check_batch` against `view`.
        view: The batch's epoch.
        randomness: Of the round that seals the epoch, `EpochClock.seal`.
    """
    samples = answered(batch, view)
    if not samples:
        return None
    draw = int.from_bytes(sha256(SAMPLE_TAG, randomness, batch.id)[:8], "big")
    return samples[draw % len(samples)]


def check_receipt(
    receipt: Receipt, proof: Sequence[bytes], *, batch: Batch, sample: Sample, randomness: Digest
) -> None:
    """Check that a receipt shows the sampled observation; cheap checks first.

    Args:
        receipt: What the auditor answered.
        proof: Siblings from the receipt's leaf to the batch's `receipts_root`.
        batch: The auditor's.
        sample: From `sample_of`.
        randomness: Of the round of the sampled observation (not of the one that sealed the epoch).

    Raises:
        ProtocolError: `other-observation` (of another auditor, target or round), `wrong-challenge`,
            `wrong-status` (the target said something else than the batch does), `not-in-batch` (the
            proof does not lead to the root), `bad-signature`.
    """
    if (receipt.auditor, receipt.target, receipt.round) != (
        batch.auditor,
        sample.target,
        sample.round,
    ):
        raise ProtocolError("other-observation")
    if receipt.challenge != challenge_of(randomness, batch.auditor, sample.target):
        raise ProtocolError("wrong-challenge")
    if receipt.status not in _STATUS_OF[sample.outcome]:
        raise ProtocolError("wrong-status", str(receipt.status))
    if not merkle.is_proved(Digest(batch.body.receipts_root), receipt.leaf(), proof):
        raise ProtocolError("not-in-batch")
    if not is_receipt_signed(NetworkId(batch.body.network), receipt):
        raise ProtocolError("bad-signature")
