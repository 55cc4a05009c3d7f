"""Who audits whom is proved on a real chain: as the core assigns, and nothing else."""

from __future__ import annotations

import random
from dataclasses import replace

import httpx
import pytest
import trio
from web3 import Web3

from stkrp2p.adapters.chain import Rejected
from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.assignment import (
    CONTRACT,
    SeedProof,
    is_assigned,
    is_candidate,
    network_of,
)
from stkrp2p.adapters.chain.endpoint import Endpoint, EndpointFailed
from stkrp2p.core import bls
from stkrp2p.core.assignment import Assignment
from stkrp2p.core.merkle import WORD_BYTES
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.placement import Membership, Placement, membership_of
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import Epoch, NodeId
from testnet.assignments import (
    Proved,
    deploy_assignments,
    made_up_roster,
)
from testnet.contracts import deploy_anchors, header_of, running_chain
from tests.contracts.conftest import refused

pytestmark = pytest.mark.chain

PAIRS = 1_000
ROSTERS = 12
STRANGER = NodeId(Web3.keccak(text="nobody's node"))


@pytest.fixture(scope="module")
def anchors(tmp_path_factory):
    with running_chain(tmp_path_factory.mktemp("anvil") / "anvil.log") as chain:
        yield deploy_anchors(chain, chain.now_s + 100)


@pytest.fixture
def fresh(anchors):
    """The anchors as they were deployed, whatever other tests have anchored."""
    provider = anchors.chain.web3.provider
    snapshot = provider.make_request("evm_snapshot", [])["result"]
    yield anchors
    provider.make_request("evm_revert", [snapshot])


@pytest.fixture
def proved(fresh) -> Proved:
    """An epoch of twelve full and five light members, of whom many share an operator."""
    return deploy_assignments(fresh, MINIMAL).prove(Epoch(0), made_up_roster(12, 5, 6))


def random_roster(dice: random.Random) -> Roster:
    full, light, operators = dice.randint(1, 30), dice.randint(0, 12), dice.randint(1, 25)
    members = made_up_roster(full, light, operators).members
    return Roster(tuple(replace(m, operator=dice.choice(members).operator) for m in members))


def random_pairs(proved: Proved, dice: random.Random, count: int) -> list[tuple[NodeId, NodeId]]:
    """Return (target, auditor): half of them assigned where somebody is, half anybody."""
    assignment = Assignment(proved.seed, proved.roster, proved.params)
    anybody = [*(m.node for m in proved.roster.members), STRANGER]
    pairs = []
    for _ in range(count):
        target = dice.choice(anybody[:-1])
        auditors = assignment.auditors(target) or anybody
        pairs.append((target, dice.choice(dice.choice([auditors, anybody]))))
    return pairs


def answers(proved: Proved, function: str, asked: list[tuple[object, ...]]) -> list[bool]:
    """Ask a function many times in one request: else it is the asking that takes the time."""
    abi = interface(CONTRACT)
    questions = [
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "eth_call",
            "params": [
                {
                    "to": proved.contract.address,
                    "data": f"0x{abi.call(function, *fields).hex()}",
                },
                "latest",
            ],
        }
        for number, fields in enumerate(asked)
    ]
    url = str(proved.contract.w3.provider.endpoint_uri)
    told = {a["id"]: a["result"] for a in httpx.post(url, json=questions, timeout=60).json()}
    return [abi.answer(function, bytes.fromhex(told[i][2:])) for i in range(len(asked))]


