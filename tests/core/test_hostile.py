"""Whatever bytes arrive, reading them ends in a message or in `ProtocolError`, in bounded memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from random import Random

import pytest

from stkrp2p.core import challenge, reconcile, records
from stkrp2p.core.anchor import Header, Proposal, SealedAnchor, members_in
from stkrp2p.core.batch import (
    OUTCOMES_MAX,
    ROWS_MAX,
    BatchBody,
    Envelope,
    EpochView,
    Row,
    judge,
    read_batch,
    sign_batch,
)
from stkrp2p.core.challenge import REPORT_BYTES_MAX, Answer, Receipt
from stkrp2p.core.deal import DEAL_BYTES_MAX, Deal
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.group import GOVERNORS_MAX, Group
from stkrp2p.core.params import NODES_MAX
from stkrp2p.core.roster import Profile
from stkrp2p.core.score import Score
from stkrp2p.core.types import ProtocolError
from stkrp2p.core.wire import ANSWER_BYTES_MAX, FRAME_BYTES_MAX, Message, decode, encode
from tests.core.ceremonies import deal_of, dealer_of, fresh
from tests.core.strategies import (
    CLOCK,
    EPOCH,
    NETWORK,
    batch_of,
    dealt,
    roster_of_size,
    secret,
    view_of,
)

MUTATIONS = 10_000

ALLOCATION_FACTOR_MAX = 4
ALLOCATION_FLOOR_BYTES = 4096
"""What an exception, a message's own object and the like take, however short the frame."""

Read = Callable[[bytes], object]


@dataclass(frozen=True)
class Sample:
    """A valid frame and what reads it."""

    name: str
    frame: bytes
    read: Read


@cache
def view() -> EpochView:
    return view_of(roster_of_size(6, 2))


@cache
def evidence() -> Evidence:
    return Evidence(batch_of(view(), m.node, salt=s) for m in view().roster.members for s in (0, 1))


def answer_question(frame: bytes) -> object:
    """Read a question and go as far as pure code goes with answering it."""
    question = reconcile.read_question(frame)
    roster = view().roster
    match question:
        case reconcile.Have():
            return reconcile.answer_have(evidence(), roster, question)
        case reconcile.AskIds():
            return reconcile.chunk_ids(evidence(), roster, question.chunk)
        case reconcile.Give():
            return [read_batch(f) for f in question.frames]
        case _:
            return question


def judge_frame(frame: bytes) -> object:
    return judge(
        frame,
        network=NETWORK,
        clock=CLOCK,
        last_due=CLOCK.seal(EPOCH),
        view_of={EPOCH: view()},
    )


def judge_body(raw: bytes) -> object:
    """Judge a batch whose envelope is right, so that its body is read."""
    return judge_frame(encode(Envelope(body=raw, signature=bytes(64))))


def take_answer(shape: type[Message], frame: bytes) -> object:
    """Read an answer of the sync protocol and what it carries."""
    answer: Message = decode(frame, shape, bytes_max=ANSWER_BYTES_MAX)
    match answer:
        case reconcile.Delta():
            return reconcile.frames_wanted(evidence(), view().roster, answer)
        case reconcile.ScoreList():
            return reconcile.read_scores(answer)
        case reconcile.RecordList():
            return reconcile.read_records(answer)
        case SealedAnchor():
            return answer.header.hash(), members_in(view(), answer.proposal.included)
        case _:
            return answer


def read_deal(frame: bytes) -> object:
    return decode(frame, Deal, bytes_max=DEAL_BYTES_MAX)


Z20, Z32, Z48, Z64 = bytes(20), bytes(32), bytes(48), bytes(64)
SCORE = Score(node=Z32, nonce=1, s=5 << 16, n=6 << 16, uptime_ppm=800_000, age_epochs=300)
RECORD = records.AddressRecord(
    node=Z32, sequence=1 << 40, addresses=("/ip4/127.0.0.1/tcp/4001",) * 2, signature=Z64
)
RECEIPT = Receipt(
    round=7,
    auditor=Z32,
    target=Z32,
    challenge=Z32,
    status=0,
    report_hash=Z32,
    signature=Z64,
)
PROPOSAL = Proposal(
    version=1, network=Z32, epoch=3, seed=Z32, included=b"\xff", tainted=b"\0", ids_digest=Z32
)
HEADER = Header(
    epoch=3,
    roster_root=Z32,
    proposal_hash=Z32,
    evidence_root=Z32,
    score_root=Z32,
    median_ppm=900_000,
    is_void=False,
)


