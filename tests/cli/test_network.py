"""Commands on a real chain, and the node as a real process."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters.chain import Web3Chain
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.deploy import Plan, deploy
from stkrp2p.adapters.keys import write_secret_file
from stkrp2p.adapters.solo import serve_solo
from stkrp2p.api.control_client import NotRunning, ask
from stkrp2p.config import dump_network
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.roster import Profile, read_profile, roster_of
from stkrp2p.core.types import Round, UnixMs
from testnet import anvil
from tests.adapters.chain_kit import ALICE, BOB, block, make_final, restored, rpc, until_mined
from tests.cli.background import in_background
from tests.cli.world import BEACON_SECRET, COUNCIL_SECRET, PARAMS, World, make_node

ANKR = 10**18
ADDRESS = "/ip4/127.0.0.1/tcp/4001"


# ---------------------------------------------------------------- a real chain


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Return (url, what was deployed) of a network that began ten minutes ago."""
    folder = tmp_path_factory.mktemp("chain")
    with anvil.running(anvil.Options(), log_path=folder / "anvil.log") as running:
        now_s = int(block(running.url)["timestamp"], 16)
        plan = Plan(
            name="on chain",
            params=PARAMS,
            beacon=Beacon(
                public_key=bls.public_key_of(BEACON_SECRET),
                genesis_ms=UnixMs((now_s - 600) * 1000),
                period_ms=1000,
            ),
            first_round=Round(11),
            council=bytes(20),
            council_key=bls.public_key_of(COUNCIL_SECRET),
        )
        yield running.url, trio.run(deploy, running.url, ALICE, plan)


@pytest.fixture
def fresh(chain):
    """The chain as it was deployed, whatever other tests did."""
    url, _ = chain
    with restored(url):
        yield chain


@pytest.fixture
def node(fresh, run, tmp_path):
    """Configuration of a full node with ether and no ANKR."""
    url, deployed = fresh
    (tmp_path / "net.toml").write_text(dump_network(deployed.genesis, deploy_block=deployed.block))
    write_secret_file(tmp_path / "account.key", BOB.hex().encode())
    folder = tmp_path / "d"
    ran = run(
        *("init", "--network", tmp_path / "net.toml", "--data-dir", folder, "--rpc", url),
        *("--account-key", tmp_path / "account.key", "--listen", ADDRESS, "--workload", "tcp:1"),
    )
    assert ran.code == 0
    return folder / "config.toml"


def registrations(fresh):
    url, deployed = fresh

    async def read():
        reader = Web3Chain(deployed.genesis, [url], deploy_block=deployed.block)
        try:
            return (await reader.registry()).registrations
        finally:
            reader.close()

    make_final(url)
    return trio.run(read)


@pytest.mark.chain
def test_registering_stakes_the_least_and_puts_the_node_in_the_roster(fresh, node, run):
    ran = run("register", "--mint", "--config", node, "--json")
    assert ran.code == 0
    document = ran.json()
    assert document["schema"] == "register/1"
    assert document["stake_wei"] == str(100_000 * ANKR)
    assert document["was_registered"] is False
    assert [t["what"] for t in document["transactions"]] == [
        "TestAnkr.mint",
        "TestAnkr.approve",
        "Registry.register",
    ]
    assert all(t["transaction"].startswith("0x") for t in document["transactions"])
    (entry,) = registrations(fresh)
    assert entry.node.hex() == document["node"]
    assert f"0x{entry.operator.hex()}" == document["operator"]
    assert read_profile(entry) == Profile(version=1, workload="tcp:1", addresses=(ADDRESS,))
    _, deployed = fresh
    roster = roster_of(deployed.genesis.network_id, entry.first_epoch, [entry])
    assert roster.get(entry.node) is not None


@pytest.mark.chain
def test_a_dry_run_sends_nothing_and_says_what_it_would_cost(fresh, node, run):
    url, _ = fresh
    before = rpc(url, "eth_blockNumber")
    ran = run("register", "--mint", "--dry-run", "--config", node)
    assert ran.code == 0
    assert rpc(url, "eth_blockNumber") == before
    lines = ran.out.splitlines()
    assert lines[0].startswith("node      12D3KooW")
    assert lines[0].endswith(" (full)")
    assert lines[1] == "operator  0x70997970c51812dc3a010c7d01b50e0d17dc79c8"
    assert lines[2].startswith("  TestAnkr.mint: at most ")
    assert lines[2].endswith(" ETH")
    assert lines[-2] == (
        "  Registry.register: its cost is known once the steps before it are mined"
    )
    assert lines[-1] == "nothing was sent; it would stake 100,000 ANKR"
    document = run("register", "--mint", "--dry-run", "--config", node, "--json").json()
    assert document["is_dry_run"] is True
    assert [t["transaction"] for t in document["transactions"]] == [None] * 3
    assert document["transactions"][2]["gas_max"] is None


