"""How long the council's rounds take: from the moment one is due to when all nodes hold it, verified.

A real network audits and anchors meanwhile, all of it on this machine. Every node says when each round
came, by the clock that all of them share; a round is as late as it was at the slowest node.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from stkrp2p.core.types import Round
from testnet.bench.council import make_keys, sign
from testnet.bench.figures import Figure, Report
from testnet.cluster import running, until_ms
from testnet.lateness import Lateness, ask_lateness
from testnet.plan import Plan, Role

P50_MS_MAX = 150.0
SETTLE_ROUNDS = 5
"""Rounds before the first that is measured: nodes connect, and load what they need once."""

PERCENTS = (50, 95)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large and how long."""

    council: int = 5
    nodes: int = 8
    light: int = 2
    rounds: int = 90


async def lateness_of_network(scale: Scale, folder: Path) -> tuple[Lateness, Lateness]:
    """Run a healthy network; return how late rounds were among its governors, and everywhere."""
    plan = Plan(nodes=scale.nodes, light=scale.light, council=scale.council, down=0, flaky=0)
    async with running(plan, folder, lambda _line: None) as cluster:
        last = SETTLE_ROUNDS + scale.rounds
        await until_ms(cluster.genesis.beacon.due_ms(Round(last + 1)))
        cluster.check()
        rounds = range(SETTLE_ROUNDS + 1, last + 1)
        governors = [m for m in cluster.members if m.entry.role is Role.COUNCIL]
        return await ask_lateness(governors, rounds), await ask_lateness(cluster.members, rounds)


def curve_work_ms(scale: Scale) -> float:
    """Return how long the curve arithmetic of one round takes all nodes, on all cores of this machine.

    Each governor signs a partial, combines t of them and checks the result; each other node checks it.
    """
    signed = sign(make_keys(scale.council)[1])
    others = scale.nodes + scale.light - scale.council
    work_ms = scale.council * (signed.sign_ms + signed.combine_ms) + others * signed.verify_ms
    return work_ms / (os.cpu_count() or 1)


def measure(*, is_quick: bool) -> Report:
    """Measure a network of the size `stkrp2p testnet up` has by default."""
    scale = Scale(council=3, nodes=4, light=0, rounds=3) if is_quick else Scale()
    limit_ms = curve_work_ms(scale)
    with tempfile.TemporaryDirectory(prefix="stkrp2p-bench-") as folder:
        among, everywhere = trio.run(lateness_of_network, scale, Path(folder) / "run")
    count = scale.nodes + scale.light
    figures = [
        *_figures(f"a round at all {scale.council} governors", among, limit_ms),
        *_figures(f"a round at all {count} nodes", everywhere, limit_ms),
    ]
    detail: dict[str, object] = {
        "governors_ms": list(among.everywhere_ms),
        "everywhere_ms": list(everywhere.everywhere_ms),
        "missed": list(everywhere.missed),
    }
    return Report(figures=tuple(figures), detail=detail)


def _figures(name: str, late: Lateness, limit_ms: float) -> Sequence[Figure]:
    missed = f"; {len(late.missed)} rounds came after the next was due" if late.missed else ""
    return [
        Figure(
            name=f"{name}, p{percent}",
            measured=late.percentile_ms(percent),
            unit="ms",
            aim=P50_MS_MAX if percent == PERCENTS[0] else None,
            limit=round(limit_ms, 1),
            limit_is=f"the curve arithmetic of all nodes{missed}",
        )
        for percent in PERCENTS
    ]
