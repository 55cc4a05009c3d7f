"""Every benchmark runs at a tiny size and says what it promises; how long it takes is not judged."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import click
import pytest
import trio
from click.testing import CliRunner

from testnet.__main__ import main
from testnet.bench import assignment_gas, cli, figures, gossip, process
from testnet.bench.figures import Figure, Report, Sense, table
from testnet.bench.gas import data_gas, floor_gas
from testnet.bench.mesh import neighbours
from testnet.bench.suite import MODULES, BenchFailed, measure

ROOT = Path(__file__).parents[2]

FIGURES = {
    "core": ["judge + join", "own targets", "fold", "sync", "draw"],
    "gas": [
        "anchor",
        "check of a quicknet round",
        "proof of a score",
        "challenge of a score",
        "challenge of a newcomer's score",
        "proof of an assignment",
    ],
    "council": ["key generation", "partial", "t partials", "check of"],
    "start": ["stkrp2p --help", "stkrp2p status"],
    "gossip": [
        "gossip: ours, 2 nodes, 1 link each",
        "gossip: stock, 2 nodes, 1 link each",
        "gossip: ours, 4 nodes, 3 links each, idle",
    ],
    "beacon": [
        "a round at all 3 governors, p50",
        "a round at all 3 governors, p95",
        "a round at all 4 nodes, p50",
        "a round at all 4 nodes, p95",
    ],
    "node": [
        "idle full node",
        "idle governor",
        "idle light node",
        "full node among 4 and 1 light",
        "governor among 4 and 1 light",
        "full node, resident",
    ],
    "testnet": ["testnet up"],
    "market": ["testnet market", "a provider's node killed"],
}
"""Beginnings of figures each benchmark must have."""

MARKS = {
    "gas": [pytest.mark.chain],
    "beacon": [pytest.mark.slow, pytest.mark.e2e],
    "node": [pytest.mark.slow, pytest.mark.e2e],
    "testnet": [pytest.mark.slow, pytest.mark.e2e],
    "market": [pytest.mark.slow, pytest.mark.e2e],
}


def bench(*arguments: str):
    return CliRunner().invoke(cli.command, list(arguments))


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=MARKS.get(name, [])) for name in MODULES]
)
def test_each_benchmark_runs_small_and_gives_its_figures(name):
    ran = bench(name, "--quick", "--json")
    assert ran.exit_code == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["schema"] == "bench/1"
    assert said["is_quick"]
    assert said["machine"].keys() == {"cpu", "cores", "memory_gb", "system", "python"}
    assert list(said["benchmarks"]) == [name]
    found = said["benchmarks"][name]
    assert found.keys() == {"took_s", "load_before", "load_after", "figures", "detail"}
    assert found["detail"]
    for figure in found["figures"]:
        assert figure["measured"] >= 0
        assert set(figure) <= set(Figure.__struct_fields__)
    names = [figure["name"] for figure in found["figures"]]
    for beginning in FIGURES[name]:
        assert any(n.startswith(beginning) for n in names), f"{beginning} is not in {names}"


def test_the_benchmarks_are_the_ones_the_page_describes():
    page = (ROOT / "protocols" / "performance.md").read_text()
    for name in MODULES:
        assert f"`{name}`" in page


def test_the_command_joins_stkrp2p_and_the_test_network():
    points = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
    assert points["stkrp2p.commands"]["bench"] == "testnet.bench.cli:command"
    assert isinstance(cli.command, click.Command)
    with pytest.raises(SystemExit) as ended:
        main(["bench", "--help"])
    assert ended.value.code == 0


def test_an_unknown_benchmark_is_refused():
    assert bench("speed").exit_code == 2


def test_a_benchmark_that_fails_says_so_and_how_to_see_more(monkeypatch):
    def fail(name, *, is_quick):
        raise BenchFailed(f"{name} failed:\nno anvil")

    monkeypatch.setattr(cli, "measure", fail)
    ran = bench("gas")
    assert ran.exit_code == 1
    assert "error: gas failed:\nno anvil" in ran.stderr
    assert "next: python -m testnet.bench.suite gas" in ran.stderr


def test_a_benchmark_that_ends_without_a_report_is_an_error():
    with pytest.raises(BenchFailed, match="KeyError: 'none'"):
        measure("none", is_quick=True)


def a_figure(**changes) -> Figure:
    made = {"name": "a cost", "measured": 3.0, "unit": "ms", "aim": 3.5} | changes
    return Figure(**made)


@pytest.mark.parametrize(
    ("figure", "is_held"),
    [
        (a_figure(), True),
        (a_figure(measured=3.5), True),
        (a_figure(measured=3.6), False),
        (a_figure(sense=Sense.AT_LEAST), False),
        (a_figure(sense=Sense.AT_LEAST, measured=3.5), True),
        (a_figure(aim=None), None),
    ],
)
def test_an_aim_is_held_on_its_own_side_and_at_the_bound(figure, is_held):
    assert figure.is_held is is_held


def test_the_table_says_aim_figure_and_distance_from_the_limit():
    rows = (
        a_figure(limit=1.5, limit_is="the socket"),
        a_figure(
            name="a rate",
            unit="",
            sense=Sense.AT_LEAST,
            aim=0.7,
            measured=0.5,
            limit=1.0,
            limit_is="all",
        ),
        a_figure(name="a wait", aim=None, measured=12_345, unit="gas", limit_is="no limit known"),
    )
    assert table({"one": Report(figures=rows, detail={})}) == [
        "figure      aim    measured  against the limit",
        "a cost  <= 3.50        3 ms  2 x the socket",
        "a rate  >= 0.70      0.50 !  50 % of all",
        "a wait           12,345 gas  no limit known",
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.036, "0.04"),
        (3.456, "3.46"),
        (34.56, "34.6"),
        (345.6, "346"),
        (200_000, "200,000"),
    ],
)
def test_numbers_are_shown_in_three_digits_or_so(value, text):
    assert figures.number(value) == text


@pytest.mark.chain
def test_the_gas_of_assignments_is_told_by_preset_and_size():
    ran = CliRunner().invoke(assignment_gas.main, ["--most", "10"])
    assert ran.exit_code == 0, ran.output
    head, *rows = ran.output.splitlines()
    assert head.split()[:4] == ["preset", "members", "proof", "shown"]
    assert {row.split()[0] for row in rows} == {"minimal", "mainnet"}
    assert len(rows) == 8


def test_the_least_gas_of_a_transaction_follows_the_schedule():
    assert data_gas(bytes(3) + b"ab") == 21_000 + 3 * 4 + 2 * 16
    assert floor_gas(bytes(3) + b"ab") == 21_000 + 3 * 10 + 2 * 40


def test_a_messages_cost_leaves_out_idle_and_a_lost_one_is_told():
    whole = gossip.Burst(cpu_s=1.0, took_s=5.0, messages=10, delivered=70, expected=70)
    torn = gossip.Burst(cpu_s=1.0, took_s=5.0, messages=10, delivered=69, expected=70)
    with gossip.open_mesh(gossip.Setup("ours", 2, 1, 5.0)) as mesh:
        mesh.bursts += [whole, torn]
        mesh.idles.append(gossip.Burst(cpu_s=0.1, took_s=2.0))
        cost = mesh.cost()
    assert (cost.delivered, cost.expected, cost.is_whole) == (139, 140, False)
    assert cost.idle_ms_per_s == 25.0
    assert cost.whole_ms == 1e3 * 2.0 / (20 * 2)
    assert cost.cost_ms == 1e3 * (2.0 - 10 * 0.05) / (20 * 2)


@pytest.mark.parametrize(
    ("nodes", "links"), [(2, 1), (3, 2), (4, 3), (8, 6), (20, 6), (20, 19), (50, 6)]
)
def test_every_host_of_a_mesh_has_its_links_and_each_link_two_ends(nodes, links):
    near = [neighbours(i, nodes, links) for i in range(nodes)]
    for i in range(nodes):
        assert i not in near[i]
        assert len(set(near[i])) in {links, links - 1}
        assert all(i in near[j] for j in near[i])


async def test_the_floor_of_a_copy_is_measured_through_a_real_socket():
    with trio.fail_after(10):
        assert await gossip.floor_ms(10) > 0


def test_the_kernel_counts_our_own_time_and_memory():
    me = int(Path("/proc/self/stat").read_text().split()[0])
    assert process.cpu_s(me) > 0
    assert 0 < process.pss_mb(me) <= process.rss_mb(me)
