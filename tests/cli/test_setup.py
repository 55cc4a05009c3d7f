"""Setting a node up and asking it: keys and files made once, states told with fixed exit codes."""

from __future__ import annotations

import json
import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from stkrp2p.adapters.keys import load_account_key, load_node_key
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.api.control import serve_control
from stkrp2p.cli.output import WIDTH_MAX, columns, cut, facts, percent, tokens
from stkrp2p.config import dump_network, load_config
from stkrp2p.config.settings import KEYS
from tests.cli.background import in_background
from tests.cli.world import World


@pytest.fixture
def network(tmp_path) -> Path:
    path = tmp_path / "net.toml"
    path.write_text(dump_network(World().genesis))
    return path


@pytest.fixture
def account(run, tmp_path) -> Path:
    """An account in plain hex, to spare the tests a keystore's second."""
    path = tmp_path / "account.key"
    assert run("keys", "new", "account", path).code == 0
    return path


@pytest.fixture
def made(run, tmp_path, network, account) -> Path:
    folder = tmp_path / "d"
    ran = run("init", "--network", network, "--data-dir", folder, "--account-key", account)
    assert ran.code == 0
    return folder


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------- init


def test_init_makes_keys_and_settings_for_their_owner_alone(run, tmp_path, network):
    folder = tmp_path / "d"
    before = os.umask(0)
    try:
        ran = run("init", "--mode", "light", "--network", network, "--data-dir", folder)
    finally:
        os.umask(before)
    assert ran.code == 0
    assert mode_of(folder) == 0o700
    for name in ("node.key", "account.json", "account.password"):
        assert mode_of(folder / name) == 0o600
    node = load_node_key(folder / "node.key").node
    held = load_account_key(folder / "account.json", password_path=folder / "account.password")
    lines = ran.out.splitlines()
    assert lines[0] == f"made {folder}/node.key: {peer_id_text(node)}"
    assert lines[1] == f"made {folder}/account.json: 0x{held.address.hex()}"
    assert lines[2] == f"made {folder}/config.toml: light node of played"
    assert lines[3].startswith("next: set rpc = ")
    config = load_config(environ={}, path=folder / "config.toml").config
    assert config.mode == "light"
    assert config.network == str(network)
    assert config.data_dir == folder
    assert config.account_key == folder / "account.json"
    assert config.account_password == folder / "account.password"


def test_init_again_changes_nothing(run, made, network, account):
    before = {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in made.iterdir()}
    ran = run("init", "--network", network, "--data-dir", made, "--account-key", account)
    assert ran.code == 0
    assert [line.partition(" ")[0] for line in ran.out.splitlines()] == ["kept"] * 3 + ["next:"]
    assert {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in made.iterdir()} == before


def test_init_makes_what_is_missing_and_keeps_the_rest(run, made, network):
    (made / "config.toml").unlink()
    key = (made / "node.key").read_bytes()
    ran = run("init", "--network", network, "--data-dir", made, "--mode", "light")
    assert ran.out.startswith("kept ")
    assert f"made {made}/config.toml: light node of played\n" in ran.out
    assert (made / "node.key").read_bytes() == key


def test_init_never_overwrites_settings_that_differ(run, made):
    text = (made / "config.toml").read_text()
    ran = run("init", "--mode", "light", "--log-level", "debug", "--data-dir", made)
    assert (ran.code, ran.err) == (
        4,
        f"error: {made}/config.toml exists and says otherwise\n"
        "  why: it is never overwritten; other there: mode, log_level\n"
        f"  next: edit {made}/config.toml, or use another --data-dir\n",
    )
    assert (made / "config.toml").read_text() == text


def test_init_without_a_network_makes_nothing(run, tmp_path):
    ran = run("init", "--data-dir", tmp_path / "d")
    assert (ran.code, ran.err) == (
        2,
        "error: no network is named\n"
        '  why: a node needs the setting "network": a network file, or the name of a known '
        "network\n"
        "  next: stkrp2p init --network FILE\n",
    )
    assert not (tmp_path / "d").exists()
    assert run("init", "--network", "example", "--data-dir", tmp_path / "d").code == 2
    assert not (tmp_path / "d").exists()


