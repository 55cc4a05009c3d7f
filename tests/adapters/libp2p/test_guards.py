"""Each guard of the edge: the stock library fails, ours holds.

The stock library's side of each case runs once, in a process of its own (`edge_stock`), because some
cases end what they run in.
"""

import contextlib

import edge_attacks as attacks
import pytest
import trio
from edge_attacks import ECHO, SLOW, TOPIC, connect, is_alive, running, stock_host
from edge_kit import Inbox, eventually, introduce, meshed, open_descriptors, proxy_to, signed
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.network.stream.exceptions import StreamError
from libp2p.peer.id import ID

from stkrp2p.adapters.libp2p import ListenError
from stkrp2p.adapters.libp2p.identity import peer_id_bytes
from stkrp2p.ports import Unreachable


def peer_of(edge) -> ID:
    return ID(peer_id_bytes(edge.node))


async def echo(node, question):
    return question


async def sleep(node, question):
    await trio.sleep_forever()


async def victim(lab, *listen, **limits):
    edge = await lab.edge("victim", *listen, **limits)
    edge.join_topic(TOPIC, Inbox())
    edge.serve(ECHO, echo, answer_bytes_max=100)
    edge.serve(SLOW, sleep, answer_bytes_max=100)
    return edge


@contextlib.asynccontextmanager
async def attacker_of(edge):
    async with running(stock_host()) as host:
        await connect(host, peer_of(edge), edge.addresses[0])
        yield host


async def is_well(edge) -> bool:
    """Whether the stack never failed and takes a newcomer within a second."""
    assert "stack_failures" not in edge.counters()
    return await is_alive(peer_of(edge), edge.addresses[0], within_s=1.0)


async def test_nobody_can_claim_an_identity_without_its_key(stock, lab):
    assert stock["plaintext"] is True
    edge = await victim(lab)
    alice = create_new_key_pair()
    async with running(attacks.impostor_host(alice)) as mallory:
        with pytest.raises(Exception, match="failed to upgrade security"):
            await connect(mallory, peer_of(edge), edge.addresses[0])
    assert edge.peers() == ()
    assert edge.counters()["handshakes_failed"] == 1


@pytest.mark.parametrize("name", attacks.FATAL)
async def test_no_single_message_ends_a_node(stock, lab, name):
    assert stock[name] is True
    edge = await victim(lab)
    async with attacker_of(edge) as attacker:
        for _ in range(3):
            with contextlib.suppress(Exception):
                await attacks.FATAL[name](attacker, peer_of(edge))
        await trio.sleep(0.3)
        assert await is_well(edge)


async def test_an_exception_in_a_handler_ends_its_stream_only(stock, lab):
    assert stock["handler_raises"] is True
    edge = await victim(lab)

    async def fail(stream):
        await stream.read(1)
        raise ValueError

    edge._stack.host.set_stream_handler(TProtocol("/fails/1"), fail)
    async with attacker_of(edge) as asker:
        stream = await asker.new_stream(peer_of(edge), [TProtocol("/fails/1")])
        await stream.write(b"x")
        with pytest.raises(StreamError):
            await stream.read(1)
        assert await is_well(edge)
        assert edge.counters()["streams_failed"] == 1


async def test_a_stream_reset_while_it_is_read_leaves_the_connection_in_service(stock, lab):
    assert stock["reset_escapes_handler"] is True
    edge = await victim(lab)
    async with attacker_of(edge) as asker:
        stream = await asker.new_stream(peer_of(edge), [TProtocol(ECHO)])
        await stream.write(b"\x05he")  # the rest of the question never comes
        await trio.sleep(0.1)
        await stream.reset()
        await eventually(lambda: edge.counters().get("streams_failed") == 1)
        stream = await asker.new_stream(peer_of(edge), [TProtocol(ECHO)])
        await stream.write(b"\x01x")
        assert await stream.read(10) == b"\x01x"


