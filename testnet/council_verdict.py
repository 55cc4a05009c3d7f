"""What a run must keep of a council: it made every round, in time, and its governors agree."""

from __future__ import annotations

from typing import cast

from stkrp2p.adapters.store import SqliteStore, StoreError
from stkrp2p.core.beacon import verified_many
from stkrp2p.core.group import Purpose
from stkrp2p.core.types import Epoch, ProtocolError, Round
from stkrp2p.services.rounds import LATE_KEPT_MAX
from testnet.cluster import Cluster, Member, group_of
from testnet.finding import Finding, folder_of, members_in, of_several
from testnet.lateness import ask_lateness
from testnet.plan import HONEST, Role
from testnet.status import Status, ask_all

JUDGED_ROUNDS_MAX = LATE_KEPT_MAX // 2
"""Rounds whose time is judged: nodes remember the last ones, and some passed since the run's last."""


async def judge_council(cluster: Cluster) -> list[Finding]:
    """Return what is found of the council."""
    findings = [await _check_governors(cluster)]
    if not cluster.plan.is_solo_beacon:
        findings += [await _check_rounds(cluster), await _check_lateness(cluster)]
    return findings


def _run_rounds(cluster: Cluster) -> range:
    """Return the rounds of the epochs that are judged."""
    clock = cluster.genesis.clock
    return range(clock.first(Epoch(0)), clock.last(Epoch(cluster.plan.epochs - 1)) + 1)


async def _check_governors(cluster: Cluster) -> Finding:
    """Each must have its share of the group that all of them made, and have been given nothing false."""
    governors = members_in(cluster, {Role.COUNCIL})
    said, status = await ask_all(governors, "council"), await ask_all(governors)
    names = [m.entry.name for m in governors]
    made = [str(_beacon(status.get(name, {})).get("made")) for name in names]
    return of_several(
        "every governor holds its share of the council's keys",
        governors,
        [_fault(m, said.get(m.entry.name, {}), status.get(m.entry.name, {})) for m in governors],
        f"{len(governors)} governors, no wrong partial; rounds combined by each: {', '.join(made)}",
    )


def _beacon(status: Status) -> Status:
    return cast("Status", status.get("beacon", {}))


def _fault(governor: Member, council: Status, status: Status) -> str:
    seats = cast("list[Status]", council.get("seats", []))
    seat, group = next((s for s in seats if s["is_in_force"]), {}), group_of(governor)
    if group is None or not seat.get("has_share"):
        return "no share"
    if seat["group_hash"] != group.hash().hex() or council["trouble"]:
        return str(council["trouble"] or "another group in force than on its disk")
    wrong = cast("Status", _beacon(status).get("partials_dropped", {})).get("wrong", 0)
    return f"{wrong} wrong partials" if wrong else ""


async def _check_rounds(cluster: Cluster) -> Finding:
    """The rounds in the store of the last healthy node must be true under the key that was made."""
    witness, rounds = members_in(cluster, HONEST)[-1], _run_rounds(cluster)
    promise = f"the council made all {len(rounds)} rounds, true under the key it made before"
    try:
        async with SqliteStore.open_reader(folder_of(witness)) as store:
            held = await store.rounds(Round(rounds[0]), Round(rounds[-1]))
        verified_many(cluster.genesis.beacon, [(r.number, r.signature) for r in held])
    except (ProtocolError, StoreError) as error:
        return Finding(promise=promise, held=False, detail=f"{witness.entry.name}: {error}")
    group = group_of(cluster.members[0])
    key = group.public_key(Purpose.BEACON) if group is not None else b""
    is_theirs = key == cluster.genesis.beacon.public_key
    whose = "verified" if is_theirs else "of a key that is not the governors'"
    return Finding(
        promise=promise,
        held=is_theirs and [r.number for r in held] == list(rounds),
        detail=f"{len(held)} in {witness.entry.name}'s store, {whose}",
    )


async def _check_lateness(cluster: Cluster) -> Finding:
    rounds = _run_rounds(cluster)[-JUDGED_ROUNDS_MAX:]
    late = await ask_lateness(members_in(cluster, HONEST | {Role.LIGHT}), rounds)
    half, most, all_ms = (late.percentile_ms(percent) for percent in (50, 95, 100))
    detail = f"half within {half} ms, 95 in 100 within {most} ms, all within {all_ms} ms"
    missed = f"; not in time: {', '.join(map(str, late.missed))}" if late.missed else ""
    return Finding(
        promise="each round was at all healthy nodes before the next one was due",
        held=not late.missed,
        detail=detail + missed,
    )