def test_init_in_a_place_that_cannot_be_is_said_so(run, tmp_path, network):
    (tmp_path / "file").write_text("")
    ran = run("init", "--network", network, "--data-dir", tmp_path / "file" / "d")
    assert ran.code == 1
    assert ran.err == (
        f"error: cannot make {tmp_path}/file/d\n"
        "  why: Not a directory\n"
        "  next: stkrp2p init --data-dir DIR\n"
    )


def test_init_points_at_the_next_step(run, tmp_path, network, account):
    def following(*more):
        folder = tmp_path / f"d{len(more)}"
        arguments = ("--network", network, "--account-key", account, "--data-dir", folder)
        return run("init", *arguments, *more).out.splitlines()[-1], folder

    rpc, beacons = ("--rpc", "http://127.0.0.1:1"), ("--beacons", "http://127.0.0.1:2")
    line, folder = following()
    assert line == f'next: set rpc = ["http://127.0.0.1:8545"] in {folder}/config.toml'
    line, folder = following(*rpc)
    assert line == f'next: set beacons = ["https://…"] in {folder}/config.toml'
    line, folder = following(*rpc, *beacons)
    assert line == f"next: stkrp2p register --data-dir {folder}"


# ---------------------------------------------------------------- keys and id


def test_a_key_others_may_read_is_refused_with_the_exact_command(run, made):
    key = made / "node.key"
    key.chmod(0o644)
    for command in (["id"], ["keys"], ["init", "--network", made.parent / "net.toml"]):
        assert run(*command, "--data-dir", made).code == 4
    assert run("id", "--data-dir", made).err == (
        f"error: others may use {key} (mode 0644)\n  next: chmod 600 {key}\n"
    )


def test_a_missing_key_points_at_init(run, tmp_path):
    ran = run("id", "--data-dir", tmp_path)
    assert (ran.code, ran.err) == (
        1,
        f"error: cannot read {tmp_path}/node.key: No such file or directory\n"
        f"  next: stkrp2p init --data-dir {tmp_path}\n",
    )


def test_id_says_who_and_where(run, made):
    node = load_node_key(made / "node.key").node
    peer_id = peer_id_text(node)
    document = run("id", "--data-dir", made, "--json").json()
    assert document == {
        "schema": "id/1",
        "peer_id": peer_id,
        "node": node.hex(),
        "mode": "full",
        "addresses": [
            f"/ip4/0.0.0.0/tcp/4001/p2p/{peer_id}",
            f"/ip6/::/tcp/4001/p2p/{peer_id}",
        ],
    }
    shown = run("id", "--data-dir", made).out
    for text in (peer_id, node.hex(), *document["addresses"]):
        assert text in shown


def test_keys_show_public_halves_files_and_modes_and_no_secret(run, made, tmp_path):
    ran = run("keys", "--data-dir", made, "--json")
    assert ran.code == 0
    facts_of = {k["kind"]: k for k in ran.json()["keys"]}
    assert ran.json()["schema"] == "keys/1"
    assert facts_of["node"]["public"] == peer_id_text(load_node_key(made / "node.key").node)
    assert all(k["mode"] == "0600" and k["trouble"] == "" for k in facts_of.values())
    shown = ran.out + run("keys", "show", "--data-dir", made).out
    for path in (made / "node.key", tmp_path / "account.key"):
        assert path.read_text().strip() not in shown


def test_keys_that_are_missing_or_loose_have_their_own_exit_codes(run, made):
    (made / "node.key").unlink()
    ran = run("keys", "--data-dir", made)
    assert ran.code == 1
    assert f"node     -     {made}/node.key\n         cannot read {made}/node.key: " in ran.out
    (made.parent / "account.key").chmod(0o640)
    ran = run("keys", "--data-dir", made, "--json")
    assert ran.code == 4
    trouble = {k["kind"]: k["trouble"] for k in ran.json()["keys"]}
    assert trouble["account"].endswith(f"run: chmod 600 {made.parent}/account.key")


