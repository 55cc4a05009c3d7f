"""`stkrp2p policy`: the numbers that governors set, for people and for scripts (R19, R29, R42)."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from stkrp2p.cli.policy import amount, span
from stkrp2p.config import dump_config, dump_network
from stkrp2p.core.network import Genesis, MarketAddresses
from stkrp2p.core.policy import Unit
from testnet import anvil
from tests.adapters.market_kit import VALUES, deploy_all

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
