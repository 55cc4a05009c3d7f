"""Deploying rule and market of a network whose registry and anchors stand.

    timelock, policy, reward pot, council; the council gets the timelock's only role and the deployer
    gives up its own; voters' rewards, feeds, prices; insurance pot, providers, market, deals

The last four know each other: the first three are told the deals' address before it exists. It
follows from the deployer's account and its count of transactions, and is compared with what came out.
Nobody is left with a key: at the end the timelock is asked who may do what.

Nothing is resumed. If it breaks off, no network file names what was deployed so far, and nothing of
that holds money: run it again, and it deploys everything anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.calls import view
from stkrp2p.adapters.chain.challenges import scoring_fields
from stkrp2p.adapters.chain.wallet import Call
from stkrp2p.adapters.deploy import Deployed, Deployer, deploying
from stkrp2p.adapters.workloads.rlp import encode_list, encode_uint
from stkrp2p.core.economics import UNIT
from stkrp2p.core.merkle import keccak256, words
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.params import Params
from stkrp2p.core.policy import Policy
from stkrp2p.core.types import NodeId, Operator

DEVELOPMENT_CHAIN_IDS = frozenset({1_337, 31_337})
"""Chains of one's own: only there feeds are deployed whose price anyone sets."""

FEED_DECIMALS = 8
"""Decimals of Chainlink's feeds of USD; the test feeds have them too."""

NOBODY = bytes(20)
ADMIN_ROLE = bytes(32)
"""OpenZeppelin's `DEFAULT_ADMIN_ROLE`: who has it gives out all roles."""

PROPOSER_ROLE = keccak256(b"PROPOSER_ROLE")


class DeploymentFailed(Exception):
    """What was deployed is not what was meant; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Where the price of an asset comes from."""

    base: int
    """What it is worth about now, in 10^-18 USD: the first reference."""

    feed: bytes | None = None
    """Address of an AggregatorV3; `None` deploys a test feed that answers `base`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPlan:
    """Rule and market before they are deployed."""

    policy: Policy
    """The numbers that governors may change later."""

    invited: Sequence[tuple[Operator, NodeId]]
    """Who may sit in phase 1: n + 1, for the policy's n."""

    phase_2_at: int
    """When n more are elected, Unix seconds; nobody can move it."""

    phase_3_at: int
    """When the whole list is elected anew for the first time, Unix seconds."""

    term_s: int
    """From one renewal to the next."""

    delay_s: int
    """From a decision to its execution."""

    ankr_usd: Feed
    eth_usd: Feed
    scoring_version: int = 1


def scoring_hash(params: Params) -> bytes:
    """Return what the policy calls the numbers that scores depend on.

    It is the Keccak-256 of `ReputationAnchor.scoring()`, a word each.
    """
    return keccak256(words(*scoring_fields(params)))


def created_address(account: bytes, nonce: int) -> bytes:
    """Return where an account's transaction with this nonce puts a contract."""
    return keccak256(encode_list([account, encode_uint(nonce)]))[-20:]


async def deploy_market(
    url: str, account_key: bytes, deployed: Deployed, plan: MarketPlan
) -> MarketAddresses:
    """Deploy rule and market, 14 transactions.

    Args:
        url: JSON-RPC of the chain, http or https.
        account_key: secp256k1 secret of an account with ether that nothing else uses meanwhile.
        deployed: The network's other contracts.
        plan: What is decided before.

    Raises:
        ValueError: Test feeds are wanted on a public chain.
        DeploymentFailed: Another transaction of the account came between.
        ChainUnavailable: The endpoint failed, or a transaction did.
    """
    is_test = plan.ankr_usd.feed is None or plan.eth_usd.feed is None
    if is_test and deployed.genesis.chain_id not in DEVELOPMENT_CHAIN_IDS:
        chain_id = deployed.genesis.chain_id
        raise ValueError(f"chain {chain_id} is no development network: name its price feeds")
    async with deploying(url, account_key) as deployer:
        return await _deploy(deployer, deployed, plan)


