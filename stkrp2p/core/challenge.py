"""The question an auditor asks, the answer, and the receipt that the exchange took place.

The 32-byte challenge of a round follows from the round's randomness, the auditor and the target: the
target cannot prepare for it, and the auditor cannot choose it. The target's signature over what it
answered is the receipt; the auditor keeps it and puts the root of all of an epoch's receipts into
its batch. The messages are specified in `protocols/audit.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Annotated

import msgspec

from stkrp2p.core import merkle
from stkrp2p.core.crypto import CHALLENGE_TAG, RECEIPT_TAG, is_signed_by, sha256, sign
from stkrp2p.core.types import Digest, NetworkId, NodeId, Outcome, Round
from stkrp2p.core.wire import Bytes32, Bytes48, Bytes64, Message, Uint, encode

AUDIT_PROTOCOL = "/stkr/audit/1"
VERSION = 1

REPORT_BYTES_MAX = 48 * 1024
"""Largest report of a workload; an account proof of Ethereum has some 5 KiB."""


class Status(IntEnum):
    """How a target answers."""

    SERVED = 0
    """The workload answered; the report is its answer."""

    DECLARED = 1
    """The target is under maintenance; the report is empty."""

    FAILED = 2
    """The sidecar lives, its workload does not answer; the report says why."""


class Question(Message, frozen=True):
    """What an auditor sends: which round, and the round itself, should the target not have it."""

    version: Uint
    network: Bytes32
    round: Uint
    round_signature: Bytes48


class Answer(Message, frozen=True):
    """What the target sends back."""

    version: Uint
    status: Annotated[int, msgspec.Meta(ge=0, le=2)]
    report: Annotated[bytes, msgspec.Meta(max_length=REPORT_BYTES_MAX)]
    signature: Bytes64


class Receipt(Message, frozen=True):
    """A target's signed word that it answered an auditor's challenge in a round."""

    round: Uint
    auditor: Bytes32
    target: Bytes32
    challenge: Bytes32
    status: Annotated[int, msgspec.Meta(ge=0, le=2)]
    report_hash: Bytes32
    signature: Bytes64

    def leaf(self) -> bytes:
        """Return this receipt's leaf in its auditor's tree."""
        return encode(self)


def challenge_of(randomness: Digest, auditor: NodeId, target: NodeId) -> Digest:
    """Return the challenge of one auditor to one target in the round with this randomness."""
    return sha256(CHALLENGE_TAG, randomness, auditor, target)


def _receipt_payload(
    network: NetworkId, number: Round, challenge: Digest, status: int, report_hash: Digest
) -> bytes:
    return encode([network, number, challenge, status, report_hash])


def sign_answer(
    secret: bytes,
    *,
    network: NetworkId,
    number: Round,
    challenge: Digest,
    status: Status,
    report: bytes,
) -> Answer:
    """Return the target's answer, signed.

    Raises:
        ValueError: The report is longer than `REPORT_BYTES_MAX`.
    """
    if len(report) > REPORT_BYTES_MAX:
        raise ValueError(f"a report has at most {REPORT_BYTES_MAX} bytes, got {len(report)}")
    payload = _receipt_payload(network, number, challenge, int(status), sha256(report))
    signature = sign(secret, RECEIPT_TAG, payload)
    return Answer(version=VERSION, status=int(status), report=report, signature=signature)


def receipt_of(
    *,
    network: NetworkId,
    number: Round,
    challenge: Digest,
    auditor: NodeId,
    target: NodeId,
    answer: Answer,
) -> Receipt | None:
    """Return the receipt an answer makes, or `None` if the target did not sign it."""
    receipt = Receipt(
        round=number,
        auditor=auditor,
        target=target,
        challenge=challenge,
        status=answer.status,
        report_hash=sha256(answer.report),
        signature=answer.signature,
    )
    return receipt if is_receipt_signed(network, receipt) else None


def is_receipt_signed(network: NetworkId, receipt: Receipt) -> bool:
    """Tell whether the receipt's target signed it on this network."""
    payload = _receipt_payload(
        network,
        Round(receipt.round),
        Digest(receipt.challenge),
        receipt.status,
        Digest(receipt.report_hash),
    )
    return is_signed_by(NodeId(receipt.target), RECEIPT_TAG, payload, receipt.signature)


def receipts_tree(receipts: Iterable[Receipt]) -> merkle.Tree:
    """Return the tree whose root stands in the auditor's batch."""
    return merkle.Tree(r.leaf() for r in receipts)


def outcome_of(status: Status, fault: str, latency_ms: int, window_ms: int) -> Outcome:
    """Return what an auditor records for a signed answer.

    Args:
        status: The target's word on itself.
        fault: What is wrong with the report, empty for a right one.
        latency_ms: From the round's arrival to the answer's, monotonic clock.
        window_ms: The preset's probe window; answers in its second half are slow.
    """
    if status is Status.DECLARED:
        return Outcome.DECLARED
    if status is Status.FAILED or fault:
        return Outcome.WRONG
    return Outcome.SLOW if 2 * latency_ms > window_ms else Outcome.OK
