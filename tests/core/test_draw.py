"""Who is drawn follows from prices, anchored reliability, stake and a beacon round, and nothing else."""

from __future__ import annotations

from fractions import Fraction

import pytest
from eth_abi import encode as abi_encode
from hypothesis import given, strategies as st

from stkrp2p.core.draw import (
    ENTRIES_MAX,
    PRICE_TERM_MAX,
    PRICE_TERM_MIN,
    Auction,
    Bid,
    Rule,
    commitment_of,
    drawn,
    lowest,
    number_after,
    number_of,
    paid_of,
    weights_of,
)
from stkrp2p.core.economics import UNIT
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.types import ONE_PPM, Operator, Ppm

AUCTION = Auction(chain_id=31_337, market=Operator(b"\xaa" * 20), deal=7)
ALICE = Operator(b"\xa1" * 20)
STAKE_MAX = 500_000 * UNIT

bids = st.builds(
    Bid,
    price=st.one_of(st.integers(0, 5), st.integers(0, 2**128)),
    stake=st.one_of(st.integers(0, 5), st.integers(0, 2**128)),
    reliability_ppm=st.integers(0, ONE_PPM).map(Ppm),
)
auctions = st.lists(bids, min_size=1, max_size=12)


def bid(price: int, *, stake: int = 100, ppm: int = 900_000) -> Bid:
    return Bid(price=price, stake=stake, reliability_ppm=Ppm(ppm))


# ------------------------------------------------------------------------------- the lowest


def test_with_a_shortlist_of_one_the_lowest_bid_of_the_white_paper_wins():
    """R50, R58: bids 60/70/75."""
    assert lowest([bid(70), bid(60), bid(75)], size=1) == (1,)


def test_with_a_shortlist_of_one_every_beacon_round_draws_the_lowest():
    """R50, R58."""
    opened = [bid(70, stake=900), bid(60, stake=0), bid(75)]
    entering = lowest(opened, size=1)
    weights = weights_of([opened[i] for i in entering], stake_max=1_000)
    numbers = (number_of(AUCTION, keccak256(bytes([i]))) for i in range(100))
    assert {opened[entering[drawn(weights, number)]].price for number in numbers} == {60}


@given(auctions, st.integers(1, 5))
def test_whoever_enters_the_draw_bid_no_more_than_whoever_does_not(opened, size):
    """R50, Q2: ties at the cut enter."""
    entering = lowest(opened, size=size)
    assert len(entering) >= min(size, len(opened))
    inside = [opened[i].price for i in entering]
    outside = [b.price for i, b in enumerate(opened) if i not in entering]
    assert inside == sorted(inside)
    assert all(max(inside) < price for price in outside)
    if len(entering) > size:
        assert inside[size - 1] == inside[-1]


@given(auctions, st.integers(1, 5))
def test_equal_bids_stand_in_the_order_they_were_opened(opened, size):
    entering = lowest(opened, size=size)
    assert sorted(entering, key=lambda i: (opened[i].price, i)) == list(entering)


def test_however_many_tie_the_list_is_bounded():
    assert lowest([bid(5)] * 40, size=3) == tuple(range(ENTRIES_MAX))


# ------------------------------------------------------------------------------- the price paid


@pytest.mark.parametrize(
    ("rule", "paid"), [(Rule.FIRST_PRICE, 60), (Rule.VICKREY, 70), (Rule.REQUESTER_CHOICE, 60)]
)
def test_the_winner_is_paid_by_the_rule(rule, paid):
    """Q1, R58."""
    opened = [bid(60), bid(70), bid(75)]
    assert paid_of(opened, winner=0, rule=rule, fixed_price=100) == paid


def test_a_sole_bidder_is_paid_the_fixed_price_under_vickrey():
    """Q1."""
    assert paid_of([bid(60)], winner=0, rule=Rule.VICKREY, fixed_price=100) == 100


@given(auctions, st.sampled_from(Rule), st.integers(0, 2**128), st.data())
def test_the_winner_is_paid_at_most_the_fixed_price_and_else_no_less_than_it_bid(
    opened, rule, fixed_price, data
):
    """Q1."""
    winner = data.draw(st.integers(0, len(opened) - 1))
    paid = paid_of(opened, winner=winner, rule=rule, fixed_price=fixed_price)
    assert min(opened[winner].price, fixed_price) <= paid <= fixed_price


