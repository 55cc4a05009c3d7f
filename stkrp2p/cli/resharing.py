"""Asking for a session from a governor's account, and watching what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.cli.boards import ask_board, board_of_network
from stkrp2p.cli.council_view import View, news, view_of
from stkrp2p.cli.elected import elected_list
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.governor_list import read_governors
from stkrp2p.cli.identity import own_node
from stkrp2p.cli.nodes import short
from stkrp2p.cli.output import columns, tokens
from stkrp2p.config import NodeConfig
from stkrp2p.core.types import NodeId
from stkrp2p.ports import Board, BoardSession, Governor, Phase, SittingCouncil
from stkrp2p.services.ceremony import CeremonyState
from stkrp2p.services.council import Seats
from stkrp2p.services.council_report import council_report

if TYPE_CHECKING:
    from stkrp2p.adapters.chain import Preview
    from stkrp2p.adapters.chain.board import Web3Board

LOOK_S = 2.0
"""From one look at the board to the next."""

SITTING_LIST = Path("-")
"""Stands for the list that sits now."""

_OVER = frozenset({Phase.CONFIRMED, Phase.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for."""

    path: Path | None
    """The file with the list, or `SITTING_LIST`; `None` for the elected list."""

    is_dry: bool
    is_waiting: bool
    is_anew: bool
    """Whether to ask although a session for the same list is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for, and what came of it."""

    sitting: tuple[Governor, ...]
    receivers: tuple[Governor, ...]
    preview: Preview | None = None
    """What it would cost; `None` if it was sent."""

    session: BoardSession | None = None
    """The session with these receivers, if it opened."""

    is_needless: bool = False
    """Whether nothing was asked for: those elected hold the keys."""

    def document(self) -> dict[str, object]:
        """Return it in JSON types."""
        preview, session = self.preview, self.session
        return {
            "is_dry_run": preview is not None,
            "is_needless": self.is_needless,
            "gas_max": preview.gas if preview else None,
            "cost_wei_max": str(preview.cost_wei_max) if preview else None,
            "receivers": [
                {"node": g.node.hex(), "account": f"0x{g.account.hex()}"} for g in self.receivers
            ],
            "session": session.number if session else None,
            "phase": str(session.phase) if session else None,
            "starts_ms": session.starts_ms if session else None,
        }

    def lines(self) -> list[str]:
        """Return it for people."""
        if self.is_needless:
            return ["nothing was sent: those elected hold the keys"]
        if self.preview is not None:
            cost = f"at most {self.preview.gas:,} gas, {tokens(self.preview.cost_wei_max)} ETH"
            lines = [f"{self.preview.what}: {cost}", "nothing was sent; it would ask for"]
            return [*lines, *_listed(self.receivers, self.sitting)]
        if self.session is None:
            needed = len(self.sitting) // 2 + 1
            return [f"asked; the session opens once {needed} of {len(self.sitting)} have"]
        return [f"session {self.session.number}: {self.session.phase}"]


def _listed(receivers: tuple[Governor, ...], sitting: tuple[Governor, ...]) -> list[str]:
    """Return the new list, with who stays and who joins, and who leaves."""
    rows = [
        (str(i), short(g.node), f"0x{g.account.hex()}", "stays" if g in sitting else "joins")
        for i, g in enumerate(receivers)
    ]
    rows += [
        ("-", short(g.node), f"0x{g.account.hex()}", "leaves")
        for g in sitting
        if g not in receivers
    ]
    return columns((">", "governor", "account", ""), rows)


def ask_for_session(
    config: NodeConfig, account_key: bytes, wish: Wish, say: Callable[[str], None]
) -> Asked:
    """Support a list for the next session, and wait for the session's end unless told not to.

    Args:
        config: The node's settings.
        account_key: secp256k1 secret of a sitting governor's account, 32 bytes.
        wish: What to ask for.
        say: Told what happens, line by line.

    Raises:
        Failure: The list is none, the account does not sit, the board refuses, or the session fails.
    """
    contract, node = board_of_network(config), own_node(config)
    receivers = _receivers(config, wish)

    async def work(board: Web3Board, _chain_id: int) -> Asked:
        sitting = await board.sitting()
        _check_sits(sitting, await board.account())
        wanted = receivers or sitting.governors
        if wish.path is None and set(wanted) == set(sitting.governors):
            return Asked(sitting=sitting.governors, receivers=wanted, is_needless=True)
        latest = await board.session()
        after = latest.number if latest else 0
        if wish.is_dry:
            preview = await board.preview_support(after + 1, wanted)
            return Asked(sitting=sitting.governors, receivers=wanted, preview=preview)
        if latest and latest.receivers == wanted and latest.phase not in _OVER and not wish.is_anew:
            say(f"session {latest.number}, for the same list, is under way; --again gives it up")
            after -= 1
        else:
            await board.support(after + 1, wanted)
        session = await _session(board, node, after, wanted, say, is_waiting=wish.is_waiting)
        return Asked(sitting=sitting.governors, receivers=wanted, session=session)

    return ask_board(config, contract, work, account_key=account_key)


def _receivers(config: NodeConfig, wish: Wish) -> tuple[Governor, ...]:
    """Return the wanted list, empty for the one that sits; raises `Failure` if it is none."""
    if wish.path is None:
        return elected_list(config)
    return () if wish.path == SITTING_LIST else read_governors(wish.path)


def _check_sits(sitting: SittingCouncil, account: bytes) -> None:
    if all(g.account != account for g in sitting.governors):
        raise Failure(
            f"account 0x{account.hex()} does not sit in the council",
            why="only those whom its bulletin board lists ask for a session",
            hint="stkrp2p council status",
            code=Exit.USAGE,
        )
    if sitting.group_hash is None:
        raise Failure(
            "the council has no keys yet",
            why="there is nothing to reshare",
            hint=f"stkrp2p council dkg --board 0x… on all {len(sitting.governors)} governors",
            code=Exit.USAGE,
        )


async def _session(
    board: Board,
    node: NodeId,
    after: int,
    receivers: tuple[Governor, ...],
    say: Callable[[str], None],
    *,
    is_waiting: bool,
) -> BoardSession | None:
    """Return the session after the given one, at its end if we wait; `None` if it is not open yet.

    Raises:
        Failure: It has other receivers, or failed.
        ChainUnavailable: The board cannot be asked.
    """
    seen: View | None = None
    while True:
        session = await board.session()
        is_open = session is not None and session.number > after
        if session is not None and is_open:
            _check_session(session, receivers)
            state = CeremonyState(session=session)
            now_ms = SystemClock().unix_ms()
            view = view_of(council_report(state, Seats(), node, now_ms))
            for line in news(seen, view, now_ms):
                say(line)
            seen = view
        if session is not None and is_open and (session.phase in _OVER or not is_waiting):
            return session
        if not is_waiting:
            return None
        await trio.sleep(LOOK_S)


def _check_session(session: BoardSession, receivers: tuple[Governor, ...]) -> None:
    if session.receivers != receivers:
        raise Failure(
            f"session {session.number} is for another list",
            why="a threshold of the governors asked for that one first",
            hint="stkrp2p council status",
        )
    if session.phase is Phase.FAILED:
        raise Failure(
            f"session {session.number} made no shares",
            why="a governor's `stkrp2p council status` names the reason",
            hint="ask again for the same list",
        )
