"""The evidence of an epoch is a CRDT: what was delivered decides, not how."""

from functools import cache
from itertools import permutations

import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from stkrp2p.core.anchor import close_epoch
from stkrp2p.core.batch import Batch, EpochView, check_batch
from stkrp2p.core.crypto import BATCH_TAG, is_signed_by, sha256
from stkrp2p.core.evidence import KEPT_MAX, Evidence
from stkrp2p.core.reconcile import (
    FrameList,
    IdList,
    answer_have,
    chunk_ids,
    frames_wanted,
    have_of,
    holdings_of,
    ids_to_fetch,
)
from stkrp2p.core.types import Digest, NodeId, Outcome
from tests.core.strategies import NETWORK, batch_of, roster_of_size, view_of

FULL, LIGHT = 6, 2
SALTS = 4
POOL = (FULL + LIGHT) * SALTS


@cache
def view() -> EpochView:
    return view_of(roster_of_size(FULL, LIGHT))


@cache
def pool() -> tuple[Batch, ...]:
    """Batches of all members, several of each auditor, that see different things."""

    def sees_down(target: NodeId, position: int) -> Outcome:
        return Outcome.UNREACHABLE if (target[0] + position) % 3 == 0 else Outcome.OK

    return tuple(
        batch_of(view(), m.node, sees=sees_down, salt=salt)
        for m in view().roster.members
        for salt in range(SALTS)
    )


def resigned(batch: Batch) -> Batch:
    """Return the same batch with other signature bytes, as a careless signer could make many."""
    return Batch(batch.id, sha256(batch.signature) * 2, batch.body, batch.frame)


batches = st.integers(0, POOL - 1).map(lambda i: pool()[i])
variants = st.tuples(batches, st.booleans()).map(lambda b: resigned(b[0]) if b[1] else b[0])
states = st.lists(variants, max_size=12).map(Evidence)


def score_root(evidence: Evidence) -> Digest:
    """Return the score root that follows from some evidence: equivocators have no voice."""
    tainted = evidence.equivocators()
    included = {b.auditor: b for b in evidence if b.auditor not in tainted}
    return Digest(close_epoch(view(), included, tainted, {}).header.score_root)


@given(states, states)
def test_join_is_commutative(a: Evidence, b: Evidence) -> None:
    assert a.join(b) == b.join(a)


@given(states, states, states)
def test_join_is_associative(a: Evidence, b: Evidence, c: Evidence) -> None:
    assert a.join(b).join(c) == a.join(b.join(c))


@given(states)
def test_join_is_idempotent(a: Evidence) -> None:
    assert a.join(a) == a


@given(states, states)
def test_joining_changes_neither_side(a: Evidence, b: Evidence) -> None:
    before = list(a), list(b)
    a.join(b)
    assert (list(a), list(b)) == before


@given(states, states)
def test_a_join_is_the_least_state_that_holds_both(a: Evidence, b: Evidence) -> None:
    both = a.join(b)
    assert both.join(a) == both == both.join(b)


@given(states, states)
def test_evidence_of_equivocation_is_never_lost(a: Evidence, b: Evidence) -> None:
    assert a.equivocators() | b.equivocators() <= a.join(b).equivocators()


@given(st.lists(variants, max_size=12), st.data())
def test_order_and_copies_do_not_matter(delivered: list[Batch], data: st.DataObject) -> None:
    other = data.draw(st.permutations(delivered * 2))
    assert Evidence(other) == Evidence(delivered)
    assert Evidence(other).digest() == Evidence(delivered).digest()


@given(st.lists(batches, max_size=30))
def test_of_each_auditor_the_two_batches_with_the_smallest_ids_are_kept(
    delivered: list[Batch],
) -> None:
    evidence = Evidence(delivered)
    for auditor in {b.auditor for b in delivered}:
        ids = sorted({b.id for b in delivered if b.auditor == auditor})
        assert evidence.ids(auditor) == tuple(ids[:KEPT_MAX])
    assert len(evidence) <= KEPT_MAX * len({b.auditor for b in delivered})


@given(st.lists(batches, max_size=20))
def test_adding_tells_whether_the_state_changed(delivered: list[Batch]) -> None:
    evidence = Evidence()
    for batch in delivered:
        before = Evidence(evidence)
        assert evidence.add(batch) == (evidence != before)


def test_of_two_signatures_of_one_batch_the_smaller_is_kept() -> None:
    batch = pool()[0]
    smaller = min(batch, resigned(batch), key=lambda b: b.signature)
    for order in permutations([batch, resigned(batch)]):
        assert list(Evidence(order)) == [smaller]
    assert len(Evidence([batch, resigned(batch)]).equivocators()) == 0


def test_a_signature_is_no_part_of_the_digest() -> None:
    batch = pool()[0]
    assert Evidence([batch]).digest() == Evidence([resigned(batch)]).digest()
    assert Evidence([batch]) != Evidence([resigned(batch)])


