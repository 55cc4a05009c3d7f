"""RLP, as much as block headers and account proofs need: a list of byte strings, nothing nested.

Ethereum's recursive encoding, read strictly: each value has one encoding, and a list in a list is
refused, so no input makes us recurse. (Yellow Paper, appendix B.)
"""

from __future__ import annotations

from collections.abc import Iterable

_STRING = 0x80
_LIST = 0xC0
_SHORT_MAX = 55
"""Longest payload whose length stands in the first byte."""


class NotRlp(ValueError):
    """The bytes are not the encoding of a list of byte strings."""


def encode_list(items: Iterable[bytes]) -> bytes:
    """Return the encoding of a list of byte strings."""
    payload = b"".join(_encode_string(item) for item in items)
    return _head(len(payload), _LIST) + payload


def encode_uint(value: int) -> bytes:
    """Return the byte string that stands for an integer: big-endian, shortest, empty for 0."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def _encode_string(item: bytes) -> bytes:
    if len(item) == 1 and item[0] < _STRING:
        return item
    return _head(len(item), _STRING) + item


def _head(length: int, base: int) -> bytes:
    if length <= _SHORT_MAX:
        return bytes([base + length])
    digits = encode_uint(length)
    return bytes([base + _SHORT_MAX + len(digits)]) + digits


def read_list(data: bytes) -> list[bytes]:
    """Read a list of byte strings that fills `data`.

    Raises:
        NotRlp: It is none, or not in its one encoding.
    """
    start, end = _payload(data, 0, _LIST)
    if end != len(data):
        raise NotRlp("bytes behind the list")
    items = []
    while start < end:
        if data[start] < _STRING:
            items.append(data[start : start + 1])
            start += 1
            continue
        first, last = _payload(data, start, _STRING)
        if last > end:
            raise NotRlp("a string that leaves its list")
        item = data[first:last]
        if len(item) == 1 and item[0] < _STRING:
            raise NotRlp("a byte that should stand for itself")
        items.append(item)
        start = last
    return items


def _payload(data: bytes, at: int, base: int) -> tuple[int, int]:
    """Return where the payload of the string or list at `at` starts and ends."""
    if at >= len(data) or not base <= data[at] < base + 0x40:
        raise NotRlp("a list where a string should be, or the other way")
    short = data[at] - base
    if short <= _SHORT_MAX:
        start, length = at + 1, short
    else:
        digits = data[at + 1 : at + 1 + short - _SHORT_MAX]
        start, length = at + 1 + short - _SHORT_MAX, int.from_bytes(digits, "big")
        if length <= _SHORT_MAX or digits[0] == 0:
            raise NotRlp("a length that could be shorter")
    if start + length > len(data):
        raise NotRlp("cut off")
    return start, start + length
