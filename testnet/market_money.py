"""Every party's money, to the wei: what the chain has against what the core computes (R55, R59, Q12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import trio

from stkrp2p.adapters.chain.rule.deals import DealRecord
from stkrp2p.core.economics import Cover, PoolShares, Split, cover, loss_of, split
from testnet.cluster import call
from testnet.finding import Finding
from testnet.market_amounts import ankr, eth
from testnet.market_cast import Actor, gas_paid
from testnet.market_plan import PROFIT_ANKR, PROFIT_ETH
from testnet.market_scene import Scene

REWARDS, INSURANCE = "reward pot", "insurance pot"
CONTRACTS = "market and deals"


@dataclass(frozen=True, slots=True)
class Sum:
    """ANKR in 10^-18, and ETH in wei; less than 0 where something was paid."""

    ankr_wei: int = 0
    eth_wei: int = 0

    def __add__(self, other: Sum) -> Sum:
        """Return both together."""
        return Sum(self.ankr_wei + other.ankr_wei, self.eth_wei + other.eth_wei)

    def __sub__(self, other: Sum) -> Sum:
        """Return what is left."""
        return Sum(self.ankr_wei - other.ankr_wei, self.eth_wei - other.eth_wei)

    def __str__(self) -> str:
        """Return it for people."""
        return f"{ankr(self.ankr_wei)} and {eth(self.eth_wei)}"


Sums = Mapping[str, Sum]
"""Of each party, by name."""


def total(*many: Sums) -> dict[str, Sum]:
    """Return each party's sum of several."""
    names = {name for sums in many for name in sums}
    return {n: sum((sums.get(n, Sum()) for sums in many), Sum()) for n in sorted(names)}


def gained(after: Sums, before: Sums) -> dict[str, Sum]:
    """Return what each party has more."""
    return {name: after[name] - before[name] for name in after}


def compared(promise: str, found: Sums, expected: Sums) -> Finding:
    """Return whether each party has what it should; those that are not expected, nothing."""
    wrong = [
        f"{name}: {found.get(name, Sum())} instead of {expected.get(name, Sum())}"
        for name in sorted({*found, *expected})
        if found.get(name, Sum()) != expected.get(name, Sum())
    ]
    told = "; ".join(f"{name} {what}" for name, what in expected.items() if what != Sum())
    return Finding(promise=promise, held=not wrong, detail="; ".join(wrong) or told)


# ------------------------------------------------------------------------------- what the chain has


async def purses(scene: Scene) -> dict[str, Sum]:
    """Return all that each party has, stakes included, as if gas had cost nothing."""
    cast, market = scene.cast, scene.market
    found = {a.name: await _purse(scene, a) for a in (cast.requester, cast.anybody)}
    for provider in cast.providers:
        record = await provider.chain.providers.provider(provider.account)
        staked = Sum(record.stake + record.unbonding)
        found[provider.name] = await _purse(scene, provider) + staked
    found[REWARDS] = await _balance(scene, market.rewards)
    found[INSURANCE] = await _balance(scene, market.insurance)
    held = (await _balance(scene, market.market), await _balance(scene, market.deals))
    return {**found, CONTRACTS: held[0] + held[1]}


async def _purse(scene: Scene, actor: Actor) -> Sum:
    gas_wei = await gas_paid(scene.cluster.manifest.rpc, actor.receipts)
    return await _balance(scene, actor.account) + Sum(0, gas_wei)


async def _balance(scene: Scene, account: bytes) -> Sum:
    rpc = scene.cluster.manifest.rpc
    balance = await call(rpc, "eth_getBalance", f"0x{account.hex()}", "latest")
    eth_wei = int(str(balance), 16)
    return Sum(await scene.cast.anybody.chain.ankr(account), eth_wei)


async def credits_of(scene: Scene) -> dict[str, Sum]:
    """Return what the deals owe each party."""
    accounts = {a.name: a.account for a in (*scene.cast.providers, scene.cast.requester)}
    accounts |= {REWARDS: scene.market.rewards, INSURANCE: scene.market.insurance}
    owed = {n: await scene.cast.anybody.chain.deals.owed(a) for n, a in accounts.items()}
    return {name: Sum(each.ankr_wei, each.eth_wei) for name, each in owed.items()}


