"""What the pages say of rule and market is what the contracts do, and their tests cite every row."""

import json
import re
from pathlib import Path

import pytest

from stkrp2p.core.params import PRESETS

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "protocols" / "contracts"
SOURCES = {p.stem: p.read_text("utf-8") for p in sorted((CONTRACTS / "src").rglob("*.sol"))}
SOLIDITY_TESTS = "\n".join(p.read_text("utf-8") for p in (CONTRACTS / "test").rglob("*.sol"))
MARKET = (ROOT / "protocols" / "market.md").read_text("utf-8")

ROWS = [9, 13, *range(15, 21), 24, *range(26, 37), *range(40, 63), 67, 68]
"""Rows of the requirements that rule, market and their economics fill."""

RULE_AND_MARKET = ("Policy", "Prices", "Pot", "Providers", "Market", "Deals", "VoterRewards")
"""Contracts of ours whose privileged functions the role map lists."""

ARTIFACTS = ROOT / "stkrp2p" / "adapters" / "artifacts"

COUNTS_AND_PRICES = {"10", "1,000", "100,000", "21,000", "24,576"}
"""What stands beside gas and sizes: how many entries, Ethereum's own prices, its limit of code."""

MEASURED_ONCE = {"107,280"}
"""Gas of a referendum's count among 100,000, too long to measure in every run."""

FUNCTION = re.compile(r"\n    function (\w+)(\([^{;]*)\{(.*?)\n    \}", re.DOTALL)
PRIVILEGED_HEAD = re.compile(r"\bonly[A-Z]\w+")
PRIVILEGED_BODY = re.compile(r"msg\.sender != [A-Z]{2,}\b")


def cited(text: str) -> set[int]:
    """Return the rows a text cites, `R15-R18` being four."""
    found: set[int] = set()
    for first, last in re.findall(r"\bR(\d+)(?:-R(\d+))?\b", text):
        found.update(range(int(first), int(last or first) + 1))
    return found


def lineage(contract: str) -> set[str]:
    """Return a contract and all that it inherits."""
    head = re.search(
        rf"^(?:abstract )?contract {contract}\b([^{{]*)", SOURCES[contract], re.MULTILINE
    )
    assert head, contract
    bases = [b for b in re.findall(r"\w+", head[1]) if f"contract {b} " in SOURCES.get(b, "")]
    return {contract}.union(*(lineage(base) for base in bases))


def privileged(contract: str) -> set[str]:
    """Return the functions that ask who calls and compare it with an address fixed at deployment."""
    return {
        name
        for part in lineage(contract)
        for name, head, body in FUNCTION.findall(SOURCES[part])
        if "external" in head and (PRIVILEGED_HEAD.search(head) or PRIVILEGED_BODY.search(body))
    }


def role_map() -> dict[str, set[str]]:
    """Return contract -> its functions in the page's table of roles."""
    section = MARKET[MARKET.index("## 1. Parties and roles") : MARKET.index("## 2. ")]
    found: dict[str, set[str]] = {}
    for contract, functions in re.findall(r"^\| `(\w+)` \| ([^|]+) \|", section, re.MULTILINE):
        found.setdefault(contract, set()).update(re.findall(r"`(\w+)`", functions))
    return found


@pytest.mark.parametrize("contract", RULE_AND_MARKET)
def test_the_role_map_lists_exactly_the_functions_that_one_address_may_call(contract: str) -> None:
    assert privileged(contract) == role_map().get(contract, set())


def test_every_row_that_rule_and_market_fill_is_cited_by_a_test() -> None:
    files = [p for p in (ROOT / "tests").rglob("*.py") if p != Path(__file__)]
    rows = cited("\n".join([*(p.read_text("utf-8") for p in files), SOLIDITY_TESTS]))
    assert [f"R{row}" for row in ROWS if row not in rows] == []


def test_every_test_that_the_table_of_attacks_names_exists() -> None:
    named = set(re.findall(r"`(test\w+)`", MARKET))
    existing = set(re.findall(r"function (test\w+)\(", SOLIDITY_TESTS))
    assert len(named) > 20
    assert named <= existing


def epochs_until_low(decay_q32: int, good_epochs: int, low_ppm: int = 600_000) -> int:
    """Return how many epochs of nothing but DOWN bring the uptime of so many good ones below `low_ppm`."""
    seen = sum((decay_q32 / 2**32) ** age for age in range(good_epochs))
    up, epochs = seen, 0
    while up * 1_000_000 >= seen * low_ppm:
        up, seen = up * decay_q32 / 2**32, seen * decay_q32 / 2**32 + 1
        epochs += 1
    return epochs


@pytest.mark.parametrize("preset", ["minimal", "mainnet"])
def test_the_text_says_how_many_epochs_a_dead_node_goes_unseen_by_its_score(preset: str) -> None:
    row = re.search(rf"^\| epochs, preset {preset} \|(.*)\|$", MARKET, re.MULTILINE)
    assert row
    written = [int(cell) for cell in row[1].split("|")]
    decay = PRESETS[preset].decay_q32
    assert written == [epochs_until_low(decay, good) for good in (1, 2, 5, 10, 50, 20_000)]


def test_every_error_and_event_says_what_it_means() -> None:
    mute = [
        (name, declared)
        for name, text in SOURCES.items()
        for before, declared in re.findall(r"([^\n]*)\n +((?:error|event) \w+)\(", text)
        if not before.strip().startswith("///")
    ]
    assert mute == []


def test_gas_and_sizes_in_the_text_are_those_that_were_recorded() -> None:
    """A figure that moved, in a snapshot or an artifact, is a figure to mend in the text."""
    snapshots = [json.loads(p.read_text("utf-8")) for p in (CONTRACTS / "snapshots").iterdir()]
    gas = {f"{int(value):,}" for snapshot in snapshots for value in snapshot.values()}
    sizes = {
        f"{len(json.loads(p.read_text('utf-8'))['runtime']) // 2 - 1:,}"
        for p in ARTIFACTS.glob("*.json")
        if p.stem != "build"
    }
    readme = (CONTRACTS / "README.md").read_text("utf-8")
    governance = (ROOT / "protocols" / "governance.md").read_text("utf-8")
    for text, heading in ((readme, "### Rule and market"), (governance, "## 10. What it costs")):
        section = re.split(r"^##", text[text.index(heading) + 3 :], flags=re.MULTILINE)[0]
        figures = set(re.findall(r"\b\d{1,3}(?:,\d{3})+\b|(?<=\| )\d+(?= \|)", section))
        assert len(figures) > 20
        assert figures - gas - sizes - COUNTS_AND_PRICES - MEASURED_ONCE == set()