def questions() -> Iterator[Message]:
    held = reconcile.holdings_of(Evidence(), view().roster)
    frames = tuple(b.frame for b in list(evidence())[:2])
    yield reconcile.have_of(NETWORK, EPOCH, held)
    yield reconcile.Give(network=NETWORK, epoch=EPOCH, frames=frames)
    yield reconcile.AskIds(network=NETWORK, epoch=EPOCH, chunk=0)
    yield reconcile.Fetch(network=NETWORK, epoch=EPOCH, ids=(Z32, Z32))
    yield reconcile.AskRounds(network=NETWORK, first=100, count=12)
    yield reconcile.AskAnchor(network=NETWORK, epoch=EPOCH)
    yield reconcile.AskScores(network=NETWORK, epoch=EPOCH, first=4096)
    yield reconcile.AskReceipt(network=NETWORK, epoch=EPOCH, target=Z32, round=101)
    yield reconcile.AskRecords(network=NETWORK)
    yield reconcile.AskProof(network=NETWORK, epoch=EPOCH, node=Z32)


def answers() -> Iterator[Message]:
    frames = tuple(b.frame for b in list(evidence())[:2])
    yield reconcile.Delta(frames=frames, wanted=bytes(8), differing=(0, 300), is_more=True)
    yield reconcile.Taken(count=3)
    yield reconcile.IdList(ids=(Z32,) * 3)
    yield reconcile.FrameList(frames=frames)
    yield reconcile.RoundList(first=100, signatures=(Z48,) * 3)
    yield reconcile.score_list([SCORE] * 3, 0)
    yield reconcile.ReceiptProof(receipt=RECEIPT, proof=(Z32,) * 3)
    yield reconcile.ScoreProof(score=SCORE, proof=(Z32,) * 3)
    yield reconcile.record_list([RECORD] * 3)
    yield SealedAnchor(header=HEADER, proposal=PROPOSAL, voids=0, signature=Z48)


@cache
def samples() -> tuple[Sample, ...]:
    """Return a valid frame of every kind that a peer may send."""
    batch = next(iter(evidence()))
    question = challenge.Question(version=1, network=NETWORK, round=9, round_signature=Z48)
    answer = Answer(version=1, status=0, report=b"a report", signature=Z64)
    profile = Profile(version=1, workload="tcp:30303", addresses=("/ip4/127.0.0.1/tcp/1",))
    return (
        Sample("batch", batch.frame, judge_frame),
        Sample("batch body", encode(batch.body), judge_body),
        *(Sample(type(q).__name__, encode(q), answer_question) for q in questions()),
        *(Sample(type(a).__name__, encode(a), partial(take_answer, type(a))) for a in answers()),
        Sample("audit question", encode(question), lambda f: decode(f, challenge.Question)),
        Sample("audit answer", encode(answer), lambda f: decode(f, Answer)),
        Sample("profile", encode(profile), lambda f: decode(f, Profile)),
        Sample("score", encode(SCORE), lambda f: decode(f, Score)),
        Sample("deal", encode(deal_of(dealer_of(fresh(3), 0))), read_deal),
        Sample("group", encode(dealt(3)[0].group), lambda f: decode(f, Group)),
        Sample("record", encode(RECORD), lambda f: decode(f, records.AddressRecord)),
    )


HEADS = bytes([0x80, 0x91, 0xC0, 0xC1, 0xC3, 0xC4, 0xC6, 0xC9, 0xCB, 0xCF, 0xD3, 0xDB, 0xDD, 0xFF])
"""First bytes of MessagePack's kinds: maps, arrays, nil, extensions, floats, long lengths."""


