"""Epochs of a small network in which members come and go, and tables that were forged.

epoch | members
0     | 0 to 6 full, 7 and 8 light
1     | 3 has left; 9, full, and 10, light, have come; 8 was registered anew
2     | the same members; so much is down that it is void
3     | the same members
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import msgspec

from stkrp2p.core import merkle
from stkrp2p.core.anchor import ClosedEpoch, by_member, close_epoch
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.fraud import Anchored, Challenge, challenge_of, matrix_of
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId, Outcome
from tests.core.strategies import batch_of, member, view_of

EPOCHS = 4
VOID = 2
SILENT = 1
"""Place in the roster of who sends no batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """An epoch as an honest node knows it."""

    view: EpochView
    included: dict[NodeId, Batch]
    closed: ClosedEpoch

    @property
    def anchored(self) -> Anchored:
        return Anchored(
            header=self.closed.header, scores=self.closed.scores, roster=self.view.roster
        )

    def forged(self, scores: Sequence[Score]) -> Anchored:
        """The epoch as it would be anchored with other scores."""
        root = merkle.Tree(s.leaf() for s in scores).root
        header = msgspec.structs.replace(self.closed.header, score_root=root)
        return replace(self.anchored, header=header, scores=tuple(scores))

    def matrix(self, node: NodeId) -> bytes:
        found = self.view.roster.get(node)
        is_full = found is not None and found.kind is Kind.FULL
        return matrix_of(self.view, self.included, node) if is_full else b""


def members_of(epoch: int) -> tuple[Member, ...]:
    """Return the members of an epoch, sorted."""
    kinds = {i: Kind.LIGHT if i in (7, 8, 10) else Kind.FULL for i in range(11)}
    if epoch == 0:
        return tuple(sorted(member(i, kind=kinds[i]) for i in range(9)))
    stayed = [member(i, kind=kinds[i]) for i in (0, 1, 2, 4, 5, 6, 7, 9, 10)]
    return tuple(sorted([*stayed, replace(member(8, kind=Kind.LIGHT), nonce=77)]))


def _sees(epoch: int, auditor: NodeId, target: NodeId, position: int) -> Outcome:
    if epoch == VOID:
        return Outcome.UNREACHABLE
    if target[0] % 4 == 0 and position % 3 == 1:
        return (Outcome.WRONG, Outcome.UNREACHABLE, Outcome.OK)[auditor[0] % 3]
    return (Outcome.OK, Outcome.SLOW, Outcome.NOT_PROBED, Outcome.OK)[(auditor[1] + position) % 4]


@cache
def story() -> tuple[Past, ...]:
    """Return all epochs, closed one after the other."""
    before: dict[tuple[NodeId, int], Score] = {}
    told = []
    for number in range(EPOCHS):
        view = view_of(Roster(members_of(number)), epoch=Epoch(number))
        included = {
            m.node: batch_of(view, m.node, sees=partial(_sees, number, m.node))
            for place, m in enumerate(view.roster.members)
            if place != SILENT
        }
        closed = close_epoch(view, included, frozenset(), before)
        before = by_member(closed.scores)
        told.append(Past(view=view, included=included, closed=closed))
    return tuple(told)


def spoilt(score: Score, word: int, value: int | None = None) -> Score:
    """Return a score with another number in one of its words, one more if not told."""
    name = Score.__struct_fields__[word]
    new = getattr(score, name) + 1 if value is None else value
    return msgspec.structs.replace(score, **{name: new})


def against(score: Score, anchored: Anchored) -> Challenge:
    """Return the challenge of a score in an epoch of the story, anchored with some table."""
    number = anchored.header.epoch
    past = story()[number]
    return challenge_of(
        score,
        anchored=anchored,
        before=story()[number - 1].anchored if number else None,
        evidence=past.closed.evidence,
        matrix=past.matrix(NodeId(score.node)),
    )
