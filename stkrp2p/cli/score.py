"""`stkrp2p score`: the table of scores, or one member's with its history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.errors import Failure
from stkrp2p.cli.nodes import find_node, short
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import columns, facts, percent, print_json, print_lines
from stkrp2p.cli.stored import read_store
from stkrp2p.core.score import Score, State
from stkrp2p.core.types import Epoch, NodeId

if TYPE_CHECKING:
    from stkrp2p.config import Loaded

HISTORY_EPOCHS_MAX = 1_000
"""Most epochs of history shown."""


@click.command("score", cls=ReadingCommand)
@click.argument("node", required=False)
@click.option(
    "--epochs",
    type=click.IntRange(1, HISTORY_EPOCHS_MAX),
    default=12,
    show_default=True,
    help="How many epochs of one member's history to show.",
)
def command(*, loaded: Loaded, node: str | None, epochs: int, as_json: bool) -> None:
    """Show scores, of all members or of one.

    NODE is a PeerID, a hex id, or the beginning of either. Scores are those of the last anchored
    epoch that this node has; works while the node is down.
    """
    if node is None:
        epoch, scores = read_store(loaded.config, latest_table)
        _show_table(epoch, scores, as_json=as_json)
        return

    async def read(store: StoreReader) -> tuple[NodeId, tuple[tuple[Epoch, Score], ...]]:
        _, scores = await latest_table(store)
        found = find_node(node, [NodeId(s.node) for s in scores])
        return found, await store.score_history(found, epochs_max=epochs)

    found, history = read_store(loaded.config, read)
    if not history:
        raise Failure(
            f"{short(found)} has no score here",
            why="it was in no epoch's table that this node keeps",
            hint="stkrp2p score",
        )
    _show_one(found, history, as_json=as_json)


async def latest_table(store: StoreReader) -> tuple[Epoch, tuple[Score, ...]]:
    """Return the last anchored epoch and its score table.

    Raises:
        Failure: No epoch is anchored yet.
    """
    epoch = await store.last_anchored()
    if epoch is None:
        raise Failure(
            "there are no scores yet",
            why="this node knows of no anchored epoch",
            hint="stkrp2p status",
        )
    return epoch, await store.scores(epoch)


def document(score: Score) -> dict[str, object]:
    """Return a score for scripts: its leaf's fields, and names for node and state."""
    fields: dict[str, object] = {
        name: getattr(score, name) for name in Score.__struct_fields__ if name != "node"
    }
    names = {"node": score.node.hex(), "peer_id": peer_id_text(NodeId(score.node))}
    return {**names, **fields, "state": State(score.state).name.lower()}


def _row(score: Score) -> tuple[object, ...]:
    is_audited = score.n > 0  # a light member never is, a new one not yet
    return (
        percent(score.reliability_ppm) if is_audited else "-",
        percent(score.uptime_ppm) if is_audited else "-",
        percent(score.duty_ppm) if score.duty_n else "-",
        score.outages,
        score.run_time_rounds,
        score.age_epochs,
        State(score.state).name.lower(),
    )


_HEAD = (">reliability", ">uptime", ">duty", ">outages", ">run", ">age", "state")


def _show_table(epoch: Epoch, scores: tuple[Score, ...], *, as_json: bool) -> None:
    ranked = sorted(scores, key=lambda s: (-s.reliability_ppm, s.node))
    if as_json:
        print_json("scores/1", {"epoch": epoch, "scores": [document(s) for s in ranked]})
        return
    rows = [(short(NodeId(s.node)), *_row(s)) for s in ranked]
    print_lines(columns(("node", *_HEAD), rows))
    click.echo(f"after epoch {epoch}; why: stkrp2p explain NODE")


def _show_one(node: NodeId, history: tuple[tuple[Epoch, Score], ...], *, as_json: bool) -> None:
    if as_json:
        rows = [{"epoch": epoch, **document(score)} for epoch, score in history]
        print_json("score/1", {"node": node.hex(), "peer_id": peer_id_text(node), "epochs": rows})
        return
    print_lines(facts([("PeerID", peer_id_text(node)), ("node", node.hex())]))
    print_lines(columns((">epoch", *_HEAD), [(epoch, *_row(s)) for epoch, s in history]))
    click.echo(f"why: stkrp2p explain {short(node)}")
