"""Errors of peers carry a word of the specification."""

from stkrp2p.core.types import Judgement, Outcome, ProtocolError


def test_a_protocol_error_says_its_reason_and_detail() -> None:
    error = ProtocolError("early", "round 5")
    assert (error.reason, error.detail, str(error)) == ("early", "round 5", "early: round 5")
    assert str(ProtocolError("late")) == "late"


def test_judgements_are_their_own_words() -> None:
    assert [str(j) for j in Judgement] == ["accept", "ignore", "reject"]


def test_outcomes_are_the_bytes_0_to_5() -> None:
    assert bytes(Outcome) == bytes(range(6))
