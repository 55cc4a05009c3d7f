"""How long commands take to start, beside an interpreter that does nothing.

Wall time, since that is what a person waits for; the processor time of the same runs stands beside
it, because a busy machine lengthens only the first. Commands take turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from types import MappingProxyType

from testnet.bench.figures import Figure, Report

HELP_S_MAX = 0.2
STATUS_S_MAX = 0.5
RUNS = 21
RUNS_QUICK = 2

COMMANDS: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        "python -c pass": ("-c", "pass"),
        "stkrp2p --help": ("-m", "stkrp2p", "--help"),
        "stkrp2p status": ("-m", "stkrp2p", "status"),
    }
)
"""What is started, by the name it is shown under. `status` is that of a node that does not run."""

_IMPORTED = """
import sys
from stkrp2p.cli import main
sys.argv = ["stkrp2p", *sys.argv[1:]]
try:
    main()
except SystemExit:
    names = {m.partition(".")[0] for m in sys.modules}
    print("\\n" + " ".join(sorted(names - sys.stdlib_module_names)), len(sys.modules))
"""


@dataclass(slots=True)
class Timing:
    """What the runs of one command took."""

    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def detail(self) -> dict[str, object]:
        """Return medians and the fastest, in milliseconds."""
        return {
            "wall_ms": round(median(self.wall_s) * 1e3),
            "wall_ms_min": round(min(self.wall_s) * 1e3),
            "cpu_ms": round(median(self.cpu_s) * 1e3),
        }


def measure(*, is_quick: bool) -> Report:
    """Start each command some times, in turns."""
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as folder:
        home = Path(folder)
        timings = time_all(home, runs=RUNS_QUICK if is_quick else RUNS)
        imported = {name: imported_by(COMMANDS[name][2:], home) for name in list(COMMANDS)[1:]}
    bare_s = median(timings["python -c pass"].wall_s)
    aims = {"stkrp2p --help": HELP_S_MAX, "stkrp2p status": STATUS_S_MAX}
    figures = tuple(
        Figure(
            name=f"{name}, wall time",
            measured=median(timings[name].wall_s),
            unit="s",
            aim=aim,
            limit=bare_s,
            limit_is="python -c pass",
        )
        for name, aim in aims.items()
    )
    detail: dict[str, object] = {name: t.detail() for name, t in timings.items()}
    return Report(figures=figures, detail={**detail, "imported": imported})


def time_all(home: Path, *, runs: int) -> dict[str, Timing]:
    """Run all commands in turns; the first turn, which fills the disk's cache, does not count."""
    timings = {name: Timing() for name in COMMANDS}
    for turn in range(1 + runs):
        for name, arguments in COMMANDS.items():
            wall_s, cpu_s = _run(arguments, home)
            if turn:
                timings[name].wall_s.append(wall_s)
                timings[name].cpu_s.append(cpu_s)
    return timings


def _run(arguments: Sequence[str], home: Path) -> tuple[float, float]:
    before, began = os.times(), time.monotonic()
    subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=False, env=_environment(home)
    )
    wall_s, after = time.monotonic() - began, os.times()
    user_s = after.children_user - before.children_user
    return wall_s, user_s + after.children_system - before.children_system


def imported_by(arguments: Sequence[str], home: Path) -> dict[str, object]:
    """Return how many modules a command loads, and which packages beyond Python's own."""
    command = [sys.executable, "-c", _IMPORTED, *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env=_environment(home)
    )
    *packages, modules = done.stdout.splitlines()[-1].split()
    return {"modules": int(modules), "packages": packages}


def _environment(home: Path) -> dict[str, str]:
    """Return ours with an empty home, so that no configuration of this machine is read."""
    return {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)}
