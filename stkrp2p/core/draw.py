"""The auction of a deal: sealed bids, shortlist, weights, draw (R50, R68; Q1, Q2, Q16).

    w_i = min(stake_i, stake_max) * reliability_i * clamp(median / price_i, 1/2, 2)

A bid enters the draw if it is one of the m lowest; who wins is drawn in proportion to w_i by a beacon
round fixed before the first bid. The weight is linear in stake up to the cap, so stake split over
many identities gains nothing, and no stake lifts a reliability of 0. Integers only; the contract
computes the same (`Draw.sol`). Specified in `protocols/market.md`, section "Draw".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

from stkrp2p.core.merkle import WORD_BYTES, keccak256, words
from stkrp2p.core.types import ONE_PPM, Digest, Operator, Ppm

MARKET_DRAW_TAG = b"stkr/market-draw/1"
MARKET_BID_TAG = b"stkr/market-bid/1"

ENTRIES_MAX = 32
"""Bids that an auction keeps at most, however many tie at the cut."""

PRICE_TERM_MIN = 500_000
PRICE_TERM_MAX = 2_000_000
"""Bounds of what a price does to a weight, in ppm: twice the median halves it, half doubles it."""


class Rule(IntEnum):
    """How an auction ends (Q1, Q2); the numbers are the contract's."""

    FIRST_PRICE = 0
    """One of the lowest is drawn and paid its own bid."""

    VICKREY = 1
    """One of the lowest is drawn and paid the second lowest bid, at least its own."""

    REQUESTER_CHOICE = 2
    """The requester chooses among the lowest, or lets the draw decide; paid its own bid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bid:
    """An opened bid, with what stood at its opening."""

    price: int
    """In 10^-18 ANKR."""

    stake: int
    """The provider's, in 10^-18 ANKR."""

    reliability_ppm: Ppm
    """Anchored, in the auction's epoch."""


# ------------------------------------------------------------------------------- sealing


@dataclass(frozen=True, slots=True, kw_only=True)
class Auction:
    """Which auction a hash is for: none serves another, nor another chain."""

    chain_id: int
    market: Operator
    """The contract's address."""

    deal: int

    def words(self) -> bytes:
        """Return the three words of it in every hash."""
        return words(self.chain_id, int.from_bytes(self.market, "big"), self.deal)


def commitment_of(
    auction: Auction, *, provider: Operator, registration: int, price: int, salt: bytes
) -> Digest:
    """Return what seals a bid until it is opened.

    Args:
        auction: The auction.
        provider: Who bids; nobody else can open it, so copying a commitment is of no use.
        registration: The provider's node that would serve.
        price: In 10^-18 ANKR.
        salt: 32 random bytes, without which prices could be guessed.
    """
    bid = words(int.from_bytes(provider, "big"), registration, price, salt)
    return keccak256(_tag_word(MARKET_BID_TAG) + auction.words() + bid)


def _tag_word(tag: bytes) -> bytes:
    return tag.ljust(WORD_BYTES, b"\0")


# ------------------------------------------------------------------------------- the lowest


def lowest(bids: Sequence[Bid], *, size: int) -> tuple[int, ...]:
    """Return the places of the bids that enter the draw, lowest first (R50).

    These are the `size` lowest and all that tie with the last of them (Q2), at most `ENTRIES_MAX`;
    of equal prices the one opened earlier stands first.

    Args:
        bids: In the order they were opened.
        size: How many lowest enter, 1 or more.
    """
    order = sorted(range(len(bids)), key=lambda i: bids[i].price)
    cut = [bids[i].price for i in order[size - 1 : size]]
    entering = [i for i in order if not cut or bids[i].price <= cut[0]]
    return tuple(entering[:ENTRIES_MAX])


def paid_of(bids: Sequence[Bid], *, winner: int, rule: Rule, fixed_price: int) -> int:
    """Return what the winner is paid, in 10^-18 ANKR (Q1), at most the fixed price.

    Under `VICKREY` this is the second lowest price of all opened bids, but at least its own bid;
    the fixed price if nobody else bid.

    Args:
        bids: All opened bids.
        winner: Its place among them.
        rule: The auction's.
        fixed_price: What the requester paid in, in 10^-18 ANKR.
    """
    own = bids[winner].price
    if rule is not Rule.VICKREY:
        return min(own, fixed_price)
    prices = sorted(bid.price for bid in bids)
    second = prices[1] if len(prices) > 1 else fixed_price
    return min(max(own, second), fixed_price)


# ------------------------------------------------------------------------------- the draw


def weights_of(entries: Sequence[Bid], *, stake_max: int) -> tuple[int, ...]:
    """Return the weights of the bids in a draw; 1 each if all would be 0.

    The price term is the lower median of their prices over the bid's own, in ppm and rounded down,
    from `PRICE_TERM_MIN` to `PRICE_TERM_MAX`; a price of 0 has the highest.

    Args:
        entries: At least one.
        stake_max: Stake beyond this weighs nothing, in 10^-18 ANKR.
    """
    median = sorted(bid.price for bid in entries)[(len(entries) - 1) // 2]
    found = tuple(
        min(bid.stake, stake_max) * bid.reliability_ppm * _price_term(bid.price, median)
        for bid in entries
    )
    return found if any(found) else (1,) * len(entries)


def _price_term(price: int, median: int) -> int:
    if price == 0:
        return PRICE_TERM_MAX
    return max(PRICE_TERM_MIN, min(PRICE_TERM_MAX, median * ONE_PPM // price))


def number_of(auction: Auction, randomness: bytes) -> int:
    """Return the 256-bit number that decides a draw.

    Args:
        auction: The auction.
        randomness: 32 bytes, of the beacon round fixed when the auction was opened.
    """
    return int.from_bytes(
        keccak256(_tag_word(MARKET_DRAW_TAG) + auction.words() + words(randomness)), "big"
    )


def number_after(number: int) -> int:
    """Return the number of the draw after one whose winner could not serve any more."""
    return int.from_bytes(keccak256(words(number)), "big")


def drawn(weights: Sequence[int], number: int) -> int:
    """Return the place that a number draws, each in proportion to its weight.

    It is the first one whose running sum of weights exceeds the number modulo the whole sum. Where
    stakes are below 2^128 that sum is below 2^174, so the modulo favours no point of it by more than
    one in 2^82.
    """
    sums = list(accumulate(weights))
    point = number % sums[-1]
    return next(i for i, upto in enumerate(sums) if upto > point)
