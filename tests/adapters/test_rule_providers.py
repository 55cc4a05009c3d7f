"""Providers through the bindings, on a real anvil: from the application to the last of the stake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.rule import decisions, reason_of
from stkrp2p.adapters.chain.rule.liveness import ChallengeState
from stkrp2p.adapters.chain.rule.offers import offers
from stkrp2p.adapters.chain.rule.providers import Status, Tier
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.crypto import sha256
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import NodeId
from tests.adapters.chain_kit import ALICE, BOB, node
from tests.adapters.market_kit import (
    CAPACITY,
    ERIN,
    FRANK,
    K_ETH,
    NEED,
    VALUES,
    Epoch0,
    MarketNet,
    address_of,
    application,
    enact,
    rich,
)

pytestmark = pytest.mark.chain

STAKE_MIN = VALUES[Parameter.STAKE_MIN]
BOND = VALUES[Parameter.CHALLENGE_BOND]


@pytest.fixture
def net(trade_net: MarketNet) -> MarketNet:
    return trade_net


@pytest.fixture
def epoch(opened_trade: Epoch0) -> Epoch0:
    return opened_trade


async def test_whoever_was_approved_and_staked_is_on_the_public_list(net: MarketNet) -> None:
    # R34, R45
    anybody = net.party()
    assert set(await anybody.providers.eligible()) == {address_of(ERIN), address_of(FRANK)}
    erin = await anybody.providers.provider(address_of(ERIN))
    assert (erin.name, erin.tier, erin.k_eth_wei) == ("erin", Tier.UNTRUSTED, K_ETH)
    assert (erin.capacity, erin.stake) == (CAPACITY, STAKE_MIN)
    assert await anybody.providers.count() == 2
    assert await anybody.providers.holder("erin") == address_of(ERIN)
    assert await anybody.providers.holder("nobody") is None
    assert await anybody.providers.is_eligible(address_of(ERIN), NEED, failures_max=0)
    assert await anybody.providers.nodes_max(address_of(ERIN), NEED) == 2


async def test_an_application_is_replaced_repeated_and_turned_down(net: MarketNet) -> None:
    # R44
    bob = net.party(BOB)
    await bob.send(await bob.providers.apply(application("bob")))
    again = await bob.providers.apply(application("bob"))
    assert again.done == "the application is with the governors"
    cheaper = replace(application("bob"), price_wei=ANKR)
    await bob.send(await bob.providers.apply(cheaper))
    assert (await bob.providers.provider(address_of(BOB))).price_wei == ANKR
    await enact(net, decisions.reject_provider(net.market, address_of(BOB)))
    assert (await bob.providers.provider(address_of(BOB))).status is Status.NONE


async def test_a_price_above_the_policys_is_refused_with_the_rule(net: MarketNet) -> None:
    bob = net.party(BOB)
    dear = replace(application("bob"), price_wei=VALUES[Parameter.PROVIDER_PRICE_MAX] + 1)
    with pytest.raises(Rejected) as refused:
        await bob.providers.apply(dear)
    assert reason_of(refused.value).startswith(
        "the price is above the policy's maximum (PriceTooHigh("
    )


async def test_a_provider_changes_what_it_says_and_stakes(net: MarketNet) -> None:
    # R46
    erin = net.party(ERIN)
    await erin.send(
        await erin.providers.update(capacity=CAPACITY, price_wei=ANKR, details="ipfs://new")
    )
    again = await erin.providers.update(capacity=CAPACITY, price_wei=ANKR, details="ipfs://new")
    assert again.done == "the record says so"
    more = await erin.providers.stake_to(STAKE_MIN + 5 * ANKR)
    assert more.ankr_wei == 5 * ANKR
    await erin.send(more)
    assert (await erin.providers.stake_to(STAKE_MIN)).done == "so much is staked"
    await erin.send(await erin.providers.unstake_to(STAKE_MIN))
    assert (await erin.providers.unstake_to(STAKE_MIN)).done == "no more is staked"
    net.wait(VALUES[Parameter.UNBOND_S] + 1)
    await erin.send(await erin.providers.withdraw())
    assert (await erin.providers.withdraw()).done == "nothing is on its way back"


async def test_a_node_is_bound_and_unbound_once(net: MarketNet, epoch: Epoch0) -> None:
    # R26, R35
    erin = net.party(ERIN)
    chain_node = sha256(b"erin")
    proved = epoch.member("erin")
    assert (await erin.providers.add_node(0, chain_node, proved)).done == (
        "it is bound to that node"
    )
    assert await erin.providers.nodes(address_of(ERIN)) == (0,)
    sidecar = await erin.providers.sidecar(0)
    assert (sidecar.operator, sidecar.chain_node) == (address_of(ERIN), chain_node)
    assert await erin.providers.is_free(address_of(ERIN), 0)
    await erin.send(await erin.providers.remove_node(0))
    assert (await erin.providers.remove_node(0)).done == "it is bound to no node"
    assert not await erin.providers.is_free(address_of(ERIN), 0)
    with pytest.raises(Rejected) as taken:
        await erin.providers.add_node(0, sha256(b"frank"), proved)
    assert taken.value.rule == "ChainNodeTaken"


async def test_who_resigns_gets_its_stake_back_and_its_name_is_free(net: MarketNet) -> None:
    erin = net.party(ERIN)
    await erin.send(await erin.providers.resign())
    assert (await erin.providers.resign()).done == "the provider is leaving"
    assert await erin.providers.holder("erin") is None
    net.wait(VALUES[Parameter.UNBOND_S] + 1)
    had = await erin.ankr(address_of(ERIN))
    await erin.send(await erin.providers.withdraw())
    assert await erin.ankr(address_of(ERIN)) - had == STAKE_MIN


async def test_a_tier_and_an_approval_are_the_councils_to_change(net: MarketNet) -> None:
    # R29
    erin, account = net.party(ERIN), address_of(ERIN)
    call = decisions.set_tier(net.market, account, tier=Tier.TRUSTED, k_eth_wei=0)
    await enact(net, call)
    record = await erin.providers.provider(account)
    assert (record.tier, record.k_eth_wei) == (Tier.TRUSTED, 0)
    await enact(net, decisions.revoke_provider(net.market, account))
    assert (await erin.providers.provider(account)).status is Status.LEAVING


async def test_a_challenge_that_nothing_decides_gives_its_bond_back(net: MarketNet) -> None:
    # R41
    alice = net.party(ALICE)
    rich(net, ALICE)
    had = await alice.ankr(address_of(ALICE))
    action = await alice.liveness.challenge(0, bond_wei=BOND)
    assert action.ankr_wei == BOND
    await alice.send(action)
    assert (await alice.liveness.challenge(0, bond_wei=BOND)).done == "challenge 1 is open"
    record = await alice.liveness.record(1)
    assert (record.state, record.provider) == (ChallengeState.OPEN, address_of(ERIN))

    with pytest.raises(Rejected) as early:
        await alice.liveness.lapse(1)
    assert early.value.rule == "TooEarly"
    net.wait(365 * 86_400)
    await alice.send(await alice.liveness.lapse(1))
    assert (await alice.liveness.lapse(1)).done == "the challenge is lapsed"
    assert await alice.liveness.owed(address_of(ALICE)) == BOND
    await alice.send(await alice.liveness.collect())
    assert (await alice.liveness.collect()).done == "nothing is owed to the account"
    assert await alice.ankr(address_of(ALICE)) == had


async def test_an_old_epoch_neither_answers_a_challenge_nor_decides_it(
    net: MarketNet, epoch: Epoch0
) -> None:
    alice = net.party(ALICE)
    await alice.send(await alice.liveness.challenge(0, bond_wei=BOND))
    for early in (
        lambda: alice.liveness.answer(1, epoch.score("erin")),
        lambda: alice.liveness.time_out(1, epoch.header),
    ):
        with pytest.raises(Rejected) as refused:
            await early()
        assert refused.value.rule == "EpochTooEarly"


async def test_a_good_score_disqualifies_nobody(net: MarketNet, epoch: Epoch0) -> None:
    with pytest.raises(Rejected) as refused:
        await net.party(ALICE).providers.disqualify(0, epoch.score("erin"))
    assert refused.value.rule == "GoodEnough"


async def test_the_score_of_another_node_is_refused_as_its(net: MarketNet, epoch: Epoch0) -> None:
    with pytest.raises(Rejected) as refused:
        await net.party(ALICE).providers.disqualify(0, epoch.score("frank"))
    assert refused.value.rule == "OtherNode"


async def test_a_requester_sees_each_providers_capacity_price_and_scores_at_once(
    net: MarketNet, epoch: Epoch0
) -> None:
    # R48
    erin = net.party(ERIN)
    await erin.send(await erin.providers.update(capacity=CAPACITY, price_wei=ANKR, details=""))
    scores = {NodeId(score.node): score for score in epoch.scores if score.node == node("erin")}
    seen = await offers(net.party().providers, need=NEED, failures_max=0, scores=scores)
    assert [(o.provider.name, o.provider.price_wei, o.provider.capacity) for o in seen] == [
        ("erin", ANKR, CAPACITY),
        ("frank", 100 * ANKR, CAPACITY),
    ]
    [[erins], [franks]] = [offer.nodes for offer in seen]
    assert (erins.registration, erins.node, erins.is_busy) == (0, node("erin"), False)
    assert erins.score is not None
    assert (erins.score.uptime_ppm, erins.score.reliability_ppm) == (990_000, 900_000)
    assert franks.score is None

    larger = replace(NEED, cpu_milli=CAPACITY.cpu_milli + 1)
    assert await offers(net.party().providers, need=larger, failures_max=0, scores={}) == ()
