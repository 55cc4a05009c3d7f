"""What the protocol core costs, measured as ratios within one run.

A machine that others use at the same time is fast one second and slow the next. So times are CPU
times of this process, and figures that are compared are measured in turns, slice by slice.
Inputs are made from a number, so two runs measure the same work; signatures are real.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from json import dumps
from random import Random  # noqa: TID251  # seeded: every run measures the same work
from time import process_time
from typing import ParamSpec

from nacl import bindings

from stkrp2p.core import crypto, reconcile
from stkrp2p.core.anchor import fold_scores, observed
from stkrp2p.core.assignment import Assignment, drawn_of
from stkrp2p.core.batch import Batch, BatchBody, EpochView, Row, judge, sign_batch
from stkrp2p.core.beacon import EpochClock
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.params import MAINNET
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Judgement,
    Kind,
    NetworkId,
    NodeId,
    Operator,
    Outcome,
    Round,
)
from stkrp2p.core.wire import encode

NETWORK = NetworkId(hashlib.sha256(b"bench").digest())
SEED = Digest(hashlib.sha256(b"bench seed").digest())
EPOCH = Epoch(0)
CLOCK = EpochClock(first_round=Round(1), params=MAINNET)

P = ParamSpec("P")

SLICES = 100
"""Turns in which two things that are compared are measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One closed epoch: who took part, and the batch of each."""

    view: EpochView
    batches: tuple[Batch, ...]
    """In the order of arrival, which is not the roster's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeJoin:
    """Judging and joining batches against the bare check of their signatures."""

    members: int
    batch_bytes: int
    verify_per_s: float
    judge_join_per_s: float
    ratio: float
    """Of the rates; aim: at least 0.7."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldCost:
    """Folding an epoch's batches into scores against checking their signatures."""

    members: int
    verify_s: float
    fold_s: float
    share: float
    """fold / verify; aim: at most 0.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCost:
    """One member's own targets, with nothing known but roster and seed."""

    members: int
    candidates: int
    setup_s: float
    """Making the roster: names, operators, lookups."""

    median_ms: float
    """Aim: at most 30."""

    worst_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncBytes:
    """What a session costs beyond the batches it brings."""

    members: int
    missing: int
    question_bytes: int
    answer_bytes: int
    batches_bytes: int
    overhead_bytes: int
    """Question and answer without the batches; aim: at most 3,000."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawCost:
    """Deciding who is audited in a round."""

    members: int
    round_ms: float
    epoch_s: float
    """The same for all of an epoch's rounds; it is spread over the epoch."""


def _hash(name: str, number: int) -> bytes:
    return hashlib.sha256(f"{name} {number}".encode()).digest()


def _member(node: bytes, number: int) -> Member:
    return Member(
        node=NodeId(node),
        nonce=0,
        operator=Operator(_hash("operator", number)[:20]),
        kind=Kind.FULL,
        stake=1,
    )


def make_world(members: int) -> World:
    """Return an epoch of MAINNET with real keys and signatures, 12 drawn rounds a target."""
    secrets = {crypto.node_id_of(s): s for s in (_hash("secret", i) for i in range(members))}
    nodes = sorted(secrets)
    rng = Random(members)
    roster = Roster(tuple(_member(node, i) for i, node in enumerate(nodes)))
    rounds = range(1, MAINNET.rounds_per_epoch + 1)
    drawn = {n: tuple(map(Round, sorted(rng.sample(rounds, 12)))) for n in nodes}
    view = EpochView(
        network=NETWORK, epoch=EPOCH, seed=SEED, roster=roster, params=MAINNET, drawn=drawn
    )
    view.prepare()
    kinds = (*[Outcome.OK] * 12, Outcome.SLOW, Outcome.UNREACHABLE, Outcome.NOT_PROBED)
    batches = []
    for node in nodes:
        duty = view.duty(node)
        rows = tuple(
            Row(target=t, outcomes=bytes(rng.choices(kinds, k=c)), median_ms=300)
            for t, c in zip(duty.targets, duty.counts, strict=True)
        )
        batches.append(sign_batch(secrets[node], _body(view, node, rows)))
    rng.shuffle(batches)
    return World(view=view, batches=tuple(batches))


def _body(view: EpochView, node: NodeId, rows: tuple[Row, ...]) -> BatchBody:
    return BatchBody(
        version=1,
        network=view.network,
        epoch=view.epoch,
        auditor=node,
        nonce=0,
        seed=view.seed,
        rows=rows,
        receipts_root=_hash("receipts", 0),
    )


def _verify(batches: tuple[Batch, ...]) -> None:
    for batch in batches:
        signed = batch.signature + crypto.BATCH_TAG + b"\0" + batch.id
        bindings.crypto_sign_open(signed, batch.auditor)


