"""The story of one council, told once on real processes: killed in part, stalled, back, handed on.

Seven full nodes, five of them governors, any three of whom make a round and an anchor; the two others
are to become governors. Each step waits for what it needs, so the round numbers are only roughly so:

    round  3   two governors are killed, the one whose turn it is to move epoch 0 among them
    round 24   epoch 0 is anchored; a third is killed, and the rounds stop
    round 32   it comes back; as soon as rounds are made again, so do the other two
    round 36   three governors ask to reshare the keys to all seven
    round 56   the new shares are in force, and the old ones gone: three of the old five are killed
    round 68   an epoch that ended after that is anchored

What the stores, the chain, the disks and drand's own clients have to say of it is the evidence.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trio

from stkrp2p.adapters import keystore
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand_server import ChainApi
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.core.anchor import Header
from stkrp2p.core.council import proposer_of
from stkrp2p.core.crypto import Secret
from stkrp2p.core.group import Group
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import roster_of
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Round
from stkrp2p.core.wire import decode
from stkrp2p.node import BEACON_NAME
from stkrp2p.services.history import Replay, replay
from stkrp2p.services.views import epoch_seed
from testnet.cluster import Cluster, Member, running, until_ms
from testnet.plan import Plan
from tests.adapters.drand_kit import has_drands_clients, judged

GOVERNORS = 5
PLAN = Plan(nodes=7, light=0, council=GOVERNORS, down=0, flaky=0)

FIRST_KILL = Round(3)
STALLED_ROUNDS = 7
"""Of the epoch that begins with the stall, before a governor comes back: most of it. The anchor of the
epoch before falls due meanwhile."""

LEAD_S = 0.4
"""A kill is so long after a round is due: it is made by then."""

ROUNDS_AFTER = 4
"""Rounds made by the governors that are left, once the old ones are killed."""

WAIT_S_MAX = 90
"""Time for anything that is waited for."""

POLL_S = 0.2
KEYSTORES = ("seed.json", "beacon.json", "anchor.json")
NUMBER_MAX = Round(10_000)


@dataclass(frozen=True, kw_only=True)
class Stall:
    """What was found just before a governor came back."""

    last_made: Round
    """The last round due before the third governor was killed."""

    back: Round
    """The last round due when it was started again: none between `last_made` and this was made."""

    newest: dict[str, Round]
    """The highest round in each store."""

    anchors: int
    health: tuple[int, Any]
    """HTTP status and body of a governor that lived."""

    served: Round
    """The latest round it serves."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """What one node's store holds at the end."""

    rounds: dict[Round, bytes]
    """Signatures by number."""

    replays: dict[Epoch, Replay]
    tables: dict[Epoch, tuple[Score, ...]]
    log: str


@dataclass(frozen=True, kw_only=True)
class Handing:
    """How the keys were handed on."""

    said: Any
    """By the command that waited for the end of it."""

    asked: Round
    """The last round due before the first governor asked."""

    in_force: Round
    """The first round that was due when the new shares were in force."""

    groups: frozenset[Group]
    """Of the new session, as each governor's disk has it."""

    left: frozenset[str]
    """Names of the old session's files that are still on a disk."""


@dataclass(frozen=True, kw_only=True)
class Story:
    """What happened."""

    genesis: Genesis
    folder: Path
    group: Group
    """The first one."""

    judged: Any
    """What drand's own clients say while two of five governors are dead; `None` without them."""

    first_proposer: int
    """Place of the governor whose turn to move epoch 0 is the first."""

    dead: tuple[int, ...]
    """Places of the first two that were killed."""

    rounds_with_two_dead: Round
    """The last round made with two dead."""

    stall: Stall
    resumed: Round
    """The first round seen after that."""

    handing: Handing
    killed: Round
    """The last round due when three of the old governors were killed."""

    headers: tuple[Header, ...]
    """On chain, in order."""

    kept: dict[str, Kept]
    """Of those who live at the end: two old governors and two new ones."""

    rounds: dict[str, dict[Round, bytes]]
    """Of every node, dead or alive."""

    last_epoch: Epoch
    """The one that the last four governors anchored."""

    secrets: dict[int, tuple[bytes, ...]]
    """By session: what was in the keystores."""


