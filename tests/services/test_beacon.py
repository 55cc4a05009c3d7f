"""Governors make a round when it is due, whoever of them lies, sleeps or is late; in virtual time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import msgspec
import pytest
import trio

from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, RoundNews, round_message, verified
from stkrp2p.core.council import (
    COUNCIL_PROTOCOL,
    AskPartials,
    GivePartial,
    PartialList,
)
from stkrp2p.core.crypto import node_id_of
from stkrp2p.core.group import GovernorShare, Purpose, partial_sign
from stkrp2p.core.network import Genesis
from stkrp2p.core.types import Judgement, NodeId, ProtocolError, Round, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import BeaconUnavailable
from stkrp2p.services import beacon as beacon_module
from stkrp2p.services.beacon import (
    STRETCH_ROUNDS_MAX,
    LedgerRounds,
    RoundMaker,
    RoundTopic,
    Told,
    first_stretch,
    round_topic,
    run_round_maker,
    run_round_writer,
)
from stkrp2p.services.council import Council, CouncilServer, Seat, Seats
from stkrp2p.services.held import HeldRounds
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.rounds import HeardRounds, RoundSource, next_due
from testnet.dealer import Polynomials, deal, draw_polynomials
from testnet.sim import GENESIS_S, SHORT, SimEdge, SimEntropy, SimStore, SimWire, run_seeded

PERIOD_S = SHORT.period_ms / 1000


@dataclass
class OwnClock:
    """A clock that may be wrong."""

    ahead_ms: int = 0

    def unix_ms(self) -> UnixMs:
        return UnixMs(int(trio.current_time() * 1000) + self.ahead_ms)


@dataclass
class Governor:
    """A node that does nothing but make and hear rounds."""

    clock: OwnClock
    seats: Seats
    ledger: Ledger
    edge: SimEdge
    maker: RoundMaker
    server: CouncilServer
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    came_s: dict[Round, float] = field(default_factory=dict)
    """When each round was held, in the order it was."""

    @property
    def id(self) -> NodeId:
        return self.edge.node

    async def run(self) -> None:
        told_in, told_out = trio.open_memory_channel[Told](8)
        self.edge.wire.edges[self.id] = self.edge
        self.edge.serve(COUNCIL_PROTOCOL, self.server.answer, answer_bytes_max=1 << 20)
        self.maker.topic.join(told_in)
        with self.scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(run_round_writer, self.ledger, told_out)
                nursery.start_soon(run_round_maker, self.maker)
                nursery.start_soon(self._watch)
        self.edge.wire.edges.pop(self.id)
        self.scope = trio.CancelScope()

    async def _watch(self) -> None:
        while True:
            for number in self.ledger.rounds.by_number:
                self.came_s.setdefault(number, trio.current_time())
            await self.ledger.rounds._came.wait()


@dataclass
class World:
    """A council on a simulated wire."""

    wire: SimWire
    nursery: trio.Nursery
    genesis: Genesis
    polynomials: Polynomials
    random: random.Random
    all: list[Governor] = field(default_factory=list)

    @property
    def beacon(self) -> Beacon:
        return self.genesis.beacon

    def start(self, *governors: Governor) -> None:
        for governor in governors:
            self.nursery.start_soon(governor.run)

    def seat(self, governors: Sequence[Governor], *, session: int, starts_s: float = 0.0) -> None:
        """Give these the shares of a group, as a resharing of the council's key would."""
        degree = len(governors) // 2
        shared = tuple(
            [p[0], *(bls.secret_of(self.random.randbytes(48)) for _ in range(degree))]
            for p in self.polynomials
        )
        shares = deal(shared, [g.id for g in governors], session=session)
        for governor, share in zip(governors, shares, strict=True):
            seat = Seat(group=share.group, share=share, starts_ms=UnixMs(int(starts_s * 1000)))
            governor.seats.add(seat)

    def due_s(self, number: int) -> float:
        return self.beacon.due_ms(Round(number)) / 1000

    async def until(self, number: int, *, after_s: float = 0.0) -> None:
        """Sleep until a round is due, and some."""
        await trio.sleep(max(0, self.due_s(number) + after_s - trio.current_time()))


