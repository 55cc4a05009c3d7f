"""What `stkrp2p gov propose` can change of the policy (R19, R29, R42, R54, R55)."""

from __future__ import annotations

import click

from stkrp2p.cli.gov_propose import Proposing, ProposingCommand
from stkrp2p.cli.gov_values import parameter, percent_of, seconds, value_of
from stkrp2p.cli.output import percent, span
from stkrp2p.cli.parties import data
from stkrp2p.cli.policy import amount
from stkrp2p.cli.resources import (
    Given,
    bandwidth_option,
    cpu_option,
    ram_option,
    storage_option,
    whole,
)
from stkrp2p.core.policy import SPECS, Parameter, Unit
from stkrp2p.core.types import ONE_BPS

RULES = ("first_price", "vickrey", "requester_choice")

NODE_WEI = 32 * 10**18
"""What a blockchain node stakes."""

HASH_BYTES = 32

_NUMBER = click.IntRange(min=1)
_PPM_OF_BPS = 100


def _ppm(text: str) -> int:
    return percent_of(Unit.PPM, text)


def _bps(text: str) -> int:
    return percent_of(Unit.BPS, text)


@click.command("parameter", cls=ProposingCommand)
@click.argument("name", type=parameter)
@click.argument("value")
def set_parameter(*, proposing: Proposing, name: Parameter, value: str) -> None:
    """Set the policy's number NAME to VALUE.

    NAME is such as BidBond. VALUE is in the units that `stkrp2p policy show` uses: 12.5 (ANKR, ETH,
    USD an hour), 10%, 15min.
    """
    number = value_of(name, value)
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    calls = [decisions.set_parameter(proposing.market(), name, number)]
    proposing.put(calls, summary=f"set {name.label} to {amount(number, SPECS[name].unit)}")


@click.command("project-type", cls=ProposingCommand)
@click.argument("number", type=_NUMBER)
@click.option("--rule", type=click.Choice(RULES), default=RULES[0], show_default=True)
@click.option("--shortlist", type=_NUMBER, default=3, show_default=True, help="Bids in the draw.")
@click.option("--reliability", "reliability_ppm", type=_ppm, required=True, metavar="%")
@click.option("--uptime", "uptime_ppm", type=_ppm, required=True, metavar="%")
@click.option("--failures", type=click.IntRange(min=0), default=0, help="Most failures.")
@click.option("--no-eth", is_flag=True, help="A node stakes no ETH; else 32 together.")
@click.option("--closed", is_flag=True, help="Take no more projects of this type.")
@cpu_option
@ram_option
@storage_option
@bandwidth_option
def project_type(
    *,
    proposing: Proposing,
    number: int,
    rule: str,
    shortlist: int,
    reliability_ppm: int,
    uptime_ppm: int,
    failures: int,
    no_eth: bool,
    closed: bool,
    **need: Given,
) -> None:
    """Set type NUMBER of projects (R42).

    It says who may serve them, how one is chosen, and what a node needs.
    """
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415
    from stkrp2p.adapters.chain.rule.policy import ProjectType  # noqa: PLC0415
    from stkrp2p.core.draw import Rule  # noqa: PLC0415

    kind = ProjectType(
        is_open=not closed,
        rule=Rule[rule.upper()],
        shortlist=shortlist,
        reliability_ppm_min=reliability_ppm,
        uptime_ppm_min=uptime_ppm,
        failures_max=failures,
        eth_stake_wei=0 if no_eth else NODE_WEI,
        need=whole(need),
    )
    calls = [decisions.set_project_type(proposing.market(), number, kind)]
    proposing.put(calls, summary=f"set type {number} of projects: {rule}, {shortlist} in the draw")


@click.command("distribution", cls=ProposingCommand)
@click.argument("governance", type=_bps)
@click.argument("providers", type=_bps)
@click.argument("stakers", type=_bps)
@click.argument("development", type=_bps)
def distribution(
    *, proposing: Proposing, governance: int, providers: int, stakers: int, development: int
) -> None:
    """Share the reward pool anew (R54).

    In per cent that add up to 100. PROVIDERS' share is for providers and requesters.
    """
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    shares = (governance, providers, stakers, development)
    if sum(shares) != ONE_BPS:
        said = percent(sum(shares) * _PPM_OF_BPS)
        raise click.UsageError(f"the shares add up to {said}, they must add up to 100 %")
    text = " / ".join(percent(share * _PPM_OF_BPS) for share in shares)
    calls = [decisions.set_distribution(proposing.market(), shares)]
    proposing.put(calls, summary=f"share the rewards {text}")


@click.command("scoring", cls=ProposingCommand)
@click.argument("version", type=_NUMBER)
@click.argument("params_hash", type=data)
def scoring(*, proposing: Proposing, version: int, params_hash: bytes) -> None:
    """Score members by another VERSION (R19).

    PARAMS_HASH is of its parameters: 0x and 64 hex digits.
    """
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    if len(params_hash) != HASH_BYTES:
        raise click.BadParameter("a hash has 64 hex digits")
    calls = [decisions.set_scoring(proposing.market(), version, params_hash)]
    proposing.put(calls, summary=f"score by version {version}")


@click.command("delay", cls=ProposingCommand)
@click.argument("delay_s", metavar="TIME", type=seconds)
def delay(*, proposing: Proposing, delay_s: int) -> None:
    """Set the timelock's delay, down to that of its deployment."""
    from stkrp2p.adapters.chain.rule import decisions  # noqa: PLC0415

    calls = [decisions.set_delay(proposing.market(), delay_s)]
    proposing.put(calls, summary=f"set the timelock's delay to {span(delay_s)}")
