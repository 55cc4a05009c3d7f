"""The contract `Prices`: what ANKR and ETH are worth, refused rather than guessed (Q10, R30)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from stkrp2p.adapters.chain.rule.actions import Action
from stkrp2p.adapters.chain.rule.party import Party
from stkrp2p.core.types import Operator

CONTRACT = "Prices"


class Asset(IntEnum):
    """Whose price; the numbers are the contract's."""

    ANKR = 0
    ETH = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a price comes from."""

    feed: Operator
    """Address of an AggregatorV3."""

    base: int
    """The last price that was believed, in 10^-18 USD: what a new one is compared with."""


class Prices:
    """Reads prices and moves their references; raises as the other contracts' classes do."""

    def __init__(self, party: Party) -> None:
        """Deal with the prices as a party."""
        self._party = party

    async def ankr_of_usd(self, usd: int) -> int:
        """Return what an amount of 10^-18 USD costs in 10^-18 ANKR, rounded up."""
        return await self._party.read(CONTRACT, "ankrOfUsd", usd, shape=int)

    async def ankr_per_eth(self) -> int:
        """Return 10^-18 ANKR for one ETH, rounded down."""
        return await self._party.read(CONTRACT, "ankrPerEth", shape=int)

    async def source(self, asset: Asset) -> Source:
        """Return where an asset's price comes from."""
        return await self._party.read(CONTRACT, "sourceOf", asset, shape=Source)

    async def poke(self) -> Action:
        """Prepare to look at both feeds and move the references as far as the rules let it."""
        return await self._party.prepare(
            CONTRACT, "poke", does="look at both feeds and move the reference prices"
        )
