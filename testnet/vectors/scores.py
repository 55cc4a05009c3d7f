"""Vectors of what follows from evidence: verdicts, scores, roots, whole epochs."""

from __future__ import annotations

from itertools import groupby, product

import msgspec

from stkrp2p.core import bls, score
from stkrp2p.core.anchor import (
    ClosedEpoch,
    Header,
    Proposal,
    SealedAnchor,
    anchor_message,
    by_member,
    check_proposal,
    close_epoch,
    is_sealed_by_council,
)
from stkrp2p.core.batch import Batch, EpochView
from stkrp2p.core.merkle import words
from stkrp2p.core.params import MAINNET, MINIMAL, PRESETS, Params
from stkrp2p.core.score import Score, State
from stkrp2p.core.types import ONE_PPM, Digest, Epoch, NodeId, Outcome, Ppm, Round
from stkrp2p.core.verdict import verdicts
from stkrp2p.core.wire import encode
from testnet.vectors.form import Json, fields, plain, reason_of
from testnet.vectors.world import EPOCHS, WORLD, Observed

VOIDS = 3
"""Anchors voided before the one that is signed in the vectors."""

# ------------------------------------------------------------------------------- verdict


def verdict() -> dict[str, Json]:
    """Return `verdict.json`: outcomes of one target's auditors, and what they say together."""
    everything = bytes(Outcome)
    columns = list(product(everything, repeat=3))
    three = [bytes(c[i] for c in columns) for i in range(3)]
    cases = [
        ("nobody reported", [], 4, 3),
        ("every three outcomes there are", three, len(columns), 3),
        ("one of three reported", [b"\x01\x04"], 2, 3),
        ("two of three reported", [b"\x01\x04\x01", b"\x01\x04\x04"], 3, 3),
        ("no drawn rounds", [b"", b"", b""], 0, 3),
        ("one auditor assigned", [b"\x01\x02\x03\x04\x05\x00"], 6, 1),
        ("two assigned, a tie is down", [b"\x01\x01", b"\x04\x00"], 2, 2),
        ("nobody assigned", [], 2, 0),
        ("fifteen agree", [b"\x01"] * 15, 1, 15),
        ("seven of fifteen saw it up", [b"\x01"] * 7 + [b"\x04"] * 8, 1, 15),
        ("eight of fifteen reported", [b"\x02"] * 8 + [b"\x05"] * 7, 1, 15),
        ("seven of fifteen reported", [b"\x02"] * 7 + [b"\x00"] * 8, 1, 15),
    ]
    return {"cases": [_verdict(*case) for case in cases]}


def _verdict(name: str, outcomes: list[bytes], rounds: int, assigned: int) -> Json:
    return {
        "name": name,
        "assigned": assigned,
        "rounds": rounds,
        "outcomes": plain(outcomes),
        "verdicts": verdicts(outcomes, rounds=rounds, assigned=assigned).hex(),
    }


# ------------------------------------------------------------------------------- score


def scores() -> dict[str, Json]:
    """Return `score.json`: the bound, single folds, long runs, medians, states."""
    return {
        "version": score.VERSION,
        "wilson": [
            {"s": s, "n": n, "design_effect": d, "ppm": score.wilson_ppm(s, n, d)}
            for s, n, d in _wilson_inputs()
        ],
        "folds": [_fold(*case) for case in _fold_cases()],
        "runs": [_run(*case) for case in _RUNS],
        "medians": [_median(uptimes) for uptimes in _UPTIMES],
        "states": [_state(*case) for case in _state_cases()],
    }


_ONE = score.Q16


