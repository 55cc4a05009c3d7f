"""The contracts' money and the core's, held against each other to the last unit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from testnet.contracts import running_chain
from testnet.vectors import money
from tests.contracts.conftest import harness_of

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

VECTORS = Path(__file__).resolve().parents[2] / "protocols" / "vectors"

FUZZ = 5_000
"""Random cases of each formula that has many branches."""

CALL_CASES = 500
"""How many go into one call."""

Row = tuple[int, ...]


@pytest.fixture(scope="module")
def harness(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    with running_chain(tmp_path_factory.mktemp("anvil") / "anvil.log") as chain:
        yield chain.create(harness_of(builder, "MoneyHarness"))


def told(harness: Contract, function: str, rows: Sequence[Row]) -> list[list[int]]:
    """Return what the contract says of each row."""
    found = []
    for first in range(0, len(rows), CALL_CASES):
        some = rows[first : first + CALL_CASES]
        found += harness.get_function_by_name(function)(some).call()
    return [answer if isinstance(answer, list) else [answer] for answer in found]


@cache
def vectors(group: str) -> tuple[list[Row], list[list[int]]]:
    cases = json.loads((VECTORS / "money.json").read_text("utf-8"))[group]
    given, expected = (
        [list(map(int, case[side].split("|"))) for case in cases] for side in ("given", "expected")
    )
    return [tuple(row) for row in given], expected


@pytest.mark.parametrize(
    ("function", "group"), [("splits", "splits"), ("losses", "covers"), ("lostProfits", "losses")]
)
def test_the_contract_gets_every_vector_of_a_deals_money_right(harness, function, group):
    """R55, R58, R59, Q11, Q12."""
    given, expected = vectors(group)
    assert len(given) >= 100
    assert told(harness, function, given) == expected


def check(
    harness: Contract, function: str, rows: list[Row], formula: Callable[[Row], Sequence[int]]
) -> None:
    answers = told(harness, function, rows)
    for row, answer in zip(rows, answers, strict=True):
        assert answer == list(formula(row)), row


def test_the_contract_and_the_core_split_each_of_5_000_deals_alike(harness):
    """R55, Q11."""
    rows = list(money.split_rows(seed=31, count=FUZZ))
    check(harness, "splits", rows, money.split_of)
    splits = [money.split_of(row) for row in rows]
    assert (
        sum(s[4] > e * r // 10_000 for s, (_, e, _, r, *_) in zip(splits, rows, strict=True)) > 50
    )


def test_the_contract_and_the_core_cover_each_of_5_000_losses_alike(harness):
    """R59, Q12: and each of the four who can bear a loss does in many of them."""
    rows = list(money.cover_rows(seed=32, count=FUZZ))
    check(harness, "losses", rows, money.cover_of)
    borne = [money.cover_of(row) for row in rows]
    assert min(sum(paid[who] > 0 for paid in borne) for who in range(4)) > FUZZ // 20


def test_the_contract_and_the_core_find_the_same_loss_in_each_of_1_000_deals(harness):
    """Q12."""
    rows = list(money.loss_rows(seed=33, count=FUZZ // 5))
    check(harness, "lostProfits", rows, lambda row: (money.loss_of_row(row),))
