"""Rule and market on a real anvil, ruled by Carol and Dave, and calls as each party."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import msgspec
from eth_account import Account

from stkrp2p.adapters.chain.abi import error_of, interface
from stkrp2p.adapters.chain.rule import RuleChain, decisions
from stkrp2p.adapters.chain.rule.policy import ProjectType
from stkrp2p.adapters.chain.rule.prices import Asset
from stkrp2p.adapters.chain.rule.proofs import ProvedMember, ProvedScore
from stkrp2p.adapters.chain.rule.proposals import TimelockCall
from stkrp2p.adapters.chain.rule.providers import Application, Tier
from stkrp2p.adapters.deploy import ANKR, Deployed
from stkrp2p.adapters.deploy_market import FEED_DECIMALS, Feed, MarketPlan, deploy_market
from stkrp2p.core import bls
from stkrp2p.core.anchor import Header
from stkrp2p.core.beacon import round_message
from stkrp2p.core.crypto import sha256
from stkrp2p.core.draw import Rule
from stkrp2p.core.economics import Resources
from stkrp2p.core.merkle import Tree
from stkrp2p.core.network import MarketAddresses
from stkrp2p.core.params import MINIMAL as PARAMS, Params
from stkrp2p.core.policy import MINIMAL, Parameter
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Kind, Operator, Round
from testnet import market_moves
from tests.adapters.chain_kit import (
    ALICE,
    COUNCIL,
    STAKE,
    Net,
    block,
    deploy_at,
    node,
    register,
    rpc,
)

# anvil's accounts 3 and 4, and two that only these tests use
CAROL = bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a")
DAVE = bytes.fromhex("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6")
ERIN = bytes.fromhex("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a")
FRANK = bytes.fromhex("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba")

SLOWLY = 100
POLICY = replace(
    MINIMAL,
    parameters={
        parameter: value * (SLOWLY if parameter.name.endswith("_S") else 1)
        for parameter, value in MINIMAL.parameters.items()
    },
)
"""The preset's numbers, with longer periods: tests move the time, however slow the machine is."""

VALUES = POLICY.parameters

ANKR_USD = 10**18 // 50
ETH_USD = 2_000 * 10**18
DELAY_S = 600
YEAR_S = 365 * 24 * 3_600


def address_of(key: bytes) -> Operator:
    return Operator(bytes.fromhex(str(Account.from_key(key).address)[2:]))


def plan_at(now_s: int, **changes: Any) -> MarketPlan:
    values = {
        "policy": POLICY,
        "invited": tuple((address_of(key), node(name)) for key, name in GOVERNORS),
        "phase_2_at": now_s + YEAR_S,
        "phase_3_at": now_s + 2 * YEAR_S,
        "term_s": YEAR_S,
        "delay_s": DELAY_S,
        "ankr_usd": Feed(base=ANKR_USD),
        "eth_usd": Feed(base=ETH_USD),
    }
    return MarketPlan(**(values | changes))


GOVERNORS = ((CAROL, "carol"), (DAVE, "dave"))


@dataclass
class MarketNet(Net):
    """A network with rule and market."""

    market: MarketAddresses | None = None
    parties: dict[tuple[bytes | None, bytes], RuleChain] = field(default_factory=dict)

    def close(self) -> None:
        super().close()
        for party in self.parties.values():
            party.close()

    def party(self, key: bytes | None = None) -> RuleChain:
        """Return who has this key; nobody in particular without one."""
        assert self.market is not None
        place = (key, self.market.deals)
        if place not in self.parties:
            party = RuleChain(self.genesis, self.market, [self.url], account_key=key)
            self.parties[place] = party
        return self.parties[place]

    def refusals(self, calls: Sequence[dict[str, str]]) -> list[str]:
        """Return the error that each call reverts with; "" if it goes through."""
        questions = [
            {"jsonrpc": "2.0", "id": i, "method": "eth_call", "params": [call, "latest"]}
            for i, call in enumerate(calls)
        ]
        answers = httpx.post(self.url, json=questions, trust_env=False, timeout=60).json()
        return [_error_of(answer) for answer in sorted(answers, key=lambda each: each["id"])]

    def now_s(self) -> int:
        return int(block(self.url)["timestamp"], 16)

    async def wait_until(self, time_s: int) -> None:
        self.wait(max(0, time_s - self.now_s()))

    def wait(self, seconds: int) -> None:
        rpc(self.url, "evm_increaseTime", seconds)
        rpc(self.url, "evm_mine")


