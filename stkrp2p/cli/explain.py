"""`stkrp2p explain`: where a member's points went, down to who saw what in which round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.accounts import EpochAccount, Sighting, account, parts_of
from stkrp2p.cli.identity import own_node
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.nodes import find_node, short
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import percent, print_json, print_lines
from stkrp2p.cli.score import latest_table
from stkrp2p.cli.stored import read_store
from stkrp2p.core.challenge import Status
from stkrp2p.core.network import Genesis
from stkrp2p.core.types import NodeId
from stkrp2p.core.verdict import Verdict

if TYPE_CHECKING:
    from stkrp2p.config import Loaded

EPOCHS_MAX = 1_000
"""Most epochs explained at once."""


@click.command("explain", cls=ReadingCommand)
@click.argument("node")
@click.option(
    "--epochs",
    type=click.IntRange(1, EPOCHS_MAX),
    default=12,
    show_default=True,
    help="How many of the last epochs to look at.",
)
def command(*, loaded: Loaded, node: str, epochs: int, as_json: bool) -> None:
    """Say where a node lost each point.

    For each epoch: the rounds NODE was drawn in, and for each one lost who saw what, with the
    receipt that NODE signed, or that there is none. Receipts of other auditors stay with them; the
    root of all of theirs stands in their batch.
    """
    genesis = network_of(loaded.config).genesis
    ourselves = own_node(loaded.config)

    async def read(store: StoreReader) -> tuple[NodeId, list[EpochAccount]]:
        _, scores = await latest_table(store)
        target = find_node(node, [NodeId(s.node) for s in scores])
        return target, await account(genesis, store, target, ourselves, epochs_max=epochs)

    target, accounts = read_store(loaded.config, read)
    if as_json:
        print_json("explain/1", _document(genesis, target, accounts))
    else:
        print_lines(_lines(genesis, target, accounts))


# ------------------------------------------------------------------------------ for scripts


def _document(genesis: Genesis, target: NodeId, accounts: list[EpochAccount]) -> dict[str, object]:
    parts = parts_of(accounts[-1].score, genesis.params)
    return {
        "node": target.hex(),
        "peer_id": peer_id_text(target),
        "after_epoch": accounts[-1].epoch,
        "reliability_ppm": parts.reliability_ppm,
        "lost_ppm": {
            "down": parts.down_ppm,
            "doubt": parts.doubt_ppm,
            "youth": parts.youth_ppm,
        },
        "epochs": [_epoch_document(genesis, a) for a in accounts],
    }


def _epoch_document(genesis: Genesis, one: EpochAccount) -> dict[str, object]:
    return {
        "epoch": one.epoch,
        "reliability_ppm": one.score.reliability_ppm,
        "reliability_before_ppm": one.before_ppm,
        "missing": one.missing or None,
        "is_void": one.is_void,
        "up": one.ups,
        "down": one.count(Verdict.DOWN),
        "undecided": one.count(Verdict.UNDECIDED),
        "duty": {
            "delivered": one.duty[0],
            "owed": one.duty[1],
            "is_batch_included": one.is_batch_included,
            "is_tainted": one.is_tainted,
        },
        "losses": [
            {
                "round": loss.number,
                "verdict": loss.verdict.name.lower(),
                "auditors": [_sighting_document(genesis, s) for s in loss.sightings],
            }
            for loss in one.losses
        ],
    }


def _sighting_document(genesis: Genesis, one: Sighting) -> dict[str, object]:
    receipt = one.receipt
    return {
        "auditor": one.auditor.hex(),
        "peer_id": peer_id_text(one.auditor),
        "outcome": one.outcome.name.lower(),
        "is_included": one.is_included,
        "receipt": {
            "where": one.receipt_word(genesis),
            "status": None if receipt is None else Status(receipt.status).name.lower(),
            "report_hash": None if receipt is None else receipt.report_hash.hex(),
            "signature": None if receipt is None else receipt.signature.hex(),
        },
    }


# ------------------------------------------------------------------------------ for people


def _lines(genesis: Genesis, target: NodeId, accounts: list[EpochAccount]) -> list[str]:
    last = accounts[-1].score
    parts, tenure = parts_of(last, genesis.params), genesis.params.tenure_epochs
    lines = [
        f"{peer_id_text(target)}",
        f"reliability {percent(parts.reliability_ppm)} after epoch {accounts[-1].epoch}",
    ]
    if last.n == 0:
        lines.append("never decided on: a light node is not audited, a new one not yet")
    else:
        lines += [
            f"  {percent(parts.down_ppm)} lost to rounds that were down",
            f"  {percent(parts.doubt_ppm)} lost to few observations (more rounds make it surer)",
            f"  {percent(parts.youth_ppm)} lost to youth (age {last.age_epochs}, tenure {tenure})",
        ]
    for one in accounts:
        lines += _epoch_lines(genesis, one)
    return lines


def _epoch_lines(genesis: Genesis, one: EpochAccount) -> list[str]:
    if one.missing:
        return [f"epoch {one.epoch}: {_change(one)}; no evidence: {one.missing}"]
    drawn = one.ups + len(one.losses)
    down, undecided = one.count(Verdict.DOWN), one.count(Verdict.UNDECIDED)
    counts = f"{drawn} drawn: {one.ups} up, {down} down, {undecided} undecided"
    void = "; VOID, so nothing counted" if one.is_void else ""
    lines = [f"epoch {one.epoch}: {_change(one)}; {counts}{void}"]
    for loss in one.losses:
        cost = "" if loss.verdict is Verdict.DOWN and not one.is_void else ", costs nothing"
        lines.append(f"  round {loss.number}: {loss.verdict.name.lower()}{cost}")
        lines += [f"    {_sighting_line(genesis, s)}" for s in loss.sightings]
    return lines + _duty_lines(one)


def _duty_lines(one: EpochAccount) -> list[str]:
    delivered, owed = one.duty
    if one.is_tainted:
        return [f"  duty: none of {owed} observations counted: it signed two batches"]
    if delivered == owed:
        return []
    why = "" if one.is_batch_included else ": its batch did not come in time"
    return [f"  duty: {delivered} of {owed} observations delivered{why}"]


def _change(one: EpochAccount) -> str:
    now = percent(one.score.reliability_ppm)
    if one.before_ppm is None:
        return f"reliability {now}"
    change = one.score.reliability_ppm - one.before_ppm
    return f"reliability {now} ({'+' if change >= 0 else '-'}{percent(abs(change))})"


def _sighting_line(genesis: Genesis, one: Sighting) -> str:
    outcome = one.outcome.name.lower().replace("_", " ")
    if not one.is_included:
        outcome = "no batch"
    said = {
        "here": "receipt here, signed by the target",
        "here-false": "receipt here, but its signature is FALSE",
        "with-auditor": "receipt is with this auditor",
        "none": "no receipt",
    }[one.receipt_word(genesis)]
    if one.receipt is not None:
        said += f", status {Status(one.receipt.status).name.lower()}"
    ours = " (this node)" if one.is_ours else ""
    return f"{short(one.auditor)}  {outcome:<11}  {said}{ours}"
