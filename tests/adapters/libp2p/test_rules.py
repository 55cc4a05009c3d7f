"""The edge's rules without sockets: identities, frames, bounds, the gate and the address book."""

import hashlib

import pytest
from edge_kit import seed_of
from hypothesis import given, strategies as st
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from stkrp2p.adapters.libp2p.bounds import Memory, Pace
from stkrp2p.adapters.libp2p.gossip import Blame
from stkrp2p.adapters.libp2p.identity import (
    ip_group,
    node_from_peer_id,
    node_from_seed,
    peer_id_bytes,
    peer_id_text,
    tcp_endpoint,
    without_peer_id,
)
from stkrp2p.adapters.libp2p.limits import EdgeLimits
from stkrp2p.adapters.libp2p.peers import Gate, PeerBook
from stkrp2p.adapters.libp2p.streams import FrameError, FrameReader, frame
from stkrp2p.core.types import NodeId

ALICE, BOB, CAROL = sorted(node_from_seed(seed_of(name)) for name in ("alice", "bob", "carol"))
HERE = "/ip4/192.0.2.1/tcp/4001"

# ------------------------------------------------------------------------------------- identities


@given(st.binary(min_size=32, max_size=32))
def test_a_nodes_peer_id_is_the_librarys(seed):
    library = ID.from_pubkey(create_new_key_pair(seed or b"\1" * 32).public_key)
    node = node_from_seed(seed)
    assert peer_id_bytes(node) == library.to_bytes()
    assert peer_id_text(node) == library.to_base58()
    assert node_from_peer_id(library.to_bytes()) == node


@pytest.mark.parametrize(
    "peer_id",
    [
        b"",
        b"\x12\x20" + hashlib.sha256(b"an RSA key").digest(),
        peer_id_bytes(ALICE)[:-1],
        peer_id_bytes(ALICE) + b"\0",
        bytes.fromhex("002508021221") + bytes(33),  # secp256k1
    ],
)
def test_only_peer_ids_of_ed25519_keys_name_a_node(peer_id):
    with pytest.raises(ValueError, match="not the PeerID of an Ed25519 key"):
        node_from_peer_id(peer_id)


def test_seeds_and_node_ids_have_32_bytes():
    with pytest.raises(ValueError, match="a seed has 32 bytes, got 31"):
        node_from_seed(bytes(31))
    with pytest.raises(ValueError, match="a node id has 32 bytes, got 33"):
        peer_id_bytes(NodeId(bytes(33)))


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("/ip4/192.0.2.1/tcp/4001", ("192.0.2.1", 4001)),
        ("/ip6/2001:db8::1/tcp/0", ("2001:db8::1", 0)),
        ("/ip4/192.0.2.1/tcp/65535/p2p/12D3KooW", ("192.0.2.1", 65535)),
    ],
)
def test_tcp_multiaddrs_name_an_endpoint(address, endpoint):
    assert tcp_endpoint(address) == endpoint


@pytest.mark.parametrize(
    "address",
    [
        "",
        "/",
        "192.0.2.1:4001",
        "/ip4/192.0.2.1",
        "/ip4/192.0.2.1/udp/4001",
        "/ip4/192.0.2.1/tcp/65536",
        "/ip4/192.0.2.1/tcp/-1",
        "/ip4/192.0.2.1/tcp/٤",
        "/ip4/2001:db8::1/tcp/4001",
        "/ip6/192.0.2.1/tcp/4001",
        "/ip4/192.0.2.1/tcp/4001/ws",
        "/dns4/example.org/tcp/4001",
    ],
)
def test_other_addresses_are_refused(address):
    with pytest.raises(ValueError, match=r".+"):
        tcp_endpoint(address)


def test_an_address_is_known_without_its_peer_id():
    assert without_peer_id(f"{HERE}/p2p/{peer_id_text(ALICE)}") == HERE
    assert without_peer_id(HERE) == HERE


@pytest.mark.parametrize(
    ("host", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("not an address", "?"),
    ],
)
def test_addresses_that_one_party_holds_count_as_one(host, group):
    assert ip_group(host) == group


# ----------------------------------------------------------------------------------------- frames


class Pieces:
    """A stream that gives bytes in pieces of the lengths told, then nothing."""

    def __init__(self, data: bytes, lengths) -> None:
        self._data = data
        self._lengths = iter(lengths)

    async def read(self, n=None):
        taken = min(n, next(self._lengths, n))
        data, self._data = self._data[:taken], self._data[taken:]
        return data


