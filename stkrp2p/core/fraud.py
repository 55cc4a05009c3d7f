"""Showing Ethereum that an anchored score is wrong, in one step.

A score follows from the member's score before, from what its auditors saw, and from the header's
median and void flag. All of these stand in anchored trees, so whoever holds the leaves can let the
contract compute the score again. `fault_of` is what the contract computes, to the last rounding;
`challenge_of` finds the leaves. See `protocols/anchor.md`, section 6, for what this cannot show.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import msgspec

from stkrp2p.core import merkle
from stkrp2p.core.anchor import ClosedEpoch, Header
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.merkle import WORD_BYTES, keccak256, words_in
from stkrp2p.core.params import EPOCH_ROUNDS_MAX, K_AUD_MAX, Params
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Q16, Score, decayed, fold, next_state
from stkrp2p.core.types import Digest, Epoch, Kind, NodeId, Outcome, Ppm, ProtocolError
from stkrp2p.core.verdict import verdicts

NUMBER_MAX = (1 << 64) - 1
"""Largest number of a score from which another one follows; right ones stay far below."""

OLD_SCORE = 16
"""Fault: the score before cannot be one, so nothing follows from it."""

MATRIX = 17
"""Fault: what the auditors saw has not the size that the evidence says."""

STRANGER = 18
"""Fault: the score is of nobody who was a member."""

SCORE_WORDS = len(Score.__struct_fields__)
EVIDENCE_WORDS = 6
ROSTER_WORDS = 8

_TREES_MAX = 3
"""Trees kept: the scores, those before, and the evidence. Whoever forges one score may bend a thousand
others, before it, in words that cannot be shown; each of these would build all three anew."""

_DUTY_S = Score.__struct_fields__.index("duty_s")
_DUTY_N = Score.__struct_fields__.index("duty_n")
_NUMBERS = Score.__struct_fields__[2:]


class Shown(NamedTuple):
    """A leaf and where it stands."""

    leaf: bytes
    """The leaf's words."""

    proof: tuple[Digest, ...]
    """Siblings from the leaf up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What the contract is shown of one score."""

    header: Header
    """Of the epoch in question, as it is anchored."""

    before: Header | None
    """Of the epoch before; `None` for epoch 0."""

    score: Shown
    """The score in question."""

    old: Shown | None = None
    """The member's score before; `None` if it is new."""

    newcomer: tuple[Shown, ...] = ()
    """Members of the epoch before that leave no place for one that is new (`around`)."""

    evidence: Shown | None = None
    """Who could see a full member, and who saw what."""

    matrix: bytes = b""
    """What they saw: the bytes whose hash stands in the evidence."""

    light: Shown | None = None
    """A light member's leaf in the roster."""

    stranger: tuple[Shown, ...] = ()
    """Members of the epoch that leave no place for the one whose score it is (`around`)."""


class Sighted(NamedTuple):
    """What is known of a member in one epoch; of a light one nothing."""

    auditors: int = 0
    """How many were assigned to it."""

    rounds: int = 0
    """How many rounds it was drawn in."""

    matrix: bytes = b""
    """What its auditors saw, one after the other, a byte a drawn round."""

    @property
    def is_possible(self) -> bool:
        """Whether the matrix is one of so many auditors and rounds."""
        is_bounded = self.auditors <= K_AUD_MAX and self.rounds <= EPOCH_ROUNDS_MAX
        return is_bounded and len(self.matrix) == self.auditors * self.rounds

    def verdicts(self) -> bytes:
        """Return the verdicts on the member, one byte a drawn round."""
        rows = [self.matrix[i * self.rounds : (i + 1) * self.rounds] for i in range(self.auditors)]
        return verdicts(rows, rounds=self.rounds, assigned=self.auditors)


def duty_max(params: Params) -> int:
    """Return the most observations that an auditor may owe in an epoch."""
    return params.candidates * params.rounds_per_epoch


