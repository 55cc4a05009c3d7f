"""Keys in files: who may read them, and that they never show themselves."""

import json
import os
import resource
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eth_account import Account
from hypothesis import given, strategies as st

from stkrp2p.adapters.keys import (
    KEY_FILE_BYTES_MAX,
    KeyFileError,
    create_account_key,
    create_bls_key,
    create_node_key,
    load_account_key,
    load_bls_key,
    load_node_key,
    read_secret_file,
    write_secret_file,
)
from stkrp2p.core import bls
from stkrp2p.core.crypto import BATCH_TAG, Secret, is_signed_by, node_id_of, sign

CREATORS = [create_node_key, create_bls_key, create_account_key]
SEED = bytes(range(32))


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


# ---------------------------------------------------------------------------- files


@pytest.mark.parametrize("create", CREATORS)
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
def test_a_key_file_is_its_owners_alone_under_any_umask(
    tmp_path: Path, create: Callable[[Path], object], mask: int
) -> None:
    with umask(mask):
        create(tmp_path / "key")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert [f.name for f in tmp_path.iterdir()] == ["key"]


@pytest.mark.parametrize("create", CREATORS)
def test_a_key_is_never_replaced(tmp_path: Path, create: Callable[[Path], object]) -> None:
    path = put(tmp_path / "key", b"an older key")
    with pytest.raises(KeyFileError) as refused:
        create(path)
    assert str(refused.value) == f"{path} exists already; a key is never replaced"
    assert path.read_bytes() == b"an older key"
    assert [f.name for f in tmp_path.iterdir()] == ["key"]


def test_a_key_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(KeyFileError, match=r"cannot create .*: File too large"):
            write_secret_file(tmp_path / "key", SEED)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644, 0o666, 0o610, 0o602, 0o777])
def test_a_key_that_others_may_use_is_refused_with_the_remedy(tmp_path: Path, mode: int) -> None:
    path = put(tmp_path / "key", SEED.hex().encode(), mode)
    with pytest.raises(KeyFileError) as refused:
        load_node_key(path)
    assert str(refused.value) == f"others may use {path} (mode {mode:04o}); run: chmod 600 {path}"
    path.chmod(0o600)
    assert load_node_key(path).secret == Secret(SEED)


def test_a_read_only_key_is_good_enough(tmp_path: Path) -> None:
    assert load_node_key(put(tmp_path / "key", SEED.hex().encode(), 0o400)).secret == Secret(SEED)


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    create_node_key(tmp_path / "real")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(KeyFileError, match=r"is a symbolic link; name the key file itself$"):
        load_node_key(tmp_path / "link")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user")
def test_another_users_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    create_node_key(path)
    os.chown(path, 12345, -1)
    with pytest.raises(KeyFileError) as refused:
        load_node_key(path)
    assert str(refused.value) == (
        f"{path} belongs to user 12345, we run as {os.geteuid()}; run: chown {os.geteuid()} {path}"
    )


def test_what_is_no_plain_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(KeyFileError, match=r"is no plain file$"):
            load_node_key(path)


def test_a_missing_key_and_a_missing_directory_are_clear_errors(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"^cannot read .*: No such file or directory$"):
        load_node_key(tmp_path / "key")
    with pytest.raises(KeyFileError, match=r"^cannot create .*: No such file or directory$"):
        create_node_key(tmp_path / "nowhere" / "key")


def test_a_key_file_has_a_largest_size(tmp_path: Path) -> None:
    limit = put(tmp_path / "limit", b"x" * KEY_FILE_BYTES_MAX)
    assert len(read_secret_file(limit)) == KEY_FILE_BYTES_MAX
    with pytest.raises(KeyFileError, match=r"is too large for a key file$"):
        read_secret_file(put(tmp_path / "more", b"x" * (KEY_FILE_BYTES_MAX + 1)))


