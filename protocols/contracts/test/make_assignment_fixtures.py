"""Write `assignment_fixtures.json`: rosters, their circles, and who audits whom, for the contracts' tests.

    python protocols/contracts/test/make_assignment_fixtures.py

All of it is the core's (`stkrp2p.core.assignment`), so that the Solidity code is compared with another
implementation and not with itself. Each case is one ABI-encoded struct, the `Case` of
`lib/AssignmentFixtures.sol`. Running it again writes the same bytes.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
from eth_abi import encode

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from stkrp2p.core import bls  # noqa: E402
from stkrp2p.core.anchor import Header  # noqa: E402
from stkrp2p.core.assignment import Assignment, Shuffle, seed_of  # noqa: E402
from stkrp2p.core.beacon import Beacon, BeaconRound, round_message, verified  # noqa: E402
from stkrp2p.core.crypto import sha256  # noqa: E402
from stkrp2p.core.network import Genesis  # noqa: E402
from stkrp2p.core.params import MAINNET, MINIMAL, Params  # noqa: E402
from stkrp2p.core.placement import membership_of  # noqa: E402
from stkrp2p.core.roster import Member, Roster  # noqa: E402
from stkrp2p.core.types import (  # noqa: E402
    Digest,
    Epoch,
    Kind,
    NodeId,
    Operator,
    Round,
    UnixMs,
)

FIRST_ROUND = Round(51)
SECRETS = {"beacon": 0xBEAC0, "mixed": 0x31DED}
"""Of made-up beacons; public, never use them."""

CASE = (
    "((uint64,uint64,bytes32,uint64,bool),(uint64,bytes32,bytes32,bytes32,bytes32,uint32,bool),"
    "(bytes,bytes),bytes32,(bytes32[8],bytes32[])[],uint256[],bytes[],bytes[])"
)
SEVERAL = 32
"""Of a larger roster, so many members are written down, and what one of them is audited by."""

MANY = 20
"""Of a roster with more members, the auditors of the first few are written down."""

FEW = 6


def genesis_of(params: Params, *, is_mixed: bool) -> Genesis:
    """Return a made-up network whose epoch 0 starts at 1,000,000,000 ms."""
    start_ms = 1_000_000_000 - (FIRST_ROUND - 1) * params.period_ms
    keys = {name: bls.public_key_of(secret) for name, secret in SECRETS.items()}
    mixed = Beacon(public_key=keys["mixed"], genesis_ms=UnixMs(999_999_700), period_ms=700)
    return Genesis(
        name="assignment fixtures",
        params=params,
        beacon=Beacon(
            public_key=keys["beacon"], genesis_ms=UnixMs(start_ms), period_ms=params.period_ms
        ),
        first_round=FIRST_ROUND,
        chain_id=31337,
        registry=bytes(20),
        anchor=bytes(20),
        council=bytes(20),
        council_key=keys["beacon"],
        mixed=mixed if is_mixed else None,
    )


def roster_of(full: int, light: int, operators: int) -> Roster:
    """Return a made-up roster whose members share so many operators."""
    members = [
        Member(
            node=NodeId(sha256(b"member %d" % i)),
            nonce=i % 3,
            operator=Operator(sha256(b"operator %d" % (i * i % operators))[:20]),
            kind=Kind.FULL if i < full else Kind.LIGHT,
            stake=10**20 + i,
        )
        for i in range(full + light)
    ]
    return Roster(tuple(sorted(members)))


def round_of(beacon: Beacon, name: str, number: Round) -> BeaconRound:
    """Return a beacon's round, signed here."""
    signature = bls.sign(SECRETS[name], round_message(number), bls.ROUND_DST)
    return verified(beacon, number, signature)


def case(
    epoch: Epoch, roster: Roster, params: Params, *, is_mixed: bool = False
) -> dict[str, object]:
    """Return one epoch of a network with this roster."""
    genesis = genesis_of(params, is_mixed=is_mixed)
    own = round_of(genesis.beacon, "beacon", genesis.clock.first(epoch))
    rounds, mixed = [bls.g1_uncompressed(own.signature), b""], None
    if genesis.mixed is not None:
        second = round_of(genesis.mixed, "mixed", genesis.mixed_round(epoch))
        rounds[1], mixed = bls.g1_uncompressed(second.signature), second.randomness
    seed = seed_of(genesis.network_id, epoch, own.randomness, roster.root, mixed=mixed)
    header = Header(
        epoch=epoch,
        roster_root=roster.root,
        proposal_hash=sha256(b"proposal"),
        evidence_root=sha256(b"evidence"),
        score_root=sha256(b"score"),
        median_ppm=987_654,
        is_void=False,
    )
    mixed_round = genesis.mixed_round(epoch)
    network = (params.k_aud, params.candidates, genesis.network_id, mixed_round, is_mixed)
    told = (network, msgspec.structs.astuple(header), rounds, seed, *circle(seed, roster, params))
    return {
        "name": f"{len(roster.full)} full, {len(roster.light)} light, {params.k_aud} auditors",
        "encoded": "0x" + encode([CASE], [told]).hex(),
    }