@pytest.mark.chain
def test_registering_again_sends_only_what_changed(fresh, node, run):
    assert run("register", "--mint", "--stake", "100000.5", "--config", node).code == 0
    ran = run("register", "--config", node)
    assert ran.code == 1
    assert (
        ran.err
        == (
            "error: the contract refuses\n"
            "  why: the node is registered already; it is seen once its block is final\n"
        )
        or "too little ANKR" in ran.err
    )
    (entry,) = registrations(fresh)
    assert entry.stakes[-1][1] == 100_000 * ANKR + ANKR // 2
    ran = run("register", "--config", node)
    assert ran.code == 0
    assert ran.out.endswith("registered already as number 0 with 100,000.5 ANKR\n")
    text = node.read_text().replace('workload = "tcp:1"', 'workload = "tcp:2"')
    node.write_text(text)
    ran = run("register", "--config", node)
    assert ran.code == 0
    assert "  Registry.setAddresses: 0x" in ran.out
    assert ran.out.endswith("updated, stake 100,000.5 ANKR; next: stkrp2p run\n")
    (entry,) = registrations(fresh)
    assert read_profile(entry).workload == "tcp:2"


@pytest.mark.chain
def test_an_account_without_tokens_is_told_how_much_it_needs(node, run):
    ran = run("register", "--config", node)
    assert (ran.code, ran.err) == (
        1,
        "error: the account has too little ANKR\n"
        "  why: 0x70997970c51812dc3a010c7d01b50e0d17dc79c8 has 0, the stake is 100,000\n"
        f"  next: send 100,000 ANKR to it, then: stkrp2p register --config {node}\n",
    )


@pytest.mark.chain
def test_an_account_without_ether_is_told_so(fresh, node, run):
    url, _ = fresh
    rpc(url, "anvil_setBalance", "0x70997970c51812dc3a010c7d01b50e0d17dc79c8", "0x0")
    ran = run("register", "--mint", "--config", node)
    assert ran.code == 1
    assert ran.err.startswith("error: ")


@pytest.mark.chain
def test_a_stake_below_the_least_is_refused_before_anything_is_sent(node, run):
    ran = run("register", "--mint", "--stake", "99999.999", "--config", node)
    assert (ran.code, ran.err) == (
        2,
        "error: a stake of 99,999.999 ANKR is too low\n"
        "  why: a full node stakes at least 100,000 ANKR\n"
        "  next: stkrp2p register --stake 100000\n",
    )


@pytest.mark.parametrize(
    "stake", ["0", "-1", "1e3", "1.0000000000000000001", "x", "", ".", "9" * 13]
)
def test_a_stake_is_an_exact_amount(run, played, stake):
    ran = run("register", f"--stake={stake}", "--config", played)
    assert ran.code == 2
    assert f"{stake} is no amount of ANKR with at most 18 decimals" in ran.err


def test_registering_needs_an_endpoint_an_account_and_an_address(run, played, copied):
    ran = run("register", "--config", played)
    assert (ran.code, ran.err.splitlines()[0]) == (2, "error: no Ethereum endpoint is set")
    text = copied.read_text() + 'rpc = ["http://127.0.0.1:1"]\n'
    copied.write_text(text)
    ran = run("register", "--config", copied)
    assert ran.code == 2
    assert ran.err.splitlines()[0] == "error: no account pays for the registration"
    write_secret_file(copied.parent / "account.key", BOB.hex().encode())
    text += 'account_key = "account.key"\n'
    copied.write_text(text.replace("/ip4/127.0.0.1/tcp", "/ip4/0.0.0.0/tcp"))
    ran = run("register", "--config", copied)
    assert (ran.code, ran.err) == (
        2,
        "error: others would not find this node\n"
        "  why: it listens on /ip4/0.0.0.0/tcp/4001, which is no address to dial\n"
        '  next: set announce, such as ["/ip4/192.0.2.7/tcp/4001"]\n',
    )
    copied.write_text(text)
    ran = run("register", "--config", copied)
    assert ran.code == 3
    assert ran.err.startswith("error: Ethereum cannot be asked\n")
    assert ran.err.endswith(f"  next: stkrp2p doctor --config {copied}\n")


