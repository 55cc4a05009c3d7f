"""Stakes, seats, elections, votes and their rewards through the bindings, on a real anvil."""

from __future__ import annotations

import pytest

from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.rule import decisions, reason_of
from stkrp2p.adapters.chain.rule.prices import Asset
from stkrp2p.adapters.chain.rule.proposals import Choice, OperationState, Outcome, TimelockCall
from stkrp2p.adapters.chain.rule.providers import Tier
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Operator
from stkrp2p.ports import ChainUnavailable
from tests.adapters.chain_kit import ALICE, node
from tests.adapters.market_kit import (
    CAROL,
    DAVE,
    DELAY_S,
    ERIN,
    FRANK,
    VALUES,
    YEAR_S,
    MarketNet,
    address_of,
    decide,
    enact,
    rich,
    seat,
)

pytestmark = pytest.mark.chain

STAKE_MIN = VALUES[Parameter.GOVERNOR_STAKE_MIN]


async def test_a_stake_is_given_as_the_sum_to_reach(market_net: MarketNet) -> None:
    rich(market_net, ERIN)
    erin, account = market_net.party(ERIN), address_of(ERIN)
    await erin.send(await erin.council.stake_to(5 * ANKR))
    assert (await erin.council.stake_to(5 * ANKR)).done == "so much is staked"
    more = await erin.council.stake_to(8 * ANKR)
    assert more.ankr_wei == 3 * ANKR
    await erin.send(more)
    assert await erin.council.stake(account) == await erin.council.total_stake() == 8 * ANKR

    await erin.send(await erin.council.unstake_to(ANKR))
    assert (await erin.council.unstake_to(ANKR)).done == "no more is staked"
    assert (await erin.council.leaving(account)).amount == 7 * ANKR
    with pytest.raises(Rejected) as early:
        await erin.council.withdraw()
    assert reason_of(early.value).startswith("the stake is not free yet")
    market_net.wait(VALUES[Parameter.UNBOND_S] + 1)
    had = await erin.ankr(account)
    await erin.send(await erin.council.withdraw())
    assert await erin.ankr(account) - had == 7 * ANKR
    assert (await erin.council.withdraw()).done == "nothing is on its way back"


async def test_who_was_invited_sits_once_it_has_the_stake(market_net: MarketNet) -> None:
    # R15, R16
    carol = market_net.party(CAROL)
    assert await carol.council.is_invited(address_of(CAROL))
    with pytest.raises(Rejected) as poor:
        await carol.council.accept()
    assert reason_of(poor.value).startswith("the stake is below what a seat asks: stake more")
    await seat(market_net)
    assert (await carol.council.accept()).done == "the account sits in the council"
    seats = await carol.council.seats()
    assert {(s.account, s.node_id) for s in seats} == {
        (address_of(CAROL), node("carol")),
        (address_of(DAVE), node("dave")),
    }  # they take them at once, in either order
    assert (await carol.council.phase(), (await carol.council.term()).n) == (1, 1)
    assert await carol.council.stake_min() == STAKE_MIN


async def test_a_candidate_with_a_backer_is_elected(market_net: MarketNet) -> None:
    # R17: opened, stood, backed and closed, each step safe to repeat.
    rich(market_net, ERIN, FRANK)
    await seat(market_net)
    erin, frank = market_net.party(ERIN), market_net.party(FRANK)
    with pytest.raises(Rejected) as early:
        await erin.council.open_election()
    assert early.value.rule == "ElectionNotDue"
    for party in (erin, frank):
        await party.send(await party.council.stake_to(STAKE_MIN))
    market_net.wait(YEAR_S)
    assert await erin.council.due_at() <= await erin.now_s()
    await erin.send(await erin.council.open_election())
    election = await erin.council.latest_election()
    assert (await erin.council.open_election()).done == f"election {election} is open"

    await erin.send(await erin.council.stand(election, node("erin")))
    assert (await erin.council.stand(election, node("erin"))).done == (
        "the account stands in this election"
    )
    assert not await erin.council.has_elected()
    await frank.send(await frank.council.back(election, address_of(ERIN)))
    assert (await frank.council.back(election, address_of(ERIN))).done == (
        "the stake has voted in this election"
    )
    assert (await erin.council.candidate(election, address_of(ERIN))).votes == 2 * STAKE_MIN
    assert await erin.council.standings(election) == (address_of(ERIN),)

    market_net.wait(VALUES[Parameter.ELECTION_S] + 1)
    await frank.send(await frank.council.close_election())
    assert (await frank.council.close_election()).done == f"election {election} is closed"
    assert await erin.council.is_governor(address_of(ERIN))
    assert await erin.council.has_elected()
    assert set(await erin.council.key_list()) == {
        (address_of(CAROL), node("carol")),
        (address_of(DAVE), node("dave")),
        (address_of(ERIN), node("erin")),
    }
    assert await erin.council.key_holders() == ()  # they are not made yet