async def deploy_all(
    url: str, *, started_s_ago: int = 600, params: Params = PARAMS
) -> tuple[Deployed, MarketAddresses]:
    deployed = await deploy_at(url, started_s_ago=started_s_ago, params=params)
    plan = plan_at(int(block(url)["timestamp"], 16))
    return deployed, await deploy_market(url, ALICE, deployed, plan)


def _error_of(answer: dict[str, Any]) -> str:
    if "error" not in answer:
        return ""
    return error_of(bytes.fromhex(str(answer["error"].get("data", "0x"))[2:]))[0] or "?"


def rich(net: MarketNet, *keys: bytes, ankr: int = 10**6 * ANKR) -> None:
    """Give accounts of anvil's, which are unlocked, ANKR."""
    for key in keys:
        account = address_of(key)
        data = interface("TestAnkr").call("mint", account, ankr)
        call = {"from": f"0x{account.hex()}", "to": f"0x{net.deployed.token.hex()}"}
        rpc(net.url, "eth_sendTransaction", call | {"data": f"0x{data.hex()}"})


async def seat(net: MarketNet) -> None:
    """Let both governors stake and take their seats."""
    rich(net, *(key for key, _ in GOVERNORS))
    await market_moves.take_seats(governors(net), VALUES[Parameter.GOVERNOR_STAKE_MIN])


def governors(net: MarketNet) -> list[RuleChain]:
    return [net.party(key) for key, _ in GOVERNORS]


async def decide(net: MarketNet, *calls: TimelockCall) -> int:
    """Let both governors vote yes on calls, and queue them; return the proposal's number."""
    return await market_moves.decide(
        governors(net), net.party(CAROL), calls, summary="do it", wait_until=net.wait_until
    )


# ------------------------------------------------------------------------------- trade

NEED = Resources(cpu_milli=4_000, ram_mb=16_000, storage_gb=1_000, bandwidth_mbps=100)
CAPACITY = Resources(cpu_milli=8_000, ram_mb=32_000, storage_gb=2_000, bandwidth_mbps=200)
CHALLENGE_S = 3_600
LENGTH_S = 3_600
KIND, CHOICE_KIND = 1, 2
"""Types of projects of these tests: drawn at the lowest price, and chosen by the requester."""

K_ETH = 16 * 10**18
"""What an untrusted provider brings of the 32 ETH."""

PROVIDERS = ((ERIN, "erin"), (FRANK, "frank"))


@dataclass(frozen=True)
class Epoch0:
    """An anchored, final epoch in which both providers have a node with a good score."""

    header: Header
    roster: Roster
    scores: tuple[Score, ...]

    def score(self, name: str) -> ProvedScore:
        tree = Tree(score.leaf() for score in self.scores)
        [score] = [s for s in self.scores if s.node == node(name)]
        proof = tuple(tree.proof(score.leaf()))
        return ProvedScore(header=self.header, score=score, proof=proof)

    def member(self, name: str) -> ProvedMember:
        [member] = [m for m in self.roster.members if m.node == node(name)]
        return ProvedMember(header=self.header, roster=self.roster, member=member)


