"""Every refusal of rule and market is a sentence that says what to do."""

from __future__ import annotations

from stkrp2p.adapters.artifacts import load
from stkrp2p.adapters.chain.rule.reasons import REASONS, advice_of, reason_of
from stkrp2p.adapters.chain.wallet import OUT_OF_GAS, Rejected

CONTRACTS = (
    "Council",
    "Deals",
    "Market",
    "Policy",
    "Pot",
    "Prices",
    "Providers",
    "TestAnkr",
    "TestFeed",
    "Timelock",
    "VoterRewards",
)


def errors() -> set[str]:
    return {e["name"] for name in CONTRACTS for e in load(name).abi if e["type"] == "error"}


def test_each_error_of_the_contracts_has_a_sentence_and_no_other_has() -> None:
    assert sorted(REASONS) == sorted(errors() | {OUT_OF_GAS})


def test_a_sentence_fits_a_line_and_is_none_of_its_errors_name() -> None:
    for name, sentence in REASONS.items():
        assert 10 < len(sentence) <= 95, name
        assert name not in sentence
        assert sentence[0].islower() or sentence.startswith(("ETH", "ANKR")), name
        assert not sentence.endswith("."), name


def test_a_refusal_is_told_with_the_rule_and_its_values() -> None:
    error = Rejected("FixedPriceAbove", "FixedPriceAbove(7, 5)")
    expected = "the price rose above what you allow: raise the most to pay (FixedPriceAbove(7, 5))"
    assert reason_of(error) == expected


def test_what_no_contract_of_ours_says_is_told_as_it_is() -> None:
    assert reason_of(Rejected("", "execution reverted")) == "execution reverted"


def test_the_command_that_helps_is_told_apart_from_why() -> None:
    plain = Rejected("AlreadySeated", "AlreadySeated(0x01)")
    assert advice_of(plain) == ("the account sits in the council already (AlreadySeated(0x01))", "")
    error = Rejected("ElectionNotOpen", "ElectionNotOpen(3)")
    assert advice_of(error) == (
        "this election is not open (ElectionNotOpen(3))",
        "stkrp2p gov status",
    )
    assert reason_of(error) == "this election is not open (ElectionNotOpen(3)): stkrp2p gov status"
