"""Networks whose council makes the rounds, alone or beside another beacon; in virtual time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import trio

from stkrp2p.core.assignment import seed_of
from stkrp2p.core.beacon import BeaconRound, verified
from stkrp2p.core.roster import sign_claim
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Round, UnixMs
from stkrp2p.node import Node
from stkrp2p.services.beacon import RoundTopic
from stkrp2p.services.council import Seats
from stkrp2p.services.history import NotReplayable, replay
from testnet.sim import SHORT, RoundsBy, SimNetwork, SimNode
from tests.sim.kit import (
    EPOCH_S,
    assert_all_equal,
    assert_all_was_assigned_and_drawn,
    assert_nothing_signed_twice,
    assert_replayable,
    score_of,
    simulate,
)

COUNCIL, QUORUM = 5, 3


def silent(_number: Round) -> bytes | None:
    return None


def due_s(network: SimNetwork, number: int) -> float:
    return network.genesis.beacon.due_ms(Round(number)) / 1000


async def until_round(network: SimNetwork, number: int, *, after_s: float = 0.0) -> None:
    await trio.sleep(max(0, due_s(network, number) + after_s - trio.current_time()))


def first_of(network: SimNetwork, epoch: int) -> int:
    return network.genesis.clock.first(Epoch(epoch))


def table_of(member: SimNode, epoch: int) -> Sequence[Score]:
    return member.store.epochs[Epoch(epoch)][1]


class Deaf(RoundTopic):
    """Takes no part in the topic of rounds."""

    def join(self, _told: object) -> None:
        pass


def deafen(node: Node) -> None:
    topic = node.topic
    node.topic = Deaf(ledger=topic.ledger, network=topic.network, clock=topic.clock)


def assert_rounds_true(network: SimNetwork) -> None:
    """Nobody holds or stores a round that the beacon did not make."""
    for member in network.nodes:
        for one in member.store.kept_rounds.values():
            assert verified(network.genesis.beacon, one.number, one.signature) == one
        for one in member.store.kept_mixed.values():
            assert network.genesis.mixed is not None
            assert verified(network.genesis.mixed, one.number, one.signature) == one


# ------------------------------------------------------------------------------- the only beacon


def test_a_network_lives_on_the_rounds_that_its_council_makes() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(3)
        for epoch in range(4):
            await assert_all_equal(network, epoch)
            assert await assert_all_was_assigned_and_drawn(network, epoch) == 8
            await assert_replayable(network, network.nodes[6], epoch)
        for member in network.nodes:
            assert score_of(network, member, 3).uptime_ppm in (0, 1_000_000)
            assert score_of(network, member, 3).outages == 0
            assert score_of(network, member, 3).duty_ppm == 1_000_000
        assert_nothing_signed_twice(network)
        assert_rounds_true(network)

    simulate(601, story, full=7, light=1, governors=COUNCIL, rounds_by=RoundsBy.COUNCIL)


def test_the_same_seed_gives_the_same_run() -> None:
    async def story(network: SimNetwork) -> None:
        network.wire.loss_ppm = 50_000
        await network.until_folded(1)

    traces = [simulate(602, story, governors=COUNCIL, rounds_by=RoundsBy.BOTH) for _ in range(2)]
    assert traces[0] == traces[1]


def test_with_n_governors_killed_rounds_and_anchors_go_on() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        dead, alive = network.nodes[1:3], [*network.nodes[:1], *network.nodes[3:]]
        for member in dead:
            await network.kill(member)
        last = network.epoch + 2
        await network.until_folded(last, alive)
        for epoch in range(last + 1):
            await assert_all_equal(network, epoch)
        for member in alive:
            assert score_of(network, member, last).uptime_ppm == 1_000_000
            held = set(member.running.ledger.rounds.by_number)
            assert held >= set(range(first_of(network, last), first_of(network, last + 1)))
        for member in dead:
            await network.start(member)
        await network.until_folded(network.epoch + 1)
        assert_nothing_signed_twice(network)
        assert_rounds_true(network)

    simulate(603, story, full=9, governors=COUNCIL, rounds_by=RoundsBy.COUNCIL)


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 10))]
)
def test_with_n_plus_1_governors_killed_rounds_stop_and_come_back_with_one_and_cost_nobody(
    seed: int,
) -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(1)
        stop = network.epoch + 1
        await until_round(network, first_of(network, stop), after_s=0.5)
        dead, alive = network.nodes[:3], network.nodes[3:]
        for member in dead:
            await network.kill(member)
        last_made = max(n for m in alive for n in m.running.ledger.rounds.by_number)
        back = stop + 4
        await until_round(network, first_of(network, back + 1) - 2, after_s=0.3)
        for member in alive:
            assert max(member.running.ledger.rounds.by_number) == last_made, "none is made"
        assert network.chain.headers[-1].epoch < stop
        await network.start(dead[0])
        everybody = [dead[0], *alive]
        await network.until_folded(back, everybody)
        for epoch in range(stop, back + 1):
            await assert_all_equal(network, epoch)
            assert network.chain.headers[epoch].is_void, "so few saw anything"
            for member in alive:
                assert table_of(member, epoch) == table_of(member, stop - 1), "no score moves"
            await assert_replayable(network, alive[-1], epoch)
        last = network.epoch + 1
        await network.until_folded(last, everybody)
        for member in everybody:
            assert score_of(network, member, last).uptime_ppm == 1_000_000
            assert score_of(network, member, last).outages == 0
            assert member.running.ledger.missing_rounds(Epoch(last - 1), Round(10**6)) == []
        assert_nothing_signed_twice(network)
        assert_rounds_true(network)

    simulate(610 + seed, story, full=9, governors=COUNCIL, rounds_by=RoundsBy.COUNCIL)


@pytest.mark.slow
def test_an_outage_longer_than_memory_is_made_up_for_to_the_last_epoch() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        for member in network.nodes[:3]:
            await network.kill(member)
        await trio.sleep(14 * EPOCH_S)
        for member in network.nodes[:3]:
            await network.start(member)
        last = network.epoch
        assert last >= 14
        await network.until_folded(last, timeout_s=120)
        for epoch in range(last + 1):
            await assert_all_equal(network, epoch)
        for member in network.nodes:
            kept = sorted(member.store.kept_rounds)
            assert kept[0] <= first_of(network, network.epoch - SHORT.retain_epochs + 2)
            assert kept[-1] - kept[0] == len(kept) - 1, "without a gap"
        assert_rounds_true(network)

    simulate(
        620,
        story,
        governors=COUNCIL,
        rounds_by=RoundsBy.COUNCIL,
    )


def test_governors_that_lie_about_rounds_and_lost_messages_cost_nobody_anything() -> None:
    def lie(node: Node) -> None:
        sign = type(node.maker)._sign
        wrong = type("Liar", (type(node.maker),), {"_sign": lambda m, s, n: sign(m, s, n + 1)})
        names = ("seats", "council", "ledger", "source", "topic", "clock")
        node.maker = wrong(**{name: getattr(node.maker, name) for name in names})
        node.maker.serve(node.council)

    def prepare(network: SimNetwork) -> None:
        network.wire.loss_ppm = 20_000
        for member in network.nodes[:2]:
            member.corrupt = lie

    async def story(network: SimNetwork) -> None:
        await network.until_folded(3)
        for epoch in range(4):
            await assert_all_equal(network, epoch)
        dropped = [m.running.maker.dropped["wrong"] for m in network.nodes[2:COUNCIL]]
        assert sum(dropped) > 0
        for member in network.nodes:
            assert score_of(network, member, 3).uptime_ppm == 1_000_000
        assert_rounds_true(network)

    simulate(630, story, full=8, governors=COUNCIL, rounds_by=RoundsBy.COUNCIL, prepare=prepare)


def test_a_node_that_hears_no_round_asks_peers_for_each_and_loses_no_score() -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[6].corrupt = deafen

    async def story(network: SimNetwork) -> None:
        await network.until_folded(2)
        for epoch in range(3):
            await assert_all_equal(network, epoch)
        node = network.nodes[6]
        assert not node.running.topic.judged
        assert score_of(network, node, 2).uptime_ppm == 1_000_000
        assert score_of(network, node, 2).duty_ppm > 900_000

    simulate(640, story, full=7, governors=COUNCIL, rounds_by=RoundsBy.COUNCIL, prepare=prepare)


# ------------------------------------------------------------------------------- two beacons


def test_a_seed_follows_from_the_rounds_of_both_beacons() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(2)
        genesis = network.genesis
        for epoch in map(Epoch, range(3)):
            await assert_all_equal(network, epoch)
            assert await assert_all_was_assigned_and_drawn(network, epoch) == 8
            member = network.nodes[6]
            again = await replay(genesis, member.store, epoch)
            first = member.store.kept_rounds[genesis.clock.first(epoch)]
            mixed = member.store.kept_mixed[genesis.mixed_round(epoch)]
            root = again.past.view.roster.root
            assert again.past.view.seed == seed_of(
                genesis.network_id, epoch, first.randomness, root, mixed=mixed.randomness
            )
        for member in network.nodes:
            assert score_of(network, member, 2).duty_ppm == 1_000_000, "from the first round on"
        assert_nothing_signed_twice(network)
        assert_rounds_true(network)

    simulate(650, story, full=7, light=1, governors=COUNCIL, rounds_by=RoundsBy.BOTH)


def hush(network: SimNetwork) -> None:
    """Take the council's shares away, as if t governors were gone, and leave their nodes be."""
    for member in network.nodes[:QUORUM]:
        member.running.maker.seats = Seats()