# ------------------------------------------------------------------------------ looking


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Ask again and again until it holds."""
    with trio.move_on_after(WAIT_S_MAX) as scope:
        while not await holds():  # noqa: ASYNC110 - other processes ring no bell
            await trio.sleep(POLL_S)
    assert not scope.cancelled_caught, f"not within {WAIT_S_MAX} s: {what}"


async def rounds_of(member: Member) -> dict[Round, bytes]:
    async with SqliteStore.open_reader(Path(member.entry.data_dir)) as store:
        return {r.number: r.signature for r in await store.rounds(Round(1), NUMBER_MAX)}


async def newest_of(member: Member) -> Round:
    return max(await rounds_of(member), default=Round(0))


def last_due(cluster: Cluster) -> Round:
    return cluster.genesis.beacon.last_due(SystemClock().unix_ms())


async def until_due(cluster: Cluster, number: Round, *, after_s: float = 0.0) -> None:
    await until_ms(cluster.genesis.beacon.due_ms(number), early_s=-after_s)


async def headers(cluster: Cluster) -> tuple[Header, ...]:
    return tuple(r.header for r in await cluster.chain.anchors(Epoch(0)))


async def until_anchored(cluster: Cluster, epoch: Epoch) -> None:
    async def is_anchored() -> bool:
        return len(await headers(cluster)) > epoch

    await until(is_anchored, f"epoch {epoch} is anchored")


def council_dir(member: Member, session: int) -> Path:
    return Path(member.entry.data_dir) / "council" / str(session)


def group_of(member: Member, session: int) -> Group:
    return decode((council_dir(member, session) / "group").read_bytes(), Group)


def unsealed(members: Iterable[Member], session: int) -> tuple[bytes, ...]:
    """Return every secret in the governors' keystores of a session."""
    found = []
    for member in members:
        password = Secret((Path(member.entry.data_dir) / "council.password").read_bytes().strip())
        paths = [council_dir(member, session) / name for name in KEYSTORES]
        texts = [path.read_bytes() for path in paths if path.exists()]
        found += [keystore.unseal(text, password).reveal() for text in texts]
    return tuple(found)


def kill(cluster: Cluster, members: Iterable[Member]) -> Round:
    """Kill with -9; return the last round that was due."""
    for member in members:
        cluster.signal_node(member, signal.SIGKILL)
    return last_due(cluster)


# ------------------------------------------------------------------------------ the steps


async def first_proposer(cluster: Cluster) -> int:
    """Return the place of the governor that moves first in epoch 0, once its seed is known."""
    genesis, witness = cluster.genesis, cluster.members[-1]
    first = genesis.clock.first(Epoch(0))

    async def is_seeded() -> bool:
        return first in await rounds_of(witness)

    await until_due(cluster, first)
    await until(is_seeded, "the first round")
    async with SqliteStore.open_reader(Path(witness.entry.data_dir)) as store:
        (one,) = await store.rounds(first, first)
    registry = await cluster.chain.registry()
    roster = roster_of(genesis.network_id, Epoch(0), registry.registrations)
    seed = epoch_seed(genesis, Epoch(0), roster, one, None)
    assert seed is not None
    return proposer_of(seed, 0, GOVERNORS)


async def judge_api(cluster: Cluster, member: Member, into: list[Any]) -> None:
    """Let drand's own clients judge what a governor serves."""
    if has_drands_clients:
        beacon = cluster.genesis.beacon
        chain = ChainApi(beacon, BEACON_NAME).chain_hash.hex()
        key = beacon.public_key.hex()
        into.append(await judged(f"http://{member.beacon_listen}", chain, key))


async def stall(cluster: Cluster, third: Member, witness: Member) -> Stall:
    """Kill a third governor before an epoch begins, and see what the others have some rounds later."""
    clock = cluster.genesis.clock
    first = clock.first(Epoch(clock.epoch_of(Round(last_due(cluster) + 1)) + 1))
    await until_due(cluster, Round(first - 1), after_s=LEAD_S)
    last_made = kill(cluster, [third])
    await until_due(cluster, Round(first + STALLED_ROUNDS))
    async with httpx.AsyncClient(base_url=f"http://{witness.beacon_listen}") as client:
        health = await client.get("/health")
        latest = await client.get("/public/latest")
    newest = {m.entry.name: await newest_of(m) for m in cluster.members}
    return Stall(
        last_made=last_made,
        back=last_due(cluster),
        newest=newest,
        anchors=len(await headers(cluster)),
        health=(health.status_code, health.json()),
        served=Round(latest.json()["round"]),
    )


async def resume(cluster: Cluster, third: Member, witness: Member, after: Round) -> Round:
    """Start the third governor again; return the first round that is made."""
    cluster.start_node(third)

    async def is_made() -> bool:
        return await newest_of(witness) > after

    await until(is_made, "a round after the outage")
    return await newest_of(witness)


async def reshare(member: Member, path: Path, *flags: str) -> Any:
    """Ask for new shares as a governor's operator does; return what the command printed."""
    command = [sys.executable, "-m", "stkrp2p", "council", "reshare", str(path), "--json", *flags]
    command += ["--config", member.entry.config]
    with trio.fail_after(WAIT_S_MAX):
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False
        )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def write_list(path: Path, governors: Sequence[Member]) -> None:
    lines = [f"0x{m.operator.hex()} {peer_id_text(m.node)}" for m in governors]
    path.write_text("# account and node\n" + "\n".join(lines) + "\n")