async def _deploy(deployer: Deployer, deployed: Deployed, plan: MarketPlan) -> MarketAddresses:
    create = deployer.create
    ourselves = deployer.wallet.address
    timelock, _ = await create("Timelock", plan.delay_s, [], [NOBODY], ourselves)
    scoring = (plan.scoring_version, scoring_hash(deployed.genesis.params))
    numbers = (plan.policy.values, list(plan.policy.distribution))
    policy, _ = await create("Policy", timelock, *numbers, *scoring)
    rewards, _ = await create("Pot", deployed.token, timelock, NOBODY)
    facts = (deployed.token, policy, timelock, rewards, list(plan.invited))
    council, _ = await create("Council", (*facts, plan.phase_2_at, plan.phase_3_at, plan.term_s))
    await _hand_over(deployer, timelock, council)
    voter_rewards, _ = await create("VoterRewards", deployed.token, council)
    sources = [await _source(deployer, feed) for feed in (plan.ankr_usd, plan.eth_usd)]
    prices, _ = await create("Prices", timelock, policy, *sources)
    rule = _Rule(timelock, policy, prices, rewards)
    insurance, providers, market, deals = await _deploy_trade(deployer, deployed, rule)
    return MarketAddresses(
        beacon_verifier=deployed.beacon_verifier,
        timelock=timelock,
        policy=policy,
        council=council,
        voter_rewards=voter_rewards,
        prices=prices,
        insurance=insurance,
        rewards=rewards,
        providers=providers,
        market=market,
        deals=deals,
    )


@dataclass(frozen=True, slots=True)
class _Rule:
    """What providers, market and deals obey."""

    timelock: bytes
    policy: bytes
    prices: bytes
    rewards: bytes


async def _hand_over(deployer: Deployer, timelock: bytes, council: bytes) -> None:
    """Let only the council queue decisions, and give up our own right to say who may.

    Raises:
        DeploymentFailed: The timelock says otherwise afterwards.
    """
    ourselves = deployer.wallet.address
    data = interface("Timelock").call
    await deployer.send(Call(to=timelock, data=data("grantRole", PROPOSER_ROLE, council)))
    await deployer.send(Call(to=timelock, data=data("renounceRole", ADMIN_ROLE, ourselves)))

    async def has(role: bytes, account: bytes) -> bool:
        ask = deployer.endpoints.use
        return bool(await ask(lambda e: view(e, timelock, "Timelock", "hasRole", role, account)))

    if await has(ADMIN_ROLE, ourselves) or not await has(PROPOSER_ROLE, council):
        raise DeploymentFailed(
            f"the timelock 0x{timelock.hex()} is not the council's: deploy rule and market anew"
        )


async def _source(deployer: Deployer, feed: Feed) -> tuple[bytes, int]:
    if feed.feed is not None:
        return feed.feed, feed.base
    answer = feed.base * 10**FEED_DECIMALS // UNIT
    address, _ = await deployer.create("TestFeed", FEED_DECIMALS, answer)
    return address, feed.base


async def _deploy_trade(
    deployer: Deployer, deployed: Deployed, rule: _Rule
) -> tuple[bytes, bytes, bytes, bytes]:
    """Deploy insurance pot, providers, market and deals; return their addresses.

    Raises:
        DeploymentFailed: The deals are not where the others were told.
    """
    genesis, token = deployed.genesis, deployed.token
    nonce = await deployer.endpoints.use(lambda e: deployer.wallet.used_nonces(e, "pending"))
    foretold = created_address(deployer.wallet.address, nonce + 3)
    insurance, _ = await deployer.create("Pot", token, rule.timelock, foretold)
    registered = (genesis.registry, genesis.anchor)
    providers, _ = await deployer.create(
        "Providers", token, rule.policy, rule.timelock, *registered, foretold
    )
    told = _market_setup(deployed, rule, providers, foretold, insurance)
    market, _ = await deployer.create("Market", told)
    numbers = (token, rule.policy, rule.prices, providers, genesis.anchor)
    powers = (market, rule.timelock, insurance, rule.rewards)
    deals, _ = await deployer.create("Deals", (*numbers, *powers))
    if deals != foretold:
        raise DeploymentFailed(
            f"the deals are at 0x{deals.hex()}, the others were told 0x{foretold.hex()}: the account "
            "sent something else meanwhile; deploy rule and market anew with one that nothing else uses"
        )
    return insurance, providers, market, deals


def _market_setup(
    deployed: Deployed, rule: _Rule, providers: bytes, deals: bytes, insurance: bytes
) -> tuple[object, ...]:
    genesis: Genesis = deployed.genesis
    clock = (genesis.beacon.genesis_ms, genesis.beacon.period_ms)
    parties = (providers, deals, deployed.beacon_verifier, *clock)
    return (deployed.token, rule.policy, rule.prices, *parties, genesis.anchor, insurance)
