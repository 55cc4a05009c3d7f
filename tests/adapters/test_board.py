"""The council's bulletin board on a real anvil: whole sessions, absent governors, lost answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import trio

from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.board import Web3Board, _session_of, list_hash
from stkrp2p.adapters.chain.endpoint import unhex
from stkrp2p.adapters.chain.wallet import Wallet
from stkrp2p.adapters.deploy import deploy_council
from stkrp2p.core.crypto import node_id_of, sha256
from stkrp2p.core.types import Epoch
from stkrp2p.ports import (
    Board,
    BoardSession,
    ChainState,
    ChainUnavailable,
    Governor,
    Justification,
    Phase,
)
from testnet import anvil
from tests.adapters.chain_kit import (
    ALICE,
    Toxic,
    block,
    deaf_to,
    edits,
    hold_blocks,
    mine,
    network,
    rpc,
    says,
)

pytestmark = pytest.mark.chain

CHAIN_ID = 31337
PHASE_S = 600
PEOPLE = 9
GROUP, OTHER_GROUP = sha256(b"group"), sha256(b"other group")
SHARES = bytes(range(64))


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log_path = tmp_path_factory.mktemp("anvil") / "anvil.log"
    with anvil.running(anvil.Options(), log_path=log_path) as running:
        for i in range(PEOPLE):
            rpc(running.url, "anvil_setBalance", f"0x{person(i).account.hex()}", hex(10**20))
        yield running.url


def key(i: int) -> bytes:
    return sha256(b"account %d" % i)


def person(i: int) -> Governor:
    account = Wallet(key(i), chain_id=CHAIN_ID).address
    return Governor(account, node_id_of(sha256(b"node %d" % i)))


def people(*numbers: int) -> tuple[Governor, ...]:
    return tuple(map(person, numbers))


def deal(i: int) -> bytes:
    return sha256(b"deal %d" % i)


@dataclass
class Hall:
    """A council, and everybody's way to its board; governor i is person i."""

    url: str
    contract: bytes
    boards: list[Web3Board] = field(default_factory=list)
    before: list[int] = field(default_factory=list)
    """How many transactions each had sent before this council."""

    more: list[Web3Board] = field(default_factory=list)

    def board(self, i: int, *urls: str, **more: Any) -> Web3Board:
        """Another process of person i."""
        options = {"chain_id": CHAIN_ID, "contract": self.contract, "account_key": key(i)} | more
        self.more.append(Web3Board(urls or (self.url,), **options))
        return self.more[-1]

    def __getitem__(self, i: int) -> Web3Board:
        return self.boards[i]

    async def shown(self) -> BoardSession:
        session = await self.boards[0].session()
        assert session is not None
        return session

    async def next(self) -> int:
        """The number of the next session."""
        session = await self[0].session()
        return 1 if session is None else session.number + 1

    async def open(self, *supporters: int, receivers: Sequence[Governor] = ()) -> None:
        wanted = receivers or (await self[0].sitting()).governors
        number = await self.next()
        for i in supporters:
            await self[i].support(number, wanted)

    async def deal(self, *dealers: int) -> None:
        number = (await self.shown()).number
        for i in dealers:
            await self[i].post_deal(number, deal(i))

    async def respond(self, *receivers: int, complaints: int = 0) -> None:
        number = (await self.shown()).number
        for i in receivers:
            await self[i].respond(number, complaints)

    async def confirm(self, *receivers: int, group: bytes = GROUP) -> None:
        number = (await self.shown()).number
        for i in receivers:
            await self[i].confirm(number, group)

    async def seat(self, dealers: Sequence[int], receivers: Sequence[int]) -> None:
        """A whole session with everybody there."""
        await self.open(*dealers[: len(dealers) // 2 + 1], receivers=people(*receivers))
        await self.deal(*dealers)
        await self.respond(*receivers)
        await self.confirm(*receivers[: len(receivers) // 2 + 1])

    def warp(self, seconds: int) -> None:
        rpc(self.url, "evm_increaseTime", seconds)
        mine(self.url)

    def sent(self, i: int) -> int:
        """How many transactions person i sent to this council, those in the pool included."""
        return nonce(self.url, i) - self.before[i]

    def view(self, function: str, *arguments: object) -> Any:
        abi = interface("CouncilKeys")
        data = f"0x{abi.call(function, *arguments).hex()}"
        question = {"to": f"0x{self.contract.hex()}", "data": data}
        return abi.answer(function, unhex(rpc(self.url, "eth_call", question, "latest")))


def nonce(url: str, i: int) -> int:
    return int(rpc(url, "eth_getTransactionCount", account(i), "pending"), 16)


def account(i: int) -> str:
    return f"0x{person(i).account.hex()}"


@asynccontextmanager
async def council(url: str, count: int = 5) -> AsyncIterator[Hall]:
    address, _ = await deploy_council(url, ALICE, people(*range(count)), phase_s=PHASE_S)
    hall = Hall(url, address)
    hall.boards = [hall.board(i) for i in range(PEOPLE)]
    hall.before = [nonce(url, i) for i in range(PEOPLE)]
    try:
        yield hall
    finally:
        for board in hall.more:
            board.close()
        rpc(url, "anvil_dropAllTransactions")
        rpc(url, "evm_setAutomine", *[True])


@pytest.fixture
async def hall(url: str) -> AsyncIterator[Hall]:
    async with council(url) as hall:
        yield hall


# Stories.


async def test_a_session_seats_the_council_that_made_a_key(hall: Hall) -> None:
    board: Board = hall[3]
    everybody = people(0, 1, 2, 3, 4)
    assert await board.session() is None
    sitting = await board.sitting()
    assert (sitting.session, sitting.governors) == (0, everybody)
    assert (sitting.group_hash, sitting.starts_ms) == (None, None)

    await hall.open(0, 2)
    assert await board.session() is None
    await hall.open(4)
    opened_ms = int(block(hall.url)["timestamp"], 16) * 1000
    session = await hall.shown()
    assert (session.number, session.is_reshare, session.phase) == (1, False, Phase.DEAL)
    assert (session.opened_ms, session.phase_ends_ms) == (opened_ms, opened_ms + PHASE_S * 1000)
    assert (session.dealers, session.receivers) == (everybody, everybody)
    assert (session.dealers_threshold, session.receivers_threshold) == (3, 3)
    assert session.deals == session.complaints == session.confirmations == (None,) * 5

    await hall.deal(0, 1, 2, 3)
    assert (await hall.shown()).deals == (deal(0), deal(1), deal(2), deal(3), None)
    await hall.deal(4)
    assert (await hall.shown()).phase is Phase.RESPOND

    await hall.respond(0, 1, 2, 4)
    await hall.respond(3, complaints=0b00110)
    session = await hall.shown()
    assert (session.phase, session.complaints) == (Phase.JUSTIFY, (0, 0, 0, 6, 0))

    await hall[2].justify(1, 3, SHARES)
    await hall[1].justify(1, 3, SHARES[::-1])
    session = await hall.shown()
    assert session.phase is Phase.CONFIRM
    assert session.justifications == (
        Justification(2, 3, SHARES),
        Justification(1, 3, SHARES[::-1]),
    )

    await hall.confirm(0, 1, group=OTHER_GROUP)
    await hall.confirm(4, 3)
    assert (await hall.shown()).confirmations == (OTHER_GROUP, OTHER_GROUP, None, GROUP, GROUP)
    await hall.confirm(2)
    confirmed_ms = int(block(hall.url)["timestamp"], 16) * 1000
    session = await hall.shown()
    assert (session.phase, session.phase_ends_ms) == (Phase.CONFIRMED, None)
    assert (session.group_hash, session.starts_ms) == (GROUP, confirmed_ms + PHASE_S * 1000)
    sitting = await board.sitting()
    assert (sitting.session, sitting.governors) == (1, everybody)
    assert (sitting.group_hash, sitting.starts_ms) == (GROUP, session.starts_ms)


async def test_absent_governors_are_waited_for_until_each_phase_ends(hall: Hall) -> None:
    await hall.open(0, 1, 2)
    await hall.deal(0, 1, 2)
    assert (await hall.shown()).phase is Phase.DEAL
    hall.warp(PHASE_S)
    session = await hall.shown()
    assert (session.phase, session.deals[3:]) == (Phase.RESPOND, (None, None))
    assert session.phase_ends_ms == session.opened_ms + 2 * PHASE_S * 1000
    with pytest.raises(Rejected, match=r"WrongPhase\(1, 1, 0\)"):
        await hall.deal(3)

    await hall.respond(1, 2, complaints=0b001)
    await hall.respond(0, complaints=0b010)
    hall.warp(PHASE_S)
    session = await hall.shown()
    assert (session.phase, session.complaints) == (Phase.JUSTIFY, (2, 1, 1, None, None))
    await hall[0].justify(1, 2, SHARES)

    hall.warp(PHASE_S)
    assert (await hall.shown()).phase is Phase.CONFIRM
    await hall.confirm(1, 2)
    hall.warp(PHASE_S)
    session = await hall.shown()
    assert (session.phase, session.phase_ends_ms) == (Phase.FAILED, None)
    assert (await hall[0].sitting()).session == 0


async def test_the_next_session_supersedes_what_is_stuck(hall: Hall) -> None:
    await hall.open(0, 1, 2)
    await hall.deal(0)
    stuck = hall.board(1)
    await hall.open(2, 3, 4)
    session = await hall.shown()
    assert (session.number, session.phase, session.deals) == (2, Phase.DEAL, (None,) * 5)
    with pytest.raises(Rejected, match=r"NotLatestSession\(1, 2\)"):
        await stuck.post_deal(1, deal(1))
    await hall[0].post_deal(1, deal(0))  # it stands there


async def test_councils_hand_on_from_five_to_seven_to_five(hall: Hall) -> None:
    await hall.seat(range(5), range(5))
    await hall.seat(range(5), range(2, 9))
    session = await hall.shown()
    assert (session.number, session.is_reshare, session.phase) == (2, True, Phase.CONFIRMED)
    assert (session.dealers, session.receivers) == (people(*range(5)), people(*range(2, 9)))
    assert (session.dealers_threshold, session.receivers_threshold) == (3, 4)
    assert (await hall[0].sitting()).governors == people(*range(2, 9))
    with pytest.raises(Rejected, match="NotGovernor"):
        await hall[0].support(3, people(*range(5)))

    await hall.seat(range(2, 9), [8, 0, 2, 3, 4])
    sitting = await hall[0].sitting()
    assert (sitting.session, sitting.governors) == (3, people(8, 0, 2, 3, 4))
    until = [hall.view("satUntil", account(i)) * 1000 for i in (5, 7)]
    assert until == [sitting.starts_ms] * 2
    assert hall.view("satUntil", account(0)) == 2**64 - 1


async def test_a_council_of_one_makes_its_key_alone(url: str) -> None:
    async with council(url, 1) as hall:
        await hall.seat([0], [0])
        assert (await hall[0].sitting()).group_hash == GROUP


# What is refused, and what is done once.


async def test_what_the_board_refuses_is_rejected_by_its_rule(hall: Hall) -> None:
    async def refused(rule: str, post: Callable[[], Awaitable[None]]) -> None:
        with pytest.raises(Rejected) as caught:
            await post()
        assert caught.value.rule == rule

    await refused("NotGovernor", lambda: hall[5].support(1, people(*range(5))))
    await refused("NotSittingList", lambda: hall[0].support(1, people(*range(7))))
    await refused("NotLatestSession", lambda: hall[0].post_deal(1, deal(0)))
    await hall.open(0, 1, 2)
    await refused("NotDealer", lambda: hall[5].post_deal(1, deal(5)))
    await refused("ZeroHash", lambda: hall[0].post_deal(1, bytes(32)))
    await refused("WrongPhase", lambda: hall[0].respond(1, 0))
    await hall.deal(0, 1, 2, 3)
    hall.warp(PHASE_S)
    await refused("NoSuchDeal", lambda: hall[0].respond(1, 0b10000))
    await refused("NotReceiver", lambda: hall[5].respond(1, 0))
    await hall.respond(0, 1, complaints=0b0110)
    await hall.respond(2, complaints=0b0010)
    hall.warp(PHASE_S)
    await refused("DealerEvicted", lambda: hall[1].justify(1, 0, SHARES))
    await refused("NoSuchComplaint", lambda: hall[2].justify(1, 3, SHARES))
    await refused("BadSharesLength", lambda: hall[2].justify(1, 0, SHARES[1:]))
    hall.warp(PHASE_S)
    await refused("NotReceiver", lambda: hall[5].confirm(1, GROUP))
    await hall.confirm(0, 1, 2)
    await refused("BadGovernorCount", lambda: hall[0].support(2, people(0, 1)))
    await refused("DuplicateAccount", lambda: hall[0].support(2, people(0, 1, 1)))
    await refused("NotNextSession", lambda: hall[0].support(3, people(0, 1, 2)))
    await refused("NotNextSession", lambda: hall[0].support(1, people(0, 1, 2)))


async def test_what_stands_on_the_board_is_not_posted_again(hall: Hall) -> None:
    await hall.open(0, 0, 1, 1)
    assert (hall.sent(0), hall.sent(1)) == (1, 1)
    await hall.open(2)
    await hall.deal(0, 0, 1, 2, 3, 4, 0)
    assert hall.sent(0) == 2
    await hall.respond(0, 0, complaints=0b10)
    await hall.respond(1, 2, 3, 4)
    await hall.respond(0, complaints=0b10)
    assert hall.sent(0) == 3
    for _ in range(2):
        await hall[1].justify(1, 0, SHARES)
    assert hall.sent(1) == 4
    for _ in range(2):
        await hall.confirm(0, 2, 3)
    assert hall.sent(0) == 4
    assert (await hall.shown()).phase is Phase.CONFIRMED


async def test_another_post_than_the_one_that_stands_is_rejected(hall: Hall) -> None:
    await hall.open(0, 1, 2)
    await hall.deal(0, 1, 2, 3, 4)
    with pytest.raises(Rejected) as caught:
        await hall[0].post_deal(1, deal(1))
    assert caught.value.rule == "AlreadyDealt"
    await hall.respond(0, complaints=0b10)
    with pytest.raises(Rejected, match="AlreadyResponded"):
        await hall[0].respond(1, 0)
    await hall.respond(1, 2, 3, 4)
    await hall[1].justify(1, 0, SHARES)
    with pytest.raises(Rejected, match="AlreadyJustified"):
        await hall[1].justify(1, 0, SHARES[::-1])
    await hall.confirm(0)
    with pytest.raises(Rejected, match="AlreadyConfirmed"):
        await hall[0].confirm(1, OTHER_GROUP)


async def test_who_comes_late_to_confirm_what_is_confirmed_has_nothing_to_say(hall: Hall) -> None:
    await hall.seat(range(5), range(5))
    before = hall.sent(4)
    await hall[4].confirm(1, GROUP)
    assert hall.sent(4) == before
    with pytest.raises(Rejected, match="WrongPhase"):
        await hall[4].confirm(1, OTHER_GROUP)


async def test_a_post_that_waits_in_the_pool_is_not_sent_again_after_a_restart(hall: Hall) -> None:
    await hall.open(0, 1, 2)
    hold_blocks(hall.url)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hall[0].post_deal, 1, deal(0))
        await waiting(hall, 1)
        await hall.board(0).post_deal(1, deal(0))
        assert hall.sent(0) == 2
        mine(hall.url)
    assert (await hall.shown()).deals[0] == deal(0)


# Many at once.


async def waiting(hall: Hall, count: int) -> None:
    """Return once so many transactions wait in the pool."""
    with trio.fail_after(20):
        while int(rpc(hall.url, "txpool_status")["pending"], 16) < count:  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_governors_that_ask_at_once_open_one_session_and_none_asks_for_the_next(
    hall: Hall,
) -> None:
    everybody = people(*range(5))
    async with trio.open_nursery() as nursery:
        for i in range(5):
            nursery.start_soon(hall[i].support, 1, everybody)
    assert hall.view("latestSession") == 1
    assert hall.view("listOf", list_hash(everybody)) == tuple(
        (account(i), everybody[i].node) for i in range(5)
    )
    assert hall.view("supportersOf", list_hash(everybody)) == 0


async def test_whoever_is_last_in_a_block_has_gas_for_what_that_changes(hall: Hall) -> None:
    """What a post costs was asked when others seemed to be last."""

    async def in_one_block(*posts: Callable[[], Awaitable[None]]) -> None:
        hold_blocks(hall.url)
        async with trio.open_nursery() as nursery:
            for post in posts:
                nursery.start_soon(post)
            await waiting(hall, len(posts))
            mine(hall.url)
        rpc(hall.url, "evm_setAutomine", *[True])

    await hall.seat(range(5), range(5))
    successors = people(5, 6, 7)
    await in_one_block(*(partial(hall[i].support, 2, successors) for i in range(3)))
    await in_one_block(*(partial(hall[i].post_deal, 2, deal(i)) for i in range(5)))
    await in_one_block(*(partial(hall[i].respond, 2, 0) for i in (5, 6, 7)))
    assert (await hall.shown()).phase is Phase.CONFIRM
    await in_one_block(*(partial(hall[i].confirm, 2, GROUP) for i in (5, 7)))
    assert (await hall[0].sitting()).governors == successors


async def test_who_asks_too_late_is_content_with_its_list_and_with_no_other(hall: Hall) -> None:
    await hall.seat(range(5), range(5))
    await hall.open(0, 1, 2, receivers=people(0, 1, 2))
    await hall[3].support(2, people(0, 1, 2))
    with pytest.raises(Rejected, match=r"NotNextSession\(2, 3\)"):
        await hall[3].support(2, people(*range(7)))


async def test_who_asks_while_the_session_opens_in_the_pool_waits_for_it(hall: Hall) -> None:
    everybody = people(*range(5))
    await hall.open(0, 1)
    async with trio.open_nursery() as nursery:
        toxic = Toxic(hall.url)
        await nursery.start(toxic.run)
        hold_blocks(hall.url)
        async with trio.open_nursery() as posts:
            posts.start_soon(hall[2].support, 1, everybody)
            await waiting(hall, 1)
            posts.start_soon(hall.board(3, toxic.url).support, 1, everybody)
            with trio.fail_after(20):  # until it looks at the board again after it was refused
                while "eth_call" not in after(toxic.asked, "eth_estimateGas"):  # noqa: ASYNC110
                    await trio.sleep(0.01)
            mine(hall.url)
        nursery.cancel_scope.cancel()
    assert hall.sent(3) == 0


def after(methods: list[str], method: str) -> list[str]:
    return methods[methods.index(method) + 1 :] if method in methods else []


async def test_two_boards_of_one_account_post_at_once(hall: Hall) -> None:
    async with council(hall.url) as other:
        await hall.open(0, 1, 2)
        await other.open(0, 1, 2)
        before = hall.sent(3)
        async with trio.open_nursery() as nursery:
            for _ in range(2):
                nursery.start_soon(hall.board(3).post_deal, 1, deal(3))
                nursery.start_soon(other.board(3).post_deal, 1, deal(3))
        assert (await hall.shown()).deals[3] == (await other.shown()).deals[3] == deal(3)
        assert hall.sent(3) == before + 2


async def test_one_account_posts_and_anchors_at_the_same_time(hall: Hall) -> None:
    async with network(hall.url) as net:
        chain = net.chain(key=key(3))
        headers = [net.header(epoch) for epoch in range(3)]

        async def anchor() -> None:
            with trio.fail_after(30):
                for header in headers:
                    while not await chain.anchors(header.epoch):
                        await chain.submit_anchor(header, net.seal(header))
                        await trio.sleep(0.02)

        before = nonce(hall.url, 3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(anchor)
            await hall.open(3, 1, 2)
            await hall.deal(3, 0, 1, 2, 4)
            await hall.respond(3, 0, 1, 2, 4)
            await hall.confirm(3, 0, 1)
        assert (await hall.shown()).confirmations[3] == GROUP
        assert [record.header for record in await chain.anchors(Epoch(0))] == headers
        assert nonce(hall.url, 3) == before + 4 + len(headers)


# Endpoints.


async def test_a_post_whose_fate_is_not_told_counts_once(
    hall: Hall, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stkrp2p.adapters.chain.calls.MINED_S_MAX", 1)
    async with trio.open_nursery() as nursery:
        toxic = Toxic(hall.url)
        await nursery.start(toxic.run)
        board = hall.board(2, toxic.url)
        await hall.open(0, 1)
        await board.sitting()  # its endpoint is checked
        for post in (
            partial(board.support, 1, people(*range(5))),
            partial(board.post_deal, 1, deal(2)),
        ):
            toxic.toxin = deaf_to("eth_getTransactionReceipt")
            with pytest.raises(ChainUnavailable, match="is not mined"):
                await post()
            toxic.toxin = None
            await rested(board)
            await post()
        assert hall.sent(2) == 2
        assert (await hall.shown()).deals == (None, None, deal(2), None, None)
        nursery.cancel_scope.cancel()


async def test_a_receipt_that_comes_after_the_nonce_is_waited_for(hall: Hall) -> None:
    late = 3

    def no_receipt_yet(question: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        nonlocal late
        if question["method"] != "eth_getTransactionReceipt" or not late:
            return answer
        late -= 1
        return answer | {"result": None}

    async with trio.open_nursery() as nursery:
        toxic = Toxic(hall.url, toxin=edits(no_receipt_yet))
        await nursery.start(toxic.run)
        await hall.board(0, toxic.url).support(1, people(*range(5)))
        nursery.cancel_scope.cancel()
    assert (late, hall.sent(0)) == (0, 1)


async def rested(board: Web3Board) -> None:
    """Wait until the endpoints' rest after a failure is over."""
    rest_s = max(endpoint.rest_s for endpoint in board._endpoints._endpoints)
    assert rest_s < 5
    await trio.sleep(max(0, rest_s))


async def test_what_a_support_would_cost_is_told_without_sending_it(hall: Hall) -> None:
    await hall.open(0, 1)
    preview = await hall[2].preview_support(1, people(*range(5)))
    assert (preview.what, hall.sent(2)) == ("CouncilKeys.support", 0)
    assert preview.cost_wei_max == preview.gas * preview.fee_wei
    assert 150_000 < preview.gas < 500_000
    with pytest.raises(Rejected, match="AlreadySupported"):
        await hall[0].preview_support(1, people(*range(5)))


async def test_an_endpoint_on_another_chain_or_without_a_board_is_not_used(hall: Hall) -> None:
    elsewhere = hall.board(0, chain_id=1)
    with pytest.raises(ChainUnavailable, match="chain 31337, the council is on 1"):
        await elsewhere.session()
    assert elsewhere.state is ChainState.WRONG_CHAIN
    with pytest.raises(ChainUnavailable, match=f"no contract at 0x{bytes(20).hex()}"):
        await hall.board(0, contract=bytes(20)).sitting()


async def test_who_has_no_account_only_reads(hall: Hall) -> None:
    reader = hall.board(0, account_key=None)
    assert (reader.state, reader.detail) == (ChainState.CONNECTING, "not asked yet")
    assert (await reader.sitting()).governors == people(*range(5))
    assert (reader.state, reader.detail) == (ChainState.OK, hall.url.removeprefix("http://"))
    with pytest.raises(ChainUnavailable, match="no account is configured"):
        await reader.account()
    with pytest.raises(ChainUnavailable, match="no account is configured"):
        await reader.support(1, people(*range(5)))
    with pytest.raises(ChainUnavailable, match="no endpoint is configured"):
        await Web3Board([], chain_id=1, contract=bytes(20)).session()


async def test_nonsense_from_an_endpoint_is_the_endpoints_trouble(hall: Hall) -> None:
    await hall.open(0, 1, 2)
    async with trio.open_nursery() as nursery:
        toxic = Toxic(hall.url)
        await nursery.start(toxic.run)
        board = hall.board(0, toxic.url)
        assert await board.session()
        word = f"{1:064x}"
        for result in ("0x", f"0x{word}", f"0x{word * 40}", 7, None, "nonsense"):
            toxic.toxin = edits(lambda _q, a, result=result: a | {"result": result})
            with pytest.raises(ChainUnavailable):
                await board.session()
            await rested(board)
            board._endpoints._endpoints[0].succeeded()
        toxic.toxin = says(b"[]")
        with pytest.raises(ChainUnavailable):
            await board.sitting()
        nursery.cancel_scope.cancel()


def test_a_session_that_no_contract_shows_is_not_believed() -> None:
    seats = [("0x" + "11" * 20, b"\1" * 32)]
    shown: dict[str, Any] = {
        "number": 1,
        "kind": 0,
        "phase": 0,
        "openedAt": 1,
        "dealEndsAt": 2,
        "startsAt": 0,
        "dealersThreshold": 1,
        "receiversThreshold": 1,
        "groupHash": bytes(32),
        "dealers": seats,
        "receivers": seats,
        "dealHashes": [bytes(32)],
        "responded": 0,
        "complaints": [0],
        "justifications": [],
        "confirmations": [bytes(32)],
    }
    assert _session_of(shown).dealers == (Governor(b"\x11" * 20, b"\1" * 32),)
    for wrong in (
        {"phase": 7},
        {"dealers": seats * 64},
        {"dealHashes": []},
        {"complaints": [0, 0]},
        {"confirmations": []},
        {"justifications": [(1, 0, SHARES)]},
        {"justifications": [(0, 1, SHARES)]},
    ):
        with pytest.raises((ValueError, KeyError)):
            _session_of(shown | wrong)
