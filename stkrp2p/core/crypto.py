"""Hashes, domain tags, the one Ed25519 verifier, and how secrets are held.

Everything the protocol hashes or signs starts with a tag that names its purpose, so bytes made for
one purpose never serve another. Signatures are checked by libsodium through PyNaCl and by nothing
else: Ed25519 libraries disagree on edge cases (small-order keys, non-canonical scalars), and two
peers that disagree on one signature would never hold the same evidence again.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import NoReturn

from nacl import bindings
from nacl.exceptions import CryptoError

from stkrp2p.core.types import SIGNATURE_BYTES, Digest, NodeId

SEED_TAG = b"stkr/seed/1"
DRAW_TAG = b"stkr/draw/1"
CHALLENGE_TAG = b"stkr/challenge/1"
NETWORK_TAG = b"stkr/network/1"
CLAIM_TAG = b"stkr/claim/1"
BATCH_TAG = b"stkr/batch/1"
RECEIPT_TAG = b"stkr/receipt/1"
RECORD_TAG = b"stkr/record/1"

SECRET_BYTES = 32


class Secret:
    """Bytes that never show themselves: not in logs, JSON, tracebacks or pickles."""

    __slots__ = ("__value",)

    def __init__(self, value: bytes) -> None:
        self.__value = bytes(value)

    def reveal(self) -> bytes:
        """Return the bytes, to hand them to what signs."""
        return self.__value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.__value, other.__value)

    __hash__ = None  # type: ignore[assignment]  # a hash would tell of the value

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied out of the process")


def sha256(*parts: bytes) -> Digest:
    """Return SHA-256 of the parts, one after the other."""
    return Digest(hashlib.sha256(b"".join(parts)).digest())


def u64(value: int) -> bytes:
    """Return 8 bytes, big-endian.

    Raises:
        OverflowError: `value` is negative or 2**64 or more.
    """
    return value.to_bytes(8, "big")


def node_id_of(secret: bytes) -> NodeId:
    """Return the public key of a 32-byte Ed25519 secret (its seed, as in RFC 8032)."""
    public, _ = bindings.crypto_sign_seed_keypair(secret)
    return NodeId(public)


def sign(secret: bytes, tag: bytes, payload: bytes) -> bytes:
    """Return the 64-byte signature over `tag | 0x00 | payload`.

    Args:
        secret: 32-byte Ed25519 secret (seed).
        tag: Purpose; one of this module's tags.
        payload: What is signed.
    """
    _, keypair = bindings.crypto_sign_seed_keypair(secret)
    return bindings.crypto_sign(tag + b"\0" + payload, keypair)[:SIGNATURE_BYTES]


def is_signed_by(node: NodeId, tag: bytes, payload: bytes, signature: bytes) -> bool:
    """Tell whether `node` signed `tag | 0x00 | payload`; false for bytes that are no signature."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + tag + b"\0" + payload, node)
    except (CryptoError, ValueError):
        return False
    return True
