"""An anvil with one network's contracts, for a module's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from stkrp2p.adapters.deploy import Deployed
from stkrp2p.core.network import MarketAddresses
from testnet import anvil
from tests.adapters.chain_kit import Net, deploy_at, rpc
from tests.adapters.market_kit import MarketNet, deploy_all


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Deployed]]:
    log_path = tmp_path_factory.mktemp("anvil") / "anvil.log"
    with anvil.running(anvil.Options(), log_path=log_path) as running:
        yield running.url, trio.run(deploy_at, running.url)


@pytest.fixture
def net(deployed: tuple[str, Deployed]) -> Iterator[Net]:
    """The network as it was deployed, whatever other tests did to the chain."""
    url, contracts = deployed
    snapshot = rpc(url, "evm_snapshot")
    net = Net(url, contracts)
    yield net
    net.close()
    rpc(url, "anvil_dropAllTransactions")
    rpc(url, "evm_setAutomine", *[True])
    rpc(url, "evm_revert", snapshot)
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
    snapshot = rpc(url, "evm_snapshot")
    net = MarketNet(url, contracts, market=market)
    yield net
    net.close()
    rpc(url, "evm_revert", snapshot)
