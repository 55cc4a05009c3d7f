"""What must hold of a real network in which nodes die and come back."""

from __future__ import annotations

import json

import pytest

from stkrp2p.core.params import MINIMAL
from tests.e2e.conftest import AWAY_FROM, AWAY_UNTIL, EPOCHS, Story

pytestmark = pytest.mark.e2e


def test_every_epoch_is_anchored_once_and_in_order(story: Story) -> None:
    assert [h.epoch for h in story.anchored] == list(range(EPOCHS))


def test_all_full_nodes_hold_evidence_that_gives_the_anchored_roots(story: Story) -> None:
    anchored = {h.epoch: h for h in story.anchored}
    for record in story.records.values():
        if not record.is_light:
            assert record.replayed == anchored, record.name


def test_a_light_node_follows_the_anchored_roots(story: Story) -> None:
    anchored = {h.epoch: h for h in story.anchored}
    for record in story.records.values():
        if record.is_light:
            assert record.headers == anchored


def test_no_round_is_lost_though_one_of_its_governors_is_killed_again_and_again(
    story: Story,
) -> None:
    last = EPOCHS * MINIMAL.rounds_per_epoch
    first, *others = (r.rounds for r in story.records.values() if not r.is_light)
    assert [one.number for one in first] == list(range(1, last + 1))
    assert all(rounds == first for rounds in others)


def test_a_node_killed_at_any_moment_loses_nothing_that_it_acknowledged(story: Story) -> None:
    own = story.records[story.killed].own_ids
    assert story.published_before_kill
    assert all(own[epoch] == batch for epoch, batch in story.published_before_kill)


def test_a_node_killed_at_any_moment_never_signs_a_second_batch_for_an_epoch(story: Story) -> None:
    node = story.records[story.killed].node
    for epoch in range(EPOCHS):
        seen = {i for r in story.records.values() for a, i in r.batch_ids[epoch] if a == node}
        assert len(seen) <= 1, epoch


def test_a_killed_node_catches_up_and_its_next_root_equals_the_others(story: Story) -> None:
    assert story.records[story.killed].headers == {h.epoch: h for h in story.anchored}


def test_a_node_away_for_five_epochs_proves_each_of_them_against_its_anchor(story: Story) -> None:
    assert AWAY_UNTIL - AWAY_FROM == 5
    record = story.records[story.away]
    # Back before the seal of the last epoch it missed, it says of that one that it saw nothing.
    assert not any(epoch in record.own_ids for epoch in range(AWAY_FROM, AWAY_UNTIL - 1))
    assert record.replayed == {h.epoch: h for h in story.anchored}


def test_no_node_logs_an_error_or_a_traceback(story: Story) -> None:
    for record in story.records.values():
        assert "Traceback" not in record.log, record.name
        events = [json.loads(line) for line in record.log.splitlines() if line.startswith("{")]
        assert [e for e in events if e["level"] in {"error", "critical"}] == [], record.name


def test_no_node_raises_an_alarm(story: Story) -> None:
    assert {name: said["alarm"] for name, said in story.status.items()} == dict.fromkeys(
        story.records, ""
    )
