"""A command group of another package."""

import click


@click.group("extra")
def group() -> None:
    """Do more."""


@group.command()
def hello() -> None:
    """Say hello."""
    click.echo("hello from outside")
