"""`stkrp2p calc`: what a deal brings and costs a requester, provider, governor and staker (R67).

Only numbers of the command line are used: no node, no chain, and no price that was not given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import click

from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.calc_view import Benefits, Deal, document, lines
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.options import JsonCommand
from stkrp2p.cli.output import print_json, print_lines
from stkrp2p.core import benefit
from stkrp2p.core.benefit import Locked, Rewards, Weight
from stkrp2p.core.draw import Bid, Rule, paid_of
from stkrp2p.core.economics import (
    HOUR_S,
    PoolShares,
    Resources,
    Tariff,
    ankr_of_usd,
    ankr_per_eth_of,
    split,
    usd_of,
    yearly_share,
)
from stkrp2p.core.policy import MAINNET, Parameter
from stkrp2p.core.pools import REWARD_BPS
from stkrp2p.core.types import ONE_BPS, Ppm

PARTIES = ("requester", "provider", "governor", "staker")

HOURS_MAX = (2**32 - 1) // HOUR_S
"""The contracts count the seconds of a deal in 32 bits."""

_POLICY = MAINNET.parameters
"""What public networks begin with; `stkrp2p policy` shows what holds."""

TARIFF = Tariff(
    core_usd=_POLICY[Parameter.USD_PER_CORE_HOUR],
    ram_gb_usd=_POLICY[Parameter.USD_PER_RAM_GB_HOUR],
    storage_gb_usd=_POLICY[Parameter.USD_PER_STORAGE_GB_HOUR],
    mbps_usd=_POLICY[Parameter.USD_PER_MBPS_HOUR],
)

EXAMPLES: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "3.5": {
            "hours": 1_460,
            "fixed": "100",
            "bids": ["60", "70", "75"],
            "profit": "300",
            "profit_eth": "0",
            "eth_stake": "0",
        },
        "5.1": {
            "hours": 72,
            "fixed": "1500",
            "profit_eth": "3",
            "eth_stake": "3000",
            "usd_per_eth": "400",
            "usd_per_ankr": "0.01",
        },
    }
)
"""The white paper's examples by section, as defaults of the options. What 3.5 counts in USD is ANKR
here. 5.1 names no prices; these are round ones of about its time."""

_ANKR, _ETH, _USD = amount_of("ANKR"), amount_of("ETH"), amount_of("USD", least=1)
_BPS = click.IntRange(0, ONE_BPS)
_NEED = click.IntRange(0, 2**32 - 1)
_GOVERNORS = click.IntRange(1, 63)


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

    @property
    def length_s(self) -> int:
        """The deal's length in seconds."""
        return self.hours * HOUR_S


def _use_example(ctx: click.Context, param: click.Parameter, name: str | None) -> str | None:  # noqa: ARG001
    """Make an example's numbers the defaults; what else stands on the line still holds."""
    if name is not None:
        ctx.default_map = dict(EXAMPLES[name])
    return name


def _option(
    *names: str,
    kind: Callable[[str], int] | click.IntRange,
    text: str,
    default: str | int | None = None,
) -> click.Option:
    is_shown = default is not None
    return click.Option(names, type=kind, default=default, show_default=is_shown, help=text)


_MILLI = amount_of("units", decimals=3)
_OPTIONS = (
    click.Option(
        ["--example"],
        type=click.Choice(tuple(EXAMPLES)),
        is_eager=True,
        callback=_use_example,
        help="Begin with the numbers of this section of the white paper.",
    ),
    _option("--hours", kind=click.IntRange(1, HOURS_MAX), default=720, text="How long it runs."),
    _option("--cpu", kind=_MILLI, default="4", text="Cores."),
    _option("--ram", kind=_MILLI, default="16", text="GB of memory."),
    _option("--storage", kind=_NEED, default=128, text="GB of storage."),
    _option("--bandwidth", kind=_NEED, default=0, text="Mbit/s."),
    _option("--fixed", kind=_ANKR, text="Fixed price in ANKR.  [default: by the tariff]"),
    click.Option(["--bid", "bids"], type=_ANKR, multiple=True, help="ANKR; may be repeated."),
    click.Option(
        ["--rule"],
        type=click.Choice([rule.name.lower() for rule in Rule]),
        default="first_price",
        show_default=True,
        help="What the lowest bid is paid; under vickrey the second lowest.",
    ),
    _option("--profit", kind=_ANKR, default="0", text="ANKR that the project earns."),
    _option("--profit-eth", kind=_ETH, text="ETH that it earns.  [default: as expected]"),
    _option("--eth-stake", kind=_ETH, default="32", text="ETH staked for it."),
    _option("--k-eth", kind=_ETH, default="0", text="ETH of these that the provider brings."),
    _option("--ankr-usd", "usd_per_ankr", kind=_USD, text="USD for one ANKR."),
    _option("--eth-usd", "usd_per_eth", kind=_USD, text="USD for one ETH."),
    _option(
        "--reward-bps",
        kind=_BPS,
        default=_POLICY[Parameter.REWARD_BPS],
        text="Share of the reward pool.",
    ),
    _option(
        "--insurance-bps",
        kind=_BPS,
        default=_POLICY[Parameter.INSURANCE_BPS],
        text="Share of the insurance pool.",
    ),
    _option("--running", kind=_ANKR, default="0", text="ANKR that it costs provider or governor."),
    _option("--governors", kind=_GOVERNORS, default=5, text="Seats of the council."),
    _option("--stake", kind=_ANKR, text="ANKR that provider, governor or staker has staked."),
    _option("--all-stake", kind=_ANKR, text="ANKR that all stakers have staked together."),
    _option("--yield-bps", kind=_BPS, default=0, text="What a stake yields elsewhere in a year."),
)


