"""What the contracts' events come to, in the order they were emitted. Pure.

A log that does not follow from those before it means that the endpoint left some out: the ledger
refuses it rather than show a roster that nobody else has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.core.anchor import Header
from stkrp2p.core.params import NODES_MAX
from stkrp2p.core.roster import Registration
from stkrp2p.core.types import Epoch, Kind, NodeId, Operator
from stkrp2p.core.wire import decode, encode
from stkrp2p.ports import AnchorRecord

Fields = dict[str, Any]

REGISTRATIONS_MAX = NODES_MAX
"""Most registrations ever, those that left included; each cost its operator a stake for a while."""


class LogsMissing(ValueError):
    """A log does not follow from those before it, or there are too many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event of ours, as its log has it."""

    contract: str
    """`Registry` or `ReputationAnchor`."""

    name: str
    fields: Fields
    block: int
    transaction: bytes
    """Hash, 32 bytes."""


class RegistryLedger:
    """The registrations, as their events tell them."""

    def __init__(self) -> None:
        """Start with none."""
        self._entries: list[Registration] = []
        self._shown: tuple[Registration, ...] | None = ()

    @property
    def registrations(self) -> tuple[Registration, ...]:
        """All registrations ever, by index."""
        if self._shown is None:
            self._shown = tuple(self._entries)
        return self._shown

    def apply(self, event: Event) -> None:
        """Take one event in; those that say nothing about a roster change nothing.

        Raises:
            LogsMissing: It does not follow from those before it.
        """
        change = _CHANGES.get(event.name)
        if event.name == "Registered":
            self._add(event.fields)
        elif change is not None:
            index = event.fields["registration"]
            if index >= len(self._entries):
                raise LogsMissing(f"{event.name} of registration {index} before it was registered")
            self._entries[index] = change(self._entries[index], event.fields)
        self._shown = None

    def _add(self, fields: Fields) -> None:
        if len(self._entries) == REGISTRATIONS_MAX:
            raise LogsMissing(f"more than {REGISTRATIONS_MAX} registrations")
        if fields["registration"] != len(self._entries):
            raise LogsMissing(
                f"registration {fields['registration']} follows {len(self._entries) - 1}"
            )
        self._entries.append(
            Registration(
                index=fields["registration"],
                node=NodeId(fields["nodeId"]),
                operator=Operator(bytes.fromhex(fields["operator"][2:])),
                nonce=fields["nonce"],
                kind=Kind(fields["kind"]),
                stakes=((Epoch(fields["effectiveEpoch"]), fields["stake"]),),
                claim=fields["claim"],
                profile=fields["addresses"],
            )
        )


def _with_stake(entry: Registration, fields: Fields) -> Registration:
    step = (Epoch(fields["effectiveEpoch"]), fields["stakeTotal"])
    # Of several changes that take effect together the last one counts, as in the contract.
    earlier = tuple(s for s in entry.stakes if s[0] < step[0])
    return replace(entry, stakes=(*earlier, step))


def _with_exit(entry: Registration, fields: Fields) -> Registration:
    return replace(entry, exit_epoch=Epoch(fields["effectiveEpoch"]))


def _with_profile(entry: Registration, fields: Fields) -> Registration:
    return replace(entry, profile=fields["addresses"])


_CHANGES: dict[str, Callable[[Registration, Fields], Registration]] = {
    "StakeAdded": _with_stake,
    "Exited": _with_exit,
    "AddressesSet": _with_profile,
}


class _Packed(msgspec.Struct, array_like=True, frozen=True):
    header: Header
    block: int
    transaction: bytes


def anchor_of(event: Event, *, is_final: bool) -> AnchorRecord:
    """Return an `Anchored` event as a record."""
    fields = event.fields
    header = Header(
        epoch=fields["epoch"],
        roster_root=fields["rosterRoot"],
        proposal_hash=fields["proposalHash"],
        evidence_root=fields["evidenceRoot"],
        score_root=fields["scoreRoot"],
        median_ppm=fields["medianPpm"],
        is_void=fields["isVoid"],
    )
    return AnchorRecord(
        header=header,
        block=event.block,
        is_final=is_final,
        transaction=f"0x{event.transaction.hex()}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tip:
    """What some events after the final ones have made of the anchors."""

    kept: int
    """How many of the final anchors still stand: a challenge may void those as well."""

    voids: int
    """How often an anchor was voided, since the contract was deployed."""

    records: tuple[AnchorRecord, ...]
    """The anchors after those kept."""

    @property
    def next_epoch(self) -> int:
        """The epoch to be anchored next."""
        return self.kept + len(self.records)

    def after(self, event: Event, *, is_final: bool) -> Tip:
        """Return what one more event makes of it.

        Raises:
            LogsMissing: It does not follow from those before it.
        """
        if event.name == "Anchored":
            record = anchor_of(event, is_final=is_final)
            if record.header.epoch != self.next_epoch:
                raise LogsMissing(f"epoch {record.header.epoch} follows {self.next_epoch - 1}")
            return replace(self, records=(*self.records, record))
        if event.name == "Voided":
            return self._cut(event.fields["epoch"], event.fields["voids"])
        return self

    def _cut(self, epoch: int, voids: int) -> Tip:
        """Return it without the anchors from an epoch on."""
        if voids != self.voids + 1 or epoch >= self.next_epoch:
            raise LogsMissing(f"void {voids} of epoch {epoch} follows {self.voids}")
        kept = min(self.kept, epoch)
        return Tip(kept=kept, voids=voids, records=self.records[: epoch - kept])


class AnchorLedger:
    """The final anchors. Packed, about 240 bytes each: a network has thousands in a year."""

    def __init__(self) -> None:
        """Start with none."""
        self._packed: list[bytes] = []
        self._voids = 0

    @property
    def tip(self) -> Tip:
        """How far the anchors have come."""
        return Tip(kept=len(self._packed), voids=self._voids, records=())

    def apply(self, event: Event) -> None:
        """Take one event in.

        Raises:
            LogsMissing: It does not follow from those before it.
        """
        tip = self.tip.after(event, is_final=True)
        del self._packed[tip.kept :]
        self._voids = tip.voids
        self._packed += [
            encode(_Packed(r.header, event.block, event.transaction)) for r in tip.records
        ]

    def page(self, first: int, end: int) -> list[AnchorRecord]:
        """Return the records of epochs `first` to `end`, without that of `end`."""
        return [self._record(p) for p in self._packed[first:end]]

    def _record(self, packed: bytes) -> AnchorRecord:
        fields = decode(packed, _Packed)
        return AnchorRecord(
            header=fields.header,
            block=fields.block,
            is_final=True,
            transaction=f"0x{fields.transaction.hex()}",
        )


TOPICS = tuple(
    interface(contract).topic(name)
    for contract, names in (
        ("Registry", ("Registered", "StakeAdded", "Exited", "AddressesSet")),
        ("ReputationAnchor", ("Anchored", "Voided")),
    )
    for name in names
)
"""First topics of the events that are read."""