@given(auctions, st.integers(0, 2**128))
def test_under_vickrey_the_lowest_bid_does_not_change_what_its_bidder_is_paid(opened, lower):
    """Q1: why a bidder may say its true price (section 3.2)."""
    winner = lowest(opened, size=1)[0]
    changed = [b if i != winner else bid(min(lower, b.price)) for i, b in enumerate(opened)]
    paid = [
        paid_of(b, winner=winner, rule=Rule.VICKREY, fixed_price=2**128) for b in (opened, changed)
    ]
    assert paid[0] == paid[1]


# ------------------------------------------------------------------------------- weights


@given(auctions, st.integers(0, 2**128))
def test_a_weight_is_capped_stake_times_reliability_times_a_bounded_price_term(entries, cap):
    """R50, R68, Q16."""
    weights = weights_of(entries, stake_max=cap)
    median = sorted(b.price for b in entries)[(len(entries) - 1) // 2]
    naive = []
    for b in entries:
        term = Fraction(median, b.price) if b.price else 2
        term_ppm = int(max(Fraction(1, 2), min(Fraction(2), term)) * 10**6)
        naive.append(min(b.stake, cap) * b.reliability_ppm * term_ppm)
    assert weights == (tuple(naive) if any(naive) else (1,) * len(entries))


def test_the_price_term_lies_between_half_and_twice():
    entries = [bid(0), bid(1), bid(100), bid(100), bid(1_000)]
    terms = [w // (100 * 900_000) for w in weights_of(entries, stake_max=100)]
    assert terms == [PRICE_TERM_MAX, PRICE_TERM_MAX, ONE_PPM, ONE_PPM, PRICE_TERM_MIN]


def test_the_median_of_an_even_number_of_prices_is_the_lower_one():
    terms = [w // (100 * 900_000) for w in weights_of([bid(100), bid(150)], stake_max=100)]
    assert terms == [ONE_PPM, 666_666]


def test_where_nobody_weighs_all_are_drawn_alike():
    assert weights_of([bid(1, stake=0), bid(2, ppm=0)], stake_max=100) == (1, 1)


@given(auctions, st.data(), st.integers(1, 2**64))
def test_extra_stake_raises_the_chance_up_to_the_cap(entries, data, more):
    """R68, Q16."""
    place = data.draw(st.integers(0, len(entries) - 1))
    old = entries[place]
    richer = [*entries]
    richer[place] = Bid(
        price=old.price, stake=old.stake + more, reliability_ppm=old.reliability_ppm
    )
    cap = old.stake + more
    before, after = weights_of(entries, stake_max=cap), weights_of(richer, stake_max=cap)
    if old.reliability_ppm and any(b.stake * b.reliability_ppm for b in entries):
        chances = [Fraction(w[place], sum(w)) for w in (before, after)]
        assert chances[0] <= chances[1]
        assert (chances[0] < chances[1]) or chances[0] == 1
    capped = weights_of(richer, stake_max=old.stake)
    assert capped == weights_of(entries, stake_max=old.stake)


@given(
    st.lists(st.integers(0, 2**100), min_size=2, max_size=6),
    st.integers(0, 2**100),
    st.integers(1, ONE_PPM),
    st.integers(1, 2**100),
)
def test_stake_split_over_many_identities_gains_no_chance(parts, others, ppm, cap):
    """Q16, R68: shill identities with one operator's stake, its reliability and its price."""
    rival = bid(50, stake=others, ppm=ppm)
    one = weights_of([bid(50, stake=min(sum(parts), cap), ppm=ppm), rival], stake_max=cap)
    many = weights_of([*(bid(50, stake=p, ppm=ppm) for p in parts), rival], stake_max=cap)
    if sum(parts) <= cap and any((sum(parts), min(others, cap))):
        assert Fraction(one[0], sum(one)) == Fraction(sum(many[:-1]), sum(many))


@given(st.integers(1, 2**100), st.integers(1, ONE_PPM))
def test_no_stake_lifts_a_reliability_of_zero(stake, ppm):
    """Q16."""
    assert (
        weights_of([bid(5, stake=stake, ppm=0), bid(5, stake=1, ppm=ppm)], stake_max=stake)[0] == 0
    )


# ------------------------------------------------------------------------------- the draw


@given(st.lists(st.integers(0, 2**174), min_size=1, max_size=8), st.integers(0, 2**256 - 1))
def test_a_place_is_drawn_where_the_running_sum_passes_the_number(weights, number):
    """R50."""
    weights = weights if any(weights) else [1]
    place = drawn(weights, number)
    below = sum(weights[:place])
    assert below <= number % sum(weights) < below + weights[place]


def test_each_point_of_the_sum_belongs_to_the_place_whose_weight_it_is():
    """R50: exactly in proportion, not only about so."""
    assert [drawn([2, 0, 3], x) for x in range(10)] == [0, 0, 2, 2, 2] * 2


CRITICAL = {2: 13.816, 4: 18.467}
"""Chi-squared at a significance of 0.001, by degrees of freedom."""

DRAWS = 12_000


@pytest.mark.parametrize(
    "entries",
    [
        [bid(60), bid(70), bid(75)],
        [bid(60, stake=400), bid(70, ppm=500_000), bid(75, stake=20)],
        [bid(10, stake=900), bid(20), bid(20, stake=1_500), bid(25, ppm=100_000), bid(90)],
    ],
    ids=["alike", "unlike", "five"],
)
def test_12_000_beacon_rounds_draw_in_proportion_to_the_weights(entries):
    """R50, R68: chi-squared at a significance of 0.001 over fixed rounds, all in the shortlist."""
    assert lowest(entries, size=len(entries)) == tuple(range(len(entries)))
    weights = weights_of(entries, stake_max=1_000)
    counts = [0] * len(entries)
    for i in range(DRAWS):
        counts[drawn(weights, number_of(AUCTION, keccak256(i.to_bytes(4, "big"))))] += 1
    expected = [DRAWS * w / sum(weights) for w in weights]
    statistic = sum((c - e) ** 2 / e for c, e in zip(counts, expected, strict=True))
    assert min(expected) >= 5
    assert statistic < CRITICAL[len(entries) - 1]
    shifted = [*weights[1:], weights[0] * 3]
    wrong = [DRAWS * w / sum(shifted) for w in shifted]
    assert sum((c - e) ** 2 / e for c, e in zip(counts, wrong, strict=True)) > 100


# ------------------------------------------------------------------------------- hashes


def literal(text: str) -> bytes:
    return text.encode().ljust(32, b"\0")


def test_the_number_of_a_draw_is_the_hash_the_contract_makes():
    """R50: `keccak256(abi.encode(TAG, chain id, market, deal, randomness))`."""
    types = ["bytes32", "uint256", "address", "uint256", "bytes32"]
    values = [literal("stkr/market-draw/1"), 31_337, "0x" + "aa" * 20, 7, b"\x05" * 32]
    expected = int.from_bytes(keccak256(abi_encode(types, values)), "big")
    assert number_of(AUCTION, b"\x05" * 32) == expected


def test_the_next_number_is_the_hash_of_the_one_before():
    """R50: for when who was drawn cannot serve any more."""
    number = number_of(AUCTION, b"\x05" * 32)
    expected = keccak256(abi_encode(["uint256"], [number]))
    assert number_after(number) == int.from_bytes(expected, "big")


def test_a_commitment_is_the_hash_the_contract_makes():
    types = ["bytes32", "uint256", "address", "uint256", "address", "uint256", "uint256", "bytes32"]
    draw = [literal("stkr/market-bid/1"), 31_337, "0x" + "aa" * 20, 7]
    own = ["0x" + "a1" * 20, 3, 60 * UNIT, b"\x09" * 32]
    assert commitment_of(
        AUCTION, provider=ALICE, registration=3, price=60 * UNIT, salt=b"\x09" * 32
    ) == keccak256(abi_encode(types, [*draw, *own]))


def test_a_commitment_serves_one_bidder_of_one_auction_on_one_chain():
    """Q2: a copied commitment, or one replayed on another chain, opens nothing."""
    others = [
        Auction(chain_id=1, market=AUCTION.market, deal=7),
        Auction(chain_id=31_337, market=Operator(b"\xab" * 20), deal=7),
        Auction(chain_id=31_337, market=AUCTION.market, deal=8),
    ]
    made = {
        commitment_of(a, provider=p, registration=3, price=60, salt=s)
        for a in (AUCTION, *others)
        for p in (ALICE, Operator(b"\xb0" * 20))
        for s in (b"\x09" * 32, b"\x0a" * 32)
    }
    assert len(made) == 16
