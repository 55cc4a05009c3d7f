"""`stkrp2p gov`: governing from the command line, on a real chain (R13, R15-R18, R20, Q8, Q21)."""

from __future__ import annotations

import pytest

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.cli.gov_values import parameter, seconds, value_of
from stkrp2p.core.policy import Parameter
from tests.adapters.chain_kit import rpc
from tests.adapters.conftest import market_deployed, market_net  # noqa: F401  - fixtures
from tests.adapters.market_kit import (
    CAROL,
    DAVE,
    DELAY_S,
    ERIN,
    VALUES,
    YEAR_S,
    address_of,
    rich,
)
from tests.cli.stage import Stage, next_of

pytestmark = pytest.mark.chain

STAKE = VALUES[Parameter.GOVERNOR_STAKE_MIN]
VOTING_S = VALUES[Parameter.VOTING_S]
TYPE = ("project-type", 1, "--reliability", "50%", "--uptime", "99.5%")


@pytest.fixture
def stage(market_net, tmp_path, run):  # noqa: F811
    stage = Stage(market_net, tmp_path, run)
    rich(market_net, CAROL, DAVE, ERIN)
    stage.config(CAROL, "carol")
    stage.config(DAVE, "dave")
    return stage


@pytest.fixture
def seated(stage):
    for key in (CAROL, DAVE):
        stage.does(key, "gov", "accept")
    return stage


def test_a_parameter_goes_from_the_invitation_to_its_new_value(stage):
    # R15, R17, R20: every step is the one that the command before, or `gov status`, names.
    assert next_of(stage.does(CAROL, "gov", "status")) == "stkrp2p gov accept"
    said = stage.does(CAROL, "gov", "accept").splitlines()
    assert said[0] == "stake in the council's elections and referenda"
    assert said[1] == f"  takes  {STAKE // 10**18:,} ANKR"
    assert said[2].startswith("  gas    at most ")
    assert said[3].startswith("  sent   0x")
    stage.does(DAVE, "gov", "accept")

    proposed = stage.does(CAROL, "gov", "propose", "parameter", "bidbond", "5")
    assert proposed.startswith("open a proposal: set BidBond to 5 ANKR\n")
    assert next_of(proposed) == "stkrp2p gov vote 1 yes"
    status = stage.does(DAVE, "gov", "status")
    assert "  calls Policy.set(BidBond, 5 ANKR)\n" in status
    assert next_of(status) == "stkrp2p gov vote 1 CHOICE"
    for key in (CAROL, DAVE):
        voted = stage.does(key, "gov", "vote", 1, "yes").splitlines()
        assert voted[:3] == [
            "vote yes on proposal 1",
            "  says   set BidBond to 5 ANKR",
            "  calls  Policy.set(BidBond, 5 ANKR)",
        ]
    assert "next: wait: the vote on proposal 1 ends" in stage.does(CAROL, "gov", "status")

    stage.net.wait(VOTING_S + 1)
    assert next_of(stage.does(CAROL, "gov", "status")) == "stkrp2p gov close 1"
    assert next_of(stage.does(CAROL, "gov", "close", 1)) == "stkrp2p gov execute 1"
    early = stage.tells(CAROL, "gov", "execute", 1)
    assert early.code == 1
    assert "why: the timelock's delay ends 20" in early.err

    stage.net.wait(DELAY_S)
    assert next_of(stage.does(ERIN, "gov", "status")) == "stkrp2p gov execute 1"
    executed = stage.does(ERIN, "gov", "execute", 1)
    assert "\n  calls  Policy.set(BidBond, 5 ANKR)\n" in executed
    assert stage.ask(lambda chain: chain.policy.get(Parameter.BID_BOND)) == 5 * 10**18
    [motion] = stage.shows(CAROL, "gov", "list")["proposals"]
    assert (motion["state"], motion["votes"]) == ("executed", {"yes": 2, "no": 0, "abstain": 0})
    assert motion["calls"] == [f"Policy.set({int(Parameter.BID_BOND)}, {5 * 10**18})"]


def test_what_became_of_a_proposal_that_did_not_pass_is_where_the_hint_says(seated):
    seated.does(CAROL, "gov", "propose", "parameter", "BidBond", "5")
    seated.net.wait(VOTING_S + 1)
    assert next_of(seated.does(CAROL, "gov", "close", 1)) == "stkrp2p gov list"
    assert "  rejected: 0 yes, 0 no, 0 abstain\n" in seated.does(CAROL, "gov", "list")
    refused = seated.tells(CAROL, "gov", "execute", 1)
    assert (refused.code, "next: stkrp2p gov list" in refused.err) == (1, True)


