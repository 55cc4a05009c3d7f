"""Where nodes can be reached: what the registry says, and newer words the nodes signed themselves.

The registry's profiles bring two strangers together; signed records that peers hand on let a node
move without a transaction. The highest sequence number of a node counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import structlog
import trio

from stkrp2p.core.reconcile import (
    RECORDS_MAX,
    SYNC_PROTOCOL,
    AskRecords,
    RecordList,
    read_records,
    record_list,
)
from stkrp2p.core.records import (
    ADDRESSES_MAX as RECORD_ADDRESSES_MAX,
    AddressRecord,
    is_record_signed,
    sign_record,
)
from stkrp2p.core.roster import read_profile
from stkrp2p.core.types import Epoch, NodeId, ProtocolError
from stkrp2p.core.wire import ANSWER_BYTES_MAX, decode, encode
from stkrp2p.ports import Entropy, Network, Unreachable, WallClock
from stkrp2p.services.ledger import Ledger

log = structlog.get_logger()

ASK_MS_MAX = 5_000
"""Time a peer has to hand over its records."""

ALL_INTERFACES = ("/ip4/0.0.0.0/", "/ip6/::/")

EXCHANGE_S = 15.0
"""From one exchange of records to the next."""

ADDRESSES_MAX = 16
"""Addresses of one node handed to the edge: its own word, then what registrations say of it. Anybody
may register somebody else's node, with a claim that is false; noise proves who answers."""


@dataclass(slots=True, kw_only=True)
class Directory:
    """The addresses known of the network's nodes, one record a node, members only."""

    ledger: Ledger
    network: Network
    announced: tuple[str, ...] = ()
    """What we say of ourselves instead of the addresses we listen on."""

    _records: dict[NodeId, AddressRecord] = field(default_factory=dict)
    _shown: int = 0
    """Where the next answer begins, so that in time all records are handed out."""

    _book: dict[NodeId, tuple[str, ...]] = field(default_factory=dict)

    def own_addresses(self) -> tuple[str, ...]:
        """Return where we say we can be reached; "all interfaces" is nowhere to dial."""
        heard = (a for a in self.network.addresses if not a.startswith(ALL_INTERFACES))
        return (self.announced or tuple(heard))[:RECORD_ADDRESSES_MAX]

    def records(self) -> RecordList:
        """Return what is handed to peers: at most `RECORDS_MAX`, sorted by node."""
        kept = sorted(self._records.values(), key=lambda r: r.node)
        if len(kept) > RECORDS_MAX:
            self._shown = (self._shown + RECORDS_MAX) % len(kept)
            turned = kept[self._shown :] + kept[: self._shown]
            kept = sorted(turned[:RECORDS_MAX], key=lambda r: r.node)
        return record_list(kept)

    def take(self, record: AddressRecord) -> bool:
        """Keep a record that is newer, of a registered node, and signed; tell whether it was."""
        node = NodeId(record.node)
        known = self._records.get(node)
        if known is not None and known.sequence >= record.sequence:
            return False
        if not self.ledger.rosters.is_registered(node):
            return False
        if not is_record_signed(self.ledger.network_id, record):
            return False
        self._records[node] = record
        if node != self.network.node:
            self.network.learn_addresses(node, record.addresses)
        return True

    def follow_registry(self, current: Epoch) -> None:
        """Give the edge the addresses of everybody registered for the current or a later epoch."""
        book: dict[NodeId, tuple[str, ...]] = {}
        for entry in self.ledger.snapshot.registrations:
            gone = entry.exit_epoch is not None and entry.exit_epoch <= current
            if not gone and entry.node != self.network.node:
                named = (*book.get(entry.node, ()), *read_profile(entry).addresses)
                book[entry.node] = named[:ADDRESSES_MAX]
        for node in self._records.keys() & book.keys():
            newer = (*self._records[node].addresses, *book[node])
            book[node] = tuple(dict.fromkeys(newer))[:ADDRESSES_MAX]
        if book != self._book:
            self._book = book
            self.network.set_addresses(book)


async def run_directory(
    directory: Directory, secret: bytes, clock: WallClock, entropy: Entropy
) -> None:
    """Exchange address records with one random peer every `EXCHANGE_S`, until cancelled."""
    network, ledger = directory.network, directory.ledger
    while True:
        own = sign_record(
            secret,
            ledger.network_id,
            network.node,
            sequence=clock.unix_ms(),
            addresses=directory.own_addresses(),
        )
        directory.take(own)
        peers = network.peers()
        if peers:
            await _exchange(directory, peers[entropy.below(len(peers))].node)
        await trio.sleep(EXCHANGE_S)


async def _exchange(directory: Directory, node: NodeId) -> None:
    question = encode(AskRecords(network=directory.ledger.network_id))
    try:
        raw = await directory.network.ask(
            node,
            SYNC_PROTOCOL,
            question,
            timeout_ms=ASK_MS_MAX,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )
        if raw:
            for record in read_records(decode(raw, RecordList, bytes_max=ANSWER_BYTES_MAX)):
                directory.take(record)
                await trio.lowlevel.checkpoint()
    except (Unreachable, ProtocolError) as error:
        log.debug("no records from peer", peer=node.hex()[:8], error=str(error))