def _wilson_inputs() -> list[tuple[int, int, int]]:
    shares = [(0, 1), (1, 1), (1, 2), (3, 4), (99, 100), (100, 100), (0, 1000), (999, 1000)]
    even = [(a * _ONE, b * _ONE, d) for a, b in shares for d in (1, 48)]
    odd = [
        (0, 0, 1),
        (1, 1, 1),
        (0, 1, 1),
        (47, 47, 48),
        (48, 48, 48),
        (65535, 65537, 1),
        (3 * _ONE // 7, 5 * _ONE // 3, 3),
        (2**47, 2**47, 1),
        (2**47 - 12345, 2**47, 7),
    ]
    return even + odd


def _old(**values: int) -> Score:
    return msgspec.structs.replace(Score(node=b"\x11" * 32, nonce=2), **values)


def _fold_cases() -> list[tuple[str, str, Score, bytes, tuple[int, int]]]:
    """Return (name, preset, old, verdicts, (delivered, owed))."""
    new = _old()
    was_down = _old(s=2 * _ONE, n=3 * _ONE, up_rounds=2, outages=1, age_epochs=1, last_verdict=2)
    steady = _old(
        s=600 * _ONE + 17, n=601 * _ONE + 5, up_rounds=9000, age_epochs=900, last_verdict=1,
        duty_s=99_999, duty_n=100_001, state=1,
    )  # fmt: skip
    largest = _old(s=2**46, n=2**46, up_rounds=2**50, outages=2**40, age_epochs=2**40)
    return [
        ("a newcomer that was up", "minimal", new, b"\x01" * 6, (12, 12)),
        ("a newcomer that was down", "minimal", new, b"\x02" * 6, (0, 12)),
        ("a newcomer nobody decided on", "minimal", new, b"\x00" * 6, (12, 12)),
        ("a newcomer that was not drawn", "minimal", new, b"", (3, 12)),
        ("a light member", "minimal", new, b"", (11, 12)),
        ("a member that owed nothing", "minimal", new, b"\x01", (0, 0)),
        ("its first decided round is down: an outage", "minimal", new, b"\x00\x02\x01", (0, 0)),
        ("an outage goes on over the epoch's end", "minimal", was_down, b"\x02\x02\x01", (1, 2)),
        ("a new outage after recovery", "minimal", was_down, b"\x01\x02", (1, 2)),
        ("undecided rounds do not end an outage", "minimal", was_down, b"\x00\x02\x00\x02", (1, 2)),
        ("three outages in an epoch", "minimal", new, b"\x02\x01\x02\x01\x02\x01", (0, 0)),
        ("nothing decided keeps the last verdict", "minimal", was_down, b"\x00\x00", (0, 0)),
        ("a long record, up", "mainnet", steady, b"\x01" * 12, (108, 108)),
        ("a long record, one down", "mainnet", steady, b"\x01" * 11 + b"\x02", (107, 108)),
        ("a long record, all down", "mainnet", steady, b"\x02" * 12, (0, 108)),
        ("a newcomer under mainnet's numbers", "mainnet", new, b"\x01" * 12, (108, 108)),
        ("large counts", "mainnet", largest, b"\x01" * 4096, (2**20, 2**20)),
    ]


def _fold(name: str, preset: str, old: Score, seen: bytes, duty: tuple[int, int]) -> Json:
    delivered, owed = duty
    new = score.fold(old, seen, delivered, owed, PRESETS[preset])
    return {
        "name": name,
        "preset": preset,
        "old": fields(old),
        "verdicts": seen.hex(),
        "delivered": delivered,
        "owed": owed,
        "new": fields(new),
        "leaf": new.leaf().hex(),
    }


_RUNS = (
    ("up for 200 epochs", MINIMAL, [b"\x01" * 6] * 200),
    ("down for 60 epochs", MINIMAL, [b"\x02" * 6] * 60),
    ("up, then down, then up", MINIMAL, [b"\x01" * 6] * 20 + [b"\x02" * 6] * 9 + [b"\x01"] * 20),
    ("one round in four down", MINIMAL, [b"\x01\x01\x02\x01"] * 100),
    ("up for a thousand hours", MAINNET, [b"\x01" * 12] * 1000),
    ("never drawn", MAINNET, [b""] * 30),
)


def _run(name: str, params: Params, epochs: list[bytes]) -> Json:
    member = _old()
    for seen in epochs:
        member = score.fold(member, seen, len(seen), len(seen), params)
    preset = next(n for n, p in PRESETS.items() if p == params)
    packed: list[Json] = [[seen.hex(), len(list(same))] for seen, same in groupby(epochs)]
    return {"name": name, "preset": preset, "epochs": packed, "last": fields(member)}


_UPTIMES: tuple[list[tuple[int, int]], ...] = (
    [],
    [(5, 0)],
    [(7, 1)],
    [(9, 1), (3, 1)],
    [(9, 1), (1, 0), (3, 1), (6, 1)],
)


def _median(uptimes: list[tuple[int, int]]) -> Json:
    members = [_old(uptime_ppm=u, n=n) for u, n in uptimes]
    return {
        "uptime_ppm_and_n": plain(uptimes),
        "median_ppm": score.median_uptime(members),
    }


def _state_cases() -> list[tuple[str, Score, int, int]]:
    """Return (name, score, epoch, median); under the minimal preset."""
    low = {"uptime_ppm": 500_000, "n": _ONE, "age_epochs": 10}
    good = {"uptime_ppm": 950_000, "n": _ONE, "age_epochs": 10}
    young = {"uptime_ppm": ONE_PPM, "n": _ONE, "age_epochs": 1}
    on, out = int(State.PROBATION), int(State.SUSPENDED)
    return [
        ("young", _old(**young), 1, ONE_PPM),
        ("old enough", _old(**{**young, "age_epochs": 2}), 2, ONE_PPM),
        ("young and low", _old(**{**low, "age_epochs": 1}), 5, ONE_PPM),
        ("low", _old(**low, state=1), 20, 990_000),
        ("at the floor", _old(**{**low, "uptime_ppm": 600_000}, state=1), 20, 990_000),
        ("below the floor by one", _old(**{**low, "uptime_ppm": 599_999}, state=1), 20, 990_000),
        ("low, and so is everybody", _old(**low, state=1), 20, 700_000),
        ("low, and below everybody by more", _old(**low, state=1), 20, 700_001),
        ("a median below the leeway", _old(**{**low, "uptime_ppm": 0}, state=1), 20, 100_000),
        ("never decided on", _old(age_epochs=10, state=1), 20, 990_000),
        ("on probation, still low", _old(**low, state=on, state_until=21), 20, 990_000),
        ("on probation, low at its end", _old(**low, state=on, state_until=21), 21, 990_000),
        ("on probation, recovered", _old(**good, state=on, state_until=21), 20, 990_000),
        ("suspended", _old(**good, state=out, state_until=25), 24, 990_000),
        ("suspended, over", _old(**good, state=out, state_until=25), 25, 990_000),
        ("suspended, over, still low", _old(**low, state=out, state_until=25), 25, 990_000),
    ]


def _state(name: str, member: Score, epoch: int, median_ppm: int) -> Json:
    state, until = score.next_state(member, Epoch(epoch), Ppm(median_ppm), MINIMAL)
    return {
        "name": name,
        "preset": "minimal",
        "score": fields(member),
        "epoch": epoch,
        "median_ppm": median_ppm,
        "state": int(state),
        "state_until": until,
    }


# ------------------------------------------------------------------------------- epochs


def _closed() -> list[tuple[dict[NodeId, Batch], frozenset[NodeId], ClosedEpoch]]:
    """Return the world's epochs, closed in order: one healthy, one with faults, one void."""
    before: dict[tuple[NodeId, int], Score] = {}
    found = []
    for number in range(EPOCHS):
        epoch = Epoch(number)
        view = WORLD.view(epoch)
        seen, silent, tainted = _story(view)
        included = {
            m.node: WORLD.batch(epoch, m.node, seen)
            for m in view.roster.members
            if m.node not in silent | tainted and view.assignment.targets(m.node)
        }
        closed = close_epoch(view, included, tainted, before)
        before = by_member(closed.scores)
        found.append((included, tainted, closed))
    return found


def _story(view: EpochView) -> tuple[Observed, frozenset[NodeId], frozenset[NodeId]]:
    """Return (what was seen, whose batch is missing, who equivocated)."""
    full = [m.node for m in view.roster.full]
    down = {0: full[:0], 1: full[:1], 2: full[:7]}[view.epoch]
    seen: dict[tuple[NodeId, NodeId, Round], Outcome] = {}
    for target in full:
        for auditor in view.assignment.auditors(target):
            for i, number in enumerate(view.drawn[target]):
                seen[auditor, target, number] = _seen(view.epoch, target in down, i)
    if view.epoch != 1:
        return seen, frozenset(), frozenset()
    _miss(max(max(rounds) for rounds in view.drawn.values()), seen)
    _disagree(view, full[1], seen)
    return seen, frozenset(full[2:4]), frozenset(full[4:5])


def _seen(epoch: Epoch, is_down: bool, index: int) -> Outcome:  # noqa: FBT001
    if is_down:
        return (Outcome.UNREACHABLE, Outcome.WRONG)[index % 2]
    if epoch == 1 and index == 0:
        return Outcome.DECLARED
    return (Outcome.OK, Outcome.SLOW, Outcome.OK, Outcome.NOT_PROBED)[index % 4 if epoch else 0]


def _miss(gap: Round, seen: dict[tuple[NodeId, NodeId, Round], Outcome]) -> None:
    """Let nobody be asked in a round that came too late."""
    seen |= {about: Outcome.NOT_PROBED for about in seen if about[2] == gap}


def _disagree(
    view: EpochView, target: NodeId, seen: dict[tuple[NodeId, NodeId, Round], Outcome]
) -> None:
    """Let one auditor of a target see it down throughout: the majority overrules it."""
    liar = view.assignment.auditors(target)[0]
    for number in view.drawn[target]:
        if seen[liar, target, number] != Outcome.NOT_PROBED:
            seen[liar, target, number] = Outcome.UNREACHABLE


def epochs() -> dict[str, Json]:
    """Return `epoch.json`: three epochs of the world closed one after the other."""
    return {
        "epochs": [_epoch(*closed) for closed in _closed()],
        "score_fields": list(Score.__struct_fields__),
    }


def _epoch(included: dict[NodeId, Batch], tainted: frozenset[NodeId], closed: ClosedEpoch) -> Json:
    view = WORLD.view(Epoch(closed.header.epoch))
    return {
        "epoch": view.epoch,
        "included": [
            included[m.node].frame.hex() for m in view.roster.members if m.node in included
        ],
        "tainted": sorted(n.hex() for n in tainted),
        "verdicts": {n.hex(): v.hex() for n, v in closed.verdicts.items()},
        "evidence_leaves": {n.hex(): leaf.hex() for n, leaf in closed.evidence.items()},
        "scores": [plain(list(fields(s).values())) for s in closed.scores],
        "proposal": encode(closed.proposal).hex(),
        "header": fields(closed.header),
        "header_hash": closed.header.hash().hex(),
    }


def anchors() -> dict[str, Json]:
    """Return `anchor.json`: proposals, headers, the council's signature."""
    genesis = WORLD.genesis
    included, _, closed = _closed()[1]
    message = anchor_message(genesis, closed.header, VOIDS)
    sealed = SealedAnchor(
        header=closed.header,
        proposal=closed.proposal,
        voids=VOIDS,
        signature=bls.sign(WORLD.council_secret, message, bls.ANCHOR_DST),
    )
    return {
        "council_key": genesis.council_key.hex(),
        "chain_id": genesis.chain_id,
        "anchor": genesis.anchor.hex(),
        "header": fields(closed.header),
        "header_words": _words(closed.header).hex(),
        "header_hash": closed.header.hash().hex(),
        "voids": VOIDS,
        "message": message.hex(),
        "signature": sealed.signature.hex(),
        "signature_uncompressed": bls.g1_uncompressed(sealed.signature).hex(),
        "council_key_uncompressed": bls.g2_uncompressed(genesis.council_key).hex(),
        "sealed": [_sealed(*case) for case in _sealings(sealed)],
        "proposals": [_proposal(*case, included) for case in _proposals(closed.proposal)],
        "score_proofs": [_proof(closed, index) for index in (0, len(closed.scores) - 1)],
    }


def _words(header: Header) -> bytes:
    roots = (header.roster_root, header.proposal_hash, header.evidence_root, header.score_root)
    return words(header.epoch, *roots, header.median_ppm, int(header.is_void))


def _sealings(good: SealedAnchor) -> list[tuple[str, SealedAnchor]]:
    change = msgspec.structs.replace
    proposal, header = good.proposal, good.header
    round_signature = bls.sign(
        WORLD.council_secret, anchor_message(WORLD.genesis, header, good.voids), bls.ROUND_DST
    )
    return [
        ("the council's", good),
        ("another proposal", change(good, proposal=change(proposal, seed=bytes(32)))),
        ("another header", change(good, header=change(header, median_ppm=1))),
        ("signed before the last void", change(good, voids=VOIDS + 1)),
        ("void or not", change(good, header=change(header, is_void=not header.is_void))),
        ("signed in the domain of rounds", change(good, signature=round_signature)),
        ("signed by another key", change(good, signature=WORLD.round(Round(1)).signature)),
    ]


def _sealed(name: str, sealed: SealedAnchor) -> Json:
    return {
        "name": name,
        "frame": encode(sealed).hex(),
        "is_sealed": is_sealed_by_council(WORLD.genesis, sealed),
    }


def _proposals(good: Proposal) -> list[tuple[str, Proposal]]:
    change = msgspec.structs.replace
    beyond = bytes([*good.included[:-1], good.included[-1] | 0x80])
    return [
        ("the right one", good),
        ("another version", change(good, version=2)),
        ("another network", change(good, network=bytes(32))),
        ("another epoch", change(good, epoch=2)),
        ("another seed", change(good, seed=bytes(32))),
        ("a bitmap too long", change(good, included=good.included + b"\x00")),
        ("a bit beyond the roster", change(good, included=beyond)),
        ("a tainted member included", change(good, tainted=good.included)),
        ("another digest", change(good, ids_digest=bytes(32))),
        ("nobody included", change(good, included=bytes(len(good.included)))),
    ]


def _proposal(name: str, proposal: Proposal, included: dict[NodeId, Batch]) -> Json:
    view = WORLD.view(Epoch(1))
    return {
        "name": name,
        "proposal": encode(proposal).hex(),
        "reason": reason_of(lambda: check_proposal(proposal, view, included)),
    }


def _proof(closed: ClosedEpoch, index: int) -> Json:
    member = closed.scores[index]
    tree = closed.score_tree()
    return {
        "leaf": member.leaf().hex(),
        "root": Digest(closed.header.score_root).hex(),
        "proof": plain(tree.proof(member.leaf())),
    }
