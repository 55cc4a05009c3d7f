"""`stkrp2p council`: what people are told, on a real chain and before there is a network."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import structlog
import trio
from eth_account import Account

from stkrp2p.adapters.chain.board import Web3Board
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.deploy import deploy_council
from stkrp2p.adapters.keys import create_account_key, create_node_key
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.api.control import serve_control
from stkrp2p.cli.council_view import council_lines, news, view_of
from stkrp2p.cli.keymaking import _is_needed, safe_of
from stkrp2p.cli.logs import set_up_logging
from stkrp2p.config import dump_config, dump_network, load_config
from stkrp2p.core.crypto import Secret, node_id_of, sha256
from stkrp2p.core.types import UnixMs
from stkrp2p.ports import BoardSession, Governor, Justification, Phase, SittingCouncil
from stkrp2p.services.ceremony import Ceremonies, CeremonyState, load_seats, run_ceremonies
from stkrp2p.services.council import Council, Seats
from stkrp2p.services.council_report import council_report
from testnet import anvil
from testnet.cluster import free_port
from tests.adapters.chain_kit import ALICE, rpc
from tests.cli.background import in_background

pytestmark = pytest.mark.usefixtures("logging_kept")

CHAIN_ID = 31337
PHASE_S = 600
HOST = "127.0.0.1"

# ---------------------------------------------------------------- what is said of a session

NAMES = ("Alice", "Bob", "Carol")
GOVERNORS = tuple(
    Governor(account=bytes([i + 1]) * 20, node=node_id_of(sha256(name.encode())))
    for i, name in enumerate(NAMES)
)
SHORT = [peer_id_text(g.node)[:16] for g in GOVERNORS]
BEGUN = BoardSession(
    number=4,
    is_reshare=False,
    phase=Phase.DEAL,
    phase_ends_ms=UnixMs(90_000),
    opened_ms=UnixMs(30_000),
    dealers=GOVERNORS,
    receivers=GOVERNORS,
    dealers_threshold=2,
    receivers_threshold=2,
    deals=(None, None, None),
    complaints=(None, None, None),
    justifications=(),
    confirmations=(None, None, None),
    group_hash=None,
    starts_ms=None,
)
JUSTIFIED = replace(
    BEGUN,
    phase=Phase.JUSTIFY,
    deals=(b"\1" * 32, b"\2" * 32, None),
    complaints=(0, 0b01, None),
    justifications=(Justification(0, 1, bytes(64)),),
    confirmations=(None, None, b"\xab" * 32),
)
SITTING = SittingCouncil(session=0, governors=GOVERNORS, group_hash=None, starts_ms=None)


def view(session: BoardSession | None, *, trouble: str = "", outcome: str = ""):
    state = CeremonyState(SITTING, session, trouble, outcome)
    report = council_report(state, Seats(), GOVERNORS[0].node, UnixMs(50_000))
    return view_of(json.loads(json.dumps(report)))


def test_a_session_is_shown_with_who_has_posted_what():
    lines = council_lines(view(JUSTIFIED, trouble="deals are missing", outcome="too-few"), 50_000)
    assert lines == [
        "council  3 governors, any 2 of them sign; there is no key yet",
        "seat     none: this node holds no share",
        "session  4: fresh keys for 3 governors, phase justify, at most 40 s more",
        "",
        "governor          deal                            response                  confirms",
        f"{SHORT[0]}  posted, 1 complain, 1 answered  no complaint              missing",
        f"{SHORT[1]}  posted                          against {SHORT[0]}  missing",
        f"{SHORT[2]}  missing                         missing                   abababababababab…",
        "attention: session 4 makes no key: too-few",
        "attention: deals are missing",
    ]
    assert max(map(len, lines)) <= 100


def test_who_only_deals_or_only_receives_is_shown_so():
    session = replace(BEGUN, is_reshare=True, dealers=GOVERNORS[:1], deals=(None,))
    session = replace(session, receivers=GOVERNORS[1:2], complaints=(None,), confirmations=(None,))
    lines = council_lines(view(session), 50_000)
    assert lines[2].startswith("session  4: new shares of the same keys for one governor, ")
    assert lines[-2:] == [
        f"{SHORT[0]}  missing  -         -",
        f"{SHORT[1]}  -        missing   missing",
    ]


def test_news_tell_only_what_is_new():
    first, second = view(BEGUN), view(JUSTIFIED, trouble="deals are missing")
    assert news(None, first, 50_000) == [
        "session 4: fresh keys for 3 governors, any 2 of whom will sign",
        "phase deal, at most 40 s more",
    ]
    assert news(first, first, 50_000) == []
    assert news(first, second, 50_000) == [
        "phase justify, at most 40 s more",
        f"  {SHORT[0]} dealt",
        f"  {SHORT[1]} dealt",
        f"  {SHORT[0]} responds: no complaint",
        f"  {SHORT[1]} responds: against {SHORT[0]}",
        f"  {SHORT[0]} reveals the shares of {SHORT[1]}",
        f"  {SHORT[2]} confirms group abababababababab…",
        "waits: deals are missing",
    ]
    assert news(second, second, 50_000) == []
    over = view(replace(BEGUN, number=5, phase=Phase.FAILED, phase_ends_ms=None))
    assert news(second, over, 50_000)[1:] == ["phase failed"]
    assert news(None, view(None), 0) == []


def test_a_running_node_is_asked(copied, run):
    report = council_report(
        CeremonyState(SITTING, BEGUN), Seats(), GOVERNORS[0].node, UnixMs(50_000)
    )

    async def start(nursery):
        path = load_config(path=copied).config.control_socket
        await nursery.start(serve_control, path, {"council": lambda: report})

    with in_background(start):
        ran = run("council", "status", "--json", "--config", copied)
        shown = run("council", "status", "--config", copied)
    assert ran.code == 0
    assert ran.json() == {"schema": "council-status/1", "is_running": True, **ran.json()}
    assert ran.json()["session"]["phase"] == "deal"
    assert shown.out.startswith("council  3 governors, any 2 of them sign; there is no key yet\n")


# ---------------------------------------------------------------- a real chain


@dataclass
class Home:
    """A governor's directory, on a chain."""

    folder: Path
    url: str
    board: bytes
    account: bytes

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def dkg(self) -> tuple[str, ...]:
        return ("council", "dkg", "--config", str(self.config), "--board", f"0x{self.board.hex()}")


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with anvil.running(
        anvil.Options(), log_path=tmp_path_factory.mktemp("anvil") / "log"
    ) as running:
        yield running.url


