"""`stkrp2p request`: ask for bids, choose or draw, fund, settle (R32, R40, R49-R51)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.deal_steps import next_step, read_course
from stkrp2p.cli.onchain import ask_rule
from stkrp2p.cli.parties import provider_called
from stkrp2p.cli.request_quote import (
    length_option,
    providers,
    quote,
    read_project,
    type_option,
)
from stkrp2p.cli.request_settle import doubt, settle
from stkrp2p.cli.request_view import status
from stkrp2p.cli.resources import (
    Given,
    bandwidth_option,
    cpu_option,
    ram_option,
    storage_option,
)
from stkrp2p.cli.store_proofs import latest_final
from stkrp2p.core.types import Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import Action, RuleChain
    from stkrp2p.cli.acting import Acting

_NUMBER = click.IntRange(min=1)


@click.group("request")
def command() -> None:
    """Have a project served: quote, open, draw, fund, settle."""


for each in (doubt, providers, quote, settle, status):
    command.add_command(each)


@command.command("open", cls=ActingCommand)
@type_option
@length_option
@click.option(
    "--max",
    "fp_wei_max",
    type=amount_of("ANKR"),
    metavar="ANKR",
    help="The most to pay, if the price rises meanwhile.  [default: what is quoted now]",
)
@cpu_option
@ram_option
@storage_option
@bandwidth_option
def open_auction(
    *,
    acting: Acting,
    number: int | None,
    length_s: int,
    fp_wei_max: int | None,
    **given: Given,
) -> None:
    """Ask for bids on a project.

    It takes the fixed price in ANKR. What the winner is not paid, and the pools do not get, comes
    back when the deal is settled. An auction without bids is closed, and the price comes back
    whole.
    """

    async def work(chain: RuleChain, do: Do) -> str:
        from stkrp2p.adapters.chain.rule.auctions import Request  # noqa: PLC0415

        project = await read_project(chain, number, length_s, given)
        request = Request(
            project_type=project.number,
            length_s=length_s,
            need=project.need,
            score_epoch=await latest_final(chain),
        )
        most = project.quote.fp_wei if fp_wei_max is None else fp_wei_max
        await do(await chain.market.open(request, fp_wei_max=most))
        opened = await chain.market.opened_by(await chain.account())
        return f"stkrp2p request status {opened[-1].deal}" if opened else "stkrp2p request status"

    acting.run(work)


@command.command("choose", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
@click.argument("provider")
def choose(*, acting: Acting, deal: int, provider: str) -> None:
    """Choose among the lowest bids, where the rule lets you.

    PROVIDER is an address or a brand name.
    """

    async def prepare(chain: RuleChain) -> Action:
        return await chain.market.choose(deal, await provider_called(chain, provider))

    _run(acting, deal, prepare)


@command.command("draw", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def draw(*, acting: Acting, deal: int) -> None:
    """Draw the provider by the beacon; anybody may.

    The round was fixed before the first bid. It is taken from this node's store, or from the beacon
    endpoints that are set; the contract verifies it.
    """
    from stkrp2p.cli.beacon import find_round  # noqa: PLC0415

    config, network = acting.loaded.config, acting.network()
    course = ask_rule(config, network, lambda chain: read_course(chain, network.genesis, deal))
    number = course.auction.draw_round
    signature = find_round(config, network.genesis.beacon, number).value.signature
    _run(acting, deal, lambda chain: chain.market.draw(deal, signature))


@command.command("fund", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def fund(*, acting: Acting, deal: int) -> None:
    """Put the requester's ETH into a deal."""
    _run(acting, deal, lambda chain: chain.deals.fund(deal))


@command.command("dispute", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
@click.argument("evidence")
def dispute(*, acting: Acting, deal: int, evidence: str) -> None:
    """Dispute a running deal, as one of its parties (R62).

    It is frozen until the governors rule. EVIDENCE is what you say, or where that is; it is public.
    """
    _run(acting, deal, lambda chain: chain.deals.dispute(deal, evidence))


@command.command("close", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def close(*, acting: Acting, deal: int) -> None:
    """Close an auction that can come to nothing any more.

    The fixed price comes back.
    """
    _run(acting, deal, lambda chain: chain.market.close(deal))


def _run(acting: Acting, deal: int, prepare: Callable[[RuleChain], Awaitable[Action]]) -> None:
    """Do one thing with a deal, and say what it needs next."""
    genesis = acting.network().genesis

    async def work(chain: RuleChain, do: Do) -> str:
        await read_course(chain, genesis, deal)
        await do(await prepare(chain))
        return next_step(await read_course(chain, genesis, deal), Operator(await chain.account()))

    acting.run(work)
