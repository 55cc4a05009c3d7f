"""The presets keep the protocol's bounds, and numbers it cannot work with are refused."""

from __future__ import annotations

from dataclasses import astuple, replace

import pytest

from stkrp2p.core.params import (
    BATCH_BYTES_MAX,
    CANDIDATES_MAX,
    EPOCH_ROUNDS_MAX,
    K_AUD_MAX,
    LAMBDA_ONE,
    MAINNET,
    MINIMAL,
    PRESETS,
    Params,
)
from stkrp2p.core.types import ONE_PPM
from stkrp2p.core.wire import FRAME_BYTES_MAX


@pytest.mark.parametrize("params", PRESETS.values(), ids=PRESETS)
def test_a_preset_keeps_every_bound(params: Params) -> None:
    assert params.k_aud % 2 == 1
    assert params.k_aud <= K_AUD_MAX
    assert params.k_aud <= params.candidates <= CANDIDATES_MAX
    assert params.batch_bytes_max <= BATCH_BYTES_MAX < FRAME_BYTES_MAX
    assert params.probe_window_ms < params.period_ms
    assert all(isinstance(value, int) for value in astuple(params))


def test_an_epoch_of_minimal_lasts_12_seconds_and_one_of_mainnet_an_hour() -> None:
    assert MINIMAL.epoch_ms == 12_000
    assert MAINNET.epoch_ms == 3_600_000


def test_decay_is_rounded_down_from_its_decimal() -> None:
    assert MINIMAL.decay_q32 == 9 * LAMBDA_ONE // 10
    assert MAINNET.decay_q32 == 998_733 * LAMBDA_ONE // 1_000_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k_aud": 4}, "k_aud must be odd and at most 15, got 4"),
        ({"k_aud": 17}, "k_aud must be odd and at most 15, got 17"),
        ({"k_aud": -1}, "k_aud must be odd and at most 15, got -1"),
        ({"candidates": 2}, "candidates must be from k_aud to 32, got 2"),
        ({"candidates": 33}, "candidates must be from k_aud to 32, got 33"),
        ({"draw_ppm": -1}, "draw_ppm must be from 0 to 1000000, got -1"),
        ({"draw_ppm": 1_000_001}, "draw_ppm must be from 0 to 1000000, got 1000001"),
        ({"decay_q32": 0}, "decay_q32 must be inside (0, 2**32), got 0"),
        ({"decay_q32": 1 << 32}, "decay_q32 must be inside (0, 2**32), got 4294967296"),
        (
            {"settle_rounds": -1},
            "parameters must not be negative, periods and epochs not empty",
        ),
        ({"period_ms": 0}, "parameters must not be negative, periods and epochs not empty"),
        ({"rounds_per_epoch": 0}, "parameters must not be negative, periods and epochs not empty"),
        ({"design_effect": 0}, "design_effect must be positive, got 0"),
        (
            {"rounds_per_epoch": EPOCH_ROUNDS_MAX + 1},
            "an epoch has at most 4096 rounds, and its largest batch at most 40960 bytes,"
            " got 4097 and 25126",
        ),
        (
            {"rounds_per_epoch": 1300, "candidates": 32},
            "an epoch has at most 4096 rounds, and its largest batch at most 40960 bytes,"
            " got 1300 and 43392",
        ),
    ],
)
def test_numbers_the_protocol_cannot_work_with_are_refused(
    change: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # compared whole below
        replace(MINIMAL, **change)  # type: ignore[arg-type]
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "change",
    [
        {"k_aud": 15, "candidates": 15},
        {"draw_ppm": 0},
        {"draw_ppm": ONE_PPM},
        {"decay_q32": 1},
        {"decay_q32": LAMBDA_ONE - 1},
        {"rounds_per_epoch": EPOCH_ROUNDS_MAX, "candidates": 3},
        {"candidates": CANDIDATES_MAX},
    ],
)
def test_numbers_at_their_bounds_are_taken(change: dict[str, int]) -> None:
    replace(MINIMAL, **change)  # type: ignore[arg-type]
