"""Sync: serve what we hold to peers, and fetch from them what we lack.

Serving answers one question with one answer; an empty answer means "I have nothing for you". Asking
trusts nobody: batches are checked like gossiped ones (but for time), rounds by the beacon's key,
proposals by the council's, tables by the anchored root.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core.anchor import Header, SealedAnchor, is_sealed_by_council
from stkrp2p.core.batch import Batch, EpochView, check_batch, read_batch
from stkrp2p.core.challenge import receipts_tree
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.merkle import Tree, is_proved
from stkrp2p.core.reconcile import (
    CHUNK_MEMBERS,
    FRAMES_BYTES_MAX,
    ROUNDS_MAX,
    SYNC_PROTOCOL,
    AskAnchor,
    AskIds,
    AskMixed,
    AskProof,
    AskReceipt,
    AskRecords,
    AskRounds,
    AskScores,
    Delta,
    Fetch,
    FrameList,
    Give,
    Have,
    IdList,
    Question,
    ReceiptProof,
    RoundList,
    ScoreList,
    ScoreProof,
    Taken,
    answer_have,
    chunk_ids,
    frames_wanted,
    have_of,
    holdings_of,
    ids_to_fetch,
    read_question,
    read_scores,
    score_list,
)
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, NodeId, ProtocolError, Round
from stkrp2p.core.wire import ANSWER_BYTES_MAX, INTEGER_MAX, M, Message, decode, encode
from stkrp2p.ports import Entropy, Network, Store, Unreachable, WallClock
from stkrp2p.services.directory import Directory
from stkrp2p.services.gossip import receipts_of
from stkrp2p.services.ledger import Ledger
from stkrp2p.services.offload import offload
from stkrp2p.services.past import PastEpochs
from stkrp2p.services.tables import Tables

log = structlog.get_logger()

ASK_MS_MAX = 10_000
"""Time a peer has to answer one question."""

SESSION_QUESTIONS_MAX = 64
"""Times we say what we have in one session; a larger difference waits for the next one."""

SESSION_MS_MAX = 30_000
"""Time of one session; a peer that takes longer is left for another."""

TABLE_MS_MAX = 120_000
"""Time for a whole score table from one peer."""

STRANGERS_MAX = 64
"""Scores of nobody who is a member, beyond as many as there are members, in a table."""

PEERS_ASKED_MAX = 4
"""Peers asked for one anchor, proof or table, before the next look."""

PEERS_SYNCED = 2
"""Peers compared with in each pass. With one, a node sometimes stayed behind for a minute."""

AHEAD_EPOCHS_MAX = 1
"""How far ahead of our clock a question's epoch may be."""

GIVE_BYTES_MAX = 48 * 1024
"""Bytes of batches in one `Give`: a question's frame has at most 64 KiB."""

SYNC_ROUNDS = 2
"""Rounds from one sync session to the next; each compares one peer's open epochs with ours."""

NOTHING = b""
"""The answer of who has nothing to give."""


