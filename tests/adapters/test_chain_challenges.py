"""Voids, challenges and bonds through the chain adapter, on a real anvil."""

from dataclasses import replace

import msgspec
import pytest
import trio

from stkrp2p.adapters.chain import Rejected, Web3Chain
from stkrp2p.adapters.chain.challenges import BURNT, Policy
from stkrp2p.adapters.chain.ledger import AnchorLedger, Event, LogsMissing
from stkrp2p.adapters.deploy import ANKR
from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import Anchored, Challenge, challenge_of
from stkrp2p.core.merkle import Tree
from stkrp2p.core.params import MAINNET
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, Operator
from stkrp2p.ports import ChainState, ChainUnavailable
from tests.adapters.chain_kit import (
    BOB,
    GOVERNOR,
    Net,
    block,
    hold_blocks,
    make_final,
    mine,
    node,
    rpc,
)

pytestmark = pytest.mark.chain

POLICY = Policy()
BOND = 50_000 * ANKR
FUNDS = 100_000 * ANKR

LARS = Member(
    node=node("lars"), nonce=0, operator=Operator(b"\7" * 20), kind=Kind.LIGHT, stake=ANKR
)
RIGHT = Score(LARS.node, LARS.nonce, age_epochs=1)
"""What one epoch makes of a light member that owes nothing."""

FORGED = msgspec.structs.replace(RIGHT, reliability_ppm=999_999)
ROSTER = Roster((LARS,))


def epoch_0(net: Net, score: Score) -> tuple[Header, Challenge]:
    """Return an epoch of one member with this score, and the challenge of that score."""
    root = Tree([score.leaf()]).root
    changes = {"score_root": root, "roster_root": ROSTER.root}
    header = msgspec.structs.replace(net.header(0), **changes)
    anchored = Anchored(header=header, scores=(score,), roster=ROSTER)
    return header, challenge_of(score, anchored=anchored, before=None, evidence={}, matrix=b"")


async def anchor(net: Net, chain: Web3Chain, header: Header, voids: int = 0) -> None:
    await chain.submit_anchor(header, net.seal(header, voids))
    await net.mined()


async def watcher(net: Net) -> Web3Chain:
    """A chain whose account has deposits to lose."""
    chain = net.chain()
    await chain.send(await chain.mint(FUNDS))
    return chain


async def forge(net: Net, chain: Web3Chain, *, epochs: int = 1) -> Challenge:
    """Anchor a forged epoch 0, and made-up ones after it."""
    header, challenge = epoch_0(net, FORGED)
    await anchor(net, chain, header)
    for epoch in range(1, epochs):
        await net.anchor(chain, epoch)
    return challenge


async def test_a_challenge_of_a_forged_score_voids_the_epoch_and_pays(net: Net) -> None:
    chain, governor = await watcher(net), net.chain(key=BOB)
    await governor.send(await governor.mint(BOND))
    await governor.send(await governor.approve(BOND, "ReputationAnchor"))
    await governor.send(await governor.bond(BOND))
    challenge = await forge(net, chain)
    assert len(await chain.anchors(Epoch(0))) == 1
    assert await chain.fault_of(challenge) == 14
    transaction = await chain.challenge(challenge)

    receipt = rpc(net.url, "eth_getTransactionReceipt", transaction)
    assert int(receipt["status"], 16) == 1
    assert await chain.anchors(Epoch(0)) == ()
    assert chain.voids == 1
    cut = BOND * POLICY.slash_bps // 10_000
    reward = cut * POLICY.reward_bps // 10_000
    assert await chain.token_balance(await chain.operator()) == FUNDS + reward
    assert await chain.token_balance(Operator(BURNT)) == cut - reward
    assert await chain.pool() == await chain.bonded(Operator(GOVERNOR)) == BOND - cut


async def test_after_a_void_only_a_new_signature_counts(net: Net) -> None:
    chain = await watcher(net)
    await chain.challenge(await forge(net, chain))
    forged, _ = epoch_0(net, FORGED)
    with pytest.raises(Rejected, match="BadCouncilSignature"):
        await anchor(net, chain, forged)
    header, challenge = epoch_0(net, RIGHT)
    with pytest.raises(Rejected, match="BadCouncilSignature"):
        await anchor(net, chain, header)
    await anchor(net, chain, header, voids=1)
    assert [r.header for r in await chain.anchors(Epoch(0))] == [header]
    assert await chain.fault_of(challenge) is None


