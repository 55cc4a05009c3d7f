"""EIP-2335's own vectors, other people's keystores, and files that mean us harm."""

import json
import time

import eth_keyfile
import pytest
from hypothesis import given, settings, strategies as st

from stkrp2p.adapters.keystore import ITERATIONS, KeystoreError, seal, unseal
from stkrp2p.core.crypto import Secret

PASSWORD = Secret(
    "".join(chr(0x1D4BD + ord(c)) if c.isalpha() else c for c in "testpassword🔑").encode()
)
"""Of EIP-2335's vectors: mathematical Fraktur, of which NFKD makes `testpassword🔑`."""

SECRET = bytes.fromhex("000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f")
SALT = "d4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3"
IV = "264daa3f303d7259501c93d997d84fe6"
FEW = 2
"""Rounds of PBKDF2, where strength is not the point."""


def vector(function: str, params: dict[str, object], checksum: str, message: str) -> dict:
    return {
        "crypto": {
            "kdf": {
                "function": function,
                "params": {"dklen": 32, "salt": SALT} | params,
                "message": "",
            },
            "checksum": {"function": "sha256", "params": {}, "message": checksum},
            "cipher": {"function": "aes-128-ctr", "params": {"iv": IV}, "message": message},
        },
        "description": "This is a test keystore.",
        "pubkey": "9612d7a727c9d0a22e185a1c768478dfe919cada9266988cb32359c11f2b7b27"
        "f4ae4040902382ae2910c15e2b420d07",
        "path": "m/12381/60/3141592653/589793238",
        "uuid": "1d85ae20-35c5-4611-98e8-aa14a633906f",
        "version": 4,
    }


PBKDF2 = vector(
    "pbkdf2",
    {"c": 262144, "prf": "hmac-sha256"},
    "8a9f5d9912ed7e75ea794bc5a89bca5f193721d30868ade6f73043c6ea6febf1",
    "cee03fde2af33149775b7223e7845e4fb2c8ae1792e5f99fe9ecf474cc8c16ad",
)
SCRYPT = vector(
    "scrypt",
    {"n": 262144, "p": 1, "r": 8},
    "d2217fe5f3e9a1e34581ef8a78f7c9928e436d36dacc5e846690a5581e8ea484",
    "06ae90d55fe0a6e9c5c3bc5b170827b2e5cce3929ed3f116c2811e6366dfe20f",
)


def changed(keystore: dict, path: str, value: object) -> bytes:
    """Return the keystore's text with one field changed."""
    copied = json.loads(json.dumps(keystore))
    place = copied
    *steps, last = path.split(".")
    for step in steps:
        place = place[step]
    place[last] = value
    return json.dumps(copied).encode()


@pytest.mark.parametrize("keystore", [PBKDF2, SCRYPT], ids=["pbkdf2", "scrypt"])
def test_the_vectors_of_eip_2335_open(keystore: dict) -> None:
    assert unseal(json.dumps(keystore).encode(), PASSWORD).reveal() == SECRET


@settings(max_examples=20)
@given(secret=st.binary(min_size=1, max_size=64), password=st.text(max_size=40))
def test_what_is_sealed_is_unsealed(secret: bytes, password: str) -> None:
    key = Secret(password.encode(errors="replace"))
    assert unseal(seal(Secret(secret), key, iterations=FEW), key) == Secret(secret)


def test_other_software_opens_our_keystores_and_we_open_its() -> None:
    password = b"a plain password"
    ours = json.loads(seal(Secret(SECRET), Secret(password), iterations=FEW))
    assert eth_keyfile.decode_keyfile_json(ours, password) == SECRET
    theirs = eth_keyfile.create_keyfile_json(SECRET, password, version=4, iterations=FEW)
    assert unseal(json.dumps(theirs).encode(), Secret(password)).reveal() == SECRET


def test_one_password_written_in_two_ways_is_one_password() -> None:
    composed, decomposed = Secret("né\n".encode()), Secret("ne\u0301".encode())
    assert unseal(seal(Secret(SECRET), composed, iterations=FEW), decomposed).reveal() == SECRET


