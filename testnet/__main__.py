"""`python -m testnet …`: the commands of the test network, and `bench`."""

from __future__ import annotations

from collections.abc import Sequence

import click

from testnet.bench.cli import command as bench
from testnet.cli import group


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line: the arguments given, else this process's own."""
    both = click.Group("testnet", help=group.help, commands={**group.commands, "bench": bench})
    both(arguments, prog_name="python -m testnet")


if __name__ == "__main__":
    main()