def test_the_proof_of_equivocation_is_two_batches_that_anybody_can_check() -> None:
    auditor = view().roster.members[0].node
    evidence = Evidence(b for b in pool() if b.auditor == auditor)
    first, second = evidence.of(auditor)
    assert first.id != second.id
    for batch in (first, second):
        assert batch.epoch == view().epoch
        assert is_signed_by(auditor, BATCH_TAG, batch.id, batch.signature)


def test_evidence_knows_what_it_holds() -> None:
    held, other = pool()[0], pool()[SALTS]
    evidence = Evidence([held])
    assert held in evidence
    assert other not in evidence
    assert evidence.of(other.auditor) == ()
    assert evidence != [held]
    with pytest.raises(TypeError, match="unhashable"):
        hash(evidence)


class Replica:
    """One side of a network that splits and heals."""

    def __init__(self) -> None:
        self.evidence = Evidence()
        self.delivered: set[int] = set()


def pull(asking: Replica, answering: Replica) -> None:
    """Run one session as the asking side; both sides may learn something."""
    roster = view().roster
    have = have_of(NETWORK, view().epoch, holdings_of(asking.evidence, roster))
    delta = answer_have(answering.evidence, roster, have)
    by_frame = {b.frame: b for b in (*asking.evidence, *answering.evidence)}
    for frame in frames_wanted(asking.evidence, roster, delta):
        answering.evidence.add(by_frame[frame])
    for frame in delta.frames:
        asking.evidence.add(by_frame[frame])
    for chunk in delta.differing:
        listed = IdList(ids=chunk_ids(answering.evidence, roster, chunk))
        wanted = set(ids_to_fetch(asking.evidence, listed.ids, [m.node for m in roster.members]))
        fetched = FrameList(frames=tuple(b.frame for b in answering.evidence if b.id in wanted))
        for frame in fetched.frames:
            asking.evidence.add(by_frame[frame])


pairs = st.sampled_from(list(permutations(range(3), 2)))  # one draw a step keeps steps cheap


class Convergence(RuleBasedStateMachine):
    """Three replicas that get batches in any order, doubled, while they are cut off and healed."""

    def __init__(self) -> None:
        super().__init__()
        self.replicas = [Replica() for _ in range(3)]
        self.equivocators: list[frozenset[NodeId]] = [frozenset()] * 3

    @rule(which=st.integers(0, 3 * POOL - 1))
    def deliver(self, which: int) -> None:
        self._give(which // POOL, which % POOL)

    @rule(which=st.integers(0, 3 * POOL - 1))
    def deliver_many(self, which: int) -> None:
        for number in range(which, which + 5):
            self._give(which // POOL, number % POOL)

    @rule(pair=pairs)
    def join(self, pair: tuple[int, int]) -> None:
        one, other = (self.replicas[i] for i in pair)
        one.evidence = one.evidence.join(other.evidence)
        one.delivered |= other.delivered

    @rule(pair=pairs)
    def sync(self, pair: tuple[int, int]) -> None:
        one, other = (self.replicas[i] for i in pair)
        for _ in range(2):  # the second half of an equivocation shows once the bits agree
            if one.evidence.digest() != other.evidence.digest():
                pull(one, other)
                pull(other, one)
        assert one.evidence.digest() == other.evidence.digest()
        one.delivered |= other.delivered
        other.delivered = set(one.delivered)

    def _give(self, to: int, number: int) -> None:
        self.replicas[to].evidence.add(pool()[number])
        self.replicas[to].delivered.add(number)

    @invariant()
    def equivocators_stay_known(self) -> None:
        for i, replica in enumerate(self.replicas):
            now = replica.evidence.equivocators()
            assert self.equivocators[i] <= now
            self.equivocators[i] = now

    def teardown(self) -> None:
        """Heal: whoever has been given the same is the same, to the score root."""
        for replica in self.replicas:
            assert replica.evidence == Evidence(pool()[i] for i in sorted(replica.delivered))
        first, second, third = (r.evidence for r in self.replicas)
        healed = [first.join(second).join(third), third.join(first.join(second)).join(first)]
        assert healed[0] == healed[1]
        assert score_root(healed[0]) == score_root(healed[1])


@pytest.mark.heavy
def test_two_replicas_given_the_same_batches_in_any_order_doubled_split_and_healed_with_equivocators_have_one_state_and_one_score_root() -> (
    None
):
    run_state_machine_as_test(
        Convergence, settings=settings(max_examples=1_000, stateful_step_count=50, deadline=None)
    )


def test_batches_of_the_pool_are_distinct_and_valid() -> None:
    assert len({b.id for b in pool()}) == len(pool())
    for batch in pool():
        check_batch(batch, view())
