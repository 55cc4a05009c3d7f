"""Rule and market are deployed as a whole, know each other, and are what the package carries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from stkrp2p.adapters.artifacts import load
from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.rule.party import addresses_of
from stkrp2p.adapters.chain.rule.prices import Asset
from stkrp2p.adapters.deploy import Deployer
from stkrp2p.adapters.deploy_market import (
    DEVELOPMENT_CHAIN_IDS,
    DeploymentFailed,
    Feed,
    created_address,
    deploy_market,
    scoring_hash,
)
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.policy import SPECS, Spec
from stkrp2p.ports import ChainUnavailable
from tests.adapters.chain_kit import ALICE, rpc
from tests.adapters.market_kit import (
    ANKR_USD,
    ETH_USD,
    POLICY,
    VALUES,
    MarketNet,
    address_of,
    plan_at,
)

pytestmark = pytest.mark.chain


def code_at(net: MarketNet, address: bytes) -> bytes:
    return bytes.fromhex(rpc(net.url, "eth_getCode", f"0x{address.hex()}", "latest")[2:])


def asked(net: MarketNet, contract: str, function: str, at: bytes) -> Any:
    question = {"to": f"0x{at.hex()}", "data": f"0x{interface(contract).call(function).hex()}"}
    answer = rpc(net.url, "eth_call", question, "latest")
    return interface(contract).result(function, bytes.fromhex(answer[2:]))


async def test_what_is_deployed_is_what_the_package_carries(market_net: MarketNet) -> None:
    market = market_net.market
    places = dict(addresses_of(market_net.genesis, market)) | {"Pot": market.insurance}
    for contract, address in places.items():
        assert load(contract).is_deployed_as(code_at(market_net, address)), contract
    assert load("Pot").is_deployed_as(code_at(market_net, market.rewards))
    source = await market_net.party().prices.source(Asset.ANKR)
    assert load("TestFeed").is_deployed_as(code_at(market_net, source.feed))


def test_the_contracts_know_each_other(market_net: MarketNet) -> None:
    market = market_net.market
    assert asked(market_net, "Pot", "PAYER", market.insurance) == market.deals
    assert asked(market_net, "Pot", "PAYER", market.rewards) == bytes(20)
    for contract, place in (("Policy", "policy"), ("Prices", "prices"), ("Deals", "deals")):
        at = getattr(market, place)
        assert asked(market_net, contract, "TIMELOCK", at) == market.timelock, contract
    assert asked(market_net, "VoterRewards", "BALLOTS", market.voter_rewards) == market.council


async def test_the_policy_is_the_presets_and_prices_are_the_plans(market_net: MarketNet) -> None:
    chain = market_net.party()
    parameters = await chain.policy.parameters()
    assert {parameter: each.value for parameter, each in parameters.items()} == VALUES
    bounds = {p: Spec(each.unit, each.least, each.most) for p, each in parameters.items()}
    assert bounds == SPECS
    assert await chain.policy.distribution() == POLICY.distribution
    assert await chain.policy.project_types() == {}
    assert await chain.prices.ankr_per_eth() == ETH_USD * 10**18 // ANKR_USD


async def test_the_policy_names_the_numbers_that_the_anchors_contract_scores_by(
    market_net: MarketNet,
) -> None:
    scoring = await market_net.party().policy.scoring()
    assert (scoring.version, scoring.params_hash) == (1, scoring_hash(MINIMAL))
    assert scoring_hash(MINIMAL) != scoring_hash(MAINNET)


def test_an_address_follows_from_account_and_nonce() -> None:
    # Known: the first contracts of anvil's first account.
    account = address_of(ALICE)
    assert created_address(account, 0).hex() == "5fbdb2315678afecb367f032d93f642f64180aa3"
    assert created_address(account, 1).hex() == "e7f1725e7734ce288f8367e1bb143e90bb3f0512"


async def test_a_transaction_of_the_account_that_comes_between_is_noticed(
    market_net: MarketNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Deployer.create

    async def disturbed(self: Deployer, contract: str, *arguments: object) -> tuple[bytes, int]:
        if contract == "Market":
            await create(self, "TestAnkr", 0)
        return await create(self, contract, *arguments)

    monkeypatch.setattr(Deployer, "create", disturbed)
    with pytest.raises(DeploymentFailed, match="sent something else meanwhile; deploy rule and"):
        await again(market_net)


async def again(net: MarketNet, **changes: Any) -> Any:
    plan = plan_at(net.now_s(), **changes)
    return await deploy_market(net.url, ALICE, net.deployed, plan)


async def test_a_deployment_that_broke_off_is_done_anew_as_a_whole(
    market_net: MarketNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Deployer.create

    class PowerCut(Exception):
        pass

    async def broken(self: Deployer, contract: str, *arguments: object) -> tuple[bytes, int]:
        if contract == "Providers":
            raise PowerCut
        return await create(self, contract, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(Deployer, "create", broken)
        with pytest.raises(PowerCut):
            await again(market_net)
    market = await again(market_net)
    assert asked(market_net, "Pot", "PAYER", market.insurance) == market.deals
    assert not set(addresses_of(market_net.genesis, market).values()) & {
        market_net.market.policy,
        market_net.market.deals,
    }


async def test_a_public_network_gets_no_test_feeds(market_net: MarketNet) -> None:
    public = replace(market_net.genesis, chain_id=1)
    assert 1 not in DEVELOPMENT_CHAIN_IDS
    deployed = replace(market_net.deployed, genesis=public)
    before = rpc(market_net.url, "eth_blockNumber")
    with pytest.raises(ValueError, match="chain 1 is no development network: name its price feeds"):
        await deploy_market(market_net.url, ALICE, deployed, plan_at(market_net.now_s()))
    assert rpc(market_net.url, "eth_blockNumber") == before


async def test_feeds_that_are_named_are_taken_as_they_are(market_net: MarketNet) -> None:
    feed = (await market_net.party().prices.source(Asset.ETH)).feed
    market = await again(market_net, eth_usd=Feed(base=ETH_USD, feed=feed))
    net = replace(market_net, market=market)
    assert (await net.party().prices.source(Asset.ETH)).feed == feed


async def test_a_network_whose_contracts_are_not_there_is_refused(market_net: MarketNet) -> None:
    nowhere = replace(market_net.market, deals=b"\7" * 20)
    net = replace(market_net, market=nowhere)
    with pytest.raises(ChainUnavailable, match="no contract Deals at 0x0707"):
        await net.party().policy.scoring()
