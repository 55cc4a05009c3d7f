"""Options for what a project needs, or a provider has, of machines.

A command has all four; its function gets them as the fields of `Resources`, and makes one of them by
`whole` or `over`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

import click

from stkrp2p.cli.amounts import amount_of
from stkrp2p.core.economics import Resources

Given = int | None
"""What an option of these was given; `None` if nothing."""

UINT32_MAX = (1 << 32) - 1
"""The contracts count each resource in 32 bits."""


def _bounded(read: Callable[[str], int], unit: str) -> Callable[[str], int]:
    def bounded(text: str) -> int:
        if (value := read(text)) > UINT32_MAX:
            raise click.BadParameter(f"{text} {unit} are more than the contracts can count")
        return value

    return bounded


def _whole(text: str) -> int:
    if not re.fullmatch("[0-9]{1,12}", text):
        raise click.BadParameter(f"{text} is no whole number")
    return int(text)


def _thousandths(unit: str) -> Callable[[str], int]:
    return _bounded(amount_of(unit, decimals=3), unit)


cpu_option = click.option(
    "--cpu", "cpu_milli", type=_thousandths("cores"), metavar="CORES", help="Processor cores."
)
ram_option = click.option("--ram", "ram_mb", type=_thousandths("GB"), metavar="GB", help="Memory.")
storage_option = click.option(
    "--storage", "storage_gb", type=_bounded(_whole, "GB"), metavar="GB", help="Disk."
)
bandwidth_option = click.option(
    "--bandwidth", "bandwidth_mbps", type=_bounded(_whole, "Mbps"), metavar="MBPS", help="Network."
)


def over(usual: Resources, given: Mapping[str, Given]) -> Resources:
    """Return the usual resources with what was given in their place."""
    return replace(usual, **{name: value for name, value in given.items() if value is not None})


def whole(given: Mapping[str, Given]) -> Resources:
    """Return what was given; raises `click.UsageError` if that is not all."""
    missing = [name.partition("_")[0] for name, value in given.items() if value is None]
    if missing:
        raise click.UsageError("missing " + ", ".join(f"--{name}" for name in missing))
    return over(Resources(cpu_milli=0, ram_mb=0, storage_gb=0, bandwidth_mbps=0), given)


def resources_shown(value: Resources) -> str:
    """Return resources for people."""
    return (
        f"{_decimal(value.cpu_milli)} cores, {_decimal(value.ram_mb)} GB RAM, "
        f"{value.storage_gb:,} GB disk, {value.bandwidth_mbps:,} Mbps"
    )


def _decimal(thousandths: int) -> str:
    whole_part, rest = divmod(thousandths, 1000)
    return f"{whole_part:,}" + f".{rest:03d}".rstrip("0").rstrip(".")


def options_of(given: Mapping[str, Given]) -> str:
    """Return what was given as options to be given again, each with a space before it."""
    thousandths = {"cpu_milli", "ram_mb"}
    return "".join(
        f" --{name.partition('_')[0]} {_decimal(value) if name in thousandths else value}"
        for name, value in given.items()
        if value is not None
    ).replace(",", "")


def resources_document(value: Resources) -> dict[str, int]:
    """Return resources for scripts."""
    return asdict(value)
