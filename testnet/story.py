"""One run of a local network from start to verdict."""

from __future__ import annotations

from pathlib import Path

import trio
from rich.console import Console  # noqa: TC002 - as everywhere else

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.core.types import Epoch
from testnet.cluster import Cluster, run_down, run_flaky, running
from testnet.finding import Finding
from testnet.manifest import RUNS
from testnet.plan import Plan, Role
from testnet.verdict import judge_run
from testnet.watch import watch

SETTLE_S = 4.0
"""After the last epoch is folded by the council: time for the other nodes to do the same."""


async def tell(
    plan: Plan,
    folder: Path,
    console: Console,
    *,
    keep: bool,
    slack_s: float,
) -> tuple[Finding, ...]:
    """Run a network through its plan and return what held.

    Raises:
        ClusterFailed: It did not start.
        trio.TooSlowError: Not all epochs were anchored in the time they take plus `slack_s`.
    """
    point_latest_at(folder)
    async with running(plan, folder, console.print, keep=keep) as cluster:
        console.print(f"files      {folder}\n")
        with trio.fail_after(_planned_s(cluster) + slack_s):
            epochs = await _run_through(cluster, console)
            return await judge_run(cluster, epochs)


def _planned_s(cluster: Cluster) -> float:
    """Return the seconds from now until the last epoch is sealed."""
    genesis = cluster.genesis
    seal = genesis.clock.seal(Epoch(cluster.plan.epochs - 1))
    return (genesis.beacon.due_ms(seal) - SystemClock().unix_ms()) / 1000


async def _run_through(cluster: Cluster, console: Console) -> int:
    """Return how many epochs it took."""
    async with trio.open_nursery() as nursery:
        for member in cluster.members:
            if member.entry.role is Role.FLAKY:
                nursery.start_soon(run_flaky, cluster, member)
            if member.entry.role is Role.DOWN:
                nursery.start_soon(run_down, cluster, member)
        epochs = await watch(cluster, console)
        await trio.sleep(SETTLE_S)
        nursery.cancel_scope.cancel()
    return epochs


def point_latest_at(folder: Path) -> None:
    """Let `runs/latest` point at a run, if that is where it is."""
    if folder.parent != RUNS.resolve():
        return
    folder.parent.mkdir(exist_ok=True)
    latest = folder.parent / "latest"
    latest.unlink(missing_ok=True)
    latest.symlink_to(folder.name)
