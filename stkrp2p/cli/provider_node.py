"""`stkrp2p provider node`: bind a sidecar to its blockchain node, and unbind it (R26, R35)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.errors import key_failures
from stkrp2p.cli.parties import data
from stkrp2p.cli.store_proofs import latest_final, member_proof, own_registration
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.cli.acting import Acting

STATUS = "stkrp2p provider status"
CHAIN_NODE_BYTES = 32


@click.group("node")
def node() -> None:
    """Bind this sidecar to its blockchain node, or unbind it."""


@node.command("add", cls=ActingCommand)
@click.argument("chain_node", type=data)
def add(*, acting: Acting, chain_node: bytes) -> None:
    """Bind this node to the blockchain node CHAIN_NODE.

    CHAIN_NODE is 0x and the 64 hex digits of its id. That this node is a member is proved by a
    final epoch's roster, from its own store.
    """
    from stkrp2p.adapters.keys import load_node_key  # noqa: PLC0415

    if len(chain_node) != CHAIN_NODE_BYTES:
        raise click.BadParameter("a blockchain node's id has 64 hex digits")
    config, genesis = acting.loaded.config, acting.network().genesis
    with key_failures():
        ours = load_node_key(config.node_key).node

    async def work(chain: RuleChain, do: Do) -> str:
        operator = Operator(await chain.account())
        registration = await own_registration(config, ours, operator)
        proved = await member_proof(config, genesis, ours, await latest_final(chain))
        await do(await chain.providers.add_node(registration.index, chain_node, proved))
        return STATUS

    acting.run(work)


@node.command("remove", cls=ActingCommand)
@click.argument("registration", type=click.IntRange(min=0))
def remove(*, acting: Acting, registration: int) -> None:
    """Unbind the sidecar of a REGISTRATION.

    `provider status` shows their numbers.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.providers.remove_node(registration))
        return STATUS

    acting.run(work)
