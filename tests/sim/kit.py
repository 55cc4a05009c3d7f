"""What the simulations' tests share: what must hold at the end of every run, and how to get there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from stkrp2p.core.anchor import Header
from stkrp2p.core.batch import Batch, check_batch
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Outcome
from stkrp2p.core.wire import encode
from stkrp2p.services.history import replay
from testnet.sim import SHORT, RoundsBy, SimNetwork, SimNode, run_seeded, running

ROUND_S = SHORT.period_ms / 1000
EPOCH_S = SHORT.epoch_ms / 1000


def simulate(
    seed: int,
    story: Callable[[SimNetwork], Awaitable[None]],
    *,
    full: int = 6,
    light: int = 0,
    params=SHORT,
    governors: int = 1,
    rounds_by: RoundsBy = RoundsBy.SOURCE,
    prepare: Callable[[SimNetwork], None] = lambda _network: None,
) -> str:
    """Run a story in a network and return the trace of all that went over its wires."""

    async def run() -> str:
        async with running(
            seed=seed,
            full=full,
            light=light,
            params=params,
            governors=governors,
            rounds_by=rounds_by,
            prepare=prepare,
        ) as network:
            await story(network)
            return network.wire.trace

    return run_seeded(seed, run)


def honest(network: SimNetwork) -> list[SimNode]:
    return [m for m in network.nodes if m.node is not None and m.corrupt is None]


async def assert_all_equal(network: SimNetwork, epoch: int) -> None:
    """Every honest node that runs folded the epoch to what the chain holds, and can replay it."""
    anchored = network.chain.headers[epoch]
    for member in honest(network):
        assert await header_of(member, epoch) == anchored, member.name
        assert not member.running.ledger.alarm, member.name


async def header_of(member: SimNode, epoch: int) -> Header | None:
    """Return the header a node holds as anchored."""
    stored = await member.store.epoch(Epoch(epoch))
    return stored.header if stored and stored.is_anchored else None


async def assert_replayable(network: SimNetwork, member: SimNode, epoch: int) -> None:
    again = await replay(network.genesis, member.store, Epoch(epoch))
    assert again.closed.header == network.chain.headers[epoch]


def assert_nothing_signed_twice(network: SimNetwork) -> None:
    honest_ids = {m.id for m in network.nodes if m.corrupt is None}
    for (auditor, epoch), ids in network.wire.published.items():
        assert len(ids) == 1 or auditor not in honest_ids, f"two batches of epoch {epoch}"
    for epoch, headers in network.chain.offered.items():
        assert len(headers) == 1, f"two headers of epoch {epoch}"


def assert_evidence_equal(network: SimNetwork, epoch: int) -> None:
    digests = {m.running.ledger.evidence(Epoch(epoch)).digest() for m in honest(network)}
    assert len(digests) == 1


async def assert_all_was_assigned_and_drawn(network: SimNetwork, epoch: int) -> int:
    """R65, Q18: every outcome in every batch was assigned by the seed and drawn by a round."""
    member = network.nodes[1]
    again = (await replay(network.genesis, member.store, Epoch(epoch))).past
    for batch in again.included.values():
        check_batch(batch, again.view)
        assert {r.target for r in batch.body.rows} <= {m.node for m in again.view.roster.full}
        for row in batch.body.rows:
            assert batch.auditor in again.view.assignment.auditors(row.target)
            assert len(row.outcomes) == len(again.view.drawn[row.target])
    return len(again.included)


def rows_about(batches: Sequence[Batch], target: SimNode) -> list[bytes]:
    return [r.outcomes for b in batches for r in b.body.rows if r.target == target.id]


def outcomes_seen(network: SimNetwork, target: SimNode, epoch: int) -> set[Outcome]:
    held = network.nodes[0].store.kept_batches[Epoch(epoch)].values()
    return {Outcome(o) for outcomes in rows_about(tuple(held), target) for o in outcomes}


def score_of(network: SimNetwork, member: SimNode, epoch: int) -> Score:
    _, scores = network.nodes[0].store.epochs[Epoch(epoch)]
    return next(s for s in scores if s.node == member.id)


def table(network: SimNetwork, member: SimNode, epoch: int) -> bytes:
    return encode(list(member.store.epochs[Epoch(epoch)][1]))


async def rounds_pass(count: float) -> None:
    await trio.sleep(count * ROUND_S)


async def until_mid_epoch(network: SimNetwork) -> None:
    """Sleep until the middle of the next epoch: what its beginning changes has happened."""
    start_ms = network.genesis.start_ms(Epoch(network.epoch + 1))
    await trio.sleep(start_ms / 1000 + EPOCH_S / 2 - trio.current_time())
