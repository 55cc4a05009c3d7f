"""What a deal costs and how its money is split, in integers (R47, R55, R58, R59; Q10-Q12).

Amounts are in the smallest unit of their currency: 10^-18 ANKR, 10^-18 ETH, 10^-18 USD. Each division
says which way it rounds; what is paid out of a sum always adds up to that sum, to the last unit. The
contracts compute the same (`Money.sol`). Specified in `protocols/market.md`, section "Money".
"""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.core.types import ONE_BPS

UNIT = 10**18
"""Smallest units of one ANKR, one ETH or one USD."""

HOUR_S = 3_600
YEAR_S = 8_760 * HOUR_S
_PARTS = 1_000
"""Thousandths of a core in a core, MB of memory in a GB."""


# ------------------------------------------------------------------------------- the quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a project needs of a machine."""

    cpu_milli: int
    """Thousandths of a core."""

    ram_mb: int
    storage_gb: int
    bandwidth_mbps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """The published prices of resources, in 10^-18 USD an hour (R47)."""

    core_usd: int
    ram_gb_usd: int
    storage_gb_usd: int
    mbps_usd: int


def usd_of(need: Resources, tariff: Tariff, *, length_s: int) -> int:
    """Return what resources cost for a time, in 10^-18 USD, rounded up (R47)."""
    thousandths = (
        need.cpu_milli * tariff.core_usd
        + need.ram_mb * tariff.ram_gb_usd
        + need.storage_gb * tariff.storage_gb_usd * _PARTS
        + need.bandwidth_mbps * tariff.mbps_usd * _PARTS
    )
    return divided_up(length_s * thousandths, HOUR_S * _PARTS)


def ankr_of_usd(usd: int, *, usd_per_ankr: int) -> int:
    """Return what an amount of USD costs in ANKR, rounded up; all three in 10^-18.

    Raises:
        ValueError: The price is not positive: it is refused, never guessed (Q10).
    """
    _require_price(usd_per_ankr)
    return divided_up(usd * UNIT, usd_per_ankr)


def ankr_per_eth_of(*, usd_per_eth: int, usd_per_ankr: int) -> int:
    """Return the price of one ETH in 10^-18 ANKR, rounded down, from two in 10^-18 USD.

    Raises:
        ValueError: The price of ANKR is not positive.
    """
    _require_price(usd_per_ankr)
    return usd_per_eth * UNIT // usd_per_ankr


def yearly_share(principal: int, *, bps_per_year: int, length_s: int) -> int:
    """Return what a principal brings in a time at a yearly rate, rounded down, in its own unit.

    A project's expected profit is that of its ETH stake (R47).
    """
    return principal * bps_per_year * length_s // (ONE_BPS * YEAR_S)


# ------------------------------------------------------------------------------- the split


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolShares:
    """What the pools take of a completed deal, in basis points (R55).

    Raises:
        ValueError: A share is negative, or both are more than the whole.
    """

    reward_bps: int
    insurance_bps: int

    def __post_init__(self) -> None:
        if min(self.reward_bps, self.insurance_bps) < 0:
            raise ValueError("a pool's share is negative")
        if self.reward_bps + self.insurance_bps > ONE_BPS:
            raise ValueError("the pools' shares are more than the whole")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Who gets what of a completed deal; a pair of sums is (10^-18 ANKR, wei)."""

    provider_ankr: int
    reward_ankr: int
    insurance_ankr: int
    requester_ankr: int
    reward_eth: int
    insurance_eth: int
    requester_eth: int


def split(
    *, ankr: int, eth: int, paid_ankr: int, shares: PoolShares, ankr_per_eth: int = 0
) -> Split:
    """Return the split of a completed deal (R55), with Q11's floors.

    The provider is paid first. Then the pools get their shares of all that came in; if the ANKR left
    is too little, they share it in proportion to what is due, and the shortfall is taken from the
    requester's ETH at the price, as far as that goes. The requester gets what is left.

    Args:
        ankr: Fixed price and profit in ANKR.
        eth: Profit in ETH.
        paid_ankr: What the provider is paid.
        shares: The pools' shares, those when the deal was assigned.
        ankr_per_eth: Price of one ETH in 10^-18 ANKR; needed if there is a shortfall and ETH only.

    Raises:
        ValueError: An amount is negative, or a price is needed and not positive.
    """
    if min(ankr, eth, paid_ankr) < 0:
        raise ValueError("an amount is negative")
    provider = min(paid_ankr, ankr)
    due = _of_pools(ankr, shares)
    reward, insurance = shared(ankr - provider, due)
    owed = _in_eth((due[0] - reward, due[1] - insurance), ankr_per_eth) if eth else (0, 0)
    own = _of_pools(eth, shares)
    more = shared(eth - sum(own), owed)
    return Split(
        provider_ankr=provider,
        reward_ankr=reward,
        insurance_ankr=insurance,
        requester_ankr=ankr - provider - reward - insurance,
        reward_eth=own[0] + more[0],
        insurance_eth=own[1] + more[1],
        requester_eth=eth - sum(own) - sum(more),
    )


def shared(amount: int, due: tuple[int, int]) -> tuple[int, int]:
    """Return what two creditors get of an amount: what is due, or all of it in proportion to that.

    The first one's part is rounded down, the second gets the rest of the amount; neither ever gets
    more than is due.
    """
    total = sum(due)
    if amount >= total:
        return due
    first = amount * due[0] // total
    return first, amount - first


def _of_pools(amount: int, shares: PoolShares) -> tuple[int, int]:
    """Return the pools' shares of an amount, each rounded down."""
    return amount * shares.reward_bps // ONE_BPS, amount * shares.insurance_bps // ONE_BPS


