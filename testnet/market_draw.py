"""A draw computed anew in Python, from what the chain and the nodes' stores show (R50, R68)."""

from __future__ import annotations

from stkrp2p.adapters.chain.rule.auctions import AuctionRecord, Entry, Shortlist
from stkrp2p.adapters.store import SqliteStore, StoreError
from stkrp2p.core.anchor import differences
from stkrp2p.core.beacon import verified
from stkrp2p.core.draw import Bid, drawn, lowest, number_of, weights_of
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Ppm, Round
from stkrp2p.services.history import NotReplayable, replay
from testnet.finding import folder_of
from testnet.market_moves import auction_of
from testnet.market_plan import VALUES
from testnet.market_scene import Scene


def _bid(entry: Entry) -> Bid:
    return Bid(
        price=entry.price_wei, stake=entry.stake_wei, reliability_ppm=Ppm(entry.reliability_ppm)
    )


async def judge_draw(scene: Scene, deal: int, shortlist: Shortlist, signature: bytes) -> None:
    """Note whether the draw is what its public inputs give, and whether these are true.

    Args:
        scene: The story's.
        deal: Which one was drawn.
        shortlist: The bids in the draw, as they stood before it.
        signature: Of the round that drew.
    """
    auction = await scene.cast.anybody.chain.market.auction(deal)
    fault = await _fault_of_draw(scene, deal, auction, shortlist, signature)
    scene.find(
        f"deal {deal}: the draw computed anew in Python gives the same provider",
        fault
        or f"{len(shortlist.entries)} bids, weights and provider equal; "
        f"round {auction.draw_round}, fixed before the first bid, signed by the council",
        held=not fault,
    )
    fault = await _fault_of_scores(scene, auction, shortlist)
    scene.find(
        f"deal {deal}: the bids' scores follow from the evidence in a governor's store",
        fault or f"epoch {auction.score_epoch} recomputed, roots and scores equal",
        held=not fault,
    )


async def _fault_of_draw(
    scene: Scene, deal: int, auction: AuctionRecord, shortlist: Shortlist, signature: bytes
) -> str:
    genesis, chain = scene.cluster.genesis, scene.cast.anybody.chain
    number = Round(auction.draw_round)
    if genesis.beacon.due_ms(number) < 1000 * auction.reveal_until_s:
        return f"round {number} was due before the last bid could be opened"
    randomness = verified(genesis.beacon, number, signature).randomness
    event = await chain.market.drawn(deal)
    if event is None or (event.round, event.randomness) != (number, randomness):
        return "the chain drew by another value"
    bids = [_bid(entry) for entry in await chain.market.entries(deal)]
    entering = [bids[i] for i in lowest(bids, size=auction.shortlist)]
    weights = weights_of(entering, stake_max=VALUES[Parameter.STAKE_MAX])
    if weights != shortlist.weights:
        return f"weights {weights}, on chain {shortlist.weights}"
    place = drawn(weights, number_of(auction_of(genesis, scene.market, deal), randomness))
    provider = (await chain.deals.deal(deal)).provider
    return "" if shortlist.entries[place].provider == provider else "another provider"


async def _fault_of_scores(scene: Scene, auction: AuctionRecord, shortlist: Shortlist) -> str:
    try:
        async with SqliteStore.open_reader(folder_of(scene.cast.witness)) as store:
            done = await replay(scene.cluster.genesis, store, auction.score_epoch)
    except (NotReplayable, StoreError) as error:
        return str(error)
    wrong = differences(done.closed.header, done.past.stored.header)
    if wrong:
        return f"{', '.join(wrong)} differ"
    scores = {score.node: score for score in done.closed.scores}
    for entry in shortlist.entries:
        provider = scene.cast.provider_of(entry.provider)
        if scores[provider.node].reliability_ppm != entry.reliability_ppm:
            return f"{provider.name}'s reliability is another one"
    return ""
