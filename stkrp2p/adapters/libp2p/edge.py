"""The network port on libp2p: one identity, whatever happens to the stack below it.

The stack (`host.run_stack`) is a child task. If it ever fails it is started again, after a wait, with
the same identity and on the same ports; topics, handlers, address book, bans and counts live here
and survive. While it is down nobody is reachable and own messages wait in a bounded outbox.
"""
# ruff: noqa: BLE001  - a supervisor answers every failure of what it supervises

from __future__ import annotations

import contextlib
import logging
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import trio
from libp2p.custom_types import TProtocol
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction

from stkrp2p.adapters.libp2p.errors import ListenError
from stkrp2p.adapters.libp2p.guards import EdgeYamux, contained
from stkrp2p.adapters.libp2p.host import Shared, Stack, run_stack
from stkrp2p.adapters.libp2p.identity import node_from_peer_id, node_from_seed, peer_id_bytes
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.adapters.libp2p.peers import Gate, PeerBook, jittered
from stkrp2p.adapters.libp2p.streams import Answerer, Asker
from stkrp2p.core.types import NodeId
from stkrp2p.ports import Handler, Judge, PeerStatus, Unreachable, WallClock

if TYPE_CHECKING:
    from libp2p.abc import INetConn
    from libp2p.network.stream.net_stream import NetStream
    from trio_typing import TaskStatus  # libp2p brings its stubs, which hide trio's own types

log = logging.getLogger("stkrp2p.edge")

_DOUBLES_S = 2.0
_TICK_S_MIN = 0.05
_TICK_S_MAX = 1.0


