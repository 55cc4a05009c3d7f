"""Reading a node's store from a command, whether the node runs or not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import trio

from stkrp2p.adapters.store import (
    SqliteStore,
    StoreError,
    StoreMissing,
    StoreReader,
    StoreTooNew,
)
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.config import NodeConfig

T = TypeVar("T")


def read_store(config: NodeConfig, work: Callable[[StoreReader], Awaitable[T]]) -> T:
    """Return what `work` finds in the node's store.

    Raises:
        Failure: There is no store, or it cannot be read.
    """

    async def read() -> T:
        async with open_store(config) as store:
            return await work(store)

    return trio.run(read)


@asynccontextmanager
async def open_store(config: NodeConfig) -> AsyncIterator[StoreReader]:
    """Open the node's store for reading.

    Raises:
        Failure: There is no store, or it cannot be read.
    """
    with store_failures():
        async with SqliteStore.open_reader(config.data_dir) as store:
            yield store


@contextmanager
def store_failures() -> Iterator[None]:
    """Turn a store that cannot be read into a failure."""
    try:
        yield
    except StoreMissing as error:
        raise Failure(
            "nothing is stored yet", why=str(error), hint="stkrp2p run", code=Exit.NOT_RUNNING
        ) from error
    except StoreTooNew as error:
        raise Failure("the store cannot be read", why=str(error), code=Exit.UNSAFE) from error
    except StoreError as error:
        raise Failure("the store cannot be read", why=str(error), hint="stkrp2p doctor") from error
