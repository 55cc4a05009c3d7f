"""`stkrp2p calc`: what a deal brings and costs a requester, provider, governor and staker (R67).

Only numbers of the command line are used: no node, no chain, and no price that was not given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import click

from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.calc_view import document, lines
from stkrp2p.cli.calculation import POLICY, Numbers, benefits_of, deal_of
from stkrp2p.cli.options import JsonCommand
from stkrp2p.cli.output import print_json, print_lines
from stkrp2p.core.draw import Rule
from stkrp2p.core.economics import HOUR_S
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import ONE_BPS

PARTIES = ("requester", "provider", "governor", "staker")

HOURS_MAX = (2**32 - 1) // HOUR_S
"""The contracts count the seconds of a deal in 32 bits."""

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
        default=POLICY[Parameter.REWARD_BPS],
        text="Share of the reward pool.",
    ),
    _option(
        "--insurance-bps",
        kind=_BPS,
        default=POLICY[Parameter.INSURANCE_BPS],
        text="Share of the insurance pool.",
    ),
    _option("--running", kind=_ANKR, default="0", text="ANKR that it costs provider or governor."),
    _option("--governors", kind=_GOVERNORS, default=5, text="Seats of the council."),
    _option("--stake", kind=_ANKR, text="ANKR that provider, governor or staker has staked."),
    _option("--all-stake", kind=_ANKR, text="ANKR that all stakers have staked together."),
    _option("--yield-bps", kind=_BPS, default=0, text="What a stake yields elsewhere in a year."),
    _option("--fails-after", kind=click.IntRange(0, HOURS_MAX), text="Hours until it fails."),
    _option("--insurance", kind=_ETH, default="0", text="ETH that the insurance pool has."),
)


@click.command("calc", cls=JsonCommand, params=list(_OPTIONS))
@click.argument("party", required=False, type=click.Choice(PARTIES))
def command(*, party: str | None, example: str | None, as_json: bool, **numbers: object) -> None:
    """Show what a deal brings each party, and costs it.

    For one PARTY or for all. Rewards are counted as if this deal alone had filled the pool; with
    --fails-after, the provider fails and pays for the loss, as far as it can. Shares are in basis
    points (bps), hundredths of a per cent. Nothing is sent, and no node is asked.
    """
    given = Numbers(**numbers)  # type: ignore[arg-type]  # click made them what they should be
    deal = deal_of(given)
    benefits = benefits_of(given, deal)
    shown = {name: benefits[name] for name in ((party,) if party else PARTIES)}
    if as_json:
        print_json("calc/1", document(deal, shown))
    else:
        print_lines(lines(deal, shown, example))
