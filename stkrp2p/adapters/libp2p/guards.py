"""Every change to py-libp2p 0.8.1's own workings; each says what the stock library does instead.

The changes come in three forms: subclasses (`EdgeYamux`, `EdgeSwarm`, `EdgeHost`), which are only
used by our hosts; module patches (`install`), for what the library keeps in modules; and settings.
Each has a test in `tests/adapters/libp2p/test_guards.py` in which the stock library fails. The
library's version is pinned because most of this reaches into private parts.
"""
# ruff: noqa: SLF001, BLE001, ANN401  - this module exists to reach into the library and contain it

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

import libp2p.protocol_muxer.multiselect_communicator as communicator_module
import libp2p.stream_muxer.yamux.yamux as yamux_module
import libp2p.transport.tcp.tcp as tcp_module
import trio
from libp2p.exceptions import ParseError
from libp2p.host.basic_host import BasicHost
from libp2p.identity.identify.identify import ID as IDENTIFY
from libp2p.identity.identify_push.identify_push import ID_PUSH as IDENTIFY_PUSH
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.exceptions import RawConnError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.stream.exceptions import StreamError
from libp2p.network.swarm import Swarm
from libp2p.peer.peerstore import PeerStoreError
from libp2p.security.noise.io import MAX_PLAINTEXT_LENGTH
from libp2p.stream_muxer.exceptions import MuxedStreamEOF, MuxedStreamError, MuxedStreamReset
from multiaddr import Multiaddr

from stkrp2p.adapters.libp2p.identity import ip_group, node_from_peer_id
from stkrp2p.adapters.libp2p.limits import WINDOW_BYTES_MAX, EdgeLimits
from stkrp2p.adapters.libp2p.peers import Gate

if TYPE_CHECKING:
    from libp2p.abc import INetConn, INetStream, ISecureConn
    from libp2p.custom_types import TProtocol
    from libp2p.io.abc import Reader, ReadWriteCloser
    from libp2p.network.connection.swarm_connection import SwarmConn
    from libp2p.peer.id import ID

log = logging.getLogger("stkrp2p.edge")

_WINDOW_SLACK_BYTES = 64 * 1024
_LISTEN_BACKLOG = 512
_LINE_BYTES_MAX = 1024
_LINE_LENGTH_BITS_MAX = 14
_SOCKET_CHUNK_BYTES = 64 * 1024
_CHUNK_BYTES = 32 * 1024  # of a frame's data: a whole frame fits one noise packet of 65,519 bytes
_CREDIT_S_MAX = 5.0
_CREDIT_POLL_S = 0.01
_VARINT_LAST = 0x80  # a varint's last byte is below this

_NOISY = (
    "libp2p.host.basic_host",
    "libp2p.network",
    "libp2p.pubsub",
    "libp2p.transport",
    "libp2p.stream_muxer",
    "libp2p.protocol_muxer",
    "libp2p.security",
    "libp2p.identity",
)


# ---------------------------------------------------------------------------------------- install


def install() -> None:
    """Patch the library's modules; calling it again changes nothing."""
    yamux_module.MAX_WINDOW_SIZE = WINDOW_BYTES_MAX
    yamux_module.YamuxStream._auto_tune_and_send_window_update = _release_window  # type: ignore[method-assign]
    tcp_module._open_reuseport_listeners = _open_listeners
    communicator_module.read_delim = _read_line  # type: ignore[attr-defined]
    yamux_module.YamuxStream.write = _write_stream  # type: ignore[method-assign]
    TrioTCPStream.get_remote_address = _remote_address  # type: ignore[method-assign]
    TrioTCPStream.read = _read_socket  # type: ignore[method-assign]
    _tame_loggers()


