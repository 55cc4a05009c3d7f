"""Scores of the core, right and forged, are challenged on a real chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest
from web3 import Web3
from web3.exceptions import ContractCustomError, ContractLogicError
from web3.logs import DISCARD

from stkrp2p.adapters.chain.abi import error_of
from stkrp2p.adapters.chain.challenges import Policy, challenge_fields
from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import SCORE_WORDS, STRANGER, Challenge, Shown, first_wrong_word
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.score import Score
from stkrp2p.core.types import ProtocolError
from testnet.contracts import Anchors, Chain, deploy_anchors
from testnet.frauds import large_epoch
from tests.contracts.conftest import refused
from tests.core.strategies import node
from tests.frauds import EPOCHS, VOID, against, spoilt, story

pytestmark = pytest.mark.chain

RIGHT = 255
CHALLENGE_GAS_MAX = 400_000
MEMBERS = 10_000
ANKR = 10**18
BOND = 100_000 * ANKR
WATCHER = 5
"""Account of who challenges."""

REASONS = {
    "ScoreNotProved": "score-not-proved",
    "NotStranger": "not-stranger",
    "HeaderNotAnchored": "other-epoch",
    "OldScoreNotProved": "old-score-not-proved",
    "NotNewcomer": "not-newcomer",
    "MemberNotProved": "member-not-proved",
    "EvidenceNotProved": "evidence-not-proved",
    "OtherMatrix": "other-matrix",
    "NotLight": "not-light",
    "OtherMember": "other-member",
}
"""The contract's word for each of the core's."""


@pytest.fixture
def anchors(chain: Chain) -> Anchors:
    """A network whose epochs are all over, with a bond and a watcher that has deposits to lose."""
    anchors = deploy_anchors(chain, chain.now_s + 100)
    prepare(anchors)
    anchors.settle(EPOCHS)
    return anchors


def prepare(anchors: Anchors) -> None:
    """Let a governor bond, and the watcher have some deposits, approved."""
    anchors.fund(1, BOND)
    anchors.fund(WATCHER, 10_000 * ANKR)
    anchors.chain.send(anchors.contract.functions.bond(BOND), 1)


@contextmanager
def undone(chain: Chain) -> Iterator[None]:
    """Take back what happens to the chain meanwhile."""
    snapshot = chain.web3.provider.make_request("evm_snapshot", [])["result"]
    yield
    chain.web3.provider.make_request("evm_revert", [snapshot])


def anchor_until(anchors: Anchors, epoch: int, header: Header | None = None) -> None:
    """Anchor the story up to an epoch, that one with another header if there is one."""
    for past in story()[anchors.contract.functions.nextEpoch().call() : epoch]:
        anchors.anchor(past.closed.header)
    anchors.anchor(header or story()[epoch].closed.header)


def told(anchors: Anchors, challenge: Challenge) -> int | str | None:
    """Return what the contract says of a challenge: the fault, or why it does not take it."""
    try:
        fault = anchors.contract.functions.faultOf(challenge_fields(challenge)).call()
    except (ContractCustomError, ContractLogicError) as error:
        return REASONS[error_of(bytes.fromhex(error.data[2:]))[0]]
    return None if fault == RIGHT else fault


def expected(challenge: Challenge) -> int | str | None:
    try:
        return first_wrong_word(challenge, MINIMAL)
    except ProtocolError as error:
        return error.reason


def test_every_score_of_honest_epochs_survives(anchors):
    anchor_until(anchors, EPOCHS - 1)
    for past in story():
        for score in past.closed.scores:
            assert told(anchors, against(score, past.anchored)) is None


@pytest.mark.parametrize("epoch", [0, 1, VOID])
def test_every_word_that_is_off_is_found_whosever_score_it_is(anchors, chain, epoch):
    past, seen = story()[epoch], set()
    for table in range(2):
        words = [2 + (i + 5 * table) % 14 for i in range(len(past.closed.scores))]
        pairs = zip(past.closed.scores, words, strict=True)
        forged = past.forged([spoilt(score, word) for score, word in pairs])
        with undone(chain):
            anchor_until(anchors, epoch, forged.header)
            for score, word in zip(forged.scores, words, strict=True):
                challenge = against(score, forged)
                assert told(anchors, challenge) == expected(challenge) == word
        seen |= set(words)
    assert seen == set(range(2, SCORE_WORDS))


def test_scores_of_nobody_are_found(anchors):
    ghosts = [Score(node(i), 0, s=i) for i in (3, 4, 50, 51, 52)]
    ghosts.append(Score(node(8), 0))  # as it was registered before
    ghosts[1] = msgspec.structs.replace(ghosts[1], nonce=9)
    past = story()[1]
    forged = past.forged([*past.closed.scores, *ghosts])
    anchor_until(anchors, 1, forged.header)
    for ghost in ghosts:
        challenge = against(ghost, forged)
        assert told(anchors, challenge) == expected(challenge) == STRANGER


def test_the_contract_and_the_core_refuse_the_same_challenges_for_the_same_reason(anchors):
    anchor_until(anchors, 1)
    past = story()[1]
    roster = past.view.roster
    good, light, new, other = (
        against(past.closed.scores[roster.index[node(i)]], past.anchored) for i in (4, 7, 9, 5)
    )
    full = roster.leaf(roster.get(node(4)))
    seen = set()
    for challenge in (
        replace(good, score=good.score._replace(leaf=good.score.leaf[:-32])),
        replace(good, score=good.score._replace(proof=good.score.proof[1:])),
        replace(good, stranger=(Shown(full, roster.tree.proof(full)),)),
        replace(good, stranger=(good.score,)),
        replace(good, before=good.header),
        replace(good, old=good.score),
        replace(good, old=None),
        replace(good, old=None, newcomer=new.newcomer),
        replace(new, newcomer=new.newcomer[1:]),
        replace(new, newcomer=(good.score,)),
        replace(light, light=good.score),
        replace(good, old=other.old),
        replace(good, evidence=other.evidence),
        replace(good, evidence=None),
        replace(good, matrix=good.matrix[1:]),
        replace(good, evidence=None, light=Shown(full, roster.tree.proof(full))),
        replace(light, matrix=b"\4"),
        replace(good, light=light.light),
        replace(good, newcomer=new.newcomer),
    ):
        assert told(anchors, challenge) == expected(challenge)
        seen.add(expected(challenge))
    assert seen == {*REASONS.values(), None}


def test_a_wrong_score_voids_its_epoch_and_a_right_header_takes_its_place(anchors, chain):
    past, contract = story()[1], anchors.contract
    forged = past.forged([spoilt(past.closed.scores[0], 14), *past.closed.scores[1:]])
    anchor_until(anchors, 1, forged.header)
    signature = anchors.sign(forged.header)
    fields = challenge_fields(against(forged.scores[0], forged))
    watcher = chain.accounts[WATCHER]
    before = anchors.token.functions.balanceOf(watcher).call()
    receipt = chain.send(contract.functions.challenge(fields), WATCHER)
    [event] = contract.events.Voided().process_receipt(receipt, errors=DISCARD)
    assert dict(event["args"]) == {"epoch": 1, "voids": 1, "challenger": watcher, "fault": 14}
    policy = Policy()
    cut = BOND * policy.slash_bps // 10_000
    reward = cut * policy.reward_bps // 10_000
    assert anchors.token.functions.balanceOf(watcher).call() == before + reward
    assert contract.functions.pool().call() == BOND - cut
    sink = Web3.to_checksum_address(policy.sink)
    assert anchors.token.functions.balanceOf(sink).call() == cut - reward

    with refused(contract, "BadCouncilSignature", 1):
        anchors.call(forged.header, signature).call()
    with refused(contract, "HeaderNotAnchored", 1):
        contract.functions.challenge(fields).call({"from": watcher})
    anchor_until(anchors, EPOCHS - 1)
    assert told(anchors, against(past.closed.scores[0], past.anchored)) is None


def test_a_right_score_costs_its_challenger_the_deposit(anchors, chain):
    anchor_until(anchors, 0)
    challenge = against(story()[0].closed.scores[0], story()[0].anchored)
    call = anchors.contract.functions.challenge(challenge_fields(challenge))
    receipt = chain.send(call, WATCHER)
    [event] = anchors.contract.events.ChallengeFailed().process_receipt(receipt, errors=DISCARD)
    assert dict(event["args"]) == {"epoch": 0, "challenger": chain.accounts[WATCHER]}
    assert anchors.contract.functions.pool().call() == BOND + Policy().deposit
    assert anchors.contract.functions.nextEpoch().call() == 1


@pytest.mark.parametrize("forged_ppm", [None, 999_999])
def test_a_challenge_keeps_within_its_gas_aim_in_a_large_network(chain, forged_ppm):
    anchors = deploy_anchors(chain, chain.now_s + 100, params=MAINNET)
    prepare(anchors)
    anchors.settle(1)
    epoch = large_epoch(MEMBERS, forged_ppm=forged_ppm)
    anchors.anchor(epoch.before)
    anchors.anchor(epoch.header)
    for challenge in (epoch.of_old, epoch.of_new):
        with undone(chain):
            call = anchors.contract.functions.challenge(challenge_fields(challenge))
            receipt = chain.send(call, WATCHER)
            assert receipt["gasUsed"] <= CHALLENGE_GAS_MAX
            voids = anchors.contract.functions.voids().call()
            assert voids == (0 if forged_ppm is None else 1)