async def collect_all(scene: Scene, deal: int) -> None:
    """Let everybody fetch what it is owed, a deal's bonds included; anybody hands the pots theirs."""
    anybody = scene.cast.anybody

    async def collect(actor: Actor) -> None:
        await actor.do(actor.chain.deals.collect)
        await actor.do(actor.chain.market.collect)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(collect, scene.cast.requester)
        for provider in scene.cast.providers:
            nursery.start_soon(_collect_provider, provider, deal)
        for pot in (scene.market.rewards, scene.market.insurance):
            await anybody.do(partial(anybody.chain.deals.flush, pot))


async def _collect_provider(provider: Actor, deal: int) -> None:
    await provider.do(provider.chain.deals.collect)
    if (await provider.chain.deals.deal(deal)).provider != provider.account:
        await provider.do(partial(provider.chain.market.reclaim, deal))


# ------------------------------------------------------------------------------- what it should be


def shares_of(record: DealRecord) -> PoolShares:
    """Return the pools' shares of a deal."""
    return PoolShares(reward_bps=record.terms.reward_bps, insurance_bps=record.terms.insurance_bps)


def split_of(record: DealRecord, ankr_per_eth: int) -> Split:
    """Return how a completed deal's money is split (R55), computed by the core."""
    return split(
        ankr=record.fp_wei + PROFIT_ANKR,
        eth=PROFIT_ETH,
        paid_ankr=record.paid_wei,
        shares=shares_of(record),
        ankr_per_eth=ankr_per_eth,
    )


def completed_credits(record: DealRecord, provider: str, to: Split) -> dict[str, Sum]:
    """Return what a completed deal credits to whom; staked ETH goes back."""
    return {
        provider: Sum(to.provider_ankr, record.k_eth_wei),
        "requester": Sum(to.requester_ankr, to.requester_eth + record.requester_wei),
        REWARDS: Sum(to.reward_ankr, to.reward_eth),
        INSURANCE: Sum(to.insurance_ankr, to.insurance_eth),
    }


def completed_gains(record: DealRecord, provider: str, to: Split) -> dict[str, Sum]:
    """Return what a completed deal brings everybody in the end."""
    return {
        provider: Sum(to.provider_ankr),
        "requester": Sum(to.requester_ankr - record.fp_wei, to.requester_eth),
        "anybody": Sum(-PROFIT_ANKR, -PROFIT_ETH),
        REWARDS: Sum(to.reward_ankr, to.reward_eth),
        INSURANCE: Sum(to.insurance_ankr, to.insurance_eth),
    }


def cover_of(record: DealRecord, failed_at_s: int, stake_wei: int, ankr_per_eth: int) -> Cover:
    """Return who pays for a failed deal (Q12), computed by the core.

    Args:
        record: The deal as it ran.
        failed_at_s: When it failed, Unix seconds.
        stake_wei: What the provider had staked, in 10^-18 ANKR.
        ankr_per_eth: Price of one ETH in 10^-18 ANKR.
    """
    loss = loss_of(
        expected_profit=record.expected_profit_wei,
        unserved_s=record.ends_at - min(failed_at_s, record.ends_at),
        length_s=record.length_s,
    )
    return cover(
        loss,
        provider_eth=record.k_eth_wei,
        stake_ankr=stake_wei,
        ankr_per_eth=ankr_per_eth,
        insurance_eth=0,  # the stake covers it
    )


def failed_credits(record: DealRecord, provider: str, paid: Cover) -> dict[str, Sum]:
    """Return what a failed deal credits to whom: all its money to the requester, and the loss."""
    requester_eth = record.requester_wei + paid.provider_eth
    return {
        provider: Sum(0, record.k_eth_wei - paid.provider_eth),
        "requester": Sum(record.fp_wei + paid.provider_ankr, requester_eth),
    }


def failed_gains(provider: str, paid: Cover) -> dict[str, Sum]:
    """Return what a failed deal brings everybody in the end: the provider pays the requester."""
    loss = Sum(paid.provider_ankr, paid.provider_eth)
    return {provider: Sum() - loss, "requester": loss}
