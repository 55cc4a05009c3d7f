"""One local network of real processes, with faults, that all tests of this folder look at.

It runs once: nine epochs in which one node, a governor of five, is killed with -9 twenty times at
arbitrary moments and another, which is none, is away for five epochs. What every store and the chain
hold at the end is the evidence.
"""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters.store import SqliteStore
from stkrp2p.core.anchor import Header
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.types import Digest, Epoch, NodeId, Round
from stkrp2p.services.history import NotReplayable, replay
from testnet.cluster import Cluster, Member, running, until_ms
from testnet.plan import Plan
from testnet.status import ask_all

NODES = 6
LIGHT = 1
EPOCHS = 9
KILLS = 20
KILL_PAUSE_S_MAX = 4.0
AWAY_FROM, AWAY_UNTIL = 1, 6
"""Epochs: the absent node is killed as the first begins and back as the second does."""

UNTIL_FOLDED_S_MAX = 45
"""After the last seal, how long nodes may take to have folded everything."""


@dataclass(frozen=True, kw_only=True)
class NodeRecord:
    """What one node holds at the end."""

    name: str
    node: NodeId
    is_light: bool
    folded: Epoch | None
    headers: dict[int, Header]
    replayed: dict[int, Header | str]
    """The header computed anew from its store, or why it could not be."""

    batch_ids: dict[int, set[tuple[NodeId, Digest]]]
    own_ids: dict[int, Digest]
    rounds: tuple[BeaconRound, ...]
    log: str


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened."""

    anchored: tuple[Header, ...]
    records: dict[str, NodeRecord]
    killed: str
    away: str
    kills: int
    published_before_kill: list[tuple[int, Digest]]
    """(epoch, id) of the killed node's own batches that were on disk when it died."""

    status: dict[str, dict[str, object]]


async def _until_epoch(cluster: Cluster, epoch: int) -> None:
    await until_ms(cluster.genesis.start_ms(Epoch(epoch)))


async def _kill_again_and_again(
    cluster: Cluster, member: Member, published: list[tuple[int, Digest]]
) -> None:
    moments = random.Random(7)
    await _until_epoch(cluster, 0)
    for _ in range(KILLS):
        await trio.sleep(0.5 + moments.random() * KILL_PAUSE_S_MAX)
        cluster.signal_node(member, signal.SIGKILL)
        async with SqliteStore.open_reader(Path(member.entry.data_dir)) as store:
            for epoch in range(EPOCHS):
                batch = await store.own_batch(Epoch(epoch))
                if batch is not None:
                    published.append((epoch, batch.id))
        cluster.start_node(member)


async def _go_away(cluster: Cluster, member: Member) -> None:
    await _until_epoch(cluster, AWAY_FROM)
    cluster.signal_node(member, signal.SIGKILL)
    await _until_epoch(cluster, AWAY_UNTIL)
    cluster.start_node(member)


async def _until_all_folded(cluster: Cluster) -> dict[str, dict[str, object]]:
    """Wait until every node says it has folded the last epoch; return what they say."""
    await _until_epoch(cluster, EPOCHS)
    said: dict[str, dict[str, object]] = {}
    with trio.move_on_after(UNTIL_FOLDED_S_MAX):
        while True:
            said = {n: dict(s) for n, s in (await ask_all(cluster.members)).items()}
            folded = [int(str(s["last_folded_epoch"])) for s in said.values()]
            if len(said) == len(cluster.members) and min(folded) >= EPOCHS - 1:
                break
            await trio.sleep(0.5)
    return said


async def _record(cluster: Cluster, member: Member) -> NodeRecord:
    entry = member.entry
    async with SqliteStore.open_reader(Path(entry.data_dir)) as store:
        headers, replayed, batches, own = {}, {}, {}, {}
        for number in range(EPOCHS):
            epoch = Epoch(number)
            stored = await store.epoch(epoch)
            if stored is not None:
                headers[number] = stored.header
            batch = await store.own_batch(epoch)
            if batch is not None:
                own[number] = batch.id
            batches[number] = {(b.auditor, b.id) for b in await store.batches(epoch)}
            try:
                done = await replay(cluster.genesis, store, epoch)
                replayed[number] = done.closed.header
            except NotReplayable as error:
                replayed[number] = str(error)
        last = cluster.genesis.clock.last(Epoch(EPOCHS - 1))
        return NodeRecord(
            name=entry.name,
            node=NodeId(bytes.fromhex(entry.node)),
            is_light=entry.workload == "none",
            folded=await store.last_anchored(),
            headers=headers,
            replayed=replayed,
            batch_ids=batches,
            own_ids=own,
            rounds=await store.rounds(Round(1), last),
            log=await trio.Path(entry.log).read_text(errors="replace"),
        )


async def _tell(folder: Path) -> Story:
    plan = Plan(nodes=NODES, light=LIGHT, down=0, flaky=0, epochs=EPOCHS)
    published: list[tuple[int, Digest]] = []
    async with running(plan, folder, lambda _line: None) as cluster:
        killed, away = cluster.members[plan.council - 1], cluster.members[NODES - 1]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_kill_again_and_again, cluster, killed, published)
            nursery.start_soon(_go_away, cluster, away)
        status = await _until_all_folded(cluster)
        anchors = await cluster.chain.anchors(Epoch(0))
        records = [await _record(cluster, m) for m in cluster.members]
    return Story(
        anchored=tuple(a.header for a in anchors)[:EPOCHS],
        records={r.name: r for r in records},
        killed=killed.entry.name,
        away=away.entry.name,
        kills=KILLS,
        published_before_kill=published,
        status=status,
    )


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Run the network once and return what happened."""
    return trio.run(_tell, tmp_path_factory.mktemp("e2e") / "run")
