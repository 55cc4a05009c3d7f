"""What must hold of a real network that falls in two for half a minute, or loses packets.

Six full nodes live in six network namespaces on one switch; chain and beacon are on the machine, which
all of them reach throughout. The three governors are all in one half, so both halves have rounds and
anchors, and what they differ in is evidence. The cut comes as epoch 2 begins, so epochs 2 and 3 lie
wholly within it. Nodes are asked for their peers, and their stores are read, twice a second.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters.store import SqliteStore
from stkrp2p.core.anchor import Header
from stkrp2p.core.types import Digest, Epoch, NodeId
from stkrp2p.services.history import replay
from testnet import manifest, rig
from testnet.cluster import Cluster, Member, running, until_ms
from testnet.plan import Plan
from testnet.status import ask_all

NODES = 6
HALF = NODES // 2
PLAN = Plan(nodes=NODES, light=0, council=HALF, is_solo_beacon=True, down=0, flaky=0, spare_s=8)
POLL_S = 0.5

CUT_EPOCH = 2
"""The network falls in two as this epoch begins."""

CUT_LEAD_S = 0.3
"""Before the epoch's first round, so that no audit of the epoch crosses the cut."""

CUT_S = 30.0
WITHIN = range(CUT_EPOCH, CUT_EPOCH + 2)
"""Epochs that begin and end while the network is in two."""

TOUCHED = range(CUT_EPOCH - 1, CUT_EPOCH + 3)
"""From the epoch whose batches were about to travel when the network fell in two, to the one in
which it healed."""

DETECTED_S_MAX = 10.0
RECONNECTED_S_MAX = 20.0
EQUAL_S_MAX = 30.0
GIVE_UP_S = 45.0
"""After healing; a little more than what is allowed, to see by how much it was missed."""

LOSS_PERCENT = 30
LOSS_S = 60.0
LOSS_EPOCHS = range(6)
"""One before packets are lost, and five in which they are."""

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


# ---------------------------------------------------------------- looking at nodes


async def _peers(cluster: Cluster) -> dict[str, set[str]]:
    """Return with whom each node that answers is connected, by name."""
    names = {m.entry.node: m.entry.name for m in cluster.members}
    said = await ask_all(cluster.members, "peers")
    return {name: {names[p["node"]] for p in answer["peers"]} for name, answer in said.items()}


async def _is_whole(cluster: Cluster) -> bool:
    seen = await _peers(cluster)
    return len(seen) == NODES and all(len(peers) == NODES - 1 for peers in seen.values())


async def _is_in_two(cluster: Cluster) -> bool:
    names = [m.entry.name for m in cluster.members]
    left, right = set(names[:HALF]), set(names[HALF:])
    seen = await _peers(cluster)
    return len(seen) == NODES and not any(
        seen[name] & others for half, others in ((left, right), (right, left)) for name in half
    )


async def _headers(member: Member, epochs: range) -> list[Header]:
    """Return the headers that a node has folded."""
    async with SqliteStore.open_reader(Path(member.entry.data_dir)) as store:
        found = [await store.epoch(Epoch(e)) for e in epochs]
    return [stored.header for stored in found if stored is not None and stored.is_anchored]


async def _is_evidence_equal(cluster: Cluster, epochs: range) -> bool:
    """Tell whether all nodes have folded these epochs, which takes the batches they rest on."""
    first, *others = [await _headers(m, epochs) for m in cluster.members]
    return len(first) == len(epochs) and all(other == first for other in others)


async def _seconds_until(
    holds: Callable[[], Awaitable[bool]], *, since: float, s_max: float
) -> float:
    """Ask again and again; return when it first held, in seconds after `since`; `s_max` if never."""
    with trio.move_on_at(since + s_max):
        while True:
            asked_at = trio.current_time()
            if await holds():
                return trio.current_time() - since
            await trio.sleep_until(asked_at + POLL_S)
    return s_max