def score_of(leaf: bytes) -> Score:
    """Return a score as its leaf has it, whether it can be one or not."""
    node, *numbers = words_in(leaf)
    return Score(node, *map(_number, numbers))


def can_be(score: Score) -> bool:
    """Tell whether a score can be one: numbers in range, and not more ups than decided."""
    return score.s <= score.n and max(getattr(score, name) for name in _NUMBERS) <= NUMBER_MAX


def fault_of(
    score: Score, old: Score, sighted: Sighted, header: Header, params: Params
) -> int | None:
    """Return what is wrong with a score, `None` if it is right.

    What the member owed and delivered as an auditor, the evidence about it does not say: it is taken
    from the score, if it can be. The faults are tried in the order of the contract: `OLD_SCORE`,
    `MATRIX`, the words of the duty, then all words from the first on.

    Args:
        score: The score in question, whatever it says.
        old: The member's score before.
        sighted: What is known of it.
        header: The epoch's median and void flag.
        params: The preset.

    Returns:
        Number of a wrong word of the leaf, `OLD_SCORE`, `MATRIX`, or `None`.
    """
    if header.is_void:
        return _first_difference(score, old)
    if not can_be(old):
        return OLD_SCORE
    if not sighted.is_possible:
        return MATRIX
    delivered = _added(score.duty_s, old.duty_s, params)
    if delivered is None:
        return _DUTY_S
    owed = _added(score.duty_n, old.duty_n, params)
    if owed is None or not delivered <= owed <= duty_max(params):
        return _DUTY_N
    folded = fold(old, sighted.verdicts(), delivered, owed, params)
    state, until = next_state(folded, Epoch(header.epoch), Ppm(header.median_ppm), params)
    wanted = msgspec.structs.replace(folded, state=int(state), state_until=until)
    return _first_difference(score, wanted)


def first_wrong_word(challenge: Challenge, params: Params) -> int | None:
    """Return what the contract will find wrong with a challenged score, `None` if it is right.

    That both headers are anchored, and that there is still time, is for the caller to know.

    Returns:
        As `fault_of`, or `STRANGER`.

    Raises:
        ProtocolError: The contract would refuse the challenge: `score-not-proved`, `not-stranger`,
            `other-epoch`, `old-score-not-proved`, `not-newcomer`, `member-not-proved`,
            `evidence-not-proved`, `other-matrix`, `not-light`, `other-member`.
    """
    header = challenge.header
    _words_of(challenge.score, header.score_root, SCORE_WORDS, "score-not-proved")
    score = score_of(challenge.score.leaf)
    if challenge.stranger or header.roster_root == merkle.EMPTY_ROOT:
        if not _is_absent(header.roster_root, challenge.stranger, score):
            raise ProtocolError("not-stranger")
        return STRANGER
    old = _old_score(challenge, score)
    sighted = Sighted() if header.is_void else _sighted(challenge, score)
    return fault_of(score, old, sighted, header, params)


def _old_score(challenge: Challenge, score: Score) -> Score:
    """Return the score that the one in question must follow from."""
    blank, before = Score(score.node, score.nonce), challenge.before
    if challenge.header.epoch == 0:
        return blank
    if before is None or before.epoch + 1 != challenge.header.epoch:
        raise ProtocolError("other-epoch")
    if challenge.old is None:
        if not _is_absent(before.roster_root, challenge.newcomer, score):
            raise ProtocolError("not-newcomer")
        return blank
    _words_of(challenge.old, before.score_root, SCORE_WORDS, "old-score-not-proved")
    old = score_of(challenge.old.leaf)
    _check_same(score, old.node, old.nonce)
    return old


