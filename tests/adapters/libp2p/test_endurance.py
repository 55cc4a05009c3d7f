"""Many connections, and much rubbish."""

import contextlib
import gc
import os
import random

import edge_attacks as attacks
import pytest
import trio
from edge_attacks import connect, is_alive, running, stock_host
from edge_kit import Inbox, eventually, introduce, open_descriptors
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_uvarint

from stkrp2p.adapters.libp2p.identity import peer_id_bytes, tcp_endpoint
from stkrp2p.core.types import Judgement


def tasks() -> int:
    """Tasks alive in this loop, the library's system tasks included."""
    return trio.lowlevel.current_statistics().tasks_living


VISITORS = 10


async def echo(node, question):
    return question


async def cycle(lab, count: int) -> None:
    """Let peers connect, ask and leave so many times in all; tasks and descriptors stay flat."""
    edge = await lab.edge("edge", connections_per_ip_per_s_max=1_000)
    edge.serve("/echo/1", echo, answer_bytes_max=100)
    visitors = [await lab.edge(f"visitor {i}") for i in range(VISITORS)]
    for visitor in visitors:
        visitor.learn_addresses(edge.node, edge.addresses)
    await visit_all(edge, visitors, times=2)
    await eventually(lambda: edge._gate.inbound == 0)
    gc.collect()
    before = tasks(), open_descriptors()
    await visit_all(edge, visitors, times=count // VISITORS)
    await eventually(lambda: edge._gate.inbound == 0)
    gc.collect()
    await eventually(lambda: tasks() <= before[0] + 2)
    assert open_descriptors() <= before[1] + 2
    assert not [name for name in edge.counters() if name.startswith("connections_refused")]
    assert len(edge._stack.host.peerstore.peer_data_map) <= 1
    await eventually(lambda: not edge._stack.pubsub.peers)


async def visit_all(edge, visitors, *, times: int) -> None:
    async with trio.open_nursery() as nursery:
        for visitor in visitors:
            nursery.start_soon(visit_again_and_again, edge, visitor, times)


async def visit_again_and_again(edge, visitor, times: int) -> None:
    for _ in range(times):
        answer = await visitor.ask(
            edge.node, "/echo/1", b"x", timeout_ms=5_000, answer_bytes_max=10
        )
        assert answer == b"x"
        await visitor._stack.swarm.drop(ID(peer_id_bytes(edge.node)))


@pytest.mark.heavy
async def test_three_hundred_visits_leave_nothing_behind(lab):
    await cycle(lab, 300)


@pytest.mark.slow
async def test_a_thousand_visits_leave_nothing_behind(lab):
    await cycle(lab, 1_000)


async def test_a_hundred_identities_leave_nothing_behind(lab):
    edge = await lab.edge("edge", connections_per_ip_per_s_max=1_000)
    peer, address = ID(peer_id_bytes(edge.node)), edge.addresses[0]
    for i in range(20):
        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(visit, peer, address)
        if i == 4:
            gc.collect()
            before = tasks(), open_descriptors()
    await eventually(lambda: edge._gate.inbound == 0)
    gc.collect()
    await eventually(lambda: tasks() <= before[0] + 2)
    assert open_descriptors() <= before[1] + 2
    assert len(edge._stack.host.peerstore.peer_data_map) <= 1
    assert edge._stack.host._identified_peers == {}
    await eventually(lambda: not edge._stack.pubsub.peers)


async def visit(peer: ID, address: str) -> None:
    async with running(stock_host()) as host:
        await connect(host, peer, address)


def rubbish(seed: int) -> bytes:
    """Bytes of one of five kinds, none of which is a handshake."""
    dice = random.Random(seed)
    line = b"/multistream/1.0.0\n"
    kinds = [
        lambda: dice.randbytes(dice.randrange(1, 400)),
        lambda: encode_uvarint(len(line)) + line + dice.randbytes(100),
        lambda: encode_uvarint(2 ** dice.randrange(20, 63)) + dice.randbytes(50),
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: encode_uvarint(len(line)) + line + encode_uvarint(7) + b"/noise\n" + b"\xff" * 70,
    ]
    return kinds[seed % len(kinds)]()


async def test_rubbish_harms_nobody_and_good_peers_connect_within_a_second(lab):
    edge = await lab.edge(
        "edge", half_open_per_ip_max=32, handshake_s=1.0, connections_per_ip_per_s_max=1_000
    )
    host, port = tcp_endpoint(edge.addresses[0])
    peer = ID(peer_id_bytes(edge.node))
    limiter = trio.CapacityLimiter(12)

    async def throw(seed: int) -> None:
        async with limiter:
            with contextlib.suppress(OSError, trio.BrokenResourceError), trio.move_on_after(1.5):
                async with await trio.open_tcp_stream(host, port) as stream:
                    await stream.send_all(rubbish(seed))
                    if seed % 3:
                        return
                    while await stream.receive_some(4096):
                        pass

    async with trio.open_nursery() as nursery:
        for seed in range(500):
            nursery.start_soon(throw, seed)
        for _ in range(6):
            assert await is_alive(peer, edge.addresses[0], within_s=1.0)
            await trio.sleep(0.2)
    await eventually(lambda: edge._gate.inbound == 0)
    assert await is_alive(peer, edge.addresses[0], within_s=1.0)
    assert "stack_failures" not in edge.counters()


async def test_rubbish_after_the_handshake_ends_that_connection_only(lab):
    edge, bob = await lab.edge("edge"), await lab.edge("bob")
    await introduce(edge, bob)
    peer = ID(peer_id_bytes(edge.node))
    for i in range(10):
        async with running(stock_host()) as attacker:
            await connect(attacker, peer, edge.addresses[0])
            muxed = attacker.get_network().get_connections(peer)[0].muxed_conn
            with contextlib.suppress(Exception):
                await muxed._write_frame(os.urandom(300 + i))
            await trio.sleep(0.02)
    await eventually(lambda: [status.node for status in edge.peers()] == [bob.node])
    assert await is_alive(peer, edge.addresses[0], within_s=1.0)
    assert "stack_failures" not in edge.counters()


async def test_streams_of_rubbish_end_that_stream_only(lab):
    edge = await lab.edge("edge")
    edge.serve("/echo/1", echo, answer_bytes_max=100)
    edge.join_topic("t", Inbox(Judgement.REJECT))
    peer = ID(peer_id_bytes(edge.node))
    dice = random.Random(7)
    async with running(stock_host()) as attacker:
        await connect(attacker, peer, edge.addresses[0])
        for protocol in ("/echo/1", "/meshsub/1.1.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0"):
            for _ in range(15):
                stream = await attacker.new_stream(peer, [protocol])
                with contextlib.suppress(Exception):
                    await stream.write(dice.randbytes(dice.randrange(1, 500)))
                await stream.reset()
        stream = await attacker.new_stream(peer, ["/echo/1"])
        await stream.write(b"\x02ok")
        assert await stream.read(3) == b"\x02ok"
        assert len(attacker.get_network().get_connections(peer)) == 1
    assert "stack_failures" not in edge.counters()


async def test_control_words_of_invented_topics_and_ids_are_not_kept(lab):
    # One long heartbeat: what is counted within it must not depend on when it ends.
    edge = await lab.edge(
        "edge", ids_per_heartbeat_max=100, grafts_per_heartbeat_max=10, heartbeat_s=60.0
    )
    edge.join_topic("t", Inbox(Judgement.REJECT))
    peer = ID(peer_id_bytes(edge.node))
    pb = attacks.rpc_pb2
    async with running(stock_host()) as attacker:
        await connect(attacker, peer, edge.addresses[0])
        control = pb.ControlMessage()
        for i in range(20):
            control.graft.add(topicID=f"invented {i}")
            control.prune.add(topicID=f"invented {i}", backoff=2**40)
            control.idontwant.add(messageIDs=[b"%d" % j for j in range(50)])
            control.ihave.add(topicID="t", messageIDs=[b"id %d %d" % (i, j) for j in range(50)])
        rpc = pb.RPC(control=control)
        for i in range(60):
            rpc.subscriptions.add(subscribe=True, topicid=f"invented {i}")
        rpc.subscriptions.add(subscribe=True, topicid="x" * 1_000)
        await attacks._gossip_bytes(
            attacker, peer, attacks.encode_varint_prefixed(rpc.SerializeToString())
        )
        counters = edge.counters
        await eventually(lambda: counters().get("gossip_dropped_topic_name") == 1 or counters())
        await eventually(lambda: counters().get("gossip_dropped_graft_flood") == 30)
        assert counters()["gossip_dropped_idontwant_flood"] == 900
        assert counters()["gossip_dropped_ihave_flood"] == 900
        gossip = edge._stack.gossip
        assert gossip.back_off == {}
        assert gossip._backoff_until_s == {}
        assert len(edge._stack.pubsub.peer_topics) <= 32
