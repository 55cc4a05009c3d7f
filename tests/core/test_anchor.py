"""Closing an epoch is one function of its included batches; the council signs what it gives."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial

import msgspec
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core import bls
from stkrp2p.core.anchor import (
    DECIDED_PARTS,
    VOID_PARTS,
    ClosedEpoch,
    Header,
    Proposal,
    SealedAnchor,
    anchor_message,
    by_member,
    check_proposal,
    close_epoch,
    differences,
    evidence_leaf,
    fold_scores,
    gaps_of,
    is_sealed_by_council,
    is_void,
    members_in,
    observed,
    owed,
    proposal_of,
    sightings,
)
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.crypto import sha256
from stkrp2p.core.evidence import Evidence
from stkrp2p.core.merkle import EMPTY_ROOT, Tree, is_proved, keccak256, words
from stkrp2p.core.network import Genesis
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.score import Score, State, fold, newcomer
from stkrp2p.core.types import Digest, Epoch, NodeId, Outcome, ProtocolError, Round, UnixMs
from stkrp2p.core.verdict import Verdict, verdicts
from stkrp2p.core.wire import encode
from tests.core.strategies import batch_of, roster_of_size, view_of

COUNCIL = 12_345
GENESIS = Genesis(
    name="test",
    params=MINIMAL,
    beacon=Beacon(public_key=bls.public_key_of(7), genesis_ms=UnixMs(0), period_ms=1_000),
    first_round=Round(101),
    chain_id=31337,
    registry=bytes(20),
    anchor=b"\1" * 20,
    council=bytes(20),
    council_key=bls.public_key_of(COUNCIL),
)

Included = Mapping[NodeId, Batch]
Scores = dict[tuple[NodeId, int], Score]


@cache
def view(epoch: int = 3, full: int = 7, light: int = 2) -> EpochView:
    return view_of(roster_of_size(full, light), epoch=Epoch(epoch))


@cache
def pool() -> tuple[tuple[Batch, ...], ...]:
    """Return three batches of each member that see the same things differently."""

    def sees(salt: int, target: NodeId, position: int) -> Outcome:
        return Outcome((target[salt] + position * (salt + 1)) % len(Outcome))

    return tuple(
        tuple(batch_of(view(), m.node, sees=partial(sees, salt), salt=salt) for salt in range(3))
        for m in view().roster.members
    )


includeds = st.lists(st.none() | st.integers(0, 2), min_size=9, max_size=9).map(
    lambda picks: {
        b.auditor: b
        for batches, p in zip(pool(), picks, strict=True)
        if p is not None
        for b in [batches[p]]
    }
)


def everybody(epoch_view: EpochView, down: frozenset[NodeId] = frozenset()) -> dict[NodeId, Batch]:
    """Return a batch of every member, those in `down` unreachable."""

    def sees(target: NodeId, _: int) -> Outcome:
        return Outcome.UNREACHABLE if target in down else Outcome.OK

    members = epoch_view.roster.members
    return {m.node: batch_of(epoch_view, m.node, sees=sees) for m in members}


def seen_by(included: Included, auditor: NodeId, target: NodeId) -> bytes:
    """Look up an auditor's outcomes the slow way."""
    if auditor not in included:
        return bytes(len(view().drawn[target]))
    return next(r.outcomes for r in included[auditor].body.rows if r.target == target)


@given(includeds)
def test_what_is_observed_is_what_each_auditor_saw_of_each_target(included: Included) -> None:
    seen = observed(view(), included)
    assert seen.verdicts.keys() == {m.node for m in view().roster.full}
    for target, found in seen.verdicts.items():
        auditors = view().assignment.auditors(target)
        expected = verdicts(
            [seen_by(included, a, target) for a in auditors],
            rounds=len(view().drawn[target]),
            assigned=len(auditors),
        )
        assert found == expected
    for auditor, batch in included.items():
        assert seen.delivered[auditor] == sum(
            outcome != Outcome.NOT_PROBED and number not in seen.gaps
            for row in batch.body.rows
            for number, outcome in zip(view().drawn[NodeId(row.target)], row.outcomes, strict=True)
        )


def test_a_round_of_which_nothing_is_decided_is_a_gap_that_no_auditor_owes() -> None:
    target = view().roster.full[0].node
    gap = view().drawn[target][0]
    included = unseen(frozenset({gap}))
    seen = observed(view(), included)
    assert seen.gaps == {gap}
    auditor = view().assignment.auditors(target)[0]
    in_the_gap = sum(gap in view().drawn[t] for t in view().duty(auditor).targets)
    assert in_the_gap
    assert owed(view(), auditor, seen.gaps) == view().duty(auditor).owed - in_the_gap
    assert owed(view(), auditor, frozenset()) == view().duty(auditor).owed


