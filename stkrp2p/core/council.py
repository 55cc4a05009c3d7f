"""What the governors say to each other: partials, motions and votes, and whose turn it is.

A round of the council's beacon needs partial signatures of t governors, and so does an epoch's
anchor. For an anchor one of them moves a **motion**: the header and the proposal behind it. Whoever
recomputes the same roots answers with a **vote**, its partial signature, or with the reason why not.
Turns are slots of time after an epoch's sealing round, so a proposer that is dead or dishonest
delays an anchor by a slot and no more. Specified in `protocols/council.md`.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from stkrp2p.core.anchor import Header, Proposal
from stkrp2p.core.crypto import is_signed_by, sha256, sign
from stkrp2p.core.group import GOVERNORS_MAX
from stkrp2p.core.params import Params
from stkrp2p.core.reconcile import Bitmap
from stkrp2p.core.types import Digest, NodeId, ProtocolError
from stkrp2p.core.wire import Bytes32, Bytes48, Bytes64, Message, Uint, decode, encode

COUNCIL_PROTOCOL = "/stkr/council/1"

MOTION_TAG = b"stkr/motion/1"
PROPOSER_TAG = b"stkr/proposer/1"

PARTIALS_MAX = 1024
"""Most partials of rounds in one answer."""

SLOT_PARTS = 2
"""A proposer's turn takes this part of the settle rounds, and at least `SLOT_ROUNDS_MIN`."""

SLOT_ROUNDS_MIN = 2

REASON_CHARACTERS_MAX = 200

Index = Annotated[int, msgspec.Meta(ge=0, le=GOVERNORS_MAX - 1)]
"""Place of a governor in its group's list."""


class AskDeal(Message, frozen=True, tag=1):
    """The deal of one dealer of a ceremony."""

    ceremony: Bytes32
    dealer: Index


class GivePartial(Message, frozen=True, tag=2):
    """A governor's partial signature of a round that is due."""

    network: Bytes32
    session: Uint
    """Of the group whose share signed."""

    round: Uint
    index: Index
    signature: Bytes48


class AskPartials(Message, frozen=True, tag=3):
    """The asked governor's partials of due rounds, from a number on."""

    network: Bytes32
    session: Uint
    first: Uint
    count: Uint


class AskHeld(Message, frozen=True, tag=4):
    """Whose batches the asked governor had in time, and saw the sampled receipt of."""

    network: Bytes32
    epoch: Uint


class AskShown(Message, frozen=True, tag=5):
    """The sampled receipt that an auditor showed to the asked governor."""

    network: Bytes32
    epoch: Uint
    auditor: Bytes32


class Motion(Message, frozen=True, tag=6):
    """What a proposer puts to the vote."""

    network: Bytes32
    slot: Uint
    """Which turn of the epoch, from 0."""

    voids: Uint
    header: Header
    proposal: Proposal
    signature: Bytes64
    """The proposer's, over the turn and `motion_id`."""


class Echo(Message, frozen=True, tag=7):
    """That a governor was moved a motion: whoever knows of another one of that slot says so."""

    network: Bytes32
    epoch: Uint
    slot: Uint
    motion_id: Bytes32
    signature: Bytes64
    """The proposer's."""


class GiveVote(Message, frozen=True, tag=8):
    """A governor's partial signature of an anchor, told to the others."""

    network: Bytes32
    session: Uint
    epoch: Uint
    voids: Uint
    header_hash: Bytes32
    index: Index
    signature: Bytes48


class AskGroup(Message, frozen=True, tag=9):
    """The newest group that the asked governor knows, of the sessions below a number."""

    network: Bytes32
    before: Uint
    """Above all sessions for the newest of all; a session's own number for the group it reshares."""


Question = (
    AskDeal | GivePartial | AskPartials | AskHeld | AskShown | Motion | Echo | GiveVote | AskGroup
)


def read_question(frame: bytes) -> Question:
    """Read a question of the council's protocol.

    Raises:
        ProtocolError: `oversized`, `malformed`, `not-canonical`.
    """
    return decode(frame, Question)  # type: ignore[arg-type]  # a union is no type to mypy


