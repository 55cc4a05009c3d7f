"""`stkrp2p gov elect`: open an election, stand, back somebody, close it (R17, R18, Q22)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.errors import Failure, key_failures
from stkrp2p.cli.nodes import node_from_text
from stkrp2p.cli.parties import address
from stkrp2p.core.types import NodeId

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.cli.acting import Acting
    from stkrp2p.core.types import Operator

STATUS = "stkrp2p gov status"


@click.group("elect")
def elect() -> None:
    """Elect governors: open, stand, back, close."""


@elect.command("open", cls=ActingCommand)
def open_election(*, acting: Acting) -> None:
    """Open the election that is due; anybody may.

    Its dates were fixed at deployment.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.council.open_election())
        return "stkrp2p gov elect stand"

    acting.run(work)


@elect.command("stand", cls=ActingCommand)
@click.option("--node", help="PeerID or hex id of the node to govern with.  [default: this one]")
def stand(*, acting: Acting, node: str | None) -> None:
    """Stand in the open election.

    The account's stake at its opening is its first votes.
    """
    ours = _own_node(acting) if node is None else node_from_text(node)
    if ours is None:
        raise click.BadParameter(f"{node} is no PeerID or hex id", param_hint="--node")
    standing: NodeId = ours

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.council.stand(await _open_one(chain), standing))
        return STATUS

    acting.run(work)


@elect.command("back", cls=ActingCommand)
@click.argument("candidate", type=address)
def back(*, acting: Acting, candidate: Operator) -> None:
    """Give this account's votes to a CANDIDATE, for good.

    They are its stake when the election was opened.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.council.back(await _open_one(chain), candidate))
        return STATUS

    acting.run(work)


@elect.command("close", cls=ActingCommand)
def close_election(*, acting: Acting) -> None:
    """Close the election and seat who won; anybody may."""

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.council.close_election())
        return STATUS

    acting.run(work)


def _own_node(acting: Acting) -> NodeId:
    from stkrp2p.adapters.keys import load_node_key  # noqa: PLC0415

    with key_failures():
        return load_node_key(acting.loaded.config.node_key).node


async def _open_one(chain: RuleChain) -> int:
    """Return the number of the open election.

    Raises:
        Failure: None is open.
    """
    latest = await chain.council.latest_election()
    if latest == 0 or (await chain.council.election(latest)).is_closed:
        raise Failure("no election is open", why="one is opened when it is due", hint=STATUS)
    return latest