def circle(seed: Digest, roster: Roster, params: Params) -> tuple[list[object], ...]:
    """Return members with proofs, their places, and the candidates and auditors of each, by number.

    Of a large roster that is one target, its candidates, and some others.
    """
    assignment = Assignment(seed, roster, params)
    nodes = [m.node for m in roster.members]
    if len(nodes) > SEVERAL:
        target = roster.full[0].node
        behind = [m.node for m in assignment.candidates(target)]
        others = [n for n in nodes if n not in {target, *behind}]
        nodes = [target, *behind, *others[: SEVERAL - 1 - len(behind)]]
    number = {node: i for i, node in enumerate(nodes)}
    told = 1 if len(roster) > SEVERAL else FEW if len(roster) > MANY else len(roster)
    targets = nodes[:told]
    shown = [membership_of(roster, node) for node in nodes]
    return (
        [(as_words(m.leaf), list(m.proof)) for m in shown],
        places(seed, roster, nodes),
        [bytes(number[m.node] for m in assignment.candidates(t)) for t in targets],
        [bytes(number[a] for a in assignment.auditors(t)) for t in targets],
    )


def places(seed: Digest, roster: Roster, nodes: list[NodeId]) -> list[object]:
    """Return where members stand on the circle; found by walking all of it."""
    full = Shuffle(sha256(b"stkr/circle-full/1", seed), len(roster.full))
    light = Shuffle(sha256(b"stkr/circle-light/1", seed), len(roster.light))
    size, count = len(roster), len(roster.full)
    standing: dict[NodeId, int] = {}
    free = set(range(size))
    for i, member in enumerate(roster.full):
        standing[member.node] = full.forward(i) * size // count
        free.remove(standing[member.node])
    for member, place in zip(
        (roster.light[light.inverse(j)] for j in range(len(roster.light))),
        sorted(free),
        strict=True,
    ):
        standing[member.node] = place
    return [standing[node] for node in nodes]


def as_words(leaf: bytes) -> list[bytes]:
    """Return a leaf's words."""
    return [leaf[i : i + 32] for i in range(0, len(leaf), 32)]


def shuffles() -> list[dict[str, object]]:
    """Return where some numbers go, for sizes that keep one, some and no sources."""
    found = []
    for size in (1, 2, 255, 256, 257, 1_000, 65_536, 1_000_000, 1_048_576):
        seed = sha256(b"shuffle %d" % size)
        walk = Shuffle(seed, size)
        indices = sorted({i * (size - 1) // 7 for i in range(8)})
        pairs = [(i, walk.forward(i)) for i in indices]
        told = encode(["(bytes32,uint256,uint256[2][])"], [(seed, size, pairs)])
        found.append({"name": f"{size:,}", "encoded": "0x" + told.hex()})
    return found


def main() -> None:
    """Write the fixtures beside this file."""
    few = replace(MINIMAL, k_aud=1, candidates=1)
    fixtures = {
        "keys": {
            name: "0x" + bls.g2_uncompressed(bls.public_key_of(secret)).hex()
            for name, secret in SECRETS.items()
        },
        "shuffles": shuffles(),
        "cases": [
            case(Epoch(0), roster_of(1, 0, 1), MINIMAL),
            case(Epoch(1), roster_of(2, 0, 2), MINIMAL),
            case(Epoch(2), roster_of(0, 3, 3), MINIMAL),
            case(Epoch(3), roster_of(1, 6, 5), MINIMAL),
            case(Epoch(4), roster_of(6, 3, 1), MINIMAL),
            case(Epoch(5), roster_of(7, 0, 100), MINIMAL, is_mixed=True),
            case(Epoch(6), roster_of(9, 8, 6), MINIMAL),
            case(Epoch(7), roster_of(5, 2, 3), few),
            case(Epoch(8), roster_of(16, 8, 40), MAINNET, is_mixed=True),
            case(Epoch(9), roster_of(700, 300, 9), MAINNET),
        ],
    }
    (HERE / "assignment_fixtures.json").write_text(json.dumps(fixtures, indent=1) + "\n")


if __name__ == "__main__":
    main()
