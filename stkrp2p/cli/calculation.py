"""From the numbers of `stkrp2p calc` to a deal, and to what it brings each party."""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.cli.calc_view import Benefits, Deal, Failed
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.core import benefit
from stkrp2p.core.benefit import Item, Locked, Rewards, Weight
from stkrp2p.core.draw import Bid, Rule, paid_of
from stkrp2p.core.economics import (
    HOUR_S,
    PoolShares,
    Resources,
    Split,
    Tariff,
    ankr_of_usd,
    ankr_per_eth_of,
    cover,
    loss_of,
    split,
    usd_of,
    yearly_share,
)
from stkrp2p.core.policy import MAINNET, Parameter
from stkrp2p.core.pools import REWARD_BPS
from stkrp2p.core.types import ONE_BPS, Ppm

POLICY = MAINNET.parameters
"""What public networks begin with; `stkrp2p policy` shows what holds."""

TARIFF = Tariff(
    core_usd=POLICY[Parameter.USD_PER_CORE_HOUR],
    ram_gb_usd=POLICY[Parameter.USD_PER_RAM_GB_HOUR],
    storage_gb_usd=POLICY[Parameter.USD_PER_STORAGE_GB_HOUR],
    mbps_usd=POLICY[Parameter.USD_PER_MBPS_HOUR],
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The options' values: amounts in 10^-18, shares in basis points, needs as the core has them."""

    hours: int
    cpu: int
    ram: int
    storage: int
    bandwidth: int
    fixed: int | None
    bids: tuple[int, ...]
    rule: str
    profit: int
    profit_eth: int | None
    eth_stake: int
    k_eth: int
    usd_per_ankr: int | None
    usd_per_eth: int | None
    reward_bps: int
    insurance_bps: int
    running: int
    governors: int
    stake: int | None
    all_stake: int | None
    yield_bps: int
    fails_after: int | None
    insurance: int

    @property
    def length_s(self) -> int:
        """The deal's length in seconds."""
        return self.hours * HOUR_S


# ------------------------------------------------------------------------------- the deal


def deal_of(given: Numbers) -> Deal:
    """Return the deal of the numbers.

    Raises:
        Failure: They do not go together, or a price is needed that was not given.
    """
    fixed = _fixed_price(given)
    bids = tuple(sorted(given.bids))
    _check(given, fixed)
    expected = yearly_share(
        given.eth_stake,
        bps_per_year=POLICY[Parameter.PROFIT_BPS_PER_YEAR],
        length_s=given.length_s,
    )
    rule = Rule[given.rule.upper()]
    paid = _paid(bids, rule, fixed)
    failed = _failed(given, expected)
    earned = expected - (failed.loss_eth if failed else 0)
    profit_eth = earned if given.profit_eth is None else given.profit_eth
    return Deal(
        hours=given.hours,
        fixed_price=fixed,
        bids=bids,
        rule=rule.name.lower(),
        paid=paid,
        expected_profit_eth=expected,
        profit_ankr=given.profit,
        profit_eth=profit_eth,
        split=_split(given, ankr=fixed + given.profit, eth=profit_eth, paid=paid),
        failed=failed,
    )


def _check(given: Numbers, fixed: int) -> None:
    if max(given.bids, default=0) > fixed:
        raise _unusable("a bid is above the fixed price", hint="lower --bid, or raise --fixed")
    if given.k_eth > given.eth_stake:
        raise _unusable("the provider brings more ETH than is staked", hint="lower --k-eth")
    if given.reward_bps + given.insurance_bps > ONE_BPS:
        raise _unusable(
            "the pools take more than there is", hint="lower --reward-bps or --insurance-bps"
        )


def _split(given: Numbers, *, ankr: int, eth: int, paid: int) -> Split:
    if given.fails_after is not None:
        nothing = PoolShares(reward_bps=0, insurance_bps=0)
        return split(ankr=ankr, eth=eth, paid_ankr=0, shares=nothing)
    shares = PoolShares(reward_bps=given.reward_bps, insurance_bps=given.insurance_bps)
    needs_price = eth > 0 and _is_short(ankr, paid, shares)
    return split(
        ankr=ankr,
        eth=eth,
        paid_ankr=paid,
        shares=shares,
        ankr_per_eth=_price(given, _SHORT) if needs_price else 0,
    )


def _failed(given: Numbers, expected: int) -> Failed | None:
    if given.fails_after is None:
        return None
    if given.fails_after > given.hours:
        raise _unusable("it fails after its end", hint="lower --fails-after, or raise --hours")
    unserved_s = (given.hours - given.fails_after) * HOUR_S
    loss = loss_of(expected_profit=expected, unserved_s=unserved_s, length_s=given.length_s)
    needs_price = loss > given.k_eth
    found = cover(
        loss,
        provider_eth=given.k_eth,
        stake_ankr=given.stake or 0,
        ankr_per_eth=_price(given, _DEAR) if needs_price else 0,
        insurance_eth=given.insurance,
    )
    return Failed(after_hours=given.fails_after, loss_eth=loss, cover=found)


def _fixed_price(given: Numbers) -> int:
    if given.fixed is not None:
        return given.fixed
    if given.usd_per_ankr is None:
        raise _unusable(
            "there is no fixed price",
            why="the tariff is in USD, and no price of ANKR is guessed",
            hint="give --ankr-usd, or --fixed",
        )
    need = Resources(
        cpu_milli=given.cpu,
        ram_mb=given.ram,
        storage_gb=given.storage,
        bandwidth_mbps=given.bandwidth,
    )
    usd = usd_of(need, TARIFF, length_s=given.length_s)
    return ankr_of_usd(usd, usd_per_ankr=given.usd_per_ankr)


def _paid(bids: tuple[int, ...], rule: Rule, fixed: int) -> int:
    """Return what the lowest bidder is paid; without bids, one that bids the fixed price."""
    opened = [Bid(price=bid, stake=0, reliability_ppm=Ppm(0)) for bid in bids or (fixed,)]
    return paid_of(opened, winner=0, rule=rule, fixed_price=fixed)


def _is_short(ankr: int, paid: int, shares: PoolShares) -> bool:
    """Tell whether the ANKR left is less than the pools' shares, so that ETH must make up for it."""
    whole = split(ankr=ankr, eth=0, paid_ankr=0, shares=shares)
    return ankr - paid < whole.reward_ankr + whole.insurance_ankr


_SHORT = "the pools' shares are more than the ANKR left, the rest is taken in ETH"
_DEAR = "the loss is more than the provider's ETH, the rest is taken in ANKR"


def _price(given: Numbers, why: str) -> int:
    if given.usd_per_eth is None or given.usd_per_ankr is None:
        raise _unusable(
            "the price of ETH in ANKR is needed",
            why=why,
            hint="give --eth-usd and --ankr-usd",
        )
    found = ankr_per_eth_of(usd_per_eth=given.usd_per_eth, usd_per_ankr=given.usd_per_ankr)
    if found == 0:
        raise _unusable("one ETH costs less than the smallest unit of ANKR", hint="see --eth-usd")
    return found


# ------------------------------------------------------------------------------- the parties


def benefits_of(given: Numbers, deal: Deal) -> Benefits:
    """Return what the deal brings each party.

    Raises:
        Failure: A staker's part of all stakes cannot be told.
    """
    rewards = Rewards.of(deal.split, REWARD_BPS)
    stake = given.stake or 0
    staked = Locked(ankr=stake, length_s=given.length_s, bps_per_year=given.yield_bps)
    own_eth = given.eth_stake - given.k_eth
    gained: tuple[Item, ...] = ()
    lost: tuple[Item, ...] = ()
    if deal.failed is not None:
        gained = benefit.requester_compensation(deal.failed.cover)
        lost = (benefit.provider_compensation(deal.failed.cover),)
    return {
        "requester": benefit.requester_benefit(
            deal.split,
            profit_ankr=deal.profit_ankr,
            profit_eth=deal.profit_eth,
            rewards=rewards,
            weight=Weight(own=own_eth, whole=given.eth_stake),
            locked=_with_eth(staked, ankr=0, eth=own_eth),
        )
        + gained,
        "provider": benefit.provider_benefit(
            deal.split,
            running_ankr=given.running,
            rewards=rewards,
            weight=Weight(own=given.k_eth, whole=given.eth_stake),
            locked=_with_eth(staked, ankr=stake, eth=given.k_eth),
        )
        + lost,
        "governor": benefit.governor_benefit(
            running_ankr=given.running,
            rewards=rewards,
            weight=Weight(own=1, whole=given.governors),
            locked=staked,
        ),
        "staker": benefit.staker_benefit(rewards=rewards, weight=_stake(given), locked=staked),
    }


def _with_eth(locked: Locked, *, ankr: int, eth: int) -> Locked:
    return Locked(ankr=ankr, eth=eth, length_s=locked.length_s, bps_per_year=locked.bps_per_year)


def _stake(given: Numbers) -> Weight:
    """Return a staker's weight: without --all-stake that of all stakers together."""
    if given.all_stake is None:
        return Weight(own=1, whole=1)
    if given.stake is None or given.stake > given.all_stake:
        raise _unusable(
            "a staker's part of --all-stake is needed", hint="give --stake, at most --all-stake"
        )
    return Weight(own=given.stake, whole=given.all_stake)


def _unusable(what: str, *, hint: str, why: str = "") -> Failure:
    return Failure(what, why=why, hint=hint, code=Exit.USAGE)
