"""stkrp2p: staking nodes that audit each other, so that nobody has to be believed."""

__version__ = "0.1.0"
