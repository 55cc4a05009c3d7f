"""What a benchmark says: figures, each with its aim and the limit that nothing could pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

import msgspec

from stkrp2p.cli.output import columns

_HUNDRED = 100
_TEN = 10


class Sense(StrEnum):
    """On which side of the aim a figure shall be."""

    AT_MOST = "<="
    AT_LEAST = ">="


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured number."""

    name: str
    measured: float
    unit: str = ""
    sense: Sense = Sense.AT_MOST
    aim: float | None = None
    """`None`: no aim is set, the figure stands beside one that has."""

    limit: float | None = None
    """What nothing could pass on this machine, in the figure's unit and from the same run."""

    limit_is: str = ""
    """What the limit is, in a few words."""

    @property
    def is_held(self) -> bool | None:
        """Whether the aim is reached; `None` without an aim."""
        if self.aim is None:
            return None
        return (
            self.measured <= self.aim if self.sense is Sense.AT_MOST else self.measured >= self.aim
        )

    def distance(self) -> str:
        """Say how far from the limit the figure is."""
        if self.limit is None:
            return self.limit_is
        if self.sense is Sense.AT_LEAST:
            return f"{_HUNDRED * self.measured / self.limit:.0f} % of {self.limit_is}"
        if self.limit == 0:
            return f"{number(self.limit)} {self.limit_is}"
        return f"{number(self.measured / self.limit)} x {self.limit_is}"

    def cells(self) -> tuple[str, str, str, str]:
        """Return the figure's cells of the table."""
        mark = "!" if self.is_held is False else ""
        aim = "" if self.aim is None else f"{self.sense} {number(self.aim)}"
        measured = " ".join(filter(None, (number(self.measured), self.unit, mark)))
        return self.name, aim, measured, self.distance()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one benchmark found."""

    figures: tuple[Figure, ...]
    detail: dict[str, object]
    """All that was measured, by name; JSON types only."""


def number(value: float) -> str:
    """Return a number in three digits or so."""
    if value == int(value) or abs(value) >= _HUNDRED:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _TEN else f"{value:.2f}"


def table(reports: Mapping[str, Report]) -> list[str]:
    """Return the table's lines; ` !` marks what misses its aim."""
    head = ("figure", ">aim", ">measured", "against the limit")
    return columns(head, _rows(reports.values()))


def _rows(reports: Iterable[Report]) -> Iterable[tuple[str, str, str, str]]:
    for report in reports:
        for figure in report.figures:
            yield figure.cells()
