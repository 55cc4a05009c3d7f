"""What a dealer gives the receivers of a key ceremony, and how they check it.

A dealer draws a polynomial for each purpose, commits to its coefficients, proves that it knows the
constant one, and seals to every receiver the values at that receiver's place. All of it follows from
a 32-byte seed, so a dealer that starts again deals the same bytes; nothing here draws a number.
Specified in `protocols/council.md`, section 2.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from typing import Annotated

import msgspec
from nacl import bindings
from nacl.exceptions import CryptoError

from stkrp2p.core import bls, threshold
from stkrp2p.core.crypto import SECRET_BYTES, Secret, node_id_of, sha256, u64
from stkrp2p.core.group import (
    GOVERNORS_MAX,
    Commitments,
    GovernorShare,
    Group,
    Purpose,
    threshold_of,
)
from stkrp2p.core.types import Digest, NodeId, ProtocolError
from stkrp2p.core.wire import Bytes32, Bytes48, Message, Uint, decode

CEREMONY_TAG = b"stkr/ceremony/1"
POSSESSION_TAG = b"stkr/possession/1"

DEAL_BYTES_MAX = 16 * 1024
"""Largest deal; one to 63 receivers has 13.6 kB."""

SHARES_BYTES = len(Purpose) * bls.SCALAR_BYTES
"""One receiver's shares of one dealer: for each purpose a scalar, 32 bytes, big-endian."""

SEALED_BYTES = bindings.crypto_box_SEALBYTES + SHARES_BYTES
"""The same in a sealed box, which adds an ephemeral key and a tag: 48 bytes."""

_NONCE_BYTES = 24

Sealed = Annotated[bytes, msgspec.Meta(min_length=SEALED_BYTES, max_length=SEALED_BYTES)]


@dataclass(frozen=True, kw_only=True)
class Ceremony:
    """One session of the bulletin board: who deals to whom, and from which group."""

    chain_id: int
    """Of the chain that has the board."""

    contract: bytes
    """The board's address, 20 bytes."""

    session: int
    """The board's number of the session."""

    dealers: tuple[NodeId, ...]
    """The sitting list."""

    receivers: tuple[NodeId, ...]
    """The list whose shares are made; the dealers again if the key is fresh."""

    old: Group | None = None
    """The dealers' group if its key is handed on; none if the key is fresh."""

    def __post_init__(self) -> None:
        """Refuse lists that are no council's, and dealers who are not the ones to deal."""
        for governors in (self.dealers, self.receivers):
            threshold_of(len(governors))
            if len(set(governors)) != len(governors):
                raise ValueError("a governor is named twice")
        if self.dealers != (self.receivers if self.old is None else self.old.governors):
            raise ValueError("a fresh key's receivers deal, or the governors of the old group")

    @cached_property
    def id(self) -> Digest:
        """What deals are bound to: board, session, both lists and the old group."""
        return sha256(
            CEREMONY_TAG,
            u64(self.chain_id),
            self.contract,
            u64(self.session),
            *(u64(len(self.dealers)), *self.dealers),
            *(u64(len(self.receivers)), *self.receivers),
            bytes(32) if self.old is None else self.old.hash(),
        )

    @property
    def threshold(self) -> int:
        """How many of the new group's governors sign; as many complaints evict a dealer."""
        return threshold_of(len(self.receivers))

    @property
    def quorum(self) -> int:
        """How many dealers must qualify: if at most n of 2n + 1 are faulty, one is honest."""
        return threshold_of(len(self.dealers))


class Deal(Message, frozen=True):
    """What a dealer gives all receivers at once; only its hash is on the board."""

    ceremony: Bytes32
    """Id of the ceremony it is for."""

    dealer: Uint
    """The dealer's place among the dealers."""

    commitments: Annotated[tuple[Commitments, ...], msgspec.Meta(max_length=len(Purpose))]
    """For each purpose the polynomial's coefficients times the generator, the constant first."""

    proofs: Annotated[tuple[Bytes48, ...], msgspec.Meta(max_length=len(Purpose))]
    """For each purpose a signature by the constant coefficient: the dealer knows it."""

    sealed: Annotated[tuple[Sealed, ...], msgspec.Meta(max_length=GOVERNORS_MAX)]
    """For each receiver its shares, in a box that only its node's secret opens."""


# ------------------------------------------------------------------------------- dealing


