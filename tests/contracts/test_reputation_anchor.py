"""Headers of the Python core, signed with blst, are anchored and proved on a real chain."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pytest
from web3.contract import Contract

from stkrp2p.core import bls
from stkrp2p.core.anchor import Header
from stkrp2p.core.merkle import Tree, keccak256, words
from stkrp2p.core.types import Digest
from tests.contracts.conftest import Chain, refused

pytestmark = pytest.mark.chain

SECRET = 0xC0FFEE
DOMAIN = b"STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_"
TAG = b"stkr/anchor/1".ljust(32, b"\0")
EPOCH_MS = 12_000
SETTLE_MS = 3_000
ANCHOR_GAS_MAX = 200_000
SCORE_PROOF_GAS_MAX = 60_000


@dataclass
class Anchors:
    """The contract, and a council of one."""

    chain: Chain
    contract: Contract
    genesis_s: int

    def settle(self, epoch: int) -> None:
        until_ms = self.genesis_s * 1000 + (epoch + 1) * EPOCH_MS + SETTLE_MS
        self.chain.warp(until_ms // 1000)

    def message(self, header: Header) -> Digest:
        address = int(self.contract.address, 16)
        return keccak256(words(TAG, self.chain.web3.eth.chain_id, address, header.hash()))

    def sign(self, header: Header, secret: int = SECRET) -> bytes:
        return bls.g1_uncompressed(bls.sign(secret, self.message(header), DOMAIN))

    def call(self, header: Header, signature: bytes):
        return self.contract.functions.anchor(fields(header), signature)

    def anchor(self, header: Header):
        return self.chain.send(self.call(header, self.sign(header)))


def fields(header: Header) -> tuple:
    return msgspec.structs.astuple(header)


def header_of(epoch: int, **changes: object) -> Header:
    names = ("roster_root", "proposal_hash", "evidence_root", "score_root")
    roots = {name: keccak256(f"{name} {epoch}".encode()) for name in names}
    return Header(**({"epoch": epoch, "median_ppm": 987_654, "is_void": False} | roots | changes))


def word_list(leaf: bytes) -> list[bytes]:
    return [leaf[i : i + 32] for i in range(0, len(leaf), 32)]


@pytest.fixture
def anchors(chain: Chain) -> Anchors:
    genesis_s = chain.now_s + 100
    key = bls.g2_uncompressed(bls.public_key_of(SECRET))
    contract = chain.deploy("ReputationAnchor", key, genesis_s * 1000, EPOCH_MS, SETTLE_MS)
    return Anchors(chain, contract, genesis_s)


def test_the_core_and_the_contract_hash_and_frame_a_header_alike(anchors):
    for header in (header_of(0), header_of(2**64 - 1, median_ppm=2**32 - 1, is_void=True)):
        message = anchors.contract.functions.anchorMessage(fields(header)).call()
        assert message == anchors.message(header)


def test_epochs_are_anchored_in_order_and_told_in_events(anchors):
    anchors.settle(2)
    for epoch in range(3):
        header = header_of(epoch, is_void=epoch == 1)
        receipt = anchors.anchor(header)
        [event] = anchors.contract.events.Anchored().process_receipt(receipt)
        assert tuple(event["args"].values()) == fields(header)
        assert anchors.contract.functions.headerHashOf(epoch).call() == header.hash()
    assert anchors.contract.functions.nextEpoch().call() == 3
    assert anchors.contract.functions.headerHashOf(3).call() == bytes(32)


def test_anchors_out_of_order_early_or_again_are_refused(anchors):
    anchors.settle(0)
    with refused(anchors.contract, "EpochNotNext", 1, 0):
        anchors.anchor(header_of(1))
    anchors.anchor(header_of(0))
    with refused(anchors.contract, "EpochNotNext", 0, 1):
        anchors.anchor(header_of(0, is_void=True))
    until_ms = anchors.genesis_s * 1000 + 2 * EPOCH_MS + SETTLE_MS
    with refused(anchors.contract, "EpochNotSettled", 1, until_ms):
        anchors.anchor(header_of(1))


def test_only_the_councils_signature_on_this_very_header_counts(anchors, chain):
    anchors.settle(0)
    header = header_of(0)
    another = chain.deploy(
        "ReputationAnchor",
        bls.g2_uncompressed(bls.public_key_of(SECRET)),
        anchors.genesis_s * 1000,
        EPOCH_MS,
        SETTLE_MS,
    )
    elsewhere = Anchors(chain, another, anchors.genesis_s)
    forgeries = (
        anchors.sign(header, SECRET + 1),
        anchors.sign(header_of(0, median_ppm=987_655)),
        elsewhere.sign(header),
        bytes(128),
    )
    for forgery in forgeries:
        with refused(anchors.contract, "BadCouncilSignature", 0):
            anchors.call(header, forgery).call()
    compressed = bls.sign(SECRET, anchors.message(header), DOMAIN)
    with refused(anchors.contract, "BadPointLength", 48, 128):
        anchors.call(header, compressed).call()
    anchors.anchor(header)


def test_leaves_of_the_cores_trees_are_proved_on_chain(anchors):
    anchors.settle(0)
    scores = [words(keccak256(bytes([i])), *range(i, i + 15)) for i in range(11)]
    evidence = [words(keccak256(bytes([i])), i, 9, 6, bytes(32), bytes(32)) for i in range(6)]
    members = [words(keccak256(bytes([i])), i, i, i % 2, 10**21 + i) for i in range(13)]
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
            assert verify(fields(header), word_list(leaf), proof).call()
            wrong = [*word_list(leaf)[:-1], keccak256(b"")]
            assert not verify(fields(header), wrong, proof).call()
            assert not verify(fields(header), word_list(leaf), proof[1:]).call()
            assert not verify(fields(header_of(0)), word_list(leaf), proof).call()


def test_anchoring_and_proving_keep_within_their_gas_aims(anchors, chain):
    anchors.settle(2)
    # 10,000 members at the size of real leaves: hashes fill their word, numbers do not.
    scores = [words(keccak256(i.to_bytes(4)), *[10**6 + i] * 15) for i in range(10_000)]
    tree = Tree(scores)
    header = header_of(0, score_root=tree.root)
    first = anchors.anchor(header)["gasUsed"]
    later = anchors.anchor(header_of(1))["gasUsed"]
    proof = tree.proof(scores[0])
    verify = anchors.contract.functions.verifyScore(fields(header), word_list(scores[0]), proof)
    proved = chain.send(verify)["gasUsed"]
    assert max(first, later) <= ANCHOR_GAS_MAX
    assert proved <= SCORE_PROOF_GAS_MAX
