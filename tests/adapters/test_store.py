"""The SQLite store: against a model, under kill -9, bit flips and a full disk.

Run as a program, this file is the process that the tests kill (`python test_store.py`): it forks a
writer for each line of its input, so that the imports are paid once.
"""

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from random import Random

import pytest
import trio
from hypothesis import given, settings, strategies as st

from stkrp2p.adapters.store import (
    FILE_NAME,
    FIRST_BATCHES_MAX,
    LOCK_NAME,
    PRUNE_ROWS_MAX,
    SqliteStore,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreMissing,
    StoreTooNew,
)
from stkrp2p.core.anchor import Header, Proposal
from stkrp2p.core.batch import Batch, BatchBody, Envelope, read_batch
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.challenge import Receipt
from stkrp2p.core.evidence import KEPT_MAX, Evidence
from stkrp2p.core.roster import Registration
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator, Outcome, Round, UnixMs
from stkrp2p.core.wire import INTEGER_MAX, encode
from stkrp2p.ports import Observation, RegistrySnapshot, Store, StoredEpoch

ALICE, BOB = NodeId(b"A" * 32), NodeId(b"B" * 32)
KILLS = 20
NOBODY = 65534


def batch_of(epoch: int, auditor: NodeId, variant: int, signature: int = 0) -> Batch:
    """Return a batch of right form; the store takes the signature on trust."""
    body = BatchBody(
        version=1,
        network=bytes(32),
        epoch=epoch,
        auditor=auditor,
        nonce=variant,
        seed=bytes(32),
        rows=(),
        receipts_root=bytes(32),
    )
    return read_batch(encode(Envelope(body=encode(body), signature=bytes([signature]) * 64)))


def header_of(epoch: int, variant: int = 0) -> Header:
    digest = bytes([variant]) * 32
    return Header(
        epoch=epoch,
        roster_root=digest,
        proposal_hash=digest,
        evidence_root=digest,
        score_root=digest,
        median_ppm=variant,
        is_void=bool(variant % 2),
    )


def seen(number: int, target: NodeId = ALICE, latency_ms: int = 7) -> Observation:
    return Observation(
        round=Round(number),
        target=target,
        outcome=Outcome.OK,
        latency_ms=latency_ms,
        receipt=None,
    )


# ---------------------------------------------------------------------------- against a model

epochs = st.integers(0, 3).map(Epoch)
rounds = st.integers(1, 40).map(Round)
nodes = st.sampled_from([ALICE, BOB])
uints = st.integers(0, INTEGER_MAX)
digests = st.binary(min_size=32, max_size=32)
signatures = st.binary(min_size=48, max_size=48)
headers = st.builds(header_of, epochs, st.integers(0, 255))
receipts = st.builds(
    Receipt,
    round=uints,
    auditor=digests,
    target=digests,
    challenge=digests,
    status=st.integers(0, 2),
    report_hash=digests,
    signature=st.binary(min_size=64, max_size=64),
)
observations = st.builds(
    Observation,
    round=rounds,
    target=nodes,
    outcome=st.sampled_from(Outcome),
    latency_ms=uints,
    receipt=st.none() | receipts,
)
registrations = st.builds(
    Registration,
    index=uints,
    node=digests.map(NodeId),
    operator=st.binary(min_size=20, max_size=20).map(Operator),
    nonce=uints,
    kind=st.sampled_from(Kind),
    stakes=st.lists(st.tuples(epochs, st.integers(0, 2**256 - 1)), min_size=1, max_size=3).map(
        tuple
    ),
    claim=st.binary(max_size=80),
    profile=st.binary(max_size=80),
    exit_epoch=st.none() | epochs,
)
snapshots = st.builds(
    RegistrySnapshot,
    registrations=st.lists(registrations, max_size=3).map(tuple),
    block=uints,
    block_ms=uints.map(UnixMs),
)
proposals = st.builds(
    Proposal,
    version=uints,
    network=digests,
    epoch=uints,
    seed=digests,
    included=st.binary(max_size=9),
    tainted=st.binary(max_size=9),
    ids_digest=digests,
)
stored_epochs = st.builds(
    StoredEpoch,
    header=headers,
    proposal=st.none() | proposals,
    signature=st.none() | signatures,
    is_anchored=st.booleans(),
)
scores = st.builds(Score, node=nodes, nonce=uints, s=uints, reliability_ppm=uints)


