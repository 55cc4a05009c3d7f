"""Where long computations run: not in the event loop.

Closing an epoch of 10,000 members takes a second, and so does finding who was drawn; meanwhile a node
must answer audits within its probe window. Small epochs are computed in place, which costs the loop
less than two rounds' jitter and keeps simulations, which must not wait for threads, repeatable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

INLINE_MEMBERS_MAX = 256
"""Members of an epoch that is computed in place: 0.1 ms each."""

WORKERS_MAX = 2
"""Computations in threads at once; each holds Python's lock half of the time."""

T = TypeVar("T")

_workers = trio.lowlevel.RunVar[trio.CapacityLimiter]("workers")


def _limiter() -> trio.CapacityLimiter:
    try:
        return _workers.get()
    except LookupError:
        limiter = trio.CapacityLimiter(WORKERS_MAX)
        _workers.set(limiter)
        return limiter


async def offload(work: Callable[[], T], *, members: int) -> T:
    """Return what `work` does, computed in a worker thread if many members are concerned.

    Once begun it is finished, even if the caller is cancelled meanwhile.

    Args:
        work: A pure function; what it reads must not change until this returns.
        members: How many members it goes through.
    """
    if members <= INLINE_MEMBERS_MAX:
        await trio.lowlevel.checkpoint()
        return work()
    return await trio.to_thread.run_sync(work, limiter=_limiter())
