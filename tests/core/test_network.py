"""A network is its genesis: whoever changes one fact is on another network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.types import Epoch, Round, UnixMs

BEACON = Beacon(public_key=bls.public_key_of(7), genesis_ms=UnixMs(1_000), period_ms=1_000)
GENESIS = Genesis(
    name="test",
    params=MINIMAL,
    beacon=BEACON,
    first_round=Round(101),
    chain_id=31337,
    registry=bytes(20),
    anchor=b"\1" * 20,
    council=bytes(20),
    council_key=bls.public_key_of(9),
)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"params": MAINNET},
        {"params": replace(MINIMAL, retain_epochs=65)},
        {"beacon": replace(BEACON, public_key=bls.public_key_of(8))},
        {"beacon": replace(BEACON, genesis_ms=UnixMs(2_000))},
        {"beacon": replace(BEACON, period_ms=2_000)},
        {"first_round": Round(102)},
        {"chain_id": 1},
        {"registry": b"\2" * 20},
        {"anchor": b"\2" * 20},
        {"council": b"\2" * 20},
        {"council_key": bls.public_key_of(10)},
        {"mixed": BEACON},
        {"mixed": replace(BEACON, period_ms=2_000)},
    ],
)
def test_every_fact_of_the_genesis_changes_the_network_id(change: dict[str, object]) -> None:
    assert replace(GENESIS, **change).network_id != GENESIS.network_id  # type: ignore[arg-type]


def test_the_same_genesis_is_the_same_network() -> None:
    assert replace(GENESIS).network_id == GENESIS.network_id
    assert len(GENESIS.network_id) == 32


def test_epochs_start_with_their_first_round() -> None:
    assert GENESIS.clock.first(Epoch(2)) == 101 + 2 * MINIMAL.rounds_per_epoch
    assert GENESIS.start_ms(Epoch(0)) == BEACON.due_ms(Round(101)) == 101_000
    assert GENESIS.start_ms(Epoch(1)) - GENESIS.start_ms(Epoch(0)) == MINIMAL.epoch_ms


def test_a_seed_mixes_in_the_second_beacons_first_round_due_at_the_epochs_start_or_after() -> None:
    assert GENESIS.mixed_round(Epoch(2)) == 0
    for genesis_ms, period_ms in ((500, 2_000), (101_000, 3_000), (10**9, 3_000)):
        second = Beacon(
            public_key=BEACON.public_key, genesis_ms=UnixMs(genesis_ms), period_ms=period_ms
        )
        mixing = replace(GENESIS, mixed=second)
        for epoch in map(Epoch, range(20)):
            number, start_ms = mixing.mixed_round(epoch), mixing.start_ms(epoch)
            assert number == 1 or second.due_ms(Round(number - 1)) < start_ms
            assert second.due_ms(number) >= start_ms
