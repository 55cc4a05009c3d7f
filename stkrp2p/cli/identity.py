"""`stkrp2p id`: who this node is and where it listens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import facts, print_json, print_lines

if TYPE_CHECKING:
    from stkrp2p.config import Loaded, NodeConfig
    from stkrp2p.core.types import NodeId


def own_node(config: NodeConfig) -> NodeId:
    """Return the id of the node whose data directory this is.

    Raises:
        Failure: There is no key, or others may read it.
    """
    from stkrp2p.adapters.keys import load_node_key  # noqa: PLC0415
    from stkrp2p.cli.errors import key_failures  # noqa: PLC0415

    with key_failures():
        return load_node_key(config.node_key).node


@click.command("id", cls=ReadingCommand)
def command(*, loaded: Loaded, as_json: bool) -> None:
    """Say who this node is and where it listens.

    Works while the node is down.
    """
    from stkrp2p.adapters.libp2p.identity import peer_id_text  # noqa: PLC0415

    config = loaded.config
    node = own_node(config)
    peer_id = peer_id_text(node)
    addresses = [f"{a}/p2p/{peer_id}" for a in config.announce or config.listen]
    if as_json:
        body = {"peer_id": peer_id, "node": node.hex(), "mode": config.mode}
        print_json("id/1", {**body, "addresses": addresses})
        return
    print_lines(facts([("PeerID", peer_id), ("node", node.hex()), ("mode", config.mode)]))
    click.echo("\n".join(f"  {a}" for a in addresses))  # not cut: they are copied
