"""What the kernel says of processes and of the machine."""

from __future__ import annotations

import os
import platform
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_KB = 1024
_MB = 1e6


def cpu_s(pid: int) -> float:
    """Return the processor time a process has used, in seconds, to a hundredth."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Return a process's resident memory; pages shared with others count whole."""
    return _smaps_mb(pid, "Rss")


def pss_mb(pid: int) -> float:
    """Return a process's share of memory; a page that n processes share counts 1/n in each."""
    return _smaps_mb(pid, "Pss")


def _smaps_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        key, _, rest = line.partition(":")
        if key == name:
            return int(rest.split()[0]) * _KB / _MB
    raise ValueError(f"no {name} in smaps_rollup")


def load() -> tuple[float, float, float]:
    """Return how many tasks wanted a processor over the last 1, 5 and 15 minutes."""
    return os.getloadavg()


def machine() -> dict[str, object]:
    """Return what this machine is."""
    return {
        "cpu": _field(Path("/proc/cpuinfo"), "model name"),
        "cores": os.cpu_count() or 1,
        "memory_gb": round(int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 1e6, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
    }


def _field(path: Path, name: str) -> str:
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""
