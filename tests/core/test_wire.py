"""One value has one encoding: what `encode` would not have written is refused."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.types import ProtocolError
from stkrp2p.core.wire import FRAME_BYTES_MAX, INTEGER_MAX, Bytes32, Message, Uint, decode, encode


class Note(Message, frozen=True):
    """A message of three kinds of fields."""

    number: Uint
    digest: Bytes32
    names: tuple[str, ...]


class WithDefault(Message, frozen=True):
    """A message whose last field may be left out in Python, but not on the wire."""

    number: Uint
    other: Uint = 7


notes = st.builds(
    Note,
    number=st.integers(0, INTEGER_MAX),
    digest=st.binary(min_size=32, max_size=32),
    names=st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=4).map(tuple),
)


@given(notes)
def test_what_is_encoded_is_read_back_equal(note: Note) -> None:
    assert decode(encode(note), Note) == note


@given(st.binary(max_size=80))
def test_bytes_that_are_read_are_the_bytes_that_are_written(frame: bytes) -> None:
    try:
        note = decode(frame, Note)
    except ProtocolError as error:
        assert error.reason in {"malformed", "not-canonical"}  # noqa: PT017
    else:
        assert encode(note) == frame


@pytest.mark.parametrize(
    "number",
    [
        b"\xcc\x05",
        b"\xcd\x00\x05",
        b"\xce\x00\x00\x00\x05",
        b"\xcf" + bytes(7) + b"\x05",
        b"\xd0\x05",
        b"\xd3" + bytes(7) + b"\x05",
    ],
)
def test_an_integer_in_a_longer_form_is_not_canonical(number: bytes) -> None:
    plain = encode(Note(number=5, digest=bytes(32), names=()))
    with pytest.raises(ProtocolError, match=r"^not-canonical$"):
        decode(plain[:1] + number + plain[2:], Note)


def test_a_byte_string_with_a_longer_length_is_not_canonical() -> None:
    plain = encode(Note(number=5, digest=bytes(32), names=()))
    longer = plain.replace(b"\xc4\x20", b"\xc5\x00\x20")
    with pytest.raises(ProtocolError, match=r"^not-canonical$"):
        decode(longer, Note)


def test_an_array_with_a_longer_length_is_not_canonical() -> None:
    plain = encode(Note(number=5, digest=bytes(32), names=()))
    with pytest.raises(ProtocolError, match=r"^not-canonical$"):
        decode(b"\xdc\x00\x03" + plain[1:], Note)


def test_a_field_that_is_left_out_is_not_canonical() -> None:
    with pytest.raises(ProtocolError, match=r"^not-canonical$"):
        decode(b"\x91\x05", WithDefault)
    assert decode(b"\x92\x05\x07", WithDefault) == WithDefault(number=5)


@pytest.mark.parametrize(
    "value",
    [
        [5, bytes(31), []],
        [5, bytes(33), []],
        [-1, bytes(32), []],
        [INTEGER_MAX + 1, bytes(32), []],
        [5.0, bytes(32), [1.5]],
        [5, "a" * 32, []],
        [5, bytes(32)],
        [5, bytes(32), [], 0],
        [None, bytes(32), []],
        [True, bytes(32), []],
        {"number": 5, "digest": bytes(32), "names": []},
    ],
)
def test_a_message_of_another_shape_is_malformed(value: object) -> None:
    with pytest.raises(ProtocolError, match=r"^malformed: "):
        decode(msgspec.msgpack.encode(value), Note)


@pytest.mark.parametrize("text", [b"\xa1\xff", b"\xa3\xed\xa0\x80", b"\xa2\xc0\x80"])
def test_text_that_is_no_utf8_is_malformed(text: bytes) -> None:
    plain = encode(Note(number=5, digest=bytes(32), names=()))
    with pytest.raises(ProtocolError, match=r"^malformed: "):
        decode(plain[:-1] + b"\x91" + text, Note)


def test_a_frame_at_its_limit_is_read_and_one_byte_more_is_oversized() -> None:
    frame = encode(Note(number=5, digest=bytes(32), names=("a" * 50,)))
    assert decode(frame, Note, bytes_max=len(frame)).number == 5
    with pytest.raises(ProtocolError, match=rf"^oversized: {len(frame)} bytes, at most 10$"):
        decode(frame, Note, bytes_max=10)
    with pytest.raises(ProtocolError, match=r"^oversized: 65537 bytes, at most 65536$"):
        decode(bytes(FRAME_BYTES_MAX + 1), Note)


def test_messages_are_arrays_and_immutable() -> None:
    note = Note(number=5, digest=bytes(32), names=())
    assert encode(note)[0] == 0x93
    with pytest.raises(AttributeError, match="immutable"):
        note.number = 6  # type: ignore[misc]


LEARNERS = """
import sys, threading, types
from stkrp2p.core import wire

TYPES = '''
from __future__ import annotations
from stkrp2p.core.wire import Message, Uint
class Row(Message, frozen=True):
    number: Uint
    more: Uint = 0
class Rows(Message, frozen=True):
    rows: tuple[Row, ...]
class One(Message, frozen=True):
    row: Row
'''

def read(frame, shape, gate):
    gate.wait()
    wire.decode(frame, shape)

sys.setswitchinterval(1e-6)
for _ in range(200):
    fresh = sys.modules["fresh"] = types.ModuleType("fresh")
    exec(TYPES, fresh.__dict__)
    values = [fresh.Rows((fresh.Row(1),)), fresh.One(fresh.Row(1))] * 2
    gate = threading.Barrier(len(values))
    readers = [
        threading.Thread(target=read, args=(wire.encode(value), type(value), gate))
        for value in values
    ]
    for each in readers:
        each.start()
    for each in readers:
        each.join()
"""


def test_threads_may_meet_the_same_types_for_the_first_time_together() -> None:
    # msgspec ends the process otherwise, so it is another one.
    done = subprocess.run([sys.executable, "-c", LEARNERS], timeout=60, check=False)
    assert done.returncode == 0
