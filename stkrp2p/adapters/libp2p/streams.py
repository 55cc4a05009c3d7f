"""One stream, one question, one answer: framing, caps and deadlines.

A frame is its length as an unsigned varint (the minimal number of bytes, at most four), then the
bytes. The asker opens a stream, sends its question, closes its side and reads the answer; the other
side reads the question, sends the answer and closes. A stream that ends in any other way is reset.

A deadline never cuts a write: frames of the muxer go out whole (`guards.EdgeYamux`), and an exchange
that takes too long is abandoned by the asker while its task finishes what it has begun.
"""
# ruff: noqa: BLE001  - what the library raises when a peer misbehaves is not a closed set

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, NoReturn, Protocol

import trio

from stkrp2p.adapters.libp2p.guards import finish, retire
from stkrp2p.adapters.libp2p.identity import node_from_peer_id
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.core.types import NodeId, ProtocolError
from stkrp2p.ports import Handler, Unreachable

if TYPE_CHECKING:
    from libp2p.abc import INetStream
    from libp2p.network.stream.net_stream import NetStream

log = logging.getLogger("stkrp2p.edge")

_CHUNK_BYTES = 64 * 1024
_VARINT_BYTES_MAX = 4
_MORE = 0x80

OpenStream = Callable[[NodeId, str], Awaitable["NetStream"]]
"""Opens a stream to a connected peer on a protocol; raises whatever the library does."""


class FrameError(Exception):
    """A frame is too long, cut off, or its length is not a minimal varint."""


class Readable(Protocol):
    """What a frame can be read from: a stream that returns up to n bytes, or raises at its end."""

    async def read(self, n: int | None = None, /) -> bytes:
        """Return up to `n` bytes; never none."""


class FrameReader:
    """Reads frames from a stream through a buffer of one chunk.

    The buffer saves reads: each costs a lock, a checkpoint and sometimes a frame to the peer.
    """

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._buffer = b""
        self._at = 0

    async def frame(self, bytes_max: int) -> bytes:
        """Return the next frame's bytes.

        Raises:
            FrameError: It is longer than `bytes_max` or its length is malformed.
        """
        length = await self._length(bytes_max)
        parts = []
        while length > 0:
            part = await self._some(length)
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    async def _length(self, bytes_max: int) -> int:
        length = 0
        for i in range(_VARINT_BYTES_MAX):
            byte = (await self._some(1))[0]
            length |= (byte & ~_MORE) << (7 * i)
            if byte & _MORE:
                continue
            if byte == 0 and i > 0:
                raise FrameError("length is not minimal")
            if length > bytes_max:
                raise FrameError(f"frame of {length} bytes, at most {bytes_max} allowed")
            return length
        raise FrameError("length has too many bytes")

    async def _some(self, length_max: int) -> bytes:
        if self._at == len(self._buffer):
            self._buffer = await self._stream.read(_CHUNK_BYTES)
            self._at = 0
            if not self._buffer:
                raise FrameError("cut off")
        part = self._buffer[self._at : self._at + length_max]
        self._at += len(part)
        return part


def frame(data: bytes) -> bytes:
    """Return `data` with its length in front.

    Raises:
        ValueError: It is too long for any frame (2^28 bytes).
    """
    length, prefix = len(data), bytearray()
    if length >> (7 * _VARINT_BYTES_MAX):
        raise ValueError("too long for a frame")
    while length > ~_MORE & 0xFF:
        prefix.append(length & ~_MORE & 0xFF | _MORE)
        length >>= 7
    prefix.append(length)
    return bytes(prefix) + data


class _Exchange:
    """One question on its way, as the asker and the task that carries it see it."""

    __slots__ = ("answer", "done", "error", "scope")

    def __init__(self) -> None:
        self.answer: bytes | None = None
        self.error = "the stack stopped"
        self.done = trio.Event()
        self.scope = trio.CancelScope()


