"""A threshold group: 2n + 1 governors, one key per purpose, any n + 1 of whom sign for it.

Governor i stands at place i of the list and holds, for each purpose, the value at i + 1 of a
polynomial that nobody knows. The group publishes the polynomial's commitments; from them follow the
key (the constant one) and everybody's public share. Any t = n + 1 partials make the same signature.
Specified in `protocols/council.md`, section 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import msgspec

from stkrp2p.core import bls, threshold
from stkrp2p.core.crypto import Secret, sha256
from stkrp2p.core.types import Digest, NodeId
from stkrp2p.core.wire import Bytes32, Bytes96, Message, Uint, encode

if TYPE_CHECKING:
    from py_arkworks_bls12381 import G1Point

GROUP_TAG = b"stkr/group/1"

GOVERNORS_MAX = 63
"""Most governors of a council; with one bit each they fit a word of 64."""

COMMITMENTS_MAX = GOVERNORS_MAX // 2 + 1
"""Most commitments of one purpose: the threshold of the largest council."""

_SHARES_MAX = 4 * GOVERNORS_MAX
"""Public shares kept computed: of two groups, as in a resharing, for two purposes."""


class Purpose(IntEnum):
    """What a group signs; each purpose has a key and a domain of its own."""

    BEACON = 0
    """Rounds of the council's beacon."""

    ANCHOR = 1
    """Anchors on Ethereum."""


DOMAINS = {Purpose.BEACON: bls.ROUND_DST, Purpose.ANCHOR: bls.ANCHOR_DST}
"""The domain (DST) in which a purpose's key signs."""

Commitments = Annotated[tuple[Bytes96, ...], msgspec.Meta(max_length=COMMITMENTS_MAX)]
"""A polynomial's coefficients times G2's generator, the constant first."""


def threshold_of(governors: int) -> int:
    """Return how many of so many governors sign: n + 1 of 2n + 1.

    Raises:
        ValueError: The number is even, less than 1 or more than `GOVERNORS_MAX`.
    """
    if governors % 2 == 0 or not 1 <= governors <= GOVERNORS_MAX:
        raise ValueError(f"a council has an odd number up to {GOVERNORS_MAX}, not {governors}")
    return governors // 2 + 1


class Group(Message, frozen=True):
    """The public half of a council's keys; a group that exists is valid."""

    session: Uint
    """Number of the key generation or resharing that made it; 0 for a council of one."""

    governors: Annotated[tuple[Bytes32, ...], msgspec.Meta(max_length=GOVERNORS_MAX)]
    """Node ids in the order of the council's list; governor i's shares are values at i + 1."""

    commitments: Annotated[tuple[Commitments, ...], msgspec.Meta(max_length=len(Purpose))]
    """For each purpose the commitments to its polynomial, as many as the threshold."""

    def __post_init__(self) -> None:
        """Refuse what is no group: a wrong count, a governor named twice, a point that is no key."""
        wanted = threshold_of(len(self.governors))
        if len(set(self.governors)) != len(self.governors):
            raise ValueError("a governor is named twice")
        if [len(c) for c in self.commitments] != [wanted] * len(Purpose):
            raise ValueError(f"each of {len(Purpose)} purposes has {wanted} commitments")
        for commitments in self.commitments:
            for point in commitments:
                threshold.key_point(point)

    @property
    def threshold(self) -> int:
        """How many partials make a signature."""
        return threshold_of(len(self.governors))

    def public_key(self, purpose: Purpose) -> bytes:
        """Return the group's key, compressed."""
        return self.commitments[purpose][0]

    def public_share(self, purpose: Purpose, index: int) -> bytes:
        """Return the key under which a governor's partials verify, compressed.

        Raises:
            ValueError: There is no governor at this place.
        """
        if not 0 <= index < len(self.governors):
            raise ValueError(f"no governor at place {index} of {len(self.governors)}")
        return _public_share(self.commitments[purpose], index)

    def hash(self) -> Digest:
        """Return what governors confirm on chain: the hash of the tagged encoding."""
        return sha256(GROUP_TAG, encode(self))


