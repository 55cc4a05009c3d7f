"""One run of the libp2p stack: built, listening, and closed without a trace.

Noise only, so that nobody can claim a PeerID they have no key for (the stock host also takes
`/plaintext/2.0.0`); yamux only; TCP over IPv4 and IPv6; an Ed25519 identity from a seed.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass

import trio
from libp2p import create_yamux_muxer_option
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_noise_key_pair
from libp2p.network.config import ConnectionConfig
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStore
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE, Transport as NoiseTransport
from libp2p.tools.anyio_service import background_trio_service
from libp2p.transport.tcp.tcp import TCP
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr

from stkrp2p.adapters.libp2p.errors import ListenError
from stkrp2p.adapters.libp2p.gossip import EdgeGossip, EdgePubsub
from stkrp2p.adapters.libp2p.guards import EdgeHost, EdgeSwarm, install
from stkrp2p.adapters.libp2p.identity import node_from_seed, peer_id_bytes, tcp_endpoint
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.adapters.libp2p.peers import Gate
from stkrp2p.ports import Judge, WallClock

log = logging.getLogger("stkrp2p.edge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What outlives a run of the stack: settings, counts, bans and judges."""

    seed: bytes
    limits: EdgeLimits
    clock: WallClock
    counters: Counter[str]
    gate: Gate
    judges: Mapping[str, Judge]
    on_change: Callable[[ID], None]
    """Called with a peer whenever one of its connections begins or ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The running parts of the library."""

    host: EdgeHost
    swarm: EdgeSwarm
    pubsub: EdgePubsub
    gossip: EdgeGossip
    addresses: tuple[str, ...]
    """The multiaddrs listened on, in the order asked for, port 0 replaced by the port given."""


@contextlib.asynccontextmanager
async def run_stack(shared: Shared, listen: Sequence[str]) -> AsyncIterator[Stack]:
    """Run the stack; leaving closes every connection and socket.

    Args:
        shared: What outlives this run.
        listen: Multiaddrs to listen on; port 0 lets the system choose.

    Raises:
        ListenError: One of them cannot be listened on; nothing is left running.
        ExceptionGroup: The library failed while running.
    """
    install()
    for address in listen:
        check_free(address)
    host = _build_host(shared)
    gossip = EdgeGossip(limits=shared.limits, counters=shared.counters)
    pubsub = _build_pubsub(shared, host, gossip)
    async with (
        host.run([Multiaddr(address) for address in listen]),
        background_trio_service(gossip),
        background_trio_service(pubsub),
    ):
        try:
            addresses = _listening(host.swarm, listen)
            await pubsub.wait_until_ready()
            for topic in shared.judges:
                await pubsub.subscribe(topic)
            yield Stack(
                host=host, swarm=host.swarm, pubsub=pubsub, gossip=gossip, addresses=addresses
            )
        finally:
            await _close(host, shared.limits.close_s)


def check_free(address: str) -> None:
    """Check that nobody else listens on a multiaddr.

    Raises:
        ListenError: It is taken, not ours, needs more rights, or is no TCP multiaddr.
    """
    try:
        host, port = tcp_endpoint(address)
    except ValueError as error:
        raise ListenError(f"cannot listen on {address}: {error}") from error
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((host, port))
            probe.listen(1)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ListenError(f"cannot listen on {address}: {reason}") from error


def _build_host(shared: Shared) -> EdgeHost:
    key_pair = create_new_key_pair(shared.seed)
    noise = NoiseTransport(key_pair, noise_privkey=create_noise_key_pair().private_key)
    peer = ID(peer_id_bytes(node_from_seed(shared.seed)))
    peerstore = PeerStore()
    peerstore.add_key_pair(peer, key_pair)
    limits = shared.limits
    negotiate_s = max(1, round(limits.handshake_s))
    swarm = EdgeSwarm(
        peer,
        peerstore,
        TransportUpgrader(
            {NOISE: noise}, create_yamux_muxer_option(), negotiate_timeout=negotiate_s
        ),
        transports=[TCP()],
        connection_config=_connection_config(limits, negotiate_s),
        gate=shared.gate,
        limits=limits,
        counters=shared.counters,
        on_change=shared.on_change,
    )
    return EdgeHost(swarm, limits=limits, counters=shared.counters, negotiate_s=negotiate_s)


def _build_pubsub(shared: Shared, host: EdgeHost, gossip: EdgeGossip) -> EdgePubsub:
    return EdgePubsub(
        host,
        gossip,
        judges=shared.judges,
        banned=shared.gate.banned,
        clock=shared.clock,
        limits=shared.limits,
        counters=shared.counters,
    )


def _connection_config(limits: EdgeLimits, negotiate_s: int) -> ConnectionConfig:
    """Return the library's own limits, wider than ours: it shall never act on them."""
    return ConnectionConfig(
        min_connections=0,
        low_watermark=0,
        high_watermark=2 * limits.connections_max,
        max_connections=2 * limits.connections_max,
        max_connections_per_peer=2 * limits.connections_per_peer_max,
        auto_connect_interval=86_400.0,
        inbound_stream_protocol_negotiation_timeout=negotiate_s,
        outbound_stream_protocol_negotiation_timeout=negotiate_s,
    )


def _listening(swarm: EdgeSwarm, listen: Sequence[str]) -> tuple[str, ...]:
    """Return the addresses listened on; stock starts without a word when it cannot listen."""
    addresses: list[str] = []
    for address in listen:
        listener = swarm.listeners.get(str(Multiaddr(address)))
        found = listener.get_addrs() if listener is not None else ()
        if not found:
            check_free(address)
            raise ListenError(f"cannot listen on {address}")
        addresses += [str(found_address) for found_address in found]
    return tuple(addresses)


async def _close(host: EdgeHost, close_s: float) -> None:
    """Say goodbye to all, then close what is left; stock leaves every socket open."""
    with trio.CancelScope(shield=True):
        with trio.move_on_after(close_s), contextlib.suppress(Exception):
            await host.swarm.say_goodbye()
            await host.close()
        with trio.move_on_after(1), contextlib.suppress(Exception):
            for listener in list(host.swarm.listeners.values()):
                await listener.close()
        await host.swarm.close_sockets()
