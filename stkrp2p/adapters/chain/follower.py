"""Reading the contracts' events without ever having to take one back.

Final blocks are read once, in bounded ranges, and folded into the ledgers. Blocks after them are
read anew by each call that wants them, so a reorganisation needs no undoing. Final is what the
endpoint calls `finalized`; where it has no such tag, what lies `confirmations` blocks deep. Should a
block that was final be replaced all the same, everything is read again from the deploy block.
"""

from __future__ import annotations

import logging
from typing import Annotated

import msgspec

from stkrp2p.adapters.chain.abi import interface
from stkrp2p.adapters.chain.endpoint import Endpoint, EndpointFailed, Refused, unhex
from stkrp2p.adapters.chain.ledger import (
    TOPICS,
    AnchorLedger,
    Event,
    LogsMissing,
    RegistryLedger,
    Tip,
)
from stkrp2p.core.network import Genesis
from stkrp2p.core.types import UnixMs
from stkrp2p.ports import AnchorRecord, RegistrySnapshot

log = logging.getLogger(__name__)

RANGE_BLOCKS_MAX = 5_000
"""Most blocks one request for logs spans; halved while an endpoint refuses."""

READS_MAX = 3
"""How often the newest blocks are read again when they change under our hands."""

_WITH_TRANSACTIONS = False

Hex = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]*$")]


class Block(msgspec.Struct, frozen=True, rename="camel"):
    """What we read of a block's header."""

    number: Hex
    hash: Hex
    timestamp: Hex
    base_fee_per_gas: Hex = "0x0"

    @property
    def height(self) -> int:
        """The block's number."""
        return int(self.number, 16)


class _Log(msgspec.Struct, frozen=True, rename="camel"):
    address: Hex
    topics: list[Hex]
    data: Hex
    block_number: Hex
    transaction_hash: Hex


def _read_block(result: object) -> Block | None:
    return None if result is None else msgspec.convert(result, Block)


async def block_at(endpoint: Endpoint, place: str) -> Block | None:
    """Return the block of a number (0x-hex) or tag; `None` if the endpoint has none.

    Raises:
        EndpointFailed: The endpoint did not tell.
    """
    return await endpoint.ask("eth_getBlockByNumber", place, _WITH_TRANSACTIONS, parse=_read_block)


async def latest_block(endpoint: Endpoint) -> Block:
    """Return the newest block.

    Raises:
        EndpointFailed: The endpoint did not tell.
    """
    block = await block_at(endpoint, "latest")
    if block is None:
        raise EndpointFailed("has no latest block")
    return block