@lru_cache(maxsize=_SHARES_MAX)
def _public_share(commitments: tuple[bytes, ...], index: int) -> bytes:
    return threshold.key_at(commitments, index + 1)


@dataclass(frozen=True, slots=True)
class GovernorShare:
    """What one governor signs with. A share that exists belongs to its group."""

    group: Group

    index: int
    """The governor's place in the group's list."""

    secrets: tuple[Secret, ...]
    """For each purpose the scalar, 32 bytes, big-endian."""

    def __post_init__(self) -> None:
        """Refuse scalars that are not this governor's in this group, an older group's included."""
        for purpose, secret in zip(Purpose, self.secrets, strict=True):
            public = bls.public_key_of(threshold.scalar_of(secret))
            if public != self.group.public_share(purpose, self.index):
                raise ValueError(f"the {purpose.name.lower()} share is not of this group and place")


def solo_share(node: NodeId, secrets: tuple[Secret, ...]) -> GovernorShare:
    """Return the share, and with it the group, of a council of one.

    Args:
        node: The one governor.
        secrets: For each purpose the whole secret, 32 bytes, big-endian.

    Raises:
        ValueError: They are no secrets, or not one for each purpose.
    """
    keys = [bls.public_key_of(threshold.scalar_of(s)) for s in secrets]
    group = Group(session=0, governors=(node,), commitments=tuple((key,) for key in keys))
    return GovernorShare(group, 0, secrets)


def partial_sign(share: GovernorShare, purpose: Purpose, message: bytes) -> bytes:
    """Return a governor's partial signature, 48 bytes."""
    return bls.sign(threshold.scalar_of(share.secrets[purpose]), message, DOMAINS[purpose])


def is_partial(
    group: Group, purpose: Purpose, index: int, message: bytes, signature: bytes
) -> bool:
    """Tell whether the governor at a place signed the message; false if there is none."""
    if not 0 <= index < len(group.governors):
        return False
    key = group.public_share(purpose, index)
    return bls.is_signed_by(key, message, signature, DOMAINS[purpose])


def combine(
    group: Group, purpose: Purpose, partials: Mapping[int, bytes], message: bytes
) -> bytes | None:
    """Return the group's signature if the partials contain enough good ones, else nothing.

    Takes the first t as if all were good and checks the result, for one check instead of t. Only
    if that fails are partials checked one by one, in the order of the list, until t are good.

    Args:
        group: Who signs.
        purpose: Under which of its keys.
        partials: Place of a governor -> what it sent, in any order; wrong ones do no harm.
        message: What was signed.
    """
    signature = interpolated(group, partials)
    if signature is None:
        return None
    if bls.is_signed_by(group.public_key(purpose), message, signature, DOMAINS[purpose]):
        return signature
    good = (
        (x, point)
        for x, point in _points(group, partials)
        if is_partial(group, purpose, x - 1, message, partials[x - 1])
    )
    chosen = dict(islice(good, group.threshold))
    return threshold.combined_signature(chosen) if len(chosen) == group.threshold else None


def interpolated(group: Group, partials: Mapping[int, bytes]) -> bytes | None:
    """Return what the first t readable partials make, unchecked; `None` if they are fewer.

    It is the group's signature exactly if all of them are good; for who checks many at once.
    """
    chosen = dict(islice(_points(group, partials), group.threshold))
    return threshold.combined_signature(chosen) if len(chosen) == group.threshold else None


def are_partials(
    group: Group, purpose: Purpose, index: int, signed: Sequence[tuple[bytes, bytes]]
) -> bool:
    """Tell whether the governor at a place made all of these; checked at once.

    Args:
        group: Whose governor.
        purpose: Of which key its share is.
        index: Its place.
        signed: (message, partial signature) pairs.

    Raises:
        ValueError: There is no governor at this place.
    """
    return bls.are_signed_by(group.public_share(purpose, index), signed, DOMAINS[purpose])


def _points(group: Group, partials: Mapping[int, bytes]) -> Iterator[tuple[int, G1Point]]:
    """Yield (x, point) of the partials that can be read, in the order of the list."""
    for index in sorted(partials):
        if 0 <= index < len(group.governors):
            with suppress(ValueError):
                yield index + 1, threshold.signature_point(partials[index])
