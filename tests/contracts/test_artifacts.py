"""What the package carries is what the sources build to."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from stkrp2p.adapters.artifacts import load
from stkrp2p.adapters.chain.assignment import network_of
from stkrp2p.adapters.deploy import Plan, anchor_setup
from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon
from stkrp2p.core.params import MINIMAL
from stkrp2p.core.types import Round, UnixMs
from testnet.contracts import deploy_anchors

pytestmark = pytest.mark.chain

ROOT = Path(__file__).resolve().parents[2]
CONTRACTS = ROOT / "protocols" / "contracts"
ARTIFACTS = ROOT / "stkrp2p" / "adapters" / "artifacts"
NETWORK = (
    "AssignmentVerifier",
    "BeaconVerifier",
    "CouncilKeys",
    "Registry",
    "ReputationAnchor",
    "TestAnkr",
)
MARKET = (
    "Council",
    "Deals",
    "Market",
    "Policy",
    "Pot",
    "Prices",
    "Providers",
    "TestFeed",
    "Timelock",
    "VoterRewards",
)
"""What rule and market add; `tests/adapters/test_deploy_market.py` compares what is deployed."""

NAMES = (*NETWORK, *MARKET)
FORGED = ("BeaconVerifier", "TestAnkr")
"""What forge builds as well: on a library of ours, and on OpenZeppelin's. All have the same settings."""

SIZE_BYTES_MAX = 24_576
"""Most bytes of a contract's code (EIP-170)."""

INITCODE_BYTES_MAX = 49_152
"""Most bytes of the code that makes a contract (EIP-3860)."""

COUNCIL_KEY = bls.public_key_of(7)
PLAN = Plan(
    name="built",
    params=MINIMAL,
    beacon=Beacon(public_key=COUNCIL_KEY, genesis_ms=UnixMs(1_000), period_ms=1_000),
    first_round=Round(1),
    council_key=COUNCIL_KEY,
)


@pytest.fixture(scope="module")
def built(builder: ModuleType) -> dict[str, str]:
    return builder.build()


def test_the_artifacts_rebuild_byte_for_byte(builder, built):
    assert builder.differences(built) == []


def test_a_changed_missing_or_foreign_artifact_is_noticed(builder, built, tmp_path, monkeypatch):
    shutil.copytree(ARTIFACTS, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(builder, "ARTIFACTS", tmp_path)
    registry = tmp_path / "Registry.json"
    registry.write_text(registry.read_text().replace("6080", "6081", 1))
    (tmp_path / "TestAnkr.json").unlink()
    (tmp_path / "Stranger.json").write_text("{}")
    assert builder.differences(built) == ["Registry.json", "Stranger.json", "TestAnkr.json"]


def test_forge_builds_the_same_bytecode(builder, tmp_path):
    # A cache of its own: one that saw other settings may leave sources out.
    forge = next(CONTRACTS.glob("node_modules/@foundry-rs/forge-*/bin/forge"))
    places = {"FOUNDRY_OUT": str(tmp_path / "out"), "FOUNDRY_CACHE_PATH": str(tmp_path / "cache")}
    subprocess.run(
        [forge, "build", *map(builder.source_of, FORGED)],
        cwd=CONTRACTS,
        env={**os.environ, **places},
        check=True,
        capture_output=True,
    )
    for name in FORGED:
        forged = json.loads((tmp_path / "out" / f"{name}.sol" / f"{name}.json").read_text())
        assert bytes.fromhex(forged["bytecode"]["object"][2:]) == load(name).bytecode, name


def test_the_manifest_names_the_compiler_and_each_artifact():
    manifest = json.loads((ARTIFACTS / "build.json").read_text())
    assert manifest["compiler"].startswith("0.8.37+commit.")
    assert manifest["settings"]["evmVersion"] == "prague"
    assert manifest["sha256"] == {
        f"{name}.json": hashlib.sha256((ARTIFACTS / f"{name}.json").read_bytes()).hexdigest()
        for name in NAMES
    }


def test_an_unknown_artifact_is_an_error():
    with pytest.raises(FileNotFoundError):
        load("Stranger")


def test_every_contract_is_under_the_size_limit():
    for name in NAMES:
        assert len(load(name).runtime) <= SIZE_BYTES_MAX, name
        assert len(load(name).bytecode) <= INITCODE_BYTES_MAX, name


def test_what_is_deployed_is_the_artifact_but_for_its_immutables(chain, quicknet):
    ankr = chain.deploy("TestAnkr", 10**24)
    genesis = deploy_anchors(chain, chain.now_s + 100).genesis
    deployed = {
        "AssignmentVerifier": chain.deploy(
            "AssignmentVerifier", network_of(genesis, beacon=bytes(20))
        ),
        "TestAnkr": ankr,
        "BeaconVerifier": chain.deploy("BeaconVerifier", quicknet["key"]),
        "CouncilKeys": chain.deploy("CouncilKeys", [(ankr.address, b"\1" * 32)], 60),
        "Registry": chain.deploy("Registry", ankr.address, 1, 2, 3, 4, 5),
        "ReputationAnchor": chain.deploy("ReputationAnchor", anchor_setup(PLAN, bytes(20))),
    }
    anchor, beacon = (deployed[name].address for name in ("ReputationAnchor", "BeaconVerifier"))
    network = (anchor, beacon, bytes(20), bytes(32), 1, 1, 0, 0, 1, 1)
    deployed["AssignmentVerifier"] = chain.deploy("AssignmentVerifier", network)
    code = {name: bytes(chain.web3.eth.get_code(at.address)) for name, at in deployed.items()}
    for name in NETWORK:
        assert load(name).is_deployed_as(code[name]), name
        assert not load(name).is_deployed_as(code[name][:-1]), name
        assert not load(name).is_deployed_as(b""), name
        broken = bytearray(code[name])
        broken[5] ^= 1
        assert not load(name).is_deployed_as(bytes(broken)), name
    assert code["Registry"] != load("Registry").runtime
