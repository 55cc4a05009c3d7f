"""From a quote to the last payment through the bindings, on a real anvil."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stkrp2p.adapters.bids import BidStore, SealedBid
from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.rule import decisions, reason_of
from stkrp2p.adapters.chain.rule.auctions import BidState, Request, Stage
from stkrp2p.adapters.chain.rule.deals import State
from stkrp2p.adapters.chain.rule.prices import Asset
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.draw import Auction
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Epoch, Round
from testnet import market_moves
from tests.adapters.chain_kit import ALICE, rpc
from tests.adapters.market_kit import (
    ANKR_USD,
    CHOICE_KIND,
    ERIN,
    FRANK,
    K_ETH,
    KIND,
    LENGTH_S,
    NEED,
    VALUES,
    Epoch0,
    MarketNet,
    address_of,
    enact,
    round_signature,
    set_price,
)

pytestmark = pytest.mark.chain

BOND = VALUES[Parameter.BID_BOND]
REQUEST = Request(project_type=KIND, length_s=LENGTH_S, need=NEED, score_epoch=Epoch(0))
PRICE = 2 * ANKR


@pytest.fixture
def net(trade_net: MarketNet) -> MarketNet:
    return trade_net


@pytest.fixture
def epoch(opened_trade: Epoch0) -> Epoch0:
    return opened_trade


async def open_auction(net: MarketNet, request: Request = REQUEST) -> int:
    alice = net.party(ALICE)
    await alice.send(await alice.market.open(request, fp_wei_max=10**30))
    return await alice.market.latest()


def auction_of(net: MarketNet, deal: int) -> Auction:
    assert net.market is not None
    return market_moves.auction_of(net.genesis, net.market, deal)


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


async def revealed(net: MarketNet, folder: Path, epoch: Epoch0, request: Request = REQUEST) -> int:
    """Return an auction with two open bids, of which Erin's is the lower one."""
    deal = await open_auction(net, request)
    await bid(net, folder, deal, LOW)
    await bid(net, folder, deal, HIGH)
    net.wait(VALUES[Parameter.COMMIT_S])
    await reveal(net, folder, epoch, deal)
    return deal


async def assigned(net: MarketNet, folder: Path, epoch: Epoch0) -> int:
    """Return a deal that Erin has."""
    deal = await revealed(net, folder, epoch)
    await draw(net, deal)
    return deal


async def running(net: MarketNet, folder: Path, epoch: Epoch0) -> int:
    deal = await assigned(net, folder, epoch)
    alice, erin = net.party(ALICE), net.party(ERIN)
    await alice.send(await alice.deals.fund(deal))
    await erin.send(await erin.deals.start(deal))
    return deal


