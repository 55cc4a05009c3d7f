"""Shares of a secret, and the same arithmetic on points, where everybody can follow it.

A secret is the value at 0 of a polynomial of degree t - 1 over the scalars; governor i holds its
value at i + 1. Any t values give the one at 0 by Lagrange's formula, fewer say nothing about it:

    f(0) = sum of w_i * f(x_i),    w_i = product over j != i of x_j / (x_j - x_i)

Multiplied by the generator, the coefficients become commitments, the values public shares, and the
formula still holds. So it does for signatures, which is how t partials make one.

Points are public and go through arkworks, which is fast at sums of products and not constant-time;
no secret reaches it. Secrets are added and multiplied here as integers modulo the order, in a
ceremony only; what multiplies a point by a secret is `bls`, with pyblst, in constant time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, reduce

from py_arkworks_bls12381 import G1Point, G2Point, Scalar

from stkrp2p.core.bls import ORDER, SCALAR_BYTES
from stkrp2p.core.crypto import Secret

_POINTS_MAX = 4096
"""Points of G2 kept decoded: the commitments of 63 dealers for two purposes are 4,032. Some 2 MB."""


# ------------------------------------------------------------------------------- secrets


def secret_of_scalar(scalar: int) -> Secret:
    """Return a scalar as it is kept: 32 bytes, big-endian, in a wrapper that never shows it."""
    return Secret(scalar.to_bytes(SCALAR_BYTES, "big"))


def scalar_of(secret: Secret) -> int:
    """Return the scalar that a secret holds.

    Raises:
        ValueError: Not 32 bytes, or not below the order. The message does not quote them.
    """
    if len(secret.reveal()) != SCALAR_BYTES or _number(secret) >= ORDER:
        raise ValueError("the secret is no scalar of 32 bytes")
    return _number(secret)


def _number(secret: Secret) -> int:
    return int.from_bytes(secret.reveal(), "big")


def value_at(coefficients: Sequence[int], x: int) -> int:
    """Return a polynomial's value; the constant coefficient stands first."""
    return reduce(lambda value, a: (value * x + a) % ORDER, reversed(coefficients), 0)


def weights_at_zero(xs: Sequence[int]) -> tuple[int, ...]:
    """Return Lagrange's weight of each x: what its value counts for in the value at 0.

    Args:
        xs: Distinct integers from 1 to the order, exclusive.
    """
    return tuple(_weight(x, [other for other in xs if other != x]) for x in xs)


def _weight(x: int, others: Iterable[int]) -> int:
    above, below = 1, 1
    for other in others:
        above = above * other % ORDER
        below = below * (other - x) % ORDER
    return above * pow(below, -1, ORDER) % ORDER


def weighted_sum(weights: Sequence[int], values: Sequence[int]) -> int:
    """Return the sum of weight times value, modulo the order; as many of both."""
    return sum(w * v for w, v in zip(weights, values, strict=True)) % ORDER


# ------------------------------------------------------------------------------- points


@lru_cache(maxsize=_POINTS_MAX)
def key_point(key: bytes) -> G2Point:
    """Return a point of G2 from its compressed bytes, checked.

    Raises:
        ValueError: Not the one encoding of a point of the right subgroup, or the identity.
    """
    point = G2Point.from_compressed_bytes(key)
    # Arkworks takes several strings for the identity; each has another encoding, or is the identity.
    if point == G2Point.identity() or point.to_compressed_bytes() != key:
        raise ValueError("the identity is no key")
    return point


def signature_point(signature: bytes) -> G1Point:
    """Return a point of G1 from its compressed bytes, checked.

    Raises:
        ValueError: Not the one encoding of a point of the right subgroup, or the identity.
    """
    point = G1Point.from_compressed_bytes(signature)
    if point == G1Point.identity() or point.to_compressed_bytes() != signature:
        raise ValueError("the identity is no signature")
    return point


def key_at(commitments: Sequence[bytes], x: int) -> bytes:
    """Return the public share at x: the committed polynomial's value there, times the generator.

    Args:
        commitments: The coefficients times the generator, the constant first; valid keys.
        x: A small number; the time grows with its length in bits.
    """
    points, at = [key_point(c) for c in reversed(commitments)], Scalar(x)
    return reduce(lambda value, point: value * at + point, points).to_compressed_bytes()


def weighted_keys(weights: Sequence[int], keys: Iterable[bytes]) -> bytes:
    """Return the sum of weight times valid key, as many of both; it may be the identity."""
    points = [key_point(key) for key in keys]
    return G2Point.multiexp_unchecked(points, _scalars(weights)).to_compressed_bytes()


def combined_signature(partials: Mapping[int, G1Point]) -> bytes:
    """Return the signature that partials make: their polynomial's value at 0.

    Args:
        partials: x -> the signature by the share at x; as many as the threshold.
    """
    weights = _scalars(weights_at_zero(list(partials)))
    return G1Point.multiexp_unchecked(list(partials.values()), weights).to_compressed_bytes()


def _scalars(values: Iterable[int]) -> list[Scalar]:
    return [Scalar.from_be_bytes(v.to_bytes(SCALAR_BYTES, "big")) for v in values]
