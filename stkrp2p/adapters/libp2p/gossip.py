"""Gossip: our judgements, bounds and clock inside py-libp2p's pubsub.

Of the library's `Pubsub` we keep the streams to peers, the subscriptions and the sending queues; of
its `GossipSub` the names and the wire format. What decides is ours:

* A message is judged once, before it is kept or passed on: ACCEPT forwards it, IGNORE drops it and
  blames nobody, REJECT drops it and counts against the forwarder. The library knows two of these.
* A copy of a payload already judged is dropped by its hash, before its signature is looked at.
* The mesh heals: who is pruned stays out for `prune_backoff_s` on both sides, and is told message
  ids all the same, so that nobody is cut off by back-offs alone.
* Every queue, cache and list from a peer is bounded, and what overflows is counted.

Source: https://github.com/libp2p/specs/blob/master/pubsub/gossipsub/gossipsub-v1.1.md
"""
# ruff: noqa: SLF001, BLE001  - subclasses of the library's, which is contained here

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, assert_never

import trio
from google.protobuf.message import DecodeError
from libp2p.custom_types import TProtocol
from libp2p.io.exceptions import IOException
from libp2p.network.connection.exceptions import RawConnError
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.mcache import MessageCache
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue
from libp2p.stream_muxer.exceptions import MuxedStreamError
from nacl.exceptions import BadSignatureError
from nacl.signing import VerifyKey

from stkrp2p.adapters.libp2p.bounds import Memory, Pace
from stkrp2p.adapters.libp2p.guards import contained, finish
from stkrp2p.adapters.libp2p.identity import node_from_peer_id
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.adapters.libp2p.streams import FrameError, FrameReader, frame
from stkrp2p.core.types import Judgement, NodeId
from stkrp2p.ports import Judge, WallClock

if TYPE_CHECKING:
    from libp2p.abc import IHost, INetStream

log = logging.getLogger("stkrp2p.edge")

_PROTOCOLS = (TProtocol("/meshsub/1.1.0"), TProtocol("/meshsub/1.2.0"))
_SIGNED_PREFIX = b"libp2p-pubsub:"
_SEQNO_BYTES = 8
_NS_PER_MS = 1_000_000
_HISTORY_HEARTBEATS = 5
_GOSSIP_HEARTBEATS = 3
_RESTORE_HEARTBEATS = 10
_BACKOFF_S_MAX = 60.0
_BLAMED_MAX = 4096
_FRAMES_A_TURN = 16  # frames of one peer read in one go, others waiting
_COUNTED_AS = {
    Judgement.ACCEPT: "gossip_accepted",
    Judgement.IGNORE: "gossip_ignored",
    Judgement.REJECT: "gossip_rejected",
}


class Blame:
    """How many messages of each forwarder were rejected lately, halved each half-life."""

    def __init__(self, limits: EdgeLimits) -> None:
        self._limits = limits
        self._rejects: Memory[tuple[float, float]] = Memory(_BLAMED_MAX)

    def add(self, forwarder: ID, *, now_s: float) -> None:
        """Count one rejected message."""
        self._rejects.put(forwarder.to_bytes(), (self.rejects(forwarder, now_s=now_s) + 1, now_s))

    def rejects(self, forwarder: ID, *, now_s: float) -> float:
        """Return the decayed count."""
        count, at_s = self._rejects.get(forwarder.to_bytes()) or (0.0, now_s)
        return float(count * 0.5 ** ((now_s - at_s) / self._limits.rejects_half_life_s))

    def is_muted(self, forwarder: ID, *, now_s: float) -> bool:
        """Whether nothing this forwarder gossips is heard for now."""
        return self.rejects(forwarder, now_s=now_s) >= self._limits.rejects_max


