"""What a deal brings each party, and costs it (R67; white paper, section 5).

Each party gets a list of items, gains above 0 and costs below, in ANKR and in ETH; their sum is what
the deal is worth to it. Gains are rounded down and costs up. What money does not measure (a saved
set-up, spare capacity used, work of governors) is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stkrp2p.core.economics import YEAR_S, Cover, Split, divided_up
from stkrp2p.core.pools import RewardParts, distributed
from stkrp2p.core.types import ONE_BPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One gain or cost."""

    name: str
    ankr: int = 0
    """In 10^-18 ANKR; a cost is negative."""

    eth: int = 0
    """In wei; a cost is negative."""


def total(items: Sequence[Item], name: str = "total") -> Item:
    """Return the sum of items."""
    return Item(name=name, ankr=sum(i.ankr for i in items), eth=sum(i.eth for i in items))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewards:
    """What a deal gives to the reward pool, and how that is paid out."""

    ankr: RewardParts
    eth: RewardParts

    @classmethod
    def of(cls, split: Split, bps: RewardParts) -> Rewards:
        """Return the parts of the deal's shares for the reward pool (R54)."""
        return cls(ankr=distributed(split.reward_ankr, bps), eth=distributed(split.reward_eth, bps))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weight:
    """How much one counts among all who share a part of the reward pool."""

    own: int = 0
    whole: int = 0
    """The sum over all of them, itself included; 0 if nobody shares."""

    def of(self, amount: int) -> int:
        """Return its part of an amount, rounded down."""
        return amount * self.own // self.whole if self.whole else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A stake that earns nothing elsewhere while it is locked."""

    ankr: int = 0
    eth: int = 0
    length_s: int = 0
    bps_per_year: int = 0
    """What it would earn elsewhere (white paper, sections 5.2.2 and 5.4.2)."""

    def cost(self) -> Item:
        """Return what is forgone, rounded up."""
        rate = self.bps_per_year * self.length_s
        return Item(
            name="yield forgone on the stake",
            ankr=-divided_up(self.ankr * rate, ONE_BPS * YEAR_S),
            eth=-divided_up(self.eth * rate, ONE_BPS * YEAR_S),
        )


NOTHING_LOCKED = Locked()


def requester_benefit(
    split: Split,
    *,
    profit_ankr: int,
    profit_eth: int,
    rewards: Rewards,
    weight: Weight,
    locked: Locked = NOTHING_LOCKED,
) -> tuple[Item, ...]:
    """Return what a deal brings its requester (R67, section 5.1).

    Args:
        split: Of the completed deal.
        profit_ankr: What the project made, in 10^-18 ANKR.
        profit_eth: What it made, in wei.
        rewards: The deal's part of the reward pool.
        weight: The requester's ETH times time among completed projects.
        locked: Its ETH.
    """
    return (
        Item(name="profit of the project", ankr=profit_ankr, eth=profit_eth),
        Item(name="price of the provider", ankr=-split.provider_ankr),
        Item(name="share of the reward pool", ankr=-split.reward_ankr, eth=-split.reward_eth),
        Item(
            name="share of the insurance pool", ankr=-split.insurance_ankr, eth=-split.insurance_eth
        ),
        _from_projects(rewards, weight),
        locked.cost(),
    )


def requester_compensation(cover: Cover) -> tuple[Item, ...]:
    """Return what a failed deal brings its requester, beside what goes back to it (R59, Q12)."""
    return (
        Item(
            name="from the provider for the loss", ankr=cover.provider_ankr, eth=cover.provider_eth
        ),
        Item(name="from the insurance pool for the loss", eth=cover.insurance_eth),
    )


def provider_compensation(cover: Cover) -> Item:
    """Return what a failed deal costs its provider, beside the price it is not paid (R59, Q12)."""
    return Item(name="paid for the loss", ankr=-cover.provider_ankr, eth=-cover.provider_eth)


def provider_benefit(
    split: Split, *, running_ankr: int, rewards: Rewards, weight: Weight, locked: Locked
) -> tuple[Item, ...]:
    """Return what a deal brings its provider (R67, section 5.2).

    Args:
        split: Of the completed deal.
        running_ankr: What the machine costs it for the deal's time, in 10^-18 ANKR.
        rewards: The deal's part of the reward pool.
        weight: The provider's ETH times time among completed projects.
        locked: Its stake, and its ETH on the node.
    """
    return (
        Item(name="price paid by the requester", ankr=split.provider_ankr),
        _from_projects(rewards, weight),
        Item(name="running the machine", ankr=-running_ankr),
        locked.cost(),
    )


def governor_benefit(
    *, running_ankr: int, rewards: Rewards, weight: Weight, locked: Locked
) -> tuple[Item, ...]:
    """Return what a deal brings a governor (R67, section 5.3).

    Args:
        running_ankr: What watching and upkeep cost it for the deal's time, in 10^-18 ANKR.
        rewards: The deal's part of the reward pool.
        weight: One seat among those of the council.
        locked: Its stake.
    """
    return (
        Item(
            name="from the governors' part of rewards",
            ankr=weight.of(rewards.ankr.governance),
            eth=weight.of(rewards.eth.governance),
        ),
        Item(name="watching and upkeep", ankr=-running_ankr),
        locked.cost(),
    )


def staker_benefit(*, rewards: Rewards, weight: Weight, locked: Locked) -> tuple[Item, ...]:
    """Return what a deal brings who stakes ANKR (R67, section 5.4).

    Args:
        rewards: The deal's part of the reward pool.
        weight: Its ANKR times time among all stakers.
        locked: Its stake.
    """
    return (
        Item(
            name="from the stakers' part of rewards",
            ankr=weight.of(rewards.ankr.stakers),
            eth=weight.of(rewards.eth.stakers),
        ),
        locked.cost(),
    )


def _from_projects(rewards: Rewards, weight: Weight) -> Item:
    return Item(
        name="from the projects' part of rewards",
        ankr=weight.of(rewards.ankr.projects),
        eth=weight.of(rewards.eth.projects),
    )
