"""Does what the design promises hold in this run? Asked of every node's store and of the chain.

The council must have made every round, and in time. Every honest node's evidence is folded anew from
its own store, epoch by epoch, and must give the header that stands on Ethereum, byte for byte. Then the
scores must tell the nodes' true story.
"""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.adapters.store import SqliteStore, StoreError
from stkrp2p.cli.output import percent
from stkrp2p.core.anchor import Header, differences
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId, Outcome
from stkrp2p.core.verdict import Verdict
from stkrp2p.services.history import NotReplayable, Replay, replay
from testnet.cluster import Cluster, Member
from testnet.council_verdict import judge_council
from testnet.finding import Finding, folder_of, members_in, of_several
from testnet.plan import HONEST, Role

FLAKY_EPOCHS_MIN = 3
"""After fewer epochs a node that died in the second may still be above one that fails now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One node's scores over the run, and the newest whole."""

    name: str
    role: Role
    score: Score | None
    uptimes_ppm: tuple[int, ...]
    """After each epoch."""


async def judge_run(cluster: Cluster, epochs: int) -> tuple[Finding, ...]:
    """Return all findings of a run of so many epochs; it held if all of them did."""
    anchored = [r.header for r in await cluster.chain.anchors(Epoch(0))][:epochs]
    findings = [_check_anchors(cluster, anchored, epochs), *await judge_council(cluster)]
    findings.append(await _check_full(cluster, anchored))
    if cluster.plan.light:
        findings.append(await _check_light(cluster, anchored))
    standings = await read_standings(cluster, Epoch(len(anchored) - 1))
    return (*findings, *_check_scores(standings), *await _check_explanation(cluster, anchored))


def _check_anchors(cluster: Cluster, anchored: list[Header], epochs: int) -> Finding:
    void = [str(h.epoch) for h in anchored if h.is_void]
    taken_back = cluster.chain.voids
    return Finding(
        promise=f"{epochs} epochs are anchored on Ethereum, each once",
        held=[h.epoch for h in anchored] == list(range(epochs)) and not taken_back,
        detail=f"{len(anchored)} anchored in order, {taken_back} taken back, "
        f"void: {', '.join(void) or 'none'}",
    )


# ------------------------------------------------------------------------------- evidence


async def _check_full(cluster: Cluster, anchored: list[Header]) -> Finding:
    members = members_in(cluster, HONEST)
    faults = [await _fault_of_evidence(cluster, m, anchored) for m in members]
    return of_several(
        "every full node holds evidence that gives the anchored roots",
        members,
        faults,
        f"{len(members)} nodes, {len(anchored)} epochs recomputed from each store, byte-equal",
    )


async def _fault_of_evidence(cluster: Cluster, member: Member, anchored: list[Header]) -> str:
    if not anchored:
        return "nothing is anchored"
    try:
        async with SqliteStore.open_reader(folder_of(member)) as store:
            for header in anchored:
                done = await replay(cluster.genesis, store, Epoch(header.epoch))
                wrong = differences(done.closed.header, header)
                if wrong:
                    return f"epoch {header.epoch}: {', '.join(wrong)} differ"
    except (NotReplayable, StoreError) as error:
        return str(error)
    return ""


async def _check_light(cluster: Cluster, anchored: list[Header]) -> Finding:
    members = members_in(cluster, {Role.LIGHT})
    faults = [await _fault_of_following(m, anchored) for m in members]
    return of_several(
        "every light node follows the anchored roots",
        members,
        faults,
        f"{len(members)} nodes, up to epoch {len(anchored) - 1}, each with a proof of its own score",
    )


async def _fault_of_following(member: Member, anchored: list[Header]) -> str:
    if not anchored:
        return "nothing is anchored"
    last = Epoch(anchored[-1].epoch)
    try:
        async with SqliteStore.open_reader(folder_of(member)) as store:
            stored, scores = await store.epoch(last), await store.scores(last)
    except StoreError as error:
        return str(error)
    if stored is None or stored.header != anchored[-1]:
        return f"epoch {last} is not there, or another one"
    return "" if scores else "no proof of its own score"


# ------------------------------------------------------------------------------- scores


async def read_standings(cluster: Cluster, last: Epoch) -> tuple[Standing, ...]:
    """Return every node's standing after an epoch, as the council's store has it."""
    if last < 0:
        return ()
    async with SqliteStore.open_reader(folder_of(cluster.members[0])) as store:
        tables = [await store.scores(Epoch(e)) for e in range(last + 1)]
    by_node = [{NodeId(s.node): s for s in table} for table in tables]
    return tuple(
        Standing(
            name=m.entry.name,
            role=m.entry.role,
            score=by_node[-1].get(m.node),
            uptimes_ppm=tuple(t[m.node].uptime_ppm for t in by_node if m.node in t),
        )
        for m in cluster.members
    )


def _check_scores(standings: tuple[Standing, ...]) -> list[Finding]:
    def uptimes(*roles: Role) -> list[int]:
        return [s.score.uptime_ppm for s in standings if s.score and s.role in roles]

    healthy, flaky, down = uptimes(*HONEST), uptimes(Role.FLAKY), uptimes(Role.DOWN)
    findings = []
    if down:
        falls = [s.uptimes_ppm for s in standings if s.role is Role.DOWN]
        findings.append(
            Finding(
                promise="the dead node's score fell",
                held=all(f[-1] < max(f) for f in falls),
                detail="; ".join(" > ".join(percent(u) for u in f) for f in falls),
            )
        )
    if flaky and max(len(s.uptimes_ppm) for s in standings) >= FLAKY_EPOCHS_MIN:
        worst = max(down, default=0)
        findings.append(
            Finding(
                promise="the flaky node is between the dead and the healthy",
                held=bool(healthy) and all(worst < f < min(healthy) for f in flaky),
                detail=f"{percent(worst)} < {', '.join(map(percent, flaky))} < "
                f"{percent(min(healthy, default=0))}",
            )
        )
    findings.append(
        Finding(
            promise="healthy nodes are at the top",
            held=bool(healthy) and min(healthy) > max([*flaky, *down], default=0),
            detail=f"lowest {percent(min(healthy, default=0))}",
        )
    )
    return findings


async def _check_explanation(cluster: Cluster, anchored: list[Header]) -> list[Finding]:
    """Every point the dead node lost must be explained by who saw it down."""
    victims = [m for m in cluster.members if m.entry.role is Role.DOWN]
    if not victims or not anchored:
        return []
    async with SqliteStore.open_reader(folder_of(cluster.members[0])) as store:
        try:
            done = await replay(cluster.genesis, store, Epoch(anchored[-1].epoch))
        except NotReplayable as error:
            detail = str(error)
            return [Finding(promise="the fall is explained", held=False, detail=detail)]
    return [_explained(done, victim) for victim in victims]


def _explained(done: Replay, victim: Member) -> Finding:
    target = victim.node
    witnesses = 0
    for auditor in done.past.view.assignment.auditors(target):
        batch = done.past.included.get(auditor)
        rows = [] if batch is None else [r for r in batch.body.rows if r.target == target]
        witnesses += sum(row.outcomes.count(Outcome.UNREACHABLE) for row in rows)
    lost = done.closed.verdicts[target].count(Verdict.DOWN)
    return Finding(
        promise=f"{victim.entry.name}'s fall is explained by what its auditors signed",
        held=lost > 0 and witnesses >= lost,
        detail=f"last epoch: {lost} rounds down, {witnesses} signed observations say so",
    )
