"""Vectors of auctions: who enters the draw, what each weighs, who is drawn and what it is paid."""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the vectors are a function of their seed
from collections.abc import Iterator
from dataclasses import dataclass

from stkrp2p.core.draw import (
    ENTRIES_MAX,
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
from stkrp2p.core.types import ONE_PPM, Operator, Ppm
from testnet.vectors.form import Json

AMOUNT_MAX = 1 << 112
"""Prices and stakes are below: what the contract stores them in."""

DRAWS = 1_000

CHAIN_ID = 31_337
MARKET = Operator(bytes(range(1, 21)))
"""Where the auctions are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An auction whose bids were opened, and its beacon round."""

    bids: tuple[Bid, ...]
    """In the order they were opened; at least one."""

    size: int
    stake_max: int
    rule: Rule
    fixed_price: int
    auction: Auction
    randomness: bytes

    @property
    def entering(self) -> tuple[int, ...]:
        """Places of the bids in the draw, lowest first."""
        return lowest(self.bids, size=self.size)

    @property
    def weights(self) -> tuple[int, ...]:
        """What they weigh."""
        return weights_of([self.bids[i] for i in self.entering], stake_max=self.stake_max)

    @property
    def winner(self) -> int:
        """The place of the bid that is drawn."""
        return self.entering[drawn(self.weights, number_of(self.auction, self.randomness))]

    @property
    def paid(self) -> int:
        """What it is paid."""
        return paid_of(self.bids, winner=self.winner, rule=self.rule, fixed_price=self.fixed_price)


def draws() -> dict[str, Json]:
    """Return `draw.json`: commitments, numbers, whole auctions."""
    return {
        "entries_max": ENTRIES_MAX,
        "commitments": [_commitment(i) for i in range(8)],
        "numbers": [_number(i) for i in range(8)],
        "auctions": [_auction(case) for case in [*_edges(), *auctions(seed=21, count=DRAWS)]],
    }


def auctions(seed: int, count: int) -> Iterator[Case]:
    """Yield auctions, always the same ones for a seed."""
    rng = random.Random(seed)
    for _ in range(count):
        fixed_price = max(1, _amount(rng))
        bids = [_bid(rng, fixed_price) for _ in range(rng.choice((1, 1, 2, 3, 3, 4, 5, 8)))]
        bids += [rng.choice(bids) for _ in range(rng.choice((0, 0, 0, 1, 3)))]
        yield Case(
            bids=tuple(rng.sample(bids, len(bids))),
            size=rng.choice((1, 1, 3, 3, 3, 5)),
            stake_max=rng.choice((0, 1, 500_000 * UNIT, _amount(rng))),
            rule=rng.choice(tuple(Rule)),
            fixed_price=fixed_price,
            auction=_where(rng.randrange(1, 1 << 32)),
            randomness=rng.randbytes(32),
        )


def _amount(rng: random.Random) -> int:
    return rng.choice(
        (0, 1, rng.randrange(100), rng.randrange(1_000) * UNIT, AMOUNT_MAX - rng.randrange(1, 3))
    )


def _bid(rng: random.Random, fixed_price: int) -> Bid:
    return Bid(
        price=rng.choice(
            (0, fixed_price, fixed_price // 2, rng.randrange(fixed_price + 1), fixed_price - 1)
        ),
        stake=_amount(rng),
        reliability_ppm=Ppm(rng.choice((0, 1, 900_000, ONE_PPM, rng.randrange(ONE_PPM)))),
    )


def _where(deal: int) -> Auction:
    return Auction(chain_id=CHAIN_ID, market=MARKET, deal=deal)


def _somewhere(rng: random.Random, index: int) -> Auction:
    """Return the market's auction, or every fourth time one on another chain, of another market."""
    if index % 4:
        return _where(index)
    return Auction(chain_id=index + 1, market=Operator(rng.randbytes(20)), deal=index)


def _paper(*, size: int, rule: Rule = Rule.FIRST_PRICE, stake: int = 100_000 * UNIT) -> Case:
    """Return the white paper's auction (section 3.5)."""
    prices = (60 * UNIT, 70 * UNIT, 75 * UNIT)
    return Case(
        bids=tuple(Bid(price=p, stake=stake, reliability_ppm=Ppm(950_000)) for p in prices),
        size=size,
        stake_max=500_000 * UNIT,
        rule=rule,
        fixed_price=100 * UNIT,
        auction=_where(1),
        randomness=bytes(range(32)),
    )


def _edges() -> list[Case]:
    paper = _paper(size=1)
    tied = tuple(Bid(price=5, stake=i + 1, reliability_ppm=ONE_PPM) for i in range(ENTRIES_MAX + 8))
    largest = Bid(price=AMOUNT_MAX - 1, stake=AMOUNT_MAX - 1, reliability_ppm=ONE_PPM)

    def changed(bids: tuple[Bid, ...], size: int) -> Case:
        return Case(
            bids=bids,
            size=size,
            stake_max=AMOUNT_MAX - 1,
            rule=Rule.VICKREY,
            fixed_price=AMOUNT_MAX - 1,
            auction=paper.auction,
            randomness=paper.randomness,
        )

    return [
        paper,
        _paper(size=1, rule=Rule.VICKREY),
        _paper(size=3),
        _paper(size=3, stake=0),
        changed(tied, 3),
        changed((largest,) * ENTRIES_MAX, ENTRIES_MAX),
        changed((largest,), 1),
    ]


def _auction(case: Case) -> Json:
    return {
        "bids": [f"{b.price}|{b.stake}|{b.reliability_ppm}" for b in case.bids],
        "size": case.size,
        "stake_max": str(case.stake_max),
        "rule": int(case.rule),
        "fixed_price": str(case.fixed_price),
        "deal": case.auction.deal,
        "randomness": case.randomness.hex(),
        "entering": list(case.entering),
        "weights": "|".join(map(str, case.weights)),
        "winner": case.winner,
        "paid": str(case.paid),
    }


def _commitment(index: int) -> Json:
    rng = random.Random(index)
    provider, price, salt = Operator(rng.randbytes(20)), _amount(rng), rng.randbytes(32)
    where = _somewhere(rng, index)
    made = commitment_of(where, provider=provider, registration=index, price=price, salt=salt)
    return {
        "chain_id": where.chain_id,
        "market": where.market.hex(),
        "deal": where.deal,
        "provider": provider.hex(),
        "registration": index,
        "price": str(price),
        "salt": salt.hex(),
        "commitment": made.hex(),
    }


def _number(index: int) -> Json:
    rng = random.Random(100 + index)
    where = _somewhere(rng, index)
    randomness = rng.randbytes(32)
    number = number_of(where, randomness)
    return {
        "chain_id": where.chain_id,
        "market": where.market.hex(),
        "deal": where.deal,
        "randomness": randomness.hex(),
        "number": str(number),
        "after": str(number_after(number)),
    }
