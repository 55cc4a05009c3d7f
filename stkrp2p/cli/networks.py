"""The network that a node's settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stkrp2p.cli.errors import config_failures

if TYPE_CHECKING:
    from stkrp2p.config import NetworkFile, NodeConfig


def network_of(config: NodeConfig) -> NetworkFile:
    """Return what the network's file says.

    Raises:
        Failure: It cannot be read.
    """
    from stkrp2p.config import read_network  # noqa: PLC0415  - 60 ms

    with config_failures():
        return read_network(config.network)
