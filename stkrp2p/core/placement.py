"""Proofs of who audits whom, for who has neither roster nor patience: a contract.

A member's roster leaf tells its kind, its rank and the sizes of both kinds, and so, with the epoch's
seed, its place on the circle. To show whether a member is an auditor of a target it takes the target
and the candidates behind it, each with its proof, from the nearest on up to the one that settles it:
the member itself, or the target's last auditor, or the last candidate. Each stands where it must, so
none can be left out; and who is no member at all can be shown to be no auditor too. See
`protocols/assignment.md`, section 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stkrp2p.core.assignment import Assignment
from stkrp2p.core.params import Params
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import Digest, NodeId


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """A member of a roster, and the proof that it is one."""

    leaf: bytes
    """Eight words, as `Roster.leaf` gives them."""

    proof: tuple[Digest, ...]
    """Siblings from the leaf to the roster's root."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Whether a member is an auditor of a target in one epoch, and the members that show it."""

    target: Membership
    candidates: tuple[Membership, ...]
    """Who stand behind the target, nearest first, up to and including the one that settles it."""

    auditor: NodeId
    """Who is asked about; need not be a member."""

    is_assigned: bool


def membership_of(roster: Roster, node: NodeId) -> Membership:
    """Return the proof that a node is a member.

    Raises:
        ValueError: It is none.
    """
    member = roster.get(node)
    if member is None:
        raise ValueError(f"{node.hex()} is not in the roster")
    return _shown(roster, member)


def placement_of(
    seed: Digest, roster: Roster, params: Params, *, target: NodeId, auditor: NodeId
) -> Placement:
    """Return what shows whether a node is an auditor of a target.

    Args:
        seed: The epoch's.
        roster: The epoch's.
        params: The network's.
        target: A member; of a light one nobody is an auditor.
        auditor: Any node.

    Raises:
        ValueError: The target is not in the roster.
    """
    shown = membership_of(roster, target)
    assignment = Assignment(seed, roster, params)
    settling = () if auditor == target else _settling(assignment, params, target, auditor)
    return Placement(
        target=shown,
        candidates=tuple(_shown(roster, member) for member in settling),
        auditor=auditor,
        is_assigned=auditor in assignment.auditors(target),
    )


def _settling(
    assignment: Assignment, params: Params, target: NodeId, auditor: NodeId
) -> Iterator[Member]:
    """Yield the candidates up to the one after which no other changes the answer."""
    chosen = assignment.auditors(target)
    last = {auditor, *chosen[params.k_aud - 1 :]}
    for candidate in assignment.candidates(target):
        yield candidate
        if candidate.node in last:
            return


def _shown(roster: Roster, member: Member) -> Membership:
    leaf = roster.leaf(member)
    return Membership(leaf=leaf, proof=roster.tree.proof(leaf))
