"""What makes a network itself: its genesis, and the id that every message carries."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from stkrp2p.core.beacon import Beacon, EpochClock
from stkrp2p.core.crypto import NETWORK_TAG, sha256
from stkrp2p.core.params import Params
from stkrp2p.core.types import Epoch, NetworkId, Round, UnixMs
from stkrp2p.core.wire import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Genesis:
    """The facts a network starts with; its members must agree on each."""

    name: str
    """For people; ASCII."""

    params: Params
    beacon: Beacon
    first_round: Round
    """The beacon's round that opens epoch 0."""

    chain_id: int
    """Of the Ethereum chain that holds the contracts."""

    registry: bytes
    """Address of the `Registry` contract, 20 bytes."""

    anchor: bytes
    """Address of the `ReputationAnchor` contract, 20 bytes."""

    council_key: bytes
    """Compressed BLS key in G2 under which anchors are signed, 96 bytes."""

    @property
    def clock(self) -> EpochClock:
        """Rounds and epochs of this network."""
        return EpochClock(first_round=self.first_round, params=self.params)

    @property
    def network_id(self) -> NetworkId:
        """SHA-256 over the tag and the canonical encoding of everything above."""
        beacon = [self.beacon.public_key, self.beacon.genesis_ms, self.beacon.period_ms]
        fields = [1, self.name, list(astuple(self.params)), beacon, self.first_round]
        chain = [self.chain_id, self.registry, self.anchor, self.council_key]
        return NetworkId(sha256(NETWORK_TAG, encode([*fields, *chain])))

    def start_ms(self, epoch: Epoch) -> UnixMs:
        """Return when an epoch's first round falls due."""
        return self.beacon.due_ms(self.clock.first(epoch))
