"""Find and exchange what two peers' evidence of one epoch differs in.

The roster fixes which keys can exist, so possession is one bit a member: the asking side sends its
bitmap and one fingerprint for each chunk of members, the answering side returns the batches the
other lacks and names those it lacks itself. Where the bits agree and the fingerprints do not,
somebody equivocated: the two sides compare that chunk's ids. Nobody is trusted; every batch received
is judged as if it had been gossiped. The messages are specified in `protocols/sync.md`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

import msgspec

from stkrp2p.core.challenge import Receipt
from stkrp2p.core.crypto import sha256
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.params import NODES_MAX
from stkrp2p.core.records import AddressRecord
from stkrp2p.core.roster import Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, NetworkId, NodeId, ProtocolError
from stkrp2p.core.wire import (
    FRAME_BYTES_MAX,
    Bytes32,
    Bytes48,
    Message,
    Uint,
    decode,
    encode,
)

SYNC_PROTOCOL = "/stkr/sync/1"

CHUNK_MEMBERS = 256
"""Members that share one fingerprint."""

FINGERPRINT_BYTES = 16

FRAMES_MAX = 1024
"""Most batches in one message."""

FRAMES_BYTES_MAX = 768 * 1024
"""Most bytes of batches in one answer; the rest comes with the next question."""

FRAME_BYTES_MIN = 192
"""No batch is shorter: its body has four hashes, and its envelope a signature."""

WANTED_MAX = 1024
"""Most members named in one answer as lacking."""

INDEX_BYTES = 4
"""A member's index in `Delta.wanted`, big-endian."""

DIFFERING_MAX = 64
"""Most chunks named in one answer as differing."""

ROUNDS_MAX = 512
"""Most beacon rounds in one answer."""

SCORES_MAX = 4096
"""Most scores in one answer."""

SCORE_BYTES_MIN = 52
SCORE_BYTES_MAX = 172
"""Shortest and longest encoded score: a node id and 15 integers."""

RECORDS_MAX = 512
"""Most address records in one answer."""

RECORD_BYTES_MIN = 103
RECORD_BYTES_MAX = 1200
"""Shortest and longest encoded address record."""

Frame = Annotated[bytes, msgspec.Meta(min_length=FRAME_BYTES_MIN, max_length=FRAME_BYTES_MAX)]
Frames = Annotated[tuple[Frame, ...], msgspec.Meta(max_length=FRAMES_MAX)]
Ids = Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=2 * CHUNK_MEMBERS)]
Bitmap = Annotated[bytes, msgspec.Meta(max_length=NODES_MAX // 8)]


class Have(Message, frozen=True, tag=1):
    """Which batches of an epoch the asking side holds."""

    network: Bytes32
    epoch: Uint
    bitmap: Bitmap
    """Bit i % 8 (lowest first) of byte i // 8 is set if it holds a batch of member i."""

    fingerprints: Annotated[bytes, msgspec.Meta(max_length=NODES_MAX // 16)]
    """One for each chunk."""


class Give(Message, frozen=True, tag=2):
    """Batches the answering side said it lacks."""

    network: Bytes32
    epoch: Uint
    frames: Frames


class AskIds(Message, frozen=True, tag=3):
    """The ids of one chunk's batches."""

    network: Bytes32
    epoch: Uint
    chunk: Uint


class Fetch(Message, frozen=True, tag=4):
    """Batches by id."""

    network: Bytes32
    epoch: Uint
    ids: Ids


class AskRounds(Message, frozen=True, tag=5):
    """Beacon rounds from a number on."""

    network: Bytes32
    first: Uint
    count: Uint


class AskAnchor(Message, frozen=True, tag=6):
    """An epoch's proposal with the council's signature."""

    network: Bytes32
    epoch: Uint


class AskScores(Message, frozen=True, tag=7):
    """A stretch of an anchored epoch's score table, in roster order."""

    network: Bytes32
    epoch: Uint
    first: Uint


class AskReceipt(Message, frozen=True, tag=8):
    """The receipt that the asked auditor has for one observation."""

    network: Bytes32
    epoch: Uint
    target: Bytes32
    round: Uint


class AskRecords(Message, frozen=True, tag=9):
    """The newest signed addresses known of the network's nodes."""

    network: Bytes32


class AskProof(Message, frozen=True, tag=10):
    """One member's score of an anchored epoch, with its proof."""

    network: Bytes32
    epoch: Uint
    node: Bytes32


class AskMixed(Message, frozen=True, tag=11):
    """Rounds of the second beacon from a number on."""

    network: Bytes32
    first: Uint
    count: Uint


Question = (
    Have
    | Give
    | AskIds
    | Fetch
    | AskRounds
    | AskAnchor
    | AskScores
    | AskReceipt
    | AskRecords
    | AskProof
    | AskMixed
)


def read_question(frame: bytes) -> Question:
    """Read a question of the sync protocol.

    Raises:
        ProtocolError: `oversized`, `malformed`, `not-canonical`.
    """
    return decode(frame, Question)  # type: ignore[arg-type]  # a union is no type to mypy


class Delta(Message, frozen=True):
    """Answer to `Have`."""

    frames: Frames
    """Batches the asking side lacks."""

    wanted: Annotated[bytes, msgspec.Meta(max_length=WANTED_MAX * INDEX_BYTES)]
    """Roster indices whose batches the answering side lacks, 4 bytes each, big-endian."""

    differing: Annotated[tuple[Uint, ...], msgspec.Meta(max_length=DIFFERING_MAX)]
    """Chunks that hold the same members' batches with another fingerprint."""

    is_more: bool
    """The answering side has more that the asking side lacks; ask again."""


class Taken(Message, frozen=True):
    """Answer to `Give`: how many were new and valid."""

    count: Uint


class IdList(Message, frozen=True):
    """Answer to `AskIds`."""

    ids: Ids


class FrameList(Message, frozen=True):
    """Answer to `Fetch`."""

    frames: Frames


class RoundList(Message, frozen=True):
    """Answer to `AskRounds` and `AskMixed`: signatures of consecutive rounds."""

    first: Uint
    signatures: Annotated[tuple[Bytes48, ...], msgspec.Meta(max_length=ROUNDS_MAX)]


class ScoreList(Message, frozen=True):
    """Answer to `AskScores`."""

    total: Uint
    scores: Annotated[
        tuple[
            Annotated[bytes, msgspec.Meta(min_length=SCORE_BYTES_MIN, max_length=SCORE_BYTES_MAX)],
            ...,
        ],
        msgspec.Meta(max_length=SCORES_MAX),
    ]
    """Each an encoded `Score`, so that a page is read without making all of them at once."""


class ReceiptProof(Message, frozen=True):
    """Answer to `AskReceipt`."""

    receipt: Receipt
    proof: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=32)]


class ScoreProof(Message, frozen=True):
    """Answer to `AskProof`."""

    score: Score
    proof: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=32)]