@st.composite
def put_batches(draw: st.DrawFn) -> tuple[str, tuple[Epoch, list[Batch]]]:
    epoch = draw(epochs)
    one = st.builds(batch_of, st.just(epoch), nodes, st.integers(0, 15), st.integers(0, 2))
    return "put_batches", (epoch, draw(st.lists(one, max_size=12)))


operations = st.one_of(
    st.tuples(
        st.just("record_own_batch"),
        st.tuples(st.builds(batch_of, epochs, st.just(ALICE), st.integers(0, 3))),
    ),
    st.tuples(st.just("record_vote"), st.tuples(st.integers(0, 2), st.integers(0, 1), headers)),
    st.tuples(st.just("put_observations"), st.tuples(st.lists(observations, max_size=5))),
    put_batches(),
    st.tuples(
        st.just("put_rounds"), st.tuples(st.lists(st.builds(BeaconRound, rounds, signatures)))
    ),
    st.tuples(
        st.just("put_mixed_rounds"),
        st.tuples(st.lists(st.builds(BeaconRound, rounds, signatures))),
    ),
    st.tuples(st.just("put_registry"), st.tuples(snapshots)),
    st.tuples(st.just("put_epoch"), st.tuples(stored_epochs, st.lists(scores, max_size=3))),
    st.tuples(st.just("put_contested"), st.tuples(stored_epochs, st.lists(scores, max_size=3))),
    st.tuples(st.just("take_back"), st.tuples(epochs)),
    st.tuples(st.just("prune"), st.tuples(epochs, rounds, rounds)),
    st.tuples(st.just("reopen"), st.just(())),
)


