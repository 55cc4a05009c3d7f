"""Each party sees what a deal brings and costs it (R67), and the parts add up to the deal."""

from __future__ import annotations

from hypothesis import given, strategies as st

from stkrp2p.core.benefit import (
    Item,
    Locked,
    Rewards,
    Weight,
    governor_benefit,
    provider_benefit,
    provider_compensation,
    requester_benefit,
    requester_compensation,
    staker_benefit,
    total,
)
from stkrp2p.core.economics import UNIT, YEAR_S, PoolShares, Split, cover, split
from stkrp2p.core.pools import REWARD_BPS
from tests.core.test_economics import TENTH, amounts, deals, purses

NOBODY = Weight()
FREE = PoolShares(reward_bps=0, insurance_bps=0)


def for_requester(found: Split, *, ankr: int, eth: int, weight: Weight = NOBODY) -> Item:
    rewards = Rewards.of(found, REWARD_BPS)
    items = requester_benefit(
        found, profit_ankr=ankr, profit_eth=eth, rewards=rewards, weight=weight
    )
    return total(items)


def test_the_white_papers_staker_of_3_000_eth_gains_3_eth_less_1_500_ankr():
    """R67, section 5.1: the paper leaves the pools out."""
    found = split(ankr=1_500 * UNIT, eth=3 * UNIT, paid_ankr=1_500 * UNIT, shares=FREE)
    brought = for_requester(found, ankr=0, eth=3 * UNIT)
    assert (brought.ankr, brought.eth) == (-1_500 * UNIT, 3 * UNIT)


def test_with_the_pools_the_same_staker_gives_a_tenth_of_all_to_each():
    """R67, R55, Q11: 150 ANKR each are lacking, 0.0015 ETH at 100,000 ANKR an ETH."""
    found = split(
        ankr=1_500 * UNIT,
        eth=3 * UNIT,
        paid_ankr=1_500 * UNIT,
        shares=TENTH,
        ankr_per_eth=100_000 * UNIT,
    )
    brought = for_requester(found, ankr=0, eth=3 * UNIT)
    assert (brought.ankr, brought.eth) == (-1_500 * UNIT, 2_397 * UNIT // 1_000)


def test_the_white_papers_requester_gains_160_and_its_part_of_the_rewards():
    """R58, R67, section 3.5: of 100 paid 260 come back, and rewards on top."""
    found = split(ankr=400 * UNIT, eth=0, paid_ankr=60 * UNIT, shares=TENTH)
    assert for_requester(found, ankr=300 * UNIT, eth=0).ankr == 160 * UNIT
    alone = Weight(own=16, whole=32)
    assert for_requester(found, ankr=300 * UNIT, eth=0, weight=alone).ankr == 168 * UNIT


@given(deals, st.data())
def test_what_a_requester_gains_is_what_it_gets_less_what_it_paid(deal, data):
    """R67."""
    found = split(**deal)
    fixed = data.draw(st.integers(0, deal["ankr"]))
    brought = for_requester(found, ankr=deal["ankr"] - fixed, eth=deal["eth"])
    assert (brought.ankr, brought.eth) == (found.requester_ankr - fixed, found.requester_eth)


@given(deals, st.integers(0, 9), st.integers(0, 9))
def test_the_parties_parts_of_the_rewards_are_at_most_what_the_pool_got(deal, requester, provider):
    """R54, R67: development and whoever else has the rest."""
    found = split(**deal)
    rewards, both = Rewards.of(found, REWARD_BPS), requester + provider
    none, seat = Locked(), Weight(own=1, whole=5)
    items = [
        provider_benefit(
            found,
            running_ankr=0,
            rewards=rewards,
            weight=Weight(own=provider, whole=both),
            locked=none,
        )[1],
        requester_benefit(
            found,
            profit_ankr=0,
            profit_eth=0,
            rewards=rewards,
            weight=Weight(own=requester, whole=both),
        )[4],
        *governor_benefit(running_ankr=0, rewards=rewards, weight=seat, locked=none),
        *staker_benefit(rewards=rewards, weight=seat, locked=none),
    ]
    assert 0 <= total(items).ankr <= found.reward_ankr
    assert 0 <= total(items).eth <= found.reward_eth


def test_a_provider_gains_its_price_less_its_machine_and_its_stake_elsewhere():
    """R67, section 5.2: 1,000 ANKR at 5 % a year for a year are 50 ANKR."""
    found = split(ankr=400 * UNIT, eth=0, paid_ankr=60 * UNIT, shares=TENTH)
    items = provider_benefit(
        found,
        running_ankr=7 * UNIT,
        rewards=Rewards.of(found, REWARD_BPS),
        weight=NOBODY,
        locked=Locked(ankr=1_000 * UNIT, length_s=YEAR_S, bps_per_year=500),
    )
    assert total(items) == Item(name="total", ankr=(60 - 7 - 50) * UNIT)


def test_governors_share_30_per_cent_of_the_rewards_by_seat_and_stakers_20_by_stake():
    """R54, R67, sections 5.3 and 5.4: of 40 in the pool 12 and 8."""
    found = split(ankr=400 * UNIT, eth=0, paid_ankr=60 * UNIT, shares=TENTH)
    rewards = Rewards.of(found, REWARD_BPS)
    seat, quarter = Weight(own=1, whole=5), Weight(own=1, whole=4)
    governor = governor_benefit(running_ankr=1, rewards=rewards, weight=seat, locked=Locked())
    assert total(governor).ankr == 12 * UNIT // 5 - 1
    assert total(staker_benefit(rewards=rewards, weight=quarter, locked=Locked())).ankr == 2 * UNIT


@given(amounts, purses)
def test_of_a_failed_deal_the_requester_gets_what_provider_and_pool_pay(loss, purse):
    """R59, R67, Q12."""
    found = cover(loss, **purse)
    gained, cost = total(requester_compensation(found)), provider_compensation(found)
    assert (gained.ankr, cost.ankr) == (found.provider_ankr, -found.provider_ankr)
    assert gained.eth == found.insurance_eth - cost.eth
    assert cost.eth == -found.provider_eth


@given(amounts, amounts, st.integers(0, 2**32), st.integers(0, 10_000))
def test_what_a_stake_would_earn_elsewhere_is_rounded_up(ankr, eth, length_s, bps):
    """R67: a cost is never shown too small."""
    cost = Locked(ankr=ankr, eth=eth, length_s=length_s, bps_per_year=bps).cost()
    scale = 10_000 * YEAR_S
    for principal, shown in ((ankr, cost.ankr), (eth, cost.eth)):
        exact = principal * length_s * bps
        assert exact <= -shown * scale < exact + scale
