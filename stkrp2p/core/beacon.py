"""Beacon rounds: when they are due, which epoch they belong to, and how one proves itself.

A beacon publishes one signed value per round, at fixed times. Round r is due at

    genesis_ms + (r - 1) * period_ms

The scheme is drand's `bls-unchained-g1-rfc9380`: the message is SHA-256 of the round's number in 8
bytes, the signature lies in G1, and the round's randomness is SHA-256 of the signature. A round
needs no other round to be checked, so any peer may hand it on. Specified in `protocols/beacon.md`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stkrp2p.core import bls
from stkrp2p.core.crypto import sha256, u64
from stkrp2p.core.params import Params
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Judgement,
    NetworkId,
    ProtocolError,
    Round,
    UnixMs,
)
from stkrp2p.core.wire import Bytes32, Bytes48, Message, Uint, decode

NEWS_EARLY_MAX = 1
"""How many rounds ahead of our clock a gossiped round may be: clocks differ by so much."""

NEWS_LATE_MAX = 4
"""How many rounds behind our clock a gossiped round may be; older ones are asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beacon:
    """One beacon chain: its key and its clock."""

    public_key: bytes
    """Compressed BLS key in G2, 96 bytes."""

    genesis_ms: UnixMs
    """When round 1 falls due."""

    period_ms: int
    """Time from one round to the next; more than 0."""

    def __post_init__(self) -> None:
        """Refuse a key of another length and an empty period."""
        if len(self.public_key) != bls.PUBLIC_KEY_BYTES:
            raise ValueError(f"a beacon's key has 96 bytes, got {len(self.public_key)}")
        if self.period_ms <= 0:
            raise ValueError(f"period_ms must be positive, got {self.period_ms}")

    def due_ms(self, number: Round) -> UnixMs:
        """Return when a round falls due."""
        return UnixMs(self.genesis_ms + (number - 1) * self.period_ms)

    def last_due(self, now_ms: UnixMs) -> Round:
        """Return the last round due by now; 0 before the first."""
        return Round(max(0, (now_ms - self.genesis_ms) // self.period_ms + 1))


@dataclass(frozen=True, slots=True)
class BeaconRound:
    """One beacon value. `verified` makes it; a value that exists is checked."""

    number: Round
    signature: bytes
    """Compressed BLS signature in G1, 48 bytes."""

    @property
    def randomness(self) -> Digest:
        """SHA-256 of the signature."""
        return sha256(self.signature)


def round_message(number: Round) -> Digest:
    """Return what a beacon signs for a round: SHA-256 of its number, 8 bytes big-endian."""
    return sha256(u64(number))


def verified(beacon: Beacon, number: Round, signature: bytes) -> BeaconRound:
    """Return the round, checked against the beacon's key.

    Raises:
        ProtocolError: `bad-round`: the beacon did not sign this round with this signature.
    """
    if number < 1 or not bls.is_signed_by(
        beacon.public_key, round_message(number), signature, bls.ROUND_DST
    ):
        raise ProtocolError("bad-round", f"round {number}")
    return BeaconRound(number, signature)


def verified_many(beacon: Beacon, rounds: Sequence[tuple[Round, bytes]]) -> list[BeaconRound]:
    """Return the rounds in their order, all checked at once; one core does some 2,000 a second.

    Args:
        beacon: Whose rounds they are.
        rounds: (number, signature) pairs, not necessarily in a row.

    Raises:
        ProtocolError: `bad-round`: at least one is not the beacon's; names the lowest of those.
    """
    signed = [(round_message(number), s) for number, s in rounds if number >= 1]
    if len(signed) < len(rounds) or not bls.are_signed_by(beacon.public_key, signed, bls.ROUND_DST):
        return [verified(beacon, number, signature) for number, signature in sorted(rounds)]
    return [BeaconRound(number, signature) for number, signature in rounds]


class RoundNews(Message, frozen=True):
    """A round as it is gossiped: the same bytes, whoever publishes it."""

    network: Bytes32
    is_mixed: bool
    """Whether it is of the second beacon, the one mixed into seeds."""

    number: Uint
    signature: Bytes48


NEWS_JUDGEMENTS: Mapping[str, Judgement] = {
    "oversized": Judgement.REJECT,
    "malformed": Judgement.REJECT,
    "not-canonical": Judgement.REJECT,
    "foreign-network": Judgement.REJECT,
    "no-beacon": Judgement.REJECT,
    "early": Judgement.IGNORE,
    "late": Judgement.IGNORE,
    "bad-round": Judgement.REJECT,
}
"""What each reason means: REJECT only where no honest peer could have sent or passed it on."""


Known = Mapping[bool, tuple[Beacon, Mapping[Round, BeaconRound]]]
"""A network's beacons by `is_mixed`, each with the rounds held of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedNews:
    """A judgement of a gossiped round, and the word for it, empty for ACCEPT."""

    judgement: Judgement
    reason: str = ""
    is_mixed: bool = False
    round: BeaconRound | None = None
    """The round, of an accepted message."""


def judge_news(
    frame: bytes,
    *,
    network: NetworkId,
    known: Known,
    now_ms: UnixMs,
) -> JudgedNews:
    """Judge a gossiped round; never raises, whatever arrives.

    Args:
        frame: The message.
        network: Ours.
        known: Its beacons by `is_mixed`, each with the rounds of it that we hold: those cost no
            check.
        now_ms: Our clock; a peer's may be `NEWS_EARLY_MAX` rounds ahead.
    """
    try:
        news = decode(frame, RoundNews)
        one = _told(news, network, known, now_ms)
    except ProtocolError as error:
        return JudgedNews(judgement=NEWS_JUDGEMENTS[error.reason], reason=error.reason)
    return JudgedNews(judgement=Judgement.ACCEPT, is_mixed=news.is_mixed, round=one)


def _told(news: RoundNews, network: NetworkId, known: Known, now_ms: UnixMs) -> BeaconRound:
    if news.network != network:
        raise ProtocolError("foreign-network")
    if news.is_mixed not in known:
        raise ProtocolError("no-beacon")
    beacon, held = known[news.is_mixed]
    number, last_due = Round(news.number), beacon.last_due(now_ms)
    if number > last_due + NEWS_EARLY_MAX:
        raise ProtocolError("early")
    if number < last_due - NEWS_LATE_MAX:
        raise ProtocolError("late")
    one = held.get(number)
    if one is None:
        return verified(beacon, number, news.signature)
    if one.signature != news.signature:  # a round has one signature only
        raise ProtocolError("bad-round")
    return one


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochClock:
    """Which rounds make which epoch, on one beacon."""

    first_round: Round
    """Round 1 of epoch 0."""

    params: Params

    def epoch_of(self, number: Round) -> Epoch:
        """Return the epoch a round belongs to; negative before the network's first round."""
        return Epoch((number - self.first_round) // self.params.rounds_per_epoch)

    def first(self, epoch: Epoch) -> Round:
        """Return the first round of an epoch: the one that seeds it."""
        return Round(self.first_round + epoch * self.params.rounds_per_epoch)

    def last(self, epoch: Epoch) -> Round:
        """Return the last round of an epoch."""
        return Round(self.first_round + (epoch + 1) * self.params.rounds_per_epoch - 1)

    def rounds(self, epoch: Epoch) -> range:
        """Return all round numbers of an epoch."""
        return range(self.first(epoch), self.last(epoch) + 1)

    def seal(self, epoch: Epoch) -> Round:
        """Return the round at which an epoch is sealed: batches that come later are left out."""
        return Round(self.last(epoch) + self.params.settle_rounds)
