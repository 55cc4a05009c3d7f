"""A target is up, down or undecided as the majority of its auditors says, round by round."""

from __future__ import annotations

from hypothesis import given, strategies as st

from stkrp2p.core.params import K_AUD_MAX
from stkrp2p.core.types import Outcome
from stkrp2p.core.verdict import Verdict, decide, verdicts, votes
from tests.core.strategies import outcomes

UP = {Outcome.OK, Outcome.SLOW}
DOWN = {Outcome.WRONG, Outcome.UNREACHABLE}


@st.composite
def committees(draw: st.DrawFn) -> tuple[int, int, list[bytes]]:
    """Draw (drawn rounds, assigned auditors, outcomes of those whose batches are in)."""
    rounds, assigned = draw(st.integers(0, 30)), draw(st.integers(0, K_AUD_MAX))
    return rounds, assigned, draw(st.lists(outcomes(rounds), max_size=assigned))


def naive_verdict(seen: list[Outcome], assigned: int) -> Verdict:
    """Return one round's verdict as the specification puts it."""
    ups = sum(o in UP for o in seen)
    reports = sum(o in UP | DOWN for o in seen)
    if reports == 0 or reports < assigned / 2:
        return Verdict.UNDECIDED
    return Verdict.UP if ups > reports / 2 else Verdict.DOWN


@given(committees())
def test_verdicts_are_what_a_count_of_each_round_says(
    committee: tuple[int, int, list[bytes]],
) -> None:
    rounds, assigned, seen = committee
    found = verdicts(seen, rounds=rounds, assigned=assigned)
    expected = [naive_verdict([Outcome(o[r]) for o in seen], assigned) for r in range(rounds)]
    assert list(found) == expected


def test_every_count_of_every_committee_is_decided_alike() -> None:
    for assigned in range(K_AUD_MAX + 1):
        for reports in range(assigned + 1):
            for ups in range(reports + 1):
                seen = [Outcome.OK] * ups + [Outcome.UNREACHABLE] * (reports - ups)
                found = decide(16 * reports + ups, 1, assigned)
                assert found == bytes([naive_verdict(seen, assigned)])


@given(committees(), st.data())
def test_the_order_of_auditors_does_not_matter(
    committee: tuple[int, int, list[bytes]], data: st.DataObject
) -> None:
    rounds, assigned, seen = committee
    other = data.draw(st.permutations(seen))
    assert verdicts(other, rounds=rounds, assigned=assigned) == verdicts(
        seen, rounds=rounds, assigned=assigned
    )


@given(st.lists(st.sampled_from([Outcome.NOT_PROBED, Outcome.DECLARED]), max_size=9).map(bytes))
def test_not_probed_and_declared_cost_nobody_anything(silent: bytes) -> None:
    rounds = len(silent)
    assert votes(silent) == 0
    assert verdicts([silent] * 3, rounds=rounds, assigned=3) == bytes(rounds)
    others = [bytes([Outcome.OK]) * rounds] * 2
    assert verdicts([*others, silent], rounds=rounds, assigned=3) == b"\1" * rounds


def test_a_tie_of_those_who_reported_is_down() -> None:
    seen = [bytes([Outcome.OK]), bytes([Outcome.UNREACHABLE])]
    assert verdicts(seen, rounds=1, assigned=3) == bytes([Verdict.DOWN])


def test_fewer_than_half_of_the_assigned_decide_nothing_and_half_of_them_do() -> None:
    one = [bytes([Outcome.OK])]
    assert verdicts(one, rounds=1, assigned=3) == bytes([Verdict.UNDECIDED])
    assert verdicts(one, rounds=1, assigned=2) == bytes([Verdict.UP])


def test_the_largest_committee_unanimous_in_every_round_does_not_overflow() -> None:
    up = [bytes([Outcome.OK]) * 5] * K_AUD_MAX
    assert verdicts(up, rounds=5, assigned=K_AUD_MAX) == bytes([Verdict.UP]) * 5


def test_a_member_without_auditors_is_never_decided_on() -> None:
    assert verdicts([], rounds=4, assigned=0) == bytes(4)


def test_outcomes_unknown_to_the_specification_are_no_votes() -> None:
    assert votes(bytes(range(6, 256))) == 0