@dataclass(frozen=True, slots=True, kw_only=True)
class Dealer:
    """One dealer of a ceremony and its secrets: all that it will ever say follows from them."""

    ceremony: Ceremony

    index: int
    """Its place among the dealers."""

    seed: Secret
    """32 random bytes, kept before the deal's hash is posted."""

    old: GovernorShare | None = None
    """What it hands on; none if the key is fresh."""

    def __post_init__(self) -> None:
        """Refuse a seed of another length, another place, and a share that is not to be dealt."""
        if len(self.seed.reveal()) != SECRET_BYTES:
            raise ValueError(f"a dealer's seed has {SECRET_BYTES} bytes")
        if not 0 <= self.index < len(self.ceremony.dealers):
            raise ValueError(f"no dealer at place {self.index}")
        held = None if self.old is None else (self.old.group, self.old.index)
        if held != (None if self.ceremony.old is None else (self.ceremony.old, self.index)):
            raise ValueError("the share is not the one that this dealer hands on")


def deal_of(dealer: Dealer) -> Deal:
    """Return the dealer's deal, the same bytes every time."""
    ceremony, polynomials = dealer.ceremony, _polynomials(dealer)
    commitments = tuple(tuple(map(bls.public_key_of, row)) for row in polynomials)
    proofs = tuple(
        bls.sign(row[0], _possession(ceremony, dealer.index, p, c[0]), bls.POSSESSION_DST)
        for p, row, c in zip(Purpose, polynomials, commitments, strict=True)
    )
    sealed = tuple(
        _seal(_values(polynomials, r), node, _derived(dealer, b"seal", r)[:SECRET_BYTES])
        for r, node in enumerate(ceremony.receivers)
    )
    return Deal(
        ceremony=ceremony.id,
        dealer=dealer.index,
        commitments=commitments,
        proofs=proofs,
        sealed=sealed,
    )


def justification_of(dealer: Dealer, receiver: int) -> bytes:
    """Return a receiver's shares in the clear, as the dealer reveals them after a complaint."""
    return _values(_polynomials(dealer), receiver)


def _polynomials(dealer: Dealer) -> list[list[int]]:
    polynomials = [
        [
            bls.secret_of(_derived(dealer, b"coefficient", purpose, k))
            for k in range(dealer.ceremony.threshold)
        ]
        for purpose in Purpose
    ]
    if dealer.old is not None:
        for row, secret in zip(polynomials, dealer.old.secrets, strict=True):
            row[0] = threshold.scalar_of(secret)
    return polynomials


def _values(polynomials: Iterable[Sequence[int]], receiver: int) -> bytes:
    values = (threshold.value_at(row, receiver + 1) for row in polynomials)
    return b"".join(v.to_bytes(bls.SCALAR_BYTES, "big") for v in values)


def _derived(dealer: Dealer, label: bytes, *numbers: int) -> bytes:
    """Return 64 bytes by HKDF-SHA-512 (RFC 5869): from the seed, salted by the ceremony."""
    key = hmac.digest(dealer.ceremony.id, dealer.seed.reveal(), "sha512")
    return hmac.digest(key, label + b"".join(map(u64, numbers)) + b"\1", "sha512")


def _possession(ceremony: Ceremony, dealer: int, purpose: Purpose, commitment: bytes) -> Digest:
    return sha256(POSSESSION_TAG, ceremony.id, u64(dealer), u64(purpose), commitment)


def _seal(shares: bytes, node: NodeId, ephemeral: bytes) -> bytes:
    """Return libsodium's sealed box, its ephemeral secret given so that it is the same every time.

    A node id that is no key opens nothing; its box is zeros, its governor as good as absent.
    """
    try:
        receiver = bindings.crypto_sign_ed25519_pk_to_curve25519(node)
    except CryptoError:
        return bytes(SEALED_BYTES)
    public = bindings.crypto_scalarmult_base(ephemeral)
    nonce = hashlib.blake2b(public + receiver, digest_size=_NONCE_BYTES).digest()
    return public + bindings.crypto_box(shares, nonce, receiver, ephemeral)


# ------------------------------------------------------------------------------- receiving


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """One receiver of a ceremony, with the secret that opens what is sealed to it."""

    ceremony: Ceremony

    secret: Secret
    """Its node's Ed25519 secret (seed), 32 bytes."""

    def __post_init__(self) -> None:
        """Refuse a node that is no receiver."""
        if self._node not in self.ceremony.receivers:
            raise ValueError("the secret is of no receiver")

    @property
    def index(self) -> int:
        """Its place among the receivers."""
        return self.ceremony.receivers.index(self._node)

    @property
    def _node(self) -> NodeId:
        return node_id_of(self.secret.reveal())