@pytest.fixture
def home(url, tmp_path, world) -> Home:
    """The one governor of a council without keys, and a network file that names its board."""
    folder = tmp_path / "governor"
    folder.mkdir(mode=0o700)
    node = create_node_key(folder / "node.key").node
    account = create_account_key(folder / "account.key")
    rpc(url, "anvil_setBalance", f"0x{account.address.hex()}", hex(10**20))
    seats = [(account.address, node)]
    board, _ = trio.run(lambda: deploy_council(url, ALICE, seats, phase_s=PHASE_S))
    genesis = replace(world.genesis, council=board, chain_id=CHAIN_ID)
    (folder / "network.toml").write_text(dump_network(genesis))
    settings = {
        "data_dir": ".",
        "network": "./network.toml",
        "listen": [f"/ip4/{HOST}/tcp/{free_port(HOST)}"],
        "rpc": [url],
        "account_key": "account.key",
    }
    (folder / "config.toml").write_text(dump_config(settings))
    return Home(folder, url, board, account.secret.reveal())


@contextmanager
def ceremonies_of(home: Home):
    """Run a node's part in ceremonies, without the rest of a node."""

    async def run(*, task_status):
        config = load_config(path=home.config).config
        secret = bytes.fromhex((home.folder / "node.key").read_text())
        node = node_id_of(secret)
        board = Web3Board(
            [home.url], chain_id=CHAIN_ID, contract=home.board, account_key=home.account
        )
        safe, seats = safe_of(config, node, CHAIN_ID, home.board), Seats()
        await load_seats(safe, seats)
        with closing(board):
            part = Ceremonies(
                secret=Secret(secret),
                chain_id=CHAIN_ID,
                contract=home.board,
                network_id=None,
                board=board,
                safe=safe,
                seats=seats,
                council=Council(node=node, network=None),
                clock=SystemClock(),
                look_ms=200,
            )
            await run_ceremonies(part, task_status=task_status)

    async def start(nursery):
        await nursery.start(run)

    with in_background(start):
        yield