def _sighted(challenge: Challenge, score: Score) -> Sighted:
    """Return what is known of the member, after checking that it is known."""
    header = challenge.header
    if challenge.evidence is None and challenge.light is not None:
        member = _place_of(challenge.light, header.roster_root)
        _check_same(score, member.node, member.nonce)
        if member.kind != Kind.LIGHT:
            raise ProtocolError("not-light")
        return Sighted()
    words = _words_of(
        challenge.evidence, header.evidence_root, EVIDENCE_WORDS, "evidence-not-proved"
    )
    node, nonce, auditors, rounds, _, digest = words
    _check_same(score, node, _number(nonce))
    if keccak256(challenge.matrix) != digest:
        raise ProtocolError("other-matrix")
    return Sighted(_number(auditors), _number(rounds), challenge.matrix)


def _is_absent(root: bytes, shown: Sequence[Shown], score: Score) -> bool:
    """Tell whether some members of a roster show that the one of a score is not in it.

    Members of a kind are ranked by node id: one that is neither among those up to the last shown
    below it nor among those from the first shown above it must be between them, if it is of that
    kind. A node stands in a roster once, so another registration of the same node shows it too.
    """
    if root == merkle.EMPTY_ROOT:
        return True
    below, above = [0, 0], None
    for member in shown:
        at = _place_of(member, root)
        if at.node == score.node:
            return at.nonce != score.nonce
        above = above or list(at.counts)
        if at.node < score.node:
            below[at.kind] = max(below[at.kind], at.rank + 1)
        else:
            above[at.kind] = min(above[at.kind], at.rank)
    return above is not None and all(b >= a for b, a in zip(below, above, strict=True))


class _Place(NamedTuple):
    """What a roster's leaf says of a member that matters here."""

    node: bytes
    nonce: int
    kind: int
    """0 full, 1 light."""

    rank: int
    counts: tuple[int, int]
    """How many members there are of each kind."""


def _place_of(member: Shown, root: bytes) -> _Place:
    node, *rest = _words_of(member, root, ROSTER_WORDS, "member-not-proved")
    nonce, _, kind, _, rank, full, light = map(_number, rest)
    return _Place(node, nonce, min(kind, 1), rank, (full, light))


def _words_of(shown: Shown | None, root: bytes, count: int, reason: str) -> list[bytes]:
    """Return the words of a leaf, after checking that it stands under a root."""
    if shown is None or len(shown.leaf) != count * WORD_BYTES:
        raise ProtocolError(reason)
    if not merkle.is_proved(Digest(root), shown.leaf, shown.proof):
        raise ProtocolError(reason)
    return words_in(shown.leaf)


def _check_same(score: Score, node: bytes, nonce: int) -> None:
    if (node, nonce) != (score.node, score.nonce):
        raise ProtocolError("other-member")


def _first_difference(score: Score, right: Score) -> int | None:
    pairs = zip(words_in(score.leaf()), words_in(right.leaf()), strict=True)
    return next((i for i, (found, wanted) in enumerate(pairs) if found != wanted), None)


def _added(count: int, old: int, params: Params) -> int | None:
    """Return how many whole observations were added to what is left of a count, if it was so."""
    added, part = divmod(count - decayed(old, params.decay_q32), Q16)
    return None if added < 0 or part else added