def unhush(network: SimNetwork) -> None:
    for member in network.nodes[:QUORUM]:
        member.running.maker.seats = member.seats


def stall(network: SimNetwork, which: str) -> None:
    if which == "second":
        hush(network)
    for member in network.nodes if which == "first" else ():
        member.beacons.fault = silent


def resume(network: SimNetwork) -> None:
    unhush(network)
    for member in network.nodes:
        member.beacons.fault = lambda _number: b""


def assert_stalled(member: SimNode, which: str, stop: int, now: int) -> None:
    """Of epochs from `stop` on nobody knows a seed; all else goes on."""
    ledger = member.running.ledger
    for epoch in map(Epoch, (stop, stop + 1)):
        assert ledger.assignment(epoch) is None
        assert ledger.view(epoch) is None
        assert not ledger.evidence(epoch)
    seen = {ledger.clock.epoch_of(r) for r, _ in member.store.seen}
    assert seen <= set(range(stop)), "nobody is audited"
    batches = ledger.evidence(Epoch(stop - 1))
    assert len({b.auditor for b in batches}) == 8, "the epoch before is gossiped"
    going = ledger.mixed if which == "first" else ledger.rounds
    assert going is not None
    assert not going.missing(range(1, now)), "the other beacon goes on"


@pytest.mark.parametrize("which", ["first", "second"])
def test_a_beacon_that_stalls_stalls_its_epochs_and_nothing_else(which: str) -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        stop = network.epoch + 1
        await until_round(network, first_of(network, stop), after_s=-0.3)
        stall(network, which)
        now = first_of(network, stop + 2)
        await until_round(network, now, after_s=-0.5)
        for member in network.nodes:
            assert_stalled(member, which, stop, now - 1)
        resume(network)
        last = stop + 3
        await network.until_folded(last)
        for epoch in range(last + 1):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, network.nodes[6], epoch)
            assert network.chain.headers[epoch].is_void == (epoch in (stop, stop + 1))
        for member in network.nodes:
            for epoch in (stop, stop + 1):
                assert table_of(member, epoch) == table_of(member, stop - 1)
            assert score_of(network, member, last).uptime_ppm == 1_000_000
            assert score_of(network, member, last).duty_ppm == 1_000_000
        assert_nothing_signed_twice(network)
        assert_rounds_true(network)

    simulate(660, story, full=8, governors=COUNCIL, rounds_by=RoundsBy.BOTH)


