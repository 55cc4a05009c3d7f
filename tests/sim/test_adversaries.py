"""Members that lie, idle or say two things; in virtual time."""

from __future__ import annotations

import msgspec
import pytest
import trio

from stkrp2p.core.anchor import members_in
from stkrp2p.core.batch import BatchBody, sign_batch
from stkrp2p.core.reconcile import SYNC_PROTOCOL, AskReceipt, read_question
from stkrp2p.core.types import Epoch, Judgement, Outcome, Round
from stkrp2p.services.gossip import batch_topic
from testnet.adversary import equivocate, invent
from testnet.sim import SimNetwork
from tests.sim.kit import (
    ROUND_S,
    assert_all_equal,
    assert_evidence_equal,
    assert_nothing_signed_twice,
    assert_replayable,
    honest,
    score_of,
    simulate,
)


async def included_in(network: SimNetwork, epoch: int) -> tuple[set[bytes], set[bytes]]:
    """Return who is included and who is tainted in an anchored epoch, as an honest node has it."""
    member = network.nodes[1]
    stored = await member.store.epoch(Epoch(epoch))
    view = await member.running.ledger.open(Epoch(epoch))
    assert stored is not None
    assert stored.proposal is not None
    assert view is not None
    return (
        set(members_in(view, stored.proposal.included)),
        set(members_in(view, stored.proposal.tainted)),
    )


@pytest.mark.parametrize("seed", range(3))
def test_an_equivocator_loses_its_voice_and_both_its_batches_reach_everybody(seed: int) -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[5].corrupt = equivocate

    async def story(network: SimNetwork) -> None:
        liar = network.nodes[5]
        await network.until_folded(3)
        await trio.sleep(3 * ROUND_S)
        for epoch in range(4):
            await assert_all_equal(network, epoch)
            assert_evidence_equal(network, epoch)
            for member in honest(network):
                assert len(member.running.ledger.evidence(Epoch(epoch)).of(liar.id)) == 2
                assert (
                    len(
                        [
                            b
                            for b in member.store.kept_batches[Epoch(epoch)].values()
                            if b.auditor == liar.id
                        ]
                    )
                    == 2
                )
            included, tainted = await included_in(network, epoch)
            assert liar.id not in included
            assert tainted == {liar.id}
            await assert_replayable(network, network.nodes[2], epoch)
        assert score_of(network, liar, 3).duty_ppm == 0
        assert score_of(network, liar, 3).uptime_ppm == 1_000_000, "its workload is fine"

    simulate(500 + seed, story, full=7, prepare=prepare)


def test_an_equivocation_shown_after_the_seal_changes_no_root_and_stops_nobody() -> None:
    async def story(network: SimNetwork) -> None:
        liar, victim = network.nodes[5], network.nodes[3]
        await network.until_folded(0)
        network.split([victim], [m for m in network.nodes if m is not victim])
        await network.until_folded(1, [m for m in network.nodes if m is not victim])
        # The sealed epoch's auditor shows its second batch only to somebody who is behind.
        first = liar.store.own[Epoch(1)]
        body = msgspec.structs.replace(first.body, receipts_root=bytes(32))
        second = sign_batch(liar.secret, body)
        ledger = victim.running.ledger
        ledger.evidence(Epoch(1)).add(second)
        await victim.store.put_batches(Epoch(1), [second])
        network.heal()
        await network.until_folded(2)
        for epoch in range(3):
            await assert_all_equal(network, epoch)
        assert liar.id in ledger.evidence(Epoch(1)).equivocators()

    simulate(510, story, full=7)


def test_an_equivocation_shown_while_receipts_are_asked_for_keeps_its_auditor_out() -> None:
    async def story(network: SimNetwork) -> None:
        liar, council = network.nodes[5], network.nodes[0]
        await network.until_folded(0)
        shown: list[Epoch] = []
        honest_ask = council.running.sync.network.ask

        async def ask(node, protocol, question, **options) -> bytes:
            message = read_question(question) if protocol == SYNC_PROTOCOL else None
            if isinstance(message, AskReceipt) and Epoch(message.epoch) not in shown:
                epoch = Epoch(message.epoch)
                shown.append(epoch)
                body = msgspec.structs.replace(liar.store.own[epoch].body, receipts_root=bytes(32))
                council.running.ledger.evidence(epoch).add(sign_batch(liar.secret, body))
            return await honest_ask(node, protocol, question, **options)

        council.running.sync.network.ask = ask
        await network.until_folded(2)
        assert shown
        for epoch in shown[:2]:
            included, tainted = await included_in(network, epoch)
            assert liar.id not in included
            assert tainted == {liar.id}
            await assert_all_equal(network, epoch)

    simulate(511, story, full=7)


def test_a_lazy_auditor_without_receipts_is_left_out_at_sealing() -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[4].corrupt = invent(Outcome.OK)

    async def story(network: SimNetwork) -> None:
        lazy = network.nodes[4]
        await network.until_folded(2)
        for epoch in range(3):
            await assert_all_equal(network, epoch)
            included, _ = await included_in(network, epoch)
            assert lazy.id not in included
            assert included == {m.id for m in honest(network)}
        assert score_of(network, lazy, 2).duty_ppm == 0
        assert all(score_of(network, m, 2).uptime_ppm == 1_000_000 for m in network.nodes)

    simulate(520, story, full=7, prepare=prepare)


