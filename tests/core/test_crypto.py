"""Hashes are tagged, and one Ed25519 verifier decides, edge cases included."""

from __future__ import annotations

import copy
import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st
from nacl import bindings
from nacl.exceptions import CryptoError

from stkrp2p.core import crypto
from stkrp2p.core.crypto import Secret, is_signed_by, node_id_of, sha256, sign, u64
from stkrp2p.core.types import NodeId

SEED = bytes(range(32))

SPECCHECK = json.loads((Path(__file__).parent / "data/ed25519_speccheck.json").read_text())
"""The twelve edge cases of novifinancial/ed25519-speccheck, Apache-2.0."""

ACCEPTED = {3}
"""The only one that our verifier accepts: mixed-order key and R that pass without cofactor."""


@pytest.mark.parametrize("number", range(12))
def test_the_verifier_accepts_exactly_one_of_the_known_edge_cases(number: int) -> None:
    case = {k: bytes.fromhex(v) for k, v in SPECCHECK[number].items()}
    try:
        bindings.crypto_sign_open(case["signature"] + case["message"], case["pub_key"])
        is_accepted = True
    except CryptoError:
        is_accepted = False
    assert is_accepted == (number in ACCEPTED)


@pytest.mark.parametrize("number", range(12))
def test_no_edge_case_passes_for_a_tagged_signature(number: int) -> None:
    case = {k: bytes.fromhex(v) for k, v in SPECCHECK[number].items()}
    node = NodeId(case["pub_key"])
    assert not is_signed_by(node, crypto.BATCH_TAG, case["message"], case["signature"])


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=50))
def test_a_signature_holds_for_its_node_tag_and_payload_only(secret: bytes, payload: bytes) -> None:
    node, signature = node_id_of(secret), sign(secret, crypto.BATCH_TAG, payload)
    assert is_signed_by(node, crypto.BATCH_TAG, payload, signature)
    assert not is_signed_by(node, crypto.CLAIM_TAG, payload, signature)
    assert not is_signed_by(node, crypto.BATCH_TAG, payload + b"\0", signature)
    assert not is_signed_by(node_id_of(sha256(secret)), crypto.BATCH_TAG, payload, signature)


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_bytes_of_another_length_are_no_signature(length: int) -> None:
    assert not is_signed_by(node_id_of(bytes(32)), crypto.BATCH_TAG, b"", bytes(length))


@pytest.mark.parametrize("length", [0, 31, 33])
def test_bytes_of_another_length_are_no_key(length: int) -> None:
    signature = sign(bytes(32), crypto.BATCH_TAG, b"")
    assert not is_signed_by(NodeId(bytes(length)), crypto.BATCH_TAG, b"", signature)


def test_a_tag_and_its_payload_cannot_be_shifted() -> None:
    signature = sign(bytes(32), b"stkr/a/1", b"x")
    assert not is_signed_by(node_id_of(bytes(32)), b"stkr/a/1\0x", b"", signature)


def test_every_tag_serves_one_purpose() -> None:
    tags = [value for name, value in vars(crypto).items() if name.endswith("_TAG")]
    assert len(set(tags)) == len(tags)
    assert all(tag.startswith(b"stkr/") and b"\0" not in tag for tag in tags)


@given(st.lists(st.binary(max_size=20), max_size=4))
def test_parts_are_hashed_as_one_string(parts: list[bytes]) -> None:
    assert sha256(*parts) == hashlib.sha256(b"".join(parts)).digest()


@given(st.integers(0, 2**64 - 1))
def test_u64_is_8_bytes_big_endian(value: int) -> None:
    assert int.from_bytes(u64(value), "big") == value
    assert len(u64(value)) == 8


@pytest.mark.parametrize("value", [-1, 2**64])
def test_what_does_not_fit_u64_is_a_callers_mistake(value: int) -> None:
    with pytest.raises(OverflowError):
        u64(value)


LEAKS = {
    "json": json.dumps,
    "msgspec's json": msgspec.json.encode,
    "msgpack": msgspec.msgpack.encode,
    "pickle": pickle.dumps,
    "a copy": copy.deepcopy,
    "a hash": hash,
    "attributes": vars,
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_a_secret_is_not_turned_into_anything(leak: Callable[[object], object]) -> None:
    hidden = Secret(SEED)
    with pytest.raises(TypeError) as refused:
        leak(hidden)
    assert SEED.hex() not in str(refused.value)


def test_a_secret_shows_only_that_it_is_one() -> None:
    assert f"{Secret(SEED)} {[Secret(SEED)]!r}" == "Secret(***) [Secret(***)]"


def test_secrets_are_compared_by_value() -> None:
    assert Secret(SEED) == Secret(SEED)
    assert Secret(SEED) != Secret(bytes(32))
    assert Secret(SEED) != SEED
