"""`stkrp2p init`: keys and a configuration file, made once and never replaced."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from stkrp2p.adapters.keys import (
    create_account_key,
    create_node_key,
    load_account_key,
    load_node_key,
    write_secret_file,
)
from stkrp2p.adapters.libp2p.identity import peer_id_text
from stkrp2p.cli.errors import Exit, Failure, config_failures, key_failures
from stkrp2p.cli.networks import network_of
from stkrp2p.cli.options import AllSettingsCommand, again
from stkrp2p.config import dump_config, load_config
from stkrp2p.config.settings import CONFIG_FILE, KEYS, PATH_KEYS
from stkrp2p.core.crypto import Secret
from stkrp2p.core.types import NodeId

if TYPE_CHECKING:
    from stkrp2p.config import Loaded, NodeConfig

ACCOUNT_FILE = "account.json"
PASSWORD_FILE = "account.password"  # noqa: S105  - a file's name

_PASSWORD_BYTES: Final = 32
_DIRECTORY_MODE: Final = 0o700
_HEAD = """\
# Settings of one stkrp2p node. Flags and STKRP2P_* variables win over this file; paths are relative
# to it. All keys: stkrp2p config schema; what holds now: stkrp2p config show --origin
"""


@click.command("init", cls=AllSettingsCommand)
def command(*, loaded: Loaded) -> None:
    """Make keys and a configuration file.

    Makes what is missing in the data directory: the node's key, an Ethereum account (a keystore,
    with its password in a file of its own) unless --account-key names one, and config.toml with
    the settings given here. What is there already is kept as it is.
    """
    config = loaded.config
    network = network_of(config)
    _make_directory(config.data_dir)
    path = loaded.path or config.data_dir / CONFIG_FILE
    if path.exists():
        _refuse_other_settings(loaded, path)
    with key_failures():
        node, is_new = _node_key(config)
        lines = [f"{_word(is_new)} {config.node_key}: {peer_id_text(node)}"]
        account, address, is_new = _account_key(config)
        lines.append(f"{_word(is_new)} {account}: 0x{address.hex()}")
    lines.append(f"{_word(not path.exists())} {path}: {config.mode} node of {network.genesis.name}")
    if not path.exists():
        _write_config(path, loaded, account)
    click.echo("\n".join(lines))  # not cut: they are copied
    click.echo(f"next: {_next(loaded, path)}")


def _word(is_new: bool) -> str:  # noqa: FBT001  - one argument, no doubt
    return "made" if is_new else "kept"


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise Failure(
            f"cannot make {directory}", why=error.strerror or "", hint="stkrp2p init --data-dir DIR"
        ) from error


def _refuse_other_settings(loaded: Loaded, path: Path) -> None:
    """Refuse flags that the file, which is never overwritten, says otherwise.

    Raises:
        Failure: With the keys that differ.
    """
    with config_failures():
        in_file = load_config(environ={}, path=path).config
    given = [k for k in KEYS if loaded.origins[k].startswith("flag ")]
    differ = [k for k in given if getattr(in_file, k) != getattr(loaded.config, k)]
    if differ:
        raise Failure(
            f"{path} exists and says otherwise",
            why=f"it is never overwritten; other there: {', '.join(differ)}",
            hint=f"edit {path}, or use another --data-dir",
            code=Exit.UNSAFE,
        )


def _node_key(config: NodeConfig) -> tuple[NodeId, bool]:
    if config.node_key.exists():
        return load_node_key(config.node_key).node, False
    return create_node_key(config.node_key).node, True


def _account_key(config: NodeConfig) -> tuple[Path, bytes, bool]:
    """Return (file, address, is new) of the account, made unless it exists."""
    if config.account_key is not None:
        held = load_account_key(config.account_key, password_path=config.account_password)
        return config.account_key, held.address, False
    path, password_path = config.data_dir / ACCOUNT_FILE, config.data_dir / PASSWORD_FILE
    if path.exists():
        return path, load_account_key(path, password_path=password_path).address, False
    if not password_path.exists():
        write_secret_file(password_path, secrets.token_hex(_PASSWORD_BYTES).encode() + b"\n")
    password = Secret(password_path.read_bytes().strip())
    return path, create_account_key(path, password=password).address, True


def _write_config(path: Path, loaded: Loaded, account: Path) -> None:
    config, base = loaded.config, path.absolute().parent
    values: dict[str, object] = {
        key: getattr(config, key) for key in KEYS if loaded.origins[key] != "default"
    }
    values |= {"data_dir": config.data_dir, "account_key": account, "mode": config.mode}
    if config.account_key is None:
        values["account_password"] = config.data_dir / PASSWORD_FILE
    for key in PATH_KEYS & values.keys():
        values[key] = _relative(Path(str(values[key])), base)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEAD + dump_config(values))
    except OSError as error:
        raise Failure(f"cannot write {path}", why=error.strerror or "") from error


def _relative(path: Path, base: Path) -> Path:
    path = path.absolute()
    return path.relative_to(base) if path.is_relative_to(base) else path


def _next(loaded: Loaded, path: Path) -> str:
    for key, example in (("rpc", '["http://127.0.0.1:8545"]'), ("beacons", '["https://…"]')):
        if not getattr(loaded.config, key):
            return f"set {key} = {example} in {path}"
    return again(loaded, "register")
