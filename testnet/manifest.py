"""The manifest of a local network's run: what runs where, for people and for the other commands."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from testnet.plan import Role

FILE_NAME = "manifest.json"
RUNS = Path("runs")
"""Where runs land, below the working directory; `runs/latest` points at the newest."""


class NodeEntry(msgspec.Struct, kw_only=True):
    """One node of the run."""

    name: str
    role: Role
    node: str
    """Node id, hex."""

    address: str
    """Multiaddr it listens on."""

    workload: str
    config: str
    """Path of its configuration file."""

    data_dir: str
    log: str
    pid: int = 0


class Manifest(msgspec.Struct, kw_only=True):
    """A run."""

    folder: str
    network: str
    """Path of the network file."""

    rpc: str
    beacon: str
    genesis_ms: int
    nodes: list[NodeEntry]
    helpers: dict[str, int]
    """Pids of what is no node: the chain, the beacon, the services."""

    def save(self) -> None:
        """Write the manifest, whole or not at all."""
        path = Path(self.folder) / FILE_NAME
        fresh = path.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        fresh.replace(path)

    def pids(self) -> dict[str, int]:
        """Return the pid of every process of the run, by name."""
        return {**self.helpers, **{n.name: n.pid for n in self.nodes if n.pid}}


def load(folder: Path) -> Manifest:
    """Read a run's manifest.

    Raises:
        FileNotFoundError: There is no run in this folder.
    """
    return msgspec.json.decode((folder / FILE_NAME).read_bytes(), type=Manifest)


def is_alive(pid: int) -> bool:
    """Tell whether a process of ours runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, IndexError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def kill(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone is fine."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return
