"""Two sides find and exchange what they differ in, and no answer outgrows its bound."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings, strategies as st

from stkrp2p.core import reconcile
from stkrp2p.core.batch import Batch, BatchBody, EpochView, read_batch
from stkrp2p.core.crypto import sha256
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.params import NODES_MAX
from stkrp2p.core.reconcile import (
    CHUNK_MEMBERS,
    DIFFERING_MAX,
    FRAME_BYTES_MIN,
    FRAMES_BYTES_MAX,
    FRAMES_MAX,
    RECORD_BYTES_MAX,
    RECORD_BYTES_MIN,
    RECORDS_MAX,
    SCORE_BYTES_MAX,
    SCORE_BYTES_MIN,
    SCORES_MAX,
    WANTED_MAX,
    Delta,
    Have,
    RecordList,
    ScoreList,
    answer_have,
    bitmap_of,
    chunk_ids,
    flags_of,
    frames_wanted,
    have_of,
    holdings_of,
    ids_to_fetch,
    read_question,
    read_records,
    read_scores,
    record_list,
    score_list,
)
from stkrp2p.core.records import AddressRecord
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Digest, Epoch, Kind, NodeId, Operator, ProtocolError
from stkrp2p.core.wire import ANSWER_BYTES_MAX, FRAME_BYTES_MAX, INTEGER_MAX, decode, encode
from tests.core.strategies import EPOCH, NETWORK, batch_of, roster_of_size, view_of

SALTS = 3


@cache
def view() -> EpochView:
    return view_of(roster_of_size(7, 2))


@cache
def pool() -> tuple[Batch, ...]:
    return tuple(
        batch_of(view(), m.node, salt=salt) for m in view().roster.members for salt in range(SALTS)
    )


states = st.sets(st.integers(0, 9 * SALTS - 1)).map(lambda held: Evidence(pool()[i] for i in held))


class Wire:
    """Counts what a session sends; every message is encoded and read again."""

    def __init__(self) -> None:
        self.questions = 0

    def have(self, asking: Evidence, answering: Evidence, roster: Roster) -> Delta:
        self.questions += 1
        question = read_question(encode(have_of(NETWORK, EPOCH, holdings_of(asking, roster))))
        assert isinstance(question, Have)
        answer = encode(answer_have(answering, roster, question))
        return decode(answer, Delta, bytes_max=ANSWER_BYTES_MAX)


def session(asking: Evidence, answering: Evidence, roster: Roster, wire: Wire) -> bool:
    """Run one session as `protocols/sync.md` says; tell whether anything was exchanged."""
    before = asking.digest(), answering.digest()
    while True:
        delta = wire.have(asking, answering, roster)
        for frame in delta.frames:
            asking.add(read_batch(frame))
        for frame in frames_wanted(asking, roster, delta):
            answering.add(read_batch(frame))
        for chunk in delta.differing:
            ids = chunk_ids(answering, roster, chunk)
            members = roster.members[chunk * CHUNK_MEMBERS : (chunk + 1) * CHUNK_MEMBERS]
            wanted = ids_to_fetch(asking, ids, [m.node for m in members])
            for batch in [b for b in answering if b.id in wanted]:
                asking.add(batch)
        if not delta.is_more:
            return (asking.digest(), answering.digest()) != before


@given(states, states)
def test_two_sessions_from_each_side_make_both_equal_even_with_equivocators(
    a: Evidence, b: Evidence
) -> None:
    expected, wire = a.join(b), Wire()
    for _ in range(2):
        session(a, b, view().roster, wire)
        session(b, a, view().roster, wire)
    assert a == b == expected
    assert not session(a, b, view().roster, wire)


@given(states, states)
def test_one_session_makes_both_hold_batches_of_the_same_members(a: Evidence, b: Evidence) -> None:
    session(a, b, view().roster, Wire())
    members = view().roster.members
    assert [bool(a.of(m.node)) for m in members] == [bool(b.of(m.node)) for m in members]


@given(states)
def test_equal_sides_exchange_nothing(a: Evidence) -> None:
    delta = answer_have(a, view().roster, have_of(NETWORK, EPOCH, holdings_of(a, view().roster)))
    assert delta == Delta(frames=(), wanted=b"", differing=(), is_more=False)


@given(st.lists(st.booleans(), max_size=70))
def test_a_bitmap_holds_flag_i_in_bit_i_of_byte_i_by_8(flags: list[bool]) -> None:
    bitmap = bitmap_of(flags)
    assert len(bitmap) == (len(flags) + 7) // 8
    assert [bool(bitmap[i // 8] >> i % 8 & 1) for i in range(len(flags))] == flags
    assert flags_of(bitmap, len(flags)) == flags


@given(st.binary(max_size=6), st.integers(0, 40))
def test_a_bitmap_of_another_size_or_with_bits_beyond_it_is_refused(
    bitmap: bytes, size: int
) -> None:
    fits = len(bitmap) == (size + 7) // 8 and int.from_bytes(bitmap, "little") < 1 << size
    if fits:
        assert bitmap_of(flags_of(bitmap, size)) == bitmap
    else:
        with pytest.raises(ProtocolError, match=r"^bad-bitmap$"):
            flags_of(bitmap, size)


def test_the_largest_bitmap_is_read_in_one_pass() -> None:
    flags = flags_of(b"\xff" * (NODES_MAX // 8), NODES_MAX)
    assert len(flags) == NODES_MAX
    assert all(flags)


@pytest.mark.parametrize(
    ("bitmap", "prints"),
    [(b"", 16), (bytes(1), 16), (bytes(2), 15), (bytes(2), 32), (b"\0\x02", 16)],
)
def test_a_question_that_does_not_fit_the_roster_is_refused(bitmap: bytes, prints: int) -> None:
    have = Have(network=NETWORK, epoch=EPOCH, bitmap=bitmap, fingerprints=bytes(prints))
    with pytest.raises(ProtocolError, match=r"^bad-bitmap"):
        answer_have(Evidence(), view().roster, have)


@cache
def crowd(size: int) -> Roster:
    """Return a roster too large to sign for: its keys are hashes."""
    nodes = sorted(sha256(b"crowd", i.to_bytes(4, "big")) for i in range(size))
    return Roster(
        tuple(
            Member(node=NodeId(n), nonce=0, operator=Operator(bytes(20)), kind=Kind.FULL, stake=0)
            for n in nodes
        )
    )


def unsigned(auditor: NodeId, *, salt: int = 0, size_bytes: int = 300) -> Batch:
    """Return a batch nobody signed: enough for who only moves frames."""
    body = BatchBody(
        version=1,
        network=NETWORK,
        epoch=EPOCH,
        auditor=auditor,
        nonce=0,
        seed=bytes(32),
        rows=(),
        receipts_root=sha256(bytes([salt])),
    )
    return Batch(Digest(sha256(auditor, bytes([salt]))), bytes(64), body, bytes(size_bytes))


def asked_by(evidence: Evidence, roster: Roster) -> Have:
    return have_of(NETWORK, EPOCH, holdings_of(evidence, roster))


def test_an_answer_holds_at_most_so_many_batches_and_says_that_there_are_more() -> None:
    roster = crowd(FRAMES_MAX + 1)
    all_of_them = Evidence(unsigned(m.node) for m in roster.members)
    delta = answer_have(all_of_them, roster, asked_by(Evidence(), roster))
    assert (len(delta.frames), delta.is_more) == (FRAMES_MAX, True)
    exact = Evidence(unsigned(m.node) for m in roster.members[:FRAMES_MAX])
    delta = answer_have(exact, roster, asked_by(Evidence(), roster))
    assert (len(delta.frames), delta.is_more) == (FRAMES_MAX, False)


def test_an_answer_holds_at_most_so_many_bytes_of_batches() -> None:
    size_bytes = 40 * 1024
    fitting = FRAMES_BYTES_MAX // size_bytes
    roster = crowd(50)
    evidence = Evidence(unsigned(m.node, size_bytes=size_bytes) for m in roster.members)
    delta = answer_have(evidence, roster, asked_by(Evidence(), roster))
    assert (len(delta.frames), delta.is_more) == (fitting, True)
    assert len(encode(delta)) <= ANSWER_BYTES_MAX


def test_an_equivocators_two_batches_are_never_parted_by_a_bound() -> None:
    roster = crowd(FRAMES_MAX)
    evidence = Evidence(unsigned(m.node) for m in roster.members)
    evidence.add(unsigned(roster.members[-1].node, salt=1))
    delta = answer_have(evidence, roster, asked_by(Evidence(), roster))
    assert (len(delta.frames), delta.is_more) == (FRAMES_MAX - 1, True)


def test_a_session_with_more_than_one_answers_worth_goes_on_until_all_is_there() -> None:
    roster = crowd(2_500)
    ours, theirs = Evidence(), Evidence(unsigned(m.node) for m in roster.members)
    in_order, is_more = iter(theirs), []
    for _ in range(3):
        delta = answer_have(theirs, roster, asked_by(ours, roster))
        is_more.append(delta.is_more)
        for _ in delta.frames:
            ours.add(next(in_order))
    assert ours == theirs
    assert is_more == [True, True, False]


def test_an_answer_names_at_most_so_many_wanted_members_the_first_ones_first() -> None:
    roster = crowd(WANTED_MAX + 100)
    asking = Evidence(unsigned(m.node) for m in roster.members)
    delta = answer_have(Evidence(), roster, asked_by(asking, roster))
    assert delta.wanted == b"".join(i.to_bytes(4, "big") for i in range(WANTED_MAX))
    assert decode(encode(delta), Delta, bytes_max=ANSWER_BYTES_MAX) == delta
    given_frames = frames_wanted(asking, roster, delta)
    assert len(given_frames) == FRAMES_MAX


def test_what_is_given_is_bounded_even_if_all_wanted_equivocated() -> None:
    roster = crowd(WANTED_MAX)
    asking = Evidence(unsigned(m.node, salt=s) for m in roster.members for s in (0, 1))
    delta = answer_have(Evidence(), roster, asked_by(asking, roster))
    assert len(frames_wanted(asking, roster, delta)) == FRAMES_MAX


def test_an_answer_names_at_most_so_many_differing_chunks() -> None:
    roster = crowd(CHUNK_MEMBERS * (DIFFERING_MAX + 2))
    first = [roster.members[c * CHUNK_MEMBERS].node for c in range(DIFFERING_MAX + 2)]
    asking, answering = (Evidence(unsigned(n, salt=s) for n in first) for s in (0, 1))
    delta = answer_have(answering, roster, asked_by(asking, roster))
    assert delta.differing == tuple(range(DIFFERING_MAX))
    assert (delta.frames, delta.wanted) == ((), b"")
    assert decode(encode(delta), Delta) == delta


@given(st.lists(st.integers(0, 2**32 - 1), max_size=20))
def test_wanted_indices_outside_the_roster_are_passed_over(indices: list[int]) -> None:
    evidence = Evidence(pool()[::SALTS])
    wanted = b"".join(i.to_bytes(4, "big") for i in indices)
    delta = Delta(frames=(), wanted=wanted, differing=(), is_more=False)
    frames = frames_wanted(evidence, view().roster, delta)
    expected = [view().roster.members[i].node for i in indices if i < 9]
    assert [read_batch(f).auditor for f in frames] == expected


def test_wanted_indices_cut_short_are_refused() -> None:
    delta = Delta(frames=(), wanted=bytes(7), differing=(), is_more=False)
    with pytest.raises(ProtocolError, match=r"^bad-indices$"):
        frames_wanted(Evidence(), view().roster, delta)


def test_a_chunk_beyond_the_last_has_no_ids() -> None:
    evidence = Evidence(pool())
    assert len(chunk_ids(evidence, view().roster, 0)) == 18
    assert chunk_ids(evidence, view().roster, 1) == ()
    assert chunk_ids(evidence, view().roster, INTEGER_MAX) == ()


def test_the_smallest_batch_is_no_shorter_than_a_frame_may_be() -> None:
    lonely = view_of(roster_of_size(1), epoch=Epoch(0))
    frame = batch_of(lonely, lonely.roster.members[0].node).frame
    assert len(frame) >= FRAME_BYTES_MIN
    short = encode(reconcile.Give(network=NETWORK, epoch=0, frames=(frame[: FRAME_BYTES_MIN - 1],)))
    with pytest.raises(ProtocolError, match=r"^malformed: "):
        read_question(short)


def score(number: int, value: int) -> Score:
    names = Score.__struct_fields__[1:]
    return Score(node=sha256(number.to_bytes(4, "big")), **dict.fromkeys(names, value))


def test_the_shortest_and_the_longest_score_and_record_fit_their_bounds() -> None:
    assert len(encode(score(0, 0))) == SCORE_BYTES_MIN
    assert len(encode(score(0, INTEGER_MAX))) == SCORE_BYTES_MAX
    short = AddressRecord(node=bytes(32), sequence=0, addresses=(), signature=bytes(64))
    long = AddressRecord(
        node=bytes(32), sequence=INTEGER_MAX, addresses=("a" * 256,) * 4, signature=bytes(64)
    )
    assert len(encode(short)) == RECORD_BYTES_MIN
    assert len(encode(long)) <= RECORD_BYTES_MAX


@settings(max_examples=5)
@given(st.sampled_from([0, 1, SCORES_MAX, SCORES_MAX + 1, 2 * SCORES_MAX + 5]))
def test_a_score_table_travels_in_pages_that_fit_an_answer(size: int) -> None:
    table = [score(i, INTEGER_MAX) for i in range(size)]
    read: list[Score] = []
    while True:
        frame = encode(score_list(table, len(read)))
        page = decode(frame, ScoreList, bytes_max=ANSWER_BYTES_MAX)
        read += read_scores(page)
        assert page.total == size
        if len(read) >= size:
            break
    assert read == table


def test_a_page_with_something_that_is_no_score_is_refused() -> None:
    page = ScoreList(total=1, scores=(bytes(SCORE_BYTES_MIN),))
    with pytest.raises(ProtocolError, match=r"^malformed: "):
        read_scores(page)


def test_a_wrong_record_spoils_none_of_the_others() -> None:
    records = [
        AddressRecord(node=bytes([i]) * 32, sequence=i, addresses=("/a",), signature=bytes(64))
        for i in range(3)
    ]
    answer = record_list(records)
    spoilt = RecordList(records=(answer.records[0], bytes(RECORD_BYTES_MIN), *answer.records[1:]))
    assert read_records(spoilt) == records


def test_the_most_and_longest_records_fit_an_answer() -> None:
    long = AddressRecord(
        node=bytes(32), sequence=INTEGER_MAX, addresses=("a" * 256,) * 4, signature=bytes(64)
    )
    answer = record_list([long] * (RECORDS_MAX + 1))
    assert len(answer.records) == RECORDS_MAX
    assert decode(encode(answer), RecordList, bytes_max=ANSWER_BYTES_MAX) == answer


def test_a_question_of_10000_members_takes_less_than_2_kb() -> None:
    roster = crowd(10_000)
    frame = encode(asked_by(Evidence(), roster))
    assert len(frame) < 2_000 < FRAME_BYTES_MAX