def test_a_decision_that_nobody_executes_in_time_expires(seated):
    seated.does(CAROL, "gov", "propose", "parameter", "BidBond", "5")
    for key in (CAROL, DAVE):
        seated.does(key, "gov", "vote", 1, "yes")
    seated.net.wait(VOTING_S + 1)
    seated.does(CAROL, "gov", "close", 1)
    seated.net.wait(DELAY_S + 14 * 86_400)
    [motion] = seated.shows(CAROL, "gov", "list")["proposals"]
    assert motion["state"] == "expired"
    refused = seated.tells(CAROL, "gov", "execute", 1)
    assert "its time to be executed is over" in refused.err


def test_a_governor_slashed_for_absence_is_told_to_stake_before_it_can_vote(seated):
    # Q8
    for number in range(1, VALUES[Parameter.MISSED_VOTES_MAX] + 1):
        seated.does(DAVE, "gov", "propose", "matter", f"matter {number}")
        seated.does(DAVE, "gov", "vote", number, "yes")
        seated.net.wait(VOTING_S + 1)
        seated.does(DAVE, "gov", "close", number)
    seated.does(DAVE, "gov", "propose", "matter", "the last one")
    refused = seated.tells(CAROL, "gov", "vote", number + 1, "yes")
    assert "the stake is below what a seat asks" in refused.err
    step = next_of(seated.does(CAROL, "gov", "status"))
    assert step == f"stkrp2p gov stake {STAKE // 10**18}"
    seated.does(CAROL, *step.split()[1:])
    assert next_of(seated.does(CAROL, "gov", "status")) == f"stkrp2p gov vote {number + 1} CHOICE"


def test_a_dry_run_says_what_it_would_cost_and_changes_nothing(stage):
    before = stage.height()
    said = stage.does(CAROL, "gov", "accept", "--dry-run").splitlines()
    assert said[-2:] == [
        "what follows, and its cost, is known once that is mined",
        "nothing was sent",
    ]
    shown = stage.shows(CAROL, "gov", "accept", "--dry-run")
    assert (shown["schema"], shown["is_dry_run"], shown["is_whole"]) == ("action/1", True, False)
    [action] = shown["actions"]
    assert (action["ankr_wei"], action["eth_wei"]) == (str(STAKE), "0")
    assert [(t["what"], t["transaction"]) for t in action["transactions"]] == [
        ("TestAnkr.approve", None),
        ("Council.stake", None),
    ]
    assert int(action["cost_wei_max"]) > 0
    assert stage.height() == before


def test_what_was_done_is_not_sent_again(seated):
    before = seated.height()
    again = seated.does(CAROL, "gov", "accept")
    assert again.startswith("take the seat that the account was invited to: not sent, ")
    [action] = seated.shows(CAROL, "gov", "accept")["actions"]
    assert (action["done"], action["transactions"]) == ("the account sits in the council", [])
    assert seated.height() == before


def test_a_refusal_names_its_rule_and_what_to_do(seated):
    ran = seated.tells(ERIN, "gov", "accept", "--json")
    assert ran.code == 1
    refused = seated.tells(ERIN, "gov", "propose", "matter", "shall we?")
    assert (refused.code, refused.out) == (1, "")
    assert "error: the contract refuses\n  why: only who sits in the council may (NotGovernor" in (
        refused.err
    )


def test_a_referendum_is_put_to_the_stakers_too(seated):
    # R13, Q21
    seated.does(ERIN, "gov", "stake", "1000")
    seated.net.wait(1)
    said = seated.does(
        CAROL, "gov", "propose", "matter", "shall we meet?", "--referendum", "--summary", "meet"
    )
    assert said.startswith("open a referendum: meet\n")
    seated.does(ERIN, "gov", "vote", 1, "no", "--as-staker")
    seated.does(CAROL, "gov", "vote", 1, "abstain")
    [motion] = seated.shows(ERIN, "gov", "status")["proposals"]
    assert motion["stakers_wei"] == {"yes": "0", "no": str(1_000 * 10**18)}
    assert motion["votes"] == {"yes": 0, "no": 0, "abstain": 1}
    governor_only = seated.tells(ERIN, "gov", "claim", motion["ballot"])
    assert governor_only.code == 0
    assert "not sent, there is nothing to claim" in governor_only.out

    seated.does(ERIN, "gov", "unstake", "400")
    early = seated.tells(ERIN, "gov", "withdraw")
    assert "the stake is not free yet" in early.err
    assert seated.shows(ERIN, "gov", "status")["account"]["leaving_wei"] == str(600 * 10**18)


