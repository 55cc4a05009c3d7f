"""The contract `Providers`: who they are, what they have, what they stake (R26-R29, R34, R35)."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from enum import IntEnum
from typing import TypeVar

from stkrp2p.adapters.chain.rule import stakes
from stkrp2p.adapters.chain.rule.actions import Action, Money
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.adapters.chain.rule.proofs import ProvedMember, ProvedScore
from stkrp2p.core.economics import Resources
from stkrp2p.core.types import NodeId, Operator

T = TypeVar("T")

CONTRACT = "Providers"

PAGE_MAX = 100
"""Most entries of a page."""


class Tier(IntEnum):
    """How far a provider is trusted (R27-R29); the numbers are the contract's."""

    UNTRUSTED = 0
    SEMI_TRUSTED = 1
    TRUSTED = 2


class Status(IntEnum):
    """How far a provider has come; the numbers are the contract's."""

    NONE = 0
    APPLIED = 1
    APPROVED = 2
    LEAVING = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRecord:
    """A provider's record (R34); times are Unix seconds, amounts as in `IProviders.Provider`."""

    status: Status
    tier: Tier
    failures: int
    running_deals: int
    locks: int
    """How many deals and claims keep its stake."""

    disqualified_until: int
    unbonded_at: int
    k_eth_wei: int
    """What it brings of 32 ETH for each node, in wei."""

    stake: int
    """In 10^-18 ANKR, without `unbonding`."""

    unbonding: int
    """What is on its way back, in 10^-18 ANKR."""

    price_wei: int
    capacity: Resources
    in_use: Resources
    name: str
    details: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A sidecar and its blockchain node (R9, R31, R35)."""

    is_installed: bool
    """Whether its registration is active."""

    kind: int
    operator: Operator
    node_id: NodeId
    chain_node: bytes
    """Id of the blockchain node it controls; zeros if it is not bound."""

    is_busy: bool
    challenge: int
    """Number of its latest liveness challenge; 0 if there was none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """What somebody who applies says of itself."""

    name: str
    capacity: Resources
    price_wei: int
    """In 10^-18 ANKR."""

    details: str
    """Where more stands: a URI, or a hash."""


