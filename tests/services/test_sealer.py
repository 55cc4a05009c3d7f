"""What one governor can do to another that seals: flood it, and say what is long over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import msgspec
import pytest
import trio

from stkrp2p.core.anchor import SealedAnchor
from stkrp2p.core.batch import sign_batch
from stkrp2p.core.council import (
    AskHeld,
    GiveVote,
    Motion,
    Vote,
    echo_of,
    proposer_of,
    sign_motion,
)
from stkrp2p.core.types import Epoch, NodeId, UnixMs
from stkrp2p.ports import AnchorRecord
from stkrp2p.services import sealer as sealer_module
from stkrp2p.services.council import Seat
from stkrp2p.services.sealer import SLOTS_HEARD_MAX, VOTED_MAX, Refused, Sealer
from testnet.sim import SimNetwork, SimNode
from tests.sim.kit import simulate

COUNCIL = 3


def in_council(story: Callable[[SimNetwork], Awaitable[None]]) -> None:
    """Run a story once a council of three has anchored epoch 0."""

    async def after_a_while(network: SimNetwork) -> None:
        await network.until_folded(0)
        await story(network)

    simulate(950, after_a_while, full=4, governors=COUNCIL)


def sealer_of(member: SimNode) -> Sealer:
    return member.running.sealer


def vote_of(network: SimNetwork, peer: NodeId, group, number: int) -> GiveVote:
    return GiveVote(
        network=network.genesis.network_id,
        session=group.session,
        epoch=1,
        voids=0,
        header_hash=number.to_bytes(32, "big"),
        index=group.governors.index(peer),
        signature=bytes(48),
    )


async def turn_at(network: SimNetwork) -> tuple[Sealer, SimNode, int]:
    """Wait until the turns of epoch 1 begin; return a governor, and whose slot it is now."""
    await network.until_epoch_sealed(1, slack_s=0)
    sealer, seat = sealer_of(network.nodes[0]), network.nodes[0].seats.newest
    view = await sealer.ledger.open(Epoch(1))
    assert view is not None
    assert seat is not None
    slot = sealer.slot(Epoch(1))
    return sealer, network.member_of[sealer._proposer(view, slot, seat.group)], slot


async def moved(
    network: SimNetwork, signer: SimNode, slot: int, *, epoch: int, voids: int = 0, **changes
) -> Motion:
    """Return a motion with the terms of epoch 0."""
    stored = await signer.store.epoch(Epoch(0))
    assert stored is not None
    assert stored.proposal is not None
    return sign_motion(
        signer.secret,
        network=network.genesis.network_id,
        slot=slot,
        voids=voids,
        header=msgspec.structs.replace(stored.header, epoch=epoch, **changes),
        proposal=stored.proposal,
    )


def test_votes_of_one_governor_are_bounded_and_leave_room_for_those_of_its_place_later() -> None:
    async def story(network: SimNetwork) -> None:
        sealer, seat = sealer_of(network.nodes[0]), network.nodes[0].seats.newest
        assert seat is not None
        old = seat.group
        new = msgspec.structs.replace(
            old, session=old.session + 1, governors=tuple(reversed(old.governors))
        )
        sealer.seats.add(Seat(group=new, share=None, starts_ms=UnixMs(1 << 60)))
        liar, honest = NodeId(old.governors[2]), NodeId(new.governors[2])
        forged = msgspec.structs.replace(vote_of(network, liar, old, 0), index=1)
        assert not (await sealer.take_vote(liar, forged)).is_new, "another's place"
        for number in range(VOTED_MAX + 3):
            heard = await sealer.take_vote(liar, vote_of(network, liar, old, number))
            assert heard.is_new == (number < VOTED_MAX)
        assert (await sealer.take_vote(honest, vote_of(network, honest, new, 99))).is_new

    in_council(story)


def test_motions_voted_for_are_bounded_however_long_an_epoch_waits_for_its_anchor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sealer_module, "MOVED_MAX", 3)

    async def story(network: SimNetwork) -> None:
        sealer, seat = sealer_of(network.nodes[0]), network.nodes[0].seats.newest
        assert seat is not None
        assert seat.share is not None
        for slot in range(10):
            motion = await moved(network, network.nodes[1], slot, epoch=77, median_ppm=slot)
            assert await sealer._vote(motion, seat.share, None)
            assert motion.header.hash() in sealer._moved
            assert len(sealer._moved) <= 3 + 1, "one is of epoch 0 or 1"

    in_council(story)


def test_votes_that_come_while_a_full_disk_refuses_an_anchor_end_no_node() -> None:
    async def story(network: SimNetwork) -> None:
        governor = network.nodes[0]
        sealer, seat, peer = sealer_of(governor), governor.seats.newest, network.nodes[1].id
        assert seat is not None
        keep, late = sealer._keep, []

        async def refused(sealed: SealedAnchor) -> bool:
            governor.store.is_full = True
            late.append(await sealer.take_vote(peer, vote_of(network, peer, seat.group, len(late))))
            return await keep(sealed)

        sealer._keep = refused  # type: ignore[method-assign]
        await network.until_epoch_sealed(1, slack_s=4)
        assert late[0].is_new
        assert sealer.ledger.store_fault

    in_council(story)


def test_a_governor_without_a_share_forgets_the_votes_of_folded_epochs_too() -> None:
    async def story(network: SimNetwork) -> None:
        watching = network.nodes[2]
        watching.seats.forget_before(1 << 60)
        sealer = sealer_of(watching)
        await network.until_folded(2)
        await trio.sleep(1)
        assert all(key.epoch > 2 for key in sealer._votes)
        assert all(epoch > 2 for epoch, _ in sealer._heard)

    in_council(story)


def test_motions_of_a_later_epoch_do_not_displace_those_of_the_one_that_is_sealed() -> None:
    async def story(network: SimNetwork) -> None:
        await trio.lowlevel.checkpoint()
        sealer = sealer_of(network.nodes[0])
        slot = sealer.slot(Epoch(1))
        for number in range(2):
            sealer._hear(Epoch(1), slot, bytes([number]), b"")
        sealer._hear(Epoch(1), slot - SLOTS_HEARD_MAX, b"old", b"")
        for later in range(SLOTS_HEARD_MAX):
            sealer._hear(Epoch(2), later, b"junk", b"")
        sealer._forget()
        assert len(sealer._heard[Epoch(1), slot]) == 2
        assert (Epoch(1), slot - SLOTS_HEARD_MAX) not in sealer._heard

    in_council(story)


def test_a_motion_of_a_slot_that_is_over_is_not_echoed_against_its_proposers_next() -> None:
    async def story(network: SimNetwork) -> None:
        sealer, proposer, slot = await turn_at(network)
        replayed = echo_of(await moved(network, proposer, slot, epoch=0))
        liar = network.nodes[1].id
        answer = await sealer.hear_echo(liar, msgspec.structs.replace(replayed, epoch=1))
        assert not answer.motion_id
        assert replayed.motion_id not in sealer._heard.get((Epoch(1), slot), {})

    in_council(story)


@dataclass(frozen=True)
class Wrong:
    """How a motion is not as it must be."""

    sender: int = 0
    """0 for the slot's proposer, 1 for another governor."""

    signer: int = 0
    late: int = 0
    """Slots after this one."""

    terms: Mapping[str, object] = field(default_factory=dict)