async def test_a_deal_goes_from_the_quote_to_the_last_payment(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    # R32, R43, R49-R51, R55: each step by its own party, money where the split says.
    alice, erin, frank = net.party(ALICE), net.party(ERIN), net.party(FRANK)
    quote = await alice.market.quote(project_type=KIND, need=NEED, length_s=LENGTH_S)
    had = {key: await alice.ankr(address_of(key)) for key in (ALICE, ERIN, FRANK)}

    deal = await running(net, tmp_path, epoch)
    record = await alice.deals.deal(deal)
    assert (record.state, record.provider) == (State.RUNNING, address_of(ERIN))
    assert (record.requester_wei, record.k_eth_wei) == (16 * 10**18, K_ETH)
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
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    alice, erin = net.party(ALICE), net.party(ERIN)
    deal = await open_auction(net)
    again = await alice.market.open(REQUEST, fp_wei_max=10**30)
    assert (again.done, again.steps) == (f"deal {deal} is open for the same project", ())

    await bid(net, tmp_path, deal)
    kept = sealed(net, tmp_path, deal)
    assert (await erin.market.commit(kept)).done == "this bid is sealed"
    net.wait(VALUES[Parameter.COMMIT_S])
    score = epoch.score("erin")
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
    assert reason_of(refused.value).startswith("it is not the time for this (OutsideTime(")
    assert reason_of(refused.value).endswith(": stkrp2p request status")
    assert rpc(net.url, "eth_blockNumber") == before


async def test_the_requester_sees_both_bids_and_chooses_where_the_rule_lets_it(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    # R48, Q2
    deal = await revealed(net, tmp_path, epoch, replace(REQUEST, project_type=CHOICE_KIND))
    alice = net.party(ALICE)
    shortlist = await alice.market.shortlist(deal)
    assert [(e.provider, e.price_wei, e.reliability_ppm) for e in shortlist.entries] == [
        (address_of(ERIN), PRICE, 900_000),
        (address_of(FRANK), PRICE + 1, 900_000),
    ]
    assert len(shortlist.weights) == 2
    assert await alice.market.entries(deal) == shortlist.entries
    net.wait(VALUES[Parameter.REVEAL_S])
    await alice.send(await alice.market.choose(deal, address_of(FRANK)))
    assert (await alice.deals.deal(deal)).provider == address_of(FRANK)
    [ours] = await alice.deals.of_requester(address_of(ALICE))
    assert (ours.deal, ours.provider) == (deal, address_of(FRANK))
    assert await alice.deals.of_provider(address_of(ERIN)) == ()


async def test_an_auction_without_bids_is_closed_and_paid_back(net: MarketNet) -> None:
    alice = net.party(ALICE)
    had = await alice.ankr(address_of(ALICE))
    deal = await open_auction(net)
    await alice.send(await alice.market.close(deal))
    assert (await alice.market.auction(deal)).stage is Stage.CLOSED
    assert (await alice.market.close(deal)).done == f"deal {deal} is closed"
    await alice.send(await alice.market.collect())
    assert (await alice.market.collect()).done == "the market owes the account nothing"
    assert await alice.ankr(address_of(ALICE)) == had


async def test_a_bid_that_is_never_opened_costs_its_bond(net: MarketNet, tmp_path: Path) -> None:
    deal = await open_auction(net)
    await bid(net, tmp_path, deal)
    alice = net.party(ALICE)
    net.wait(VALUES[Parameter.COMMIT_S] + VALUES[Parameter.REVEAL_S])
    await alice.send(await alice.market.close(deal))
    had = await alice.ankr(net.market.insurance)
    await alice.send(await alice.market.flush(deal))
    assert (await alice.market.flush(deal)).done == "the insurance has them"
    assert await alice.ankr(net.market.insurance) - had == BOND
    bid_of_erin = await alice.market.bid(deal, address_of(ERIN))
    assert bid_of_erin.state is BidState.COMMITTED
    with pytest.raises(Rejected) as refused:
        await net.party(ERIN).market.reclaim(deal)
    assert refused.value.rule == "NothingToReclaim"


async def test_a_bid_that_was_recorded_before_a_crash_is_opened_after_it(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    deal = await open_auction(net)
    erin = net.party(ERIN)
    await erin.send(await erin.market.commit(sealed(net, tmp_path, deal)))
    # Another process: it has the disk and the chain, and nothing else.
    known = await erin.market.bid(deal, address_of(ERIN))
    kept = BidStore(tmp_path).find(auction_of(net, deal), known.commitment)
    assert kept is not None
    net.wait(VALUES[Parameter.COMMIT_S])
    await erin.send(await erin.market.reveal(kept, epoch.score("erin")))
    assert (await erin.market.bid(deal, address_of(ERIN))).state is BidState.REVEALED


async def test_a_requester_that_pays_no_eth_loses_the_deal(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    deal = await assigned(net, tmp_path, epoch)
    frank = net.party(FRANK)
    with pytest.raises(Rejected) as early:
        await frank.deals.abandon(deal)
    assert reason_of(early.value).startswith("it is too early for this")
    net.wait(VALUES[Parameter.FUND_S] + 1)
    await frank.send(await frank.deals.abandon(deal))
    assert (await frank.deals.abandon(deal)).done == "the deal is abandoned"
    await frank.send(await frank.deals.flush(net.market.rewards))
    assert (await frank.deals.flush(net.market.rewards)).done == "the pot is owed nothing"


async def test_a_dispute_is_ruled_by_vote_and_its_loss_is_paid(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    # R62, Q12: what the provider's ETH does not cover its ANKR does, once there is a price.
    deal = await running(net, tmp_path, epoch)
    alice, erin = net.party(ALICE), net.party(ERIN)
    await alice.send(await alice.deals.dispute(deal, "it never answered"))
    assert (await alice.deals.dispute(deal, "again")).done == "the account has disputed it"

    loss_wei = K_ETH + 10**15
    at = (await alice.deals.deal(deal)).disputed_at
    call = decisions.rule_failed(net.market, deal, disputed_at=at, loss_wei=loss_wei)
    assert decisions.told(net.market, call) == f"Deals.rule({deal}, ({at}, True, {loss_wei}))"
    await set_price(net, Asset.ANKR, 0)
    await enact(net, call)
    record = await alice.deals.deal(deal)
    assert (record.state, record.is_compensated) == (State.FAILED, False)
    assert record.owed_wei > 10**15
    assert (await alice.providers.provider(address_of(ERIN))).failures == 1
    with pytest.raises(Rejected) as unpriced:
        await erin.deals.compensate(deal)
    assert reason_of(unpriced.value).startswith("the price feed answers nothing usable")

    await set_price(net, Asset.ANKR, ANKR_USD)
    await erin.send(await erin.deals.compensate(deal))
    assert (await erin.deals.compensate(deal)).done == (
        "the provider has nothing more to give for it"
    )
    assert (await erin.deals.insure(deal)).done == "nothing of a loss is open"
    owed = await alice.deals.owed(address_of(ALICE))
    assert owed.eth_wei == 16 * 10**18 + K_ETH
    await alice.send(await alice.deals.collect())
    assert (await alice.deals.collect()).done == "deals owe the account nothing"


async def test_a_failure_is_paid_for_in_ankr_in_the_same_transaction(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    # R59, Q12: with an estimate's gas the payment would start and not end.
    deal = await running(net, tmp_path, epoch)
    alice = net.party(ALICE)
    await alice.send(await alice.deals.dispute(deal, "it never answered"))
    at, loss_wei = (await alice.deals.deal(deal)).disputed_at, K_ETH + 10**15
    await enact(net, decisions.rule_failed(net.market, deal, disputed_at=at, loss_wei=loss_wei))
    record = await alice.deals.deal(deal)
    assert (record.state, record.is_compensated, record.owed_wei) == (State.FAILED, True, 0)


async def test_what_shows_no_failure_is_refused_with_the_reason(
    net: MarketNet, epoch: Epoch0, tmp_path: Path
) -> None:
    deal = await running(net, tmp_path, epoch)
    frank = net.party(FRANK)
    with pytest.raises(Rejected) as outside:
        await frank.deals.fail(deal, epoch.score("erin"))
    assert outside.value.rule == "EpochOutsideRun"
    with pytest.raises(Rejected) as silent:
        await frank.deals.fail_silent(deal, 1)
    assert silent.value.rule == "NotSilent"
    with pytest.raises(Rejected) as running_on:
        await frank.deals.complete(deal)
    assert running_on.value.rule == "TooEarly"


async def test_records_tell_who_did_what(net: MarketNet, epoch: Epoch0, tmp_path: Path) -> None:
    # R31, R36
    deal = await running(net, tmp_path, epoch)
    anybody = net.party()
    node = await anybody.deals.node(0)
    assert (node.deal, node.is_serving, node.in_use) == (deal, True, NEED)
    assert (node.provider_eth_wei, node.requester_eth_wei) == (K_ETH, 32 * 10**18 - K_ETH)
    requester = await anybody.deals.requester(address_of(ALICE))
    assert (requester.deals, requester.eth_wei) == (1, 16 * 10**18)
    assert await anybody.deals.requesters(first=0, count=5) == (address_of(ALICE),)
    assert await anybody.deals.requesters(first=1, count=5) == ()
