"""The core's benchmarks run, and measure what they say."""

from __future__ import annotations

from json import dumps

from testnet.bench.core import make_world, run, sync_bytes


def test_every_benchmark_gives_figures_that_json_can_hold() -> None:
    figures = run(members=40, row_members=60)
    assert dumps(figures)
    assert figures.keys() == {"judge_join", "fold", "sync_bytes", "draws", "assignment_row"}


def test_two_worlds_of_one_size_are_the_same() -> None:
    first, second = make_world(20), make_world(20)
    assert [b.frame for b in first.batches] == [b.frame for b in second.batches]


def test_a_session_is_measured_beyond_its_batches() -> None:
    figures = sync_bytes(make_world(300), missing=30)
    assert figures.batches_bytes + figures.overhead_bytes == (
        figures.question_bytes + figures.answer_bytes
    )
    assert 0 < figures.overhead_bytes < 300
