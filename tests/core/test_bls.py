"""Signatures in G1 as drand makes them; two libraries and two formulas agree on every point."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pyblst
import pytest
from hypothesis import given, settings, strategies as st
from py_arkworks_bls12381 import G1Point, G2Point, Scalar

from stkrp2p.core import bls
from stkrp2p.core.beacon import round_message
from stkrp2p.core.types import Round

QUICKNET = json.loads((Path(__file__).parent / "data/quicknet_rounds.json").read_text())
KEY = bytes.fromhex(QUICKNET["public_key"])
ROUNDS = [(Round(r["round"]), bytes.fromhex(r["signature"])) for r in QUICKNET["rounds"]]

INFINITY_G1 = b"\xc0" + bytes(47)
INFINITY_G2 = b"\xc0" + bytes(95)
FIELD = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)

NOT_IN_G1 = [
    "8123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    "8123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde0",
    "9a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    "9a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaac",
    "2491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
    "6491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
    "e491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
]
"""Not in the group, not on the curve, x not below the modulus, wrong flag bits: the cases of
ethereum/bls12-381-tests, CC0."""

secrets = st.binary(min_size=48, max_size=48).filter(any).map(bls.secret_of)


@cache
def infinity_is_a_point() -> bytes:
    """Return the point at infinity as pyblst writes it."""
    return bytes(pyblst.BlstP1Element().compress())


@pytest.mark.parametrize(("number", "signature"), ROUNDS)
def test_real_rounds_of_quicknet_verify(number: Round, signature: bytes) -> None:
    assert bls.is_signed_by(KEY, round_message(number), signature, bls.ROUND_DST)


@pytest.mark.parametrize(("number", "signature"), ROUNDS)
def test_a_round_does_not_pass_for_another_round_domain_or_key(
    number: Round, signature: bytes
) -> None:
    other_key = bls.public_key_of(1)
    assert not bls.is_signed_by(KEY, round_message(Round(number + 1)), signature, bls.ROUND_DST)
    assert not bls.is_signed_by(KEY, round_message(number), signature, bls.ANCHOR_DST)
    assert not bls.is_signed_by(other_key, round_message(number), signature, bls.ROUND_DST)


@pytest.mark.parametrize("bit", [0, 1, 2, 3, 100, 383])
def test_a_signature_with_a_flipped_bit_is_refused(bit: int) -> None:
    number, signature = ROUNDS[0]
    flipped = int.from_bytes(signature, "big") ^ (1 << (383 - bit))
    assert not bls.is_signed_by(
        KEY, round_message(number), flipped.to_bytes(48, "big"), bls.ROUND_DST
    )


@pytest.mark.parametrize("point", NOT_IN_G1)
def test_what_is_no_canonical_point_of_the_group_is_refused(point: str) -> None:
    assert not bls.is_signed_by(KEY, b"", bytes.fromhex(point), bls.ROUND_DST)


def test_the_identity_signs_nothing_and_is_no_key() -> None:
    assert infinity_is_a_point() == INFINITY_G1
    signature = bls.sign(5, b"a message", bls.ROUND_DST)
    assert not bls.is_signed_by(KEY, b"a message", INFINITY_G1, bls.ROUND_DST)
    assert not bls.is_signed_by(INFINITY_G2, b"a message", signature, bls.ROUND_DST)
    assert not bls.is_signed_by(INFINITY_G2, b"a message", INFINITY_G1, bls.ROUND_DST)


@pytest.mark.parametrize("length", [0, 47, 49, 96])
def test_bytes_of_another_length_are_no_signature(length: int) -> None:
    assert not bls.is_signed_by(KEY, b"", b"\x80" * length, bls.ROUND_DST)


@pytest.mark.parametrize("length", [0, 48, 95, 97])
def test_bytes_of_another_length_are_no_key(length: int) -> None:
    assert not bls.is_signed_by(b"\x80" * length, b"", ROUNDS[0][1], bls.ROUND_DST)


def test_a_key_off_the_curve_is_refused() -> None:
    assert not bls.is_signed_by(b"\x80" * 96, b"", ROUNDS[0][1], bls.ROUND_DST)


@settings(max_examples=20)
@given(secrets, st.binary(max_size=40))
def test_what_is_signed_verifies_and_both_libraries_agree(secret: int, message: bytes) -> None:
    key, signature = bls.public_key_of(secret), bls.sign(secret, message, bls.ANCHOR_DST)
    assert bls.is_signed_by(key, message, signature, bls.ANCHOR_DST)
    assert not bls.is_signed_by(key, message + b"\0", signature, bls.ANCHOR_DST)
    scalar = Scalar.from_be_bytes(secret.to_bytes(32, "big"))
    hashed = G1Point.hash_to_curve(message, bls.ANCHOR_DST)
    assert (G2Point() * scalar).to_compressed_bytes() == key
    assert (hashed * scalar).to_compressed_bytes() == signature


@given(st.sampled_from([bytes.fromhex(p) for p in NOT_IN_G1]) | st.binary(min_size=48, max_size=48))
def test_both_libraries_refuse_the_same_bytes_but_for_the_flag_of_infinity(point: bytes) -> None:
    if (
        point[0] & 0x40
    ):  # arkworks takes any bytes with this flag for infinity, blst only one string
        return
    assert is_point(pyblst.BlstP1Element.uncompress, point) == is_point(
        G1Point.from_compressed_bytes, point
    )


def is_point(read: Callable[[bytes], object], point: bytes) -> bool:
    try:
        read(point)
    except ValueError:
        return False
    return True


@settings(max_examples=20)
@given(secrets)
def test_uncompressed_points_are_those_of_another_library(secret: int) -> None:
    signature, key = bls.sign(secret, b"a message", bls.ROUND_DST), bls.public_key_of(secret)
    assert bls.g1_uncompressed(signature) == arkworks_g1(signature)
    assert bls.g2_uncompressed(key) == arkworks_g2(key)


def arkworks_g1(compressed: bytes) -> bytes:
    """Return the coordinates that arkworks finds, 64 bytes each."""
    return padded(G1Point.from_compressed_bytes(compressed).to_xy_bytes_be())


def arkworks_g2(compressed: bytes) -> bytes:
    """Return the coordinates that arkworks finds, real part first, 64 bytes each."""
    return padded(G2Point.from_compressed_bytes(compressed).to_xy_bytes_be())


def padded(coordinates: bytes) -> bytes:
    starts = range(0, len(coordinates), 48)
    return b"".join(bytes(16) + coordinates[s : s + 48] for s in starts)


@pytest.mark.parametrize(("number", "signature"), ROUNDS)
def test_uncompressed_rounds_lie_on_the_curve(number: Round, signature: bytes) -> None:
    raw = bls.g1_uncompressed(signature)
    x, y = int.from_bytes(raw[:64], "big"), int.from_bytes(raw[64:], "big")
    assert (y * y - x * x * x - 4) % FIELD == 0
    assert (y > FIELD - y) == bool(signature[0] & 0x20)


@pytest.mark.parametrize("a0", [0, 1, 2, 3, 4, 5, FIELD - 1, FIELD - 2, FIELD - 4, FIELD - 5])
@pytest.mark.parametrize("a1", [0, 1, 2, 3, FIELD - 1])
def test_a_root_in_the_extension_field_is_found_if_there_is_one(a0: int, a1: int) -> None:
    is_square = pow(a0 * a0 + a1 * a1, (FIELD - 1) // 2, FIELD) in {0, 1}
    if is_square:
        x0, x1 = bls._sqrt_fp2(a0, a1)
        assert (x0 * x0 - x1 * x1) % FIELD == a0
        assert 2 * x0 * x1 % FIELD == a1
    else:
        with pytest.raises(ValueError, match=r"^not the x of a point of G2$"):
            bls._sqrt_fp2(a0, a1)


def test_what_is_no_x_of_a_point_has_no_coordinates() -> None:
    off_curve = next(x for x in range(1, 9) if pow(x**3 + 4, (FIELD - 1) // 2, FIELD) == FIELD - 1)
    with pytest.raises(ValueError, match=r"^not the x of a point of G1$"):
        bls.g1_uncompressed(b"\x80" + off_curve.to_bytes(47, "big"))


def test_a_secret_needs_48_bytes_of_entropy_that_do_not_give_zero() -> None:
    order = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
    with pytest.raises(ValueError, match=r"^a BLS secret needs 48 bytes of entropy, got 47$"):
        bls.secret_of(bytes(47))
    with pytest.raises(ValueError, match=r"^the entropy gives the scalar 0$"):
        bls.secret_of(order.to_bytes(48, "big"))
    assert bls.secret_of((order + 1).to_bytes(48, "big")) == 1


def test_randomness_is_the_hash_of_the_signature() -> None:
    for known in QUICKNET["rounds"]:
        signature = bytes.fromhex(known["signature"])
        assert hashlib.sha256(signature).hexdigest() == known["randomness"]
