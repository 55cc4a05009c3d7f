"""`stkrp2p provider bid`, `reveal`, `start`, `reclaim`: from a bid to a running deal (R49, R50)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.acting import ActingCommand, Do
from stkrp2p.cli.amounts import amount_of
from stkrp2p.cli.deal_steps import next_step, read_course
from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.output import when
from stkrp2p.cli.store_proofs import score_proof
from stkrp2p.core.types import NodeId, Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.bids import BidStore
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.cli.acting import Acting
    from stkrp2p.config import NetworkFile, NodeConfig
    from stkrp2p.core.draw import Auction

BIDS_FOLDER = "bids"
STATUS = "stkrp2p provider status"

_NUMBER = click.IntRange(min=1)


def bid_store(config: NodeConfig) -> BidStore:
    """Return where this node keeps its bids."""
    from stkrp2p.adapters.bids import BidStore  # noqa: PLC0415

    return BidStore(config.data_dir / BIDS_FOLDER)


def auction_of(network: NetworkFile, deal: int) -> Auction:
    """Return what an auction is called in commitments; raises `Failure` without a market."""
    from stkrp2p.cli.onchain import market_of  # noqa: PLC0415
    from stkrp2p.core.draw import Auction  # noqa: PLC0415

    market = Operator(market_of(network).market)
    return Auction(chain_id=network.genesis.chain_id, market=market, deal=deal)


@click.command("bid", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
@click.argument("price", metavar="ANKR", type=amount_of("ANKR"))
@click.option(
    "--node",
    "registration",
    type=click.IntRange(min=0),
    help="Registration of the node that would serve.  [default: the first that is free]",
)
def bid(*, acting: Acting, deal: int, price: int, registration: int | None) -> None:
    """Seal a bid of ANKR for a deal.

    It takes the policy's bond. Price and salt are kept under `bids` in the data directory before
    anything is sent, in a dry run too: the bid that is sent later is the same. Who does not open
    its bid in time loses the bond.
    """
    network, store = acting.network(), bid_store(acting.loaded.config)

    async def work(chain: RuleChain, do: Do) -> str:
        course = await read_course(chain, network.genesis, deal)
        if price > course.auction.fp_wei:
            raise Failure(
                "the bid is above the deal's fixed price",
                why="it could not be opened, and its bond would be lost",
                hint=f"stkrp2p request status {deal}",
                code=Exit.USAGE,
            )
        with bid_failures():
            sealed = store.seal(
                auction_of(network, deal),
                provider=Operator(await chain.account()),
                registration=await _free_node(chain, registration),
                price_wei=price,
            )
        await do(await chain.market.commit(sealed))
        opens = when(course.auction.commit_until_s, course.now_s)
        return f"wait: from {opens} on: stkrp2p provider reveal {deal}"

    acting.run(work)


async def _free_node(chain: RuleChain, wanted: int | None) -> int:
    account = await chain.account()
    nodes = await chain.providers.nodes(account) if wanted is None else (wanted,)
    for registration in nodes:
        if await chain.providers.is_free(account, registration):
            return registration
    raise Failure(
        "no node of this account is free" if wanted is None else f"node {wanted} is not free",
        why="a node that serves a deal, or is not bound, cannot be offered",
        hint=STATUS,
    )


@click.command("reveal", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def reveal(*, acting: Acting, deal: int) -> None:
    """Open the sealed bid for a deal.

    The proof of its node's score is made from this node's store.
    """
    config, network = acting.loaded.config, acting.network()

    async def work(chain: RuleChain, do: Do) -> str:
        course = await read_course(chain, network.genesis, deal)
        known = await chain.market.bid(deal, await chain.account())
        with bid_failures():
            sealed = bid_store(config).find(auction_of(network, deal), known.commitment)
        if sealed is None:
            raise _not_kept(deal, is_sealed=any(known.commitment))
        node = (await chain.providers.sidecar(sealed.registration)).node_id
        epoch = course.auction.score_epoch
        proved = await score_proof(config, network.genesis, NodeId(node), epoch)
        await do(await chain.market.reveal(sealed, proved))
        return STATUS

    acting.run(work)


def _not_kept(deal: int, *, is_sealed: bool) -> Failure:
    if not is_sealed:
        return Failure(f"this account sealed no bid for deal {deal}", hint=STATUS)
    return Failure(
        f"the bid for deal {deal} is not kept here",
        why="it was sealed from another data directory, which has its price and salt",
        hint="run the command with that --data-dir",
        code=Exit.USAGE,
    )


@click.command("start", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def start(*, acting: Acting, deal: int) -> None:
    """Start a deal, with the provider's part of the ETH."""
    genesis = acting.network().genesis

    async def work(chain: RuleChain, do: Do) -> str:
        await read_course(chain, genesis, deal)
        await do(await chain.deals.start(deal))
        course = await read_course(chain, genesis, deal)
        return next_step(course, Operator(await chain.account()))

    acting.run(work)


@click.command("reclaim", cls=ActingCommand)
@click.argument("deal", type=_NUMBER)
def reclaim(*, acting: Acting, deal: int) -> None:
    """Get the bond back, once the auction is over."""

    async def work(chain: RuleChain, do: Do) -> str:
        await do(await chain.market.reclaim(deal))
        return STATUS

    acting.run(work)


@contextmanager
def bid_failures() -> Iterator[None]:
    """Turn a kept bid that cannot be read or written into a failure."""
    from stkrp2p.adapters.bids import BidUnreadable  # noqa: PLC0415

    try:
        yield
    except BidUnreadable as error:
        raise Failure(
            "the kept bids cannot be used",
            why=str(error),
            hint="look at the folder bids in the data directory",
            code=Exit.UNSAFE,
        ) from error
