"""Write `fixtures.json`: points and signatures for the contracts' tests, made outside the EVM.

    python protocols/contracts/test/make_fixtures.py

All BLS here is blst's (through the package's own `stkrp2p.core.bls`), so that the Solidity code is
compared with another implementation and not with itself. The quicknet rounds are public facts,
published by drand; each is checked before it is written. Running it again writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pyblst

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2]))

from stkrp2p.core import bls, merkle  # noqa: E402

QUICKNET_KEY = bytes.fromhex(
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c"
    "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb"
    "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
)
QUICKNET_DOMAIN = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_"
QUICKNET_ROUNDS = {
    42: "95a9f9f5b231b7714de1553105d8ffdf3dcda24cfdb1e689319bccf79a9c8ce4"
    "30a91b811fbfaf763900bc998b5d686a",
    123: "b75c69d0b72a5d906e854e808ba7e2accb1542ac355ae486d591aa9d43765482"
    "e26cd02df835d3546d23c4b13e0dfc92",
    1000: "b44679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125"
    "e342b73a8dd2bacbe47e4b6b63ed5e39",
    32285085: "81dbce51d584d90d618547f4b50391d53ace6f6b9aeb8fb67e1879427af9d031"
    "0ac0ec6f519271d9a313ee84b378d416",
}

P = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB

ANCHOR_DOMAIN = b"STKR-ANCHOR-V1_BLS12381G1_XMD:SHA-256_SSWU_RO_"
ANCHOR_TAG = b"stkr/anchor/2".ljust(32, b"\0")
ANCHOR_ADDRESS = bytes.fromhex("a11ce0000000000000000000000000000000a11c")
FORGE_CHAIN_ID = 31337
VOIDS = 0
COUNCIL_SECRET = 0x5EC1_2E70_F7E5_7C01

RFC_DOMAIN = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
RFC_MESSAGES = (b"", b"abc", b"abcdef0123456789", b"q128_" + b"q" * 128, b"a512_" + b"a" * 512)
"""The messages of RFC 9380, appendix J.9.1, whose points are given there too."""


def hexed(data: bytes) -> str:
    """Return bytes as Ethereum's tools write them."""
    return "0x" + data.hex()


def quicknet() -> dict[str, object]:
    """Return the beacon's key and its rounds, each checked."""
    rounds = []
    for number, text in QUICKNET_ROUNDS.items():
        compressed = bytes.fromhex(text)
        message = hashlib.sha256(number.to_bytes(8, "big")).digest()
        if not bls.is_signed_by(QUICKNET_KEY, message, compressed, QUICKNET_DOMAIN):
            sys.exit(f"round {number} is not quicknet's")
        rounds.append(
            {
                "round": number,
                "compressed": hexed(compressed),
                "signature": hexed(bls.g1_uncompressed(compressed)),
                "randomness": hexed(hashlib.sha256(compressed).digest()),
            }
        )
    return {"key": hexed(bls.g2_uncompressed(QUICKNET_KEY)), "rounds": rounds}


def hashes() -> list[dict[str, str]]:
    """Return messages and the points that they hash to."""
    points = [pyblst.BlstP1Element.hash_to_group(message, RFC_DOMAIN) for message in RFC_MESSAGES]
    return [
        {"message": hexed(message), "point": hexed(bls.g1_uncompressed(bytes(point.compress())))}
        for message, point in zip(RFC_MESSAGES, points, strict=True)
    ]


def anchor() -> dict[str, object]:
    """Return a header signed for one contract address on forge's chain."""
    roots = [merkle.keccak256(name) for name in (b"roster", b"proposal", b"evidence", b"score")]
    header_hash = merkle.keccak256(merkle.words(0, *roots, 987_654, 1))
    message = merkle.keccak256(
        merkle.words(
            ANCHOR_TAG, FORGE_CHAIN_ID, int.from_bytes(ANCHOR_ADDRESS, "big"), VOIDS, header_hash
        )
    )
    signature = bls.sign(COUNCIL_SECRET, message, ANCHOR_DOMAIN)
    return {
        "address": hexed(ANCHOR_ADDRESS),
        "key": hexed(bls.g2_uncompressed(bls.public_key_of(COUNCIL_SECRET))),
        "header_hash": hexed(header_hash),
        "message": hexed(message),
        "signature": hexed(bls.g1_uncompressed(signature)),
    }


def outside_g1() -> bytes:
    """Return a point on G1's curve that is not in the subgroup of prime order."""
    for x in range(1, 100):
        compressed = bytes([0x80]) + x.to_bytes(47, "big")
        try:
            point = bls.g1_uncompressed(compressed)
        except ValueError:
            continue
        try:
            pyblst.BlstP1Element.uncompress(compressed)
        except ValueError:
            return point
    raise AssertionError("one in 2^125 points is in the subgroup")


def outside_g2() -> bytes:
    """Return a point on G2's curve that is not in the subgroup of prime order."""
    for x in range(1, 100):
        compressed = bytes([0x80]) + bytes(47) + x.to_bytes(48, "big")
        try:
            point = bls.g2_uncompressed(compressed)
        except ValueError:
            continue
        try:
            pyblst.BlstP2Element.uncompress(compressed)
        except ValueError:
            return point
    raise AssertionError("next to no point is in the subgroup")


def cube_root(value: int) -> int | None:
    """Return a cube root in G1's field, or None where there is none or it takes more to find it."""
    odd = P - 1
    while odd % 3 == 0:
        odd //= 3
    root = pow(value, pow(3, -1, odd), P)
    return root if pow(root, 3, P) == value else None


def point_of(x: int, y: int) -> dict[str, str]:
    """Return a point of G1's curve in both forms; it need not be in the subgroup."""
    flags = 0xA0 if y > P // 2 else 0x80
    compressed = (x | flags << 376).to_bytes(48, "big")
    point = x.to_bytes(64, "big") + y.to_bytes(64, "big")
    if bls.g1_uncompressed(compressed) != point:
        raise AssertionError("not on the curve")
    return {"compressed": hexed(compressed), "point": hexed(point)}


def at_the_carry() -> dict[str, str]:
    """Return a point whose x^3 ends so high that adding 4 carries into the upper half."""
    for high in range(1, 10_000):
        cube = (high << 256) + (1 << 256) - 2
        x, y = cube_root(cube), pow(cube + 4, (P + 1) // 4, P)
        if x is not None and y * y % P == cube + 4:
            return point_of(x, y)
    raise AssertionError("one in eighteen will do")


def at_the_sign() -> list[dict[str, str]]:
    """Return two opposite points whose y are as near to p / 2 as points come, on either side."""
    for above in range(1, 10_000):
        y = P // 2 + above
        x = cube_root((y * y - 4) % P)
        if x is not None:
            return [point_of(x, y), point_of(x, P - y)]
    raise AssertionError("one in nine will do")


def main() -> None:
    """Write the fixtures beside this file."""
    fixtures = {
        "anchor": anchor(),
        "at_the_carry": at_the_carry(),
        "at_the_sign": at_the_sign(),
        "hashes": hashes(),
        "outside_g1": hexed(outside_g1()),
        "outside_g2": hexed(outside_g2()),
        "quicknet": quicknet(),
        "rfc_domain": RFC_DOMAIN.decode(),
    }
    (HERE / "fixtures.json").write_text(json.dumps(fixtures, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
