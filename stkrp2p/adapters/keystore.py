"""Secrets under a password, in EIP-2335's keystores (version 4).

    key       = PBKDF2-HMAC-SHA-256(password, salt, c), 32 bytes       (scrypt is read, not written)
    message   = AES-128-CTR(key[:16], iv, secret)
    checksum  = SHA-256(key[16:] | message)

The password is normalised to NFKD and loses its control characters, as the EIP says. A file's work
factors are held to bounds before any work is done for it: whoever writes a keystore must not be able
to stop the node that reads it. eth-keyfile writes the same format, but multiplies the secret by the
generator with py_ecc, whose time depends on the secret; here the caller gives the public half.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import unicodedata
import uuid
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from Crypto.Cipher import AES

from stkrp2p.core.crypto import Secret

if TYPE_CHECKING:
    from Crypto.Cipher._mode_ctr import CtrMode

ITERATIONS = 262_144
"""PBKDF2 rounds of what we write: EIP-2335's own number, a tenth of a second."""

ITERATIONS_MAX = 4_194_304
"""Most PBKDF2 rounds of what we read: some 2 s."""

SCRYPT_BYTES_MAX = 256 * 1024 * 1024
"""Most memory of scrypt, 128 * n * r: what EIP-2335's own numbers need."""

SCRYPT_PARALLEL_MAX = 4

SECRET_BYTES_MAX = 64
"""Longest secret; EIP-2335 has no length of its own."""

_KEY_BYTES: Final = 32
_SALT_BYTES: Final = 32
_IV_BYTES: Final = 16
_CONTROL: Final = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0))))

Hex = Annotated[str, msgspec.Meta(pattern="^([0-9a-fA-F]{2})*$", max_length=2 * SECRET_BYTES_MAX)]
Text = Annotated[str, msgspec.Meta(max_length=1024)]


class KeystoreError(Exception):
    """The text is no keystore that we read, or the password is not its own; quotes neither."""


class _Pbkdf2(msgspec.Struct, frozen=True):
    dklen: Literal[32]
    c: Annotated[int, msgspec.Meta(ge=1, le=ITERATIONS_MAX)]
    prf: Literal["hmac-sha256"]
    salt: Hex


class _Scrypt(msgspec.Struct, frozen=True):
    dklen: Literal[32]
    n: Annotated[int, msgspec.Meta(ge=2, le=SCRYPT_BYTES_MAX)]
    r: Annotated[int, msgspec.Meta(ge=1, le=SCRYPT_BYTES_MAX)]
    p: Annotated[int, msgspec.Meta(ge=1, le=SCRYPT_PARALLEL_MAX)]
    salt: Hex


class _KdfPbkdf2(msgspec.Struct, frozen=True, tag_field="function", tag="pbkdf2"):
    params: _Pbkdf2
    message: Literal[""] = ""


class _KdfScrypt(msgspec.Struct, frozen=True, tag_field="function", tag="scrypt"):
    params: _Scrypt
    message: Literal[""] = ""


class _Checksum(msgspec.Struct, frozen=True):
    function: Literal["sha256"]
    message: Hex
    params: dict[str, str] = {}


class _CipherParams(msgspec.Struct, frozen=True):
    iv: Annotated[str, msgspec.Meta(pattern="^[0-9a-fA-F]{32}$")]


class _Cipher(msgspec.Struct, frozen=True):
    function: Literal["aes-128-ctr"]
    params: _CipherParams
    message: Hex


class _Crypto(msgspec.Struct, frozen=True):
    kdf: _KdfPbkdf2 | _KdfScrypt
    checksum: _Checksum
    cipher: _Cipher


class _Keystore(msgspec.Struct, frozen=True):
    """A keystore; what else stands in the file is not read."""

    crypto: _Crypto
    version: Literal[4]
    description: Text = ""
    pubkey: Text = ""
    path: Text = ""
    uuid: Text = ""


def seal(
    secret: Secret,
    password: Secret,
    *,
    public: bytes = b"",
    description: str = "",
    iterations: int = ITERATIONS,
) -> bytes:
    """Return a keystore's text.

    Args:
        secret: At most `SECRET_BYTES_MAX` bytes.
        password: UTF-8.
        public: The secret's public half, to tell keystores apart without a password.
        description: One line for people.
        iterations: PBKDF2 rounds; fewer than `ITERATIONS` are for tests.

    Raises:
        KeystoreError: The password is no UTF-8 text.
    """
    salt, iv = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_IV_BYTES)
    params = _Pbkdf2(dklen=32, c=iterations, prf="hmac-sha256", salt=salt.hex())
    key = _key(params, password)
    message = _cipher(key, iv).encrypt(secret.reveal())
    keystore = _Keystore(
        crypto=_Crypto(
            kdf=_KdfPbkdf2(params=params),
            checksum=_Checksum(function="sha256", message=_sum(key, message).hex()),
            cipher=_Cipher(
                function="aes-128-ctr", params=_CipherParams(iv=iv.hex()), message=message.hex()
            ),
        ),
        version=4,
        description=description,
        pubkey=public.hex(),
        uuid=str(uuid.uuid4()),
    )
    return msgspec.json.format(msgspec.json.encode(keystore)) + b"\n"


def unseal(text: bytes, password: Secret) -> Secret:
    """Return the secret in a keystore.

    Raises:
        KeystoreError: It is none, asks for more work than the bounds allow, or is not opened by
            this password.
    """
    try:
        crypto = msgspec.json.decode(text, type=_Keystore).crypto
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise KeystoreError("no EIP-2335 keystore within our bounds") from None
    key, message = _key(crypto.kdf.params, password), bytes.fromhex(crypto.cipher.message)
    if not hmac.compare_digest(_sum(key, message), bytes.fromhex(crypto.checksum.message)):
        raise KeystoreError("wrong password, or the file is damaged")
    return Secret(_cipher(key, bytes.fromhex(crypto.cipher.params.iv)).decrypt(message))


def _key(params: _Pbkdf2 | _Scrypt, password: Secret) -> bytes:
    clean, salt = _normalised(password), bytes.fromhex(params.salt)
    if isinstance(params, _Pbkdf2):
        return hashlib.pbkdf2_hmac("sha256", clean, salt, params.c, dklen=_KEY_BYTES)
    if 128 * params.n * params.r > SCRYPT_BYTES_MAX:
        raise KeystoreError("no EIP-2335 keystore within our bounds")
    try:
        return hashlib.scrypt(
            clean,
            salt=salt,
            n=params.n,
            r=params.r,
            p=params.p,
            maxmem=2 * SCRYPT_BYTES_MAX,
            dklen=_KEY_BYTES,
        )
    except ValueError:  # n is no power of two
        raise KeystoreError("no EIP-2335 keystore within our bounds") from None


def _normalised(password: Secret) -> bytes:
    try:
        text = unicodedata.normalize("NFKD", password.reveal().decode())
    except UnicodeDecodeError:
        raise KeystoreError("a password must be UTF-8 text") from None
    return "".join(c for c in text if c not in _CONTROL).encode()


def _sum(key: bytes, message: bytes) -> bytes:
    return hashlib.sha256(key[16:] + message).digest()


def _cipher(key: bytes, iv: bytes) -> CtrMode:
    return AES.new(key[:16], AES.MODE_CTR, initial_value=iv, nonce=b"")
