"""Rounds are due at fixed times, make epochs, and prove themselves."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pyblst
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core import bls
from stkrp2p.core.batch import JUDGEMENTS
from stkrp2p.core.beacon import (
    NEWS_EARLY_MAX,
    NEWS_JUDGEMENTS,
    NEWS_LATE_MAX,
    Beacon,
    BeaconRound,
    EpochClock,
    JudgedNews,
    RoundNews,
    judge_news,
    round_message,
    verified,
    verified_many,
)
from stkrp2p.core.crypto import sha256
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.types import Epoch, Judgement, NetworkId, ProtocolError, Round, UnixMs
from stkrp2p.core.wire import FRAME_BYTES_MAX, encode

QUICKNET = json.loads((Path(__file__).parent / "data/quicknet_rounds.json").read_text())
BEACON = Beacon(
    public_key=bytes.fromhex(QUICKNET["public_key"]),
    genesis_ms=UnixMs(QUICKNET["genesis_time_s"] * 1000),
    period_ms=QUICKNET["period_s"] * 1000,
)

rounds = st.integers(1, 10**9).map(Round)
clocks = st.builds(EpochClock, first_round=rounds, params=st.sampled_from([MINIMAL, MAINNET]))


@pytest.mark.parametrize("known", QUICKNET["rounds"], ids=lambda r: str(r["round"]))
def test_a_real_round_proves_itself_and_gives_its_randomness(known: dict[str, str]) -> None:
    number, signature = Round(int(known["round"])), bytes.fromhex(known["signature"])
    one = verified(BEACON, number, signature)
    assert one == BeaconRound(number, signature)
    assert one.randomness.hex() == known["randomness"]


def test_a_round_with_another_number_or_signature_is_refused() -> None:
    known = QUICKNET["rounds"][0]
    signature = bytes.fromhex(known["signature"])
    for number, claimed in ((known["round"] + 1, signature), (known["round"], signature[::-1])):
        with pytest.raises(ProtocolError, match=rf"^bad-round: round {number}$"):
            verified(BEACON, Round(number), claimed)


def test_there_is_no_round_before_the_first() -> None:
    secret = 5
    beacon = Beacon(public_key=bls.public_key_of(secret), genesis_ms=UnixMs(0), period_ms=1)
    signature = bls.sign(secret, round_message(Round(0)), bls.ROUND_DST)
    with pytest.raises(ProtocolError, match=r"^bad-round: round 0$"):
        verified(beacon, Round(0), signature)


# ------------------------------------------------------------------------------- many at once


SECRET = bls.secret_of(b"the beacon of these tests" * 2)
OURS = Beacon(public_key=bls.public_key_of(SECRET), genesis_ms=UnixMs(0), period_ms=1)
KNOWN = [(Round(r), bls.sign(SECRET, round_message(Round(r)), bls.ROUND_DST)) for r in range(1, 13)]


def negated(signature: bytes) -> bytes:
    return bytes([signature[0] ^ 0x20]) + signature[1:]


@given(st.lists(st.sampled_from(KNOWN)))
def test_many_rounds_are_verified_at_once_in_any_order_gaps_and_copies_included(
    known: list[tuple[Round, bytes]],
) -> None:
    assert verified_many(OURS, known) == [verified(OURS, *one) for one in known]


def test_real_rounds_of_quicknet_are_verified_at_once() -> None:
    known = [(Round(r["round"]), bytes.fromhex(r["signature"])) for r in QUICKNET["rounds"]]
    found = verified_many(BEACON, known)
    assert [r.randomness.hex() for r in found] == [r["randomness"] for r in QUICKNET["rounds"]]


BAD = [bytes(48), b"\xc0" + bytes(47), b"", KNOWN[0][1][:-1], negated(KNOWN[5][1]), b"\x80" * 48]


@given(st.sets(st.integers(0, 11), min_size=1), st.data())
def test_of_many_rounds_the_lowest_bad_one_is_named(bad: set[int], data: st.DataObject) -> None:
    claimed = [
        (number, data.draw(st.sampled_from(BAD)) if i in bad else signature)
        for i, (number, signature) in enumerate(KNOWN)
    ]
    lowest = min(bad) + 1
    with pytest.raises(ProtocolError, match=rf"^bad-round: round {lowest}$"):
        verified_many(OURS, data.draw(st.permutations(claimed)))


@given(st.lists(st.sampled_from(range(12)), min_size=2, max_size=2, unique=True))
def test_two_rounds_with_swapped_signatures_do_not_make_up_for_each_other(pair: list[int]) -> None:
    (a, signature_a), (b, signature_b) = (KNOWN[i] for i in pair)
    with pytest.raises(ProtocolError, match=rf"^bad-round: round {min(a, b)}$"):
        verified_many(OURS, [(a, signature_b), (b, signature_a)])


def test_errors_that_cancel_in_a_sum_are_found() -> None:
    error = bls.sign(SECRET, b"an error", bls.ROUND_DST)
    (a, left), (b, right) = KNOWN[:2]
    points = [pyblst.BlstP1Element.uncompress(p) for p in (left, right, error)]
    up, down = points[0] + points[2], points[1] + -points[2]
    with pytest.raises(ProtocolError, match=r"^bad-round: round 1$"):
        verified_many(OURS, [(a, bytes(up.compress())), (b, bytes(down.compress()))])


def test_a_round_before_the_first_spoils_the_many() -> None:
    early = Round(0), bls.sign(SECRET, round_message(Round(0)), bls.ROUND_DST)
    with pytest.raises(ProtocolError, match=r"^bad-round: round 0$"):
        verified_many(OURS, [KNOWN[0], early])


def test_under_no_key_is_any_of_many_rounds_good() -> None:
    for key in (b"\xc0" + bytes(95), b"\x80" * 96):
        beacon = Beacon(public_key=key, genesis_ms=UnixMs(0), period_ms=1)
        assert verified_many(beacon, []) == []
        with pytest.raises(ProtocolError, match=r"^bad-round: round 1$"):
            verified_many(beacon, KNOWN)


# ------------------------------------------------------------------------------- gossip


NETWORK, LAST_DUE = NetworkId(b"n" * 32), Round(7)
SECOND = Beacon(public_key=bls.public_key_of(7), genesis_ms=UnixMs(0), period_ms=1)


def news(number: int, **changes: object) -> RoundNews:
    one = RoundNews(
        network=NETWORK,
        is_mixed=False,
        number=number,
        signature=bls.sign(SECRET, round_message(Round(number)), bls.ROUND_DST),
    )
    return msgspec.structs.replace(one, **changes)


def judged(
    message: RoundNews | bytes, *held: int, beacons: tuple[Beacon, ...] = (OURS,)
) -> JudgedNews:
    frame = message if isinstance(message, bytes) else encode(message)
    rounds = {n: BeaconRound(n, s) for n, s in KNOWN if n in held}
    known = {bool(i): (beacon, rounds) for i, beacon in enumerate(beacons)}
    return judge_news(frame, network=NETWORK, known=known, now_ms=OURS.due_ms(LAST_DUE))


def test_a_round_that_proves_itself_is_accepted_from_a_little_late_to_a_little_early() -> None:
    for number in range(1, 14):
        found = judged(news(number))
        if number < LAST_DUE - NEWS_LATE_MAX:
            assert (found.judgement, found.reason) == (Judgement.IGNORE, "late")
        elif number > LAST_DUE + NEWS_EARLY_MAX:
            assert (found.judgement, found.reason) == (Judgement.IGNORE, "early")
        else:
            assert (found.judgement, found.reason) == (Judgement.ACCEPT, "")
            assert found.round == verified(OURS, Round(number), news(number).signature)


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("oversized", bytes(FRAME_BYTES_MAX + 1)),
        ("malformed", b""),
        ("malformed", encode(news(7)) + b"\0"),
        ("not-canonical", encode(news(7)).replace(b"\x94", b"\xdc\0\4", 1)),
        ("foreign-network", news(7, network=bytes(32))),
        ("no-beacon", news(7, is_mixed=True)),
        ("bad-round", news(7, signature=news(6).signature)),
        ("bad-round", msgspec.structs.replace(news(7), number=6)),
        ("bad-round", news(7, signature=bytes(48))),
    ],
)
def test_a_wrong_round_gets_the_judgement_of_its_reason(
    reason: str, message: RoundNews | bytes
) -> None:
    found = judged(message)
    assert (found.judgement, found.reason) == (Judgement.REJECT, reason)
    assert found.round is None


def test_a_round_that_is_held_costs_no_check_and_has_one_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right, wrong = news(7), news(7, signature=news(6).signature)
    monkeypatch.setattr(bls, "is_signed_by", lambda *_: pytest.fail("checked"))
    assert judged(right, 7).judgement is Judgement.ACCEPT
    assert (judged(wrong, 7).judgement, judged(wrong, 7).reason) == (Judgement.REJECT, "bad-round")


def test_a_round_of_the_second_beacon_is_judged_by_its_key_and_clock() -> None:
    message = bls.sign(7, round_message(Round(7)), bls.ROUND_DST)
    found = judged(news(7, is_mixed=True, signature=message), beacons=(OURS, SECOND))
    assert (found.judgement, found.is_mixed) == (Judgement.ACCEPT, True)
    found = judged(news(7, signature=message), beacons=(OURS, SECOND))
    assert (found.judgement, found.reason) == (Judgement.REJECT, "bad-round")


def test_a_word_of_judgement_means_the_same_for_rounds_and_batches() -> None:
    both = NEWS_JUDGEMENTS.keys() & JUDGEMENTS.keys()
    assert {w: NEWS_JUDGEMENTS[w] for w in both} == {w: JUDGEMENTS[w] for w in both}


def test_a_rounds_message_is_the_hash_of_8_bytes() -> None:
    assert round_message(Round(258)) == sha256(b"\0\0\0\0\0\0\1\2")


@given(rounds)
def test_a_round_is_the_last_due_from_its_time_until_the_next(number: Round) -> None:
    due_ms = BEACON.due_ms(number)
    assert BEACON.last_due(due_ms) == number
    assert BEACON.last_due(UnixMs(due_ms + BEACON.period_ms - 1)) == number
    assert BEACON.last_due(UnixMs(due_ms - 1)) == number - 1


@given(st.integers(0, 10**6))
def test_before_genesis_no_round_is_due(early_ms: int) -> None:
    assert BEACON.last_due(UnixMs(BEACON.genesis_ms - 1 - early_ms)) == 0


@given(clocks, st.integers(0, 10**6).map(Epoch))
def test_every_round_belongs_to_one_epoch(clock: EpochClock, epoch: Epoch) -> None:
    numbers = clock.rounds(epoch)
    assert len(numbers) == clock.params.rounds_per_epoch
    assert (numbers[0], numbers[-1]) == (clock.first(epoch), clock.last(epoch))
    assert {clock.epoch_of(Round(r)) for r in numbers} == {epoch}
    assert clock.epoch_of(Round(numbers[0] - 1)) == epoch - 1
    assert clock.first(Epoch(epoch + 1)) == clock.last(epoch) + 1


@given(clocks, st.integers(0, 10**6).map(Epoch))
def test_an_epoch_is_sealed_when_its_settle_rounds_are_over(
    clock: EpochClock, epoch: Epoch
) -> None:
    assert clock.seal(epoch) - clock.last(epoch) == clock.params.settle_rounds


def test_the_first_round_of_a_network_opens_epoch_0() -> None:
    clock = EpochClock(first_round=Round(1001), params=MINIMAL)
    assert clock.first(Epoch(0)) == 1001
    assert clock.epoch_of(Round(1000)) == -1


def test_a_beacon_has_a_key_of_96_bytes_and_a_period() -> None:
    with pytest.raises(ValueError, match=r"^a beacon's key has 96 bytes, got 48$"):
        Beacon(public_key=bytes(48), genesis_ms=UnixMs(0), period_ms=1)
    with pytest.raises(ValueError, match=r"^period_ms must be positive, got 0$"):
        Beacon(public_key=bytes(96), genesis_ms=UnixMs(0), period_ms=0)
