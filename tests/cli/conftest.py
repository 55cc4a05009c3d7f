"""One played network for all tests of the commands, and a way to run them."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner

from stkrp2p.cli.root import root
from stkrp2p.core.types import Epoch, Outcome
from tests.cli.world import World, make_node

DOWN_EPOCH = 2
"""When a member was down and another answered wrongly; `world` chooses them."""

MUTE = 4
"""Member whose batch of epoch 1 never came."""

EPOCHS = 4


@dataclass
class Ran:
    code: int
    out: str
    err: str

    def json(self) -> dict:
        assert self.err == ""
        return json.loads(self.out)


@pytest.fixture
def logging_kept(monkeypatch):
    """Leave logging as it was: commands set it up for the rest of their process.

    A logger that has kept its set-up would never again hear of another one.
    """
    config, logger, configure = structlog.get_config(), logging.getLogger(), structlog.configure
    handlers, level = logger.handlers, logger.level

    def uncached(**settings: object) -> None:
        configure(**{**settings, "cache_logger_on_first_use": False})

    monkeypatch.setattr(structlog, "configure", uncached)
    yield
    logger.handlers, logger.level = handlers, level
    configure(**config)


@pytest.fixture
def run(monkeypatch, tmp_path, logging_kept):
    """Run a command line in this process, without a home or variables of ours."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("XDG_DATA_HOME", "STKRP2P_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def call(*arguments: object) -> Ran:
        result = CliRunner().invoke(root, [str(a) for a in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture(scope="session")
def world() -> World:
    played = World(silent=frozenset({(1, MUTE)}))
    view = played.view(Epoch(DOWN_EPOCH))
    ours = view.assignment.targets(played.node(0))
    played.wrong = next(t for t in ours if any(r % 2 for r in view.drawn[t]))
    played.down = next(
        m.node for m in view.roster.full if m.node != played.wrong and view.drawn[m.node]
    )

    def see(epoch, number, auditor, target):
        if epoch == DOWN_EPOCH and target == played.down:
            return Outcome.UNREACHABLE
        if epoch == DOWN_EPOCH and target == played.wrong and number % 2:
            return Outcome.WRONG
        return Outcome.OK

    played.see = see
    return played


@pytest.fixture(scope="session")
def played(world, tmp_path_factory) -> Path:
    """Configuration of a node with four folded epochs; not to be changed."""
    return make_node(world, tmp_path_factory.mktemp("node"), epochs=EPOCHS)


@pytest.fixture
def copied(played, tmp_path) -> Path:
    """The same node, to be changed at will."""
    folder = shutil.copytree(played.parent, tmp_path / "node")
    return folder / "config.toml"
