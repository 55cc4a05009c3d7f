"""The solo beacon: never early, and drand's HTTP API over real sockets."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import trio
from hypothesis import given, strategies as st

from stkrp2p.adapters import solo
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand import DrandBeacons
from stkrp2p.adapters.keys import create_bls_key
from stkrp2p.adapters.solo import Hold, Reply, SoloBeacon, chain_hash_of, serve_solo
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.ports import WallClock

SECRET = bls.secret_of(b"solo beacon of the tests".ljust(48, b"."))
PUBLIC_KEY = bls.public_key_of(SECRET)
GENESIS_MS = UnixMs(1_767_225_600_000)


def beacon_of(*, genesis_ms: int = GENESIS_MS, period_ms: int = 1_000) -> Beacon:
    return Beacon(public_key=PUBLIC_KEY, genesis_ms=UnixMs(genesis_ms), period_ms=period_ms)


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


def due_ms(number: int) -> int:
    return beacon_of().due_ms(Round(number))


@asynccontextmanager
async def serving(clock: WallClock, beacon: Beacon | None = None):
    """Serve the beacon; yields a client that knows where."""
    async with trio.open_nursery() as nursery:
        port = await nursery.start(serve_solo, SECRET, beacon or beacon_of(), "127.0.0.1", 0, clock)
        limits = httpx.Limits(max_connections=1_000)
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=30) as client:
            yield client
        nursery.cancel_scope.cancel()


# ---------------------------------------------------------------------------- without a socket


def test_the_chain_hash_is_drands() -> None:
    quicknet = Beacon(
        public_key=bytes.fromhex(
            "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c8c4b450b6a0a6c3ac6a5776a2d106451"
            "0d1fec758c921cc22b0e17e63aaf4bcb5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
        ),
        genesis_ms=UnixMs(1_692_803_367_000),
        period_ms=3_000,
    )
    seed = bytes.fromhex("f477d5c89f21a17c863a7f937c6a6d15859414d2be09cd448d4279af331c5d3e")
    expected = "52db9ba70e0cc0f6eaf7803dd07447a1f5477735fd3f661792ba94600c84e971"
    assert chain_hash_of(quicknet, "quicknet", seed).hex() == expected


numbers = st.integers(1, 1000)
offsets = st.integers(-5_000, 1_000_000)


@given(numbers, offsets)
def test_no_round_is_ever_signed_before_it_is_due(number: int, offset_ms: int) -> None:
    beacon = SoloBeacon(SECRET, beacon_of())
    now_ms = UnixMs(GENESIS_MS + offset_ms)
    last = beacon.beacon.last_due(now_ms)
    reply = beacon.reply(f"/public/{number}", now_ms)
    if number <= last:
        assert isinstance(reply, Reply)
        answer = json.loads(reply.body)
        made = verified(beacon.beacon, Round(number), bytes.fromhex(answer["signature"]))
        assert answer["randomness"] == made.randomness.hex()
        assert reply.cache == "public, max-age=31536000, immutable"
    else:
        with pytest.raises(ValueError, match=f"^round {number} is not due$"):
            beacon.signed(Round(number), now_ms)
        if number == last + 1:
            assert reply == Hold(Round(number))
        else:
            assert isinstance(reply, Reply)
            assert (reply.status, json.loads(reply.body)) == (404, {"error": "round not due"})


@given(offsets)
def test_latest_is_the_last_round_due(offset_ms: int) -> None:
    beacon = SoloBeacon(SECRET, beacon_of())
    now_ms = UnixMs(GENESIS_MS + offset_ms)
    reply = beacon.reply("/public/latest", now_ms)
    if offset_ms < 0:
        assert reply == Hold(Round(1))
    else:
        assert isinstance(reply, Reply)
        assert json.loads(reply.body)["round"] == offset_ms // 1000 + 1
        assert reply.cache == "no-store"


@given(st.text(max_size=30) | st.from_regex(r"/public/[0-9+\-a-f.]{0,20}", fullmatch=True))
def test_any_path_has_an_answer(path: str) -> None:
    beacon = SoloBeacon(SECRET, beacon_of())
    assert isinstance(beacon.reply(path, UnixMs(GENESIS_MS + 5_500)), Reply | Hold)


@pytest.mark.parametrize("which", ["0", "-1", "+1", "01", "1.0", "0x1", "", "٣", "9" * 400])
def test_a_round_that_is_no_number_from_one_is_refused(which: str) -> None:
    reply = SoloBeacon(SECRET, beacon_of()).reply(f"/public/{which}", UnixMs(GENESIS_MS + 10**9))
    assert isinstance(reply, Reply)
    assert reply.status in {400, 404}


def test_a_beacon_that_drands_api_cannot_describe_is_refused() -> None:
    for beacon in (beacon_of(period_ms=500), beacon_of(genesis_ms=GENESIS_MS + 1)):
        with pytest.raises(ValueError, match="must be whole seconds"):
            SoloBeacon(SECRET, beacon)
    with pytest.raises(ValueError, match=r"^the secret is not that of the beacon's public key$"):
        SoloBeacon(SECRET + 1, beacon_of())


# ---------------------------------------------------------------------------- over sockets


async def test_the_api_is_drands() -> None:
    async with serving(clock_at(due_ms(8) + 100)) as client:
        info = (await client.get("/info")).json()
        assert info == {
            "public_key": PUBLIC_KEY.hex(),
            "period": 1,
            "genesis_time": GENESIS_MS // 1000,
            "genesis_seed": sha256(b"stkr/solo/1", PUBLIC_KEY).hex(),
            "hash": SoloBeacon(SECRET, beacon_of()).chain_hash.hex(),
            "groupHash": info["genesis_seed"],
            "schemeID": "bls-unchained-g1-rfc9380",
            "metadata": {"beaconID": "solo"},
        }
        chain = info["hash"]
        assert (await client.get("/chains")).json() == [chain]
        assert (await client.get(f"/{chain}/info")).json() == info
        first = await client.get("/public/1")
        assert (await client.get(f"/{chain}/public/1")).json() == first.json()
        assert first.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert first.headers["content-type"] == "application/json"
        health = (await client.get("/health")).json()
        assert health["current"] == health["expected"] >= 8
        latest = await client.get("/public/latest")
        assert latest.json()["round"] >= 8
        assert latest.headers["cache-control"] == "no-store"
        for path in ("/", "/nothing", f"/{'0' * 64}/info", f"/{chain}", "/public", "/public/1/2"):
            assert (await client.get(path)).status_code == 404, path
        assert (await client.post("/info")).status_code == 405


async def test_the_next_round_is_held_until_it_is_due_and_later_ones_are_not() -> None:
    slow = beacon_of(period_ms=60_000)
    clock = FrozenClock(slow.due_ms(Round(8)) - 200)
    async with serving(clock, slow) as client, trio.open_nursery() as nursery:

        async def hold() -> None:
            signature = bytes.fromhex((await client.get("/public/8")).json()["signature"])
            assert clock.now_ms >= slow.due_ms(Round(8))
            assert verified(slow, Round(8), signature).number == 8

        nursery.start_soon(hold)
        assert (await client.get("/public/9")).status_code == 404
        await trio.sleep(0.3)  # longer than the server believed it had to wait
        clock.now_ms = slow.due_ms(Round(8))


async def test_a_clock_set_back_while_a_round_is_held_gives_nothing_away() -> None:
    clock = FrozenClock(due_ms(8) - 1)
    async with serving(clock) as client, trio.open_nursery() as nursery:

        async def hold() -> None:
            answer = await client.get("/public/8")
            assert answer.status_code in {404, 503}
            assert "signature" not in answer.text

        nursery.start_soon(hold)
        await client.get("/health")  # by now the other is on its way
        clock.now_ms -= 100_000


async def test_waiters_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solo, "WAITERS_MAX", 3)
    slow = beacon_of(period_ms=60_000)
    clock = FrozenClock(slow.due_ms(Round(8)) - 1)
    statuses: list[int] = []

    async def ask(client: httpx.AsyncClient) -> None:
        statuses.append((await client.get("/public/8")).status_code)
        if statuses == [503, 503]:
            clock.now_ms = slow.due_ms(Round(8))

    async with serving(clock, slow) as client, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(ask, client)
    assert statuses == [503, 503, 200, 200, 200]


async def test_connections_are_bounded_and_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solo, "CONNECTIONS_MAX", 2)
    async with serving(clock_at(due_ms(8))) as client:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        held = [await trio.open_tcp_stream(host, port) for _ in range(2)]
        for stream in held:  # both are served, not only accepted
            await stream.send_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
        refused = await trio.open_tcp_stream(host, port)
        assert await end_of(refused) == b""
        for stream in held:
            await stream.aclose()
        with trio.fail_after(10):
            while not await is_served(client):  # noqa: ASYNC110  # the server has no event for us
                await trio.sleep(0.01)  # the places are not free yet


async def is_served(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/health")).status_code == 200
    except (httpx.RemoteProtocolError, httpx.ReadError):
        return False


async def end_of(stream: trio.SocketStream) -> bytes:
    """Return all that still comes, and close."""
    received = b""
    async with stream:
        with suppress(trio.BrokenResourceError):
            while more := await stream.receive_some():
                received += more
    return received


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x00\xff garbage\r\n\r\n", b"400"),
        (b"GET /health\r\n\r\n", b"400"),
        (
            b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2 * solo.HEAD_BYTES_MAX + b"\r\n\r\n",
            b"431",
        ),
    ],
    ids=["garbage", "no version", "too large"],
)
async def test_what_is_no_request_is_refused_and_the_server_lives(
    sent: bytes, status: bytes
) -> None:
    async with serving(clock_at(due_ms(8))) as client:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        stream = await trio.open_tcp_stream(host, port)
        await stream.send_all(sent)
        answer = await end_of(stream)
        assert answer.startswith(b"HTTP/1.1 " + status) or answer == b""
        assert (await client.get("/health")).status_code == 200


async def test_a_silent_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solo, "IDLE_S", 0.2)
    async with serving(clock_at(due_ms(8))) as client:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        stream = await trio.open_tcp_stream(host, port)
        await stream.send_all(b"GET /health HTTP/1.1\r\n")
        with trio.fail_after(10):
            assert await end_of(stream) == b""


async def test_a_nodes_client_follows_the_solo_beacon() -> None:
    clock = clock_at(due_ms(8) - 200)
    async with serving(clock) as client:
        url = str(client.base_url).rstrip("/")
        for endpoint in (url, f"{url}/{SoloBeacon(SECRET, beacon_of()).chain_hash.hex()}"):
            beacons = DrandBeacons(beacon_of(), [endpoint], client=client, clock=clock)
            await beacons.check_info()
            for number in (1, 7, 8):
                signature = await beacons.fetch(Round(number))
                assert verified(beacon_of(), Round(number), signature)


# ---------------------------------------------------------------------------- as a process


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def start_process(key: Path, port: int, *, period_ms: int = 1_000) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stkrp2p.adapters.solo", "--key", str(key)]
    command += ["--genesis-ms", str(GENESIS_MS), "--period-ms", str(period_ms)]
    command += ["--listen", f"127.0.0.1:{port}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(solo.__file__).parents[2])}
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)


async def test_the_process_serves_its_key_and_ends_at_a_signal(tmp_path: Path) -> None:
    key = create_bls_key(tmp_path / "beacon.key")
    port = free_port()
    with start_process(tmp_path / "beacon.key", port) as process:
        try:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                latest = await first_answer(client, "/public/latest")
            beacon = Beacon(public_key=key.public_key, genesis_ms=GENESIS_MS, period_ms=1_000)
            number, signature = Round(latest["round"]), bytes.fromhex(latest["signature"])
            assert verified(beacon, number, signature).number == number
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0
    assert "LOCAL DEVELOPMENT ONLY" in said
    assert f"127.0.0.1:{port}" in said
    assert "Traceback" not in said
    assert key.secret.reveal().hex() not in said


async def first_answer(client: httpx.AsyncClient, path: str) -> dict[str, object]:
    with trio.fail_after(60):
        while True:
            try:
                answer: dict[str, object] = (await client.get(path, timeout=30)).json()
            except httpx.ConnectError:
                await trio.sleep(0.05)
            else:
                return answer


@pytest.mark.parametrize("fault", ["loose key", "no key", "half a second", "port taken"])
def test_the_process_says_why_it_cannot_serve(tmp_path: Path, fault: str) -> None:
    create_bls_key(tmp_path / "beacon.key")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1] if fault == "port taken" else 0
        if fault == "loose key":
            (tmp_path / "beacon.key").chmod(0o644)
        name = "nothing.key" if fault == "no key" else "beacon.key"
        period_ms = 500 if fault == "half a second" else 1_000
        process = start_process(tmp_path / name, port, period_ms=period_ms)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    why = {
        "loose key": "run: chmod 600",
        "no key": "No such file or directory",
        "half a second": "must be whole seconds",
        "port taken": "already in use",
    }
    assert why[fault] in said
    assert "Traceback" not in said


# ---------------------------------------------------------------------------- drand's own client

JS = Path(__file__).parent / "js-drand"


@pytest.mark.skipif(
    not (JS / "node_modules" / "drand-client").exists() or shutil.which("node") is None,
    reason="drand's JavaScript client is not installed (npm ci in tests/adapters/js-drand)",
)
async def test_drands_own_client_verifies_what_the_solo_beacon_serves() -> None:
    clock = SystemClock()
    beacon = beacon_of(genesis_ms=clock.unix_ms() // 1000 * 1000 - 60_000)
    async with serving(clock, beacon) as client:
        info = (await client.get("/info")).json()
        following = beacon.last_due(clock.unix_ms()) + 1
        command = ["node", str(JS / "follow.mjs"), str(client.base_url), info["hash"]]
        command += [info["public_key"], str(following)]
        with trio.fail_after(90):
            done = await trio.run_process(command, capture_stdout=True)
        told = json.loads(done.stdout)
        assert [r["round"] for r in told["rounds"]] == [1, 2, following]
        for known in told["rounds"]:
            ours = (await client.get(f"/public/{known['round']}")).json()
            assert known["randomness"] == ours["randomness"]
        assert following <= told["latest"] <= told["roundNow"]
        assert told["roundNow"] <= beacon.last_due(clock.unix_ms())
        assert told["refusesAnotherChain"] is True
