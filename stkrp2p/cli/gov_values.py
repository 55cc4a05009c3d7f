"""How people write a parameter's value; `stkrp2p policy show` shows it in the same units."""

from __future__ import annotations

import re
from difflib import get_close_matches

import click

from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.policy import amount
from stkrp2p.core.policy import SPECS, Parameter, Unit

_SPANS = {"": 1, "s": 1, "min": 60, "h": 3_600, "d": 86_400}
_SPAN = re.compile(r"([0-9]{1,12}) ?(s|min|h|d|)")
_PERCENT_OF = {Unit.BPS: 2, Unit.PPM: 4}
"""Decimals of a per cent that a unit can tell."""


def parameter(text: str) -> Parameter:
    """Return the parameter of a name such as BidBond, as an argument's type."""
    by_name = {each.label.lower(): each for each in Parameter}
    found = by_name.get(text.lower())
    if found is None:
        close = get_close_matches(text.lower(), by_name, n=1)
        meant = f"; did you mean {by_name[close[0]].label}?" if close else ""
        raise click.BadParameter(f"no parameter is called {text}{meant}")
    return found


def value_of(name: Parameter, text: str) -> int:
    """Return a value in the contract's unit; raises `click.BadParameter` outside its bounds."""
    spec = SPECS[name]
    value = _read(spec.unit, text)
    try:
        spec.require(name, value)
    except ValueError:
        least, most, got = (amount(each, spec.unit) for each in (spec.least, spec.most, value))
        bounds = f"must be from {least} to {most}, got {got}"
        raise click.BadParameter(f"{name.label} {bounds}") from None
    return value


def percent_of(unit: Unit, text: str) -> int:
    """Return a share such as `2.5%`; raises `click.BadParameter`."""
    number = text.removesuffix("%").rstrip()
    return amount_of("per cent", decimals=_PERCENT_OF[unit])(number)


def seconds(text: str) -> int:
    """Return a time such as 90, 90s, 15min, 2h or 7d in seconds, as an option's type."""
    found = _SPAN.fullmatch(text)
    if found is None:
        raise click.BadParameter(f"{text} is no time such as 90s, 15min, 2h or 7d")
    return int(found[1]) * _SPANS[found[2]]


def _read(unit: Unit, text: str) -> int:
    match unit:
        case Unit.WEI_ANKR | Unit.WEI_ETH:
            return amount_of(unit.removeprefix("wei "))(text)
        case Unit.USD_PER_HOUR:
            return amount_of("USD per hour")(text)
        case Unit.BPS | Unit.PPM:
            return percent_of(unit, text)
        case Unit.SECONDS:
            return seconds(text)
        case Unit.COUNT:
            if not re.fullmatch("[0-9]{1,12}", text):
                raise click.BadParameter(f"{text} is no whole number")
            return int(text)
