"""`testnet market`, as a stranger runs it: votes, bids, a draw, work, money, and a failure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e

RUN_S_MAX = 570
ASK_S_MAX = 60


def ask(*arguments: str, time_s: int = ASK_S_MAX) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stkrp2p", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=time_s, check=False)


@dataclass(frozen=True)
class Run:
    """A market's story, told once, its network left running."""

    folder: Path
    done: subprocess.CompletedProcess[str]

    @property
    def verdict(self) -> Any:  # a JSON document
        return json.loads(self.done.stdout)

    def kept(self, words: str) -> list[bool]:
        """Return whether the promises with these words held."""
        return [f["held"] for f in self.verdict["findings"] if words in f["promise"]]

    def read(self, *arguments: str) -> Any:
        """Ask a command of a living governor's node for its JSON."""
        config = str(self.folder / "node0" / "config.toml")
        said = ask(*arguments, "--json", "--config", config)
        assert said.returncode == 0, said.stderr
        return json.loads(said.stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    folder = tmp_path_factory.mktemp("market") / "run"
    where = ["--folder", str(folder)]
    yield Run(folder, ask("testnet", "market", "--keep", "--json", *where, time_s=RUN_S_MAX))
    if (folder / "manifest.json").exists():
        ask("testnet", "down", "--run", str(folder))


def test_a_market_in_which_all_promises_hold_exits_with_zero(run: Run) -> None:
    said = run.done.stdout + run.done.stderr
    assert run.done.returncode == 0, said
    assert [f for f in run.verdict["findings"] if not f["held"]] == [], said
    assert run.verdict["held"] is True


def test_providers_enter_by_vote_and_timelock(run: Run) -> None:
    # R15, R20, R42, R45
    assert run.kept("approved by vote, through the timelock") == [True]


def test_both_draws_follow_from_the_councils_rounds_and_the_anchored_scores(run: Run) -> None:
    # R50, R68
    assert run.kept("the draw computed anew in Python gives the same provider") == [True, True]
    assert run.kept("the bids' scores follow from the evidence") == [True, True]


def test_a_deal_that_goes_well_is_split_to_the_wei(run: Run) -> None:
    # R55
    assert run.kept("its money is split as the core computes it") == [True]


def test_a_provider_whose_node_is_killed_pays_and_is_disqualified(run: Run) -> None:
    # R59, R61, Q12, Q15
    assert run.kept("its provider pays and the requester gets its money back") == [True]
    assert run.kept("it is disqualified") == [True]
    assert run.kept("the disqualified provider's next bid is refused") == [True]
    assert 0 < run.verdict["detection_s"] < run.verdict["duration_s"]


def test_no_wei_is_made_or_lost_over_both_deals(run: Run) -> None:
    assert run.kept("over both deals everybody has, to the wei, what it should") == [True]


def test_a_kept_market_is_read_by_the_commands(run: Run) -> None:
    # R19, R42: the network file names rule and market, so every command finds them.
    policy = run.read("policy", "show")
    assert json.dumps(policy).count("FailBelowPpm") == 1
    manifest = json.loads((run.folder / "manifest.json").read_text())
    [dead] = [n for n in manifest["nodes"] if n["role"] == "down"]
    assert "unreachable" in json.dumps(run.read("explain", dead["node"])).lower()


def test_a_kept_market_is_ended(run: Run) -> None:
    where = ["--run", str(run.folder)]
    assert ask("testnet", "down", *where).returncode == 0
    assert ask("testnet", "status", *where).returncode == 3