async def test_a_challenge_of_a_right_score_costs_the_deposit(net: Net) -> None:
    chain = await watcher(net)
    header, challenge = epoch_0(net, RIGHT)
    await anchor(net, chain, header)
    await chain.challenge(challenge)
    assert [r.header for r in await chain.anchors(Epoch(0))] == [header]
    assert chain.voids == 0
    assert await chain.pool() == POLICY.deposit
    assert await chain.token_balance(await chain.operator()) == FUNDS - POLICY.deposit


async def test_the_deposit_is_approved_once_for_as_long_as_it_lasts(net: Net) -> None:
    chain = await watcher(net)
    challenge = await forge(net, chain)
    before = int(rpc(net.url, "eth_blockNumber"), 16)
    await chain.challenge(challenge)
    assert int(rpc(net.url, "eth_blockNumber"), 16) == before + 2
    await anchor(net, chain, challenge.header, voids=1)
    await chain.challenge(challenge)
    assert int(rpc(net.url, "eth_blockNumber"), 16) == before + 4
    assert await chain.anchors(Epoch(0)) == ()
    assert chain.voids == 2


async def test_a_challenge_that_is_refused_names_the_rule(net: Net) -> None:
    chain, poor = await watcher(net), net.chain(key=BOB)
    challenge = await forge(net, chain)
    another = msgspec.structs.replace(challenge.header, median_ppm=1)
    cases = {
        "DepositMissing": poor.challenge(challenge),
        "ScoreNotProved": chain.challenge(
            replace(challenge, score=challenge.score._replace(proof=(bytes(32),)))
        ),
        "ScoreNotProved ": chain.fault_of(
            replace(challenge, score=challenge.score._replace(proof=(bytes(32),)))
        ),
        "EvidenceNotProved": chain.fault_of(replace(challenge, light=None)),
        "HeaderNotAnchored": chain.challenge(replace(challenge, header=another)),
        "NotGovernor": chain.bond(BOND),
        "NoBond": chain.unbond(),
    }
    for rule, attempt in cases.items():
        with pytest.raises(Rejected) as caught:
            await attempt
        assert caught.value.rule == rule.strip()
        assert chain.state is ChainState.OK


async def test_an_epoch_is_final_when_its_time_is_over(net: Net) -> None:
    chain = await watcher(net)
    assert await chain.final_ms(Epoch(0)) is None
    challenge = await forge(net, chain)
    anchored_s = int(block(net.url)["timestamp"], 16)
    assert await chain.final_ms(Epoch(0)) == (anchored_s + POLICY.challenge_s) * 1000
    assert await chain.policy() == POLICY
    rpc(net.url, "evm_increaseTime", POLICY.challenge_s)
    mine(net.url)
    with pytest.raises(Rejected, match="EpochFinal"):
        await chain.challenge(challenge)


async def test_a_bond_comes_back_only_after_the_council_was_left(net: Net) -> None:
    governor = net.chain(key=BOB)
    await governor.send(await governor.mint(BOND))
    await governor.send(await governor.approve(BOND, "ReputationAnchor"))
    assert await governor.allowance(Operator(GOVERNOR), "ReputationAnchor") == BOND
    await governor.send(await governor.bond(BOND))
    assert await governor.bonded(Operator(GOVERNOR)) == await governor.pool() == BOND
    with pytest.raises(Rejected, match="StillLiable"):
        await governor.unbond()


# ------------------------------------------------------------------------------- voids


