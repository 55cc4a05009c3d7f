"""How long `stkrp2p testnet up` takes from its start to the first anchored epoch.

The command runs as a person runs it, in a process of its own; the moment is when the chain has the
first `Anchored` event, looked for each fifth of a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import msgspec

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.config import read_network
from stkrp2p.core.params import MINIMAL
from testnet.bench.figures import Figure, Report
from testnet.manifest import FILE_NAME, Manifest

ANCHOR_S_MAX = 45.0
UP_S_MAX = 300.0
POLL_S = 0.2
_FULL = ("--nodes", "8", "--light", "2", "--epochs", "3")
_QUICK = ("--nodes", "4", "--light", "0", "--epochs", "1", "--down", "0", "--flaky", "0")


class NeverAnchored(Exception):
    """The command ended, or its time was over, before an epoch was anchored."""


def _facts(folder: Path) -> Manifest | None:
    path = folder / FILE_NAME
    return msgspec.json.decode(path.read_bytes(), type=Manifest) if path.exists() else None


def _is_anchored(facts: Manifest, client: httpx.Client) -> bool:
    anchor = read_network(Path(facts.network)).genesis.anchor
    event = f"0x{interface('ReputationAnchor').topic('Anchored').hex()}"
    where = {"address": f"0x{anchor.hex()}", "topics": [event], "fromBlock": "0x0"}
    order = {"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [where]}
    return bool(client.post(facts.rpc, json=order).json().get("result"))


def watch(command: subprocess.Popen[str], folder: Path) -> dict[str, float]:
    """Return how many seconds after now the manifest was there, and the first anchor.

    Raises:
        NeverAnchored: The command ended or took too long.
    """
    began = time.monotonic()
    seen: dict[str, float] = {}
    with httpx.Client(trust_env=False) as client:
        while time.monotonic() - began < UP_S_MAX and command.poll() is None:
            facts = _facts(folder)
            if facts is not None:
                seen.setdefault("network_s", round(time.monotonic() - began, 1))
                if _is_anchored(facts, client):
                    return {**seen, "first_anchor_s": round(time.monotonic() - began, 1)}
            time.sleep(POLL_S)
    raise NeverAnchored("no epoch was anchored")


def measure(*, is_quick: bool) -> Report:
    """Start a network and time it; wait for its verdict too.

    Raises:
        NeverAnchored: It did not come that far.
    """
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as parent:
        folder = Path(parent) / "run"
        size = _QUICK if is_quick else _FULL
        command = [sys.executable, "-m", "testnet", "up", "--json", "--folder", str(folder), *size]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as up:
            moments = watch(up, folder)
            printed, _ = up.communicate()
    # Round 1 is the start of epoch 0; it is sealed when its settle rounds are over.
    wait_s = (MINIMAL.rounds_per_epoch + MINIMAL.settle_rounds - 1) * MINIMAL.period_ms / 1000
    figure = Figure(
        name="testnet up, start to first anchored epoch",
        measured=moments["first_anchor_s"],
        unit="s",
        aim=ANCHOR_S_MAX,
        limit=wait_s,
        limit_is=f"its {wait_s:.0f} s of rounds",
    )
    held: object = json.loads(printed).get("held")
    return Report(figures=(figure,), detail={**moments, "size": " ".join(size), "held": held})
