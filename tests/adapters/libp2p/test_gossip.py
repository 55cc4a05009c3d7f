"""Gossip as peers may send it: each message and each control word has its answer."""

import contextlib

import pytest
import trio
from edge_attacks import MESHSUB, connect, running, stock_host
from edge_kit import Inbox, eventually, introduce, meshed, seed_of, signed
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.secp256k1 import create_new_key_pair as create_other_key_pair
from libp2p.peer.id import ID
from libp2p.pubsub.pb import rpc_pb2
from libp2p.utils.varint import encode_varint_prefixed, read_varint_prefixed_bytes

from stkrp2p.adapters.libp2p.identity import peer_id_bytes
from stkrp2p.core.types import Judgement

TOPIC = "t"
CAROL = create_new_key_pair(seed_of("carol"))


class Speaker:
    """A stock host that speaks and hears gossip frames as they are on the wire."""

    def __init__(self, host, edge) -> None:
        self._host = host
        self._edge = edge
        self.heard: list[rpc_pb2.RPC] = []
        host.set_stream_handler(MESHSUB, self._hear)

    async def open(self) -> None:
        self._stream = await self._host.new_stream(peer_of(self._edge), [MESHSUB])

    async def say(self, **fields) -> None:
        rpc = rpc_pb2.RPC(**fields)
        await self._stream.write(encode_varint_prefixed(rpc.SerializeToString()))

    async def _hear(self, stream) -> None:
        with contextlib.suppress(Exception):
            while True:
                rpc = rpc_pb2.RPC()
                rpc.ParseFromString(await read_varint_prefixed_bytes(stream))
                self.heard.append(rpc)

    def words(self, kind: str) -> list:
        return [word for rpc in self.heard for word in getattr(rpc.control, kind)]

    @property
    def messages(self) -> list[bytes]:
        return [message.data for rpc in self.heard for message in rpc.publish]


def peer_of(edge) -> ID:
    return ID(peer_id_bytes(edge.node))


@contextlib.asynccontextmanager
async def speaking_to(lab, **limits):
    """An edge in the topic, its inbox, and somebody who speaks to it."""
    edge = await lab.edge("edge", **limits)
    inbox = Inbox()
    edge.join_topic(TOPIC, inbox)
    async with running(stock_host()) as host:
        speaker = Speaker(host, edge)
        await connect(host, peer_of(edge), edge.addresses[0])
        await speaker.open()
        await eventually(lambda: speaker.heard)  # the edge's subscriptions
        yield edge, inbox, speaker


def rejects_of(edge) -> float:
    """Rejected messages of the one peer."""
    pubsub = edge._stack.pubsub
    (conn,) = edge._stack.swarm.get_connections()
    return round(pubsub.blame.rejects(conn.muxed_conn.peer_id, now_s=trio.current_time()))


async def test_a_signed_message_is_judged_once(lab):
    async with speaking_to(lab) as (edge, inbox, speaker):
        message = signed(CAROL, TOPIC, b"data")
        await speaker.say(publish=[message, message])
        await speaker.say(publish=[message])
        await eventually(lambda: edge.counters().get("gossip_duplicates") == 2)
        assert inbox.payloads == [b"data"]


def forged(**changes):
    message = signed(CAROL, TOPIC, b"data")
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def by_another_kind_of_key():
    return signed(create_other_key_pair(), TOPIC, b"data")


