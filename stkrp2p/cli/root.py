"""The root command: names all commands, imports the one that is called.

Commands of other packages join through the entry-point group `stkrp2p.commands`; the test network's
do. Looking for them reads the metadata of every installed package, so it is done for `--help` and for
names that are not our own only.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.errors import usage_failures

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "stkrp2p.commands"

SECTIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "Set up": {
            "init": "Make keys and a configuration file.",
            "register": "Register this node on chain, with its stake.",
            "config": "Show, check or describe the settings.",
            "keys": "Show the keys' public halves, or make new ones.",
        },
        "Run": {
            "run": "Run the node until stopped.",
            "status": "Say how the node does.",
            "peers": "List the peers connected now.",
            "id": "Say who this node is and where it listens.",
            "doctor": "Look for what keeps the node from working.",
        },
        "Council": {
            "council": "Show who governs; make the council's keys, hand them on.",
            "beacon": "Show rounds of the network's beacon, or verify one.",
        },
        "Market": {
            "policy": "Show the numbers that governors set.",
            "gov": "Govern: take a seat, propose, vote, elect.",
            "provider": "Provide: apply, stake, bid, serve, be paid.",
            "request": "Have a project served: quote, open, draw, fund, settle.",
            "calc": "Show what a deal brings each party, and costs it.",
        },
        "Scores": {
            "roster": "List the members of an epoch.",
            "score": "Show scores, of all members or of one.",
            "explain": "Say where a node lost each point.",
            "proof": "Prove a score against the anchored root.",
            "replay": "Compute an epoch anew and compare it with its anchor.",
            "challenge": "Show Ethereum that NODE's score of EPOCH is wrong.",
            "watch": "Challenge forged scores by itself, until stopped.",
        },
    }
)
"""Our own commands and what each does; `stkrp2p.cli.<name>` has it as `command`."""

_OWN = {name: text for section in SECTIONS.values() for name, text in section.items()}
_IS_JSON = f"{__name__}.is_json"
"""Where the context has whether `--json` stands anywhere: a wrong line cannot be read by its options."""

_MODULES = {"id": "identity", "config": "settings"}
"""Modules that are named otherwise than their command."""


def module_of(name: str) -> str:
    """Return the module that holds one of our own commands."""
    return f"stkrp2p.cli.{_MODULES.get(name, name)}"


def joined_commands() -> dict[str, EntryPoint]:
    """Return the commands of other packages, by name; none may take the name of one of ours."""
    from importlib.metadata import entry_points  # noqa: PLC0415  - 50 ms

    found = entry_points(group=ENTRY_POINTS)
    return {e.name: e for e in sorted(found, key=lambda e: e.name) if e.name not in _OWN}


class RootGroup(click.Group):
    """A group that knows its commands' names and first lines without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  - click's signature
        """Return all names: ours in order, then the others'."""
        return [*_OWN, *joined_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command; `None` if nobody has it."""
        if cmd_name in _OWN:
            found: object = import_module(module_of(cmd_name)).command
        else:
            joined = joined_commands().get(cmd_name)
            found = None if joined is None else joined.load()
        return found if isinstance(found, click.Command) else None

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options before the command; note for all commands whether JSON is asked for."""
        ctx.meta[_IS_JSON] = "--json" in args
        with usage_failures(is_json=ctx.meta[_IS_JSON]):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; what is wrong with its own line is told as it was asked for."""
        with usage_failures(is_json=ctx.meta[_IS_JSON]):
            return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called; a name nobody has is answered with the closest one.

        Raises:
            UsageError: There is no such command.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            from difflib import get_close_matches  # noqa: PLC0415

            close = get_close_matches(name, self.list_commands(ctx), n=1)
            meant = f" Did you mean '{close[0]}'?" if close else ""
            ctx.fail(f"No such command '{name}'.{meant}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the commands by section, with aligned columns."""
        sections = {title: dict(commands) for title, commands in SECTIONS.items()}
        joined = joined_commands()
        if joined:
            sections["More"] = {n: f"See stkrp2p {n} --help." for n in joined}
        width = max(len(name) for commands in sections.values() for name in commands)
        for title, commands in sections.items():
            with formatter.section(title):
                formatter.write_dl([(n.ljust(width), text) for n, text in commands.items()])


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001, FBT001
    if value and not ctx.resilient_parsing:
        from stkrp2p import __version__  # noqa: PLC0415

        click.echo(f"stkrp2p {__version__}")
        ctx.exit()


@click.group(
    cls=RootGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def root() -> None:
    """Staking nodes that audit each other's uptime and anchor the scores on Ethereum.

    A first node: stkrp2p init --network FILE, stkrp2p register, stkrp2p run.
    """
