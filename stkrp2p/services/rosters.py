"""Who takes part in which epoch, from the registry as we last read it.

A roster is final once the registry was read after the roster froze; before that, or while the chain
is down, it is provisional: the best we know, and computed anew when we know more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence, Set
from functools import partial

import structlog

from stkrp2p.core.network import Genesis
from stkrp2p.core.roster import NO_PROFILE, Profile, Registration, Roster, read_profile, roster_of
from stkrp2p.core.types import Epoch, NodeId, Operator, UnixMs
from stkrp2p.ports import RegistrySnapshot
from stkrp2p.services.offload import offload

log = structlog.get_logger()

ROSTER_LAG_EPOCHS = 2
"""Epochs between the moment a roster is frozen and the epoch it is for."""

ROSTERS_KEPT_MAX = 4
"""Different rosters kept for the epochs to come that have the same members."""

NO_REGISTRY = RegistrySnapshot(registrations=(), block=-1, block_ms=UnixMs(0))
"""What is known before the registry was ever read."""

_Key = tuple[tuple[int, bytes, int], ...]


class Rosters:
    """The rosters of the open epochs, and of those to come."""

    def __init__(self, genesis: Genesis) -> None:
        """Start without a registry."""
        self.snapshot = NO_REGISTRY
        self._genesis = genesis
        self._by_epoch: dict[Epoch, Roster] = {}
        self._by_key: OrderedDict[_Key, Roster] = OrderedDict()
        self._entries: dict[tuple[NodeId, int, Operator], Registration] = {}
        self._nodes: frozenset[NodeId] = frozenset()

    @property
    def is_known(self) -> bool:
        """Whether the registry was ever read. Who never read it is in no roster and signs nothing."""
        return self.snapshot.block >= 0

    def is_final(self, epoch: Epoch) -> bool:
        """Tell whether the registry we know was read after the epoch's roster was frozen."""
        frozen = Epoch(max(0, epoch - ROSTER_LAG_EPOCHS))
        return self.snapshot.block_ms >= self._genesis.start_ms(frozen)

    def is_registered(self, node: NodeId) -> bool:
        """Tell whether anybody registered this node, now or ever."""
        return node in self._nodes

    def profile(self, epoch: Epoch, node: NodeId) -> Profile:
        """Return what the registration behind a member of an epoch says of its node.

        Others may have registered the same node with a false claim; what those say counts nothing.
        """
        member = self.roster(epoch).get(node)
        entry = member and self._entries.get((node, member.nonce, member.operator))
        return read_profile(entry) if entry else NO_PROFILE

    def load(self, snapshot: RegistrySnapshot) -> None:
        """Start with what an earlier run knew."""
        self.snapshot = snapshot
        self._index()

    async def replace(self, snapshot: RegistrySnapshot) -> list[Epoch]:
        """Take over a newer registry; return the epochs whose rosters are others now."""
        is_same = snapshot.registrations == self.snapshot.registrations
        provisional = [e for e in self._by_epoch if not self.is_final(e)]
        self.snapshot = snapshot
        if is_same:
            return []
        self._index()
        before = {e: self._by_epoch.pop(e) for e in provisional}
        changed = []
        for epoch, roster in before.items():
            fresh = await self.compute(epoch)
            is_changed = fresh.root != roster.root
            self._by_epoch[epoch] = fresh if is_changed else roster
            if is_changed:
                log.warning("roster changed", epoch=epoch)
                changed.append(epoch)
        return changed

    def _index(self) -> None:
        entries = self.snapshot.registrations
        self._entries = {(e.node, e.nonce, e.operator): e for e in entries}
        self._nodes = frozenset(e.node for e in entries)

    def roster(self, epoch: Epoch) -> Roster:
        """Return an epoch's roster. One not prepared is computed here: claims cost to check."""
        known = self._by_epoch.get(epoch)
        if known is None:
            key = self._key(epoch)
            known = self._by_key.get(key)
            if known is None:
                known = _rooted(self._genesis, epoch, self.snapshot.registrations)
                self._keep(key, known)
            self._by_epoch[epoch] = known
        return known

    async def prepare(self, current: Epoch) -> None:
        """Compute the rosters of the epochs around the current one, out of the event loop."""
        for number in range(max(0, current - 1), max(0, current) + ROSTER_LAG_EPOCHS + 1):
            epoch = Epoch(number)
            if epoch not in self._by_epoch:
                self._by_epoch.setdefault(epoch, await self.compute(epoch))

    async def compute(self, epoch: Epoch) -> Roster:
        """Return an epoch's roster, computed out of the event loop if it is not known."""
        key = self._key(epoch)
        known = self._by_key.get(key)
        if known is None:
            entries = self.snapshot.registrations
            work = partial(_rooted, self._genesis, epoch, entries)
            known = await offload(work, members=len(entries))
            self._keep(key, known)
        return known

    def _key(self, epoch: Epoch) -> _Key:
        """Return what is equal for two epochs exactly if their rosters are."""
        active = (e for e in self.snapshot.registrations if e.is_active(epoch))
        return tuple((e.index, e.claim, e.stake_at(epoch)) for e in active)

    def _keep(self, key: _Key, roster: Roster) -> None:
        self._by_key[key] = roster
        if len(self._by_key) > ROSTERS_KEPT_MAX:
            self._by_key.popitem(last=False)

    def forget(self, kept: Set[Epoch]) -> None:
        """Drop the rosters of all other epochs."""
        for epoch in [e for e in self._by_epoch if e not in kept]:
            del self._by_epoch[epoch]


def _rooted(genesis: Genesis, epoch: Epoch, entries: Sequence[Registration]) -> Roster:
    roster = roster_of(genesis.network_id, epoch, entries)
    _ = roster.root, roster.rank  # computed here and not in the event loop
    return roster
