"""`stkrp2p replay`: one epoch from its evidence to its roots, compared with the anchor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.cli.errors import Exit
from stkrp2p.cli.history import replay_epoch
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import columns, print_json, print_lines
from stkrp2p.cli.stored import read_store
from stkrp2p.core.anchor import Header, differences
from stkrp2p.core.types import Epoch
from stkrp2p.services.history import Replay

if TYPE_CHECKING:
    from stkrp2p.config import Loaded

_SHOWN_CHARACTERS = 32


@click.command("replay", cls=ReadingCommand)
@click.argument("epoch", type=click.IntRange(min=0))
@click.pass_context
def command(ctx: click.Context, *, loaded: Loaded, epoch: int, as_json: bool) -> None:
    """Compute an epoch anew and compare it with its anchor.

    Takes beacon rounds, registry and batches from the store, verifies them, and folds them as every
    node does. Exits with 1 if a root differs from the anchored one.
    """
    genesis = network_of(loaded.config).genesis
    found = read_store(loaded.config, lambda store: replay_epoch(genesis, store, Epoch(epoch)))
    differ = differences(found.closed.header, found.past.stored.header)
    if as_json:
        print_json("replay/1", _document(found, differ))
    else:
        print_lines(_lines(found, differ))
    if differ:
        ctx.exit(Exit.FAILED)


def _values(header: Header) -> dict[str, object]:
    held = {name: getattr(header, name) for name in Header.__struct_fields__}
    return {k: v.hex() if isinstance(v, bytes) else v for k, v in held.items()}


def _document(found: Replay, differ: tuple[str, ...]) -> dict[str, object]:
    return {
        "epoch": found.past.view.epoch,
        "is_equal": not differ,
        "differences": list(differ),
        "computed": _values(found.closed.header),
        "anchored": _values(found.past.stored.header),
        "is_anchored": found.past.stored.is_anchored,
        "is_signed_by_council": found.is_signed,
        "members": len(found.past.view.roster),
        "batches": len(found.past.included),
        "tainted": sorted(n.hex() for n in found.past.tainted),
    }


def _lines(found: Replay, differ: tuple[str, ...]) -> list[str]:
    ours, theirs = _values(found.closed.header), _values(found.past.stored.header)
    rows = [
        (name, _brief(ours[name]), _brief(theirs[name]), "DIFFERS" if name in differ else "equal")
        for name in ours
    ]
    signed = "is" if found.is_signed else "is NOT"
    verdict = f"{len(differ)} fields DIFFER from the anchor" if differ else "equal to the anchor"
    return [
        f"epoch {found.past.view.epoch}: {len(found.past.included)} batches of {len(found.past.view.roster)} "
        f"members, {len(found.past.tainted)} tainted",
        *columns(("field", "computed", "anchored", ""), rows),
        f"the anchored header {signed} signed by the council",
        verdict,
    ]


def _brief(value: object) -> str:
    return str(value)[:_SHOWN_CHARACTERS]
