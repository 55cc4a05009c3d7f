"""What commands print: one JSON document, or text of at most 100 columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import click

WIDTH_MAX = 100
"""Columns of a line."""

_LONG_HEX = re.compile(r"(0x[0-9a-f]{4})[0-9a-f]{32,}([0-9a-f]{4})")
_VALUES = re.compile(r"\((\w+)\(.*\)\)$")

_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


def print_json(schema: str, body: Mapping[str, object]) -> None:
    """Print one document; `schema` names its shape, which never changes under that name."""
    click.echo(json.dumps({"schema": schema, **body}, indent=2))


def print_lines(lines: Iterable[str]) -> None:
    """Print lines, each cut to the width but for commands to run next: those are copied.

    Texts of others may be among them: what is no character to be seen is replaced.
    """
    for line in map(visible, lines):
        click.echo(line if line.lstrip().startswith("next: ") else cut(line))


def visible(text: str) -> str:
    """Return the text with a mark in place of each control character: it moves no cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def cut(text: str, width: int = WIDTH_MAX) -> str:
    """Return the text, with an ellipsis in place of what is beyond the width."""
    return text if len(text) <= width else text[: width - 1] + "…"


def shortened(text: str) -> str:
    """Return a reason that fits the width, if less of its details will do.

    The middle of addresses and hashes is left out first, then the values of a contract's error at the
    end; what others say is long as it is.
    """
    if len(text) > WIDTH_MAX:
        text = _LONG_HEX.sub(r"\1…\2", text)
    return _VALUES.sub(r"(\1)", text) if len(text) > WIDTH_MAX else text


def facts(pairs: Iterable[tuple[str, object]]) -> list[str]:
    """Return `name  value` lines with the values in one column."""
    held = [(name, str(value)) for name, value in pairs]
    width = max((len(name) for name, _ in held), default=0)
    return [f"{name.ljust(width)}  {value}".rstrip() for name, value in held]


def columns(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return a table's lines; columns whose head begins with `>` are set to the right."""
    names = [name.removeprefix(">") for name in head]
    cells = [names, *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    is_right = [name.startswith(">") for name in head]
    return [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, is_right, strict=True)
        ).rstrip()
        for row in cells
    ]


def percent(ppm: int) -> str:
    """Return parts per million as per cent with two decimals, rounded down."""
    return f"{ppm // 10_000}.{ppm % 10_000 // 100:02d} %"


def tokens(wei: int) -> str:
    """Return an amount of 18 decimals without the zeros at its end."""
    whole, part = divmod(wei, 10**18)
    return f"{whole:,}" + f".{part:018d}".rstrip("0").rstrip(".")


def moment(unix_s: int) -> str:
    """Return a time such as `2026-11-26 18:30:00 UTC`."""
    return datetime.fromtimestamp(unix_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def span(seconds: int, *, units_max: int = len(_SPANS)) -> str:
    """Return a time in days, hours, minutes and seconds, such as `2 d 12 h`.

    Args:
        seconds: The time.
        units_max: How many of them to say, the largest ones; what is smaller is cut off.
    """
    parts, rest = [], seconds
    for name, length in _SPANS:
        count, rest = divmod(rest, length)
        parts += [f"{count} {name}"] if count else []
    return " ".join(parts[:units_max]) or "0 s"


def when(at_s: int, now_s: int) -> str:
    """Return a time, and about how far away it is."""
    if at_s > now_s:
        away = f"in {span(at_s - now_s, units_max=2)}"
    else:
        away = f"{span(now_s - at_s, units_max=2)} ago" if at_s < now_s else "now"
    return f"{moment(at_s)} ({away})"