@given(st.binary(max_size=200))
def test_a_file_without_a_key_is_refused_and_not_quoted(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = put(tmp_path_factory.mktemp("keys") / "key", content)
    for load in (load_node_key, load_bls_key, load_account_key):
        with pytest.raises(KeyFileError) as refused:
            load(path)
        assert str(refused.value) in {
            f"{path} does not hold 64 hex digits",
            f"{path} is a keystore: name the file that holds its password",
        }


# ---------------------------------------------------------------------------- kinds of keys


def test_a_node_key_signs_for_the_node_it_names(tmp_path: Path) -> None:
    made = create_node_key(tmp_path / "node.key")
    loaded = load_node_key(tmp_path / "node.key")
    assert loaded == made
    assert made.node == node_id_of(made.secret.reveal())
    signature = sign(loaded.secret.reveal(), BATCH_TAG, b"payload")
    assert is_signed_by(made.node, BATCH_TAG, b"payload", signature)
    assert create_node_key(tmp_path / "other.key").node != made.node


def test_a_bls_key_signs_for_its_public_key(tmp_path: Path) -> None:
    made = create_bls_key(tmp_path / "bls.key")
    loaded = load_bls_key(tmp_path / "bls.key")
    assert loaded == made
    signature = bls.sign(loaded.scalar(), b"message", bls.ROUND_DST)
    assert bls.is_signed_by(made.public_key, b"message", signature, bls.ROUND_DST)


ORDER = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


@pytest.mark.parametrize("scalar", [0, ORDER, ORDER + 1, 2**256 - 1])
def test_a_number_that_is_no_bls_secret_is_refused(tmp_path: Path, scalar: int) -> None:
    path = put(tmp_path / "bls.key", scalar.to_bytes(32, "big").hex().encode())
    with pytest.raises(KeyFileError, match="does not hold a BLS secret"):
        load_bls_key(path)
    largest = put(tmp_path / "largest.key", (ORDER - 1).to_bytes(32, "big").hex().encode())
    assert load_bls_key(largest).scalar() == ORDER - 1


def test_a_plain_account_is_read_with_and_without_0x(tmp_path: Path) -> None:
    made = create_account_key(tmp_path / "account.key")
    digits = (tmp_path / "account.key").read_bytes()
    assert load_account_key(put(tmp_path / "prefixed", b"0x" + digits)) == made
    expected = Account.from_key(made.secret.reveal()).address
    assert "0x" + made.address.hex() == expected.lower()


@pytest.mark.parametrize("number", [0, 2**256 - 1])
def test_a_number_that_is_no_account_is_refused(tmp_path: Path, number: int) -> None:
    path = put(tmp_path / "account.key", number.to_bytes(32, "big").hex().encode())
    with pytest.raises(KeyFileError, match="does not hold an Ethereum key"):
        load_account_key(path)


def test_a_keystore_opens_with_its_password_and_with_no_other(tmp_path: Path) -> None:
    keystore = tmp_path / "account.json"
    made = create_account_key(keystore, password=Secret("pässword".encode()))
    assert made.secret.reveal().hex() not in keystore.read_text()
    right = put(tmp_path / "right", "pässword\n".encode())
    assert load_account_key(keystore, password_path=right) == made
    for name, content in (("wrong", b"password\n"), ("binary", b"\xff\xfe")):
        with pytest.raises(KeyFileError, match="password"):
            load_account_key(keystore, password_path=put(tmp_path / name, content))
    with pytest.raises(KeyFileError, match="run: chmod 600"):
        load_account_key(keystore, password_path=put(tmp_path / "loose", b"", 0o644))
    with pytest.raises(KeyFileError, match="name the file that holds its password"):
        load_account_key(keystore)


@pytest.mark.parametrize("content", [b"{", b"{}", b'{"version": 3}', b'{"version": 2}', b"{\xff}"])
def test_a_broken_keystore_is_refused(tmp_path: Path, content: bytes) -> None:
    keystore = put(tmp_path / "account.json", content)
    password = put(tmp_path / "password", b"x")
    with pytest.raises(KeyFileError, match=r"wrong password, or no V3 keystore$"):
        load_account_key(keystore, password_path=password)


# ---------------------------------------------------------------------------- secrets


def test_a_secret_never_shows_itself(tmp_path: Path) -> None:
    key = create_node_key(tmp_path / "node.key")
    hidden = key.secret
    shown = [repr(hidden), str(hidden), f"{hidden}", f"{hidden} {hidden!r}", repr(key)]
    shown += [json.dumps({"key": key.secret}, default=str), repr(vars(type(hidden)))]
    with pytest.raises(TypeError) as raised:
        hash(hidden)
    captured = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    shown.append("".join(captured.format()))
    for text in shown:
        assert hidden.reveal().hex() not in text
        assert repr(hidden.reveal()) not in text


def test_reading_an_account_leaves_the_recursion_limit_as_it_was(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stkrp2p.adapters.keys import create_account_key;"
        "create_account_key(Path(sys.argv[1])); assert 'eth_account' in sys.modules;"
        "sys.exit(sys.getrecursionlimit() != 1000)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "account.key")]
    assert subprocess.run(command, check=False).returncode == 0