class PartialList(Message, frozen=True):
    """Answer to `AskPartials`: of consecutive rounds."""

    first: Uint
    index: Index
    signatures: Annotated[tuple[Bytes48, ...], msgspec.Meta(max_length=PARTIALS_MAX)]


class HeldList(Message, frozen=True):
    """Answer to `AskHeld`."""

    seed: Bytes32
    """Of the epoch as the asked governor knows it."""

    shown: Bitmap
    """One bit a member, in roster order."""


class Vote(Message, frozen=True):
    """Answer to `Motion`: the partial signature, or why there is none."""

    index: Index
    reason: Annotated[str, msgspec.Meta(max_length=REASON_CHARACTERS_MAX)]
    """Empty for a vote; else a word of `protocols/council.md`, and what it is about."""

    signature: Annotated[bytes, msgspec.Meta(max_length=48)]
    """Empty without a vote."""


class EchoHeard(Message, frozen=True):
    """Answer to `Echo`: another motion of that slot, if the asked governor knows one."""

    motion_id: Annotated[bytes, msgspec.Meta(max_length=32)]
    signature: Annotated[bytes, msgspec.Meta(max_length=64)]


class Heard(Message, frozen=True):
    """Answer to what is only told."""

    is_new: bool


def motion_id(network: bytes, slot: int, voids: int, header: Header) -> Digest:
    """Return SHA-256 of a motion's terms; the header binds the proposal."""
    return sha256(encode([network, header.epoch, slot, voids, header.hash()]))


def _signed(network: bytes, epoch: int, slot: int, motion: bytes) -> Digest:
    """Return what a proposer signs: of which turn its motion is, for who knows the id alone.

    Else one of its motions of another turn could be told against it in this one.
    """
    return sha256(encode([network, epoch, slot, motion]))


def sign_motion(
    secret: bytes, *, network: bytes, slot: int, voids: int, header: Header, proposal: Proposal
) -> Motion:
    """Return a proposer's motion, signed with its node key."""
    identity = motion_id(network, slot, voids, header)
    signature = sign(secret, MOTION_TAG, _signed(network, header.epoch, slot, identity))
    return Motion(
        network=network,
        slot=slot,
        voids=voids,
        header=header,
        proposal=proposal,
        signature=signature,
    )


def id_of(motion: Motion) -> Digest:
    """Return a motion's id."""
    return motion_id(motion.network, motion.slot, motion.voids, motion.header)


def check_motion(motion: Motion, proposer: NodeId) -> None:
    """Check what can be checked without the epoch: proposal, and the proposer's signature.

    Raises:
        ProtocolError: `other-proposal` (not the one in the header), `bad-signature`.
    """
    if motion.header.proposal_hash != sha256(encode(motion.proposal)):
        raise ProtocolError("other-proposal")
    if not is_moved_by(proposer, echo_of(motion)):
        raise ProtocolError("bad-signature")


def echo_of(motion: Motion) -> Echo:
    """Return what is told of a motion."""
    return Echo(
        network=motion.network,
        epoch=motion.header.epoch,
        slot=motion.slot,
        motion_id=id_of(motion),
        signature=motion.signature,
    )


def is_moved_by(proposer: NodeId, echo: Echo) -> bool:
    """Tell whether the proposer signed the motion with this id, and in this slot of this epoch."""
    signed = _signed(echo.network, echo.epoch, echo.slot, echo.motion_id)
    return is_signed_by(proposer, MOTION_TAG, signed, echo.signature)


def proposer_of(seed: Digest, slot: int, count: int) -> int:
    """Return whose turn a slot of the epoch with this seed is: an index below `count`."""
    first = int.from_bytes(sha256(PROPOSER_TAG, seed)[:8], "big")
    return (first + slot) % count


def slot_ms(params: Params) -> int:
    """Return how long a turn takes."""
    rounds = max(SLOT_ROUNDS_MIN, params.settle_rounds // SLOT_PARTS)
    return rounds * params.period_ms
