"""`python -m testnet …`: the commands of the test network, and `bench`."""

from __future__ import annotations

import click

from testnet.bench.cli import command as bench
from testnet.cli import group


def main() -> None:
    """Run the command line of this process."""
    both = click.Group("testnet", help=group.help, commands={**group.commands, "bench": bench})
    both(prog_name="python -m testnet")


if __name__ == "__main__":
    main()
