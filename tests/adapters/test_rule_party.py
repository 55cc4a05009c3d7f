"""What a party sees through endpoints that know less than anvil, or limit what they answer."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.rule import RuleChain, decisions, reason_of
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.adapters.chain.rule.proposals import Choice
from stkrp2p.adapters.chain.wallet import OUT_OF_GAS
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.policy import Parameter
from stkrp2p.ports import ChainUnavailable
from tests.adapters.chain_kit import Toxic, Toxin, block, rpc
from tests.adapters.market_kit import CAROL, ERIN, VALUES, MarketNet, address_of, rich, seat

if TYPE_CHECKING:
    import trio

pytestmark = pytest.mark.chain

BLOCKS_MAX = 4
"""How many blocks of logs the narrow endpoint answers at once."""


def refuses(code: int, message: str) -> bytes:
    error = {"code": code, "message": message}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "error": error}).encode()


async def no_simulation(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
    """An endpoint older than `eth_simulateV1`."""
    if json.loads(body)["method"] == "eth_simulateV1":
        await toxic.reply(stream, refuses(-32601, "the method does not exist"))
    else:
        await toxic.reply(stream, await toxic.forward(body))


async def narrow(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
    """An endpoint that answers logs of few blocks at a time."""
    question = json.loads(body)
    [wanted, *_] = question["params"] or [{}]
    if question["method"] == "eth_getLogs":
        blocks = int(wanted["toBlock"], 16) - int(wanted["fromBlock"], 16) + 1
        if blocks > BLOCKS_MAX:
            await toxic.reply(stream, refuses(-32005, "query returned too many results"))
            return
    await toxic.reply(stream, await toxic.forward(body))


async def no_pending_block(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
    """An endpoint that estimates on the newest block, and mines in a later second."""
    question = json.loads(body)
    if question["method"] == "eth_estimateGas":
        question["params"][1:] = ["latest"]
    if question["method"] == "eth_sendRawTransaction":
        rpc(toxic.upstream, "evm_increaseTime", 1)
    await toxic.reply(stream, await toxic.forward(json.dumps(question).encode()))


async def vote_ends_meanwhile(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
    """An endpoint that mines a transaction when a vote is over that ran at its estimate."""
    if json.loads(body)["method"] == "eth_sendRawTransaction":
        rpc(toxic.upstream, "evm_increaseTime", VALUES[Parameter.VOTING_S])
    await toxic.reply(stream, await toxic.forward(body))


async def estimates_low(toxic: Toxic, stream: trio.SocketStream, body: bytes) -> None:
    """An endpoint that takes every call for the cheapest one."""
    if json.loads(body)["method"] == "eth_estimateGas":
        await toxic.reply(stream, b'{"jsonrpc": "2.0", "id": 1, "result": "0x5208"}')
    else:
        await toxic.reply(stream, await toxic.forward(body))


def last_transaction(net: MarketNet) -> str:
    [sent] = block(net.url)["transactions"]
    return sent


@asynccontextmanager
async def party_through(
    nursery: trio.Nursery, net: MarketNet, toxin: Toxin, key: bytes | None = None
) -> AsyncGenerator[tuple[RuleChain, Toxic]]:
    """Yield a party whose only endpoint is behind a toxin, and that endpoint."""
    toxic = Toxic(net.url, toxin=toxin)
    await nursery.start(toxic.run)
    party = RuleChain(net.genesis, net.market, [toxic.url], account_key=key)
    try:
        yield party, toxic
    finally:
        party.close()


async def test_without_simulation_the_second_steps_cost_is_unknown_and_it_works_all_the_same(
    market_net: MarketNet, nursery: trio.Nursery
) -> None:
    rich(market_net, ERIN)
    async with party_through(nursery, market_net, no_simulation, ERIN) as (erin, _):
        action = await erin.council.stake_to(ANKR)
        assert [step.what for step in action.steps] == ["TestAnkr.approve", "Council.stake"]
        assert action.steps[0].gas_max is not None
        assert action.steps[1].gas_max is None
        assert (action.gas_max, action.cost_wei_max) == (None, None)
        await erin.send(action)
        assert await erin.council.stake(address_of(ERIN)) == ANKR


async def test_a_stake_estimated_in_the_second_of_the_one_before_has_gas_for_a_later_second(
    market_net: MarketNet, nursery: trio.Nursery
) -> None:
    rich(market_net, ERIN)
    async with party_through(nursery, market_net, no_pending_block, ERIN) as (erin, _):
        both = await erin.council.stake_to(2 * ANKR)
        await erin.send(replace(both, steps=both.steps[:1]))
        for staked in (ANKR, 2 * ANKR):
            await erin.send(await erin.council.stake_to(staked))
        assert await erin.council.stake(address_of(ERIN)) == 2 * ANKR


async def test_a_reverted_transaction_is_told_by_the_rule_that_it_met_in_its_block(
    market_net: MarketNet, nursery: trio.Nursery
) -> None:
    await seat(market_net)
    direct = market_net.party(CAROL)
    await direct.send(await direct.proposals.propose([], summary="a matter"))
    async with party_through(nursery, market_net, vote_ends_meanwhile, CAROL) as (carol, _):
        vote = await carol.proposals.vote(1, Choice.YES)
        with pytest.raises(Rejected) as late:
            await carol.send(vote)
        assert late.value.rule == "VotingOver"
        assert late.value.transaction == last_transaction(market_net)
        assert reason_of(late.value).startswith("the time to vote on this proposal is over (Voting")


async def test_a_transaction_that_ran_out_of_gas_is_told_as_such(
    market_net: MarketNet, nursery: trio.Nursery
) -> None:
    rich(market_net, ERIN)
    async with party_through(nursery, market_net, estimates_low, ERIN) as (erin, _):
        stake = await erin.council.stake_to(ANKR)
        with pytest.raises(Rejected) as short:
            await erin.send(stake)
        assert short.value.rule == OUT_OF_GAS
        assert short.value.transaction == last_transaction(market_net)
        assert ": run the command again" in reason_of(short.value)


async def test_events_are_found_however_few_blocks_an_endpoint_answers_at_once(
    market_net: MarketNet, nursery: trio.Nursery
) -> None:
    await seat(market_net)
    carol = market_net.party(CAROL)
    call = decisions.set_parameter(market_net.market, Parameter.BID_BOND, ANKR)
    await carol.send(await carol.proposals.propose([call], summary="a lower bond"))
    assert int(rpc(market_net.url, "eth_blockNumber"), 16) > 3 * BLOCKS_MAX

    async with party_through(nursery, market_net, narrow) as (reader, toxic):
        said = await reader.proposals.proposed(1)
        assert (said.calls, said.summary) == ((call,), "a lower bond")
        assert toxic.asked.count("eth_getLogs") > 3


async def test_too_little_ankr_is_said_before_anything_is_sent(market_net: MarketNet) -> None:
    erin = market_net.party(ERIN)
    before = rpc(market_net.url, "eth_blockNumber")
    with pytest.raises(Rejected) as poor:
        await erin.council.stake_to(ANKR)
    assert reason_of(poor.value).startswith("the account has too little ANKR: send some to it")
    assert rpc(market_net.url, "eth_blockNumber") == before


async def test_an_allowance_that_is_there_is_not_given_again(market_net: MarketNet) -> None:
    rich(market_net, ERIN)
    erin = market_net.party(ERIN)
    first = await erin.council.stake_to(ANKR)
    # Killed between the two: only the allowance was sent.
    await erin.send(replace(first, steps=first.steps[:1]))
    again = await erin.council.stake_to(ANKR)
    assert [step.what for step in again.steps] == ["Council.stake"]
    await erin.send(again)
    assert await erin.council.stake(address_of(ERIN)) == ANKR


async def test_another_chain_is_told_as_such(market_net: MarketNet) -> None:
    elsewhere = replace(market_net.genesis, chain_id=1)
    party = Party(elsewhere, market_net.market, [market_net.url])
    try:
        with pytest.raises(ChainUnavailable, match="chain 31337, we are on 1"):
            await party.now_s()
    finally:
        party.close()