class RecordList(Message, frozen=True):
    """Answer to `AskRecords`."""

    records: Annotated[
        tuple[
            Annotated[
                bytes, msgspec.Meta(min_length=RECORD_BYTES_MIN, max_length=RECORD_BYTES_MAX)
            ],
            ...,
        ],
        msgspec.Meta(max_length=RECORDS_MAX),
    ]
    """Each an encoded `AddressRecord`: a wrong one spoils none of the others."""


def score_list(scores: Sequence[Score], first: int) -> ScoreList:
    """Return the page of a score table that begins at an index."""
    page = scores[first : first + SCORES_MAX]
    return ScoreList(total=len(scores), scores=tuple([encode(s) for s in page]))


def read_scores(page: ScoreList) -> list[Score]:
    """Return the scores of a page.

    Raises:
        ProtocolError: `malformed`, `not-canonical`: one of them is no score.
    """
    return [decode(raw, Score) for raw in page.scores]


def record_list(records: Sequence[AddressRecord]) -> RecordList:
    """Return the first `RECORDS_MAX` of the records as an answer."""
    return RecordList(records=tuple([encode(r) for r in records[:RECORDS_MAX]]))


def read_records(answer: RecordList) -> list[AddressRecord]:
    """Return the records of an answer, without those that are no record."""
    readable = []
    for raw in answer.records:
        with suppress(ProtocolError):
            readable.append(decode(raw, AddressRecord))
    return readable


@dataclass(frozen=True, slots=True)
class Holdings:
    """Which batches of an epoch one side holds, in roster order."""

    bitmap: bytes
    fingerprints: bytes

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return len(self.fingerprints) // FINGERPRINT_BYTES

    def bits(self, chunk: int) -> bytes:
        """Return the bitmap of one chunk."""
        size = CHUNK_MEMBERS // 8
        return self.bitmap[chunk * size : (chunk + 1) * size]

    def fingerprint(self, chunk: int) -> bytes:
        """Return the fingerprint of one chunk."""
        return self.fingerprints[chunk * FINGERPRINT_BYTES : (chunk + 1) * FINGERPRINT_BYTES]

    def has(self, index: int) -> bool:
        """Tell whether it holds a batch of a member."""
        return bool(self.bitmap[index >> 3] >> (index & 7) & 1)


