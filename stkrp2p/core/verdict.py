"""Up, down or undecided: what an epoch's auditors say of a target, round by round.

In a round a target is undecided if fewer than half of its assigned auditors reported, else up if
more than half of those that reported saw OK or SLOW, else down. NOT_PROBED and DECLARED are no
reports. Auditors that equivocated have no voice.

Both counts of a round share one byte (reports in the high half, ups in the low one), so all rounds
of a target are counted at once by adding big integers; `K_AUD_MAX` = 15 keeps the halves apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from functools import cache

from stkrp2p.core.types import Outcome


class Verdict(IntEnum):
    """What the majority says of one target in one round; one byte."""

    UNDECIDED = 0
    UP = 1
    DOWN = 2


_VOTE = {Outcome.OK: 0x11, Outcome.SLOW: 0x11, Outcome.WRONG: 0x10, Outcome.UNREACHABLE: 0x10}
_VOTES = bytes(_VOTE.get(Outcome(o), 0) if o in set(Outcome) else 0 for o in range(256))


def votes(outcomes: bytes) -> int:
    """Return one auditor's outcomes as a number that can be added to others' of the same target."""
    return int.from_bytes(outcomes.translate(_VOTES), "big")


def add_votes(totals: list[int], places: Iterable[int], outcomes: Iterable[bytes]) -> None:
    """Add one auditor's outcomes to the totals of its targets: `votes` without a call for each.

    Args:
        totals: Sums of `votes`, changed in place.
        places: Where each target's total stands.
        outcomes: What was seen of each target.
    """
    from_bytes, table = int.from_bytes, _VOTES
    for place, seen in zip(places, outcomes, strict=True):
        totals[place] += from_bytes(seen.translate(table), "big")


@cache
def _table(assigned: int) -> bytes:
    """Return the verdict for each (reports, ups) byte when so many auditors are assigned."""
    table = bytearray(256)
    for counts in range(256):
        reports, ups = divmod(counts, 16)
        if reports == 0 or 2 * reports < assigned:
            continue
        table[counts] = Verdict.UP if 2 * ups > reports else Verdict.DOWN
    return bytes(table)


def decide(total_votes: int, rounds: int, assigned: int) -> bytes:
    """Return the verdict of each round, one byte each.

    Args:
        total_votes: Sum of `votes` over the auditors with a voice.
        rounds: How many rounds the target was drawn in.
        assigned: How many auditors it has, 0 to 15.
    """
    return total_votes.to_bytes(rounds, "big").translate(_table(assigned))


def verdicts(outcomes: Iterable[bytes], *, rounds: int, assigned: int) -> bytes:
    """Return one target's verdicts from its auditors' outcomes, one byte a drawn round."""
    return decide(sum(map(votes, outcomes)), rounds, assigned)