@dataclass
class Model:
    """What the store promises, as dicts."""

    own: dict[Epoch, Batch] = field(default_factory=dict)
    votes: dict[tuple[int, int, int], Header] = field(default_factory=dict)
    seen: dict[tuple[Round, NodeId], Observation] = field(default_factory=dict)
    arrived: dict[Epoch, list[Batch]] = field(default_factory=dict)
    rounds: dict[Round, BeaconRound] = field(default_factory=dict)
    mixed: dict[Round, BeaconRound] = field(default_factory=dict)
    snapshot: RegistrySnapshot | None = None
    epochs: dict[int, StoredEpoch] = field(default_factory=dict)
    tables: dict[int, tuple[Score, ...]] = field(default_factory=dict)
    contests: dict[int, tuple[StoredEpoch, tuple[Score, ...]]] = field(default_factory=dict)

    def record_own_batch(self, batch: Batch) -> Batch:
        return self.own.setdefault(batch.epoch, batch)

    def record_vote(self, slot: int, voids: int, header: Header) -> Header:
        return self.votes.setdefault((header.epoch, voids, slot), header)

    def put_observations(self, new: list[Observation]) -> None:
        self.seen.update({(o.round, o.target): o for o in new})

    def put_batches(self, epoch: Epoch, new: list[Batch]) -> None:
        held = self.arrived.setdefault(epoch, [])
        for batch in new:
            at = next((i for i, b in enumerate(held) if b.id == batch.id), None)
            if at is None:
                held.append(batch)
            else:
                held[at] = min(held[at], batch)
        for auditor in {b.auditor for b in new}:
            theirs = [b for b in held if b.auditor == auditor]
            kept = theirs[:FIRST_BATCHES_MAX] + sorted(theirs)[:KEPT_MAX]
            held[:] = [b for b in held if b.auditor != auditor or b in kept]

    def put_rounds(self, new: list[BeaconRound]) -> None:
        self.rounds.update({r.number: r for r in new})

    def put_mixed_rounds(self, new: list[BeaconRound]) -> None:
        self.mixed.update({r.number: r for r in new})

    def put_registry(self, snapshot: RegistrySnapshot) -> None:
        self.snapshot = snapshot

    def put_epoch(self, epoch: StoredEpoch, table: list[Score]) -> None:
        held = self.epochs.get(epoch.header.epoch)
        if held is None or epoch.is_anchored or not held.is_anchored:
            self.epochs[epoch.header.epoch] = epoch
            self.tables[epoch.header.epoch] = tuple(table)

    def put_contested(self, epoch: StoredEpoch, table: list[Score]) -> None:
        stored = replace(epoch, is_anchored=True)
        self.contests[epoch.header.epoch] = stored, tuple(table)

    def take_back(self, first: Epoch) -> None:
        self.epochs = {e: s for e, s in self.epochs.items() if e < first}
        self.tables = {e: s for e, s in self.tables.items() if e < first}

    def prune(self, before: Epoch, before_round: Round, before_mixed: Round) -> None:
        self.arrived = {e: b for e, b in self.arrived.items() if e >= before}
        self.seen = {k: o for k, o in self.seen.items() if k[0] >= before_round}
        self.rounds = {n: r for n, r in self.rounds.items() if n >= before_round}
        self.mixed = {n: r for n, r in self.mixed.items() if n >= before_mixed}

    async def assert_equals(self, store: SqliteStore) -> None:
        for epoch in map(Epoch, range(4)):
            assert await store.own_batch(epoch) == self.own.get(epoch)
            for voids, slot in product(range(2), range(3)):
                voted = self.votes.get((epoch, voids, slot))
                assert await store.own_vote(epoch, voids, slot) == voted
            assert list(await store.batches(epoch)) == sorted(self.arrived.get(epoch, []))
            assert await store.epoch(epoch) == self.epochs.get(epoch)
            assert await store.scores(epoch) == self.tables.get(epoch, ())
            assert await store.contested(epoch) == self.contests.get(epoch)
        assert await store.contests() == tuple(sorted(self.contests))
        in_order = tuple(self.seen[key] for key in sorted(self.seen))
        assert await store.observations(Round(0), Round(99)) == in_order
        assert await store.rounds(Round(0), Round(99)) == tuple(
            self.rounds[n] for n in sorted(self.rounds)
        )
        assert await store.mixed_rounds(Round(0), Round(99)) == tuple(
            self.mixed[n] for n in sorted(self.mixed)
        )
        assert await store.registry() == self.snapshot
        anchored = [e for e, stored in self.epochs.items() if stored.is_anchored]
        assert await store.last_anchored() == max(anchored, default=None)
        assert await store.epochs(epochs_max=9) == tuple(sorted(self.epochs))
        history = [(e, s) for e in sorted(self.tables) for s in self.tables[e] if s.node == ALICE]
        assert (
            sorted(await store.score_history(ALICE, epochs_max=99), key=lambda h: h[0]) == history
        )


@given(st.lists(operations, max_size=25))
def test_the_store_holds_what_was_put_through_any_restart(
    tmp_path_factory: pytest.TempPathFactory, ops: list[tuple[str, tuple[object, ...]]]
) -> None:
    directory = tmp_path_factory.mktemp("store")
    trio.run(run_against_model, directory, ops)
    shutil.rmtree(directory)


async def run_against_model(directory: Path, ops: list[tuple[str, tuple[object, ...]]]) -> None:
    model = Model()
    at = 0
    while at <= len(ops):
        async with SqliteStore.open(directory) as store:
            while at < len(ops) and ops[at][0] != "reopen":
                name, arguments = ops[at]
                expected = getattr(model, name)(*arguments)
                assert await getattr(store, name)(*arguments) == expected
                at += 1
            await model.assert_equals(store)
        at += 1


@given(st.lists(put_batches(), max_size=10))
@settings(max_examples=25)
def test_the_stored_batches_make_the_same_evidence_as_all_that_came(
    tmp_path_factory: pytest.TempPathFactory, puts: list[tuple[str, tuple[Epoch, list[Batch]]]]
) -> None:
    async def check(directory: Path) -> None:
        async with SqliteStore.open(directory) as store:
            for _, (epoch, batches) in puts:
                await store.put_batches(epoch, batches)
            for epoch in map(Epoch, range(4)):
                all_put = [b for _, (e, batches) in puts for b in batches if e == epoch]
                assert Evidence(await store.batches(epoch)) == Evidence(all_put)

    trio.run(check, tmp_path_factory.mktemp("store"))


