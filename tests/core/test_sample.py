"""The receipt an auditor must show: chosen by the sealing round, checked by anybody."""

from collections import Counter

import msgspec
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.batch import Batch, sign_batch
from stkrp2p.core.challenge import Receipt, receipts_tree
from stkrp2p.core.crypto import sha256
from stkrp2p.core.sample import Sample, answered, check_receipt, sample_of
from stkrp2p.core.types import Digest, Epoch, NodeId, Outcome, ProtocolError
from testnet.vectors.world import WORLD, Observed, secret_for

EPOCH = Epoch(0)
VIEW = WORLD.view(EPOCH)
ALICE = next(m.node for m in VIEW.roster.members if len(VIEW.assignment.targets(m.node)) > 1)
KEYS = [(ALICE, t, r) for t in VIEW.assignment.targets(ALICE) for r in VIEW.drawn[t]]
ANSWERED = {Outcome.OK, Outcome.SLOW, Outcome.DECLARED}

outcomes = st.lists(st.sampled_from(Outcome), min_size=len(KEYS), max_size=len(KEYS))
randomness = st.binary(min_size=32, max_size=32).map(Digest)
change = msgspec.structs.replace


def batch_of(seen: Observed) -> Batch:
    body = WORLD.body(EPOCH, ALICE)
    rows = tuple(
        change(
            row, outcomes=bytes(seen[ALICE, NodeId(row.target), r] for r in VIEW.drawn[row.target])
        )
        for row in body.rows
    )
    return sign_batch(secret_for(ALICE), change(body, rows=rows))


@given(outcomes, randomness)
def test_the_sample_is_an_observation_that_the_target_must_have_answered(
    values: list[Outcome], drawn: Digest
) -> None:
    seen = dict(zip(KEYS, values, strict=True))
    sample = sample_of(batch_of(seen), VIEW, drawn)
    if sample is None:
        assert not ANSWERED & set(values)
    else:
        assert seen[ALICE, sample.target, sample.round] is sample.outcome
        assert sample.outcome in ANSWERED


@given(outcomes)
def test_all_answered_observations_can_be_sampled_in_order_of_rows_then_rounds(
    values: list[Outcome],
) -> None:
    seen = dict(zip(KEYS, values, strict=True))
    found = [(ALICE, s.target, s.round) for s in answered(batch_of(seen), VIEW)]
    assert found == [key for key, value in seen.items() if value in ANSWERED]


def test_each_observation_is_sampled_about_equally_often() -> None:
    batch = WORLD.batch(EPOCH, ALICE)
    rounds = [sha256(b"round %d" % i) for i in range(200 * len(KEYS))]
    picked = Counter(sample_of(batch, VIEW, r) for r in rounds)
    assert len(picked) == len(KEYS)
    assert min(picked.values()) > 120
    assert max(picked.values()) < 280


def test_two_batches_of_one_auditor_are_sampled_apart() -> None:
    batch = WORLD.batch(EPOCH, ALICE)
    other = sign_batch(secret_for(ALICE), change(batch.body, receipts_root=bytes(32)))
    rounds = [sha256(b"round %d" % i) for i in range(20)]
    picks = [(sample_of(batch, VIEW, r), sample_of(other, VIEW, r)) for r in rounds]
    assert any(a != b for a, b in picks)


def shown() -> tuple[Batch, Sample, list[Receipt], Receipt]:
    batch = WORLD.batch(EPOCH, ALICE)
    sample = sample_of(batch, VIEW, sha256(b"seal"))
    assert sample is not None
    receipts = WORLD.receipts(EPOCH, ALICE, {})
    right = next(r for r in receipts if (r.target, r.round) == (sample.target, sample.round))
    return batch, sample, receipts, right


def check(receipt: Receipt, proof: tuple[Digest, ...], batch: Batch, sample: Sample) -> None:
    probed = WORLD.round(sample.round).randomness
    check_receipt(receipt, proof, batch=batch, sample=sample, randomness=probed)


def test_an_honest_auditor_can_show_every_sample() -> None:
    batch, _, receipts, _ = shown()
    tree = receipts_tree(receipts)
    for sample, receipt in zip(answered(batch, VIEW), receipts, strict=True):
        check(receipt, tree.proof(receipt.leaf()), batch, sample)


def test_maintenance_is_shown_by_a_receipt_that_declares_it() -> None:
    seen = dict.fromkeys(KEYS[:1], Outcome.DECLARED)
    batch = WORLD.batch(EPOCH, ALICE, seen)
    receipts = WORLD.receipts(EPOCH, ALICE, seen)
    tree, sample = receipts_tree(receipts), answered(batch, VIEW)[0]
    assert sample.outcome is Outcome.DECLARED
    check(receipts[0], tree.proof(receipts[0].leaf()), batch, sample)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"round": 1}, "other-observation"),
        ({"auditor": bytes(32)}, "other-observation"),
        ({"target": bytes(32)}, "other-observation"),
        ({"challenge": bytes(32)}, "wrong-challenge"),
        ({"status": 1}, "wrong-status"),
        ({"status": 2}, "wrong-status"),
        ({"report_hash": bytes(32)}, "not-in-batch"),
        ({"signature": bytes(64)}, "not-in-batch"),
    ],
)
def test_another_receipt_than_the_one_asked_for_is_refused(
    changes: dict[str, object], reason: str
) -> None:
    batch, sample, receipts, right = shown()
    proof = receipts_tree(receipts).proof(right.leaf())
    with pytest.raises(ProtocolError, match=f"^{reason}"):
        check(change(right, **changes), proof, batch, sample)


def test_a_receipt_without_its_proof_is_refused() -> None:
    batch, sample, _, right = shown()
    with pytest.raises(ProtocolError, match=r"^not-in-batch$"):
        check(right, (), batch, sample)


def test_a_root_over_receipts_nobody_signed_does_not_help() -> None:
    batch, sample, _, right = shown()
    fake = change(right, signature=bytes(64))
    root = receipts_tree([fake]).root
    forged = sign_batch(secret_for(ALICE), change(batch.body, receipts_root=root))
    with pytest.raises(ProtocolError, match=r"^bad-signature$"):
        check(fake, (), forged, sample)