WRONG = {
    "other data": (forged(data=b"other"), "gossip_dropped_signature", 1),
    "no signature": (forged(signature=b""), "gossip_dropped_signature", 1),
    "another signature": (forged(signature=b"s" * 64), "gossip_dropped_signature", 1),
    "another number": (forged(seqno=b"\0" * 7 + b"\1"), "gossip_dropped_signature", 1),
    "a short number": (forged(seqno=b"\0" * 7), "gossip_dropped_signature", 1),
    "no author": (forged(from_id=b""), "gossip_dropped_author", 1),
    "a hashed key": (forged(from_id=b"\x12\x20" + b"h" * 32), "gossip_dropped_author", 1),
    "another kind of key": (by_another_kind_of_key(), "gossip_dropped_author", 1),
    "too long": (signed(CAROL, TOPIC, b"m" * 65_537), "gossip_dropped_oversize", 1),
    "another topic": (signed(CAROL, "another", b"data"), "gossip_dropped_foreign_topic", 0),
    "no topic": (rpc_pb2.Message(data=b"data"), "gossip_dropped_foreign_topic", 0),
    "two topics": (
        rpc_pb2.Message(data=b"d", topicIDs=[TOPIC, TOPIC]),
        "gossip_dropped_foreign_topic",
        0,
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_message_that_is_not_right_is_dropped_and_counted(lab, wrong):
    message, reason, blamed = WRONG[wrong]
    async with speaking_to(lab) as (edge, inbox, speaker):
        await speaker.say(publish=[message])
        await eventually(lambda: edge.counters().get(reason) == 1)
        assert rejects_of(edge) == blamed
        assert inbox.got == []
        await speaker.say(publish=[signed(CAROL, TOPIC, b"right")])
        await eventually(lambda: inbox.payloads == [b"right"])


async def test_our_own_message_is_not_judged_when_it_comes_back(lab):
    own = create_new_key_pair(seed_of("edge"))
    async with speaking_to(lab) as (edge, inbox, speaker):
        await speaker.say(publish=[signed(own, TOPIC, b"from a former life")])
        await eventually(lambda: edge.counters().get("gossip_dropped_own") == 1)
        assert inbox.got == []


async def test_one_id_carries_one_message(lab):
    async with speaking_to(lab) as (edge, inbox, speaker):
        await speaker.say(publish=[signed(CAROL, TOPIC, b"one"), signed(CAROL, TOPIC, b"two")])
        await eventually(lambda: edge.counters().get("gossip_dropped_id_reused") == 1)
        assert inbox.payloads == [b"one"]


async def test_a_known_payload_under_a_stolen_id_keeps_nothing_from_anybody(lab):
    """An attacker sends an old payload under the id that Carol will use next."""
    async with speaking_to(lab) as (edge, inbox, speaker):
        await speaker.say(publish=[signed(CAROL, TOPIC, b"old", seqno=1)])
        await speaker.say(publish=[forged(data=b"old", seqno=(2).to_bytes(8, "big"))])
        await eventually(lambda: edge.counters().get("gossip_duplicates") == 1)
        await speaker.say(publish=[signed(CAROL, TOPIC, b"new", seqno=2)])
        await eventually(lambda: inbox.payloads == [b"old", b"new"])


async def test_what_was_rejected_is_rejected_again_without_a_judge(lab):
    async with speaking_to(lab) as (edge, inbox, speaker):
        inbox.judgement = Judgement.REJECT
        for seqno in range(3):
            await speaker.say(publish=[signed(CAROL, TOPIC, b"bad", seqno=seqno)])
        await eventually(lambda: edge.counters().get("gossip_duplicates_rejected") == 2)
        assert inbox.payloads == [b"bad"]
        assert rejects_of(edge) == 3


async def test_messages_come_only_so_fast_before_their_signatures_are_looked_at(lab):
    async with speaking_to(lab, unproven_per_s_max=2) as (edge, inbox, speaker):
        for seqno in range(25):
            await speaker.say(publish=[signed(CAROL, TOPIC, b"%d" % seqno, seqno=seqno)])
        await eventually(lambda: "gossip_dropped_too_fast" in edge.counters())
        await eventually(lambda: len(inbox.got) + edge.counters()["gossip_dropped_too_fast"] == 25)
        assert len(inbox.got) >= 20


async def test_a_frame_holds_only_so_many_messages(lab):
    async with speaking_to(lab, messages_per_rpc_max=2) as (edge, inbox, speaker):
        messages = [signed(CAROL, TOPIC, b"%d" % i, seqno=i) for i in range(3)]
        await speaker.say(publish=messages)
        await eventually(lambda: edge.counters().get("gossip_dropped_frame_overfull") == 1)
        await eventually(lambda: inbox.payloads == [b"0", b"1"])


async def test_a_frame_that_is_too_long_ends_its_stream_and_is_held_against_the_peer(lab):
    async with speaking_to(lab, rpc_bytes_max=1_000) as (edge, inbox, speaker):
        await speaker.say(publish=[signed(CAROL, TOPIC, b"m" * 1_000)])
        await eventually(lambda: edge.counters().get("gossip_frames_malformed") == 1)
        assert rejects_of(edge) == 1
        await speaker.open()
        await speaker.say(publish=[signed(CAROL, TOPIC, b"short")])
        await eventually(lambda: inbox.payloads == [b"short"])


async def test_a_subscriber_is_grafted_at_once_and_gets_what_was_said_lately(lab):
    async with speaking_to(lab) as (edge, _, speaker):
        await edge.publish(TOPIC, b"before")
        await speaker.say(subscriptions=[{"subscribe": True, "topicid": TOPIC}])
        await eventually(lambda: speaker.words("graft"))
        await eventually(lambda: speaker.messages == [b"before"])


async def test_who_leaves_a_topic_leaves_its_mesh(lab):
    async with speaking_to(lab, heartbeat_s=0.1) as (edge, _, speaker):
        await speaker.say(subscriptions=[{"subscribe": True, "topicid": TOPIC}])
        await meshed(TOPIC, edge)
        await speaker.say(subscriptions=[{"subscribe": False, "topicid": TOPIC}])
        await eventually(lambda: not edge._stack.gossip.mesh[TOPIC])


async def test_who_prunes_us_is_left_alone_for_as_long_as_it_asks(lab):
    async with speaking_to(lab, heartbeat_s=0.1) as (edge, _, speaker):
        await speaker.say(subscriptions=[{"subscribe": True, "topicid": TOPIC}])
        await eventually(lambda: len(speaker.words("graft")) == 1)
        await speaker.say(control={"prune": [{"topicID": TOPIC, "backoff": 1}]})
        await eventually(lambda: not edge._stack.gossip.mesh[TOPIC])
        await trio.sleep(0.5)
        assert len(speaker.words("graft")) == 1
        await eventually(lambda: len(speaker.words("graft")) == 2)


async def test_who_grafts_during_back_off_is_pruned(lab):
    async with speaking_to(lab) as (edge, _, speaker):
        await speaker.say(subscriptions=[{"subscribe": True, "topicid": TOPIC}])
        await eventually(lambda: speaker.words("graft"))
        await speaker.say(control={"prune": [{"topicID": TOPIC, "backoff": 10}]})
        await speaker.say(control={"graft": [{"topicID": TOPIC}]})
        await eventually(lambda: speaker.words("prune"))
        assert speaker.words("prune")[0].backoff == 10
        assert not edge._stack.gossip.mesh[TOPIC]


async def test_a_back_off_of_ages_lasts_a_minute(lab):
    async with speaking_to(lab, heartbeat_s=9.0) as (edge, _, speaker):
        await speaker.say(control={"prune": [{"topicID": TOPIC, "backoff": 2**60}]})
        backoffs = edge._stack.gossip._backoff_until_s
        await eventually(lambda: len(backoffs) == 1)
        assert max(backoffs.values()) <= trio.current_time() + 60


async def test_messages_are_given_to_who_wants_them(lab):
    async with speaking_to(lab) as (edge, _, speaker):
        await edge.publish(TOPIC, b"wanted")
        (message_id,) = edge._stack.gossip.mcache.msgs
        await speaker.say(control={"iwant": [{"messageIDs": [message_id, b"unknown"]}]})
        await eventually(lambda: speaker.messages == [b"wanted"])


async def test_what_is_told_of_is_asked_for_unless_it_is_known(lab):
    async with speaking_to(lab) as (_, inbox, speaker):
        known, unknown = (signed(CAROL, TOPIC, b"%d" % i, seqno=i) for i in range(2))
        await speaker.say(publish=[known])
        await eventually(lambda: inbox.got)
        ids = [message.from_id + message.seqno for message in (known, unknown)]
        await speaker.say(control={"ihave": [{"topicID": TOPIC, "messageIDs": ids}]})
        await eventually(lambda: speaker.words("iwant"))
        assert [list(word.messageIDs) for word in speaker.words("iwant")] == [ids[1:]]


async def test_what_a_peer_does_not_want_is_not_sent_to_it(lab):
    async with speaking_to(lab, heartbeat_s=9.0) as (edge, _, speaker):
        await speaker.say(subscriptions=[{"subscribe": True, "topicid": TOPIC}])
        await eventually(lambda: speaker.words("graft"))
        message = signed(CAROL, TOPIC, b"data")
        message_id = message.from_id + message.seqno
        await speaker.say(control={"idontwant": [{"messageIDs": [message_id]}]})
        gossip = edge._stack.gossip
        (peer,) = gossip.mesh[TOPIC]
        await eventually(lambda: gossip.dont_send_message_ids.get(peer))
        await edge._stack.pubsub.push_msg(ID.from_pubkey(CAROL.public_key), message)
        await edge.publish(TOPIC, b"other")
        await eventually(lambda: speaker.messages == [b"other"])


async def test_a_mesh_too_large_is_pruned_to_its_degree(lab):
    edges = [
        await lab.edge(f"node {i}", degree=2, degree_low=1, degree_high=3, heartbeat_s=0.2)
        for i in range(6)
    ]
    for edge in edges:
        edge.join_topic(TOPIC, Inbox())
    await introduce(*edges, within_s=10)
    hub = edges[0]._stack.gossip
    await eventually(lambda: len(edges[0]._stack.pubsub.peer_topics.get(TOPIC, ())) == 5)
    hub.mesh[TOPIC] |= {peer_of(edge) for edge in edges[1:]}
    await eventually(lambda: len(hub.mesh[TOPIC]) <= 3)


async def test_who_grafts_into_a_full_mesh_is_pruned(lab):
    async with speaking_to(lab, degree=1, degree_low=1, degree_high=1) as (edge, _, speaker):
        edge._stack.gossip.mesh[TOPIC].add(ID.from_pubkey(CAROL.public_key))
        await speaker.say(control={"graft": [{"topicID": TOPIC}]})
        await eventually(lambda: speaker.words("prune"))


async def test_messages_kept_for_others_are_bounded(lab):
    async with speaking_to(lab, cached_messages_max=2, heartbeat_s=9.0) as (edge, _, _speaker):
        for i in range(3):
            await edge.publish(TOPIC, b"%d" % i)
        assert len(edge._stack.gossip.mcache.msgs) == 2
        assert edge.counters()["gossip_dropped_cache_full"] == 1


async def test_a_peer_without_a_gossip_stream_is_given_one_again(lab):
    alice, bob = [await lab.edge(name, heartbeat_s=0.05) for name in ("alice", "bob")]
    for edge in (alice, bob):
        edge.join_topic(TOPIC, Inbox())
    await introduce(alice, bob)
    await meshed(TOPIC, alice, bob)
    stream = alice._stack.pubsub.peers.pop(peer_of(bob))
    await stream.reset()
    await eventually(lambda: peer_of(bob) in alice._stack.pubsub.peers)
