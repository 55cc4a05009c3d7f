"""What a requester sees of each provider before it asks for bids, as one view (R48).

Capacity and price are the provider's own words, failures are what the chain counted, performance and
reputation are the uptime and the reliability of its nodes in an epoch's anchored scores, which the
caller has: from its node's store, or from anybody's tables, for they prove themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from stkrp2p.adapters.chain.rule.providers import ProviderRecord, Providers, Sidecar
from stkrp2p.core.economics import Resources
from stkrp2p.core.score import Score
from stkrp2p.core.types import NodeId, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedNode:
    """A node that would serve."""

    registration: int
    node: NodeId
    is_busy: bool
    """Whether it serves another deal now."""

    score: Score | None
    """Its anchored score; `None` if the epoch has none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A provider that may bid on a project."""

    account: Operator
    provider: ProviderRecord
    """Name, capacity, price, tier, failures."""

    nodes: tuple[OfferedNode, ...]


async def offers(
    providers: Providers,
    *,
    need: Resources,
    failures_max: int,
    scores: Mapping[NodeId, Score],
) -> tuple[Offer, ...]:
    """Return the providers that may bid on a project now, the cheapest first by their own price.

    Args:
        providers: Who is asked.
        need: What the project needs.
        failures_max: Most failed projects that its type allows.
        scores: Scores of the epoch that bidders will prove theirs in, by node.

    Raises:
        ChainUnavailable: No endpoint could tell.
    """
    found = [
        Offer(
            account=account,
            provider=await providers.provider(account),
            nodes=await _nodes(providers, account, scores),
        )
        for account in await providers.eligible()
        if await providers.is_eligible(account, need, failures_max=failures_max)
    ]
    return tuple(sorted(found, key=lambda offer: (offer.provider.price_wei, offer.account)))


async def _nodes(
    providers: Providers, account: Operator, scores: Mapping[NodeId, Score]
) -> tuple[OfferedNode, ...]:
    registrations = await providers.nodes(account)
    return tuple([_node(r, await providers.sidecar(r), scores) for r in registrations])


def _node(registration: int, sidecar: Sidecar, scores: Mapping[NodeId, Score]) -> OfferedNode:
    return OfferedNode(
        registration=registration,
        node=sidecar.node_id,
        is_busy=sidecar.is_busy,
        score=scores.get(sidecar.node_id),
    )