@pytest.mark.chain
def test_keys_are_made_shown_and_handed_on(home, run):
    ran = run("council", "status", "--config", home.config)
    assert ran.code == 0
    assert ran.out == (
        "council  one governor, any 1 of them sign; there is no key yet\n"
        "seat     none: this node holds no share\n"
    )
    ran = run("council", "reshare", "-", "--config", home.config)
    assert (ran.code, ran.err.splitlines()[0]) == (2, "error: the council has no keys yet")

    made = run(*home.dkg, "--json")
    assert made.code == 0
    keys = json.loads(made.out)
    assert "session 1: fresh keys for one governor, any 1 of whom will sign\n" in made.err
    assert (keys["schema"], keys["session"], keys["index"]) == ("council-dkg/1", 1, 0)

    again = run(*home.dkg)  # there is nothing left to do
    assert again.code == 0
    assert again.out.endswith(
        f"done: governor 0 of 1, group {keys['group_hash']}\n"
        f"beacon key: {keys['beacon_key']}\n"
        f"anchor key: {keys['anchor_key']}\n"
        f"next: deploy the network with both keys and board 0x{home.board.hex()}\n"
    )

    shown = run("council", "status", "--json", "--config", home.config).json()
    assert shown["is_running"] is False
    (seat,) = shown["seats"]
    assert (seat["has_share"], seat["beacon_key"]) == (True, keys["beacon_key"])

    before = rpc(home.url, "eth_blockNumber")
    dry = run("council", "reshare", "-", "--dry-run", "--config", home.config)
    assert dry.code == 0
    assert dry.out.startswith("CouncilKeys.support: at most ")
    assert "nothing was sent; it would ask for\n" in dry.out
    assert " stays\n" in dry.out
    assert rpc(home.url, "eth_blockNumber") == before

    asked = run("council", "reshare", "-", "--no-wait", "--config", home.config)
    assert asked.code == 0
    assert "session 2: deal\n" in asked.out
    with ceremonies_of(home):
        ran = run("council", "reshare", "-", "--json", "--config", home.config)
    assert ran.code == 0
    assert "is under way; --again gives it up\n" in ran.err
    document = json.loads(ran.out)
    assert (document["session"], document["phase"]) == (2, "confirmed")
    shown = run("council", "status", "--json", "--config", home.config).json()
    assert {s["anchor_key"] for s in shown["seats"]} == {keys["anchor_key"]}
    assert [s["session"] for s in shown["seats"]] == [1, 2]

    written = b"".join(p.read_bytes() for p in sorted(home.folder.rglob("*")) if p.is_file())
    told = (made.out + made.err + again.out + dry.out + ran.out + ran.err).encode() + written
    for secret in trio.run(_secrets, home):
        assert secret.reveal() not in told
        assert secret.reveal().hex().encode() not in told


async def _secrets(home: Home) -> list[Secret]:
    config = load_config(path=home.config).config
    node = node_id_of(bytes.fromhex((home.folder / "node.key").read_text()))
    safe = safe_of(config, node, CHAIN_ID, home.board)
    shares = [s for kept in await safe.groups() if kept.share for s in kept.share.secrets]
    assert len(shares) == 4
    return [await safe.seed(1), await safe.seed(2), *shares]


@pytest.mark.chain
def test_a_session_under_way_is_given_up_for_the_next(home, run):
    assert run(*home.dkg).code == 0
    assert run("council", "reshare", "-", "--no-wait", "--config", home.config).code == 0
    ran = run("council", "reshare", "-", "--again", "--no-wait", "--json", "--config", home.config)
    assert json.loads(ran.out)["session"] == 3


@pytest.mark.chain
def test_a_session_that_fails_is_told_with_its_reason(home, run):
    lonely = _with_others(home, phase_s=2)

    async def start(nursery):
        nursery.start_soon(_go_on, home.url)

    with in_background(start):  # blocks are what makes time pass
        ran = run(*lonely.dkg)
    assert (ran.code, ran.err) == (
        1,
        "error: session 1 made no key\n"
        "  why: too-few-deals\n"
        "  next: run the same command again, on all governors: it asks for the next session\n",
    )


