"""Options that commands share, and how a command gets its settings.

A command of class `NodeCommand` has `--config` and the flags of its `settings`, and its function gets
them as one value, `loaded`. A `ReadingCommand` has `--json` beside that, a
`JsonCommand` has that alone. One that sends to Ethereum is an `acting.ActingCommand`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from stkrp2p.cli.errors import Failure, config_failures

if TYPE_CHECKING:
    from stkrp2p.config import Loaded

ANSWER_S_MAX = 2.0
"""How long a running node may take to answer a command."""

_HELP = {
    "data_dir": "Where keys, store and control socket are.",
    "network": "Network file, or name of a known network.",
    "mode": "full: audits and is audited; light: audits only.",
    "listen": "Multiaddr to listen on; may be repeated.",
    "announce": "Multiaddr at which others reach us; may be repeated.",
    "rpc": "Ethereum JSON-RPC endpoint; may be repeated.",
    "beacons": "drand HTTP endpoint; may be repeated.",
    "beacon_listen": "Where to serve our rounds in drand's HTTP API.",
    "workload": "How others audit what we run, such as ethereum:1.",
    "workload_url": "Where our own node behind the sidecar answers.",
    "peers": "First peer, a multiaddr with /p2p/<PeerID>; may be repeated.",
    "council_password": "File with the password of a governor's key shares.",
    "account_key": "Ethereum account that registers and anchors.",
    "account_password": "File with that account's password.",
    "log_level": "How much is logged.",
    "log_format": "auto: text on a terminal, else JSON lines.",
}
_CHOICES = {
    "mode": ("full", "light"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("auto", "text", "json"),
}
_VALUED = re.compile(r"--\S+ ")
"""An option with something after it."""

_LISTS = frozenset({"listen", "announce", "rpc", "beacons", "peers"})


SETTINGS = tuple(_HELP)
"""All settings, in the order of the help."""


def _setting_option(key: str) -> click.Option:
    choices = _CHOICES.get(key)
    return click.Option(
        ["--" + key.replace("_", "-"), key],
        type=click.Choice(choices) if choices else str,
        multiple=key in _LISTS,
        metavar=None if choices else "DIR" if key == "data_dir" else "TEXT",
        help=_HELP[key],
    )


class NodeCommand(click.Command):
    """A command on one node: its function is called with `loaded`, the settings."""

    settings: ClassVar[tuple[str, ...]] = ("data_dir",)
    """Settings with a flag of their own."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own parameters and the shared ones."""
        config = click.Option(
            ["--config", "config_path"],
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Configuration file.  [default: config.toml in the data directory]",
        )
        *own, help_option = super().get_params(ctx)
        return [*own, config, *map(_setting_option, self.settings), help_option]

    def invoke(self, ctx: click.Context) -> object:
        """Load the settings and call the function with them."""
        flags = {key: ctx.params.pop(key) for key in self.settings}
        loaded = load(ctx.params.pop("config_path"), flags)
        self.give(ctx, loaded)
        try:
            return super().invoke(ctx)
        except Failure as failure:
            failure.hint = for_node(loaded, failure.hint)
            raise

    def give(self, ctx: click.Context, loaded: Loaded) -> None:
        """Put the settings where the function gets them."""
        ctx.params["loaded"] = loaded


class AllSettingsCommand(NodeCommand):
    """A command on one node with the flags of all settings."""

    settings = SETTINGS


class JsonCommand(click.Command):
    """A command with `--json`, which makes failures JSON too."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters with `--json`."""
        as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print JSON.")
        *others, help_option = super().get_params(ctx)
        return [*others, as_json, help_option]

    def invoke(self, ctx: click.Context) -> object:
        """Call the function; mark a failure that must be printed as JSON."""
        is_json = bool(ctx.params["as_json"])
        try:
            return super().invoke(ctx)
        except Failure as failure:
            failure.is_json = is_json
            raise


class ReadingCommand(JsonCommand, NodeCommand):
    """A command on one node that only reads."""


class DefaultGroup(click.Group):
    """A group that is its command `show` unless another one is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put `show` in front of arguments that name no command."""
        is_other = bool(args) and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if is_other else ["show", *args])


def for_node(loaded: Loaded, hint: str) -> str:
    """Return what to do next; if it ends in a command, with it for the same node.

    A command that names the value of an option is left as it is: it stands for an example.
    """
    before, name, command = hint.rpartition("stkrp2p ")
    is_last = not before or before.endswith((": ", ", "))
    is_of_node = is_last and not command.startswith("-")
    is_plain = is_of_node and _VALUED.search(command) is None and "," not in command
    return before + again(loaded, command) if name and is_plain else hint


def load(config_path: Path | None, flags: Mapping[str, object]) -> Loaded:
    """Return the settings that hold with these flags."""
    from stkrp2p.config import load_config  # noqa: PLC0415  - 60 ms, and `--help` needs none

    with config_failures():
        return load_config(flags=flags, path=config_path)


def again(loaded: Loaded, command: str) -> str:
    """Return a command line for the same node, to be shown as the next thing to run."""
    if not loaded.origins["data_dir"].startswith("flag "):
        is_usual = loaded.path is None or loaded.origins["data_dir"] == "default"
        return f"stkrp2p {command}" + ("" if is_usual else f" --config {loaded.path}")
    return f"stkrp2p {command} --data-dir {loaded.config.data_dir}"
