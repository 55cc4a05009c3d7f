"""`stkrp2p roster`: the members of an epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.clock import SystemClock
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.adapters.store import StoreReader
from stkrp2p.cli.history import stored_registry
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.nodes import short
from stkrp2p.cli.options import ReadingCommand
from stkrp2p.cli.output import columns, print_json, print_lines, tokens
from stkrp2p.cli.stored import read_store
from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import Member, Profile, read_profile, roster_of
from stkrp2p.core.types import Epoch, NodeId
from stkrp2p.ports import RegistrySnapshot

if TYPE_CHECKING:
    from stkrp2p.config import Loaded


def current_epoch(genesis: Genesis) -> Epoch:
    """Return the epoch of the round that is due now; 0 before the first."""
    due = genesis.beacon.last_due(SystemClock().unix_ms())
    return Epoch(max(0, genesis.clock.epoch_of(due)))


@click.command("roster", cls=ReadingCommand)
@click.option("--epoch", type=click.IntRange(min=0), help="Which one's.  [default: the current]")
def command(*, loaded: Loaded, epoch: int | None, as_json: bool) -> None:
    """List the members of an epoch.

    As the registry says that the node last read; works while the node is down.
    """
    genesis = network_of(loaded.config).genesis
    at = current_epoch(genesis) if epoch is None else Epoch(epoch)
    snapshot = read_store(loaded.config, _registry)
    roster = roster_of(genesis.network_id, at, snapshot.registrations)
    profiles = _profiles(snapshot, roster.members)
    if as_json:
        members = [_document(m, profiles[m.node]) for m in roster.members]
        body = {"epoch": at, "root": roster.root.hex(), "registry_block": snapshot.block}
        print_json("roster/1", {**body, "members": members})
        return
    rows = [
        (
            short(m.node),
            m.kind.name.lower(),
            tokens(m.stake),
            f"0x{m.operator.hex()[:8]}…",
            profiles[m.node].workload,
            " ".join(profiles[m.node].addresses),
        )
        for m in roster.members
    ]
    head = ("node", "kind", ">stake", "operator", "workload", "addresses")
    print_lines(columns(head, rows))
    summary = f"{len(roster)} members: {len(roster.full)} full, {len(roster.light)} light"
    click.echo(f"epoch {at}: {summary}; registry as of block {snapshot.block}")


async def _registry(store: StoreReader) -> RegistrySnapshot:
    return await stored_registry(store)


def _profiles(snapshot: RegistrySnapshot, members: tuple[Member, ...]) -> dict[NodeId, Profile]:
    entries = {(e.node, e.operator, e.nonce): e for e in snapshot.registrations}
    return {m.node: read_profile(entries[m.node, m.operator, m.nonce]) for m in members}


def _document(member: Member, profile: Profile) -> dict[str, object]:
    return {
        "node": member.node.hex(),
        "peer_id": peer_id_text(member.node),
        "kind": member.kind.name.lower(),
        "operator": f"0x{member.operator.hex()}",
        "nonce": member.nonce,
        "stake_wei": str(member.stake),
        "workload": profile.workload,
        "addresses": list(profile.addresses),
    }
