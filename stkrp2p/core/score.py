"""The fold of one epoch into a member's score, version `score/1`: integers only.

    s = floor(s * decay) + up            n = floor(n * decay) + decided        (1/2^16 each)
    U = lower bound of Wilson's interval of s/n at z = 2, counts divided by the design effect
    reliability = U * age / (age + tenure)                                     (ppm, rounded down)

with s and n decayed by `decay_q32` / 2^32 an epoch. All divisions round down. Stake and price never
enter reliability (Q16); run time and uptime are kept beside it (Q17); duty measures the member as an
auditor. A void epoch changes nothing. Specified in `protocols/reputation.md`.
"""

from __future__ import annotations

from enum import IntEnum
from math import isqrt

from stkrp2p.core import merkle
from stkrp2p.core.params import Params
from stkrp2p.core.roster import Member
from stkrp2p.core.types import ONE_PPM, Epoch, Ppm
from stkrp2p.core.verdict import Verdict
from stkrp2p.core.wire import Bytes32, Message, Uint

VERSION = "score/1"

Q16 = 1 << 16

_UNDECIDED, _UP, _DOWN = (bytes([v]) for v in Verdict)


class State(IntEnum):
    """A member's standing (R61)."""

    VETTING = 0
    """Too young to count as active."""

    ACTIVE = 1

    PROBATION = 2
    """Uptime below the floor and well below the median; still time to recover."""

    SUSPENDED = 3
    """Stayed so for the whole probation; until `state_until`."""


class Score(Message, frozen=True):
    """All that is kept of one member, and its leaf in the score tree."""

    node: Bytes32
    nonce: Uint
    s: Uint = 0
    """Decayed count of up rounds, 1/2^16."""

    n: Uint = 0
    """Decayed count of decided rounds, 1/2^16."""

    up_rounds: Uint = 0
    """Up rounds ever."""

    outages: Uint = 0
    """Runs of down rounds ever."""

    age_epochs: Uint = 0
    """Epochs folded since it joined."""

    last_verdict: Uint = 0
    """Verdict of its last decided round; `UNDECIDED` before the first."""

    duty_s: Uint = 0
    """Decayed count of observations delivered as an auditor, 1/2^16."""

    duty_n: Uint = 0
    """Decayed count of observations assigned, 1/2^16."""

    state: Uint = 0
    state_until: Uint = 0
    """First epoch after probation or suspension, else 0."""

    uptime_ppm: Uint = 0
    run_time_rounds: Uint = 0
    """Mean up rounds between outages; without outages, all of them (Q17)."""

    reliability_ppm: Uint = 0
    duty_ppm: Uint = 0

    def leaf(self) -> bytes:
        """Return the 16 words of this member's leaf, in the order of the fields."""
        first, *rest = (getattr(self, name) for name in self.__struct_fields__)
        return merkle.words(first, *rest)


def newcomer(member: Member) -> Score:
    """Return the score a member starts with."""
    return Score(node=member.node, nonce=member.nonce)


def decayed(count: int, decay_q32: int) -> int:
    """Return what is left of a decayed count after one epoch, rounded down."""
    return count * decay_q32 >> 32


def wilson_ppm(s: int, n: int, design_effect: int) -> Ppm:
    """Return the lower bound of s/n that observation supports, in ppm.

    Wilson's score interval at z = 2:  (s + 2 - 2 sqrt(s (n - s) / n + 1)) / (n + 4). The root is
    rounded down to 1/2^16 and the quotient to 1 ppm, so the result is off by less than 8 ppm.

    Args:
        s: Ups, 1/2^16, at most `n`.
        n: Decided, 1/2^16; 0 gives 0.
        design_effect: Observations that weigh as one.
    """
    s, n = s // design_effect, n // design_effect
    if n == 0:
        return Ppm(0)
    root = isqrt((s * (n - s) // n << 16) + (1 << 32))
    return Ppm(max(0, (s + 2 * Q16 - 2 * root) * ONE_PPM // (n + 4 * Q16)))


def share_ppm(part: int, whole: int) -> Ppm:
    """Return part / whole in ppm, rounded down; 0 of nothing."""
    return Ppm(part * ONE_PPM // whole) if whole else Ppm(0)


def fold(old: Score, verdicts: bytes, delivered: int, assigned: int, params: Params) -> Score:
    """Return a member's score after one epoch that is not void; its state is set by `next_state`.

    Args:
        old: Its score before.
        verdicts: One byte for each round it was drawn in; empty for a light member.
        delivered: Observations it reported as an auditor that were counted.
        assigned: Observations it owed.
        params: The preset.
    """
    ups = verdicts.count(_UP)
    decided = verdicts.replace(_UNDECIDED, b"")
    before = _DOWN if old.last_verdict == Verdict.DOWN else _UP
    outages = old.outages + (before + decided).count(_UP + _DOWN)
    decay = params.decay_q32
    s = decayed(old.s, decay) + ups * Q16
    n = decayed(old.n, decay) + len(decided) * Q16
    duty_s = decayed(old.duty_s, decay) + delivered * Q16
    duty_n = decayed(old.duty_n, decay) + assigned * Q16
    age = old.age_epochs + 1
    up_rounds = old.up_rounds + ups
    bound = wilson_ppm(s, n, params.design_effect)
    return Score(
        node=old.node,
        nonce=old.nonce,
        s=s,
        n=n,
        up_rounds=up_rounds,
        outages=outages,
        age_epochs=age,
        last_verdict=decided[-1] if decided else old.last_verdict,
        duty_s=duty_s,
        duty_n=duty_n,
        state=old.state,
        state_until=old.state_until,
        uptime_ppm=share_ppm(s, n),
        run_time_rounds=up_rounds // max(1, outages),
        reliability_ppm=bound * age // (age + params.tenure_epochs),
        duty_ppm=share_ppm(duty_s, duty_n),
    )


def median_uptime(scores: list[Score]) -> Ppm:
    """Return the lower median uptime of the members that were ever decided on, 0 of none."""
    uptimes = sorted(score.uptime_ppm for score in scores if score.n)
    return Ppm(uptimes[(len(uptimes) - 1) // 2]) if uptimes else Ppm(0)


def next_state(score: Score, epoch: Epoch, median_ppm: Ppm, params: Params) -> tuple[State, int]:
    """Return (state, until) after an epoch (R61).

    A suspension runs its time. Else a member whose uptime is below the floor and more than the
    leeway below the median enters probation, and a probation that ends so becomes a suspension.
    """
    uptime_ppm, state, until = score.uptime_ppm, score.state, score.state_until
    if state == State.SUSPENDED and epoch < until:
        return State.SUSPENDED, until
    is_low = uptime_ppm < params.floor_ppm and uptime_ppm < median_ppm - params.leeway_ppm
    if is_low and score.n:
        if state != State.PROBATION:
            return State.PROBATION, epoch + params.probation_epochs
        if epoch < until:
            return State.PROBATION, until
        return State.SUSPENDED, epoch + params.suspension_epochs
    if score.age_epochs < params.vetting_epochs:
        return State.VETTING, 0
    return State.ACTIVE, 0