@dataclass(slots=True, kw_only=True)
class SyncServer:
    """The answering side."""

    ledger: Ledger
    store: Store
    directory: Directory
    clock: WallClock
    tables: Tables
    past: PastEpochs
    served: Counter[str] = field(default_factory=Counter)
    """Questions answered by kind, for `status`."""

    async def answer(self, _peer: NodeId, frame: bytes) -> bytes:
        """Return the answer to one question.

        Raises:
            ProtocolError: The question is not one, or of another network.
        """
        question = read_question(frame)
        if question.network != self.ledger.network_id:
            raise ProtocolError("foreign-network")
        self.served[type(question).__name__] += 1
        if not self._is_in_reach(question):
            return NOTHING
        answer = await self._answer(question)
        return NOTHING if answer is None else encode(answer)

    def _is_in_reach(self, question: Question) -> bool:
        """Tell whether there can be an answer yet: nothing is computed or read for what is not."""
        now_ms = self.clock.unix_ms()
        last_due = self.ledger.genesis.beacon.last_due(now_ms)
        match question:
            case AskRounds():
                return question.first <= last_due + 1
            case AskMixed():
                mixed = self.ledger.genesis.mixed
                return mixed is not None and question.first <= mixed.last_due(now_ms) + 1
            case AskRecords():
                return True
            case _:
                return question.epoch <= self.ledger.clock.epoch_of(last_due) + AHEAD_EPOCHS_MAX

    async def _answer(self, question: Question) -> Message | None:
        match question:
            case Have() | Give() | AskIds() | Fetch():
                return await self._answer_batches(question)
            case AskRounds() | AskMixed():
                return await self._rounds(question)
            case AskRecords():
                return self.directory.records()
            case AskReceipt():
                return await self._receipt(question)
            case AskAnchor() | AskScores() | AskProof():
                return await self._answer_anchored(question)

    async def _answer_anchored(self, question: AskAnchor | AskScores | AskProof) -> Message | None:
        match question:
            case AskAnchor():
                return await self.ledger.sealed(Epoch(question.epoch))
            case AskScores():
                return await self._scores(question)
            case AskProof():
                return await self._proof(question)

    async def _answer_batches(self, question: Have | Give | AskIds | Fetch) -> Message | None:
        epoch = Epoch(question.epoch)
        view = self.ledger.view(epoch)
        if isinstance(question, Give):
            count = await take_frames(self.ledger, view, question.frames) if view else 0
            return Taken(count=count)
        if view is not None:
            return self._answer_from(view, self.ledger.evidence(epoch), question)
        past = await self.past.get(epoch)
        return self._answer_from(past.view, past.evidence, question) if past else None

    def _answer_from(
        self, view: EpochView, evidence: Evidence, question: Have | AskIds | Fetch
    ) -> Message:
        match question:
            case Have():
                return answer_have(evidence, view.roster, question)
            case AskIds():
                return IdList(ids=chunk_ids(evidence, view.roster, question.chunk))
            case Fetch():
                wanted = set(question.ids)
                return FrameList(frames=_capped([b.frame for b in evidence if b.id in wanted]))

    async def _rounds(self, question: AskRounds | AskMixed) -> RoundList:
        held = self.ledger.mixed if isinstance(question, AskMixed) else self.ledger.rounds
        count = min(question.count, ROUNDS_MAX, INTEGER_MAX - question.first)
        rounds = await self.ledger.rounds_from(Round(question.first), count, held)
        return RoundList(first=question.first, signatures=tuple(r.signature for r in rounds))

    async def _scores(self, question: AskScores) -> ScoreList | None:
        table = await self.tables.get(Epoch(question.epoch))
        if table is None:
            return None
        return score_list(table.scores, question.first)

    async def _proof(self, question: AskProof) -> ScoreProof | None:
        table = await self.tables.get(Epoch(question.epoch))
        if table is None:
            return None
        score = table.by_node.get(NodeId(question.node))
        if score is None:
            return None
        return ScoreProof(score=score, proof=table.tree.proof(score.leaf()))

    async def _receipt(self, question: AskReceipt) -> ReceiptProof | None:
        clock = self.ledger.clock
        epoch = Epoch(question.epoch)
        seen = await self.store.observations(clock.first(epoch), clock.last(epoch))
        receipts = receipts_of(seen)
        for receipt in receipts:
            if receipt.target == question.target and receipt.round == question.round:
                proof = receipts_tree(receipts).proof(receipt.leaf())
                return ReceiptProof(receipt=receipt, proof=proof)
        return None


def _capped(frames: Sequence[bytes]) -> tuple[bytes, ...]:
    taken: list[bytes] = []
    size_bytes = 0
    for frame in frames:
        size_bytes += len(frame)
        if size_bytes > FRAMES_BYTES_MAX:
            break
        taken.append(frame)
    return tuple(taken)


async def take_frames(ledger: Ledger, view: EpochView, frames: Sequence[bytes]) -> int:
    """Check batches that a peer sent, keep the right ones, return how many were new.

    Raises:
        ProtocolError: One of them is wrong; those before it are kept.
    """
    fresh: list[Batch] = []
    evidence = ledger.evidence(view.epoch)
    try:
        for frame in frames:
            batch = read_batch(frame)
            if batch in evidence:
                continue
            check_batch(batch, view)
            if evidence.add(batch):
                fresh.append(batch)
            await trio.lowlevel.checkpoint()
    finally:
        if fresh:
            with trio.CancelScope(shield=True):
                await ledger.store_batches(view.epoch, fresh)
    return len(fresh)


