"""BLS12-381 signatures in G1 with keys in G2 ("min-sig"), as drand's quicknet makes them.

Secrets and checks go through `pyblst` (blst: constant time, strict decoding with subgroup checks).
The coordinates that the Ethereum precompiles of EIP-2537 want are computed here from public bytes
with plain integers. Encodings: compressed is ZCash's (48 and 96 bytes, imaginary part first),
uncompressed is EIP-2537's (64 bytes a field element, real part first). RFC 9380 hashes to the curve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from operator import add

import pyblst

from stkrp2p.core.crypto import sha256, u64

ROUND_DST = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
"""Domain of beacon rounds; the one drand's scheme `bls-unchained-g1-rfc9380` uses."""

ANCHOR_DST = b"STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_"
"""Domain of anchors: an anchor's signature never passes for a round's, nor the other way."""

POSSESSION_DST = b"STKR-POP-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_"
"""Domain of proofs that a dealer knows the secret behind its commitment."""

SIGNATURE_BYTES = 48
PUBLIC_KEY_BYTES = 96
SCALAR_BYTES = 32

ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
"""Order of both groups: scalars are integers from 0 up to but not including it."""

_P = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab",
    16,
)
_HALF = (_P + 1) // 2
_G2_GENERATOR = bytes.fromhex(
    "93e02b6052719f607dacd3a088274f65596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e"
    "024aa2b2f08f0a91260805272dc51051c6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8"
)
_SIGN_BIT = 0x20
_INFINITY_BIT = 0x40
_FIELD_BYTES = 48
_KEYS_MAX = 128
"""Public keys kept decoded: the beacons' and the council's, and the shares of 63 governors."""


def secret_of(entropy: bytes) -> int:
    """Return a secret scalar from 48 or more bytes of entropy, without bias worth speaking of.

    Raises:
        ValueError: Fewer than 48 bytes, or (once in 2**255) the scalar is 0.
    """
    if len(entropy) < _FIELD_BYTES:
        raise ValueError(f"a BLS secret needs 48 bytes of entropy, got {len(entropy)}")
    scalar = int.from_bytes(entropy, "big") % ORDER
    if scalar == 0:
        raise ValueError("the entropy gives the scalar 0")
    return scalar


def public_key_of(secret: int) -> bytes:
    """Return the compressed public key (96 bytes) of a secret scalar."""
    return bytes(pyblst.BlstP2Element.uncompress(_G2_GENERATOR).scalar_mul(secret).compress())


def sign(secret: int, message: bytes, dst: bytes) -> bytes:
    """Return the compressed signature (48 bytes) of a message in a domain."""
    return bytes(pyblst.BlstP1Element.hash_to_group(message, dst).scalar_mul(secret).compress())


@lru_cache(maxsize=_KEYS_MAX)
def _key(public_key: bytes) -> pyblst.BlstP2Element:
    return pyblst.BlstP2Element.uncompress(public_key)


def is_signed_by(public_key: bytes, message: bytes, signature: bytes, dst: bytes) -> bool:
    """Tell whether the key's owner signed the message in that domain.

    False for bytes that are no point of the right subgroup, for other encodings of a point, and for
    the point at infinity, which would verify any message.
    """
    if not _is_shaped(public_key, PUBLIC_KEY_BYTES) or not _is_shaped(signature, SIGNATURE_BYTES):
        return False
    try:
        left = pyblst.miller_loop(
            pyblst.BlstP1Element.hash_to_group(message, dst), _key(public_key)
        )
        point = pyblst.BlstP1Element.uncompress(signature)
    except ValueError:
        return False
    right = pyblst.miller_loop(point, _key(_G2_GENERATOR))
    return bool(pyblst.final_verify(left, right))


def are_signed_by(public_key: bytes, signed: Sequence[tuple[bytes, bytes]], dst: bytes) -> bool:
    """Tell whether the key's owner signed every message, for less than half the time of each.

    What holds for each hash H and signature S, e(H, key) = e(S, generator), holds for sums of them
    under any weights. The weights are 128 bits of a hash over all that is checked, so nobody can
    choose signatures whose errors cancel, two swapped ones for instance.

    Args:
        public_key: Compressed, in G2.
        signed: (message, signature) pairs.
        dst: The domain of them all.
    """
    if not signed:
        return True
    if not _is_shaped(public_key, PUBLIC_KEY_BYTES):
        return False
    if not all(_is_shaped(signature, SIGNATURE_BYTES) for _, signature in signed):
        return False
    weights = _weights(public_key, signed, dst)
    try:
        key = _key(public_key)
        points = [pyblst.BlstP1Element.uncompress(signature) for _, signature in signed]
    except ValueError:
        return False
    hashes = (pyblst.BlstP1Element.hash_to_group(message, dst) for message, _ in signed)
    left = pyblst.miller_loop(_weighted(weights, hashes), key)
    right = pyblst.miller_loop(_weighted(weights, points), _key(_G2_GENERATOR))
    return bool(pyblst.final_verify(left, right))


