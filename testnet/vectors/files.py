"""Which vector file is made of what, and the way to disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from testnet.vectors import audits, basics, councils, draws, frauds, membership, money, scores
from testnet.vectors.form import Json, render

FOLDER = Path(__file__).resolve().parents[2] / "protocols" / "vectors"

FILES: dict[str, tuple[str, Callable[[], dict[str, Json]]]] = {
    "network": ("Network ids, topics and PeerIDs: network.md", basics.network),
    "wire": ("Canonical MessagePack: README.md, section 2", basics.wire),
    "crypto": ("Ed25519 with domain tags: README.md, section 3", basics.signatures),
    "merkle": ("Keccak Merkle trees: README.md, section 3", basics.trees),
    "beacon": ("Rounds, times, epochs: beacon.md", basics.beacon),
    "group": ("Groups, partials, signatures: council.md, section 1", councils.group),
    "dkg": ("Deals, and what ceremonies make of them: council.md, section 2", councils.dkg),
    "roster": ("Registry to roster: roster.md", membership.roster),
    "shuffle": ("Swap-or-not: assignment.md, section 2", membership.shuffle),
    "assignment": ("Seeds, assignments, draws: assignment.md", membership.assignment),
    "world": ("The network the following files share", audits.world),
    "audit": ("Challenge to receipt: audit.md", audits.audit),
    "batch": ("Batches and their judgement: batch.md", audits.batch),
    "evidence": ("States of evidence and their joins: batch.md, section 3", audits.evidence),
    "sync": ("Messages, holdings and deltas: sync.md", audits.sync),
    "sample": ("Receipts an auditor must show: anchor.md, section 2", audits.sample),
    "verdict": ("Outcomes to verdicts: reputation.md, section 1", scores.verdict),
    "score": ("The fold score/1: reputation.md", scores.scores),
    "anchor": ("Proposals, headers, the council's signature: anchor.md", scores.anchors),
    "epoch": ("Whole epochs closed: anchor.md, section 4", scores.epochs),
    "fraud": ("Scores challenged: anchor.md, section 6", frauds.frauds),
    "money": ("Quotes, splits, losses, pools: market.md, section Money", money.money),
    "draw": ("Auctions and their draws: market.md, section Draw", draws.draws),
}
"""File name without its ending -> (what it is about, what makes it)."""


def text_of(name: str) -> str:
    """Return a vector file's text as the code makes it now."""
    about, make = FILES[name]
    return render(about, make())


def path_of(name: str) -> Path:
    """Return where a vector file lies."""
    return FOLDER / f"{name}.json"


def stale() -> list[str]:
    """Return the names of the files that are not what the code makes."""
    return [
        name
        for name in FILES
        if not path_of(name).exists() or path_of(name).read_text("utf-8") != text_of(name)
    ]


def write() -> list[str]:
    """Write the files that are stale; return their names."""
    names = stale()
    for name in names:
        path_of(name).write_text(text_of(name), "utf-8")
    return names
