"""Headers of the Python core, signed with blst, are anchored and proved on a real chain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import pytest

from stkrp2p.core import bls
from stkrp2p.core.anchor import Header, anchor_message
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.merkle import Tree, keccak256, words
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.roster import Member
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator, Round, UnixMs
from tests.contracts.conftest import Chain, refused

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

SECRET = 0xC0FFEE
PERIOD_MS = 1_000
EPOCH_MS = MINIMAL.rounds_per_epoch * PERIOD_MS
SETTLE_MS = (MINIMAL.settle_rounds - 1) * PERIOD_MS
FIRST_ROUND = Round(51)
ANCHOR_GAS_MAX = 200_000
SCORE_PROOF_GAS_MAX = 60_000


@dataclass
class Anchors:
    """The contract, and a council of one."""

    chain: Chain
    contract: Contract
    genesis: Genesis

    def sealed_s(self, epoch: int) -> int:
        """When the core seals an epoch: its last round and the settle rounds are due."""
        return self.genesis.beacon.due_ms(self.genesis.clock.seal(Epoch(epoch))) // 1000

    def settle(self, epoch: int) -> None:
        self.chain.warp(self.sealed_s(epoch))

    def sign(self, header: Header, secret: int = SECRET) -> bytes:
        message = anchor_message(self.genesis, header)
        return bls.g1_uncompressed(bls.sign(secret, message, bls.ANCHOR_DST))

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


def score_of(index: int) -> Score:
    """A score whose every number is there and as long as real ones."""
    numbers = (1_000_000 + index + place for place in range(15))
    return Score(keccak256(b"node %d" % index), *numbers)


def member_of(index: int) -> Member:
    return Member(
        node=NodeId(keccak256(b"node %d" % index)),
        nonce=index,
        operator=Operator(keccak256(b"operator %d" % index)[:20]),
        kind=Kind(index % 2),
        stake=10**21 + index,
    )


def word_list(leaf: bytes) -> list[bytes]:
    return [leaf[i : i + 32] for i in range(0, len(leaf), 32)]


def deploy(chain: Chain, start_s: int) -> Anchors:
    """Deploy as a network does whose epoch 0 starts at `start_s`."""
    key = bls.public_key_of(SECRET)
    contract = chain.deploy(
        "ReputationAnchor", bls.g2_uncompressed(key), start_s * 1000, EPOCH_MS, SETTLE_MS
    )
    beacon_genesis_ms = UnixMs(start_s * 1000 - (FIRST_ROUND - 1) * PERIOD_MS)
    genesis = Genesis(
        name="test",
        params=MINIMAL,
        beacon=Beacon(public_key=key, genesis_ms=beacon_genesis_ms, period_ms=PERIOD_MS),
        first_round=FIRST_ROUND,
        chain_id=chain.web3.eth.chain_id,
        registry=bytes(20),
        anchor=bytes.fromhex(contract.address[2:]),
        council_key=key,
    )
    return Anchors(chain, contract, genesis)


@pytest.fixture
def anchors(chain: Chain) -> Anchors:
    return deploy(chain, chain.now_s + 100)


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
        message = anchors.contract.functions.anchorMessage(fields(header)).call()
        assert message == anchor_message(anchors.genesis, header)


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
    with refused(anchors.contract, "EpochNotSettled", 1, anchors.sealed_s(1) * 1000):
        anchors.anchor(header_of(1))


def test_only_the_councils_signature_on_this_very_header_counts(anchors, chain):
    anchors.settle(0)
    header = header_of(0)
    elsewhere = deploy(chain, anchors.genesis.start_ms(Epoch(0)) // 1000)
    forgeries = (
        anchors.sign(header, SECRET + 1),
        anchors.sign(header_of(0, median_ppm=987_655)),
        elsewhere.sign(header),
        bytes(128),
    )
    for forgery in forgeries:
        with refused(anchors.contract, "BadCouncilSignature", 0):
            anchors.call(header, forgery).call()
    compressed = bls.sign(SECRET, anchor_message(anchors.genesis, header), bls.ANCHOR_DST)
    with refused(anchors.contract, "BadPointLength", 48, 128):
        anchors.call(header, compressed).call()
    anchors.anchor(header)


def test_leaves_of_the_cores_trees_are_proved_on_chain(anchors):
    anchors.settle(0)
    scores = [score_of(i).leaf() for i in range(11)]
    evidence = [words(keccak256(bytes([i])), i, 9, 6, bytes(32), bytes(32)) for i in range(6)]
    members = [member_of(i).leaf() for i in range(13)]
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
    scores = [score_of(i).leaf() for i in range(10_000)]
    tree = Tree(scores)
    header = header_of(0, score_root=tree.root)
    first = anchors.anchor(header)["gasUsed"]
    later = anchors.anchor(header_of(1))["gasUsed"]
    proof = tree.proof(scores[0])
    verify = anchors.contract.functions.verifyScore(fields(header), word_list(scores[0]), proof)
    proved = chain.send(verify)["gasUsed"]
    assert max(first, later) <= ANCHOR_GAS_MAX
    assert proved <= SCORE_PROOF_GAS_MAX