def hash_of_deal(body: bytes) -> Digest:
    """Return what a dealer posts for its encoded deal."""
    return sha256(body)


def check_deal(ceremony: Ceremony, dealer: int, posted: bytes, body: bytes) -> Deal:
    """Return a dealer's deal, checked as far as everybody can.

    Args:
        ceremony: The session.
        dealer: Whose deal it should be.
        posted: The hash on the board.
        body: The encoded deal, from whoever had it.

    Raises:
        ProtocolError: `other-deal` says nothing of the dealer: somebody else may have the right one.
            Else the dealer's deal is wrong: `oversized`, `malformed`, `not-canonical`,
            `other-ceremony`, `other-dealer`, `wrong-degree`, `wrong-count`, `bad-point`,
            `other-share` (not the one it hands on), `no-possession`.
    """
    if hash_of_deal(body) != posted:
        raise ProtocolError("other-deal")
    deal = decode(body, Deal, bytes_max=DEAL_BYTES_MAX)
    if deal.ceremony != ceremony.id:
        raise ProtocolError("other-ceremony")
    if deal.dealer != dealer:
        raise ProtocolError("other-dealer")
    if [len(c) for c in deal.commitments] != [ceremony.threshold] * len(Purpose):
        raise ProtocolError("wrong-degree")
    if (len(deal.proofs), len(deal.sealed)) != (len(Purpose), len(ceremony.receivers)):
        raise ProtocolError("wrong-count")
    _check_points(deal)
    for purpose in Purpose:
        _check_constant(ceremony, deal, purpose)
    return deal


def _check_points(deal: Deal) -> None:
    try:
        for commitments in deal.commitments:
            for point in commitments:
                threshold.key_point(point)
    except ValueError:
        raise ProtocolError("bad-point") from None


def _check_constant(ceremony: Ceremony, deal: Deal, purpose: Purpose) -> None:
    constant = deal.commitments[purpose][0]
    if ceremony.old and constant != ceremony.old.public_share(purpose, deal.dealer):
        raise ProtocolError("other-share")
    message = _possession(ceremony, deal.dealer, purpose, constant)
    if not bls.is_signed_by(constant, message, deal.proofs[purpose], bls.POSSESSION_DST):
        raise ProtocolError("no-possession")


def open_shares(receiver: Receiver, deal: Deal) -> tuple[Secret, ...]:
    """Return a receiver's shares from a checked deal, one for each purpose.

    Raises:
        ProtocolError: `wrong-share`: the box does not open, or the shares do not fit.
    """
    sealed = deal.sealed[receiver.index]
    return read_shares(deal, receiver.index, _opened(sealed, receiver.secret))


def _opened(sealed: bytes, secret: Secret) -> Secret:
    public, pair = bindings.crypto_sign_seed_keypair(secret.reveal())
    own = bindings.crypto_sign_ed25519_pk_to_curve25519(public)
    key = bindings.crypto_sign_ed25519_sk_to_curve25519(pair)
    try:
        return Secret(bindings.crypto_box_seal_open(sealed, own, key))
    except CryptoError:
        return Secret(b"")


def read_shares(deal: Deal, receiver: int, shares: Secret) -> tuple[Secret, ...]:
    """Return the shares, unsealed or revealed, of the receiver at a place, one for each purpose.

    Raises:
        ProtocolError: `wrong-share`: they are of another length, no scalars, or not the values that
            the checked deal commits to.
    """
    parts = _parts(shares)
    if len(parts) != len(Purpose) or not all(map(_fits, parts, deal.commitments, repeat(receiver))):
        raise ProtocolError("wrong-share")
    return parts


def _parts(shares: Secret) -> tuple[Secret, ...]:
    starts = range(0, len(shares.reveal()), bls.SCALAR_BYTES)
    return tuple(Secret(shares.reveal()[i : i + bls.SCALAR_BYTES]) for i in starts)


def _fits(share: Secret, commitments: Sequence[bytes], receiver: int) -> bool:
    try:
        public = bls.public_key_of(threshold.scalar_of(share))
    except ValueError:
        return False
    return public == threshold.key_at(commitments, receiver + 1)
