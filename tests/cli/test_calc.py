"""What a deal brings each party, from numbers on the command line and nothing else (R67)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from stkrp2p.cli.amounts import shown, signed
from stkrp2p.cli.calc import EXAMPLES, PARTIES
from stkrp2p.core.economics import UNIT
from tests.cli.test_scores import fits

PRICES = ("--ankr-usd", "0.01", "--eth-usd", "400")


def wei(pair: dict[str, str]) -> tuple[int, int]:
    return int(pair["ankr_wei"]), int(pair["eth_wei"])


def items(document: dict, party: str) -> dict[str, tuple[int, int]]:
    return {i["name"]: wei(i) for i in document["parties"][party]["items"]}


# ------------------------------------------------------------------------------- the examples


@pytest.mark.parametrize(
    ("rule", "provider", "requester"), [("first_price", 60, 260), ("vickrey", 70, 250)]
)
def test_section_3_5_is_split_as_the_white_paper_says(run, rule, provider, requester):
    """R58, Q1."""
    document = run("calc", "--example", "3.5", "--rule", rule, "--json").json()
    assert document["schema"] == "calc/1"
    assert {name: wei(pair) for name, pair in document["split"].items()} == {
        "provider": (provider * UNIT, 0),
        "reward_pool": (40 * UNIT, 0),
        "insurance_pool": (40 * UNIT, 0),
        "requester": (requester * UNIT, 0),
    }
    assert wei(document["parties"]["requester"]["total"]) == ((requester - 100) * UNIT, 0)


def test_section_5_1_is_3_eth_less_1_500_ankr_before_the_pools(run):
    """R67."""
    document = run("calc", "requester", "--example", "5.1", "--json").json()
    found = items(document, "requester")
    assert found["profit of the project"] == (0, 3 * UNIT)
    assert found["price of the provider"] == (-1_500 * UNIT, 0)
    assert list(document["parties"]) == ["requester"]


def test_section_5_1_without_pools_is_exactly_that(run):
    """R67."""
    none = ("--reward-bps", "0", "--insurance-bps", "0")
    document = run("calc", "requester", "--example", "5.1", *none, "--json").json()
    assert wei(document["parties"]["requester"]["total"]) == (-1_500 * UNIT, 3 * UNIT)


def test_an_examples_numbers_give_way_to_what_stands_on_the_line(run):
    document = run("calc", "--example", "3.5", "--bid", "80", "--hours", "7", "--json").json()
    assert document["bids_ankr_wei"] == [str(80 * UNIT)]
    assert document["hours"] == 7
    assert document["fixed_price_ankr_wei"] == str(100 * UNIT)


# ------------------------------------------------------------------------------- for people


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_table_names_every_party_and_fits(run, example):
    ran = run("calc", "--example", example)
    assert (ran.code, ran.err) == (0, "")
    assert fits(ran.out)
    assert "…" not in ran.out
    for party in PARTIES:
        assert f"\n{party} " in ran.out
    assert ran.out.splitlines()[-1] == "next: stkrp2p request quote"


def test_the_largest_amounts_fit_too(run):
    most = "999999999999.123456789"
    ran = run(
        "calc",
        "--fixed",
        most,
        "--profit",
        most,
        "--profit-eth",
        most,
        "--eth-stake",
        most,
        *PRICES,
    )
    assert fits(ran.out)
    assert "…" not in ran.out


def test_one_party_is_told_what_to_do_next(run):
    ran = run("calc", "provider", "--example", "3.5", "--running", "7")
    assert ran.out.splitlines()[-5:] == [
        "provider  price paid by the requester   +60    0",
        "          running the machine            -7    0",
        "          total                         +53    0",
        "",
        "next: stkrp2p provider apply NAME",
    ]


@given(st.integers(-(10**30), 10**30))
@settings(max_examples=50)
def test_an_amount_for_people_is_cut_off_towards_0(amount):
    text = shown(amount).replace(",", "")
    whole, _, part = text.lstrip("-").partition(".")
    cut = int(whole + part.ljust(6, "0"))
    assert cut == abs(amount) // 10**12
    assert text.startswith("-") == (amount < 0 and cut > 0)
    assert signed(amount).startswith("+") == (amount > 0 and cut > 0)


# ------------------------------------------------------------------------------- the numbers


def test_a_fixed_price_and_an_expected_profit_follow_from_need_and_stake(run):
    """R47: 100 hours of 0.5 cores and 8 GB at 0.02 and 0.003 USD, at 0.01 USD an ANKR."""
    need = ("--hours", "100", "--cpu", "0.5", "--ram", "8", "--storage", "0")
    document = run("calc", *need, *PRICES, "--json").json()
    assert document["fixed_price_ankr_wei"] == str(340 * UNIT)
    expected = 32 * UNIT * 300 * 100 // (10_000 * 8_760)
    assert document["expected_profit_eth_wei"] == str(expected)
    assert wei(document["profit"]) == (0, expected)


def test_amounts_are_read_to_the_last_unit(run):
    fixed = "123456789012.123456789012345678"
    document = run("calc", "--fixed", fixed, "--profit-eth", "0", "--json").json()
    assert document["fixed_price_ankr_wei"] == fixed.replace(".", "")


def test_each_partys_part_of_the_rewards_is_by_seat_stake_and_eth(run):
    """R54, R67: of 40 ANKR in the pool."""
    given_ = ("--example", "3.5", "--eth-stake", "32", "--k-eth", "8", "--governors", "3")
    stakes = ("--stake", "1", "--all-stake", "4")
    document = run("calc", *given_, *stakes, "--json").json()
    projects = "from the projects' part of rewards"
    assert items(document, "requester")[projects] == (12 * UNIT, 0)
    assert items(document, "provider")[projects] == (4 * UNIT, 0)
    assert items(document, "governor")["from the governors' part of rewards"] == (4 * UNIT, 0)
    assert items(document, "staker")["from the stakers' part of rewards"] == (2 * UNIT, 0)


def test_a_stake_costs_what_it_would_yield_elsewhere(run):
    """R67: 1,000 ANKR and 24 + 8 ETH for a year at 5 %."""
    year = ("--hours", "8760", "--fixed", "100", "--bid", "10", "--profit-eth", "0", "--k-eth", "8")
    document = run("calc", *year, "--stake", "1000", "--yield-bps", "500", "--json").json()
    name = "yield forgone on the stake"
    assert items(document, "requester")[name] == (0, -12 * UNIT // 10)
    assert items(document, "provider")[name] == (-50 * UNIT, -4 * UNIT // 10)
    assert items(document, "governor")[name] == (-50 * UNIT, 0)
    assert items(document, "staker")[name] == (-50 * UNIT, 0)


# ------------------------------------------------------------------------------- failures

HALF = ("--hours", "8760", "--fails-after", "4380", "--fixed", "500")
"""A year at 3 % of 32 ETH, of which half is not served: 0.48 ETH are lost."""


def test_of_a_deal_that_fails_all_goes_back_and_the_loss_is_paid_in_its_order(run):
    """R59, R67, Q12: 0.1 ETH of the provider, 10,000 ANKR worth 0.25, 0.1 of the pool."""
    purse = ("--k-eth", "0.1", "--stake", "10000", "--insurance", "0.1")
    document = run("calc", *HALF, *purse, *PRICES, "--json").json()
    assert document["failed"] == {
        "after_hours": 4380,
        "loss_eth_wei": str(48 * UNIT // 100),
        "provider": {"ankr_wei": str(10_000 * UNIT), "eth_wei": str(UNIT // 10)},
        "insurance_eth_wei": str(UNIT // 10),
        "uncovered_eth_wei": str(3 * UNIT // 100),
    }
    assert wei(document["split"]["requester"]) == (500 * UNIT, 48 * UNIT // 100)
    totals = {name: wei(party["total"]) for name, party in document["parties"].items()}
    assert totals == {
        "requester": (10_000 * UNIT, (48 + 10 + 10) * UNIT // 100),
        "provider": (-10_000 * UNIT, -UNIT // 10),
        "governor": (0, 0),
        "staker": (0, 0),
    }


def test_what_nobody_pays_is_said(run):
    """Q12."""
    ran = run("calc", *HALF, *PRICES)
    line = "fails            after 4,380 hours; the loss is 0.48 ETH, 0.48 of it paid by nobody"
    assert line in ran.out.splitlines()
    assert fits(ran.out)


def test_a_loss_within_the_providers_eth_needs_no_price(run):
    """Q12."""
    ran = run("calc", *HALF, "--k-eth", "16")
    assert "fails            after 4,380 hours; the loss is 0.48 ETH" in ran.out.splitlines()
    assert ran.code == 0


def test_a_deal_that_completes_has_not_failed(run):
    assert run("calc", "--example", "3.5", "--json").json()["failed"] is None


# ------------------------------------------------------------------------------- refusals

REFUSED = {
    "there is no fixed price": (),
    "a bid is above the fixed price": ("--fixed", "5", "--bid", "6"),
    "the provider brings more ETH than is staked": ("--fixed", "5", "--k-eth", "33"),
    "the pools take more than there is": ("--fixed", "5", "--reward-bps", "9001"),
    "the price of ETH in ANKR is needed": ("--fixed", "5"),
    "it fails after its end": ("--fixed", "5", "--hours", "9", "--fails-after", "10"),
    "one ETH costs less than the smallest unit of ANKR": (
        *("--fixed", "5", "--profit-eth", "1"),
        *("--eth-usd", "0.000000000000000001", "--ankr-usd", "999999999999"),
    ),
    "a staker's part of --all-stake is needed": ("--example", "3.5", "--all-stake", "9"),
}


@pytest.mark.parametrize(("what", "options"), REFUSED.items(), ids=REFUSED)
def test_numbers_that_do_not_go_together_are_refused_with_what_to_do(run, what, options):
    ran = run("calc", *options)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: {what}\n")
    assert "\n  next: " in ran.err


def test_a_refusal_is_json_where_json_was_asked_for(run):
    """Q10: no price is guessed."""
    error = run("calc", "--json").json()["error"]
    assert error["what"] == "there is no fixed price"
    assert error["why"] == "the tariff is in USD, and no price of ANKR is guessed"
    assert error["exit_code"] == 2


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".5", "-1", "1e3", "1,5", "0." + "1" * 19, "1" * 13, "\u0661", "NaN"],
)
def test_what_is_no_decimal_number_is_refused(run, text):
    ran = run("calc", f"--fixed={text}")
    assert ran.code == 2
    assert f"{text} is no amount of ANKR with at most 18 decimals" in ran.err


def test_a_loss_that_the_providers_eth_cannot_pay_needs_a_price(run):
    """Q10, Q12."""
    ran = run("calc", *HALF)
    assert ran.code == 2
    assert "the loss is more than the provider's ETH, the rest is taken in ANKR" in ran.err


def test_a_price_of_0_is_refused(run):
    """Q10."""
    assert run("calc", "--ankr-usd", "0").code == 2
