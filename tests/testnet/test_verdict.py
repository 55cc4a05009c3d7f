"""What is found of a run, and that what is not as promised is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch
from stkrp2p.core.wire import encode
from testnet.cli import indented
from testnet.cluster import Member
from testnet.council_verdict import _fault
from testnet.finding import of_several
from testnet.lateness import Lateness, lateness_of
from testnet.manifest import NodeEntry
from testnet.plan import Role
from testnet.verdict import Standing, _check_scores
from tests.core.strategies import dealt

reports = st.lists(
    st.dictionaries(st.integers(1, 20), st.integers(0, 999), max_size=20), min_size=1, max_size=4
)


@given(reports)
def test_a_round_is_as_late_as_at_the_slowest_node_and_missed_if_one_has_it_not(
    said: list[dict[int, int]],
) -> None:
    late = lateness_of(said, range(1, 21))
    everywhere = set.intersection(*(set(report) for report in said))
    assert set(late.missed) == set(range(1, 21)) - everywhere
    assert late.everywhere_ms == tuple(sorted(max(r[n] for r in said) for n in everywhere))


@given(st.lists(st.text("abc-", min_size=1, max_size=90), min_size=1, max_size=40))
def test_what_was_found_fits_in_a_hundred_columns_and_loses_no_word(words: list[str]) -> None:
    lines = indented(" ".join(words)).splitlines()
    assert max(map(len, lines)) <= 100
    assert " ".join(lines).split() == words


@pytest.mark.parametrize(("percent", "late_ms"), [(0, 10), (50, 60), (95, 100), (100, 100)])
def test_a_percentile_is_one_of_the_figures(percent: int, late_ms: int) -> None:
    late = Lateness(everywhere_ms=tuple(range(10, 101, 10)), missed=())
    assert late.percentile_ms(percent) == late_ms
    assert Lateness(everywhere_ms=(), missed=(1,)).percentile_ms(percent) == 0


def a_governor(folder: Path) -> Member:
    entry = NodeEntry(
        name="node0",
        role=Role.COUNCIL,
        node=bytes(32).hex(),
        address="/ip4/127.0.0.10/tcp/4001",
        workload="none",
        config="",
        data_dir=str(folder),
        log="",
    )
    return Member(entry=entry, secret=bytes(32), account=bytes(32), operator=bytes(20))


def standing(role: Role, ups: tuple[int, ...], uptimes_ppm: tuple[int, ...]) -> Standing:
    score = Score(node=bytes(32), nonce=1, uptime_ppm=uptimes_ppm[-1])
    return Standing(name=role, role=role, score=score, uptimes_ppm=uptimes_ppm, ups=ups)


@pytest.mark.parametrize(
    ("flaky_ups", "flaky_ppm", "is_between"),
    [((4, 7, 11), 650_000, True), ((4, 7, 8), 400_000, True), ((4, 7, 7), 400_000, False)],
    ids=["above-its-score", "below-its-score", "never-up-again"],
)
def test_a_flaky_node_is_above_a_dead_one_if_it_is_up_once_that_is_dead(
    flaky_ups: tuple[int, ...], flaky_ppm: int, *, is_between: bool
) -> None:
    standings = (
        standing(Role.COUNCIL, (6, 12, 18), (1_000_000, 1_000_000, 1_000_000)),
        standing(Role.FLAKY, flaky_ups, (600_000, 600_000, flaky_ppm)),
        standing(Role.DOWN, (6, 10, 10), (1_000_000, 800_000, 520_000)),
    )
    fell, between, top = _check_scores(standings, [Epoch(2)])
    assert (fell.held, between.held, top.held) == (True, is_between, True)


def test_a_flaky_node_that_nobody_saw_failing_is_told_from_the_healthy() -> None:
    whole = (1_000_000,)
    standings = (standing(Role.COUNCIL, (6,), whole), standing(Role.FLAKY, (6,), whole))
    assert [f.held for f in _check_scores(standings, [])] == [False, False]


def test_one_finding_of_several_nodes_names_those_that_are_at_fault(tmp_path: Path) -> None:
    members = [a_governor(tmp_path)] * 2
    well = of_several("all is well", members, ["", ""], "both of them")
    assert (well.held, well.detail) == (True, "both of them")
    ill = of_several("all is well", members, ["", "no share"], "both of them")
    assert (ill.held, ill.detail) == (False, "node0: no share")


def test_a_governor_is_at_fault_without_a_share_in_another_group_or_given_wrong_partials(
    tmp_path: Path,
) -> None:
    member = a_governor(tmp_path)
    group = dealt(3)[0].group
    seat = {"is_in_force": True, "has_share": True, "group_hash": group.hash().hex()}
    council = {"seats": [seat], "trouble": ""}
    assert _fault(member, council, {}) == "no share"
    (tmp_path / "council" / "1").mkdir(parents=True)
    (tmp_path / "council" / "1" / "group").write_bytes(encode(group))
    assert _fault(member, council, {}) == ""
    assert _fault(member, {}, {}) == "no share"
    assert _fault(member, {"seats": [seat | {"has_share": False}], "trouble": ""}, {}) == "no share"
    assert _fault(member, council | {"trouble": "no gas"}, {}) == "no gas"
    other = {"seats": [seat | {"group_hash": "00"}], "trouble": ""}
    assert _fault(member, other, {}) == "another group in force than on its disk"
    cheated = {"beacon": {"partials_dropped": {"late": 4, "wrong": 2}}}
    assert _fault(member, council, cheated) == "2 wrong partials"
