"""Clocks, servers and drand's own JavaScript clients, for the tests of whoever serves rounds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.core.types import UnixMs

JS = Path(__file__).parent / "js-drand"

JUDGE_S_MAX = 120
"""The judge takes some five periods and a few seconds; a busy machine is no fault."""

has_drands_clients = "CI" in os.environ or (
    (JS / "node_modules" / "tlock-js").is_dir() and shutil.which("node") is not None
)

needs_drands_clients = pytest.mark.skipif(
    not has_drands_clients,
    reason="drand's JavaScript clients are not installed: ./run setup",
)


async def judged(url: str, chain_hash: str, public_key: str) -> Any:
    """Return what drand's own clients say of a chain; they raise at whatever does not verify."""
    command = ["node", str(JS / "judge.mjs"), url, chain_hash, public_key]
    with trio.fail_after(JUDGE_S_MAX):
        done = await trio.run_process(
            command, capture_stdout=True, capture_stderr=True, check=False
        )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


class ShiftedClock:
    """The real clock, so many milliseconds ahead."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms
        self._clock = SystemClock()

    def unix_ms(self) -> UnixMs:
        return UnixMs(self._clock.unix_ms() + self.ahead_ms)


class FrozenClock:
    """A clock that stands still until it is set."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def unix_ms(self) -> UnixMs:
        return UnixMs(self.now_ms)


def clock_at(unix_ms: int) -> ShiftedClock:
    """Return a clock that shows this time now, and goes on."""
    return ShiftedClock(unix_ms - SystemClock().unix_ms())


@asynccontextmanager
async def serving(
    serve: Callable[..., Any], *arguments: object
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a server that is started with its port; yields a client that knows where."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve, *arguments)
        limits = httpx.Limits(max_connections=1_000)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
            yield client
        nursery.cancel_scope.cancel()


async def connected(client: httpx.AsyncClient) -> trio.SocketStream:
    """Connect to where the client asks, without HTTP."""
    host, port = client.base_url.host, client.base_url.port
    assert port is not None
    return await trio.open_tcp_stream(host, port)


async def end_of(stream: trio.SocketStream) -> bytes:
    """Return all that still comes, and close."""
    received = b""
    async with stream:
        with suppress(trio.BrokenResourceError):
            while more := await stream.receive_some():
                received += more
    return received
