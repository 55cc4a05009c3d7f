"""Loading web3.py and eth-account: late, because it takes a second or two, and without a trace.

Both import py_ecc, which raises the interpreter's recursion limit to 100,000 for the whole process.
With that limit a peer's deeply nested JSON or MessagePack overflows the C stack and ends the process,
where it should be a `RecursionError`. So the limit is set back.
"""

from __future__ import annotations

import sys
from importlib import import_module

import trio

RECURSION_MAX = 1_000
"""Python's own default."""


def load(*names: str) -> None:
    """Import the libraries; quick when they are imported. Blocks the calling thread.

    Args:
        names: Which of them; both if none is named.
    """
    for name in names or ("web3", "eth_account"):
        import_module(name)
    if sys.getrecursionlimit() > RECURSION_MAX:
        sys.setrecursionlimit(RECURSION_MAX)


async def load_in_thread() -> None:
    """Import the libraries while other tasks go on."""
    if "web3" not in sys.modules or sys.getrecursionlimit() > RECURSION_MAX:
        await trio.to_thread.run_sync(load)
    else:
        await trio.lowlevel.checkpoint()
