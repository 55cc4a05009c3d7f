"""From a quote to the last payment through the bindings, on a real anvil."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters.bids import BidStore, SealedBid
from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.rule import reason_of
from stkrp2p.adapters.chain.rule.deals import State
from stkrp2p.adapters.chain.rule.market import Request
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.draw import Auction
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Epoch, Operator, Round
from tests.adapters.chain_kit import ALICE, rpc
from tests.adapters.market_kit import (
    ERIN,
    FRANK,
    KIND,
    LENGTH_S,
    NEED,
    VALUES,
    Epoch0,
    MarketNet,
    address_of,
    open_trade,
    rich,
    round_signature,
)

pytestmark = pytest.mark.chain

BOND = VALUES[Parameter.BID_BOND]
REQUEST = Request(project_type=KIND, length_s=LENGTH_S, need=NEED, score_epoch=Epoch(0))
PRICE = 2 * ANKR


@pytest.fixture(scope="module")
def opened(market_deployed) -> Epoch0:
    """Both providers are approved, staked and have a node; done once for all tests here."""
    url, contracts, market = market_deployed
    net = MarketNet(url, contracts, market=market)

    async def prepare() -> Epoch0:
        rich(net, ALICE)
        return await open_trade(net)

    try:
        return trio.run(prepare)
    finally:
        net.close()


@pytest.fixture
def net(opened: Epoch0, market_net: MarketNet) -> MarketNet:
    return market_net


async def open_auction(net: MarketNet) -> int:
    alice = net.party(ALICE)
    quote = await alice.market.quote(project_type=KIND, need=NEED, length_s=LENGTH_S)
    await alice.send(await alice.market.open(REQUEST, fp_wei_max=quote.fp_wei))
    return await alice.market.latest()


def auction_of(net: MarketNet, deal: int) -> Auction:
    assert net.market is not None
    market = Operator(net.market.market)
    return Auction(chain_id=net.genesis.chain_id, market=market, deal=deal)


@dataclass(frozen=True)
class Bidder:
    key: bytes
    name: str
    registration: int
    price_wei: int = PRICE


LOW = Bidder(ERIN, "erin", 0)
HIGH = Bidder(FRANK, "frank", 1, PRICE + 1)


def sealed(net: MarketNet, folder: Path, deal: int, bidder: Bidder = LOW) -> SealedBid:
    return BidStore(folder).seal(
        auction_of(net, deal),
        provider=address_of(bidder.key),
        registration=bidder.registration,
        price_wei=bidder.price_wei,
    )


async def bid(net: MarketNet, folder: Path, deal: int, bidder: Bidder = LOW) -> None:
    party = net.party(bidder.key)
    await party.send(await party.market.commit(sealed(net, folder, deal, bidder)))


async def reveal(net: MarketNet, folder: Path, epoch: Epoch0, deal: int) -> None:
    for bidder in (LOW, HIGH):
        kept = sealed(net, folder, deal, bidder)
        party = net.party(bidder.key)
        await party.send(await party.market.reveal(kept, epoch.score(bidder.name)))


async def draw(net: MarketNet, deal: int) -> None:
    anybody = net.party(ALICE)
    auction = await anybody.market.auction(deal)
    due_ms = net.genesis.beacon.due_ms(Round(auction.draw_round))
    net.wait(due_ms // 1000 + 1 - await anybody.now_s())
    signature = round_signature(auction.draw_round)
    await anybody.send(await anybody.market.draw(deal, signature))


async def assigned(net: MarketNet, folder: Path, epoch: Epoch0) -> int:
    """Return a deal that Erin has, as the lowest of two bids."""
    deal = await open_auction(net)
    await bid(net, folder, deal, LOW)
    await bid(net, folder, deal, HIGH)
    net.wait(VALUES[Parameter.COMMIT_S])
    await reveal(net, folder, epoch, deal)
    await draw(net, deal)
    return deal


async def running(net: MarketNet, folder: Path, epoch: Epoch0) -> int:
    deal = await assigned(net, folder, epoch)
    alice, erin = net.party(ALICE), net.party(ERIN)
    await alice.send(await alice.deals.fund(deal))
    await erin.send(await erin.deals.start(deal))
    return deal


async def test_a_deal_goes_from_the_quote_to_the_last_payment(
    net: MarketNet, opened: Epoch0, tmp_path: Path
) -> None:
    # R32, R43, R49-R51, R55: each step by its own party, money where the split says.
    alice, erin, frank = net.party(ALICE), net.party(ERIN), net.party(FRANK)
    quote = await alice.market.quote(project_type=KIND, need=NEED, length_s=LENGTH_S)
    had = {key: await alice.ankr(address_of(key)) for key in (ALICE, ERIN, FRANK)}

    deal = await running(net, tmp_path, opened)
    record = await alice.deals.deal(deal)
    assert (record.state, record.provider) == (State.RUNNING, address_of(ERIN))
    assert record.requester_wei == 32 * 10**18
    assert (record.fp_wei, record.paid_wei) == (quote.fp_wei, PRICE)
    drawn = await alice.market.drawn(deal)
    assert drawn is not None
    assert drawn.round == (await alice.market.auction(deal)).draw_round

    await alice.send(await alice.deals.add_profit(deal, ankr_wei=5 * ANKR, eth_wei=10**17))
    net.wait(await alice.deals.completable_at(deal) - await alice.now_s())
    await frank.send(await frank.deals.complete(deal))
    await frank.send(await frank.market.reclaim(deal))
    for party in (alice, erin):
        await party.send(await party.deals.collect())

    whole = quote.fp_wei + 5 * ANKR
    pools = 2 * (whole * VALUES[Parameter.REWARD_BPS] // 10_000)
    gained = {key: await alice.ankr(address_of(key)) - had[key] for key in had}
    assert gained == {ALICE: -PRICE - pools, ERIN: PRICE, FRANK: 0}
    assert (await alice.deals.deal(deal)).state is State.COMPLETED


async def test_every_step_that_is_repeated_says_so_and_sends_nothing(
    net: MarketNet, opened: Epoch0, tmp_path: Path
) -> None:
    alice, erin = net.party(ALICE), net.party(ERIN)
    deal = await open_auction(net)
    again = await alice.market.open(REQUEST, fp_wei_max=10**30)
    assert (again.done, again.steps) == (f"deal {deal} is open for the same project", ())

    await bid(net, tmp_path, deal)
    kept = sealed(net, tmp_path, deal)
    assert (await erin.market.commit(kept)).done == "this bid is sealed"
    net.wait(VALUES[Parameter.COMMIT_S])
    score = opened.score("erin")
    await erin.send(await erin.market.reveal(kept, score))
    assert (await erin.market.reveal(kept, score)).done == "the bid was opened"

    await draw(net, deal)
    signature = round_signature((await alice.market.auction(deal)).draw_round)
    assert (await alice.market.draw(deal, signature)).done == f"deal {deal} is assigned"
    await alice.send(await alice.deals.fund(deal))
    assert (await alice.deals.fund(deal)).done == "the deal is funded"
    await erin.send(await erin.deals.start(deal))
    assert (await erin.deals.start(deal)).done == "the deal is running"

    before = rpc(net.url, "eth_blockNumber")
    assert await erin.send(await erin.deals.start(deal)) == ()
    assert rpc(net.url, "eth_blockNumber") == before


async def test_an_action_shows_both_its_transactions_and_what_they_take_before_any_is_signed(
    net: MarketNet, tmp_path: Path
) -> None:
    deal = await open_auction(net)
    erin = net.party(ERIN)
    before = rpc(net.url, "eth_blockNumber")
    action = await erin.market.commit(sealed(net, tmp_path, deal))
    assert [step.what for step in action.steps] == ["TestAnkr.approve", "Market.commit"]
    assert (action.does, action.ankr_wei) == (f"seal a bid for deal {deal}", BOND)
    assert rpc(net.url, "eth_blockNumber") == before

    receipts = await erin.send(action)
    assert action.gas_max is not None
    assert sum(r.gas_used for r in receipts) <= action.gas_max
    assert action.cost_wei_max == action.gas_max * action.fee_wei


async def test_a_contract_is_allowed_exactly_what_it_takes(net: MarketNet) -> None:
    await open_auction(net)
    spender = net.market.market
    left = await net.party()._party.read(
        "TestAnkr", "allowance", address_of(ALICE), spender, shape=int
    )
    assert left == 0


async def test_what_the_second_transaction_would_be_refused_for_is_said_before_the_first(
    net: MarketNet, tmp_path: Path
) -> None:
    deal = await open_auction(net)
    net.wait(VALUES[Parameter.COMMIT_S] + VALUES[Parameter.REVEAL_S])
    erin = net.party(ERIN)
    before = rpc(net.url, "eth_blockNumber")
    with pytest.raises(Rejected) as refused:
        await erin.market.commit(sealed(net, tmp_path, deal))
    assert refused.value.rule == "OutsideTime"
    assert reason_of(refused.value).startswith("it is not the time for this: stkrp2p request")
    assert rpc(net.url, "eth_blockNumber") == before