class Asker:
    """Asks questions, each in a task of its own under `nursery`.

    The asker waits for the task until its deadline and no longer. An abandoned task still ends its
    stream properly; how many there may be is bounded, for each peer and in all.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        open_stream: OpenStream,
        limits: EdgeLimits,
        counters: Counter[str],
    ) -> None:
        self._nursery = nursery
        self._open_stream = open_stream
        self._limits = limits
        self._counters = counters
        self._under_way: Counter[NodeId] = Counter()

    async def ask(
        self,
        node: NodeId,
        protocol: str,
        question: bytes,
        *,
        timeout_ms: int,
        answer_bytes_max: int,
    ) -> bytes:
        """Return the answer to one question.

        Raises:
            Unreachable: No whole answer in time, or too many questions under way.
        """
        self._check_room(node)
        exchange = _Exchange()
        self._under_way[node] += 1
        self._nursery.start_soon(self._run, exchange, node, protocol, question, answer_bytes_max)
        try:
            with trio.move_on_after(timeout_ms / 1000):
                await exchange.done.wait()
        finally:
            exchange.scope.cancel()
        if not exchange.done.is_set():
            self._refuse("asks_timed_out", f"no answer within {timeout_ms} ms")
        if exchange.answer is None:
            self._refuse("asks_failed", exchange.error)
        return exchange.answer

    def _check_room(self, node: NodeId) -> None:
        if self._under_way[node] >= self._limits.asks_per_peer_max:
            self._refuse("asks_refused_per_peer", "too many questions under way with this peer")
        if self._under_way.total() >= self._limits.asks_max:
            self._refuse("asks_refused", "too many questions under way")

    def _refuse(self, counter: str, reason: str) -> NoReturn:
        self._counters[counter] += 1
        raise Unreachable(reason)

    async def _run(
        self, exchange: _Exchange, node: NodeId, protocol: str, question: bytes, answer_max: int
    ) -> None:
        try:
            with exchange.scope:
                exchange.answer = await self._exchange(node, protocol, question, answer_max)
        except Exception as error:
            exchange.error = repr(error)
        finally:
            self._under_way[node] -= 1
            if not self._under_way[node]:
                del self._under_way[node]
            exchange.done.set()

    async def _exchange(
        self, node: NodeId, protocol: str, question: bytes, answer_max: int
    ) -> bytes:
        stream = await self._open_stream(node, protocol)
        try:
            await stream.write(frame(question))
            await stream.close_write()
            answer = await FrameReader(stream).frame(answer_max)
        except BaseException:
            await finish(stream, is_whole=False)
            raise
        await retire(stream)
        return answer


class Answerer:
    """Serves one protocol: reads the question, asks the handler, sends the answer."""

    def __init__(
        self, handler: Handler, *, answer_bytes_max: int, limits: EdgeLimits, counters: Counter[str]
    ) -> None:
        self._handler = handler
        self._answer_bytes_max = answer_bytes_max
        self._limits = limits
        self._counters = counters

    async def serve(self, stream: INetStream) -> None:
        """Serve one stream. What is raised makes the caller reset it; the peer learns no more."""
        node = node_from_peer_id(stream.muxed_conn.peer_id.to_bytes())
        with self._deadline("questions_timed_out", self._limits.question_s):
            question = await self._question(stream)
        with self._deadline("handlers_timed_out", self._limits.handler_s):
            answer = await self._answer(node, question)
        if len(answer) > self._answer_bytes_max:
            self._counters["answers_refused_oversize"] += 1
            raise FrameError(f"answer of {len(answer)} bytes")
        with self._deadline("answers_timed_out", self._limits.answer_s):
            await stream.write(frame(answer))

    async def _question(self, stream: INetStream) -> bytes:
        try:
            return await FrameReader(stream).frame(self._limits.question_bytes_max)
        except FrameError:
            self._counters["questions_malformed"] += 1
            raise

    async def _answer(self, node: NodeId, question: bytes) -> bytes:
        try:
            return await self._handler(node, question)
        except ProtocolError as error:
            # The peer's mistake: it may make any number of them, and must not fill our log.
            self._counters["handlers_failed"] += 1
            log.debug("question refused", extra={"node": node.hex(), "error": repr(error)})
            raise
        except Exception as error:
            self._counters["handlers_failed"] += 1
            log.warning("handler failed", extra={"node": node.hex(), "error": repr(error)})
            raise

    @contextlib.contextmanager
    def _deadline(self, counter: str, seconds: float) -> Iterator[None]:
        with trio.move_on_after(seconds) as scope:
            yield
        if scope.cancelled_caught:
            self._counters[counter] += 1
            raise trio.TooSlowError(counter)
