"""`stkrp2p provider` and `request`: trade from the command line, on a real chain (R40-R51, R55, R59)."""

from __future__ import annotations

import pytest
import trio

from stkrp2p.adapters.chain.rule.prices import Asset
from stkrp2p.core.policy import Parameter
from stkrp2p.core.types import Epoch
from stkrp2p.core.verdict import Verdict
from testnet import anvil
from tests.adapters.chain_kit import ALICE, BOB, restored, rpc
from tests.adapters.market_kit import (
    ANKR_USD,
    CAROL,
    CHALLENGE_S,
    CHOICE_KIND,
    DAVE,
    DELAY_S,
    ERIN,
    FRANK,
    K_ETH,
    KIND,
    LENGTH_S,
    VALUES,
    MarketNet,
    address_of,
    deploy_all,
    set_price,
)
from tests.cli.stage import Stage, next_of
from tests.cli.trade import EPOCH_S, PARAMS, STARTS_IN_S, open_trade, pass_epoch

pytestmark = pytest.mark.chain

ANKR = 10**18
CAPACITY = ("--cpu", "8", "--ram", "32", "--storage", "2000", "--bandwidth", "200")
FAILING = {"uptime_ppm": 100_000, "reliability_ppm": 50_000}
LENGTH = ("--length", f"{LENGTH_S}s")
NAMES = {ALICE: "alice", BOB: "bob", ERIN: "erin", FRANK: "frank"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """A market with two approved providers, Erin and Frank, and what nodes know of it."""
    log_path = tmp_path_factory.mktemp("anvil") / "anvil.log"

    async def prepare(url):
        deployed, market = await deploy_all(url, started_s_ago=-STARTS_IN_S, params=PARAMS)
        net = MarketNet(url, deployed, market=market)
        return await open_trade(net)

    with anvil.running(anvil.Options(), log_path=log_path) as running:
        trade = trio.run(prepare, running.url)
        trade.net.close()
        yield trade


@pytest.fixture
def trade(opened):
    """The market as it was opened, whatever other tests did."""
    with restored(opened.net.url):
        net = MarketNet(opened.net.url, opened.net.deployed, market=opened.net.market)
        yield type(opened)(net, opened.snapshot, list(opened.epochs))
        net.close()


@pytest.fixture
def stage(trade, tmp_path, run):
    """Alice asks for projects; Bob, Erin and Frank have nodes; everybody's node knows epoch 0."""
    stage = Stage(trade.net, tmp_path, run)
    for key, name in NAMES.items():
        trade.store(stage.config(key, name).parent)
    return stage


def sealed(stage, *types):
    """Open an auction and seal both providers' bids."""
    stage.does(ALICE, "request", "open", *LENGTH, *types)
    stage.does(ERIN, "provider", "bid", 1, "2")
    stage.does(FRANK, "provider", "bid", 1, "2.5")


def revealed(stage, *types):
    sealed(stage, *types)
    stage.net.wait(VALUES[Parameter.COMMIT_S])
    stage.does(ERIN, "provider", "reveal", 1)
    stage.does(FRANK, "provider", "reveal", 1)
    stage.net.wait(VALUES[Parameter.REVEAL_S])


def drawn(trade, stage):
    revealed(stage)
    shown = stage.shows(ALICE, "request", "status", 1)
    stage.net.wait(max(0, shown["draw_due_s"] + 1 - stage.net.now_s()))
    trade.store(stage.config(ALICE).parent, shown["draw_round"])
    return stage.does(ALICE, "request", "draw", 1)


def running(trade, stage):
    drawn(trade, stage)
    stage.does(ALICE, "request", "fund", 1)
    return stage.does(ERIN, "provider", "start", 1)


def doubted_while_down(trade, stage):
    """Doubt the node of deal 1, which is seen down in every epoch from then on."""
    running(trade, stage)
    stage.does(ALICE, "request", "doubt", 1)
    first = next_epoch(stage)
    pass_epoch(stage.net, first)
    trade.anchor_up_to(first, erin={"last_verdict": Verdict.DOWN})
    trade.store(stage.config(ALICE).parent)


def next_epoch(stage):
    """Return the first epoch that begins from now on."""
    since_ms = stage.net.now_s() * 1000 - stage.net.genesis.start_ms(0)
    return since_ms // (EPOCH_S * 1000) + 1


def enact(stage, *proposal):
    """Let both governors pass a proposal, and carry it out."""
    number = next_of(stage.does(CAROL, "gov", "propose", *proposal)).split()[3]
    for key in (CAROL, DAVE):
        stage.does(key, "gov", "vote", number, "yes")
    stage.net.wait(VALUES[Parameter.VOTING_S] + 1)
    stage.does(CAROL, "gov", "close", number)
    stage.net.wait(DELAY_S)
    stage.does(CAROL, "gov", "execute", number)


# ------------------------------------------------------------------------------- stories


def test_somebody_becomes_a_provider_by_the_commands_that_status_names(stage):
    # R44-R46, R26: apply, approval by vote, stake, node.
    assert next_of(stage.does(BOB, "provider", "status")) == "stkrp2p provider apply NAME"
    stage.does(BOB, "provider", "apply", "bob's barn", *CAPACITY, "--price", "90")
    assert "wait: the governors vote on the application" in stage.does(BOB, "provider", "status")
    bob = f"0x{address_of(BOB).hex()}"
    enact(stage, "approve", bob)

    assert next_of(stage.does(BOB, "provider", "status")) == "stkrp2p provider stake 1000"
    stage.does(BOB, "provider", "stake", "1000")
    assert next_of(stage.does(BOB, "provider", "status")).startswith("stkrp2p provider node add")
    stage.does(BOB, "provider", "node", "add", "0x" + "b0" * 32)
    shown = stage.shows(BOB, "provider", "status")
    assert (shown["status"], shown["tier"], shown["k_eth_wei"]) == (
        "approved",
        "untrusted",
        str(VALUES[Parameter.K_ETH_UNTRUSTED]),
    )
    assert [node["chain_node"] for node in shown["nodes"]] == ["0x" + "b0" * 32]
    assert shown["next"].startswith("wait: for a deal to bid on")

    stage.does(BOB, "provider", "update", "--price", "80")
    assert stage.shows(ALICE, "provider", "status", "bob's barn")["price_wei"] == str(80 * ANKR)
    stage.does(BOB, "provider", "node", "remove", 2)
    assert "\n  gets   1,000 ANKR\n" in stage.does(BOB, "provider", "leave")
    assert "not free yet" in stage.tells(BOB, "provider", "withdraw").err
    stage.net.wait(VALUES[Parameter.UNBOND_S] + 1)
    assert next_of(stage.does(BOB, "provider", "status")) == "stkrp2p provider withdraw"
    stage.does(BOB, "provider", "withdraw")


def test_a_deal_goes_from_the_quote_to_the_last_payment(trade, stage):
    # R40, R43, R47, R49-R51, R55
    quoted = stage.shows(ALICE, "request", "quote", *LENGTH)
    bigger = stage.does(ALICE, "request", "quote", *LENGTH, "--cpu", "4.5", "--storage", "2000")
    assert next_of(bigger) == (
        f"stkrp2p request open --type {KIND} --length {LENGTH_S}s --cpu 4.5 --storage 2000"
    )
    sealed(stage)
    assert "wait: bids are sealed until" in stage.does(ALICE, "request", "status")
    stage.net.wait(VALUES[Parameter.COMMIT_S])
    assert next_of(stage.does(ERIN, "provider", "status")) == "stkrp2p provider reveal 1"
    for key in (ERIN, FRANK):
        stage.does(key, "provider", "reveal", 1)
    entries = stage.shows(ALICE, "request", "status", 1)["shortlist"]
    assert [(e["name"], e["price_wei"]) for e in entries] == [("erin", str(2 * ANKR))]

    stage.net.wait(VALUES[Parameter.REVEAL_S])
    shown = stage.shows(ALICE, "request", "status", 1)
    stage.net.wait(max(0, shown["draw_due_s"] + 1 - stage.net.now_s()))
    trade.store(stage.config(ALICE).parent, shown["draw_round"])
    assert next_of(stage.does(ALICE, "request", "draw", 1)) == "stkrp2p request fund 1"
    for key in (ERIN, FRANK):  # the provider, and somebody who has nothing to do with it
        drawn = next_of(stage.does(key, "request", "close", 1))
        assert drawn.startswith("wait: the requester puts its ETH in until ")
    assert next_of(stage.does(FRANK, "provider", "status")) == "stkrp2p provider reclaim 1"
    stage.does(FRANK, "provider", "reclaim", 1)
    assert "  takes  16 ETH\n" in stage.does(ALICE, "request", "fund", 1)
    assert next_of(stage.does(ERIN, "provider", "status")) == "stkrp2p provider start 1"
    assert "next: wait: it runs until" in stage.does(ERIN, "provider", "start", 1)

    early = stage.tells(ALICE, "request", "settle", 1)
    assert (early.code, "nothing is due for deal 1 yet" in early.err) == (1, True)
    stage.net.wait(LENGTH_S + VALUES[Parameter.REVIEW_S])
    assert next_of(stage.does(ALICE, "request", "status", 1)) == "stkrp2p request settle 1"
    settled = stage.does(ALICE, "request", "settle", 1).splitlines()
    assert [line for line in settled if not line.startswith((" ", "next"))] == [
        "split the money of deal 1",
        f"hand the pot 0x{stage.net.market.insurance.hex()} what it is owed",
        f"hand the pot 0x{stage.net.market.rewards.hex()} what it is owed",
        "collect what deals owe the account",
    ]
    assert next_of(stage.does(ERIN, "provider", "status")) == "stkrp2p provider collect"
    due = stage.does(ERIN, "provider", "collect", "--dry-run").splitlines()
    assert due[:2] == ["collect what deals owe the account", "  gets   12 ANKR and 16 ETH"]
    [action] = stage.shows(ERIN, "provider", "collect")["actions"]
    assert action["does"] == "collect what deals owe the account"
    assert action["gets"] == {"ankr_wei": str(12 * ANKR), "eth_wei": str(16 * ANKR)}
    done = stage.shows(ALICE, "request", "status", 1)
    assert (done["state"], done["paid_wei"], done["fp_wei"]) == (
        "completed",
        str(2 * ANKR),
        quoted["fp_wei"],
    )


def test_a_provider_that_fails_is_shown_to_by_its_anchored_score_and_pays(trade, stage):
    # R59, Q12: the requester's own store has the proof.
    running(trade, stage)
    first = next_epoch(stage)
    pass_epoch(stage.net, first)
    trade.anchor_up_to(first, first_bad=first, erin=FAILING)
    stage.net.wait(CHALLENGE_S + 1)
    trade.store(stage.config(ALICE).parent)
    settled = stage.does(ALICE, "request", "settle", 1)
    assert settled.startswith("show by a score that the provider failed deal 1\n")
    assert settled.endswith("next: nothing is left to do\n")
    assert "collect what deals owe the account" in settled
    shown = stage.shows(ALICE, "provider", "status", "erin")
    assert (shown["failures"], shown["running_deals"]) == (1, 0)
    assert shown["disqualified_until_s"] > stage.net.now_s()
    assert stage.shows(ALICE, "request", "status", 1)["state"] == "failed"
    assert "has opened" not in stage.does(ALICE, "request", "status")


def test_of_several_failing_epochs_the_first_is_shown_which_pays_most(trade, stage):
    # R59: the loss counts from the epoch that is shown.
    running(trade, stage)
    first = next_epoch(stage)
    pass_epoch(stage.net, first + 1)
    trade.anchor_up_to(first + 1, first_bad=first, erin=FAILING)
    stage.net.wait(CHALLENGE_S + 1)
    trade.store(stage.config(ALICE).parent)
    stage.does(ALICE, "request", "settle", 1)
    record = stage.ask(lambda chain: chain.deals.deal(1))
    unserved_s = record.ends_at - stage.net.genesis.start_ms(Epoch(first)) // 1000
    loss_wei = record.expected_profit_wei * unserved_s // record.length_s
    owed = stage.shows(ERIN, "provider", "status")["owed"]
    assert owed["eth_wei"] == str(record.k_eth_wei - loss_wei)


def test_a_requester_chooses_a_provider_by_its_name_where_the_rule_lets_it(stage):
    # Q2
    revealed(stage, "--type", CHOICE_KIND)
    assert next_of(stage.does(ALICE, "request", "status", 1)) == (
        "stkrp2p request choose 1 PROVIDER"
    )
    assert "\nchosen until  20" in stage.does(ALICE, "request", "status", 1)
    stranger = stage.tells(ALICE, "request", "choose", 1, "franz")
    assert (stranger.code, 'no approved provider is called "franz"' in stranger.err) == (2, True)
    stage.does(ALICE, "request", "choose", 1, "frank")
    frank = f"0x{address_of(FRANK).hex()}"
    assert stage.shows(ALICE, "request", "status", 1)["provider"] == frank


def test_a_node_that_is_doubted_answers_by_its_anchored_score(trade, stage):
    # R41
    running(trade, stage)
    doubted = stage.shows(ALICE, "request", "doubt", 1)
    assert doubted["actions"][0]["ankr_wei"] == str(VALUES[Parameter.CHALLENGE_BOND])
    assert next_of(stage.does(ERIN, "provider", "status")) == "stkrp2p provider answer 1"
    assert "challenge 1 of node 0: answer it within " in stage.does(ERIN, "provider", "status")
    none_yet = stage.tells(ERIN, "provider", "answer", 1)
    assert "there is no answer to challenge 1 yet" in none_yet.err

    first = next_epoch(stage)
    pass_epoch(stage.net, first)
    trade.anchor_up_to(first)
    trade.store(stage.config(ERIN).parent)
    assert next_of(stage.does(ERIN, "provider", "answer", 1)) == "stkrp2p provider collect"
    stage.does(ERIN, "provider", "collect")
    assert "challenge 1" not in stage.does(ERIN, "provider", "status")


def test_no_bond_is_taken_to_doubt_a_deal_that_does_not_run(stage):
    # R41
    stage.does(ALICE, "request", "open", *LENGTH)
    before = stage.height()
    refused = stage.tells(ALICE, "request", "doubt", 1)
    assert (refused.code, "error: deal 1 does not run" in refused.err) == (1, True)
    assert stage.height() == before


def test_a_node_that_does_not_answer_is_shown_to_be_silent(trade, stage):
    # R41, R59: `settle` shows first that nobody answered, then that the deal failed by that.
    doubted_while_down(trade, stage)
    early = stage.tells(ALICE, "request", "settle", 1)
    assert "it runs or is in review, and no failure is known here" in early.err
    stage.net.wait(VALUES[Parameter.ANSWER_S])
    settled = stage.does(ALICE, "request", "settle", 1)
    assert [line for line in settled.splitlines() if line.startswith("show")] == [
        "show that challenge 1 went unanswered",
        "show by challenge 1 that the provider failed deal 1",
    ]
    assert stage.shows(ALICE, "request", "status", 1)["state"] == "failed"


def test_a_later_challenge_hides_no_silence_before_it(trade, stage):
    # R41: `settle` looks at each challenge of the run, not at the latest alone.
    doubted_while_down(trade, stage)
    stage.net.wait(VALUES[Parameter.ANSWER_S])
    stage.does(FRANK, "request", "doubt", 1)
    settled = stage.does(ALICE, "request", "settle", 1)
    assert [line for line in settled.splitlines() if line.startswith("show")] == [
        "show that challenge 1 went unanswered",
        "show by challenge 1 that the provider failed deal 1",
    ]


def test_a_dispute_is_ruled_by_vote_and_its_loss_is_paid_once_there_is_a_price(trade, stage):
    # R62, Q12
    running(trade, stage)
    disputed = stage.does(ALICE, "request", "dispute", 1, "it answers wrongly")
    assert "next: wait: it is disputed; the governors rule" in disputed
    assert "nothing is due" in stage.tells(ALICE, "request", "settle", 1).err
    trio.run(set_price, stage.net, Asset.ANKR, 0)
    enact(stage, "ruling", 1, "--failed", "--loss", f"{K_ETH // ANKR}.001")

    unpaid = stage.does(ALICE, "request", "settle", 1)
    assert unpaid.startswith("collect what deals owe the account\n")
    assert next_of(unpaid) == "wait: until the prices can be used, stkrp2p request settle 1"
    trio.run(set_price, stage.net, Asset.ANKR, ANKR_USD)
    paid = stage.does(ALICE, "request", "settle", 1)
    assert paid.startswith("pay for the failure of deal 1 out of the provider's ANKR\n")
    shown = stage.shows(ALICE, "request", "status", 1)
    assert (shown["state"], shown["owed_wei"], shown["next"]) == ("failed", "0", "")


def test_a_requester_without_its_eth_is_told_so_and_late_ends_the_deal(trade, stage):
    drawn(trade, stage)
    rpc(stage.net.url, "anvil_setBalance", f"0x{address_of(ALICE).hex()}", hex(15 * 10**18))
    poor = stage.tells(ALICE, "request", "fund", 1)
    assert "error: the account has too little ether\n  why: it cannot pay what the call" in poor.err
    stage.net.wait(VALUES[Parameter.FUND_S] + 1)
    assert stage.does(ERIN, "request", "settle", 1).startswith("end deal 1: its time to start")
    assert stage.shows(ERIN, "request", "status", 1)["state"] == "abandoned"


# ------------------------------------------------------------------------------- rules of all


def test_a_requester_sees_what_each_provider_has_asks_and_was_scored(stage):
    # R48
    shown = stage.shows(ALICE, "request", "providers", *LENGTH)
    assert int(shown["expected_profit_wei"]) > 0
    assert [p["name"] for p in shown["providers"]] == ["erin", "frank"]
    erin = shown["providers"][0]
    assert (erin["price_wei"], erin["capacity"]["cpu_milli"], erin["failures"]) == (
        str(100 * ANKR),
        8_000,
        0,
    )
    [node] = erin["nodes"]
    assert (node["uptime_ppm"], node["reliability_ppm"]) == (990_000, 900_000)
    text = stage.does(ALICE, "request", "providers")
    assert "  0     free  99.00 %      90.00 %" in text.splitlines()
    assert "has 8 cores, 32 GB RAM, 2,000 GB disk, 200 Mbps" in text


def test_dry_runs_send_nothing(trade, stage):
    before = stage.height()
    shown = stage.shows(ALICE, "request", "open", *LENGTH, "--dry-run")
    [action] = shown["actions"]
    assert [t["what"] for t in action["transactions"]] == ["TestAnkr.approve", "Market.open"]
    assert stage.height() == before
    stage.does(ALICE, "request", "open", *LENGTH)
    before = stage.height()
    assert stage.does(ERIN, "provider", "bid", 1, "2", "--dry-run").endswith("nothing was sent\n")
    assert stage.height() == before


def test_what_was_done_is_not_sent_again(stage):
    sealed(stage)
    before = stage.height()
    assert "not sent, deal 1 is open for the same project" in stage.does(
        ALICE, "request", "open", *LENGTH
    )
    assert "not sent, this bid is sealed" in stage.does(ERIN, "provider", "bid", 1, "2")
    assert stage.does(ERIN, "provider", "collect").startswith("nothing is due\n")
    assert stage.height() == before


def test_an_auction_without_bids_is_closed_and_paid_back(stage):
    stage.does(ALICE, "request", "open", *LENGTH)
    assert next_of(stage.does(ALICE, "request", "close", 1)) == "stkrp2p request settle 1"
    settled = stage.does(ALICE, "request", "settle", 1)
    assert settled.startswith("collect what the market owes the account\n")


@pytest.mark.parametrize(
    ("key", "arguments", "code", "said"),
    [
        (ERIN, ("provider", "bid", 1, "2"), 1, "there is no deal 1"),
        (ERIN, ("provider", "reveal", 9), 1, "there is no deal 9"),
        (ALICE, ("request", "settle", 1), 1, "none was opened yet"),
        (ERIN, ("provider", "apply", "x"), 2, "missing --cpu, --ram, --storage, --bandwidth"),
        (ERIN, ("provider", "node", "add", "0x12"), 2, "a blockchain node's id has 64 hex digits"),
        (ALICE, ("request", "quote", "--length", "soon"), 2, "soon is no time such as"),
        (ALICE, ("request", "quote", "--length", "366d"), 2, "a project lasts from 1 s to 365 d"),
        (ALICE, ("request", "open", "--length", "0s"), 2, "a project lasts from 1 s to 365 d"),
        (ALICE, ("request", "quote", "--cpu", "5000000"), 2, "more than the contracts can count"),
        (ALICE, ("request", "quote", "--type", 9), 1, "no projects of this type are taken"),
        (ALICE, ("request", "open", *LENGTH, "--max", "0.1"), 1, "raise the most to pay"),
        (ALICE, ("provider", "status", f"0x{'11' * 20}"), 1, "never applied as a provider"),
        (BOB, ("provider", "stake", "5"), 1, "the account is not where this needs it"),
    ],
)
def test_a_refusal_says_what_and_why(stage, key, arguments, code, said):
    ran = stage.tells(key, *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in " ".join(ran.err.split())


def test_a_bid_above_the_fixed_price_or_kept_elsewhere_is_refused(trade, stage, tmp_path, run):
    stage.does(ALICE, "request", "open", *LENGTH)
    high = stage.tells(ERIN, "provider", "bid", 1, "1000000")
    assert (high.code, "the bid is above the deal's fixed price" in high.err) == (2, True)
    stage.does(ERIN, "provider", "bid", 1, "2")
    stage.net.wait(VALUES[Parameter.COMMIT_S])
    (tmp_path / "elsewhere").mkdir()
    elsewhere = Stage(stage.net, tmp_path / "elsewhere", run)
    trade.store(elsewhere.config(ERIN, "erin").parent)
    lost = elsewhere.tells(ERIN, "provider", "reveal", 1)
    assert "the bid for deal 1 is not kept here" in lost.err
    assert "sealed no bid for deal 1" in stage.tells(FRANK, "provider", "reveal", 1).err