async def test_a_void_takes_back_even_anchors_that_are_final_on_ethereum(net: Net) -> None:
    chain = await watcher(net)
    challenge = await forge(net, chain, epochs=3)
    make_final(net.url)
    records = await chain.anchors(Epoch(0))
    assert [r.is_final for r in records] == [True] * 3

    await chain.challenge(challenge)
    assert await chain.anchors(Epoch(0)) == ()
    assert await net.chain().anchors(Epoch(0)) == ()
    header, _ = epoch_0(net, RIGHT)
    await anchor(net, chain, header, voids=1)
    for reader in (chain, net.chain()):
        records = await reader.anchors(Epoch(0))
        assert [(r.header, r.is_final) for r in records] == [(header, False)]
        assert reader.voids == 1

    make_final(net.url)
    for reader in (chain, net.chain()):
        records = await reader.anchors(Epoch(0))
        assert [(r.header, r.is_final) for r in records] == [(header, True)]
        assert reader.voids == 1


async def test_a_void_that_is_reorganised_away_gives_the_anchors_back(net: Net) -> None:
    chain = await watcher(net)
    challenge = await forge(net, chain, epochs=2)
    await chain.challenge(challenge)
    assert (await chain.anchors(Epoch(0)), chain.voids) == ((), 1)
    rpc(net.url, "anvil_rollback", 1)
    assert [r.header.epoch for r in await chain.anchors(Epoch(0))] == [0, 1]
    assert chain.voids == 0


async def test_no_anchor_is_sent_behind_a_void_that_waits_in_the_pool(net: Net) -> None:
    chain, other = await watcher(net), net.chain(key=BOB)
    challenge = await forge(net, chain)
    await chain.send(await chain.approve(POLICY.deposit, "ReputationAnchor"))
    header = net.header(1)
    hold_blocks(net.url)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(chain.challenge, challenge)
        with trio.fail_after(10):
            while not int(rpc(net.url, "txpool_status")["pending"], 16):  # noqa: ASYNC110
                await trio.sleep(0.01)
        await other.submit_anchor(header, net.seal(header))
        assert int(rpc(net.url, "txpool_status")["pending"], 16) == 1
        mine(net.url)
    with pytest.raises(Rejected, match=r"EpochNotNext\(1, 0\)"):
        await other.submit_anchor(header, net.seal(header))


async def test_a_contract_that_scores_by_another_preset_is_a_wrong_chain(net: Net) -> None:
    chain = net.chain()
    params = replace(net.genesis.params, tenure_epochs=MAINNET.tenure_epochs)
    chain._genesis = replace(net.genesis, params=params)
    with pytest.raises(ChainUnavailable, match="another preset"):
        await chain.anchors(Epoch(0))
    assert chain.state is ChainState.WRONG_CHAIN


# ------------------------------------------------------------------------------- the ledger


def event(name: str, **fields: object) -> Event:
    return Event(
        contract="ReputationAnchor", name=name, fields=fields, block=7, transaction=bytes(32)
    )


def anchored(epoch: int) -> Event:
    roots = ("rosterRoot", "proposalHash", "evidenceRoot", "scoreRoot")
    fields = {root: bytes(32) for root in roots}
    return event("Anchored", epoch=epoch, **fields, medianPpm=0, isVoid=False)


def test_the_ledger_cuts_what_is_voided_and_goes_on_from_there() -> None:
    ledger = AnchorLedger()
    for epoch in range(5):
        ledger.apply(anchored(epoch))
    ledger.apply(event("ChallengeFailed", epoch=1))
    ledger.apply(event("Voided", epoch=2, voids=1))
    assert (ledger.tip.kept, ledger.tip.voids) == (2, 1)
    ledger.apply(anchored(2))
    ledger.apply(event("Voided", epoch=0, voids=2))
    assert (ledger.tip.kept, ledger.tip.voids) == (0, 2)
    assert ledger.page(0, 9) == []


@pytest.mark.parametrize(
    "wrong",
    [
        anchored(1),
        anchored(3),
        event("Voided", epoch=2, voids=1),
        event("Voided", epoch=1, voids=2),
        event("Voided", epoch=1, voids=0),
    ],
)
def test_the_ledger_refuses_what_does_not_follow(wrong: Event) -> None:
    ledger = AnchorLedger()
    for epoch in range(2):
        ledger.apply(anchored(epoch))
    with pytest.raises(LogsMissing):
        ledger.apply(wrong)
    assert ledger.tip.kept == 2
