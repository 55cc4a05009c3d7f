"""Vectors of a deal's money and of the pools: the white paper's examples, edges, and drawn cases.

Cases are rows of decimal numbers with bars between, since amounts go up to 2^128. Drawn by a seed, so they are the same
each time; a good part lies where mistakes would hide: at 0, at caps, one unit beside a limit.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the vectors are a function of their seed
from collections.abc import Iterator, Sequence

from stkrp2p.core import pools
from stkrp2p.core.economics import (
    UNIT,
    PoolShares,
    Resources,
    Tariff,
    ankr_of_usd,
    cover,
    loss_of,
    split,
    usd_of,
    yearly_share,
)
from stkrp2p.core.types import ONE_BPS
from testnet.vectors.form import Json

AMOUNT_MAX = 1 << 128
SHARES_SUM_MAX = ONE_BPS // 2
"""What the policy lets the pools take together, in basis points."""

SplitRow = tuple[int, int, int, int, int, int]
"""ANKR, ETH, paid, reward's and insurance's basis points, price."""

CoverRow = tuple[int, int, int, int, int]
"""Loss, provider's ETH, its ANKR, price, the pool's ETH."""

LossRow = tuple[int, int, int]
"""Expected profit, seconds not served, seconds of the deal."""

QuoteRow = tuple[int, int, int, int, int, int, int, int, int, int]
"""Need (4), tariff (4), seconds, price of ANKR in USD."""


def money() -> dict[str, Json]:
    """Return `money.json`: quotes, splits, losses, and what the pools do."""
    return {
        "quotes": [_rows(row, quoted(row)) for row in quote_rows(seed=11, count=200)],
        "profits": [_rows(row, (yearly_share_of(row),)) for row in profit_rows(seed=12, count=100)],
        "splits": [
            _rows(row, split_of(row)) for row in [*_SPLITS, *split_rows(seed=13, count=500)]
        ],
        "losses": [_rows(row, (loss_of_row(row),)) for row in loss_rows(seed=14, count=100)],
        "covers": [
            _rows(row, cover_of(row)) for row in [*_COVERS, *cover_rows(seed=15, count=400)]
        ],
        "distributions": _distributions(),
        "refunds": _refunds(),
        "micro_pools": _micro_pools(),
        "completions": _completions(),
    }


def _rows(given: Sequence[int], expected: Sequence[int]) -> Json:
    return {"given": _texts(given), "expected": _texts(expected)}


def _texts(values: Sequence[int]) -> Json:
    return "|".join(map(str, values))


def amount(rng: random.Random) -> int:
    """Return an amount: often none, a few units, whole tokens, or as much as can be."""
    return rng.choice(
        (
            0,
            rng.randrange(1, 4),
            rng.randrange(20_000),
            rng.randrange(5_000) * UNIT,
            rng.randrange(10**24),
            AMOUNT_MAX - rng.randrange(1, 3),
        )
    )


def near(rng: random.Random, limit: int) -> int:
    """Return an amount beside a limit, or any."""
    return rng.choice((limit, max(0, limit - 1), limit + 1, rng.randrange(limit + 1), amount(rng)))


def price(rng: random.Random) -> int:
    """Return a price of ETH in 10^-18 ANKR."""
    return rng.choice((1, rng.randrange(1, 9), UNIT, 97_531 * UNIT + 7, rng.randrange(1, 1 << 90)))


def pair_bps(rng: random.Random) -> tuple[int, int]:
    """Return both pools' shares."""
    reward = rng.randrange(SHARES_SUM_MAX + 1)
    rest = rng.randrange(SHARES_SUM_MAX + 1 - reward)
    return rng.choice(((1_000, 1_000), (0, 0), (0, rest), (reward, rest), (SHARES_SUM_MAX - 1, 1)))


# ------------------------------------------------------------------------------- quotes