async def test_a_judge_that_raises_ignores_the_message(stock, lab):
    assert stock["judge_raises"] is True
    alice, bob = await lab.edge("alice"), await lab.edge("bob")

    def fail(node, data):
        raise ValueError

    alice.join_topic(TOPIC, Inbox())
    bob.join_topic(TOPIC, fail)
    await introduce(alice, bob)
    await meshed(TOPIC, alice, bob)
    await alice.publish(TOPIC, b"data")
    await eventually(lambda: bob.counters().get("gossip_judges_failed") == 1)
    assert bob.counters()["gossip_ignored"] == 1
    assert await is_well(bob)


async def test_deadlines_never_cut_a_write(stock, lab):
    assert stock["cut_writes"] is False
    edge, client = await victim(lab), await lab.edge("client")
    async with proxy_to(edge) as proxy:
        client.learn_addresses(edge.node, [proxy.address])
        await client.connect(edge.node)
        assert await attacks.cut_writes(client._stack.host, peer_of(edge), proxy)


async def test_a_thousand_cut_questions_leave_the_connection_and_its_slots_whole(lab):
    edge, client = await victim(lab), await lab.edge("client")
    client.learn_addresses(edge.node, edge.addresses)
    await client.connect(edge.node)
    for i in range(1000 // 20):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask_and_give_up, client, edge, i % 7)
    muxed = client._stack.swarm.get_connections(peer_of(edge))[0].muxed_conn
    await eventually(lambda: muxed.stream_backlog_semaphore.value >= 255)
    answer = await client.ask(edge.node, ECHO, b"x", timeout_ms=2_000, answer_bytes_max=10)
    assert answer == b"x"
    assert len(client._stack.swarm.get_connections()) == 1


async def ask_and_give_up(client, edge, timeout_ms):
    with contextlib.suppress(Unreachable):
        await client.ask(edge.node, ECHO, b"q" * 90, timeout_ms=timeout_ms, answer_bytes_max=100)


async def test_a_full_set_of_open_streams_refuses_instead_of_hanging(lab):
    edge = await victim(lab, streams_inbound_per_peer_max=300)
    client = await lab.edge("client")
    client.learn_addresses(edge.node, edge.addresses)
    await client.connect(edge.node)
    swarm = client._stack.swarm
    muxed = swarm.get_connections(peer_of(edge))[0].muxed_conn
    streams = []
    while muxed.stream_backlog_semaphore.value:
        streams.append(await swarm.new_stream(peer_of(edge)))
    with pytest.raises(Unreachable), trio.fail_after(2):
        await client.ask(edge.node, ECHO, b"x", timeout_ms=1_000, answer_bytes_max=10)
    for stream in streams:
        await stream.reset()
    assert await client.ask(edge.node, ECHO, b"x", timeout_ms=2_000, answer_bytes_max=10) == b"x"


async def test_one_peer_holds_only_so_many_inbound_streams(lab):
    edge = await victim(lab, streams_inbound_per_peer_max=5)
    async with attacker_of(edge) as attacker:
        await eventually(lambda: not edge._stack.host._streams)  # identify has ended
        streams = [await attacker.new_stream(peer_of(edge), [TProtocol(SLOW)]) for _ in range(5)]
        with pytest.raises(Exception, match="failed to open a stream"):
            await attacker.new_stream(peer_of(edge), [TProtocol(SLOW)])
        assert edge.counters()["streams_refused_per_peer"] == 1
        for stream in streams:
            await stream.reset()
        await eventually(lambda: not edge._stack.host._streams)
        assert await is_well(edge)


async def test_a_stream_only_we_have_closed_is_not_kept(lab):
    edge = await victim(lab, linger_s=0.2)
    async with attacker_of(edge) as attacker:
        muxed = edge._stack.swarm.get_connections()[0].muxed_conn
        for _ in range(20):
            stream = await attacker.new_stream(peer_of(edge), [TProtocol(ECHO)])
            await stream.write(b"\x01x")
            assert await stream.read(2) == b"\x01x"
        await eventually(lambda: edge.counters().get("streams_reset_lingering", 0) >= 20)
        await eventually(lambda: len(muxed.streams) <= 2)


async def test_an_answerer_that_never_closes_leaves_nothing_with_the_asker(lab):
    edge, client = await victim(lab), await lab.edge("client")

    async def never_close(stream):
        await stream.read(100)
        await stream.write(b"\x01x")
        await trio.sleep_forever()

    edge._stack.host.set_stream_handler(TProtocol("/open/1"), never_close)
    client.learn_addresses(edge.node, edge.addresses)
    await client.connect(edge.node)
    muxed = client._stack.swarm.get_connections()[0].muxed_conn
    for _ in range(20):
        assert (
            await client.ask(edge.node, "/open/1", b"q", timeout_ms=2_000, answer_bytes_max=10)
            == b"x"
        )
    await eventually(lambda: len(muxed.streams) <= 2)  # of gossip, one each way


async def test_inbound_slots_come_back_when_connections_end(stock, lab):
    assert stock["inbound_slots"] <= 12
    edge = await victim(lab, connections_inbound_max=12)
    for _ in range(20):
        assert await is_well(edge)
    assert "connections_refused_inbound" not in edge.counters()
    await eventually(lambda: edge._gate.inbound == 0)


async def test_a_node_that_stops_leaves_no_connection_behind(stock, lab):
    assert stock["sockets"] == 1
    stays, leaves = await lab.edge("stays"), await lab.edge("leaves")
    leaves.set_addresses({stays.node: stays.addresses})
    await eventually(lambda: len(stays.peers()) == 1)
    await lab.stop(leaves)
    await eventually(lambda: stays.peers() == (), within_s=1)


async def test_a_port_is_never_shared(stock, lab):
    assert stock["port_taken"] is True
    async with running(stock_host()) as host:
        with pytest.raises(ListenError, match="address already in use"):
            await lab.edge("late", str(host.get_transport_addrs()[0]))


async def test_back_off_keeps_nobody_from_a_topic(stock, lab):
    assert stock["back_off"] is True
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    inbox = Inbox()
    alice.join_topic(TOPIC, Inbox())
    bob.join_topic(TOPIC, inbox)
    await introduce(alice, bob)
    await meshed(TOPIC, alice, bob)
    for edge, other in ((alice, bob), (bob, alice)):
        gossip = edge._stack.gossip
        gossip._add_back_off(peer_of(other), TOPIC, is_unsubscribe=False)
        gossip.mesh[TOPIC].clear()
    alice._stack.gossip.mcache.put(signed(create_new_key_pair(), TOPIC, b"data"))
    await eventually(lambda: inbox.payloads == [b"data"], within_s=3.5)
    assert alice._stack.gossip.mesh[TOPIC] == set()


async def test_a_peer_that_ignores_its_window_loses_the_connection(stock, lab):
    assert stock["window"] is True
    edge = await victim(lab)
    async with attacker_of(edge) as attacker:
        assert not await attacks.overrun_window(attacker, peer_of(edge), megabytes=8)
        assert edge.counters()["connections_closed_window_overrun"] == 1
        assert await is_well(edge)


async def test_unread_bytes_of_all_streams_of_a_connection_are_bounded(lab):
    edge = await victim(lab, connection_buffer_bytes_max=500_000)
    async with attacker_of(edge) as attacker:
        for _ in range(2):
            stream = await attacker.new_stream(peer_of(edge), [TProtocol(SLOW)])
            await stream.write(b"\x01q" + b"z" * 250_000)
        await trio.sleep(0.1)
        assert "connections_closed_window_overrun" not in edge.counters()
        stream = await attacker.new_stream(peer_of(edge), [TProtocol(SLOW)])
        with contextlib.suppress(Exception):
            await stream.write(b"\x01q" + b"z" * 250_000)
        await eventually(lambda: edge.counters().get("connections_closed_window_overrun") == 1)
        await eventually(lambda: edge.peers() == ())


async def test_an_identity_longer_than_allowed_is_not_read(stock, lab):
    assert stock["identify_flood"] is True
    edge = await victim(lab)
    async with attacker_of(edge) as attacker:
        assert not await attacks.push_identify(attacker, peer_of(edge), kilobytes=1024)
        assert await is_well(edge)


async def test_a_line_longer_than_allowed_ends_the_connection_at_once(stock, lab):
    assert stock["long_line"] is True
    edge = await victim(lab)
    port = int(edge.addresses[0].rsplit("/", 1)[1])
    assert not await attacks.announce_long_line("127.0.0.1", port)


@pytest.mark.parametrize(
    ("case", "listen", "host"),
    [
        ("slowloris_ipv4", "/ip4/127.0.0.1/tcp/0", "127.0.0.1"),
        ("slowloris_ipv6", "/ip6/::1/tcp/0", "::1"),
    ],
)
async def test_one_address_cannot_hold_all_half_open_connections(stock, lab, case, listen, host):
    assert stock[case] is True
    # The honest peer shares the attacker's address here, so the limit leaves room for one more.
    edge = await victim(lab, listen, half_open_per_ip_max=16, handshake_s=1.0)
    port = int(edge.addresses[0].rsplit("/", 1)[1])
    async with attacks.half_open(host, port, 40):
        assert edge._gate.half_open == 16
        assert edge.counters()["connections_refused_half_open_per_ip"] == 24
        await eventually(lambda: edge._gate.half_open == 0, within_s=2)
        assert await is_well(edge)


async def test_others_come_in_while_one_address_is_at_its_limit(lab):
    edge = await victim(lab, "/ip4/127.0.0.1/tcp/0", "/ip6/::1/tcp/0", half_open_max=40)
    port = int(edge.addresses[1].rsplit("/", 1)[1])
    async with attacks.half_open("::1", port, 40):
        assert edge._gate.half_open == 16
        assert await is_well(edge)  # over IPv4


async def test_connections_of_one_ipv6_network_are_limited_together(stock, lab):
    assert stock["ipv6_address"] is True
    edge = await victim(lab, "/ip6/::1/tcp/0", connections_per_ip_max=2)
    async with attacker_of(edge), attacker_of(edge):
        assert not await is_alive(peer_of(edge), edge.addresses[0], within_s=1.0)
        assert edge.counters()["connections_refused_per_ip"] == 1
    await eventually(lambda: edge._gate.inbound == 0)
    assert await is_well(edge)


async def test_the_newest_connections_of_an_identity_replace_its_oldest(lab):
    edge = await victim(lab, connections_per_peer_max=2)
    key_pair = create_new_key_pair()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            host = await stack.enter_async_context(running(stock_host(key_pair=key_pair)))
            await connect(host, peer_of(edge), edge.addresses[0])
        await eventually(lambda: edge.counters().get("connections_closed_superseded") == 2)
        await eventually(lambda: len(edge._stack.swarm.get_connections()) == 2)
        assert await is_well(edge)


async def test_connections_in_all_are_bounded(lab):
    edge = await victim(lab, connections_max=3, connections_inbound_max=3)
    async with attacker_of(edge), attacker_of(edge), attacker_of(edge):
        assert not await is_alive(peer_of(edge), edge.addresses[0], within_s=1.0)
        assert edge.counters()["connections_refused_inbound"] == 1


async def test_a_frozen_peer_is_found_and_comes_back_when_it_thaws(stock, lab):
    assert stock["frozen"] is True
    # A tenth of the default times: 10 s to find it, 20 s to be back.
    quick = {
        "ping_interval_s": 0.25,
        "ping_timeout_s": 0.5,
        "write_stall_s": 0.5,
        "backoff_first_s": 0.1,
        "backoff_s_max": 0.8,
        "dial_s": 0.4,
        "handshake_s": 0.5,
        "second_dialer_s": 0.1,
    }
    near, far = await lab.edge("near", **quick), await lab.edge("far", **quick)
    async with proxy_to(far) as proxy:
        near.set_addresses({far.node: [proxy.address]})
        await eventually(lambda: len(near.peers()) == 1)
        proxy.freeze()
        assert await eventually(lambda: near.peers() == ()) < 1.0
        assert near.counters()["connections_closed_no_answer"] == 1
        await trio.sleep(2)
        proxy.thaw()
        assert await eventually(lambda: len(near.peers()) == 1) < 2.0


async def test_a_peer_that_takes_no_bytes_is_closed_and_nobody_waits_for_it(lab):
    near = await lab.edge("near", write_stall_s=0.5, ping_timeout_s=30.0)
    far, other = await victim(lab), await lab.edge("other")
    other.serve(ECHO, echo, answer_bytes_max=100)
    near.learn_addresses(other.node, other.addresses)
    async with proxy_to(far) as proxy:
        near.learn_addresses(far.node, [proxy.address])
        await near.connect(far.node)
        host = near._stack.host
        streams = [await host.new_stream(peer_of(far), [TProtocol(SLOW)]) for _ in range(48)]
        proxy.freeze()
        async with trio.open_nursery() as nursery:
            for stream in streams:
                nursery.start_soon(write_quietly, stream)
            answer = await near.ask(other.node, ECHO, b"x", timeout_ms=2_000, answer_bytes_max=9)
            assert answer == b"x"
            await eventually(lambda: near.counters().get("connections_closed_write_stalled"))


async def write_quietly(stream):
    with contextlib.suppress(Exception):
        await stream.write(b"\x01q" + b"w" * 250_000)


async def test_a_burst_arrives_whole(stock, lab):
    assert stock["burst"] < 200
    alice, bob = await lab.edge("alice"), await lab.edge("bob")
    inbox = Inbox()
    alice.join_topic(TOPIC, Inbox())
    bob.join_topic(TOPIC, inbox)
    await introduce(alice, bob)
    await meshed(TOPIC, alice, bob)
    for i in range(200):
        await alice.publish(TOPIC, b"%d" % i)
    await eventually(lambda: len(inbox.got) == 200)
    assert inbox.payloads == [b"%d" % i for i in range(200)]


async def test_what_overflows_a_queue_is_counted(lab):
    alice = await lab.edge("alice", outbound_rpcs_max=8)
    bob = await lab.edge("bob")
    inbox = Inbox()
    alice.join_topic(TOPIC, Inbox())
    bob.join_topic(TOPIC, inbox)
    await introduce(alice, bob)
    await meshed(TOPIC, alice, bob)
    message = b"m" * 60_000
    async with trio.open_nursery() as nursery:
        for i in range(40):
            nursery.start_soon(alice.publish, TOPIC, message + b"%d" % i)
    dropped = alice.counters()["gossip_dropped_queue_full"]
    assert dropped > 0
    await eventually(lambda: len(inbox.got) >= 40 - dropped)  # IHAVE may bring some of the rest


async def test_sequence_numbers_do_not_repeat_after_a_restart(stock, lab):
    assert stock["sequence_numbers"] is True
    alice = await lab.edge("alice")
    first = [alice._stack.pubsub._next_seqno() for _ in range(2000)]
    address = alice.addresses[0]
    await lab.stop(alice)
    alice = await lab.edge("alice", address)
    assert min(alice._stack.pubsub._next_seqno() for _ in range(3)) > max(first)
    assert len(set(first)) == 2000


async def test_a_sudden_end_of_a_stack_closes_every_descriptor(lab):
    edge = await victim(lab)
    await is_well(edge)
    before = open_descriptors()
    for i in range(3):
        async with attacker_of(edge):

            async def crash():
                raise RuntimeError("the library fails")

            edge._stack.swarm.manager.run_task(crash)
            await eventually(lambda i=i: edge.counters().get("stack_failures") == i + 1)
            await eventually(lambda: edge._stack is not None, within_s=5)
    await eventually(lambda: open_descriptors() <= before)
