"""Names for the protocol's values, each with its unit.

Everything the protocol signs, hashes or scores is built from these: integers and byte strings, never
floats. The glossary behind the names is in `protocols/README.md`.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum, auto
from typing import NewType

Round = NewType("Round", int)
"""Number of a beacon value, counted from 1 as drand does; 0 stands for the time before the first."""

Epoch = NewType("Epoch", int)
"""Number of a span of `rounds_per_epoch` rounds, counted from 0."""

UnixMs = NewType("UnixMs", int)
"""Milliseconds since 1970-01-01 UTC."""

Ppm = NewType("Ppm", int)
"""A share in parts per million, 0 to `ONE_PPM`."""

NodeId = NewType("NodeId", bytes)
"""A node's Ed25519 public key, 32 bytes; the same key is its libp2p identity."""

NetworkId = NewType("NetworkId", bytes)
"""Hash of a network's genesis, 32 bytes: what tells two networks' messages apart."""

Operator = NewType("Operator", bytes)
"""Ethereum address of who runs and staked for a node, 20 bytes."""

Digest = NewType("Digest", bytes)
"""A SHA-256 or Keccak-256 hash, 32 bytes."""

ONE_PPM = Ppm(1_000_000)

ONE_BPS = 10_000
"""The whole, in basis points: what governors set shares of money in."""

HASH_BYTES = 32
SIGNATURE_BYTES = 64


class ProtocolError(Exception):
    """A peer sent what the protocol does not allow; `reason` is a word from the specification."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Judgement(StrEnum):
    """What to do with a gossiped message."""

    ACCEPT = auto()
    """Keep it and pass it on."""

    IGNORE = auto()
    """Drop it, but blame no one: an honest peer may have sent it."""

    REJECT = auto()
    """Drop it and lower the sender: no honest peer sends it."""


class Kind(IntEnum):
    """What a member brings to the network (Q20)."""

    FULL = 0
    """A sidecar bound to one node: it audits and is audited."""

    LIGHT = 1
    """A sidecar alone: it audits and stakes only."""


class Outcome(IntEnum):
    """What an auditor saw of its target in one drawn round; one byte in a batch."""

    NOT_PROBED = 0
    """The auditor did not look, or could not trust its own view. Costs nobody anything."""

    OK = 1
    """A right answer in time."""

    SLOW = 2
    """A right answer, later than half of the probe window. Counts as up."""

    WRONG = 3
    """An answer that fails the workload's check."""

    UNREACHABLE = 4
    """No answer after all tries."""

    DECLARED = 5
    """The target announced maintenance; limited in each epoch, counts as not probed."""
