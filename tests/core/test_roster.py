"""The roster of an epoch is what the registry says, less what was never claimed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, strategies as st

from stkrp2p.core import merkle
from stkrp2p.core.roster import (
    NO_PROFILE,
    PROFILE_BYTES_MAX,
    Member,
    Profile,
    Registration,
    Roster,
    is_claimed,
    read_profile,
    roster_of,
    sign_claim,
)
from stkrp2p.core.types import Epoch, Kind, NetworkId, NodeId
from stkrp2p.core.wire import encode
from tests.core.strategies import (
    NETWORK,
    member,
    node,
    operator,
    roster_from,
    roster_of_size,
    rosters,
    secret,
)


def registration(
    number: int, *, of: int | None = None, by: int | None = None, nonce: int = 0, first: int = 0
) -> Registration:
    """Return registration `number` of node `of` by operator `by`, with a true claim."""
    of, by = number if of is None else of, number if by is None else by
    return Registration(
        index=number,
        node=node(of),
        operator=operator(by),
        nonce=nonce,
        kind=Kind.FULL,
        stakes=((Epoch(first), 100),),
        claim=sign_claim(secret(of), NETWORK, operator(by), node(of), nonce),
    )


def members_at(epoch: int, *registry: Registration) -> list[NodeId]:
    return [m.node for m in roster_of(NETWORK, Epoch(epoch), registry).members]


def test_a_registration_holds_from_its_first_epoch_until_it_exits() -> None:
    alice = replace(registration(1, first=3), exit_epoch=Epoch(5))
    held = [epoch for epoch in range(8) if members_at(epoch, alice)]
    assert held == [3, 4]


def test_a_registration_without_exit_holds_on() -> None:
    assert members_at(10**9, registration(1, first=3)) == [node(1)]


@pytest.mark.parametrize(
    "change",
    [
        {"claim": bytes(64)},
        {"claim": b""},
        {"operator": operator(2)},
        {"node": node(2)},
        {"nonce": 1},
    ],
)
def test_a_member_whose_claim_is_false_is_left_out(change: dict[str, object]) -> None:
    stolen = replace(registration(1), **change)  # type: ignore[arg-type]
    assert not is_claimed(NETWORK, stolen)
    assert members_at(0, stolen, registration(3)) == [node(3)]


def test_a_claim_for_another_network_is_false() -> None:
    assert is_claimed(NETWORK, registration(1))
    assert not is_claimed(NetworkId(bytes(32)), registration(1))


def test_of_two_valid_registrations_of_one_node_the_earlier_counts() -> None:
    first, second = registration(4, of=1, by=7), registration(5, of=1, by=8, nonce=2)
    roster = roster_of(NETWORK, Epoch(0), [second, first])
    assert [m.operator for m in roster.members] == [operator(7)]
    without = roster_of(NETWORK, Epoch(0), [second, replace(first, exit_epoch=Epoch(0))])
    assert [(m.operator, m.nonce) for m in without.members] == [(operator(8), 2)]


def test_nobody_can_take_anothers_place_with_a_false_claim() -> None:
    mallory = replace(registration(1, of=1, by=66), index=0, claim=bytes(64))
    roster = roster_of(NETWORK, Epoch(0), [mallory, replace(registration(1), index=1)])
    assert [m.operator for m in roster.members] == [operator(1)]


@given(st.permutations(range(6)))
def test_the_order_in_which_the_registry_is_read_does_not_matter(order: list[int]) -> None:
    registry = [registration(i, of=i // 2, by=i) for i in range(6)]
    expected = roster_of(NETWORK, Epoch(0), registry)
    assert roster_of(NETWORK, Epoch(0), [registry[i] for i in order]).root == expected.root


def test_the_stake_of_an_epoch_is_the_latest_that_holds_in_it() -> None:
    stakes = ((Epoch(3), 100), (Epoch(5), 70), (Epoch(9), 200))
    alice = replace(registration(1), stakes=stakes)
    assert [alice.stake_at(Epoch(e)) for e in (2, 3, 4, 5, 8, 9, 50)] == [
        *(0, 100, 100, 70, 70, 200, 200)
    ]
    assert alice.first_epoch == 3
    assert roster_of(NETWORK, Epoch(6), [alice]).members[0].stake == 70


@given(rosters())
def test_members_are_found_by_node_and_by_kind(roster: Roster) -> None:
    assert len(roster) == len(roster.full) + len(roster.light)
    for i, one in enumerate(roster.members):
        assert roster.get(one.node) == one
        assert roster.index[one.node] == i
        group = roster.full if one.kind is Kind.FULL else roster.light
        assert group[roster.rank[one.node]] == one
    assert roster.get(node(999)) is None


def test_members_out_of_order_or_twice_are_refused() -> None:
    first, second = sorted([member(1), member(2)])
    for members in ((second, first), (first, first)):
        with pytest.raises(ValueError, match=r"^members must be sorted by node id, each once$"):
            Roster(members)


def test_the_root_binds_every_word_of_every_member() -> None:
    plain = roster_of_size(3)
    one = plain.members[1]
    changes: list[Member] = [
        replace(one, nonce=one.nonce + 1),
        replace(one, operator=operator(99)),
        replace(one, kind=Kind.LIGHT),
        replace(one, stake=one.stake + 1),
    ]
    roots = {Roster((plain.members[0], m, plain.members[2])).root for m in (one, *changes)}
    assert len(roots) == 5
    assert roster_from([Kind.FULL] * 3).root == plain.root


@given(rosters(size_max=9))
def test_every_member_is_proved_by_its_leaf(roster: Roster) -> None:
    for one in roster.members:
        leaf = roster.leaf(one)
        assert len(leaf) == 8 * 32
        assert merkle.is_proved(roster.root, leaf, roster.tree.proof(leaf))


def test_a_profile_is_read_back() -> None:
    profile = Profile(version=1, workload="http:8080/health", addresses=("/ip4/10.0.0.1/tcp/1",))
    assert read_profile(replace(registration(1), profile=encode(profile))) == profile


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xc1",
        bytes(PROFILE_BYTES_MAX + 1),
        encode([1, "none", ["/a"] * 5]),
        encode([1, "w" * 129, []]),
        encode([1, "none", ["/" * 129]]),
    ],
)
def test_a_profile_that_is_not_readable_counts_as_none(raw: bytes) -> None:
    assert read_profile(replace(registration(1), profile=raw)) == NO_PROFILE
