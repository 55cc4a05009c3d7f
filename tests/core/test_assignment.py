"""Who audits whom: everybody has k auditors, everybody has its share, nobody audits its own."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings, strategies as st

from stkrp2p.core.assignment import (
    SHUFFLE_ROUNDS,
    Assignment,
    Circle,
    Shuffle,
    draw_of,
    drawn_of,
    seed_of,
)
from stkrp2p.core.crypto import sha256
from stkrp2p.core.params import MAINNET, MINIMAL, Params
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import ONE_PPM, Digest, Epoch, Kind, NodeId, Ppm
from tests.core.strategies import (
    NETWORK,
    digests,
    node,
    operator,
    randomness,
    roster_of_size,
    rosters,
)

committees = st.sampled_from([1, 3, 5, 9]).flatmap(
    lambda k: st.integers(k, 12).map(lambda c: replace(MINIMAL, k_aud=k, candidates=c))
)


def compute_shuffled_index(index: int, index_count: int, seed: bytes) -> int:
    """Return what Ethereum's consensus specification says, written as it says it."""
    for current_round in range(SHUFFLE_ROUNDS):
        round_byte = current_round.to_bytes(1, "little")
        pivot = int.from_bytes(hashlib.sha256(seed + round_byte).digest()[0:8], "little")
        flip = (pivot % index_count + index_count - index) % index_count
        position = max(index, flip)
        block = (position // 256).to_bytes(4, "little")
        source = hashlib.sha256(seed + round_byte + block).digest()
        byte = source[(position % 256) // 8]
        bit = (byte >> (position % 8)) % 2
        index = flip if bit else index
    return index


@settings(max_examples=30)
@given(digests, st.integers(1, 700), st.data())
def test_the_shuffle_is_ethereums(seed: Digest, size: int, data: st.DataObject) -> None:
    shuffle = Shuffle(seed, size)
    for index in data.draw(st.lists(st.integers(0, size - 1), max_size=20)):
        assert shuffle.forward(index) == compute_shuffled_index(index, size, seed)


@settings(max_examples=30)
@given(digests, st.integers(1, 300))
def test_the_shuffle_is_a_permutation_that_goes_both_ways(seed: Digest, size: int) -> None:
    shuffle = Shuffle(seed, size)
    places = [shuffle.forward(i) for i in range(size)]
    assert sorted(places) == list(range(size))
    assert [shuffle.inverse(p) for p in places] == list(range(size))


@settings(max_examples=50)
@given(digests, st.integers(0, 60), st.integers(0, 60))
def test_everybody_has_a_place_of_its_own_on_the_circle(
    seed: Digest, full: int, light: int
) -> None:
    circle = Circle(seed, full, light)
    fulls = [circle.place_of_full(i) for i in range(full)]
    lights = [circle.place_of_light(i) for i in range(light)]
    assert sorted(fulls + lights) == list(range(full + light))
    assert [circle.at(p) for p in fulls] == [(True, i) for i in range(full)]
    assert [circle.at(p) for p in lights] == [(False, i) for i in range(light)]
    assert sorted(fulls) == [j * (full + light) // full for j in range(full)]


def naive_auditors(seed: Digest, roster: Roster, params: Params) -> dict[NodeId, list[NodeId]]:
    """Return every target's auditors from the whole circle, as the module's text says."""
    full_seed, light_seed = (
        sha256(tag, seed) for tag in (b"stkr/circle-full/1", b"stkr/circle-light/1")
    )
    n, m = len(roster), len(roster.full)
    circle: list[Member | None] = [None] * n
    for i, one in enumerate(roster.full):
        circle[compute_shuffled_index(i, m, full_seed) * n // m] = one
    free = [p for p in range(n) if circle[p] is None]
    for i, one in enumerate(roster.light):
        circle[free[compute_shuffled_index(i, n - m, light_seed)]] = one
    standing = [one for one in circle if one is not None]
    window = min(params.candidates, n - 1)
    turn_bytes = sha256(b"stkr/circle-turn/1", seed)[:8]
    turn = int.from_bytes(turn_bytes, "big") % (n - window)
    found = {}
    for place, target in enumerate(standing):
        if target.kind is Kind.FULL:
            chosen: list[Member] = []
            for d in range(1, window + 1):
                candidate = standing[(place - turn - d) % n]
                used = {target.operator, *(c.operator for c in chosen)}
                if candidate.operator not in used and len(chosen) < params.k_aud:
                    chosen.append(candidate)
            found[target.node] = [c.node for c in chosen]
    return found


@given(digests, rosters(operators_max=12), committees)
def test_the_assignment_is_what_the_whole_circle_says(
    seed: Digest, roster: Roster, params: Params
) -> None:
    expected = naive_auditors(seed, roster, params)
    assignment = Assignment(seed, roster, params)
    for one in roster.members:
        assert list(assignment.auditors(one.node)) == expected.get(one.node, [])


@given(digests, rosters(operators_max=12), committees)
def test_a_members_targets_are_those_it_is_an_auditor_of(
    seed: Digest, roster: Roster, params: Params
) -> None:
    columns = Assignment(seed, roster, params)
    together = Assignment(seed, roster, params).all_targets()
    for one in roster.members:
        mine = tuple(t.node for t in roster.full if one.node in columns.auditors(t.node))
        assert Assignment(seed, roster, params).targets(one.node) == mine
        assert together[one.node] == mine


@given(digests, rosters(operators_max=6), committees)
def test_nobody_audits_itself_its_operators_nodes_or_beside_its_operators_nodes(
    seed: Digest, roster: Roster, params: Params
) -> None:
    assignment = Assignment(seed, roster, params)
    for target in roster.full:
        members = [roster.get(a) for a in assignment.auditors(target.node)]
        operators = [m.operator for m in members if m]
        assert len(operators) == len(members) <= params.k_aud
        assert target.operator not in operators
        assert len(set(operators)) == len(operators)


@given(digests, st.integers(1, 60), st.integers(0, 30), committees)
def test_exactly_k_in_and_a_fair_share_out_where_no_operator_rule_strikes(
    seed: Digest, full: int, light: int, params: Params
) -> None:
    size = full + light
    assume(size > params.k_aud)
    roster = roster_of_size(full, light)
    rows = Assignment(seed, roster, params).all_targets()
    incoming = Counter(t for targets in rows.values() for t in targets)
    assert incoming == dict.fromkeys((m.node for m in roster.full), params.k_aud)
    share = params.k_aud * full
    assert {len(targets) for targets in rows.values()} <= {share // size, -(-share // size)}


@given(digests, st.integers(4, 60), committees)
def test_with_a_node_at_every_sidecar_everybody_audits_exactly_k(
    seed: Digest, full: int, params: Params
) -> None:
    assume(full > params.k_aud)
    rows = Assignment(seed, roster_of_size(full), params).all_targets()
    assert {len(targets) for targets in rows.values()} == {params.k_aud}


def test_an_auditors_targets_are_never_more_than_the_candidates() -> None:
    crowded = Roster(
        tuple(
            replace(m, operator=operator(i % 2)) for i, m in enumerate(roster_of_size(60).members)
        )
    )
    for number in range(20):
        rows = Assignment(randomness(number), crowded, MAINNET).all_targets()
        assert max(map(len, rows.values())) <= MAINNET.candidates


def test_a_member_alone_audits_nobody() -> None:
    roster = roster_of_size(1)
    assignment = Assignment(randomness(1), roster, MINIMAL)
    assert assignment.targets(roster.members[0].node) == ()
    assert assignment.auditors(roster.members[0].node) == ()


def test_who_is_no_member_audits_nobody_and_is_not_audited() -> None:
    assignment = Assignment(randomness(1), roster_of_size(9), MINIMAL)
    assert assignment.targets(node(99)) == ()
    assert assignment.auditors(node(99)) == ()


def test_light_members_are_not_audited_but_audit() -> None:
    roster = roster_of_size(6, 6)
    rows = Assignment(randomness(1), roster, MINIMAL).all_targets()
    lights = {m.node for m in roster.light}
    assert not lights & {t for targets in rows.values() for t in targets}
    assert all(rows[n] for n in lights)


def test_a_roster_of_light_members_has_nobody_to_audit() -> None:
    roster = roster_of_size(0, 5)
    rows = Assignment(randomness(1), roster, MINIMAL).all_targets()
    assert set(rows.values()) == {()}
    assert Assignment(randomness(1), roster, MINIMAL).targets(roster.members[0].node) == ()


def test_another_seed_gives_another_assignment() -> None:
    roster = roster_of_size(40)
    rows = [Assignment(randomness(i), roster, MINIMAL).all_targets() for i in range(5)]
    assert len({tuple(sorted(r.items())) for r in rows}) == 5


def test_a_seed_binds_network_epoch_randomness_and_roster() -> None:
    first, second = randomness(1), randomness(2)
    seeds = {
        seed_of(NETWORK, Epoch(1), first, second),
        seed_of(NETWORK, Epoch(2), first, second),
        seed_of(NETWORK, Epoch(1), second, second),
        seed_of(NETWORK, Epoch(1), first, first),
    }
    assert len(seeds) == 4


@given(digests, st.integers(0, ONE_PPM).map(Ppm))
def test_a_target_is_drawn_as_its_hash_says(value: Digest, draw_ppm: Ppm) -> None:
    targets = [node(i) for i in range(30)]
    expected = [
        t
        for t in targets
        if int.from_bytes(sha256(b"stkr/draw/1", value, t)[:4], "big") * 10**6 < draw_ppm << 32
    ]
    assert drawn_of(targets, value, draw_ppm) == expected
    is_drawn = draw_of(value, draw_ppm)
    assert [t for t in targets if is_drawn(t)] == expected


def test_a_draw_of_nothing_takes_nobody_and_one_of_all_takes_everybody() -> None:
    targets = [node(i) for i in range(30)]
    assert drawn_of(targets, randomness(1), Ppm(0)) == []
    assert drawn_of(targets, randomness(1), ONE_PPM) == targets


@pytest.mark.parametrize("first_bytes", [b"\0\0\0\0", b"\x80\0\0\0", b"\xff\xff\xff\xff"])
def test_a_hash_just_at_the_share_is_not_drawn(
    first_bytes: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Fixed:
        """A hash with chosen first bytes, zeros after them."""

        def copy(self) -> Fixed:
            return self

        def update(self, _: bytes) -> None:
            pass

        def digest(self) -> bytes:
            return first_bytes + bytes(28)

    monkeypatch.setattr("stkrp2p.core.assignment.hashlib.sha256", lambda _: Fixed())
    for draw_ppm in (0, 1, 499_999, 500_000, 500_001, 999_999, 1_000_000):
        is_drawn = int.from_bytes(first_bytes, "big") * 10**6 < draw_ppm << 32
        assert drawn_of([node(0)], randomness(1), Ppm(draw_ppm)) == [node(0)] * is_drawn
