"""Shares determine a secret from t on; the same holds for keys and signatures, in public."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import assume, given, settings, strategies as st

from stkrp2p.core import bls, threshold
from stkrp2p.core.crypto import Secret

INFINITY_G1, INFINITY_G2 = b"\xc0" + bytes(47), b"\xc0" + bytes(95)
MESSAGE = b"a message"

scalars = st.integers(0, bls.ORDER - 1)
polynomials = st.lists(scalars, min_size=1, max_size=8)
few = settings(max_examples=20)


@given(polynomials, st.data())
def test_any_t_values_of_a_polynomial_give_the_one_at_zero(
    polynomial: list[int], data: st.DataObject
) -> None:
    t = len(polynomial)
    xs = data.draw(st.lists(st.integers(1, 63), min_size=t, max_size=t, unique=True))
    values = [threshold.value_at(polynomial, x) for x in xs]
    assert threshold.weighted_sum(threshold.weights_at_zero(xs), values) == polynomial[0]


@given(polynomials.filter(lambda p: len(p) > 1 and p[-1]), st.data())
def test_fewer_values_give_another(polynomial: list[int], data: st.DataObject) -> None:
    t = len(polynomial) - 1
    xs = data.draw(st.lists(st.integers(1, 63), min_size=t, max_size=t, unique=True))
    values = [threshold.value_at(polynomial, x) for x in xs]
    assert threshold.weighted_sum(threshold.weights_at_zero(xs), values) != polynomial[0]


@given(polynomials, st.integers(0, 63))
def test_a_value_is_the_sum_of_its_terms(polynomial: list[int], x: int) -> None:
    assert threshold.value_at(polynomial, x) == (
        sum(a * x**k for k, a in enumerate(polynomial)) % bls.ORDER
    )


nonzero = st.lists(st.integers(1, bls.ORDER - 1), min_size=1, max_size=5)


@few
@given(nonzero, st.integers(1, 63))
def test_a_public_share_follows_from_the_commitments(polynomial: list[int], x: int) -> None:
    commitments = [bls.public_key_of(a) for a in polynomial]
    secret = threshold.value_at(polynomial, x)
    assert threshold.key_at(commitments, x) == bls.public_key_of(secret)


@few
@given(nonzero, st.data())
def test_weighted_keys_are_the_keys_of_the_weighted_secrets(
    secrets: list[int], data: st.DataObject
) -> None:
    weights = data.draw(st.lists(scalars, min_size=len(secrets), max_size=len(secrets)))
    keys = map(bls.public_key_of, secrets)
    total = threshold.weighted_sum(weights, secrets)
    assert threshold.weighted_keys(weights, keys) == bls.public_key_of(total)


def test_keys_that_cancel_out_make_the_identity() -> None:
    keys = [bls.public_key_of(5), bls.public_key_of(bls.ORDER - 5)]
    assert threshold.weighted_keys([1, 1], keys) == INFINITY_G2
    with pytest.raises(ValueError, match=r"^the identity is no key$"):
        threshold.key_point(INFINITY_G2)


@few
@given(nonzero, st.data())
def test_partials_combine_to_the_signature_of_the_secret(
    polynomial: list[int], data: st.DataObject
) -> None:
    t = len(polynomial)
    xs = data.draw(st.lists(st.integers(1, 63), min_size=t, max_size=t, unique=True))
    partials = {x: partial_at(polynomial, x) for x in xs}
    assume(INFINITY_G1 not in partials.values())
    points = {x: threshold.signature_point(p) for x, p in partials.items()}
    whole = bls.sign(polynomial[0], MESSAGE, bls.ANCHOR_DST)
    assert threshold.combined_signature(points) == whole


def partial_at(polynomial: Sequence[int], x: int) -> bytes:
    return bls.sign(threshold.value_at(polynomial, x), MESSAGE, bls.ANCHOR_DST)


@given(scalars)
def test_a_scalar_is_kept_as_32_bytes(scalar: int) -> None:
    secret = threshold.secret_of_scalar(scalar)
    assert len(secret.reveal()) == bls.SCALAR_BYTES
    assert threshold.scalar_of(secret) == scalar


@pytest.mark.parametrize(
    "raw",
    [b"", bytes(31), bytes(33), bls.ORDER.to_bytes(32, "big"), b"\xff" * 32],
    ids=["nothing", "31 bytes", "33 bytes", "the order", "above the order"],
)
def test_what_is_no_scalar_of_32_bytes_is_refused_and_not_quoted(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^the secret is no scalar of 32 bytes$"):
        threshold.scalar_of(Secret(raw))


@given(st.binary(min_size=48, max_size=48) | st.binary(max_size=50))
def test_bytes_that_are_read_as_a_signature_are_its_only_encoding(raw: bytes) -> None:
    try:
        point = threshold.signature_point(raw)
    except ValueError:
        return
    assert point.to_compressed_bytes() == raw != INFINITY_G1