def test_a_round_is_no_gap_if_anything_is_decided_about_anybody() -> None:
    drawn = view().drawn
    rounds = frozenset(r for mine in drawn.values() for r in mine)
    nothing = {node: bytes(len(mine)) for node, mine in drawn.items()}
    assert gaps_of(view(), nothing) == rounds
    node = view().roster.full[0].node
    first = bytes([Verdict.UP, *bytes(len(drawn[node]) - 1)])
    assert gaps_of(view(), {**nothing, node: first}) == rounds - {drawn[node][0]}


def test_a_gap_of_less_than_half_an_epoch_costs_nobody_uptime_or_duty() -> None:
    rounds = sorted({r for mine in view().drawn.values() for r in mine})
    for lost in range(1, len(rounds) // 2):
        seen = observed(view(), unseen(frozenset(rounds[:lost])))
        scores, _ = fold_scores(view(), seen, {})
        assert not is_void(seen.verdicts)
        assert {s.duty_ppm for s in scores if s.duty_n} == {1_000_000}
        assert {s.uptime_ppm for s in scores if s.n} == {1_000_000}


def test_what_one_auditor_saw_in_a_gap_is_neither_delivered_nor_owed() -> None:
    target = view().roster.full[0].node
    gap = view().drawn[target][0]
    auditor = view().assignment.auditors(target)[0]
    included = {**unseen(frozenset({gap})), auditor: everybody(view())[auditor]}
    seen = observed(view(), included)
    assert gap in seen.gaps
    assert seen.delivered[auditor] == owed(view(), auditor, seen.gaps)


def unseen(gaps: frozenset[Round]) -> dict[NodeId, Batch]:
    """Return a batch of every member: all is up, but in the gaps nobody was asked."""

    def sees(target: NodeId, position: int) -> Outcome:
        is_gap = view().drawn[target][position] in gaps
        return Outcome.NOT_PROBED if is_gap else Outcome.OK

    return {m.node: batch_of(view(), m.node, sees=sees) for m in view().roster.members}


@given(includeds)
def test_an_evidence_leaf_holds_who_could_see_and_who_saw_what(included: Included) -> None:
    for target, saw in sightings(view(), included):
        auditors = view().assignment.auditors(target)
        assert saw == [seen_by(included, a, target) for a in auditors]
        member = view().roster.get(target)
        assert member is not None
        expected = words(
            target,
            member.nonce,
            len(auditors),
            len(view().drawn[target]),
            keccak256(b"".join(auditors)),
            keccak256(b"".join(saw)),
        )
        assert evidence_leaf(view(), target, saw) == expected


@given(includeds)
def test_every_member_is_folded_from_its_verdicts_and_its_duty(included: Included) -> None:
    seen = observed(view(), included)
    scores, median = fold_scores(view(), seen, {})
    if is_void(seen.verdicts):
        assert scores == [newcomer(m) for m in view().roster.members]
        return
    for member, found in zip(view().roster.members, scores, strict=True):
        duty = owed(view(), member.node, seen.gaps)
        mine = seen.verdicts.get(member.node, b"")
        plain = fold(newcomer(member), mine, seen.delivered.get(member.node, 0), duty, MINIMAL)
        state = {"state": found.state, "state_until": found.state_until}
        assert found == msgspec.structs.replace(plain, **state)
    uptimes = sorted(s.uptime_ppm for s in scores if s.n)
    assert median == (uptimes[(len(uptimes) - 1) // 2] if uptimes else 0)


def closed(included: Included, tainted: frozenset[NodeId] = frozenset()) -> ClosedEpoch:
    return close_epoch(view(), included, tainted, {})


@given(includeds)
def test_the_header_binds_roster_proposal_evidence_and_scores(included: Included) -> None:
    end = closed(included)
    assert end.header == Header(
        epoch=view().epoch,
        roster_root=view().roster.root,
        proposal_hash=sha256(encode(end.proposal)),
        evidence_root=Tree(end.evidence.values()).root,
        score_root=end.score_tree().root,
        median_ppm=end.header.median_ppm,
        is_void=is_void(end.verdicts),
    )
    assert tuple(s.node for s in end.scores) == tuple(m.node for m in view().roster.members)


@given(includeds, st.data())
def test_the_order_in_which_batches_are_included_does_not_matter(
    included: Included, data: st.DataObject
) -> None:
    items = data.draw(st.permutations(list(included.items())))
    assert closed(dict(items)).header == closed(included).header


def test_every_score_and_every_target_is_proved_against_the_header() -> None:
    end = closed(everybody(view()))
    tree, evidence = end.score_tree(), Tree(end.evidence.values())
    for score in end.scores:
        assert is_proved(Digest(end.header.score_root), score.leaf(), tree.proof(score.leaf()))
    for leaf in end.evidence.values():
        assert is_proved(Digest(end.header.evidence_root), leaf, evidence.proof(leaf))


def test_a_void_epoch_moves_nobody() -> None:
    before = by_member(closed(everybody(view())).scores)
    later = view(4)
    victims = frozenset(m.node for m in later.roster.full[:4])
    end = close_epoch(later, everybody(later, victims), frozenset(), before)
    assert end.header.is_void
    assert by_member(end.scores) == before
    assert end.header.median_ppm == closed(everybody(view())).header.median_ppm


def test_an_epoch_is_void_only_when_more_than_a_third_of_what_was_decided_is_down() -> None:
    up, down = NodeId(b"u" * 32), NodeId(b"d" * 32)
    assert VOID_PARTS == 3
    assert not is_void({})
    assert not is_void({up: b"\1\1\0\0", down: b"\2"})
    assert is_void({up: b"\1\1\0\0", down: b"\2\2"})


def test_an_epoch_is_void_when_fewer_than_half_of_its_observations_are_decided() -> None:
    up, down = NodeId(b"u" * 32), NodeId(b"d" * 32)
    assert DECIDED_PARTS == 2
    assert is_void({up: b"\0" * 9})
    assert is_void({up: b"\1\1\0\0", down: b"\0"})
    assert not is_void({up: b"\1\1\0\0"})


def test_an_epoch_without_batches_decides_nothing_and_costs_nobody_anything() -> None:
    end = closed({})
    assert end.header.is_void
    assert all(not any(v) for v in end.verdicts.values())
    assert all(score == Score(node=score.node, nonce=score.nonce) for score in end.scores)


def test_an_auditor_whose_batch_is_left_out_is_charged_all_that_it_owed() -> None:
    batches = everybody(view())
    late = min(batches)
    end = closed({auditor: batch for auditor, batch in batches.items() if auditor != late})
    score = next(s for s in end.scores if s.node == late)
    assert not end.header.is_void
    assert (score.duty_s, score.duty_n) == (0, sum(view().duty(late).counts) << 16)


def test_a_dead_member_loses_alone_and_goes_through_probation_to_suspension() -> None:
    before: Scores = {}
    states, dead = [], view(0).roster.full[2].node
    end = close_epoch(view(0), {}, frozenset(), before)
    for epoch in range(9):
        now = view(epoch)
        end = close_epoch(now, everybody(now, frozenset({dead})), frozenset(), before)
        before = by_member(end.scores)
        states.append({NodeId(s.node): State(s.state) for s in end.scores})
    assert "".join(s.pop(dead).name[0] for s in states) == "PPPSSSSSP"
    assert set(states[-1].values()) == {State.ACTIVE}
    fulls = {m.node for m in view(0).roster.full} - {dead}
    assert all(s.uptime_ppm == 1_000_000 for s in end.scores if s.node in fulls)


def test_a_member_that_registers_anew_starts_anew() -> None:
    before = by_member(closed(everybody(view())).scores)
    node, nonce = next(iter(before))
    moved = {(n, k + (n == node)): s for (n, k), s in before.items()}
    later = view(4)
    end = close_epoch(later, everybody(later), frozenset(), moved)
    assert {s.node for s in end.scores if s.age_epochs == 1} == {node}
    assert nonce == before[node, nonce].nonce


def test_an_epoch_without_members_has_empty_roots() -> None:
    nobody = view_of(roster_of_size(0))
    end = close_epoch(nobody, {}, frozenset(), {})
    roots = {end.header.roster_root, end.header.evidence_root, end.header.score_root}
    assert roots == {EMPTY_ROOT}
    assert end.proposal.included == b""


@given(includeds)
def test_a_proposal_names_its_batches_and_nobody_else(included: Included) -> None:
    outside = [m.node for m in view().roster.members if m.node not in included]
    tainted = frozenset(outside[:2])
    proposal = proposal_of(view(), included, tainted)
    assert set(members_in(view(), proposal.included)) == set(included)
    assert set(members_in(view(), proposal.tainted)) == tainted
    check_proposal(proposal, view(), included)


def proposal_with(**fields: object) -> Proposal:
    plain = proposal_of(view(), everybody(view()), frozenset())
    return msgspec.structs.replace(plain, **fields)


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("unknown-version: 2", {"version": 2}),
        ("foreign-network", {"network": bytes(32)}),
        ("other-epoch: 4", {"epoch": 4}),
        ("other-seed", {"seed": bytes(32)}),
        ("bad-bitmap", {"included": b""}),
        ("bad-bitmap", {"included": b"\xff\xff"}),
        ("bad-bitmap", {"tainted": bytes(3)}),
        ("bad-bitmap: tainted and included", {"tainted": b"\x01\x00"}),
        ("other-batches", {"included": b"\xfe\x01"}),
        ("other-batches", {"ids_digest": bytes(32)}),
    ],
)
def test_a_wrong_proposal_is_refused(reason: str, fields: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match=rf"^{reason}$"):
        check_proposal(proposal_with(**fields), view(), everybody(view()))


def test_a_proposal_of_other_batches_of_the_same_members_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"^other-batches$"):
        check_proposal(proposal_with(), view(), {b[0].auditor: b[0] for b in pool()})


