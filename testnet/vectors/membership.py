"""Vectors of who takes part and who audits whom: roster, shuffle, assignment, draw."""

from __future__ import annotations

from dataclasses import replace

from stkrp2p.core.assignment import Assignment, Shuffle, draw_of, seed_of
from stkrp2p.core.crypto import node_id_of, sha256
from stkrp2p.core.params import MAINNET, MINIMAL, Params
from stkrp2p.core.placement import placement_of
from stkrp2p.core.roster import (
    Member,
    Registration,
    Roster,
    is_claimed,
    read_profile,
    roster_of,
    sign_claim,
)
from stkrp2p.core.types import Digest, Epoch, Kind, NetworkId, NodeId, Ppm, Round
from testnet.vectors.form import Json, entry_facts, fields, plain
from testnet.vectors.world import OPERATOR_OF, WORLD, operator_of, secret_of

# ------------------------------------------------------------------------------- roster


def roster() -> dict[str, Json]:
    """Return `roster.json`: a registry with everything odd in it, and its rosters."""
    registry = _odd_registry()
    network = WORLD.genesis.network_id
    return {
        "network": network.hex(),
        "world": [entry_facts(e) for e in WORLD.registry],
        "registry": [entry_facts(e) for e in registry],
        "claims": [{"index": e.index, "is_true": is_claimed(network, e)} for e in registry],
        "rosters": [
            *(_roster("registry", Epoch(e), registry) for e in range(8)),
            _roster("world", Epoch(0), WORLD.registry),
        ],
        "profiles": [
            {"profile": raw.hex(), "read": fields(read_profile(replace(registry[0], profile=raw)))}
            for raw in _profiles()
        ],
    }


def _odd_registry() -> list[Registration]:
    kinds = (True,) * 6 + (False,) * 2
    base = [
        WORLD.registration(name, index, index, 0, is_full=is_full)
        for index, (name, is_full) in enumerate(zip(WORLD.names, kinds, strict=False))
    ]
    alice, bob = secret_of("node 0"), node_id_of(secret_of("node 1"))
    network = WORLD.genesis.network_id
    base[1] = replace(base[1], stakes=((Epoch(3), 5), (Epoch(4), 9), (Epoch(4), 7)))
    base[2] = replace(base[2], exit_epoch=Epoch(4))
    base[3] = replace(base[3], claim=base[4].claim)  # false: another's claim
    base[4] = replace(base[4], nonce=1)  # false: claimed with nonce 0
    base[5] = replace(base[5], stakes=((Epoch(5), 1),), exit_epoch=Epoch(5))  # never active
    squatter = operator_of(20)
    base.append(  # false: Bob's node under another's name, signed by Alice
        replace(
            base[1],
            index=8,
            operator=squatter,
            stakes=((Epoch(0), 1),),
            claim=sign_claim(alice, network, squatter, bob, 0),
        )
    )
    again = WORLD.registration("node 2", 9, 2, 1, is_full=True)
    base.append(replace(again, stakes=((Epoch(4), 3),)))  # left, and came back
    moved = WORLD.registration("node 0", 10, 21, 0, is_full=False)
    base.append(replace(moved, stakes=((Epoch(0), 4),)))  # true, but later than the first
    first = replace(base[0], exit_epoch=Epoch(6))
    return [first, *base[1:]]


def _profiles() -> list[bytes]:
    good = WORLD.registry[0].profile
    return [good, b"", good + b"\x00", bytes(513), b"\x93\x01\xa4none\x90"]


def _roster(
    registry: str, epoch: Epoch, entries: tuple[Registration, ...] | list[Registration]
) -> Json:
    found = roster_of(WORLD.genesis.network_id, epoch, entries)
    return {
        "registry": registry,
        "epoch": epoch,
        "members": [_member(m) for m in found.members],
        "root": found.root.hex(),
    }


def _member(member: Member) -> Json:
    return {
        "node": member.node.hex(),
        "nonce": member.nonce,
        "operator": member.operator.hex(),
        "kind": int(member.kind),
        "stake": str(member.stake),
    }


# ------------------------------------------------------------------------------- shuffle


def shuffle() -> dict[str, Json]:
    """Return `shuffle.json`: whole permutations of small sizes, single places of large ones."""
    whole: list[Json] = []
    for size in (1, 2, 3, 7, 33, 300):
        seed = sha256(b"shuffle %d" % size)
        walk = Shuffle(seed, size)
        mapping: list[Json] = [walk.forward(i) for i in range(size)]
        whole.append({"seed": seed.hex(), "size": size, "forward": mapping})
    seed, size = sha256(b"shuffle large"), 1_000_000
    large = Shuffle(seed, size)
    single: list[Json] = [
        {"index": i, "forward": large.forward(i), "inverse": large.inverse(i)}
        for i in (0, 1, 255, 256, 65_537, 999_999)
    ]
    return {"whole": whole, "large": {"seed": seed.hex(), "size": size, "cases": single}}


