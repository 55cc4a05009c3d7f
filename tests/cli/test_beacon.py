"""`stkrp2p beacon`: what it shows is verified, and where it comes from is said."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import pytest
import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.solo import serve_solo
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.config import dump_network
from stkrp2p.core.beacon import BeaconRound
from stkrp2p.core.types import Round, UnixMs
from tests.cli.background import in_background
from tests.cli.world import BEACON_SECRET, World, make_node

LATER_MS = 2_000_000_000_000


@contextmanager
def served(beacon):
    """Serve a beacon's rounds as drand does; gives the URL."""

    async def start(nursery):
        return await nursery.start(serve_solo, BEACON_SECRET, beacon, "127.0.0.1", 0, SystemClock())

    with in_background(start) as port:
        yield f"http://127.0.0.1:{port}"


def test_a_round_in_the_store_is_shown(played, world, run):
    ran = run("beacon", "show", "12", "--config", played)
    value = world.round(Round(12))
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == (
        "round       12, due 2023-11-14 22:13:31 UTC\n"
        f"signature   {value.signature.hex()}\n"
        f"randomness  {value.randomness.hex()}\n"
        "source      store\n"
        "verified\n"
    )
    assert run("beacon", "show", "12", "--json", "--config", played).json() == {
        "schema": "beacon-round/1",
        "round": 12,
        "due_ms": 1_700_000_011_000,
        "signature": value.signature.hex(),
        "randomness": value.randomness.hex(),
        "source": "store",
    }


def test_a_round_that_nobody_has_is_said_so(played, run):
    ran = run("beacon", "show", "9", "--config", played)
    assert (ran.code, ran.err) == (
        1,
        "error: nobody here has round 9\n"
        '  why: it is not in the store, and the setting "beacons" is empty\n'
        "  next: set beacons to drand endpoints of the network's chain\n",
    )


def test_the_newest_round_is_shown_unless_one_is_named(tmp_path, run, monkeypatch):
    now_ms = SystemClock().unix_ms()
    world = World()
    beacon = replace(
        world.genesis.beacon, genesis_ms=UnixMs(now_ms // 1000 * 1000 - 3_600_000), period_ms=60_000
    )
    world.genesis = replace(world.genesis, beacon=beacon)
    config = make_node(world, tmp_path / "node", epochs=0)
    assert run("beacon", "--config", config).code == 1  # nothing is stored

    async def store(*numbers: int) -> None:
        async with SqliteStore.open(config.parent) as opened:
            await opened.put_rounds([world.round(Round(n)) for n in numbers])

    trio.run(store, 58, 60)
    assert run("beacon", "--config", config).out.startswith("round       60, due ")
    with served(beacon) as url:
        environment = ("--config", _with_beacons(config, url))
        assert run("beacon", *environment, "--json").json()["round"] == 61
        assert run("beacon", *environment, "--json").json()["source"] == "drand endpoint"
    monkeypatch.setattr("stkrp2p.cli.beacon.FETCH_S_MAX", 0.5)  # the endpoint is gone
    ran = run("beacon", *environment, "--json")
    assert (ran.json()["round"], ran.json()["source"]) == (60, "store")
    ran = run("beacon", "show", "59", *environment)
    assert ran.code == 3
    assert ran.err.startswith("error: no endpoint gives round 59\n")


def _with_beacons(config, url):
    text = config.read_text() + f'beacons = ["{url}"]\n'
    path = config.with_name("with_beacons.toml")
    path.write_text(text)
    return path


def test_a_round_that_is_not_due_is_refused(tmp_path, world, run):
    network = tmp_path / "net.toml"
    beacon = replace(world.genesis.beacon, genesis_ms=UnixMs(LATER_MS))
    network.write_text(dump_network(replace(world.genesis, beacon=beacon)))
    (tmp_path / "config.toml").write_text(f'data_dir = "."\nnetwork = "{network}"\n')
    ran = run("beacon", "show", "7", "--config", tmp_path / "config.toml")
    assert (ran.code, ran.err) == (
        1,
        "error: round 7 is not due yet\n  why: it is on 2033-05-18 03:33:26 UTC\n",
    )


def test_a_stored_round_that_is_false_is_never_shown(copied, world, run):
    async def spoil() -> None:
        async with SqliteStore.open(copied.parent) as store:
            wrong = world.round(Round(13)).signature
            await store.put_rounds([BeaconRound(Round(90), wrong)])

    trio.run(spoil)
    ran = run("beacon", "show", "90", "--config", copied)
    assert (ran.code, ran.err) == (
        1,
        "error: the stored round 90 is false\n"
        "  why: the beacon did not sign it; the store is damaged\n"
        f"  next: stkrp2p doctor --config {copied}\n",
    )


# ---------------------------------------------------------------- verify


def test_a_true_signature_is_told_from_a_false_one(played, world, run):
    value = world.round(Round(12))
    ran = run("beacon", "verify", "12", f"0x{value.signature.hex()}", "--config", played)
    assert (ran.code, ran.out) == (0, f"true: round 12, randomness {value.randomness.hex()}\n")
    ran = run("beacon", "verify", "13", value.signature.hex(), "--config", played)
    assert (ran.code, ran.out) == (
        1,
        "false: not the beacon's signature of round 13 (bad-round: round 13)\n",
    )


@pytest.mark.parametrize("signature", ["xyz", "", "00", "00" * 48, "c0" + "00" * 47])
def test_what_is_no_signature_is_false(played, run, signature):
    ran = run("beacon", "verify", "12", signature, "--json", "--config", played)
    assert ran.code == 1
    assert ran.json()["is_true"] is False


def test_a_true_signature_is_told_to_scripts(played, world, run):
    value = world.round(Round(12))
    ran = run("beacon", "verify", "12", value.signature.hex(), "--json", "--config", played)
    document = ran.json()
    assert (document["schema"], document["is_true"]) == ("beacon-verify/1", True)
    assert document["randomness"] == value.randomness.hex()
