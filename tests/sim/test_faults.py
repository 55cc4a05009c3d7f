"""Beacon, chain and disk that fail, alone or for everybody; in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio

from stkrp2p.core import bls
from stkrp2p.core.beacon import round_message
from stkrp2p.core.types import Epoch, Outcome, Round
from testnet.sim import SHORT, Hang, SimNetwork, SimNode
from tests.sim.kit import (
    EPOCH_S,
    ROUND_S,
    assert_all_equal,
    assert_nothing_signed_twice,
    assert_replayable,
    outcomes_seen,
    score_of,
    simulate,
)

# ------------------------------------------------------------------------------------ beacon


def hang(_number: Round) -> bytes | None:
    raise Hang


def forge(_number: Round) -> bytes | None:
    """Another key's signature of the right round."""
    return bls.sign(7, round_message(_number), bls.ROUND_DST)


def silent(_number: Round) -> bytes | None:
    return None


@pytest.mark.parametrize("fault", [silent, hang, forge])
def test_a_node_without_a_right_source_gets_its_rounds_from_peers_and_loses_no_score(fault) -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[2].beacons.fault = fault

    async def story(network: SimNetwork) -> None:
        node = network.nodes[2]
        await network.until_folded(2)
        for epoch in range(3):
            await assert_all_equal(network, epoch)
        assert score_of(network, node, 2).uptime_ppm == 1_000_000
        assert score_of(network, node, 2).duty_ppm > 900_000
        assert (node.running.source.state.rejected > 0) == (fault is forge)

    simulate(21, story, prepare=prepare)


def test_nobody_draws_from_a_round_that_does_not_verify_and_no_score_falls() -> None:
    def prepare(network: SimNetwork) -> None:
        for i, member in enumerate(network.nodes):
            # From round 4 to 8 nobody is told the truth, and no two are told the same.
            member.beacons.fault = lambda number, key=i + 100: (
                bls.sign(key, round_message(number), bls.ROUND_DST) if 4 <= number <= 8 else b""
            )

    async def story(network: SimNetwork) -> None:
        until_s = network.genesis.beacon.due_ms(Round(9)) / 1000
        await trio.sleep(until_s - 0.1)
        for member in network.nodes:
            assert all(member.running.ledger.round(Round(r)) is None for r in range(4, 9))
            assert all(o.round not in range(4, 9) for o in member.store.seen.values())
            assert member.running.source.state.rejected > 0
        await trio.sleep(1)
        for member in network.nodes:  # the beacon tells the truth again, also about these rounds
            member.beacons.fault = lambda _number: b""
        await network.until_folded(4)
        for epoch in range(5):
            await assert_all_equal(network, epoch)
        assert all(score_of(network, m, 4).uptime_ppm in (0, 1_000_000) for m in network.nodes)
        assert all(score_of(network, m, 4).outages == 0 for m in network.nodes)

    simulate(22, story, prepare=prepare)


def test_a_late_round_is_kept_for_its_epoch_but_audits_nobody() -> None:
    def prepare(network: SimNetwork) -> None:
        due_ms = network.genesis.beacon.due_ms(Round(5))
        for member in network.nodes:
            member.beacons.fault = lambda number: (
                None if number == 5 and trio.current_time() * 1000 < due_ms + 1_500 else b""
            )

    async def story(network: SimNetwork) -> None:
        await network.until_folded(1)
        for member in network.nodes:
            assert all(o.round != 5 for o in member.store.seen.values())
            assert Round(5) in member.store.kept_rounds
        await assert_all_equal(network, 1)
        assert all(score_of(network, m, 1).outages == 0 for m in network.nodes)

    simulate(23, story, prepare=prepare)


def test_a_beacon_that_is_away_for_minutes_stops_audits_and_costs_nobody_anything() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(1)
        before = [score_of(network, m, 1).uptime_ppm for m in network.nodes]
        for member in network.nodes:
            member.beacons.fault = silent
        await trio.sleep(60)
        assert {m.running.ledger.last_folded for m in network.nodes} <= {1, 2}
        for member in network.nodes:
            member.beacons.fault = lambda _number: b""
        end = network.epoch + 1
        await network.until_folded(end, timeout_s=60)
        for epoch in range(end + 1):
            await assert_all_equal(network, epoch)
        after = [score_of(network, m, end).uptime_ppm for m in network.nodes]
        assert after == before == [1_000_000] * 6
        assert_nothing_signed_twice(network)

    simulate(24, story)