def _weights(public_key: bytes, signed: Sequence[tuple[bytes, bytes]], dst: bytes) -> list[int]:
    checked = [sha256(message) + signature for message, signature in signed]
    seed = sha256(b"stkr/weights/1", sha256(dst), public_key, *checked)
    return [int.from_bytes(sha256(seed, u64(i))[:16], "big") for i in range(len(signed))]


def _weighted(
    weights: Sequence[int], points: Iterable[pyblst.BlstP1Element]
) -> pyblst.BlstP1Element:
    return reduce(add, (p.scalar_mul(w) for w, p in zip(weights, points, strict=True)))


def _is_shaped(point: bytes, length_bytes: int) -> bool:
    return len(point) == length_bytes and not point[0] & _INFINITY_BIT


def g1_uncompressed(signature: bytes) -> bytes:
    """Return a G1 point as EIP-2537 wants it: x, y, 64 bytes each.

    The caller has checked that it is one (`is_signed_by`); only the curve equation is solved here.

    Raises:
        ValueError: No point of the curve has this x.
    """
    x = int.from_bytes(bytes([signature[0] & 0x1F]) + signature[1:], "big")
    y = _sqrt(x * x * x + 4)
    if y * y % _P != (x * x * x + 4) % _P:
        raise ValueError("not the x of a point of G1")
    if (y > (_P - 1) // 2) != bool(signature[0] & _SIGN_BIT):
        y = _P - y
    return _field(x) + _field(y)


def g2_uncompressed(public_key: bytes) -> bytes:
    """Return a G2 point as EIP-2537 wants it: x real, x imaginary, y real, y imaginary.

    Raises:
        ValueError: No point of the curve has this x.
    """
    x1 = int.from_bytes(bytes([public_key[0] & 0x1F]) + public_key[1:48], "big")
    x0 = int.from_bytes(public_key[48:], "big")
    y0, y1 = _sqrt_fp2(*_g2_right_side(x0, x1))
    is_larger = y1 > (_P - 1) // 2 if y1 else y0 > (_P - 1) // 2
    if is_larger != bool(public_key[0] & _SIGN_BIT):
        y0, y1 = -y0 % _P, -y1 % _P
    return _field(x0) + _field(x1) + _field(y0) + _field(y1)


def _field(value: int) -> bytes:
    return value.to_bytes(64, "big")


def _g2_right_side(x0: int, x1: int) -> tuple[int, int]:
    """Return x^3 + 4(1 + i) for x = x0 + x1 i, i^2 = -1."""
    square0, square1 = (x0 * x0 - x1 * x1) % _P, 2 * x0 * x1 % _P
    cube0 = (square0 * x0 - square1 * x1) % _P
    cube1 = (square0 * x1 + square1 * x0) % _P
    return (cube0 + 4) % _P, (cube1 + 4) % _P


def _sqrt_fp2(a0: int, a1: int) -> tuple[int, int]:
    """Return a square root of a0 + a1 i by the norm method; p = 3 mod 4.

    A root x0 + x1 i has x0^2 = (a0 + sqrt(a0^2 + a1^2)) / 2 for one of both signs of the inner root,
    and x1 = a1 / (2 x0); where x0 is 0, x1^2 is -a0.

    Raises:
        ValueError: There is none.
    """
    norm = _sqrt(a0 * a0 + a1 * a1)
    for inner in (norm, -norm):
        x0 = _sqrt((a0 + inner) * _HALF)
        x1 = a1 * _HALF * pow(x0, -1, _P) % _P if x0 else _sqrt(-a0)
        if (x0 * x0 - x1 * x1 - a0) % _P == 0 and (2 * x0 * x1 - a1) % _P == 0:
            return x0, x1
    raise ValueError("not the x of a point of G2")


def _sqrt(a: int) -> int:
    """Return a square root of `a` modulo p if it has one, else another number."""
    return pow(a, (_P + 1) // 4, _P)
