"""Amounts of money for people, exact."""

from __future__ import annotations

from stkrp2p.cli.output import tokens


def ankr(wei: int) -> str:
    """Return an amount of 10^-18 ANKR: `100.5 ANKR`."""
    return f"{_decimal(wei)} ANKR"


def eth(wei: int) -> str:
    """Return an amount of wei: `0.25 ETH`."""
    return f"{_decimal(wei)} ETH"


def _decimal(wei: int) -> str:
    return f"-{tokens(-wei)}" if wei < 0 else tokens(wei)