# ------------------------------------------------------------------------------- assignment


def assignment() -> dict[str, Json]:
    """Return `assignment.json`: seeds, whole assignments, draws."""
    mainnet = replace(MAINNET, k_aud=3, candidates=5)
    rosters = [
        ("nobody", _members(0, 0), MINIMAL),
        ("one member", _members(1, 0), MINIMAL),
        ("two members", _members(2, 0), MINIMAL),
        ("only light members", _members(0, 3), MINIMAL),
        ("one full member among light ones", _members(1, 6), MINIMAL),
        ("the world: shared operators, light members", _world_roster(), MINIMAL),
        ("everybody of one operator", _members(6, 2, operators=1), MINIMAL),
        ("two operators", _members(8, 0, operators=2), MINIMAL),
        ("no light members, no clashes", _members(16, 0), MINIMAL),
        ("few candidates", _members(12, 9, operators=5), mainnet),
        ("mainnet's numbers", _members(40, 25, operators=30), MAINNET),
    ]
    return {
        "seeds": [*(_seed(Epoch(e)) for e in (0, 1, 2**40)), _seed(Epoch(1), sha256(b"mixed"))],
        "cases": [_assigned(*case) for case in rosters],
        "proofs": _proofs(*rosters[5]),
        "draws": [_draws(Ppm(ppm)) for ppm in (0, 1, 10_000, 500_000, 999_999, 1_000_000)],
    }


def _seed(epoch: Epoch, mixed: Digest | None = None) -> Json:
    network = NetworkId(sha256(b"network"))
    randomness, root = sha256(b"randomness"), sha256(b"roster")
    return {
        "network": network.hex(),
        "epoch": epoch,
        "randomness": randomness.hex(),
        "mixed": mixed.hex() if mixed else "",
        "roster_root": root.hex(),
        "seed": seed_of(network, epoch, randomness, root, mixed=mixed).hex(),
    }


def _members(full: int, light: int, operators: int = 1000) -> Roster:
    members = [
        Member(
            node=NodeId(sha256(b"member %d" % i)),
            nonce=0,
            operator=operator_of(i % operators),
            kind=Kind.FULL if i < full else Kind.LIGHT,
            stake=1,
        )
        for i in range(full + light)
    ]
    return Roster(tuple(sorted(members)))


def _world_roster() -> Roster:
    if len(OPERATOR_OF) != len(WORLD.names):
        raise AssertionError("each member has an operator")
    return WORLD.view(Epoch(0)).roster


def _assigned(name: str, members: Roster, params: Params) -> Json:
    seed = Digest(sha256(b"assignment " + name.encode()))
    found = Assignment(seed, members, params)
    return {
        "name": name,
        "seed": seed.hex(),
        "k_aud": params.k_aud,
        "candidates": params.candidates,
        "members": [
            {"node": m.node.hex(), "operator": m.operator.hex(), "kind": int(m.kind)}
            for m in members.members
        ],
        "auditors": {m.node.hex(): _indices(members, found.auditors(m.node)) for m in members.full},
        "targets": {
            m.node.hex(): _indices(members, found.targets(m.node)) for m in members.members
        },
    }


def _proofs(name: str, members: Roster, params: Params) -> Json:
    """Return the candidates that settle whether some members of one case audit some others."""
    seed = Digest(sha256(b"assignment " + name.encode()))
    at = {members.leaf(m): i for i, m in enumerate(members.members)}
    found: list[Json] = []
    for target in (*members.full[:3], members.light[0]):
        for auditor in members.members[::2]:
            proof = placement_of(seed, members, params, target=target.node, auditor=auditor.node)
            found.append(
                {
                    "case": name,
                    "target": members.index[target.node],
                    "auditor": members.index[auditor.node],
                    "candidates": [at[c.leaf] for c in proof.candidates],
                    "is_assigned": proof.is_assigned,
                }
            )
    return found


def _indices(members: Roster, nodes: tuple[NodeId, ...]) -> Json:
    return [members.index[n] for n in nodes]


def _draws(draw_ppm: Ppm) -> Json:
    randomness = WORLD.round(Round(1001)).randomness
    is_drawn = draw_of(randomness, draw_ppm)
    nodes = [NodeId(sha256(b"target %d" % i)) for i in range(24)]
    return {
        "randomness": randomness.hex(),
        "draw_ppm": draw_ppm,
        "targets": plain(nodes),
        "drawn": [i for i, node in enumerate(nodes) if is_drawn(node)],
    }