@pytest.mark.parametrize("length", [0, 1, 127, 128, 16_383, 16_384, 65_536])
@pytest.mark.parametrize("piece", [1, 3, 1_000, 100_000])
async def test_a_frame_is_read_whole_however_it_arrives(length, piece):
    data = b"d" * length
    reader = FrameReader(Pieces(frame(data) + frame(b"next"), [piece] * 100_000))
    assert await reader.frame(65_536) == data
    assert await reader.frame(4) == b"next"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (frame(b"12345"), "frame of 5 bytes, at most 4 allowed"),
        (b"\x80\x80\x80\x80\x01", "length has too many bytes"),
        (b"\x81\x00x", "length is not minimal"),
        (b"\x04123", "cut off"),
        (b"\x84", "cut off"),
        (b"", "cut off"),
        (b"\xff\xff\xff\x7f", "frame of 268435455 bytes, at most 4 allowed"),
    ],
)
async def test_a_malformed_frame_is_refused(data, reason):
    with pytest.raises(FrameError) as caught:
        await FrameReader(Pieces(data, [])).frame(4)
    assert str(caught.value) == reason


@pytest.mark.parametrize(
    ("length", "prefix"), [(0, "00"), (127, "7f"), (128, "8001"), (300, "ac02"), (65_536, "808004")]
)
def test_a_frame_starts_with_its_length_as_a_varint(length, prefix):
    assert frame(bytes(length))[: len(prefix) // 2].hex() == prefix


# ----------------------------------------------------------------------------------------- bounds


def test_memory_forgets_its_oldest_entry_when_full():
    memory = Memory(3)
    for key in (b"a", b"b", b"c", b"a", b"d"):
        memory.put(key, key)
    assert len(memory) == 3
    assert [memory.has(key) for key in (b"a", b"b", b"c", b"d")] == [True, False, True, True]
    assert memory.get(b"b") is None


def test_a_pace_allows_ten_seconds_worth_at_once_and_then_its_rate():
    pace = Pace(5)
    assert [pace.take(b"k", now_s=0.0) for _ in range(51)] == [True] * 50 + [False]
    assert [pace.take(b"k", now_s=1.0) for _ in range(6)] == [True] * 5 + [False]
    assert pace.take(b"other", now_s=1.0)


def test_rejects_are_forgiven_by_half_each_half_life():
    limits = EdgeLimits(rejects_max=4, rejects_half_life_s=10.0)
    blame, bob = Blame(limits), ID(peer_id_bytes(BOB))
    for _ in range(4):
        blame.add(bob, now_s=0.0)
    assert blame.is_muted(bob, now_s=0.0)
    assert blame.rejects(bob, now_s=10.0) == 2.0
    assert not blame.is_muted(bob, now_s=10.0)


def test_every_limit_is_more_than_nothing():
    with pytest.raises(ValueError, match="streams_inbound_per_peer_max must be more than 0"):
        EdgeLimits(streams_inbound_per_peer_max=0)
    with pytest.raises(ValueError, match="does not hold"):
        EdgeLimits(degree_low=6)


def test_the_limits_keep_what_they_promise_of_partitions():
    limits = EdgeLimits()
    assert limits.ping_interval_s + limits.ping_timeout_s <= 10
    assert limits.ping_interval_s + limits.write_stall_s <= 10
    assert limits.backoff_s_max + limits.dial_s + limits.handshake_s <= 20


# ------------------------------------------------------------------------------------------- gate


def knocks(gate: Gate, *groups: str, now_s: float = 0.0) -> list[bool]:
    return [gate.knock(group, now_s=now_s) for group in groups]


def test_one_address_holds_only_so_many_half_open_connections(counters):
    gate = Gate(EdgeLimits(half_open_per_ip_max=2), counters)
    assert knocks(gate, "a", "a", "a", "b") == [True, True, False, True]
    gate.prove("a")
    assert knocks(gate, "a", "a") == [True, False]
    assert counters == {"connections_refused_half_open_per_ip": 2}


def test_all_together_hold_only_so_many_half_open_connections(counters):
    gate = Gate(EdgeLimits(half_open_max=2), counters)
    assert knocks(gate, "a", "b", "c") == [True, True, False]
    assert counters == {"connections_refused_half_open": 1}


def test_one_address_holds_only_so_many_connections(counters):
    gate = Gate(EdgeLimits(connections_per_ip_max=2), counters)
    assert knocks(gate, "a", "a") == [True, True]
    gate.prove("a")
    gate.prove("a")
    assert knocks(gate, "a", "b") == [False, True]
    gate.leave("a")
    assert knocks(gate, "a") == [True]
    assert counters == {"connections_refused_per_ip": 1}


def test_all_together_hold_only_so_many_connections(counters):
    gate = Gate(EdgeLimits(connections_inbound_max=2), counters)
    assert knocks(gate, "a", "b", "c") == [True, True, False]
    assert counters == {"connections_refused_inbound": 1}


def test_one_address_comes_only_so_often(counters):
    gate = Gate(EdgeLimits(connections_per_ip_per_s_max=1), counters)
    for _ in range(10):
        assert gate.knock("a", now_s=0.0)
        gate.prove("a")
        gate.leave("a")
    assert knocks(gate, "a", "b") == [False, True]
    assert gate.knock("a", now_s=1.0)
    assert counters == {"connections_refused_too_fast": 1}


def test_a_gate_that_all_have_left_remembers_nobody(counters):
    gate = Gate(EdgeLimits(), counters)
    knocks(gate, "a", "b")
    for group in ("a", "b"):
        gate.prove(group)
        gate.leave(group)
    assert (gate.inbound, gate.half_open) == (0, 0)
    assert not gate._open
    assert not gate._half_open


# ------------------------------------------------------------------------------------------- book


def book(node=ALICE, **limits) -> PeerBook:
    return PeerBook(node=node, limits=EdgeLimits(**limits))


def test_the_smaller_id_dials_first():
    alices, bobs = book(ALICE), book(BOB, second_dialer_s=2.0)
    alices.replace({BOB: [HERE]}, now_s=0.0)
    bobs.replace({ALICE: [HERE]}, now_s=0.0)
    assert alices.due([], now_s=0.0) == [BOB]
    assert bobs.due([], now_s=1.9) == []
    assert bobs.due([], now_s=2.0) == [ALICE]


def test_nobody_dials_the_busy_or_themselves_or_those_only_heard_of():
    alices = book()
    alices.replace({ALICE: [HERE], BOB: [HERE]}, now_s=0.0)
    alices.learn(CAROL, [HERE], now_s=0.0)
    assert alices.due([BOB], now_s=9.0) == []
    assert alices.due([], now_s=9.0) == [BOB]
    assert alices.addresses(CAROL) == (HERE,)
    assert alices.addresses(ALICE) == ()


def test_failed_dials_back_off_up_to_the_longest_wait():
    alices = book(backoff_first_s=1.0, backoff_s_max=4.0, gone_after_s=100.0, backoff_gone_s=50.0)
    alices.replace({BOB: [HERE]}, now_s=0.0)
    waits = []
    for now_s in (0.0, 10.0, 20.0, 30.0, 200.0):
        alices.failed(BOB, now_s=now_s)
        waits.append(alices.next_due_s([]) - now_s)
    for wait_s, longest_s in zip(waits, (1, 2, 4, 4, 50), strict=True):
        assert longest_s / 2 <= wait_s <= longest_s


def test_a_peer_that_was_reached_starts_anew_and_is_sought_where_it_was():
    alices = book(backoff_first_s=1.0)
    other = "/ip4/192.0.2.2/tcp/4001"
    alices.replace({BOB: [HERE, other]}, now_s=0.0)
    for _ in range(5):
        alices.failed(BOB, now_s=0.0)
    alices.reached(BOB, address=other)
    alices.failed(BOB, now_s=0.0)
    assert alices.addresses(BOB) == (other, HERE)
    assert alices._entries[BOB].failures == 1


def test_replacing_the_book_forgets_who_is_not_in_it_but_not_hearsay():
    alices = book()
    alices.replace({BOB: [HERE]}, now_s=0.0)
    alices.learn(CAROL, ["/ip4/192.0.2.3/tcp/1"], now_s=0.0)
    alices.replace({}, now_s=0.0)
    assert alices.addresses(BOB) == ()
    assert alices.addresses(CAROL) == ("/ip4/192.0.2.3/tcp/1",)
    assert alices.next_due_s([]) is None


def test_unfit_and_excess_addresses_are_counted():
    alices = book(addresses_per_peer_max=2)
    many = [f"/ip4/192.0.2.{i}/tcp/1" for i in range(4)]
    assert alices.replace({BOB: [*many, "/dns4/x/tcp/1"]}, now_s=0.0) == 3
    assert alices.addresses(BOB) == tuple(many[:2])
    assert alices.learn(CAROL, ["/ip4/192.0.2.1/tcp/0"], now_s=0.0) == 1


def test_hearsay_never_crowds_out_the_book():
    alices = book(book_peers_max=2)
    for i in range(5):
        alices.learn(NodeId(bytes([i]) * 32), [HERE], now_s=0.0)
    assert len(alices._entries) == 2
    assert alices.replace({BOB: [HERE], CAROL: [HERE]}, now_s=0.0) == 0
    assert set(alices._entries) == {BOB, CAROL}
    assert alices.learn(NodeId(b"x" * 32), [HERE], now_s=0.0) == 1