async def test_an_anchored_epoch_is_not_replaced_by_what_was_only_voted_for(tmp_path: Path) -> None:
    anchored = StoredEpoch(header=header_of(1), proposal=None, signature=None, is_anchored=True)
    table = [Score(node=ALICE, nonce=0)]
    async with SqliteStore.open(tmp_path) as store:
        await store.put_epoch(replace(anchored, is_anchored=False), [])
        await store.put_epoch(anchored, table)
        await store.put_epoch(replace(anchored, is_anchored=False), [])
        assert await store.epoch(Epoch(1)) == anchored
        assert await store.scores(Epoch(1)) == tuple(table)


async def test_an_equivocator_fills_no_more_than_its_places(tmp_path: Path) -> None:
    flood = [batch_of(5, ALICE, n) for n in range(100)]
    async with SqliteStore.open(tmp_path) as store:
        for one in flood:
            await store.put_batches(Epoch(5), [one])
        kept = await store.batches(Epoch(5))
    assert len(kept) <= FIRST_BATCHES_MAX + KEPT_MAX
    assert set(kept) == {*flood[:FIRST_BATCHES_MAX], *sorted(flood)[:KEPT_MAX]}


async def test_a_batch_of_another_epoch_is_the_callers_mistake(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path) as store:
        with pytest.raises(ValueError, match=r"^every batch must be of epoch 6$"):
            await store.put_batches(Epoch(6), [batch_of(5, ALICE, 0)])


async def test_pruning_takes_any_number_of_rows_in_small_steps(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path) as store:
        many = 2 * PRUNE_ROWS_MAX + 1
        await store.put_observations([seen(n) for n in range(many)])
        await store.prune(Epoch(0), Round(many - 1), Round(0))
        assert await store.observations(Round(0), Round(many)) == (seen(many - 1),)


async def test_sizes_count_what_is_there(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path) as store:
        await store.put_observations([seen(1), seen(2)])
        await store.put_batches(Epoch(1), [batch_of(1, ALICE, 0)])
        stored = StoredEpoch(header=header_of(1), proposal=None, signature=None, is_anchored=True)
        await store.put_epoch(stored, [Score(node=ALICE, nonce=0), Score(node=BOB, nonce=0)])
        sizes = await store.sizes()
    counts = (sizes.own_batches, sizes.observations, sizes.batches, sizes.rounds)
    assert counts == (0, 2, 1, 0)
    assert (sizes.epochs, sizes.scores) == (1, 2)
    assert sizes.file_bytes > 4096


async def test_a_write_once_begun_is_finished_though_its_task_is_cancelled(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path) as store:
        with closing(sqlite3.connect(tmp_path / FILE_NAME, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the store's write now waits for us
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.record_own_batch, batch_of(1, ALICE, 0))
                await trio.testing.wait_all_tasks_blocked(0.05)
                nursery.cancel_scope.cancel()
                other.execute("ROLLBACK")
        assert await store.own_batch(Epoch(1)) == batch_of(1, ALICE, 0)


def is_a_store(store: SqliteStore) -> Store:
    """Let the type checker see that the adapter fits its port."""
    return store


# ---------------------------------------------------------------------------- opening


async def test_a_second_process_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path):
        with pytest.raises(StoreLocked) as refused:
            async with SqliteStore.open(tmp_path):
                pytest.fail("two stores on one directory")
    assert str(refused.value) == (
        f"another stkrp2p (process {os.getpid()}) runs on {tmp_path}; stop it, or give this one"
        " a data directory and a node key of its own"
    )
    async with SqliteStore.open(tmp_path):
        pass  # the lock ends with its holder


