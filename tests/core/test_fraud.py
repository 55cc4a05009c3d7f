"""What the contract will say of a challenged score, and the challenge that shows most."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core import merkle
from stkrp2p.core.fraud import (
    MATRIX,
    NUMBER_MAX,
    OLD_SCORE,
    SCORE_WORDS,
    STRANGER,
    Anchored,
    Challenge,
    Shown,
    Sighted,
    around,
    can_be,
    challenge_of,
    duty_max,
    fault_of,
    first_wrong_word,
    forged_scores,
    matrix_of,
    score_of,
)
from stkrp2p.core.merkle import keccak256
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.roster import Roster
from stkrp2p.core.score import Q16, Score, decayed, share_ppm
from stkrp2p.core.types import Kind, NodeId, ProtocolError
from tests.core.strategies import member, node
from tests.frauds import EPOCHS, VOID, against, members_of, spoilt, story

WORDS = range(2, SCORE_WORDS)
CHANGES = st.tuples(st.integers(0, EPOCHS - 1), st.integers(0, 99), st.sampled_from(WORDS))


def wrong_word(challenge: Challenge) -> int | None:
    return first_wrong_word(challenge, MINIMAL)


def refused(challenge: Challenge) -> str:
    with pytest.raises(ProtocolError) as caught:
        wrong_word(challenge)
    return caught.value.reason


@cache
def right(epoch: int, index: int = 0) -> Challenge:
    """The challenge of a right score, by its member's place in the roster."""
    past = story()[epoch]
    return against(past.closed.scores[index], past.anchored)


def place(epoch: int, number: int) -> int:
    return story()[epoch].view.roster.index[node(number)]


def forged_with(epoch: int, *strangers: Score) -> Anchored:
    past = story()[epoch]
    return past.forged([*past.closed.scores, *strangers])


# ------------------------------------------------------------------------------- the verdict


@pytest.mark.parametrize("epoch", range(EPOCHS))
def test_every_score_of_an_honest_epoch_is_right(epoch: int) -> None:
    past = story()[epoch]
    assert past.closed.header.is_void is (epoch == VOID)
    assert [wrong_word(against(s, past.anchored)) for s in past.closed.scores] == [
        None for _ in past.closed.scores
    ]


@given(CHANGES, st.integers(0, 2**256 - 1) | st.sampled_from([0, 1, 2**63 - 1, 2**64]))
def test_a_score_with_another_number_is_wrong(change: tuple[int, int, int], value: int) -> None:
    epoch, index, word = change
    past = story()[epoch]
    scores = list(past.closed.scores)
    index %= len(scores)
    forged = spoilt(scores[index], word, value)
    is_same = forged == scores[index]
    scores[index] = forged
    fault = wrong_word(against(forged, past.forged(scores)))
    if word < 8 or word > 9:
        assert fault == (None if is_same else word)
    else:  # another duty may be possible, but not with the same share
        assert fault in ({None} if is_same else {8, 9, 15})


def test_the_words_of_duty_are_looked_at_first() -> None:
    past = story()[1]
    scores = list(past.closed.scores)
    scores[0] = spoilt(spoilt(scores[0], 2), 8)
    assert wrong_word(against(scores[0], past.forged(scores))) == 8


@pytest.mark.parametrize(
    ("delivered", "owed", "fault"),
    [
        (0, 0, None),
        (3, 3, None),
        (0, 72, None),
        (72, 72, None),
        (0, 73, 9),
        (4, 3, 9),
        (-1, 3, 8),
        (0, -1, 9),
        (1 / Q16, 3, 8),
        (1, 3 - 1 / Q16, 9),
    ],
)
def test_a_duty_is_right_if_it_can_be(delivered: float, owed: float, fault: int | None) -> None:
    assert duty_max(MINIMAL) == 72
    assert duty_max(MAINNET) == 21_600
    old, score = (story()[e].closed.scores[place(e, 7)] for e in (0, 1))
    kept = [decayed(count, MINIMAL.decay_q32) for count in (old.duty_s, old.duty_n)]
    duty_s, duty_n = kept[0] + int(delivered * Q16), kept[1] + int(owed * Q16)
    claimed = msgspec.structs.replace(
        score, duty_s=duty_s, duty_n=duty_n, duty_ppm=share_ppm(duty_s, duty_n)
    )
    assert fault_of(claimed, old, Sighted(), story()[1].closed.header, MINIMAL) == fault


def test_nothing_follows_from_a_score_that_cannot_be() -> None:
    good = story()[0].closed.scores[0]
    header = story()[1].closed.header
    assert can_be(good)
    wrong = [spoilt(good, word, NUMBER_MAX + 1) for word in WORDS]
    wrong.append(msgspec.structs.replace(good, s=good.n + 1))
    for old in wrong:
        assert not can_be(old)
        assert fault_of(good, old, Sighted(), header, MINIMAL) == OLD_SCORE
    for word in WORDS:
        if word != 2:
            assert can_be(spoilt(good, word, NUMBER_MAX))


