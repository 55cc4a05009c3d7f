"""One promise of a local network, and whether a run kept it."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

import msgspec

from testnet.cluster import Cluster, Member
from testnet.plan import Role


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One promise, and whether it held."""

    promise: str
    held: bool
    detail: str


def members_in(cluster: Cluster, roles: Container[Role]) -> list[Member]:
    """Return the nodes that have one of these roles."""
    return [m for m in cluster.members if m.entry.role in roles]


def folder_of(member: Member) -> Path:
    """Return where a node's store is."""
    return Path(member.entry.data_dir)


def of_several(
    promise: str, members: Sequence[Member], faults: Sequence[str], detail: str
) -> Finding:
    """Return one finding about several nodes.

    Args:
        promise: What each of them must keep.
        members: The nodes.
        faults: For each of them what is wrong, "" if nothing is; then the detail names them.
        detail: What to say if nothing is wrong.
    """
    named = [f"{m.entry.name}: {f}" for m, f in zip(members, faults, strict=True) if f]
    return Finding(promise=promise, held=not named, detail="; ".join(named) or detail)
