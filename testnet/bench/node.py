"""What a node costs: processor time and memory of real processes in a real local network.

    python -m testnet.bench.node --profile FOLDER    where the processor time of two nodes goes

All figures come from one run: first the nodes wait for round 1, connected and idle, then they audit.
Processor time is the kernel's count for each process. Local networks fork their nodes from one process
that imported the libraries, so forked nodes share those pages; one full and one light node are
started anew, as an operator starts them, and their memory is what counts.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import trio

from stkrp2p.core.types import Round
from testnet.bench import process
from testnet.bench.figures import Figure, Report
from testnet.cluster import Cluster, Member, running, stop, until_ms
from testnet.plan import Plan, Role, council_that_fits

IDLE_PERCENT_MAX = 1.0
BUSY_PERCENT_MAX = 10.0
LIGHT_MB_MAX = 150.0
FULL_MB_MAX = 200.0
STATUS_S_MAX = 0.5

SETTLE_S = 12.0
"""From the start of the last node: imports, dials, the first look at the chain."""

IDLE_S = 30.0
BUSY_EPOCHS = 3
"""Epochs over which nodes are measured, after one to settle in."""

STATUS_RUNS = 5
_KINDS = {"full node": Role.HEALTHY, "governor": Role.COUNCIL, "light node": Role.LIGHT}
_NAMES = {"stkrp2p": "stkrp2p.node", "libp2p": "stkrp2p.adapters.libp2p.edge", "web3": "web3"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeCost:
    """What one node used."""

    name: str
    role: str
    is_forked: bool
    """Whether it shares its libraries' memory with the others."""

    idle_percent: float
    """Of one core, while it waits for round 1."""

    busy_percent: float
    """Of one core, while it audits in a network of the MINIMAL preset."""

    idle_rss_mb: float
    rss_mb: float
    """At the end."""

    pss_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How long to measure."""

    nodes: int = 8
    light: int = 2
    idle_s: float = IDLE_S
    epochs: int = BUSY_EPOCHS


async def node_costs(
    scale: Scale, folder: Path, *, profiles: Path | None = None
) -> tuple[tuple[NodeCost, ...], float]:
    """Run a healthy network; return what each node used, and the time `status` of one takes.

    Args:
        scale: How large and how long.
        folder: Where the run's files land.
        profiles: Where cProfile shall write what it saw of the nodes started anew.
    """
    plan = Plan(
        nodes=scale.nodes,
        light=scale.light,
        council=council_that_fits(scale.nodes),
        down=0,
        flaky=0,
        epochs=1 + scale.epochs,
        spare_s=round(SETTLE_S + scale.idle_s) + scale.nodes + scale.light,
    )
    async with running(plan, folder, lambda _line: None) as cluster:
        fresh = _start_anew(cluster, profiles)
        try:
            return await _measure(cluster, frozenset(fresh), scale)
        finally:
            stop([p.pid for p in fresh.values()])
            for child in fresh.values():
                child.wait()


def _start_anew(cluster: Cluster, profiles: Path | None) -> dict[str, subprocess.Popen[bytes]]:
    """Replace one full and one light node by processes that share nothing."""
    chosen = [*_first_of(cluster, Role.HEALTHY), *_first_of(cluster, Role.LIGHT)]
    stop([m.entry.pid for m in chosen])
    return {m.entry.name: _started(m, profiles) for m in chosen}


def _first_of(cluster: Cluster, role: Role) -> list[Member]:
    return [m for m in cluster.members if m.entry.role is role][:1]


def _started(member: Member, profiles: Path | None) -> subprocess.Popen[bytes]:
    entry = member.entry
    profiler = ["-m", "cProfile", "-o", str(profiles / f"{entry.role}.prof")] if profiles else []
    command = [sys.executable, *profiler, "-m", "stkrp2p", "run", "--config", entry.config]
    with Path(entry.log).open("ab") as log:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    entry.pid = child.pid
    return child


async def _measure(
    cluster: Cluster, fresh: frozenset[str], scale: Scale
) -> tuple[tuple[NodeCost, ...], float]:
    beacon, rounds = cluster.genesis.beacon, cluster.genesis.params.rounds_per_epoch
    await until_ms(beacon.genesis_ms, early_s=scale.idle_s + 1)
    idle = await _percents(cluster, until_ms(beacon.genesis_ms, early_s=1))
    idle_rss_mb = {m.entry.name: process.rss_mb(m.entry.pid) for m in cluster.members}
    await until_ms(beacon.due_ms(Round(1 + rounds)))
    last = Round(1 + rounds * (1 + scale.epochs))
    busy = await _percents(cluster, until_ms(beacon.due_ms(last)))
    cluster.check()
    status_s = await trio.to_thread.run_sync(status_median_s, cluster.members[2].entry.config)
    costs = tuple(
        NodeCost(
            name=m.entry.name,
            role=str(Role(m.entry.role)),
            is_forked=m.entry.name not in fresh,
            idle_percent=idle[m.entry.name],
            busy_percent=busy[m.entry.name],
            idle_rss_mb=round(idle_rss_mb[m.entry.name], 1),
            rss_mb=round(process.rss_mb(m.entry.pid), 1),
            pss_mb=round(process.pss_mb(m.entry.pid), 1),
        )
        for m in cluster.members
    )
    return costs, status_s


async def _percents(cluster: Cluster, span: Awaitable[None]) -> Mapping[str, float]:
    """Return each node's share of a core over the time that `span` takes."""
    before, began = _cpu_s(cluster), time.monotonic()
    await span
    after, took_s = _cpu_s(cluster), time.monotonic() - began
    return {name: round(100 * (after[name] - before[name]) / took_s, 2) for name in after}