def _in_eth(ankr: tuple[int, int], ankr_per_eth: int) -> tuple[int, int]:
    """Return amounts of ANKR in wei, each rounded down; nothing needs no price."""
    if not any(ankr):
        return 0, 0
    _require_price(ankr_per_eth)
    return ankr[0] * UNIT // ankr_per_eth, ankr[1] * UNIT // ankr_per_eth


# ------------------------------------------------------------------------------- the failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Who pays for a failed deal's loss; ETH in wei, ANKR in 10^-18."""

    provider_eth: int
    """Of the provider's ETH on the node."""

    provider_ankr: int
    """Of its stake, at the price."""

    insurance_eth: int

    uncovered_eth: int
    """What nobody pays; published, never guessed away."""


def loss_of(*, expected_profit: int, unserved_s: int, length_s: int) -> int:
    """Return the loss of a deal that failed, in wei, rounded down (Q12).

    It is the expected profit of the time that was not served.

    Raises:
        ValueError: More time is unserved than the deal is long, or it has no length.
    """
    if not 0 <= unserved_s <= length_s or length_s == 0:
        raise ValueError(f"{unserved_s} s of {length_s} s cannot be unserved")
    return expected_profit * unserved_s // length_s


def cover(
    loss_eth: int, *, provider_eth: int, stake_ankr: int, ankr_per_eth: int, insurance_eth: int
) -> Cover:
    """Return who pays a loss (Q12): the provider's ETH, its ANKR, then the insurance pool.

    The provider's ANKR is rounded up where it pays for all that is left; where all its stake is not
    enough, what that is worth is rounded down. The pool pays at most what it has.

    Args:
        loss_eth: The loss, in wei.
        provider_eth: What the provider holds on the node, in wei.
        stake_ankr: What it has staked, in 10^-18 ANKR.
        ankr_per_eth: Price of one ETH in 10^-18 ANKR; needed if its ETH is not enough.
        insurance_eth: What the insurance pool has, in wei.

    Raises:
        ValueError: A price is needed and not positive.
    """
    from_eth = min(loss_eth, provider_eth)
    left = loss_eth - from_eth
    ankr = 0
    if left:
        _require_price(ankr_per_eth)
        needed = divided_up(left * ankr_per_eth, UNIT)
        ankr = min(needed, stake_ankr)
        left -= left if ankr == needed else ankr * UNIT // ankr_per_eth
    from_pool = min(left, insurance_eth)
    return Cover(
        provider_eth=from_eth,
        provider_ankr=ankr,
        insurance_eth=from_pool,
        uncovered_eth=left - from_pool,
    )


def divided_up(amount: int, divisor: int) -> int:
    """Return the quotient, rounded up."""
    return -(-amount // divisor)


def _require_price(price: int) -> None:
    if price <= 0:
        raise ValueError(f"a price must be positive, got {price}")
