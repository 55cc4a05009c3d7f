"""The contract's mathematics of scores and the core's, held against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from stkrp2p.core.fraud import MATRIX
from stkrp2p.core.merkle import words
from testnet.contracts import running_chain
from tests.contracts.score_cases import Case, cases, possible_cases

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

RIGHT = 255
"""What the contract says of a right score."""

CASES = 12_000
CALL_CASES = 400
"""How many go into one call; each takes some 50,000 gas."""


@pytest.fixture(scope="module")
def harness(score_harness, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    with running_chain(tmp_path_factory.mktemp("anvil") / "anvil.log") as chain:
        yield chain.create(score_harness)


def calls(drawn: Sequence[Case]) -> Iterator[tuple[int, bytes]]:
    """Yield the arguments of each call."""
    for first in range(0, len(drawn), CALL_CASES):
        some = drawn[first : first + CALL_CASES]
        yield len(some), b"".join(case.row() for case in some)


def faults(harness: Contract, drawn: Sequence[Case]) -> list[int | None]:
    told = b"".join(harness.functions.faults(*call).call() for call in calls(drawn))
    return [None if byte == RIGHT else byte for byte in told]


def test_the_contract_and_the_core_find_the_same_fault_in_each_of_12_000_cases(harness):
    drawn = list(cases(seed=1, count=CASES))
    ours = [case.fault for case in drawn]
    theirs = faults(harness, drawn)
    for i, (left, right) in enumerate(zip(ours, theirs, strict=True)):
        assert left == right, (i, drawn[i])
    seen = Counter(ours)
    assert set(seen) == {None, *range(2, MATRIX + 1)}
    assert min(seen.values()) > CASES // 200
    assert seen[None] > CASES // 3


def test_the_contract_and_the_core_come_to_the_same_score_in_each_of_4_000_cases(harness):
    drawn = list(possible_cases(seed=2, count=CASES // 3))
    told = [s for call in calls(drawn) for s in harness.functions.scores(*call).call()]
    for i, (case, numbers) in enumerate(zip(drawn, told, strict=True)):
        assert words(*numbers) == case.right.leaf(), (i, case)
