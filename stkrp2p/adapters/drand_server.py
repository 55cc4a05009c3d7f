"""drand's HTTP API for the rounds of one beacon chain, whoever makes them.

Served are v1 (`/chains`; `/info`, `/health`, `/public/…`, each also under the chain hash) and v2
(`/v2/chains/HASH/…` and `/v2/beacons/NAME/…` with `info`, `health`, `rounds/…`), so that drand's own
clients take the chain for one of drand's. A question for a round gets, by the first that holds:

    the book has it or a later one      the round, for caches to keep; 404 if the book lacks it
    it is due, or the next to be        held until the book has it; 503 when it is late by `LATE_S`
    any other                           404

So a beacon that stalls serves what it has, and says in `/health` what it owes. HEAD gets what GET
does, without the body.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final, Protocol

import h11
import structlog
import trio

from stkrp2p.adapters.drand import SCHEME
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.crypto import sha256, u64
from stkrp2p.core.types import Digest, Round
from stkrp2p.ports import WallClock

log = structlog.get_logger()

CONNECTIONS_MAX = 512
"""Connections held; one more is closed at once."""

WAITERS_MAX = 256
"""Questions held for a round to come; one more gets 503."""

HEAD_BYTES_MAX = 8 * 1024
"""Largest request line with headers."""

IDLE_S = 30
"""A connection without a whole question for so long is closed."""

LATE_S = 5
"""How long a question is held for a round that is due and has not come; drand's nodes wait as long."""

BEHIND_ROUNDS_MAX = 1
"""How far a healthy beacon may be behind the clock: the round just due is on its way. As in drand."""

_MS_PER_S: Final = 1000
_READ_BYTES: Final = 4096
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")
_FOREVER = "public, max-age=31536000, immutable"
_NOT_KEPT = "no-store"


class RoundBook(Protocol):
    """The rounds of one beacon chain that a process has, verified, in memory or in its store.

    What the book has is served, whatever the clock says: a round must not be in it before it is due.
    """

    def latest(self) -> Round:
        """Return the highest round it has; 0 before the first."""

    async def get(self, number: Round) -> bytes | None:
        """Return a round's signature (48 bytes), `None` if the book lacks it; quick."""

    async def wait(self, number: Round) -> None:
        """Return once `latest()` is `number` or more; the caller bounds the wait."""


def genesis_seed_of(public_key: bytes, name: str) -> Digest:
    """Return what drand calls the genesis seed; here a hash of the chain's name and key."""
    return sha256(f"stkr/{name}/1".encode(), public_key)


