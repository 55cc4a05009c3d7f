"""Past epochs for the commands: what cannot be read or computed is said as a command's failure."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.core.network import Genesis
from stkrp2p.core.types import Epoch
from stkrp2p.ports import RegistrySnapshot, StoredEpoch
from stkrp2p.services.history import (
    NoRegistry,
    NotAnchored,
    NotReplayable,
    PastEpoch,
    Replay,
    open_past,
    replay,
)


async def stored_epoch(store: StoreReader, epoch: Epoch) -> StoredEpoch:
    """Return what is stored of an epoch's anchor.

    Raises:
        Failure: Nothing is.
    """
    found = await store.epoch(epoch)
    if found is not None:
        return found
    last = await store.last_anchored()
    raise Failure(
        f"no anchor of epoch {epoch} is stored",
        why="no epoch is anchored yet" if last is None else f"the last one stored is {last}",
        hint="stkrp2p status",
        code=Exit.FAILED,
    )


async def stored_registry(store: StoreReader) -> RegistrySnapshot:
    """Return the registry as the node last read it.

    Raises:
        Failure: It never did.
    """
    snapshot = await store.registry()
    if snapshot is None:
        raise _no_registry()
    return snapshot


def _no_registry() -> Failure:
    return Failure(
        "the registry was never read",
        why="the node has not reached an Ethereum endpoint yet",
        hint="stkrp2p doctor",
        code=Exit.NOT_RUNNING,
    )


async def open_epoch(genesis: Genesis, store: StoreReader, epoch: Epoch) -> PastEpoch:
    """Read and check an anchored epoch's evidence.

    Raises:
        Failure: The epoch is not anchored, or its evidence is not (or no longer) stored, or what is
            stored does not pass the protocol's checks.
    """
    await stored_epoch(store, epoch)
    with as_failures():
        return await open_past(genesis, store, epoch)


async def replay_epoch(genesis: Genesis, store: StoreReader, epoch: Epoch) -> Replay:
    """Compute an anchored epoch anew.

    Raises:
        Failure: As `open_epoch`, or the score table before it is not stored.
    """
    await stored_epoch(store, epoch)
    with as_failures():
        return await replay(genesis, store, epoch)


@contextmanager
def as_failures() -> Iterator[None]:
    """Turn what keeps an epoch from being computed anew into a failure."""
    try:
        yield
    except NoRegistry as error:
        raise _no_registry() from error
    except NotReplayable as error:
        hint = "stkrp2p status" if isinstance(error, NotAnchored) else ""
        what = f"epoch {error.epoch} cannot be computed anew"
        raise Failure(what, why=error.why, hint=hint) from error
