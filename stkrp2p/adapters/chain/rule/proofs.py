"""Anchored scores and members as the contracts of rule and market take them."""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.adapters.chain.challenges import header_fields
from stkrp2p.core.anchor import Header
from stkrp2p.core.merkle import words_in
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.score import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedScore:
    """A score in an anchored epoch, and what proves it (`core.merkle.Tree.proof`)."""

    header: Header
    score: Score
    proof: tuple[bytes, ...]
    """Siblings from the leaf upwards, 32 bytes each."""

    def fields(self) -> tuple[object, ...]:
        """Return it as contracts take it."""
        return _fields(self.header, self.score.leaf(), self.proof)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedMember:
    """A member of an anchored epoch."""

    header: Header
    roster: Roster
    """The epoch's whole roster: the proof is made from it."""

    member: Member

    def fields(self) -> tuple[object, ...]:
        """Return it as contracts take it."""
        leaf = self.roster.leaf(self.member)
        return _fields(self.header, leaf, tuple(self.roster.tree.proof(leaf)))


def _fields(header: Header, leaf: bytes, proof: tuple[bytes, ...]) -> tuple[object, ...]:
    return (header_fields(header), words_in(leaf), list(proof))