# ------------------------------------------------------------------------------------- chain


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_with_the_chain_gone_for_everybody_audits_go_on_and_epochs_fold_in_order_after(
    fault: str,
) -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        for member in network.nodes:
            member.chain.fault = fault
        await trio.sleep(
            12 * EPOCH_S
        )  # longer than epochs stay in memory, and than they are retained
        away = network.epoch
        anchored = len(network.chain.headers)
        assert anchored <= 3
        for member in network.nodes:
            ledger = member.running.ledger
            assert member.chain.state == "down"
            assert len(ledger.views) <= 12, "memory does not grow while epochs wait"
            assert len(ledger.evidence(Epoch(away - 1))) == 6, "audits and gossip go on"
        for member in network.nodes:
            member.chain.fault = ""
        await network.until_folded(away + 1, timeout_s=60)
        for epoch in range(away + 2):
            await assert_all_equal(network, epoch)
        retained = network.epoch - network.genesis.params.retain_epochs + 1
        for epoch in range(max(0, retained), away + 2):
            await assert_replayable(network, network.nodes[3], epoch)
        assert set(network.chain.anchored.values()) == {1}, "nothing is anchored twice or lost"
        assert all(score_of(network, m, away).duty_ppm > 900_000 for m in network.nodes)
        assert_nothing_signed_twice(network)

    simulate(31, story, params=replace(SHORT, retain_epochs=4))


@pytest.mark.parametrize("fault", ["down", "hanging"])
def test_with_the_chain_gone_for_one_node_it_audits_on_and_folds_when_it_is_back(
    fault: str,
) -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[2]
        await network.until_folded(0)
        node.chain.fault = fault
        await trio.sleep(6 * EPOCH_S)
        assert node.running.ledger.last_folded <= 2
        assert len(network.chain.headers) >= 5
        late = network.epoch
        assert score_of(network, node, late - 3).uptime_ppm == 1_000_000
        assert score_of(network, node, late - 3).duty_ppm == 1_000_000
        node.chain.fault = ""
        await network.until_folded(late, timeout_s=30)
        for epoch in range(late + 1):
            await assert_all_equal(network, epoch)

    simulate(32, story)


def test_a_node_that_restarts_while_its_chain_is_down_takes_part_with_the_roster_it_knew() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[2]
        await network.until_folded(0)
        await network.kill(node)
        node.chain.fault = "down"
        await network.start(node)
        await trio.sleep(0.01)
        assert len(network.wire.edges[node.id].book) == 5, "it knows where its peers are"
        first = network.epoch + 1
        await network.until_folded(first + 2, [m for m in network.nodes if m is not node])
        batches = node.store.kept_batches[Epoch(first + 1)].values()
        assert any(b.auditor == node.id for b in batches)
        assert score_of(network, node, first + 2).uptime_ppm > 800_000

    simulate(33, story)


@pytest.mark.parametrize("seed", range(4))
def test_anchors_taken_back_are_anchored_again_the_same_and_none_is_lost(seed: int) -> None:
    async def story(network: SimNetwork) -> None:
        for _ in range(3):
            await network.until_folded(network.epoch)
            await trio.sleep(network.random.uniform(0, EPOCH_S))
            network.chain.reorganise(2)
        last = network.epoch + 1
        await network.until_folded(last)
        await trio.sleep(3 * ROUND_S)
        assert [h.epoch for h in network.chain.headers[: last + 1]] == list(range(last + 1))
        for epoch in range(last + 1):
            await assert_all_equal(network, epoch)
        assert max(network.chain.anchored.values()) >= 2, "some were taken back"
        assert_nothing_signed_twice(network)

    simulate(40 + seed, story)


# ------------------------------------------------------------------------------------- disks


def test_a_node_whose_disk_is_full_says_so_signs_nothing_and_goes_on_when_there_is_space() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[3]
        await network.until_folded(1)
        signed = set(node.store.own)
        node.store.is_full = True
        await trio.sleep(3 * EPOCH_S)
        status = node.running.status()
        assert status["store"] == {"is_writable": False, "detail": "the disk is full"}
        assert set(node.store.own) == signed
        assert node.running.responder.answered > 0
        last = network.epoch
        assert score_of(network, node, last - 2).uptime_ppm == 1_000_000, "it still answers audits"
        node.store.is_full = False
        await network.until_folded(last + 1, timeout_s=30)
        for epoch in range(last + 2):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, node, epoch)
        assert node.running.ledger.store_fault == ""
        assert Epoch(last + 1) in node.store.own

    simulate(51, story)


def test_a_council_whose_disk_is_full_seals_nothing_until_there_is_space() -> None:
    async def story(network: SimNetwork) -> None:
        council = network.nodes[0]
        await network.until_folded(0)
        council.store.is_full = True
        await trio.sleep(3 * EPOCH_S)
        assert len(network.chain.headers) <= 2
        council.store.is_full = False
        last = network.epoch + 1
        await network.until_folded(last)
        for epoch in range(last + 1):
            await assert_all_equal(network, epoch)
        assert_nothing_signed_twice(network)

    simulate(52, story)


# ------------------------------------------------------------------------------------- kills


