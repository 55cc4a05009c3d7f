"""Services that answer from a thread of their own while commands ask in this one."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import trio

T = TypeVar("T")


@contextmanager
def in_background(start: Callable[[trio.Nursery], Awaitable[T]]) -> Iterator[T]:
    """Run what `start` starts until the end of the context; gives what it returned."""
    started = threading.Event()
    made: list[T] = []
    stop: list[Callable[[], object]] = []

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            token = trio.lowlevel.current_trio_token()
            stop.append(lambda: token.run_sync_soon(nursery.cancel_scope.cancel))
            made.append(await start(nursery))
            started.set()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    assert started.wait(20)
    try:
        yield made[0]
    finally:
        stop[0]()
        thread.join(20)
