"""The hardened libp2p edge: `ports.Network` on py-libp2p 0.8.1.

    async with open_network(seed=seed, listen=["/ip4/0.0.0.0/tcp/4001"], clock=clock) as network:
        network.set_addresses({peer: ["/ip4/192.0.2.7/tcp/4001"]})
        answer = await network.ask(peer, "/stkr/sync/1", question, timeout_ms=2_000, ...)

py-libp2p as it comes is not to be trusted: one malformed message ends a host, anybody may claim any
PeerID, inbound connections stop for ever after 250, gossip is dropped in silence. `guards` says what
each guard is against. Importing this package does not import libp2p; opening the edge does, which
takes about a second once in a process.

Any number of edges run in one process and one trio loop; each has its own identity and limits.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from stkrp2p.adapters.libp2p.errors import ListenError
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.ports import Network, WallClock

__all__ = ["EdgeLimits", "ListenError", "open_network", "open_networks"]


@contextlib.asynccontextmanager
async def open_network(
    *, seed: bytes, listen: Sequence[str], clock: WallClock, limits: EdgeLimits | None = None
) -> AsyncIterator[Network]:
    """Run a node's edge for the time of the context.

    Args:
        seed: 32-byte Ed25519 seed of the node's identity.
        listen: Multiaddrs `/ip4|ip6/<address>/tcp/<port>` to listen on; port 0 lets the system
            choose, and a restart of the stack keeps the choice.
        clock: Wall clock, for the sequence numbers of our messages.
        limits: Bounds of everything; the defaults suit a public node.

    Raises:
        ListenError: An address is taken or cannot be listened on.
        ValueError: The seed is not 32 bytes long.
    """
    from stkrp2p.adapters.libp2p.edge import open_edge  # noqa: PLC0415  - imports libp2p, 1 s

    chosen = limits if limits is not None else EdgeLimits()
    async with open_edge(seed=seed, listen=listen, limits=chosen, clock=clock) as edge:
        yield edge


@contextlib.asynccontextmanager
async def open_networks(
    seeds: Sequence[bytes], *, host: str, clock: WallClock, limits: EdgeLimits | None = None
) -> AsyncIterator[tuple[Network, ...]]:
    """Run one edge for each seed in this process and loop, on ports the system chooses.

    The library's import is paid once; an edge then takes under 1 MB. They do not know each other
    until told by `set_addresses`.

    Args:
        seeds: 32-byte Ed25519 seeds, one a node.
        host: IPv4 or IPv6 address all listen on.
        clock: Wall clock of all.
        limits: Limits of each. All dial from one address: `connections_per_ip_max` must be at least
            the number of nodes.

    Raises:
        ListenError: The address cannot be listened on.
    """
    family = "ip6" if ":" in host else "ip4"
    async with contextlib.AsyncExitStack() as stack:
        yield tuple(
            [
                await stack.enter_async_context(
                    open_network(
                        seed=seed, listen=[f"/{family}/{host}/tcp/0"], clock=clock, limits=limits
                    )
                )
                for seed in seeds
            ]
        )
