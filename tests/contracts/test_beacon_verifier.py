"""Quicknet's real rounds verify on a real chain, and forgeries do not."""

from __future__ import annotations

import pytest

from stkrp2p.core import bls
from tests.contracts.conftest import refused

pytestmark = pytest.mark.chain

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
VERIFY_GAS_MAX = 175_000


@pytest.fixture
def verifier(chain, quicknet):
    return chain.deploy("BeaconVerifier", quicknet["key"])


def as_bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def negated(signature: bytes) -> bytes:
    y = int.from_bytes(signature[64:], "big")
    return signature[:64] + (P - y).to_bytes(64, "big")


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def test_real_rounds_verify(verifier, quicknet):
    for real in quicknet["rounds"]:
        randomness = as_bytes(real["randomness"])
        of = verifier.functions
        assert of.verifyRound(real["round"], real["signature"]).call() == randomness
        assert of.verifyRoundCompressed(real["round"], real["compressed"]).call() == randomness


def test_our_own_uncompressing_gives_the_point_that_the_chain_takes(verifier, quicknet):
    for real in quicknet["rounds"]:
        signature = bls.g1_uncompressed(as_bytes(real["compressed"]))
        assert signature == as_bytes(real["signature"])
        verifier.functions.verifyRound(real["round"], signature).call()


def test_forgeries_of_each_real_round_are_refused(verifier, quicknet):
    rounds = quicknet["rounds"]
    for i, real in enumerate(rounds):
        signature = as_bytes(real["signature"])
        another = as_bytes(rounds[(i + 1) % len(rounds)]["signature"])
        own = bls.sign(7, b"m", b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_")
        forgeries = {
            "another round's": another,
            "negated": negated(signature),
            "infinity": bytes(128),
            "off the curve": signature[:64] + signature[:64],
            "another key's": bls.g1_uncompressed(own),
            "a bit of x": flipped(signature, 8 * 63),
            "a bit of y": flipped(signature, 8 * 127),
            "a bit above": flipped(signature, 0),
            "y + p": signature[:64] + (int.from_bytes(signature[64:]) + P).to_bytes(64),
        }
        for forgery in forgeries.values():
            with refused(verifier, "BadRoundSignature", real["round"]):
                verifier.functions.verifyRound(real["round"], forgery).call()
        for number in (real["round"] - 1, real["round"] + 1, 0, 2**64 - 1):
            with refused(verifier, "BadRoundSignature", number):
                verifier.functions.verifyRound(number, signature).call()


def test_forgeries_in_the_compressed_form_are_refused(verifier, quicknet):
    verify = verifier.functions.verifyRoundCompressed
    rounds = quicknet["rounds"]
    for i, real in enumerate(rounds):
        number, signature = real["round"], as_bytes(real["compressed"])
        with refused(verifier, "BadRoundSignature", number):
            verify(number, flipped(signature, 5)).call()
        with refused(verifier, "BadRoundSignature", number):
            verify(number, rounds[(i + 1) % len(rounds)]["compressed"]).call()
        with refused(verifier, "BadPointFlags", signature[0] & 0xE0 ^ 0x80):
            verify(number, flipped(signature, 7)).call()
        with refused(verifier, "BadPointFlags", 0xC0):
            verify(number, b"\xc0" + bytes(47)).call()
        with refused(verifier, "BadPointLength", 47, 48):
            verify(number, signature[:-1]).call()
        with refused(verifier, "CoordinateNotReduced"):
            verify(number, bytes([0x80 | P >> 376]) + P.to_bytes(48)[1:]).call()


def test_a_round_of_another_beacon_is_refused(chain, quicknet):
    ours = chain.deploy("BeaconVerifier", bls.g2_uncompressed(bls.public_key_of(7)))
    real = quicknet["rounds"][0]
    with refused(ours, "BadRoundSignature", real["round"]):
        ours.functions.verifyRound(real["round"], real["signature"]).call()


def test_verifying_a_round_in_a_transaction_keeps_within_its_gas_aim(chain, verifier, quicknet):
    for real in quicknet["rounds"]:
        receipt = chain.send(verifier.functions.verifyRound(real["round"], real["signature"]))
        assert receipt["gasUsed"] <= VERIFY_GAS_MAX


def test_a_forged_signature_costs_a_bounded_amount_of_gas(chain, verifier, quicknet):
    forged = flipped(as_bytes(quicknet["rounds"][0]["signature"]), 8 * 127)
    call = verifier.functions.verifyRound(quicknet["rounds"][0]["round"], forged)
    transaction = call.transact({"from": chain.accounts[0], "gas": 10_000_000})
    receipt = chain.web3.eth.wait_for_transaction_receipt(transaction)
    assert receipt["status"] == 0
    assert receipt["gasUsed"] <= 300_000
