"""An anvil with one network's contracts, for a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from stkrp2p.adapters.deploy import Deployed
from stkrp2p.core.network import MarketAddresses
from testnet import anvil
from tests.adapters.chain_kit import ALICE, Net, deploy_at, restored, rpc
from tests.adapters.market_kit import Epoch0, MarketNet, deploy_all, open_trade, rich


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Deployed]]:
    log_path = tmp_path_factory.mktemp("anvil") / "anvil.log"
    with anvil.running(anvil.Options(), log_path=log_path) as running:
        yield running.url, trio.run(deploy_at, running.url)


@pytest.fixture
def net(deployed: tuple[str, Deployed]) -> Iterator[Net]:
    """The network as it was deployed, whatever other tests did to the chain."""
    url, contracts = deployed
    with restored(url):
        net = Net(url, contracts)
        yield net
        net.close()
        rpc(url, "anvil_dropAllTransactions")
        rpc(url, "evm_setAutomine", *[True])
    rpc(url, "anvil_setNextBlockBaseFeePerGas", hex(10**9))


@pytest.fixture(scope="module")
def market_deployed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, Deployed, MarketAddresses]]:
    log_path = tmp_path_factory.mktemp("anvil") / "anvil.log"
    with anvil.running(anvil.Options(), log_path=log_path) as running:
        yield running.url, *trio.run(deploy_all, running.url)


@pytest.fixture
def market_net(
    market_deployed: tuple[str, Deployed, MarketAddresses],
) -> Iterator[MarketNet]:
    """The network with rule and market as it was deployed, whatever other tests did."""
    url, contracts, market = market_deployed
    with restored(url):
        net = MarketNet(url, contracts, market=market)
        yield net
        net.close()


@pytest.fixture(scope="module")
def opened_trade(market_deployed: tuple[str, Deployed, MarketAddresses]) -> Epoch0:
    """Both providers are approved, staked and have a node; done once for a module's tests."""
    url, contracts, market = market_deployed
    net = MarketNet(url, contracts, market=market)

    async def prepare() -> Epoch0:
        rich(net, ALICE)
        return await open_trade(net)

    try:
        return trio.run(prepare)
    finally:
        net.close()


@pytest.fixture
def trade_net(opened_trade: Epoch0, market_net: MarketNet) -> MarketNet:
    """A network on which `opened_trade` has happened."""
    return market_net