def quote_rows(seed: int, count: int) -> Iterator[QuoteRow]:
    """Yield what is quoted, always the same for a seed."""
    rng = random.Random(seed)
    largest = (1 << 32) - 1
    for _ in range(count):
        need = [rng.choice((0, 1, 999, 4_000, 16_001, largest)) for _ in range(4)]
        tariff = [rng.choice((0, 1, rng.randrange(10**17), 10 * UNIT)) for _ in range(4)]
        length_s = rng.choice((1, 3_599, 3_600, 5_256_000, rng.randrange(1 << 32), largest))
        usd_per_ankr = rng.choice((1, UNIT, UNIT // 37, rng.randrange(1, 10**20)))
        yield (*_four(need), *_four(tariff), length_s, usd_per_ankr)


def _four(values: Sequence[int]) -> tuple[int, int, int, int]:
    first, second, third, fourth = values
    return first, second, third, fourth


def quoted(row: QuoteRow) -> tuple[int, int]:
    """Return a need's price in 10^-18 USD, and in 10^-18 ANKR."""
    need = Resources(cpu_milli=row[0], ram_mb=row[1], storage_gb=row[2], bandwidth_mbps=row[3])
    tariff = Tariff(core_usd=row[4], ram_gb_usd=row[5], storage_gb_usd=row[6], mbps_usd=row[7])
    usd = usd_of(need, tariff, length_s=row[8])
    return usd, ankr_of_usd(usd, usd_per_ankr=row[9])


def profit_rows(seed: int, count: int) -> Iterator[LossRow]:
    """Yield principals, yearly rates in basis points, and seconds."""
    rng = random.Random(seed)
    for _ in range(count):
        rate = rng.choice((0, 1, 400, ONE_BPS, rng.randrange(ONE_BPS)))
        yield amount(rng), rate, rng.choice((1, 3_600, 31_536_000, rng.randrange(1 << 32)))


def yearly_share_of(row: LossRow) -> int:
    """Return the profit of a row of `profit_rows`."""
    return yearly_share(row[0], bps_per_year=row[1], length_s=row[2])


# ------------------------------------------------------------------------------- splits

_SPLITS: tuple[SplitRow, ...] = (
    (400 * UNIT, 0, 60 * UNIT, 1_000, 1_000, 0),
    (400 * UNIT, 0, 70 * UNIT, 1_000, 1_000, 0),
    (1_500 * UNIT, 3 * UNIT, 1_500 * UNIT, 1_000, 1_000, 100_000 * UNIT),
    (1_500 * UNIT, 3 * UNIT, 1_500 * UNIT, 0, 0, 0),
    (19_999, 5, 10_002, 4_999, 1, 1),
    (19_999, 5, 10_002, 1, 4_999, 1),
    (0, 0, 0, 1_000, 1_000, 0),
    (0, UNIT, UNIT, 1_000, 1_000, 0),
    (100, 1_000, 100, 2_000, 1_000, 1),
    (1, 1, 1, 2_500, 2_500, 1),
    (AMOUNT_MAX - 1, AMOUNT_MAX - 1, AMOUNT_MAX - 1, 2_500, 2_500, 1),
)
"""The white paper's two and section 5.1's with and without pools first, then edges."""


def split_rows(seed: int, count: int) -> Iterator[SplitRow]:
    """Yield what is split, always the same for a seed."""
    rng = random.Random(seed)
    for _ in range(count):
        ankr, (reward, insurance) = amount(rng), pair_bps(rng)
        without_pools = ankr - ankr * reward // ONE_BPS - ankr * insurance // ONE_BPS
        paid = rng.choice((near(rng, without_pools), near(rng, ankr)))
        yield ankr, amount(rng), paid, reward, insurance, price(rng)


def split_of(row: SplitRow) -> tuple[int, ...]:
    """Return a split's amounts: provider, pools, requester in ANKR; pools, requester in ETH."""
    ankr, eth, paid, reward, insurance, ankr_per_eth = row
    found = split(
        ankr=ankr,
        eth=eth,
        paid_ankr=paid,
        shares=PoolShares(reward_bps=reward, insurance_bps=insurance),
        ankr_per_eth=ankr_per_eth,
    )
    return (
        found.provider_ankr,
        found.reward_ankr,
        found.insurance_ankr,
        found.requester_ankr,
        found.reward_eth,
        found.insurance_eth,
        found.requester_eth,
    )


# ------------------------------------------------------------------------------- losses

_COVERS: tuple[CoverRow, ...] = (
    (0, 0, 0, 1, 0),
    (UNIT, UNIT, 0, 1, 0),
    (UNIT, 0, 99_999 * UNIT, 100_000 * UNIT, UNIT),
    (UNIT, 0, 100_000 * UNIT, 100_000 * UNIT, UNIT),
    (1, 0, 1, 1, 0),
    (7, 2, 0, 5, 4),
    (AMOUNT_MAX - 1, 1, AMOUNT_MAX - 1, (1 << 90) - 1, AMOUNT_MAX - 1),
)


def loss_rows(seed: int, count: int) -> Iterator[LossRow]:
    """Yield expected profits with the time not served, always the same for a seed."""
    rng = random.Random(seed)
    for _ in range(count):
        length_s = rng.choice((1, 3_600, rng.randrange(1, 1 << 32)))
        yield amount(rng), rng.choice((0, length_s, rng.randrange(length_s + 1))), length_s


def loss_of_row(row: LossRow) -> int:
    """Return the loss of a row."""
    return loss_of(expected_profit=row[0], unserved_s=row[1], length_s=row[2])


def cover_rows(seed: int, count: int) -> Iterator[CoverRow]:
    """Yield losses and who may pay them, always the same for a seed."""
    rng = random.Random(seed)
    for _ in range(count):
        loss, ankr_per_eth = amount(rng), price(rng)
        provider = near(rng, loss) if rng.randrange(2) else 0
        left = max(0, loss - provider)
        needed = -(-left * ankr_per_eth // UNIT)
        stake = near(rng, min(needed, AMOUNT_MAX - 2))
        yield loss, provider, stake, ankr_per_eth, near(rng, min(left, AMOUNT_MAX - 2))


def cover_of(row: CoverRow) -> tuple[int, int, int, int]:
    """Return who pays a loss: provider in ETH and in ANKR, pool, nobody."""
    loss, provider, stake, ankr_per_eth, pool = row
    found = cover(
        loss,
        provider_eth=provider,
        stake_ankr=stake,
        ankr_per_eth=ankr_per_eth,
        insurance_eth=pool,
    )
    return found.provider_eth, found.provider_ankr, found.insurance_eth, found.uncovered_eth


# ------------------------------------------------------------------------------- pools


def _distributions() -> list[Json]:
    rng = random.Random(16)
    paper = (3_000, 4_000, 2_000, 1_000)
    cuts = [sorted(rng.randrange(ONE_BPS + 1) for _ in range(3)) for _ in range(30)]
    others = [_four((a, b - a, c - b, ONE_BPS - c)) for a, b, c in cuts]
    given = [(40 * UNIT, *paper), *((amount(rng), *bps) for bps in [paper] * 30 + others)]
    return [_rows(row, _distributed(row)) for row in given]


def _distributed(row: tuple[int, int, int, int, int]) -> tuple[int, int, int, int]:
    names = ("governance", "projects", "stakers", "development")
    bps = pools.RewardParts(**dict(zip(names, row[1:], strict=True)))
    found = pools.distributed(row[0], bps)
    return found.governance, found.projects, found.stakers, found.development


def _stakes(rng: random.Random) -> list[int]:
    return [amount(rng) for _ in range(rng.randrange(6))]


def _refunds() -> list[Json]:
    rng = random.Random(17)
    whole = ([24 * UNIT, 8 * UNIT], 32 * UNIT, 16 * UNIT)
    cases = [(*whole, 100 * UNIT), (*whole, 4 * UNIT), (*whole, 0), ([], 32 * UNIT, 0, 0)]
    for _ in range(60):
        lost = amount(rng)
        provider = near(rng, lost)
        cases.append((_stakes(rng), lost, provider, near(rng, max(0, lost - provider))))
    return [_refund(*case) for case in cases]


def _refund(stakes: list[int], lost: int, provider: int, balance: int) -> Json:
    found = pools.refunds(stakes, lost_eth=lost, provider_eth=provider, balance_eth=balance)
    return {
        "stakes": _texts(stakes),
        "given": _texts((lost, provider, balance)),
        "provider": _texts(found.provider),
        "insurance": _texts(found.insurance),
    }


def _micro_pools() -> list[Json]:
    rng = random.Random(18)
    cases = [(4 * UNIT, 0, 100 * UNIT), (40 * UNIT, 0, 100 * UNIT), (UNIT, 32 * UNIT, UNIT)]
    for _ in range(40):
        filled = rng.randrange(pools.NODE_ETH + 1)
        cases.append((near(rng, pools.NODE_ETH - filled), filled, amount(rng)))
    found = [pools.joined(sent, filled_eth=f, fixed_price=fp) for sent, f, fp in cases]
    return [
        _rows(case, (one.taken_eth, one.refunded_eth, one.fee_ankr))
        for case, one in zip(cases, found, strict=True)
    ]


def _completions() -> list[Json]:
    rng = random.Random(19)
    cases = [([8, 24], 100, 1_000, 1_000), ([], 100, 1_000, 1_000), ([0, 0], 7, 0, 0)]
    cases += [(_stakes(rng), amount(rng), *pair_bps(rng)) for _ in range(60)]
    return [_completion(*case) for case in cases]


def _completion(stakes: list[int], reward: int, reward_bps: int, insurance_bps: int) -> Json:
    shares = PoolShares(reward_bps=reward_bps, insurance_bps=insurance_bps)
    found = pools.completion(reward, stakes, shares)
    return {
        "stakes": _texts(stakes),
        "given": _texts((reward, reward_bps, insurance_bps)),
        "pools": _texts((found.reward, found.insurance)),
        "stakers": _texts(found.stakers),
        "fee_split": _texts(pools.fee_split(reward, shares)),
    }
