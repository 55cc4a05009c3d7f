"""The seal picks one observation of each batch, and the auditor must show its receipt."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from stkrp2p.core.batch import Batch, EpochView, sign_batch
from stkrp2p.core.challenge import (
    Receipt,
    Status,
    challenge_of,
    receipt_of,
    receipts_tree,
    sign_answer,
)
from stkrp2p.core.crypto import sha256
from stkrp2p.core.sample import Sample, answered, check_receipt, sample_of
from stkrp2p.core.types import Digest, NodeId, Outcome, ProtocolError, Round
from tests.core.strategies import (
    NETWORK,
    Seer,
    batch_of,
    body_of,
    node,
    randomness,
    roster_of_size,
    secret_of_node,
    view_of,
)

STATUS_OF = {Outcome.OK: Status.SERVED, Outcome.DECLARED: Status.DECLARED}


@cache
def view() -> EpochView:
    return view_of(roster_of_size(6, 2))


@cache
def auditor() -> NodeId:
    return next(m.node for m in view().roster.members if sum(view().duty(m.node).counts) > 6)


def sees_one_declared(_: NodeId, position: int) -> Outcome:
    return Outcome.DECLARED if position == 1 else Outcome.OK


def receipt_for(target: NodeId, number: Round, outcome: Outcome) -> Receipt:
    """Return what the target signed when it was asked."""
    challenge = challenge_of(randomness(number), auditor(), target)
    answer = sign_answer(
        secret_of_node(target),
        network=NETWORK,
        number=number,
        challenge=challenge,
        status=STATUS_OF[outcome],
        report=b"",
    )
    made = receipt_of(
        network=NETWORK,
        number=number,
        challenge=challenge,
        auditor=auditor(),
        target=target,
        answer=answer,
    )
    assert made is not None
    return made


@cache
def honest() -> tuple[Batch, tuple[Receipt, ...]]:
    """Return a batch with all its receipts."""
    body = body_of(view(), auditor(), sees=sees_one_declared)
    receipts = tuple(
        receipt_for(NodeId(row.target), number, Outcome(seen))
        for row in body.rows
        for number, seen in zip(view().drawn[NodeId(row.target)], row.outcomes, strict=True)
    )
    root = receipts_tree(receipts).root
    body = msgspec.structs.replace(body, receipts_root=root)
    return sign_batch(secret_of_node(auditor()), body), receipts


def shown(sample: Sample) -> tuple[Receipt, tuple[Digest, ...]]:
    _, receipts = honest()
    receipt = next(r for r in receipts if (r.target, r.round) == (sample.target, sample.round))
    return receipt, receipts_tree(receipts).proof(receipt.leaf())


def check(receipt: Receipt, proof: tuple[Digest, ...], sample: Sample) -> None:
    check_receipt(
        receipt, proof, batch=honest()[0], sample=sample, randomness=randomness(sample.round)
    )


def test_an_honest_auditor_can_show_whatever_is_picked() -> None:
    batch, receipts = honest()
    samples = answered(batch, view())
    assert len(samples) == len(receipts) > 6
    for sample in samples:
        check(*shown(sample), sample)


def test_the_pick_is_the_hash_of_the_seals_randomness_and_the_batch() -> None:
    batch, _ = honest()
    samples = answered(batch, view())
    picked = set()
    for number in range(200):
        draw = int.from_bytes(sha256(b"stkr/sample/1", randomness(number), batch.id)[:8], "big")
        sample = sample_of(batch, view(), randomness(number))
        assert sample == samples[draw % len(samples)]
        picked.add(sample)
    assert picked == set(samples)


@pytest.mark.parametrize("unseen", [Outcome.NOT_PROBED, Outcome.UNREACHABLE])
def test_what_no_target_answered_cannot_be_picked(unseen: Outcome) -> None:
    def sees(_: NodeId, position: int) -> Outcome:
        return Outcome.OK if position == 0 else unseen

    batch = batch_of(view(), auditor(), sees=sees)
    assert {s.outcome for s in answered(batch, view())} == {Outcome.OK}
    assert len(answered(batch, view())) == sum(c > 0 for c in view().duty(auditor()).counts)


def test_who_calls_an_answer_wrong_must_show_that_there_was_one() -> None:
    batch = batch_of(view(), auditor(), sees=lambda _target, _position: Outcome.WRONG)
    assert len(answered(batch, view())) == view().duty(auditor()).owed


def test_a_batch_without_answers_has_nothing_to_show() -> None:
    never: Seer = lambda _target, _position: Outcome.UNREACHABLE  # noqa: E731
    assert sample_of(batch_of(view(), auditor(), sees=never), view(), randomness(1)) is None


def sample() -> Sample:
    return answered(honest()[0], view())[0]


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("other-observation", {"auditor": node(99)}),
        ("other-observation", {"target": node(99)}),
        ("other-observation", {"round": 1}),
        ("wrong-challenge", {"challenge": bytes(32)}),
        ("wrong-status: 1", {"status": 1}),
        ("not-in-batch", {"report_hash": bytes(32)}),
        ("not-in-batch", {"signature": bytes(64)}),
    ],
)
def test_a_receipt_of_something_else_is_refused(reason: str, change: dict[str, object]) -> None:
    receipt, proof = shown(sample())
    with pytest.raises(ProtocolError, match=rf"^{reason}$"):
        check(msgspec.structs.replace(receipt, **change), proof, sample())


def test_a_receipt_with_the_proof_of_another_is_refused() -> None:
    receipt, proof = shown(sample())
    with pytest.raises(ProtocolError, match=r"^not-in-batch$"):
        check(receipt, proof[::-1], sample())


def test_a_receipt_that_the_target_never_signed_is_refused_even_if_the_batch_holds_it() -> None:
    receipt, _ = shown(sample())
    forged = msgspec.structs.replace(receipt, signature=bytes(64))
    tree = receipts_tree([forged])
    body = msgspec.structs.replace(honest()[0].body, receipts_root=tree.root)
    batch = sign_batch(secret_of_node(auditor()), body)
    with pytest.raises(ProtocolError, match=r"^bad-signature$"):
        check_receipt(
            forged,
            tree.proof(forged.leaf()),
            batch=batch,
            sample=sample(),
            randomness=randomness(sample().round),
        )
