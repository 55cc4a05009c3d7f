"""What goes into and out of the pools, in integers (R52, R54, R56, R57; Q3, Q4, Q6, Q7, Q25).

All amounts of one call are in the same smallest unit: wei, or 10^-18 ANKR. Shares are rounded down
and charges up, and each function says who keeps what rounding leaves, so that nothing is made or
lost. Specified in `protocols/market.md`, section "Money".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stkrp2p.core.economics import UNIT, PoolShares, divided_up
from stkrp2p.core.types import ONE_BPS

NODE_ETH = 32 * UNIT
"""What a validator of Ethereum stakes, in wei."""


def in_proportion(amount: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Return each one's part of an amount by weight, rounded down; nothing where nobody weighs."""
    total = sum(weights)
    if total == 0:
        return (0,) * len(weights)
    return tuple(amount * weight // total for weight in weights)


# ------------------------------------------------------------------------------- rewards


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardParts:
    """The four parts of the reward pool (R54): basis points of it, or amounts."""

    governance: int
    projects: int
    """For providers and requesters, in proportion to ETH times time in completed projects (Q3)."""

    stakers: int
    """In proportion to ANKR times time (Q3)."""

    development: int


REWARD_BPS = RewardParts(governance=3_000, projects=4_000, stakers=2_000, development=1_000)
"""The white paper's parts (section 3.4.6)."""


def distributed(pool: int, bps: RewardParts = REWARD_BPS) -> RewardParts:
    """Return the pool's parts (R54), each rounded down; development gets what rounding leaves.

    Raises:
        ValueError: The parts do not sum to the whole, or one is negative.
    """
    parts = (bps.governance, bps.projects, bps.stakers, bps.development)
    if sum(parts) != ONE_BPS or min(parts) < 0:
        raise ValueError(f"parts must sum to {ONE_BPS} basis points, got {parts}")
    governance, projects, stakers = (pool * part // ONE_BPS for part in parts[:3])
    return RewardParts(
        governance=governance,
        projects=projects,
        stakers=stakers,
        development=pool - governance - projects - stakers,
    )


# ------------------------------------------------------------------------------- insurance


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunds:
    """What each victim of a slash gets back, in wei, in the order of their stakes."""

    provider: tuple[int, ...]
    insurance: tuple[int, ...]


def insured(claims: Sequence[int], *, balance: int) -> tuple[int, ...]:
    """Return what the insurance pool pays on each claim: all, or its balance pro rata (Q25).

    Pro rata each payment is rounded down; what rounding leaves stays in the pool.
    """
    return tuple(claims) if sum(claims) <= balance else in_proportion(balance, claims)


def refunds(
    stakes: Sequence[int], *, lost_eth: int, provider_eth: int, balance_eth: int
) -> Refunds:
    """Return what the victims of a slash get (R52): k ETH of the provider, the rest of the pool.

    Each victim's part is in proportion to its stake, rounded down; what rounding leaves stays with
    who pays. Of a full slash of 32 ETH the provider's k come first, then 32 - k of the pool.

    Args:
        stakes: What each victim had on the node, in wei.
        lost_eth: What was slashed, in wei.
        provider_eth: The provider's k, in wei.
        balance_eth: What the insurance pool has, in wei.
    """
    from_provider = min(lost_eth, provider_eth)
    claims = in_proportion(lost_eth - from_provider, stakes)
    return Refunds(
        provider=in_proportion(from_provider, stakes),
        insurance=insured(claims, balance=balance_eth),
    )


# ------------------------------------------------------------------------------- micro-pools


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """What comes of an investor's ETH sent to a micro-pool."""

    taken_eth: int
    refunded_eth: int
    fee_ankr: int


def joined(sent_eth: int, *, filled_eth: int, fixed_price: int) -> Joined:
    """Return what a micro-pool takes of an investor, and charges (R56).

    The pool fills exactly: beyond 32 ETH the excess is sent back at once. The fee is the stake's
    32nd part of the fixed price (Q7), rounded up.

    Raises:
        ValueError: The pool holds more than 32 ETH.
    """
    if not 0 <= filled_eth <= NODE_ETH:
        raise ValueError(f"a micro-pool holds at most {NODE_ETH} wei, got {filled_eth}")
    taken = min(sent_eth, NODE_ETH - filled_eth)
    return Joined(
        taken_eth=taken,
        refunded_eth=sent_eth - taken,
        fee_ankr=divided_up(fixed_price * taken, NODE_ETH),
    )


def fee_split(fees_ankr: int, shares: PoolShares) -> tuple[int, int]:
    """Return what reward pool and provider get of the investors' fees (R56, Q6).

    The reward pool's share is rounded down; the rest is the provider's that opened the pool.
    """
    reward = fees_ankr * shares.reward_bps // ONE_BPS
    return reward, fees_ankr - reward


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Who gets what of a completed micro-pool's reward, in wei."""

    reward: int
    insurance: int
    stakers: tuple[int, ...]
    """In the order of their stakes."""


def completion(reward_eth: int, stakes: Sequence[int], shares: PoolShares) -> Completion:
    """Return the split of a micro-pool's reward (R57): pools first, the rest by ETH staked.

    Each staker's part is rounded down, provider's like investors'; what rounding leaves goes to the
    insurance pool, and all of it where nobody staked.
    """
    reward = reward_eth * shares.reward_bps // ONE_BPS
    insurance = reward_eth * shares.insurance_bps // ONE_BPS
    stakers = in_proportion(reward_eth - reward - insurance, stakes)
    return Completion(reward=reward, insurance=reward_eth - reward - sum(stakers), stakers=stakers)
