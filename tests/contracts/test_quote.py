"""What the market quotes is what the core computes, at any tariff, need, time and price (R47)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from stkrp2p.core.economics import UNIT, ankr_per_eth_of, yearly_share
from stkrp2p.core.policy import MINIMAL, Parameter
from testnet.contracts import Chain, running_chain
from testnet.vectors.money import QuoteRow, quote_rows, quoted

if TYPE_CHECKING:
    from web3.contract import Contract

pytestmark = pytest.mark.chain

TARIFFS = 20
NEEDS = 20
"""Quotes at each tariff and price."""

PRICE_MIN, PRICE_MAX = 10**9, 10**27
TYPE = 7
NOBODY = "0x" + "00" * 20
ETH_STAKE = 32 * UNIT
TARIFF = (
    Parameter.USD_PER_CORE_HOUR,
    Parameter.USD_PER_RAM_GB_HOUR,
    Parameter.USD_PER_STORAGE_GB_HOUR,
    Parameter.USD_PER_MBPS_HOUR,
)


@dataclass
class Quoting:
    """A market with real prices and policy, of which the first account is the timelock."""

    chain: Chain
    policy: Contract
    feeds: tuple[Contract, Contract]
    prices: Contract
    market: Contract

    def at(self, tariff: tuple[int, ...], ankr: int, eth: int) -> None:
        """Set the tariff, and what ANKR and ETH cost in 10^-18 USD."""
        for parameter, value in zip(TARIFF, tariff, strict=True):
            self.chain.send(self.policy.functions.set(parameter, value))
        for feed, price in zip(self.feeds, (ankr, eth), strict=True):
            self.chain.send(feed.functions.set(price))
        sources = [(f.address, p) for f, p in zip(self.feeds, (ankr, eth), strict=True)]
        self.chain.send(self.prices.functions.setFeeds(*sources))


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quoting]:
    with running_chain(tmp_path_factory.mktemp("anvil") / "anvil.log") as chain:
        timelock = chain.accounts[0]
        scoring = (1, b"\1" * 32)
        policy = chain.deploy(
            "Policy", timelock, MINIMAL.values, list(MINIMAL.distribution), *scoring
        )
        feeds = chain.deploy("TestFeed", 18, UNIT), chain.deploy("TestFeed", 18, UNIT)
        sources = [(feed.address, UNIT) for feed in feeds]
        prices = chain.deploy("Prices", timelock, policy.address, *sources)
        setup = (NOBODY, policy.address, prices.address, *[NOBODY] * 3, 1, 1, NOBODY, NOBODY)
        market = chain.deploy("Market", setup)
        kind = (True, 0, 3, 0, 0, 0, ETH_STAKE, (1, 0, 0, 0))
        chain.send(policy.functions.setProjectType(TYPE, kind))
        yield Quoting(chain, policy, feeds, prices, market)


def test_the_market_quotes_what_the_core_computes_in_each_of_400_cases(quoting):
    """R47, Q10."""
    needs = [row for row in quote_rows(seed=51, count=200) if row[0]][:NEEDS]
    assert len(needs) == NEEDS
    for row in quote_rows(seed=52, count=TARIFFS):
        tariff = tuple(max(1, usd) for usd in row[4:8])
        ankr = min(max(row[9], PRICE_MIN), PRICE_MAX)
        quoting.at(tariff, ankr, eth=2_000 * UNIT)
        for need in needs:
            full: QuoteRow = (*need[:4], *tariff, need[8], ankr)
            profit = yearly_share(ETH_STAKE, bps_per_year=300, length_s=need[8])
            told = quoting.market.functions.quote(TYPE, need[:4], need[8]).call()
            assert told == [quoted(full)[1], ETH_STAKE, profit], full


@pytest.mark.parametrize("ankr", [PRICE_MIN, PRICE_MIN + 1, UNIT // 37, PRICE_MAX])
@pytest.mark.parametrize("eth", [PRICE_MIN, 2_000 * UNIT + 7, PRICE_MAX])
def test_prices_are_what_the_core_computes_of_both_feeds(quoting, ankr, eth):
    """Q10."""
    quoting.at((1, 1, 1, 1), ankr, eth)
    expected = ankr_per_eth_of(usd_per_eth=eth, usd_per_ankr=ankr)
    assert quoting.prices.functions.ankrPerEth().call() == expected
