"""How late rounds are: from when one is due to when every node of a network holds it, verified.

Nodes say in their status when each of the last rounds came. They are all on one machine and share its
clock, so what the slowest of them says is when everybody had the round.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from testnet.cluster import Member
from testnet.status import ask_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Lateness:
    """How late some rounds were at the slowest of some nodes."""

    everywhere_ms: tuple[int, ...]
    """Of each round that all had before the next one was due, in rising order."""

    missed: tuple[int, ...]
    """Numbers of the rounds that somebody did not have by then."""

    def percentile_ms(self, percent: int) -> int:
        """Return what so many in a hundred of these rounds did not exceed; 0 of none."""
        ordered = self.everywhere_ms
        return ordered[min(len(ordered) * percent // 100, len(ordered) - 1)] if ordered else 0


async def ask_lateness(members: Sequence[Member], rounds: Iterable[int]) -> Lateness:
    """Ask nodes when they had these rounds; who does not answer had none."""
    said = await ask_all(members)
    return lateness_of([_late_ms(said.get(m.entry.name, {})) for m in members], rounds)


def lateness_of(reports: Sequence[Mapping[int, int]], rounds: Iterable[int]) -> Lateness:
    """Return how late rounds were, by what each of one or more nodes says of each round."""
    slowest, missed = [], []
    for number in rounds:
        if all(number in report for report in reports):
            slowest.append(max(report[number] for report in reports))
        else:
            missed.append(number)
    return Lateness(everywhere_ms=tuple(sorted(slowest)), missed=tuple(missed))


def _late_ms(status: Mapping[str, object]) -> dict[int, int]:
    beacon = cast("Mapping[str, Mapping[str, int]]", status.get("beacon", {}))
    return {int(number): late_ms for number, late_ms in beacon.get("late_ms", {}).items()}
