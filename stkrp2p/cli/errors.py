"""How commands fail: an exit code for scripts, and for people what happened, why, and what next."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

import click

from stkrp2p.cli.output import shortened, visible

if TYPE_CHECKING:
    from stkrp2p.adapters.keys import KeyFileError
    from stkrp2p.config import ConfigError
    from stkrp2p.ports import SafeError


class Exit(IntEnum):
    """What the process returns; the same for every command and version."""

    OK = 0
    FAILED = 1
    USAGE = 2
    """The command line or a setting is wrong."""

    NOT_RUNNING = 3
    """No node runs, or it is not well."""

    UNSAFE = 4
    """Refused for safety: a key others may read, a second process on one identity."""

    TIMED_OUT = 5


class Failure(click.ClickException):
    """A command's failure, said in three lines."""

    def __init__(
        self, what: str, *, why: str = "", hint: str = "", code: Exit = Exit.FAILED
    ) -> None:
        """Say it.

        Args:
            what: What happened, no full stop.
            why: The reason, if `what` does not say it.
            hint: What to do next; a command where there is one.
            code: What the process returns.
        """
        super().__init__(what)
        self.exit_code = code  # type: ignore[misc]  # click reads it from the instance
        self.why = why
        self.hint = hint
        self.is_json = False
        """Whether the command was asked for JSON: then the error is JSON on standard output."""

    def document(self) -> dict[str, object]:
        """Return the failure for scripts."""
        body = {"what": self.message, "why": self.why, "next": self.hint}
        return {"error": {**body, "exit_code": int(self.exit_code)}}

    def show(self, file: object = None) -> None:  # noqa: ARG002  - click's signature
        """Print it."""
        if self.is_json:
            click.echo(json.dumps(self.document(), indent=2))
            return
        _say(f"error: {self.message}")
        if self.why:
            _say(shortened(f"  why: {self.why}"))
        if self.hint:
            _say(f"  next: {self.hint}")


def _say(line: str) -> None:
    """Print one line for people; what an endpoint or a peer said may be in it."""
    click.echo(visible(line.replace("\n", " ")), err=True)


def config_failure(error: ConfigError) -> Failure:
    """Return the failure that a wrong setting is."""
    return Failure(error.what, why=error.why, hint=error.hint, code=Exit.USAGE)


def key_failure(error: KeyFileError) -> Failure:
    """Return the failure that an unusable key file is: missing, or not safe to use."""
    what, _, hint = str(error).partition("; ")
    if isinstance(error.__cause__, FileNotFoundError):
        return Failure(what, hint="stkrp2p init")
    return Failure(what, hint=hint.removeprefix("run: "), code=Exit.UNSAFE)


def safe_failure(error: SafeError) -> Failure:
    """Return the failure that an unusable file of the council's keys is."""
    why, _, hint = str(error).partition("; run: ")
    return Failure(
        "the council's keys cannot be used",
        why=why,
        hint=hint or "look at the council directory and its password file",
        code=Exit.UNSAFE,
    )


@contextmanager
def usage_failures(*, is_json: bool) -> Iterator[None]:
    """Turn a wrong command line into a failure for scripts; people are shown the usage."""
    try:
        yield
    except click.UsageError as error:
        if not is_json:
            raise
        path = "" if error.ctx is None else f"{error.ctx.command_path} --help"
        failure = Failure(error.format_message(), hint=path, code=Exit.USAGE)
        failure.is_json = True
        raise failure from error


@contextmanager
def config_failures() -> Iterator[None]:
    """Turn a wrong setting into a failure."""
    from stkrp2p.config import ConfigError  # noqa: PLC0415  - 60 ms

    try:
        yield
    except ConfigError as error:
        raise config_failure(error) from error


@contextmanager
def key_failures() -> Iterator[None]:
    """Turn a key file that cannot be used into a failure."""
    from stkrp2p.adapters.keys import KeyFileError  # noqa: PLC0415

    try:
        yield
    except KeyFileError as error:
        raise key_failure(error) from error
