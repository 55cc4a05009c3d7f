"""Bytes on the wire: canonical MessagePack of fixed-shape arrays.

A message is an array whose elements stand in the order of the specification: no maps, no floats, no
extension types, integers in their shortest form. `decode` reads straight into typed structs, so a
frame of n bytes never makes more than a few times n of objects, and it refuses every encoding but
the one `encode` would have written: one value has one byte string, and so one hash.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from functools import cache
from typing import Annotated, TypeVar

import msgspec

from stkrp2p.core.types import HASH_BYTES, SIGNATURE_BYTES, ProtocolError

INTEGER_MAX = (1 << 63) - 1
"""Largest integer in a message: what every language's signed 64-bit type holds."""

FRAME_BYTES_MAX = 64 * 1024
"""Largest gossip message, question or audit answer."""

ANSWER_BYTES_MAX = 1024 * 1024
"""Largest answer on the sync protocol."""

Bytes32 = Annotated[bytes, msgspec.Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]
Bytes64 = Annotated[bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)]
Bytes96 = Annotated[bytes, msgspec.Meta(min_length=96, max_length=96)]
Bytes48 = Annotated[bytes, msgspec.Meta(min_length=48, max_length=48)]
Bytes20 = Annotated[bytes, msgspec.Meta(min_length=20, max_length=20)]
Uint = Annotated[int, msgspec.Meta(ge=0, le=INTEGER_MAX)]


class Message(
    msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True
):
    """Base of every wire message: an array, immutable, of exactly the named fields."""


M = TypeVar("M", bound=Hashable)

_encoder = msgspec.msgpack.Encoder()


_learning = threading.Lock()
"""Held while msgspec learns a type. Two threads that learn one at the same time, be it as a part of
two others, end the process."""


@cache
def _decoder(shape: type[M]) -> msgspec.msgpack.Decoder[M]:
    with _learning:
        return msgspec.msgpack.Decoder(shape)


def encode(value: object) -> bytes:
    """Return the one encoding of a message (or of a nest of lists, integers and byte strings)."""
    return _encoder.encode(value)


def decode(frame: bytes, shape: type[M], *, bytes_max: int = FRAME_BYTES_MAX) -> M:
    """Read one message.

    Args:
        frame: What arrived.
        shape: The message's type, a `Message` or a tagged union of them.
        bytes_max: Cap for this kind of message; checked before anything is read.

    Raises:
        ProtocolError: `oversized`, `malformed` (not of that shape), or `not-canonical` (of that
            shape, but written in another way than `encode` writes it).
    """
    if len(frame) > bytes_max:
        raise ProtocolError("oversized", f"{len(frame)} bytes, at most {bytes_max}")
    try:
        value: M = _decoder(shape).decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError("malformed", str(error)) from error
    if _encoder.encode(value) != frame:
        raise ProtocolError("not-canonical")
    return value
