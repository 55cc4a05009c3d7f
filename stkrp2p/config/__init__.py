"""What a node is told: its own settings, and the network it belongs to."""

from stkrp2p.config.files import ConfigError
from stkrp2p.config.networks import (
    NetworkFile,
    dump_network,
    known_networks,
    load_network,
    network_path,
    read_network,
)
from stkrp2p.config.settings import (
    Loaded,
    NodeConfig,
    config_schema,
    dump_config,
    load_config,
)

__all__ = [
    "ConfigError",
    "Loaded",
    "NetworkFile",
    "NodeConfig",
    "config_schema",
    "dump_config",
    "dump_network",
    "known_networks",
    "load_config",
    "load_network",
    "network_path",
    "read_network",
]
