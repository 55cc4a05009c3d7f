"""What an auditor signs: one batch an epoch with all it saw, and how a peer judges one.

A batch lists exactly the targets the epoch's assignment gave its auditor, and for each one byte a
drawn round. It carries the epoch's seed, which binds beacon and roster: two peers that disagree on
the roster (one of them has lost its Ethereum endpoint) see that at once and blame nobody. Validity
is a pure function of the batch and the epoch; time matters only for gossip. See `protocols/batch.md`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, NamedTuple

import msgspec

from stkrp2p.core.assignment import Assignment, drawn_of
from stkrp2p.core.beacon import EpochClock
from stkrp2p.core.crypto import BATCH_TAG, is_signed_by, sha256, sign
from stkrp2p.core.params import CANDIDATES_MAX, EPOCH_ROUNDS_MAX, Params
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Judgement,
    NetworkId,
    NodeId,
    Outcome,
    ProtocolError,
    Round,
)
from stkrp2p.core.wire import FRAME_BYTES_MAX, Bytes32, Bytes64, Message, Uint, decode, encode

VERSION = 1

ROWS_MAX = CANDIDATES_MAX
"""Most targets of one auditor; its fair share is `k_aud`, more only where operators collide."""

OUTCOMES_MAX = EPOCH_ROUNDS_MAX
"""Most drawn rounds of one target in an epoch."""

_KNOWN_OUTCOMES = bytes(Outcome)
_DECLARED = bytes([Outcome.DECLARED])


class Row(Message, frozen=True):
    """What an auditor saw of one target."""

    target: Bytes32
    outcomes: Annotated[bytes, msgspec.Meta(max_length=OUTCOMES_MAX)]
    """One `Outcome` for each round the target was drawn in, in order."""

    median_ms: Uint
    """Lower median of the response times of OK and SLOW, 0 without any."""


class BatchBody(Message, frozen=True):
    """What is hashed and signed."""

    version: Uint
    network: Bytes32
    epoch: Uint
    auditor: Bytes32
    nonce: Uint
    """The auditor's registration, with its operator."""

    seed: Bytes32
    """Of the epoch, as the auditor saw it."""

    rows: Annotated[tuple[Row, ...], msgspec.Meta(max_length=ROWS_MAX)]
    """Sorted by target."""

    receipts_root: Bytes32


class Envelope(Message, frozen=True):
    """A batch as it travels."""

    body: Annotated[bytes, msgspec.Meta(max_length=FRAME_BYTES_MAX)]
    signature: Bytes64


@dataclass(frozen=True, slots=True, order=True)
class Batch:
    """A batch whose form is right; ordered by (id, signature)."""

    id: Digest
    """SHA-256 of the encoded body: the batch's identity. The signature is no part of it, because
    an Ed25519 signer can make many valid signatures of one body."""

    signature: bytes
    body: BatchBody = field(compare=False)
    frame: bytes = field(compare=False, repr=False)
    """As it travels, signature included."""

    @property
    def auditor(self) -> NodeId:
        """Who signed it."""
        return NodeId(self.body.auditor)

    @property
    def epoch(self) -> Epoch:
        """Which epoch it reports."""
        return Epoch(self.body.epoch)


class Duty(NamedTuple):
    """What an auditor's batch must list, row by row."""

    targets: tuple[NodeId, ...]
    counts: tuple[int, ...]
    """Drawn rounds of each target."""

    ranks: tuple[int, ...]
    """Each target's index among the full members."""

    ids: bytes
    """The targets one after the other: compared at once."""

    nonce: int | None
    """Of the auditor's registration; `None` for who is no member."""

    owed: int
    """Observations in all: the sum of `counts`."""


NO_DUTY = Duty((), (), (), b"", None, 0)
"""Of who is no member."""


class EpochView:
    """What an epoch is known to be: seed, roster, assignment and drawn rounds.

    Complete: it exists once all of the epoch's rounds are known. Two peers with the same seed have
    the same view.
    """

    def __init__(
        self,
        *,
        network: NetworkId,
        epoch: Epoch,
        seed: Digest,
        roster: Roster,
        params: Params,
        drawn: Mapping[NodeId, tuple[Round, ...]],
    ) -> None:
        """Bind what is known; `drawn` names every full member."""
        self.network = network
        self.epoch = epoch
        self.seed = seed
        self.roster = roster
        self.params = params
        self.drawn = drawn
        self.assignment = Assignment(seed, roster, params)
        self._duties: dict[NodeId, Duty] = {}

    def duty(self, auditor: NodeId) -> Duty:
        """Return what the auditor's batch must list, in order."""
        known = self._duties.get(auditor)
        if known is None:
            member = self.roster.get(auditor)
            if member is None:
                return NO_DUTY
            known = self._duties[auditor] = self._duty_of(member, self.assignment.targets(auditor))
        return known

    def _duty_of(self, auditor: Member, targets: tuple[NodeId, ...]) -> Duty:
        drawn, rank = self.drawn, self.roster.rank
        counts = tuple([len(drawn[t]) for t in targets])
        return Duty(
            targets=targets,
            counts=counts,
            ranks=tuple([rank[t] for t in targets]),
            ids=b"".join(targets),
            nonce=auditor.nonce,
            owed=sum(counts),
        )

    def prepare(self) -> None:
        """Compute every member's duty at once: cheaper than one by one for who judges them all."""
        rows = self.assignment.all_targets()
        self._duties = {m.node: self._duty_of(m, rows[m.node]) for m in self.roster.members}


