"""Several governors seal: any t of them, whatever the others do, and nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import msgspec
import pytest
import trio

from stkrp2p.core.anchor import ClosedEpoch, Header, Proposal, SealedAnchor
from stkrp2p.core.batch import EpochView
from stkrp2p.core.council import (
    AskHeld,
    HeldList,
    Motion,
    Vote,
    proposer_of,
    sign_motion,
    slot_ms,
)
from stkrp2p.core.crypto import sha256
from stkrp2p.core.group import Group
from stkrp2p.core.merkle import Tree
from stkrp2p.core.reconcile import SYNC_PROTOCOL, bitmap_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId
from stkrp2p.core.wire import encode
from stkrp2p.node import Node
from stkrp2p.services.challenger import challenge_oldest
from stkrp2p.services.history import replay
from stkrp2p.services.sealer import Sealer
from testnet.sim import SHORT, SimNetwork, SimNode
from tests.sim.kit import (
    EPOCH_S,
    assert_all_equal,
    assert_replayable,
    simulate,
)

COUNCIL = 5
QUORUM = 3
SLOT_S = slot_ms(SHORT) / 1000


async def first_proposer(network: SimNetwork, epoch: int) -> SimNode:
    """Wait until an epoch's seed is known; return who moves first."""
    start_s = network.genesis.start_ms(Epoch(epoch)) / 1000
    await trio.sleep(max(0, start_s + 1.5 - trio.current_time()))
    ledger = network.nodes[-1].running.ledger
    assignment = ledger.assignment(Epoch(epoch))
    assert assignment is not None
    seed = ledger._seed(Epoch(epoch), ledger.roster(Epoch(epoch)))
    return network.nodes[proposer_of(seed, 0, COUNCIL)]


def refusals(network: SimNetwork) -> Counter[str]:
    found: Counter[str] = Counter()
    for member in network.nodes[:COUNCIL]:
        if member.node is not None:
            found.update(member.running.status()["council"]["motions_refused"])
    return found


def test_five_governors_anchor_each_epoch_once_and_everybody_folds_the_same() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(3)
        for epoch in range(4):
            await assert_all_equal(network, epoch)
            assert network.chain.anchored[epoch] == 1
            assert len(network.chain.offered[epoch]) == 1
        assert not refusals(network)
        await assert_replayable(network, network.nodes[6], 2)

    assert simulate(800, story, full=7, light=1, governors=COUNCIL) == simulate(
        800, story, full=7, light=1, governors=COUNCIL
    )


@pytest.mark.parametrize("seed", range(3))
def test_with_n_of_2n_plus_1_governors_killed_anchors_go_on(seed: int) -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        for victim in network.random.sample(network.nodes[:COUNCIL], COUNCIL - QUORUM):
            await network.kill(victim)
        await network.until_folded(3)
        await assert_all_equal(network, 3)

    simulate(810 + seed, story, full=10, governors=COUNCIL)


def test_with_n_plus_1_governors_killed_anchors_stop_and_resume_when_one_comes_back() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        victims = network.nodes[:QUORUM]
        for victim in victims:
            await network.kill(victim)
        await network.until_epoch_sealed(2)
        assert len(network.chain.headers) == 1
        assert not any(network.chain.offered[e] for e in (1, 2))
        await network.start(victims[0])
        await network.until_folded(3)
        await assert_all_equal(network, 3)

    simulate(820, story, full=12, governors=COUNCIL)


def test_an_epoch_whose_proposer_is_dead_is_anchored_by_the_next_one() -> None:
    async def story(network: SimNetwork) -> None:
        dead = await first_proposer(network, 1)
        await network.kill(dead)
        await network.until_folded(1)
        await assert_all_equal(network, 1)

    simulate(830, story, full=8, governors=COUNCIL)


@dataclass(frozen=True)
class Turn:
    """A governor's turn to move: what an honest one would, and all to compute something else."""

    sealer: Sealer
    view: EpochView
    header: Header
    proposal: Proposal

    async def without_one_batch(self, *, tainted: bool) -> tuple[Header, Proposal]:
        shown = await self.sealer.sampler.shown(self.view)
        victim = max(shown.batches)
        included = {a: b for a, b in shown.batches.items() if a != victim}
        taints = frozenset({victim} if tainted else ())
        closed = await self.sealer.ledger.propose(included, taints, self.view.epoch)
        return closed.header, closed.proposal

    async def with_header(self, **changes: bytes) -> tuple[Header, Proposal]:
        await trio.lowlevel.checkpoint()
        return msgspec.structs.replace(self.header, **changes), self.proposal


Lie = Callable[[Turn], Awaitable[tuple[Header, Proposal]]]

