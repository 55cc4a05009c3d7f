# ruff: noqa: D102 - they do what the class they replace a part of does, dishonestly
"""Members that break the rules, for simulations: each replaces one service of a node.

A corruption is a function of the built node; `SimNode.corrupt` takes one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import msgspec

from stkrp2p.core.batch import BatchBody, sign_batch
from stkrp2p.core.challenge import receipts_tree
from stkrp2p.core.types import Epoch, NodeId, Outcome
from stkrp2p.node import Node
from stkrp2p.ports import Observation
from stkrp2p.services.auditor import Auditor
from stkrp2p.services.gossip import Gossip, batch_topic, receipts_of, rows_of
from stkrp2p.services.rounds import Arrival
from testnet.sim import SimEdge


@dataclass(frozen=True, slots=True, kw_only=True)
class InventingAuditor(Auditor):
    """Records one outcome for all of its targets and asks nobody: no receipts."""

    outcome: Outcome

    async def audit_round(self, arrival: Arrival) -> None:
        seen = [
            Observation(
                round=arrival.round.number,
                target=target,
                outcome=self.outcome,
                latency_ms=1,
                receipt=None,
            )
            for target in self.drawn_targets(arrival.round)
        ]
        await self.store.put_observations(seen)


def invent(outcome: Outcome) -> Callable[[Node], None]:
    """Return the corruption that records this outcome without looking.

    OK makes a lazy auditor; UNREACHABLE makes a liar, who needs no receipt.
    """

    def corrupt(node: Node) -> None:
        honest = {f.name: getattr(node.auditor, f.name) for f in fields(node.auditor)}
        node.auditor = InventingAuditor(**honest, outcome=outcome)

    return corrupt


@dataclass(slots=True, kw_only=True)
class Equivocator(Gossip):
    """Signs two batches an epoch, and sends one to one half of its peers and one to the other."""

    edge: SimEdge

    async def publish_own(self, epoch: Epoch) -> bool:
        view = self.ledger.view(epoch)
        if view is None:
            return False
        member = view.roster.get(self.node)
        if member is None:
            return False
        clock = self.ledger.clock
        seen = await self.store.observations(clock.first(epoch), clock.last(epoch))
        honest = BatchBody(
            version=1,
            network=view.network,
            epoch=epoch,
            auditor=self.node,
            nonce=member.nonce,
            seed=view.seed,
            rows=rows_of(view, self.node, seen),
            receipts_root=receipts_tree(receipts_of(seen)).root,
        )
        other = msgspec.structs.replace(honest, receipts_root=bytes(32))
        peers = sorted(p.node for p in self.network.peers())
        topic = batch_topic(self.ledger.network_id)
        for i, body in enumerate((honest, other)):
            half = [NodeId(n) for n in peers[i::2]]
            await self.edge.wire.send(self.node, topic, sign_batch(self.secret, body).frame, half)
        return True


def equivocate(node: Node) -> None:
    """Make a node sign two batches an epoch."""
    edge = node.ports.network
    if not isinstance(edge, SimEdge):
        raise TypeError("only a simulated edge can tell its peers different things")
    honest = {f.name: getattr(node.gossip, f.name) for f in fields(node.gossip)}
    node.gossip = Equivocator(**honest, edge=edge)