def _tame_loggers() -> None:
    """Let the library's records reach the application's handlers, and fewer of them.

    Stock: `import libp2p` cuts its loggers off (`propagate = False`) with no handler, so warnings
    go raw to stderr and the rest nowhere; one refused protocol is six lines at ERROR.
    """
    root = logging.getLogger("libp2p")
    root.propagate = True
    root.handlers.clear()
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    for name in ("multiaddr", "async_service"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _open_listeners(host: str | None, port: int) -> list[trio.SocketListener]:
    """Open one listening socket that nobody else can share.

    Stock: SO_REUSEPORT, so that a second node binds the same port in silence and takes half of the
    connections; and a backlog of 128. An IPv6 socket here takes IPv6 only, so that `0.0.0.0` and
    `::` may be listened on side by side.
    """
    host = host or "0.0.0.0"  # noqa: S104  - the caller asked for all interfaces
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = trio.socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        await sock.bind((host, port))
        sock.listen(_LISTEN_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return [trio.SocketListener(sock)]


def _remote_address(self: TrioTCPStream) -> tuple[str, int] | None:
    """Return host and port of the other end, for IPv6 too.

    Stock: `None` for IPv6, whose socket names have four fields; so no limit by address holds there.
    """
    if self._cached_remote_address is None:
        with contextlib.suppress(OSError):
            name = self.stream.socket.getpeername()
            self._cached_remote_address = (str(name[0]), int(name[1]))
    return self._cached_remote_address


async def _read_socket(self: TrioTCPStream, n: int | None = None) -> bytes:
    """Read through a buffer of one chunk; `b""` at the end.

    Stock: two system calls and four turns of the scheduler for each encrypted packet, its length and
    its body. One task reads a socket, so no lock is needed.

    Raises:
        ConnectionClosedError: The other end broke the connection.
    """
    unread: bytes = self.__dict__.get("edge_unread", b"")
    if not unread and n != 0:
        try:
            unread = await self.stream.receive_some(_SOCKET_CHUNK_BYTES)
        except trio.BrokenResourceError as error:
            raise ConnectionClosedError(f"connection closed: {error}", transport="tcp") from error
        except trio.ClosedResourceError:
            return b""
    taken = unread if n is None else unread[:n]
    self.__dict__["edge_unread"] = unread[len(taken) :]
    return taken


async def _write_stream(self: yamux_module.YamuxStream, data: bytes) -> None:
    """Send data on a stream, in frames, as the peer's window allows.

    Stock: three locks for each frame, each a turn of the scheduler.

    Raises:
        MuxedStreamError: The stream is closed, or the peer gave no credit for `_CREDIT_S_MAX`.
    """
    at = 0
    while at < len(data):
        if self.send_closed or self.closed:
            raise MuxedStreamError("stream is closed for sending")
        if self.send_window <= 0:
            await _await_credit(self)
            continue
        chunk = data[at : at + min(self.send_window, _CHUNK_BYTES)]
        self.send_window -= len(chunk)
        at += len(chunk)
        await self.conn._write_frame(_header(yamux_module.TYPE_DATA, self, len(chunk)) + chunk)


async def _await_credit(stream: yamux_module.YamuxStream) -> None:
    with trio.move_on_after(_CREDIT_S_MAX):
        while stream.send_window <= 0 and not stream.closed:  # noqa: ASYNC110  - as stock does
            await trio.sleep(_CREDIT_POLL_S)
        return
    raise MuxedStreamError("no window update in time")


def _header(kind: int, stream: yamux_module.YamuxStream, length: int) -> bytes:
    return struct.pack(yamux_module.YAMUX_HEADER_FORMAT, 0, kind, 0, stream.stream_id, length)


async def _read_line(reader: Reader) -> bytes:
    """Read one line of multistream-select, at most `_LINE_BYTES_MAX` long and UTF-8.

    Stock: a line may announce any length, before any handshake, and a buffer of that length is
    asked for at once; one that is not UTF-8 raises what nobody catches.

    Raises:
        ParseError: The line is too long, not UTF-8, not ended by a line feed, or cut off.
    """
    length = await _read_line_length(reader)
    line = b""
    while len(line) < length:
        data = await reader.read(length - len(line))
        if not data:
            raise ParseError("multistream line cut off")
        line += data
    if not line.endswith(b"\n"):
        raise ParseError("multistream line has no end")
    try:
        line.decode()
    except UnicodeDecodeError as error:
        raise ParseError("multistream line is not UTF-8") from error
    return line[:-1]


async def _read_line_length(reader: Reader) -> int:
    length, shift = 0, 0
    while True:
        byte = (await reader.read(1) or b"\0")[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if length > _LINE_BYTES_MAX or shift > _LINE_LENGTH_BITS_MAX:
            raise ParseError("multistream line too long")
        if byte < _VARINT_LAST:
            return length


async def _release_window(self: yamux_module.YamuxStream, *, bytes_read: int = 0) -> None:
    """Give credit back once half of the window has been read.

    Stock: a WINDOW_UPDATE frame for nearly each read, that is an encryption, a system call and a
    decryption; a gossiped message needs three to four reads.
    """
    if bytes_read <= 0:
        return
    self._pending_recv_release += bytes_read
    credit = self._pending_recv_release
    if credit * 2 < WINDOW_BYTES_MAX:
        return
    self._pending_recv_release = 0
    self.recv_window += credit
    await self.send_window_update(credit)


# ------------------------------------------------------------------------------------------ yamux


class _Buffer(bytearray):
    """Bytes a stream received and nobody has read yet, bounded."""

    __slots__ = ("conn",)

    def __init__(self, conn: EdgeYamux) -> None:
        super().__init__()
        self.conn = conn

    def extend(self, data: Any, /) -> None:
        """Take what arrived; a peer that exceeds its window loses the connection."""
        stream_max = WINDOW_BYTES_MAX + _WINDOW_SLACK_BYTES
        if len(self) + len(data) > stream_max or not self.conn.has_room(len(data)):
            self.conn.overrun()
            raise BufferError("receive window overrun")
        super().extend(data)


class _Buffers(dict[int, bytearray]):
    """The receive buffers of a connection, each made a bounded one."""

    def __init__(self, conn: EdgeYamux) -> None:
        super().__init__()
        self._conn = conn

    def __setitem__(self, stream_id: int, buffer: bytearray) -> None:
        bounded = _Buffer(self._conn)
        if buffer:
            bounded.extend(buffer)
        super().__setitem__(stream_id, bounded)


class EdgeYamux(yamux_module.Yamux):
    """A yamux connection that enforces windows, survives deadlines and notices a dead peer.

    Stock: windows are announced and never enforced, so a peer can fill our memory; a cancelled
    write loses a noise nonce or half a frame and with it the connection; a cancelled `open_stream`
    leaks one of 256 slots, and with none left the next one hangs for ever; a peer that is frozen or
    cut off is never noticed.
    """

    def __init__(
        self, secured_conn: ISecureConn, peer_id: ID, limits: EdgeLimits, counters: Counter[str]
    ) -> None:
        super().__init__(secured_conn, peer_id)
        self.stream_buffers: dict[int, bytearray] = _Buffers(self)
        self.latency_s: float | None = None
        self._limits = limits
        self._counters = counters

    def has_room(self, length: int) -> bool:
        """Whether `length` more unread bytes are within the connection's bound."""
        unread = sum(map(len, self.stream_buffers.values()))
        return unread + length <= self._limits.connection_buffer_bytes_max

    def overrun(self) -> None:
        """Give the connection up because its peer ignores flow control."""
        self._counters["connections_closed_window_overrun"] += 1
        self.event_shutting_down.set()

    async def _write_frame(self, data: bytes) -> None:
        """Send one frame whole, whatever deadline fires meanwhile, or give the connection up.

        Usually the socket takes it at once, and no other task runs in between.

        Raises:
            RawConnError: The connection is closed, or took nothing for `write_stall_s`.
        """
        if self._write_lock.locked():
            await self._write_lock.acquire()
        else:
            self._write_lock.acquire_nowait()
        try:
            await self._send(self._seal(data))
        finally:
            self._write_lock.release()

    def _seal(self, data: bytes) -> bytes:
        """Encrypt a frame. What is sealed must be sent next: it has used up a nonce."""
        noise = self.secured_conn.conn  # type: ignore[attr-defined]
        sealed = [
            noise.read_writer.encode_msg(noise.encrypt(data[at : at + MAX_PLAINTEXT_LENGTH]))
            for at in range(0, len(data), MAX_PLAINTEXT_LENGTH)
        ]
        return b"".join(sealed)

    async def _send(self, sealed: bytes) -> None:
        session: Any = self.secured_conn
        socket_: trio.SocketStream = session.conn.read_writer.read_write_closer.stream.stream
        try:
            sent = os.write(socket_.socket.fileno(), sealed)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise RawConnError(f"connection closed: {error}") from error
        if sent < len(sealed):
            await self._send_rest(socket_, sealed[sent:])

    async def _send_rest(self, socket_: trio.SocketStream, rest: bytes) -> None:
        deadline_s = trio.current_time() + self._limits.write_stall_s
        with trio.CancelScope(shield=True, deadline=deadline_s) as scope:
            try:
                await socket_.send_all(rest)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise RawConnError(f"connection closed: {error}") from error
        if scope.cancelled_caught:
            self._counters["connections_closed_write_stalled"] += 1
            await self._hang_up()
            raise RawConnError("connection closed: write stalled")

    async def read_stream(self, stream_id: int, n: int = -1) -> bytes:
        """Return up to `n` bytes that a stream received, waiting for the first.

        Stock: the same with a lock, that is a turn of the scheduler, and five lines for a log.

        Raises:
            MuxedStreamEOF: The peer has closed its side, or the connection ended.
            MuxedStreamReset: The stream was reset.
        """
        while True:
            stream = self.streams.get(stream_id)
            buffer = self.stream_buffers.get(stream_id)
            if stream is None or buffer is None or self.event_shutting_down.is_set():
                raise MuxedStreamEOF("stream or connection closed")
            if stream.reset_received and not (stream.recv_closed and buffer):
                raise MuxedStreamReset("stream was reset")
            if buffer:
                return self._take(stream, buffer, n)
            if stream.recv_closed:
                raise MuxedStreamEOF("stream is closed for receiving")
            if stream.closed:
                raise MuxedStreamReset("stream is closed")
            await self.stream_events[stream_id].wait()
            if stream_id in self.stream_events:
                self.stream_events[stream_id] = trio.Event()

    def _take(self, stream: yamux_module.YamuxStream, buffer: bytearray, n: int) -> bytes:
        data = bytes(buffer) if n < 0 or n >= len(buffer) else bytes(buffer[:n])
        del buffer[: len(data)]
        if stream.closed:
            self._finalize_stream_locked(stream, fully_closed=True)
        return data

    async def _hang_up(self) -> None:
        """Close the socket, which ends the reading task, which cleans up."""
        self.event_shutting_down.set()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
            await self.secured_conn.close()

    async def open_stream(self) -> yamux_module.YamuxStream:
        """Open a stream whole or not at all; refuse at once when all slots are taken."""
        if self.stream_backlog_semaphore.value == 0:
            raise MuxedStreamError("too many open streams")
        with trio.CancelScope(shield=True):  # bounded: one frame
            stream = await super().open_stream()
        return stream  # noqa: RET504  - mypy takes a scope for something that may swallow errors

    async def handle_incoming(self) -> None:
        """Read frames until the connection ends, and wake all readers whatever ended it."""
        await super().handle_incoming()
        if not self.event_closed.is_set():
            await self._cleanup_on_error()

    async def _measure_rtt_loop(self) -> None:
        """Ping for as long as the connection lasts; close it when the peer does not answer.

        These are yamux's own pings: one small frame each way, no stream.
        """
        limits = self._limits
        while not self.event_shutting_down.is_set():
            sent_s = trio.current_time()
            if not await self._ping(limits.ping_timeout_s):
                if not self.event_shutting_down.is_set():
                    self._counters["connections_closed_no_answer"] += 1
                    await self._hang_up()
                return
            self.latency_s = trio.current_time() - sent_s
            with trio.move_on_after(limits.ping_interval_s):
                await self.event_shutting_down.wait()

    async def _ping(self, timeout_s: float) -> bool:
        self._ping_id = (self._ping_id + 1) % 2**32
        self._ping_event = trio.Event()
        frame = struct.pack(
            yamux_module.YAMUX_HEADER_FORMAT,
            0,
            yamux_module.TYPE_PING,
            yamux_module.FLAG_SYN,
            0,
            self._ping_id,
        )
        with trio.move_on_after(timeout_s):
            try:
                await self._write_frame(frame)
            except Exception:  # noise and TCP raise what they like on a closed socket
                return False
            await self._ping_event.wait()
        return self._ping_event.is_set()


# ------------------------------------------------------------------------------------------ swarm


class EdgeSwarm(Swarm):
    """Connections: who comes in, how many, and what is left when they go.

    Stock: an inbound connection keeps its slot and a task until the host stops, so that a node is
    deaf after 250 of them; one address may hold all half-open slots; the auto-connector dials
    everybody it has heard of; opening a stream may dial; deadlines leak streams.
    """

    def __init__(
        self,
        *args: Any,
        gate: Gate,
        limits: EdgeLimits,
        counters: Counter[str],
        on_change: Callable[[ID], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.notifees.clear()  # the tag store's, which remembers peers for ever
        self.sockets: set[ReadWriteCloser] = set()
        self._gate = gate
        self._limits = limits
        self._counters = counters
        self._on_change = on_change

        async def stay_quiet() -> None:
            return None

        self.auto_connector.maybe_connect = stay_quiet  # type: ignore[method-assign]

    def _schedule_auto_connect(self) -> None:
        """Dial nobody by ourselves; the edge decides whom to dial."""

    def _schedule_prune(self) -> None:
        """Close nobody by ourselves; the gate refuses before there are too many."""

    async def _notify(self, method: str, *args: Any) -> None:
        if method not in {"opened_stream", "closed_stream"}:  # nobody listens to these
            await super()._notify(method, *args)

    async def notify_disconnected(self, conn: INetConn) -> None:
        """Tell listeners, without the auto-connector, which remembers peers for ever."""
        await self._notify("disconnected", conn)

    def remove_conn(self, swarm_conn: SwarmConn) -> None:
        """Forget a connection, and the peer with its last one; stock remembers its addresses."""
        super().remove_conn(swarm_conn)
        peer = swarm_conn.muxed_conn.peer_id
        if not self.get_connections(peer):
            with contextlib.suppress(PeerStoreError):
                self.peerstore.clear_peerdata(peer)
        self._on_change(peer)

    async def new_stream(self, peer_id: ID) -> INetStream:
        """Open a stream on a connection there is; the caller's deadline cannot cut it in half."""
        if not self.get_connections(peer_id):
            raise SwarmException(f"not connected to {peer_id}")
        with trio.CancelScope(shield=True):  # bounded: one frame and some checkpoints
            stream = await super().new_stream(peer_id)
        return stream  # noqa: RET504  - as in `open_stream`

    async def _handle_inbound_connection(
        self,
        read_write_closer: ReadWriteCloser,
        maddr: Multiaddr,  # noqa: ARG002  - the library's signature
    ) -> None:
        """Take an accepted socket through the handshake and hold its place until it ends."""
        remote = read_write_closer.get_remote_address()
        group = ip_group(remote[0]) if remote else "?"
        if not self._gate.knock(group, now_s=trio.current_time()):
            await read_write_closer.close()
            return
        try:
            await self._accept_and_hold(read_write_closer, group)
        finally:
            self._gate.leave(group)

    async def _accept_and_hold(self, socket_: ReadWriteCloser, group: str) -> None:
        self.sockets.add(socket_)
        try:
            conn = await self._accept(socket_, group)
        except BaseException:
            await self._close_socket(socket_)
            raise
        await self._hold(socket_, conn)

    async def _hold(self, socket_: ReadWriteCloser, conn: SwarmConn | None) -> None:
        """Close a connection's socket once it has ended, also if its own closing was cut short."""
        try:
            if conn is not None:
                await conn.event_closed.wait()  # set when closing begins
                with trio.move_on_after(2 * self._limits.write_stall_s):
                    await conn.muxed_conn.event_closed.wait()  # type: ignore[attr-defined]
        finally:
            await self._close_socket(socket_)

    async def _close_socket(self, socket_: ReadWriteCloser) -> None:
        self.sockets.discard(socket_)
        with trio.CancelScope(shield=True), contextlib.suppress(Exception):
            await socket_.close()

    async def _accept(self, socket_: ReadWriteCloser, group: str) -> SwarmConn | None:
        """Return the proven connection, or `None` if the other end failed or is not welcome."""
        try:
            muxed = await self._upgrade(RawConnection(socket_, initiator=False), None)
            return await self._register(muxed, "inbound")
        except Exception as error:
            self._counters["handshakes_failed"] += 1
            log.debug("inbound handshake failed", extra={"from": group, "error": repr(error)})
            return None
        finally:
            self._gate.prove(group)

    async def dial(self, address: str, peer: ID) -> None:
        """Connect to a peer at one address; the deadline is ours and cuts nothing shared.

        Stock: `connect` waits 250 ms after the first address, has no deadline against a silent
        server, and remembers a failure for 60 s.

        Raises:
            SwarmException: It did not answer, or is somebody else.
        """
        transport = self.transport_manager.transport_for_dialing(Multiaddr(address))
        if transport is None or len(self.get_connections()) >= self._limits.connections_max:
            raise SwarmException(f"cannot dial {address} now")
        raw: Any = None
        try:
            with trio.fail_after(self._limits.dial_s):
                raw = await transport.dial(Multiaddr(address))
            self.sockets.add(raw.stream)
            conn = await self._register(await self._upgrade(raw, peer), "outbound")
        except Exception as error:
            await self._close_raw(raw)
            raise SwarmException(f"{address}: {error!r}") from error
        except BaseException:
            await self._close_raw(raw)
            raise
        self.manager.run_task(self._hold, raw.stream, conn)

    async def _close_raw(self, raw: Any) -> None:
        if raw is not None:
            await self._close_socket(raw.stream)

    async def _upgrade(self, raw: Any, peer: ID | None) -> EdgeYamux:
        """Run the noise handshake and agree on yamux, within `handshake_s`."""
        with trio.fail_after(self._limits.handshake_s):
            secured = await self.upgrader.upgrade_security(raw, peer is not None, peer)
            remote = secured.get_remote_peer()
            self._check_welcome(remote)
            await self.upgrader.muxer_multistream._selector.select(secured, raw.is_initiator)
        return EdgeYamux(secured, remote, self._limits, self._counters)

    def _check_welcome(self, peer: ID) -> None:
        try:
            node = node_from_peer_id(peer.to_bytes())
        except ValueError as error:
            self._counters["connections_refused_foreign_identity"] += 1
            raise SwarmException("not an Ed25519 identity") from error
        if node in self._gate.banned:
            self._counters["connections_refused_banned"] += 1
            raise SwarmException("banned")
        if peer == self.self_id:
            self._counters["connections_refused_self"] += 1
            raise SwarmException("connection with ourselves")

    async def _register(self, muxed: EdgeYamux, direction: str) -> SwarmConn:
        if len(self.get_connections()) >= self._limits.connections_max:
            self._counters["connections_refused_total"] += 1
            raise SwarmException("too many connections")
        conn = await self.add_conn(muxed, direction=direction)
        self._close_superseded(muxed.peer_id)
        self._on_change(muxed.peer_id)
        return conn

    def _close_superseded(self, peer: ID) -> None:
        """Close a peer's oldest connections above its bound."""
        open_ = [conn for conn in self.get_connections(peer) if not conn.is_closed]
        for conn in open_[: -self._limits.connections_per_peer_max]:
            self._counters["connections_closed_superseded"] += 1
            self.manager.run_task(conn.close)

    async def drop(self, peer: ID) -> None:
        """Close all connections with a peer."""
        async with trio.open_nursery() as nursery:
            for conn in self.get_connections(peer):
                nursery.start_soon(conn.close)

    async def say_goodbye(self) -> None:
        """Close all connections at once; stock closes them one after the other, 0.3 s each."""
        async with trio.open_nursery() as nursery:
            for conn in self.get_connections():
                nursery.start_soon(conn.close)

    async def close_sockets(self) -> None:
        """Close what is left open, without a word to anybody."""
        for socket_ in tuple(self.sockets):
            await self._close_socket(socket_)


# ------------------------------------------------------------------------------------------- host


class _CappedStream:
    """A stream of which only so many bytes can be read.

    Stock: an identify answer or push of any length is read into memory.
    """

    def __init__(self, stream: INetStream, bytes_max: int) -> None:
        self._stream = stream
        self._bytes_left = bytes_max

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def read(self, n: int | None = None) -> bytes:
        data = await self._stream.read(n)
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise StreamError("more bytes than allowed on this stream")
        return data


class EdgeHost(BasicHost):
    """Streams: how many, and what happens when a handler fails.

    Stock: an exception that escapes a handler - a bug, a deadline, a line of multistream that is
    not UTF-8 - ends the connection's nursery, the swarm and the host, or leaves a connection that
    is listed and deaf; a handler that returns without closing leaks the stream on both sides.
    """

    def __init__(
        self, network: EdgeSwarm, *, limits: EdgeLimits, counters: Counter[str], negotiate_s: int
    ) -> None:
        super().__init__(
            network, negotiate_timeout=negotiate_s, disable_identify_address_discovery=True
        )
        self.swarm = network
        self._limits = limits
        self._counters = counters
        self._streams: Counter[ID] = Counter()
        push = self.multiselect.handlers[IDENTIFY_PUSH]

        async def capped_push(stream: INetStream) -> None:
            if push is not None:
                await push(_CappedStream(stream, limits.identify_bytes_max))  # type: ignore[arg-type]

        self.set_stream_handler(IDENTIFY_PUSH, capped_push)

    async def new_stream(self, peer_id: ID, protocol_ids: Sequence[TProtocol]) -> INetStream:
        """Open a stream and agree on its protocol; identify's is capped."""
        stream = await super().new_stream(peer_id, protocol_ids)
        if list(protocol_ids) == [IDENTIFY]:
            return _CappedStream(stream, self._limits.identify_bytes_max)  # type: ignore[return-value]
        return stream

    async def _swarm_stream_handler(self, net_stream: INetStream) -> None:
        """Serve one inbound stream; nothing escapes, and the stream is always ended."""
        peer = net_stream.muxed_conn.peer_id
        if self._streams[peer] >= self._limits.streams_inbound_per_peer_max:
            self._counters["streams_refused_per_peer"] += 1
            await finish(net_stream, is_whole=False)
            return
        self._streams[peer] += 1
        is_whole = False
        try:
            await super()._swarm_stream_handler(net_stream)
            is_whole = True
        except Exception as error:
            self._counters["streams_failed"] += 1
            log.debug("stream failed", extra={"peer": str(peer), "error": repr(error)})
        finally:
            await finish(net_stream, is_whole=is_whole)
            if is_whole:
                await self._see_off(net_stream)
            self._streams[peer] -= 1
            if not self._streams[peer]:
                del self._streams[peer]

    async def _see_off(self, stream: INetStream) -> None:
        """Wait until the peer has closed its side too, and not for long.

        Stock: a stream that only one side has closed is kept until the connection ends.
        """
        with contextlib.suppress(Exception):
            with trio.move_on_after(self._limits.linger_s):
                await stream.read(_LINE_BYTES_MAX)  # raises at the stream's end
            self._counters["streams_reset_lingering"] += 1  # silence, or more after the end
            await finish(stream, is_whole=False)

    async def _identify_peer(self, peer_id: ID, *, reason: str) -> None:
        """Identify a peer; runs as a system task, where an exception would end the process."""
        try:
            await super()._identify_peer(peer_id, reason=reason)
        except Exception as error:
            self._counters["identify_failed"] += 1
            log.debug("identify failed", extra={"peer": str(peer_id), "error": repr(error)})

    async def _push_identify_to_all_peers(self) -> None:
        """Push nothing: our addresses do not change while we run."""


async def retire(stream: INetStream) -> None:
    """End a stream whose data we have in full: reset it unless the peer has closed its side."""
    is_closed = getattr(getattr(stream, "muxed_stream", None), "recv_closed", False)
    await finish(stream, is_whole=is_closed)


async def finish(stream: INetStream, *, is_whole: bool) -> None:
    """Close a stream that went well, reset one that did not, come what may."""
    with trio.CancelScope(shield=True), contextlib.suppress(Exception):  # bounded: one frame
        await (stream.close() if is_whole else stream.reset())


@contextlib.asynccontextmanager
async def contained(what: str, counters: Counter[str]) -> AsyncIterator[None]:
    """Count and log an exception of the library instead of letting it through."""
    try:
        yield
    except Exception as error:
        counters[what] += 1
        log.debug("contained", extra={"what": what, "error": repr(error)})


__all__ = [
    "EdgeHost",
    "EdgeSwarm",
    "EdgeYamux",
    "contained",
    "finish",
    "install",
    "retire",
]
