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
from web3 import Web3
from web3.exceptions import ContractCustomError

from stkrp2p.adapters.artifacts import Artifact
from testnet.contracts import Chain, running_chain

if TYPE_CHECKING:
    from web3.contract import Contract

CONTRACTS = Path(__file__).resolve().parents[2] / "protocols" / "contracts"


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
    with running_chain(tmp_path / "anvil.log") as chain:
        yield chain


@pytest.fixture(scope="session")
def builder() -> ModuleType:
    """`protocols/contracts/build.py`, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("contracts_build", CONTRACTS / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def harness_of(builder: ModuleType, name: str) -> Artifact:
    """Compile one of the tests' own contracts around a library."""
    path = f"test/lib/{name}.sol"
    wanted, sources = builder.compiler_input(), {}
    builder.sources_of(path, sources)
    wanted["sources"] = sources
    wanted["settings"]["outputSelection"] = {path: {name: ["abi", "evm.bytecode.object"]}}
    made = builder.compile_json(json.dumps(wanted))[path][name]
    bytecode = bytes.fromhex(made["evm"]["bytecode"]["object"])
    return Artifact(abi=made["abi"], bytecode=bytecode, runtime=b"", immutables=())


@pytest.fixture(scope="session")
def score_harness(builder: ModuleType) -> Artifact:
    """The tests' own contract around `ScoreMath`."""
    return harness_of(builder, "ScoreHarness")


@pytest.fixture(scope="session")
def quicknet() -> dict[str, Any]:
    """Quicknet's key and some of its rounds, with points as EIP-2537 wants them."""
    return json.loads((CONTRACTS / "test" / "fixtures.json").read_text())["quicknet"]
