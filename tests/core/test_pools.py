"""Pools pay no more than they have, to each in proportion, and rounding makes and loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.economics import UNIT, PoolShares
from stkrp2p.core.pools import (
    NODE_ETH,
    Joined,
    RewardParts,
    completion,
    distributed,
    fee_split,
    in_proportion,
    insured,
    joined,
    refunds,
)
from tests.core.test_economics import TENTH, amounts, pool_shares

many = st.lists(amounts, max_size=8)


# ------------------------------------------------------------------------------- rewards


def test_the_reward_pool_is_paid_out_30_40_20_10():
    """R54."""
    assert distributed(40 * UNIT) == RewardParts(
        governance=12 * UNIT, projects=16 * UNIT, stakers=8 * UNIT, development=4 * UNIT
    )


@given(amounts, st.permutations([3_000, 4_000, 2_000, 1_000]))
def test_development_gets_what_rounding_leaves_of_the_reward_pool(pool, bps):
    """R54: less than one unit of each of the other three."""
    names = ("governance", "projects", "stakers", "development")
    parts = RewardParts(**dict(zip(names, bps, strict=True)))
    found = distributed(pool, parts)
    assert found.governance + found.projects + found.stakers + found.development == pool
    for name in names[:3]:
        assert getattr(found, name) == pool * getattr(parts, name) // 10_000
    assert 0 <= found.development - pool * parts.development // 10_000 <= 3


@pytest.mark.parametrize("bps", [(3_000, 4_000, 2_000, 1_001), (11_000, -1_000, 0, 0)])
def test_parts_that_do_not_make_the_whole_are_refused(bps):
    """R54."""
    names = ("governance", "projects", "stakers", "development")
    with pytest.raises(ValueError, match=r"^parts must sum to 10000 basis points, got \("):
        distributed(1, RewardParts(**dict(zip(names, bps, strict=True))))


@given(amounts, many, st.data())
def test_parts_are_in_proportion_and_grow_with_weight_and_amount(amount, weights, data):
    found = in_proportion(amount, weights)
    assert len(found) == len(weights)
    assert sum(found) <= amount
    if sum(weights):
        assert amount - sum(found) < len(weights)
        place = data.draw(st.integers(0, len(weights) - 1))
        heavier = [w + (i == place) for i, w in enumerate(weights)]
        assert in_proportion(amount, heavier)[place] >= found[place]
    assert all(a <= b for a, b in zip(found, in_proportion(amount + 7, weights), strict=True))


def test_nobody_gets_anything_where_nobody_weighs():
    assert in_proportion(100, [0, 0]) == (0, 0)
    assert in_proportion(100, []) == ()


# ------------------------------------------------------------------------------- insurance


def test_a_full_slash_is_refunded_by_the_providers_k_and_the_pool():
    """R52: 32 ETH lost, k = 16: two victims of 24 and 8 get it all back."""
    stakes = [24 * UNIT, 8 * UNIT]
    found = refunds(stakes, lost_eth=NODE_ETH, provider_eth=16 * UNIT, balance_eth=100 * UNIT)
    assert found.provider == (12 * UNIT, 4 * UNIT)
    assert found.insurance == (12 * UNIT, 4 * UNIT)


def test_a_pool_that_is_too_small_pays_all_it_has_pro_rata():
    """R52, Q25."""
    stakes = [24 * UNIT, 8 * UNIT]
    found = refunds(stakes, lost_eth=NODE_ETH, provider_eth=16 * UNIT, balance_eth=4 * UNIT)
    assert found.insurance == (3 * UNIT, UNIT)


@given(many, amounts)
def test_claims_are_paid_whole_or_pro_rata_and_never_beyond_the_balance(claims, balance):
    """Q25."""
    found = insured(claims, balance=balance)
    assert sum(found) <= balance
    assert all(0 <= paid <= claim for paid, claim in zip(found, claims, strict=True))
    if sum(claims) <= balance:
        assert list(found) == claims
    else:
        assert balance - sum(found) < len(claims)


@given(many, amounts, amounts, amounts)
def test_no_victim_gets_more_than_its_part_of_the_loss(stakes, lost, provider, balance):
    """R52, Q25."""
    found = refunds(stakes, lost_eth=lost, provider_eth=provider, balance_eth=balance)
    assert sum(found.provider) <= min(lost, provider)
    assert sum(found.insurance) <= min(max(0, lost - provider), balance)
    whole = in_proportion(lost, stakes)
    for part, a, b in zip(whole, found.provider, found.insurance, strict=True):
        assert a + b <= part


# ------------------------------------------------------------------------------- micro-pools


def test_an_investor_of_4_eth_pays_an_eighth_of_the_fixed_price():
    """R56: 4/32 of FP."""
    assert joined(4 * UNIT, filled_eth=0, fixed_price=100 * UNIT) == Joined(
        taken_eth=4 * UNIT, refunded_eth=0, fee_ankr=125 * UNIT // 10
    )


@given(amounts, st.integers(0, NODE_ETH), amounts)
def test_a_micro_pool_fills_exactly_and_sends_the_excess_back(sent, filled, price):
    """Q7."""
    found = joined(sent, filled_eth=filled, fixed_price=price)
    assert found.taken_eth + found.refunded_eth == sent
    assert filled + found.taken_eth == min(NODE_ETH, filled + sent)
    assert (
        price * found.taken_eth <= found.fee_ankr * NODE_ETH < (price * found.taken_eth + NODE_ETH)
    )


@pytest.mark.parametrize("filled", [-1, NODE_ETH + 1])
def test_a_micro_pool_never_holds_more_than_a_node(filled):
    with pytest.raises(ValueError, match=f"^a micro-pool holds at most 32.* wei, got {filled}$"):
        joined(1, filled_eth=filled, fixed_price=1)


@given(amounts, pool_shares)
def test_of_the_fees_the_reward_pool_gets_its_share_and_the_provider_the_rest(fees, shares):
    """R56, Q6."""
    reward, provider = fee_split(fees, shares)
    assert reward + provider == fees
    assert reward == fees * shares.reward_bps // 10_000


def test_of_a_micro_pools_reward_80_per_cent_go_to_those_who_staked():
    """R57."""
    found = completion(100, [8, 24], TENTH)
    assert (found.reward, found.insurance, found.stakers) == (10, 10, (20, 60))


@given(amounts, many, pool_shares)
def test_a_micro_pools_reward_is_paid_out_whole(reward, stakes, shares):
    """R57, Q4: what rounding leaves goes to the insurance pool."""
    found = completion(reward, stakes, shares)
    assert found.reward + found.insurance + sum(found.stakers) == reward
    assert min(found.reward, found.insurance, *found.stakers) >= 0
    if sum(stakes):
        assert found.insurance - reward * shares.insurance_bps // 10_000 < len(stakes)


def test_a_split_for_no_pool_leaves_all_to_those_who_staked():
    found = completion(9, [1, 2], PoolShares(reward_bps=0, insurance_bps=0))
    assert found.stakers == (3, 6)
