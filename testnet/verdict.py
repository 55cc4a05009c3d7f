"""Does what the design promises hold in this run? Asked of every node's store and of the chain.

The council must have made every round, and in time. Every honest node's evidence is folded anew from
its own store, epoch by epoch, and must give the header that stands on Ethereum, byte for byte. Then the
scores must tell the nodes' true story.
"""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One node's scores over the run, and the newest whole."""

    name: str
    role: Role
    score: Score | None
    uptimes_ppm: tuple[int, ...]
    """After each epoch."""

    ups: tuple[int, ...]
    """Rounds in which it was found up so far, after each epoch."""

    def ups_from(self, epoch: Epoch) -> int:
        """Return in how many rounds of an epoch and those after it the node was found up."""
        return sum(self.ups[-1:]) - sum(self.ups[:epoch][-1:])


async def judge_run(cluster: Cluster, epochs: int) -> tuple[Finding, ...]:
    """Return all findings of a run of so many epochs; it held if all of them did."""
    anchored = [r.header for r in await cluster.chain.anchors(Epoch(0))][:epochs]
    findings = [_check_anchors(cluster, anchored, epochs), *await judge_council(cluster)]
    findings.append(await _check_full(cluster, anchored))
    if cluster.plan.light:
        findings.append(await _check_light(cluster, anchored))
    standings = await read_standings(cluster, Epoch(len(anchored) - 1))
    return (
        *findings,
        *_check_scores(standings, cluster.down_from),
        *await _check_explanation(cluster, anchored),
    )


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
            ups=tuple(t[m.node].up_rounds for t in by_node if m.node in t),
        )
        for m in cluster.members
    )


def _check_scores(standings: tuple[Standing, ...], down_from: Sequence[Epoch]) -> list[Finding]:
    """Compare what the nodes of each role came to.

    Args:
        standings: Of all nodes.
        down_from: Of each node that was killed, the first epoch wholly without it.
    """

    def uptimes(*roles: Role) -> list[int]:
        return [s.score.uptime_ppm for s in standings if s.score and s.role in roles]

    lowest = min(uptimes(*HONEST), default=0)
    findings = []
    if falls := [s.uptimes_ppm for s in standings if s.role is Role.DOWN]:
        findings.append(
            Finding(
                promise="the dead node's score fell",
                held=all(f[-1] < max(f) for f in falls),
                detail="; ".join(" > ".join(percent(u) for u in f) for f in falls),
            )
        )
    if any(s.role is Role.FLAKY for s in standings):
        findings.append(_check_flaky(standings, lowest, max(down_from, default=Epoch(0))))
    findings.append(
        Finding(
            promise="healthy nodes are at the top",
            held=lowest > max(uptimes(Role.FLAKY, Role.DOWN), default=0),
            detail=f"lowest {percent(lowest)}",
        )
    )
    return findings


def _check_flaky(standings: tuple[Standing, ...], lowest_ppm: int, dead_from: Epoch) -> Finding:
    """Compare flaky nodes with the healthy by score, and with the dead by what came after their end.

    A score forgets slowly: soon after its end a dead node may be above one that fails now and then.
    """
    flaky = [s for s in standings if s.role is Role.FLAKY]
    dead_ups = max([s.ups_from(dead_from) for s in standings if s.role is Role.DOWN], default=0)
    ups = [s.ups_from(dead_from) for s in flaky]
    uptimes = [s.uptimes_ppm[-1] for s in flaky if s.uptimes_ppm]
    return Finding(
        promise="the flaky node is between the dead and the healthy",
        held=all(up > dead_ups for up in ups) and all(u < lowest_ppm for u in uptimes),
        detail=f"up in {dead_ups} < {', '.join(map(str, ups))} rounds from epoch {dead_from} on; "
        f"{', '.join(map(percent, uptimes))} < {percent(lowest_ppm)} in all",
    )


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
