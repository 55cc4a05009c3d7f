"""What hostile peers do, as coroutines that work against any libp2p host.

Used by the tests against our edge, and by `edge_stock.py` against the library as it comes. The
attacker itself is always a stock host.
"""
# ruff: noqa: BLE001  - whatever the library raises means that the attack was repelled

from __future__ import annotations

import contextlib
import hashlib
import logging
import struct

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID  # noqa: TC002  - read by people, not only by checkers
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.pb import rpc_pb2
from libp2p.security.insecure.transport import PLAINTEXT_PROTOCOL_ID, InsecureTransport
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE, Transport as NoiseTransport
from libp2p.utils.varint import encode_uvarint, encode_varint_prefixed
from multiaddr import Multiaddr

ECHO = "/echo/1"
SLOW = "/slow/1"
TOPIC = "t"
MESHSUB = TProtocol("/meshsub/1.1.0")
PING = TProtocol("/ipfs/ping/1.0.0")
PUSH = TProtocol("/ipfs/id/push/1.0.0")
LOOPBACK = "/ip4/127.0.0.1/tcp/0"

for name in ("libp2p", "libp2p.host.basic_host", "libp2p.network", "libp2p.pubsub"):
    logging.getLogger(name).setLevel(logging.CRITICAL)


def quiet_config(**changes) -> ConnectionConfig:
    """A stock configuration that dials nobody by itself."""
    settings = {
        "min_connections": 0,
        "low_watermark": 0,
        "high_watermark": 200,
        "max_connections": 300,
        "auto_connect_interval": 3600.0,
    }
    return ConnectionConfig(**(settings | changes))


def stock_host(**options):
    """A stock host, noise only unless told otherwise."""
    key_pair = options.pop("key_pair", None) or create_new_key_pair()
    noise = NoiseTransport(key_pair, noise_privkey=create_noise_key_pair().private_key)
    options.setdefault("sec_opt", {NOISE: noise})
    options.setdefault("connection_config", quiet_config())
    return new_host(key_pair=key_pair, **options)


@contextlib.asynccontextmanager
async def running(host, listen: str = LOOPBACK):
    """Run a stock host and, unlike it, close what it opened."""
    async with host.run([Multiaddr(listen)]):
        try:
            yield host
        finally:
            with trio.CancelScope(shield=True), contextlib.suppress(Exception):
                await close_host(host)


async def close_host(host) -> None:
    async with trio.open_nursery() as nursery:
        for conn in host.get_network().get_connections():
            nursery.start_soon(conn.close)
    with trio.move_on_after(3):
        await host.close()


async def connect(host, peer: ID, address: str, *, within_s: float = 5.0) -> None:
    """Connect a stock host, without its quarter of a second of waiting."""
    with trio.fail_after(within_s):
        await host.get_network()._dial_addr_single_attempt(Multiaddr(address), peer)


async def is_alive(peer: ID, address: str, *, within_s: float = 5.0) -> bool:
    """Whether a peer nobody knows can connect and ping."""
    try:
        async with running(stock_host()) as probe:
            with trio.fail_after(within_s):
                await connect(probe, peer, address)
                stream = await probe.new_stream(peer, [PING])
                await stream.write(b"p" * 32)
                answer = await stream.read(32)
                await stream.close()
    except Exception:
        return False
    return answer == b"p" * 32


def info(host) -> PeerInfo:
    return PeerInfo(host.get_id(), host.get_transport_addrs())


def impostor_host(alice: KeyPair):
    """A host that says it is Alice, of whom it knows the public key only."""
    mallory = create_new_key_pair()
    forged = KeyPair(_KeyOf(mallory.private_key, alice.public_key), alice.public_key)
    transport = InsecureTransport(forged)
    return stock_host(key_pair=mallory, sec_opt={TProtocol(PLAINTEXT_PROTOCOL_ID): transport})


class _KeyOf:
    """A private key that shows somebody else's public key."""

    def __init__(self, private, public) -> None:
        self._private = private
        self._public = public

    def get_public_key(self):
        return self._public

    def __getattr__(self, name):
        return getattr(self._private, name)


# ------------------------------------------------------------------ messages that end a stock host


async def _gossip_bytes(attacker, victim: ID, data: bytes) -> None:
    stream = await attacker.new_stream(victim, [MESHSUB])
    await stream.write(data)


def _rpc(**fields) -> bytes:
    return encode_varint_prefixed(rpc_pb2.RPC(**fields).SerializeToString())


async def no_protobuf(attacker, victim: ID) -> None:
    await _gossip_bytes(attacker, victim, encode_varint_prefixed(b"\xff" * 40))


async def garbage_key(attacker, victim: ID) -> None:
    message = rpc_pb2.Message(
        data=b"d",
        topicIDs=[TOPIC],
        from_id=b"\x12\x20" + hashlib.sha256(b"q").digest(),
        seqno=b"1",
        signature=b"x",
        key=b"\xff\xff\xffgarbage",
    )
    await _gossip_bytes(attacker, victim, _rpc(publish=[message]))


