"""The solo beacon: never early, true to drand's clients, and a process that says what is wrong."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import trio
from hypothesis import given, strategies as st

from stkrp2p.adapters import drand_server, solo
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand import DrandBeacons
from stkrp2p.adapters.drand_server import ChainApi, RoundBook
from stkrp2p.adapters.keys import create_bls_key
from stkrp2p.adapters.solo import SoloRounds, serve_solo
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, verified
from stkrp2p.core.crypto import sha256
from stkrp2p.core.types import Round, UnixMs
from stkrp2p.ports import WallClock
from tests.adapters.drand_kit import (
    FrozenClock,
    clock_at,
    judged,
    needs_drands_clients,
    serving,
)

SECRET = bls.secret_of(b"solo beacon of the tests".ljust(48, b"."))
PUBLIC_KEY = bls.public_key_of(SECRET)
GENESIS_MS = UnixMs(1_767_225_600_000)


def beacon_of(*, genesis_ms: int = GENESIS_MS, period_ms: int = 1_000) -> Beacon:
    return Beacon(public_key=PUBLIC_KEY, genesis_ms=UnixMs(genesis_ms), period_ms=period_ms)


def due_ms(number: int) -> int:
    return beacon_of().due_ms(Round(number))


def serving_solo(clock: WallClock, beacon: Beacon | None = None):
    return serving(serve_solo, SECRET, beacon or beacon_of(), "127.0.0.1", 0, clock)


def is_a_book(rounds: SoloRounds) -> RoundBook:
    """Let the type checker see that the beacon fits."""
    return rounds


# ---------------------------------------------------------------------------- without a socket


@given(st.integers(-1, 1000), st.integers(-5_000, 1_000_000))
def test_no_round_is_ever_signed_before_it_is_due(number: int, offset_ms: int) -> None:
    beacon = beacon_of()
    rounds = SoloRounds(SECRET, beacon, FrozenClock(GENESIS_MS + offset_ms))
    assert rounds.latest() == max(0, offset_ms // 1000 + 1)
    signature = rounds.signed(Round(number))
    if 1 <= number <= rounds.latest():
        assert signature is not None
        assert verified(beacon, Round(number), signature).number == number
    else:
        assert signature is None


async def test_waiting_ends_when_the_round_is_due_and_not_before(autojump_clock) -> None:
    clock = FrozenClock(due_ms(8) - 2_500)
    rounds = SoloRounds(SECRET, beacon_of(), clock)
    with trio.move_on_after(100) as impatient:
        await rounds.wait(Round(8))
    assert impatient.cancelled_caught
    clock.now_ms = due_ms(8)
    await rounds.wait(Round(8))


def test_a_secret_that_is_not_the_beacons_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the secret is not that of the beacon's public key$"):
        SoloRounds(SECRET + 1, beacon_of(), SystemClock())


# ---------------------------------------------------------------------------- over sockets


async def test_the_chain_is_called_solo() -> None:
    async with serving_solo(clock_at(due_ms(8) + 100)) as client:
        info = (await client.get("/info")).json()
        assert info["metadata"] == {"beaconID": "solo"}
        assert info["hash"] == ChainApi(beacon_of(), "solo").chain_hash.hex()
        assert info["genesis_seed"] == sha256(b"stkr/solo/1", PUBLIC_KEY).hex()
        health = await client.get("/health")
        assert health.status_code == 200
        assert health.json()["current"] == health.json()["expected"] >= 8


async def test_the_next_round_is_held_until_it_is_due_and_later_ones_are_not() -> None:
    slow = beacon_of(period_ms=60_000)
    clock = FrozenClock(slow.due_ms(Round(8)) - 200)
    async with serving_solo(clock, slow) as client, trio.open_nursery() as nursery:

        async def hold() -> None:
            signature = bytes.fromhex((await client.get("/public/8")).json()["signature"])
            assert clock.now_ms >= slow.due_ms(Round(8))
            assert verified(slow, Round(8), signature).number == 8

        nursery.start_soon(hold)
        assert (await client.get("/public/9")).status_code == 404
        await trio.sleep(0.3)  # longer than the server believed it had to wait
        clock.now_ms = slow.due_ms(Round(8))


async def test_a_clock_set_back_while_a_round_is_held_gives_nothing_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drand_server, "LATE_S", 0.5)
    clock = FrozenClock(due_ms(8) - 1)
    async with serving_solo(clock) as client, trio.open_nursery() as nursery:

        async def hold() -> None:
            answer = await client.get("/public/8")
            assert answer.status_code in {404, 503}
            assert "signature" not in answer.text

        nursery.start_soon(hold)
        await client.get("/health")  # by now the other is on its way
        clock.now_ms -= 100_000


async def test_a_nodes_client_follows_the_solo_beacon() -> None:
    clock = clock_at(due_ms(8) - 200)
    async with serving_solo(clock) as client:
        url = str(client.base_url).rstrip("/")
        for endpoint in (url, f"{url}/{ChainApi(beacon_of(), 'solo').chain_hash.hex()}"):
            beacons = DrandBeacons(beacon_of(), [endpoint], client=client, clock=clock)
            await beacons.check_info()
            for number in (1, 7, 8):
                signature = await beacons.fetch(Round(number))
                assert verified(beacon_of(), Round(number), signature)


@needs_drands_clients
async def test_drands_own_clients_verify_what_the_solo_beacon_serves() -> None:
    clock = SystemClock()
    beacon = beacon_of(genesis_ms=clock.unix_ms() // 1000 * 1000 - 60_000)
    async with serving_solo(clock, beacon) as client:
        url = str(client.base_url).rstrip("/")
        chain = ChainApi(beacon, "solo").chain_hash.hex()
        said = await judged(url, chain, PUBLIC_KEY.hex())
        assert said["health"]["status"] == 200
        for seen in [*said["rounds"], *said["live"]]:
            ours = (await client.get(f"/public/{seen['round']}")).json()
            assert seen["randomness"] == ours["randomness"]
        assert said["live"][-1]["round"] <= beacon.last_due(clock.unix_ms())


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
