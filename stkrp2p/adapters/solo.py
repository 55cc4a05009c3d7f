"""A beacon of one key, for local development: signs each round when it is due, as drand serves it.

Whoever holds the key knows every future round, so no network of strangers may use it. It speaks
drand's HTTP API (`/info`, `/public/…`, `/chains`, `/health`, each also under the chain hash), so
nodes and drand's own clients use it like any other endpoint:

    python -m stkrp2p.adapters.solo --key beacon.key --genesis-ms 1767225600000 --period-ms 1000 \
        --listen 127.0.0.1:8800
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import h11
import structlog
import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand import SCHEME
from stkrp2p.adapters.keys import KeyFileError, load_bls_key
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, round_message
from stkrp2p.core.crypto import sha256, u64
from stkrp2p.core.types import Digest, Round, UnixMs
from stkrp2p.ports import WallClock

log = structlog.get_logger()

BEACON_NAME = "solo"

CONNECTIONS_MAX = 512
"""Connections held; one more is closed at once."""

WAITERS_MAX = 256
"""Questions held for the next round; one more gets 503."""

HEAD_BYTES_MAX = 8 * 1024
"""Largest request line with headers."""

IDLE_S = 30
"""A connection without a whole question for so long is closed."""

_MS_PER_S: Final = 1000
_STEP_MS: Final = 1000
_READ_BYTES: Final = 4096
_NUMBER = re.compile(r"[1-9][0-9]{0,14}")
_FOREVER = "public, max-age=31536000, immutable"
_NOT_KEPT = "no-store"


def genesis_seed_of(public_key: bytes) -> Digest:
    """Return what drand calls the genesis seed; here a hash of the key."""
    return sha256(b"stkr/solo/1", public_key)


def chain_hash_of(beacon: Beacon, name: str, genesis_seed: bytes) -> Digest:
    """Return drand's hash of a chain.

    SHA-256 of period (4 bytes) and genesis (8), both big-endian seconds, the key, the genesis seed,
    and the beacon's name unless that is `default`.
    """
    period = (beacon.period_ms // _MS_PER_S).to_bytes(4, "big")
    genesis = u64(beacon.genesis_ms // _MS_PER_S)
    suffix = b"" if name == "default" else name.encode()
    return sha256(period, genesis, beacon.public_key, genesis_seed, suffix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a request gets."""

    status: int
    body: bytes
    cache: str = _NOT_KEPT


@dataclass(frozen=True, slots=True)
class Hold:
    """The request is for the next round: hold it until that is due."""

    number: Round


def _json_reply(value: object, *, status: int = 200, cache: str = _NOT_KEPT) -> Reply:
    body = json.dumps(value, separators=(",", ":")).encode()
    return Reply(status=status, body=body, cache=cache)


def _error(status: int, reason: str) -> Reply:
    return _json_reply({"error": reason}, status=status)


class SoloBeacon:
    """The answers, without any I/O."""

    def __init__(self, secret: int, beacon: Beacon) -> None:
        """Bind the key.

        Raises:
            ValueError: The secret is not the beacon's, or drand's API, which counts whole seconds,
                cannot tell of this genesis or period.
        """
        if bls.public_key_of(secret) != beacon.public_key:
            raise ValueError("the secret is not that of the beacon's public key")
        if beacon.period_ms % _MS_PER_S or beacon.genesis_ms % _MS_PER_S:
            raise ValueError("genesis and period must be whole seconds, as in drand's API")
        self._secret = secret
        self.beacon = beacon
        self._seed = genesis_seed_of(beacon.public_key)
        self.chain_hash = chain_hash_of(beacon, BEACON_NAME, self._seed)

    def info(self) -> dict[str, object]:
        """Return the chain's description as drand gives it."""
        return {
            "public_key": self.beacon.public_key.hex(),
            "period": self.beacon.period_ms // _MS_PER_S,
            "genesis_time": self.beacon.genesis_ms // _MS_PER_S,
            "genesis_seed": self._seed.hex(),
            "hash": self.chain_hash.hex(),
            "groupHash": self._seed.hex(),
            "schemeID": SCHEME,
            "metadata": {"beaconID": BEACON_NAME},
        }

    def signed(self, number: Round, now_ms: UnixMs) -> bytes:
        """Return a round's signature.

        Raises:
            ValueError: The round is not due: signing it early would give the future away.
        """
        if not 1 <= number <= self.beacon.last_due(now_ms):
            raise ValueError(f"round {number} is not due")
        return bls.sign(self._secret, round_message(number), bls.ROUND_DST)

    def reply(self, path: str, now_ms: UnixMs) -> Reply | Hold:
        """Return what a GET of a path gets now."""
        match path.partition("?")[0].strip("/").split("/"):
            case ["chains"]:
                return _json_reply([self.chain_hash.hex()])
            case ["health"]:
                current = self.beacon.last_due(now_ms)
                return _json_reply({"current": current, "expected": current})
            case ["info"]:
                return _json_reply(self.info(), cache=_FOREVER)
            case ["public", which]:
                return self._public(which, now_ms)
            case [chain, *rest] if rest and chain == self.chain_hash.hex():
                return self.reply("/".join(rest), now_ms)
            case _:
                return _error(404, "no such page or chain")

    def _public(self, which: str, now_ms: UnixMs) -> Reply | Hold:
        last = self.beacon.last_due(now_ms)
        if which == "latest":
            return self._round(last, now_ms, cache=_NOT_KEPT) if last else Hold(Round(1))
        if not _NUMBER.fullmatch(which):
            return _error(400, "a round is a number from 1")
        number = Round(int(which))
        if number == last + 1:
            return Hold(number)
        if number > last:
            return _error(404, "round not due")
        return self._round(number, now_ms, cache=_FOREVER)

    def _round(self, number: Round, now_ms: UnixMs, *, cache: str) -> Reply:
        signature = self.signed(number, now_ms)
        value = {
            "round": number,
            "randomness": sha256(signature).hex(),
            "signature": signature.hex(),
        }
        return _json_reply(value, cache=cache)


