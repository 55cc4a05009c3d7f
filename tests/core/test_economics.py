"""A deal's money: quoted, split, and covered when it fails, conserved to the last unit."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import example, given, strategies as st

from stkrp2p.core.economics import (
    HOUR_S,
    UNIT,
    YEAR_S,
    Cover,
    PoolShares,
    Resources,
    Split,
    Tariff,
    ankr_of_usd,
    ankr_per_eth_of,
    cover,
    loss_of,
    shared,
    split,
    usd_of,
    yearly_share,
)

TENTH = PoolShares(reward_bps=1_000, insurance_bps=1_000)

amounts = st.one_of(st.integers(0, 20_000), st.integers(0, 2**128))
prices = st.one_of(st.integers(1, 20_000), st.integers(1, 2**90), st.just(50_000 * UNIT))
pool_shares = (
    st.integers(0, 5_000)
    .flatmap(lambda r: st.tuples(st.just(r), st.integers(0, 5_000 - r)))
    .map(lambda p: PoolShares(reward_bps=p[0], insurance_bps=p[1]))
)


deals = st.fixed_dictionaries(
    {
        "ankr": amounts,
        "eth": amounts,
        "paid_ankr": amounts,
        "shares": pool_shares,
        "ankr_per_eth": prices,
    }
)
"""What `split` is asked about."""

ROUNDED_ODDLY = {
    "ankr": 19_999,
    "eth": 5,
    "paid_ankr": 10_002,
    "shares": PoolShares(reward_bps=4_999, insurance_bps=1),
    "ankr_per_eth": 1,
}
"""By their basis points, not by what is due, insurance would get one unit too much."""

purses = st.fixed_dictionaries(
    {
        "provider_eth": amounts,
        "stake_ankr": amounts,
        "ankr_per_eth": prices,
        "insurance_eth": amounts,
    }
)
"""Who can pay a loss, and the price."""


def ankr_of(found: Split) -> tuple[int, int, int, int]:
    return found.provider_ankr, found.reward_ankr, found.insurance_ankr, found.requester_ankr


def eth_of(found: Split) -> tuple[int, int, int]:
    return found.reward_eth, found.insurance_eth, found.requester_eth


# ------------------------------------------------------------------------------- the quote


def test_the_white_papers_project_is_quoted_at_100_usd():
    """R47, section 3.5: 4 GHz, 16 GB, 128 GB for two months; 50 USD a month."""
    need = Resources(cpu_milli=4_000, ram_mb=16_000, storage_gb=128, bandwidth_mbps=0)
    monthly = {"core_usd": 5 * UNIT, "ram_gb_usd": UNIT, "storage_gb_usd": 14 * UNIT // 128}
    tariff = Tariff(**{name: usd // 730 for name, usd in monthly.items()}, mbps_usd=0)
    usd = usd_of(need, tariff, length_s=2 * 730 * HOUR_S)
    hourly_prices = (4 + 16 + 128) * 2 * 730  # each rounded down by less than one unit
    assert 100 * UNIT - hourly_prices < usd <= 100 * UNIT
    assert ankr_of_usd(usd, usd_per_ankr=UNIT // 100) == 100 * usd


resources = st.builds(
    Resources,
    cpu_milli=st.integers(0, 2**32 - 1),
    ram_mb=st.integers(0, 2**32 - 1),
    storage_gb=st.integers(0, 2**32 - 1),
    bandwidth_mbps=st.integers(0, 2**32 - 1),
)
tariffs = st.builds(
    Tariff,
    core_usd=st.integers(0, 2**70),
    ram_gb_usd=st.integers(0, 2**70),
    storage_gb_usd=st.integers(0, 2**70),
    mbps_usd=st.integers(0, 2**70),
)


@given(resources, tariffs, st.integers(0, 2**32 - 1), prices)
def test_a_quote_is_the_sum_over_the_resources_rounded_up(need, tariff, length_s, price):
    """R47."""
    hourly = (
        Fraction(need.cpu_milli, 1_000) * tariff.core_usd
        + Fraction(need.ram_mb, 1_000) * tariff.ram_gb_usd
        + need.storage_gb * tariff.storage_gb_usd
        + need.bandwidth_mbps * tariff.mbps_usd
    )
    usd = usd_of(need, tariff, length_s=length_s)
    assert usd == ceil(hourly * Fraction(length_s, 3_600))
    assert ankr_of_usd(usd, usd_per_ankr=price) == ceil(Fraction(usd, price) * UNIT)


@pytest.mark.parametrize("price", [0, -1])
def test_a_price_that_is_not_positive_is_refused_and_never_guessed(price):
    """Q10."""
    message = f"^a price must be positive, got {price}$"
    with pytest.raises(ValueError, match=message):
        ankr_of_usd(1, usd_per_ankr=price)
    with pytest.raises(ValueError, match=message):
        ankr_per_eth_of(usd_per_eth=1, usd_per_ankr=price)
    with pytest.raises(ValueError, match=message):
        split(ankr=100, eth=1, paid_ankr=95, shares=TENTH, ankr_per_eth=price)
    with pytest.raises(ValueError, match=message):
        cover(2, provider_eth=1, stake_ankr=5, ankr_per_eth=price, insurance_eth=5)


def test_the_price_of_eth_in_ankr_is_that_of_both_in_usd():
    assert ankr_per_eth_of(usd_per_eth=2_000 * UNIT, usd_per_ankr=UNIT // 50) == 100_000 * UNIT
    assert ankr_per_eth_of(usd_per_eth=2, usd_per_ankr=3) == UNIT * 2 // 3


@given(amounts, st.integers(0, 10_000), st.integers(0, 2**32 - 1))
def test_an_expected_profit_is_that_of_the_stake_over_the_time(stake, bps, length_s):
    """R47."""
    expected = Fraction(stake * bps * length_s, 10_000 * YEAR_S)
    assert yearly_share(stake, bps_per_year=bps, length_s=length_s) == floor(expected)


# ------------------------------------------------------------------------------- the split


@pytest.mark.parametrize(
    ("paid", "expected"),
    [(60, (60, 40, 40, 260)), (70, (70, 40, 40, 250))],
    ids=["its own bid", "the second lowest"],
)
def test_the_white_papers_example_is_split_to_the_last_unit(paid, expected):
    """R53, R55, R58, Q1: FP = 100, bids 60/70/75, X = 300; a tenth of both to each pool."""
    found = split(ankr=400 * UNIT, eth=0, paid_ankr=paid * UNIT, shares=TENTH)
    assert ankr_of(found) == tuple(part * UNIT for part in expected)
    assert eth_of(found) == (0, 0, 0)


@given(deals)
@example(ROUNDED_ODDLY)
def test_a_split_pays_out_exactly_what_came_in_and_nobody_less_than_nothing(deal):
    """R55, Q11."""
    found = split(**deal)
    assert sum(ankr_of(found)) == deal["ankr"]
    assert sum(eth_of(found)) == deal["eth"]
    assert min(*ankr_of(found), *eth_of(found)) >= 0


@given(deals)
@example(ROUNDED_ODDLY)
def test_a_pool_never_gets_more_than_its_share_of_both_currencies(deal):
    """R55, Q11: what ANKR lacks is taken in ETH at the price, and no more than that."""
    found = split(**deal)
    ankr, eth, shares = deal["ankr"], deal["eth"], deal["shares"]
    pools = [
        (found.reward_ankr, found.reward_eth, shares.reward_bps),
        (found.insurance_ankr, found.insurance_eth, shares.insurance_bps),
    ]
    for in_ankr, in_eth, bps in pools:
        due = ankr * bps // 10_000
        assert in_ankr <= due
        assert in_eth <= eth * bps // 10_000 + (due - in_ankr) * UNIT // deal["ankr_per_eth"]


@given(deals)
def test_the_provider_comes_first_then_the_pools_then_the_requester(deal):
    """R55, Q11."""
    found = split(**deal)
    ankr, shares = deal["ankr"], deal["shares"]
    assert found.provider_ankr == min(deal["paid_ankr"], ankr)
    dues = ankr * shares.reward_bps // 10_000, ankr * shares.insurance_bps // 10_000
    if found.requester_ankr > 0:
        assert (found.reward_ankr, found.insurance_ankr) == dues


@given(amounts, amounts, pool_shares, st.integers(0, 20_000))
def test_more_profit_in_ankr_never_leaves_the_requester_or_a_pool_with_less(
    ankr, paid, shares, more
):
    """R55: monotone, but for one unit that rounding moves between the pools."""
    less = split(ankr=ankr, eth=0, paid_ankr=paid, shares=shares)
    full = split(ankr=ankr + more, eth=0, paid_ankr=paid, shares=shares)
    assert full.requester_ankr >= less.requester_ankr - 1
    assert full.provider_ankr >= less.provider_ankr
    assert full.reward_ankr >= less.reward_ankr - 1
    assert full.insurance_ankr >= less.insurance_ankr - 1
    assert full.reward_ankr + full.insurance_ankr >= less.reward_ankr + less.insurance_ankr


def test_a_shortfall_of_the_pools_is_taken_from_the_requesters_eth_at_the_price():
    """Q11: of 100 ANKR 95 are paid; the pools lack 15, worth 0.15 ETH at 100 ANKR an ETH."""
    found = split(
        ankr=100 * UNIT, eth=UNIT, paid_ankr=95 * UNIT, shares=TENTH, ankr_per_eth=100 * UNIT
    )
    assert ankr_of(found) == (95 * UNIT, 25 * UNIT // 10, 25 * UNIT // 10, 0)
    assert eth_of(found) == (175 * UNIT // 1_000, 175 * UNIT // 1_000, 65 * UNIT // 100)


def test_eth_that_is_too_little_for_the_shortfall_goes_to_the_pools_whole():
    """Q11."""
    shares = PoolShares(reward_bps=2_000, insurance_bps=1_000)
    found = split(ankr=100, eth=1_000, paid_ankr=100, shares=shares, ankr_per_eth=1)
    assert eth_of(found) == (200 + 466, 100 + 234, 0)


def test_no_price_is_needed_without_a_shortfall_or_without_eth():
    assert split(ankr=400, eth=10, paid_ankr=60, shares=TENTH).requester_eth == 8
    assert split(ankr=100, eth=0, paid_ankr=100, shares=TENTH).reward_ankr == 0


@given(amounts, amounts, amounts)
def test_two_creditors_share_all_of_too_little_and_neither_gets_more_than_is_due(a, b, amount):
    """Q11."""
    first, second = shared(amount, (a, b))
    assert first + second == min(amount, a + b)
    assert 0 <= first <= a
    assert 0 <= second <= b


@pytest.mark.parametrize("shares", [(-1, 0), (0, -1)])
def test_a_negative_share_is_refused(shares):
    with pytest.raises(ValueError, match=r"^a pool's share is negative$"):
        PoolShares(reward_bps=shares[0], insurance_bps=shares[1])


def test_shares_beyond_the_whole_are_refused():
    with pytest.raises(ValueError, match=r"^the pools' shares are more than the whole$"):
        PoolShares(reward_bps=5_000, insurance_bps=5_001)


@pytest.mark.parametrize("name", ["ankr", "eth", "paid_ankr"])
def test_a_negative_amount_is_refused(name):
    sums = {"ankr": 1, "eth": 1, "paid_ankr": 1, name: -1}
    with pytest.raises(ValueError, match=r"^an amount is negative$"):
        split(**sums, shares=TENTH)


# ------------------------------------------------------------------------------- the failure


@given(amounts, purses)
def test_a_loss_is_paid_by_the_providers_eth_then_its_ankr_then_the_pool(loss, purse):
    """R59, Q12."""
    found = cover(loss, **purse)
    by_ankr = loss - found.provider_eth - found.insurance_eth - found.uncovered_eth
    assert by_ankr >= 0
    assert 0 <= found.provider_eth <= purse["provider_eth"]
    assert 0 <= found.provider_ankr <= purse["stake_ankr"]
    assert 0 <= found.insurance_eth <= purse["insurance_eth"]
    if found.provider_ankr:
        assert found.provider_eth == purse["provider_eth"]
    if found.insurance_eth:
        assert found.provider_ankr == purse["stake_ankr"]
    if found.uncovered_eth:
        assert found.insurance_eth == purse["insurance_eth"]


@given(amounts, purses)
def test_the_providers_ankr_is_worth_what_it_pays_for(loss, purse):
    """Q12: rounded against the provider by less than one unit of ANKR, or of ETH."""
    found, price = cover(loss, **purse), purse["ankr_per_eth"]
    by_ankr = loss - found.provider_eth - found.insurance_eth - found.uncovered_eth
    worth = Fraction(found.provider_ankr * UNIT, price)
    assert by_ankr <= worth < by_ankr + max(Fraction(UNIT, price), 1)


@given(amounts, st.integers(0, 10**6), purses)
def test_a_larger_loss_never_costs_anybody_less(loss, more, purse):
    """Q12: monotone."""
    less, full = (cover(x, **purse) for x in (loss, loss + more))
    assert full.provider_eth >= less.provider_eth
    assert full.provider_ankr >= less.provider_ankr
    assert full.insurance_eth >= less.insurance_eth
    assert full.uncovered_eth >= less.uncovered_eth


def test_a_loss_within_the_providers_eth_needs_no_price():
    purse = {"provider_eth": 5, "stake_ankr": 9, "ankr_per_eth": 0, "insurance_eth": 9}
    assert cover(5, **purse) == Cover(
        provider_eth=5, provider_ankr=0, insurance_eth=0, uncovered_eth=0
    )


@given(amounts, st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_loss_is_the_expected_profit_of_the_time_not_served(profit, unserved, length):
    """R59, Q12."""
    if unserved > length:
        with pytest.raises(ValueError, match=f"^{unserved} s of {length} s cannot be unserved$"):
            loss_of(expected_profit=profit, unserved_s=unserved, length_s=length)
    else:
        found = loss_of(expected_profit=profit, unserved_s=unserved, length_s=length)
        assert found == floor(Fraction(profit * unserved, length))


def test_a_deal_without_length_has_no_loss():
    with pytest.raises(ValueError, match=r"^0 s of 0 s cannot be unserved$"):
        loss_of(expected_profit=1, unserved_s=0, length_s=0)
