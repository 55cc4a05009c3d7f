"""A real Ethereum node for local networks and tests: Foundry's anvil.

    with anvil.running(anvil.Options(), log_path=folder / "anvil.log") as chain:
        web3 = Web3(HTTPProvider(chain.url))

It starts in a tenth of a second, mines a block for each transaction or one each `block_time_s`, and
has the BLS12-381 precompiles. npm brings it: `npm install` in `protocols/contracts`. The program itself is
started, not npm's launcher script, so that signals reach it and no Node is needed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HARDFORK = "prague"
"""The first with EIP-2537; what the contracts are compiled for."""

CHAIN_ID = 31_337
"""What anvil calls its chain."""

START_S_MAX = 20
"""How long anvil may take to listen; it needs 0.1 s on an idle machine."""

STOP_S_MAX = 10
"""How long anvil may take to write its state and end before it is killed."""

POLL_S = 0.01

_LISTENING = re.compile(r"^Listening on (\S+:\d+)$", re.MULTILINE)
_CONTRACTS = Path(__file__).resolve().parents[1] / "protocols" / "contracts"
_NPM_CPU = {"x86_64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class AnvilMissing(Exception):
    """There is no anvil on this machine."""


class AnvilFailed(Exception):
    """Anvil ended, or did not listen in time; the message has the end of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the chain behaves."""

    host: str = "127.0.0.1"
    """IP address it listens on."""

    port: int = 0
    """TCP port; 0 lets the system choose a free one."""

    block_time_s: int | None = None
    """Seconds from block to block; `None` mines a block for each transaction at once."""

    accounts: int = 10
    """How many funded accounts it holds unlocked."""

    slots_per_epoch: int = 1
    """Blocks until `safe`, and twice as many until `finalized`. Ethereum has 32."""

    state_path: Path | None = None
    """Where to keep the chain from one run to the next; `None` forgets it."""

    def arguments(self) -> list[str]:
        """Return anvil's command line without the program."""
        arguments = ["--host", self.host, "--port", str(self.port), "--hardfork", HARDFORK]
        arguments += ["--accounts", str(self.accounts), "--color", "never"]
        arguments += ["--slots-in-an-epoch", str(self.slots_per_epoch)]
        if self.block_time_s is not None:
            arguments += ["--block-time", str(self.block_time_s)]
        if self.state_path is not None:
            arguments += ["--state", str(self.state_path), "--preserve-historical-states"]
        return arguments


@dataclass(frozen=True, slots=True, kw_only=True)
class Anvil:
    """A running anvil."""

    process: subprocess.Popen[bytes]
    url: str
    """Its JSON-RPC over HTTP."""

    def stop(self) -> None:
        """End it and wait; it writes its state first if it has a place for it. Twice does no harm."""
        self.process.terminate()
        try:
            self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once, as a power cut would, and wait."""
        self.process.kill()
        self.process.wait()


def find() -> Path:
    """Return the program: `STKRP2P_ANVIL`, else what npm installed with the contracts, else PATH.

    Raises:
        AnvilMissing: None of them is there.
    """
    named = os.environ.get("STKRP2P_ANVIL")
    if named:
        return Path(named)
    cpu = _NPM_CPU.get(platform.machine(), platform.machine())
    package = f"anvil-{platform.system().lower()}-{cpu}"
    installed = _CONTRACTS / "node_modules" / "@foundry-rs" / package / "bin" / "anvil"
    if installed.exists():
        return installed
    on_path = shutil.which("anvil")
    if on_path is None:
        raise AnvilMissing(
            "no anvil: run `npm install` in protocols/contracts, or set STKRP2P_ANVIL"
        )
    return Path(on_path)


def start(options: Options, *, log_path: Path) -> Anvil:
    """Start anvil and return once it listens. Blocks the calling thread meanwhile.

    Args:
        options: How the chain behaves.
        log_path: Where its output goes, from the start of the file.

    Raises:
        AnvilMissing: There is no anvil on this machine.
        AnvilFailed: It ended or did not listen within `START_S_MAX`; the port may be taken.
    """
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [find(), *options.arguments()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        return Anvil(process=process, url=f"http://{_await_address(process, log_path)}")
    except BaseException:
        process.kill()
        process.wait()
        raise


def _await_address(process: subprocess.Popen[bytes], log_path: Path) -> str:
    give_up = time.monotonic() + START_S_MAX
    while True:
        is_over = process.poll() is not None or time.monotonic() > give_up
        log = log_path.read_text(errors="replace")
        if found := _LISTENING.search(log):
            return found[1]
        if is_over:
            raise AnvilFailed(f"anvil does not listen: {log[-500:].strip()}")
        time.sleep(POLL_S)


@contextmanager
def running(options: Options, *, log_path: Path) -> Iterator[Anvil]:
    """Run anvil for a `with` block; it is gone when the block is left, however that happens.

    Args:
        options: How the chain behaves.
        log_path: Where its output goes, from the start of the file.

    Raises:
        AnvilMissing: There is no anvil on this machine.
        AnvilFailed: It did not start.
    """
    anvil = start(options, log_path=log_path)
    try:
        yield anvil
    finally:
        anvil.stop()