@dataclass(slots=True, kw_only=True)
class SyncClient:
    """The asking side."""

    ledger: Ledger
    network: Network
    entropy: Entropy

    async def ask(self, node: NodeId, question: Question, *, timeout_ms: int = ASK_MS_MAX) -> bytes:
        """Ask one question; empty if the peer has nothing.

        Raises:
            Unreachable: No whole answer in time.
        """
        return await self.network.ask(
            node,
            SYNC_PROTOCOL,
            encode(question),
            timeout_ms=timeout_ms,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )

    def peers(self) -> list[NodeId]:
        """Return the connected peers in random order."""
        nodes = [p.node for p in self.network.peers()]
        return [nodes.pop(self.entropy.below(len(nodes))) for _ in range(len(nodes))]

    async def reconcile(self, node: NodeId, epoch: Epoch) -> int:
        """Make our evidence of an epoch and a peer's equal; return how many batches were new.

        Raises:
            Unreachable: The peer stopped answering, or is slower than `SESSION_MS_MAX` allows.
            ProtocolError: It sent something wrong.
        """
        view = self.ledger.view(epoch)
        if view is None:
            return 0
        with trio.move_on_after(SESSION_MS_MAX / 1000):
            return await self._session(node, view)
        raise Unreachable("the session takes too long")

    async def _session(self, node: NodeId, view: EpochView) -> int:
        fresh = 0
        for _ in range(SESSION_QUESTIONS_MAX):
            holdings = holdings_of(self.ledger.evidence(view.epoch), view.roster)
            raw = await self.ask(node, have_of(self.ledger.network_id, view.epoch, holdings))
            if not raw:
                return fresh
            delta = decode(raw, Delta, bytes_max=ANSWER_BYTES_MAX)
            came = await take_frames(self.ledger, view, delta.frames)
            await self._give(node, view, delta)
            fresh += came + await self._settle_chunks(node, view, delta)
            if not delta.is_more or not came:
                return fresh
        return fresh

    async def _give(self, node: NodeId, view: EpochView, delta: Delta) -> None:
        frames = list(frames_wanted(self.ledger.evidence(view.epoch), view.roster, delta))
        while frames:
            part = [frames.pop(0)]
            while frames and sum(map(len, part)) + len(frames[0]) < GIVE_BYTES_MAX:
                part.append(frames.pop(0))
            give = Give(network=self.ledger.network_id, epoch=view.epoch, frames=tuple(part))
            await self.ask(node, give)

    async def _settle_chunks(self, node: NodeId, view: EpochView, delta: Delta) -> int:
        """Fetch what differs in chunks whose bits agree: the other half of an equivocation."""
        fresh = 0
        chunks = -(-len(view.roster) // CHUNK_MEMBERS)
        for chunk in sorted({c for c in delta.differing if c < chunks}):
            question = AskIds(network=self.ledger.network_id, epoch=view.epoch, chunk=chunk)
            raw = await self.ask(node, question)
            listed = decode(raw, IdList, bytes_max=ANSWER_BYTES_MAX) if raw else IdList(ids=())
            members = view.roster.members[chunk * CHUNK_MEMBERS : (chunk + 1) * CHUNK_MEMBERS]
            nodes = [m.node for m in members]
            ids = ids_to_fetch(self.ledger.evidence(view.epoch), listed.ids, nodes)
            if ids:
                fetch = Fetch(network=self.ledger.network_id, epoch=view.epoch, ids=ids)
                raw = await self.ask(node, fetch)
                frames = decode(raw, FrameList, bytes_max=ANSWER_BYTES_MAX).frames if raw else ()
                fresh += await take_frames(self.ledger, view, frames)
        return fresh

    async def _from_peers(self, question: Question, shape: type[M]) -> AsyncGenerator[M]:
        """Yield the answers of a few random peers that have one."""
        for node in self.peers()[:PEERS_ASKED_MAX]:
            try:
                raw = await self.ask(node, question)
                answer = decode(raw, shape, bytes_max=ANSWER_BYTES_MAX) if raw else None
            except (Unreachable, ProtocolError) as error:
                log.debug("no answer from peer", peer=node.hex()[:8], error=str(error))
                continue
            if answer is not None:
                yield answer

    async def sealed_anchor(self, header: Header) -> SealedAnchor | None:
        """Return the proposal behind an anchored header, from whichever peer has it."""
        question = AskAnchor(network=self.ledger.network_id, epoch=header.epoch)
        async with aclosing(self._from_peers(question, SealedAnchor)) as answers:
            async for sealed in answers:
                if sealed.header == header and is_sealed_by_council(self.ledger.genesis, sealed):
                    return sealed
        return None

    async def proved_score(self, sealed: SealedAnchor, of: NodeId) -> ScoreProof | None:
        """Return one member's score with a proof that leads to the anchored root."""
        root, epoch = Digest(sealed.header.score_root), Epoch(sealed.header.epoch)
        question = AskProof(network=self.ledger.network_id, epoch=epoch, node=of)
        async with aclosing(self._from_peers(question, ScoreProof)) as answers:
            async for shown in answers:
                if shown.score.node == of and is_proved(root, shown.score.leaf(), shown.proof):
                    return shown
        return None

    async def score_table(self, sealed: SealedAnchor) -> tuple[Score, ...]:
        """Return an anchored epoch's score table, checked against its root; empty if none is had.

        A forged one may have other scores than there are members, but not very many more.
        """
        epoch = Epoch(sealed.header.epoch)
        total_max = 2 * len(self.ledger.roster(epoch)) + STRANGERS_MAX
        for node in self.peers()[:PEERS_ASKED_MAX]:
            scores: tuple[Score, ...] = ()
            try:
                with trio.move_on_after(TABLE_MS_MAX / 1000):
                    scores = await self._table_from(node, epoch, total_max)
            except (Unreachable, ProtocolError) as error:
                log.debug("no table from peer", peer=node.hex()[:8], error=str(error))
            if scores and await self._is_table_of(sealed, scores):
                return scores
        return ()

    async def _is_table_of(self, sealed: SealedAnchor, scores: tuple[Score, ...]) -> bool:
        root = await offload(lambda: Tree(s.leaf() for s in scores).root, members=len(scores))
        return root == sealed.header.score_root

    async def _table_from(self, node: NodeId, epoch: Epoch, total_max: int) -> tuple[Score, ...]:
        """Return a peer's table of at most so many scores; empty if it has none."""
        scores: list[Score] = []
        total = 1
        while len(scores) < total:
            question = AskScores(network=self.ledger.network_id, epoch=epoch, first=len(scores))
            raw = await self.ask(node, question)
            if not raw:
                return ()
            page = decode(raw, ScoreList, bytes_max=ANSWER_BYTES_MAX)
            if page.total > total_max or (scores and page.total != total) or not page.scores:
                raise ProtocolError("other-scores")
            total = page.total
            scores += read_scores(page)
        return tuple(scores[:total])


async def run_sync(client: SyncClient, clock: WallClock) -> None:
    """Compare our open epochs with those of a few random peers, pass after pass, until cancelled.

    A peer that is slow or sends something wrong is left alone until it is drawn again.
    """
    ledger, beacon = client.ledger, client.ledger.genesis.beacon

    async def compare(node: NodeId, epochs: Sequence[Epoch]) -> None:
        try:
            for epoch in epochs:
                fresh = await client.reconcile(node, epoch)
                if fresh:
                    log.info("batches synced", epoch=epoch, count=fresh)
        except (Unreachable, ProtocolError) as error:
            log.debug("sync failed", peer=node.hex()[:8], error=str(error))

    while True:
        current = ledger.clock.epoch_of(beacon.last_due(clock.unix_ms()))
        epochs = [e for e in ledger.open_epochs(current) if e > ledger.last_folded]
        async with trio.open_nursery() as nursery:
            for node in client.peers()[:PEERS_SYNCED]:
                nursery.start_soon(compare, node, epochs)
        await trio.sleep(SYNC_ROUNDS * beacon.period_ms / 1000)
