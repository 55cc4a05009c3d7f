"""Proofs that contracts take of scores and members, made from the node's own store."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.history import stored_epoch, stored_registry
from stkrp2p.cli.proof import find_proof
from stkrp2p.cli.stored import open_store
from stkrp2p.core.roster import Registration, roster_of
from stkrp2p.core.types import Epoch, NodeId, Operator

if TYPE_CHECKING:
    from stkrp2p.adapters.chain.rule import RuleChain
    from stkrp2p.adapters.chain.rule.proofs import ProvedMember, ProvedScore
    from stkrp2p.config import NodeConfig
    from stkrp2p.core.network import Genesis
    from stkrp2p.core.score import Score

Wanted = Callable[[Epoch, "Score"], bool]

LOOKED_MAX = 9_000
"""Most epochs that are looked through for a score, the latest ones: a year of epochs of an hour."""


async def latest_final(chain: RuleChain) -> Epoch:
    """Return the latest final epoch.

    Raises:
        Failure: There is none yet.
        ChainUnavailable: No endpoint could tell.
    """
    epoch = await chain.epochs.latest_final()
    if epoch is None:
        raise Failure(
            "no epoch is final yet",
            why="scores are proved in an anchored epoch that can no longer be challenged",
            hint="wait until the first one is",
        )
    return epoch


async def score_proof(
    config: NodeConfig, genesis: Genesis, node: NodeId, epoch: Epoch
) -> ProvedScore:
    """Return a node's score of an epoch with its proof.

    Raises:
        Failure: The store has not that epoch's whole table, or the node is not in it.
    """
    from stkrp2p.adapters.chain.rule.proofs import ProvedScore  # noqa: PLC0415

    async with open_store(config) as store:
        found = await find_proof(genesis, store, node.hex(), epoch)
    return ProvedScore(header=found.header, score=found.score, proof=found.proof)


async def scores_of(config: NodeConfig, epoch: Epoch) -> dict[NodeId, Score]:
    """Return the scores of an epoch that the store has, by node; raises `Failure`."""
    async with open_store(config) as store:
        return {NodeId(score.node): score for score in await store.scores(epoch)}


async def own_registration(config: NodeConfig, node: NodeId, operator: Operator) -> Registration:
    """Return the active registration of a node by an operator.

    Raises:
        Failure: The registry as the node last read it has none.
    """
    async with open_store(config) as store:
        registrations = (await stored_registry(store)).registrations
    found = [
        r for r in registrations if (r.node, r.operator, r.exit_epoch) == (node, operator, None)
    ]
    if not found:
        raise Failure(
            "this node is not registered by this account",
            why="no active registration of the two is in a final block that the node has seen",
            hint="stkrp2p register",
        )
    return found[-1]


async def member_proof(
    config: NodeConfig, genesis: Genesis, node: NodeId, epoch: Epoch
) -> ProvedMember:
    """Return a member of an epoch with what proves it.

    Raises:
        Failure: The epoch is not stored, the stored registry gives another roster than was anchored,
            or the node was no member.
    """
    from stkrp2p.adapters.chain.rule.proofs import ProvedMember  # noqa: PLC0415

    async with open_store(config) as store:
        header = (await stored_epoch(store, epoch)).header
        registrations = (await stored_registry(store)).registrations
    roster = roster_of(genesis.network_id, epoch, registrations)
    member = roster.get(node)
    if roster.root != header.roster_root or member is None:
        raise Failure(
            f"the node cannot be shown to be a member of epoch {epoch}",
            why="it was none: it takes part from three epochs after its registration"
            if member is None
            else "the registry as the node read it gives another roster than was anchored",
            hint=f"stkrp2p roster {epoch}",
            code=Exit.FAILED,
        )
    return ProvedMember(header=header, roster=roster, member=member)


async def score_where(
    config: NodeConfig, genesis: Genesis, node: NodeId, wanted: Wanted
) -> ProvedScore | None:
    """Return the first stored score of a node that is wanted, proved; `None` if there is none.

    Raises:
        Failure: There is no store, or it cannot be read.
    """
    async with open_store(config) as store:
        history = await store.score_history(node, epochs_max=LOOKED_MAX)
        for epoch, score in history:
            stored = await store.epoch(epoch) if wanted(epoch, score) else None
            if stored is not None and stored.is_anchored and not stored.header.is_void:
                return await score_proof(config, genesis, node, epoch)
    return None