def share_of(governor: Governor) -> GovernorShare:
    newest = governor.seats.newest
    assert newest is not None
    assert newest.share is not None
    return newest.share


def add_governor(world: World) -> Governor:
    node = node_id_of(world.random.randbytes(32))
    clock, seats = OwnClock(), Seats()
    edge = SimEdge(world.wire, node)
    ledger = Ledger(world.genesis, SimStore(), retain_epochs=4)
    source = RoundSource(
        ledger, HeardRounds(ledger.rounds, clock), edge, SimEntropy(random.Random(5))
    )
    maker = RoundMaker(
        seats=seats,
        council=Council(node=node, network=edge),
        ledger=ledger,
        source=source,
        topic=RoundTopic(ledger=ledger, network=edge, clock=clock),
        clock=clock,
    )
    server = CouncilServer(network_id=world.genesis.network_id, seats=seats)
    maker.serve(server)
    governor = Governor(clock, seats, ledger, edge, maker, server)
    world.all.append(governor)
    return governor


def in_council(story: Callable[[World], Awaitable[None]], *, size: int = 5, seed: int = 1) -> None:
    """Tell a story of a council whose governors are seated and do not run yet."""

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            source = random.Random(seed)
            polynomials = draw_polynomials(source, size)
            beacon = Beacon(
                public_key=bls.public_key_of(polynomials[Purpose.BEACON][0]),
                genesis_ms=UnixMs(int((trio.current_time() + GENESIS_S) * 1000)),
                period_ms=SHORT.period_ms,
            )
            genesis = Genesis(
                name="council",
                params=SHORT,
                beacon=beacon,
                first_round=Round(1),
                chain_id=1,
                registry=bytes(20),
                anchor=bytes(20),
                council=bytes(20),
                council_key=bls.public_key_of(polynomials[Purpose.ANCHOR][0]),
            )
            wire = SimWire(seed, nursery)
            world = World(wire, nursery, genesis, polynomials, source)
            for _ in range(size):
                add_governor(world)
            world.seat(world.all, session=1)
            await story(world)
            nursery.cancel_scope.cancel()

    run_seeded(seed, run)


def numbers_of(governor: Governor) -> set[int]:
    return set(governor.ledger.rounds.by_number)


def assert_none_early(world: World) -> None:
    for governor in world.all:
        for number, came_s in governor.came_s.items():
            assert came_s >= world.due_s(number), f"round {number}"


def assert_all_true(world: World) -> None:
    for governor in world.all:
        for one in governor.ledger.rounds.by_number.values():
            assert verified(world.beacon, one.number, one.signature) == one


# ------------------------------------------------------------------------------- rounds just due


@pytest.mark.parametrize("size", [1, 3, 7])
def test_each_round_is_made_soon_after_it_is_due_and_never_before(size: int) -> None:
    async def story(world: World) -> None:
        world.start(*world.all)
        await world.until(6, after_s=0.4)
        for governor in world.all:
            assert numbers_of(governor) == set(range(1, 7))
            assert list(governor.came_s) == [1, 2, 3, 4, 5, 6]
            for number, came_s in governor.came_s.items():
                assert 0 <= came_s - world.due_s(number) < 0.2
        assert_all_true(world)

    in_council(story, size=size)


def test_with_n_of_them_away_the_others_make_all_rounds_and_with_n_plus_1_none() -> None:
    async def story(world: World) -> None:
        world.start(*world.all[:3])
        await world.until(4, after_s=0.4)
        assert numbers_of(world.all[0]) == {1, 2, 3, 4}
        world.all[0].scope.cancel()
        await world.until(8, after_s=0.9)
        assert numbers_of(world.all[1]) == numbers_of(world.all[2]) == {1, 2, 3, 4}
        pulls = sum(g.server.served["AskPartials"] for g in world.all[1:3])
        assert pulls == 0, "who gave its partial is not asked for it"

    in_council(story)


