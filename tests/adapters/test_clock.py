"""The machine's clock and randomness."""

import time

import pytest

from stkrp2p.adapters.clock import SystemClock, SystemEntropy
from stkrp2p.ports import Entropy, WallClock


def test_the_clock_tells_the_machines_milliseconds() -> None:
    clock: WallClock = SystemClock()
    before = time.time_ns() // 1_000_000
    now = clock.unix_ms()
    assert before <= now <= time.time_ns() // 1_000_000


def test_entropy_reaches_every_number_below_its_limit_and_no_other() -> None:
    entropy: Entropy = SystemEntropy()
    assert {entropy.below(3) for _ in range(500)} == {0, 1, 2}
    assert entropy.below(1) == 0
    with pytest.raises(ValueError, match=r"[Uu]pper bound must be positive"):
        entropy.below(0)