@pytest.mark.parametrize("kind", ["node", "account", "beacon"])
def test_a_new_key_is_private_and_never_replaces_one(run, tmp_path, kind):
    path = tmp_path / "new.key"
    ran = run("keys", "new", kind, path)
    assert ran.code == 0
    assert ran.out.startswith(f"made {path}: ")
    assert mode_of(path) == 0o600
    content = path.read_bytes()
    ran = run("keys", "new", kind, path)
    assert ran.code == 4
    assert ran.err.startswith(f"error: {path} exists already\n")
    assert path.read_bytes() == content


def test_an_account_can_be_made_with_a_password_from_a_private_file(run, tmp_path):
    password, path = tmp_path / "password", tmp_path / "account.json"
    password.write_text("correct horse\n")
    password.chmod(0o644)
    assert run("keys", "new", "account", path, "--password-file", password).code == 4
    assert not path.exists()
    password.chmod(0o600)
    address = run("keys", "new", "account", path, "--password-file", password).out.split()[-1]
    assert load_account_key(path, password_path=password).address.hex() == address[2:]


def test_a_group_without_a_command_shows_and_a_wrong_one_is_refused(run, made):
    assert run("keys", "--data-dir", made).out == run("keys", "show", "--data-dir", made).out
    assert run("keys", "wen").code == 2
    assert "Commands:" in run("config", "--help").out


# ---------------------------------------------------------------- config


def test_config_show_says_where_each_value_comes_from(run, made, monkeypatch):
    monkeypatch.setenv("STKRP2P_LOG_LEVEL", "debug")
    ran = run("config", "show", "--data-dir", made, "--json")
    document = ran.json()
    path = str(made / "config.toml")
    assert document["schema"] == "config/1"
    assert document["file"] == path
    assert tuple(document["settings"]) == KEYS
    assert document["settings"]["log_level"] == "debug"
    assert document["settings"]["listen"] == ["/ip4/0.0.0.0/tcp/4001", "/ip6/::/tcp/4001"]
    assert document["settings"]["council_password"] is None
    assert document["origins"]["log_level"] == "environment STKRP2P_LOG_LEVEL"
    assert document["origins"]["data_dir"] == "flag --data-dir"
    assert document["origins"]["network"] == path
    assert document["origins"]["listen"] == "default"
    shown = run("config", "show", "--origin", "--data-dir", made).out.splitlines()
    assert shown[0].split() == ["setting", "value", "from"]
    row = next(line for line in shown if line.startswith("log_level"))
    assert row.split(maxsplit=2) == ["log_level", '"debug"', "environment STKRP2P_LOG_LEVEL"]
    assert "from" not in run("config", "--data-dir", made).out.splitlines()[0]


def test_config_check_passes_what_is_right_and_names_what_is_not(run, made, network):
    ran = run("config", "check", "--data-dir", made, "--json")
    assert ran.json()["network"] == "played"
    assert run("config", "check", "--data-dir", made).out.startswith(f"right: {made}/config.toml")
    with (made / "config.toml").open("a") as file:
        file.write('lisen = ["x"]\n')
    ran = run("config", "check", "--data-dir", made)
    assert (ran.code, ran.err) == (
        2,
        f'error: unknown key "lisen" in {made}/config.toml\n'
        '  why: did you mean "listen"?\n'
        "  next: stkrp2p config schema\n",
    )
    network.write_text("nonsense")
    (made / "config.toml").write_text(f'network = "{network}"\n')
    assert run("config", "check", "--data-dir", made).code == 2


def test_config_schema_is_json(run):
    assert json.loads(run("config", "schema").out)["type"] == "object"


# ---------------------------------------------------------------- a node that runs


