"""What a node makes of what others tell it: peers, chain and store, right, wrong and absurd."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest
import trio

from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, close_epoch
from stkrp2p.core.batch import sign_batch
from stkrp2p.core.beacon import round_message, verified
from stkrp2p.core.council import Motion, sign_motion
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.reconcile import Delta, Have, IdList, RoundList, ScoreList, read_question
from stkrp2p.core.types import Epoch, Judgement, NodeId, Outcome, Round, UnixMs
from stkrp2p.core.wire import encode
from stkrp2p.ports import AnchorRecord, Observation, RegistrySnapshot, Unreachable
from stkrp2p.services import ledger as ledger_module, sync
from stkrp2p.services.gossip import run_writer
from stkrp2p.services.history import NotReplayable, replay
from stkrp2p.services.ledger import Ledger, MissingBatches, included_batches
from stkrp2p.services.offload import INLINE_MEMBERS_MAX, offload
from stkrp2p.services.rounds import Arrival
from stkrp2p.services.views import build_view
from testnet.sim import SHORT, SimNetwork, SimNode, SimStore
from tests.services.test_answering import a_turn, in_network
from tests.sim.kit import ROUND_S, assert_all_equal, simulate


def corrupt_peer(peer: SimNode, answer: Callable[[object], Awaitable[object]]) -> list[object]:
    """Let a peer answer sync questions with anything; return the list of what it is asked."""
    asked: list[object] = []

    async def handler(_asker: NodeId, frame: bytes) -> bytes:
        asked.append(read_question(frame))
        told = await answer(asked[-1])
        return told if isinstance(told, bytes) else encode(told)

    edge = peer.running.ports.network
    edge.handlers["/stkr/sync/1"] = handler
    return asked


# -------------------------------------------------------------------------------------- sync


def test_a_peer_that_always_has_more_and_never_gives_it_is_left_after_one_question() -> None:
    async def story(network: SimNetwork) -> None:
        node, peer = network.nodes[1].running, network.nodes[2]

        async def more(_question: object) -> Delta:
            return Delta(frames=(), wanted=b"", differing=(), is_more=True)

        asked = corrupt_peer(peer, more)
        assert await node.sync.reconcile(peer.id, Epoch(network.epoch - 1)) == 0
        assert len(asked) <= 1 + 2, "its own sync may have asked as well"

    in_network(story)


def test_a_session_with_a_peer_that_answers_slowly_ends_in_time(monkeypatch) -> None:
    session_ms_max = 15_000
    monkeypatch.setattr(sync, "SESSION_MS_MAX", session_ms_max)

    async def story(network: SimNetwork) -> None:
        node, peer = network.nodes[1].running, network.nodes[2]

        async def slow(question: object) -> Delta | IdList:
            await trio.sleep(9.5)
            if not isinstance(question, Have):
                return IdList(ids=())
            return Delta(frames=(), wanted=bytes(4), differing=(0, 0, 0), is_more=True)

        corrupt_peer(peer, slow)
        started = trio.current_time()
        epoch = Epoch(network.epoch - 1)
        with pytest.raises(Unreachable, match=r"^the session takes too long$"):
            await node.sync.reconcile(peer.id, epoch)
        assert trio.current_time() - started <= session_ms_max / 1000 + 0.1

    in_network(story)


def test_a_table_of_another_length_or_with_empty_pages_is_refused() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[1].running
        sealed = await node.ledger.sealed(Epoch(0))
        assert sealed is not None
        for page in (
            ScoreList(total=2**60, scores=()),
            ScoreList(total=5, scores=()),
        ):

            async def tell(_question: object, page: ScoreList = page) -> ScoreList:
                return page

            for peer in network.nodes:
                if peer is not network.nodes[1]:
                    corrupt_peer(peer, tell)
            assert await node.sync.score_table(sealed) == ()

    in_network(story)


def test_rounds_of_another_number_or_forged_ones_are_refused_and_counted() -> None:
    async def story(network: SimNetwork) -> None:
        node, answers = network.nodes[1].running, []

        async def tell(_question: object) -> RoundList:
            return answers[0]

        for peer in network.nodes:
            if peer is not network.nodes[1]:
                corrupt_peer(peer, tell)
        for wrong in (
            RoundList(first=2, signatures=()),
            RoundList(first=1, signatures=(bytes(48),)),
        ):
            answers[:] = [wrong]
            before = node.source.state.rejected
            assert await node.source.find_many(Round(1), 1) == []
            assert node.source.state.rejected > before

    in_network(story)


# ------------------------------------------------------------------------------------ ledger


def test_the_search_for_an_equivocators_included_batch_is_bounded(monkeypatch) -> None:
    monkeypatch.setattr(ledger_module, "CHOICES_MAX", 3)

    async def story(network: SimNetwork) -> None:
        node = network.nodes[1].running
        sealed = await node.ledger.sealed(Epoch(0))
        view = await node.ledger.open(Epoch(0))
        assert sealed is not None
        assert view is not None
        held = {b.auditor: b for b in node.ledger.evidence(Epoch(0))}
        assert len(included_batches(sealed.proposal, view, held.values())) == 5
        others = []
        for count, member in enumerate(network.nodes[2:4]):
            own = held[member.id]
            body = msgspec.structs.replace(own.body, receipts_root=bytes(32))
            others.append(sign_batch(member.secret, body))
            batches = [*others, *held.values()]
            if count == 0:
                found = included_batches(sealed.proposal, view, batches)
                assert found[member.id] == own
            else:
                with pytest.raises(MissingBatches):
                    included_batches(sealed.proposal, view, batches)
        held.pop(network.nodes[2].id)
        with pytest.raises(MissingBatches):
            included_batches(sealed.proposal, view, held.values())

    in_network(story)


def test_an_anchor_that_does_not_follow_from_the_evidence_raises_the_alarm_once() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[2].running
        honest_close = close_epoch
        tries = []

        def wrong_close(*arguments):
            tries.append(1)
            closed = honest_close(*arguments)
            header = msgspec.structs.replace(closed.header, median_ppm=7)
            return replace(closed, header=header)

        with pytest.MonkeyPatch.context() as patch:
            before = node.ledger.last_folded
            council = network.nodes[0].running.ledger
            await network.until_folded(before + 1, [network.nodes[0]])
            assert council.last_folded == before + 1
            patch.setattr(ledger_module, "close_epoch", wrong_close)
            await trio.sleep(8 * ROUND_S)
        if node.ledger.last_folded == before:
            assert "median_ppm" in node.ledger.alarm
        assert all(m.running.ledger.alarm for m in network.nodes if m.running.ledger._folded == {})
        stuck = [m for m in network.nodes if m.running.watcher._refused is not None]
        assert stuck
        assert all("median_ppm" in m.running.ledger.alarm for m in stuck)
        assert len(tries) <= 3 * len(network.nodes), "not tried again at every look"

    in_network(story)


def test_what_was_folded_on_an_anchor_that_another_replaced_is_taken_back_and_folded_anew() -> None:
    async def story(network: SimNetwork) -> None:
        member = network.nodes[1]
        ledger = member.running.ledger
        await network.until_folded(1)
        scores = ledger.scores
        other = msgspec.structs.replace(network.chain.headers[1], median_ppm=1)
        record = AnchorRecord(header=other, block=1, is_final=False, transaction="0x")
        ledger.take_anchors(Epoch(1), [record])
        await ledger.roll_back()
        assert ledger.last_folded == 0
        assert await member.store.last_anchored() == 0
        assert ledger.scores == await member.store.scores(Epoch(0))
        await network.until_folded(2)
        assert await member.store.scores(Epoch(1)) == scores
        await assert_all_equal(network, 2)

    in_network(story)


def test_who_never_read_the_registry_audits_nobody_and_signs_nothing() -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[3].chain.fault = "down"

    async def story(network: SimNetwork) -> None:
        blind = network.nodes[3]
        await network.until_folded(1, [m for m in network.nodes if m is not blind])
        assert not blind.store.seen
        assert not blind.store.own
        assert not blind.running.status()["roster"]["is_member"]
        judged = blind.running.gossip.judged
        assert judged["ignore other-seed"] > 0, "others' batches blame nobody"
        assert not any(reason.startswith("reject") for reason in judged)
        blind.chain.fault = ""
        await network.until_folded(3)
        for epoch in range(4):
            await assert_all_equal(network, epoch)

    simulate(91, story, prepare=prepare)


def test_evidence_of_a_roster_that_turned_out_wrong_is_dropped() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[3]
        node.chain.fault = "down"
        ahead = network.epoch + 4
        network.add(effective=ahead)  # joins later, and never starts
        others = [m for m in network.nodes[:5] if m is not node]
        await network.until_folded(ahead + 1, others)
        held = [b.body.seed for b in node.running.ledger.evidence(Epoch(ahead + 1))]
        assert len(set(held)) == 1, "its own, of the roster it knew"
        node.chain.fault = ""
        await network.until_folded(ahead + 2, network.nodes[:5], timeout_s=30)
        anchored = network.chain.headers[ahead + 1]
        stored = await node.store.epoch(Epoch(ahead + 1))
        assert stored is not None
        assert stored.header == anchored

    in_network(story)


# -------------------------------------------------------------------------- audits and gossip


def test_a_workload_that_nobody_can_examine_is_not_probed_rather_than_blamed() -> None:
    async def story(network: SimNetwork) -> None:
        target, auditor, one, _ = await a_turn(network)
        service = auditor.running.auditor

        class Puzzled:
            async def fault(self, **_arguments: object) -> str:
                return "unknown-workload"

        seen: list[Observation] = []
        puzzled = replace(service, examiner=Puzzled())
        await puzzled._probe(Arrival(one, trio.current_time()), target.id, seen)
        assert [o.outcome for o in seen] == [Outcome.NOT_PROBED]

    in_network(story)


def test_nothing_is_recorded_for_an_epoch_whose_batch_is_being_signed() -> None:
    async def story(network: SimNetwork) -> None:
        _, auditor, one, _ = await a_turn(network)
        node = auditor.running
        auditor.store.seen.clear()
        node.ledger.stop_recording(node.ledger.clock.epoch_of(one.number))
        late = Observation(
            round=one.number,
            target=network.nodes[0].id,
            outcome=Outcome.OK,
            latency_ms=1,
            receipt=None,
        )
        await node.auditor._record(one, [late])
        assert not auditor.store.seen

    in_network(story)


def test_a_batch_that_cannot_be_written_soon_is_dropped_and_comes_by_sync() -> None:
    async def story(network: SimNetwork) -> None:
        node, peer = network.nodes[1].running, network.nodes[2]
        epoch = Epoch(network.epoch - 1)
        batch = node.ledger.evidence(epoch).of(peer.id)[0]
        node.ledger._evidence[epoch] = Evidence()
        into, out = trio.open_memory_channel[object](0)
        assert node.gossip._take(batch, into) == (Judgement.IGNORE, "busy")
        await out.aclose()
        assert node.gossip._take(batch, into) == (Judgement.IGNORE, "busy")
        assert batch not in node.ledger.evidence(epoch)
        await node.sync.reconcile(peer.id, epoch)
        assert batch in node.ledger.evidence(epoch)

    in_network(story)


def test_accepted_batches_are_written_many_in_one_transaction() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[1]
        epoch = Epoch(network.epoch - 1)
        batches = list(node.running.ledger.evidence(epoch))
        node.store.kept_batches.clear()
        into, out = trio.open_memory_channel[object](100)
        for batch in batches:
            into.send_nowait(batch)
        await into.aclose()
        await run_writer(node.running.ledger, out)
        assert set(node.store.kept_batches[epoch]) == {b.id for b in batches}

    in_network(story)


def test_a_clock_that_jumps_ahead_leaves_epochs_out_and_signs_none_of_them() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[1]
        clock = node.running.ports.clock

        class Ahead:
            def unix_ms(self) -> int:
                return clock.unix_ms() + 40 * network.genesis.params.epoch_ms

        node.running.gossip.clock = Ahead()
        before = set(node.store.own)
        with trio.move_on_after(20):
            await trio.sleep_forever()
        assert set(node.store.own) == before
        assert network.nodes[2].store.own.keys() > before

    in_network(story)


# -------------------------------------------------------------------------------- node, store


def test_an_error_that_no_service_can_answer_ends_the_node_loudly() -> None:
    class Damaged(Exception):
        pass

    async def story(network: SimNetwork) -> None:
        async def put_rounds(_rounds: object) -> None:
            raise Damaged("a row does not read")

        network.nodes[1].store.put_rounds = put_rounds
        await trio.sleep(5)

    with pytest.raises(BaseExceptionGroup) as caught:
        in_network(story)
    assert caught.group_contains(Damaged)


def test_what_is_not_anchored_or_pruned_cannot_be_replayed_and_says_so() -> None:
    async def story(network: SimNetwork) -> None:
        store = network.nodes[2].store
        genesis = network.genesis

        async def refused(epoch: int) -> str:
            with pytest.raises(NotReplayable) as caught:
                await replay(genesis, store, Epoch(epoch))
            return str(caught.value)

        assert "is not anchored" in await refused(99)
        batches = store.kept_batches.pop(Epoch(0))
        assert "included batches are not stored" in await refused(0)
        store.kept_batches[Epoch(0)] = batches
        one = store.kept_rounds[Round(2)]
        store.kept_rounds[Round(2)] = replace(one, signature=bytes(48))
        assert "is false" in await refused(0)
        del store.kept_rounds[Round(2)]
        assert "beacon rounds are not stored" in await refused(0)
        store.kept_rounds[Round(2)] = one
        snapshot, store.snapshot = store.snapshot, None
        assert "never read" in await refused(0)
        store.snapshot = snapshot
        await network.until_folded(1)
        stored, _ = store.epochs[Epoch(0)]
        store.epochs[Epoch(0)] = stored, ()
        assert "score table of epoch 0" in await refused(1)

    in_network(story)


def test_a_governor_votes_once_in_a_slot_whatever_it_has_forgotten() -> None:
    async def story(network: SimNetwork) -> None:
        governor = network.nodes[0]
        sealer, seat = governor.running.sealer, governor.seats.newest
        assert seat is not None
        assert seat.share is not None
        header = msgspec.structs.replace(network.chain.headers[0], epoch=77)
        other = msgspec.structs.replace(header, median_ppm=1)
        stored = await governor.store.epoch(Epoch(0))
        assert stored is not None
        assert stored.proposal is not None

        def moved(slot: int, voids: int, header: Header) -> Motion:
            return sign_motion(
                governor.secret,
                network=network.genesis.network_id,
                slot=slot,
                voids=voids,
                header=header,
                proposal=stored.proposal,
            )

        vote = await sealer._vote(moved(3, 0, header), seat.share, None)
        assert vote is not None
        assert await sealer._vote(moved(3, 0, other), seat.share, None) is None
        assert await sealer._vote(moved(3, 0, header), seat.share, None) == vote
        assert await sealer._vote(moved(4, 0, other), seat.share, None) is not None
        assert await sealer._vote(moved(3, 1, other), seat.share, None) is not None
        assert await sealer._vote(moved(5, 0, other), seat.share, other) is None, "other past"

    in_network(story)


async def test_epochs_of_many_members_are_computed_in_a_worker_thread_and_small_ones_are_not() -> (
    None
):
    here = threading.get_ident()
    assert await offload(threading.get_ident, members=INLINE_MEMBERS_MAX) == here
    assert await offload(threading.get_ident, members=INLINE_MEMBERS_MAX + 1) != here
    assert await offload(threading.get_ident, members=10_000) != here


async def test_a_view_of_many_members_is_drawn_round_by_round_and_is_the_one_built_at_once() -> (
    None
):
    async with trio.open_nursery() as nursery:
        network = SimNetwork(seed=1, params=SHORT, nursery=nursery)
        for _ in range(INLINE_MEMBERS_MAX + 20):
            network.add()
        genesis, store = network.genesis, SimStore()
        ledger = Ledger(genesis, store, retain_epochs=4)
        snapshot = RegistrySnapshot(
            registrations=tuple(network.chain.registrations), block=1, block_ms=UnixMs(2**50)
        )
        await ledger.set_registry(snapshot)
        await ledger.rosters.prepare(Epoch(0))
        rounds = {}
        for number in genesis.clock.rounds(Epoch(0)):
            signature = bls.sign(network.beacon_secret, round_message(number), bls.ROUND_DST)
            one = rounds[Round(number)] = verified(genesis.beacon, Round(number), signature)
            assert ledger.view(Epoch(0)) is None
            await ledger.add_rounds([one])
        view = ledger.view(Epoch(0))
        whole = build_view(genesis, ledger.roster(Epoch(0)), rounds, Epoch(0))
        assert view is not None
        assert whole is not None
        assert (view.seed, view.drawn) == (whole.seed, whole.drawn)
        some = network.nodes[7].id
        assert view.assignment.targets(some) == whole.assignment.targets(some)
        closed = await ledger.propose({}, frozenset(), Epoch(0))
        assert closed is not None
        assert len(closed.scores) == INLINE_MEMBERS_MAX + 20