async def kill_at_random(network: SimNetwork, victim: SimNode, times: int) -> None:
    at = network.random
    for member in network.nodes:
        member.store.delay_s = lambda: at.uniform(0, 0.02)
    for _ in range(times):
        await trio.sleep(at.uniform(0.1, 1.3 * EPOCH_S))
        acknowledged = [set(b) for b in victim.store.kept_batches.values()], dict(victim.store.own)
        await network.kill(victim)
        await trio.sleep(at.uniform(0, 2))
        await network.start(victim)
        held = victim.store.kept_batches.values()
        assert all(any(ids <= set(b) for b in held) for ids in acknowledged[0])
        assert acknowledged[1].items() <= victim.store.own.items()
    last = network.epoch + 1
    await network.until_folded(last)
    for epoch in range(last + 1):
        await assert_all_equal(network, epoch)
        await assert_replayable(network, victim, epoch)
    assert_nothing_signed_twice(network)


@pytest.mark.parametrize("seed", range(20))
def test_a_node_killed_at_any_moment_signs_no_second_batch_and_catches_up(seed: int) -> None:
    simulate(200 + seed, lambda n: kill_at_random(n, n.nodes[2], 2), full=4)


@pytest.mark.parametrize("seed", range(8))
def test_a_council_killed_at_any_moment_signs_no_second_header_and_goes_on(seed: int) -> None:
    simulate(300 + seed, lambda n: kill_at_random(n, n.nodes[0], 2), full=4)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(150))
def test_kills_of_nodes_and_council_with_many_more_seeds(seed: int) -> None:
    async def story(network: SimNetwork) -> None:
        await kill_at_random(network, network.nodes[seed % 2], 5)

    simulate(3_000 + seed, story, full=5)


@pytest.mark.parametrize("moment", range(10))
def test_a_council_killed_around_the_moment_it_seals_goes_on_with_what_it_recorded(
    moment: int,
) -> None:
    async def story(network: SimNetwork) -> None:
        council, at = network.nodes[0], network.random
        council.store.delay_s = lambda: at.uniform(0, 0.05)
        seal_ms = network.genesis.beacon.due_ms(network.genesis.clock.seal(Epoch(1)))
        await trio.sleep(seal_ms / 1000 + moment * 0.1 - trio.current_time())
        await network.kill(council)
        # What comes while it is down must not change what it recorded.
        network.nodes[3].workload.fault = lambda: "failed"
        await network.kill(network.nodes[2])
        await trio.sleep(1)
        await network.start(council)
        await network.start(network.nodes[2])
        await network.until_folded(2)
        for epoch in range(3):
            await assert_all_equal(network, epoch)
        assert_nothing_signed_twice(network)

    simulate(400, story, full=4)


def test_the_publisher_sends_the_recorded_batch_again_after_a_crash() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[1]
        network.wire.is_cut = lambda a, b: node.id in (a, b)  # nobody hears it the first time
        last_ms = network.genesis.beacon.due_ms(Round(network.genesis.clock.last(Epoch(0)) + 1))
        await trio.sleep(last_ms / 1000 + 2 * ROUND_S - trio.current_time())
        recorded = node.store.own[Epoch(0)]
        await network.kill(node)
        node.store.seen.clear()  # were it signed anew, it would say something else
        network.heal()
        await network.start(node)
        await network.until_folded(0)
        assert network.wire.published[node.id, Epoch(0)] == {recorded.id}
        assert recorded.id in network.nodes[0].store.kept_batches[Epoch(0)]

    simulate(61, story)


def test_an_auditor_whose_own_view_is_sick_reports_nothing() -> None:
    async def story(network: SimNetwork) -> None:
        sick = network.nodes[2]
        await network.until_folded(0)
        start_ms = network.genesis.start_ms(Epoch(2))
        await trio.sleep(start_ms / 1000 - trio.current_time())
        network.split([sick], [m for m in network.nodes if m is not sick])
        await trio.sleep(EPOCH_S)
        network.heal()
        await network.until_folded(2)
        own = sick.store.own[Epoch(2)]
        assert {Outcome(o) for r in own.body.rows for o in r.outcomes} == {Outcome.NOT_PROBED}
        assert outcomes_seen(network, sick, 2) >= {Outcome.UNREACHABLE}

    simulate(62, story)


def test_a_target_may_declare_maintenance_for_a_few_rounds_of_an_epoch_and_no_more() -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[4].corrupt = lambda node: setattr(node.responder, "is_in_maintenance", True)

    async def story(network: SimNetwork) -> None:
        target, limit = network.nodes[4], network.genesis.params.declared_rounds_max
        await network.until_folded(3)
        rows = [
            row.outcomes
            for epoch in range(4)
            for batch in network.nodes[0].store.kept_batches[Epoch(epoch)].values()
            for row in batch.body.rows
            if row.target == target.id
        ]
        assert max(o.count(Outcome.DECLARED) for o in rows) == limit
        assert any(o.count(Outcome.UNREACHABLE) for o in rows), "beyond the limit it counts as down"
        assert score_of(network, target, 3).uptime_ppm == 0

    simulate(64, story, prepare=prepare)