LIVE = {
    "network": "played",
    "node": "ab" * 32,
    "mode": "full",
    "epoch": 5,
    "round_due": 40,
    "beacon": {"last_round": 40, "lag_rounds": 0, "detail": ""},
    "chain": {"state": "ok", "detail": "http://127.0.0.1:8545"},
    "peers": 3,
    "roster": {"members": 7, "is_member": True, "is_final": True},
    "last_folded_epoch": 3,
    "alarm": "",
    "addresses": ["/ip4/127.0.0.1/tcp/4001"],
    "score": {"reliability_ppm": 987_654, "uptime_ppm": 1_000_000, "duty_ppm": 500_000},
    "something_new": 1,
}
PEERS = {
    "peers": [
        {
            "node": World().node(i).hex(),
            "address": f"/ip4/127.0.0.{i + 1}/tcp/4001",
            "is_inbound": bool(i % 2),
            "latency_ms": i or None,
            "connected_s": [5, 300, 7200, 200_000][i],
        }
        for i in range(4)
    ]
}


@pytest.fixture
def speaking(made):
    """Let a node speak at the control socket; call it with what it shall say."""
    with ExitStack() as stack:

        def speak(**answers) -> None:
            commands = {name: (lambda a=answer: a) for name, answer in answers.items()}

            async def start(nursery):
                await nursery.start(serve_control, made / "control.sock", commands)

            stack.enter_context(in_background(start))

        yield speak


def test_a_running_node_that_is_well_is_shown(run, made, speaking):
    speaking(status=LIVE)
    ran = run("status", "--data-dir", made)
    assert ran.code == 0
    assert ran.out == (
        "network     played\n"
        f"node        {'ab' * 32} (full)\n"
        "listens     /ip4/127.0.0.1/tcp/4001\n"
        "epoch       5, round 40\n"
        "beacon      round 40, 0 behind\n"
        "chain       ok http://127.0.0.1:8545\n"
        "peers       3\n"
        "members     7, this node is one\n"
        "last epoch  3\n"
        "score       reliability 98.76 %, uptime 100.00 %, duty 50.00 %\n"
    )
    document = run("status", "--data-dir", made, "--json").json()
    assert document["schema"] == "status/1"
    assert document["is_running"] is True
    assert document["is_well"] is True
    assert document["troubles"] == []
    assert document["live"] == LIVE
    assert document["stored"] is None


@pytest.mark.parametrize(
    ("change", "trouble"),
    [
        ({"alarm": "epoch 3: our score_root differ"}, "epoch 3: our score_root differ"),
        (
            {"beacon": {"last_round": 30, "lag_rounds": 10, "detail": "2 endpoints down"}},
            "the beacon is 10 rounds late: 2 endpoints down",
        ),
        ({"chain": {"state": "down", "detail": "refused"}}, "chain down: refused"),
        ({"peers": 0}, "no peer is connected"),
        (
            {"store": {"is_writable": False, "detail": "the disk is full"}},
            "nothing is signed or folded: the disk is full",
        ),
        (
            {"roster": {"members": 7, "is_member": False}},
            "not in this epoch's roster: it neither audits nor is audited",
        ),
        ({"epoch": "five"}, "the node is of another version than this command"),
    ],
)
def test_what_is_wrong_with_a_running_node_is_told_by_word_and_code(
    run, made, speaking, change, trouble
):
    speaking(status=LIVE | change)
    ran = run("status", "--data-dir", made)
    assert ran.code == 3
    assert f"\nattention: {trouble}\nnext: stkrp2p doctor --data-dir {made}\n" in ran.out
    document = run("status", "--data-dir", made, "--json").json()
    assert document["is_well"] is False
    assert document["troubles"] == [trouble]


def test_a_node_that_never_ran_is_not_running(run, made):
    ran = run("status", "--data-dir", made)
    assert (ran.code, ran.out) == (
        3,
        "nothing is stored yet\n"
        "attention: the node does not run\n"
        f"next: stkrp2p run --data-dir {made}\n",
    )


