"""Every command that a text tells people to run exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

import stkrp2p
from stkrp2p.cli.options import for_node, load
from stkrp2p.cli.root import root
from stkrp2p.config import Loaded

SOURCES = Path(stkrp2p.__file__).parent
NAMED = re.compile(r"(?<!an )(?<!one )\bstkrp2p((?: [a-z][a-z0-9-]*)+)")


def texts(path: Path) -> list[str]:
    """Return all strings of a module; a formatted one up to its first value, and after it."""
    tree = ast.parse(path.read_text())
    return [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and type(n.value) is str]


def named_commands() -> dict[str, str]:
    """Return each `stkrp2p word word …` of a text, with a file that has it."""
    return {
        found[1].strip(): path.relative_to(SOURCES).as_posix()
        for path in sorted(SOURCES.rglob("*.py"))
        for text in texts(path)
        for found in NAMED.finditer(text)
    }


def missing(words: list[str]) -> str:
    """Return the first of the words that should be a command and is none; "" if all are."""
    group: click.Command = root
    for word in words:
        if not isinstance(group, click.Group):
            return ""
        found = group.get_command(click.Context(group), word)
        if found is None:
            return word
        group = found
    return ""


def at(folder: Path) -> Loaded:
    """Return the settings of a node whose file must be named."""
    path = folder / "node.toml"
    path.write_text('data_dir = "."\n')
    return load(path, {})


COMMANDS = named_commands()


def test_texts_name_commands_of_every_group():
    assert {words.split()[0] for words in COMMANDS} >= {"gov", "provider", "request", "policy"}


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=str)
def test_a_command_that_a_text_names_exists(words):
    assert missing(words.split()) == "", f"stkrp2p {words}, named in {COMMANDS[words]}"


@pytest.mark.parametrize(
    "hint",
    [
        "stkrp2p doctor",
        "wait: from 12:00 on: stkrp2p provider reveal 4",
        "wait: for a deal to bid on, stkrp2p provider status",
        "stkrp2p council reshare --elected",
    ],
)
def test_a_command_that_a_hint_ends_in_is_said_for_the_same_node(tmp_path, hint):
    assert for_node(at(tmp_path), hint) == f"{hint} --config {tmp_path / 'node.toml'}"


@pytest.mark.parametrize(
    "hint",
    [
        "stkrp2p keys new account PATH, then set account_key",
        "stkrp2p init --network FILE",
        "set account_key",
        "",
    ],
)
def test_a_hint_that_ends_in_no_plain_command_stays_as_it_is(tmp_path, hint):
    assert for_node(at(tmp_path), hint) == hint
