"""`testnet up`, as a stranger runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

RUN_S_MAX = 240


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A small network, run once, left running by `--keep`."""
    folder = tmp_path_factory.mktemp("up") / "run"
    command = [sys.executable, "-m", "stkrp2p", "testnet", "up", "--folder", str(folder)]
    command += ["--nodes", "4", "--light", "1", "--down", "1", "--flaky", "0"]
    command += ["--epochs", "3", "--keep", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S_MAX, check=False)
    return folder, done


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stkrp2p", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def config_of(folder: Path, number: int) -> list[str]:
    return ["--config", str(folder / f"node{number}" / "config.toml")]


def dead_node(folder: Path) -> str:
    manifest = json.loads((folder / "manifest.json").read_text())
    return str(next(n["node"] for n in manifest["nodes"] if n["role"] == "down"))


def test_a_run_in_which_all_promises_hold_exits_with_zero(
    run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    _, done = run
    verdict = json.loads(done.stdout)
    assert [f for f in verdict["findings"] if not f["held"]] == [], done.stdout
    assert verdict["held"] is True
    assert done.returncode == 0


def test_the_dead_nodes_fall_is_explained_epoch_by_epoch_and_auditor_by_auditor(
    run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = run
    said = ask("explain", dead_node(folder), "--json", *config_of(folder, 0))
    assert said.returncode == 0, said.stderr
    assert "unreachable" in said.stdout.lower()


def test_a_score_is_proved_and_the_contract_accepts_the_proof(
    run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = run
    said = ask("proof", dead_node(folder), "--json", *config_of(folder, 0))
    assert said.returncode == 0, said.stderr


def test_a_past_epoch_is_replayed_to_its_anchored_roots(
    run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = run
    said = ask("replay", "1", "--json", *config_of(folder, 1))
    assert said.returncode == 0, said.stderr


def test_a_kept_network_is_shown_killed_in_part_and_ended(
    run: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = run
    where = ["--run", str(folder)]
    before = json.loads(ask("testnet", "status", "--json", *where).stdout)["processes"]
    assert before["node0"]["is_alive"]
    assert not before["node3"]["is_alive"]
    assert ask("testnet", "kill", "node1", *where).returncode == 0
    after = json.loads(ask("testnet", "status", "--json", *where).stdout)["processes"]
    assert not after["node1"]["is_alive"]
    assert "node runs" in ask("testnet", "logs", "node0", "--lines", "500", *where).stdout
    assert ask("testnet", "down", *where).returncode == 0
    assert ask("testnet", "status", *where).returncode == 3
