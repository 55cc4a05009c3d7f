"""Gossip batches: judge what arrives, keep what is right, publish our own once an epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core.batch import (
    VERSION,
    Batch,
    BatchBody,
    EpochView,
    Row,
    judge,
    median_ms,
    sign_batch,
)
from stkrp2p.core.challenge import Receipt, receipts_tree
from stkrp2p.core.types import Epoch, Judgement, NetworkId, NodeId, Outcome, Round
from stkrp2p.ports import Entropy, Network, NoSpace, Observation, Store, WallClock
from stkrp2p.services.ledger import Ledger

log = structlog.get_logger()

ACCEPTED_MAX = 4096
"""Accepted batches waiting to be written; those beyond it are dropped, and sync fetches them."""

WRITE_BATCHES_MAX = 256
"""Batches written in one transaction."""

PROVISIONAL_PARTS = 2
"""A provisional roster is signed for after this part of the settle rounds."""

JITTER_PARTS = 4
"""Own batches leave within the first quarter of the settle rounds."""


def batch_topic(network: NetworkId) -> str:
    """Return the topic of a network's batches."""
    return f"/stkr/{network.hex()[:16]}/batch/1"


def rows_of(view: EpochView, auditor: NodeId, seen: Sequence[Observation]) -> tuple[Row, ...]:
    """Return what a batch says: one row a target, one outcome a drawn round.

    Rounds without an observation are NOT_PROBED; maintenance beyond the epoch's limit is
    UNREACHABLE, as the rule wants it.
    """
    by_key = {(o.target, o.round): o for o in seen}
    rows = []
    for target in view.duty(auditor)[0]:
        hits = [by_key.get((NodeId(target), r)) for r in view.drawn[NodeId(target)]]
        outcomes = bytes(o.outcome if o else Outcome.NOT_PROBED for o in hits)
        timely = [o.latency_ms for o in hits if o and o.outcome in {Outcome.OK, Outcome.SLOW}]
        median = min(median_ms(timely), view.params.probe_window_ms)
        limited = _limit_declared(outcomes, view.params.declared_rounds_max)
        rows.append(Row(target=target, outcomes=limited, median_ms=median))
    return tuple(rows)


def _limit_declared(outcomes: bytes, limit: int) -> bytes:
    excess = outcomes.count(Outcome.DECLARED) - limit
    reverse = outcomes[::-1]
    if excess > 0:
        reverse = reverse.replace(bytes([Outcome.DECLARED]), bytes([Outcome.UNREACHABLE]), excess)
    return reverse[::-1]


def receipts_of(seen: Sequence[Observation]) -> list[Receipt]:
    """Return the receipts of an epoch's observations."""
    return [o.receipt for o in seen if o.receipt is not None]