async def _sleep_until_epoch(cluster: Cluster, epoch: int, *, lead_s: float = 0.0) -> None:
    await until_ms(cluster.genesis.start_ms(Epoch(epoch)), early_s=lead_s)


@dataclass(frozen=True, kw_only=True)
class Recomputed:
    """What follows from one node's own store, whatever it computed at the time."""

    headers: list[Header]
    batches: list[frozenset[tuple[NodeId, Digest]]]
    """(auditor, id) of the batches that count, epoch by epoch. What came too late to count is no
    part of an epoch's evidence: peers compare only epochs that they have not folded."""


async def _recompute(cluster: Cluster, member: Member, epochs: range) -> Recomputed:
    async with SqliteStore.open_reader(Path(member.entry.data_dir)) as store:
        done = [await replay(cluster.genesis, store, Epoch(e)) for e in epochs]
    return Recomputed(
        headers=[d.closed.header for d in done],
        batches=[frozenset((a, b.id) for a, b in d.past.included.items()) for d in done],
    )


@pytest.fixture(scope="module")
def net() -> Iterator[rig.Rig]:
    """Return six hosts on a switch."""
    with ExitStack() as stack:
        try:
            built = stack.enter_context(rig.built(hosts=NODES))
        except rig.RigRefused as error:
            pytest.skip(f"no network namespaces here: {error}")
        yield built


# ---------------------------------------------------------------- a partition


@dataclass(frozen=True, kw_only=True)
class Partition:
    """What happened. Times are in seconds."""

    was_whole: bool
    """Everybody was connected with everybody before the cut."""

    detected_s: float
    """After the cut: nobody lists a peer of the other half any more."""

    reconnected_s: float
    """After healing: everybody lists everybody."""

    equal_s: float
    """After healing: all have folded the same evidence of all epochs touched."""

    recomputed: dict[str, Recomputed]
    anchored: list[Header]


async def _fall_in_two(net: rig.Rig, folder: Path) -> Partition:
    async with running(PLAN, folder, lambda _line: None, site=net.site) as cluster:
        await _sleep_until_epoch(cluster, CUT_EPOCH, lead_s=CUT_LEAD_S + 1)
        was_whole = await _is_whole(cluster)
        await _sleep_until_epoch(cluster, CUT_EPOCH, lead_s=CUT_LEAD_S)
        net.cut(net.hosts[:HALF], net.hosts[HALF:])
        cut_at = trio.current_time()
        detected_s = await _seconds_until(lambda: _is_in_two(cluster), since=cut_at, s_max=CUT_S)
        await trio.sleep_until(cut_at + CUT_S)
        net.heal()
        healed_at = trio.current_time()
        reconnected_s = await _seconds_until(
            lambda: _is_whole(cluster), since=healed_at, s_max=GIVE_UP_S
        )
        equal_s = await _seconds_until(
            lambda: _is_evidence_equal(cluster, TOUCHED), since=healed_at, s_max=GIVE_UP_S
        )
        cluster.check()
        anchors = await cluster.chain.anchors(Epoch(0))
        return Partition(
            was_whole=was_whole,
            detected_s=detected_s,
            reconnected_s=reconnected_s,
            equal_s=equal_s,
            recomputed={
                m.entry.name: await _recompute(cluster, m, TOUCHED) for m in cluster.members
            },
            anchored=[a.header for a in anchors],
        )


@pytest.fixture(scope="module")
def partition(
    net: rig.Rig,
    tmp_path_factory: pytest.TempPathFactory,
    record_testsuite_property: Callable[[str, object], None],
) -> Partition:
    """Let a network fall in two once and return what happened."""
    seen = trio.run(_fall_in_two, net, tmp_path_factory.mktemp("partition") / "run")
    for name in ("detected_s", "reconnected_s", "equal_s"):
        record_testsuite_property(f"partition_{name}", round(getattr(seen, name), 1))
    void = [h.epoch for h in seen.anchored if h.is_void]
    record_testsuite_property("partition_void_epochs", void)
    return seen


