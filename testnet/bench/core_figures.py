"""The protocol core's costs (`testnet.bench.core`) as figures with aims and limits."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict

from stkrp2p.core.assignment import SHUFFLE_ROUNDS
from testnet.bench import core
from testnet.bench.figures import Figure, Report, Sense

RATIO_MIN = 0.7
ROW_MS_MAX = 30.0
FOLD_SHARE_MAX = 0.1
SYNC_BYTES_MAX = 3_000
MISSING = 100
_BYTE_BITS = 8


_HASHES = 20_000
_BLOCK_BYTES = 37
"""What the shuffle hashes: seed, round, and number of the block."""


def shuffle_hashes(candidates: int) -> int:
    """Return how many hashes find a member's row: a shuffle for each place it depends on.

    These are its own, its `candidates` targets' and, where another's candidates reach, as many more.
    """
    return (1 + 2 * candidates) * SHUFFLE_ROUNDS


def hash_ms() -> float:
    """Return the processor time of one SHA-256 of a short block, in milliseconds."""
    blocks = [i.to_bytes(_BLOCK_BYTES, "big") for i in range(_HASHES)]
    began = time.process_time()
    for block in blocks:
        hashlib.sha256(block).digest()
    return 1e3 * (time.process_time() - began) / _HASHES


def measure(*, is_quick: bool) -> Report:
    """Measure the core at a roster of 10,000, and one row at a million."""
    members = 200 if is_quick else 10_000
    row_members = 2_000 if is_quick else 1_000_000
    world = core.make_world(members)
    judged = core.judge_join(world)
    folded = core.fold(world)
    synced = core.sync_bytes(world, missing=MISSING)
    drawn = core.draws(members)
    row = core.assignment_row(row_members)
    figures = (
        Figure(
            name=f"judge + join of {members:,}, against bare checks",
            measured=judged.ratio,
            sense=Sense.AT_LEAST,
            aim=RATIO_MIN,
            limit=1.0,
            limit_is=f"{judged.verify_per_s:,} checks/s",
        ),
        Figure(
            name=f"own targets among {row_members:,} members",
            measured=row.median_ms,
            unit="ms",
            aim=ROW_MS_MAX,
            limit=shuffle_hashes(row.candidates) * hash_ms(),
            limit_is="its hashes",
        ),
        Figure(
            name=f"fold of an epoch of {members:,}, against its checks",
            measured=folded.share,
            aim=FOLD_SHARE_MAX,
            limit_is=f"of {folded.verify_s:.2f} s of checks",
        ),
        Figure(
            name=f"sync beyond the {MISSING} batches missing of {members:,}",
            measured=synced.overhead_bytes,
            unit="B",
            aim=SYNC_BYTES_MAX,
            limit=-(-members // _BYTE_BITS),
            limit_is="a bit a member",
        ),
        Figure(
            name=f"draw of one round among {members:,}",
            measured=drawn.round_ms,
            unit="ms",
            limit_is="spread over the epoch",
        ),
    )
    results = (judged, folded, synced, drawn, row)
    return Report(figures=figures, detail={type(r).__name__: asdict(r) for r in results})