def chain_hash_of(beacon: Beacon, name: str, genesis_seed: bytes) -> Digest:
    """Return drand's hash of a chain.

    SHA-256 of period (4 bytes) and genesis (8), both big-endian seconds, the key, the genesis seed,
    and the beacon's name unless that is `default`.
    """
    period = (beacon.period_ms // _MS_PER_S).to_bytes(4, "big")
    genesis = u64(beacon.genesis_ms // _MS_PER_S)
    suffix = b"" if name == "default" else name.encode()
    return sha256(period, genesis, beacon.public_key, genesis_seed, suffix)


# ---------------------------------------------------------------- the answers, without any I/O


class Version(Enum):
    """Of drand's API; they differ in the fields of an answer."""

    V1 = auto()
    V2 = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request gets."""

    status: int
    body: bytes
    cache: str = _NOT_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The request is for a round that the book should have: look, and ask `ChainApi.found`."""

    number: Round
    version: Version
    cache: str


@dataclass(frozen=True, slots=True)
class Hold:
    """The request is for a round to come: hold it until the book has that one or a later."""

    number: Round


def _json_reply(value: object, *, status: int = 200, cache: str = _NOT_KEPT) -> Reply:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(status=status, body=body, cache=cache)


def _error(status: int, reason: str) -> Reply:
    return _json_reply({"error": reason}, status=status)


class ChainApi:
    """What each path of one chain's API gets."""

    def __init__(self, beacon: Beacon, name: str) -> None:
        """Describe the chain.

        Args:
            beacon: Its key and clock; genesis and period in whole seconds.
            name: drand's `beaconID`, such as `council`; the chain hash depends on it.

        Raises:
            ValueError: drand's API, which counts whole seconds, cannot tell of this genesis or
                period; or the name does not fit a path.
        """
        if beacon.period_ms % _MS_PER_S or beacon.genesis_ms % _MS_PER_S:
            raise ValueError("genesis and period must be whole seconds, as in drand's API")
        if not _NAME.fullmatch(name):
            raise ValueError(f"a beacon's name is like quicknet or evm-test, got {name!r}")
        self._beacon = beacon
        self.name = name
        self._seed = genesis_seed_of(beacon.public_key, name)
        self.chain_hash = chain_hash_of(beacon, name, self._seed)
        self._chain = self.chain_hash.hex()

    def info(self, version: Version) -> dict[str, object]:
        """Return the chain's description as drand gives it."""
        common: dict[str, object] = {
            "public_key": self._beacon.public_key.hex(),
            "period": self._beacon.period_ms // _MS_PER_S,
            "genesis_time": self._beacon.genesis_ms // _MS_PER_S,
            "genesis_seed": self._seed.hex(),
        }
        match version:
            case Version.V1:
                return common | {
                    "hash": self._chain,
                    "groupHash": self._seed.hex(),
                    "schemeID": SCHEME,
                    "metadata": {"beaconID": self.name},
                }
            case Version.V2:
                return common | {
                    "chain_hash": self._chain,
                    "scheme": SCHEME,
                    "beacon_id": self.name,
                }

    def answer(self, path: str, *, due: Round, latest: Round) -> Reply | Lookup | Hold:
        """Return what a GET of a path gets now.

        Args:
            path: As requested; a query (drand's clients send one against caches) is ignored.
            due: The last round due by the clock.
            latest: The highest round the book has.
        """
        match path.partition("?")[0].strip("/").split("/"):
            case ["chains"] | ["v2", "chains"]:
                return _json_reply([self._chain])
            case ["v2", "beacons"]:
                return _json_reply([self.name])
            case ["v2", "chains", self._chain, *rest] | ["v2", "beacons", self.name, *rest]:
                return self._of_chain(rest, Version.V2, due=due, latest=latest)
            case [self._chain, *rest] | rest:
                return self._of_chain(rest, Version.V1, due=due, latest=latest)

    def _of_chain(
        self, parts: list[str], version: Version, *, due: Round, latest: Round
    ) -> Reply | Lookup | Hold:
        match parts, version:
            case ["info"], _:
                return _json_reply(self.info(version), cache=_FOREVER)
            case ["health"], _:
                status = 200 if latest + BEHIND_ROUNDS_MAX >= due else 503
                return _json_reply({"current": latest, "expected": due}, status=status)
            case (["public", "latest"], Version.V1) | (["rounds", "latest"], Version.V2):
                lookup = Lookup(number=latest, version=version, cache=_NOT_KEPT)
                return lookup if latest else Hold(Round(1))
            case (["public", which], Version.V1) | (["rounds", which], Version.V2):
                return _numbered(which, version, due=due, latest=latest)
            case _:
                return _error(404, "no such page or chain")

    def found(self, lookup: Lookup, signature: bytes | None) -> Reply:
        """Return the answer to what was looked up.

        Args:
            lookup: From `answer`.
            signature: What the book gave for its number.
        """
        if signature is None:
            return _error(404, f"round {lookup.number} is not kept here")
        value: dict[str, object] = {"round": lookup.number, "signature": signature.hex()}
        if lookup.version is Version.V1:
            value["randomness"] = sha256(signature).hex()
        return _json_reply(value, cache=lookup.cache)


def _numbered(which: str, version: Version, *, due: Round, latest: Round) -> Reply | Lookup | Hold:
    if not _NUMBER.fullmatch(which):
        return _error(400, "a round is a number from 1")
    number = Round(int(which))
    if number <= latest:
        return Lookup(number=number, version=version, cache=_FOREVER)
    return Hold(number) if number <= due + 1 else _error(404, "round not due")


# ---------------------------------------------------------------- connections


class _Server:
    """Connections and waiters of one chain's API."""

    def __init__(self, book: RoundBook, beacon: Beacon, api: ChainApi, clock: WallClock) -> None:
        self._book = book
        self._beacon = beacon
        self._api = api
        self._clock = clock
        self._connections = 0
        self._waiters = 0

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer one connection's requests, one after the other."""
        async with stream:
            if self._connections >= CONNECTIONS_MAX:
                return
            self._connections += 1
            try:
                await self._converse(stream)
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                pass  # gone, or too slow to matter
            finally:
                self._connections -= 1

    async def _converse(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        while http.our_state is not h11.MUST_CLOSE:
            method = b""
            try:
                with trio.fail_after(IDLE_S):
                    request = await _next_request(http, stream)
                    if request is None:
                        return
                    method = request.method
                    await _drop_body(http, stream)
            except h11.RemoteProtocolError as error:
                if http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    reply = _error(error.error_status_hint, "bad request")
                    await _send(http, stream, reply, method=method)
                return
            reply = await self._answer(request, http, stream)
            await _send(http, stream, reply, method=method)
            if http.their_state is not h11.DONE or http.our_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(
        self, request: h11.Request, http: h11.Connection, stream: trio.SocketStream
    ) -> Reply:
        if request.method not in {b"GET", b"HEAD"}:
            return _error(405, "only GET")
        path = request.target.decode("ascii", "replace")
        asked = self._asked(path)
        if isinstance(asked, Hold):
            if self._waiters >= WAITERS_MAX:
                return _error(503, "too many wait for a round")
            await self._hold(asked.number, http, stream)
            asked = self._asked(path)
        match asked:
            case Reply():
                return asked
            case Lookup(number=number):
                return self._api.found(asked, await self._book.get(number))
            case Hold(number):
                return _error(503, f"round {number} is late")

    def _asked(self, path: str) -> Reply | Lookup | Hold:
        due = self._beacon.last_due(self._clock.unix_ms())
        return self._api.answer(path, due=due, latest=self._book.latest())

    async def _hold(self, number: Round, http: h11.Connection, stream: trio.SocketStream) -> None:
        """Return once the book has the round, or when it is late, or nobody waits any more."""
        wait_ms = max(0, self._beacon.due_ms(number) - self._clock.unix_ms())
        self._waiters += 1
        try:
            # By trio's clock from here on: that one is not set back.
            with trio.move_on_after(wait_ms / _MS_PER_S + LATE_S):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_notice_hangup, http, stream, nursery.cancel_scope)
                    await self._book.wait(number)
                    nursery.cancel_scope.cancel()
        finally:
            self._waiters -= 1


async def _notice_hangup(
    http: h11.Connection, stream: trio.SocketStream, waiting: trio.CancelScope
) -> None:
    """Cancel the wait if the peer hangs up: while a beacon stalls, clients give up and come back."""
    try:
        received = await stream.receive_some(_READ_BYTES)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        received = b""
    if received:
        http.receive_data(received)  # its next request; from here on its hang-up goes unnoticed
    else:
        waiting.cancel()


async def _next_request(http: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """Read one request without its body; `None` when the peer has closed."""
    while True:
        event = await _next_event(http, stream)
        if isinstance(event, h11.Request):
            return event
        if isinstance(event, h11.ConnectionClosed):
            return None


async def _drop_body(http: h11.Connection, stream: trio.SocketStream) -> None:
    while not isinstance(await _next_event(http, stream), h11.EndOfMessage):
        pass


async def _next_event(http: h11.Connection, stream: trio.SocketStream) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await stream.receive_some(_READ_BYTES))
    return event


async def _send(
    http: h11.Connection, stream: trio.SocketStream, reply: Reply, *, method: bytes
) -> None:
    """Answer a request; HEAD, which load balancers look with, gets no body."""
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(reply.body))),
        ("Cache-Control", reply.cache),
        # Everything here is public; without this no page in a browser could verify a round.
        ("Access-Control-Allow-Origin", "*"),
    ]
    events: list[h11.Event] = [h11.Response(status_code=reply.status, headers=headers)]
    if method != b"HEAD":
        events.append(h11.Data(data=reply.body))
    events.append(h11.EndOfMessage())
    with trio.fail_after(IDLE_S):
        await stream.send_all(b"".join(http.send(event) or b"" for event in events))