async def test_readers_work_while_the_node_runs_and_when_it_is_down(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path) as store:
        await store.put_observations([seen(1)])
        async with SqliteStore.open_reader(tmp_path) as reader:
            assert await reader.observations(Round(1), Round(2)) == (seen(1),)
            await store.put_observations([seen(2)])
            assert await reader.observations(Round(1), Round(2)) == (seen(1), seen(2))
    async with SqliteStore.open_reader(tmp_path) as reader:
        assert await reader.observations(Round(1), Round(2)) == (seen(1), seen(2))
    async with SqliteStore.open(tmp_path) as store:
        assert await store.observations(Round(2), Round(2)) == (seen(2),)


async def test_a_reader_writes_nothing(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path):
        pass
    async with SqliteStore.open_reader(tmp_path) as reader:
        with pytest.raises(StoreFull, match="readonly"):
            await reader._run(lambda c: c.execute("DELETE FROM observation"))


async def test_a_reader_says_what_to_do_where_no_node_has_run(tmp_path: Path) -> None:
    with pytest.raises(StoreMissing, match=r"start the node once: stkrp2p run$"):
        async with SqliteStore.open_reader(tmp_path):
            pytest.fail("read a store that is not there")
    (tmp_path / FILE_NAME).touch()
    with pytest.raises(StoreMissing, match=r"start the node once: stkrp2p run$"):
        async with SqliteStore.open_reader(tmp_path):
            pytest.fail("read an empty store")


async def test_a_store_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path):
        pass
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as newer:
        newer.execute("PRAGMA user_version = 3")
    for opening in (SqliteStore.open, SqliteStore.open_reader):
        with pytest.raises(StoreTooNew, match=r"schema 3, this one reads up to 2\)"):
            async with opening(tmp_path):
                pytest.fail("opened a newer store")


async def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database, " * 512)
    with pytest.raises(StoreCorrupt, match="file is not a database"):
        async with SqliteStore.open(tmp_path):
            pytest.fail("opened garbage")
    (tmp_path / FILE_NAME).unlink()
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as other:
        other.execute("CREATE TABLE somebody_elses (a)")
    with pytest.raises(StoreCorrupt, match="is no store of stkrp2p"):
        async with SqliteStore.open(tmp_path):
            pytest.fail("opened another program's database")


async def test_a_directory_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreFull, match=r"cannot write in .*/file/data"):
        async with SqliteStore.open(tmp_path / "file" / "data"):
            pytest.fail("opened a store inside a file")


@pytest.fixture
def anybodys_directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
async def test_another_user_is_told_whose_store_it_is(anybodys_directory: Path) -> None:
    async with SqliteStore.open(anybodys_directory):
        pass
    os.seteuid(NOBODY)
    try:
        with pytest.raises(StoreError, match=r"run this as the user that runs the node$"):
            async with SqliteStore.open_reader(anybodys_directory):
                pytest.fail("read another user's store")
        with pytest.raises(StoreFull, match=r"^cannot write in .*: Permission denied$"):
            async with SqliteStore.open(anybodys_directory):
                pytest.fail("opened another user's store")
    finally:
        os.seteuid(0)


# ---------------------------------------------------------------------------- damage


def open_and_read(directory: Path, epochs_max: int) -> tuple[list[Batch | None], list[Observation]]:
    """Return own batches of epochs 0.. and all observations; typed errors only."""

    async def read() -> tuple[list[Batch | None], list[Observation]]:
        async with SqliteStore.open(directory) as store:
            own = [await store.own_batch(Epoch(e)) for e in range(epochs_max)]
            return own, list(await store.observations(Round(0), Round(2**40)))

    return trio.run(read)


def written_files(directory: Path, *, epochs_max: int) -> None:
    """Fill a store and copy its files as a power cut would leave them, log and all."""

    async def write() -> None:
        live = directory / "live"
        async with SqliteStore.open(live) as store:
            for epoch in range(epochs_max):
                await store.record_own_batch(batch_of(epoch, ALICE, epoch))
                await store.put_observations([seen(10 * epoch + i) for i in range(10)])
            for name in (FILE_NAME, FILE_NAME + "-wal"):
                shutil.copy(live / name, directory / name)

    trio.run(write)


@contextmanager
def copied(source: Path, target: Path) -> Iterator[Path]:
    target.mkdir()
    for name in (FILE_NAME, FILE_NAME + "-wal"):
        if (source / name).exists():
            shutil.copy(source / name, target / name)
    yield target
    shutil.rmtree(target)