async def test_a_vote_is_opened_cast_closed_and_told_once(market_net: MarketNet) -> None:
    # R20, Q8
    await seat(market_net)
    carol, dave = market_net.party(CAROL), market_net.party(DAVE)
    calls = [decisions.set_parameter(market_net.market, Parameter.BID_BOND, ANKR)]
    await carol.send(await carol.proposals.propose(calls, summary="a lower bond"))
    again = await carol.proposals.propose(calls, summary="a lower bond")
    assert again.done == "proposal 1 is open and says the same"
    with pytest.raises(Rejected) as other:
        await carol.proposals.propose(calls, summary="another")
    assert other.value.rule == "ProposalOpen"

    said = await dave.proposals.proposed(1)
    assert (said.calls, said.summary) == (tuple(calls), "a lower bond")
    assert decisions.told(market_net.market, said.calls[0]) == f"Policy.set(5, {ANKR})"
    await carol.send(await carol.proposals.vote(1, Choice.YES))
    await dave.send(await dave.proposals.vote(1, Choice.ABSTAIN))
    assert (await dave.proposals.vote(1, Choice.NO)).done == "the governor has voted on it"
    with pytest.raises(Rejected) as running:
        await dave.proposals.close(1)
    assert running.value.rule == "VotingRuns"

    market_net.wait(VALUES[Parameter.VOTING_S] + 1)
    assert await dave.proposals.next_to_close() == 1
    await dave.send(await dave.proposals.close(1))
    assert (await dave.proposals.close(1)).done == "proposal 1 has passed"
    proposal = await dave.proposals.proposal(1)
    assert (proposal.yes, proposal.no, proposal.abstain) == (1, 0, 1)
    assert proposal.outcome is Outcome.PASSED
    assert await dave.proposals.operation_state(1) is OperationState.WAITING
    assert await dave.proposals.ready_at(1) >= await dave.now_s() + DELAY_S - 1
    assert await dave.proposals.missed(address_of(DAVE)) == 0
    assert (await dave.council.hand_on_slashed()).done == "nothing that was slashed waits"


async def test_stakers_vote_in_a_referendum_and_are_paid_for_it(market_net: MarketNet) -> None:
    # R13, Q21
    rich(market_net, ALICE, FRANK)
    await seat(market_net)
    frank = market_net.party(FRANK)
    await frank.send(await frank.council.stake_to(3 * STAKE_MIN))
    market_net.wait(1)
    carol = market_net.party(CAROL)
    call = decisions.set_parameter(market_net.market, Parameter.BID_BOND, ANKR)
    await carol.send(
        await carol.proposals.propose([call], summary="a lower bond", is_referendum=True)
    )
    ballot = (await carol.proposals.proposal(1)).ballot
    await frank.send(await frank.proposals.vote_as_staker(1, Choice.YES))
    assert (await frank.proposals.vote_as_staker(1, Choice.NO)).done == (
        "the stake has voted in this referendum"
    )
    assert (await frank.proposals.tally(1)).yes == 3 * STAKE_MIN

    alice = market_net.party(ALICE)
    await alice.send(await alice.voter_rewards.fund_to(ballot, 7 * ANKR))
    assert (await alice.voter_rewards.fund_to(ballot, 7 * ANKR)).done == "so much was put in"
    for governor in (carol, market_net.party(DAVE)):
        await governor.send(await governor.proposals.vote(1, Choice.YES))
    market_net.wait(VALUES[Parameter.VOTING_S] + 1)
    await alice.send(await alice.proposals.close(1))
    assert (await alice.proposals.proposal(1)).outcome is Outcome.PASSED

    assert await frank.voter_rewards.claimable(ballot, address_of(FRANK)) == 7 * ANKR
    await frank.send(await frank.voter_rewards.claim(ballot))
    assert (await frank.voter_rewards.claim(ballot)).done == "there is nothing to claim"
    with pytest.raises(Rejected) as voted:
        await alice.voter_rewards.reclaim(ballot)
    assert voted.value.rule == "SomebodyVoted"