def drawn_rounds(
    targets: Iterable[NodeId], randomness: Mapping[Round, Digest], params: Params
) -> dict[NodeId, tuple[Round, ...]]:
    """Return the rounds each target is audited in, in order.

    Args:
        targets: The epoch's full members.
        randomness: Of every round of the epoch.
        params: The preset; its `draw_ppm` is the chance.
    """
    drawn: dict[NodeId, list[Round]] = {t: [] for t in targets}
    for number in sorted(randomness):
        for target in drawn_of(drawn, randomness[number], params.draw_ppm):
            drawn[target].append(number)
    return {target: tuple(rounds) for target, rounds in drawn.items()}


def sign_batch(secret: bytes, body: BatchBody) -> Batch:
    """Return the signed batch. The caller records it durably before anybody sees it."""
    raw = encode(body)
    signature = sign(secret, BATCH_TAG, sha256(raw))
    return Batch(sha256(raw), signature, body, encode(Envelope(body=raw, signature=signature)))


def read_batch(frame: bytes) -> Batch:
    """Read a batch's form.

    Raises:
        ProtocolError: `oversized`, `malformed`, `not-canonical`.
    """
    envelope = decode(frame, Envelope)
    body = decode(envelope.body, BatchBody)
    return Batch(sha256(envelope.body), envelope.signature, body, frame)


def check_batch(batch: Batch, view: EpochView) -> None:
    """Check all that does not depend on time; cheap checks first, the signature last.

    Raises:
        ProtocolError: With the reason; `JUDGEMENTS` says what each means for who sent it.
    """
    body = batch.body
    if body.version != VERSION:
        raise ProtocolError("unknown-version", str(body.version))
    if body.network != view.network:
        raise ProtocolError("foreign-network")
    if body.epoch != view.epoch:
        raise ProtocolError("other-epoch", str(body.epoch))
    if body.seed != view.seed:
        raise ProtocolError("other-seed")
    auditor = batch.auditor
    duty = view.duty(auditor)
    if body.nonce != duty.nonce:
        raise ProtocolError("not-member")
    _check_rows(body.rows, duty, view.params)
    if not is_signed_by(auditor, BATCH_TAG, batch.id, batch.signature):
        raise ProtocolError("bad-signature")


def _check_rows(rows: tuple[Row, ...], duty: Duty, params: Params) -> None:
    if b"".join([row.target for row in rows]) != duty.ids:
        raise ProtocolError("unassigned")
    outcomes = [row.outcomes for row in rows]
    if tuple(map(len, outcomes)) != duty.counts:
        raise ProtocolError("wrong-rounds")
    seen = b"".join(outcomes)
    if seen.translate(None, _KNOWN_OUTCOMES):
        raise ProtocolError("unknown-outcome")
    if _DECLARED in seen and max(o.count(_DECLARED) for o in outcomes) > params.declared_rounds_max:
        raise ProtocolError("too-many-declared")
    if max([row.median_ms for row in rows], default=0) > params.probe_window_ms:
        raise ProtocolError("bad-median")


JUDGEMENTS: Mapping[str, Judgement] = {
    "oversized": Judgement.REJECT,
    "malformed": Judgement.REJECT,
    "not-canonical": Judgement.REJECT,
    "unknown-version": Judgement.IGNORE,
    "foreign-network": Judgement.REJECT,
    "early": Judgement.IGNORE,
    "late": Judgement.IGNORE,
    "duplicate": Judgement.IGNORE,
    "not-ready": Judgement.IGNORE,
    "other-epoch": Judgement.IGNORE,
    "other-seed": Judgement.IGNORE,
    "not-member": Judgement.REJECT,
    "unassigned": Judgement.REJECT,
    "wrong-rounds": Judgement.REJECT,
    "unknown-outcome": Judgement.REJECT,
    "too-many-declared": Judgement.REJECT,
    "bad-median": Judgement.REJECT,
    "bad-signature": Judgement.REJECT,
}
"""What each reason means: REJECT only where no honest peer could have sent or passed it on."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A judgement, the word for it (empty for ACCEPT), and the batch if its form is right."""

    judgement: Judgement
    reason: str = ""
    batch: Batch | None = None


def judge(
    frame: bytes,
    *,
    network: NetworkId,
    clock: EpochClock,
    last_due: Round,
    view_of: Mapping[Epoch, EpochView],
    known: Container[Digest] = (),
) -> Judged:
    """Judge a gossiped batch; never raises, whatever arrives.

    Args:
        frame: The message.
        network: Ours.
        clock: Its rounds and epochs.
        last_due: The last round due by our clock; a peer's may be one round ahead.
        view_of: The epochs known completely.
        known: Ids of batches already held.
    """
    try:
        batch = read_batch(frame)
        _check_arrival(batch.body, network, clock, last_due)
        if batch.id in known:
            return Judged(JUDGEMENTS["duplicate"], "duplicate", batch)
        check_batch(batch, _complete_view(batch.epoch, view_of))
    except ProtocolError as error:
        return Judged(JUDGEMENTS[error.reason], error.reason)
    return Judged(Judgement.ACCEPT, batch=batch)


def _check_arrival(body: BatchBody, network: NetworkId, clock: EpochClock, last_due: Round) -> None:
    if body.version == VERSION and body.network != network:
        raise ProtocolError("foreign-network")
    epoch = Epoch(body.epoch)
    last = clock.last(epoch)
    if last_due + 1 < last:
        raise ProtocolError("early")
    if last_due > last and last_due > clock.seal(epoch):
        raise ProtocolError("late")


def _complete_view(epoch: Epoch, view_of: Mapping[Epoch, EpochView]) -> EpochView:
    view = view_of.get(epoch)
    if view is None:
        raise ProtocolError("not-ready")
    return view


def median_ms(latencies_ms: list[int]) -> int:
    """Return the lower median, 0 of none."""
    return sorted(latencies_ms)[(len(latencies_ms) - 1) // 2] if latencies_ms else 0