@pytest.mark.parametrize(
    "sighted",
    [
        Sighted(3, 5, bytes(14)),
        Sighted(3, 5, bytes(16)),
        Sighted(16, 2, bytes(32)),
        Sighted(1, 4097, bytes(4097)),
        Sighted(0, 2**200, b""),
        Sighted(0, 0, b"\1"),
    ],
)
def test_a_matrix_of_another_size_than_the_evidence_says_is_wrong(sighted: Sighted) -> None:
    old, header = story()[0].closed.scores[0], story()[1].closed.header
    assert not sighted.is_possible
    assert fault_of(old, old, sighted, header, MINIMAL) == MATRIX


def test_a_score_reads_back_from_its_leaf() -> None:
    for past in story():
        for score in past.closed.scores:
            assert score_of(score.leaf()) == score


# ------------------------------------------------------------------------------- who was there


def test_a_score_of_nobody_is_overturned_in_every_epoch() -> None:
    for epoch in range(EPOCHS):
        left = story()[0].closed.scores[place(0, 3)]
        ghosts = [Score(node(i), 0) for i in (3, 50, 51, 52, 53)] if epoch else [Score(node(50), 0)]
        for ghost in [*ghosts, left] if epoch else ghosts:
            challenge = against(ghost, forged_with(epoch, ghost))
            assert wrong_word(challenge) == STRANGER
            assert 1 <= len(challenge.stranger) <= 4


def test_a_score_of_a_registration_that_is_not_the_members_is_overturned() -> None:
    ghost = Score(node(4), 99, s=1)
    challenge = against(ghost, forged_with(1, ghost))
    assert len(challenge.stranger) == 1
    assert wrong_word(challenge) == STRANGER


def test_no_member_is_a_stranger() -> None:
    past = story()[1]
    roster, root = past.view.roster, past.closed.header.roster_root
    everybody = tuple(
        Shown(roster.leaf(m), roster.tree.proof(roster.leaf(m))) for m in roster.members
    )
    for index, m in enumerate(roster.members):
        others = tuple(s for s in everybody if s.leaf[:32] != m.node)
        for shown in (everybody, others, everybody[:1], around(roster, node(50), root)):
            assert refused(replace(right(1, index), stranger=shown)) == "not-stranger"


def test_every_score_under_an_empty_roster_is_a_strangers() -> None:
    past = story()[1]
    header = msgspec.structs.replace(past.closed.header, roster_root=merkle.EMPTY_ROOT)
    assert wrong_word(replace(right(1), header=header)) == STRANGER


def test_a_forged_newcomer_is_overturned() -> None:
    past = story()[1]
    for number in (9, 10):
        scores, index = list(past.closed.scores), place(1, number)
        assert scores[index].age_epochs == 1
        scores[index] = spoilt(scores[index], 6, 500)
        challenge = against(scores[index], past.forged(scores))
        assert challenge.old is None
        assert challenge.newcomer
        assert wrong_word(challenge) == 6


def test_who_was_registered_anew_is_new() -> None:
    challenge = right(1, place(1, 8))
    assert len(challenge.newcomer) == 1
    assert wrong_word(challenge) is None


def test_nobody_hides_an_old_score() -> None:
    past, before = story()[1], story()[0]
    old = before.view.roster
    everybody = tuple(Shown(old.leaf(m), old.tree.proof(old.leaf(m))) for m in old.members)
    for index, m in enumerate(past.view.roster.members):
        challenge = right(1, index)
        if challenge.old is None:
            continue
        others = tuple(s for s in everybody if s.leaf[:32] != m.node)
        for shown in (everybody, others, (), everybody[:1], everybody[-1:]):
            hidden = replace(challenge, old=None, newcomer=shown)
            assert refused(hidden) == "not-newcomer"


def test_everybody_is_new_in_epoch_0_and_after_an_empty_roster() -> None:
    assert all(c.old is None and not c.newcomer for c in (right(0, i) for i in range(9)))
    newcomer = right(1, place(1, 9))
    before = msgspec.structs.replace(newcomer.before, roster_root=merkle.EMPTY_ROOT)
    assert wrong_word(replace(newcomer, before=before, newcomer=())) is None


@given(st.sets(st.integers(0, 30), max_size=12), st.sets(st.integers(0, 30), max_size=12))
def test_neighbours_show_who_is_absent_and_nothing_shows_who_is_there(
    full: set[int], light: set[int]
) -> None:
    members = [member(i) for i in full] + [member(i, kind=Kind.LIGHT) for i in light - full]
    roster = Roster(tuple(sorted(members)))
    header = msgspec.structs.replace(story()[0].closed.header, roster_root=roster.root)
    score = Score(node(40), 0)
    tree = merkle.Tree([score.leaf()])
    header = msgspec.structs.replace(header, score_root=tree.root)
    challenge = Challenge(
        header=header,
        before=None,
        score=Shown(score.leaf(), ()),
        stranger=around(roster, node(40), roster.root),
    )
    assert wrong_word(challenge) == STRANGER
    if len(challenge.stranger) > 1:
        assert refused(replace(challenge, stranger=challenge.stranger[1:])) == "not-stranger"


