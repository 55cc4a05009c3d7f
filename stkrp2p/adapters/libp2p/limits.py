"""Every limit of the libp2p edge, in one value.

What an unknown peer can make us hold is bounded by products of these numbers. With the defaults:
connections 300 x `connection_buffer_bytes_max` 2 MiB = 600 MiB if every connection were hostile; one
address alone reaches `connections_per_ip_max` of them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

WINDOW_BYTES_MAX = 256 * 1024
"""Receive window of a stream, enforced, and the longest yamux frame: yamux's initial window, which
we never widen. One round trip carries at most this much on one stream. A module constant because
the library keeps it in one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeLimits:
    """How much of everything the edge grants; each field is more than 0."""

    # ------------------------------------------------------------------ connections
    connections_max: int = 300
    """Connections in all, both directions. Raising it costs 60 KB and 6 tasks each."""

    connections_inbound_max: int = 250
    """Inbound connections; the rest is kept free so that we can always dial out."""

    connections_per_ip_max: int = 64
    """Inbound connections from one IPv4 address or one IPv6 /64, half-open ones included."""

    connections_per_peer_max: int = 2
    """Connections with one identity; a newer one closes the oldest, which is likely dead."""

    connections_per_ip_per_s_max: int = 20
    """New inbound connections from one IPv4 address or IPv6 /64 each second; ten times as many may
    come at once. A handshake costs some 10 ms of CPU."""

    half_open_max: int = 128
    """Inbound connections in all that have not yet proved an identity."""

    half_open_per_ip_max: int = 16
    """The same for one IPv4 address or IPv6 /64: what a slowloris may hold."""

    handshake_s: float = 5.0
    """Time for the noise handshake and the choice of the muxer, either direction."""

    # ------------------------------------------------------------------ peers
    peers_kept_max: int = 64
    """Peers of the address book with whom connections are kept up without being asked to."""

    addresses_per_peer_max: int = 8
    """Addresses remembered for one peer; more are ignored."""

    book_peers_max: int = 20_000
    """Peers in the address book."""

    idle_s: float = 30.0
    """Beyond `peers_kept_max` peers, a connection we dialled is closed when nothing was asked on it
    for this long, unless it is part of a mesh."""

    dials_max: int = 16
    """Dials under way at once; further ones wait."""

    dial_s: float = 4.0
    """Time for one address to accept a TCP connection."""

    backoff_first_s: float = 0.5
    """Wait after the first failed dial of a peer; doubles with each further one."""

    backoff_s_max: float = 8.0
    """Longest wait between two dials. With `dial_s` and `handshake_s` it bounds how long after a
    partition has healed a peer is back: 8 + 4 + 5 = 17 s."""

    backoff_gone_s: float = 60.0
    """The wait once a peer has not been reached for `gone_after_s`."""

    gone_after_s: float = 600.0
    """After how long of failed dials a peer is taken to be gone rather than partitioned."""

    second_dialer_s: float = 1.5
    """How long the node with the larger id lets the other one dial first, to save a double."""

    # ------------------------------------------------------------------ liveness
    ping_interval_s: float = 2.5
    """Time between two pings on one connection. A frozen peer is found after at most
    `ping_interval_s + ping_timeout_s` = 7.5 s."""

    ping_timeout_s: float = 5.0
    """A connection that leaves a ping unanswered this long is closed."""

    write_stall_s: float = 5.0
    """A connection that cannot send one frame for this long is closed."""

    # ------------------------------------------------------------------ streams
    streams_inbound_per_peer_max: int = 64
    """Inbound streams of one peer served at once; further ones are reset."""

    asks_per_peer_max: int = 64
    """Our own questions under way with one peer."""

    asks_max: int = 1024
    """Our own questions under way in all."""

    connection_buffer_bytes_max: int = 2 * 1024 * 1024
    """Bytes received and not yet read, over all streams of one connection."""

    question_bytes_max: int = 64 * 1024
    """Longest question frame, either direction."""

    answer_bytes_max: int = 1024 * 1024
    """Longest answer frame any protocol may ask for."""

    question_s: float = 10.0
    """Time a peer has to send its whole question."""

    handler_s: float = 30.0
    """Time a handler has to find the answer."""

    answer_s: float = 20.0
    """Time a peer has to take our whole answer."""

    linger_s: float = 3.0
    """Time a peer has to close its side of a stream that we have closed; it counts as open."""

    identify_bytes_max: int = 64 * 1024
    """Bytes read from one identify stream; the library has no bound of its own."""

    # ------------------------------------------------------------------ gossip
    message_bytes_max: int = 64 * 1024
    """Longest gossiped message."""

    rpc_bytes_max: int = 256 * 1024
    """Longest gossip frame: some messages and control words together."""

    messages_per_rpc_max: int = 128
    """Messages in one gossip frame."""

    topics_max: int = 16
    """Topics we take part in."""

    topics_per_peer_max: int = 32
    """Topics remembered of one peer."""

    topic_bytes_max: int = 128
    """Longest topic name remembered of a peer."""

    degree: int = 5
    """Mesh peers for each topic; copies of a message, and CPU, grow with it."""

    degree_low: int = 4
    """Below this, peers are grafted up to `degree`."""

    degree_high: int = 10
    """Above this, peers are pruned down to `degree`."""

    degree_lazy: int = 6
    """Peers outside the mesh that are told message ids (IHAVE) at each heartbeat."""

    heartbeat_s: float = 1.0
    """Time between two heartbeats."""

    prune_backoff_s: int = 10
    """How long a pruned peer stays out of the mesh. IHAVE goes to it nevertheless."""

    ids_per_heartbeat_max: int = 512
    """Message ids taken from one peer's IHAVE, IWANT and IDONTWANT between two heartbeats."""

    grafts_per_heartbeat_max: int = 64
    """GRAFT and PRUNE taken from one peer between two heartbeats."""

    cached_messages_max: int = 1024
    """Messages kept to answer IWANT, for five heartbeats."""

    seen_payloads_max: int = 16_384
    """Digests of judged payloads; a copy of one is dropped before any work."""

    seen_ids_max: int = 16_384
    """Ids of accepted messages, so that IHAVE asks for nothing known."""

    ignored_retry_s: float = 2.0
    """How long a copy of an ignored payload is dropped unjudged; later ones are judged anew, since
    what came too early may now be in time."""

    unproven_per_s_max: int = 100
    """Messages of unknown payload taken from one forwarder each second, before any signature check;
    ten times as many may come at once."""

    rejects_max: int = 16
    """Rejected messages from one forwarder, decaying by half each `rejects_half_life_s`, after which
    its gossip is dropped. Its streams go on: a muted peer can still be audited."""

    rejects_half_life_s: float = 60.0
    """Half-life of the count of rejected messages."""

    outbound_rpcs_max: int = 256
    """Frames queued for one peer; further ones are dropped and counted."""

    outbox_max: int = 64
    """Own messages held while the stack restarts; the oldest is dropped and counted."""

    # ------------------------------------------------------------------ supervision
    restart_first_s: float = 0.2
    """Wait before the crashed stack is started again; doubles up to `restart_s_max`."""

    restart_s_max: float = 10.0
    """Longest wait before a restart."""

    close_s: float = 5.0
    """Time for goodbyes when the edge closes; sockets are closed in any case."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) <= 0:
                raise ValueError(f"{field.name} must be more than 0")
        if not self.degree_low <= self.degree <= self.degree_high:
            raise ValueError("degree_low <= degree <= degree_high does not hold")
