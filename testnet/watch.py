"""The live table of a local network: what its nodes say of themselves, each second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import trio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.cli.output import percent
from stkrp2p.core.score import State
from stkrp2p.core.types import Epoch
from testnet.cluster import Cluster, Member
from testnet.finding import folder_of
from testnet.manifest import is_alive
from testnet.plan import Role
from testnet.status import Status, ask_all


def _part(status: Status, *keys: str) -> object:
    value: object = status
    for key in keys:
        value = cast("Status", value).get(key) if isinstance(value, dict) else None
    return value


def _condition(member: Member, status: Status | None) -> str:
    if not is_alive(member.entry.pid):
        return "dead"
    if status is None:
        return "silent"
    return str(_part(status, "alarm") or "up")


def _row(member: Member, status: Status | None) -> list[str]:
    said: Status = status or {}
    score = _part(said, "score")
    uptime = _part(said, "score", "uptime_ppm")
    reliability = _part(said, "score", "reliability_ppm")
    state = _part(said, "score", "state")
    is_light = member.entry.role is Role.LIGHT
    return [
        member.entry.name,
        str(member.entry.role),
        member.entry.workload.partition(":")[0],
        _condition(member, status),
        str(said.get("peers", "")),
        str(said.get("audits_answered", "")),
        str(said.get("last_folded_epoch", "")),
        "" if score is None or is_light else percent(cast("int", uptime)),
        "" if score is None or is_light else percent(cast("int", reliability)),
        "" if score is None else State(cast("int", state)).name.lower(),
    ]


def picture(cluster: Cluster, answers: Mapping[str, Status]) -> Group:
    """Return the table and the line above it."""
    genesis = cluster.genesis
    now_ms = SystemClock().unix_ms()
    due = genesis.beacon.last_due(now_ms)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("node", "role", "work", "is"):
        table.add_column(name)
    for name in ("peers", "audits", "folded", "uptime", "reliab."):
        table.add_column(name, justify="right")
    table.add_column("state")
    for member in cluster.members:
        table.add_row(*_row(member, answers.get(member.entry.name)))
    folded = _part(answers.get("node0", {}), "last_folded_epoch")
    if due == 0:
        wait_s = -(-(genesis.beacon.genesis_ms - now_ms) // 1000)
        line = f"first round in {wait_s} s"
    else:
        epoch = Epoch(max(0, genesis.clock.epoch_of(due)))
        place = due - genesis.clock.first(epoch) + 1
        line = (
            f"round {due}, epoch {epoch} ({place}/{genesis.params.rounds_per_epoch}), "
            f"anchored and folded up to epoch {folded}"
        )
    return Group(Text(line, style="bold"), table)


async def watch(cluster: Cluster, console: Console) -> int:
    """Show the table until the plan is through; return how many epochs the council folded by then.

    Without a terminal, one line an epoch is printed instead.

    Raises:
        ClusterFailed: A process ended that should run.
    """
    last_line = -1
    with Live(console=console, auto_refresh=False, transient=False) as live:
        while True:
            cluster.check()
            answers = await ask_all(cluster.members)
            folded = cast("int", _part(answers.get("node0", {}), "last_folded_epoch") or 0)
            if console.is_terminal:
                live.update(picture(cluster, answers), refresh=True)
            elif folded > last_line and "node0" in answers:
                last_line = folded
                console.print(f"epoch {folded} anchored and folded")
            if "node0" in answers and await _is_over(cluster, folded + 1):
                break
            await trio.sleep(1)
    if not console.is_terminal:
        console.print(picture(cluster, await ask_all(cluster.members)))
    return folded + 1


async def _is_over(cluster: Cluster, folded: int) -> bool:
    if folded < cluster.plan.epochs:
        return False
    async with SqliteStore.open_reader(folder_of(cluster.members[0])) as store:
        stored = [await store.epoch(epoch) for epoch in await store.epochs(epochs_max=folded)]
    counted = [e.header.epoch for e in stored if e and e.is_anchored and not e.header.is_void]
    return cluster.plan.is_over(
        folded=folded, counted=max(counted, default=None), down_from=cluster.down_from
    )