def test_a_lying_minority_of_auditors_changes_no_verdict() -> None:
    def prepare(network: SimNetwork) -> None:
        for member in network.nodes[7:]:
            member.corrupt = invent(Outcome.UNREACHABLE)

    async def story(network: SimNetwork) -> None:
        await network.until_folded(3)
        liars = {m.id for m in network.nodes[7:]}
        for epoch in range(4):
            await assert_all_equal(network, epoch)
            included, _ = await included_in(network, epoch)
            assert liars <= included, "their batches are well formed"
            view = await network.nodes[1].running.ledger.open(Epoch(epoch))
            assert view is not None
            for member in network.nodes:
                if len(liars & set(view.assignment.auditors(member.id))) <= 1:
                    continue
                return  # two liars met: then they are the majority of one committee
        assert all(score_of(network, m, 3).uptime_ppm == 1_000_000 for m in network.nodes)

    simulate(530, story, full=9, prepare=prepare)


def test_one_liar_alone_never_brings_anybodys_uptime_down() -> None:
    def prepare(network: SimNetwork) -> None:
        network.nodes[3].corrupt = invent(Outcome.UNREACHABLE)

    async def story(network: SimNetwork) -> None:
        await network.until_folded(3)
        assert all(score_of(network, m, 3).uptime_ppm == 1_000_000 for m in network.nodes)

    simulate(531, story, full=8, prepare=prepare)


def test_early_late_foreign_and_unassigned_batches_are_judged_and_counted() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        await trio.sleep(1.1 * ROUND_S)
        sender, receiver = network.nodes[3], network.nodes[1]
        topic = batch_topic(network.genesis.network_id)
        judged = receiver.running.gossip.judged
        own = sender.store.own[Epoch(0)]

        async def send(body: BatchBody) -> None:
            await network.wire.send(
                sender.id, topic, sign_batch(sender.secret, body).frame, [receiver.id]
            )
            await trio.sleep(0.1)

        async def expect(reason: str, **changes: object) -> None:
            before = judged[reason]
            await send(msgspec.structs.replace(own.body, **changes))
            assert judged[reason] == before + 1, dict(judged)

        await expect("ignore late")
        await expect("ignore early", epoch=99)
        await expect("reject foreign-network", network=bytes(32))
        start_ms = network.genesis.beacon.due_ms(Round(network.genesis.clock.last(Epoch(1)) + 1))
        await trio.sleep(start_ms / 1000 + 1.5 * ROUND_S - trio.current_time())
        own = sender.store.own[Epoch(1)]
        held = len(receiver.running.ledger.evidence(Epoch(1)))
        await expect("ignore other-seed", seed=bytes(32))
        await expect("reject not-member", nonce=9)
        await expect("reject unassigned", rows=own.body.rows[:-1])
        await expect("ignore duplicate")
        await network.wire.send(sender.id, topic, b"\xc1", [receiver.id])
        await trio.sleep(0.1)
        assert judged["reject malformed"] == 1
        assert len(receiver.running.ledger.evidence(Epoch(1))) == held
        assert network.wire.edges[receiver.id].judged[Judgement.REJECT] == 4

    simulate(540, story)


def test_a_batch_that_comes_after_the_sealing_round_is_kept_and_not_included() -> None:
    async def story(network: SimNetwork) -> None:
        late, clock = network.nodes[3], network.genesis.clock
        last_ms = network.genesis.beacon.due_ms(clock.last(Epoch(0)))
        seal_ms = network.genesis.beacon.due_ms(clock.seal(Epoch(0)))
        await trio.sleep(last_ms / 1000 + ROUND_S - 0.05 - trio.current_time())
        network.split([late], [m for m in network.nodes if m is not late])
        # The council has the sealing round late: a batch by sync would still be there in time.
        council = network.nodes[0]
        council.beacons.fault = lambda number: None if number == clock.seal(Epoch(0)) else b""
        is_cut = network.wire.is_cut
        network.wire.is_cut = lambda a, b: (
            is_cut(a, b) or (council.id in (a, b) and trio.current_time() < seal_ms / 1000 + 3)
        )
        await trio.sleep(seal_ms / 1000 + 0.2 - trio.current_time())
        network.wire.is_cut = lambda a, b: council.id in (a, b) and late.id not in (a, b)
        batch = late.store.own[Epoch(0)]
        council.running.ledger.evidence(Epoch(0)).add(batch)
        await trio.sleep(2)
        network.heal()
        await network.until_folded(1)
        included, _ = await included_in(network, 0)
        assert late.id not in included
        included, _ = await included_in(network, 1)
        assert late.id in included
        assert batch.id in network.nodes[1].store.kept_batches[Epoch(0)]
        for epoch in range(2):
            await assert_all_equal(network, epoch)
        assert_nothing_signed_twice(network)

    simulate(550, story)
