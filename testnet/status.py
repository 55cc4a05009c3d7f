"""What running nodes say of themselves on their control sockets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from stkrp2p.api.control_client import ControlError, ask
from testnet.cluster import Member

ASK_S_MAX = 1.0
"""Time a node has to say how it does."""

Status = Mapping[str, object]


async def ask_all(members: Sequence[Member], command: str = "status") -> dict[str, Status]:
    """Return what every node that answers says to a command of its control socket, by name."""
    answers: dict[str, Status] = {}

    async def ask_one(member: Member) -> None:
        path = Path(member.entry.data_dir) / "control.sock"
        try:
            answers[member.entry.name] = await trio.to_thread.run_sync(
                lambda: ask(path, command, ASK_S_MAX), abandon_on_cancel=True
            )
        except ControlError:
            return

    async with trio.open_nursery() as nursery:
        for member in members:
            nursery.start_soon(ask_one, member)
    return answers