async def line_not_utf8(attacker, victim: ID) -> None:
    stream = await attacker.get_network().new_stream(victim)
    await stream.write(b"\x05\xff\xfe\xfd\xfc\n")


async def graft_unknown_topic(attacker, victim: ID) -> None:
    control = rpc_pb2.ControlMessage(graft=[rpc_pb2.ControlGraft(topicID="nobody-joined-this")])
    await _gossip_bytes(attacker, victim, _rpc(control=control))


FATAL = {
    "no_protobuf": no_protobuf,
    "garbage_key": garbage_key,
    "line_not_utf8": line_not_utf8,
    "graft_unknown_topic": graft_unknown_topic,
}


# ------------------------------------------------------------------------------ other hostile acts


async def overrun_window(attacker, victim: ID, *, megabytes: int) -> bool:
    """Push data at a handler that does not read, without waiting for credit; whether all was taken."""
    stream = await attacker.new_stream(victim, [TProtocol(SLOW)])
    await stream.write(b"\x01q")
    muxed = attacker.get_network().get_connections(victim)[0].muxed_conn
    chunk = b"z" * (128 * 1024)
    header = struct.pack("!BBHII", 0, 0, 0, stream.muxed_stream.stream_id, len(chunk))
    try:
        for _ in range(megabytes * 8):
            await muxed._write_frame(header + chunk)
        await trio.sleep(0.3)
    except Exception:
        return False
    return not muxed.event_shutting_down.is_set()


async def cut_writes(client, server: ID, proxy: Proxy) -> bool:
    """Let deadlines fire while the network takes no bytes; whether the connection lives on."""
    streams = [await client.new_stream(server, [TProtocol(SLOW)]) for _ in range(48)]
    proxy.freeze()

    async def write(stream) -> None:
        with trio.move_on_after(0.5), contextlib.suppress(Exception):
            await stream.write(b"\x01q" + b"w" * 250_000)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(_thaw_later, proxy)
        for stream in streams:
            nursery.start_soon(write, stream)
    for stream in streams:
        with contextlib.suppress(Exception):
            await stream.reset()
    try:
        with trio.fail_after(3):
            stream = await client.new_stream(server, [PING])
            await stream.write(b"p" * 32)
            return await stream.read(32) == b"p" * 32
    except Exception:
        return False


async def _thaw_later(proxy: Proxy) -> None:
    await trio.sleep(0.8)
    proxy.thaw()


async def push_identify(attacker, victim: ID, *, kilobytes: int) -> bool:
    """Push an endless identity; whether all of it was read."""
    stream = await attacker.new_stream(victim, [PUSH])
    try:
        with trio.fail_after(9):
            await stream.write(encode_uvarint(500 * 1024 * 1024))
            for _ in range(kilobytes // 16):
                await stream.write(b"q" * 16 * 1024)
    except Exception:
        return False
    return True


async def announce_long_line(host: str, port: int) -> bool:
    """Announce a line of 64 MiB before any handshake; whether the other end went on listening."""
    stream = await trio.open_tcp_stream(host, port)
    async with stream:
        with trio.move_on_after(1.0):
            try:
                await stream.send_all(encode_uvarint(64 * 1024 * 1024) + b"x" * 4096)
                while await stream.receive_some(4096):
                    pass
            except trio.BrokenResourceError:
                return False
            return False
    return True


@contextlib.asynccontextmanager
async def half_open(host: str, port: int, count: int):
    """Hold connections that never say a word."""
    streams = [await trio.open_tcp_stream(host, port) for _ in range(count)]
    await trio.sleep(0.2)
    try:
        yield
    finally:
        for stream in streams:
            await trio.aclose_forcefully(stream)


class Proxy:
    """A TCP proxy on loopback that can stop forwarding: a frozen peer, or a cut network."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._is_open = trio.Event()
        self._is_open.set()
        self.port = 0

    def freeze(self) -> None:
        self._is_open = trio.Event()

    def thaw(self) -> None:
        self._is_open.set()

    @property
    def address(self) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.port}"

    async def run(self, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        await trio.serve_listeners(self._serve, listeners, task_status=task_status)

    async def _serve(self, client: trio.SocketStream) -> None:
        await self._is_open.wait()
        with contextlib.suppress(OSError):
            server = await trio.open_tcp_stream(*self._target)
            async with client, server, trio.open_nursery() as nursery:
                nursery.start_soon(self._pump, client, server, nursery)
                nursery.start_soon(self._pump, server, client, nursery)

    async def _pump(self, source, sink, nursery: trio.Nursery) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for data in source:
                await self._is_open.wait()
                await sink.send_all(data)
        nursery.cancel_scope.cancel()
