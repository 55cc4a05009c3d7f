"""Proofs of anchored scores and members, from the store of a running node."""

from __future__ import annotations

from stkrp2p.adapters.chain.rule.proofs import ProvedMember, ProvedScore
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.core.merkle import Tree
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import roster_of
from stkrp2p.core.types import Epoch, NodeId
from testnet.cluster import Member
from testnet.finding import folder_of


async def score_in(holder: Member, node: NodeId, epoch: Epoch) -> ProvedScore | None:
    """Return a node's score of an epoch; `None` until the holder's store has the anchored table.

    Args:
        holder: Whose store is read.
        node: Whose score.
        epoch: Which one.
    """
    async with SqliteStore.open_reader(folder_of(holder)) as store:
        stored, scores = await store.epoch(epoch), await store.scores(epoch)
    if stored is None or not stored.is_anchored:
        return None
    tree = Tree(s.leaf() for s in scores)
    score = next((s for s in scores if s.node == node), None)
    if score is None or tree.root != stored.header.score_root:
        return None
    return ProvedScore(header=stored.header, score=score, proof=tuple(tree.proof(score.leaf())))


async def member_in(
    genesis: Genesis, holder: Member, node: NodeId, epoch: Epoch
) -> ProvedMember | None:
    """Return a node as a member of an epoch; `None` until the holder's store can prove it.

    Args:
        genesis: The network's.
        holder: Whose store is read.
        node: Who is to be proved.
        epoch: Which one.
    """
    async with SqliteStore.open_reader(folder_of(holder)) as store:
        stored, registry = await store.epoch(epoch), await store.registry()
    if stored is None or not stored.is_anchored or registry is None:
        return None
    roster = roster_of(genesis.network_id, epoch, registry.registrations)
    member = roster.get(node)
    if member is None or roster.root != stored.header.roster_root:
        return None
    return ProvedMember(header=stored.header, roster=roster, member=member)