# ------------------------------------------------------------------------------- what is refused


def test_a_challenge_that_shows_too_little_is_refused() -> None:
    good, light, new = right(1, place(1, 4)), right(1, place(1, 7)), right(1, place(1, 9))
    assert wrong_word(good) is wrong_word(light) is wrong_word(new) is None
    other, elsewhere = right(1, place(1, 5)), story()[1].view.roster
    cut = good.score._replace(leaf=good.score.leaf[:-32])
    changed = good.score._replace(leaf=keccak256(b"") + good.score.leaf[32:])
    full = elsewhere.leaf(elsewhere.get(node(4)))
    assert good.before is not None
    reasons = {
        "score-not-proved": (
            replace(good, score=cut),
            replace(good, score=changed),
            replace(good, score=good.score._replace(proof=good.score.proof[1:])),
        ),
        "other-epoch": (
            replace(good, before=None),
            replace(good, before=good.header),
        ),
        "old-score-not-proved": (replace(good, old=good.score),),
        "other-member": (
            replace(good, old=other.old),
            replace(good, evidence=other.evidence),
            replace(light, score=good.score, old=good.old),
        ),
        "not-newcomer": (replace(good, old=None), replace(new, newcomer=new.newcomer[:1])),
        "member-not-proved": (
            replace(new, newcomer=(good.score,)),
            replace(light, light=good.evidence),
        ),
        "evidence-not-proved": (
            replace(good, evidence=None),
            replace(good, evidence=good.evidence._replace(proof=())),
        ),
        "other-matrix": (replace(good, matrix=good.matrix[:-1]),),
        "not-light": (replace(good, evidence=None, light=Shown(full, elsewhere.tree.proof(full))),),
    }
    for reason, challenges in reasons.items():
        assert [refused(c) for c in challenges] == [reason] * len(challenges)


def test_what_is_not_asked_for_changes_nothing() -> None:
    light, full = right(1, place(1, 7)), right(1, place(1, 4))
    assert wrong_word(replace(light, matrix=b"\1\4")) is None
    assert wrong_word(replace(full, newcomer=light.newcomer, light=light.light)) is None
    void = right(VOID, 0)
    assert void.evidence is None
    assert wrong_word(replace(void, evidence=full.evidence, matrix=b"?")) is None


# ------------------------------------------------------------------------------- finding it


def test_forged_scores_are_those_that_the_epoch_does_not_come_to() -> None:
    past = story()[1]
    assert forged_scores(past.closed, past.closed.scores) == ()
    scores = list(past.closed.scores)
    ghost, scores[3], scores[1] = Score(node(50), 0), spoilt(scores[3], 2), spoilt(scores[1], 14)
    scores.append(ghost)
    assert forged_scores(past.closed, scores) == (scores[1], scores[3], ghost)


def test_trees_are_built_once_for_all_scores_of_an_epoch(monkeypatch) -> None:
    built = []

    class Counted(merkle.Tree):
        def __init__(self, leaves) -> None:
            built.append(self)
            super().__init__(leaves)

    forged = story()[3].forged([spoilt(s, 2) for s in story()[3].closed.scores])
    monkeypatch.setattr(merkle, "Tree", Counted)
    for score in forged.scores:
        assert wrong_word(against(score, forged)) is not None
    assert len(built) <= 3


def test_a_matrix_is_what_the_evidence_hashes() -> None:
    for past in story():
        for target, leaf in past.closed.evidence.items():
            matrix = matrix_of(past.view, past.included, target)
            assert keccak256(matrix) == leaf[5 * 32 :]
            count = len(past.view.assignment.auditors(target))
            assert len(matrix) == count * len(past.view.drawn[target])


@pytest.mark.parametrize(
    ("reason", "who", "changes"),
    [
        ("other-scores", 0, {"anchored": {"scores": ()}}),
        ("other-scores", 0, {"anchored": {"scores": story()[1].closed.scores[:-1]}}),
        ("other-evidence", 0, {"evidence": {n: bytes(192) for n in story()[1].closed.evidence}}),
        ("other-past", 0, {"before": {"scores": story()[0].closed.scores[1:]}}),
        ("other-past", 0, {"before": {"scores": ()}}),
        ("other-roster", 0, {"anchored": {"roster": Roster(())}}),
        ("other-roster", 7, {"anchored": {"roster": Roster(members_of(1)[:-1])}}),
        ("other-roster", 9, {"before": {"roster": Roster(members_of(0)[:-1])}}),
    ],
)
def test_what_was_not_anchored_cannot_be_shown(reason: str, who: int, changes: dict) -> None:
    past, before = story()[1], story()[0].anchored
    score = past.closed.scores[place(1, who)]
    with pytest.raises(ProtocolError) as caught:
        challenge_of(
            score,
            anchored=replace(past.anchored, **changes.get("anchored", {})),
            before=replace(before, **changes.get("before", {})),
            evidence=changes.get("evidence", past.closed.evidence),
            matrix=past.matrix(NodeId(score.node)),
        )
    assert caught.value.reason == reason