def _with_others(home: Home, *, phase_s: int) -> Home:
    """Return the same governor in a council of three, of whom another has asked for a session."""
    node = node_id_of(bytes.fromhex((home.folder / "node.key").read_text()))
    accounts = [_address(home.account), _address(ALICE), bytes(19) + b"\7"]
    nodes = [node, GOVERNORS[0].node, GOVERNORS[1].node]
    governors = [Governor(a, n) for a, n in zip(accounts, nodes, strict=True)]
    board, _ = trio.run(lambda: deploy_council(home.url, ALICE, governors, phase_s=phase_s))

    async def ask() -> None:
        port = Web3Board([home.url], chain_id=CHAIN_ID, contract=board, account_key=ALICE)
        with closing(port):
            await port.support(1, governors)

    trio.run(ask)
    return replace(home, board=board)


def _address(account_key: bytes) -> bytes:
    return bytes.fromhex(Account.from_key(account_key).address[2:])


async def _go_on(url: str) -> None:
    while True:
        await trio.to_thread.run_sync(rpc, url, "evm_mine")
        await trio.sleep(0.1)


@pytest.mark.chain
def test_what_was_done_is_kept_when_the_making_of_keys_is_stopped(home, run):
    lonely = _with_others(home, phase_s=PHASE_S)

    def stop() -> None:
        while not (home.folder / "council" / "1" / "deal-0").exists():
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    stopper = threading.Thread(target=stop)
    stopper.start()
    ran = run(*lonely.dkg)
    stopper.join()
    assert (ran.code, ran.err) == (
        1,
        "error: stopped before the keys were made\n"
        "  why: what this node has done is kept\n"
        "  next: run the same command again to go on\n",
    )
    assert (home.folder / "council" / "1" / "seed.json").exists()


def test_deals_are_waited_with_as_long_as_somebody_may_need_them():
    confirmed = replace(JUSTIFIED, phase=Phase.CONFIRMED, starts_ms=UnixMs(60_000))
    for complaints, confirmations, is_needed in (
        ((0, 0, 0), (None, None, None), False),
        ((0, 0, None), (None, None, None), True),
        ((0, 0b1, 0), (None, None, None), True),
        ((0, 0b1, None), (None, b"", b""), False),
    ):
        session = replace(confirmed, complaints=complaints, confirmations=confirmations)
        assert _is_needed(session, 59_999) is is_needed
        assert not _is_needed(session, 60_000)
        assert not _is_needed(replace(session, starts_ms=None), 0)


@pytest.mark.chain
def test_a_peer_that_is_none_is_told(home, run):
    home.config.write_text(
        home.config.read_text() + 'peers = ["/ip4/127.0.0.1/tcp/1/p2p/12D3KooWno"]\n'
    )
    ran = run(*home.dkg)
    assert ran.code == 2
    assert ran.err.startswith("error: 12D3KooWno is no PeerID\n")


@pytest.mark.chain
def test_who_is_in_no_list_is_told_so(home, run, tmp_path):
    (home.folder / "node.key").rename(tmp_path / "other.key")
    create_node_key(home.folder / "node.key")
    ran = run(*home.dkg)
    assert (ran.code, ran.err) == (
        2,
        "error: this node is no governor\n"
        f"  why: board 0x{home.board.hex()} lists 1 others\n"
        "  next: check --board, node key and account_key\n",
    )


@pytest.mark.chain
def test_who_has_another_account_is_told_which_the_board_wants(home, run):
    (home.folder / "account.key").unlink()
    create_account_key(home.folder / "account.key")
    ran = run(*home.dkg, "--json")
    assert ran.code == 2
    assert json.loads(ran.out)["error"]["what"] == "this is not the governor's account"
    ran = run("council", "reshare", "-", "--config", home.config)
    assert ran.code == 2
    assert ran.err.endswith(f"  next: stkrp2p council status --config {home.config}\n")
    assert " does not sit in the council\n" in ran.err


@pytest.mark.chain
def test_files_of_another_board_stop_the_making_of_keys(home, run):
    (home.folder / "council").mkdir(mode=0o700)
    path = home.folder / "council" / "board"
    path.write_text("1 0x00\n")
    path.chmod(0o600)
    ran = run(*home.dkg)
    folder = home.folder / "council"
    assert (ran.code, ran.err) == (
        4,
        "error: the council's keys cannot be used\n"
        f"  why: {folder} belongs to another bulletin board\n"
        f"  next: mv {folder} {folder}.old\n",
    )
    shown = run("council", "status", "--config", home.config)
    assert shown.code == 0
    assert f"attention: {folder} belongs" in shown.out


