"""`stkrp2p keys`: the keys' public halves and files; secrets are never shown."""

from __future__ import annotations

import stat
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stkrp2p.adapters.keys import (
    KeyFileError,
    create_account_key,
    create_bls_key,
    create_node_key,
    load_account_key,
    load_node_key,
    read_secret_file,
)
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.cli.errors import Exit, key_failures
from stkrp2p.cli.options import DefaultGroup, ReadingCommand
from stkrp2p.cli.output import print_json
from stkrp2p.core.crypto import Secret

if TYPE_CHECKING:
    from stkrp2p.config import Loaded, NodeConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFact:
    """One key file."""

    kind: str
    path: str
    mode: str
    """Octal, such as 0600; empty if there is no file."""

    public: str
    """PeerID, address or BLS key; empty if the file cannot be used."""

    trouble: str
    """What is wrong with the file, empty if nothing."""


@click.group("keys", cls=DefaultGroup)
def command() -> None:
    """Show the keys' public halves, or make new ones.

    Without a subcommand it is `stkrp2p keys show`, with its options.
    """


@command.command("show", cls=ReadingCommand)
@click.pass_context
def show(ctx: click.Context, *, loaded: Loaded, as_json: bool) -> None:
    """Show each key's file, mode and public half.

    Exits with 4 if one is not safe to use, with 1 if one is missing.
    """
    found = key_facts(loaded.config)
    if as_json:
        print_json("keys/1", {"keys": [asdict(k) for k in found]})
    else:
        for key in found:
            click.echo(f"{key.kind:<8} {key.mode or '-':<5} {key.path}")
            click.echo(f"         {key.public or key.trouble}")
    if any(key.trouble and key.mode for key in found):
        ctx.exit(Exit.UNSAFE)
    if any(key.trouble for key in found):
        ctx.exit(Exit.FAILED)


def key_facts(config: NodeConfig) -> list[KeyFact]:
    """Return what can be said of each key a node is configured with."""
    facts = [_fact("node", config.node_key, lambda p: peer_id_text(load_node_key(p).node))]
    if config.account_key is not None:
        facts.append(_fact("account", config.account_key, lambda p: _address(p, config)))
    return facts


def _address(path: Path, config: NodeConfig) -> str:
    return f"0x{load_account_key(path, password_path=config.account_password).address.hex()}"


def _fact(kind: str, path: Path, read: Callable[[Path], str]) -> KeyFact:
    mode = f"{stat.S_IMODE(path.lstat().st_mode):04o}" if path.exists() else ""
    try:
        return KeyFact(kind=kind, path=str(path), mode=mode, public=read(path), trouble="")
    except KeyFileError as error:
        return KeyFact(kind=kind, path=str(path), mode=mode, public="", trouble=str(error))


@command.command("new")
@click.argument("kind", type=click.Choice(["node", "account", "beacon"]))
@click.argument("path", type=click.Path(path_type=Path))
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="For an account: encrypt it with the password in this file (mode 0600).",
)
def new(*, kind: str, path: Path, password_file: Path | None) -> None:
    """Make a key in a new file (mode 0600).

    Never replaces one. An account without a password file is kept in plain hex, and a beacon of one
    key foretells all of its rounds: both are for development only. A council makes its own keys.
    """
    with key_failures():
        click.echo(f"made {path}: {_create(kind, path, password_file)}")


def _create(kind: str, path: Path, password_file: Path | None) -> str:
    if kind == "node":
        return peer_id_text(create_node_key(path).node)
    if kind == "beacon":
        return create_bls_key(path).public_key.hex()
    password = None
    if password_file is not None:
        password = Secret(read_secret_file(password_file).rstrip(b"\r\n"))
    return f"0x{create_account_key(path, password=password).address.hex()}"
