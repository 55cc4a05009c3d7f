"""Challenge what is forged: one honest watcher is enough to overturn an anchor.

Of each epoch that the node contests and that still stands, one forged score that can be shown is
challenged; the contract then voids the epoch and everything after it. Nothing is sent that the
contract would not find wrong: a challenge of a right score costs its deposit.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from stkrp2p.core.fraud import Challenge, first_wrong_word
from stkrp2p.core.network import Genesis
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, ProtocolError
from stkrp2p.ports import Chain, History
from stkrp2p.services.contest import Contest, open_contest

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """A forged score, and what shows it."""

    score: Score
    word: int
    """Number of the wrong word of its leaf; above 15 as in `core.fraud`."""

    challenge: Challenge


def find_forgery(genesis: Genesis, contest: Contest) -> Forgery | None:
    """Return the first of an anchored table's forged scores that can be shown on chain."""
    for score in contest.forged:
        try:
            challenge = contest.challenge(score)
            word = first_wrong_word(challenge, genesis.params)
        except ProtocolError as error:
            log.warning("forged score cannot be shown", node=score.node.hex()[:8], why=str(error))
            continue
        if word is not None:
            return Forgery(score=score, word=word, challenge=challenge)
    return None


async def standing_contests(store: History, chain: Chain) -> list[Epoch]:
    """Return the contested epochs that still stand on chain as they were, oldest first.

    Raises:
        ChainUnavailable: The chain cannot be asked.
    """
    contests = await store.contests()
    if not contests:
        return []
    anchored = {r.header for r in await chain.anchors(contests[0])}
    found = [await store.contested(epoch) for epoch in contests]
    return [Epoch(f[0].header.epoch) for f in found if f is not None and f[0].header in anchored]


async def challenge_oldest(genesis: Genesis, store: History, chain: Chain) -> Forgery | None:
    """Challenge a forged score of the oldest contested epoch; return it, `None` for nothing to do.

    Raises:
        ChainUnavailable: The chain cannot be asked, or does not take the challenge.
        NotReplayable: The evidence against it is not stored (any more).
    """
    for epoch in await standing_contests(store, chain):
        forgery = find_forgery(genesis, await open_contest(genesis, store, epoch))
        if forgery is not None:
            transaction = await chain.challenge(forgery.challenge)
            log.warning("challenged", epoch=epoch, word=forgery.word, transaction=transaction)
            return forgery
        log.critical("a contested epoch cannot be challenged", epoch=epoch)
    return None
