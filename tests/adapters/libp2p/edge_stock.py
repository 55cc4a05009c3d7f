"""What the stock library does in the face of what `edge_attacks` holds.

Run as a program, it prints one JSON object: case -> what was seen. It runs in a process of its own
so that none of our patches is in it, and because some cases end what they run in. All cases run side
by side, each with hosts of its own.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Awaitable, Callable

import edge_attacks as attacks
import trio
from edge_attacks import (
    ECHO,
    LOOPBACK,
    MESHSUB,
    SLOW,
    TOPIC,
    connect,
    info,
    is_alive,
    quiet_config,
    running,
    stock_host,
)
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

Case = Callable[[], Awaitable[object]]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    CASES[function.__name__] = function
    return function


def stock_gossip(**options) -> GossipSub:
    settings = {
        "heartbeat_interval": 1,
        "adaptive_gossip_enabled": False,
        "spam_protection_enabled": False,
        "eclipse_protection_enabled": False,
    }
    return GossipSub([MESHSUB], 5, 4, 10, **(settings | options))


async def sleep(_stream) -> None:
    await trio.sleep_forever()


async def echo(stream) -> None:
    await stream.write(await stream.read(100))
    await stream.close()


@contextlib.asynccontextmanager
async def victim(**gossip_options):
    """A stock node in a task of its own, which may die."""
    host = stock_host()
    host.set_stream_handler(TProtocol(ECHO), echo)
    host.set_stream_handler(TProtocol(SLOW), sleep)
    router = stock_gossip(**gossip_options)
    pubsub = Pubsub(host, router)
    async with trio.open_nursery() as nursery:

        async def live(*, task_status) -> None:
            with contextlib.suppress(Exception):
                async with (
                    running(host),
                    background_trio_service(router),
                    background_trio_service(pubsub),
                ):
                    await pubsub.subscribe(TOPIC)
                    task_status.started()
                    await trio.sleep_forever()

        await nursery.start(live)
        host.address = str(host.get_transport_addrs()[0])
        yield host, pubsub
        nursery.cancel_scope.cancel()


@contextlib.asynccontextmanager
async def proxied(host):
    async with trio.open_nursery() as nursery:
        proxy = attacks.Proxy("127.0.0.1", int(host.address.rsplit("/", 1)[1]))
        await nursery.start(proxy.run)
        yield proxy
        nursery.cancel_scope.cancel()


async def dies_of(attack, **gossip_options) -> bool:
    async with victim(**gossip_options) as (host, _), running(stock_host()) as attacker:
        await connect(attacker, host.get_id(), host.address)
        await attack(attacker, host.get_id())
        await trio.sleep(1)
        return not await is_alive(host.get_id(), host.address, within_s=2)


@case
async def no_protobuf() -> bool:
    return await dies_of(attacks.no_protobuf)


@case
async def garbage_key() -> bool:
    return await dies_of(attacks.garbage_key)


@case
async def line_not_utf8() -> bool:
    return await dies_of(attacks.line_not_utf8)


@case
async def graft_unknown_topic() -> bool:
    return await dies_of(attacks.graft_unknown_topic, do_px=True)


@case
async def plaintext() -> bool:
    """Whether a handler takes Mallory for Alice."""
    alice = create_new_key_pair()
    seen = []

    async def note(stream) -> None:
        seen.append(stream.muxed_conn.peer_id.to_bytes()[-32:])
        await stream.close()

    host = new_host(connection_config=quiet_config())
    host.set_stream_handler(TProtocol(ECHO), note)
    async with running(host), running(attacks.impostor_host(alice)) as mallory:
        await connect(mallory, host.get_id(), str(host.get_transport_addrs()[0]))
        await mallory.new_stream(host.get_id(), [TProtocol(ECHO)])
        await trio.sleep(0.3)
    return seen == [alice.public_key.to_bytes()]


@case
async def handler_raises() -> bool:
    async def fail(stream) -> None:
        await stream.read(1)
        raise ValueError

    async with victim() as (host, _), running(stock_host()) as asker:
        host.set_stream_handler(TProtocol(ECHO), fail)
        await connect(asker, host.get_id(), host.address)
        stream = await asker.new_stream(host.get_id(), [TProtocol(ECHO)])
        await stream.write(b"x")
        await trio.sleep(0.5)
        return not await is_alive(host.get_id(), host.address, within_s=2)


@case
async def reset_escapes_handler() -> bool:
    """Whether the connection is listed but deaf after the peer resets a stream being read."""

    async def read_on(stream) -> None:
        while True:
            await stream.read(1)

    async with victim() as (host, _), running(stock_host()) as asker:
        host.set_stream_handler(TProtocol("/read/1"), read_on)
        await connect(asker, host.get_id(), host.address)
        stream = await asker.new_stream(host.get_id(), [TProtocol("/read/1")])
        await stream.write(b"x")
        await trio.sleep(0.2)
        await stream.reset()
        await trio.sleep(0.5)
        is_listed = bool(host.get_network().get_connections(asker.get_id()))
        is_served = False
        with contextlib.suppress(Exception), trio.fail_after(2):
            stream = await asker.new_stream(host.get_id(), [TProtocol(ECHO)])
            await stream.write(b"x")
            is_served = await stream.read(1) == b"x"
        return is_listed and not is_served


@case
async def judge_raises() -> bool:
    def fail(_forwarder, _message) -> bool:
        raise ValueError

    async with victim() as (host, pubsub), running(stock_host()) as sender:
        pubsub.set_topic_validator(TOPIC, fail, is_async_validator=False)
        router = stock_gossip()
        other = Pubsub(sender, router)
        async with background_trio_service(router), background_trio_service(other):
            await other.subscribe(TOPIC)
            await connect(sender, host.get_id(), host.address)
            await trio.sleep(0.5)
            await other.publish(TOPIC, b"data")
            await trio.sleep(0.5)
            return not await is_alive(host.get_id(), host.address, within_s=2)


@case
async def cut_writes() -> bool:
    """Whether a connection survives deadlines that fire while we write."""
    async with victim() as (host, _), running(stock_host()) as client, proxied(host) as proxy:
        await connect(client, host.get_id(), proxy.address)
        return await attacks.cut_writes(client, host.get_id(), proxy)


@case
async def inbound_slots() -> int:
    """How many of 30 visits, one after the other, a host with 12 slots takes."""
    host = stock_host(connection_config=quiet_config(max_connections=12, high_watermark=12))
    taken = 0
    async with running(host):
        for _ in range(30):
            taken += await is_alive(host.get_id(), str(host.get_transport_addrs()[0]), within_s=1.0)
            if not taken:
                break
    return taken


@case
async def sockets() -> int:
    """How many connections the other end still sees once the host was cancelled."""
    async with running(stock_host()) as stays:
        leaves = stock_host()
        with trio.CancelScope() as scope:
            async with leaves.run([Multiaddr(LOOPBACK)]):
                await connect(leaves, stays.get_id(), str(stays.get_transport_addrs()[0]))
                scope.cancel()
                await trio.sleep_forever()
        await trio.sleep(1)
        left = len(stays.get_network().get_connections())
        await attacks.close_host(leaves)
        return left


@case
async def port_taken() -> bool:
    """Whether a second host starts on a port that is taken, without a word."""
    async with running(stock_host()) as first:
        address = str(first.get_transport_addrs()[0])
        async with running(stock_host(), address) as second:
            return str(second.get_transport_addrs()[0]) == address


@case
async def back_off() -> bool:
    """Whether a node whose only peer is in back-off goes without messages for three heartbeats."""
    async with victim() as (host, pubsub), victim() as (other, other_pubsub):
        await other.connect(info(host))
        await trio.sleep(1)
        for side, peer in ((pubsub, other), (other_pubsub, host)):
            side.router._add_back_off(peer.get_id(), TOPIC, is_unsubscribe=False)
            side.router.mesh[TOPIC].clear()
        subscription = pubsub.subscribed_topics_receive[TOPIC]
        await other_pubsub.publish(TOPIC, b"data")
        with trio.move_on_after(3.5):
            await subscription.get()
            return False
        return True


@case
async def window() -> bool:
    async with victim() as (host, _), running(stock_host()) as attacker:
        await connect(attacker, host.get_id(), host.address)
        return await attacks.overrun_window(attacker, host.get_id(), megabytes=8)


@case
async def identify_flood() -> bool:
    async with victim() as (host, _), running(stock_host()) as attacker:
        await connect(attacker, host.get_id(), host.address)
        return await attacks.push_identify(attacker, host.get_id(), kilobytes=1024)


@case
async def long_line() -> bool:
    async with victim() as (host, _):
        port = int(host.address.rsplit("/", 1)[1])
        return await attacks.announce_long_line("127.0.0.1", port)


async def slowloris(listen: str, host_name: str) -> bool:
    """Whether one address that holds 30 silent connections keeps everybody out."""
    host = stock_host(connection_config=quiet_config(max_connections=24, high_watermark=24))
    async with running(host, listen):
        address = str(host.get_transport_addrs()[0])
        port = int(address.rsplit("/", 1)[1])
        async with attacks.half_open(host_name, port, 30):
            return not await is_alive(host.get_id(), address, within_s=1.5)


@case
async def slowloris_ipv4() -> bool:
    return await slowloris(LOOPBACK, "127.0.0.1")


@case
async def slowloris_ipv6() -> bool:
    return await slowloris("/ip6/::1/tcp/0", "::1")


@case
async def ipv6_address() -> bool:
    """Whether a host does not know where an IPv6 connection comes from."""
    async with running(stock_host(), "/ip6/::1/tcp/0") as host, running(stock_host()) as peer:
        await connect(peer, host.get_id(), str(host.get_transport_addrs()[0]))
        conn = host.get_network().get_connections(peer.get_id())[0]
        return conn.muxed_conn.get_remote_address() is None


@case
async def frozen() -> bool:
    """Whether a peer that stopped answering is still listed after five seconds."""
    async with victim() as (far, _), running(stock_host()) as near, proxied(far) as proxy:
        await connect(near, far.get_id(), proxy.address)
        proxy.freeze()
        await trio.sleep(5)
        return bool(near.get_network().get_connections(far.get_id()))


@case
async def burst() -> int:
    """How many of 200 messages published at once arrive at the one peer."""
    async with victim() as (host, pubsub), victim() as (other, other_pubsub):
        await other.connect(info(host))
        await trio.sleep(1)
        received = 0
        async with trio.open_nursery() as nursery:

            async def count() -> None:
                nonlocal received
                async for _ in pubsub.subscribed_topics_receive[TOPIC]:
                    received += 1

            nursery.start_soon(count)
            for i in range(200):
                await other_pubsub.publish(TOPIC, b"%d" % i)
            await trio.sleep(2.5)
            nursery.cancel_scope.cancel()
        return received


@case
async def sequence_numbers() -> bool:
    """Whether two runs within a second give the same first sequence number."""
    pubsubs = [Pubsub(stock_host(), stock_gossip()) for _ in range(2)]
    return abs(pubsubs[0].counter - pubsubs[1].counter) <= 1 and pubsubs[0].counter < 2**40


async def main(names: list[str]) -> None:
    results: dict[str, object] = {}

    async def run(name: str) -> None:
        try:
            with trio.fail_after(45):
                results[name] = await CASES[name]()
        except BaseException as error:
            results[name] = f"error: {error!r}"
            if isinstance(error, trio.Cancelled | KeyboardInterrupt):
                raise

    limiter = trio.CapacityLimiter(6)

    async def run_limited(name: str) -> None:
        async with limiter:
            await run(name)

    async with trio.open_nursery() as nursery:
        for name in names or CASES:
            nursery.start_soon(run_limited, name)
    sys.stdout.write(json.dumps(results) + "\n")


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
