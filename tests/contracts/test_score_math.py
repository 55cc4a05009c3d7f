"""The contract's mathematics of scores and the core's, held against each other."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stkrp2p.adapters.chain.wallet import GAS_MAX
from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import MATRIX, Sighted
from stkrp2p.core.merkle import words
from stkrp2p.core.params import BATCH_BYTES_MAX, K_AUD_MAX, PRESETS
from stkrp2p.core.score import Score
from stkrp2p.core.types import Outcome
from testnet.contracts import running_chain
from testnet.vectors.claims import Claim, claims, possible_claims

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

RIGHT = 255
"""What the contract says of a right score."""

CASES = 12_000
VECTORS = Path(__file__).resolve().parents[2] / "protocols" / "vectors" / "fraud.json"
VECTORS_MIN = 1_000
ROOTS = [bytes(32)] * 4

CALL_CASES = 400
"""How many go into one call; each takes some 50,000 gas."""


@pytest.fixture(scope="module")
def harness(score_harness, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    with running_chain(tmp_path_factory.mktemp("anvil") / "anvil.log") as chain:
        yield chain.create(score_harness)


def calls(drawn: Sequence[Claim]) -> Iterator[tuple[int, bytes]]:
    """Yield the arguments of each call."""
    for first in range(0, len(drawn), CALL_CASES):
        some = drawn[first : first + CALL_CASES]
        yield len(some), b"".join(claim.row() for claim in some)


def faults(harness: Contract, drawn: Sequence[Claim]) -> list[int | None]:
    told = b"".join(harness.functions.faults(*call).call() for call in calls(drawn))
    return [None if byte == RIGHT else byte for byte in told]


def test_the_contract_and_the_core_find_the_same_fault_in_each_of_12_000_cases(harness):
    drawn = list(claims(seed=1, count=CASES))
    ours = [claim.fault for claim in drawn]
    theirs = faults(harness, drawn)
    for i, (left, right) in enumerate(zip(ours, theirs, strict=True)):
        assert left == right, (i, drawn[i])
    seen = Counter(ours)
    assert set(seen) == {None, *range(2, MATRIX + 1)}
    assert min(seen.values()) > CASES // 200
    assert seen[None] > CASES // 3


def test_the_contract_finds_the_faults_that_the_vectors_name(harness):
    cases = json.loads(VECTORS.read_text("utf-8"))["claims"]
    assert len(cases) >= VECTORS_MIN
    found = [
        Claim(
            score=score_from(case["score"]),
            old=score_from(case["old"]),
            sighted=Sighted(
                int(case["auditors"]), int(case["rounds"]), bytes.fromhex(case["matrix"])
            ),
            delivered=0,
            owed=0,
            header=Header(case["epoch"], *ROOTS, case["median_ppm"], case["is_void"]),
            params=PRESETS[case["preset"]],
        )
        for case in cases
    ]
    assert faults(harness, found) == [case["fault"] for case in cases]


def test_the_largest_matrix_of_any_preset_fits_into_a_transaction(harness):
    rounds = BATCH_BYTES_MAX // K_AUD_MAX  # a batch has a row for each of as many targets
    [claim] = claims(seed=4, count=1)
    sighted = Sighted(K_AUD_MAX, rounds, bytes([Outcome.OK]) * (K_AUD_MAX * rounds))
    row = replace(claim, sighted=sighted).row()
    assert harness.functions.faults(1, row).estimate_gas() < GAS_MAX


def score_from(numbers: str) -> Score:
    return Score(bytes(32), 0, *map(int, numbers.split("|")))


def test_the_contract_and_the_core_come_to_the_same_score_in_each_of_4_000_cases(harness):
    drawn = list(possible_claims(seed=2, count=CASES // 3))
    told = [s for call in calls(drawn) for s in harness.functions.scores(*call).call()]
    for i, (claim, numbers) in enumerate(zip(drawn, told, strict=True)):
        assert words(*numbers) == claim.right.leaf(), (i, claim)
