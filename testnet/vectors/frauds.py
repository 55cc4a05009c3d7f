"""Vectors of challenges: what is wrong with a score, and what shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from stkrp2p.core import merkle
from stkrp2p.core.anchor import ClosedEpoch, Header, by_member, close_epoch
from stkrp2p.core.batch import Batch
from stkrp2p.core.fraud import (
    Anchored,
    Challenge,
    Shown,
    around,
    challenge_of,
    duty_max,
    first_wrong_word,
    matrix_of,
)
from stkrp2p.core.params import MINIMAL, PRESETS, Params
from stkrp2p.core.roster import Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId, Outcome, ProtocolError
from testnet.vectors.claims import Claim, claims
from testnet.vectors.form import Json, fields, plain
from testnet.vectors.world import WORLD, Observed

CLAIMS = 1_024
MATRIX_BYTES_MAX = 60
"""Of a claim in the vectors: with larger ones the file gets large, and no better."""

NEW = 1
"""Place in the roster of who is new in epoch 1."""


def frauds() -> dict[str, Json]:
    """Return `fraud.json`: single scores, and whole challenges."""
    return {
        "duty_max": {name: duty_max(params) for name, params in PRESETS.items()},
        "claims": [_claim(claim) for claim in _small_claims()],
        "challenges": [_challenge(name, challenge) for name, challenge in _challenges()],
    }


def _small_claims() -> list[Claim]:
    found: list[Claim] = []
    for claim in claims(seed=3, count=20 * CLAIMS):
        is_small = len(claim.sighted.matrix) <= MATRIX_BYTES_MAX
        if is_small and claim.params in PRESETS.values() and len(found) < CLAIMS:
            found.append(claim)
    return found


def _claim(claim: Claim) -> Json:
    return {
        "preset": _name_of(claim.params),
        "epoch": claim.header.epoch,
        "median_ppm": claim.header.median_ppm,
        "is_void": claim.header.is_void,
        "auditors": str(claim.sighted.auditors),
        "rounds": str(claim.sighted.rounds),
        "matrix": claim.sighted.matrix.hex(),
        "old": _numbers(claim.old),
        "score": _numbers(claim.score),
        "fault": claim.fault,
    }


def _name_of(params: Params) -> str:
    return next(name for name, known in PRESETS.items() if known == params)


def _numbers(score: Score) -> str:
    """Return the words of a score behind node and nonce."""
    return "|".join(str(getattr(score, name)) for name in Score.__struct_fields__[2:])


# ------------------------------------------------------------------------------- challenges


@dataclass(frozen=True)
class _Epoch:
    """Epoch 1 of the world as an honest peer knows it, and the epoch before it."""

    before: Anchored
    closed: ClosedEpoch
    included: Mapping[NodeId, Batch]

    def anchored(self, scores: Sequence[Score], *, is_void: bool = False) -> Anchored:
        """Return the epoch as it would be anchored with these scores."""
        root = merkle.Tree(s.leaf() for s in scores).root
        header = msgspec.structs.replace(self.closed.header, score_root=root, is_void=is_void)
        return Anchored(header=header, scores=scores, roster=VIEW.roster)

    def challenge(self, score: Score, anchored: Anchored) -> Challenge:
        """Return the challenge of a score of the epoch."""
        member = VIEW.roster.get(NodeId(score.node))
        is_full = member is not None and member.kind is Kind.FULL
        return challenge_of(
            score,
            anchored=anchored,
            before=self.before,
            evidence=self.closed.evidence,
            matrix=matrix_of(VIEW, self.included, NodeId(score.node)) if is_full else b"",
        )


VIEW = WORLD.view(Epoch(1))


def _epoch() -> _Epoch:
    members = VIEW.roster.members
    roster = Roster(tuple(m for place, m in enumerate(members) if place != NEW))
    olds = [_old(m.node, m.nonce) for m in roster.members]
    root = merkle.Tree(s.leaf() for s in olds).root
    none = bytes(32)
    header = Header(0, roster.root, none, none, root, 900_000, is_void=False)
    included = {m.node: WORLD.batch(Epoch(1), m.node, _seen()) for m in members}
    return _Epoch(
        before=Anchored(header=header, scores=olds, roster=roster),
        closed=close_epoch(VIEW, included, frozenset(), by_member(olds)),
        included=included,
    )


def _old(node: bytes, nonce: int) -> Score:
    counts = {"s": 90_000, "n": 98_304, "up_rounds": 1, "age_epochs": 1, "last_verdict": 1}
    return msgspec.structs.replace(Score(node, nonce), **counts, duty_s=65_536, duty_n=70_000)


def _seen() -> Observed:
    """Return what was seen: one target is down in its first round, one auditor saw that it was not."""
    target = VIEW.roster.full[0].node
    first, *others = VIEW.assignment.auditors(target)
    number = VIEW.drawn[target][0]
    seen = {(auditor, target, number): Outcome.UNREACHABLE for auditor in others}
    return {**seen, (first, target, number): Outcome.SLOW}


def _challenges() -> list[tuple[str, Challenge]]:
    epoch = _epoch()
    return [*_of_scores(epoch), *_of_strangers(epoch), *_of_voids(epoch), *_refused(epoch)]


def _places() -> dict[str, int]:
    """Return places in the roster: of a new member, an old one, a light one, one that was down."""
    index, light = VIEW.roster.index, VIEW.roster.light[-1]
    old = next(m for m in VIEW.roster.full[1:] if index[m.node] != NEW)
    down = VIEW.roster.full[0]
    return {
        "new": NEW, "old": index[old.node], "light": index[light.node], "down": index[down.node]
    }  # fmt: skip


def _of_scores(epoch: _Epoch) -> list[tuple[str, Challenge]]:
    found = []
    for who, place in _places().items():
        right = epoch.anchored(epoch.closed.scores)
        found.append((f"{who}, right", epoch.challenge(right.scores[place], right)))
        for name in ("s", "age_epochs", "duty_s", "state", "reliability_ppm"):
            scores = list(epoch.closed.scores)
            scores[place] = _more(scores[place], name)
            forged = epoch.anchored(scores)
            found.append((f"{who}, wrong {name}", epoch.challenge(scores[place], forged)))
    return found


def _more(score: Score, name: str) -> Score:
    return msgspec.structs.replace(score, **{name: getattr(score, name) + 1})


def _of_strangers(epoch: _Epoch) -> list[tuple[str, Challenge]]:
    known = VIEW.roster.members[0]
    nodes = {"first": bytes(31) + b"\1", "last": b"\xff" * 32, "between": known.node[:-1] + b"\0"}
    strangers = {f"stranger, {place}": Score(node, 0) for place, node in nodes.items()}
    strangers["another registration"] = Score(known.node, known.nonce + 1)
    found = []
    for name, score in strangers.items():
        forged = epoch.anchored([*epoch.closed.scores, score])
        found.append((name, epoch.challenge(score, forged)))
    return found


def _of_voids(epoch: _Epoch) -> list[tuple[str, Challenge]]:
    new, old = _places()["new"], _places()["old"]
    member = VIEW.roster.members[new]
    scores = list(epoch.before.scores)
    scores.insert(new, Score(member.node, member.nonce))
    right = epoch.anchored(scores, is_void=True)
    forged = epoch.anchored(epoch.closed.scores, is_void=True)
    return [
        ("void, old", epoch.challenge(right.scores[old], right)),
        ("void, new", epoch.challenge(right.scores[new], right)),
        ("void, but changed", epoch.challenge(forged.scores[old], forged)),
        ("void, but new and changed", epoch.challenge(forged.scores[new], forged)),
    ]


def _refused(epoch: _Epoch) -> list[tuple[str, Challenge]]:
    right = epoch.anchored(epoch.closed.scores)
    new, old, light, down = (
        epoch.challenge(right.scores[place], right) for place in _places().values()
    )
    roster = VIEW.roster
    elsewhere = around(roster, NodeId(bytes(32)), roster.root)
    [itself] = around(roster, roster.members[_places()["old"]].node, roster.root)
    return [
        ("a score of another tree", replace(old, score=old.old or old.score)),
        ("a member called a stranger", replace(old, stranger=elsewhere)),
        ("neighbours of another roster", replace(old, stranger=new.newcomer)),
        ("another epoch before", replace(old, before=old.header)),
        ("an old score of another tree", replace(old, old=old.score)),
        ("an old score left out", replace(old, old=None, newcomer=new.newcomer)),
        ("no neighbours", replace(new, newcomer=())),
        ("a neighbour left out", replace(new, newcomer=new.newcomer[1:])),
        ("a neighbour that is none", replace(new, newcomer=(old.score,))),
        ("evidence left out", replace(old, evidence=None)),
        ("evidence about another", replace(old, evidence=down.evidence)),
        ("a matrix cut", replace(old, matrix=old.matrix[:-1])),
        ("another light member", replace(old, evidence=None, light=light.light)),
        ("a full member as a light one", replace(old, evidence=None, light=itself)),
        ("a matrix beside a light member", replace(light, matrix=b"\4")),
        ("neighbours beside an old score", replace(old, newcomer=new.newcomer)),
    ]


def _challenge(name: str, challenge: Challenge) -> Json:
    fault, reason = None, ""
    try:
        fault = first_wrong_word(challenge, MINIMAL)
    except ProtocolError as error:
        reason = error.reason
    before = challenge.before
    return {
        "name": name,
        "header": fields(challenge.header),
        "before": None if before is None else fields(before),
        "score": _shown(challenge.score),
        "old": _shown(challenge.old),
        "newcomer": [_shown(shown) for shown in challenge.newcomer],
        "evidence": _shown(challenge.evidence),
        "matrix": challenge.matrix.hex(),
        "light": _shown(challenge.light),
        "stranger": [_shown(shown) for shown in challenge.stranger],
        "fault": fault,
        "reason": reason,
    }


def _shown(shown: Shown | None) -> Json:
    return None if shown is None else {"leaf": shown.leaf.hex(), "proof": plain(shown.proof)}
