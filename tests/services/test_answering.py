"""What a node answers to peers: audits and sync questions, right, wrong and absurd."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest
import trio

from stkrp2p.core import bls
from stkrp2p.core.assignment import draw_of
from stkrp2p.core.beacon import BeaconRound, round_message
from stkrp2p.core.challenge import REPORT_BYTES_MAX, Answer, Question, Status
from stkrp2p.core.crypto import node_id_of
from stkrp2p.core.reconcile import (
    RECORDS_MAX,
    AskAnchor,
    AskIds,
    AskProof,
    AskReceipt,
    AskRounds,
    AskScores,
    Fetch,
    Give,
    Have,
    RoundList,
    Taken,
    read_records,
)
from stkrp2p.core.records import sign_record
from stkrp2p.core.roster import Registration
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator, ProtocolError, Round
from stkrp2p.core.wire import INTEGER_MAX, decode, encode
from stkrp2p.ports import RegistrySnapshot
from stkrp2p.services.rounds import LATE_KEPT_MAX, BeaconState
from stkrp2p.services.sync import NOTHING
from testnet.sim import SimNetwork, SimNode
from tests.sim.kit import ROUND_S, simulate, until_mid_epoch

Story = Callable[[SimNetwork], Awaitable[None]]


def in_network(story: Story, **options) -> None:
    """Tell a story in a small network that has folded epoch 0 and is in the middle of an epoch."""

    async def after(network: SimNetwork) -> None:
        await network.until_folded(0)
        await until_mid_epoch(network)
        await story(network)

    simulate(9, after, full=options.pop("full", 5), **options)


async def a_turn(network: SimNetwork) -> tuple[SimNode, SimNode, BeaconRound, Question]:
    """Wait for a round in which somebody is drawn: return (target, auditor, round, question)."""
    while True:
        await trio.sleep(0.1)
        due = network.genesis.beacon.last_due(int(trio.current_time() * 1000))
        for target in network.nodes:
            ledger = target.running.ledger
            one = ledger.round(due)
            assignment = ledger.assignment(ledger.clock.epoch_of(due))
            if one is None or assignment is None:
                continue
            if draw_of(one.randomness, ledger.params.draw_ppm)(target.id):
                auditor = network.member_of[assignment.auditors(target.id)[0]]
                question = Question(
                    version=1,
                    network=ledger.network_id,
                    round=due,
                    round_signature=one.signature,
                )
                return target, auditor, one, question


def test_an_auditor_that_asks_again_gets_the_same_answer_and_costs_the_workload_once() -> None:
    async def story(network: SimNetwork) -> None:
        target, auditor, _, question = await a_turn(network)
        responder = target.running.responder
        first = await responder.answer(auditor.id, encode(question))
        served = responder.answered
        target.workload.fault = lambda: "failed"
        assert await responder.answer(auditor.id, encode(question)) == first
        assert responder.answered == served

    in_network(story)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("unknown-version", {"version": 2}),
        ("foreign-network", {"network": bytes(32)}),
        ("not-due", {"round": 1}),
        ("not-due", {"round": 10_000}),
    ],
)
def test_a_question_that_is_not_due_or_not_ours_is_refused(reason: str, changes: dict) -> None:
    async def story(network: SimNetwork) -> None:
        target, auditor, _, question = await a_turn(network)
        wrong = msgspec.structs.replace(question, **changes)
        with pytest.raises(ProtocolError, match=f"^{reason}"):
            await target.running.responder.answer(auditor.id, encode(wrong))

    in_network(story)


def test_who_is_no_member_or_not_assigned_or_asks_about_a_round_without_us_is_refused() -> None:
    async def story(network: SimNetwork) -> None:
        target, _, one, question = await a_turn(network)
        responder, ledger = target.running.responder, target.running.ledger
        with pytest.raises(ProtocolError, match=r"^not-member$"):
            await responder.answer(NodeId(bytes(32)), encode(question))
        assignment = ledger.assignment(ledger.clock.epoch_of(one.number))
        assert assignment is not None
        strangers = {m.id for m in network.nodes} - {*assignment.auditors(target.id), target.id}
        for stranger in strangers:
            with pytest.raises(ProtocolError, match=r"^unassigned$"):
                await responder.answer(stranger, encode(question))
        for member in network.nodes:
            if not draw_of(one.randomness, ledger.params.draw_ppm)(member.id):
                auditor = assignment.auditors(member.id)[0]
                with pytest.raises(ProtocolError, match=r"^not-drawn$"):
                    await member.running.responder.answer(auditor, encode(question))

    in_network(story, full=7)


def test_a_round_that_the_target_does_not_have_yet_is_verified_before_it_is_believed() -> None:
    async def story(network: SimNetwork) -> None:
        target, auditor, one, question = await a_turn(network)
        responder = target.running.responder
        target.running.ledger.rounds.by_number.pop(one.number)
        forged = bls.sign(5, round_message(one.number), bls.ROUND_DST)
        responder._given.clear()
        wrong = msgspec.structs.replace(question, round_signature=forged)
        with pytest.raises(ProtocolError, match=r"^bad-round"):
            await responder.answer(auditor.id, encode(wrong))
        assert await responder.answer(auditor.id, encode(question))

    in_network(story)


@pytest.mark.parametrize("how", ["failed", "slow", "long"])
def test_a_workload_that_fails_hangs_or_says_too_much_makes_a_signed_failure(how: str) -> None:
    async def story(network: SimNetwork) -> None:
        target, auditor, _, question = await a_turn(network)
        responder = target.running.responder
        responder._given.clear()

        class Broken:
            async def answer(self, _challenge: bytes) -> bytes:
                if how == "slow":
                    await trio.sleep_forever()
                return bytes(REPORT_BYTES_MAX + 1)

        target.workload.fault = lambda: "failed"
        responder.workload = target.workload if how == "failed" else Broken()
        answer = decode(await responder.answer(auditor.id, encode(question)), Answer)
        assert answer.status == Status.FAILED
        assert not responder._given, "it may be back when the auditor tries again"

    in_network(story)


def test_a_question_about_what_cannot_exist_yet_costs_nothing() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[1].running
        ask, ours, far = node.server.answer, network.genesis.network_id, INTEGER_MAX
        rosters = len(node.ledger.rosters._by_epoch)
        for question in (
            Have(network=ours, epoch=far, bitmap=b"", fingerprints=b""),
            Give(network=ours, epoch=far, frames=()),
            AskIds(network=ours, epoch=far, chunk=0),
            Fetch(network=ours, epoch=far, ids=()),
            AskRounds(network=ours, first=far, count=far),
            AskAnchor(network=ours, epoch=far),
            AskScores(network=ours, epoch=far, first=0),
            AskProof(network=ours, epoch=far, node=bytes(32)),
            AskReceipt(network=ours, epoch=far, target=bytes(32), round=far),
            AskScores(network=ours, epoch=network.epoch, first=0),
            AskProof(network=ours, epoch=0, node=bytes(32)),
            AskReceipt(network=ours, epoch=0, target=bytes(32), round=1),
        ):
            assert await ask(network.nodes[2].id, encode(question)) == NOTHING
        assert len(node.ledger.rosters._by_epoch) == rosters
        with pytest.raises(ProtocolError, match=r"^foreign-network$"):
            await ask(network.nodes[2].id, encode(AskAnchor(network=bytes(32), epoch=0)))

    in_network(story)


def test_batches_of_an_epoch_that_is_not_open_are_not_taken() -> None:
    async def story(network: SimNetwork) -> None:
        node = network.nodes[1].running
        give = Give(
            network=network.genesis.network_id, epoch=network.epoch + 1, frames=(bytes(200),)
        )
        taken = decode(await node.server.answer(network.nodes[2].id, encode(give)), Taken)
        assert taken.count == 0

    in_network(story)


def test_an_answer_with_rounds_stops_at_the_first_that_is_missing() -> None:
    async def story(network: SimNetwork) -> None:
        member = network.nodes[1]
        member.store.kept_rounds.pop(Round(3))
        member.running.ledger.rounds.by_number.pop(Round(3), None)
        ask = AskRounds(network=network.genesis.network_id, first=1, count=10_000)
        raw = await member.running.server.answer(network.nodes[2].id, encode(ask))
        assert len(decode(raw, RoundList).signatures) == 2

    in_network(story)


def test_a_directory_hands_out_all_records_in_time_and_takes_only_newer_signed_ones() -> None:
    async def story(network: SimNetwork) -> None:
        node, other = network.nodes[1].running, network.nodes[2]
        directory, ours = node.directory, network.genesis.network_id
        entries = list(network.chain.registrations)
        secrets = [i.to_bytes(32, "big") for i in range(1, RECORDS_MAX + 100)]
        records = []
        for i, secret in enumerate(secrets):
            id_ = node_id_of(secret)
            entries.append(
                Registration(
                    index=len(entries),
                    node=id_,
                    operator=Operator(bytes(20)),
                    nonce=i,
                    kind=Kind.FULL,
                    stakes=((Epoch(10**6), 1),),
                    claim=bytes(64),
                )
            )
            records.append(sign_record(secret, ours, id_, sequence=1, addresses=["/ip4/127.0.0.1"]))
        assert not directory.take(records[0]), "not registered"
        node.ledger.rosters.load(
            RegistrySnapshot(registrations=tuple(entries), block=10**9, block_ms=10**15)
        )
        assert all(directory.take(r) for r in records)
        assert not directory.take(records[0]), "not newer"
        forged = msgspec.structs.replace(records[0], sequence=2)
        assert not directory.take(forged)
        handed = {r.node for _ in range(2) for r in read_records(directory.records())}
        assert {r.node for r in records} <= handed
        assert len(read_records(directory.records())) == RECORDS_MAX
        newer = sign_record(
            other.secret, ours, other.id, sequence=2**60, addresses=["/ip4/9.9.9.9"]
        )
        assert directory.take(newer)
        directory.follow_registry(Epoch(1))
        assert network.wire.edges[network.nodes[1].id].book[other.id][0] == "/ip4/9.9.9.9"

    in_network(story)


def test_how_late_rounds_came_is_remembered_of_the_last_ones_only() -> None:
    state = BeaconState()
    for number in range(1, LATE_KEPT_MAX + 3):
        state.note(Round(number), number % 7)
    kept = range(3, LATE_KEPT_MAX + 3)
    assert state.late_ms == {number: number % 7 for number in kept}


def test_status_and_peers_are_plain_json_and_say_how_the_node_does() -> None:
    async def story(network: SimNetwork) -> None:
        await trio.sleep(ROUND_S)
        node = network.nodes[1].running
        status = msgspec.json.decode(msgspec.json.encode(node.status()))
        assert status["roster"] == {"members": 5, "is_member": True, "is_final": True}
        assert status["store"]["is_writable"]
        assert status["beacon"]["lag_rounds"] <= 1
        late_ms = status["beacon"]["late_ms"]
        assert list(late_ms) == [str(n) for n in range(1, status["beacon"]["last_round"] + 1)]
        assert all(0 <= ms < ROUND_S * 1000 for ms in late_ms.values())
        assert status["score"]["uptime_ppm"] == 1_000_000
        peers = msgspec.json.decode(msgspec.json.encode(node.peers()))
        assert len(peers["peers"]) == 4

    in_network(story)