def test_who_hears_nothing_of_the_second_beacon_asks_peers_for_what_its_seeds_need() -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[6].corrupt = deafen

    async def story(network: SimNetwork) -> None:
        deaf = network.nodes[6]
        await network.until_folded(2)
        for epoch in range(3):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, deaf, epoch)
        seeds = {network.genesis.mixed_round(Epoch(e)) for e in range(3)}
        assert seeds <= set(deaf.store.kept_mixed) <= {n for n in range(1, 40) if n % 6 == 1}
        assert score_of(network, deaf, 2).uptime_ppm == 1_000_000
        assert any(m.running.server.served["AskMixed"] for m in network.nodes)

    simulate(670, story, full=7, governors=COUNCIL, rounds_by=RoundsBy.BOTH, prepare=prepare)


def test_a_second_beacon_with_a_clock_of_its_own_seeds_epochs_when_it_is_due() -> None:
    def prepare(network: SimNetwork) -> None:
        # Its rounds fall due between ours, and one of them for several of our epochs.
        first = network.genesis.beacon
        mixed = network.genesis.mixed
        assert mixed is not None
        mixed = replace(
            mixed, genesis_ms=UnixMs(first.genesis_ms - 4_700), period_ms=5 * first.period_ms // 2
        )
        network.genesis = replace(network.genesis, mixed=mixed)
        network.chain.genesis = network.genesis
        for i, (member, entry) in enumerate(
            zip(network.nodes, network.chain.registrations, strict=True)
        ):
            claim = sign_claim(
                member.secret, network.genesis.network_id, member.operator, member.id, 0
            )
            network.chain.registrations[i] = replace(entry, claim=claim)

    async def story(network: SimNetwork) -> None:
        await network.until_folded(4)
        for epoch in range(5):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, network.nodes[6], epoch)
        for member in network.nodes:
            assert score_of(network, member, 4).uptime_ppm in (0, 1_000_000)
            assert score_of(network, member, 4).outages == 0

    simulate(680, story, full=7, governors=COUNCIL, rounds_by=RoundsBy.BOTH, prepare=prepare)