class Follower:
    """The ledgers of one network, up to the last final block read."""

    def __init__(self, genesis: Genesis, *, deploy_block: int, confirmations: int) -> None:
        """Start before the first block.

        Args:
            genesis: Names the contracts.
            deploy_block: No log of ours is in an earlier block.
            confirmations: How deep a block must lie where the endpoint has no `finalized`.
        """
        self._contracts = {
            f"0x{genesis.registry.hex()}": "Registry",
            f"0x{genesis.anchor.hex()}": "ReputationAnchor",
        }
        self._anchor = f"0x{genesis.anchor.hex()}"
        self._deploy_block = deploy_block
        self._confirmations = confirmations
        self._range_blocks = RANGE_BLOCKS_MAX
        self.voids = 0
        """How often an anchor had been voided, as of the last `anchors`."""

        self._restart()

    def _restart(self) -> None:
        self._registry = RegistryLedger()
        self._anchors = AnchorLedger()
        self._mark: Block | None = None
        """The last final block whose logs are folded in."""

    @property
    def height(self) -> int:
        """Number of the last block folded in; one less than the deploy block before the first."""
        return self._deploy_block - 1 if self._mark is None else self._mark.height

    async def registry(self, endpoint: Endpoint) -> RegistrySnapshot:
        """Return the registry as of the last final block.

        Raises:
            EndpointFailed: The endpoint is down, answers nonsense, or lost blocks.
        """
        mark = await self._catch_up(endpoint)
        return RegistrySnapshot(
            registrations=self._registry.registrations,
            block=mark.height,
            block_ms=UnixMs(int(mark.timestamp, 16) * 1000),
        )

    async def anchors(self, endpoint: Endpoint, first: int, count: int) -> tuple[AnchorRecord, ...]:
        """Return at most `count` anchored epochs from `first` on, as of the newest block.

        Raises:
            EndpointFailed: As above, or its logs and its state disagree.
        """
        for _ in range(READS_MAX):
            newest = await latest_block(endpoint)
            await self._catch_up(endpoint)
            tip = await self._newest_anchors(endpoint, newest)
            if tip is not None:
                self.voids = tip.voids
                final = self._anchors.page(first, min(first + count, tip.kept))
                after = [r for r in tip.records if r.header.epoch >= first]
                return tuple((final + after)[:count])
        raise EndpointFailed("its logs and its state disagree about the anchors")

    async def _newest_anchors(self, endpoint: Endpoint, newest: Block) -> Tip | None:
        """Return what became of the anchors by then; `None` if the chain changed meanwhile."""
        tip = self._anchors.tip
        start = self.height + 1
        while start <= newest.height:
            end, found = await self._events(endpoint, [self._anchor], start, newest.height)
            try:
                for event in found:
                    tip = tip.after(event, is_final=False)
            except LogsMissing:
                return None
            start = end + 1
        next_epoch = await endpoint.call(
            unhex(self._anchor),
            interface("ReputationAnchor").call("nextEpoch"),
            parse=_read_next_epoch,
            block=newest.number,
        )
        return tip if tip.next_epoch == next_epoch else None

    async def _catch_up(self, endpoint: Endpoint) -> Block:
        """Fold in all blocks up to the last final one; return it."""
        target = await self._final_block(endpoint)
        if self._mark is not None and target.hash != self._mark.hash:
            await self._check_mark(endpoint, self._mark)
        while self.height < target.height:
            await self._fold_range(endpoint, target)
        if self._mark is None:
            self._mark = target  # the deploy block is yet to come
        return self._mark

    async def _fold_range(self, endpoint: Endpoint, target: Block) -> None:
        start = self.height + 1
        end, events = await self._events(endpoint, list(self._contracts), start, target.height)
        mark = target
        if end < target.height:
            block = await block_at(endpoint, hex(end))
            if block is None:
                raise EndpointFailed(f"lost block {end}")
            mark = block
        try:
            for event in events:
                ledger = self._registry if event.contract == "Registry" else self._anchors
                ledger.apply(event)
        except ValueError as error:
            self._restart()
            raise EndpointFailed(f"left out logs: {error}") from None
        self._mark = mark

    async def _check_mark(self, endpoint: Endpoint, mark: Block) -> None:
        """Start over if the last final block we read is not on this chain any more."""
        block = await block_at(endpoint, mark.number)
        if block is None:
            raise EndpointFailed(f"lacks final block {mark.height}: it lags, or lost blocks")
        if block.hash != mark.hash:
            log.warning("final block replaced", extra={"block": mark.height})
            self._restart()

    async def _final_block(self, endpoint: Endpoint) -> Block:
        try:
            block = await block_at(endpoint, "finalized")
        except Refused:
            block = None
        if block is not None:
            return block
        height = max(0, (await latest_block(endpoint)).height - self._confirmations)
        block = await block_at(endpoint, hex(height))
        if block is None:
            raise EndpointFailed(f"has no block {height}")
        return block

    async def _events(
        self, endpoint: Endpoint, addresses: list[str], start: int, last: int
    ) -> tuple[int, list[Event]]:
        """Return (number of the last block read, our events from `start` to it)."""
        while True:
            end = min(last, start + self._range_blocks - 1)
            wanted = {
                "address": addresses,
                "topics": [[f"0x{topic.hex()}" for topic in TOPICS]],
                "fromBlock": hex(start),
                "toBlock": hex(end),
            }
            try:
                return end, await endpoint.ask("eth_getLogs", wanted, parse=self._read_logs)
            except Refused:
                if end == start:
                    raise
                self._range_blocks = max(1, (end - start + 1) // 2)

    def _read_logs(self, result: object) -> list[Event]:
        return [self._read_log(entry) for entry in msgspec.convert(result, list[_Log])]

    def _read_log(self, entry: _Log) -> Event:
        contract = self._contracts[entry.address.lower()]
        found = interface(contract).event([unhex(t) for t in entry.topics], unhex(entry.data))
        if found is None:
            raise ValueError("a log we did not ask for")
        return Event(
            contract=contract,
            name=found[0],
            fields=found[1],
            block=int(entry.block_number, 16),
            transaction=unhex(entry.transaction_hash),
        )


def _read_next_epoch(data: bytes) -> int:
    epoch: int = interface("ReputationAnchor").answer("nextEpoch", data)
    return epoch
