"""The fold is integer arithmetic that anybody can do again by hand, and stake is no part of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import floor, isqrt

import msgspec
import pytest
from hypothesis import example, given, strategies as st

from stkrp2p.core.merkle import words
from stkrp2p.core.params import LAMBDA_ONE, MAINNET, MINIMAL, Params
from stkrp2p.core.roster import Member
from stkrp2p.core.score import (
    Q16,
    Score,
    State,
    decayed,
    fold,
    median_uptime,
    newcomer,
    next_state,
    share_ppm,
    wilson_ppm,
)
from stkrp2p.core.types import ONE_PPM, Epoch, Ppm
from stkrp2p.core.verdict import Verdict
from stkrp2p.core.wire import encode
from tests.core.strategies import member

PRESETS = st.sampled_from([MINIMAL, MAINNET])
verdict_bytes = st.lists(st.sampled_from(Verdict), max_size=40).map(bytes)
epochs = st.tuples(verdict_bytes, st.integers(0, 200), st.integers(0, 200)).map(
    lambda e: (e[0], min(e[1], e[2]), e[2])
)
histories = st.lists(epochs, max_size=12)


def folded(history: list[tuple[bytes, int, int]], params: Params) -> Score:
    score = newcomer(member(1))
    for verdicts, delivered, assigned in history:
        score = fold(score, verdicts, delivered, assigned, params)
    return score


def naive_fold(
    old: Score, verdicts: bytes, delivered: int, assigned: int, params: Params
) -> dict[str, int]:
    """Return the fields that change, each from its formula, with fractions."""
    decay = Fraction(params.decay_q32, LAMBDA_ONE)
    ups = downs = outages = 0
    last = old.last_verdict
    for verdict in verdicts:
        if verdict == Verdict.UP:
            ups += 1
        if verdict == Verdict.DOWN:
            downs += 1
            outages += last != Verdict.DOWN
        last = verdict or last
    s = floor(old.s * decay) + ups * 65_536
    n = floor(old.n * decay) + (ups + downs) * 65_536
    duty_s = floor(old.duty_s * decay) + delivered * 65_536
    duty_n = floor(old.duty_n * decay) + assigned * 65_536
    age, up_rounds, all_outages = old.age_epochs + 1, old.up_rounds + ups, old.outages + outages
    bound = wilson_ppm(s, n, params.design_effect)
    return {
        "s": s,
        "n": n,
        "up_rounds": up_rounds,
        "outages": all_outages,
        "age_epochs": age,
        "last_verdict": last,
        "duty_s": duty_s,
        "duty_n": duty_n,
        "uptime_ppm": floor(Fraction(s, n) * 10**6) if n else 0,
        "run_time_rounds": up_rounds // all_outages if all_outages else up_rounds,
        "reliability_ppm": floor(bound * Fraction(age, age + params.tenure_epochs)),
        "duty_ppm": floor(Fraction(duty_s, duty_n) * 10**6) if duty_n else 0,
    }


@given(histories, epochs, PRESETS)
@example([(b"\1\2", 0, 0)], (b"\2", 0, 0), MINIMAL)
@example([(b"\1\2\0", 0, 0)], (b"\0\2\1\2", 0, 0), MINIMAL)
def test_a_fold_is_what_its_formulas_say(
    history: list[tuple[bytes, int, int]], epoch: tuple[bytes, int, int], params: Params
) -> None:
    old = folded(history, params)
    new = fold(old, *epoch, params)
    assert new == msgspec.structs.replace(old, **naive_fold(old, *epoch, params))


def test_the_first_epochs_of_a_member_are_these() -> None:
    """Worked by hand for MINIMAL: decay 0.9, design effect 1, tenure 2."""
    first = fold(newcomer(member(1)), b"\1\1\1\2\0\1", 17, 18, MINIMAL)
    # 4 up of 5: the root of 4 * 1 / 5 + 1 is 87_925 / 2^16, rounded down, so
    # U = (4 + 2 - 2 * 1.341629) / (5 + 4) = 0.368526; and the age is 1 of 1 + 2
    assert (first.s, first.n) == (4 * Q16, 5 * Q16)
    assert (first.up_rounds, first.outages, first.run_time_rounds) == (4, 1, 4)
    assert (first.uptime_ppm, first.duty_ppm) == (800_000, 944_444)
    assert first.reliability_ppm == 368_526 // 3 == 122_842
    second = fold(first, b"\2\2\1", 18, 18, MINIMAL)
    # s = 0.9 * 4 + 1 = 4.6, n = 0.9 * 5 + 3 = 7.5; the outage goes on from the last epoch: up came
    # between, so these two downs are a second outage
    assert (second.s, second.n) == (235_929 + Q16, 294_911 + 3 * Q16)
    assert (second.up_rounds, second.outages, second.run_time_rounds) == (5, 2, 2)
    assert second.uptime_ppm == (235_929 + 65_536) * 10**6 // (294_911 + 196_608) == 613_333
    assert second.age_epochs == 2


def test_an_outage_across_two_epochs_is_one_outage() -> None:
    first = fold(newcomer(member(1)), b"\1\2\2\0", 0, 0, MINIMAL)
    second = fold(first, b"\0\2\2\1", 0, 0, MINIMAL)
    assert (first.outages, second.outages) == (1, 1)
    assert fold(second, b"\2", 0, 0, MINIMAL).outages == 2


def test_who_was_never_up_has_one_outage() -> None:
    score = folded([(b"\2\2\2", 0, 0)] * 3, MINIMAL)
    assert (score.outages, score.up_rounds, score.run_time_rounds) == (1, 0, 0)


@pytest.mark.parametrize(
    ("ups", "decided", "design_effect", "expected"),
    [
        (0, 0, 1, 0),
        (1, 1, 1, 200_000),  # (1 + 2 - 2) / 5
        (5, 5, 1, 555_555),  # (5 + 2 - 2) / 9
        (12, 12, 1, 750_000),  # 12 / 16
        (96, 100, 1, 900_000),  # (98 - 2 sqrt(4.84)) / 104 = 93.6 / 104
        (0, 12, 1, 0),
        (48, 48, 48, 200_000),
        (24, 48, 48, 52_789),  # (2.5 - 2 sqrt(1.25)) / 5 = 0.052786
    ],
)
def test_the_lower_bound_is_wilsons(
    ups: int, decided: int, design_effect: int, expected: int
) -> None:
    assert wilson_ppm(ups * Q16, decided * Q16, design_effect) == expected


counts = st.integers(0, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([1, 48]))
def test_the_lower_bound_is_within_8_millionths_of_wilsons_formula(
    count: tuple[int, int], design_effect: int
) -> None:
    s, n = (Fraction(c, design_effect) for c in count)
    found = wilson_ppm(count[0] * Q16, count[1] * Q16, design_effect)
    if n == 0:
        assert found == 0
        return
    scale = 10**20
    root = Fraction(isqrt(floor((s * (n - s) / n + 1) * scale**2)), scale)
    exact = (s + 2 - 2 * root) / (n + 4) * 10**6
    assert -8 <= found - exact <= 8
    assert 0 <= found <= ONE_PPM


@given(st.integers(1, 5000), st.data(), st.sampled_from([1, 48]))
def test_one_more_up_never_lowers_the_bound(
    n: int, data: st.DataObject, design_effect: int
) -> None:
    s = data.draw(st.integers(0, n - 1))
    low, high = (wilson_ppm(ups * Q16, n * Q16, design_effect) for ups in (s, s + 1))
    assert low <= high


@given(histories, verdict_bytes, st.data(), PRESETS)
def test_an_up_in_the_place_of_a_down_never_lowers_the_score(
    history: list[tuple[bytes, int, int]], verdicts: bytes, data: st.DataObject, params: Params
) -> None:
    old = folded(history, params)
    better = bytes(
        Verdict.UP if v == Verdict.DOWN and data.draw(st.booleans()) else v for v in verdicts
    )
    worse, improved = (fold(old, v, 0, 0, params) for v in (verdicts, better))
    assert improved.reliability_ppm >= worse.reliability_ppm
    assert improved.uptime_ppm >= worse.uptime_ppm


@given(histories, PRESETS)
def test_every_share_lies_between_0_and_1(
    history: list[tuple[bytes, int, int]], params: Params
) -> None:
    score = folded(history, params)
    assert 0 <= score.s <= score.n
    assert 0 <= score.duty_s <= score.duty_n
    assert 0 <= score.reliability_ppm <= score.uptime_ppm + 1 <= ONE_PPM + 1
    assert 0 <= score.duty_ppm <= ONE_PPM


@pytest.mark.parametrize("params", [MINIMAL, MAINNET])
def test_a_member_always_up_comes_near_1_and_never_above(params: Params) -> None:
    score = newcomer(member(1))
    before = -1
    for _ in range(2_000):
        score = fold(score, b"\1" * 12, 108, 108, params)
        assert before <= score.reliability_ppm <= ONE_PPM
        before = score.reliability_ppm
    assert score.reliability_ppm > 700_000
    assert score.uptime_ppm == score.duty_ppm == ONE_PPM


def test_counts_stay_within_a_wire_integer_for_ever() -> None:
    for params in (MINIMAL, MAINNET):
        most = params.rounds_per_epoch * params.candidates * Q16
        limit = most * LAMBDA_ONE // (LAMBDA_ONE - params.decay_q32)
        assert limit < 1 << 63
        assert decayed(limit, params.decay_q32) + most <= limit + 1


@given(st.integers(0, 10**30), st.integers(0, 10**30))
def test_stake_and_operator_never_enter_the_score(stake: int, other: int) -> None:
    rich, poor = (replace(member(1), stake=s) for s in (stake, other))
    assert leaf_after(rich) == leaf_after(poor)


def leaf_after(one: Member) -> bytes:
    return fold(newcomer(one), b"\1\2", 1, 2, MINIMAL).leaf()


def test_a_leaf_is_16_words_in_the_order_of_the_fields() -> None:
    values = range(1, 16)
    names = Score.__struct_fields__
    score = Score(node=b"\7" * 32, **dict(zip(names[1:], values, strict=True)))
    assert score.leaf() == words(b"\7" * 32, *values)
    assert len(score.leaf()) == 16 * 32
    assert encode(score)[:3] == b"\xdc\x00\x10"


def test_shares_are_rounded_down_and_0_of_nothing() -> None:
    assert share_ppm(2, 3) == 666_666
    assert share_ppm(0, 0) == 0


def scored(uptime_ppm: int, *, n: int = Q16, age_epochs: int = 99, **fields: int) -> Score:
    return Score(
        node=bytes(32), nonce=0, n=n, uptime_ppm=uptime_ppm, age_epochs=age_epochs, **fields
    )


def test_the_median_uptime_is_the_lower_of_the_middle_two_of_those_decided_on() -> None:
    assert median_uptime([]) == 0
    assert median_uptime([scored(5, n=0)]) == 0
    assert median_uptime([scored(3), scored(1), scored(2)]) == 2
    assert median_uptime([scored(4), scored(3), scored(1), scored(2), scored(0, n=0)]) == 2


def state_after(score: Score, epoch: int, median_ppm: int = 950_000) -> tuple[State, int]:
    return next_state(score, Epoch(epoch), Ppm(median_ppm), MINIMAL)


LOW = MINIMAL.floor_ppm - 1


def test_a_young_member_is_vetted_and_an_old_one_active() -> None:
    assert state_after(scored(900_000, age_epochs=1), 5) == (State.VETTING, 0)
    assert state_after(scored(900_000, age_epochs=2), 5) == (State.ACTIVE, 0)
    assert state_after(scored(0, n=0), 5) == (State.ACTIVE, 0)


def test_only_below_the_floor_and_well_below_the_median_is_low() -> None:
    assert state_after(scored(LOW), 5) == (State.PROBATION, 5 + MINIMAL.probation_epochs)
    assert state_after(scored(MINIMAL.floor_ppm), 5) == (State.ACTIVE, 0)
    near = LOW + MINIMAL.leeway_ppm
    assert state_after(scored(LOW), 5, median_ppm=near) == (State.ACTIVE, 0)
    assert state_after(scored(LOW), 5, median_ppm=near + 1)[0] is State.PROBATION
    assert state_after(scored(0), 5, median_ppm=0) == (State.ACTIVE, 0)


def test_probation_runs_its_time_and_then_becomes_suspension() -> None:
    on_probation = scored(LOW, state=State.PROBATION, state_until=8)
    assert state_after(on_probation, 7) == (State.PROBATION, 8)
    assert state_after(on_probation, 8) == (State.SUSPENDED, 8 + MINIMAL.suspension_epochs)


def test_who_recovers_during_probation_is_active_again() -> None:
    recovered = scored(900_000, state=State.PROBATION, state_until=8)
    assert state_after(recovered, 6) == (State.ACTIVE, 0)


def test_a_suspension_runs_its_time_whatever_the_uptime() -> None:
    for uptime_ppm in (0, ONE_PPM):
        suspended = scored(uptime_ppm, state=State.SUSPENDED, state_until=13)
        assert state_after(suspended, 12) == (State.SUSPENDED, 13)


def test_after_a_suspension_the_low_are_on_probation_and_the_others_active() -> None:
    low, high = (scored(u, state=State.SUSPENDED, state_until=13) for u in (LOW, ONE_PPM))
    assert state_after(low, 13) == (State.PROBATION, 13 + MINIMAL.probation_epochs)
    assert state_after(high, 13) == (State.ACTIVE, 0)


def test_a_dead_member_goes_through_probation_to_suspension_and_back() -> None:
    score, states = scored(0), []
    for epoch in range(12):
        state, until = state_after(score, epoch)
        score = msgspec.structs.replace(score, state=int(state), state_until=until)
        states.append(state.name[0])
    assert "".join(states) == "PPPSSSSSPPPS"