@dataclass(slots=True, kw_only=True)
class Gossip:
    """One node's part in the batch topic."""

    node: NodeId
    secret: bytes = field(repr=False)
    ledger: Ledger
    network: Network
    store: Store
    clock: WallClock
    entropy: Entropy
    judged: Counter[str] = field(default_factory=Counter)
    """Messages by judgement and reason, for `status`."""

    def join(self, accepted: trio.MemorySendChannel[Batch]) -> None:
        """Take part in the topic; accepted batches go to the channel, to be written."""

        def judge_one(_forwarder: NodeId, data: bytes) -> Judgement:
            return self._judge(data, accepted)

        self.network.join_topic(batch_topic(self.ledger.network_id), judge_one)

    def _judge(self, frame: bytes, accepted: trio.MemorySendChannel[Batch]) -> Judgement:
        ledger = self.ledger
        result = judge(
            frame,
            network=ledger.network_id,
            clock=ledger.clock,
            last_due=ledger.genesis.beacon.last_due(self.clock.unix_ms()),
            view_of=ledger.views,
        )
        batch, judgement, reason = result.batch, result.judgement, result.reason
        if judgement is Judgement.ACCEPT and batch is not None:
            judgement, reason = self._take(batch, accepted)
        self.judged[f"{judgement} {reason}".strip()] += 1
        return judgement

    def _take(self, batch: Batch, accepted: trio.MemorySendChannel[Batch]) -> tuple[Judgement, str]:
        """Keep a batch that is right; one that we hold, or cannot write soon, goes no further."""
        evidence = self.ledger.evidence(batch.epoch)
        if batch in evidence:
            return Judgement.IGNORE, "duplicate"
        try:
            accepted.send_nowait(batch)
        except (trio.WouldBlock, trio.BrokenResourceError):
            return Judgement.IGNORE, "busy"
        if not evidence.add(batch):
            return Judgement.IGNORE, "surplus"  # two are held that prove the equivocation already
        return Judgement.ACCEPT, ""

    async def publish_own(self, epoch: Epoch) -> bool:
        """Sign, record and publish our batch of an epoch; tell whether there was anything to say.

        The batch on disk wins: after a crash the same bytes are published again, never others.
        """
        view = self.ledger.view(epoch)
        if view is None or not self._may_sign(epoch):
            return False
        batch = await self.store.own_batch(epoch) or await self._sign(view)
        if batch is None:
            return False
        if batch.body.seed != view.seed:
            log.warning("own batch is of another roster", epoch=epoch)
            return True
        self.ledger.evidence(epoch).add(batch)
        await self.ledger.store_batches(epoch, [batch])
        await self.network.publish(batch_topic(self.ledger.network_id), batch.frame)
        return True

    def _may_sign(self, epoch: Epoch) -> bool:
        """Tell whether we know enough, and the epoch's last audit has ended.

        Without a chain the roster stays provisional. It is most likely the right one, and a batch of
        another is worth as little as none; so in the second half of the settle rounds it will do.
        """
        ledger, beacon = self.ledger, self.ledger.genesis.beacon
        if not ledger.rosters.is_known:
            return False
        if ledger.audited is not None and ledger.clock.epoch_of(ledger.audited) == epoch:
            return False
        half_ms = ledger.params.settle_rounds * beacon.period_ms // PROVISIONAL_PARTS
        late_ms = beacon.due_ms(Round(ledger.clock.last(epoch) + 1)) + half_ms
        return ledger.is_roster_final(epoch) or self.clock.unix_ms() >= late_ms

    async def _sign(self, view: EpochView) -> Batch | None:
        """Sign and record our batch; `None` if we have no targets, or no disk to record it on."""
        member = view.roster.get(self.node)
        if member is None or not view.duty(self.node)[0]:
            return None
        clock = self.ledger.clock
        self.ledger.stop_recording(view.epoch)
        seen = await self.store.observations(clock.first(view.epoch), clock.last(view.epoch))
        body = BatchBody(
            version=VERSION,
            network=view.network,
            epoch=view.epoch,
            auditor=self.node,
            nonce=member.nonce,
            seed=view.seed,
            rows=rows_of(view, self.node, seen),
            receipts_root=receipts_tree(receipts_of(seen)).root,
        )
        try:
            return await self.store.record_own_batch(sign_batch(self.secret, body))
        except NoSpace as error:
            self.ledger.note_full_disk(error)
            return None


async def run_writer(ledger: Ledger, accepted: trio.MemoryReceiveChannel[Batch]) -> None:
    """Write accepted batches to the store, many in one transaction, until the channel closes."""
    async with accepted:
        async for batch in accepted:
            group = {batch.epoch: [batch]}
            for _ in range(WRITE_BATCHES_MAX - 1):
                try:
                    more = accepted.receive_nowait()
                except (trio.WouldBlock, trio.EndOfChannel):
                    break
                group.setdefault(more.epoch, []).append(more)
            for epoch, batches in group.items():
                await ledger.store_batches(epoch, batches)


async def run_publisher(gossip: Gossip) -> None:
    """Publish our batch of each epoch after its last round, until cancelled.

    The instant is jittered over the first part of the settle rounds, so that a large network's
    batches do not leave at once. If the epoch's last round is late, the batch waits for it as long
    as the epoch is not sealed.
    """
    ledger, beacon = gossip.ledger, gossip.ledger.genesis.beacon
    epoch = Epoch(-1)
    while True:
        # A clock that jumps ahead leaves epochs out; one that is set back repeats none.
        last_due = beacon.last_due(gossip.clock.unix_ms())
        epoch = max(Epoch(epoch + 1), Epoch(ledger.clock.epoch_of(last_due) - 1))
        jitter = gossip.entropy.below(
            max(1, ledger.params.settle_rounds * beacon.period_ms // JITTER_PARTS)
        )
        due_ms = beacon.due_ms(Round(ledger.clock.last(epoch) + 1)) + jitter
        seal_ms = beacon.due_ms(ledger.clock.seal(epoch))
        while gossip.clock.unix_ms() < due_ms:
            wait_ms = due_ms - gossip.clock.unix_ms()
            await trio.sleep(min(max(wait_ms, 1), beacon.period_ms) / 1000)
        while gossip.clock.unix_ms() < seal_ms:
            if await gossip.publish_own(epoch):
                log.info("batch published", epoch=epoch)
                break
            await trio.sleep(beacon.period_ms / 4000)
