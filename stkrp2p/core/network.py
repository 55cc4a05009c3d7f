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

    council: bytes
    """Address of the `CouncilKeys` contract, 20 bytes."""

    council_key: bytes
    """Compressed BLS key in G2 under which anchors are signed, 96 bytes."""

    mixed: Beacon | None = None
    """A second beacon whose randomness goes into every epoch's seed: who foretells one of the two
    still foretells no assignment. Rounds and draws are the first one's."""

    def mixed_round(self, epoch: Epoch) -> Round:
        """Return the second beacon's round that an epoch's seed needs; 0 without one.

        It is the first that falls due when the epoch starts or after.
        """
        if self.mixed is None:
            return Round(0)
        before = self.mixed.last_due(UnixMs(self.start_ms(epoch) - 1))
        return Round(before + 1)

    @property
    def clock(self) -> EpochClock:
        """Rounds and epochs of this network."""
        return EpochClock(first_round=self.first_round, params=self.params)

    @property
    def network_id(self) -> NetworkId:
        """SHA-256 over the tag and the canonical encoding of everything above."""
        mixed = [] if self.mixed is None else _fields(self.mixed)
        fields = [2, self.name, list(astuple(self.params)), _fields(self.beacon), mixed]
        chain = [self.chain_id, self.registry, self.anchor, self.council, self.council_key]
        return NetworkId(sha256(NETWORK_TAG, encode([*fields, self.first_round, *chain])))

    def start_ms(self, epoch: Epoch) -> UnixMs:
        """Return when an epoch's first round falls due."""
        return self.beacon.due_ms(self.clock.first(epoch))


def _fields(beacon: Beacon) -> list[bytes | int]:
    return [beacon.public_key, beacon.genesis_ms, beacon.period_ms]


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketAddresses:
    """Where a network's rule and market stand on its chain, 20 bytes each.

    They are no part of the network's id: a network scores its members with or without a market.
    """

    beacon_verifier: bytes
    timelock: bytes
    """The only one that policy and providers' approval obey."""

    policy: bytes
    council: bytes
    """The elected `Council`; `Genesis.council` is the board on which its keys are made."""

    voter_rewards: bytes
    prices: bytes
    insurance: bytes
    """The `Pot` that pays losses."""

    rewards: bytes
    """The `Pot` of the reward pool."""

    providers: bytes
    market: bytes
    deals: bytes
