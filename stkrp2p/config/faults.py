"""What is wrong with an address, a URL or a workload's descriptor, said in one line."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

PORT_MAX = 0xFFFF


def fault_of_address(address: str) -> str:
    """Return what is wrong with a `/ip4|ip6|dns…/<host>/tcp/<port>` multiaddr; "" if nothing."""
    match address.split("/"):
        case ["", "ip4" | "ip6" | "dns" | "dns4" | "dns6", host, "tcp", port] if host:
            return "" if _is_port(port) else f"{address} has no port from 0 to {PORT_MAX}"
    return f"{address} is no multiaddr such as /ip4/192.0.2.7/tcp/4001"


def fault_of_listen(address: str) -> str:
    """Return what is wrong with a multiaddr to listen on, which must name an IP; "" if nothing."""
    fault = fault_of_address(address)
    if fault:
        return fault
    _, family, host, *_ = address.split("/")
    try:
        is_named = family == f"ip{ipaddress.ip_address(host).version}"
    except ValueError:
        is_named = False
    return "" if is_named else f"{address} does not name an IP to listen on"


def fault_of_host_port(text: str) -> str:
    """Return what is wrong with an `IP:port` to listen on, an IPv6 one in brackets; "" if nothing."""
    host, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        is_port = 0 < int(port) <= PORT_MAX
    except ValueError:
        is_port = False
    return "" if is_port else f"{text} is no IP address and port, such as 127.0.0.1:8800"


def fault_of_peer(address: str) -> str:
    """Return what is wrong with a multiaddr that must end in `/p2p/<PeerID>`; "" if nothing."""
    place, found, peer = address.partition("/p2p/")
    if not found or not peer.startswith("12D3KooW"):
        return f"{address} does not end in /p2p/12D3KooW…"
    return fault_of_address(place)


def fault_of_url(url: str, *schemes: str) -> str:
    """Return what is wrong with an endpoint's URL; "" if nothing."""
    schemes = schemes or ("http", "https")
    try:
        parts = urlsplit(url)
        is_addressed = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return f"{url} is no URL"
    if parts.password is not None or parts.username is not None:
        return "a URL must not hold a user or password"
    if parts.scheme not in schemes or not is_addressed:
        return f"{url} is no URL that begins with {', '.join(s + '://' for s in schemes)}"
    return ""


def fault_of_workload(descriptor: str) -> str:
    """Return what is wrong with a workload's descriptor; "" if nothing."""
    kind, found, rest = descriptor.partition(":")
    port, _, _ = rest.partition("/")
    is_right = {
        "none": not found,
        "ethereum": rest.isascii() and rest.isdigit() and int(rest) > 0,
        "http": _is_port(port) and port != "0",
        "tcp": _is_port(rest) and rest != "0",
    }
    if is_right.get(kind, False):
        return ""
    return f"{descriptor} is none of ethereum:<chain id>, http:<port>[/path], tcp:<port>, none"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:6]) <= PORT_MAX