def test_an_election_is_opened_stood_in_backed_and_closed(seated):
    # R17, R18, Q22
    seated.does(ERIN, "gov", "stake", STAKE // 10**18)
    early = seated.tells(ERIN, "gov", "elect", "open")
    assert "no election is due yet" in early.err
    nobody = seated.tells(ERIN, "gov", "elect", "stand")
    assert "error: no election is open" in nobody.err

    seated.net.wait(YEAR_S)
    assert next_of(seated.does(ERIN, "gov", "status")) == "stkrp2p gov elect open"
    seated.does(ERIN, "gov", "elect", "open")
    seated.does(ERIN, "gov", "elect", "stand")
    erin = f"0x{address_of(ERIN).hex()}"
    seated.does(CAROL, "gov", "elect", "back", erin)
    election = seated.shows(ERIN, "gov", "status")["election"]
    assert (election["election"], election["candidates"]) == (1, 1)
    seated.net.wait(VALUES[Parameter.ELECTION_S] + 1)
    assert next_of(seated.does(CAROL, "gov", "status")) == "stkrp2p gov elect close"
    seated.does(CAROL, "gov", "elect", "close")
    shown = seated.shows(ERIN, "gov", "status")
    assert [seat["account"] for seat in shown["seats"]][-1] == erin
    assert (shown["phase"], shown["account"]["is_governor"]) == (2, True)


def test_every_kind_of_proposal_is_told_as_it_is_called_and_in_names_and_units(seated):
    deals = f"0x{seated.net.market.deals.hex()}"
    kinds = [
        (
            (*TYPE, "--cpu", "0.5", "--ram", "2", "--storage", "10", "--bandwidth", "5"),
            "Policy.setProjectType(1, (True, 0, 3, 500000, 995000, 0, 32000000000000000000, "
            "(500, 2000, 10, 5)))",
            "Policy.setProjectType(1, taken, first_price of the 3 lowest, reliability 50.00 %, "
            "uptime 99.50 %, failures 0, stake 32 ETH, "
            "needs 0.5 cores, 2 GB RAM, 10 GB disk, 5 Mbps)",
        ),
        (
            ("ruling", 7, "--failed", "--loss", "0.5"),
            "Deals.rule(7, (0, True, 500000000000000000))",
            "Deals.rule(7, disputed at 0, failed, loss 0.5 ETH)",
        ),
        (
            ("ruling", 7, "--not-failed"),
            "Deals.rule(7, (0, False, 0))",
            "Deals.rule(7, disputed at 0, not failed)",
        ),
        (("cancel", 7), "Deals.cancel(7)", "Deals.cancel(7)"),
        (
            ("distribution", "40", "30", "20", "10"),
            "Policy.setDistribution((4000, 3000, 2000, 1000))",
            "Policy.setDistribution(40.00 % governance, 30.00 % providers and requesters, "
            "20.00 % stakers, 10.00 % development)",
        ),
        (
            ("scoring", 2, "0x" + "5c" * 32),
            f"Policy.setScoring(2, 0x{'5c' * 32})",
            f"Policy.setScoring(2, 0x{'5c' * 32})",
        ),
        (("delay", "20min"), "Timelock.updateDelay(1200)", "Timelock.updateDelay(20 min)"),
        (
            ("tier", deals, "trusted"),
            f"Providers.setTier({deals}, 2, 0)",
            f"Providers.setTier({deals}, trusted, 0 ETH)",
        ),
        (("revoke", deals), f"Providers.revoke({deals})", f"Providers.revoke({deals})"),
        (
            ("release", deals, "--ankr", "5"),
            f"Pot.release({5 * 10**18}, 0, {deals})",
            f"Pot.release(5 ANKR, 0 ETH, {deals})",
        ),
        (
            ("call", deals, "0xdeadbeef", "--value", "1"),
            f"{deals}: 0xdeadbeef with {10**18} wei",
            f"{deals}: 0xdeadbeef with {10**18} wei",
        ),
    ]
    for number, (arguments, call, words) in enumerate(kinds, start=1):
        seated.does(CAROL, "gov", "propose", *arguments)
        motion = seated.shows(CAROL, "gov", "list")["proposals"][-1]
        assert (motion["proposal"], motion["calls"]) == (number, [call])
        listed = " ".join(seated.does(CAROL, "gov", "list").split())
        assert f"proposal {number}: " in listed
        assert listed.endswith(f" calls {words}")
        for key in (CAROL, DAVE):
            seated.does(key, "gov", "vote", number, "abstain")
        seated.net.wait(VOTING_S + 1)
        seated.does(CAROL, "gov", "close", number)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("parameter", "BidBonds", "5"), "no parameter is called BidBonds; did you mean BidBond?"),
        (
            ("parameter", "BidBond", "0.5"),
            "BidBond must be from 1 ANKR to 10,000 ANKR, got 0.5 ANKR",
        ),
        (("parameter", "RewardBps", "60%"), "must be from 0.00 % to 50.00 %, got 60.00 %"),
        (("parameter", "BidBond", "1e3"), "1e3 is no amount of ANKR"),
        (("parameter", "CommitS", "soon"), "soon is no time such as 90s, 15min, 2h or 7d"),
        (("approve", "erin"), "erin is no address: 0x and 40 hex digits"),
        (("approve", "0x" + "11" * 20, "--tier", "semi_trusted"), "brings some ETH: --k-eth"),
        (("ruling", "7", "--not-failed", "--loss", "1"), "a loss is for --failed"),
        (("distribution", "40", "30", "20", "9"), "the shares add up to 99.00 %"),
        (("scoring", "2", "0x12"), "a hash has 64 hex digits"),
        (("release", "0x" + "11" * 20), "missing --ankr or --eth"),
        (("call", "0x" + "11" * 20, "0x123"), "is no data: 0x and pairs of hex digits"),
    ],
)
def test_a_proposal_that_is_written_wrongly_is_refused_before_anything_is_asked(
    run, arguments, said
):
    ran = run("gov", "propose", *arguments)
    assert ran.code == 2
    assert said in " ".join(ran.err.split())


