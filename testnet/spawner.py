"""Start node processes quickly: import once, fork for each.

    python -m testnet.spawner

A node's libraries take seconds of processor time to import. This process imports them once and forks
a child for each line it reads, `{"arguments": ["run", "--config", "…"], "log": "…", "namespace": ""}`;
it answers with the child's pid. A child is a session of its own, with the log as its output and
nothing of ours open, in the network namespace of that name if there is one, and does what `stkrp2p`
with these arguments does. Children outlive the spawner.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import NoReturn

_CLONE_NEWNET = 0x40000000  # <sched.h>


def preload() -> None:
    """Import what a node needs, so that children find it in memory."""
    import libp2p  # noqa: F401, PLC0415

    import stkrp2p.adapters.libp2p.edge  # noqa: PLC0415
    import stkrp2p.cli.run  # noqa: PLC0415
    import stkrp2p.node  # noqa: F401, PLC0415
    from stkrp2p.adapters import libraries  # noqa: PLC0415

    libraries.load()
    gc.freeze()  # what was imported is never collected, so its pages stay shared


def spawn(arguments: list[str], log: Path, namespace: str) -> int:
    """Fork a child that runs the command with these arguments; return its pid."""
    pid = os.fork()
    if pid == 0:
        _become(arguments, log, namespace)
    return pid


def _enter(namespace: str) -> None:
    """Move this process into a network namespace that `ip netns` made."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns", namespace)
    os.close(descriptor)


def _become(arguments: list[str], log: Path, namespace: str) -> NoReturn:
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.closerange(3, 256)
    from stkrp2p.cli import main  # noqa: PLC0415  - imported by the parent

    sys.argv = ["stkrp2p", *arguments]
    code: object = 0
    try:
        if namespace:
            _enter(namespace)
        main()
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - a child must never return into its parent's loop
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 0)


def serve() -> None:
    """Spawn a child for each line on standard input; end with it."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    preload()
    print("ready", flush=True)  # noqa: T201 - the protocol
    for line in sys.stdin:
        order = json.loads(line)
        pid = spawn(order["arguments"], Path(order["log"]), order["namespace"])
        print(pid, flush=True)  # noqa: T201


if __name__ == "__main__":
    serve()
