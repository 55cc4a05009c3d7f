"""`stkrp2p status`: how the node does, and what is wrong if something is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from stkrp2p.cli.errors import Exit
from stkrp2p.cli.live import ask_if_running
from stkrp2p.cli.options import ReadingCommand, again
from stkrp2p.cli.output import facts, percent, print_json, print_lines
from stkrp2p.config.settings import STORE_FILE

if TYPE_CHECKING:
    from stkrp2p.adapters.store import StoreReader
    from stkrp2p.config import Loaded, NodeConfig

LAG_ROUNDS_MAX = 3
"""Rounds the beacon may be late before the node counts as not well."""


class _BeaconPart(msgspec.Struct, frozen=True):
    last_round: int
    lag_rounds: int
    detail: str = ""


class _ChainPart(msgspec.Struct, frozen=True):
    state: str
    detail: str = ""


class _StorePart(msgspec.Struct, frozen=True):
    is_writable: bool = True
    detail: str = ""


class _RosterPart(msgspec.Struct, frozen=True):
    members: int
    is_member: bool


class _ScorePart(msgspec.Struct, frozen=True):
    reliability_ppm: int
    uptime_ppm: int
    duty_ppm: int


class Live(msgspec.Struct, frozen=True):
    """What a running node says that people want to see; it says more."""

    network: str
    node: str
    mode: str
    epoch: int
    round_due: int
    beacon: _BeaconPart
    chain: _ChainPart
    peers: int
    roster: _RosterPart
    last_folded_epoch: int
    store: _StorePart = _StorePart()
    is_council: bool = False
    alarm: str = ""
    addresses: tuple[str, ...] = ()
    score: _ScorePart | None = None


@click.command("status", cls=ReadingCommand)
@click.pass_context
def command(ctx: click.Context, *, loaded: Loaded, as_json: bool) -> None:
    """Say how the node does.

    Exits with 3 if it does not run or is not well. While it is down, says what is stored.
    """
    live = ask_if_running(loaded.config, "status")
    stored = None if live is not None else _stored(loaded.config)
    troubles = ["the node does not run"] if live is None else troubles_of(live)
    if as_json:
        body = {"is_running": live is not None, "is_well": not troubles, "troubles": troubles}
        print_json("status/1", {**body, "live": live, "stored": stored})
    else:
        lines = _live_lines(live) if live is not None else _stored_lines(stored)
        print_lines([*lines, *(f"attention: {t}" for t in troubles)])
        if live is None:
            click.echo(f"next: {again(loaded, 'run')}")
        elif troubles:
            click.echo(f"next: {again(loaded, 'doctor')}")
    if troubles:
        ctx.exit(Exit.NOT_RUNNING)


def _read(live: dict[str, object]) -> Live | None:
    try:
        return msgspec.convert(live, Live)
    except msgspec.ValidationError:
        return None


def troubles_of(live: dict[str, object]) -> list[str]:
    """Return what is wrong with a running node, one line each."""
    seen = _read(live)
    if seen is None:
        return ["the node is of another version than this command"]
    troubles = [seen.alarm] if seen.alarm else []
    if not seen.store.is_writable:
        troubles.append(f"nothing is signed or folded: {seen.store.detail}")
    if seen.beacon.lag_rounds > LAG_ROUNDS_MAX:
        late = f"the beacon is {seen.beacon.lag_rounds} rounds late"
        troubles.append(f"{late}: {seen.beacon.detail}" if seen.beacon.detail else late)
    if seen.chain.state not in {"ok", "connecting"}:
        troubles.append(f"chain {seen.chain.state}: {seen.chain.detail}")
    if not seen.peers:
        troubles.append("no peer is connected")
    if not seen.roster.is_member:
        troubles.append("not in this epoch's roster: it neither audits nor is audited")
    return troubles


def _live_lines(live: dict[str, object]) -> list[str]:
    seen = _read(live)
    if seen is None:
        return facts(live.items())
    role = seen.mode + (", council" if seen.is_council else "")
    is_in = "this node is one" if seen.roster.is_member else "this node is none"
    pairs: list[tuple[str, object]] = [
        ("network", seen.network),
        ("node", f"{seen.node} ({role})"),
        ("listens", ", ".join(seen.addresses)),
        ("epoch", f"{seen.epoch}, round {seen.round_due}"),
        ("beacon", f"round {seen.beacon.last_round}, {seen.beacon.lag_rounds} behind"),
        ("chain", f"{seen.chain.state} {seen.chain.detail}".strip()),
        ("peers", seen.peers),
        ("members", f"{seen.roster.members}, {is_in}"),
        ("last epoch", "none yet" if seen.last_folded_epoch < 0 else seen.last_folded_epoch),
    ]
    if seen.score is not None:
        uptime, duty = percent(seen.score.uptime_ppm), percent(seen.score.duty_ppm)
        score = f"reliability {percent(seen.score.reliability_ppm)}, uptime {uptime}, duty {duty}"
        pairs.append(("score", score))
    return facts(pairs)


def _stored_lines(stored: dict[str, object] | None) -> list[str]:
    if stored is None:
        return ["nothing is stored yet"]
    return facts((name.replace("_", " "), value) for name, value in stored.items())


def _stored(config: NodeConfig) -> dict[str, object] | None:
    """Return what the store of a node that is down holds; `None` if it never ran."""
    if not (config.data_dir / STORE_FILE).exists():
        return None
    from stkrp2p.cli.stored import read_store  # noqa: PLC0415  - imports trio and the core

    async def read(store: StoreReader) -> dict[str, object]:
        sizes, last = await store.sizes(), await store.last_anchored()
        return {
            "last_anchored_epoch": last,
            "epochs": sizes.epochs,
            "batches": sizes.batches,
            "rounds": sizes.rounds,
            "store_bytes": sizes.file_bytes,
        }

    return read_store(config, read)
