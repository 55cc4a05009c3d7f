"""What became of a member's points, read from the evidence of the epochs that are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.history import open_epoch
from stkrp2p.cli.nodes import short
from stkrp2p.core.challenge import Receipt, is_receipt_signed
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import Params
from stkrp2p.core.score import Score, wilson_ppm
from stkrp2p.core.types import ONE_PPM, Epoch, NodeId, Outcome, Round
from stkrp2p.core.verdict import Verdict, verdicts
from stkrp2p.services.history import PastEpoch

_ANSWERED = frozenset({Outcome.OK, Outcome.SLOW, Outcome.WRONG, Outcome.DECLARED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one auditor saw of the target in one round."""

    auditor: NodeId
    outcome: Outcome
    is_included: bool
    """Whether the auditor's batch counted."""

    receipt: Receipt | None
    """The target's signed answer, if we were that auditor and there was one."""

    is_ours: bool

    def receipt_word(self, genesis: Genesis) -> str:
        """Return where the receipt is: `here`, `here-false`, `with-auditor`, `none`."""
        if self.receipt is not None:
            return "here" if is_receipt_signed(genesis.network_id, self.receipt) else "here-false"
        if self.outcome in _ANSWERED and not self.is_ours:
            return "with-auditor"
        return "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A round that cost points, or could not be decided."""

    number: Round
    verdict: Verdict
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochAccount:
    """One epoch of one member."""

    epoch: Epoch
    score: Score
    before_ppm: int | None
    """Reliability after the epoch before, if that is stored."""

    missing: str = ""
    """Why the epoch's evidence cannot be looked at; the rest is empty then."""

    is_void: bool = False
    ups: int = 0
    losses: tuple[Loss, ...] = ()
    duty: tuple[int, int] = (0, 0)
    """(observations delivered, owed) as an auditor."""

    is_batch_included: bool = False
    is_tainted: bool = False

    def count(self, verdict: Verdict) -> int:
        """Return how many lost rounds have this verdict."""
        return sum(loss.verdict is verdict for loss in self.losses)


async def account(
    genesis: Genesis, store: StoreReader, target: NodeId, ourselves: NodeId, *, epochs_max: int
) -> list[EpochAccount]:
    """Return what happened to a member in the last epochs that have a score of it, oldest first.

    Raises:
        Failure: No epoch has.
    """
    history = await store.score_history(target, epochs_max=epochs_max + 1)
    if not history:
        raise Failure(
            f"{short(target)} has no score here",
            why="it was in no epoch's table that this node keeps",
            hint="stkrp2p score",
        )
    before = {epoch: score.reliability_ppm for epoch, score in history}
    accounts = []
    for epoch, score in history[-epochs_max:]:
        before_ppm = before.get(Epoch(epoch - 1))
        try:
            opened = await open_epoch(genesis, store, epoch)
        except Failure as failure:
            accounts.append(
                EpochAccount(epoch=epoch, score=score, before_ppm=before_ppm, missing=failure.why)
            )
            continue
        ours = await _our_receipts(store, opened, target)
        accounts.append(
            _account_of(opened, target, score, before_ppm, ourselves=ourselves, ours=ours)
        )
    return accounts


async def _our_receipts(
    store: StoreReader, opened: PastEpoch, target: NodeId
) -> dict[Round, Receipt | None]:
    drawn = opened.view.drawn.get(target, ())
    if not drawn:
        return {}
    seen = await store.observations(drawn[0], drawn[-1])
    return {o.round: o.receipt for o in seen if o.target == target}


def _account_of(
    opened: PastEpoch,
    target: NodeId,
    score: Score,
    before_ppm: int | None,
    *,
    ourselves: NodeId,
    ours: Mapping[Round, Receipt | None],
) -> EpochAccount:
    view = opened.view
    auditors, drawn = view.assignment.auditors(target), view.drawn.get(target, ())
    saw = {a: _outcomes(opened, a, target) for a in auditors}
    decided = verdicts(saw.values(), rounds=len(drawn), assigned=len(auditors))
    losses = [
        Loss(
            number=number,
            verdict=Verdict(decided[i]),
            sightings=tuple(
                Sighting(
                    auditor=a,
                    outcome=Outcome(saw[a][i]),
                    is_included=a in opened.included,
                    receipt=ours.get(number) if a == ourselves else None,
                    is_ours=a == ourselves,
                )
                for a in auditors
            ),
        )
        for i, number in enumerate(drawn)
        if decided[i] != Verdict.UP
    ]
    return EpochAccount(
        epoch=opened.epoch,
        score=score,
        before_ppm=before_ppm,
        is_void=opened.stored.header.is_void,
        ups=decided.count(Verdict.UP),
        losses=tuple(losses),
        duty=_duty(opened, target),
        is_batch_included=target in opened.included,
        is_tainted=target in opened.tainted,
    )


def _outcomes(opened: PastEpoch, auditor: NodeId, target: NodeId) -> bytes:
    batch = opened.included.get(auditor)
    rows = () if batch is None else batch.body.rows
    blank = bytes([Outcome.NOT_PROBED]) * len(opened.view.drawn[target])
    return next((row.outcomes for row in rows if row.target == target), blank)


def _duty(opened: PastEpoch, auditor: NodeId) -> tuple[int, int]:
    view = opened.view
    targets = view.assignment.targets(auditor)
    owed = sum(len(view.drawn[t]) for t in targets)
    missing = sum(_outcomes(opened, auditor, t).count(Outcome.NOT_PROBED) for t in targets)
    return owed - missing, owed


@dataclass(frozen=True, slots=True)
class Parts:
    """How a reliability of less than all comes about; the four add up to a million."""

    reliability_ppm: int
    down_ppm: int
    """Lost to rounds that were down: 1 - uptime."""

    doubt_ppm: int
    """Lost to few observations: uptime less the bound they support."""

    youth_ppm: int
    """Lost to a short membership: bound * tenure / (age + tenure)."""


def parts_of(score: Score, params: Params) -> Parts:
    """Return where a member's points are."""
    bound = wilson_ppm(score.s, score.n, params.design_effect)
    down = ONE_PPM - score.uptime_ppm if score.n else 0
    doubt = ONE_PPM - down - bound
    return Parts(score.reliability_ppm, down, doubt, bound - score.reliability_ppm)
