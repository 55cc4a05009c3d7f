"""Making a council's keys from the command line, before there is a network."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.council_files import CouncilFiles
from stkrp2p.adapters.keys import NodeKey
from stkrp2p.cli.council_view import View, news, view_of
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.nodes import node_from_text
from stkrp2p.config import NodeConfig
from stkrp2p.core.council import COUNCIL_PROTOCOL
from stkrp2p.core.types import NodeId
from stkrp2p.core.wire import ANSWER_BYTES_MAX
from stkrp2p.ports import Board, BoardSession, Network, Phase, SittingCouncil
from stkrp2p.services.ceremony import Ceremonies, load_seats, run_ceremonies
from stkrp2p.services.council import Council, CouncilServer, Seat, Seats
from stkrp2p.services.council_report import council_report

LOOK_MS = 1_000
"""From one look at the board to the next."""

NEWS_S = 0.2
"""How soon news are shown."""

_RUNNING = frozenset({Phase.DEAL, Phase.RESPOND, Phase.JUSTIFY, Phase.CONFIRM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where and as whom we make keys."""

    config: NodeConfig
    key: NodeKey
    chain_id: int
    contract: bytes
    board: Board


async def make_keys(place: Place, say: Callable[[str], None]) -> Seat:
    """Take part in the board's first key generation; return our seat.

    Asks for a session if none is under way. Returns once we hold our share and all other governors
    hold theirs, or the time has come from which the shares sign.

    Args:
        place: Where and as whom.
        say: Told what happens, line by line.

    Raises:
        Failure: We are not in the council, the session fails, or a signal ends us.
        ListenError, SafeError, ChainUnavailable: What it takes does not work.
    """
    seats = Seats()
    safe = safe_of(place.config, place.key.node, place.chain_id, place.contract)
    await load_seats(safe, seats)
    after = await _ask_for_session(place, say)
    async with _network(place) as network:
        server = CouncilServer(network_id=None, seats=seats)
        ceremonies = Ceremonies(
            secret=place.key.secret,
            chain_id=place.chain_id,
            contract=place.contract,
            network_id=None,
            board=place.board,
            safe=safe,
            seats=seats,
            council=Council(node=place.key.node, network=network),
            clock=SystemClock(),
            look_ms=LOOK_MS,
        )
        ceremonies.serve(server)
        network.serve(COUNCIL_PROTOCOL, server.answer, answer_bytes_max=ANSWER_BYTES_MAX)
        return await _run(ceremonies, say, after)


async def _ask_for_session(place: Place, say: Callable[[str], None]) -> int:
    """Ask for a session unless one runs or there is a key; return the number of the last that is over.

    Raises:
        Failure: We are not in the council.
    """
    sitting = await place.board.sitting()
    _check_governor(place, sitting, await place.board.account())
    session = await place.board.session()
    if sitting.group_hash is not None:
        return 0
    if session is not None and session.phase in _RUNNING:
        return session.number - 1
    last = session.number if session is not None else 0
    await place.board.support(last + 1, sitting.governors)
    needed = len(sitting.governors) // 2 + 1
    say(f"asked for a session; it opens once {needed} of {len(sitting.governors)} have")
    return last


def _check_governor(place: Place, sitting: SittingCouncil, account: bytes) -> None:
    node = place.key.node
    wanted = next((g.account for g in sitting.governors if g.node == node), None)
    if wanted == account:
        return
    board = f"board 0x{place.contract.hex()}"
    if wanted is None:
        why = f"{board} lists {len(sitting.governors)} others"
    else:
        why = f"{board} wants account 0x{wanted.hex()} to post for it, ours is 0x{account.hex()}"
    raise Failure(
        "this node is no governor" if wanted is None else "this is not the governor's account",
        why=why,
        hint="check --board, node key and account_key",
        code=Exit.USAGE,
    )


def safe_of(config: NodeConfig, node: NodeId, chain_id: int, contract: bytes) -> CouncilFiles:
    """Return a governor's files for the board at an address."""
    return CouncilFiles(
        directory=config.council_dir,
        node=node,
        chain_id=chain_id,
        board=contract,
        password_path=config.council_password,
    )


@asynccontextmanager
async def _network(place: Place) -> AsyncIterator[Network]:
    from stkrp2p.adapters.libp2p import open_network  # noqa: PLC0415  - two seconds

    seed, listen = place.key.secret.reveal(), place.config.listen
    async with open_network(seed=seed, listen=listen, clock=SystemClock()) as edge:
        edge.set_addresses(_addresses(place.config.peers))
        yield edge


def _addresses(peers: Sequence[str]) -> Mapping[NodeId, Sequence[str]]:
    """Return where the peers are that the setting names."""
    book: dict[NodeId, list[str]] = {}
    for peer in peers:
        address, _, name = peer.partition("/p2p/")
        node = node_from_text(name)
        if node is None:
            raise Failure(
                f"{name} is no PeerID",
                why=f'"peers" has {peer}',
                hint="stkrp2p id",
                code=Exit.USAGE,
            )
        book.setdefault(node, []).append(address)
    return book


async def _run(ceremonies: Ceremonies, say: Callable[[str], None], after: int) -> Seat:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:

            async def end_on_signal() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(end_on_signal)
            await nursery.start(run_ceremonies, ceremonies)
            await _watch(ceremonies, say, after)
            nursery.cancel_scope.cancel()
    seat = ceremonies.seats.newest
    if seat is None:
        raise Failure(
            "stopped before the keys were made",
            why="what this node has done is kept",
            hint="run the same command again to go on",
        )
    return seat


async def _watch(ceremonies: Ceremonies, say: Callable[[str], None], after: int) -> None:
    """Tell what happens, until we have our share and nobody needs us any more.

    Raises:
        Failure: A session after the given one failed, or gave us no share.
    """
    before: View | None = None
    is_waiting = False
    while True:
        state, now_ms = ceremonies.state, ceremonies.clock.unix_ms()
        view = view_of(council_report(state, ceremonies.seats, ceremonies.node, now_ms))
        for line in news(before, view, now_ms):
            say(line)
        before = view
        if state.session is not None and state.session.number > after:
            _check(state.session, ceremonies.seats.newest, state.outcome)
            if ceremonies.seats.newest is not None:
                if not _is_needed(state.session, now_ms):
                    return
                if not is_waiting:
                    say("our share is kept; waits for those who may need deals (Ctrl-C ends)")
                is_waiting = True
        await trio.sleep(NEWS_S)


def _check(session: BoardSession, seat: Seat | None, outcome: str) -> None:
    if seat is not None and seat.share is None:
        raise Failure(
            "the council has its keys, and this node no share of them",
            why="a dealer's share for it is wrong, and it was not there to complain in time",
            hint="reshare to the same list: stkrp2p council reshare LIST",
        )
    if session.phase is Phase.FAILED and outcome:
        raise Failure(
            f"session {session.number} made no key",
            why=outcome,
            hint="run the same command again, on all governors: it asks for the next session",
        )


def _is_needed(session: BoardSession, now_ms: int) -> bool:
    """Tell whether a receiver may still ask for deals: it neither had all nor confirmed the group."""
    if session.starts_ms is None or session.starts_ms <= now_ms:
        return False
    posts = zip(session.complaints, session.confirmations, strict=True)
    return any(complaints != 0 and confirmed is None for complaints, confirmed in posts)
