"""What a local network shall be: how many nodes, which of them fail, and how long it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum, auto
from math import ceil

from stkrp2p.core.anchor import VOID_PARTS

NODES_MIN = 4
"""Fewer full nodes cannot give every target its three auditors of other operators."""

NODES_MAX = 40
"""A process takes some 100 MB and a second of CPU to start."""

FALL_EPOCHS_MIN = 3
"""A node is up in one epoch, killed in the next, and wholly down in the third."""


class Role(StrEnum):
    """How a node behaves in the run."""

    COUNCIL = auto()
    """Healthy, and a governor: it holds shares of the council's keys."""

    HEALTHY = auto()
    FLAKY = auto()
    """Frozen and thawed in turn."""

    DOWN = auto()
    """Killed once an anchored epoch has it up."""

    LIGHT = auto()
    """Audits only."""


HONEST = frozenset({Role.COUNCIL, Role.HEALTHY})


COUNCIL_USUAL = 5
"""Governors unless told otherwise: any 3 of them sign."""


def council_that_fits(healthy: int) -> int:
    """Return the usual number of governors, or the largest odd one if so many are not healthy."""
    return max(1, min(COUNCIL_USUAL, healthy - 1 + healthy % 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A local network's shape."""

    nodes: int = 8
    """Full nodes, failing ones included."""

    light: int = 2
    council: int = COUNCIL_USUAL
    """Governors, among the healthy full nodes: n + 1 of 2n + 1 make a round and an anchor."""

    is_solo_beacon: bool = False
    """Take rounds from a beacon of one key, which all nodes reach, instead of from the council."""

    down: int = 1
    flaky: int = 1
    epochs: int = 4
    """How many epochs must be anchored before the verdict; at least 3 to see a score fall."""

    spare_s: int = 0
    """Seconds to wait before round 1 beyond what this machine needs to start all."""

    challenge_s: int = 120
    """How long an anchor may be challenged before it is final; ten epochs unless said."""

    def __post_init__(self) -> None:
        """Refuse a network that cannot show what it is for."""
        if not NODES_MIN <= self.nodes <= NODES_MAX:
            raise ValueError(f"--nodes must be from {NODES_MIN} to {NODES_MAX}, got {self.nodes}")
        if not 0 <= self.light <= NODES_MAX:
            raise ValueError(f"--light must be from 0 to {NODES_MAX}, got {self.light}")
        if min(self.down, self.flaky) < 0:
            raise ValueError("--down and --flaky must not be negative")
        if VOID_PARTS * (self.down + self.flaky) > self.nodes:
            raise ValueError(
                f"{self.down} down and {self.flaky} flaky of {self.nodes} nodes: with more than a "
                f"third failing, epochs are void by design; use --nodes "
                f"{VOID_PARTS * (self.down + self.flaky)} or fewer failing nodes"
            )
        if self.council < 1 or self.council % 2 == 0:
            raise ValueError(f"--council must be odd, got {self.council}")
        if self.council > self.nodes - self.down - self.flaky:
            raise ValueError(
                f"--council {self.council} of {self.nodes} nodes, of which {self.down} down and "
                f"{self.flaky} flaky: governors must be healthy; use more --nodes"
            )
        self._check_epochs()

    def _check_epochs(self) -> None:
        if self.epochs < 1:
            raise ValueError(f"--epochs must be at least 1, got {self.epochs}")
        if self.down and self.epochs < FALL_EPOCHS_MIN:
            raise ValueError(
                f"--epochs {self.epochs} with --down {self.down}: use at least {FALL_EPOCHS_MIN}, "
                f"for a score to rise, the node to die, and the score to fall"
            )

    def is_over(self, *, folded: int, counted: int | None, down_from: Sequence[int]) -> bool:
        """Whether a run has lasted as long as it must to show what it is for.

        Args:
            folded: How many epochs are anchored and folded.
            counted: The latest of them that is not void.
            down_from: Of each node that was killed, the first epoch wholly without it.
        """
        has_fallen = len(down_from) == self.down and all(e <= (counted or 0) for e in down_from)
        return folded >= self.epochs and has_fallen

    def roles(self) -> tuple[Role, ...]:
        """Return every node's role: governors first, failing nodes and light ones last."""
        healthy = self.nodes - self.down - self.flaky - self.council
        return (
            *[Role.COUNCIL] * self.council,
            *[Role.HEALTHY] * healthy,
            *[Role.FLAKY] * self.flaky,
            *[Role.DOWN] * self.down,
            *[Role.LIGHT] * self.light,
        )

    def start_lead_s(self, *, prepared_s: float) -> int:
        """Return the seconds from the first transaction to round 1: deploy, register all, start all.

        A busy machine needs more than an idle one, and shows how much more in what comes before:
        loading the libraries and making the council's keys takes longer than all of this.

        Args:
            prepared_s: What that took, just now.
        """
        idle_s = 7 + (self.nodes + self.light) // 2
        return max(idle_s, ceil(prepared_s)) + self.spare_s