async def serve_rounds(  # noqa: PLR0917  # `nursery.start` passes no names
    book: RoundBook,
    beacon: Beacon,
    name: str,
    host: str,
    port: int,
    clock: WallClock,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a chain's rounds in drand's HTTP API until cancelled.

    Memory is bounded by `CONNECTIONS_MAX`, `WAITERS_MAX` and `HEAD_BYTES_MAX`; who comes on top is
    turned away. An exception of the book ends the server.

    Args:
        book: The rounds; it decides what is known.
        beacon: The chain's key and clock; genesis and period in whole seconds.
        name: drand's `beaconID`, such as `council`.
        host: Address to listen on.
        port: Port, 0 for any.
        clock: Decides which round is held for, which refused, and what `/health` expects.
        task_status: Started with the port once it listens.

    Raises:
        ValueError: The beacon is not in whole seconds, or the name does not fit a path.
        OSError: The port is taken.
    """
    api = ChainApi(beacon, name)
    listeners = await trio.open_tcp_listeners(port, host=host)
    bound = listeners[0].socket.getsockname()[1]
    log.info("rounds served", beacon=name, address=f"{host}:{bound}", chain=api.chain_hash.hex())
    task_status.started(bound)
    await trio.serve_listeners(_Server(book, beacon, api, clock).serve, listeners)