REFUSED = {
    "voids": Wrong(terms={"voids": 1}),
    "not-ready": Wrong(terms={"epoch": 2}),
    "turn": Wrong(sender=1, signer=1),
    "slot": Wrong(late=COUNCIL),
    "other-proposal": Wrong(terms={"proposal_hash": bytes(32)}),
    "bad-signature": Wrong(signer=1),
}


@pytest.mark.parametrize("word", REFUSED)
def test_a_motion_that_nobody_need_look_at_is_refused_with_a_word(word: str) -> None:
    wrong = REFUSED[word]

    async def story(network: SimNetwork) -> None:
        sealer, proposer, slot = await turn_at(network)
        people = (proposer, next(m for m in network.nodes[1:COUNCIL] if m is not proposer))
        terms = {"epoch": 1, **wrong.terms}
        motion = await moved(network, people[wrong.signer], slot + wrong.late, **terms)
        vote = await sealer.judge(people[wrong.sender].id, motion)
        assert vote is not None
        assert vote.reason.partition(":")[0] == word
        assert not vote.signature

    in_council(story)


def test_a_motion_that_includes_a_proved_equivocator_is_refused() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_epoch_sealed(1, slack_s=0)
        sealer, cheat = sealer_of(network.nodes[0]), network.nodes[3]
        view, evidence = await sealer.ledger.open(Epoch(1)), sealer.ledger.evidence(Epoch(1))
        assert view is not None
        [batch] = evidence.of(cheat.id)
        sealer._check_taints(view, {cheat.id: batch}, frozenset())
        other = sign_batch(
            cheat.secret, msgspec.structs.replace(batch.body, receipts_root=bytes(32))
        )
        evidence.add(other)
        with pytest.raises(Refused, match="untainted: 1 equivocators are included"):
            sealer._check_taints(view, {cheat.id: batch}, frozenset())
        sealer._check_taints(view, {}, frozenset({cheat.id}))

    in_council(story)