def mutated(frame: bytes, rng: Random) -> bytes:
    """Return a frame with up to three changes of the kinds an attacker would try first."""
    for _ in range(rng.randint(1, 3)):
        at, other = (rng.randrange(len(frame) + 1) for _ in range(2))
        low, high = min(at, other), max(at, other)
        match rng.randrange(7):
            case 0:
                frame = frame[:at] + bytes([rng.randrange(256)]) + frame[at + 1 :]
            case 1:
                frame = frame[:at] + bytes([rng.choice(HEADS)]) + frame[at + 1 :]
            case 2:
                longer_number, noise = b"\xcc", rng.randbytes(rng.randint(1, 9))
                frame = frame[:at] + rng.choice([longer_number, noise]) + frame[at:]
            case 3:
                frame = frame[:low] + frame[high:]
            case 4:
                frame = frame[:high] + frame[low:]
            case 5:
                frame = frame[:at]
            case _:
                frame += rng.randbytes(rng.randint(1, 9))
    return frame


def mutations(count: int) -> Iterator[tuple[Sample, bytes]]:
    rng = Random(2024)
    for i in range(count):
        sample = samples()[i % len(samples())]
        yield sample, mutated(sample.frame, rng)


@pytest.mark.parametrize("sample", samples(), ids=lambda s: s.name)
def test_a_valid_frame_of_every_kind_is_read(sample: Sample) -> None:
    assert sample.read(sample.frame) is not None


def test_10000_random_mutations_of_valid_frames_raise_nothing_but_the_typed_error() -> None:
    reasons: Counter[str] = Counter()
    for sample, frame in mutations(MUTATIONS):
        try:
            sample.read(frame)
        except ProtocolError as error:
            reasons[error.reason] += 1
    assert reasons.total() > MUTATIONS // 2
    assert reasons.keys() >= {"malformed", "not-canonical"}


def test_judge_never_raises_whatever_arrives() -> None:
    rng = Random(7)
    body, frame = encode(next(iter(evidence())).body), next(iter(evidence())).frame
    for _ in range(2_000):
        judge_frame(mutated(frame, rng))
        judge_body(mutated(body, rng))
        judge_frame(rng.randbytes(rng.randrange(400)))


def allocated_bytes(read: Read, frame: bytes) -> int:
    """Return the most that was allocated at once while a frame was read."""
    peak = 0
    for _ in range(2):  # the first time fills caches that later frames share
        tracemalloc.start()
        try:
            kept = read(frame)
        except ProtocolError as error:
            kept = error
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        del kept
    return peak


def of_rows(rows: int, outcomes: bytes, ms: int) -> bytes:
    body = BatchBody(
        version=1,
        network=Z32,
        epoch=1 << 40,
        auditor=Z32,
        nonce=1 << 40,
        seed=Z32,
        rows=tuple(Row(target=Z32, outcomes=outcomes, median_ms=ms) for _ in range(rows)),
        receipts_root=Z32,
    )
    return sign_batch(secret(0), body).frame


def plain(shape: type[Message], frame: bytes) -> object:
    answer: Message = decode(frame, shape, bytes_max=ANSWER_BYTES_MAX)
    return answer


