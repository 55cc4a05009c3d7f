"""What must survive the process, in one SQLite file.

One connection writes, from one worker thread at a time, in WAL mode. What we sign is recorded before
anybody sees it, in a transaction of its own that is on the disk when the call returns
(`synchronous=FULL`): a node that forgot its batch would sign a second one, which is equivocation.
What others sent is written with `synchronous=NORMAL`: a power cut may take back the last of it, never
leave it half written, and peers have it still.

Every row carries a checksum over its table, key and value. SQLite notices a torn write-ahead log by
itself, but not a flipped bit inside a value; so a damaged row is an error (`StoreCorrupt`) and never
another value. Rows are canonical MessagePack, as on the wire.

A lock on the data directory keeps two processes from running one identity. Readers (the commands)
need no lock and work whether the node runs or not.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Self, TypeVar

import trio

from stkrp2p.core.anchor import Header, Proposal
from stkrp2p.core.batch import Batch, read_batch
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.challenge import Receipt
from stkrp2p.core.evidence import KEPT_MAX
from stkrp2p.core.roster import Registration
from stkrp2p.core.score import Score
from stkrp2p.core.types import (
    Epoch,
    Kind,
    NodeId,
    Operator,
    Outcome,
    ProtocolError,
    Round,
    UnixMs,
)
from stkrp2p.core.wire import Bytes20, Bytes32, Bytes48, M, Message, Uint, decode, encode
from stkrp2p.ports import NoSpace, Observation, RegistrySnapshot, StoredEpoch

FILE_NAME = "store.sqlite"
LOCK_NAME = "store.lock"
SCHEMA_VERSION = 2

FIRST_BATCHES_MAX = 6
"""Batches of one auditor and epoch kept for having come first: an anchor may include one of them.
Beside them the `KEPT_MAX` smallest stay, so an equivocator never fills the disk."""

PRUNE_ROWS_MAX = 2_000
"""Rows forgotten in one transaction; between two, other writes get their turn."""

WAL_BYTES_MAX = 64 * 1024 * 1024
"""What is left of the write-ahead log on disk after a checkpoint."""

_BUSY_S = 5.0
_SUM_BYTES: Final = 8
_STAKE_BYTES: Final = 32

_SCHEMA = f"""
CREATE TABLE own_batch (epoch INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE own_vote (
    epoch INTEGER, voids INTEGER, slot INTEGER, value BLOB NOT NULL,
    PRIMARY KEY (epoch, voids, slot)
) STRICT, WITHOUT ROWID;
CREATE TABLE observation (
    round INTEGER, target BLOB, value BLOB NOT NULL, PRIMARY KEY (round, target)
) STRICT, WITHOUT ROWID;
CREATE TABLE batch (
    epoch INTEGER NOT NULL, id BLOB NOT NULL, auditor BLOB NOT NULL, signature BLOB NOT NULL,
    value BLOB NOT NULL, UNIQUE (epoch, id)
) STRICT;
CREATE INDEX batch_of_auditor ON batch (epoch, auditor, id);
CREATE TABLE round (number INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE mixed_round (number INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE registry (slot INTEGER PRIMARY KEY CHECK (slot = 0), value BLOB NOT NULL) STRICT;
CREATE TABLE epoch (
    epoch INTEGER PRIMARY KEY, is_anchored INTEGER NOT NULL, value BLOB NOT NULL
) STRICT;
CREATE INDEX epoch_anchored ON epoch (epoch) WHERE is_anchored;
CREATE TABLE score (
    epoch INTEGER, place INTEGER, node BLOB NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (epoch, place)
) STRICT, WITHOUT ROWID;
CREATE TABLE contested (epoch INTEGER PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE INDEX score_of_node ON score (node, epoch);
PRAGMA user_version = {SCHEMA_VERSION};
"""

_SCHEMA_LIST = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name"
_SHARED_PAGES = "SELECT count(*) - count(DISTINCT rootpage) FROM sqlite_schema"

_KEEP_BATCHES = """
DELETE FROM batch WHERE epoch = :epoch AND auditor = :auditor
AND rowid NOT IN (SELECT rowid FROM batch
    WHERE epoch = :epoch AND auditor = :auditor ORDER BY rowid LIMIT :first)
AND id NOT IN (SELECT id FROM batch
    WHERE epoch = :epoch AND auditor = :auditor ORDER BY id LIMIT :smallest)
"""

_IS_ANCHORED = "SELECT is_anchored FROM epoch WHERE epoch = ?"

_COUNTED = ("own_batches", "observations", "batches", "rounds", "epochs", "scores")
_COUNTS = """
SELECT (SELECT count(*) FROM own_batch), (SELECT count(*) FROM observation),
    (SELECT count(*) FROM batch), (SELECT count(*) FROM round), (SELECT count(*) FROM epoch),
    (SELECT count(*) FROM score)
"""

T = TypeVar("T")


class StoreError(Exception):
    """The store could not do what was asked; nothing was half done."""


class StoreLocked(StoreError):
    """Another process runs on this data directory."""


class StoreFull(StoreError, NoSpace):
    """The disk takes no more: full, read-only, over quota; the node outlives it."""


class StoreCorrupt(StoreError):
    """What is on the disk is not what was written."""


class StoreTooNew(StoreError):
    """A newer version wrote the store."""


class StoreMissing(StoreError):
    """There is no store to read."""


class _ObservationRow(Message, frozen=True):
    outcome: Outcome
    latency_ms: Uint
    receipt: Receipt | None


class _StakeRow(Message, frozen=True):
    epoch: Uint
    stake: Bytes32
    """Big-endian: wei outgrow 64 bits."""


class _RegistrationRow(Message, frozen=True):
    index: Uint
    node: Bytes32
    operator: Bytes20
    nonce: Uint
    kind: Kind
    stakes: tuple[_StakeRow, ...]
    claim: bytes
    profile: bytes
    exit_epoch: Uint | None


class _RegistryRow(Message, frozen=True):
    registrations: tuple[_RegistrationRow, ...]
    block: Uint
    block_ms: Uint


class _EpochRow(Message, frozen=True):
    header: Header
    proposal: Proposal | None
    voids: Uint
    signature: Bytes48 | None


class _ContestedRow(Message, frozen=True):
    epoch: _EpochRow
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSizes:
    """How many rows of each kind there are, and what they take."""

    own_batches: int
    observations: int
    batches: int
    rounds: int
    epochs: int
    scores: int
    file_bytes: int
    """Database and write-ahead log together."""


def _sum(key: tuple[str | int | bytes, ...], payload: bytes) -> bytes:
    return hashlib.blake2b(encode(key) + payload, digest_size=_SUM_BYTES).digest()


def _sealed(payload: bytes, *key: str | int | bytes) -> bytes:
    return _sum(key, payload) + payload


def _opened(value: object, *key: str | int | bytes) -> bytes:
    """Return a row's payload; `value` is whatever a damaged column may hold."""
    column = value if isinstance(value, bytes) else b""
    payload = column[_SUM_BYTES:]
    if _sum(key, payload) != column[:_SUM_BYTES]:
        raise StoreCorrupt(f"the checksum of a row in {key[0]!r} is wrong; {_RESTORE}")
    return payload


def _read(value: object, shape: type[M], *key: str | int | bytes) -> M:
    payload = _opened(value, *key)
    try:
        return decode(payload, shape, bytes_max=len(payload))
    except ProtocolError as error:
        raise StoreCorrupt(f"a row in {key[0]!r} does not read: {error}; {_RESTORE}") from error


def _read_batch(value: object, *key: str | int | bytes) -> Batch:
    frame = _opened(value, *key)
    try:
        return read_batch(frame)
    except ProtocolError as error:
        raise StoreCorrupt(f"a row in {key[0]!r} does not read: {error}; {_RESTORE}") from error


_RESTORE = (
    "stop the node, move the store's files away and start again once the current epoch is sealed:"
    " peers give back all but our own records"
)

_NO_SPACE = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_IOERR,
}
_DAMAGED = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # our statements fit our tables, unless those are not ours any more
}
_FAILED_READS = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ}


def _raise_typed(error: sqlite3.Error) -> NoReturn:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code & 0xFF in _DAMAGED or code in _FAILED_READS:
        raise StoreCorrupt(f"the store is damaged: {error} ({name}); {_RESTORE}") from error
    if code & 0xFF in _NO_SPACE:
        raise StoreFull(
            f"the store cannot write: {error} ({name}); free space on its disk and check that the"
            " directory is writable: the node goes on by itself"
        ) from error
    raise StoreError(f"the store failed: {error} ({name})") from error


@contextmanager
def _typed() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        _raise_typed(error)
    except UnicodeDecodeError as error:  # a name in the schema, quoted in a message
        raise StoreCorrupt(f"the store is damaged: {error}; {_RESTORE}") from error


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def _durable_transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("PRAGMA synchronous = FULL")
    try:
        with _transaction(connection):
            yield
    finally:
        connection.execute("PRAGMA synchronous = NORMAL")


def _check_version(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether the file holds our schema; false for an empty one."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreTooNew(
            f"{path} was written by a newer version of stkrp2p (schema {version}, this one reads"
            f" up to {SCHEMA_VERSION}); install that version again"
        )
    found = connection.execute(_SCHEMA_LIST).fetchall()
    if version != SCHEMA_VERSION:
        if version or found:
            raise StoreCorrupt(f"{path} is no store of stkrp2p, or a damaged one; {_RESTORE}")
        return False
    with closing(sqlite3.connect(":memory:")) as fresh:
        fresh.executescript(_SCHEMA)
        expected = fresh.execute(_SCHEMA_LIST).fetchall()
    (shared,) = connection.execute(_SHARED_PAGES).fetchone()
    if found != expected or shared:
        raise StoreCorrupt(f"the tables of {path} are damaged; {_RESTORE}")
    return True


def _check_own_records(connection: sqlite3.Connection) -> None:
    """Read all that we ever signed: a damaged record must stop the node, not be signed anew."""
    for table in ("own_batch", "own_vote"):
        (line,) = connection.execute(f"PRAGMA quick_check({table})").fetchone()
        if line != "ok":
            raise StoreCorrupt(f"the store is damaged: {line}; {_RESTORE}")
    for epoch, value in connection.execute("SELECT epoch, value FROM own_batch"):
        _read_batch(value, "own_batch", epoch)
    for *key, value in connection.execute("SELECT epoch, voids, slot, value FROM own_vote"):
        _read(value, Header, "own_vote", *key)


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        with _typed():
            yield
    except BaseException:
        connection.close()
        raise


def _connect(path: Path) -> sqlite3.Connection:
    with _typed():
        connection = sqlite3.connect(
            path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    with _closed_on_error(connection):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}")
        if not _check_version(connection, path):
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        _check_own_records(connection)
        # What a killed process had written but not yet synced counts as recorded from now on, so it
        # has to be on the disk before anybody is told of it.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        connection.execute("PRAGMA synchronous = NORMAL")
    return connection


def _connect_reader(path: Path) -> sqlite3.Connection:
    if not path.exists():
        raise StoreMissing(f"there is no store at {path}; start the node once: stkrp2p run")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with _typed():
        connection = sqlite3.connect(
            uri, uri=True, timeout=_BUSY_S, isolation_level=None, check_same_thread=False
        )
    try:
        with _closed_on_error(connection):
            is_ours = _check_version(connection, path)
    except StoreFull as error:  # even a reader has to keep its place in the log
        raise StoreError(f"cannot read {path}; run this as the user that runs the node") from error
    if not is_ours:
        connection.close()
        raise StoreMissing(f"the store at {path} is still empty; start the node once: stkrp2p run")
    return connection


def _make_directory(directory: Path) -> None:
    if directory.is_dir():
        return
    directory.mkdir(mode=0o700, parents=True)
    parent = os.open(directory.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


def _lock(directory: Path) -> int:
    """Return the descriptor that holds the directory's lock until it is closed, or we die."""
    path = directory / LOCK_NAME
    try:
        _make_directory(directory)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise StoreFull(f"cannot write in {directory}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreLocked(
            f"another stkrp2p (process {holder}) runs on {directory}; stop it, or give this one"
            " a data directory and a node key of its own"
        ) from error
    os.ftruncate(lock, 0)
    with suppress(OSError):  # on a full disk the lock holds without our number in it
        os.pwrite(lock, b"%d\n" % os.getpid(), 0)
    return lock


def _registration_row(entry: Registration) -> _RegistrationRow:
    return _RegistrationRow(
        index=entry.index,
        node=entry.node,
        operator=entry.operator,
        nonce=entry.nonce,
        kind=entry.kind,
        stakes=tuple(
            _StakeRow(epoch=epoch, stake=stake.to_bytes(_STAKE_BYTES, "big"))
            for epoch, stake in entry.stakes
        ),
        claim=entry.claim,
        profile=entry.profile,
        exit_epoch=entry.exit_epoch,
    )


def _registration(row: _RegistrationRow) -> Registration:
    return Registration(
        index=row.index,
        node=NodeId(row.node),
        operator=Operator(row.operator),
        nonce=row.nonce,
        kind=row.kind,
        stakes=tuple((Epoch(s.epoch), int.from_bytes(s.stake, "big")) for s in row.stakes),
        claim=row.claim,
        profile=row.profile,
        exit_epoch=None if row.exit_epoch is None else Epoch(row.exit_epoch),
    )


def _observation(number: int, target: bytes, value: bytes) -> Observation:
    row = _read(value, _ObservationRow, "observation", number, target)
    return Observation(
        round=Round(number),
        target=NodeId(target),
        outcome=row.outcome,
        latency_ms=row.latency_ms,
        receipt=row.receipt,
    )


class StoreReader:
    """The reading half: what the commands use, beside a running node or without one.

    Every method may raise `StoreCorrupt` or, for trouble that passes, `StoreError`.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        """Take over a connection; use `SqliteStore.open_reader`."""
        self._connection = connection
        self._path = path
        self._limiter = trio.CapacityLimiter(1)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the worker thread; once begun it is finished, cancelled or not."""

        def guarded() -> T:
            with _typed():
                return work(self._connection)

        return await trio.to_thread.run_sync(guarded, limiter=self._limiter)

    async def aclose(self) -> None:
        """Close the file, after what is being written."""
        with trio.CancelScope(shield=True):
            await self._run(sqlite3.Connection.close)

    async def own_batch(self, epoch: Epoch) -> Batch | None:
        """Return the batch we recorded for an epoch."""
        return await self._run(lambda c: _own_batch(c, epoch))

    async def own_vote(self, epoch: Epoch, voids: int, slot: int) -> Header | None:
        """Return the header that we recorded for a slot of an epoch."""
        return await self._run(lambda c: _own_vote(c, epoch, voids, slot))

    async def observations(self, first: Round, last: Round) -> tuple[Observation, ...]:
        """Return our observations of rounds `first` to `last`, in order of round and target."""
        query = (
            "SELECT round, target, value FROM observation WHERE round BETWEEN ? AND ?"
            " ORDER BY round, target"
        )
        return await self._run(
            lambda c: tuple([_observation(*row) for row in c.execute(query, (first, last))])
        )

    async def batches(self, epoch: Epoch) -> tuple[Batch, ...]:
        """Return all stored batches of an epoch, in order of id.

        Several of one auditor are possible, at most `FIRST_BATCHES_MAX + KEPT_MAX`.
        """
        query = "SELECT id, value FROM batch WHERE epoch = ? ORDER BY id"
        return await self._run(
            lambda c: tuple(
                [_read_batch(value, "batch", epoch, i) for i, value in c.execute(query, (epoch,))]
            )
        )

    async def contested(self, epoch: Epoch) -> tuple[StoredEpoch, tuple[Score, ...]] | None:
        """Return an epoch that was anchored although it does not follow, with its table."""
        return await self._run(lambda c: _contested(c, epoch))

    async def contests(self) -> tuple[Epoch, ...]:
        """Return the epochs that are, or were, contested, in order."""
        query = "SELECT epoch FROM contested ORDER BY epoch"
        return await self._run(lambda c: tuple([Epoch(e) for (e,) in c.execute(query)]))

    async def rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]:
        """Return the rounds we have of `first` to `last`, in order."""
        return await self._run(lambda c: _rounds(c, "round", first, last))

    async def mixed_rounds(self, first: Round, last: Round) -> tuple[BeaconRound, ...]:
        """Return what `rounds` does, of the second beacon."""
        return await self._run(lambda c: _rounds(c, "mixed_round", first, last))

    async def registry(self) -> RegistrySnapshot | None:
        """Return the last snapshot put."""
        return await self._run(_registry)

    async def epoch(self, epoch: Epoch) -> StoredEpoch | None:
        """Return an epoch's roots."""
        return await self._run(lambda c: _epoch(c, epoch))

    async def scores(self, epoch: Epoch) -> tuple[Score, ...]:
        """Return an epoch's score table in the order it was put; empty if there is none."""
        query = "SELECT place, node, value FROM score WHERE epoch = ? ORDER BY place"
        return await self._run(
            lambda c: tuple(
                [
                    _read(value, Score, "score", epoch, place, node)
                    for place, node, value in c.execute(query, (epoch,))
                ]
            )
        )

    async def last_anchored(self) -> Epoch | None:
        """Return the last epoch stored as anchored."""
        ((last,),) = await self._run(
            lambda c: c.execute("SELECT max(epoch) FROM epoch WHERE is_anchored").fetchall()
        )
        return None if last is None else Epoch(last)

    async def epochs(self, *, epochs_max: int) -> tuple[Epoch, ...]:
        """Return the last `epochs_max` epochs whose roots we know, oldest first."""
        query = "SELECT epoch FROM epoch ORDER BY epoch DESC LIMIT ?"
        rows = await self._run(lambda c: c.execute(query, (epochs_max,)).fetchall())
        return tuple(Epoch(epoch) for (epoch,) in reversed(rows))

    async def score_history(
        self, node: NodeId, *, epochs_max: int
    ) -> tuple[tuple[Epoch, Score], ...]:
        """Return a node's scores of the last `epochs_max` epochs that have one, oldest first."""
        query = "SELECT epoch, place, value FROM score WHERE node = ? ORDER BY epoch DESC LIMIT ?"

        def read(connection: sqlite3.Connection) -> tuple[tuple[Epoch, Score], ...]:
            rows = connection.execute(query, (node, epochs_max)).fetchall()
            return tuple(
                (Epoch(epoch), _read(value, Score, "score", epoch, place, node))
                for epoch, place, value in reversed(rows)
            )

        return await self._run(read)

    async def sizes(self) -> StoreSizes:
        """Count what is stored."""
        return await self._run(self._sizes)

    def _sizes(self, connection: sqlite3.Connection) -> StoreSizes:
        counts = connection.execute(_COUNTS).fetchone()
        files = (self._path, self._path.with_name(FILE_NAME + "-wal"))
        return StoreSizes(
            **dict(zip(_COUNTED, counts, strict=True)),
            file_bytes=sum(f.stat().st_size for f in files if f.exists()),
        )


def _own_batch(connection: sqlite3.Connection, epoch: Epoch) -> Batch | None:
    query = "SELECT value FROM own_batch WHERE epoch = ?"
    row = connection.execute(query, (epoch,)).fetchone()
    return None if row is None else _read_batch(row[0], "own_batch", epoch)


def _own_vote(connection: sqlite3.Connection, epoch: int, voids: int, slot: int) -> Header | None:
    query = "SELECT value FROM own_vote WHERE epoch = ? AND voids = ? AND slot = ?"
    row = connection.execute(query, (epoch, voids, slot)).fetchone()
    return None if row is None else _read(row[0], Header, "own_vote", epoch, voids, slot)


def _rounds(
    connection: sqlite3.Connection, table: str, first: Round, last: Round
) -> tuple[BeaconRound, ...]:
    query = f"SELECT number, value FROM {table} WHERE number BETWEEN ? AND ? ORDER BY number"  # noqa: S608  # ours
    rows = connection.execute(query, (first, last))
    return tuple([BeaconRound(Round(n), _opened(value, table, n)) for n, value in rows])


def _registry(connection: sqlite3.Connection) -> RegistrySnapshot | None:
    found = connection.execute("SELECT value FROM registry").fetchone()
    if found is None:
        return None
    row = _read(found[0], _RegistryRow, "registry")
    return RegistrySnapshot(
        registrations=tuple(_registration(r) for r in row.registrations),
        block=row.block,
        block_ms=UnixMs(row.block_ms),
    )


def _epoch(connection: sqlite3.Connection, epoch: Epoch) -> StoredEpoch | None:
    query = "SELECT is_anchored, value FROM epoch WHERE epoch = ?"
    found = connection.execute(query, (epoch,)).fetchone()
    if found is None:
        return None
    is_anchored, value = found
    row = _read(value, _EpochRow, "epoch", epoch, is_anchored)
    return _epoch_of(row, is_anchored=bool(is_anchored))


def _epoch_of(row: _EpochRow, *, is_anchored: bool) -> StoredEpoch:
    return StoredEpoch(
        header=row.header,
        proposal=row.proposal,
        voids=row.voids,
        signature=row.signature,
        is_anchored=is_anchored,
    )


def _row_of(epoch: StoredEpoch) -> _EpochRow:
    return _EpochRow(
        header=epoch.header, proposal=epoch.proposal, voids=epoch.voids, signature=epoch.signature
    )


def _contested(
    connection: sqlite3.Connection, epoch: Epoch
) -> tuple[StoredEpoch, tuple[Score, ...]] | None:
    query = "SELECT value FROM contested WHERE epoch = ?"
    found = connection.execute(query, (epoch,)).fetchone()
    if found is None:
        return None
    row = _read(found[0], _ContestedRow, "contested", epoch)
    return _epoch_of(row.epoch, is_anchored=True), row.scores


class SqliteStore(StoreReader):
    """The node's store; see `ports.Store`. Writing may raise `StoreFull` beside the reader's."""

    @classmethod
    @asynccontextmanager
    async def open(cls, directory: Path) -> AsyncIterator[Self]:
        """Open the store in a data directory, made if need be, for this process alone.

        Raises:
            StoreLocked: Another process has it open.
            StoreTooNew: A newer version wrote it.
            StoreCorrupt: It is damaged, or one of our own records in it is.
            StoreFull: The directory cannot be written to.
        """
        lock = await trio.to_thread.run_sync(_lock, directory)
        try:
            path = directory / FILE_NAME
            store = cls(await trio.to_thread.run_sync(_connect, path), path)
            try:
                yield store
            finally:
                await store.aclose()
        finally:
            os.close(lock)

    @staticmethod
    @asynccontextmanager
    async def open_reader(directory: Path) -> AsyncIterator[StoreReader]:
        """Open the store for reading only, beside a running node or without one.

        Raises:
            StoreMissing: No node has run in this directory yet.
            StoreTooNew: A newer version wrote it.
            StoreCorrupt: It is no database.
        """
        path = directory / FILE_NAME
        reader = StoreReader(await trio.to_thread.run_sync(_connect_reader, path), path)
        try:
            yield reader
        finally:
            await reader.aclose()

    async def record_own_batch(self, batch: Batch) -> Batch:
        """Record our batch of an epoch, durably; returns the one recorded first for the epoch."""
        value = _sealed(batch.frame, "own_batch", batch.epoch)

        def record(connection: sqlite3.Connection) -> Batch:
            with _durable_transaction(connection):
                recorded = _own_batch(connection, batch.epoch)
                if recorded is not None:
                    return recorded
                row = (batch.epoch, value)
                connection.execute("INSERT INTO own_batch VALUES (?, ?)", row)
            return batch

        return await self._run(record)

    async def record_vote(self, slot: int, voids: int, header: Header) -> Header:
        """Record the header about to be voted for, durably; returns the slot's first."""
        key = (header.epoch, voids, slot)
        value = _sealed(encode(header), "own_vote", *key)

        def record(connection: sqlite3.Connection) -> Header:
            with _durable_transaction(connection):
                recorded = _own_vote(connection, *key)
                if recorded is not None:
                    return recorded
                connection.execute("INSERT INTO own_vote VALUES (?, ?, ?, ?)", (*key, value))
            return header

        return await self._run(record)

    async def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(statement, rows)

        if rows:
            await self._run(write)

    async def put_observations(self, observations: Sequence[Observation]) -> None:
        """Keep observations; a later one of the same round and target replaces the earlier."""
        rows = []
        for seen in observations:
            row = _ObservationRow(
                outcome=seen.outcome, latency_ms=seen.latency_ms, receipt=seen.receipt
            )
            value = _sealed(encode(row), "observation", seen.round, seen.target)
            rows.append((seen.round, seen.target, value))
        await self._write("INSERT OR REPLACE INTO observation VALUES (?, ?, ?)", rows)

    async def put_batches(self, epoch: Epoch, batches: Sequence[Batch]) -> None:
        """Keep checked batches of one epoch; of two signatures of one batch the smaller stays.

        Raises:
            ValueError: A batch is of another epoch.
        """
        if any(batch.epoch != epoch for batch in batches):
            raise ValueError(f"every batch must be of epoch {epoch}")
        rows = [
            (epoch, b.id, b.auditor, b.signature, _sealed(b.frame, "batch", epoch, b.id))
            for b in batches
        ]
        keep = [
            {"epoch": epoch, "auditor": a, "first": FIRST_BATCHES_MAX, "smallest": KEPT_MAX}
            for a in sorted({b.auditor for b in batches})
        ]

        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.executemany(
                    "INSERT INTO batch VALUES (?, ?, ?, ?, ?) ON CONFLICT (epoch, id) DO UPDATE"
                    " SET signature = excluded.signature, value = excluded.value"
                    " WHERE excluded.signature < signature",
                    rows,
                )
                connection.executemany(_KEEP_BATCHES, keep)

        if rows:
            await self._run(write)

    async def put_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        """Keep verified rounds."""
        rows = [(r.number, _sealed(r.signature, "round", r.number)) for r in rounds]
        await self._write("INSERT OR REPLACE INTO round VALUES (?, ?)", rows)

    async def put_mixed_rounds(self, rounds: Sequence[BeaconRound]) -> None:
        """Keep verified rounds of the second beacon."""
        rows = [(r.number, _sealed(r.signature, "mixed_round", r.number)) for r in rounds]
        await self._write("INSERT OR REPLACE INTO mixed_round VALUES (?, ?)", rows)

    async def put_registry(self, snapshot: RegistrySnapshot) -> None:
        """Keep the registry; replaces the one before."""
        row = _RegistryRow(
            registrations=tuple(_registration_row(r) for r in snapshot.registrations),
            block=snapshot.block,
            block_ms=snapshot.block_ms,
        )
        value = _sealed(encode(row), "registry")
        await self._write("INSERT OR REPLACE INTO registry VALUES (0, ?)", [(value,)])

    async def put_epoch(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        """Keep an epoch's roots and score table; replaces both, but nothing anchored by what is not.

        A governor may vote for, or seal, an epoch in the instant in which it is folded as anchored.
        """
        number = epoch.header.epoch
        is_anchored = int(epoch.is_anchored)
        value = _sealed(encode(_row_of(epoch)), "epoch", number, is_anchored)
        table = [
            (number, place, s.node, _sealed(encode(s), "score", number, place, s.node))
            for place, s in enumerate(scores)
        ]

        def write(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                held = connection.execute(_IS_ANCHORED, (number,)).fetchone()
                if held is not None and held[0] > is_anchored:
                    return
                connection.execute(
                    "INSERT OR REPLACE INTO epoch VALUES (?, ?, ?)", (number, is_anchored, value)
                )
                connection.execute("DELETE FROM score WHERE epoch = ?", (number,))
                connection.executemany("INSERT INTO score VALUES (?, ?, ?, ?)", table)

        await self._run(write)

    async def put_contested(self, epoch: StoredEpoch, scores: Sequence[Score]) -> None:
        """Keep an anchored epoch that does not follow, with its table; replaces."""
        number = epoch.header.epoch
        row = _ContestedRow(epoch=_row_of(epoch), scores=tuple(scores))
        value = _sealed(encode(row), "contested", number)
        await self._write("INSERT OR REPLACE INTO contested VALUES (?, ?)", [(number, value)])

    async def take_back(self, first: Epoch) -> None:
        """Forget the roots and tables of epochs from `first` on."""

        def forget(connection: sqlite3.Connection) -> None:
            with _transaction(connection):
                connection.execute("DELETE FROM epoch WHERE epoch >= ?", (first,))
                connection.execute("DELETE FROM score WHERE epoch >= ?", (first,))

        await self._run(forget)

    async def prune(self, before: Epoch, before_round: Round, before_mixed: Round) -> None:
        """Forget batches of epochs before `before`, observations and rounds before `before_round`.

        So are the second beacon's rounds before `before_mixed`. Roots, tables, and all that we
        signed ourselves stay.
        """
        for statement, limit in (
            (
                "DELETE FROM batch WHERE rowid IN"
                " (SELECT rowid FROM batch WHERE epoch < ? LIMIT ?)",
                before,
            ),
            (
                "DELETE FROM observation WHERE (round, target) IN"
                " (SELECT round, target FROM observation WHERE round < ? LIMIT ?)",
                before_round,
            ),
            (
                "DELETE FROM round WHERE number IN"
                " (SELECT number FROM round WHERE number < ? LIMIT ?)",
                before_round,
            ),
            (
                "DELETE FROM mixed_round WHERE number IN"
                " (SELECT number FROM mixed_round WHERE number < ? LIMIT ?)",
                before_mixed,
            ),
        ):
            while await self._delete_some(statement, limit) == PRUNE_ROWS_MAX:
                pass

    async def _delete_some(self, statement: str, limit: int) -> int:
        def delete(connection: sqlite3.Connection) -> int:
            with _transaction(connection):
                return connection.execute(statement, (limit, PRUNE_ROWS_MAX)).rowcount

        return await self._run(delete)
