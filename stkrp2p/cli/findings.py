"""What a check of `stkrp2p doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto


class Health(StrEnum):
    """How a check came out."""

    OK = auto()
    WARNING = auto()
    """Worth a look; the node works."""

    BAD = auto()
    """The node does not work, or not fully."""

    SKIPPED = auto()
    """Could not be checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    health: Health
    detail: str
    next: str = ""


def ok(check: str, detail: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(check=check, health=Health.OK, detail=detail)


def bad(check: str, detail: str, hint: str) -> Finding:
    """Return a finding that something keeps the node from working."""
    return Finding(check=check, health=Health.BAD, detail=detail, next=hint)


def warning(check: str, detail: str, hint: str = "") -> Finding:
    """Return a finding that is worth a look."""
    return Finding(check=check, health=Health.WARNING, detail=detail, next=hint)


def skipped(check: str, detail: str) -> Finding:
    """Return a finding that something could not be checked."""
    return Finding(check=check, health=Health.SKIPPED, detail=detail)
