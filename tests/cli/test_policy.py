"""`stkrp2p policy`: the numbers that governors set, for people and for scripts (R19, R29, R42)."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import trio

from stkrp2p.adapters.chain.rule import decisions
from stkrp2p.cli.output import span
from stkrp2p.cli.policy import amount
from stkrp2p.config import dump_config, dump_network, read_network
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.policy import Unit
from testnet import anvil
from tests.adapters.chain_kit import restored, rpc
from tests.adapters.market_kit import PROJECT_TYPE, VALUES, deploy_all

pytestmark = pytest.mark.chain


def write_config(folder: Path, url: str, genesis: Genesis, market: MarketAddresses | None) -> Path:
    (folder / "network.toml").write_text(dump_network(genesis, market=market))
    path = folder / "config.toml"
    values = {"data_dir": ".", "network": "./network.toml", "rpc": (url,)}
    path.write_text(dump_config(values))
    return path


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A node's configuration, on a chain with rule and market."""
    folder = tmp_path_factory.mktemp("policy")
    with anvil.running(anvil.Options(), log_path=folder / "anvil.log") as running:
        deployed, market = trio.run(deploy_all, running.url)
        yield write_config(folder, running.url, deployed.genesis, market)


@pytest.fixture
def typed(config):
    """The same chain, with a type of project: set by the timelock, as if a vote had passed."""
    network = read_network(str(config.parent / "network.toml"))
    url = tomllib.loads(config.read_text())["rpc"][0]
    timelock = f"0x{network.market.timelock.hex()}"
    call = decisions.set_project_type(network.market, 7, PROJECT_TYPE)
    sent = {"from": timelock, "to": f"0x{call.target.hex()}", "data": f"0x{call.data.hex()}"}
    with restored(url):
        rpc(url, "anvil_impersonateAccount", timelock)
        rpc(url, "anvil_setBalance", timelock, hex(10**18))
        rpc(url, "eth_sendTransaction", sent)
        yield config


def test_a_type_of_project_is_shown_with_what_it_asks_of_providers(typed, run):
    # R42
    ran = run("policy", "--config", typed)
    assert ran.code == 0
    [row] = [line for line in ran.out.splitlines() if line.startswith("7 ")]
    assert " ".join(row.split()) == "7 yes first_price 1 50.00 % 50.00 % 0 32 ETH"
    said = run("policy", "--json", "--config", typed).json()
    assert said["project_types"]["7"] == {
        "is_open": True,
        "rule": "first_price",
        "shortlist": 1,
        "reliability_ppm_min": 500_000,
        "uptime_ppm_min": 500_000,
        "failures_max": 0,
        "eth_stake_wei": str(32 * 10**18),
        "need": {
            "cpu_milli": 4_000,
            "ram_mb": 16_000,
            "storage_gb": 1_000,
            "bandwidth_mbps": 100,
        },
    }


def test_each_parameter_is_shown_in_peoples_units_with_its_bounds(config, run):
    ran = run("policy", "--config", config)
    assert ran.code == 0
    rows = {line.split("  ")[0]: line.split() for line in ran.out.splitlines() if "  " in line}
    assert rows["BidBond"] == ["BidBond", "10", "ANKR", "1", "ANKR", "10,000", "ANKR"]
    assert rows["RewardBps"] == ["RewardBps", "10.00", "%", "0.00", "%", "50.00", "%"]
    assert rows["KEthUntrusted"][1:3] == ["16", "ETH"]
    assert rows["UsdPerCoreHour"][1:3] == ["0.02", "USD/h"]
    assert rows["CommitS"] == ["CommitS", "13", "min", "20", "s", "1", "s", "7", "d"]
    assert rows["CouncilN"][1:2] == ["1"]
    assert {parameter.label for parameter in VALUES} <= set(rows)
    assert "rewards: 30.00 % governance, 40.00 % providers and requesters, " in ran.out
    assert "scoring: version 1, 0x" in ran.out
    assert ran.out.endswith("no type of project is set yet; a vote sets one\n")


def test_scripts_get_the_exact_numbers(config, run):
    said = run("policy", "show", "--json", "--config", config).json()
    assert said["schema"] == "policy/1"
    values = {parameter.label: value for parameter, value in VALUES.items()}
    assert {name: int(each["value"]) for name, each in said["parameters"].items()} == values
    assert said["parameters"]["BidBond"] == {
        "value": str(10 * 10**18),
        "unit": "wei ANKR",
        "min": str(10**18),
        "max": str(10_000 * 10**18),
    }
    assert sum(said["distribution_bps"].values()) == 10_000
    assert said["project_types"] == {}


def test_a_network_without_a_market_is_told_so(config, run, tmp_path):
    text = (config.parent / "network.toml").read_text()
    (tmp_path / "network.toml").write_text(text[: text.index("[market]")])
    path = tmp_path / "config.toml"
    path.write_text(config.read_text())
    ran = run("policy", "show", "--config", path)
    assert ran.code == 2
    assert "error: the network kit has no market" in ran.err


def test_without_an_endpoint_it_is_said_what_is_missing(config, run, tmp_path):
    (tmp_path / "network.toml").write_text((config.parent / "network.toml").read_text())
    path = tmp_path / "config.toml"
    path.write_text(dump_config({"data_dir": ".", "network": "./network.toml"}))
    ran = run("policy", "--config", path)
    assert ran.code == 2
    assert "no Ethereum endpoint is set" in ran.err


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (10**18 // 2, Unit.WEI_ETH, "0.5 ETH"),
        (250, Unit.BPS, "2.50 %"),
        (600_000, Unit.PPM, "60.00 %"),
        (90_061, Unit.SECONDS, "1 d 1 h 1 min 1 s"),
        (1_234, Unit.COUNT, "1,234"),
    ],
)
def test_a_unit_is_shown_as_people_say_it(value, unit, shown):
    assert amount(value, unit) == shown


def test_no_time_at_all_is_shown_too():
    assert span(0) == "0 s"