class Providers:
    """Reads providers; prepares what they and anybody do. Challenges: `liveness`.

    Each preparing call raises `Rejected` if the contract would not have it and `ChainUnavailable` if
    no endpoint could tell; each reading call raises `ChainUnavailable`.
    """

    def __init__(self, party: Party) -> None:
        """Deal with the providers' contract as a party."""
        self._party = party

    # Reading.

    async def provider(self, account: bytes) -> ProviderRecord:
        """Return a provider's record; its status is `NONE` if it never applied."""
        return await self._party.read(CONTRACT, "providerOf", account, shape=ProviderRecord)

    async def holder(self, name: str) -> Operator | None:
        """Return the approved provider of a name; `None` if there is none."""
        account = await self._party.read(CONTRACT, "holderOf", name, shape=bytes)
        return Operator(account) if any(account) else None

    async def count(self) -> int:
        """Return how many providers are approved."""
        return await self._party.read(CONTRACT, "providerCount", shape=int)

    async def eligible(self) -> tuple[Operator, ...]:
        """Return the approved providers that may bid on some project now (R34, R45)."""
        return await self._pages(
            "providersAt", count=await self.count(), shape=tuple[Operator, ...]
        )

    async def nodes(self, account: bytes) -> tuple[int, ...]:
        """Return the registrations of the nodes that a provider has bound."""
        count = await self._party.read(CONTRACT, "nodeCount", account, shape=int)
        return await self._pages("nodesAt", account, count=count, shape=tuple[int, ...])

    async def sidecar(self, registration: int) -> Sidecar:
        """Return a sidecar's record; `Rejected` if there is no such registration."""
        return await self._party.read(CONTRACT, "sidecarOf", registration, shape=Sidecar)

    async def is_eligible(self, account: bytes, need: Resources, *, failures_max: int) -> bool:
        """Tell whether a provider may bid on a project that needs `need` now."""
        arguments = (account, astuple(need), failures_max)
        return await self._party.read(CONTRACT, "isEligible", *arguments, shape=bool)

    async def is_free(self, account: bytes, registration: int) -> bool:
        """Tell whether a node of the provider's is bound, registered, and serves nobody now."""
        return await self._party.read(CONTRACT, "isFree", account, registration, shape=bool)

    async def nodes_max(self, account: bytes, need: Resources) -> int:
        """Return how many nodes that need `need` the provider's whole capacity allows (R44)."""
        return await self._party.read(CONTRACT, "nodesMax", account, astuple(need), shape=int)

    async def _pages(
        self, function: str, *of: object, count: int, shape: type[tuple[T, ...]]
    ) -> tuple[T, ...]:
        found: list[T] = []
        for first in range(0, count, PAGE_MAX):
            page = (first, PAGE_MAX)
            found += await self._party.read(CONTRACT, function, *of, *page, shape=shape)
        return tuple(found)

    # What providers do.

    async def apply(self, application: Application) -> Action:
        """Prepare to apply, or to replace our application (R44)."""
        known = await self.provider(await self._party.account())
        said = Application(
            name=known.name,
            capacity=known.capacity,
            price_wei=known.price_wei,
            details=known.details,
        )
        is_same = known.status is Status.APPLIED and said == application
        return await self._party.prepare(
            CONTRACT,
            "apply_",
            *_said(application),
            does=f"apply as provider {application.name}",
            done="the application is with the governors" if is_same else "",
        )

    async def update(self, *, capacity: Resources, price_wei: int, details: str) -> Action:
        """Prepare to say anew what we have and ask."""
        known = await self.provider(await self._party.account())
        is_same = (known.capacity, known.price_wei, known.details) == (capacity, price_wei, details)
        return await self._party.prepare(
            CONTRACT,
            "update",
            astuple(capacity),
            price_wei,
            details,
            does="say anew what the provider has and asks",
            done="the record says so" if is_same else "",
        )

    async def stake_to(self, stake_wei: int) -> Action:
        """Prepare to stake what is missing to a stake, in 10^-18 ANKR (R45, R46)."""
        missing = stake_wei - (await self.provider(await self._party.account())).stake
        return await stakes.stake_more(self._party, CONTRACT, missing, does="stake as a provider")

    async def unstake_to(self, stake_wei: int) -> Action:
        """Prepare to ask back what is staked above a stake, in 10^-18 ANKR."""
        above = (await self.provider(await self._party.account())).stake - stake_wei
        return await stakes.unstake(self._party, CONTRACT, above)

    async def resign(self) -> Action:
        """Prepare to ask our whole stake back and get no new deals."""
        known = await self.provider(await self._party.account())
        return await self._party.prepare(
            CONTRACT,
            "resign",
            does="stop being a provider and ask the whole stake back, to withdraw it later",
            done="the provider is leaving" if known.status is Status.LEAVING else "",
            gets=Money(ankr_wei=known.stake),
        )

    async def withdraw(self) -> Action:
        """Prepare to get paid what is unbonding, once its time has come."""
        known = await self.provider(await self._party.account())
        return await stakes.withdraw(self._party, CONTRACT, known.unbonding)

    async def add_node(self, registration: int, chain_node: bytes, proved: ProvedMember) -> Action:
        """Prepare to bind a sidecar of ours to a blockchain node (R26, R35).

        Args:
            registration: Ours, active, of a full sidecar.
            chain_node: Id of the blockchain node, 32 bytes, not zeros.
            proved: The registration as a member of a final epoch.
        """
        bound = (await self.sidecar(registration)).chain_node
        return await self._party.prepare(
            CONTRACT,
            "addNode",
            registration,
            chain_node,
            proved.fields(),
            does=f"bind registration {registration} to a blockchain node",
            done="it is bound to that node" if bound == chain_node else "",
        )

    async def remove_node(self, registration: int) -> Action:
        """Prepare to unbind a sidecar of ours that serves no deal."""
        bound = (await self.sidecar(registration)).chain_node
        return await self._party.prepare(
            CONTRACT,
            "removeNode",
            registration,
            does=f"unbind registration {registration} from its blockchain node",
            done="" if any(bound) else "it is bound to no node",
        )

    # What anybody does.

    async def disqualify(self, registration: int, score: ProvedScore) -> Action:
        """Prepare to disqualify a provider by its node's score of the latest final epoch (R61)."""
        return await self._party.prepare(
            CONTRACT,
            "disqualify",
            registration,
            score.fields(),
            does=f"disqualify the provider of node {registration} by its score",
        )


def _said(application: Application) -> tuple[object, ...]:
    capacity = astuple(application.capacity)
    return (application.name, capacity, application.price_wei, application.details)
