"""The members of an epoch, frozen before its seed is known.

The registry contract stamps each change with the first epoch it holds for, three epochs after the
one it is made in; so roster e is what the registry held before epoch e - 2 began, and nobody picks
an identity after seeing a seed. Ethereum cannot check an Ed25519 key cheaply: a registration carries
the node key's claim, and `roster_of` leaves out those whose claim is false. See `protocols/roster.md`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Annotated

import msgspec

from stkrp2p.core import merkle
from stkrp2p.core.crypto import CLAIM_TAG, is_signed_by, sign
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Kind,
    NetworkId,
    NodeId,
    Operator,
    ProtocolError,
)
from stkrp2p.core.wire import Message, Uint, decode, encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One entry of the registry contract, as its events tell it."""

    index: int
    """The contract's dense number of this registration, from 0: the order of registering."""

    node: NodeId
    operator: Operator
    nonce: int
    """The operator's count of registrations before this one; the claim binds it."""

    kind: Kind
    stakes: tuple[tuple[Epoch, int], ...]
    """(first epoch it holds for, stake in ANKR wei), oldest first."""

    claim: bytes
    """The node key's signature over the network, the operator, the node and the nonce."""

    profile: bytes = b""
    """What the node says of itself (an encoded `Profile`); not part of the roster."""

    exit_epoch: Epoch | None = None
    """First epoch it no longer holds for."""

    @property
    def first_epoch(self) -> Epoch:
        """First epoch it holds for."""
        return self.stakes[0][0]

    def is_active(self, epoch: Epoch) -> bool:
        """Tell whether the registration holds in an epoch."""
        return self.first_epoch <= epoch and (self.exit_epoch is None or epoch < self.exit_epoch)

    def stake_at(self, epoch: Epoch) -> int:
        """Return the stake that counts in an epoch, in ANKR wei; 0 before the first."""
        return max((s for s in self.stakes if s[0] <= epoch), default=(epoch, 0))[1]


class Profile(Message, frozen=True):
    """What a registration says for other peers' sake; its operator may change it at any time."""

    version: Uint
    workload: Annotated[str, msgspec.Meta(max_length=128)]
    """How the node is audited, such as `ethereum:1`, `http:8080/health`, `tcp:30303`, `none`."""

    addresses: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=128)], ...], msgspec.Meta(max_length=4)
    ]
    """Multiaddrs without `/p2p`."""


PROFILE_BYTES_MAX = 512
"""Largest encoded profile; the registry contract refuses more."""

NO_PROFILE = Profile(version=1, workload="none", addresses=())
"""What a profile that cannot be read counts as."""


def read_profile(entry: Registration) -> Profile:
    """Return what a registration says of its node; `NO_PROFILE` if it is not readable."""
    try:
        return decode(entry.profile, Profile, bytes_max=PROFILE_BYTES_MAX)
    except ProtocolError:
        return NO_PROFILE


def claim_payload(network: NetworkId, operator: Operator, node: NodeId, nonce: int) -> bytes:
    """Return what a node's key signs to be registered by an operator."""
    return encode([network, operator, node, nonce])


def sign_claim(
    secret: bytes, network: NetworkId, operator: Operator, node: NodeId, nonce: int
) -> bytes:
    """Return the claim a registration carries, 64 bytes."""
    return sign(secret, CLAIM_TAG, claim_payload(network, operator, node, nonce))


def is_claimed(network: NetworkId, entry: Registration) -> bool:
    """Tell whether the node's own key agreed to this registration."""
    payload = claim_payload(network, entry.operator, entry.node, entry.nonce)
    return is_signed_by(entry.node, CLAIM_TAG, payload, entry.claim)


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Member:
    """A peer that takes part in an epoch."""

    node: NodeId
    nonce: int
    operator: Operator
    kind: Kind
    stake: int
    """In ANKR wei."""


@dataclass(frozen=True, eq=False)
class Roster:
    """The members of one epoch, sorted by node id, with the lookups that the rest needs."""

    members: tuple[Member, ...]
    index: dict[NodeId, int] = field(init=False)

    def __post_init__(self) -> None:
        """Refuse members out of order: two nodes must number them alike."""
        nodes = [m.node for m in self.members]
        if any(a >= b for a, b in pairwise(nodes)):
            raise ValueError("members must be sorted by node id, each once")
        object.__setattr__(self, "index", {node: i for i, node in enumerate(nodes)})

    def __len__(self) -> int:
        return len(self.members)

    def get(self, node: NodeId) -> Member | None:
        """Return a member by node id."""
        i = self.index.get(node)
        return None if i is None else self.members[i]

    @cached_property
    def full(self) -> tuple[Member, ...]:
        """The members that are audited, sorted by node id."""
        return tuple(m for m in self.members if m.kind is Kind.FULL)

    @cached_property
    def light(self) -> tuple[Member, ...]:
        """The members that only audit, sorted by node id."""
        return tuple(m for m in self.members if m.kind is Kind.LIGHT)

    @cached_property
    def rank(self) -> dict[NodeId, int]:
        """Each member's index among those of its kind."""
        return {m.node: i for group in (self.full, self.light) for i, m in enumerate(group)}

    def leaf(self, member: Member) -> bytes:
        """Return a member's leaf in the roster tree, eight words.

        Node, nonce, operator, kind, stake; then what its place on the circle follows from: its rank
        among its kind, and how many full and light members there are.
        """
        operator = int.from_bytes(member.operator, "big")
        own = (member.node, member.nonce, operator, int(member.kind), member.stake)
        place = (self.rank[member.node], len(self.full), len(self.light))
        return merkle.words(*own, *place)

    @cached_property
    def tree(self) -> merkle.Tree:
        """The tree over the members' leaves."""
        return merkle.Tree(self.leaf(m) for m in self.members)

    @property
    def root(self) -> Digest:
        """Root of the members' tree: what the seed binds and the anchor shows."""
        return self.tree.root


def roster_of(network: NetworkId, epoch: Epoch, registry: Iterable[Registration]) -> Roster:
    """Return who takes part in an epoch.

    Of the registrations that hold in the epoch, those with a true claim; of several for one node,
    the one registered first. The result does not depend on the order of `registry`.
    """
    chosen: dict[NodeId, Registration] = {}
    for entry in sorted(registry, key=lambda e: e.index):
        if entry.is_active(epoch) and entry.node not in chosen and is_claimed(network, entry):
            chosen[entry.node] = entry
    members = (
        Member(
            node=e.node, nonce=e.nonce, operator=e.operator, kind=e.kind, stake=e.stake_at(epoch)
        )
        for e in chosen.values()
    )
    return Roster(tuple(sorted(members)))
