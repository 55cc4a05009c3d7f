"""What all nodes must agree on, whatever happens to the wires; in virtual time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from stkrp2p.core.types import Epoch, Kind
from testnet.sim import SHORT, SimNetwork
from tests.sim.kit import (
    EPOCH_S,
    assert_all_equal,
    assert_all_was_assigned_and_drawn,
    assert_evidence_equal,
    assert_nothing_signed_twice,
    assert_replayable,
    header_of,
    outcomes_seen,
    score_of,
    simulate,
    table,
    until_mid_epoch,
)

SEEDS = range(20)


def test_every_node_folds_every_epoch_to_the_anchored_roots() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(3)
        for epoch in range(4):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, network.nodes[2], epoch)
        assert_nothing_signed_twice(network)
        assert all(count == 1 for count in network.chain.anchored.values())

    simulate(1, story, light=1)


def test_every_observation_in_every_batch_was_assigned_and_drawn() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(2)
        assert [await assert_all_was_assigned_and_drawn(network, e) for e in range(3)] == [8] * 3

    simulate(2, story, full=8)


def test_healthy_nodes_score_at_the_top_and_a_dead_one_falls() -> None:
    async def story(network: SimNetwork) -> None:
        dead = network.nodes[4]
        await network.until_epoch_sealed(0)
        await network.kill(dead)
        await network.until_folded(3)
        others = [m for m in network.nodes if m is not dead]
        assert all(score_of(network, m, 3).uptime_ppm == 1_000_000 for m in others)
        assert score_of(network, dead, 3).uptime_ppm < 600_000
        assert score_of(network, dead, 3).outages == 1
        assert score_of(network, dead, 3).duty_ppm < score_of(network, others[0], 3).duty_ppm

    simulate(3, story, full=8)


def test_a_workload_that_answers_wrongly_is_seen_as_wrong_and_one_that_fails_too() -> None:
    async def story(network: SimNetwork) -> None:
        network.nodes[2].workload.fault = lambda: "wrong"
        network.nodes[3].workload.fault = lambda: "failed"
        await network.until_folded(1)
        for member in network.nodes[2:4]:
            assert "WRONG" in {o.name for o in outcomes_seen(network, member, 1)}
            assert score_of(network, member, 1).uptime_ppm == 0

    simulate(4, story, full=10)


@pytest.mark.parametrize("parted_s", [30, 60])
def test_a_partition_heals_to_equal_evidence_and_the_anchored_roots(parted_s: int) -> None:
    async def story(network: SimNetwork) -> None:
        await trio.sleep(8)
        network.split(network.nodes[:5], network.nodes[5:])
        await trio.sleep(parted_s)
        parted = network.epoch
        behind = network.nodes[6].running.ledger
        assert behind.last_folded < network.nodes[0].running.ledger.last_folded
        network.heal()
        healed_at = trio.current_time()
        await network.until_folded(parted - 2)
        assert trio.current_time() - healed_at <= 30
        await network.until_folded(parted + 1)
        for epoch in range(parted + 2):
            await assert_all_equal(network, epoch)
        assert_evidence_equal(network, parted + 1)
        assert_nothing_signed_twice(network)

    simulate(parted_s, story, full=8)


def test_a_node_away_for_five_epochs_catches_up_by_sync_and_proves_each_epoch() -> None:
    async def story(network: SimNetwork) -> None:
        away = network.nodes[3]
        await network.until_folded(0)
        await network.kill(away)
        before = set(away.store.kept_batches)
        await network.until_folded(5)
        away.beacons.fault = lambda _number: None  # by sync alone: no beacon source either
        await network.start(away)
        await network.until_folded(6, timeout_s=30)
        for epoch in range(7):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, away, epoch)
            assert table(network, away, epoch) == table(network, network.nodes[0], epoch)
        assert before <= {Epoch(0), Epoch(1)}
        assert_nothing_signed_twice(network)

    simulate(5, story, full=7)


def test_a_newcomer_far_behind_takes_the_anchored_table_and_folds_on_from_there() -> None:
    params = SHORT.__class__(
        **{f: getattr(SHORT, f) for f in SHORT.__slots__} | {"retain_epochs": 3}
    )

    def prepare(network: SimNetwork) -> None:
        late = network.add(effective=3)
        network.nodes.remove(late)

    async def story(network: SimNetwork) -> None:
        late = next(m for i, m in network.member_of.items() if m not in network.nodes)
        await network.until_folded(6)
        network.nodes.append(late)
        await network.start(late)
        await network.until_folded(9, timeout_s=30)
        assert min(late.store.epochs) >= 4
        for epoch in (8, 9):
            assert await header_of(late, epoch) == network.chain.headers[epoch]
        await assert_replayable(network, late, 9)
        assert score_of(network, late, 9).n > 0

    simulate(6, story, params=params, prepare=prepare)


def test_a_light_node_follows_the_roots_proves_its_own_score_and_keeps_two_epochs() -> None:
    async def story(network: SimNetwork) -> None:
        light = network.nodes[-1]
        assert light.kind is Kind.LIGHT
        await network.until_folded(5)
        ledger = light.running.ledger
        for epoch in range(3, 6):
            assert await header_of(light, epoch) == network.chain.headers[epoch]
        (own,) = ledger.scores
        header = network.chain.headers[ledger.last_folded]
        assert own.node == light.id
        assert own.duty_ppm > 0
        assert await light.chain.is_score_proved(header, own, ledger.own_proof)
        await until_mid_epoch(network)
        assert min(light.store.kept_batches) >= network.epoch - 1
        assert len(ledger.views) <= 3

    simulate(7, story, light=1)


def test_a_light_node_that_was_away_takes_the_newest_roots_at_once() -> None:
    async def story(network: SimNetwork) -> None:
        light = network.nodes[-1]
        await network.until_folded(0)
        await network.kill(light)
        await network.until_folded(5)
        await network.start(light)
        await trio.sleep(4)
        ledger = light.running.ledger
        assert ledger.last_folded >= 5
        header = network.chain.headers[ledger.last_folded]
        assert await light.chain.is_score_proved(header, ledger.scores[0], ledger.own_proof)

    simulate(8, story, light=1)


async def mixed_faults(network: SimNetwork) -> None:
    """Loss, copies, a partition, a kill, an equivocator's luck: all at instants the seed chooses."""
    at = network.random
    network.wire.loss_ppm, network.wire.copies_ppm = 100_000, 100_000
    members = network.nodes[1:]
    for _ in range(3):
        await trio.sleep(at.uniform(0.5, EPOCH_S))
        victim = members[at.randrange(len(members))]
        await network.kill(victim)
        side = [m for m in network.nodes if at.random() < 0.4]
        network.split(side)
        await trio.sleep(at.uniform(0.5, EPOCH_S))
        network.heal()
        await network.start(victim)
    network.wire.loss_ppm = 0
    last = network.epoch + 1
    await network.until_folded(last)
    for epoch in range(last + 1):
        await assert_all_equal(network, epoch)
    assert_nothing_signed_twice(network)


@pytest.mark.parametrize("seed", SEEDS)
def test_nodes_converge_under_loss_copies_partitions_and_kills(seed: int) -> None:
    simulate(1_000 + seed, mixed_faults, full=5)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
def test_nodes_converge_under_mixed_faults_with_many_more_seeds(seed: int) -> None:
    simulate(10_000 + seed, mixed_faults, full=9, light=1)


def test_the_same_seed_gives_the_same_run_in_every_process() -> None:
    here = Path(__file__).resolve()
    program = (
        "from tests.sim.kit import simulate; from tests.sim.test_convergence import mixed_faults;"
        "print(simulate(77, mixed_faults, full=4))"
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            cwd=here.parents[2],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            text=True,
        )
        for hash_seed in ("0", "424242")
    ]
    first, second = (run.communicate(timeout=110)[0].strip() for run in runs)
    assert len(first) == 64
    assert first == second


def test_another_seed_gives_another_run() -> None:
    async def story(network: SimNetwork) -> None:
        await trio.sleep(8)

    assert simulate(1, story, full=4) != simulate(2, story, full=4)
