"""`stkrp2p policy`: every number that governors set, as it stands on chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.networks import network_of
from stkrp2p.cli.onchain import ask_rule
from stkrp2p.cli.options import DefaultGroup, ReadingCommand
from stkrp2p.cli.output import columns, percent, print_json, print_lines, span, tokens
from stkrp2p.core.policy import Parameter, Unit

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.policy import ParameterRecord, ProjectType, Scoring
    from stkrp2p.config import Loaded

_PPM_OF_BPS = 100
SHARES = ("governance", "providers and requesters", "stakers", "development")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """The whole policy."""

    parameters: Mapping[Parameter, ParameterRecord]
    project_types: Mapping[int, ProjectType]
    distribution: tuple[int, ...]
    scoring: Scoring


@click.group("policy", cls=DefaultGroup)
def command() -> None:
    """Show the numbers that governors set."""


@command.command("show", cls=ReadingCommand)
def show(*, loaded: Loaded, as_json: bool) -> None:
    """Show parameters and bounds, types of projects, shares of rewards.

    Read from the contract; only a vote of the council changes it, after the timelock's delay.
    """
    network = network_of(loaded.config)
    shown = ask_rule(loaded.config, network, read_policy)
    if as_json:
        print_json("policy/1", _document(shown))
    else:
        print_lines(_lines(shown))


async def read_policy(chain: RuleChain) -> Shown:
    """Return the whole policy; raises `ChainUnavailable`."""
    return Shown(
        parameters=await chain.policy.parameters(),
        project_types=await chain.policy.project_types(),
        distribution=await chain.policy.distribution(),
        scoring=await chain.policy.scoring(),
    )


def amount(value: int, unit: Unit) -> str:
    """Return a parameter's value for people."""
    match unit:
        case Unit.WEI_ANKR | Unit.WEI_ETH:
            return f"{tokens(value)} {unit.removeprefix('wei ')}"
        case Unit.USD_PER_HOUR:
            return f"{tokens(value)} USD/h"
        case Unit.BPS | Unit.PPM:
            return percent(value * _PPM_OF_BPS if unit is Unit.BPS else value)
        case Unit.SECONDS:
            return span(value)
        case Unit.COUNT:
            return f"{value:,}"


def _lines(shown: Shown) -> list[str]:
    rows = [
        (parameter.label, *(amount(each, record.unit) for each in _numbers(record)))
        for parameter, record in shown.parameters.items()
    ]
    lines = columns(("parameter", ">value", ">least", ">most"), rows)
    shares = zip(SHARES, shown.distribution, strict=True)
    lines += ["", "rewards: " + ", ".join(f"{percent(s * _PPM_OF_BPS)} {n}" for n, s in shares)]
    lines += [f"scoring: version {shown.scoring.version}, 0x{shown.scoring.params_hash.hex()}"]
    return [*lines, "", *_type_lines(shown.project_types)]


def _type_lines(types: Mapping[int, ProjectType]) -> list[str]:
    if not types:
        return ["no type of project is set yet; a vote sets one"]
    head = ("type", "taken", "rule", ">shortlist", ">reliability", ">uptime", ">failures", ">stake")
    rows = [
        (
            number,
            "yes" if kind.is_open else "no",
            kind.rule.name.lower(),
            kind.shortlist,
            percent(kind.reliability_ppm_min),
            percent(kind.uptime_ppm_min),
            kind.failures_max,
            f"{tokens(kind.eth_stake_wei)} ETH",
        )
        for number, kind in types.items()
    ]
    return columns(head, rows)


def _numbers(record: ParameterRecord) -> tuple[int, int, int]:
    return record.value, record.least, record.most


def _document(shown: Shown) -> dict[str, object]:
    return {
        "parameters": {
            parameter.label: {
                "value": str(record.value),
                "unit": record.unit,
                "min": str(record.least),
                "max": str(record.most),
            }
            for parameter, record in shown.parameters.items()
        },
        "project_types": {
            str(number): asdict(kind)
            | {"rule": kind.rule.name.lower(), "eth_stake_wei": str(kind.eth_stake_wei)}
            for number, kind in shown.project_types.items()
        },
        "distribution_bps": dict(zip(SHARES, shown.distribution, strict=True)),
        "scoring": {
            "version": shown.scoring.version,
            "params_hash": f"0x{shown.scoring.params_hash.hex()}",
        },
    }