LIES: dict[str, tuple[Lie, str]] = {
    "leaves a batch out": (lambda t: t.without_one_batch(tainted=False), "omits"),
    "calls an honest auditor an equivocator": (
        lambda t: t.without_one_batch(tainted=True),
        "unproved-taint",
    ),
    "alters a score": (lambda t: t.with_header(score_root=sha256(b"better")), "other-roots"),
    "alters an outcome": (lambda t: t.with_header(evidence_root=sha256(b"other")), "other-roots"),
}


def corrupt(node: Node, epoch: int, lie: Lie) -> list[Header]:
    """Let a governor move something else in an epoch; return what it will have moved."""
    sealer, moved = node.sealer, list[Header]()
    terms = sealer._terms

    async def lying(view: EpochView, group: Group) -> tuple[Header, Proposal] | None:
        found = await terms(view, group)
        if found is None or view.epoch != epoch:
            return found
        false = await lie(Turn(sealer, view, *found))
        moved.append(false[0])
        return false

    sealer._terms = lying  # type: ignore[method-assign]
    return moved


@pytest.mark.parametrize("name", LIES)
def test_a_dishonest_motion_is_refused_by_every_honest_governor_and_the_next_one_anchors(
    name: str,
) -> None:
    lie, reason = LIES[name]

    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        liar = await first_proposer(network, 2)
        moved = corrupt(liar.running, 2, lie)
        await network.until_folded(2)
        assert refusals(network)[reason] == COUNCIL - 1
        assert moved
        assert not set(moved) & set(network.chain.headers)
        await assert_all_equal(network, 2)

    simulate(840, story, full=8, governors=COUNCIL)


def test_a_proposer_that_sends_different_motions_is_refused_by_every_honest_governor() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        liar = await first_proposer(network, 2)
        sealer, sent = liar.running.sealer, list[Motion]()

        async def move(view, slot, seat, share) -> None:
            terms = await sealer._terms(view, seat.group)
            if terms is None or sent:
                return
            other = await Turn(sealer, view, *terms).without_one_batch(tainted=False)
            for h, p in (terms, other):
                sent.append(
                    sign_motion(
                        liar.secret, network=view.network, slot=slot, voids=0, header=h, proposal=p
                    )
                )
            others = sealer.council.others(seat.group)
            async with trio.open_nursery() as nursery:
                for place, node in enumerate(others):
                    nursery.start_soon(ask_quietly, sealer, node, sent[place % 2])

        sealer._move = move  # type: ignore[method-assign]
        await network.until_folded(2)
        assert len(sent) == 2
        found = refusals(network)
        assert found["two-motions"] + found["omits"] == COUNCIL - 1
        assert found["two-motions"] >= 2
        await assert_all_equal(network, 2)

    simulate(850, story, full=8, governors=COUNCIL)


async def ask_quietly(sealer: Sealer, node: NodeId, motion: Motion) -> None:
    answer = await sealer.council.ask(node, motion, Vote)
    assert answer is None or answer.reason


def test_n_governors_that_collude_cannot_sign_and_are_not_believed() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        liars = network.nodes[: COUNCIL - QUORUM]
        for liar in liars:
            for epoch in (1, 2):
                corrupt(liar.running, epoch, LIES["alters a score"][0])

            async def agree(*_: object) -> None:
                await trio.lowlevel.checkpoint()

            liar.running.sealer._examine = agree  # type: ignore[method-assign]
        await network.until_folded(2)
        for epoch in (1, 2):
            for member in network.nodes[COUNCIL - QUORUM :]:
                stored = await member.store.epoch(Epoch(epoch))
                assert stored is not None
                assert stored.header == network.chain.headers[epoch]
                assert not member.running.ledger.alarm

    simulate(860, story, full=8, governors=COUNCIL)


def test_a_governor_that_claims_all_and_shows_nothing_costs_no_proposer_its_turn() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        await network.kill(network.nodes[-1])  # nobody has its batches, so all must ask the liar
        liar = network.nodes[0]
        edge = network.wire.edges[liar.id]

        async def claim(_peer: NodeId, question: AskHeld) -> HeldList | None:
            await trio.lowlevel.checkpoint()
            view = liar.running.ledger.view(Epoch(question.epoch))
            flags = [True] * len(view.roster) if view else []
            return HeldList(seed=view.seed, shown=bitmap_of(flags)) if view else None

        async def hang(*_: object) -> bytes:
            await trio.sleep_forever()
            raise AssertionError

        liar.running.sealer._move = hang  # type: ignore[method-assign]
        liar.running.council.on(AskHeld, claim)
        edge.serve(SYNC_PROTOCOL, hang, answer_bytes_max=0)
        await network.until_folded(2, timeout_s=2 * EPOCH_S + 4 * SLOT_S)
        for epoch in (1, 2):
            await assert_all_equal(network, epoch)

    simulate(865, story, full=8, governors=COUNCIL)