class _Server:
    """Connections and waiters of one solo beacon."""

    def __init__(self, solo: SoloBeacon, clock: WallClock) -> None:
        self._solo = solo
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
            try:
                with trio.fail_after(IDLE_S):
                    request = await _next_request(http, stream)
            except h11.RemoteProtocolError as error:
                if http.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await _send(http, stream, _error(error.error_status_hint, "bad request"))
                return
            if request is None:
                return
            await _send(http, stream, await self._answer(request))
            if http.their_state is not h11.DONE or http.our_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(self, request: h11.Request) -> Reply:
        if request.method != b"GET":
            return _error(405, "only GET")
        path = request.target.decode("ascii", "replace")
        reply = self._solo.reply(path, self._clock.unix_ms())
        if isinstance(reply, Reply):
            return reply
        if self._waiters >= WAITERS_MAX:
            return _error(503, "too many wait for this round")
        self._waiters += 1
        try:
            await self._wait_for(reply.number)
        finally:
            self._waiters -= 1
        held = self._solo.reply(path, self._clock.unix_ms())
        return held if isinstance(held, Reply) else _error(503, "the clock was set back")

    async def _wait_for(self, number: Round) -> None:
        """Return once the round is due, or after a period and a bit if the clock is set back."""
        beacon = self._solo.beacon
        latest = trio.current_time() + beacon.period_ms / _MS_PER_S + 1
        while (wait_ms := beacon.due_ms(number) - self._clock.unix_ms()) > 0:
            if trio.current_time() > latest:
                return
            # In short steps: the clock may be set while we wait.
            await trio.sleep(min(wait_ms, _STEP_MS) / _MS_PER_S)


async def _next_request(http: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """Read one whole request, its body dropped; `None` when the peer has closed."""
    request: h11.Request | None = None
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await stream.receive_some(_READ_BYTES))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.EndOfMessage):
            return request
        elif isinstance(event, h11.ConnectionClosed):
            return None


async def _send(http: h11.Connection, stream: trio.SocketStream, reply: Reply) -> None:
    headers = [
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(reply.body))),
        ("Cache-Control", reply.cache),
    ]
    events: list[h11.Event] = [h11.Response(status_code=reply.status, headers=headers)]
    events += [h11.Data(data=reply.body), h11.EndOfMessage()]
    with trio.fail_after(IDLE_S):
        await stream.send_all(b"".join(http.send(event) or b"" for event in events))


async def serve_solo(
    secret: int,
    beacon: Beacon,
    host: str,
    port: int,
    clock: WallClock,
    *,
    task_status: trio.TaskStatus[int] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a solo beacon until cancelled.

    Args:
        secret: The beacon's secret scalar.
        beacon: Its key and clock; genesis and period in whole seconds.
        host: Address to listen on.
        port: Port, 0 for any.
        clock: Decides when a round is due; a clock that is ahead gives the future away.
        task_status: Started with the port once it listens.

    Raises:
        ValueError: The secret is not the beacon's, or the beacon is not in whole seconds.
        OSError: The port is taken.
    """
    solo = SoloBeacon(secret, beacon)
    listeners = await trio.open_tcp_listeners(port, host=host)
    bound = listeners[0].socket.getsockname()[1]
    log.warning(
        "solo beacon: for LOCAL DEVELOPMENT ONLY, its key foretells every round",
        address=f"{host}:{bound}",
        chain=solo.chain_hash.hex(),
    )
    task_status.started(bound)
    await trio.serve_listeners(_Server(solo, clock).serve, listeners)


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m stkrp2p.adapters.solo")
    parser.description = (
        "Serve a beacon of one key in drand's HTTP API. For local development only."
    )
    parser.add_argument("--key", type=Path, required=True, help="file of the BLS secret, mode 0600")
    parser.add_argument(
        "--genesis-ms", type=int, required=True, help="when round 1 is due, Unix ms"
    )
    parser.add_argument("--period-ms", type=int, required=True, help="whole seconds")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    return parser.parse_args(argv)


async def _serve_until_signal(serve: Callable[..., Awaitable[None]]) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve)
            async for _ in signals:
                nursery.cancel_scope.cancel()


def main(argv: Sequence[str]) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit code."""
    arguments = _arguments(argv)
    _log_to_stderr()
    host, _, port = arguments.listen.rpartition(":")
    try:
        key = load_bls_key(arguments.key)
        beacon = Beacon(
            public_key=key.public_key,
            genesis_ms=UnixMs(arguments.genesis_ms),
            period_ms=arguments.period_ms,
        )
        serve = partial(
            serve_solo, key.scalar(), beacon, host.strip("[]"), int(port), SystemClock()
        )
        trio.run(_serve_until_signal, serve, strict_exception_groups=False)
    except (KeyFileError, ValueError, OSError) as error:
        log.error("solo beacon cannot serve", fault=str(error))  # noqa: TRY400  # for people
        return 2
    return 0


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
