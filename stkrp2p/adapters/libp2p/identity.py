"""Node ids, libp2p's PeerIDs and multiaddrs, without libp2p.

A node id is a 32-byte Ed25519 public key. Its PeerID is the *identity* multihash of the key in
libp2p's protobuf, so one is the other with six bytes in front:

    00 24            multihash: identity, 36 bytes
    08 01            protobuf: key type Ed25519
    12 20 <32 bytes> protobuf: the key

Source: https://github.com/libp2p/specs/blob/master/peer-ids/peer-ids.md
"""

from __future__ import annotations

import ipaddress

from nacl.signing import SigningKey

from stkrp2p.core.types import NodeId

SEED_BYTES = 32
NODE_ID_BYTES = 32

_PREFIX = bytes.fromhex("002408011220")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_IPV6_PREFIX_BITS = 64
_PORT_MAX = 0xFFFF


def node_from_seed(seed: bytes) -> NodeId:
    """Return the node id that belongs to a 32-byte Ed25519 seed.

    Raises:
        ValueError: `seed` is not 32 bytes long.
    """
    if len(seed) != SEED_BYTES:
        raise ValueError(f"a seed has {SEED_BYTES} bytes, got {len(seed)}")
    return NodeId(bytes(SigningKey(seed).verify_key))


def peer_id_bytes(node: NodeId) -> bytes:
    """Return the binary PeerID of a node, 38 bytes.

    Raises:
        ValueError: `node` is not 32 bytes long.
    """
    if len(node) != NODE_ID_BYTES:
        raise ValueError(f"a node id has {NODE_ID_BYTES} bytes, got {len(node)}")
    return _PREFIX + node


def peer_id_text(node: NodeId) -> str:
    """Return the PeerID as people see it: base58, `12D3KooW…`."""
    data = peer_id_bytes(node)
    number = int.from_bytes(data, "big")
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return "1" * zeros + "".join(reversed(digits))


def node_from_peer_id(peer_id: bytes) -> NodeId:
    """Return the node id in a binary PeerID.

    Raises:
        ValueError: The PeerID is not that of an Ed25519 key.
    """
    if len(peer_id) != len(_PREFIX) + NODE_ID_BYTES or not peer_id.startswith(_PREFIX):
        raise ValueError(f"not the PeerID of an Ed25519 key: {peer_id.hex()}")
    return NodeId(peer_id[len(_PREFIX) :])


def without_peer_id(address: str) -> str:
    """Return a multiaddr without its `/p2p/…` part and all that follows it."""
    return address.partition("/p2p/")[0]


def tcp_endpoint(address: str) -> tuple[str, int]:
    """Return host and port of a `/ip4|ip6/<host>/tcp/<port>` multiaddr.

    Raises:
        ValueError: It is another kind of multiaddr, or host or port are not valid.
    """
    parts = without_peer_id(address).split("/")
    match parts:
        case ["", "ip4" | "ip6" as family, host, "tcp", port]:
            if _ip(host).version != int(family[-1]):
                raise ValueError(f"{host} is not an {family} address")
            if not port.isascii() or not port.isdigit() or int(port) > _PORT_MAX:
                raise ValueError(f"not a TCP port: {port}")
            return host, int(port)
        case _:
            raise ValueError(f"not a /ip4 or /ip6 TCP multiaddr: {address}")


def ip_group(host: str) -> str:
    """Return what per-IP limits count as one: an IPv4 address, or an IPv6 /64.

    Whoever rents one IPv6 host holds a whole /64. An IPv4 address mapped into IPv6 is itself. What
    is no address at all is one group of its own, so that it is limited too.
    """
    try:
        address = _ip(host)
    except ValueError:
        return "?"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.IPv6Network((int(address), _IPV6_PREFIX_BITS), strict=False))


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
