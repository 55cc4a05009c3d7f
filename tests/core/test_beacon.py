"""Rounds are due at fixed times, make epochs, and prove themselves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, BeaconRound, EpochClock, round_message, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.types import Epoch, ProtocolError, Round, UnixMs

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