def test_when_enough_are_back_current_rounds_come_first_and_then_the_missing_oldest_first() -> None:
    async def story(world: World) -> None:
        world.start(*world.all[:2])
        await world.until(20, after_s=0.5)
        assert numbers_of(world.all[0]) == set()
        world.start(world.all[2])
        await world.until(22, after_s=0.9)
        for governor in world.all[:3]:
            assert numbers_of(governor) == set(range(1, 23))
            order = list(governor.came_s)
            assert order[0] in (20, 21), "current ones first"
            late = [n for n in order if n < 20]
            assert late == sorted(late)
        assert_none_early(world)
        assert_all_true(world)
        stored = await world.all[1].ledger._store.rounds(Round(1), Round(22))
        assert len(stored) == 22

    in_council(story)


def test_a_pass_over_missing_rounds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacon_module, "GAP_ROUNDS_MAX", 4)

    async def story(world: World) -> None:
        await world.until(30)
        world.start(*world.all)
        await world.until(30, after_s=0.4)
        assert numbers_of(world.all[0]) == {30}
        assert await world.all[0].maker.catch_up() == 4
        assert numbers_of(world.all[0]) == {1, 2, 3, 4, 30}

    in_council(story)


def test_rounds_come_although_three_messages_in_ten_are_lost() -> None:
    async def story(world: World) -> None:
        world.wire.loss_ppm = 300_000
        world.start(*world.all)
        await world.until(15, after_s=0.9)
        for governor in world.all:
            assert numbers_of(governor) >= set(range(1, 15))
        assert_none_early(world)
        assert_all_true(world)

    in_council(story)


def test_who_cannot_hear_the_others_asks_them_for_their_partials() -> None:
    async def story(world: World) -> None:
        deaf = world.all[0]
        world.start(*world.all)
        await trio.sleep(0.1)
        deaf.edge.topics.clear()
        deaf.edge.handlers.clear()
        await world.until(3, after_s=0.9)
        assert numbers_of(deaf) == {1, 2, 3}
        part_s = PERIOD_S / beacon_module.PULL_PARTS
        assert all(t - world.due_s(n) > part_s for n, t in deaf.came_s.items())

    in_council(story)


def test_a_governor_that_hangs_delays_nobody() -> None:
    async def story(world: World) -> None:
        world.start(*world.all)
        await trio.sleep(0.1)

        async def hang(_peer: NodeId, _frame: bytes) -> bytes:
            await trio.sleep_forever()
            return b""

        for governor in world.all[3:]:
            governor.edge.handlers[COUNCIL_PROTOCOL] = hang
        await world.until(5, after_s=0.4)
        for number, came_s in world.all[0].came_s.items():
            assert came_s - world.due_s(number) < 0.2
        assert numbers_of(world.all[0]) == {1, 2, 3, 4, 5}

    in_council(story)


# ------------------------------------------------------------------------------- never early


@pytest.mark.parametrize("ahead_ms", [300, 1_000, 1_900, 5_000, 3_600_000])
def test_n_governors_whose_clocks_are_ahead_leak_no_round(ahead_ms: int) -> None:
    async def story(world: World) -> None:
        for governor in world.all[:2]:
            governor.clock.ahead_ms = ahead_ms
        world.start(*world.all)
        await world.until(8, after_s=0.4)
        assert_none_early(world)
        for governor in world.all[2:]:
            assert numbers_of(governor) >= set(range(1, 9))
            assert (governor.maker.dropped["early"] > 0) == (ahead_ms > SHORT.period_ms)

    in_council(story)


def test_partials_of_a_round_that_is_not_due_are_kept_until_it_is() -> None:
    async def story(world: World) -> None:
        for governor in world.all:
            governor.clock.ahead_ms = 800
        slow = world.all[4]
        slow.clock.ahead_ms = 0
        world.start(*world.all)
        await world.until(2, after_s=-0.1)
        assert len(next(b for b in slow.maker._ballots.values() if b.number == 2).partials) == 4
        assert slow.came_s.keys() == {1, 2}, "made by the others, and so public"

    in_council(story)