def sealed(secret: int = COUNCIL) -> SealedAnchor:
    end = closed(everybody(view()))
    signature = bls.sign(secret, anchor_message(GENESIS, end.header, 0), bls.ANCHOR_DST)
    return SealedAnchor(header=end.header, proposal=end.proposal, voids=0, signature=signature)


def test_an_anchor_signed_by_the_council_proves_itself() -> None:
    assert is_sealed_by_council(GENESIS, sealed())


def test_an_anchor_signed_by_another_or_for_another_contract_is_refused() -> None:
    assert not is_sealed_by_council(GENESIS, sealed(secret=COUNCIL + 1))
    assert not is_sealed_by_council(replace(GENESIS, chain_id=1), sealed())
    assert not is_sealed_by_council(replace(GENESIS, anchor=bytes(20)), sealed())


def test_an_anchor_with_another_header_proposal_or_number_of_voids_is_refused() -> None:
    change = msgspec.structs.replace
    assert is_sealed_by_council(GENESIS, sealed())
    assert not is_sealed_by_council(GENESIS, change(sealed(), voids=sealed().voids + 1))
    header = change(sealed().header, median_ppm=1)
    assert not is_sealed_by_council(GENESIS, change(sealed(), header=header))
    proposal = change(sealed().proposal, included=bytes(2))
    assert not is_sealed_by_council(GENESIS, change(sealed(), proposal=proposal))


