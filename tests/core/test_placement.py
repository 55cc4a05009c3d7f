"""Proofs of who audits whom: complete, minimal, and made of members that the roster's root proves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from stkrp2p.core.assignment import Assignment
from stkrp2p.core.merkle import is_proved
from stkrp2p.core.params import MINIMAL, Params
from stkrp2p.core.placement import Placement, membership_of, placement_of
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import Digest, Kind
from tests.core.strategies import digests, node, randomness, roster_of_size, rosters

committees = st.sampled_from([1, 3, 5]).flatmap(
    lambda k: st.integers(k, 12).map(lambda c: replace(MINIMAL, k_aud=k, candidates=c))
)


def shown(roster: Roster, placement: Placement) -> list[Member]:
    """Return the members brought as candidates, found by their leaves."""
    leaves = {roster.leaf(m): m for m in roster.members}
    return [leaves[c.leaf] for c in placement.candidates]


def chosen_of(members: list[Member], target: Member, k_aud: int) -> list[Member]:
    """Return whom the operators' rule leaves of some candidates, at most `k_aud`."""
    used, chosen = {target.operator}, []
    for member in members:
        if member.operator not in used and len(chosen) < k_aud:
            used.add(member.operator)
            chosen.append(member)
    return chosen


@settings(max_examples=30)
@given(digests, rosters(operators_max=8, size_max=12), committees)
def test_a_placement_says_what_the_assignment_says_and_shows_why(
    seed: Digest, roster: Roster, params: Params
) -> None:
    assignment = Assignment(seed, roster, params)
    for target in roster.members:
        for auditor in roster.members:
            placement = placement_of(seed, roster, params, target=target.node, auditor=auditor.node)
            is_auditor = auditor.node in assignment.auditors(target.node)
            chosen = chosen_of(shown(roster, placement), target, params.k_aud)
            assert placement.is_assigned == (auditor in chosen) == is_auditor


@settings(max_examples=30)
@given(digests, rosters(operators_max=8, size_max=12), committees)
def test_a_placement_brings_the_nearest_candidates_and_none_after_the_one_that_settles_it(
    seed: Digest, roster: Roster, params: Params
) -> None:
    assignment = Assignment(seed, roster, params)
    for target in roster.full:
        behind = list(assignment.candidates(target.node))
        for auditor in (*(m.node for m in roster.members if m != target), node(4_000)):
            placement = placement_of(seed, roster, params, target=target.node, auditor=auditor)
            brought = shown(roster, placement)
            count = len(brought)
            assert brought == behind[:count]
            settled = [
                len(chosen_of(behind[:n], target, params.k_aud)) == params.k_aud
                or auditor in {m.node for m in behind[:n]}
                or n == len(behind)
                for n in range(count + 1)
            ]
            assert settled == [False] * count + [True]


@given(digests, rosters(size_max=20))
def test_every_member_shown_is_proved_by_the_rosters_root(seed: Digest, roster: Roster) -> None:
    target = roster.members[0].node
    placement = placement_of(seed, roster, MINIMAL, target=target, auditor=node(4_000))
    for one in (placement.target, *placement.candidates):
        assert is_proved(roster.root, one.leaf, one.proof)


@given(digests, rosters(size_max=20))
def test_for_itself_and_for_a_light_target_nobody_is_shown(seed: Digest, roster: Roster) -> None:
    for member in roster.members:
        itself = placement_of(seed, roster, MINIMAL, target=member.node, auditor=member.node)
        assert (itself.candidates, itself.is_assigned) == ((), False)
    for light in roster.light:
        other = placement_of(seed, roster, MINIMAL, target=light.node, auditor=node(4_000))
        assert (other.candidates, other.is_assigned) == ((), False)


def test_candidates_are_full_and_light_members_behind_the_target() -> None:
    roster = roster_of_size(4, 4)
    assignment = Assignment(randomness(1), roster, MINIMAL)
    behind = list(assignment.candidates(roster.full[0].node))
    assert len(behind) == MINIMAL.candidates
    assert {m.kind for m in behind} == {Kind.FULL, Kind.LIGHT}
    assert list(assignment.candidates(roster.light[0].node)) == []
    assert list(assignment.candidates(node(4_000))) == []


def test_who_is_no_member_has_no_proof_and_is_no_target() -> None:
    roster = roster_of_size(4)
    stranger = node(99)
    for ask in (
        lambda: membership_of(roster, stranger),
        lambda: placement_of(
            randomness(1), roster, MINIMAL, target=stranger, auditor=roster.members[0].node
        ),
    ):
        with pytest.raises(ValueError, match=f"^{stranger.hex()} is not in the roster$"):
            ask()
