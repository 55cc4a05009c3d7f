"""The contracts' campaigns at full length: 256 runs of 100 calls, and 10,000 runs of fuzz tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CONTRACTS = Path(__file__).resolve().parents[2] / "protocols" / "contracts"


@pytest.mark.slow
def test_no_invariant_breaks_in_long_campaigns(tmp_path):
    forge = next(CONTRACTS.glob("node_modules/@foundry-rs/forge-*/bin/forge"))
    places = {"FOUNDRY_OUT": str(tmp_path / "out"), "FOUNDRY_CACHE_PATH": str(tmp_path / "cache")}
    run = subprocess.run(
        [forge, "test", "--force"],
        cwd=CONTRACTS,
        env={**os.environ, **places, "FOUNDRY_PROFILE": "ci"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-8_000:] + run.stderr[-2_000:]
    assert "(runs: 256, calls: 25600" in run.stdout
