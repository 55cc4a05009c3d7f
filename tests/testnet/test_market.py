"""The market's story: its numbers fit together, and money that is not as it should is found."""

from __future__ import annotations

from typing import cast

import pytest
from hypothesis import given, strategies as st

from stkrp2p.adapters.chain.rule import Action, Receipt, Rejected, RuleChain
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.anchor import VOID_PARTS
from stkrp2p.core.economics import (
    UNIT,
    PoolShares,
    Tariff,
    ankr_of_usd,
    split,
    usd_of,
)
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.policy import Parameter
from testnet.market_amounts import ankr, eth
from testnet.market_money import Sum, compared, gained, total
from testnet.market_moves import TRIES, perform
from testnet.market_plan import (
    ANKR_USD,
    CHALLENGE_S,
    LENGTH_S,
    NEED,
    PLAN,
    PROFIT_ANKR,
    PROVIDERS,
    VALUES,
)

amounts = st.integers(-(10**30), 10**30)
sums = st.builds(Sum, amounts, amounts)
parties = st.dictionaries(st.sampled_from(["alice", "bob", "carol"]), sums)


def test_the_first_deal_is_the_white_papers_example() -> None:
    # R47, R55: section 3.5, if the lowest bidder is drawn
    tariff = Tariff(
        core_usd=VALUES[Parameter.USD_PER_CORE_HOUR],
        ram_gb_usd=VALUES[Parameter.USD_PER_RAM_GB_HOUR],
        storage_gb_usd=VALUES[Parameter.USD_PER_STORAGE_GB_HOUR],
        mbps_usd=VALUES[Parameter.USD_PER_MBPS_HOUR],
    )
    fixed_price = ankr_of_usd(usd_of(NEED, tariff, length_s=LENGTH_S), usd_per_ankr=ANKR_USD)
    assert fixed_price == 100 * ANKR
    shares = PoolShares(
        reward_bps=VALUES[Parameter.REWARD_BPS], insurance_bps=VALUES[Parameter.INSURANCE_BPS]
    )
    lowest = min(terms.bid_percent for terms in PROVIDERS) * fixed_price // 100
    to = split(ankr=fixed_price + PROFIT_ANKR, eth=0, paid_ankr=lowest, shares=shares)
    parts = (to.provider_ankr, to.reward_ankr, to.insurance_ankr, to.requester_ankr)
    assert parts == (60 * ANKR, 40 * ANKR, 40 * ANKR, 260 * ANKR)


def test_one_dead_node_voids_no_epoch_and_no_governor_dies() -> None:
    assert PLAN.nodes >= VOID_PARTS
    assert PLAN.nodes - PLAN.council == len(PROVIDERS)


def test_a_failure_in_a_projects_last_second_can_still_be_shown() -> None:
    sealed_s = -(-MINIMAL.settle_rounds * MINIMAL.period_ms // 1000)
    assert VALUES[Parameter.REVIEW_S] > sealed_s + CHALLENGE_S


@pytest.mark.parametrize(
    ("wei", "told"),
    [(0, "0"), (1, "0.000000000000000001"), (1_500 * UNIT, "1,500"), (-UNIT // 2, "-0.5")],
)
def test_amounts_are_told_exactly(wei: int, told: str) -> None:
    assert (ankr(wei), eth(wei)) == (f"{told} ANKR", f"{told} ETH")


@given(parties, parties)
def test_what_two_deals_bring_is_what_each_brings(one: dict[str, Sum], two: dict[str, Sum]) -> None:
    both = total(one, two)
    assert both.keys() == one.keys() | two.keys()
    later = {name: both[name] for name in one}
    assert gained(later, one) == {name: two.get(name, Sum()) for name in one}


@given(parties, st.sampled_from(["alice", "bob", "carol", "dave"]), st.integers(1, 10**30))
def test_a_single_wei_too_much_is_found(has: dict[str, Sum], name: str, more: int) -> None:
    assert compared("all is well", has, has).held
    wrong = has | {name: has.get(name, Sum()) + Sum(0, more)}
    finding = compared("all is well", wrong, has)
    assert not finding.held
    assert name in finding.detail


class Contested:
    """Another transaction of the account is first, so many times."""

    def __init__(self, times: int, refusal: Rejected) -> None:
        self.times = times
        self.refusal = refusal

    async def send(self, _action: Action) -> tuple[Receipt, ...]:
        self.times -= 1
        if self.times >= 0:
            raise self.refusal
        return ()


async def _prepare() -> Action:
    return Action(does="vote")


REPLACED = Rejected("", "0x00 was replaced")


async def test_an_action_whose_number_another_took_is_prepared_anew() -> None:
    party = Contested(TRIES - 1, REPLACED)
    assert await perform(cast("RuleChain", party), _prepare) == ()


@pytest.mark.parametrize(
    ("times", "refusal"), [(TRIES, REPLACED), (1, Rejected("VotingOver", "voting is over"))]
)
async def test_what_a_contract_refuses_is_not_tried_for_ever(times: int, refusal: Rejected) -> None:
    party = Contested(times, refusal)
    with pytest.raises(Rejected) as refused:
        await perform(cast("RuleChain", party), _prepare)
    assert refused.value is refusal
    assert party.times == 0
