"""Amounts of money for people, exact."""

from __future__ import annotations

from stkrp2p.core.economics import UNIT


def ankr(wei: int) -> str:
    """Return an amount of 10^-18 ANKR: `100.5 ANKR`."""
    return f"{_decimal(wei)} ANKR"


def eth(wei: int) -> str:
    """Return an amount of wei: `0.25 ETH`."""
    return f"{_decimal(wei)} ETH"


def _decimal(wei: int) -> str:
    whole, part = divmod(abs(wei), UNIT)
    digits = f"{part:018d}".rstrip("0")
    sign = "-" if wei < 0 else ""
    return f"{sign}{whole:,}.{digits}" if digits else f"{sign}{whole:,}"