def test_a_thousand_pairs_are_told_as_the_core_assigns_them(fresh):
    dice, told = random.Random(20_261), []
    kinds = [
        deploy_assignments(fresh, params, is_mixed=is_mixed)
        for params in (MINIMAL, MAINNET)
        for is_mixed in (False, True)
    ]
    for number in range(ROSTERS):
        proved = kinds[number % len(kinds)].prove(Epoch(number), random_roster(dice))
        pairs = random_pairs(proved, dice, -(-PAIRS // ROSTERS))
        placements = [proved.placement(*pair) for pair in pairs]
        core = Assignment(proved.seed, proved.roster, proved.params)
        expected = [auditor in core.auditors(target) for target, auditor in pairs]
        assert [p.is_assigned for p in placements] == expected
        asked = [proved.assigned_fields(p) for p in placements]
        assert answers(proved, "isAssigned", asked) == expected
        told += expected
    assert len(told) >= PAIRS
    assert PAIRS // 5 < sum(told) < PAIRS * 4 // 5


def test_candidates_are_told_as_the_core_finds_them(fresh):
    dice = random.Random(7)
    kinds = [deploy_assignments(fresh, params) for params in (MINIMAL, MAINNET)]
    for number in range(2):
        proved = kinds[number].prove(Epoch(number), random_roster(dice))
        pairs = [p for p in random_pairs(proved, dice, 60) if STRANGER not in p]
        core = Assignment(proved.seed, proved.roster, proved.params)
        expected = [a in {m.node for m in core.candidates(t)} for t, a in pairs]
        asked = [proved.candidate_fields(*pair) for pair in pairs]
        assert answers(proved, "isCandidate", asked) == expected


def test_in_a_roster_too_large_to_keep_sources_for_pairs_are_told_too(fresh):
    proved = deploy_assignments(fresh, MAINNET).prove(Epoch(0), made_up_roster(6_000, 2_500, 40))
    pairs = random_pairs(proved, random.Random(3), 8)
    placements = [proved.placement(*pair) for pair in pairs]
    asked = [proved.assigned_fields(p) for p in placements]
    assert answers(proved, "isAssigned", asked) == [p.is_assigned for p in placements]


def test_the_core_and_the_contract_find_the_same_seeds_and_rounds(fresh):
    for is_mixed in (False, True):
        assignments = deploy_assignments(fresh, MINIMAL, is_mixed=is_mixed)
        genesis, of = assignments.genesis, assignments.contract.functions
        for epoch in (0, 1, 2, 3, 1_000_000):
            assert of.roundOf(epoch).call() == genesis.clock.first(Epoch(epoch))
            assert of.mixedRoundOf(epoch).call() == genesis.mixed_round(Epoch(epoch))


# Each test below spoils one thing of a right proof, or of what it is brought with.


def settled_late(proved: Proved) -> Placement:
    """Return a right proof with several candidates."""
    for target in proved.roster.full:
        placement = proved.placement(target.node, STRANGER)
        if 3 <= len(placement.candidates) < proved.params.candidates:
            return placement
    raise AssertionError("operators are shared, so some targets need more than k candidates")


def member_of(roster: Roster, shown: Membership) -> Member:
    return next(m for m in roster.members if roster.leaf(m) == shown.leaf)


def node_of(shown: Membership) -> bytes:
    return shown.leaf[:WORD_BYTES]


def place_of(proved: Proved, shown: Membership) -> int:
    """Return where a member stands."""
    circle = Assignment(proved.seed, proved.roster, proved.params)
    return circle._place_of(member_of(proved.roster, shown))


def test_a_candidate_in_the_wrong_place_is_refused(proved):
    right = settled_late(proved)
    first, second, *others = right.candidates
    spoiled = replace(right, candidates=(second, first, *others))
    places = (place_of(proved, second), place_of(proved, first))
    with refused(proved.contract, "WrongPlace", node_of(second), 1, *places):
        proved.assigned(spoiled).call()


def test_a_candidate_left_out_is_missed(proved):
    right = settled_late(proved)
    first, second, third, *others = right.candidates
    spoiled = replace(right, candidates=(first, third, *others))
    places = (place_of(proved, third), place_of(proved, second))
    with refused(proved.contract, "WrongPlace", node_of(third), 2, *places):
        proved.assigned(spoiled).call()


def test_a_proof_that_stops_too_early_or_too_late_is_refused(proved):
    right = settled_late(proved)
    for count in range(len(right.candidates)):
        with refused(proved.contract, "TooFewCandidates", count):
            proved.assigned(replace(right, candidates=right.candidates[:count])).call()
    target = node_of(right.target)
    behind = Assignment(proved.seed, proved.roster, proved.params).candidates(NodeId(target))
    all_behind = tuple(membership_of(proved.roster, m.node) for m in behind)
    needed = len(right.candidates)
    with refused(proved.contract, "TooManyCandidates", needed, len(all_behind)):
        proved.assigned(replace(right, candidates=all_behind)).call()


def test_for_a_light_target_and_for_itself_no_candidate_is_taken(proved):
    light, full = proved.roster.light[0].node, proved.roster.full[0].node
    some = (membership_of(proved.roster, proved.roster.full[1].node),)
    for target, auditor in ((light, full), (full, full)):
        right = proved.placement(target, auditor)
        assert proved.assigned(right).call() is False
        with refused(proved.contract, "TooManyCandidates", 0, 1):
            proved.assigned(replace(right, candidates=some)).call()


def test_a_member_of_another_roster_is_refused(proved):
    right = settled_late(proved)
    other = made_up_roster(12, 6, 6)
    foreign = membership_of(other, other.full[0].node)
    with refused(proved.contract, "NotInRoster", node_of(foreign)):
        proved.assigned(replace(right, target=foreign)).call()
    with refused(proved.contract, "NotInRoster", node_of(foreign)):
        candidates = (foreign, *right.candidates[1:])
        proved.assigned(replace(right, candidates=candidates)).call()


def test_a_leaf_changed_in_any_word_is_refused(proved):
    right = proved.placement(proved.roster.full[0].node, STRANGER)
    for word in range(len(right.target.leaf) // WORD_BYTES):
        leaf = bytearray(right.target.leaf)
        leaf[WORD_BYTES * (word + 1) - 1] ^= 1
        spoiled = replace(right, target=replace(right.target, leaf=bytes(leaf)))
        with refused(proved.contract, "NotInRoster", bytes(leaf[:WORD_BYTES])):
            proved.assigned(spoiled).call()


def test_a_header_that_is_not_anchored_is_refused(proved):
    right = settled_late(proved)
    other = header_of(0, roster_root=proved.roster.root, median_ppm=1)
    spoiled = replace(proved, seed_proof=replace(proved.seed_proof, header=other))
    with refused(proved.contract, "HeaderNotAnchored", 0):
        spoiled.assigned(right).call()
    with refused(proved.contract, "HeaderNotAnchored", 0):
        nodes = [m.node for m in proved.roster.full[:2]]
        spoiled.candidate(*nodes).call()


def test_a_round_with_another_signature_is_refused(fresh):
    assignments = deploy_assignments(fresh, MINIMAL, is_mixed=True)
    proved = assignments.prove(Epoch(0), made_up_roster(6, 2, 9))
    right = proved.placement(proved.roster.full[0].node, STRANGER)
    own, mixed = assignments.rounds(Epoch(0))
    later = assignments.rounds(Epoch(1))
    spoiled = {
        own.number: SeedProof(header=proved.seed_proof.header, own=later[0], mixed=mixed),
        mixed.number: SeedProof(header=proved.seed_proof.header, own=own, mixed=later[1]),
    }
    for (number, seed_proof), verifier in zip(spoiled.items(), assignments.verifiers, strict=True):
        with refused(verifier, "BadRoundSignature", number):
            replace(proved, seed_proof=seed_proof).assigned(right).call()


def test_a_second_round_is_wanted_where_there_is_a_second_beacon_and_only_there(fresh):
    for is_mixed in (False, True):
        assignments = deploy_assignments(fresh, MINIMAL, is_mixed=is_mixed)
        own, _ = assignments.rounds(Epoch(0))
        proof = SeedProof(header=header_of(0), own=own, mixed=None if is_mixed else own)
        _, rounds = proof.fields()
        call = assignments.contract.functions.seedOf(0, bytes(32), rounds)
        verifier = assignments.verifiers[-1] if is_mixed else assignments.contract
        error = ("BadPointLength", 0, 128) if is_mixed else ("NoSecondBeacon",)
        with refused(verifier, *error):
            call.call()


def test_the_proof_of_one_epoch_proves_nothing_of_another_with_the_same_roster(fresh):
    assignments = deploy_assignments(fresh, MINIMAL)
    roster = made_up_roster(30, 10, 40)
    first = assignments.prove(Epoch(0), roster)
    second = assignments.prove(Epoch(1), roster)
    target = roster.full[0].node
    right = first.placement(target, STRANGER)
    assert first.assigned(right).call() is False
    start = member_of(roster, right.candidates[0])
    wanted = next(Assignment(second.seed, roster, second.params).candidates(target))
    assert start != wanted
    places = [place_of(second, membership_of(roster, m.node)) for m in (start, wanted)]
    with refused(second.contract, "WrongPlace", start.node, 1, *places):
        second.assigned(right).call()
    mixed_up = replace(second, seed_proof=replace(second.seed_proof, own=first.seed_proof.own))
    number = assignments.genesis.clock.first(Epoch(1))
    with refused(assignments.verifiers[0], "BadRoundSignature", number):
        mixed_up.assigned(right).call()


# The adapter.


def ask(proved: Proved, question, *arguments, **named) -> bool:
    """Ask through the adapter, as a node would."""
    url = str(proved.contract.w3.provider.endpoint_uri)
    at = bytes.fromhex(proved.contract.address[2:])

    async def main() -> bool:
        endpoint = Endpoint(url)
        try:
            return await question(endpoint, at, proved.seed_proof, *arguments, **named)
        finally:
            endpoint.close()

    return trio.run(main)


def test_the_adapter_asks_and_tells_why_a_proof_is_refused(proved):
    target = proved.roster.full[0].node
    core = Assignment(proved.seed, proved.roster, proved.params)
    right = proved.placement(target, core.auditors(target)[-1])
    assert ask(proved, is_assigned, right) is True
    assert ask(proved, is_assigned, proved.placement(target, STRANGER)) is False

    members = {m.node: membership_of(proved.roster, m.node) for m in proved.roster.members}
    nearest = next(core.candidates(target)).node
    for auditor, expected in ((nearest, True), (target, False)):
        named = {"target": members[target], "auditor": members[auditor]}
        assert ask(proved, is_candidate, **named) is expected

    with pytest.raises(Rejected, match="TooFewCandidates") as caught:
        ask(proved, is_assigned, replace(right, candidates=()))
    assert caught.value.rule == "TooFewCandidates"


def test_the_adapter_names_a_round_that_another_contract_refused(proved):
    later = replace(proved.seed_proof, own=replace(proved.seed_proof.own, signature=_other()))
    with pytest.raises(Rejected) as caught:
        ask(replace(proved, seed_proof=later), is_assigned, settled_late(proved))
    assert caught.value.rule == "BadRoundSignature"


def test_the_adapter_says_when_there_is_no_such_contract(proved):
    elsewhere = proved.contract.w3.eth.contract(Web3.to_checksum_address("0x" + "ee" * 20))
    with pytest.raises(EndpointFailed, match="nonsense"):
        ask(replace(proved, contract=elsewhere), is_assigned, settled_late(proved))


def _other() -> bytes:
    return bls.sign(7, b"m", bls.ROUND_DST)


def test_a_second_beacon_and_its_verifier_come_together(fresh):
    genesis = deploy_assignments(fresh, MINIMAL, is_mixed=True).genesis
    for case, mixed in ((genesis, None), (fresh.genesis, bytes(20))):
        with pytest.raises(ValueError, match=r"^a second beacon and its verifier come together$"):
            network_of(case, beacon=bytes(20), mixed=mixed)
