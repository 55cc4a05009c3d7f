"""What a node is told: its own settings, and the network it belongs to.

Network files need the core and with it the cryptography; settings do not, and quick commands read
settings only. So the names of `networks` are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from stkrp2p.config.files import ConfigError
from stkrp2p.config.settings import (
    Loaded,
    NodeConfig,
    config_schema,
    dump_config,
    load_config,
)

if TYPE_CHECKING:
    from stkrp2p.config.networks import (
        NetworkFile,
        dump_network,
        known_networks,
        network_path,
        read_network,
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
    "network_path",
    "read_network",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("stkrp2p.config.networks"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