def test_a_node_that_was_away_learns_the_seeds_of_old_epochs_and_forgets_them_with_the_rest() -> (
    None
):
    async def story(network: SimNetwork) -> None:
        node = network.nodes[6]
        await network.until_folded(0)
        await network.kill(node)
        others = [m for m in network.nodes if m is not node]
        away = network.epoch + 5
        await network.until_folded(away, others)
        await network.start(node)
        await network.until_folded(away + 2)
        await assert_all_equal(network, away + 2)
        await assert_replayable(network, node, away + 2)
        retained = network.epoch - network.genesis.params.retain_epochs + 1
        assert min(node.store.kept_mixed) >= network.genesis.mixed_round(Epoch(retained))
        held = node.running.ledger.mixed
        assert held is not None
        assert len(held.by_number) <= 6 * 14

    params = replace(SHORT, retain_epochs=4)
    simulate(690, story, full=7, governors=COUNCIL, rounds_by=RoundsBy.BOTH, params=params)


def test_a_full_disk_leaves_no_epoch_without_the_round_that_seeds_it() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[6]
        await network.until_folded(0)
        node.store.is_full = True
        await trio.sleep(2 * EPOCH_S)
        last = network.epoch
        node.store.is_full = False
        await network.until_folded(last + 1, timeout_s=30)
        for epoch in range(last + 2):
            await assert_all_equal(network, epoch)
            await assert_replayable(network, node, epoch)

    simulate(695, story, full=7, governors=COUNCIL, rounds_by=RoundsBy.BOTH)


def test_an_epoch_whose_seeding_round_is_lost_or_false_cannot_be_replayed_and_says_so() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        store, genesis = network.nodes[5].store, network.genesis
        number = genesis.mixed_round(Epoch(0))
        one = store.kept_mixed.pop(number)
        with pytest.raises(NotReplayable, match=r"round 1 of the second beacon is not stored"):
            await replay(genesis, store, Epoch(0))
        store.kept_mixed[number] = BeaconRound(number, bytes(48))
        with pytest.raises(NotReplayable, match=r"a stored beacon round is false"):
            await replay(genesis, store, Epoch(0))
        store.kept_mixed[number] = one
        assert (await replay(genesis, store, Epoch(0))).is_signed

    simulate(698, story, governors=COUNCIL, rounds_by=RoundsBy.BOTH)
