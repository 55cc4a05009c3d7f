"""Scores that are said to follow from others: claims for whoever judges them.

Half are right, half are wrong in one word or more. They are drawn where mistakes would hide: at the
borders of probation, at counts that hardly fit, from scores that cannot be. Drawn by a seed, so they
are the same each time.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: the claims are a function of their seed
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from stkrp2p.adapters.chain.challenges import scoring_fields
from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import NUMBER_MAX, Sighted, duty_max, fault_of
from stkrp2p.core.merkle import words
from stkrp2p.core.params import LAMBDA_ONE, MAINNET, MINIMAL, Params
from stkrp2p.core.score import Q16, Score, State, fold, next_state, share_ppm
from stkrp2p.core.types import ONE_PPM, Epoch, Outcome, Ppm
from stkrp2p.core.verdict import Verdict

WORD_MAX = (1 << 256) - 1

_FIELDS = Score.__struct_fields__[2:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A score, and what it is said to follow from."""

    score: Score
    old: Score
    sighted: Sighted
    delivered: int
    owed: int
    """Of the member as an auditor, if the score is right."""

    header: Header
    params: Params

    @property
    def fault(self) -> int | None:
        """What is wrong with the score, as the core says."""
        return fault_of(self.score, self.old, self.sighted, self.header, self.params)

    @property
    def right(self) -> Score:
        """What the score would have to be in an epoch that is not void."""
        folded = fold(self.old, self.sighted.verdicts(), self.delivered, self.owed, self.params)
        epoch, median = Epoch(self.header.epoch), Ppm(self.header.median_ppm)
        state, until = next_state(folded, epoch, median, self.params)
        return msgspec.structs.replace(folded, state=int(state), state_until=until)

    def row(self) -> bytes:
        """Return the claim as the contract `ScoreHarness` takes it."""
        header, matrix = self.header, self.sighted.matrix
        claim = (self.sighted.auditors, self.sighted.rounds, header.epoch, header.median_ppm)
        numbers = (*claim, int(header.is_void), self.delivered, self.owed)
        head = words(*numbers, *scoring_fields(self.params), len(matrix))
        return self.score.leaf() + self.old.leaf() + head + matrix + bytes(-len(matrix) % 32)


def _header(epoch: int, median_ppm: int) -> Header:
    none = bytes(32)
    return Header(epoch, none, none, none, none, median_ppm, is_void=False)


def claims(seed: int, count: int) -> Iterator[Claim]:
    """Yield so many claims, always the same ones for a seed."""
    rng = random.Random(seed)
    for number in range(count):
        claim = _claim(rng)
        is_wrong = number % 2 == 1
        yield _spoilt(rng, claim) if is_wrong else claim


def possible_claims(seed: int, count: int) -> Iterator[Claim]:
    """Yield claims whose old score and matrix can be, in epochs that are not void."""
    rng = random.Random(seed)
    for _ in range(count):
        yield _claim(rng, is_possible=True)


def _claim(rng: random.Random, *, is_possible: bool = False) -> Claim:
    params = rng.choice((MINIMAL, MAINNET, _params(rng)))
    old = _old(rng)
    sighted = _sighted(rng)
    owed = rng.choice((0, 1, rng.randrange(duty_max(params) + 1), duty_max(params)))
    claim = Claim(
        score=old,
        old=old,
        sighted=sighted,
        delivered=rng.choice((0, owed, rng.randrange(owed + 1))),
        owed=owed,
        header=_header(rng.choice((0, 1, old.state_until, rng.randrange(2**40))), 0),
        params=params,
    )
    claim = replace(claim, header=_header(min(claim.header.epoch, 2**62), _median(rng, claim)))
    if rng.randrange(8) == 0 and not is_possible:
        return replace(claim, header=msgspec.structs.replace(claim.header, is_void=True))
    return replace(claim, score=claim.right)