async def test_the_next_round_is_waited_for_however_the_clock_is_set(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = OwnClock(ahead_ms=10_000)
    beacon = Beacon(public_key=bytes(96), genesis_ms=UnixMs(0), period_ms=1_000)
    assert await next_due(beacon, clock, Round(0)) == 11
    clock.ahead_ms = 5_000  # set back: nothing is repeated
    with trio.fail_after(6.1):
        assert await next_due(beacon, clock, Round(11)) == 12
    clock.ahead_ms = 60_000  # set ahead: what lies between is left out
    assert await next_due(beacon, clock, Round(12)) > 50


def test_a_governor_whose_clock_was_ahead_makes_rounds_again_as_soon_as_it_is_set_right() -> None:
    async def story(world: World) -> None:
        world.start(*world.all)
        for number, governor in enumerate(world.all, start=2):
            await world.until(number, after_s=0.3)
            governor.clock.ahead_ms = 500 * SHORT.period_ms
            await world.until(number, after_s=1.2)
            governor.clock.ahead_ms = 0
        await world.until(12, after_s=0.9)
        assert_none_early(world)
        for governor in world.all:
            for number in range(9, 13):
                assert governor.came_s[Round(number)] - world.due_s(number) < 0.2

    in_council(story)


# ------------------------------------------------------------------------------- liars


WRONG = {
    "of-another-round": lambda share, number: partial_sign(
        share, Purpose.BEACON, round_message(Round(number + 1))
    ),
    "of-another-key": lambda share, number: partial_sign(
        share, Purpose.ANCHOR, round_message(number)
    ),
    "no-point": lambda _share, _number: bytes(48),
    "infinity": lambda _share, _number: b"\xc0" + bytes(47),
}


class Liar(RoundMaker):
    """Signs something else, always."""

    how = ""

    def _sign(self, share: GovernorShare, number: Round) -> bytes:
        return WRONG[self.how](share, number)


def corrupt(governor: Governor, how: str) -> None:
    honest = governor.maker
    governor.maker = Liar(
        seats=honest.seats,
        council=honest.council,
        ledger=honest.ledger,
        source=honest.source,
        topic=honest.topic,
        clock=honest.clock,
    )
    governor.maker.how = how
    governor.maker.serve(governor.server)


@pytest.mark.parametrize("how", WRONG)
def test_wrong_partials_of_n_governors_do_no_harm_and_cost_little(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []
    check = beacon_module.is_partial
    monkeypatch.setattr(
        beacon_module, "is_partial", lambda *given: checks.append(given) or check(*given)
    )

    async def story(world: World) -> None:
        for liar in world.all[:2]:
            corrupt(liar, how)
        world.start(*world.all)
        await world.until(6, after_s=0.9)
        for governor in world.all[2:]:
            assert numbers_of(governor) == set(range(1, 7))
            assert {index for _, index in governor.maker._doubted} <= {0, 1}
        assert any(g.maker.dropped["wrong"] for g in world.all[2:])
        assert_all_true(world)
        # All partials are looked through once; from then on only the liars' are checked.
        assert len(checks) <= 5 * (5 + 2 * 6)

    in_council(story)


@pytest.mark.parametrize("how", WRONG)
def test_wrong_partials_of_long_due_rounds_do_no_harm_either(how: str) -> None:
    async def story(world: World) -> None:
        for liar in world.all[:2]:
            corrupt(liar, how)
        await world.until(20, after_s=0.5)
        world.start(*world.all)
        await world.until(23, after_s=0.9)
        for governor in world.all[2:]:
            assert numbers_of(governor) == set(range(1, 24))
        assert_all_true(world)

    in_council(story)


def test_n_plus_1_liars_can_stop_the_rounds_and_forge_none() -> None:
    async def story(world: World) -> None:
        for liar in world.all[:3]:
            corrupt(liar, "of-another-round")
        world.start(*world.all)
        await world.until(6, after_s=0.9)
        assert all(numbers_of(governor) == set() for governor in world.all)

    in_council(story)


def given_by(governor: Governor, number: int, **changes: object) -> GivePartial:
    share = share_of(governor)
    good = GivePartial(
        network=governor.ledger.network_id,
        session=share.group.session,
        round=number,
        index=share.index,
        signature=partial_sign(share, Purpose.BEACON, round_message(Round(number))),
    )
    return msgspec.structs.replace(good, **changes)


def test_a_partial_counts_once_from_its_governor_and_for_rounds_around_now() -> None:
    async def story(world: World) -> None:
        maker, dropped = world.all[0].maker, world.all[0].maker.dropped
        giver, other = world.all[1], world.all[2]
        await world.until(10, after_s=0.1)

        async def is_new(number: int, **changes: object) -> bool:
            heard = await maker.take_partial(giver.id, given_by(giver, number, **changes))
            return heard.is_new

        assert [await is_new(n) for n in (8, 9, 10, 11, 12)] == [False, True, True, True, False]
        assert (dropped["late"], dropped["early"]) == (1, 1)
        assert not await is_new(10)
        assert not dropped["repeated"], "the same again is no fault"
        assert not await is_new(10, signature=bytes(48))
        assert dropped["repeated"] == 1
        assert not await is_new(10, session=7)
        assert dropped["unknown-session"] == 1
        with pytest.raises(ProtocolError, match=r"^other-governor$"):
            await maker.take_partial(other.id, given_by(giver, 10))
        with pytest.raises(ProtocolError, match=r"^other-governor$"):
            await maker.take_partial(NodeId(bytes(32)), given_by(giver, 10))
        for number in (0, 2**62):
            assert not await is_new(number, signature=bytes(48))
        assert len(maker._ballots) == 3

    in_council(story)


def test_strangers_give_and_get_no_partials() -> None:
    async def story(world: World) -> None:
        await world.until(3, after_s=0.1)
        for question in (given_by(world.all[1], 3), asked_of(world.all[0], 1, 3)):
            with pytest.raises(ProtocolError, match=r"^no-governor$"):
                await world.all[0].server.answer(NodeId(bytes(32)), encode(question))

    in_council(story)


def test_governors_of_another_network_give_and_get_no_partials() -> None:
    async def story(world: World) -> None:
        await world.until(3, after_s=0.1)
        asked, peer = world.all[0], world.all[1]
        for question in (given_by(peer, 3), asked_of(asked, 1, 3)):
            foreign = msgspec.structs.replace(question, network=b"n" * 32)
            assert await asked.server.answer(peer.id, encode(question))
            with pytest.raises(ProtocolError, match=r"^foreign-network$"):
                await asked.server.answer(peer.id, encode(foreign))

    in_council(story)


def test_what_is_kept_for_rounds_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beacon_module, "PARTIALS_KEPT_MAX", 10)

    async def story(world: World) -> None:
        maker = world.all[0].maker
        for number in range(1, 40):
            await world.until(number, after_s=0.01)
            for giver in world.all[1:3]:
                for ahead in (0, 1):
                    question = given_by(giver, number + ahead)
                    await maker.take_partial(giver.id, question)
            assert len(maker._ballots) <= 3
            assert all(len(b.partials) <= 5 for b in maker._ballots.values())
        await maker.give_partials(world.all[1].id, asked_of(world.all[0], 1, 39))
        assert len(maker._own) == 10

    in_council(story)


def test_a_made_round_that_cannot_be_published_soon_is_held_all_the_same() -> None:
    async def story(world: World) -> None:
        maker = world.all[0].maker
        maker._fresh = trio.open_memory_channel(0)
        await world.until(1, after_s=0.01)
        for giver in world.all[1:4]:
            await maker.take_partial(giver.id, given_by(giver, 1))
        assert numbers_of(world.all[0]) == {1}
        assert not (await maker.take_partial(world.all[4].id, given_by(world.all[4], 1))).is_new

    in_council(story)


# ------------------------------------------------------------------------------- sessions


def asked_of(governor: Governor, first: int, count: int, *, session: int = 1) -> AskPartials:
    return AskPartials(
        network=governor.ledger.network_id, session=session, first=first, count=count
    )


async def partials_of(
    governor: Governor, first: int, count: int, *, session: int = 1
) -> PartialList | None:
    question = asked_of(governor, first, count, session=session)
    return await governor.maker.give_partials(governor.id, question)


def test_partials_are_given_of_due_rounds_only() -> None:
    async def story(world: World) -> None:
        governor = world.all[3]
        await world.until(5, after_s=0.9)
        found = await partials_of(governor, 2, 100)
        assert found is not None
        assert (found.first, found.index) == (2, 3)
        assert list(found.signatures) == [given_by(governor, n).signature for n in (2, 3, 4, 5)]
        ahead = await partials_of(governor, 6, 1)
        assert ahead is not None
        assert ahead.signatures == ()
        assert await partials_of(governor, 0, 3) is None
        assert await partials_of(governor, 1, 3, session=9) is None
        none = await partials_of(governor, 2**62, 2**62)
        assert none is not None
        assert none.signatures == ()

    in_council(story)


def test_who_asks_for_long_lists_again_and_again_holds_up_nobody_that_asks_for_one_partial() -> (
    None
):
    async def story(world: World) -> None:
        governor = world.all[3]
        await world.until(2, after_s=0.9)
        governor.clock.ahead_ms = 500 * SHORT.period_ms
        given, most = governor.maker._own, 300
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(partials_of, governor, 1, most)
            await trio.lowlevel.checkpoint()
            assert await partials_of(governor, most + 1, 1) is not None
            assert len(given) < most // 10
        assert len(given) >= most

    in_council(story)


def test_who_holds_no_share_gives_none_and_makes_none() -> None:
    async def story(world: World) -> None:
        group = share_of(world.all[0]).group
        watcher = add_governor(world)
        watcher.seats.add(Seat(group=group, share=None, starts_ms=UnixMs(0)))
        stranger = add_governor(world)
        world.start(*world.all)
        await world.until(3, after_s=0.9)
        assert await partials_of(watcher, 1, 3) is None
        assert await partials_of(stranger, 1, 3) is None
        for one in (watcher, stranger):
            assert numbers_of(one) == {1, 2, 3}
            assert one.maker.made == 0
            assert await one.maker.catch_up() == 0

    in_council(story)


@pytest.mark.parametrize("size", [3, 7])
def test_rounds_go_on_under_the_same_key_when_a_session_starts_and_the_list_changes(
    size: int,
) -> None:
    async def story(world: World) -> None:
        while len(world.all) < size:
            add_governor(world)
        world.seat(world.all[:size], session=2, starts_s=world.due_s(6))
        world.start(*world.all)
        await world.until(10, after_s=0.4)
        for governor in world.all:
            assert numbers_of(governor) == set(range(1, 11))
        for governor in world.all[:size]:
            for number, came_s in governor.came_s.items():
                assert came_s - world.due_s(number) < 0.2
        assert_all_true(world)

    in_council(story)


def test_rounds_go_on_while_two_sessions_that_followed_each_other_wait_for_their_start() -> None:
    async def story(world: World) -> None:
        world.seat(world.all, session=2, starts_s=world.due_s(6))
        world.seat(world.all, session=3, starts_s=world.due_s(9))
        world.start(*world.all)
        await world.until(12, after_s=0.4)
        for governor in world.all:
            assert numbers_of(governor) == set(range(1, 13))
            assert governor.came_s[Round(4)] - world.due_s(4) < 0.2
        assert_all_true(world)

    in_council(story)


def test_an_old_share_signs_what_was_due_before_the_session_started_and_nothing_after() -> None:
    async def story(world: World) -> None:
        taker, giver = world.all[0], world.all[1]
        old, starts_s = share_of(giver), world.due_s(6)
        world.seat(world.all, session=2, starts_s=starts_s)
        new = share_of(giver)

        def given(share: GovernorShare, number: int) -> GivePartial:
            return given_by(
                giver,
                number,
                session=share.group.session,
                signature=partial_sign(share, Purpose.BEACON, round_message(Round(number))),
            )

        await world.until(5, after_s=0.5)
        assert (await taker.maker.take_partial(giver.id, given(old, 5))).is_new
        assert not (await taker.maker.take_partial(giver.id, given(new, 5))).is_new
        assert not (await taker.maker.take_partial(giver.id, given(old, 6))).is_new
        assert (await taker.maker.take_partial(giver.id, given(new, 6))).is_new
        assert taker.maker.dropped["other-session"] == 2
        assert (await partials_of(giver, 1, 9, session=2)).signatures == ()
        await world.until(8, after_s=0.5)
        before, after = [await partials_of(giver, 1, 99, session=s) for s in (1, 2)]
        assert len(before.signatures) == 5
        assert len(after.signatures) == 8, "what was missed before it, new shares can make"

    in_council(story)


def test_partials_of_two_sessions_never_make_a_round_together() -> None:
    async def story(world: World) -> None:
        world.seat(world.all, session=2, starts_s=world.due_s(3))
        taker = world.all[0].maker
        await world.until(3, after_s=0.01)
        shares = [(g, g.seats.of(1 + i % 2).share) for i, g in enumerate(world.all)]
        for giver, share in shares:
            signature = partial_sign(share, Purpose.BEACON, round_message(Round(3)))
            question = given_by(giver, 3, session=share.group.session, signature=signature)
            await taker.take_partial(giver.id, question)
        assert numbers_of(world.all[0]) == set()
        assert len(taker._ballots[Round(3), 2].partials) == 2

    in_council(story)


# ------------------------------------------------------------------------------- gossip


def news_of(world: World, number: int, **changes: object) -> bytes:
    secret = world.polynomials[Purpose.BEACON][0]
    news = RoundNews(
        network=world.genesis.network_id,
        is_mixed=False,
        number=number,
        signature=bls.sign(secret, round_message(Round(number)), bls.ROUND_DST),
    )
    return encode(msgspec.structs.replace(news, **changes))


def test_spam_on_the_topic_of_rounds_is_judged_at_little_cost_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(world: World) -> None:
        listener = world.all[0]
        told_in, told_out = trio.open_memory_channel[Told](8)
        listener.maker.topic.join(told_in)
        judge = listener.edge.topics[round_topic(world.genesis.network_id)]
        await world.until(10, after_s=0.1)
        checks = []
        check = bls.is_signed_by
        monkeypatch.setattr(bls, "is_signed_by", lambda *g: checks.append(g) or check(*g))
        good = news_of(world, 10)
        assert {judge(NodeId(bytes(32)), good) for _ in range(1000)} == {Judgement.ACCEPT}
        assert len(checks) == 1
        for number in (*range(1, 6), *range(12, 1000), 2**62):
            judgement = judge(NodeId(bytes(32)), news_of(world, number, signature=bytes(48)))
            assert judgement is Judgement.IGNORE
        assert judge(NodeId(bytes(32)), news_of(world, 10, signature=bytes(48))) == "reject"
        assert len(checks) == 1, "nothing that is far off or held is verified"
        forged = news_of(world, 9, signature=bytes(48))
        assert judge(NodeId(bytes(32)), forged) is Judgement.REJECT
        assert numbers_of(listener) == {10}
        assert told_out.statistics().current_buffer_used == 1
        assert listener.maker.topic.judged == {
            "accept": 1000,
            "ignore late": 5,
            "ignore early": 989,
            "reject bad-round": 2,
        }

    in_council(story)


def test_a_round_that_could_not_be_written_soon_is_not_held_and_can_come_again() -> None:
    async def story(world: World) -> None:
        listener = world.all[0]
        told_in, told_out = trio.open_memory_channel[Told](1)
        listener.maker.topic.join(told_in)
        judge = listener.edge.topics[round_topic(world.genesis.network_id)]
        await world.until(10)
        judged = [judge(NodeId(bytes(32)), news_of(world, n)) for n in (9, 10, 10)]
        assert judged == ["accept", "ignore", "ignore"]
        assert numbers_of(listener) == {9}
        await told_out.receive()
        assert judge(NodeId(bytes(32)), news_of(world, 10)) is Judgement.ACCEPT
        await told_out.aclose()
        assert judge(NodeId(bytes(32)), news_of(world, 8)) is Judgement.IGNORE

    in_council(story)


# ------------------------------------------------------------------------------- who waits, and who serves


def test_where_gossip_is_the_only_source_a_round_is_waited_for_a_part_of_its_period() -> None:
    async def story(world: World) -> None:
        listener = world.all[0]
        heard = HeardRounds(listener.ledger.rounds, listener.clock)
        await world.until(2)
        with pytest.raises(BeaconUnavailable, match=r"^round 2 was not heard$"):
            await heard.fetch(Round(2))
        assert trio.current_time() - world.due_s(2) == pytest.approx(PERIOD_S / 3, abs=0.01)
        with trio.fail_after(0.001), pytest.raises(BeaconUnavailable):
            await heard.fetch(Round(1))
        world.start(*world.all)
        await world.until(3)
        signature = await heard.fetch(Round(3))
        now_s = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert listener.came_s[Round(3)] == now_s, "in the same instant"
        assert verified(world.beacon, Round(3), signature)

    in_council(story)


def test_a_node_serves_the_rounds_it_holds_or_stored_when_they_are_due() -> None:
    async def story(world: World) -> None:
        node = world.all[0]
        book = LedgerRounds(node.ledger, node.ledger.rounds, node.clock)
        assert book.latest() == 0
        world.start(*world.all)
        with trio.fail_after(60):
            await book.wait(Round(3))
        now_s = trio.current_time()
        await trio.testing.wait_all_tasks_blocked()
        assert node.came_s[Round(3)] == now_s
        assert book.latest() == 3
        await world.until(4, after_s=0.5)
        node.ledger.rounds.forget(lambda _number: False)
        signature = await book.get(Round(2))
        assert signature is not None
        assert verified(world.beacon, Round(2), signature)
        assert await book.get(Round(0)) is None
        node.clock.ahead_ms = -1_000
        assert book.latest() == 3
        assert await book.get(Round(4)) is None, "not due by its clock"
        with trio.move_on_after(0.3) as early:
            await book.wait(Round(4))
        assert early.cancelled_caught

    in_council(story)


def test_a_stretch_is_what_follows_without_a_gap() -> None:
    assert first_stretch([Round(n) for n in (4, 5, 6, 8, 9)]) == [4, 5, 6]
    assert first_stretch([Round(9)]) == [9]
    many = [Round(n) for n in range(1, STRETCH_ROUNDS_MAX + 5)]
    assert first_stretch(many) == many[:STRETCH_ROUNDS_MAX]


def test_whole_rounds_of_a_peer_spare_the_council_its_partials() -> None:
    async def story(world: World) -> None:
        world.start(*world.all[:4])
        await world.until(12, after_s=0.5)
        late = world.all[4]
        asked = []

        async def find_many(first: Round, count: int, held: HeldRounds) -> list[object]:
            asked.append((first, count))
            return await world.all[0].ledger.rounds_from(first, count)

        late.maker.source.find_many = find_many  # type: ignore[method-assign]
        world.start(late)
        await world.until(13, after_s=0.9)
        assert numbers_of(late) == set(range(1, 14))
        assert asked == [(1, 11)]
        pulls = sum(g.server.served["AskPartials"] for g in world.all[:4])
        assert pulls <= 4, "for the round that was due when it started, and no other"

    in_council(story)