@click.command("calc", cls=JsonCommand, params=list(_OPTIONS))
@click.argument("party", required=False, type=click.Choice(PARTIES))
def command(*, party: str | None, example: str | None, as_json: bool, **numbers: object) -> None:
    """Show what a deal brings each party, and costs it.

    For one PARTY or for all. Rewards are counted as if this deal alone had filled the pool. Shares
    are in basis points (bps), hundredths of a per cent. Nothing is sent, and no node is asked.
    """
    given = Numbers(**numbers)  # type: ignore[arg-type]  # click made them what they should be
    deal = _deal(given)
    benefits = _benefits(given, deal)
    shown = {name: benefits[name] for name in ((party,) if party else PARTIES)}
    if as_json:
        print_json("calc/1", document(deal, shown))
    else:
        print_lines(lines(deal, shown, example))


# ------------------------------------------------------------------------------- the deal


def _deal(given: Numbers) -> Deal:
    fixed = _fixed_price(given)
    bids = tuple(sorted(given.bids))
    if bids and bids[-1] > fixed:
        raise _unusable("a bid is above the fixed price", hint="lower --bid, or raise --fixed")
    if given.k_eth > given.eth_stake:
        raise _unusable("the provider brings more ETH than is staked", hint="lower --k-eth")
    if given.reward_bps + given.insurance_bps > ONE_BPS:
        raise _unusable(
            "the pools take more than there is", hint="lower --reward-bps or --insurance-bps"
        )
    expected = yearly_share(
        given.eth_stake,
        bps_per_year=_POLICY[Parameter.PROFIT_BPS_PER_YEAR],
        length_s=given.length_s,
    )
    profit_eth = expected if given.profit_eth is None else given.profit_eth
    rule = Rule[given.rule.upper()]
    paid = _paid(bids, rule, fixed)
    shares = PoolShares(reward_bps=given.reward_bps, insurance_bps=given.insurance_bps)
    ankr = fixed + given.profit
    return Deal(
        hours=given.hours,
        fixed_price=fixed,
        bids=bids,
        rule=rule.name.lower(),
        expected_profit_eth=expected,
        profit_ankr=given.profit,
        profit_eth=profit_eth,
        split=split(
            ankr=ankr,
            eth=profit_eth,
            paid_ankr=paid,
            shares=shares,
            ankr_per_eth=_price(given) if profit_eth and _is_short(ankr, paid, shares) else 0,
        ),
    )


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


def _price(given: Numbers) -> int:
    if given.usd_per_eth is None or given.usd_per_ankr is None:
        raise _unusable(
            "the price of ETH in ANKR is needed",
            why="the pools' shares are more than the ANKR left, the rest is taken in ETH",
            hint="give --eth-usd and --ankr-usd",
        )
    found = ankr_per_eth_of(usd_per_eth=given.usd_per_eth, usd_per_ankr=given.usd_per_ankr)
    if found == 0:
        raise _unusable("one ETH costs less than the smallest unit of ANKR", hint="see --eth-usd")
    return found


# ------------------------------------------------------------------------------- the parties


def _benefits(given: Numbers, deal: Deal) -> Benefits:
    rewards = Rewards.of(deal.split, REWARD_BPS)
    stake = given.stake or 0
    staked = Locked(ankr=stake, length_s=given.length_s, bps_per_year=given.yield_bps)
    own_eth = given.eth_stake - given.k_eth
    return {
        "requester": benefit.requester_benefit(
            deal.split,
            profit_ankr=deal.profit_ankr,
            profit_eth=deal.profit_eth,
            rewards=rewards,
            weight=Weight(own=own_eth, whole=given.eth_stake),
            locked=_with_eth(staked, ankr=0, eth=own_eth),
        ),
        "provider": benefit.provider_benefit(
            deal.split,
            running_ankr=given.running,
            rewards=rewards,
            weight=Weight(own=given.k_eth, whole=given.eth_stake),
            locked=_with_eth(staked, ankr=stake, eth=given.k_eth),
        ),
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