def _params(rng: random.Random) -> Params:
    return replace(
        rng.choice((MINIMAL, MAINNET)),
        decay_q32=rng.choice((1, LAMBDA_ONE // 2, LAMBDA_ONE - 1, rng.randrange(1, LAMBDA_ONE))),
        design_effect=rng.choice((1, 2, 48, 2**31)),
        tenure_epochs=rng.choice((0, 1, 720, 2**32 - 1)),
        vetting_epochs=rng.choice((0, 1, 168, 2**32 - 1)),
        floor_ppm=Ppm(rng.choice((0, 600_000, ONE_PPM))),
        leeway_ppm=Ppm(rng.choice((0, 1, 200_000, ONE_PPM))),
        probation_epochs=rng.choice((0, 1, 24, 2**32 - 1)),
        suspension_epochs=rng.choice((0, 1, 168, 2**32 - 1)),
    )


def _number(rng: random.Random) -> int:
    return rng.choice(
        (0, 1, Q16 - 1, Q16, Q16 + 1, rng.randrange(2**20), rng.randrange(2**40), 2**63 - 1)
    )


def _old(rng: random.Random) -> Score:
    blank = Score(rng.randbytes(32), rng.choice((0, 1, 2**63 - 1)))
    if rng.randrange(8) == 0:
        return blank
    counts = {name: _number(rng) for name in _FIELDS}
    n, duty_n = counts["n"], counts["duty_n"]
    counts["s"] = rng.choice((0, n, n // 2, n - min(n, 1), rng.randrange(n + 1)))
    counts["duty_s"] = rng.choice((0, duty_n, rng.randrange(duty_n + 1)))
    counts["last_verdict"] = rng.choice(tuple(Verdict))
    counts["state"] = rng.choice((*State, 4))
    return msgspec.structs.replace(blank, **counts)


def _sighted(rng: random.Random) -> Sighted:
    if rng.randrange(6) == 0:
        return Sighted()
    auditors = rng.choice((0, 1, 2, 3, 3, 5, 9, 9, 15))
    rounds = rng.choice((0, 1, 2, 7, 12, 12, 33))
    likely = rng.choice((b"\1", b"\4", b"\0", b"\1\4", bytes(Outcome), bytes(range(9)) + b"\xff"))
    return Sighted(auditors, rounds, bytes(rng.choices(likely, k=auditors * rounds)))


def _median(rng: random.Random, claim: Claim) -> int:
    """Return a median that is often where the state turns."""
    border = share_ppm(claim.right.s, claim.right.n) + claim.params.leeway_ppm
    nearby = border + rng.choice((-1, 0, 1))
    return max(0, min(ONE_PPM, rng.choice((nearby, nearby, rng.randrange(ONE_PPM + 1)))))


def _spoilt(rng: random.Random, claim: Claim) -> Claim:
    match rng.randrange(8):
        case 0:
            return replace(claim, old=_spoilt_score(rng, claim.old))
        case 1:
            wrong = claim.old.n + 1
            return replace(claim, old=msgspec.structs.replace(claim.old, s=wrong))
        case 2:
            return replace(claim, sighted=_spoilt_shape(rng, claim.sighted))
        case 3:
            added = rng.choice((1, Q16, claim.owed * Q16, duty_max(claim.params) * Q16 + Q16))
            name = rng.choice(("duty_s", "duty_n"))
            value = getattr(claim.score, name) + rng.choice((-1, 1)) * added
            return replace(
                claim, score=msgspec.structs.replace(claim.score, **{name: max(0, value)})
            )
        case _:
            return replace(claim, score=_spoilt_score(rng, claim.score))


def _spoilt_score(rng: random.Random, score: Score) -> Score:
    changes = {}
    for name in rng.sample(_FIELDS, rng.choice((1, 1, 1, 3))):
        value = getattr(score, name)
        changes[name] = rng.choice(
            (value + 1, max(0, value - 1), NUMBER_MAX, NUMBER_MAX + 1, 2**255, WORD_MAX)
        )
    return msgspec.structs.replace(score, **changes)


def _spoilt_shape(rng: random.Random, sighted: Sighted) -> Sighted:
    auditors, rounds, matrix = sighted
    return rng.choice(
        (
            Sighted(auditors + 1, rounds, matrix),
            Sighted(auditors, rounds + 1, matrix),
            Sighted(auditors, rounds, matrix + b"\1"),
            Sighted(16, 2, bytes(32)),
            Sighted(1, 4097, bytes(4097)),
            Sighted(WORD_MAX, WORD_MAX, b"\1"),
            Sighted(0, WORD_MAX, b""),
        )
    )