def flip(path: Path, random: Random) -> None:
    data = bytearray(path.read_bytes())
    data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    path.write_bytes(data)


def test_a_torn_log_gives_back_a_clean_prefix(tmp_path: Path) -> None:
    epochs_max = 30
    written_files(tmp_path, epochs_max=epochs_max)
    random = Random(1)
    lengths = set()
    for trial in range(150):
        with copied(tmp_path, tmp_path / "torn") as torn:
            log = torn / (FILE_NAME + "-wal")
            if trial % 2:
                os.truncate(log, random.randrange(log.stat().st_size))
            else:
                flip(log, random)
            own, observed = open_and_read(torn, epochs_max)
        kept = [batch for batch in own if batch is not None]
        assert kept == [batch_of(e, ALICE, e) for e in range(len(kept))]
        assert observed == [seen(n) for n in range(len(observed))]
        assert 0 <= 10 * len(kept) - len(observed) <= 10
        lengths.add(len(kept))
    assert len(lengths) > 20


def test_a_flipped_bit_in_the_file_never_gives_another_value(tmp_path: Path) -> None:
    epochs_max = 30
    written_files(tmp_path, epochs_max=epochs_max)
    open_and_read(tmp_path, epochs_max)  # the log goes into the file
    right = [batch_of(e, ALICE, e) for e in range(epochs_max)]
    random = Random(2)
    refused = 0
    for _ in range(300):
        with copied(tmp_path, tmp_path / "flipped") as flipped:
            flip(flipped / FILE_NAME, random)
            try:
                own, observed = open_and_read(flipped, epochs_max)
            except (StoreCorrupt, StoreTooNew):
                refused += 1
                continue
        assert own == right  # all of what we signed, or no start at all
        assert set(observed) <= {seen(n) for n in range(10 * epochs_max)}
    assert refused > 50


# ---------------------------------------------------------------------------- no space


async def fill(store: SqliteStore, *, first: int, rows: int = 50) -> int:
    """Put observations until the disk is full; returns the first that was not taken."""
    for start in range(first, first + 100_000, rows):
        try:
            await store.put_observations([seen(n) for n in range(start, start + rows)])
        except StoreFull:
            return start
    raise AssertionError("the disk took it all")


OWN_BATCHES_MAX = 64
"""A disk that is full to the last row takes fewer batches than that."""


async def record_until_full(store: SqliteStore) -> int:
    """Record own batches of the epochs after the first until there is no space; return how many are."""
    for epoch in range(1, OWN_BATCHES_MAX):
        with suppress(StoreFull):
            await store.record_own_batch(batch_of(epoch, ALICE, 0))
            continue
        return epoch
    pytest.fail("the disk is not full")


async def assert_survives_full_disk(directory: Path, make_space: Callable[[], None]) -> None:
    async with SqliteStore.open(directory) as store:
        await store.record_own_batch(batch_of(0, ALICE, 0))
        stored = await fill(store, first=0)
        assert await store.observations(Round(0), Round(stored)) == tuple(map(seen, range(stored)))
        await fill(store, first=10**6, rows=1)  # to the last byte
        recorded = await record_until_full(store)
        with pytest.raises(StoreFull, match="free space on its disk"):
            await store.record_own_batch(batch_of(recorded, ALICE, 0))
        for epoch in range(recorded):
            assert await store.own_batch(Epoch(epoch)) == batch_of(epoch, ALICE, 0)
        make_space()
        late = batch_of(recorded, ALICE, 1)
        assert await store.record_own_batch(late) == late
        await store.put_observations([seen(stored)])
    async with SqliteStore.open(directory) as store:
        seen_again = await store.observations(Round(0), Round(stored))
        assert seen_again == tuple(map(seen, range(stored + 1)))
        assert await store.own_batch(Epoch(recorded)) == late


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not permitted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_loses_nothing_and_writing_goes_on_once_there_is_space(
    small_disk: Path,
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(1024 * 1024))
    await assert_survives_full_disk(small_disk / "data", ballast.unlink)