async def test_every_decision_is_made_and_told(market_net: MarketNet) -> None:
    await seat(market_net)
    market, chain = market_net.market, market_net.party()
    ankr, eth = await chain.prices.source(Asset.ANKR), await chain.prices.source(Asset.ETH)
    scoring = await chain.policy.scoring()
    nobody = b"\0" * 19 + b"\7"
    calls = {
        "Policy.setDistribution((1000, 2000, 3000, 4000))": decisions.set_distribution(
            market, (1_000, 2_000, 3_000, 4_000)
        ),
        f"Policy.setScoring(2, 0x{scoring.params_hash.hex()})": decisions.set_scoring(
            market, 2, scoring.params_hash
        ),
        f"Timelock.updateDelay({2 * DELAY_S})": decisions.set_delay(market, 2 * DELAY_S),
        f"Pot.release(0, 0, 0x{nobody.hex()})": decisions.release_rewards(
            market, nobody, ankr_wei=0, eth_wei=0
        ),
    }
    for words, call in calls.items():
        assert decisions.told(market, call) == words
    feeds = decisions.set_feeds(market, ankr, eth)
    assert decisions.told(market, feeds).startswith("Prices.setFeeds(('0x")
    await enact(market_net, *calls.values(), feeds)
    assert await chain.policy.distribution() == (1_000, 2_000, 3_000, 4_000)
    assert (await chain.policy.scoring()).version == 2


def test_a_call_that_nobody_knows_is_told_as_it_is(market_net: MarketNet) -> None:
    stranger = Operator(b"\7" * 20)
    for target, data in ((stranger, b"\1\2\3\4"), (market_net.market.policy, b"\1\2\3\4")):
        call = TimelockCall(target=Operator(target), value=0, data=data)
        assert decisions.told(market_net.market, call) == f"0x{target.hex()}: 0x01020304"
    short = decisions.set_parameter(market_net.market, Parameter.BID_BOND, 1).data[:-1]
    call = TimelockCall(target=Operator(market_net.market.policy), value=0, data=short)
    assert decisions.told(market_net.market, call).endswith(short.hex())


async def test_decisions_about_strangers_fail_when_they_are_made(market_net: MarketNet) -> None:
    await seat(market_net)
    market = market_net.market
    stranger = address_of(FRANK)
    call = decisions.set_tier(market, stranger, tier=Tier.TRUSTED, k_eth_wei=0)
    proposal = await decide(market_net, call)
    market_net.wait(DELAY_S)
    with pytest.raises(Rejected) as caught:
        await market_net.party(ALICE).proposals.execute(proposal)
    assert caught.value.rule == "WrongStatus"


async def test_who_only_looks_can_read_and_not_send(market_net: MarketNet) -> None:
    nobody = market_net.party()
    assert await nobody.council.latest_election() == 0
    with pytest.raises(ChainUnavailable, match="no account is configured"):
        await nobody.council.accept()
    with pytest.raises(ValueError, match="there is no proposal 1"):
        await nobody.proposals.proposed(1)


async def test_reference_prices_are_moved_by_anybody(market_net: MarketNet) -> None:
    anybody = market_net.party(ALICE)
    usd = 10**18
    assert await anybody.prices.ankr_of_usd(usd) == 50 * ANKR
    action = await anybody.prices.poke()
    assert (action.ankr_wei, action.eth_wei) == (0, 0)
    assert len(await anybody.send(action)) == 1
