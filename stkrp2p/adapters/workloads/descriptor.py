"""What a registration says of its workload, read.

    ethereum:<chain id>    an execution node; `ethereum:1` is mainnet
    http:<port>/<path>     a web service on that port of the node's own address
    tcp:<port>             anything that takes connections there
    none                   nothing but the sidecar

Anybody may register any text, so it is read strictly. A path has letters, digits and `. _ ~ - /`:
nothing that could mean another host, a query, or a header.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PORT_MAX = 65_535
CHAIN_ID_MAX = (1 << 63) - 1

_ETHEREUM = re.compile(r"ethereum:([1-9][0-9]{0,18})", re.ASCII)
_HTTP = re.compile(r"http:([1-9][0-9]{0,4})((?:/[A-Za-z0-9._~-]*)*)", re.ASCII)
_TCP = re.compile(r"tcp:([1-9][0-9]{0,4})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Ethereum:
    """An Ethereum execution node."""

    chain_id: int


@dataclass(frozen=True, slots=True)
class Http:
    """A web service."""

    port: int
    path: str
    """Starts with `/`."""


@dataclass(frozen=True, slots=True)
class Tcp:
    """A service that takes connections."""

    port: int


@dataclass(frozen=True, slots=True)
class Nothing:
    """No workload."""


Descriptor = Ethereum | Http | Tcp | Nothing


def read_descriptor(text: str) -> Descriptor:
    """Read a descriptor.

    Raises:
        ValueError: It is none that we know.
    """
    if text == "none":
        return Nothing()
    if (found := _ETHEREUM.fullmatch(text)) and int(found[1]) <= CHAIN_ID_MAX:
        return Ethereum(int(found[1]))
    if (found := _HTTP.fullmatch(text)) and int(found[1]) <= PORT_MAX:
        return Http(int(found[1]), found[2] or "/")
    if (found := _TCP.fullmatch(text)) and int(found[1]) <= PORT_MAX:
        return Tcp(int(found[1]))
    raise ValueError(
        f"no workload: {text!r}; known: ethereum:<chain id>, http:<port>/<path>, tcp:<port>, none"
    )