async def hand_on(cluster: Cluster, asking: Sequence[Member]) -> Handing:
    """Reshare to all seven, the newcomers first; return once the old shares should be gone."""
    old, new = cluster.members[:GOVERNORS], cluster.members[GOVERNORS:]
    path, asked, said = cluster.folder / "governors.txt", last_due(cluster), list[Any]()
    write_list(path, [*new, *old])

    async def ask_and_wait() -> None:
        said.append(await reshare(asking[0], path))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask_and_wait)
        for member in asking[1:]:
            nursery.start_soon(reshare, member, path, "--no-wait")
    in_force = Round(cluster.genesis.beacon.last_due(said[0]["starts_ms"] - 1) + 1)
    await until_due(cluster, in_force)
    secret = [council_dir(m, 1) / name for m in old for name in KEYSTORES]

    async def have_changed() -> bool:
        seated = all((council_dir(m, 2) / "starts").exists() for m in cluster.members)
        return seated and not any(path.exists() for path in secret)

    await until(have_changed, "all hold new shares, and the old ones are gone")
    return Handing(
        said=said[0],
        asked=asked,
        in_force=in_force,
        groups=frozenset(group_of(m, 2) for m in cluster.members),
        left=frozenset(p.name for m in old for p in council_dir(m, 1).glob("*")),
    )


async def go_on(cluster: Cluster, killed: Round, alive: Sequence[Member]) -> Epoch:
    """Wait until some more rounds, and the next epoch to end, are there; return that epoch."""
    clock = cluster.genesis.clock
    epoch = next(Epoch(e) for e in range(NUMBER_MAX) if clock.seal(Epoch(e)) > killed)

    async def is_folded() -> bool:
        for member in alive:
            async with SqliteStore.open_reader(Path(member.entry.data_dir)) as store:
                folded = await store.last_anchored()
            if folded is None or folded < epoch:
                return False
        return min([await newest_of(m) for m in alive]) >= killed + ROUNDS_AFTER

    await until(is_folded, f"epoch {epoch} is folded by all who are left")
    return epoch


async def keep(cluster: Cluster, member: Member, last: Epoch) -> Kept:
    """Read a node's store, and compute anew what it says of each epoch."""
    async with SqliteStore.open_reader(Path(member.entry.data_dir)) as store:
        epochs = [Epoch(e) for e in range(last + 1)]
        return Kept(
            rounds=await rounds_of(member),
            replays={e: await replay(cluster.genesis, store, e) for e in epochs},
            tables={e: await store.scores(e) for e in epochs},
            log=await trio.Path(member.entry.log).read_text(),
        )


async def tell(folder: Path) -> Story:
    """Run the network through its story."""
    async with running(PLAN, folder, lambda _line: None) as cluster:
        governors, said = cluster.members[:GOVERNORS], list[Any]()
        place = await first_proposer(cluster)
        turn = [governors[(place + i) % GOVERNORS] for i in range(GOVERNORS)]
        dead, third, witnesses = [turn[0], turn[2]], turn[4], [turn[1], turn[3]]
        async with trio.open_nursery() as nursery:
            await until_due(cluster, FIRST_KILL, after_s=LEAD_S)
            kill(cluster, dead)
            nursery.start_soon(judge_api, cluster, witnesses[0], said)
            secrets = {1: await trio.to_thread.run_sync(unsealed, governors, 1)}
            group = group_of(governors[0], 1)
            await until_anchored(cluster, Epoch(0))
        made = await newest_of(witnesses[0])
        stalled = await stall(cluster, third, witnesses[0])
        resumed = await resume(cluster, third, witnesses[0], stalled.last_made)
        for member in dead:
            cluster.start_node(member)
        handing = await hand_on(cluster, [*witnesses, third])
        killed = kill(cluster, [*dead, third])
        alive = [*witnesses, *cluster.members[GOVERNORS:]]
        last = await go_on(cluster, killed, alive)
        secrets[2] = await trio.to_thread.run_sync(unsealed, cluster.members, 2)
        return Story(
            genesis=cluster.genesis,
            folder=folder,
            group=group,
            judged=said[0] if said else None,
            first_proposer=place,
            dead=tuple(governors.index(m) for m in dead),
            rounds_with_two_dead=made,
            stall=stalled,
            resumed=resumed,
            handing=handing,
            killed=killed,
            headers=await headers(cluster),
            kept={m.entry.name: await keep(cluster, m, last) for m in alive},
            rounds={m.entry.name: await rounds_of(m) for m in cluster.members},
            last_epoch=last,
            secrets=secrets,
        )
