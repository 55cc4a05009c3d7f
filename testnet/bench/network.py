"""What a node costs: processor time and memory of real processes in a real local network.

All figures of one call come from one run. Processor time is the kernel's count for each process, so
a busy machine makes the run longer but hardly changes them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import trio

from stkrp2p.adapters.clock import SystemClock
from testnet.cluster import Cluster, running
from testnet.plan import Plan, Role

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_IMPORTS = "import stkrp2p.node, libp2p, web3"
MEASURED_EPOCHS = 2
"""Epochs over which nodes are measured, after one to settle in."""


@dataclass(frozen=True, slots=True)
class NodeCost:
    """What one node used."""

    name: str
    role: str
    cpu_percent: float
    """Of one core, while it audits in a network of the MINIMAL preset."""

    memory_mb: float
    """Resident, at the end."""


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_mb(pid: int) -> float:
    """Return a process's resident memory in MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6


def node_costs(nodes: int = 8, light: int = 2) -> tuple[NodeCost, ...]:
    """Run a healthy network and return what each node used while it audited."""
    plan = Plan(nodes=nodes, light=light, down=0, flaky=0, epochs=1 + MEASURED_EPOCHS)
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as folder:
        return trio.run(_measure, plan, Path(folder) / "run")


async def _measure(plan: Plan, folder: Path) -> tuple[NodeCost, ...]:
    async with running(plan, folder, lambda _line: None) as cluster:
        await _sleep_until_round(cluster, cluster.genesis.params.rounds_per_epoch)
        before, started = _cpu(cluster), time.monotonic()
        rounds = (1 + MEASURED_EPOCHS) * cluster.genesis.params.rounds_per_epoch
        await _sleep_until_round(cluster, rounds)
        after, took_s = _cpu(cluster), time.monotonic() - started
        cluster.check()
        return tuple(
            NodeCost(
                name=m.entry.name,
                role=str(Role(m.entry.role)),
                cpu_percent=100 * (after[m.entry.name] - before[m.entry.name]) / took_s,
                memory_mb=memory_mb(m.entry.pid),
            )
            for m in cluster.members
        )


async def _sleep_until_round(cluster: Cluster, number: int) -> None:
    beacon = cluster.genesis.beacon
    due_ms = beacon.genesis_ms + number * beacon.period_ms
    await trio.sleep(max(0.0, (due_ms - SystemClock().unix_ms()) / 1000))


def _cpu(cluster: Cluster) -> dict[str, float]:
    return {m.entry.name: cpu_s(m.entry.pid) for m in cluster.members}


def import_memory_mb() -> float:
    """Return what a process that only imports a node's libraries takes, in MB."""
    code = f"{_IMPORTS}; print(open('/proc/self/statm').read().split()[1])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return int(done.stdout) * _PAGE_BYTES / 1e6


def command_start_s(*arguments: str, runs: int = 5) -> float:
    """Return the median time a command takes, and how much of it is Python's own start."""
    times = []
    for _ in range(runs):
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "stkrp2p", *arguments], capture_output=True, check=False
        )
        times.append(time.monotonic() - started)
    return sorted(times)[runs // 2]
