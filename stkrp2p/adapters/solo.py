"""A beacon of one key, for local development: signs each round when it is due, as drand serves it.

Whoever holds the key knows every future round, so no network of strangers may use it. It speaks
drand's HTTP API (`drand_server`), so nodes and drand's own clients use it like any other endpoint:

    python -m stkrp2p.adapters.solo --key beacon.key --genesis-ms 1767225600000 --period-ms 1000 \
        --listen 127.0.0.1:8800
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog
import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand_server import serve_rounds
from stkrp2p.adapters.keys import KeyFileError, load_bls_key
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, round_message
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.ports import WallClock

log = structlog.get_logger()

BEACON_NAME = "solo"

_MS_PER_S: Final = 1000
_STEP_MS: Final = 1000


class SoloRounds:
    """Implements `drand_server.RoundBook`: has every round that is due, and signs when asked."""

    def __init__(self, secret: int, beacon: Beacon, clock: WallClock) -> None:
        """Bind the key.

        Args:
            secret: The beacon's secret scalar.
            beacon: Its key and clock.
            clock: Decides when a round is due; a clock that is ahead gives the future away.

        Raises:
            ValueError: The secret is not the beacon's.
        """
        if bls.public_key_of(secret) != beacon.public_key:
            raise ValueError("the secret is not that of the beacon's public key")
        self._secret = secret
        self._beacon = beacon
        self._clock = clock

    def latest(self) -> Round:
        """Return the last round due."""
        return self._beacon.last_due(self._clock.unix_ms())

    def signed(self, number: Round) -> bytes | None:
        """Return a round's signature, `None` before it is due: it would give the future away."""
        if not 1 <= number <= self.latest():
            return None
        return bls.sign(self._secret, round_message(number), bls.ROUND_DST)

    async def get(self, number: Round) -> bytes | None:
        """Return what `signed` does."""
        return self.signed(number)

    async def wait(self, number: Round) -> None:
        """Return once the round is due."""
        due_ms = self._beacon.due_ms(number)
        # In short steps: the clock may be set while we wait, and gives no event.
        while (wait_ms := due_ms - self._clock.unix_ms()) > 0:  # noqa: ASYNC110
            await trio.sleep(min(wait_ms, _STEP_MS) / _MS_PER_S)


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
    book = SoloRounds(secret, beacon, clock)
    log.warning("solo beacon: for LOCAL DEVELOPMENT ONLY, its key foretells every round")
    await serve_rounds(book, beacon, BEACON_NAME, host, port, clock, task_status=task_status)


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
