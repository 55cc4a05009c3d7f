"""Amounts on the command line, read exactly: decimal digits to integers, never by a float."""

from __future__ import annotations

import re
from collections.abc import Callable

import click

from stkrp2p.cli.output import tokens

WHOLE_DIGITS_MAX = 12
"""Digits before the point."""


def amount_of(unit: str, *, decimals: int = 18, least: int = 0) -> Callable[[str], int]:
    """Return a reader of decimal numbers such as 1000 or 0.5, for an option's type.

    Args:
        unit: What is counted, such as ANKR.
        decimals: Digits after the point, at most.
        least: The smallest amount allowed, in the smallest unit.

    Returns:
        A function of a text, to the amount in its smallest unit. It raises `click.BadParameter`.
    """
    form = re.compile(rf"([0-9]{{1,{WHOLE_DIGITS_MAX}}})(?:\.([0-9]{{1,{decimals}}}))?")

    def amount(text: str) -> int:
        found = form.fullmatch(text)
        read = int(found[1] + (found[2] or "").ljust(decimals, "0")) if found else -1
        if read < least:
            raise click.BadParameter(
                f"{text} is no amount of {unit} with at most {decimals} decimals"
            )
        return read

    return amount


def shown(amount: int, *, decimals: int = 6) -> str:
    """Return an amount of 18 decimals with fewer of them, cut off towards 0, for people."""
    unit = 10 ** (18 - decimals)
    sign = "-" if amount <= -unit else ""
    return sign + tokens(abs(amount) // unit * unit)


def signed(amount: int) -> str:
    """Return the same with its sign, also above 0."""
    text = shown(amount)
    return f"+{text}" if amount > 0 and text != "0" else text
