"""A challenge follows from the round, and a receipt proves that the target answered it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.challenge import (
    REPORT_BYTES_MAX,
    Answer,
    Receipt,
    Status,
    challenge_of,
    is_receipt_signed,
    outcome_of,
    receipt_of,
    receipts_tree,
    sign_answer,
)
from stkrp2p.core.crypto import sha256
from stkrp2p.core.merkle import is_proved
from stkrp2p.core.types import Digest, NetworkId, NodeId, Outcome, ProtocolError, Round
from stkrp2p.core.wire import FRAME_BYTES_MAX, decode, encode
from tests.core.strategies import NETWORK, node, randomness, secret

ALICE, BOB, CAROL = node(1), node(2), node(3)
NUMBER = Round(7)
CHALLENGE = challenge_of(randomness(7), ALICE, BOB)


@dataclass(frozen=True)
class Asked:
    """What Alice knows of her question when Bob's answer comes."""

    network: NetworkId = NETWORK
    number: Round = NUMBER
    challenge: Digest = CHALLENGE
    target: NodeId = BOB


def answer(status: Status = Status.SERVED, report: bytes = b"a report") -> Answer:
    return sign_answer(
        secret(2),
        network=NETWORK,
        number=NUMBER,
        challenge=CHALLENGE,
        status=status,
        report=report,
    )


def receipt(of: Answer, asked: Asked) -> Receipt | None:
    return receipt_of(
        network=asked.network,
        number=asked.number,
        challenge=asked.challenge,
        auditor=ALICE,
        target=asked.target,
        answer=of,
    )


def test_a_challenge_binds_the_round_the_auditor_and_the_target() -> None:
    challenges = {
        CHALLENGE,
        challenge_of(randomness(8), ALICE, BOB),
        challenge_of(randomness(7), CAROL, BOB),
        challenge_of(randomness(7), ALICE, CAROL),
        challenge_of(randomness(7), BOB, ALICE),
    }
    assert len(challenges) == 5
    assert sha256(b"stkr/challenge/1", randomness(7), ALICE, BOB) == CHALLENGE


@pytest.mark.parametrize("status", Status)
def test_a_signed_answer_makes_a_receipt(status: Status) -> None:
    made = receipt(answer(status), Asked())
    assert made is not None
    assert (made.status, made.report_hash) == (status, sha256(b"a report"))
    assert is_receipt_signed(NETWORK, made)
    assert decode(made.leaf(), Receipt) == made


@pytest.mark.parametrize(
    "asked",
    [
        Asked(network=NetworkId(bytes(32))),
        Asked(number=Round(8)),
        Asked(challenge=challenge_of(randomness(8), ALICE, BOB)),
        Asked(target=CAROL),
    ],
)
def test_an_answer_to_another_question_makes_no_receipt(asked: Asked) -> None:
    assert receipt(answer(), asked) is None


@pytest.mark.parametrize(
    "change", [{"status": 1}, {"report": b"another report"}, {"signature": bytes(64)}]
)
def test_a_changed_answer_makes_no_receipt(change: dict[str, object]) -> None:
    assert receipt(msgspec.structs.replace(answer(), **change), Asked()) is None


def test_a_receipt_of_another_network_is_not_signed() -> None:
    made = receipt(answer(), Asked())
    assert made is not None
    assert not is_receipt_signed(NetworkId(bytes(32)), made)


def test_the_largest_report_fits_an_answer_and_a_larger_one_is_a_callers_mistake() -> None:
    assert len(encode(answer(report=bytes(REPORT_BYTES_MAX)))) <= FRAME_BYTES_MAX
    with pytest.raises(ValueError, match=r"^a report has at most 49152 bytes, got 49153$"):
        answer(report=bytes(REPORT_BYTES_MAX + 1))


def test_a_report_beyond_the_limit_is_malformed() -> None:
    long = msgspec.structs.replace(answer(), report=bytes(REPORT_BYTES_MAX + 1))
    with pytest.raises(ProtocolError, match=r"^malformed: "):
        decode(encode(long), Answer)


def test_a_status_unknown_to_the_specification_is_malformed() -> None:
    with pytest.raises(ProtocolError, match=r"^malformed: "):
        decode(encode(msgspec.structs.replace(answer(), status=3)), Answer)


def test_every_receipt_of_an_epoch_is_proved_by_the_root() -> None:
    receipts = [receipt(answer(report=bytes([i])), Asked()) for i in range(5)]
    made = [r for r in receipts if r]
    tree = receipts_tree(made)
    assert len(made) == 5
    assert all(is_proved(tree.root, r.leaf(), tree.proof(r.leaf())) for r in made)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("fault", ["", "stale head"])
@given(latency_ms=st.integers(0, 800))
def test_an_outcome_is_declared_else_wrong_else_slow_in_the_second_half(
    status: Status, fault: str, latency_ms: int
) -> None:
    outcome = outcome_of(status, fault, latency_ms, 800)
    if status is Status.DECLARED:
        assert outcome is Outcome.DECLARED
    elif status is Status.FAILED or fault:
        assert outcome is Outcome.WRONG
    else:
        assert outcome is (Outcome.SLOW if latency_ms > 400 else Outcome.OK)