def _cpu_s(cluster: Cluster) -> dict[str, float]:
    return {m.entry.name: process.cpu_s(m.entry.pid) for m in cluster.members}


def status_median_s(config: str, runs: int = STATUS_RUNS) -> float:
    """Return the wall time in which a running node's `status` is shown."""
    times = []
    for _ in range(runs):
        began = time.monotonic()
        command = [sys.executable, "-m", "stkrp2p", "status", "--config", config]
        subprocess.run(command, capture_output=True, check=False)
        times.append(time.monotonic() - began)
    return median(times)


def import_memory_mb() -> dict[str, float]:
    """Return the memory of a process that does nothing but import, library by library, in MB."""
    sizes: dict[str, float] = {}
    code = "import sys, importlib; [importlib.import_module(n) for n in sys.argv[1:]]"
    code += "; print(next(l.split()[1] for l in open('/proc/self/smaps_rollup') if l[:3] == 'Rss'))"
    names: list[str] = []
    for label, module in {"python": "sys", **_NAMES}.items():
        names.append(module)
        done = subprocess.run(
            [sys.executable, "-c", code, *names], capture_output=True, check=True, text=True
        )
        sizes[label] = round(int(done.stdout) * 1024 / 1e6, 1)
    return sizes


def measure(*, is_quick: bool) -> Report:
    """Measure a network of the size `stkrp2p testnet up` has by default."""
    scale = Scale(nodes=4, light=1, idle_s=1.0, epochs=1) if is_quick else Scale()
    imports = import_memory_mb()
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as folder:
        costs, status_s = trio.run(node_costs, scale, Path(folder) / "run")
    detail: dict[str, object] = {
        "nodes": [asdict(cost) for cost in costs],
        "imports_mb": imports,
        "status_of_a_running_node_s": round(status_s, 3),
    }
    status = Figure(
        name="stkrp2p status of a running node", measured=status_s, unit="s", aim=STATUS_S_MAX
    )
    figures = (*_cpu_figures(costs), *_memory_figures(costs, imports["web3"]), status)
    return Report(figures=figures, detail=detail)


def _cpu_figures(costs: Sequence[NodeCost]) -> list[Figure]:
    count = sum(c.role != Role.LIGHT for c in costs)
    among = f"among {count} and {len(costs) - count} light"
    rows = []
    for name, role in _KINDS.items():
        found = [c for c in costs if c.role == role]
        idle, busy = [c.idle_percent for c in found], [c.busy_percent for c in found]
        rows.append((f"idle {name}, processor", idle, IDLE_PERCENT_MAX))
        rows.append((f"{name} {among}", busy, BUSY_PERCENT_MAX))
    return [
        Figure(
            name=name,
            measured=round(median(values), 2),
            unit="%",
            aim=aim,
            limit_is=f"of a core; highest {max(values):.1f} %",
        )
        for name, values, aim in rows
        if values
    ]


def _memory_figures(costs: Sequence[NodeCost], imports_mb: float) -> list[Figure]:
    figures = []
    for cost in costs:
        if not cost.is_forked:
            is_light = cost.role == Role.LIGHT
            figures.append(
                Figure(
                    name=f"{'light' if is_light else 'full'} node, resident memory",
                    measured=cost.rss_mb,
                    unit="MB",
                    aim=LIGHT_MB_MAX if is_light else FULL_MB_MAX,
                    limit=imports_mb,
                    limit_is="its imports alone",
                )
            )
    forked = [c.pss_mb for c in costs if c.is_forked]
    figures.append(
        Figure(name="forked node, its share of memory", measured=median(forked), unit="MB")
    )
    return figures


def main(arguments: Sequence[str]) -> None:
    """Profile a full and a light node; leave `healthy.prof` and `light.prof` in the folder named.

    Raises:
        SystemExit: The arguments are others.
    """
    if len(arguments) != len(["--profile", "FOLDER"]) or arguments[0] != "--profile":
        raise SystemExit("usage: python -m testnet.bench.node --profile FOLDER")
    folder = Path(arguments[1])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as run:
        costs, _ = trio.run(lambda: node_costs(Scale(), Path(run) / "run", profiles=folder))
    for cost in costs:
        sys.stdout.write(f"{cost}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