def bitmap_of(flags: Sequence[bool]) -> bytes:
    """Return a bitmap: flag i is bit i % 8, lowest first, of byte i // 8."""
    bits = int("".join("1" if f else "0" for f in reversed(flags)) or "0", 2)
    return bits.to_bytes((len(flags) + 7) // 8, "little")


def flags_of(bitmap: bytes, size: int) -> list[bool]:
    """Return the flags of a bitmap.

    Raises:
        ProtocolError: `bad-bitmap`: not of this size, or bits beyond it are set.
    """
    bits = int.from_bytes(bitmap, "little")
    if len(bitmap) != (size + 7) // 8 or bits >> size:
        raise ProtocolError("bad-bitmap")
    return [digit == "1" for digit in reversed(f"{bits:0{size}b}")] if size else []


def chunk_ids(evidence: Evidence, roster: Roster, chunk: int) -> tuple[Digest, ...]:
    """Return the ids held in a chunk, in roster order, an equivocator's two in order of id."""
    members = roster.members[chunk * CHUNK_MEMBERS : (chunk + 1) * CHUNK_MEMBERS]
    return tuple(i for m in members for i in evidence.ids(m.node))


def holdings_of(evidence: Evidence, roster: Roster) -> Holdings:
    """Return what one side holds: the bitmap, and SHA-256 of each chunk's ids, shortened."""
    chunks = -(-len(roster) // CHUNK_MEMBERS)
    prints = (sha256(*chunk_ids(evidence, roster, c))[:FINGERPRINT_BYTES] for c in range(chunks))
    return Holdings(
        bitmap_of([bool(evidence.of(m.node)) for m in roster.members]), b"".join(prints)
    )


def have_of(network: NetworkId, epoch: int, holdings: Holdings) -> Have:
    """Return the question that opens a session."""
    return Have(
        network=network, epoch=epoch, bitmap=holdings.bitmap, fingerprints=holdings.fingerprints
    )


def answer_have(evidence: Evidence, roster: Roster, have: Have) -> Delta:
    """Return what the asking side lacks, and what we do.

    Raises:
        ProtocolError: `bad-bitmap`: the bitmap or the fingerprints do not fit the roster.
    """
    ours = holdings_of(evidence, roster)
    theirs = Holdings(have.bitmap, have.fingerprints)
    flags_of(theirs.bitmap, len(roster))
    if len(theirs.fingerprints) != len(ours.fingerprints):
        raise ProtocolError("bad-bitmap", "fingerprints")
    frames, is_more = _frames_lacking(evidence, roster, theirs)
    wanted = [i for i in range(len(roster)) if theirs.has(i) and not ours.has(i)][:WANTED_MAX]
    differing = [
        c
        for c in range(ours.chunks)
        if ours.bits(c) == theirs.bits(c) and ours.fingerprint(c) != theirs.fingerprint(c)
    ]
    return Delta(
        frames=frames,
        wanted=b"".join([i.to_bytes(INDEX_BYTES, "big") for i in wanted]),
        differing=tuple(differing[:DIFFERING_MAX]),
        is_more=is_more,
    )


def _frames_lacking(
    evidence: Evidence, roster: Roster, theirs: Holdings
) -> tuple[tuple[bytes, ...], bool]:
    frames: list[bytes] = []
    size_bytes = 0
    for i, member in enumerate(roster.members):
        held = () if theirs.has(i) else evidence.of(member.node)
        size_bytes += sum(len(b.frame) for b in held)
        if size_bytes > FRAMES_BYTES_MAX or len(frames) + len(held) > FRAMES_MAX:
            return tuple(frames), True
        frames += [b.frame for b in held]
    return tuple(frames), False


def frames_wanted(evidence: Evidence, roster: Roster, delta: Delta) -> tuple[bytes, ...]:
    """Return the batches to give after a `Delta`; indices outside the roster are passed over.

    Raises:
        ProtocolError: `bad-indices`: the last one is cut short.
    """
    if len(delta.wanted) % INDEX_BYTES:
        raise ProtocolError("bad-indices")
    starts = range(0, len(delta.wanted), INDEX_BYTES)
    wanted = (int.from_bytes(delta.wanted[s : s + INDEX_BYTES], "big") for s in starts)
    nodes = [roster.members[i].node for i in wanted if i < len(roster)]
    frames = [b.frame for node in nodes for b in evidence.of(node)]
    return tuple(frames[:FRAMES_MAX])


def ids_to_fetch(
    evidence: Evidence, ids: Sequence[bytes], known: Sequence[NodeId]
) -> tuple[Digest, ...]:
    """Return those of a peer's ids that we do not hold.

    Args:
        evidence: Ours.
        ids: The peer's, of one chunk.
        known: The chunk's members.
    """
    ours = {i for node in known for i in evidence.ids(node)}
    return tuple(Digest(i) for i in ids if i not in ours)