def _number(word: bytes) -> int:
    return int.from_bytes(word, "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """An anchored epoch, with what stands under its roots."""

    header: Header
    scores: Sequence[Score]
    """The table under the score root, whether its scores are right or not."""

    roster: Roster


def forged_scores(ours: ClosedEpoch, anchored: Sequence[Score]) -> tuple[Score, ...]:
    """Return the scores of an anchored table that the epoch does not come to, in its order."""
    right = set(ours.scores)
    return tuple(score for score in anchored if score not in right)


def matrix_of(view: EpochView, included: Mapping[NodeId, Batch], target: NodeId) -> bytes:
    """Return what a target's auditors saw, one after the other: what its evidence leaf hashes."""
    seen = dict.fromkeys(
        view.assignment.auditors(target), bytes([Outcome.NOT_PROBED]) * len(view.drawn[target])
    )
    for auditor in seen.keys() & included.keys():
        rows = included[auditor].body.rows
        seen[auditor] = next(row.outcomes for row in rows if row.target == target)
    return b"".join(seen.values())


def challenge_of(
    score: Score,
    *,
    anchored: Anchored,
    before: Anchored | None,
    evidence: Mapping[NodeId, bytes],
    matrix: bytes,
) -> Challenge:
    """Return the challenge of a score in an anchored table.

    Args:
        score: A score of the table, right or not.
        anchored: Its epoch.
        before: The epoch before; `None` for epoch 0.
        evidence: Leaf data of each full member, as the epoch comes to (`ClosedEpoch.evidence`).
        matrix: `matrix_of` if the score is a full member's, else empty.

    Raises:
        ProtocolError: It cannot be shown. The table is not the one under the root (`other-scores`),
            or something the score follows from is not what was anchored: `other-evidence`,
            `other-roster`, `other-past`.
    """
    header, roster, node = anchored.header, anchored.roster, NodeId(score.node)
    table = [s.leaf() for s in anchored.scores]
    challenge = Challenge(
        header=header,
        before=None if before is None else before.header,
        score=_shown(table, score.leaf(), header.score_root, "other-scores"),
    )
    member = roster.get(node)
    if member is None or member.nonce != score.nonce:
        return replace(challenge, stranger=around(roster, node, header.roster_root))
    if before is not None:
        challenge = _with_past(challenge, before, score)
    if header.is_void:
        return challenge
    if member.kind is Kind.LIGHT:
        [light] = around(roster, node, header.roster_root)
        return replace(challenge, light=light)
    shown = _shown(evidence.values(), evidence[node], header.evidence_root, "other-evidence")
    return replace(challenge, evidence=shown, matrix=matrix)


def _with_past(challenge: Challenge, before: Anchored, score: Score) -> Challenge:
    """Return the challenge with the member's score before, or what shows that it had none."""
    root, member = before.header.roster_root, before.roster.get(NodeId(score.node))
    if member is None or member.nonce != score.nonce:
        return replace(challenge, newcomer=around(before.roster, NodeId(score.node), root))
    table = {(s.node, s.nonce): s.leaf() for s in before.scores}
    old = table.get((score.node, score.nonce), b"")
    shown = _shown(table.values(), old, before.header.score_root, "other-past")
    return replace(challenge, old=shown)


def around(roster: Roster, node: NodeId, root: bytes) -> tuple[Shown, ...]:
    """Return members that show that one is not in a roster, or is with another nonce.

    The member of that node if there is one, else of each kind those next to where it would be.

    Raises:
        ProtocolError: `other-roster`: it is not the one under this root.
    """
    if roster.root != root:
        raise ProtocolError("other-roster")
    member = roster.get(node)
    if member is not None:
        return (_member_shown(roster, member),)
    near: list[Member] = []
    for group in (roster.full, roster.light):
        place = bisect(group, node, key=lambda m: m.node)
        near += group[max(0, place - 1) : place + 1]
    return tuple(_member_shown(roster, m) for m in near)


def _member_shown(roster: Roster, member: Member) -> Shown:
    leaf = roster.leaf(member)
    return Shown(leaf, roster.tree.proof(leaf))


@lru_cache(maxsize=_TREES_MAX)
def _tree(leaves: tuple[bytes, ...]) -> merkle.Tree:
    return merkle.Tree(leaves)


def _shown(leaves: Iterable[bytes], leaf: bytes, root: bytes, reason: str) -> Shown:
    """Return a leaf and its proof, after checking that the leaves are those under a root."""
    tree = _tree(tuple(leaves))
    try:
        proof = tree.proof(leaf)
    except KeyError:
        raise ProtocolError(reason) from None
    if tree.root != root:
        raise ProtocolError(reason)
    return Shown(leaf, proof)
