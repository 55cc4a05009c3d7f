"""An epoch as large as public networks have them, with two scores in question.

All members but two have made-up scores. One of the two has long been a member, the other is new; both
were audited as MAINNET audits, by nine in twelve rounds, and their scores are folded by the core.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import Challenge, Shown, Sighted, around
from stkrp2p.core.merkle import Tree, keccak256, words
from stkrp2p.core.params import MAINNET
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Q16, Score, fold, next_state
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator, Outcome, Ppm
from testnet.contracts import header_of, score_of

SIGHTED = Sighted(MAINNET.k_aud, 12, bytes([Outcome.OK] * 100 + [Outcome.UNREACHABLE] * 8))
"""Nine auditors, twelve rounds; the last auditor saw nothing up."""

OLD = Score(
    keccak256(b"node 0"),
    0,
    s=500 * Q16 + 17,
    n=510 * Q16 + 5,
    up_rounds=9_000,
    outages=4,
    age_epochs=900,
    last_verdict=1,
    duty_s=80_000 * Q16 + 99,
    duty_n=81_000 * Q16 + 1,
    state=1,
    uptime_ppm=980_000,
    run_time_rounds=2_250,
    reliability_ppm=400_000,
    duty_ppm=987_000,
)
"""The score in question as it was an epoch before."""

DUTY = 108
"""Observations that each of the two delivered, of as many that it owed."""


@dataclass(frozen=True, slots=True)
class LargeEpoch:
    """Two headers to anchor, and a challenge of each score in question."""

    before: Header
    header: Header
    of_old: Challenge
    of_new: Challenge


def large_epoch(members: int, *, forged_ppm: int | None) -> LargeEpoch:
    """Return an epoch of so many members and one more that is new.

    Args:
        members: How many, at least 2.
        forged_ppm: The reliability that both scores in question claim; `None` leaves them right.
    """
    roster = Roster(tuple(sorted(_member(i) for i in range(members))))
    new = _member(members)
    old_scores = [*(score_of(i) for i in range(1, members)), OLD]
    questioned = [_folded(OLD), _folded(Score(new.node, new.nonce))]
    if forged_ppm is not None:
        questioned = [msgspec.structs.replace(s, reliability_ppm=forged_ppm) for s in questioned]
    scores = [s.leaf() for s in (*old_scores[:-1], *questioned)]
    evidence = [_evidence(s) for s in (*old_scores[:-1], *questioned)]
    before, past = _header(0, old_scores, roster), [s.leaf() for s in old_scores]
    header = header_of(1, score_root=Tree(scores).root, evidence_root=Tree(evidence).root)
    return LargeEpoch(
        before=before,
        header=header,
        of_old=Challenge(
            header=header,
            before=before,
            score=_shown(scores, scores[-2]),
            old=_shown(past, past[-1]),
            evidence=_shown(evidence, evidence[-2]),
            matrix=SIGHTED.matrix,
        ),
        of_new=Challenge(
            header=header,
            before=before,
            score=_shown(scores, scores[-1]),
            newcomer=around(roster, new.node, roster.root),
            evidence=_shown(evidence, evidence[-1]),
            matrix=SIGHTED.matrix,
        ),
    )


def _header(epoch: int, scores: Sequence[Score], roster: Roster) -> Header:
    root = Tree(s.leaf() for s in scores).root
    return header_of(epoch, score_root=root, roster_root=roster.root)


def _member(index: int) -> Member:
    return Member(
        node=NodeId(keccak256(b"node %d" % index)),
        nonce=0,
        operator=Operator(keccak256(b"operator %d" % index)[:20]),
        kind=Kind.LIGHT if index % 4 == 1 else Kind.FULL,
        stake=10**23 + index,
    )


def _folded(old: Score) -> Score:
    """Return a score after epoch 1."""
    score = fold(old, SIGHTED.verdicts(), DUTY, DUTY, MAINNET)
    state, until = next_state(score, Epoch(1), Ppm(header_of(1).median_ppm), MAINNET)
    return msgspec.structs.replace(score, state=int(state), state_until=until)


def _evidence(score: Score) -> bytes:
    auditors, matrix = keccak256(b"auditors" + score.node), keccak256(SIGHTED.matrix)
    return words(score.node, score.nonce, SIGHTED.auditors, SIGHTED.rounds, auditors, matrix)


def _shown(leaves: Sequence[bytes], leaf: bytes) -> Shown:
    return Shown(leaf, Tree(leaves).proof(leaf))