class EdgePubsub(Pubsub):
    """Pubsub that judges every message itself and that no message can end.

    Stock: bytes that are no protobuf, a message with a garbage key, a validator that raises - each
    ends pubsub and with it the host; copies that arrive while a validator runs are all delivered;
    sequence numbers start at the second of the start and may repeat after a restart.
    """

    def __init__(
        self,
        host: IHost,
        router: EdgeGossip,
        *,
        judges: Mapping[str, Judge],
        banned: set[NodeId],
        clock: WallClock,
        limits: EdgeLimits,
        counters: Counter[str],
    ) -> None:
        super().__init__(host, router, strict_signing=True)
        self.seen_messages._stop_event.set()  # its sweeper is a thread for each node
        self.seen_messages = Memory[bool](limits.seen_ids_max)  # type: ignore[assignment]
        self.blame = Blame(limits)
        self.pace = Pace(limits.unproven_per_s_max)
        self._known: Memory[Judgement] = Memory(limits.seen_payloads_max)
        self._ignored: Memory[float] = Memory(limits.seen_payloads_max)
        self._judges = judges
        self._banned = banned
        self._clock = clock
        self._limits = limits
        self._counters = counters
        self._gossip = router
        self._self_node = node_from_peer_id(self.my_id.to_bytes())
        self.counter = 0
        self.max_subscriptions_per_peer = limits.topics_per_peer_max

    # ---------------------------------------------------------------- sending

    def _next_seqno(self) -> bytes:
        """Return the next sequence number: Unix nanoseconds, so that a restart repeats none."""
        self.counter = max(self.counter + 1, self._clock.unix_ms() * _NS_PER_MS)
        return self.counter.to_bytes(_SEQNO_BYTES, "big")

    async def publish(self, topic_id: str | list[str], data: bytes) -> None:
        """Sign a message of our own and hand it to the mesh."""
        if not isinstance(topic_id, str):
            raise TypeError("one topic a message")
        message = rpc_pb2.Message(
            data=data,
            topicIDs=[topic_id],
            from_id=self.my_id.to_bytes(),
            seqno=self._next_seqno(),
        )
        message.signature = self.host.get_private_key().sign(_signed_bytes(message))
        self._known.put(_digest(topic_id, data), Judgement.ACCEPT)
        self.seen_messages.add(_message_id(message))
        await self._gossip.publish(self.my_id, message)

    def get_hello_packet(self) -> rpc_pb2.RPC:
        """Return our subscriptions.

        Stock: every frame carries a signed record of our addresses, which the receiver verifies
        anew each time, twice with control words. Ours carry none.
        """
        hello = rpc_pb2.RPC()
        for topic in self.topic_ids:
            hello.subscriptions.add(subscribe=True, topicid=topic)
        return hello

    def _build_announce_rpc(
        self,
        topic_id: str,
        subscribe: bool,  # noqa: FBT001  - the library's signature
    ) -> tuple[rpc_pb2.RPC, rpc_pb2.RPC.SubOpts]:
        rpc = rpc_pb2.RPC()
        rpc.subscriptions.add(subscribe=subscribe, topicid=topic_id)
        return rpc, rpc.subscriptions[0]

    def _schedule_announce_retry(self, peer_id: ID, announce: rpc_pb2.RPC.SubOpts) -> None:
        self._counters["gossip_announcements_retried"] += 1
        super()._schedule_announce_retry(peer_id, announce)

    async def _handle_new_peer(self, peer_id: ID) -> None:
        """Open our gossip stream to a peer, with a bounded queue that counts what it drops."""
        if peer_id in self.peers:
            return
        stream = await self.host.new_stream(peer_id, self.protocols)
        if peer_id in self.peers:  # another task was quicker
            await finish(stream, is_whole=False)
            return
        await stream.write(frame(self.get_hello_packet().SerializeToString()))
        self.router.add_peer(peer_id, stream.get_protocol())
        self.peers[peer_id] = stream
        queue = RpcQueue(
            max_size=self._limits.outbound_rpcs_max, max_message_size=self._limits.rpc_bytes_max
        )
        self.peer_queues[peer_id] = queue
        self.manager.run_task(self.handle_sending_messages, peer_id, stream, queue)
        if peer_id in self._peer_added_events:
            self._peer_added_events.pop(peer_id).set()
        if not self._is_connected(peer_id):  # it left meanwhile, and nobody will tell us again
            self._handle_dead_peer(peer_id)
            return
        await self._send_recent_messages_to_new_peer(peer_id)

    async def write_msg(self, stream: INetStream, rpc_msg: rpc_pb2.RPC) -> bool:
        """Write one frame; `False`, and a new stream if the peer is still there, if it cannot."""
        try:
            muxed = getattr(stream, "muxed_stream", stream)  # saves a lock for each write
            await muxed.write(frame(rpc_msg.SerializeToString()))
        except (IOException, RawConnError, MuxedStreamError):
            self._counters["gossip_dropped_stream_closed"] += 1
            self._handle_dead_peer(stream.muxed_conn.peer_id)
            return False
        return True

    def restore_streams(self) -> None:
        """Try again to open gossip streams to connected peers that have none.

        Stock: one failed negotiation, and a connected peer takes no part in gossip for ever.
        """
        for peer in {conn.muxed_conn.peer_id for conn in self.host.get_network().get_connections()}:
            if peer not in self.peers:
                self._schedule_peer_stream_retry(peer)

    def _handle_dead_peer(self, peer_id: ID) -> None:
        """Forget a peer, or open a new stream if only the stream died; count what was queued."""
        queue = self.peer_queues.get(peer_id)
        if queue is not None and len(queue):
            self._counters["gossip_dropped_peer_gone"] += len(queue)
        super()._handle_dead_peer(peer_id)

    async def handle_dead_peer_queue(self) -> None:
        """Replace our gossip stream to a peer as soon as the connection under it ends.

        Stock: while another connection with the peer is open it does nothing, and the next message
        is written to the dead stream and lost.
        """
        async with self.dead_peer_receive_channel:
            self.event_handle_dead_peer_queue_started.set()
            async for peer in self.dead_peer_receive_channel:
                stream = self.peers.get(peer)
                if stream is None or stream.muxed_conn.is_closed or not self._is_connected(peer):
                    self._handle_dead_peer(peer)

    def _is_connected(self, peer: ID) -> bool:
        return bool(self.host.get_network().get_connections(peer))

    # ---------------------------------------------------------------- receiving

    async def stream_handler(self, stream: INetStream) -> None:
        """Read one peer's gossip until its stream ends; only malformed frames are held against it."""
        peer = stream.muxed_conn.peer_id
        try:
            await self.continuously_read_stream(stream)
        except (IOException, RawConnError, MuxedStreamError):
            return  # the peer closed the stream or the connection
        except (FrameError, DecodeError) as error:
            self._counters["gossip_frames_malformed"] += 1
            self.blame.add(peer, now_s=trio.current_time())
            log.debug("bad gossip frame", extra={"peer": str(peer), "error": repr(error)})
            raise

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Take frames one by one: a peer that is too fast waits, and its messages keep their order.

        Stock: a task for every copy of every message, and a read for every byte of a length.
        """
        reader = FrameReader(getattr(stream, "muxed_stream", stream))  # saves a lock for each read
        peer = stream.muxed_conn.peer_id
        frames = 0
        while self.manager.is_running:
            rpc = rpc_pb2.RPC()
            rpc.ParseFromString(await reader.frame(self._limits.rpc_bytes_max))
            await self._take(peer, rpc)
            frames += 1
            if frames % _FRAMES_A_TURN == 0:
                await trio.lowlevel.checkpoint()

    async def _take(self, peer: ID, rpc: rpc_pb2.RPC) -> None:
        excess = len(rpc.publish) - self._limits.messages_per_rpc_max
        if excess > 0:
            self._counters["gossip_dropped_frame_overfull"] += excess
        for message in rpc.publish[: self._limits.messages_per_rpc_max]:
            await self.push_msg(peer, message)
        for subscription in rpc.subscriptions[: 2 * self._limits.topics_per_peer_max]:
            self.handle_subscription(peer, subscription)
        if rpc.HasField("control"):
            await self._gossip.handle_rpc(rpc, peer)

    def handle_subscription(self, origin_id: ID, sub_message: rpc_pb2.RPC.SubOpts) -> None:
        """Note that a peer joined or left a topic, if the topic's name is of a sane length."""
        if len(sub_message.topicid.encode()) > self._limits.topic_bytes_max:
            self._counters["gossip_dropped_topic_name"] += 1
            return
        super().handle_subscription(origin_id, sub_message)

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Judge a message from a peer and pass it on if it is accepted."""
        now_s = trio.current_time()
        reason, is_blamed = self._sift(msg_forwarder, msg, now_s=now_s)
        if reason:
            self._counters[reason] += 1
            if is_blamed:
                self.blame.add(msg_forwarder, now_s=now_s)
            return
        topic = msg.topicIDs[0]
        judgement = self._judge(topic, msg_forwarder, msg.data)
        self._counters[_COUNTED_AS[judgement]] += 1
        match judgement:
            case Judgement.ACCEPT:
                self._known.put(_digest(topic, msg.data), judgement)
                self.seen_messages.add(_message_id(msg))
                await self._gossip.publish(msg_forwarder, msg)
            case Judgement.IGNORE:
                self._ignored.put(_digest(topic, msg.data), now_s)
            case Judgement.REJECT:
                self._known.put(_digest(topic, msg.data), judgement)
                self.blame.add(msg_forwarder, now_s=now_s)
            case _:
                assert_never(judgement)

    def _sift(self, forwarder: ID, msg: rpc_pb2.Message, *, now_s: float) -> tuple[str, bool]:
        """Return why a message is dropped unjudged and whether its forwarder is to blame.

        Cheap checks first; the signature last. Ids are remembered only of messages whose signature
        was good: else a peer could send a known payload under an id it expects somebody else to use
        next, and have that message dropped.
        """
        if len(msg.data) > self._limits.message_bytes_max:
            return "gossip_dropped_oversize", True
        if len(msg.topicIDs) != 1 or msg.topicIDs[0] not in self._judges:
            return "gossip_dropped_foreign_topic", False
        digest = _digest(msg.topicIDs[0], msg.data)
        match self._known.get(digest):
            case Judgement.REJECT:
                return "gossip_duplicates_rejected", True
            case Judgement():
                return "gossip_duplicates", False
            case None:
                return self._sift_new(forwarder, msg, digest, now_s=now_s)

    def _sift_new(
        self, forwarder: ID, msg: rpc_pb2.Message, digest: bytes, *, now_s: float
    ) -> tuple[str, bool]:
        ignored_s = self._ignored.get(digest)
        if ignored_s is not None and now_s - ignored_s < self._limits.ignored_retry_s:
            return "gossip_duplicates_ignored", False
        if self.blame.is_muted(forwarder, now_s=now_s):
            return "gossip_dropped_muted", False
        if not self.pace.take(forwarder.to_bytes(), now_s=now_s):
            return "gossip_dropped_too_fast", False
        return self._sift_author(msg)

    def _sift_author(self, msg: rpc_pb2.Message) -> tuple[str, bool]:
        try:
            author = node_from_peer_id(msg.from_id)
        except ValueError:
            return "gossip_dropped_author", True
        if author == self._self_node:
            return "gossip_dropped_own", False
        if author in self._banned:
            return "gossip_dropped_banned", False
        if len(msg.seqno) != _SEQNO_BYTES or not _is_signed_by(author, msg):
            return "gossip_dropped_signature", True
        if self.seen_messages.has(_message_id(msg)):
            return "gossip_dropped_id_reused", False
        return "", False

    def _judge(self, topic: str, forwarder: ID, data: bytes) -> Judgement:
        try:
            return self._judges[topic](node_from_peer_id(forwarder.to_bytes()), data)
        except Exception as error:
            self._counters["gossip_judges_failed"] += 1
            log.warning("judge failed", extra={"topic": topic, "error": repr(error)})
            return Judgement.IGNORE


class _Cache(MessageCache):
    """The messages of the last heartbeats, bounded."""

    def __init__(self, entries_max: int, counters: Counter[str]) -> None:
        super().__init__(_GOSSIP_HEARTBEATS, _HISTORY_HEARTBEATS)
        self._entries_max = entries_max
        self._counters = counters

    def put(self, msg: rpc_pb2.Message) -> None:
        if len(self.msgs) >= self._entries_max:
            self._counters["gossip_dropped_cache_full"] += 1
            return
        super().put(msg)


class EdgeGossip(GossipSub):
    """The mesh: who gets what.

    Stock: only the pruned side keeps a back-off and peers in back-off get no IHAVE, so that a node
    may be cut off from a topic for a minute; lists of one peer's control words leak into the
    next's; heartbeats slow down to a minute by themselves; more than ten messages a second are not
    forwarded; IHAVE, PRUNE and IDONTWANT of invented topics and ids are kept for ever; two tasks
    write one stream.
    """

    def __init__(self, *, limits: EdgeLimits, counters: Counter[str]) -> None:
        super().__init__(
            list(_PROTOCOLS),
            limits.degree,
            limits.degree_low,
            limits.degree_high,
            prune_back_off=limits.prune_backoff_s,
            unsubscribe_back_off=limits.prune_backoff_s,
            adaptive_gossip_enabled=False,
            spam_protection_enabled=False,
            eclipse_protection_enabled=False,
            do_px=False,
        )
        self.scorer = None
        self.mcache = _Cache(limits.cached_messages_max, counters)
        self._limits = limits
        self._counters = counters
        self._backoff_until_s: dict[tuple[str, ID], float] = {}
        self._taken: Counter[tuple[str, ID]] = Counter()
        self._beats = 0

    @property
    def _edge(self) -> EdgePubsub:
        if not isinstance(self.pubsub, EdgePubsub):
            raise RuntimeError("not attached to an EdgePubsub")  # noqa: TRY004  - our own mistake
        return self.pubsub

    # ---------------------------------------------------------------- messages

    async def publish(self, msg_forwarder: ID, pubsub_msg: rpc_pb2.Message) -> None:
        """Queue an accepted message for the mesh, and one of our own for some peers beyond it."""
        self.mcache.put(pubsub_msg)
        topic = pubsub_msg.topicIDs[0]
        peers = set(self.mesh.get(topic, ()))
        if msg_forwarder == self._edge.my_id:
            peers |= self._some(topic, self._limits.degree_high - len(peers), without=peers)
        peers -= {msg_forwarder, ID(pubsub_msg.from_id)}
        message_id = _message_id(pubsub_msg)
        rpc = rpc_pb2.RPC(publish=[pubsub_msg])
        for peer in peers:
            if message_id not in self.dont_send_message_ids.get(peer, ()):
                self.send_rpc(peer, rpc)

    def send_rpc(
        self,
        peer_id: ID,
        rpc: rpc_pb2.RPC,
        priority: bool = False,  # noqa: FBT001, FBT002  - the library's
    ) -> None:
        """Queue a frame for a peer; one that finds the queue full is dropped and counted."""
        queue = self._edge.peer_queues.get(peer_id)
        if queue is None:
            return
        parts = [rpc] if rpc.ByteSize() <= queue.max_message_size else queue.split_rpc(rpc)
        for part in parts:
            if not queue.push(part, priority=priority):
                self._counters["gossip_dropped_queue_full"] += 1

    async def send_recent_messages(self, peer_id: ID, topic: str) -> None:
        """Send a new peer what was said lately, through its queue."""
        for message_id in self.mcache.window(topic):
            message = self.mcache.get(message_id)
            if message is not None:
                self.send_rpc(peer_id, rpc_pb2.RPC(publish=[message]))
        await trio.lowlevel.checkpoint()

    async def flush_pending_messages(self, peer_id: ID) -> None:
        """Do nothing: new peers get recent messages by `send_recent_messages`."""

    # ---------------------------------------------------------------- control words

    async def handle_rpc(self, rpc: rpc_pb2.RPC, sender_peer_id: ID) -> None:
        """Take a peer's control words, each kind up to its bound between two heartbeats."""
        control = rpc.control
        for ihave in control.ihave:
            self._on_ihave(sender_peer_id, ihave.topicID, ihave.messageIDs)
        for iwant in control.iwant:
            self._on_iwant(sender_peer_id, iwant.messageIDs)
        for idontwant in control.idontwant:
            ids = self._take("idontwant", sender_peer_id, idontwant.messageIDs)
            self.dont_send_message_ids.setdefault(sender_peer_id, set()).update(map(bytes, ids))
        for graft in self._take_grafts(sender_peer_id, control.graft):
            self._on_graft(sender_peer_id, graft.topicID)
        for prune in self._take_grafts(sender_peer_id, control.prune):
            self._on_prune(sender_peer_id, prune.topicID, prune.backoff)

    def _take(self, kind: str, peer: ID, ids: Iterable[Any]) -> list[Any]:
        return self._take_up_to(self._limits.ids_per_heartbeat_max, kind, peer, ids)

    def _take_grafts(self, peer: ID, words: Iterable[Any]) -> list[Any]:
        return self._take_up_to(self._limits.grafts_per_heartbeat_max, "graft", peer, words)

    def _take_up_to(self, most: int, kind: str, peer: ID, items: Iterable[Any]) -> list[Any]:
        listed = list(items)
        left = max(0, most - self._taken[kind, peer])
        self._taken[kind, peer] += min(left, len(listed))
        if len(listed) > left:
            self._counters[f"gossip_dropped_{kind}_flood"] += len(listed) - left
        return listed[:left]

    def _on_ihave(self, peer: ID, topic: str, ids: Iterable[Any]) -> None:
        if topic not in self.mesh or self._is_muted(peer):
            return
        seen = self._edge.seen_messages
        wanted = [bytes(i) for i in self._take("ihave", peer, ids) if not seen.has(bytes(i))]
        if wanted:
            control = rpc_pb2.ControlMessage()
            control.iwant.add(messageIDs=wanted)
            self._send_control(peer, control)

    def _on_iwant(self, peer: ID, ids: Iterable[Any]) -> None:
        for message_id in self._take("iwant", peer, ids):
            message = self.mcache.get(bytes(message_id))
            if message is not None:
                self.send_rpc(peer, rpc_pb2.RPC(publish=[message]))

    def _on_graft(self, peer: ID, topic: str) -> None:
        if topic not in self.mesh:
            return
        is_full = len(self.mesh[topic]) >= self._limits.degree_high
        if peer in self.mesh[topic]:
            return
        if is_full or self._is_muted(peer) or self._check_back_off(peer, topic):
            self._add_back_off(peer, topic, is_unsubscribe=False)
            self._send_control(peer, self._prune_words([topic]))
            return
        self.mesh[topic].add(peer)
        self._notify_mesh_peer_added(peer, topic)

    def _on_prune(self, peer: ID, topic: str, backoff_s: int) -> None:
        if topic not in self.mesh:
            return
        self._add_back_off(peer, topic, is_unsubscribe=False, backoff_duration=backoff_s)
        self.mesh[topic].discard(peer)

    def _send_control(self, peer: ID, control: rpc_pb2.ControlMessage) -> None:
        self.send_rpc(peer, rpc_pb2.RPC(control=control), priority=True)

    async def emit_control_message(self, control_msg: rpc_pb2.ControlMessage, to_peer: ID) -> None:
        """Send control words without a signed record."""
        self._send_control(to_peer, control_msg)
        await trio.lowlevel.checkpoint()

    def _prune_words(self, topics: Iterable[str]) -> rpc_pb2.ControlMessage:
        control = rpc_pb2.ControlMessage()
        for topic in topics:
            control.prune.add(topicID=topic, backoff=self._limits.prune_backoff_s)
        return control

    # ---------------------------------------------------------------- back-off

    def _add_back_off(
        self,
        peer: ID,
        topic: str,
        is_unsubscribe: bool,  # noqa: ARG002, FBT001  - the library's signature
        backoff_duration: int = 0,
    ) -> None:
        wait_s = min(float(backoff_duration or self._limits.prune_backoff_s), _BACKOFF_S_MAX)
        until_s = max(trio.current_time() + wait_s, self._backoff_until_s.get((topic, peer), 0.0))
        self._backoff_until_s[topic, peer] = until_s

    def _check_back_off(self, peer: ID, topic: str) -> bool:
        return self._backoff_until_s.get((topic, peer), 0.0) > trio.current_time()

    def _is_muted(self, peer: ID) -> bool:
        return self._edge.blame.is_muted(peer, now_s=trio.current_time())

    # ---------------------------------------------------------------- heartbeat

    async def heartbeat(self) -> None:
        """Tend the meshes each `heartbeat_s`, whatever a single beat runs into."""
        while True:
            await trio.sleep(self._limits.heartbeat_s)
            async with contained("gossip_heartbeats_failed", self._counters):
                self._beat()

    def _beat(self) -> None:
        words: defaultdict[ID, rpc_pb2.ControlMessage] = defaultdict(rpc_pb2.ControlMessage)
        for topic, mesh in self.mesh.items():
            mesh.intersection_update(self._edge.peer_topics.get(topic, ()))
            self._shrink(topic, mesh, words)
            self._grow(topic, mesh, words)
            self._tell_ids(topic, mesh, words)
        for peer, control in words.items():
            self._send_control(peer, control)
        self._forget()
        self._beats += 1
        if self._beats % _RESTORE_HEARTBEATS == 0:
            self._edge.restore_streams()

    def _shrink(
        self, topic: str, mesh: set[ID], words: Mapping[ID, rpc_pb2.ControlMessage]
    ) -> None:
        leaving = {peer for peer in mesh if self._is_muted(peer)}
        if len(mesh) > self._limits.degree_high:
            leaving |= set(self.select_from_minus(len(mesh) - self._limits.degree, mesh, leaving))
        for peer in leaving:
            mesh.discard(peer)
            self._add_back_off(peer, topic, is_unsubscribe=False)
            words[peer].MergeFrom(self._prune_words([topic]))

    def _grow(self, topic: str, mesh: set[ID], words: Mapping[ID, rpc_pb2.ControlMessage]) -> None:
        if len(mesh) >= self._limits.degree_low:
            return
        ready = {
            peer
            for peer in self._speakers(topic) - mesh
            if not self._check_back_off(peer, topic) and not self._is_muted(peer)
        }
        for peer in self.select_from_minus(self._limits.degree - len(mesh), ready, ()):
            mesh.add(peer)
            self._notify_mesh_peer_added(peer, topic)
            words[peer].graft.add(topicID=topic)

    def _tell_ids(
        self, topic: str, mesh: set[ID], words: Mapping[ID, rpc_pb2.ControlMessage]
    ) -> None:
        """Tell some peers outside the mesh what there is, those in back-off too."""
        ids = self.mcache.window(topic)[-self._limits.ids_per_heartbeat_max :]
        if ids:
            for peer in self._some(topic, self._limits.degree_lazy, without=mesh):
                words[peer].ihave.add(topicID=topic, messageIDs=ids)

    def _forget(self) -> None:
        self.mcache.shift()
        self._taken.clear()
        for ids in self.dont_send_message_ids.values():
            ids.clear()
        now_s = trio.current_time()
        self._backoff_until_s = {k: s for k, s in self._backoff_until_s.items() if s > now_s}

    def _some(self, topic: str, count: int, *, without: set[ID]) -> set[ID]:
        return set(self.select_from_minus(count, self._speakers(topic), without))

    def _speakers(self, topic: str) -> set[ID]:
        """Return the peers in a topic to which we have a gossip stream."""
        return self._edge.peer_topics.get(topic, set()) & self.peer_protocol.keys()


def _digest(topic: str, data: bytes) -> bytes:
    return hashlib.sha256(topic.encode() + b"\0" + data).digest()


def _message_id(msg: rpc_pb2.Message) -> bytes:
    return msg.from_id + msg.seqno


def _signed_bytes(msg: rpc_pb2.Message) -> bytes:
    bare = rpc_pb2.Message(
        data=msg.data, topicIDs=msg.topicIDs, from_id=msg.from_id, seqno=msg.seqno
    )
    return _SIGNED_PREFIX + bare.SerializeToString()


def _is_signed_by(author: NodeId, msg: rpc_pb2.Message) -> bool:
    try:
        VerifyKey(author).verify(_signed_bytes(msg), msg.signature)
    except (BadSignatureError, ValueError):
        return False
    return True
