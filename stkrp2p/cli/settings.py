"""`stkrp2p config`: what the settings are, where they come from, and what they may be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.networks import network_of
from stkrp2p.cli.options import DefaultGroup, ReadingCommand
from stkrp2p.cli.output import columns, facts, print_json
from stkrp2p.config import config_schema
from stkrp2p.config.settings import KEYS

if TYPE_CHECKING:
    from stkrp2p.config import Loaded


@click.group("config", cls=DefaultGroup)
def command() -> None:
    """Show, check or describe the settings.

    Without a subcommand it is `stkrp2p config show`, with its options.
    """


@command.command("show", cls=ReadingCommand)
@click.option("--origin", is_flag=True, help="Say where each value comes from.")
def show(*, loaded: Loaded, origin: bool, as_json: bool) -> None:
    """Show the settings that hold.

    A flag wins over STKRP2P_*, that over the file, that over the default.
    """
    values = {key: _plain(getattr(loaded.config, key)) for key in KEYS}
    if as_json:
        file = None if loaded.path is None else str(loaded.path)
        body: dict[str, object] = {"file": file, "settings": values}
        print_json("config/1", {**body, "origins": dict(loaded.origins)})
        return
    texts = {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
    lines = (
        columns(("setting", "value", "from"), [(k, texts[k], loaded.origins[k]) for k in KEYS])
        if origin
        else facts(texts.items())
    )
    click.echo("\n".join(lines))  # not cut: values are copied


@command.command("check", cls=ReadingCommand)
def check(*, loaded: Loaded, as_json: bool) -> None:
    """Check the settings and the network file.

    Exits with 2 if something is wrong.
    """
    network = network_of(loaded.config)
    name, network_id = network.genesis.name, network.genesis.network_id.hex()
    if as_json:
        print_json("config-check/1", {"is_right": True, "network": name, "network_id": network_id})
        return
    where = loaded.path or "no file: environment and defaults"
    click.echo(f"right: {where}, network {name} {network_id[:16]}")


@command.command("schema")
def schema() -> None:
    """Print the JSON Schema of a configuration file."""
    click.echo(json.dumps(config_schema(), indent=2))


def _plain(value: object) -> object:
    """Return a setting as JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    return value if value is None else str(value)
