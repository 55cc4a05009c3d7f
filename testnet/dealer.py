"""Threshold groups made by one who knows all: for simulations and tests, never for a network.

The shares are those that a key generation would give, without the governors having to run one.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded: a run is a function of its seed
from collections.abc import Sequence

from stkrp2p.core import bls
from stkrp2p.core.crypto import Secret
from stkrp2p.core.group import GovernorShare, Group, Purpose, threshold_of
from stkrp2p.core.types import NodeId

Polynomials = tuple[list[int], ...]
"""For each purpose the coefficients, the whole secret first."""


def draw_polynomials(source: random.Random, governors: int) -> Polynomials:
    """Return random polynomials for a council of this size."""
    degree = threshold_of(governors)
    return tuple([bls.secret_of(source.randbytes(48)) for _ in range(degree)] for _ in Purpose)


def deal(
    polynomials: Polynomials, governors: Sequence[NodeId], *, session: int = 1
) -> list[GovernorShare]:
    """Return every governor's share, in the order of the list."""
    group = Group(
        session=session,
        governors=tuple(governors),
        commitments=tuple(tuple(bls.public_key_of(c) for c in p) for p in polynomials),
    )
    return [
        GovernorShare(group, index, tuple(_value(p, index + 1) for p in polynomials))
        for index in range(len(governors))
    ]


def _value(polynomial: Sequence[int], x: int) -> Secret:
    total = sum(c * x**power for power, c in enumerate(polynomial)) % bls.ORDER
    return Secret(total.to_bytes(bls.SCALAR_BYTES, "big"))
