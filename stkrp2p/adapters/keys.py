"""Keys in files: made once, readable by their owner alone, and never shown.

A key file is created whole or not at all, with mode 0600 whatever the umask, and never replaces
another. Reading refuses a file that others can read, that another user owns, or that is a symbolic
link, and says what to do. Node and BLS keys are 64 hex digits; an Ethereum account is a V3 keystore
with a password file, or for development 64 hex digits too.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stkrp2p.adapters import libraries
from stkrp2p.core import bls
from stkrp2p.core.crypto import SECRET_BYTES, Secret, node_id_of
from stkrp2p.core.types import NodeId, Operator

if TYPE_CHECKING:
    from eth_account import Account

KEY_FILE_BYTES_MAX = 16 * 1024
"""Largest key file; a V3 keystore has some 600 bytes."""

_MODE: Final = 0o600
_OTHERS: Final = 0o077
_BLS_ENTROPY_BYTES: Final = 48


class KeyFileError(Exception):
    """A key file cannot be used; the message says which, why, and what to do."""


@dataclass(frozen=True, slots=True)
class NodeKey:
    """A node's identity."""

    secret: Secret
    """Ed25519 seed, 32 bytes."""

    node: NodeId


@dataclass(frozen=True, slots=True)
class BlsKey:
    """A key of the solo beacon."""

    secret: Secret
    """Scalar, 32 bytes, big-endian."""

    public_key: bytes
    """Compressed, in G2, 96 bytes."""

    def scalar(self) -> int:
        """Return the secret as `bls.sign` takes it."""
        return int.from_bytes(self.secret.reveal(), "big")


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An Ethereum account."""

    secret: Secret
    """secp256k1 key, 32 bytes."""

    address: Operator


def write_secret_file(path: Path, content: bytes) -> None:
    """Create a file for its owner alone, whole and on the disk, or not at all.

    Raises:
        KeyFileError: It exists already, or the directory cannot be written to.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        try:
            _write_new(temporary, content)
            os.link(temporary, path)  # unlike a rename, never replaces a key
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(path.parent)
    except FileExistsError as error:
        raise KeyFileError(f"{path} exists already; a key is never replaced") from error
    except OSError as error:
        raise KeyFileError(f"cannot create {path}: {error.strerror}") from error


def _write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _MODE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, _MODE)  # a umask may have taken the owner's own rights
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_directory(directory: Path) -> None:
    """Put on the disk which files a directory has."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_secret_file(path: Path) -> bytes:
    """Return a key file's content if nobody but its owner can read it.

    Raises:
        KeyFileError: It is missing, a symbolic link, no plain file, another user's, readable or
            writable by others, or larger than `KEY_FILE_BYTES_MAX`.
    """
    try:
        # Not blocking: a pipe of that name must not hang us before it is refused.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise KeyFileError(f"{path} is a symbolic link; name the key file itself") from error
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
    try:
        _check_owner(path, os.fstat(descriptor))
        content = os.read(descriptor, KEY_FILE_BYTES_MAX + 1)
    finally:
        os.close(descriptor)
    if len(content) > KEY_FILE_BYTES_MAX:
        raise KeyFileError(f"{path} is too large for a key file")
    return content


def _check_owner(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path} is no plain file")
    if status.st_uid != os.geteuid():
        raise KeyFileError(
            f"{path} belongs to user {status.st_uid}, we run as {os.geteuid()};"
            f" run: chown {os.geteuid()} {path}"
        )
    if status.st_mode & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError(f"others may use {path} (mode {mode:04o}); run: chmod 600 {path}")


def _read_hex(path: Path) -> bytes:
    text = read_secret_file(path).strip()
    try:
        value = bytes.fromhex(text.decode("ascii").removeprefix("0x"))
    except ValueError:
        value = b""
    if len(value) != SECRET_BYTES:
        # The cause is left out: it would quote the file.
        raise KeyFileError(f"{path} does not hold 64 hex digits")
    return value


def _hex_line(value: bytes) -> bytes:
    return value.hex().encode() + b"\n"


def create_node_key(path: Path) -> NodeKey:
    """Make a node's identity and keep it in a new file."""
    write_secret_file(path, _hex_line(secrets.token_bytes(SECRET_BYTES)))
    return load_node_key(path)


def load_node_key(path: Path) -> NodeKey:
    """Read a node's identity."""
    secret = _read_hex(path)
    return NodeKey(Secret(secret), node_id_of(secret))


def create_bls_key(path: Path) -> BlsKey:
    """Make a BLS key and keep it in a new file."""
    scalar = bls.secret_of(secrets.token_bytes(_BLS_ENTROPY_BYTES))
    write_secret_file(path, _hex_line(scalar.to_bytes(SECRET_BYTES, "big")))
    return load_bls_key(path)


def load_bls_key(path: Path) -> BlsKey:
    """Read a BLS key.

    Raises:
        KeyFileError: As `read_secret_file`, or the number is no secret scalar.
    """
    secret = _read_hex(path)
    scalar = int.from_bytes(secret, "big")
    if not _is_bls_secret(scalar):
        raise KeyFileError(f"{path} does not hold a BLS secret: zero, or past the group's order")
    return BlsKey(Secret(secret), bls.public_key_of(scalar))


def _is_bls_secret(scalar: int) -> bool:
    try:
        return bls.secret_of(scalar.to_bytes(_BLS_ENTROPY_BYTES, "big")) == scalar
    except ValueError:
        return False


def create_account_key(path: Path, *, password: Secret | None = None) -> AccountKey:
    """Make an Ethereum account: a V3 keystore with a password, else plain (development only).

    Encrypting takes about a second and 256 MiB, as keystores do by design.
    """
    secret = secrets.token_bytes(SECRET_BYTES)
    content = _hex_line(secret)
    if password is not None:
        content = json.dumps(_accounts().encrypt(secret, _password_text(password))).encode()
    write_secret_file(path, content)
    return _account(secret, path)


def load_account_key(path: Path, *, password_path: Path | None = None) -> AccountKey:
    """Read an Ethereum account.

    Raises:
        KeyFileError: As `read_secret_file`, for both files; or a keystore without a password file,
            a wrong password, or content that is neither a keystore nor 64 hex digits.
    """
    if not read_secret_file(path).lstrip().startswith(b"{"):
        return _account(_read_hex(path), path)
    if password_path is None:
        raise KeyFileError(f"{path} is a keystore: name the file that holds its password")
    password = Secret(read_secret_file(password_path).rstrip(b"\r\n"))
    return _account(_decrypted(path, password), path)


def _decrypted(path: Path, password: Secret) -> bytes:
    try:
        keystore = json.loads(read_secret_file(path))
        return bytes(_accounts().decrypt(keystore, _password_text(password)))
    except (ValueError, KeyError, TypeError, NotImplementedError, AssertionError):
        raise KeyFileError(f"{path}: wrong password, or no V3 keystore") from None


def _password_text(password: Secret) -> str:
    try:
        return password.reveal().decode()
    except UnicodeDecodeError:
        raise KeyFileError("a password must be UTF-8 text") from None


def _account(secret: bytes, path: Path) -> AccountKey:
    try:
        address = bytes.fromhex(_accounts().from_key(secret).address.removeprefix("0x"))
    except (ValueError, TypeError):
        raise KeyFileError(f"{path} does not hold an Ethereum key") from None
    return AccountKey(Secret(secret), Operator(address))


def _accounts() -> Account:
    # Takes half a second to import, and most commands need no account.
    libraries.load("eth_account")
    from eth_account import Account as Accounts  # noqa: PLC0415

    return Accounts()