def test_a_round_of_the_beacon_never_passes_for_an_anchor() -> None:
    end = closed(everybody(view()))
    signature = bls.sign(COUNCIL, anchor_message(GENESIS, end.header, 0), bls.ROUND_DST)
    forged = SealedAnchor(header=end.header, proposal=end.proposal, voids=0, signature=signature)
    assert not is_sealed_by_council(GENESIS, forged)


def test_a_header_hash_is_that_of_its_abi_encoding() -> None:
    header = closed(everybody(view())).header
    encoded = (
        header.epoch.to_bytes(32, "big")
        + header.roster_root
        + header.proposal_hash
        + header.evidence_root
        + header.score_root
        + header.median_ppm.to_bytes(32, "big")
        + bytes(31)
        + bytes([header.is_void])
    )
    assert header.hash() == keccak256(encoded)


@pytest.mark.parametrize("name", Header.__struct_fields__)
def test_a_header_differs_in_the_fields_that_differ(name: str) -> None:
    header = closed(everybody(view())).header
    value = getattr(header, name)
    other = not value if isinstance(value, bool) else value + 1 if isinstance(value, int) else b""
    assert differences(header, msgspec.structs.replace(header, **{name: other})) == (name,)
    assert differences(header, header) == ()


FINGERPRINT_PROGRAM = "from tests.core.test_anchor import fingerprint; print(fingerprint())"


def fingerprint() -> str:
    """Return a hash over the bytes of two epochs: headers, roots, evidence, assignments."""
    before: Scores = {}
    digest = hashlib.sha256()
    for epoch in range(2):
        now = view(epoch)
        included = everybody(now, frozenset({now.roster.full[1].node}))
        cheat = now.roster.members[0].node
        evidence = Evidence([*included.values(), batch_of(now, cheat, salt=9)])
        tainted = evidence.equivocators()
        voices = {a: b for a, b in included.items() if a not in tainted}
        end = close_epoch(now, voices, tainted, before)
        before = by_member(end.scores)
        digest.update(encode(end.header) + end.header.hash() + encode(end.proposal))
        digest.update(now.roster.root + evidence.digest() + GENESIS.network_id)
        for node, targets in now.assignment.all_targets().items():
            digest.update(node + b"".join(targets))
    return digest.hexdigest()


@pytest.mark.parametrize("hash_seed", ["0", "1", "4294967295"])
def test_the_same_inputs_give_the_same_bytes_in_every_process_under_every_hash_seed(
    hash_seed: str,
) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FINGERPRINT_PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert result.stdout.strip() == fingerprint()
