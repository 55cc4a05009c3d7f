"""Fixtures of this folder; what they are made of is in `edge_kit`."""

import json
import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import trio

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # for edge_kit and edge_attacks, which other processes share

from edge_kit import Lab  # noqa: E402


@pytest.fixture
async def lab():
    """Opens edges by name and closes them at the end of the test."""
    async with trio.open_nursery() as nursery:
        lab = Lab(nursery)
        yield lab
        await lab.stop_all()
        nursery.cancel_scope.cancel()


@pytest.fixture(scope="session")
def stock() -> dict[str, object]:
    """What the stock library did in each case of `edge_stock`."""
    done = subprocess.run(
        [sys.executable, str(HERE / "edge_stock.py")],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(autouse=True)
def _quiet_library():
    """Keep what the stock attackers log out of the tests' output."""
    logging.getLogger("libp2p").setLevel(logging.CRITICAL)


@pytest.fixture
def counters() -> Counter[str]:
    return Counter()