def epoch_0(net: MarketNet) -> Epoch0:
    operators = {name: address_of(key) for key, name in PROVIDERS}
    roster = Roster(
        tuple(
            Member(node=node(name), nonce=0, operator=operator, kind=Kind.FULL, stake=STAKE)
            for name, operator in sorted(operators.items(), key=lambda each: node(each[0]))
        )
    )
    scores = tuple(
        Score(m.node, m.nonce, state=1, uptime_ppm=990_000, reliability_ppm=900_000)
        for m in roster.members
    )
    tree = Tree(score.leaf() for score in scores)
    roots = {"roster_root": roster.root, "score_root": tree.root}
    return Epoch0(msgspec.structs.replace(net.header(0), **roots), roster, scores)


def application(name: str) -> Application:
    return Application(name=name, capacity=CAPACITY, price_wei=100 * ANKR, details="ipfs://nothing")


async def open_trade(net: MarketNet) -> Epoch0:
    """Seat the council, let it approve both providers and a type of project; nodes are bound."""
    await seat(net)
    epoch = epoch_0(net)
    chain = net.chain()
    await chain.submit_anchor(epoch.header, net.seal(epoch.header))
    await net.mined()
    for key, name in PROVIDERS:
        await register_node(net, key, name)
    await apply_all(net)
    await approve_all(net)
    net.wait(CHALLENGE_S + 1)
    await serve_all(net, epoch.member)
    return epoch


async def register_node(net: MarketNet, key: bytes, name: str) -> None:
    chain = net.chain(key=key)
    rich(net, key)
    await chain.send(await chain.approve(STAKE))
    await register(net, chain, name)


async def apply_all(net: MarketNet) -> None:
    """Let both providers apply."""
    for key, name in PROVIDERS:
        party = net.party(key)
        await party.send(await party.providers.apply(application(name)))


async def serve_all(net: MarketNet, member: Callable[[str], ProvedMember]) -> None:
    """Let both providers stake and bind their nodes, which were registered in this order."""
    for number, (key, name) in enumerate(PROVIDERS):
        party = net.party(key)
        await party.send(await party.providers.stake_to(VALUES[Parameter.STAKE_MIN]))
        chain_node = sha256(name.encode())
        await party.send(await party.providers.add_node(number, chain_node, member(name)))


PROJECT_TYPE = ProjectType(
    is_open=True,
    rule=Rule.FIRST_PRICE,
    shortlist=1,
    reliability_ppm_min=500_000,
    uptime_ppm_min=500_000,
    failures_max=0,
    eth_stake_wei=32 * 10**18,
    need=NEED,
)
CHOICE_TYPE = replace(PROJECT_TYPE, rule=Rule.REQUESTER_CHOICE, shortlist=2)


async def approve_all(net: MarketNet) -> None:
    """Let the council approve both providers and both types of projects."""
    market = net.market
    assert market is not None
    calls = [
        decisions.approve_provider(
            market, address_of(key), name=name, tier=Tier.UNTRUSTED, k_eth_wei=K_ETH
        )
        for key, name in PROVIDERS
    ]
    calls.append(decisions.set_project_type(market, KIND, PROJECT_TYPE))
    calls.append(decisions.set_project_type(market, CHOICE_KIND, CHOICE_TYPE))
    await enact(net, *calls)


async def enact(net: MarketNet, *calls: TimelockCall) -> int:
    """Let the council decide calls, and make them; return the proposal's number."""
    proposal = await decide(net, *calls)
    await market_moves.enact(net.party(ALICE), proposal, wait_until=net.wait_until)
    return proposal


def round_signature(number: int) -> bytes:
    """Sign a round as the kit's beacon does."""
    return bls.sign(COUNCIL, round_message(Round(number)), bls.ROUND_DST)


async def set_price(net: MarketNet, asset: Asset, usd: int) -> None:
    """Let a test feed answer another price, in 10^-18 USD."""
    feed = (await net.party().prices.source(asset)).feed
    data = interface("TestFeed").call("set", usd * 10**FEED_DECIMALS // 10**18)
    call = {"from": f"0x{address_of(ALICE).hex()}", "to": f"0x{feed.hex()}"}
    rpc(net.url, "eth_sendTransaction", call | {"data": f"0x{data.hex()}"})