class Edge:
    """A node's side of the network; implements `ports.Network`.

    Made by `open_edge`. Methods are called from the trio loop it runs in.
    """

    def __init__(
        self, *, seed: bytes, listen: Sequence[str], limits: EdgeLimits, clock: WallClock
    ) -> None:
        self._node = node_from_seed(seed)
        self._limits = limits
        self._listen = tuple(listen)
        self._counters: Counter[str] = Counter()
        self._gate = Gate(limits, self._counters)
        self._judges: dict[str, Judge] = {}
        self._answerers: dict[str, Answerer] = {}
        self._outbox: deque[tuple[str, bytes]] = deque()
        self._book = PeerBook(node=self._node, limits=limits)
        self._dials: dict[NodeId, trio.Event] = {}
        self._dial_limit = trio.Semaphore(limits.dials_max)
        self._since_s: dict[NodeId, float] = {}
        self._used_s: dict[NodeId, float] = {}
        self._closing: set[NodeId] = set()
        """Peers whose connection is being closed, until it is gone."""

        self._stack: Stack | None = None
        self._asker: Asker | None = None
        self._nursery: trio.Nursery | None = None
        self._wake = trio.Event()
        self._has_listened = False
        self._shared = Shared(
            seed=seed,
            limits=limits,
            clock=clock,
            counters=self._counters,
            gate=self._gate,
            judges=self._judges,
            on_change=self._on_change,
        )

    # ---------------------------------------------------------------- port: who and where

    @property
    def node(self) -> NodeId:
        """Our own id."""
        return self._node

    @property
    def addresses(self) -> tuple[str, ...]:
        """The multiaddrs we listen on, without `/p2p/…`."""
        return self._listen

    def set_addresses(self, book: Mapping[NodeId, Sequence[str]]) -> None:
        """Replace the address book: whom to stay connected with, and where they may be found."""
        self._count_unfit(self._book.replace(book, now_s=trio.current_time()))

    def learn_addresses(self, node: NodeId, addresses: Sequence[str]) -> None:
        """Add addresses for one peer that another source (a signed record) named."""
        self._count_unfit(self._book.learn(node, addresses, now_s=trio.current_time()))

    def _count_unfit(self, unfit: int) -> None:
        if unfit:
            self._counters["addresses_refused"] += unfit
        self._wake.set()

    def peers(self) -> tuple[PeerStatus, ...]:
        """The peers connected now, sorted by node id."""
        if self._stack is None:
            return ()
        found = []
        for peer, conns in self._stack.swarm.get_connections_map().items():
            if conns:
                found.append(self._status(node_from_peer_id(peer.to_bytes()), conns[-1]))
        return tuple(sorted(found, key=lambda status: status.node))

    def _status(self, node: NodeId, conn: INetConn) -> PeerStatus:
        muxed = conn.muxed_conn
        latency_s = muxed.latency_s if isinstance(muxed, EdgeYamux) else None
        addresses = conn.get_transport_addresses()
        return PeerStatus(
            node=node,
            address=str(addresses[0]).partition("/p2p/")[0] if addresses else "",
            is_inbound=is_inbound(conn),
            latency_ms=None if latency_s is None else round(latency_s * 1000),
            connected_s=int(trio.current_time() - self._since_s.get(node, trio.current_time())),
        )

    def ban(self, node: NodeId) -> None:
        """Drop the peer's connections and refuse new ones until restart."""
        self._gate.banned.add(node)
        if self._stack is not None and self._nursery is not None:
            self._nursery.start_soon(self._stack.swarm.drop, _peer(node))

    def counters(self) -> Mapping[str, int]:
        """Counts of everything dropped or refused, by reason; nothing is dropped uncounted."""
        return dict(sorted(self._counters.items()))

    # ---------------------------------------------------------------- port: gossip

    def join_topic(self, topic: str, judge: Judge) -> None:
        """Take part in a topic; `judge` decides on every message before it is passed on.

        Raises:
            ValueError: Too many topics, or the name is too long.
        """
        if topic not in self._judges and len(self._judges) >= self._limits.topics_max:
            raise ValueError(f"at most {self._limits.topics_max} topics")
        if len(topic.encode()) > self._limits.topic_bytes_max:
            raise ValueError(f"a topic's name has at most {self._limits.topic_bytes_max} bytes")
        self._judges[topic] = judge
        if self._stack is not None and self._nursery is not None:
            self._nursery.start_soon(self._subscribe, self._stack, topic)

    async def _subscribe(self, stack: Stack, topic: str) -> None:
        await stack.pubsub.subscribe(topic)

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip one message of our own; returns when it is queued for the mesh.

        Raises:
            ValueError: `data` is larger than the topic's cap, or the topic was not joined.
        """
        if len(data) > self._limits.message_bytes_max:
            raise ValueError(f"a message has at most {self._limits.message_bytes_max} bytes")
        if topic not in self._judges:
            raise ValueError(f"topic not joined: {topic}")
        await trio.lowlevel.checkpoint()
        if self._stack is not None:
            await self._stack.pubsub.publish(topic, data)
            return
        if len(self._outbox) >= self._limits.outbox_max:
            self._outbox.popleft()
            self._counters["gossip_dropped_outbox_full"] += 1
        self._outbox.append((topic, data))

    # ---------------------------------------------------------------- port: questions

    def serve(self, protocol: str, handler: Handler, *, answer_bytes_max: int) -> None:
        """Answer `protocol`'s questions. An exception in the handler closes that stream only.

        Raises:
            ValueError: `answer_bytes_max` is above the edge's own limit.
        """
        if answer_bytes_max > self._limits.answer_bytes_max:
            raise ValueError(f"an answer has at most {self._limits.answer_bytes_max} bytes")
        self._answerers[protocol] = Answerer(
            handler,
            answer_bytes_max=answer_bytes_max,
            limits=self._limits,
            counters=self._counters,
        )
        if self._stack is not None:
            self._serve(self._stack, protocol)

    def _serve(self, stack: Stack, protocol: str) -> None:
        stack.host.set_stream_handler(TProtocol(protocol), self._answerers[protocol].serve)

    async def ask(
        self,
        node: NodeId,
        protocol: str,
        question: bytes,
        *,
        timeout_ms: int,
        answer_bytes_max: int,
    ) -> bytes:
        """Send one question on a stream of its own and return the answer.

        A peer that is not connected and whose address is known is dialled first, within the time.

        Raises:
            Unreachable: No whole answer within `timeout_ms`, whatever the reason.
            ValueError: The question is longer than any peer takes.
        """
        if len(question) > self._limits.question_bytes_max:
            raise ValueError(f"a question has at most {self._limits.question_bytes_max} bytes")
        await trio.lowlevel.checkpoint()
        if self._asker is None:
            self._counters["asks_failed"] += 1
            raise Unreachable("the stack is being restarted")
        return await self._asker.ask(
            node,
            protocol,
            question,
            timeout_ms=timeout_ms,
            answer_bytes_max=min(answer_bytes_max, self._limits.answer_bytes_max),
        )

    async def _open_stream(self, node: NodeId, protocol: str) -> NetStream:
        stack = self._stack
        if stack is None:
            raise Unreachable("the stack is being restarted")
        await self.connect(node)
        self._used_s[node] = trio.current_time()
        stream = await stack.host.new_stream(_peer(node), [TProtocol(protocol)])
        return cast("NetStream", stream)  # the interface lacks `close_write`

    # ---------------------------------------------------------------- connections

    async def connect(self, node: NodeId) -> None:
        """Return once a peer is connected, dialling it if need be; one dial at a time.

        Raises:
            Unreachable: It is banned or ourselves, no address is known, or none answered.
        """
        if self._is_connected(node):
            return
        if node in self._gate.banned or node == self._node or not self._book.addresses(node):
            raise Unreachable("banned, ourselves, or no address known")
        await self._start_dial(node).wait()
        if not self._is_connected(node):
            raise Unreachable("no address answered")

    def _start_dial(self, node: NodeId) -> trio.Event:
        done = self._dials.get(node)
        if done is None:
            if self._nursery is None:
                raise Unreachable("the stack is being restarted")
            done = self._dials[node] = trio.Event()
            self._nursery.start_soon(self._dial, node, done)
        return done

    async def _dial(self, node: NodeId, done: trio.Event) -> None:
        try:
            async with self._dial_limit:
                address = await self._dial_any(node)
            if self._is_connected(node):
                self._book.reached(node, address=address)
            else:
                self._counters["dials_failed"] += 1
                self._book.failed(node, now_s=trio.current_time())
        finally:
            self._dials.pop(node, None)
            done.set()
            self._wake.set()

    async def _dial_any(self, node: NodeId) -> str | None:
        for address in self._book.addresses(node):
            stack = self._stack
            if stack is None or self._is_connected(node) or node in self._gate.banned:
                break
            try:
                await stack.swarm.dial(address, _peer(node))
            except Exception as error:
                log.debug("dial failed", extra={"node": node.hex(), "error": repr(error)})
            else:
                return address
        return None

    def _is_connected(self, node: NodeId) -> bool:
        return self._stack is not None and bool(self._stack.swarm.get_connections(_peer(node)))

    def _on_change(self, peer: ID) -> None:
        node = node_from_peer_id(peer.to_bytes())
        now_s = trio.current_time()
        if self._is_connected(node):
            self._since_s.setdefault(node, now_s)
            self._book.reached(node, address=None)
        elif self._since_s.pop(node, None) is not None:
            self._used_s.pop(node, None)
            self._closing.discard(node)
            self._book.lost(node, now_s=now_s)
        self._wake.set()

    def _close_doubles(self, stack: Stack, nursery: trio.Nursery) -> None:
        """Leave one connection of those that came about because two nodes dialled each other.

        Only the smaller node id acts, and keeps what it dialled itself, so that the two never close
        a different one each.
        """
        for peer, conns in stack.swarm.get_connections_map().items():
            node = node_from_peer_id(peer.to_bytes())
            age_s = trio.current_time() - self._since_s.get(node, trio.current_time())
            if len(conns) > 1 and self._node < node and age_s >= _DOUBLES_S:
                kept = next((conn for conn in conns if not is_inbound(conn)), conns[-1])
                self._counters["connections_closed_double"] += len(conns) - 1
                for conn in conns:
                    if conn is not kept:
                        nursery.start_soon(conn.close)

    def _close_idle(self, stack: Stack, nursery: trio.Nursery) -> None:
        """Close the longest unused connections we dialled, beyond those we keep up anyway."""
        excess = len(self._since_s) - len(self._closing) - self._limits.peers_kept_max
        if excess <= 0:
            return
        meshed = {peer for mesh in stack.gossip.mesh.values() for peer in mesh}
        unused = sorted(
            (self._used_s.get(node, since_s), node)
            for node, since_s in self._since_s.items()
            if node not in self._closing
            and _peer(node) not in meshed
            and not any(is_inbound(conn) for conn in stack.swarm.get_connections(_peer(node)))
        )
        idle_since_s = trio.current_time() - self._limits.idle_s
        for used_s, node in unused[:excess]:
            if used_s < idle_since_s:
                self._counters["connections_closed_idle"] += 1
                self._closing.add(node)
                nursery.start_soon(stack.swarm.drop, _peer(node))

    async def _keep_connected(self, stack: Stack, nursery: trio.Nursery) -> None:
        """Dial the peers of the book that are due, until cancelled."""
        while True:
            self._wake = trio.Event()
            self._close_doubles(stack, nursery)
            self._close_idle(stack, nursery)
            now_s = trio.current_time()
            busy = {*self._since_s, *self._dials, *self._gate.banned}
            room = min(
                self._limits.dials_max - len(self._dials),
                self._limits.peers_kept_max - len(self._since_s) - len(self._dials),
            )
            due = self._book.due(busy, now_s=now_s)
            for node in due[: max(0, room)]:
                self._start_dial(node)
                busy.add(node)
            due_s = self._book.next_due_s(busy) if room > len(due) else None
            wait_s = _TICK_S_MAX if due_s is None else due_s - now_s
            with trio.move_on_after(min(_TICK_S_MAX, max(_TICK_S_MIN, wait_s))):
                await self._wake.wait()

    # ---------------------------------------------------------------- supervision

    async def supervise(self, *, task_status: TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the stack until cancelled, again and again if it fails.

        Args:
            task_status: Started once the first run listens.

        Raises:
            ListenError: The first run cannot listen.
            ExceptionGroup: The first run failed otherwise before it listened.
        """
        wait_s = self._limits.restart_first_s
        while True:
            begun_s = trio.current_time()
            try:
                await self._run(task_status)
            except ListenError as error:
                self._note_failure("stack_listens_failed", error)
            except Exception as error:
                self._note_failure("stack_failures", error)
            except BaseExceptionGroup as group:  # cancelled while it failed
                cancelled, failure = group.split(trio.Cancelled)
                if failure is not None:
                    self._note_failure("stack_failures", failure)
                if cancelled is not None:
                    raise cancelled from None
            if trio.current_time() - begun_s > self._limits.restart_s_max:
                wait_s = self._limits.restart_first_s
            await trio.sleep(jittered(wait_s))
            wait_s = min(self._limits.restart_s_max, 2 * wait_s)

    def _note_failure(self, counter: str, error: BaseException) -> None:
        """Count and log why a run ended; called while the error is handled.

        Raises:
            BaseException: The error itself, if there was no run before that listened.
        """
        self._counters[counter] += 1
        if not self._has_listened:
            raise _listen_error_in(error)
        log.warning("stack failed", extra={"error": repr(error)}, exc_info=error)

    async def _run(self, task_status: TaskStatus[None]) -> None:
        try:
            async with (
                run_stack(self._shared, self._listen) as stack,
                trio.open_nursery() as nursery,
            ):
                self._listen = stack.addresses
                self._nursery = nursery
                self._asker = Asker(nursery, self._open_stream, self._limits, self._counters)
                self._stack = stack
                for protocol in self._answerers:
                    self._serve(stack, protocol)
                await self._empty_outbox(stack)
                for peer in stack.swarm.get_connections_map():
                    self._on_change(peer)  # who came before we were ready to note it
                if not self._has_listened:
                    self._has_listened = True
                    task_status.started()
                await self._keep_connected(stack, nursery)
        finally:
            self._stack = self._asker = self._nursery = None
            self._since_s.clear()
            self._closing.clear()
            self._used_s.clear()
            self._dials.clear()

    async def _empty_outbox(self, stack: Stack) -> None:
        while self._outbox:
            topic, data = self._outbox.popleft()
            async with contained("gossip_dropped_outbox", self._counters):
                await stack.pubsub.publish(topic, data)


def _listen_error_in(error: BaseException) -> BaseException:
    """Return the refused address a failure is about, else the failure."""
    if isinstance(error, BaseExceptionGroup):
        leaves = [_listen_error_in(inner) for inner in error.exceptions]
        return next((leaf for leaf in leaves if isinstance(leaf, ListenError)), error)
    return error


def is_inbound(conn: INetConn) -> bool:
    """Whether the peer dialled us."""
    return getattr(conn, "direction", None) == Direction.INBOUND


def _peer(node: NodeId) -> ID:
    return ID(peer_id_bytes(node))


@contextlib.asynccontextmanager
async def open_edge(
    *, seed: bytes, listen: Sequence[str], limits: EdgeLimits, clock: WallClock
) -> AsyncIterator[Edge]:
    """Run an edge for the time of the context; see `open_network`."""
    edge = Edge(seed=seed, listen=listen, limits=limits, clock=clock)
    refusal = None
    async with trio.open_nursery() as nursery:
        try:
            await nursery.start(edge.supervise)
        except ListenError as error:
            refusal = error  # raised below, outside of the nursery, which would wrap it
        else:
            try:
                yield edge
            finally:
                nursery.cancel_scope.cancel()
    if refusal is not None:
        raise refusal
