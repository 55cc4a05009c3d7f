"""A market that is open for trade: members who registered before the start, scored and anchored."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import trio

from stkrp2p.adapters.chain.rule.proofs import ProvedMember
from stkrp2p.adapters.store import SqliteStore
from stkrp2p.core.anchor import Header
from stkrp2p.core.beacon import verified
from stkrp2p.core.merkle import Tree
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.roster import roster_of
from stkrp2p.core.score import Score, State
from stkrp2p.core.types import Epoch, Round
from stkrp2p.core.verdict import Verdict
from stkrp2p.ports import RegistrySnapshot, StoredEpoch
from tests.adapters.chain_kit import ALICE, BOB, node
from tests.adapters.market_kit import (
    CHALLENGE_S,
    PROVIDERS,
    MarketNet,
    apply_all,
    approve_all,
    register_node,
    rich,
    round_signature,
    seat,
    serve_all,
)

STARTS_IN_S = 3_000
"""Long enough to register before: then one takes part from epoch 0 on."""

EPOCH_S = 1_200
"""So long that few epochs have to be anchored, however far tests move the time."""

PARAMS = replace(MINIMAL, rounds_per_epoch=EPOCH_S)

GOOD = {"state": State.ACTIVE, "uptime_ppm": 990_000, "reliability_ppm": 900_000}


@dataclass
class Trade:
    """What every node's store has: the registry, and each anchored epoch with its scores."""

    net: MarketNet
    snapshot: RegistrySnapshot
    epochs: list[tuple[StoredEpoch, tuple[Score, ...]]]

    async def anchor(self, epoch: int, **scores: dict[str, int]) -> None:
        """Anchor an epoch in which the nodes named have other scores than good ones."""
        genesis = self.net.genesis
        roster = roster_of(genesis.network_id, Epoch(epoch), self.snapshot.registrations)
        given = {node(name): values for name, values in scores.items()}
        seen = {"n": 1 << 16, "s": 1 << 16, "last_verdict": Verdict.UP}
        table = tuple(
            Score(m.node, m.nonce, **(seen | GOOD | given.get(m.node, {}))) for m in roster.members
        )
        roots = {"roster_root": roster.root, "score_root": Tree(s.leaf() for s in table).root}
        header = msgspec.structs.replace(self.net.header(epoch), **roots)
        await self._submit(header, table)

    def anchor_up_to(self, last: int, *, first_bad: int = 1, **scores: dict[str, int]) -> None:
        """Anchor the epochs from 1 on; from `first_bad` on the nodes named have other scores."""

        async def anchor() -> None:
            for epoch in range(1, last + 1):
                await self.anchor(epoch, **(scores if epoch >= first_bad else {}))

        trio.run(anchor)

    def member(self, name: str) -> ProvedMember:
        """Return a member of epoch 0 with its proof."""
        (stored, _), *_ = self.epochs
        genesis = self.net.genesis
        roster = roster_of(genesis.network_id, Epoch(0), self.snapshot.registrations)
        member = roster.get(node(name))
        assert member is not None
        return ProvedMember(header=stored.header, roster=roster, member=member)

    async def _submit(self, header: Header, table: tuple[Score, ...]) -> None:
        chain, signature = self.net.chain(), self.net.seal(header)
        await chain.submit_anchor(header, signature)
        await self.net.mined()
        stored = StoredEpoch(header=header, proposal=None, signature=signature, is_anchored=True)
        self.epochs.append((stored, table))

    def store(self, folder: Path, *rounds: int) -> None:
        """Write what a node would have seen by now into its directory."""
        trio.run(self._store, folder, rounds)

    async def _store(self, folder: Path, rounds: tuple[int, ...]) -> None:
        beacon = self.net.genesis.beacon
        async with SqliteStore.open(folder) as store:
            await store.put_registry(self.snapshot)
            for epoch, scores in self.epochs:
                await store.put_epoch(epoch, scores)
            await store.put_rounds([verified(beacon, Round(r), round_signature(r)) for r in rounds])


def pass_epoch(net: MarketNet, epoch: int) -> None:
    """Let an epoch pass, until it may be anchored."""
    ends_s = net.genesis.start_ms(Epoch(epoch + 2)) // 1000
    net.wait(max(0, ends_s - net.now_s()))


async def open_trade(net: MarketNet) -> Trade:
    """Seat the council, register the nodes, anchor epoch 0, open two types, approve two providers."""
    rich(net, ALICE)
    await seat(net)
    for key, name in (*PROVIDERS, (BOB, "bob")):
        await register_node(net, key, name)
    await apply_all(net)
    await approve_all(net)
    pass_epoch(net, 0)
    trade = Trade(net, await net.chain().registry(), [])
    await trade.anchor(0)
    net.wait(CHALLENGE_S + 1)
    await serve_all(net, trade.member)
    return trade
