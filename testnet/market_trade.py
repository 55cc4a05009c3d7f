"""One deal of the story, from the quote to the running project (R32, R40, R43, R47, R49-R51)."""

from __future__ import annotations

from functools import partial

import httpx
import trio

from stkrp2p.adapters.chain.rule import Rejected
from stkrp2p.adapters.chain.rule.auctions import Quote, Request
from stkrp2p.adapters.chain.rule.deals import DealRecord
from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.drand import DrandBeacons
from stkrp2p.cli.output import percent
from stkrp2p.core.draw import Auction
from stkrp2p.core.types import Epoch, Operator, Round
from testnet.cluster import until_ms
from testnet.market_amounts import ankr, eth
from testnet.market_cast import POLL_S, Provider
from testnet.market_draw import judge_draw
from testnet.market_moves import auction_of
from testnet.market_plan import KIND, NEED, PROJECT_TYPE
from testnet.market_proofs import score_in
from testnet.market_scene import Scene, until_some


async def ask_quote(scene: Scene, length_s: int) -> Quote:
    """Let the requester ask what a project costs and is expected to bring (R47)."""
    market = scene.cast.requester.chain.market
    quote = await market.quote(project_type=KIND, need=NEED, length_s=length_s)
    terms = f"{ankr(quote.fp_wei)}, {eth(quote.expected_profit_wei)} expected"
    scene.tell("requester", f"asks for {length_s} s: {terms}")
    return quote


async def open_auction(scene: Scene, length_s: int, quote: Quote) -> int:
    """Open an auction at a quoted price; return the deal's number."""
    chain, does = scene.cast.requester.chain, scene.cast.requester.do
    while True:
        epoch = await _fit_epoch(scene)
        request = Request(project_type=KIND, length_s=length_s, need=NEED, score_epoch=epoch)
        try:
            await does(partial(chain.market.open, request, fp_wei_max=quote.fp_wei))
            break
        except Rejected as refused:  # another epoch became final; without a name only in the block
            if refused.rule not in {"NotLatestEpoch", ""}:
                raise
    deal = await chain.market.latest()
    auction = await chain.market.auction(deal)
    scene.tell("requester", f"pays {ankr(auction.fp_wei)} and opens deal {deal}:")
    scene.tell("", f"scores of final epoch {epoch}; round {auction.draw_round} will draw")
    return deal


async def _fit_epoch(scene: Scene) -> Epoch:
    """Return the latest final epoch, once all providers' scores in it are good enough."""
    while True:
        epoch = await scene.latest_final()
        scores = [(await scene.score(p.node, epoch)).score for p in scene.cast.providers]
        if all(
            s.reliability_ppm >= PROJECT_TYPE.reliability_ppm_min
            and s.uptime_ppm >= PROJECT_TYPE.uptime_ppm_min
            for s in scores
        ):
            return epoch
        await trio.sleep(POLL_S)


def _auction(scene: Scene, deal: int) -> Auction:
    return auction_of(scene.cluster.genesis, scene.market, deal)


async def seal_bids(scene: Scene, deal: int) -> None:
    """Let all three providers seal a bid."""
    async with trio.open_nursery() as nursery:
        for provider in scene.cast.providers:
            nursery.start_soon(seal_bid, scene, deal, provider)
    auction = await scene.cast.anybody.chain.market.auction(deal)
    scene.tell(
        "market", f"{auction.committed} sealed bids, each with a bond of {ankr(auction.bond_wei)}"
    )


async def seal_bid(scene: Scene, deal: int, provider: Provider) -> None:
    """Seal a provider's bid, on its node's disk first.

    Raises:
        Rejected: The market will not have it.
    """
    fp_wei = (await provider.chain.market.auction(deal)).fp_wei
    sealed = provider.bids.seal(
        _auction(scene, deal),
        provider=Operator(provider.account),
        registration=provider.registration,
        price_wei=fp_wei * provider.terms.bid_percent // 100,
    )
    await provider.do(partial(provider.chain.market.commit, sealed))


async def open_bids(scene: Scene, deal: int) -> None:
    """Let all three providers open their bids, each with the proof out of its own node's store."""
    auction = await scene.cast.anybody.chain.market.auction(deal)
    await scene.wait_until(auction.commit_until_s)
    async with trio.open_nursery() as nursery:
        for provider in scene.cast.providers:
            nursery.start_soon(_open_bid, scene, deal, provider, auction.score_epoch)


async def _open_bid(scene: Scene, deal: int, provider: Provider, epoch: Epoch) -> None:
    [sealed] = provider.bids.of_auction(_auction(scene, deal))
    proved = await until_some(partial(score_in, provider.member, provider.node, epoch))
    await provider.do(partial(provider.chain.market.reveal, sealed, proved))
    anchored = f"reliability {percent(proved.score.reliability_ppm)} (epoch {epoch})"
    scene.tell(provider.name, f"opens its bid of {ankr(sealed.price_wei)}; anchored {anchored}")


async def draw(scene: Scene, deal: int) -> Provider:
    """Let anybody bring the council's round and the market draw by it; return who was drawn."""
    chain, does = scene.cast.anybody.chain, scene.cast.anybody.do
    number = Round((await chain.market.auction(deal)).draw_round)
    shortlist = await chain.market.shortlist(deal)
    signature = await fetch_round(scene, number)
    await scene.wait_until(-(-scene.cluster.genesis.beacon.due_ms(number) // 1000))
    await does(partial(chain.market.draw, deal, signature))
    drawn = scene.cast.provider_of((await chain.deals.deal(deal)).provider)
    chances = [w * 1_000_000 // sum(shortlist.weights) for w in shortlist.weights]
    names = [scene.cast.provider_of(e.provider).name for e in shortlist.entries]
    odds = ", ".join(f"{n} {percent(c)}" for n, c in zip(names, chances, strict=True))
    scene.tell("market", f"round {number} verified on chain; chances {odds}")
    scene.tell("", f"{drawn.name} is drawn")
    await judge_draw(scene, deal, shortlist, signature)
    return drawn


async def fetch_round(scene: Scene, number: Round) -> bytes:
    """Return a round's signature, from the governors' nodes, once it is made."""
    beacon = scene.cluster.genesis.beacon
    await until_ms(beacon.due_ms(number))
    urls = [f"http://{m.beacon_listen}" for m in scene.cluster.members[: len(scene.cast.governors)]]
    async with httpx.AsyncClient() as client:
        beacons = DrandBeacons(beacon, urls, client=client, clock=SystemClock())
        return await beacons.fetch(number)


async def start(scene: Scene, deal: int, provider: Provider) -> DealRecord:
    """Let both put their ETH in, so that the project runs; return the deal."""
    requester, chain = scene.cast.requester, scene.cast.requester.chain
    await requester.do(partial(chain.deals.fund, deal))
    await provider.do(partial(provider.chain.deals.start, deal))
    record = await chain.deals.deal(deal)
    parts = f"requester {eth(record.requester_wei)}, {provider.name} {eth(record.k_eth_wei)}"
    scene.tell("deals", f"deal {deal} runs on {provider.member.entry.name}; {parts}")
    return record