def _judge_and_join(frames: list[bytes], evidence: Evidence, view: EpochView) -> None:
    views = {view.epoch: view}
    last_due = CLOCK.seal(view.epoch)
    for frame in frames:
        judged = judge(frame, network=NETWORK, clock=CLOCK, last_due=last_due, view_of=views)
        if judged.judgement is not Judgement.ACCEPT or judged.batch is None:
            raise AssertionError(judged.reason)
        evidence.add(judged.batch)


def _timed(work: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> float:
    start = process_time()
    work(*args, **kwargs)
    return process_time() - start


def _fold(view: EpochView, included: Mapping[NodeId, Batch]) -> None:
    fold_scores(view, observed(view, included), {})


def _row(roster: Roster, node: NodeId) -> None:
    Assignment(SEED, roster, MAINNET).targets(node)


def judge_join(world: World) -> JudgeJoin:
    """Measure judge + join of all batches, in turns with PyNaCl's bare verification of the same."""
    evidence = Evidence()
    verify_s = judge_s = 0.0
    size = -(-len(world.batches) // SLICES)
    for start in range(0, len(world.batches), size):
        part = world.batches[start : start + size]
        frames = [bytes(bytearray(b.frame)) for b in part]  # new, as a socket would hand them over
        verify_s += _timed(_verify, part)
        judge_s += _timed(_judge_and_join, frames, evidence, world.view)
    count = len(world.batches)
    return JudgeJoin(
        members=count,
        batch_bytes=sum(len(b.frame) for b in world.batches) // count,
        verify_per_s=round(count / verify_s),
        judge_join_per_s=round(count / judge_s),
        ratio=round(verify_s / judge_s, 3),
    )


def fold(world: World) -> FoldCost:
    """Measure observed + fold_scores of the epoch, in turns with verifying its signatures."""
    included = {b.auditor: b for b in sorted(world.batches, key=lambda b: b.auditor)}
    verify_s = fold_s = 0.0
    turns = 3
    for _ in range(turns):
        verify_s += _timed(_verify, world.batches)
        fold_s += _timed(_fold, world.view, included)
    return FoldCost(
        members=len(world.batches),
        verify_s=round(verify_s / turns, 3),
        fold_s=round(fold_s / turns, 3),
        share=round(fold_s / verify_s, 3),
    )


def assignment_row(members: int = 1_000_000, rows: int = 25) -> RowCost:
    """Measure how long a light peer takes to find its own targets, each time from nothing.

    Needs about 1 GB at a million members: the roster's members and lookups.
    """
    start = process_time()
    nodes = sorted(NodeId(_hash("node", i)) for i in range(members))
    roster = Roster(tuple(_member(node, i) for i, node in enumerate(nodes)))
    auditors = [nodes[i * members // rows] for i in range(rows)]
    _row(roster, auditors[0])  # fills the roster's lookups
    setup_s = process_time() - start
    times = sorted(_timed(_row, roster, node) for node in auditors)
    return RowCost(
        members=members,
        candidates=MAINNET.candidates,
        setup_s=round(setup_s, 1),
        median_ms=round(times[rows // 2] * 1e3, 2),
        worst_ms=round(times[-1] * 1e3, 2),
    )


def sync_bytes(world: World, missing: int = 100) -> SyncBytes:
    """Measure question and answer of a session in which one side lacks some batches."""
    roster = world.view.roster
    ours = Evidence(world.batches[missing:])
    theirs = Evidence(world.batches)
    have = reconcile.have_of(NETWORK, EPOCH, reconcile.holdings_of(ours, roster))
    delta = reconcile.answer_have(theirs, roster, have)
    question, answer = len(encode(have)), len(encode(delta))
    batches = sum(map(len, delta.frames))
    return SyncBytes(
        members=len(roster),
        missing=missing,
        question_bytes=question,
        answer_bytes=answer,
        batches_bytes=batches,
        overhead_bytes=question + answer - batches,
    )


def draws(members: int = 10_000, rounds: int = 50) -> DrawCost:
    """Measure the draw of all targets of a roster, round by round."""
    nodes = [NodeId(_hash("node", i)) for i in range(members)]
    randoms = [Digest(_hash("round", r)) for r in range(rounds)]
    times = sorted(_timed(drawn_of, nodes, r, MAINNET.draw_ppm) for r in randoms)
    median_s = times[rounds // 2]
    return DrawCost(
        members=members,
        round_ms=round(median_s * 1e3, 2),
        epoch_s=round(median_s * MAINNET.rounds_per_epoch, 1),
    )


def run(*, members: int = 10_000, row_members: int = 1_000_000) -> dict[str, dict[str, object]]:
    """Run all of them; return each figure's fields by its function's name."""
    world = make_world(members)
    return {
        "judge_join": asdict(judge_join(world)),
        "fold": asdict(fold(world)),
        "sync_bytes": asdict(sync_bytes(world)),
        "draws": asdict(draws(members)),
        "assignment_row": asdict(assignment_row(row_members)),
    }


def main() -> None:
    """Print all figures as JSON."""
    sys.stdout.write(dumps(run(), indent=2) + "\n")


if __name__ == "__main__":
    main()
