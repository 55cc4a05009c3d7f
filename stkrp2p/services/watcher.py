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
from stkrp2p.ports import Chain, ChainUnavailable, NoSpace, Unreachable, WallClock
from stkrp2p.services.directory import Directory
from stkrp2p.services.ledger import AnchorMismatch, Ledger, MissingBatches
from stkrp2p.services.sync import SyncClient

log = structlog.get_logger()

POLL_ROUNDS = 2
"""Rounds from one look at the chain to the next: looking is most of what an idle node does."""

POLL_MS_MAX = 12_000
"""Longest time between two looks at the chain: one slot of Ethereum."""

PEERS_TRIED_MAX = 8
"""Peers reconciled with, for one epoch's missing batches, before the next look."""


LIGHT_BEHIND_EPOCHS = 2
"""A light node that is so many epochs behind takes the newest roots over at once."""

PROOF_LOOKS_MAX = 10
"""Looks at the chain during which a light node waits for the proof of its own score."""


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
    _refused: Header | None = None
    """The anchored header that does not follow from our evidence; not tried again."""

    _uncontested: SealedAnchor | None = None
    """The refused anchor, as long as nobody has shown its table; asked for at every look."""

    _proof_looks: int = 0
    """Looks that brought no proof of our score in the next epoch."""

    @property
    def current(self) -> Epoch:
        """The epoch by our clock."""
        beacon = self.ledger.genesis.beacon
        return self.ledger.clock.epoch_of(beacon.last_due(self.clock.unix_ms()))

    async def look(self) -> None:
        """Take over what the chain says now.

        Raises:
            ChainUnavailable: The endpoint does not serve.
        """
        await self.ledger.set_registry(await self.chain.registry())
        first = self.ledger.first_unsettled
        self.ledger.take_anchors(first, await self.chain.anchors(first))
        await self.ledger.roll_back()

    async def fold_anchored(self) -> None:
        """Fold every anchored epoch that we can, in order."""
        while True:
            epoch = Epoch(self.ledger.last_folded + 1)
            header = self.ledger.anchored.get(epoch)
            if header is None:
                return
            try:
                if header == self._refused:
                    await self._contest()
                    return
                if not await self._fold(epoch, header):
                    return
            except NoSpace as error:
                self.ledger.note_full_disk(error)
                return

    async def _fold(self, epoch: Epoch, header: Header) -> bool:
        if self.is_light:
            return await self._follow(epoch)
        sealed = await self._sealed(epoch, header)
        if sealed is None or not self.ledger.is_roster_final(epoch):
            return await self._skip(epoch)
        if await self.ledger.open(epoch) is None:
            return await self._skip(epoch)
        try:
            return await self._fold_with_peers(epoch, sealed, header)
        except AnchorMismatch as error:
            self._refuse(header, str(error))
            self._uncontested = sealed
            await self._contest()
        except ProtocolError as error:
            self._refuse(header, str(error))
        return False

    async def _contest(self) -> None:
        """Keep the table of an anchor that does not follow: whoever challenges it has to show it."""
        sealed = self._uncontested
        if sealed is None:
            return
        scores = await self.sync.score_table(sealed)
        if not scores:
            log.warning("nobody shows the scores of a false anchor", epoch=sealed.header.epoch)
            return
        await self.ledger.contest(sealed, scores)
        self._uncontested = None
        log.critical("false anchor kept for a challenge", epoch=sealed.header.epoch)

    async def _fold_with_peers(self, epoch: Epoch, sealed: SealedAnchor, header: Header) -> bool:
        """Fold an epoch, fetching what is missing from a few peers, one after the other."""
        for node in (None, *self.sync.peers()[:PEERS_TRIED_MAX]):
            if node is not None and not await self._fetch(node, epoch):
                continue
            try:
                await self.ledger.fold(sealed, header)
            except MissingBatches as error:
                log.debug("batches missing", epoch=epoch, count=len(error.auditors))
            else:
                log.info("epoch folded", epoch=epoch, score_root=header.score_root.hex()[:16])
                return True
        return await self._skip(epoch)

    async def _sealed(self, epoch: Epoch, header: Header) -> SealedAnchor | None:
        """Return the proposal behind an anchor, ours or a peer's."""
        sealed = await self.ledger.sealed(epoch)
        if sealed is not None and sealed.header == header:
            return sealed
        return await self.sync.sealed_anchor(header)

    def _refuse(self, header: Header, why: str) -> None:
        self._refused = header
        self.ledger.alarm = f"epoch {header.epoch}: {why}"
        log.critical("anchor differs from our evidence", epoch=header.epoch, error=why)

    async def _fetch(self, node: NodeId, epoch: Epoch) -> int:
        """Fetch an epoch's batches from a peer; return how many were new."""
        try:
            return await self.sync.reconcile(node, epoch)
        except (Unreachable, ProtocolError) as error:
            log.debug("sync failed", peer=node.hex()[:8], error=str(error))
            return 0

    async def _follow(self, epoch: Epoch) -> bool:
        """Take roots over, with the proof of our own score; from far behind, the newest at once.

        Peers fold an epoch when they see its anchor, as we do: the proof may take a few looks.
        """
        newest = max(self.ledger.anchored)
        if newest - epoch >= LIGHT_BEHIND_EPOCHS:
            epoch = newest
        sealed = await self._sealed(epoch, self.ledger.anchored[epoch])
        if sealed is None:
            return False
        shown = None
        if self.ledger.roster(epoch).get(self.node) is not None:
            shown = await self.sync.proved_score(sealed, self.node)
            self._proof_looks += 1
            if shown is None and self._proof_looks < PROOF_LOOKS_MAX:
                return False
        self._proof_looks = 0
        await self.ledger.follow(
            sealed, [shown.score] if shown else [], shown.proof if shown else []
        )
        log.info("epoch followed", epoch=epoch, is_score_proved=shown is not None)
        return True

    async def _skip(self, epoch: Epoch) -> bool:
        """Join late: take the newest anchored table that peers have instead of older evidence.

        Only when the epoch lies before everything peers still keep; otherwise its rounds and
        batches are on their way.
        """
        newest = max(self.ledger.anchored)
        header = self.ledger.anchored[newest]
        if newest - epoch < self.ledger.params.retain_epochs or header == self._refused:
            return False
        sealed = await self._sealed(newest, header)
        scores = await self.sync.score_table(sealed) if sealed else ()
        if sealed is None or not scores:
            return False
        await self.ledger.take_table(sealed, scores)
        log.info("joined at an anchored table", epoch=newest)
        return True


async def run_watcher(watcher: Watcher) -> None:
    """Look at the chain every `POLL_ROUNDS` (at least every slot), and fold, until cancelled.

    Peers are looked for before the first look: the store may know the registry, and a chain that is
    down must not keep us alone.
    """
    beacon, ledger = watcher.ledger.genesis.beacon, watcher.ledger
    while True:
        watcher.directory.follow_registry(watcher.current)
        try:
            await watcher.look()
        except ChainUnavailable as error:
            log.debug("chain unavailable", error=str(error))
        except NoSpace as error:
            ledger.note_full_disk(error)
        watcher.directory.follow_registry(watcher.current)
        await watcher.fold_anchored()
        await ledger.forget(watcher.current)
        await ledger.rosters.prepare(watcher.current)
        await trio.sleep(min(POLL_ROUNDS * beacon.period_ms, POLL_MS_MAX) / 1000)