def full_messages() -> Iterator[tuple[Read, bytes]]:
    """Yield the messages that make most objects of fewest bytes: every list full of the smallest."""
    question, wide = reconcile.read_question, 1 << 40
    for rows, outcomes in ((ROWS_MAX, b""), (ROWS_MAX, b"\1\1"), (9, b"\1" * 12)):
        yield read_batch, of_rows(rows, outcomes, 300)
    yield read_batch, of_rows(FRAME_BYTES_MAX // (OUTCOMES_MAX + 64), bytes(OUTCOMES_MAX), wide)
    small = bytes(reconcile.FRAME_BYTES_MIN)
    for count in (1, 20, 300):
        yield question, encode(reconcile.Give(network=Z32, epoch=1, frames=(small,) * count))
    ids = (Z32,) * (2 * reconcile.CHUNK_MEMBERS)
    yield question, encode(reconcile.Fetch(network=Z32, epoch=1, ids=ids))
    bits = bytes(40_000)
    have = reconcile.Have(network=Z32, epoch=1, bitmap=bits, fingerprints=bits[:20_000])
    yield question, encode(have)
    for message in full_answers(small, ids):
        yield partial(plain, type(message)), encode(message)


def full_answers(small: bytes, ids: tuple[bytes, ...]) -> Iterator[Message]:
    chunks = tuple(range(300, 300 + reconcile.DIFFERING_MAX))
    wanted = bytes(4 * reconcile.WANTED_MAX)
    yield reconcile.Delta(frames=(), wanted=b"", differing=chunks, is_more=False)
    yield reconcile.Delta(
        frames=(small,) * reconcile.FRAMES_MAX, wanted=wanted, differing=chunks, is_more=False
    )
    yield reconcile.FrameList(frames=(small,) * reconcile.FRAMES_MAX)
    yield reconcile.IdList(ids=ids)
    yield reconcile.RoundList(first=1, signatures=(Z48,) * reconcile.ROUNDS_MAX)
    yield reconcile.ScoreList(
        total=1, scores=(bytes(reconcile.SCORE_BYTES_MIN),) * reconcile.SCORES_MAX
    )
    yield reconcile.RecordList(records=(bytes(reconcile.RECORD_BYTES_MIN),) * reconcile.RECORDS_MAX)
    yield reconcile.ScoreProof(score=Score(node=Z32, nonce=300, s=300, n=300), proof=(Z32,) * 32)
    yield reconcile.ReceiptProof(receipt=RECEIPT, proof=(Z32,) * 32)
    four = ("/a", "/b", "/c", "/d")
    yield records.AddressRecord(node=Z32, sequence=300, addresses=four, signature=Z64)
    bits = bytes(NODES_MAX // 8)
    proposal = Proposal(
        version=1, network=Z32, epoch=3, seed=Z32, included=bits, tainted=bits, ids_digest=Z32
    )
    yield SealedAnchor(header=HEADER, proposal=proposal, voids=0, signature=Z48)
    yield dealt(GOVERNORS_MAX)[0].group
    yield deal_of(dealer_of(fresh(GOVERNORS_MAX), 0))
    yield Answer(version=1, status=0, report=bytes(REPORT_BYTES_MAX), signature=Z64)
    yield Profile(version=1, workload="ab", addresses=four)


READERS: tuple[Read, ...] = (
    read_batch,
    reconcile.read_question,
    *(partial(plain, type(a)) for a in answers()),
    partial(plain, Answer),
    partial(plain, challenge.Question),
    partial(plain, Group),
    read_deal,
)


def hostile_frames() -> Iterator[bytes]:
    """Yield frames that promise more than they hold, or hold it in another shape."""
    for count in (1 << 10, 1 << 16, 1 << 24, (1 << 32) - 1):
        head = count.to_bytes(4, "big")
        for prefix in (b"", b"\x91", b"\x92\x01", b"\x92", b"\x94\x90", b"\x98\x01"):
            yield prefix + b"\xdd" + head
            yield prefix + b"\xc6" + head + bytes(100)
            yield prefix + b"\xdb" + head + b"a" * 100
            yield prefix + b"\xdf" + head
            yield prefix + b"\xc9" + head + bytes(100)
    for kind in b"\x80\x81\x90\x91\x9f\xa0\xc0\x01\xcb":
        many = bytes([kind]) * FRAME_BYTES_MAX
        yield many
        yield b"\xdd\x00\x00\xff\xf0" + many[5:]
        yield b"\x92\x01\xdd\x00\x00\xff\xf0" + many[7:]
        yield b"\x91\xdc\x02\x00" + many[:1024]
        yield b"\x94\xdc\x04\x00" + many[:1024]


def check_allocation(read: Read, frame: bytes) -> None:
    allowed = ALLOCATION_FACTOR_MAX * len(frame) + ALLOCATION_FLOOR_BYTES
    assert allocated_bytes(read, frame) <= allowed, f"{len(frame)} bytes, read by {read}"


def test_no_message_allocates_more_than_4_times_its_size_and_4_kib() -> None:
    for read, frame in full_messages():
        check_allocation(read, frame)


def test_no_hostile_frame_allocates_more_than_4_times_its_size_and_4_kib() -> None:
    for frame in hostile_frames():
        for read in READERS:
            check_allocation(read, frame)


def test_no_mutated_frame_allocates_more_than_4_times_its_size_and_4_kib() -> None:
    for i, (_, frame) in enumerate(mutations(1_000)):
        check_allocation(READERS[i % len(READERS)], frame)
        check_allocation(read_batch, frame)


def test_deep_nesting_is_malformed_and_breaks_nothing() -> None:
    deep = b"\x91" * (4 * sys.getrecursionlimit()) + b"\x01"
    for read in READERS:
        with pytest.raises(ProtocolError, match=r"^malformed: "):
            read(deep)
