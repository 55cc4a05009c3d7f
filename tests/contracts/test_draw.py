"""The market's draw on chain and the core's, held against each other bid by bid (R50, Q2, Q16)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from web3 import HTTPProvider, Web3
from web3.types import RPCEndpoint

from stkrp2p.core.draw import Auction, Bid, Rule, number_of
from stkrp2p.core.merkle import WORD_BYTES, words
from stkrp2p.core.types import Ppm
from testnet.contracts import running_chain
from testnet.vectors.draws import CHAIN_ID, MARKET, Case, auctions
from tests.contracts.conftest import harness_of

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

VECTORS = Path(__file__).resolve().parents[2] / "protocols" / "vectors" / "draw.json"

DRAWS = 8_000
SHORTLISTS = 2_000

CALL_CASES = 250
LIST_CASES = 40
"""How many go into one call; a list is kept in storage, so each takes some 400,000 gas."""


@pytest.fixture(scope="module")
def harness(builder: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    """The harness at the address that the vectors name."""
    with running_chain(tmp_path_factory.mktemp("anvil") / "anvil.log") as chain:
        made = chain.create(harness_of(builder, "DrawHarness"))
        code, at = chain.web3.eth.get_code(made.address), Web3.to_checksum_address(MARKET)
        assert isinstance(chain.web3.provider, HTTPProvider)
        chain.web3.provider.make_request(RPCEndpoint("anvil_setCode"), [at, Web3.to_hex(code)])
        yield chain.web3.eth.contract(at, abi=made.abi)


def told(harness: Contract, calls: Sequence[bytes], size: int) -> list[list[int]]:
    """Return the words that each call answers."""
    answers: list[bytes] = []
    for first in range(0, len(calls), size):
        answers += harness.functions.multicall(calls[first : first + size]).call()
    return [
        [int.from_bytes(a[i : i + WORD_BYTES], "big") for i in range(0, len(a), WORD_BYTES)]
        for a in answers
    ]


def rows(bids: Sequence[Bid]) -> bytes:
    """Return bids as a dynamic list of three words each."""
    numbers = [n for b in bids for n in (b.price, b.stake, b.reliability_ppm)]
    return words(len(bids), *numbers)


def lowest_call(harness: Contract, case: Case) -> bytes:
    selector = harness.functions.lowest([], 0).selector
    return bytes.fromhex(selector[2:]) + words(2 * WORD_BYTES, case.size) + rows(case.bids)


def draws_call(harness: Contract, case: Case) -> bytes:
    selector = harness.functions.draws(0, [], 0).selector
    head = words(case.stake_max, 3 * WORD_BYTES, number_of(case.auction, case.randomness))
    entries = [case.bids[i] for i in case.entering]
    return bytes.fromhex(selector[2:]) + head + rows(entries)


def check_lowest(harness: Contract, cases: Sequence[Case]) -> None:
    answers = told(harness, [lowest_call(harness, case) for case in cases], LIST_CASES)
    for case, (_, _, *places) in zip(cases, answers, strict=True):
        assert tuple(places) == case.entering, case


def check_draws(harness: Contract, cases: Sequence[Case]) -> None:
    answers = told(harness, [draws_call(harness, case) for case in cases], CALL_CASES)
    for case, (_, winner, _, *weights) in zip(cases, answers, strict=True):
        assert tuple(weights) == case.weights, case
        assert case.entering[winner] == case.winner, case


def test_the_contract_lists_the_same_lowest_bids_in_each_of_2_000_auctions(harness):
    """R50, Q2."""
    check_lowest(harness, list(auctions(seed=41, count=SHORTLISTS)))


def test_the_contract_weighs_and_draws_the_same_bid_in_each_of_8_000_auctions(harness):
    """R50, Q16."""
    cases = list(auctions(seed=42, count=DRAWS))
    check_draws(harness, cases)
    assert sum(len(case.entering) > 1 for case in cases) > DRAWS // 3


# ------------------------------------------------------------------------------- vectors


def vectors(group: str) -> list[dict]:
    return json.loads(VECTORS.read_text("utf-8"))[group]


def bid_of(text: str) -> Bid:
    price, stake, reliability_ppm = map(int, text.split("|"))
    return Bid(price=price, stake=stake, reliability_ppm=Ppm(reliability_ppm))


def case_of(facts: dict) -> Case:
    return Case(
        bids=tuple(map(bid_of, facts["bids"])),
        size=facts["size"],
        stake_max=int(facts["stake_max"]),
        rule=Rule(facts["rule"]),
        fixed_price=int(facts["fixed_price"]),
        auction=Auction(chain_id=CHAIN_ID, market=MARKET, deal=facts["deal"]),
        randomness=bytes.fromhex(facts["randomness"]),
    )


def test_the_contract_gets_every_auction_of_the_vectors_right(harness):
    """R50, R58, Q16."""
    facts = vectors("auctions")
    assert len(facts) >= 1_000
    cases = [case_of(one) for one in facts]
    lists = told(harness, [lowest_call(harness, case) for case in cases], LIST_CASES)
    drawn = told(harness, [draws_call(harness, case) for case in cases], CALL_CASES)
    for one, (_, _, *places), (_, winner, _, *weights) in zip(facts, lists, drawn, strict=True):
        assert places == one["entering"]
        assert weights == list(map(int, one["weights"].split("|")))
        assert places[winner] == one["winner"]


def here(group: str) -> list[dict]:
    """Return the cases of a group whose chain and market are the harness's."""
    found = [c for c in vectors(group) if c["chain_id"] == CHAIN_ID and c["market"] == MARKET.hex()]
    assert len(found) >= 6
    return found


def test_the_contract_makes_the_numbers_of_the_vectors(harness):
    """R50: a draw's number names chain, market, deal and beacon round."""
    for case in here("numbers"):
        randomness = bytes.fromhex(case["randomness"])
        number = harness.functions.seedOf(case["deal"], randomness).call()
        after = harness.functions.seedAfter(number).call()
        assert int.from_bytes(number, "big") == int(case["number"])
        assert int.from_bytes(after, "big") == int(case["after"])


def test_the_contract_makes_the_commitments_of_the_vectors(harness):
    """Q2: a sealed bid names chain, market, deal and bidder."""
    for case in here("commitments"):
        provider = Web3.to_checksum_address(bytes.fromhex(case["provider"]))
        price, salt = int(case["price"]), bytes.fromhex(case["salt"])
        arguments = (case["deal"], provider, case["registration"], price, salt)
        assert harness.functions.commitmentOf(*arguments).call().hex() == case["commitment"]