@pytest.mark.chain
def test_the_chain_accepts_a_true_proof_and_refuses_one_of_another_root(fresh, run, tmp_path):
    url, deployed = fresh
    world = World(deployed=deployed.genesis)
    config = make_node(world, tmp_path / "n", epochs=2, rpc=(url,))

    async def anchor():
        writer = Web3Chain(deployed.genesis, [url], account_key=ALICE)
        try:
            sealed = world.sealed(world.closed[0])
            await writer.submit_anchor(sealed.header, sealed.signature)
            await until_mined(url)
        finally:
            writer.close()

    trio.run(anchor)
    node = world.node(1).hex()
    ran = run("proof", node, "--epoch", 0, "--config", config, "--json")
    assert ran.code == 0
    assert ran.json()["chain"] == {"accepts": True, "detail": ""}
    shown = run("proof", node, "--epoch", 0, "--config", config).out
    assert "chain        accepts the proof\n" in shown
    ran = run("proof", node, "--epoch", 1, "--config", config)
    assert "accepts the proof" not in ran.out
    assert ran.code in {1, 3}


# ---------------------------------------------------------------- doctor


def findings_of(ran) -> dict[str, dict]:
    return {f["check"]: f for f in ran.json()["findings"]}


def test_doctor_names_what_is_wrong_and_what_to_do(run, copied):
    (copied.parent / "node.key").chmod(0o640)
    copied.parent.chmod(0o777)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        copied.write_text(copied.read_text().replace("tcp/4001", f"tcp/{port}"))
        ran = run("doctor", "--config", copied, "--json")
        shown = run("doctor", "--config", copied)
    assert ran.code == 3
    found = findings_of(ran)
    assert found["data dir"]["health"] == "bad"
    assert found["data dir"]["next"] == f"chmod 700 {copied.parent}"
    assert found["node key"]["next"] == f"chmod 600 {copied.parent}/node.key"
    assert found["port"]["detail"].endswith("another program listens there")
    assert found["beacon"]["health"] == "skipped"
    assert found["beacon"]["detail"] == "no endpoint is set: rounds come from peers"
    assert found["Ethereum"]["detail"] == "no endpoint is set"
    assert found["first peers"]["health"] == "skipped"
    assert found["network"]["health"] == "ok"
    assert f"next: chmod 700 {copied.parent}\n" in shown.out


def test_doctor_on_nothing_at_all_points_at_init(run, tmp_path):
    ran = run("doctor", "--data-dir", tmp_path / "none", "--json")
    assert ran.code == 3
    found = findings_of(ran)
    assert found["data dir"]["detail"] == f"{tmp_path}/none does not exist"
    assert found["network"]["detail"].startswith("no network is named")


def test_doctor_sees_that_a_beacon_endpoint_is_down(run, copied):
    copied.write_text(copied.read_text() + 'beacons = ["http://127.0.0.1:1"]\n')
    found = findings_of(run("doctor", "--config", copied, "--json"))
    assert found["beacon"]["health"] == "bad"


@pytest.mark.chain
def test_doctor_sees_the_chain_and_the_registration(fresh, node, run):
    url, deployed = fresh
    found = findings_of(run("doctor", "--config", node, "--json"))
    assert found["Ethereum"]["health"] == "ok"
    assert found["registered"]["health"] == "bad"
    assert found["registered"]["next"] == f"stkrp2p register --config {node}"
    assert run("register", "--mint", "--config", node).code == 0
    make_final(url)
    found = findings_of(run("doctor", "--config", node, "--json"))
    assert found["registered"]["detail"].startswith("as number 0, from epoch ")
    other = node.parent / "other.toml"
    text = dump_network(deployed.genesis).replace("chain_id = 31337", "chain_id = 1")
    other.write_text(text)
    node.write_text(node.read_text().replace(str(node.parent.parent / "net.toml"), str(other)))
    ran = run("doctor", "--config", node, "--json")
    found = findings_of(ran)
    assert found["Ethereum"]["health"] == "bad"
    assert found["Ethereum"]["detail"].startswith("wrong_chain: ")
    assert ran.code == 3


# ---------------------------------------------------------------- the node as a process


def wait_for(path: Path, process: subprocess.Popen) -> dict:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return ask(path / "control.sock", "status", 5)
        except NotRunning:
            time.sleep(0.05)
    raise AssertionError(f"the node did not start: {process.communicate(timeout=10)}")