@pytest.mark.chain
def test_a_port_that_is_taken_is_told(home, run):
    port = int(load_config(path=home.config).config.listen[0].rpartition("/")[2])
    with socket.socket() as taken:
        taken.bind((HOST, port))
        taken.listen()
        ran = run(*home.dkg)
    assert ran.code == 1
    assert ran.err.splitlines()[0] == "error: the other governors cannot be reached"
    assert ran.err.splitlines()[-1].startswith("  next: stkrp2p council dkg --listen ")


@pytest.mark.chain
def test_a_board_that_is_none_and_a_chain_that_is_down_are_told(home, run):
    ran = run("council", "dkg", "--config", home.config, "--board", f"0x{'11' * 20}")
    assert ran.code == 3
    assert f"no contract at 0x{'11' * 20}" in ran.err
    home.config.write_text(home.config.read_text().replace(home.url, "http://127.0.0.1:1"))
    for command in (home.dkg, ("council", "status", "--config", home.config)):
        ran = run(*command)
        assert ran.code == 3
        assert ran.err.startswith("error: the bulletin board cannot be asked\n")


def test_what_a_ceremony_takes_is_asked_for(tmp_path, run):
    folder = tmp_path / "d"
    folder.mkdir(mode=0o700)
    base = ("council", "dkg", "--data-dir", folder, "--board", f"0x{'11' * 20}")
    ran = run(*base)
    assert ran.code == 1
    assert ran.err.startswith(f"error: cannot read {folder}/node.key: No such file")
    create_node_key(folder / "node.key")
    assert run(*base).err.startswith("error: no account posts for this node\n")
    create_account_key(folder / "account.key")
    base = (*base, "--account-key", folder / "account.key")
    assert run(*base).err.startswith("error: no Ethereum endpoint is set\n")
    ran = run(*base[:-4], "--board", "0x12")
    assert (ran.code, ran.err.splitlines()[-1]) == (
        2,
        "Error: Invalid value for '--board': 0x12 is no address: 0x and 40 hex digits",
    )


def test_a_network_without_a_board_has_no_status(played, run):
    ran = run("council", "status", "--config", played)
    assert (ran.code, ran.err.splitlines()[0]) == (
        1,
        "error: network played has no bulletin board",
    )


# ---------------------------------------------------------------- lists

LINE = f"0x{'aa' * 20} {peer_id_text(GOVERNORS[0].node)}\n"


@pytest.mark.parametrize(
    ("text", "what", "why"),
    [
        ("", "lists no council", "it has 0; a council has an odd number up to 63"),
        (LINE + LINE.replace("aa", "bb"), "lists no council", "it has 2; a council has an odd"),
        (LINE * 3, "lists no council", "it has one account twice"),
        (
            LINE + LINE.replace("aa", "bb") + LINE.replace("aa", "cc"),
            "lists no council",
            "it has one node twice",
        ),
        ("# none\n0x12 x\n", "line 2 of ", "a line is an account"),
        (LINE.strip() + " more\n", "line 1 of ", "a line is an account"),
        ("0xzz\n", "line 1 of ", "a line is an account"),
    ],
)
def test_a_list_that_is_none_is_refused_with_its_line(home, run, text, what, why):
    path = home.folder / "list"
    path.write_text(text)
    ran = run("council", "reshare", path, "--config", home.config)
    assert ran.code == 2
    assert what in ran.err.splitlines()[0]
    assert ran.err.splitlines()[1].startswith(f"  why: {why}")


@pytest.mark.chain
def test_a_list_names_who_stays_who_joins_and_who_leaves(home, run):
    assert run(*home.dkg).code == 0
    path = home.folder / "list"
    path.write_text(f"# the next council\n\n{LINE}")
    ran = run("council", "reshare", path, "--dry-run", "--config", home.config)
    rows = ran.out.splitlines()[2:5]
    assert [row.split()[0] for row in rows[1:]] == ["0", "-"]
    assert [row.split()[-1] for row in rows[1:]] == ["joins", "leaves"]
    assert run("council", "reshare", home.folder / "none", "--config", home.config).code == 2


# ---------------------------------------------------------------- logs


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_traceback_in_the_log_shows_no_values(capsys, form):
    set_up_logging("debug", form)

    def fail() -> None:
        share = b"the share itself"
        raise ValueError(len(share))

    try:
        fail()
    except ValueError:
        structlog.get_logger().exception("it failed")
    told = capsys.readouterr().err
    assert "ValueError" in told
    assert "the share itself" not in told.replace("share = b", "")
