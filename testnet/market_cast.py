"""Who acts in the market's story: governors, providers, a requester, and anybody at all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

import trio

from stkrp2p.adapters.bids import BidStore
from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.rule import Receipt, RuleChain
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.adapters.keys import create_account_key
from stkrp2p.core.network import MarketAddresses
from stkrp2p.core.types import NodeId
from testnet.cluster import Cluster, Member, call, fund
from testnet.finding import folder_of, members_in
from testnet.market_moves import Prepare, perform
from testnet.market_plan import PROVIDERS, Terms
from testnet.plan import Role

FUNDS_ANKR_WEI = 100_000 * ANKR
"""What everybody has to spend."""

POLL_S = 0.25
"""How often something is asked that other processes do, and that rings no bell."""


@dataclass(kw_only=True)
class Actor:
    """Somebody with an account."""

    name: str
    account: bytes
    """Address, 20 bytes."""

    chain: RuleChain
    receipts: list[Receipt] = field(default_factory=list)
    """Of all that it sent to rule and market."""

    async def do(self, prepare: Prepare) -> None:
        """Do something on the chain; raises as `perform` does."""
        self.receipts += await perform(self.chain, prepare)


@dataclass(kw_only=True)
class Provider(Actor):
    """A provider with a node of the network."""

    terms: Terms
    member: Member
    registration: int
    bids: BidStore

    @property
    def node(self) -> NodeId:
        """Its node's id."""
        return self.member.node


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Everybody in the story."""

    governors: tuple[Actor, ...]
    providers: tuple[Provider, ...]
    requester: Actor
    anybody: Actor
    """Has no part in any deal: counts votes, draws, settles, and shows failures."""

    witness: Member
    """A governor's node: where anybody reads scores and proofs."""

    def everybody(self) -> tuple[Actor, ...]:
        """Return all of them."""
        return (*self.governors, *self.providers, self.requester, self.anybody)

    def provider_of(self, account: bytes) -> Provider:
        """Return the provider with this account."""
        return next(p for p in self.providers if p.account == account)


def market_of(cluster: Cluster) -> MarketAddresses:
    """Return where rule and market are.

    Raises:
        ValueError: The network has none.
    """
    if cluster.market is None:
        raise ValueError("the network was started without rule and market")
    return cluster.market


@asynccontextmanager
async def casting(cluster: Cluster) -> AsyncIterator[Cast]:
    """Give everybody an account with ether and ANKR, for the time of the context."""
    people = await _people(cluster)
    try:
        await fund(cluster.manifest.rpc, [people.requester.account, people.anybody.account])
        yield people
    finally:
        for actor in people.everybody():
            actor.chain.close()


async def _people(cluster: Cluster) -> Cast:
    registry = await cluster.chain.registry()
    registrations = {r.node: r.index for r in registry.registrations}
    governors = members_in(cluster, {Role.COUNCIL})
    return Cast(
        governors=tuple(
            Actor(name=m.entry.name, account=m.operator, chain=_chain(cluster, m.account))
            for m in governors
        ),
        providers=tuple(
            Provider(
                name=terms.name,
                account=m.operator,
                chain=_chain(cluster, m.account),
                terms=terms,
                member=m,
                registration=registrations[m.node],
                bids=BidStore(folder_of(m) / "bids"),
            )
            for terms, m in zip(PROVIDERS, members_in(cluster, {Role.HEALTHY}), strict=True)
        ),
        requester=_stranger(cluster, "requester"),
        anybody=_stranger(cluster, "anybody"),
        witness=governors[0],
    )


def _chain(cluster: Cluster, account_key: bytes) -> RuleChain:
    return RuleChain(
        cluster.genesis,
        market_of(cluster),
        [cluster.manifest.rpc],
        account_key=account_key,
        deploy_block=cluster.deployed.block,
    )


def _stranger(cluster: Cluster, name: str) -> Actor:
    """Make an account that runs no node."""
    key = create_account_key(cluster.folder / f"{name}.key")
    return Actor(name=name, account=key.address, chain=_chain(cluster, key.secret.reveal()))


async def hand_out(cluster: Cluster, people: Cast) -> None:
    """Mint everybody test ANKR, from an account of the chain's own."""
    rpc, token = cluster.manifest.rpc, cluster.deployed.token
    faucet = cast("list[str]", await call(rpc, "eth_accounts"))[0]
    for actor in people.everybody():
        data = interface("TestAnkr").call("mint", actor.account, FUNDS_ANKR_WEI)
        order = {"from": faucet, "to": f"0x{token.hex()}", "data": f"0x{data.hex()}"}
        await call(rpc, "eth_sendTransaction", order)
    anybody = people.anybody
    while await anybody.chain.ankr(anybody.account) == 0:  # noqa: ASYNC110 - a chain
        await trio.sleep(POLL_S)


async def gas_paid(rpc: str, receipts: Iterable[Receipt]) -> int:
    """Return what transactions cost beside what they carried, in wei."""
    paid = 0
    for receipt in receipts:
        mined = await call(rpc, "eth_getTransactionReceipt", receipt.transaction)
        price = cast("dict[str, str]", mined)["effectiveGasPrice"]
        paid += receipt.gas_used * int(price, 16)
    return paid