def test_a_batch_that_only_one_governor_had_in_time_is_included_all_the_same() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        witness, lonely = network.nodes[1], network.nodes[6]
        last_s = network.genesis.start_ms(Epoch(2)) / 1000
        seal_s = network.genesis.beacon.due_ms(network.genesis.clock.seal(Epoch(1))) / 1000
        await trio.sleep(last_s - 0.1 - trio.current_time())
        others = [m for m in network.nodes if m is not witness and m is not lonely]
        network.split([witness, lonely], others)
        await trio.sleep(seal_s + 0.1 - trio.current_time())
        network.heal()
        await network.until_folded(1)
        await assert_all_equal(network, 1)
        past = (await replay(network.genesis, network.nodes[0].store, Epoch(1))).past
        assert past.included.keys() == {m.id for m in network.nodes}

    simulate(870, story, full=8, governors=COUNCIL)


def test_whoever_holds_t_votes_anchors_when_the_proposer_dies_after_moving() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        proposer = await first_proposer(network, 1)
        sealer = proposer.running.sealer

        async def never(sealed: SealedAnchor) -> bool:
            await trio.lowlevel.checkpoint()
            return False

        sealer.anchor = never  # type: ignore[method-assign]
        await network.until_folded(1, timeout_s=EPOCH_S)
        assert network.chain.anchored[1] == 1
        assert len(network.chain.offered[1]) == 1
        await assert_all_equal(network, 1)

    simulate(880, story, full=8, governors=COUNCIL)


def test_a_motion_names_its_proposal_by_hash() -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        for header in network.chain.headers:
            stored = await network.nodes[5].store.epoch(Epoch(header.epoch))
            assert stored is not None
            assert stored.proposal is not None
            assert sha256(encode(stored.proposal)) == header.proposal_hash

    simulate(890, story, full=6, governors=COUNCIL)


def collude(network: SimNetwork, epoch: int, forge: Callable[[ClosedEpoch], list[Score]]) -> None:
    """Let t governors sign and keep a score table of one epoch that does not follow."""
    for liar in network.nodes[:QUORUM]:
        ledger, sealer = liar.running.ledger, liar.running.sealer
        close = ledger._close

        async def false(view, included, tainted, close=close) -> ClosedEpoch:
            closed = await close(view, included, tainted)
            if view.epoch != epoch or network.chain.voids:
                return closed
            scores = forge(closed)
            root = Tree(s.leaf() for s in scores).root
            header = msgspec.structs.replace(closed.header, score_root=root)
            return replace(closed, header=header, scores=tuple(scores))

        ledger._close = false  # type: ignore[method-assign]
        sealer.ledger = ledger


def best(closed: ClosedEpoch) -> list[Score]:
    """Give the first member the best score there is."""
    first, *others = closed.scores
    return [msgspec.structs.replace(first, reliability_ppm=1_000_000), *others]


def with_a_stranger(closed: ClosedEpoch) -> list[Score]:
    return [*closed.scores, Score(node=bytes(31) + b"\1", nonce=0, reliability_ppm=1_000_000)]


@pytest.mark.parametrize("forge", [best, with_a_stranger])
def test_a_score_that_t_governors_forged_is_overturned_by_one_honest_watcher(
    forge: Callable[[ClosedEpoch], list[Score]],
) -> None:
    async def story(network: SimNetwork) -> None:
        await network.until_folded(0)
        collude(network, 1, forge)
        watcher = network.nodes[7]
        with trio.fail_after(4 * EPOCH_S):
            while not await watcher.store.contests():  # noqa: ASYNC110 - in virtual time
                await trio.sleep(0.5)
        forged = network.chain.headers[1]
        assert watcher.running.ledger.alarm
        assert watcher.running.ledger.last_folded == 0
        found = await challenge_oldest(network.genesis, watcher.store, watcher.chain)
        assert found is not None
        assert network.chain.voids == 1
        assert len(network.chain.headers) == 1
        assert await challenge_oldest(network.genesis, watcher.store, watcher.chain) is None
        assert network.chain.deposits_lost == 0
        for liar in network.nodes[:QUORUM]:  # what they lied about is of no use to them any more
            await network.kill(liar)
            await liar.store.take_back(Epoch(1))
            await network.start(liar)
        await network.until_folded(2)
        assert network.chain.headers[1] != forged
        for epoch in (1, 2):
            await assert_all_equal(network, epoch)

    simulate(900, story, full=9, governors=COUNCIL)