def test_a_summary_that_is_no_text_neither_hides_a_proposal_nor_moves_the_cursor(seated):
    # A governor may write any bytes: the others still see what it calls, and can close it.
    council = f"0x{seated.net.market.council.hex()}"
    is_referendum = False
    data = interface("Council").call("propose", [], is_referendum, "shall\x1b[2J ?")
    call = {"from": f"0x{address_of(CAROL).hex()}", "to": council}
    raw = data.replace(b"?", b"\xff")
    rpc(seated.net.url, "eth_sendTransaction", call | {"data": f"0x{raw.hex()}"})
    assert "proposal 1: shall\ufffd[2J \ufffd\n" in seated.does(DAVE, "gov", "status")
    seated.net.wait(VOTING_S + 1)
    seated.does(DAVE, "gov", "close", 1)


def test_an_account_without_ether_is_told_so_before_anything_is_sent(stage):
    account = f"0x{address_of(CAROL).hex()}"
    rpc(stage.net.url, "anvil_setBalance", account, hex(10**12))
    before = stage.height()
    ran = stage.tells(CAROL, "gov", "stake", "1")
    assert ran.code == 1
    assert "error: the account has too little ether\n  why: it may take 0.0" in ran.err
    assert stage.height() == before


def test_an_account_without_ankr_is_told_so_by_the_tokens_own_rule(stage):
    ran = stage.tells(CAROL, "gov", "stake", "5000000")
    assert ran.code == 1
    assert "the account has too little ANKR: send some to it" in ran.err


def test_anybody_pokes_the_prices(stage):
    said = stage.does(ERIN, "gov", "poke").splitlines()
    assert said[0] == "look at both feeds and move the reference prices"
    assert said[-1] == "next: nothing is left to do"


def test_who_did_not_apply_cannot_be_approved(seated):
    ran = seated.tells(CAROL, "gov", "propose", "approve", "0x" + "11" * 20)
    assert ran.code == 1
    assert "has no open application\n  why: its status is none" in ran.err


def test_on_a_terminal_it_asks_before_it_sends(stage, monkeypatch):
    monkeypatch.setattr("stkrp2p.cli.acting.is_terminal", lambda: True)
    before = stage.height()
    ran = stage.tells(CAROL, "gov", "stake", "1")
    assert ran.code == 1
    assert "send it? [y/N]" in ran.err
    assert stage.height() == before
    stage.does(CAROL, "gov", "stake", "1", "--yes")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RewardBps", "12.5%", 1_250),
        ("rewardbps", "10", 1_000),
        ("FailBelowPpm", "94.9999%", 949_999),
        ("UsdPerCoreHour", "0.02", 2 * 10**16),
        ("CouncilN", "3", 3),
        ("CommitS", "15min", 900),
    ],
)
def test_values_are_read_in_the_units_in_which_the_policy_shows_them(name, text, value):
    assert value_of(parameter(name), text) == value


def test_a_time_is_given_in_seconds_minutes_hours_or_days():
    assert [seconds(t) for t in ("90", "90s", "2min", "3 h", "1d")] == [90, 90, 120, 10_800, 86_400]
