"""Headers of the Python core, signed with blst, are anchored and proved on a real chain."""

from __future__ import annotations

import pytest

from stkrp2p.adapters.chain.challenges import header_fields
from stkrp2p.core import bls
from stkrp2p.core.anchor import anchor_message
from stkrp2p.core.merkle import Tree, keccak256, words, words_in
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator
from testnet.contracts import (
    EPOCH_MS,
    SECRET,
    Anchors,
    Chain,
    deploy_anchors,
    header_of,
    score_of,
)
from tests.contracts.conftest import refused

pytestmark = pytest.mark.chain

ANCHOR_GAS_MAX = 200_000
SCORE_PROOF_GAS_MAX = 60_000


def member_of(index: int) -> Member:
    return Member(
        node=NodeId(keccak256(b"node %d" % index)),
        nonce=index,
        operator=Operator(keccak256(b"operator %d" % index)[:20]),
        kind=Kind(index % 2),
        stake=10**21 + index,
    )


@pytest.fixture
def anchors(chain: Chain) -> Anchors:
    return deploy_anchors(chain, chain.now_s + 100)


def test_the_core_and_the_contract_count_epochs_alike(anchors):
    for epoch in (0, 1, 2, 1_000_000):
        start_s = anchors.genesis.start_ms(Epoch(epoch)) // 1000
        epoch_at = anchors.contract.functions.epochAt
        assert epoch_at(start_s).call() == epoch
        assert epoch_at(start_s + EPOCH_MS // 1000 - 1).call() == epoch
    assert epoch_at(0).call() == 0


def test_an_epoch_may_be_anchored_from_when_the_core_seals_it(anchors):
    header = header_of(0)
    anchors.chain.warp(anchors.sealed_s(0) - 2)
    call = anchors.call(header, anchors.sign(header))
    until_ms = anchors.sealed_s(0) * 1000
    with refused(anchors.contract, "EpochNotSettled", 0, until_ms):
        call.call(block_identifier="latest")
    anchors.settle(0)
    call.call(block_identifier="latest")


def test_the_core_and_the_contract_hash_and_frame_a_header_alike(anchors):
    for header in (header_of(0), header_of(2**64 - 1, median_ppm=2**32 - 1, is_void=True)):
        message = anchors.contract.functions.anchorMessage(header_fields(header)).call()
        assert message == anchor_message(anchors.genesis, header, 0)


def test_epochs_are_anchored_in_order_and_told_in_events(anchors, chain):
    anchors.settle(2)
    for epoch in range(3):
        header = header_of(epoch, is_void=epoch == 1)
        receipt = anchors.anchor(header)
        [event] = anchors.contract.events.Anchored().process_receipt(receipt)
        assert tuple(event["args"].values()) == header_fields(header)
        block = chain.web3.eth.get_block(receipt["blockNumber"])
        record = anchors.contract.functions.recordOf(epoch).call()
        assert record == [header.hash()[:24], block["timestamp"]]
    assert anchors.contract.functions.nextEpoch().call() == 3
    assert anchors.contract.functions.recordOf(3).call() == [bytes(24), 0]


def test_anchors_out_of_order_early_or_again_are_refused(anchors):
    anchors.settle(0)
    with refused(anchors.contract, "EpochNotNext", 1, 0):
        anchors.anchor(header_of(1))
    anchors.anchor(header_of(0))
    with refused(anchors.contract, "EpochNotNext", 0, 1):
        anchors.anchor(header_of(0, is_void=True))
    with refused(anchors.contract, "EpochNotSettled", 1, anchors.sealed_s(1) * 1000):
        anchors.anchor(header_of(1))


def test_only_the_councils_signature_on_this_very_header_counts(anchors, chain):
    anchors.settle(0)
    header = header_of(0)
    elsewhere = deploy_anchors(chain, anchors.genesis.start_ms(Epoch(0)) // 1000)
    forgeries = (
        anchors.sign(header, SECRET + 1),
        anchors.sign(header_of(0, median_ppm=987_655)),
        elsewhere.sign(header),
        bytes(128),
    )
    for forgery in forgeries:
        with refused(anchors.contract, "BadCouncilSignature", 0):
            anchors.call(header, forgery).call()
    compressed = bls.sign(SECRET, anchor_message(anchors.genesis, header, 0), bls.ANCHOR_DST)
    with refused(anchors.contract, "BadPointLength", 48, 128):
        anchors.call(header, compressed).call()
    anchors.anchor(header)


def test_leaves_of_the_cores_trees_are_proved_on_chain(anchors):
    anchors.settle(0)
    scores = [score_of(i).leaf() for i in range(11)]
    evidence = [words(keccak256(bytes([i])), i, 9, 6, bytes(32), bytes(32)) for i in range(6)]
    roster = Roster(tuple(sorted(member_of(i) for i in range(13))))
    members = [roster.leaf(member) for member in roster.members]
    trees = {"Score": Tree(scores), "Evidence": Tree(evidence), "Roster": Tree(members)}
    header = header_of(
        0,
        score_root=trees["Score"].root,
        evidence_root=trees["Evidence"].root,
        roster_root=trees["Roster"].root,
    )
    anchors.anchor(header)
    for kind, leaves in (("Score", scores), ("Evidence", evidence), ("Roster", members)):
        verify = anchors.contract.get_function_by_name(f"verify{kind}")
        for leaf in leaves:
            proof = trees[kind].proof(leaf)
            assert verify(header_fields(header), words_in(leaf), proof).call()
            wrong = [*words_in(leaf)[:-1], keccak256(b"")]
            assert not verify(header_fields(header), wrong, proof).call()
            assert not verify(header_fields(header), words_in(leaf), proof[1:]).call()
            assert not verify(header_fields(header_of(0)), words_in(leaf), proof).call()


def test_anchoring_and_proving_keep_within_their_gas_aims(anchors, chain):
    anchors.settle(2)
    scores = [score_of(i).leaf() for i in range(10_000)]
    tree = Tree(scores)
    header = header_of(0, score_root=tree.root)
    first = anchors.anchor(header)["gasUsed"]
    later = anchors.anchor(header_of(1))["gasUsed"]
    proof = tree.proof(scores[0])
    verify = anchors.contract.functions.verifyScore(
        header_fields(header), words_in(scores[0]), proof
    )
    proved = chain.send(verify)["gasUsed"]
    assert max(first, later) <= ANCHOR_GAS_MAX
    assert proved <= SCORE_PROOF_GAS_MAX
