"""Governors use the bulletin board on a real chain; its events tell what its view shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi import encode
from web3 import HTTPProvider, Web3

from stkrp2p.adapters.chain.wallet import GAS_MAX
from stkrp2p.core.group import GOVERNORS_MAX
from testnet import anvil
from tests.contracts.conftest import Chain, refused

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

PHASE_S = 600
DEAL, RESPOND, JUSTIFY, CONFIRM, CONFIRMED, FAILED, SUPERSEDED = range(7)
GROUP = b"\x0f" * 32
SHARES = bytes(range(64))


@dataclass
class Council:
    """A board, and governors who are anvil's accounts of their numbers."""

    chain: Chain
    board: Contract
    latest: int = 0

    def list(self, *accounts: int) -> list[tuple[str, bytes]]:
        return [(self.chain.accounts[i], Web3.keccak(text=f"node {i}")) for i in accounts]

    def send(self, account: int, function: str, *arguments: object) -> int:
        """Post something for the latest session; return the gas it took."""
        call = self.board.functions[function](self.latest, *arguments)
        return int(self.chain.send(call, account)["gasUsed"])

    def all(self, accounts: Sequence[int], function: str, *arguments: object) -> list[int]:
        """Let many post the same; return the gas each took."""
        return [self.send(account, function, *arguments) for account in accounts]

    def wait(self, phases: int) -> None:
        """Let so many phases pass."""
        self.chain.warp(self.chain.now_s + phases * PHASE_S)

    def open(self, supporters: Sequence[int], receivers: Sequence[int]) -> list[int]:
        self.latest = self.board.functions.latestSession().call() + 1
        return self.all(supporters, "support", self.list(*receivers))

    def seat(self, dealers: Sequence[int], receivers: Sequence[int]) -> None:
        self.open(dealers[: len(dealers) // 2 + 1], receivers)
        self.all(dealers, "postDeal", GROUP)
        self.all(receivers, "respond", 0)
        self.all(receivers[: len(receivers) // 2 + 1], "confirm", GROUP)

    def shown(self, session: int) -> dict[str, Any]:
        [output] = self.board.get_function_by_name("sessionAt").abi["outputs"]
        names = [component["name"] for component in output["components"]]
        return dict(zip(names, self.board.functions.sessionAt(session).call(), strict=True))

    def events(self, name: str, session: int) -> list[dict[str, Any]]:
        logs = self.board.events[name]().get_logs(
            from_block=0, argument_filters={"session": session}
        )
        return [dict(log["args"]) for log in logs]

    def told(self, session: int) -> dict[str, Any]:
        """Fold a session's events into what the view shows of its posts."""
        [opened] = self.events("SessionOpened", session)
        dealers, receivers = (
            [tuple(seat.values()) for seat in self.proposed(opened[f"{who}Hash"])]
            for who in ("dealers", "receivers")
        )
        told = {
            "kind": opened["kind"],
            "dealers": dealers,
            "receivers": receivers,
            "dealHashes": [bytes(32)] * len(dealers),
            "responded": 0,
            "complaints": [0] * len(receivers),
            "confirmations": [bytes(32)] * len(receivers),
        }
        for post in self.events("DealPosted", session):
            told["dealHashes"][post["dealer"]] = post["dealHash"]
        for post in self.events("Responded", session):
            told["responded"] |= 1 << post["receiver"]
            told["complaints"][post["receiver"]] = post["complaints"]
        for post in self.events("GroupConfirmed", session):
            told["confirmations"][post["receiver"]] = post["groupHash"]
        told["justifications"] = [
            (post["dealer"], post["receiver"], post["shares"])
            for post in self.events("Justified", session)
        ]
        seated = self.events("CouncilSeated", session)
        told["groupHash"] = seated[0]["groupHash"] if seated else bytes(32)
        told["startsAt"] = seated[0]["startsAt"] if seated else 0
        return told

    def proposed(self, list_hash: bytes) -> list[dict[str, Any]]:
        [log] = self.board.events.ListProposed().get_logs(
            from_block=0, argument_filters={"listHash": list_hash}
        )
        return [dict(seat) for seat in log["args"]["list"]]


@pytest.fixture
def council(chain: Chain) -> Council:
    return council_of(chain, range(5))


def council_of(chain: Chain, accounts: Sequence[int]) -> Council:
    council = Council(chain, board=None)
    council.board = chain.deploy("CouncilKeys", council.list(*accounts), PHASE_S)
    return council


def test_the_events_of_a_session_tell_what_the_board_shows(council, chain):
    def check() -> None:
        for session in range(1, council.latest + 1):
            shown = council.shown(session)
            told = council.told(session)
            assert {name: shown[name] for name in told} == told

    council.open([4, 1], range(5))
    council.open([3], range(5))
    for account in (0, 2, 3, 4):
        council.send(account, "postDeal", Web3.keccak(text=f"deal {account}"))
    council.wait(1)
    check()
    for account, complaints in enumerate([0b00101, 0, 0b01100, 0, 0b10001]):
        council.send(account, "respond", complaints)
    check()
    for dealer, receiver in ((2, 0), (0, 4), (3, 2), (2, 2), (4, 4), (0, 0)):
        council.send(dealer, "justify", receiver, SHARES)
    check()
    for account in (4, 0, 3):
        council.send(account, "confirm", GROUP if account else bytes(31) + b"\1")
    assert council.shown(1)["phase"] == CONFIRM
    council.send(1, "confirm", GROUP)
    check()
    assert council.shown(1)["phase"] == CONFIRMED

    council.open([0, 1, 2], [2, 3, 4, 5, 6, 7, 8])
    check()
    council.open([0, 1, 2], [1, 2, 3])
    check()
    assert [council.shown(session)["phase"] for session in (1, 2, 3)] == [
        CONFIRMED,
        SUPERSEDED,
        DEAL,
    ]


def test_a_list_is_known_by_the_hash_of_its_encoding(council):
    seats = council.list(*range(5))
    list_hash = Web3.keccak(encode(["(address,bytes32)[]"], [seats]))
    assert council.board.functions.listOf(list_hash).call() == seats
    assert [tuple(seat.values()) for seat in council.proposed(list_hash)] == seats


def test_only_those_who_are_in_the_new_list_no_more_have_left(council, chain):
    def left(session: int) -> list[tuple[str, int]]:
        return [(e["account"], e["untilS"]) for e in council.events("GovernorLeft", session)]

    council.seat(range(5), range(5))
    assert left(1) == []
    council.seat(range(5), range(3, 10))
    starts_s = chain.now_s + PHASE_S
    assert left(2) == [(chain.accounts[i], starts_s) for i in (0, 1, 2)]
    council.seat(range(3, 10), [9, 0, 3])
    starts_s = chain.now_s + PHASE_S
    assert left(3) == [(chain.accounts[i], starts_s) for i in (4, 5, 6, 7, 8)]
    of = council.board.functions
    sits = [of.isGovernor(account).call() for account in chain.accounts]
    assert sits == [i in {0, 3, 9} for i in range(10)]
    assert of.satUntil(chain.accounts[5]).call() == starts_s


def test_what_the_board_refuses_it_names(council, chain):
    def caller(account: int) -> dict[str, str]:
        return {"from": chain.accounts[account]}

    of, board = council.board.functions, council.board
    seats = council.list(*range(5))
    with refused(board, "NotGovernor", chain.accounts[5]):
        of.support(1, seats).call(caller(5))
    with refused(board, "NotNextSession", 2, 1):
        of.support(2, seats).call(caller(0))
    council.open([0, 1, 2], range(5))
    with refused(board, "NotDealer", 1, chain.accounts[5]):
        of.postDeal(1, GROUP).call(caller(5))
    with refused(board, "WrongPhase", 1, DEAL, RESPOND):
        of.respond(1, 0).call(caller(0))
    council.all(range(3), "postDeal", GROUP)
    council.wait(1)
    with refused(board, "NoSuchDeal", 0b1100, 0b0111):
        of.respond(1, 0b1100).call(caller(0))
    council.wait(1)
    with refused(board, "WrongPhase", 1, CONFIRM, JUSTIFY):
        of.justify(1, 0, SHARES).call(caller(0))
    council.wait(1)
    with refused(board, "WrongPhase", 1, FAILED, CONFIRM):
        of.confirm(1, GROUP).call(caller(0))


def test_the_largest_council_fits_in_transactions(tmp_path: Path) -> None:
    """The dearest posts: a list of strangers, complaints about everyone, and everyone leaves."""
    everyone, others = range(GOVERNORS_MAX), range(GOVERNORS_MAX, 2 * GOVERNORS_MAX)
    options = anvil.Options(accounts=2 * GOVERNORS_MAX)
    with anvil.running(options, log_path=tmp_path / "anvil.log") as node:
        council = council_of(Chain(Web3(HTTPProvider(node.url))), everyone)
        majority = GOVERNORS_MAX // 2 + 1
        council.open(everyone[:majority], everyone)
        council.all(everyone[:majority], "postDeal", GROUP)
        council.wait(2)
        council.all(everyone[:majority], "confirm", GROUP)

        gas = council.open(everyone[:majority], others)
        gas += council.all(everyone, "postDeal", GROUP)
        gas += council.all(others[:1], "respond", 2**GOVERNORS_MAX - 1)
        council.wait(1)
        gas += council.all(everyone[:1], "justify", 0, SHARES)
        council.wait(1)
        gas += council.all(others[:majority], "confirm", GROUP)
        assert council.board.functions.sittingSession().call() == 2
    assert max(gas) < GAS_MAX // 3
