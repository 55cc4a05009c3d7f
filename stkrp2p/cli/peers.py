"""`stkrp2p peers`: who is connected now."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from stkrp2p.cli.errors import Exit, Failure
from stkrp2p.cli.live import ask_node
from stkrp2p.cli.nodes import short
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import columns, print_json, print_lines
from stkrp2p.core.types import NodeId

if TYPE_CHECKING:
    from stkrp2p.config import Loaded


class Peer(msgspec.Struct, frozen=True):
    """One connected peer, as the running node tells it."""

    node: str
    address: str
    is_inbound: bool
    latency_ms: int | None
    connected_s: int


class Peers(msgspec.Struct, frozen=True):
    """The answer to the command `peers`."""

    peers: list[Peer]


@click.command("peers", cls=ReadingCommand)
def command(*, loaded: Loaded, as_json: bool) -> None:
    """List the peers connected now.

    Asks the running node.
    """
    answer = ask_node(loaded.config, "peers")
    try:
        peers = msgspec.convert(answer, Peers).peers
    except msgspec.ValidationError as error:
        raise Failure(
            "the node's answer is not understood",
            why=f"{error}; it may be of another version",
            hint="stkrp2p --version",
            code=Exit.FAILED,
        ) from error
    if as_json:
        print_json("peers/1", {"peers": [msgspec.structs.asdict(p) for p in peers]})
        return
    rows = [
        (
            short(NodeId(bytes.fromhex(p.node))),
            "in" if p.is_inbound else "out",
            "-" if p.latency_ms is None else p.latency_ms,
            _duration(p.connected_s),
            p.address,
        )
        for p in peers
    ]
    print_lines(columns(("node", "way", ">ms", ">since", "address"), rows))
    click.echo(f"{len(peers)} connected")


def _duration(seconds: int) -> str:
    for unit, length_s in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= length_s:
            return f"{seconds // length_s}{unit}"
    return f"{seconds}s"