def test_a_node_that_is_down_tells_what_it_has_stored(run, played):
    ran = run("status", "--config", played, "--json")
    assert ran.code == 3
    document = ran.json()
    assert document["is_running"] is False
    assert document["live"] is None
    assert document["stored"]["last_anchored_epoch"] == 3
    assert document["stored"]["epochs"] == 4
    assert document["stored"]["rounds"] == 24
    assert "last anchored epoch  3\n" in run("status", "--config", played).out


def test_peers_are_listed(run, made, speaking):
    speaking(peers=PEERS)
    assert run("peers", "--data-dir", made, "--json").json() == {"schema": "peers/1"} | PEERS
    ran = run("peers", "--data-dir", made)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0].split() == ["node", "way", "ms", "since", "address"]
    rows = [line.split()[1:] for line in lines[1:5]]
    assert rows == [
        ["out", "-", "5s", "/ip4/127.0.0.1/tcp/4001"],
        ["in", "1", "5m", "/ip4/127.0.0.2/tcp/4001"],
        ["out", "2", "2h", "/ip4/127.0.0.3/tcp/4001"],
        ["in", "3", "2d", "/ip4/127.0.0.4/tcp/4001"],
    ]
    assert lines[-1] == "4 connected"


def test_peers_need_a_node_that_runs(run, made):
    ran = run("peers", "--data-dir", made)
    assert (ran.code, ran.err) == (
        3,
        f"error: no node runs on {made}\n"
        "  why: nobody listens at its control socket\n"
        f"  next: stkrp2p run --data-dir {made}\n",
    )
    document = run("peers", "--data-dir", made, "--json").json()
    assert document["error"]["exit_code"] == 3


def test_a_node_of_another_version_is_not_misread(run, made, speaking):
    speaking(peers={"peers": [{"node": 1}]}, status=LIVE)
    ran = run("peers", "--data-dir", made)
    assert ran.code == 1
    assert ran.err.startswith("error: the node's answer is not understood\n")
    assert ran.err.endswith("  next: stkrp2p --version\n")


def test_a_node_that_does_not_know_the_question_is_said_so(run, made, speaking):
    speaking(status=LIVE)
    ran = run("peers", "--data-dir", made)
    assert ran.code == 3
    assert ran.err == (
        "error: the node gave no answer\n"
        "  why: unknown-command: known are status\n"
        f"  next: stkrp2p doctor --data-dir {made}\n"
    )


def test_a_node_that_hangs_times_out(run, made, monkeypatch):
    monkeypatch.setattr("stkrp2p.cli.live.ANSWER_S_MAX", 0.05)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(made / "control.sock"))
        mute.listen()
        ran = run("status", "--data-dir", made)
    assert (ran.code, ran.err) == (
        5,
        "error: the node does not answer\n"
        f"  why: no answer at {made}/control.sock within 0.05 s\n"
        f"  next: stkrp2p doctor --data-dir {made}\n",
    )


# ---------------------------------------------------------------- how it is printed


def test_lines_are_cut_to_100_columns():
    assert cut("a" * WIDTH_MAX) == "a" * WIDTH_MAX
    assert cut("a" * (WIDTH_MAX + 1)) == "a" * (WIDTH_MAX - 1) + "…"


def test_columns_are_aligned():
    assert columns(("a", ">bb"), [("x", 1), ("yyy", 22)]) == ["a    bb", "x     1", "yyy  22"]
    assert columns(("a",), []) == ["a"]
    assert facts([("a", 1), ("bb", "")]) == ["a   1", "bb"]
    assert facts([]) == []


def test_shares_are_rounded_down_never_up():
    assert percent(999_999) == "99.99 %"
    assert percent(1_000_000) == "100.00 %"
    assert percent(0) == "0.00 %"


def test_amounts_are_exact():
    assert tokens(10**18) == "1"
    assert tokens(1_234_567 * 10**18 + 5 * 10**17) == "1,234,567.5"
    assert tokens(1) == "0.000000000000000001"
    assert tokens(0) == "0"