@pytest.fixture
def started(run, tmp_path):
    """Start a node and one on another data directory with the same address later."""
    world = World()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"/ip4/127.0.0.1/tcp/{free.getsockname()[1]}"
    (tmp_path / "net.toml").write_text(dump_network(world.genesis))
    write_secret_file(tmp_path / "account.key", BOB.hex().encode())

    def make(name: str) -> Path:
        ran = run(
            *("init", "--network", tmp_path / "net.toml", "--data-dir", tmp_path / name),
            *("--account-key", tmp_path / "account.key", "--listen", address),
            *("--beacons", "http://127.0.0.1:1", "--log-format", "json"),
        )
        assert ran.code == 0
        return tmp_path / name

    def start(folder: Path) -> subprocess.Popen:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("STKRP2P_")}
        return subprocess.Popen(
            [sys.executable, "-m", "stkrp2p", "run", "--config", str(folder / "config.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        )

    running = []

    def both(name: str) -> tuple[Path, subprocess.Popen]:
        folder = make(name)
        running.append(start(folder))
        return folder, running[-1]

    yield both, start
    for process in running:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


@pytest.mark.e2e
def test_a_node_runs_answers_is_alone_on_its_identity_and_stops_when_told(started, run):
    make_and_start, start = started
    folder, process = make_and_start("a")
    live = wait_for(folder, process)
    document = run("status", "--data-dir", folder, "--json").json()
    assert document["is_running"] is True
    assert document["live"]["node"] == live["node"]
    assert document["is_well"] is False
    assert run("peers", "--data-dir", folder, "--json").json() == {"schema": "peers/1", "peers": []}
    found = findings_of(run("doctor", "--data-dir", folder, "--json"))
    assert found["node"]["health"] == "bad"
    assert found["reachable"]["health"] == "warning"

    again = start(folder)
    _, said = again.communicate(timeout=60)
    assert again.returncode == 4
    assert said.startswith("error: the node cannot run\n  why: another stkrp2p (process ")
    assert said.endswith(f"\n  next: stkrp2p status --config {folder}/config.toml\n")

    other, neighbour = make_and_start("b")
    _, said = neighbour.communicate(timeout=60)
    assert neighbour.returncode == 1
    lines = [line for line in said.splitlines() if not line.startswith("{")]
    assert lines[0] == "error: the node cannot run"
    assert lines[2] == "  next: stkrp2p run --listen /ip4/0.0.0.0/tcp/<another port>"
    assert not (other / "control.sock").exists()

    process.send_signal(signal.SIGTERM)
    out, said = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "")
    assert not (folder / "control.sock").exists()
    logged = [json.loads(line) for line in said.splitlines()]
    assert {"node runs", "node stops"} <= {line["event"] for line in logged}
    assert {"level", "logger", "timestamp"} <= set(logged[0])


def test_a_key_that_others_may_read_keeps_the_node_from_running(run, copied):
    copied.write_text(copied.read_text() + 'beacons = ["http://127.0.0.1:1"]\n')
    (copied.parent / "node.key").chmod(0o604)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    ran = subprocess.run(
        [sys.executable, "-m", "stkrp2p", "run", "--config", str(copied)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    key = copied.parent / "node.key"
    assert (ran.returncode, ran.stderr) == (
        4,
        f"error: others may use {key} (mode 0604)\n  next: chmod 600 {key}\n",
    )


# ---------------------------------------------------------------- a real beacon


@pytest.fixture
def beaconed(copied):
    """Let the node's network have a beacon that runs; call with the secret it really signs with."""
    with ExitStack() as stack:

        def serve(secret: int) -> Path:
            genesis = World().genesis
            now_s = SystemClock().unix_ms() // 1000
            beacon = replace(genesis.beacon, genesis_ms=UnixMs((now_s - 5) * 1000))
            text = dump_network(replace(genesis, beacon=beacon))
            (copied.parent / "network.toml").write_text(text)
            served = replace(beacon, public_key=bls.public_key_of(secret))

            async def start(nursery):
                return await nursery.start(
                    serve_solo, secret, served, "127.0.0.1", 0, SystemClock()
                )

            port = stack.enter_context(in_background(start))
            copied.write_text(copied.read_text() + f'beacons = ["http://127.0.0.1:{port}"]\n')
            return copied

        yield serve


def test_doctor_verifies_a_round_of_the_beacon_and_sees_the_clock(run, beaconed):
    config = beaconed(BEACON_SECRET)
    found = findings_of(run("doctor", "--config", config, "--json"))
    assert found["beacon"]["health"] == "ok"
    assert found["beacon"]["detail"].endswith(" is true and in time")
    assert found["clock"]["health"] in {"ok", "skipped"}


def test_doctor_sees_a_beacon_that_is_not_the_networks(run, beaconed):
    config = beaconed(BEACON_SECRET + 1)
    found = findings_of(run("doctor", "--config", config, "--json"))
    assert found["beacon"]["health"] == "bad"
    assert "serves another beacon" in found["beacon"]["detail"]