def test_a_partition_is_detected_within_10_s(partition: Partition) -> None:
    assert partition.was_whole
    assert partition.detected_s <= DETECTED_S_MAX, f"took {partition.detected_s:.1f} s"


def test_halves_are_reconnected_within_20_s_after_healing(partition: Partition) -> None:
    assert partition.reconnected_s <= RECONNECTED_S_MAX, f"took {partition.reconnected_s:.1f} s"


def test_evidence_is_equal_within_30_s_after_healing(partition: Partition) -> None:
    assert partition.equal_s <= EQUAL_S_MAX, f"took {partition.equal_s:.1f} s"


def test_both_halves_hold_evidence_that_gives_the_anchored_roots(partition: Partition) -> None:
    anchored = [partition.anchored[epoch] for epoch in TOUCHED]
    first, *others = partition.recomputed.values()
    assert first.headers == anchored
    assert all(other == first for other in others)


def test_epochs_within_a_partition_are_void_and_move_no_score(partition: Partition) -> None:
    before = partition.anchored[CUT_EPOCH - 1]
    for header in (partition.anchored[epoch] for epoch in WITHIN):
        assert header.is_void
        assert header.score_root == before.score_root


def test_no_epoch_but_those_of_the_partition_is_void(partition: Partition) -> None:
    assert not [h for h in partition.anchored if h.is_void and h.epoch not in TOUCHED]


# ---------------------------------------------------------------- lost packets


async def _lose_packets(net: rig.Rig, folder: Path) -> tuple[list[Header], list[list[Header]]]:
    """Return what is anchored, and what each node has folded."""
    async with running(PLAN, folder, lambda _line: None, site=net.site) as cluster:
        await _sleep_until_epoch(cluster, 1)
        net.lose(LOSS_PERCENT)
        await trio.sleep(LOSS_S)
        net.heal()
        await _sleep_until_epoch(cluster, len(LOSS_EPOCHS))
        await _seconds_until(
            lambda: _is_evidence_equal(cluster, LOSS_EPOCHS),
            since=trio.current_time(),
            s_max=GIVE_UP_S,
        )
        anchors = await cluster.chain.anchors(Epoch(0))
        folded = [await _headers(m, LOSS_EPOCHS) for m in cluster.members]
    return [a.header for a in anchors][: len(LOSS_EPOCHS)], folded


def test_all_nodes_have_equal_roots_though_30_percent_of_packets_were_lost_for_60_s(
    net: rig.Rig, tmp_path: Path
) -> None:
    anchored, folded = trio.run(_lose_packets, net, tmp_path / "run")
    assert [h.epoch for h in anchored] == list(LOSS_EPOCHS)
    assert folded == [anchored] * NODES


# ---------------------------------------------------------------- the rig itself

_BUILD_AND_WAIT = """
import subprocess, sys
from testnet import rig
with rig.built(hosts=1) as net:
    enter = ["ip", "netns", "exec", net.hosts[0].namespace]
    print(subprocess.Popen([*enter, "sleep", "300"], stdout=subprocess.DEVNULL).pid, flush=True)
    sys.stdin.read()
"""


def test_a_rig_has_at_most_200_hosts() -> None:
    with pytest.raises(ValueError, match="from 1 to 200 hosts, got 201"), rig.built(hosts=201):
        pass


@pytest.mark.usefixtures("net")  # it may be built here, and stays
def test_what_a_killed_run_left_of_its_network_is_removed() -> None:
    ours = set(rig.namespaces())
    killed = subprocess.Popen(
        [sys.executable, "-c", _BUILD_AND_WAIT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with killed:
        assert killed.stdout is not None
        sleeper = int(killed.stdout.readline())
        killed.kill()
    assert len(set(rig.namespaces()) - ours) == 2
    rig.remove_leftovers()
    assert set(rig.namespaces()) == ours
    assert not manifest.is_alive(sleeper)
