"""Starting is quick because nothing is imported before it is needed; the names stay in step."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from importlib.metadata import EntryPoint

import click
import pytest

from stkrp2p.cli import root as root_module
from stkrp2p.cli.root import SECTIONS, module_of, root

HEAVY = ("libp2p", "web3", "trio", "httpx", "sqlite3", "eth_account", "structlog", "rich", "nacl")

OWN = [name for section in SECTIONS.values() for name in section]


def modules_after(code: str) -> set[str]:
    """Return the modules a fresh interpreter has after some code."""
    script = f"{code}\nimport sys; print(' '.join(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return {name.partition(".")[0] for name in run.stdout.splitlines()[-1].split()}


def called(*arguments: str) -> str:
    return (
        "from stkrp2p.cli.root import root\n"
        f"try: root({list(arguments)!r})\n"
        "except SystemExit: pass"
    )


def test_help_imports_nothing_heavy():
    modules = modules_after(called("--help"))
    assert not modules & set(HEAVY)
    assert "msgspec" not in modules


@pytest.mark.parametrize("command", ["status", "id", "peers"])
def test_the_help_of_a_quick_command_loads_neither_libp2p_nor_web3(command):
    assert not modules_after(called(command, "--help")) & {"libp2p", "web3", "trio", "sqlite3"}


def test_status_of_a_node_that_never_ran_loads_neither_libp2p_nor_web3(tmp_path):
    modules = modules_after(called("status", "--data-dir", str(tmp_path)))
    assert not modules & {"libp2p", "web3", "eth_account", "httpx", "trio", "sqlite3", "pyblst"}


@pytest.mark.parametrize("command", ["score", "explain", "replay", "roster", "id"])
def test_reading_the_store_loads_neither_libp2p_nor_web3(command, played):
    extra = {"explain": ["1"], "replay": ["1"]}.get(command, [])
    modules = modules_after(called(command, *extra, "--config", str(played)))
    assert not modules & {"libp2p", "web3", "eth_account"}


def test_importing_the_package_of_the_commands_costs_nothing():
    assert "click" not in modules_after("import stkrp2p.cli")


@pytest.mark.parametrize("name", OWN)
def test_every_command_is_where_the_list_says_and_begins_with_its_line(name):
    command = import_module(module_of(name)).command
    assert isinstance(command, click.Command)
    assert command.name == name
    line = next(s[name] for s in SECTIONS.values() if name in s)
    assert (command.help or "").partition("\n")[0] == line


def test_help_lists_every_command_and_fits(run):
    shown = run("--help").out
    for section, commands in SECTIONS.items():
        assert f"\n{section}:\n" in shown
        for name, text in commands.items():
            assert f"  {name.ljust(9)}  {text}\n" in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("name", OWN)
def test_every_commands_help_fits_in_100_columns(run, name):
    ran = run(name, "--help")
    assert ran.code == 0
    assert max(map(len, ran.out.splitlines())) <= 100


@pytest.fixture
def joined(monkeypatch):
    """Let a package join with a command whose import can be seen."""
    point = EntryPoint(name="extra", group="stkrp2p.commands", value="tests.cli.extra:group")
    clash = EntryPoint(name="run", group="stkrp2p.commands", value="tests.cli.extra:group")
    monkeypatch.delitem(sys.modules, "tests.cli.extra", raising=False)
    found = {"stkrp2p.commands": (point, clash)}
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: found[group])


def test_another_packages_command_is_listed_without_being_imported(run, joined):
    shown = run("--help").out
    assert "\nMore:\n  extra      See stkrp2p extra --help.\n" in shown
    assert "tests.cli.extra" not in sys.modules


def test_another_packages_command_runs(run, joined):
    assert run("extra", "hello").out == "hello from outside\n"


def test_another_package_takes_no_name_of_ours(joined):
    ctx = click.Context(root)
    assert root.list_commands(ctx).count("run") == 1
    command = root.get_command(ctx, "run")
    assert command is not None
    assert command.callback.__module__ == "stkrp2p.cli.run"


def test_looking_for_others_is_left_out_for_our_own_commands(run, monkeypatch, played):
    def never():
        raise AssertionError("looked")

    monkeypatch.setattr(root_module, "joined_commands", never)
    assert run("id", "--config", played).code == 0


def test_a_slip_of_the_pen_is_corrected(run):
    ran = run("statsu")
    assert ran.code == 2
    assert ran.err.endswith("Error: No such command 'statsu'. Did you mean 'status'?\n")
    assert run("xyzzy").err.endswith("Error: No such command 'xyzzy'.\n")


def leaves(command: click.Command, *path: str) -> list[tuple[str, ...]]:
    """Return the words that call each command below this one."""
    if not isinstance(command, click.Group):
        return [path]
    ctx = click.Context(command)
    below = {name: command.get_command(ctx, name) for name in command.list_commands(ctx)}
    return [words for name, each in below.items() if each for words in leaves(each, *path, name)]


def test_a_wrong_command_line_is_told_in_json_to_who_asks_for_json(run):
    called = leaves(root)
    assert {("gov", "vote"), ("testnet", "market"), ("calc",)} <= set(called)
    for words in called:
        ran = run(*words, "--json", "--no-such-option")
        assert ran.code == 2
        error = ran.json()["error"]
        assert error["what"].startswith("No such option")
        assert error["next"].endswith(" --help")
        assert error["exit_code"] == 2


def test_what_is_wrong_with_a_value_or_a_name_is_told_in_json_too(run):
    wrong = run("gov", "vote", "none", "yes", "--json").json()["error"]
    assert wrong["what"].startswith("Invalid value for 'PROPOSAL': 'none' is not a valid integer")
    assert wrong["next"].endswith(" gov vote --help")
    unknown = run("statsu", "--json").json()["error"]
    assert unknown["what"] == "No such command 'statsu'. Did you mean 'status'?"
    before = run("--json", "status").json()["error"]
    assert before["what"].startswith("No such option '--json'.")


def test_the_version_is_the_packages(run):
    assert run("--version").out == "stkrp2p 0.1.0\n"
