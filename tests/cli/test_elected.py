"""From an election to the council's keys: who is to hold them, on a real chain (R15, R17, R18)."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from stkrp2p.api.control import serve_control
from stkrp2p.config import dump_network, load_config
from stkrp2p.core.network import MarketAddresses
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import UnixMs
from stkrp2p.services.ceremony import CeremonyState
from stkrp2p.services.council import Seats
from stkrp2p.services.council_report import council_report
from testnet.cluster import free_port
from tests.adapters.chain_kit import BOB, node
from tests.adapters.conftest import market_deployed, market_net  # noqa: F401  - fixtures
from tests.adapters.market_kit import CAROL, DAVE, ERIN, VALUES, YEAR_S, address_of, rich
from tests.cli.background import in_background
from tests.cli.stage import Stage, next_of

STAKE = VALUES[Parameter.GOVERNOR_STAKE_MIN]
RESHARE = ("council", "reshare", "--elected")
HAND_ON = "stkrp2p council reshare --elected"


@pytest.fixture
def stage(market_net, tmp_path, run):  # noqa: F811
    """A council whose first keys Bob holds alone."""
    stage = Stage(market_net, tmp_path, run)
    rich(market_net, BOB, CAROL, DAVE, ERIN)
    for key, name in ((BOB, "governor"), (CAROL, "carol"), (DAVE, "dave"), (ERIN, "erin")):
        stage.config(key, name)
    board = f"0x{market_net.genesis.council.hex()}"
    listen = f"/ip4/127.0.0.1/tcp/{free_port('127.0.0.1')}"
    ran = stage.tells(BOB, "council", "dkg", "--board", board, "--listen", listen)
    assert ran.code == 0, ran.err
    return stage


def elect(stage: Stage, *keys: bytes) -> None:
    """Hold the election that is due; all of them stand, the first with the largest stake."""
    for place, key in enumerate(keys):
        stage.does(key, "gov", "stake", STAKE // 10**18 + len(keys) - place)
    stage.net.wait(1)
    stage.does(keys[0], "gov", "elect", "open")
    for key in keys:
        stage.does(key, "gov", "elect", "stand")
    stage.net.wait(VALUES[Parameter.ELECTION_S] + 1)
    stage.does(keys[0], "gov", "elect", "close")


@pytest.mark.chain
def test_an_election_leads_to_a_session_for_the_list_in_the_order_of_its_seats(stage):
    for key in (CAROL, DAVE):
        stage.does(key, "gov", "accept")
    early = stage.tells(BOB, *RESHARE)
    assert (early.code, early.err.splitlines()[:2]) == (
        1,
        [
            "error: the keys are not to be handed to the council's list",
            "  why: no election has seated anybody yet",
        ],
    )
    shown = stage.shows(BOB, "council", "status")
    assert (shown["elected"]["is_due"], shown["next"]) == (False, "")
    stage.net.wait(YEAR_S)
    elect(stage, ERIN)

    status = stage.does(BOB, "gov", "status")
    assert "keys      not yet with the 3 elected: 3 to join, 1 to leave\n" in status
    assert next_of(status) == HAND_ON
    assert next_of(stage.does(CAROL, "gov", "status")) != HAND_ON  # she holds no keys
    status = stage.does(BOB, "council", "status")
    assert "\nkeys     not yet with the 3 elected: 3 to join, 1 to leave\n" in status
    assert next_of(status) == HAND_ON
    assert "next: " not in stage.does(CAROL, "council", "status")
    refused = stage.tells(CAROL, *RESHARE)
    assert (refused.code, "does not sit in the council\n" in refused.err) == (2, True)

    names = [(CAROL, "carol"), (DAVE, "dave"), (ERIN, "erin")]
    wanted = [
        {"node": node(name).hex(), "account": f"0x{address_of(key).hex()}"} for key, name in names
    ]
    assert stage.shows(BOB, "gov", "status")["elected"] == {
        "governors": wanted,
        "fault": None,
        "is_due": True,
    }
    dry = stage.shows(BOB, *RESHARE, "--dry-run")
    assert (dry["is_dry_run"], dry["receivers"]) == (True, wanted)
    assert "session 2: deal\n" in stage.does(BOB, *RESHARE, "--no-wait")
    shown = stage.shows(BOB, "council", "status")
    assert (shown["session"]["number"], shown["session"]["receivers"]) == (2, wanted)
    assert shown["next"] == ""  # it is under way
    assert "is under way; --again gives it up" in stage.does(BOB, *RESHARE, "--no-wait")


@pytest.mark.chain
def test_nothing_is_asked_for_if_those_elected_hold_the_keys(stage):
    # R18: of two winners the first is the list.
    stage.net.wait(2 * YEAR_S)
    elect(stage, BOB, ERIN)
    assert "\nkeys     with the 1 elected\n" in stage.does(BOB, "council", "status")
    assert "keys " not in stage.does(BOB, "gov", "status")
    before = stage.height()
    assert stage.does(BOB, *RESHARE).startswith("nothing was sent: those elected hold the keys\n")
    assert stage.shows(BOB, *RESHARE)["is_needless"]
    assert stage.height() == before


@pytest.mark.chain
def test_a_list_without_a_majority_of_the_seats_is_not_to_have_the_keys(stage):
    # R16, R17: nobody who was invited accepted, and one was elected.
    stage.net.wait(YEAR_S)
    elect(stage, ERIN)
    ran = stage.tells(BOB, *RESHARE)
    assert "  why: seats taken: 1; a majority is 2\n" in ran.err
    assert "keys     not to be handed on: seats taken: 1" in stage.does(BOB, "council", "status")


def test_a_list_is_given_or_elected(run, tmp_path):
    for arguments, said in (
        (("council", "reshare"), "missing LIST, or --elected"),
        ((*RESHARE, "-"), "LIST and --elected exclude each other"),
    ):
        ran = run(*arguments, "--data-dir", tmp_path)
        assert (ran.code, said in ran.err) == (2, True)


def _board_of(config, genesis, **changes):
    """Let a node's network have a board, and what else is given."""
    genesis = replace(genesis, council=b"\1" * 20)
    (config.parent / "network.toml").write_text(dump_network(genesis, **changes))


def test_a_network_without_elections_elects_nobody(copied, run, world):
    _board_of(copied, world.genesis)
    (copied.parent / "account.key").write_text(BOB.hex())
    (copied.parent / "account.key").chmod(0o600)
    copied.write_text(
        copied.read_text() + 'account_key = "account.key"\nrpc = ["http://[::1]:1"]\n'
    )
    ran = run(*RESHARE, "--config", copied)
    assert (ran.code, ran.err.splitlines()[0]) == (2, "error: the network played has no market")


def test_what_a_running_node_says_is_shown_while_no_endpoint_tells_who_is_elected(
    copied, run, world
):
    market = MarketAddresses(
        **{f.name: bytes([i + 20]) * 20 for i, f in enumerate(fields(MarketAddresses))}
    )
    _board_of(copied, world.genesis, market=market)
    report = council_report(CeremonyState(), Seats(), world.node(0), UnixMs(0))

    async def start(nursery):
        path = load_config(path=copied).config.control_socket
        await nursery.start(serve_control, path, {"council": lambda: report})

    with in_background(start):
        ran = run("council", "status", "--config", copied)
        shown = run("council", "status", "--json", "--config", copied).json()
    assert ran.out == (
        "seat  none: this node holds no share\n"
        'attention: who is elected is not known: the setting "rpc" is empty\n'
    )
    assert (shown["elected"], shown["next"]) == (None, "")
    assert shown["elected_trouble"] == 'the setting "rpc" is empty'