def test_a_motion_that_includes_a_batch_whose_receipt_its_proposer_does_not_show_is_refused() -> (
    None
):
    async def story(network: SimNetwork) -> None:
        sealer, _, _ = await turn_at(network)
        peer, auditor = network.nodes[1], network.nodes[3].id
        view = sealer.ledger.view(Epoch(1))
        assert view is not None
        for member in (network.nodes[0], peer):
            await member.running.ledger.rounds.until(network.genesis.clock.seal(Epoch(1)))
        shown = await sealer.sampler.shown(view)
        assert shown is not None
        included = {auditor: shown.batches.pop(auditor)}  # as if we could not reach it
        await sealer_of(peer).sampler.shown(view)
        await sealer._check_shown(peer.id, view, shown, included)
        del shown.batches[auditor], sealer_of(peer).sampler._shown[Epoch(1)]
        with pytest.raises(Refused, match=f"unshown: {auditor.hex()[:16]}, no-receipt"):
            await sealer._check_shown(peer.id, view, shown, included)

    in_council(story)


def test_nobody_is_asked_for_receipts_again_when_a_governor_asks_about_a_folded_epoch() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(1)
        asked, peer = network.nodes[0], network.nodes[1].id
        sealer = sealer_of(asked)
        sealer.sampler._shown.clear()  # as if many epochs had gone by
        before = network.nodes[3].running.server.served["AskReceipt"]
        for epoch in (0, 1, sealer.ledger.last_folded + 3):
            question = AskHeld(network=network.genesis.network_id, epoch=epoch)
            assert await sealer.give_held(peer, question) is None
        assert network.nodes[3].running.server.served["AskReceipt"] == before

    in_council(story)


def test_motions_of_one_proposer_are_looked_at_one_at_a_time() -> None:
    async def story(network: SimNetwork) -> None:
        ledger = network.nodes[0].running.ledger
        await trio.sleep(
            max(0, network.genesis.start_ms(Epoch(1)) / 1000 + 2 - trio.current_time())
        )
        seed = ledger._seed(Epoch(1), ledger.roster(Epoch(1)))
        flooder = network.nodes[proposer_of(seed, 0, COUNCIL)]
        flooded = network.nodes[(proposer_of(seed, 0, COUNCIL) + 1) % COUNCIL]
        sealer, judging, reasons, closed = sealer_of(flooder), sealer_of(flooded), [], []
        propose = judging.ledger.propose

        async def counted(*terms: object) -> object:
            closed.append(terms)
            return await propose(*terms)

        judging.ledger.propose = counted  # type: ignore[method-assign]

        async def move(view, slot, seat, share) -> None:
            terms = await sealer._terms(view, seat.group)
            if terms is None or reasons:
                return
            motion = sign_motion(
                flooder.secret,
                network=view.network,
                slot=slot,
                voids=0,
                header=terms[0],
                proposal=terms[1],
            )

            async def ask() -> None:
                vote = await sealer.council.ask(flooded.id, motion, Vote)
                reasons.append(vote and vote.reason.partition(":")[0])

            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(ask)

        sealer._move = move  # type: ignore[method-assign]
        await network.until_folded(1)
        assert sorted(reasons) == ["", *["busy"] * 19]
        assert len(closed) <= 2  # one more if it moved itself later

    in_council(story)


def test_what_was_voted_for_on_an_anchor_that_another_replaced_is_never_sent() -> None:
    async def story(network: SimNetwork) -> None:
        async def never(_sealed: SealedAnchor) -> bool:
            await trio.lowlevel.checkpoint()
            return False

        for member in network.nodes[:COUNCIL]:
            sealer_of(member).anchor = never  # type: ignore[method-assign]
        await network.until_epoch_sealed(1, slack_s=8)
        sealer = sealer_of(network.nodes[0])
        ledger = sealer.ledger
        assert await sealer._sealed(Epoch(1)) is not None
        other = msgspec.structs.replace(network.chain.headers[0], median_ppm=1)
        record = AnchorRecord(header=other, block=1, is_final=False, transaction="0x")
        ledger.take_anchors(Epoch(0), [record])
        await ledger.roll_back()
        assert await sealer._sealed(Epoch(1)) is None

    in_council(story)
