"""Closing an epoch: from the included batches to the roots that stand on Ethereum.

`close_epoch` is the whole of it as one pure function: every node, the council and anybody who
replays an epoch calls it with the same inputs and gets the same bytes. A proposal says which batches
are in; the header binds its hash and the three roots; the contract keeps the header's hash and so
makes the first valid anchor of an epoch final. See `protocols/anchor.md`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from stkrp2p.core import bls, merkle
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.crypto import sha256
from stkrp2p.core.merkle import keccak256, words
from stkrp2p.core.network import Genesis
from stkrp2p.core.reconcile import Bitmap, bitmap_of, flags_of
from stkrp2p.core.score import Score, fold, median_uptime, newcomer, next_state
from stkrp2p.core.types import Digest, NodeId, Outcome, Ppm, ProtocolError, Round
from stkrp2p.core.verdict import Verdict, add_votes, decide
from stkrp2p.core.wire import Bytes32, Bytes48, Message, Uint, encode

ANCHOR_TAG = b"stkr/anchor/2"
VERSION = 1

VOID_PARTS = 3
"""An epoch is void when more than one in this many decided observations are down."""

DECIDED_PARTS = 2
"""An epoch is void when fewer than one in this many of its observations are decided."""


_NOT_PROBED = bytes([Outcome.NOT_PROBED])


class Proposal(Message, frozen=True):
    """Which batches of an epoch are in."""

    version: Uint
    network: Bytes32
    epoch: Uint
    seed: Bytes32
    included: Bitmap
    """One bit a member, in roster order (`Have.bitmap`'s order of bits)."""

    tainted: Bitmap
    """Members shown to have equivocated; none of them is included."""

    ids_digest: Bytes32
    """SHA-256 of the included batches' ids, in roster order."""


class Header(Message, frozen=True):
    """What is anchored of an epoch."""

    epoch: Uint
    roster_root: Bytes32
    proposal_hash: Bytes32
    evidence_root: Bytes32
    score_root: Bytes32
    median_ppm: Uint
    is_void: bool

    def hash(self) -> Digest:
        """Return what the contract stores: Keccak-256 of `abi.encode` of the fields."""
        roots = (self.roster_root, self.proposal_hash, self.evidence_root, self.score_root)
        return keccak256(words(self.epoch, *roots, self.median_ppm, int(self.is_void)))


class SealedAnchor(Message, frozen=True):
    """A header with its proposal and the council's signature: proves itself to who has the key."""

    header: Header
    proposal: Proposal
    voids: Uint
    """How often the contract had voided an anchor when the council signed: a signature from before
    is worth nothing after, so what was overturned is never anchored again."""

    signature: Bytes48


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedEpoch:
    """All that follows from an epoch's included batches."""

    header: Header
    proposal: Proposal
    scores: tuple[Score, ...]
    """In roster order."""

    verdicts: Mapping[NodeId, bytes]
    """Of each full member, one byte a drawn round."""

    evidence: Mapping[NodeId, bytes]
    """Leaf data of each full member in the evidence tree."""

    def score_tree(self) -> merkle.Tree:
        """Return the tree over all scores."""
        return merkle.Tree(s.leaf() for s in self.scores)


def proposal_of(
    view: EpochView, included: Mapping[NodeId, Batch], tainted: frozenset[NodeId]
) -> Proposal:
    """Return the proposal that lets these batches in."""
    nodes = [m.node for m in view.roster.members]
    return Proposal(
        version=VERSION,
        network=view.network,
        epoch=view.epoch,
        seed=view.seed,
        included=bitmap_of([n in included for n in nodes]),
        tainted=bitmap_of([n in tainted for n in nodes]),
        ids_digest=sha256(*(included[n].id for n in nodes if n in included)),
    )


def members_in(view: EpochView, bitmap: bytes) -> tuple[NodeId, ...]:
    """Return the members a proposal's bitmap names, in roster order.

    Raises:
        ProtocolError: `bad-bitmap`.
    """
    flags = flags_of(bitmap, len(view.roster))
    return tuple(m.node for m, f in zip(view.roster.members, flags, strict=True) if f)


def check_proposal(proposal: Proposal, view: EpochView, included: Mapping[NodeId, Batch]) -> None:
    """Check that a proposal is of this epoch and that these are the batches it lets in.

    Raises:
        ProtocolError: `unknown-version`, `foreign-network`, `other-epoch`, `other-seed`,
            `bad-bitmap` (also: a tainted member is included), `other-batches`.
    """
    if proposal.version != VERSION:
        raise ProtocolError("unknown-version", str(proposal.version))
    if proposal.network != view.network:
        raise ProtocolError("foreign-network")
    if proposal.epoch != view.epoch:
        raise ProtocolError("other-epoch", str(proposal.epoch))
    if proposal.seed != view.seed:
        raise ProtocolError("other-seed")
    nodes = members_in(view, proposal.included)
    if set(nodes) & set(members_in(view, proposal.tainted)):
        raise ProtocolError("bad-bitmap", "tainted and included")
    if set(nodes) != set(included) or proposal.ids_digest != sha256(
        *(included[n].id for n in nodes)
    ):
        raise ProtocolError("other-batches")


class Observed(NamedTuple):
    """What an epoch's batches come to, for its targets and for its auditors."""

    verdicts: dict[NodeId, bytes]
    """Of each full member, one byte a drawn round."""

    delivered: dict[NodeId, int]
    """Of each auditor whose batch is in, the observations it reported and owed."""

    gaps: frozenset[Round]
    """Rounds that nobody owes: from `gaps_of`."""


def observed(view: EpochView, included: Mapping[NodeId, Batch]) -> Observed:
    """Count the votes on every target and the observations of every auditor."""
    totals = [0] * len(view.roster.full)
    reported = {}
    for auditor, batch in included.items():
        outcomes = [row.outcomes for row in batch.body.rows]
        add_votes(totals, view.duty(auditor).ranks, outcomes)
        reported[auditor] = b"".join(outcomes)
    auditors, drawn = view.assignment.auditors, view.drawn
    verdicts = {
        m.node: decide(total, len(drawn[m.node]), len(auditors(m.node)))
        for m, total in zip(view.roster.full, totals, strict=True)
    }
    gaps = gaps_of(view, verdicts)
    delivered = {a: _delivered(view, a, outcomes, gaps) for a, outcomes in reported.items()}
    return Observed(verdicts, delivered, gaps)


def gaps_of(view: EpochView, verdicts: Mapping[NodeId, bytes]) -> frozenset[Round]:
    """Return the rounds of which nothing is decided about anybody who was drawn.

    The beacon gave them too late for questions: no auditor owes what nobody could see.
    """
    decided: set[Round] = set()
    for node, mine in verdicts.items():
        if Verdict.UNDECIDED in mine:
            decided.update(r for r, v in zip(view.drawn[node], mine, strict=True) if v)
        else:
            decided.update(view.drawn[node])
    return frozenset().union(*view.drawn.values()) - decided


def owed(view: EpochView, auditor: NodeId, gaps: frozenset[Round]) -> int:
    """Return how many observations an auditor owes: of each target in each round it was drawn."""
    if not gaps:
        return view.duty(auditor).owed
    return sum(r not in gaps for r in _rounds(view, auditor))


def _delivered(view: EpochView, auditor: NodeId, outcomes: bytes, gaps: frozenset[Round]) -> int:
    if not gaps:
        return len(outcomes) - outcomes.count(_NOT_PROBED)
    rounds = _rounds(view, auditor)
    return sum(
        o != Outcome.NOT_PROBED and r not in gaps for r, o in zip(rounds, outcomes, strict=True)
    )


def _rounds(view: EpochView, auditor: NodeId) -> Iterator[Round]:
    """Yield the round of each outcome in an auditor's batch."""
    return (r for target in view.duty(auditor).targets for r in view.drawn[target])


def is_void(verdicts: Mapping[NodeId, bytes]) -> bool:
    """Tell whether so much was down, or unseen, that our own outage is likelier than theirs.

    Unseen is most of an epoch whose beacon stalled: nobody was asked, so it must cost nobody.
    """
    observations = b"".join(verdicts.values())
    decided = len(observations) - observations.count(Verdict.UNDECIDED)
    is_down = VOID_PARTS * observations.count(Verdict.DOWN) > decided
    return is_down or DECIDED_PARTS * decided < len(observations)


def sightings(
    view: EpochView, included: Mapping[NodeId, Batch]
) -> Iterator[tuple[NodeId, list[bytes]]]:
    """Yield each full member with what its auditors saw, in the order of the assignment.

    An auditor whose batch is not included has NOT_PROBED throughout. Batches list their targets in
    the order of the roster, so one pass over the roster reads every batch from front to back.
    """
    rows = {auditor: iter(batch.body.rows) for auditor, batch in included.items()}
    for member in view.roster.full:
        target = member.node
        blank = _NOT_PROBED * len(view.drawn[target])
        auditors = view.assignment.auditors(target)
        yield target, [next(rows[a]).outcomes if a in rows else blank for a in auditors]


def evidence_leaf(view: EpochView, target: NodeId, saw: Sequence[bytes]) -> bytes:
    """Return a target's leaf in the evidence tree: who could see it, and who saw what.

    Words: target, nonce, assigned auditors, drawn rounds, Keccak-256 of the auditors' ids in the
    order of the assignment, Keccak-256 of their outcomes in that order (`sightings`).
    """
    auditors = view.assignment.auditors(target)
    drawn = len(view.drawn[target])
    nonce = view.roster.members[view.roster.index[target]].nonce
    ids, matrix = keccak256(b"".join(auditors)), keccak256(b"".join(saw))
    return words(target, nonce, len(auditors), drawn, ids, matrix)


def fold_scores(
    view: EpochView, seen: Observed, before: Mapping[tuple[NodeId, int], Score]
) -> tuple[list[Score], Ppm]:
    """Return every member's score after the epoch, in roster order, and the median uptime.

    Args:
        view: The epoch.
        seen: From `observed`.
        before: Scores after the epoch before, by (node, nonce).
    """
    olds = [before.get((m.node, m.nonce)) or newcomer(m) for m in view.roster.members]
    if is_void(seen.verdicts):
        return olds, median_uptime(olds)
    verdicts, delivered, gaps = seen
    nodes = [m.node for m in view.roster.members]
    folded = [
        fold(old, verdicts.get(n, b""), delivered.get(n, 0), owed(view, n, gaps), view.params)
        for n, old in zip(nodes, olds, strict=True)
    ]
    median = median_uptime(folded)
    return [_with_state(score, view, median) for score in folded], median


def _with_state(score: Score, view: EpochView, median: Ppm) -> Score:
    state, until = next_state(score, view.epoch, median, view.params)
    if (state, until) == (score.state, score.state_until):
        return score
    return msgspec.structs.replace(score, state=int(state), state_until=until)


def close_epoch(
    view: EpochView,
    included: Mapping[NodeId, Batch],
    tainted: frozenset[NodeId],
    before: Mapping[tuple[NodeId, int], Score],
) -> ClosedEpoch:
    """Return all that follows from an epoch's included batches.

    Args:
        view: The epoch, complete.
        included: The batches that count, by auditor; each passed `check_batch`.
        tainted: Members shown to have equivocated; none of them is in `included`.
        before: Scores after the epoch before, by (node, nonce); empty for epoch 0.
    """
    seen = observed(view, included)
    scores, median = fold_scores(view, seen, before)
    evidence = {t: evidence_leaf(view, t, saw) for t, saw in sightings(view, included)}
    proposal = proposal_of(view, included, tainted)
    header = Header(
        epoch=view.epoch,
        roster_root=view.roster.root,
        proposal_hash=sha256(encode(proposal)),
        evidence_root=merkle.Tree(evidence.values()).root,
        score_root=merkle.Tree(s.leaf() for s in scores).root,
        median_ppm=median,
        is_void=is_void(seen.verdicts),
    )
    return ClosedEpoch(
        header=header,
        proposal=proposal,
        scores=tuple(scores),
        verdicts=seen.verdicts,
        evidence=evidence,
    )


def by_member(scores: Sequence[Score]) -> dict[tuple[NodeId, int], Score]:
    """Return a score table keyed as `close_epoch` wants the one before."""
    return {(NodeId(s.node), s.nonce): s for s in scores}


def anchor_message(genesis: Genesis, header: Header, voids: int) -> Digest:
    """Return what the council signs: tag, chain, contract, voids and header hash, Keccak-256."""
    tag = ANCHOR_TAG.ljust(32, b"\0")
    contract = int.from_bytes(genesis.anchor, "big")
    return keccak256(words(tag, genesis.chain_id, contract, voids, header.hash()))


def is_sealed_by_council(genesis: Genesis, sealed: SealedAnchor) -> bool:
    """Tell whether the council signed this header, and the header binds this proposal."""
    if sealed.header.proposal_hash != sha256(encode(sealed.proposal)):
        return False
    message = anchor_message(genesis, sealed.header, sealed.voids)
    return bls.is_signed_by(genesis.council_key, message, sealed.signature, bls.ANCHOR_DST)


def differences(ours: Header, anchored: Header) -> tuple[str, ...]:
    """Return the names of the fields in which two headers of one epoch differ."""
    return tuple(
        name for name in Header.__struct_fields__ if getattr(ours, name) != getattr(anchored, name)
    )