def test_a_keystore_tells_its_public_half_and_what_it_is_for_but_not_its_secret() -> None:
    text = seal(
        Secret(SECRET), PASSWORD, public=b"public half", description="a share", iterations=FEW
    )
    assert json.loads(text)["pubkey"] == b"public half".hex()
    assert json.loads(text)["description"] == "a share"
    assert SECRET.hex().encode() not in text


def test_the_same_secret_is_never_sealed_to_the_same_bytes() -> None:
    first, second = (
        json.loads(seal(Secret(SECRET), PASSWORD, iterations=FEW))["crypto"] for _ in "ab"
    )
    assert first["cipher"]["message"] != second["cipher"]["message"]
    assert first["kdf"]["params"]["salt"] != second["kdf"]["params"]["salt"]


def test_our_own_work_factor_is_the_eips() -> None:
    assert json.loads(seal(Secret(SECRET), PASSWORD))["crypto"]["kdf"]["params"]["c"] == ITERATIONS


def test_a_wrong_password_opens_nothing_and_is_not_quoted() -> None:
    text = seal(Secret(SECRET), PASSWORD, iterations=FEW)
    with pytest.raises(KeystoreError) as refused:
        unseal(text, Secret(b"hunter2"))
    assert str(refused.value) == "wrong password, or the file is damaged"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("crypto.cipher.message", "00" * 32),
        ("crypto.checksum.message", "00" * 32),
        ("crypto.checksum.message", ""),
        ("crypto.kdf.params.salt", ""),
    ],
)
def test_a_damaged_keystore_opens_to_nothing(path: str, value: object) -> None:
    keystore = json.loads(seal(Secret(SECRET), PASSWORD, iterations=FEW))
    with pytest.raises(KeystoreError, match=r"^wrong password, or the file is damaged$"):
        unseal(changed(keystore, path, value), PASSWORD)


@pytest.mark.parametrize(
    ("keystore", "path", "value"),
    [
        (PBKDF2, "crypto.kdf.params.c", 2**31),
        (PBKDF2, "crypto.kdf.params.c", 0),
        (PBKDF2, "crypto.kdf.params.c", True),
        (PBKDF2, "crypto.kdf.params.dklen", 2**31),
        (PBKDF2, "crypto.kdf.params.prf", "hmac-md5"),
        (PBKDF2, "crypto.kdf.params.salt", "no hex"),
        (PBKDF2, "crypto.kdf.params.salt", "00" * 10_000),
        (PBKDF2, "crypto.kdf.function", "argon2"),
        (PBKDF2, "crypto.checksum.function", "md5"),
        (PBKDF2, "crypto.cipher.function", "xor"),
        (PBKDF2, "crypto.cipher.params.iv", "00"),
        (PBKDF2, "crypto.cipher.message", "00" * 65),
        (PBKDF2, "version", 3),
        (PBKDF2, "crypto", {}),
        (SCRYPT, "crypto.kdf.params.n", 2**30),
        (SCRYPT, "crypto.kdf.params.n", 3),
        (SCRYPT, "crypto.kdf.params.r", 2**20),
        (SCRYPT, "crypto.kdf.params.p", 2**20),
    ],
)
def test_a_keystore_that_asks_for_too_much_is_refused_before_any_work(
    keystore: dict, path: str, value: object
) -> None:
    began = time.process_time()
    with pytest.raises(KeystoreError, match=r"^no EIP-2335 keystore within our bounds$"):
        unseal(changed(keystore, path, value), PASSWORD)
    assert time.process_time() - began < 0.1


@given(st.binary(max_size=200))
def test_what_is_no_keystore_is_refused(text: bytes) -> None:
    with pytest.raises(KeystoreError):
        unseal(text, PASSWORD)


def test_json_nested_without_end_is_refused() -> None:
    with pytest.raises(KeystoreError):
        unseal(b'{"crypto":' * 100_000, PASSWORD)


def test_a_password_is_text() -> None:
    with pytest.raises(KeystoreError, match=r"^a password must be UTF-8 text$"):
        seal(Secret(SECRET), Secret(b"\xff"), iterations=FEW)