def test_a_limit_on_file_size_is_a_full_disk(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, __file__, "limited", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def run_limited(directory: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))

    def make_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    trio.run(assert_survives_full_disk, directory, make_space)


# ---------------------------------------------------------------------------- kill -9


class Writers:
    """A process that forks one writer after the other for us to kill."""

    def __init__(self) -> None:
        self._zygote = subprocess.Popen(
            [sys.executable, __file__, "fork"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def start(self, directory: Path, seed: int) -> tuple[int, list[str]]:
        """Return a new writer's process id and its first word, once it has one."""
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(f"{directory}\t{seed}\n")
        return int(self._line().split()[1]), [self._line()]

    def kill(self, pid: int) -> list[str]:
        """Kill a writer; returns all that it had acknowledged."""
        os.kill(pid, signal.SIGKILL)
        words = []
        while (line := self._line()) != f"dead {pid}":
            words.append(line)
        return words

    def _line(self) -> str:
        assert self._zygote.stdout is not None
        line = self._zygote.stdout.readline()
        assert line, "the forking process died"
        return line.rstrip("\n")

    def close(self) -> None:
        self._zygote.kill()
        self._zygote.communicate()


@pytest.fixture
def writers() -> Iterator[Writers]:
    started = Writers()
    yield started
    started.close()


def test_kill_nine_loses_nothing_acknowledged_and_never_makes_a_second_batch(
    tmp_path: Path, writers: Writers
) -> None:
    random = Random(3)
    own: dict[int, set[str]] = {}
    observed: set[int] = set()
    for seed in range(KILLS):
        pid, words = writers.start(tmp_path, seed)
        trio.run(trio.sleep, random.uniform(0, 0.15))
        words += writers.kill(pid)
        for word in words:
            kind, number, *rest = word.split()
            if kind == "own":
                own.setdefault(int(number), set()).add(rest[0])
            elif kind == "seen":
                observed.add(int(number))
        assert_all_there(tmp_path, own, observed)
    assert len(own) > KILLS
    assert len(observed) > KILLS


def assert_all_there(directory: Path, own: dict[int, set[str]], observed: set[int]) -> None:
    kept, there = open_and_read(directory, max(own) + 1)
    assert all(len(ids) == 1 for ids in own.values())
    assert {e: {kept[e].id.hex()} for e in own if kept[e] is not None} == own
    assert observed <= {o.round for o in there}


def test_a_killed_process_leaves_no_lock_behind(tmp_path: Path, writers: Writers) -> None:
    pid, _ = writers.start(tmp_path, 0)
    with pytest.raises(StoreLocked, match=f"process {pid}"):
        open_and_read(tmp_path, 1)
    writers.kill(pid)
    open_and_read(tmp_path, 1)
    assert (tmp_path / LOCK_NAME).exists()


async def write_until_killed(directory: Path, random: Random) -> None:
    """Record batches of ever new epochs, trying old ones again with other content."""

    def say(word: str) -> None:
        os.write(1, word.encode() + b"\n")

    async with SqliteStore.open(directory) as store:
        epoch = (await store.sizes()).own_batches
        number = len(await store.observations(Round(0), Round(10**9)))
        say(f"open {epoch}")
        while True:
            for attempt in (epoch, max(0, epoch - 1)):
                batch = batch_of(attempt, ALICE, random.randrange(2**60))
                recorded = await store.record_own_batch(batch)
                say(f"own {attempt} {recorded.id.hex()}")
            epoch += 1
            new = [seen(n) for n in range(number, number + random.randrange(1, 20))]
            await store.put_observations(new)
            number += len(new)
            say(f"seen {number - 1}")


def fork_writers() -> None:
    for line in sys.stdin:
        directory, seed = line.rstrip("\n").split("\t")
        pid = os.fork()
        if pid == 0:
            trio.run(write_until_killed, Path(directory), Random(seed))
        os.write(1, f"pid {pid}\n".encode())
        os.waitpid(pid, 0)
        os.write(1, f"dead {pid}\n".encode())


if __name__ == "__main__":
    if sys.argv[1] == "fork":
        fork_writers()
    else:
        run_limited(Path(sys.argv[2]))
