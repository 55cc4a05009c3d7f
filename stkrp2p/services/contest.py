"""An anchored epoch held against its own evidence: which scores are forged, and what shows it.

When an anchored epoch's scores do not follow from its batches, its node keeps the anchored table as
contested. From that, and from the evidence, the challenge of a forged score is built for the
contract, which computes the score anew.
"""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.core.anchor import ClosedEpoch, by_member, close_epoch
from stkrp2p.core.fraud import Anchored, Challenge, challenge_of, forged_scores, matrix_of
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import roster_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId
from stkrp2p.ports import History
from stkrp2p.services.history import NoRegistry, NotAnchored, PastEpoch, open_stored
from stkrp2p.services.tables import stored_or_contested


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """An anchored epoch, and what it should have come to."""

    past: PastEpoch
    anchored: Anchored
    before: Anchored | None
    """The epoch before; `None` for epoch 0."""

    ours: ClosedEpoch

    @property
    def forged(self) -> tuple[Score, ...]:
        """The anchored scores that do not follow."""
        return forged_scores(self.ours, self.anchored.scores)

    def challenge(self, score: Score) -> Challenge:
        """Return the challenge of one of the anchored scores, right or not.

        Raises:
            ProtocolError: It cannot be shown; `challenge_of` has the reasons.
        """
        view, node = self.past.view, NodeId(score.node)
        member = view.roster.get(node)
        is_full = member is not None and member.kind is Kind.FULL
        return challenge_of(
            score,
            anchored=self.anchored,
            before=self.before,
            evidence=self.ours.evidence,
            matrix=matrix_of(view, self.past.included, node) if is_full else b"",
        )


async def open_contest(genesis: Genesis, store: History, epoch: Epoch) -> Contest:
    """Read an anchored epoch, or one that we contest, and compute it anew.

    Raises:
        NotReplayable: Something is missing, pruned, or does not verify.
    """
    found = await stored_or_contested(store, epoch)
    if found is None:
        raise NotAnchored(epoch)
    stored, scores = found
    past = await open_stored(genesis, store, stored)
    before = await _anchored(genesis, store, Epoch(epoch - 1)) if epoch else None
    old = by_member(before.scores) if before else {}
    return Contest(
        past=past,
        anchored=Anchored(header=stored.header, scores=scores, roster=past.view.roster),
        before=before,
        ours=close_epoch(past.view, past.included, past.tainted, old),
    )


async def _anchored(genesis: Genesis, store: History, epoch: Epoch) -> Anchored:
    stored, registry = await store.epoch(epoch), await store.registry()
    if stored is None:
        raise NotAnchored(epoch)
    if registry is None:
        raise NoRegistry(epoch)
    return Anchored(
        header=stored.header,
        scores=await store.scores(epoch),
        roster=roster_of(genesis.network_id, epoch, registry.registrations),
    )
