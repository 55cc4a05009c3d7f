"""Ethereum's official BLS vectors, in full: what stands under our signatures is done right.

Ethereum's scheme is the mirror image of ours (keys in G1, signatures in G2, keys added up), so the
checks are written here over the same primitives; our own strict decoders take its points.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path

import pyblst
import pytest

from stkrp2p.core import bls, threshold

VECTORS = json.loads((Path(__file__).parent / "data/bls12-381-tests.json").read_text())
DST = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
HASH_DST = b"QUUX-V01-CS02-with-BLS12381G2_XMD:SHA-256_SSWU_RO_"
GENERATOR = bytes.fromhex(
    "97f1d3a73197d7942695638c4fa9ac0fc3688c4f9774b905a14e3a3f171bac58"
    "6c55e83ff97a1aeffb3af00adb22c6bb"
)
P1, P2 = pyblst.BlstP1Element, pyblst.BlstP2Element


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def key(text: str) -> pyblst.BlstP1Element:
    if raw(text)[0] & 0x40:
        raise ValueError("the identity is no key")
    return P1.uncompress(raw(text))


def pairing(left: pyblst.BlstP1Element, right: pyblst.BlstP2Element) -> pyblst.BlstFP12Element:
    return pyblst.miller_loop(left, right)


def hashed(message: str) -> pyblst.BlstP2Element:
    return P2.hash_to_group(raw(message), DST)


def sign(*, privkey: str, message: str) -> str:
    scalar = int(privkey, 16)
    if not 0 < scalar < bls.ORDER:
        raise ValueError("no secret")
    return "0x" + bytes(hashed(message).scalar_mul(scalar).compress()).hex()


def verify(*, pubkey: str, message: str, signature: str) -> bool:
    return aggregate_verify(pubkeys=[pubkey], messages=[message], signature=signature)


def aggregate(*signatures: str) -> str:
    if not signatures:
        raise ValueError("nothing to add up")
    total = reduce(add, [P2.uncompress(raw(s)) for s in signatures])
    return "0x" + bytes(total.compress()).hex()


def aggregate_verify(*, pubkeys: list[str], messages: list[str], signature: str) -> bool:
    pairs = zip(pubkeys, messages, strict=True)
    terms = [pairing(key(k), hashed(m)) for k, m in pairs]
    if not terms:
        return False
    right = pairing(P1.uncompress(GENERATOR), P2.uncompress(raw(signature)))
    return pyblst.final_verify(reduce(lambda a, b: a * b, terms), right)


def fast_aggregate_verify(*, pubkeys: list[str], message: str, signature: str) -> bool:
    if not pubkeys:
        return False
    total = reduce(add, map(key, pubkeys))
    right = pairing(P1.uncompress(GENERATOR), P2.uncompress(raw(signature)))
    return pyblst.final_verify(pairing(total, hashed(message)), right)


def batch_verify(*, pubkeys: list[str], messages: list[str], signatures: list[str]) -> bool:
    triples = zip(pubkeys, messages, signatures, strict=True)
    return all(verify(pubkey=k, message=m, signature=s) for k, m, s in triples)


def hash_to_g2(*, msg: str) -> dict[str, str]:
    point = bytes(P2.hash_to_group(msg.encode(), HASH_DST).compress())
    words = [bls.g2_uncompressed(point)[i + 16 : i + 64].hex() for i in range(0, 256, 64)]
    return {"x": f"0x{words[0]},0x{words[1]}", "y": f"0x{words[2]},0x{words[3]}"}


SCHEME: dict[str, tuple[Callable[..., object], object]] = {
    "sign": (sign, None),
    "verify": (verify, False),
    "aggregate": (aggregate, None),
    "aggregate_verify": (aggregate_verify, False),
    "fast_aggregate_verify": (fast_aggregate_verify, False),
    "batch_verify": (batch_verify, False),
    "hash_to_G2": (hash_to_g2, None),
}
"""Group of vectors -> (what computes it, the output where the input is refused)."""


def cases(*groups: str) -> list:
    return [
        pytest.param(group, case, id=f"{group} {name}")
        for group in groups
        for name, case in VECTORS[group].items()
    ]


@pytest.mark.parametrize(("group", "case"), cases(*SCHEME))
def test_ethereums_scheme_over_our_primitives_gives_every_official_output(
    group: str, case: dict
) -> None:
    compute, refused = SCHEME[group]
    given = case["input"]
    try:
        found = compute(*given) if isinstance(given, list) else compute(**given)
    except ValueError:
        found = refused
    assert found == case["output"]


DECODERS: dict[str, tuple[Callable[[bytes], object], Callable[[bytes], object], str]] = {
    "deserialization_G1": (threshold.signature_point, P1.uncompress, "pubkey"),
    "deserialization_G2": (threshold.key_point, P2.uncompress, "signature"),
}


def is_read(decoder: Callable[[bytes], object], point: bytes) -> bool:
    try:
        decoder(point)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("group", "case"), cases(*DECODERS))
def test_our_decoders_take_exactly_the_official_points_but_the_identity(
    group: str, case: dict
) -> None:
    ours, strict, field = DECODERS[group]
    point = raw(case["input"][field])
    is_identity = point == b"\xc0" + bytes(len(point) - 1)
    assert is_read(strict, point) is case["output"]
    assert is_read(ours, point) is (case["output"] and not is_identity)


def test_every_official_vector_is_used() -> None:
    assert {*SCHEME, *DECODERS, "about"} == VECTORS.keys()
    assert sum(len(VECTORS[group]) for group in (*SCHEME, *DECODERS)) == 104
