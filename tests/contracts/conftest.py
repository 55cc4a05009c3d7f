"""A real anvil with contracts deployed from the package's artifacts, fresh for each test."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from eth_abi import encode as abi_encode
from web3 import HTTPProvider, Web3
from web3.exceptions import ContractCustomError

from stkrp2p.adapters.artifacts import load
from testnet import anvil

if TYPE_CHECKING:
    from web3.contract import Contract
    from web3.contract.contract import ContractFunction
    from web3.types import TxReceipt

CONTRACTS = Path(__file__).resolve().parents[2] / "protocols" / "contracts"


class Chain:
    """What a test does with a chain; the first account deploys and pays for all."""

    def __init__(self, web3: Web3) -> None:
        self.web3 = web3
        self.accounts = web3.eth.accounts

    def deploy(self, name: str, *arguments: object) -> Contract:
        artifact = load(name)
        factory = self.web3.eth.contract(abi=artifact.abi, bytecode=artifact.bytecode)
        receipt = self._mined(factory.constructor(*arguments).transact({"from": self.accounts[0]}))
        return self.web3.eth.contract(address=receipt["contractAddress"], abi=artifact.abi)

    def send(self, call: ContractFunction, account: int = 0) -> TxReceipt:
        receipt = self._mined(call.transact({"from": self.accounts[account]}))
        assert receipt["status"] == 1
        return receipt

    def warp(self, timestamp_s: int) -> None:
        """Mine a block of that time."""
        self.web3.provider.make_request("evm_setNextBlockTimestamp", [timestamp_s])
        self.web3.provider.make_request("evm_mine", [])

    @property
    def now_s(self) -> int:
        return self.web3.eth.get_block("latest")["timestamp"]

    def _mined(self, transaction: bytes) -> TxReceipt:
        return self.web3.eth.wait_for_transaction_receipt(transaction, poll_latency=0.01)


@contextmanager
def refused(contract: Contract, error: str, *arguments: object) -> Iterator[None]:
    """Expect the block to be refused with this custom error and these arguments."""
    [abi] = [e for e in contract.abi if e["type"] == "error" and e["name"] == error]
    types = [parameter["type"] for parameter in abi["inputs"]]
    selector = Web3.keccak(text=f"{error}({','.join(types)})")[:4]
    with pytest.raises(ContractCustomError) as caught:
        yield
    assert caught.value.data == Web3.to_hex(selector + abi_encode(types, arguments))


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    with anvil.running(anvil.Options(), log_path=tmp_path / "anvil.log") as running:
        yield Chain(Web3(HTTPProvider(running.url)))


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """`protocols/contracts/build.py`, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("contracts_build", CONTRACTS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def quicknet() -> dict[str, Any]:
    """Quicknet's key and some of its rounds, with points as EIP-2537 wants them."""
    return json.loads((CONTRACTS / "test" / "fixtures.json").read_text())["quicknet"]
