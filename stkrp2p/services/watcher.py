"""Watch the chain: take over the registry, fold what is anchored, compare every root.

The chain may be down, hang or reorganise: audits and gossip do not wait for it. Anchors are folded in
order, each proved equal to what follows from our own evidence; a difference raises an alarm and
stops folding, because a score must never rest on roots nobody can explain. A light node follows the
anchored roots and keeps the proof of its own score instead of folding.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog
import trio

from stkrp2p.core.anchor import Header, SealedAnchor
from stkrp2p.core.types import Epoch, NodeId, ProtocolError
from stkrp2p.ports import Chain, ChainUnavailable, Unreachable, WallClock
from stkrp2p.services.directory import Directory
from stkrp2p.services.ledger import AnchorMismatch, Ledger, MissingBatches
from stkrp2p.services.sync import SyncClient

log = structlog.get_logger()

POLL_MS_MAX = 12_000
"""Longest time between two looks at the chain: one slot of Ethereum."""

PEERS_TRIED_MAX = 8
"""Peers reconciled with, for one epoch's missing batches, before the next look."""


@dataclass(slots=True, kw_only=True)
class Watcher:
    """A node's eye on the contracts."""

    node: NodeId
    ledger: Ledger
    chain: Chain
    sync: SyncClient
    directory: Directory
    clock: WallClock
    is_light: bool

    async def look(self) -> None:
        """Take over what the chain says now.

        Raises:
            ChainUnavailable: The endpoint does not serve.
        """
        await self.ledger.set_registry(await self.chain.registry())
        beacon = self.ledger.genesis.beacon
        current = self.ledger.clock.epoch_of(beacon.last_due(self.clock.unix_ms()))
        self.directory.follow_registry(current)
        first = Epoch(self.ledger.last_folded + 1)
        records = await self.chain.anchors(first)
        for epoch in [e for e in self.ledger.anchored if e >= first]:
            del self.ledger.anchored[epoch]  # a reorganisation may have taken it back
        for record in records:
            self.ledger.anchored[Epoch(record.header.epoch)] = record.header

    async def fold_anchored(self) -> None:
        """Fold every anchored epoch that we can, in order."""
        while True:
            epoch = Epoch(self.ledger.last_folded + 1)
            header = self.ledger.anchored.get(epoch)
            if header is None or not await self._fold(epoch, header):
                return

    async def _fold(self, epoch: Epoch, header: Header) -> bool:
        sealed = await self.ledger.sealed(epoch) or await self.sync.sealed_anchor(epoch)
        if sealed is None or sealed.header != header:
            return False
        if self.is_light:
            return await self._follow(sealed)
        if self.ledger.view(epoch) is None:
            return await self._skip(epoch)
        try:
            await self.ledger.fold(sealed, header)
        except MissingBatches:
            await self._fetch(epoch)
            return False
        except (AnchorMismatch, ProtocolError) as error:
            log.critical("anchor differs from our evidence", epoch=epoch, error=str(error))
            return False
        log.info("epoch folded", epoch=epoch, score_root=header.score_root.hex()[:16])
        return True

    async def _fetch(self, epoch: Epoch) -> None:
        for node in self.sync.peers()[:PEERS_TRIED_MAX]:
            try:
                if await self.sync.reconcile(node, epoch):
                    return
            except (Unreachable, ProtocolError) as error:
                log.debug("sync failed", peer=node.hex()[:8], error=str(error))

    async def _follow(self, sealed: SealedAnchor) -> bool:
        """Take an epoch's roots over, with the proof of our own score if somebody shows it."""
        shown = await self.sync.proved_score(sealed, self.node)
        await self.ledger.follow(sealed, [shown.score] if shown else [])
        log.info("epoch followed", epoch=sealed.header.epoch, is_score_proved=shown is not None)
        return True

    async def _skip(self, epoch: Epoch) -> bool:
        """Join late: take the newest anchored table that peers have instead of older evidence.

        Only when the epoch lies before everything peers still keep; otherwise its rounds and
        batches are on their way.
        """
        newest = max(self.ledger.anchored)
        if newest - epoch < self.ledger.params.retain_epochs:
            return False
        sealed = await self.sync.sealed_anchor(newest)
        if sealed is None or sealed.header != self.ledger.anchored[newest]:
            return False
        scores = await self.sync.score_table(sealed)
        if not scores:
            return False
        await self.ledger.take_table(sealed, scores)
        log.info("joined at an anchored table", epoch=newest)
        return True


async def run_watcher(watcher: Watcher) -> None:
    """Look at the chain every round (at most every slot), and fold, until cancelled."""
    beacon = watcher.ledger.genesis.beacon
    while True:
        try:
            await watcher.look()
        except ChainUnavailable as error:
            log.debug("chain unavailable", error=str(error))
        await watcher.fold_anchored()
        current = watcher.ledger.clock.epoch_of(beacon.last_due(watcher.clock.unix_ms()))
        await watcher.ledger.forget(current)
        await trio.sleep(min(beacon.period_ms, POLL_MS_MAX) / 1000)
