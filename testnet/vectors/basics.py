"""Vectors of the ground everything stands on: bytes, signatures, trees, rounds, the network id."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace

from nacl import bindings

from stkrp2p.core import bls, crypto, merkle
from stkrp2p.core.beacon import (
    NEWS_EARLY_MAX,
    NEWS_LATE_MAX,
    Beacon,
    BeaconRound,
    RoundNews,
    judge_news,
    round_message,
    verified,
)
from stkrp2p.core.challenge import Answer, Question
from stkrp2p.core.crypto import is_signed_by, node_id_of, sign
from stkrp2p.core.network import Genesis
from stkrp2p.core.reconcile import AskIds, Delta, read_question
from stkrp2p.core.roster import Profile
from stkrp2p.core.score import Score
from stkrp2p.core.types import Epoch, NodeId, Round, UnixMs
from stkrp2p.core.wire import Message, decode, encode
from testnet.vectors.form import Json, fields, plain, reason_of
from testnet.vectors.world import WORLD, secret_of

QUICKNET_KEY = bytes.fromhex(
    "83cf0f2896adee7eb8b5f01fcad3912212c437e0073e911fb90022d3e760183c"
    "8c4b450b6a0a6c3ac6a5776a2d1064510d1fec758c921cc22b0e17e63aaf4bcb"
    "5ed66304de9cf809bd274ca73bab4af5a6e9c76a4bc09e76eae8991ef5ece45a"
)
"""drand's quicknet, genesis 1692803367 s, a round every 3 s: public facts, like its rounds below."""

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

GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
"""Order of Ed25519's base point, L."""

SMALL_ORDER = {
    "identity": "01" + "00" * 31,
    "order 4": "00" * 32,
    "order 8": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "order 2, y = -1": "ec" + "ff" * 30 + "7f",
    "identity, non-canonical": "ee" + "ff" * 30 + "7f",
}
"""Encodings of points that no honest key or signature has."""

SHAPES: dict[str, type[Message]] = {
    "Profile": Profile,
    "Question": Question,
    "Answer": Answer,
    "Delta": Delta,
    "Score": Score,
}


# ------------------------------------------------------------------------------- network


def network() -> dict[str, Json]:
    """Return `network.json`: the world's genesis and others, with their ids and topics."""
    genesis = WORLD.genesis
    return {
        "cases": [
            _genesis("the network of all other vectors", genesis),
            _genesis("another name makes another network", replace(genesis, name="other")),
            _genesis("a name of other letters", replace(genesis, name="réseau")),
            _genesis("a second beacon mixed in", _mixing()),
        ],
        "peer_ids": [
            {"node": node.hex(), "peer_id": ("002408011220" + node.hex())}
            for node in (node_id_of(secret_of(name)) for name in WORLD.names[:2])
        ],
    }


def _second_beacon(genesis: Genesis) -> Beacon:
    first = genesis.beacon
    return Beacon(
        public_key=genesis.council_key, genesis_ms=UnixMs(first.genesis_ms + 500), period_ms=2_000
    )


def _beacon(beacon: Beacon) -> Json:
    return {
        "public_key": beacon.public_key.hex(),
        "genesis_ms": beacon.genesis_ms,
        "period_ms": beacon.period_ms,
    }


def _genesis(name: str, genesis: Genesis) -> Json:
    params: dict[str, Json] = {k: int(v) for k, v in asdict(genesis.params).items()}
    return {
        "name": name,
        "genesis": {
            "name": genesis.name,
            "params": params,
            "beacon": _beacon(genesis.beacon),
            "mixed": None if genesis.mixed is None else _beacon(genesis.mixed),
            "first_round": genesis.first_round,
            "chain_id": genesis.chain_id,
            "registry": genesis.registry.hex(),
            "anchor": genesis.anchor.hex(),
            "council": genesis.council.hex(),
            "council_key": genesis.council_key.hex(),
        },
        "network_id": genesis.network_id.hex(),
        "batch_topic": f"/stkr/{genesis.network_id.hex()[:16]}/batch/1",
        "anchor_topic": f"/stkr/{genesis.network_id.hex()[:16]}/anchor/1",
    }


# ------------------------------------------------------------------------------- wire


def wire() -> dict[str, Json]:
    """Return `wire.json`: encodings, whole messages, and frames that are refused."""
    return {
        "encodings": _encodings(),
        "messages": [_message(m) for m in _messages()],
        "refused": [_refused(*case) for case in _broken()],
    }


def _encodings() -> list[Json]:
    found: list[Json] = [{"uint": v, "hex": encode(v).hex()} for v in _UINTS]
    found += [{"bytes_length": n, "head": encode(b"\xab" * n)[:7].hex()} for n in _LENGTHS]
    found += [{"text_length": n, "head": encode("x" * n)[:7].hex()} for n in (0, 31, *_LENGTHS)]
    found += [{"list_length": n, "head": encode([1] * n)[:7].hex()} for n in (0, 15, *_LENGTHS)]
    return [*found, *[{"bool": v, "hex": encode(v).hex()} for v in (False, True)]]


_UINTS = (0, 1, 127, 128, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53 + 1, 2**63 - 1)
_LENGTHS = (16, 32, 255, 256, 65535, 65536)


def _messages() -> list[Message]:
    return [
        Profile(version=1, workload="http:8080/health", addresses=("/ip4/192.0.2.1/tcp/4001",)),
        Profile(version=1, workload="é" * 128, addresses=()),
        Question(version=1, network=bytes(32), round=2**33, round_signature=b"\x01" * 48),
        Answer(version=1, status=2, report=b"disk full", signature=b"\x02" * 64),
        Delta(frames=(b"\x00" * 300,), wanted=bytes(8), differing=(0, 200), is_more=True),
        Score(node=b"\x03" * 32, nonce=1, s=2**40, reliability_ppm=999_999),
    ]


def _message(message: Message) -> Json:
    shape = type(message).__name__
    return {"shape": shape, "fields": fields(message), "frame": encode(message).hex()}


def _broken() -> list[tuple[str, str, bytes, int]]:
    """Return (what is wrong, shape, frame, cap)."""
    good = encode(Answer(version=1, status=0, report=b"up", signature=b"\x02" * 64))
    tail = good[2:]
    text = encode(Profile(version=1, workload="none", addresses=()))
    return [
        ("nothing at all", "Answer", b"", 65536),
        ("one byte above the cap", "Answer", good, len(good) - 1),
        ("cut off", "Answer", good[:-1], 65536),
        ("a byte after the end", "Answer", good + b"\x00", 65536),
        ("a field too few", "Answer", b"\x93" + good[1:-66], 65536),
        ("a field too many", "Answer", b"\x95" + good[1:] + b"\x01", 65536),
        ("a map", "Answer", b"\x80", 65536),
        ("nil for an integer", "Answer", b"\x94\xc0" + tail, 65536),
        ("true for an integer", "Answer", b"\x94\xc3" + tail, 65536),
        ("a float for an integer", "Answer", b"\x94\xcb\x3f\xf0" + bytes(6) + tail, 65536),
        ("a negative integer", "Answer", b"\x94\xff" + tail, 65536),
        ("text for an integer", "Answer", b"\x94\xa11" + tail, 65536),
        ("an integer of 2^63", "Answer", b"\x94\xcf\x80" + bytes(7) + tail, 65536),
        ("an integer out of its bounds", "Answer", b"\x94\x01\x03" + good[3:], 65536),
        ("text for bytes", "Answer", b"\x94\x01\x00\xa2up" + good[7:], 65536),
        ("an extension for bytes", "Answer", b"\x94\x01\x00\xd5\x01up" + good[7:], 65536),
        ("a signature of 63 bytes", "Answer", good[:-65] + b"\x3f" + bytes(63), 65536),
        ("an integer in two bytes instead of one", "Answer", b"\x94\xcc\x01" + tail, 65536),
        ("an integer in nine bytes", "Answer", b"\x94\xcf" + bytes(7) + b"\x01" + tail, 65536),
        ("a signed integer", "Answer", b"\x94\xd0\x01" + tail, 65536),
        ("an array header of three bytes", "Answer", b"\xdc\x00\x04" + good[1:], 65536),
        ("bin 16 for two bytes", "Answer", b"\x94\x01\x00\xc5\x00\x02up" + good[7:], 65536),
        ("a length beyond the frame", "Answer", b"\x94\x01\x00\xc6\xff\xff\xff\xff", 65536),
        ("an array of 2^32 - 1 elements", "Delta", b"\x94\xdd\xff\xff\xff\xff", 65536),
        ("str 8 for four letters", "Profile", b"\x93\x01\xd9\x04none\x90", 65536),
        ("text that is no UTF-8", "Profile", text.replace(b"none", b"\xff\xfe\xfd\xfc"), 65536),
        ("bytes for text", "Profile", b"\x93\x01\xc4\x04none\x90", 65536),
        ("text of 129 letters", "Profile", b"\x93\x01\xd9\x81" + b"x" * 129 + b"\x90", 65536),
        ("five addresses", "Profile", b"\x93\x01\xa0\x95" + b"\xa0" * 5, 65536),
        (
            "a Score that leaves out its zeros",
            "Score",
            b"\x92\xc4\x20" + bytes(32) + b"\x01",
            65536,
        ),
        ("an unknown tag", "SyncQuestion", b"\x93\x0b\xc4\x20" + bytes(32) + b"\x00", 65536),
        ("a question without its tag", "SyncQuestion", encode(AskIds.__name__), 65536),
        ("a tag in two bytes", "SyncQuestion", _long_tag(), 65536),
        ("nested too deep", "Answer", b"\x91" * 60_000, 65536),
    ]


def _long_tag() -> bytes:
    frame = encode(AskIds(network=bytes(32), epoch=1, chunk=0))
    return frame[:1] + b"\xcc" + frame[1:]


def _refused(name: str, shape: str, frame: bytes, bytes_max: int) -> Json:
    if shape == "SyncQuestion":
        reason = reason_of(lambda: read_question(frame))
    else:
        reason = reason_of(lambda: decode(frame, SHAPES[shape], bytes_max=bytes_max))
    repeated = frame == frame[:1] * len(frame) and len(frame) > 1
    text: Json = {"byte": frame[:1].hex(), "times": len(frame)} if repeated else frame.hex()
    return {
        "name": name,
        "shape": shape,
        "bytes_max": bytes_max,
        "frame": text,
        "reason": reason,
    }


# ------------------------------------------------------------------------------- crypto


def signatures() -> dict[str, Json]:
    """Return `crypto.json`: signing, and signatures on which Ed25519 libraries disagree."""
    tags: dict[str, Json] = {
        name: value.decode() for name, value in vars(crypto).items() if name.endswith("_TAG")
    }
    signed: list[Json] = []
    for name, payload in (("alice", b""), ("bob", b"payload"), ("carol", b"\x00" * 100)):
        secret = secret_of(name)
        signed.append(
            {
                "secret": secret.hex(),
                "node": node_id_of(secret).hex(),
                "tag": crypto.BATCH_TAG.decode(),
                "payload": payload.hex(),
                "signature": sign(secret, crypto.BATCH_TAG, payload).hex(),
            }
        )
    return {"tags": tags, "signed": signed, "checked": [_checked(*c) for c in _odd_signatures()]}


def _checked(name: str, node: bytes, payload: bytes, signature: bytes) -> Json:
    return {
        "name": name,
        "node": node.hex(),
        "tag": crypto.RECEIPT_TAG.decode(),
        "payload": payload.hex(),
        "signature": signature.hex(),
        "is_valid": is_signed_by(NodeId(node), crypto.RECEIPT_TAG, payload, signature),
    }


def _odd_signatures() -> list[tuple[str, bytes, bytes, bytes]]:
    secret = secret_of("alice")
    node, payload = node_id_of(secret), b"payload"
    good = sign(secret, crypto.RECEIPT_TAG, payload)
    s = int.from_bytes(good[32:], "little")
    torsion = bytes.fromhex(SMALL_ORDER["order 8"])
    mixed_r = bindings.crypto_core_ed25519_add(good[:32], torsion)
    cases = [
        ("a good one", node, payload, good),
        ("of another payload", node, b"other", good),
        ("of another tag", node, payload, sign(secret, crypto.BATCH_TAG, payload)),
        ("of another key", node_id_of(secret_of("bob")), payload, good),
        ("one bit flipped", node, payload, good[:-1] + bytes([good[-1] ^ 1])),
        ("63 bytes", node, payload, good[:-1]),
        ("65 bytes", node, payload, good + b"\x00"),
        ("empty", node, payload, b""),
        ("S + L instead of S", node, payload, good[:32] + (s + GROUP_ORDER).to_bytes(32, "little")),
        ("R with a part of order 8", node, payload, mixed_r + good[32:]),
        ("R of order 1 by an honest key", node, payload, _identity_r(secret, payload)),
        _mixed_key(is_zero=True),
        _mixed_key(is_zero=False),
    ]
    zero = bytes(32)
    for name, point in SMALL_ORDER.items():
        weak = bytes.fromhex(point)
        cases.append((f"key and R are {name}, S = 0", weak, payload, weak + zero))
    return cases


def _scalar_of(secret: bytes) -> bytes:
    """Return the clamped scalar of an Ed25519 secret, modulo the group's order."""
    raw = bytearray(hashlib.sha512(secret).digest()[:32])
    raw[0] &= 248
    raw[31] = raw[31] & 127 | 64
    return bindings.crypto_core_ed25519_scalar_reduce(bytes(raw) + bytes(32))


def _hash_scalar(r: bytes, a: bytes, payload: bytes) -> bytes:
    message = crypto.RECEIPT_TAG + b"\0" + payload
    return bindings.crypto_core_ed25519_scalar_reduce(hashlib.sha512(r + a + message).digest())


def _identity_r(secret: bytes, payload: bytes) -> bytes:
    """Return a signature with R = identity and S = h * a: right but for the rule on R."""
    r = bytes.fromhex(SMALL_ORDER["identity"])
    h = _hash_scalar(r, node_id_of(secret), payload)
    return r + bindings.crypto_core_ed25519_scalar_mul(h, _scalar_of(secret))


def _mixed_key(*, is_zero: bool) -> tuple[str, bytes, bytes, bytes]:
    """Return a signature of a key with a part of order 8, right without the cofactor or not.

    S*B - h*A' = R - h*T; T has order 8, so the check holds exactly when h is a multiple of 8.
    """
    secret = secret_of("mallory")
    scalar = _scalar_of(secret)
    torsion = bytes.fromhex(SMALL_ORDER["order 8"])
    node = bindings.crypto_core_ed25519_add(node_id_of(secret), torsion)
    nonce = bindings.crypto_core_ed25519_scalar_reduce(secret_of("nonce") + bytes(32))
    r = bindings.crypto_scalarmult_ed25519_base_noclamp(nonce)
    for count in range(1000):
        payload = b"try %d" % count
        h = _hash_scalar(r, node, payload)
        if (h[0] % 8 == 0) == is_zero:
            share = bindings.crypto_core_ed25519_scalar_mul(h, scalar)
            s = bindings.crypto_core_ed25519_scalar_add(nonce, share)
            word = "a multiple of 8" if is_zero else "no multiple of 8"
            return f"key with a part of order 8, h {word}", node, payload, r + s
    raise AssertionError("one hash in eight is a multiple of 8")


# ------------------------------------------------------------------------------- merkle


def trees() -> dict[str, Json]:
    """Return `merkle.json`: hashes, roots and proofs."""
    cases: list[Json] = []
    for count in (0, 1, 2, 3, 5, 8, 13):
        leaves = [merkle.words(i, secret_of(f"leaf {i}")) for i in range(count)]
        tree = merkle.Tree(leaves)
        cases.append(
            {
                "leaves": plain(leaves),
                "root": tree.root.hex(),
                "proofs": [plain(tree.proof(leaf)) for leaf in leaves],
            }
        )
    leaves = [b"", b"a", b"a longer leaf that is no word"]
    tree = merkle.Tree(leaves)
    other = {"leaf": b"b".hex(), "root": tree.root.hex(), "proof": plain(tree.proof(b"a"))}
    return {
        "keccak": [{"data": d.hex(), "hash": merkle.keccak256(d).hex()} for d in leaves],
        "cases": cases,
        "byte_leaves": {
            "leaves": plain(leaves),
            "root": tree.root.hex(),
            "proofs": [plain(tree.proof(leaf)) for leaf in leaves],
        },
        "not_proved": [
            {"name": "another leaf", **other},
            {
                "name": "an inner node as a leaf",
                "leaf": (tree.proof(b"a")[0] + tree.proof(b"a")[0]).hex(),
                "root": tree.root.hex(),
                "proof": [],
            },
            {"name": "nothing leads to the empty root", "leaf": "", "root": "00" * 32, "proof": []},
        ],
    }


# ------------------------------------------------------------------------------- beacon


def beacon() -> dict[str, Json]:
    """Return `beacon.json`: real rounds, forgeries, times and epochs."""
    quicknet = Beacon(
        public_key=QUICKNET_KEY, genesis_ms=UnixMs(1_692_803_367_000), period_ms=3_000
    )
    real = {Round(r): bytes.fromhex(s) for r, s in QUICKNET_ROUNDS.items()}
    solo = WORLD.genesis.beacon
    return {
        "quicknet": _chain(quicknet, [verified(quicknet, r, s) for r, s in real.items()]),
        "solo": _chain(solo, [WORLD.round(Round(r)) for r in (1, 2, 1001)]),
        "forged": [
            *(_forged(quicknet, *case) for case in _forgeries(real)),
            _forged(solo, "signed in the domain of anchors", 1001, _as_anchor(Round(1001))),
        ],
        "times": [_time(quicknet, now) for now in _MOMENTS],
        "epochs": [_epoch(Epoch(e)) for e in (0, 1, 7)],
        "epoch_of": [
            {"round": r, "epoch": WORLD.genesis.clock.epoch_of(Round(r))}
            for r in (1, 1000, 1001, 1012, 1013, 1024, 1025)
        ],
        "mixed_rounds": [
            {"epoch": e, "round": _mixing().mixed_round(Epoch(e))} for e in (0, 1, 2, 7)
        ],
        "news": [_news_case(name, frame) for name, frame in _news()],
    }


def _mixing() -> Genesis:
    return replace(WORLD.genesis, mixed=_second_beacon(WORLD.genesis))


_NEWS_HELD = Round(1003)
"""The one round that the judging peer holds."""

_NEWS_LAST_DUE = Round(1005)


def _news() -> list[tuple[str, bytes]]:
    """Return (name, frame) of gossiped rounds, good and bad."""
    number = _NEWS_LAST_DUE
    late, early = Round(number - NEWS_LATE_MAX), Round(number + NEWS_EARLY_MAX)
    signature = WORLD.round(number).signature
    good = encode(_news_of(number))
    return [
        ("the round just due", good),
        ("one that is held", encode(_news_of(_NEWS_HELD))),
        ("as early as may be", encode(_news_of(early))),
        ("earlier", encode(_news_of(Round(early + 1)))),
        ("as late as may be", encode(_news_of(late))),
        ("later", encode(_news_of(Round(late - 1)))),
        ("one that is held, with another signature", encode(_news_of(_NEWS_HELD, signature))),
        ("another round's signature", encode(_news_of(number, WORLD.round(early).signature))),
        ("said to be of the second beacon", encode(_news_of(number, is_mixed=True))),
        ("another network's", encode(_news_of(number, network=bytes(32)))),
        ("a byte more", good + b"\0"),
    ]


def _news_of(
    number: Round,
    signature: bytes | None = None,
    *,
    network: bytes = WORLD.genesis.network_id,
    is_mixed: bool = False,
) -> RoundNews:
    return RoundNews(
        network=network,
        is_mixed=is_mixed,
        number=number,
        signature=signature or WORLD.round(number).signature,
    )


def _news_case(name: str, frame: bytes) -> Json:
    chain = WORLD.genesis.beacon
    held = {_NEWS_HELD: WORLD.round(_NEWS_HELD)}
    now_ms = chain.due_ms(_NEWS_LAST_DUE)
    found = judge_news(
        frame,
        network=WORLD.genesis.network_id,
        known={False: (chain, held)},
        now_ms=now_ms,
    )
    return {
        "name": name,
        "frame": frame.hex(),
        "now_ms": now_ms,
        "held": [_NEWS_HELD],
        "judgement": str(found.judgement),
        "reason": found.reason,
    }


def _chain(chain: Beacon, rounds: list[BeaconRound]) -> Json:
    return {
        "public_key": chain.public_key.hex(),
        "genesis_ms": chain.genesis_ms,
        "period_ms": chain.period_ms,
        "rounds": [
            {
                "round": r.number,
                "signature": r.signature.hex(),
                "randomness": r.randomness.hex(),
                "due_ms": chain.due_ms(r.number),
            }
            for r in rounds
        ],
    }


_MOMENTS = (
    0,
    1_692_803_366_999,
    1_692_803_367_000,
    1_692_803_369_999,
    1_692_803_370_000,
    1_700_000_000_000,
)


def _time(chain: Beacon, now_ms: int) -> Json:
    return {"now_ms": now_ms, "last_due": chain.last_due(UnixMs(now_ms))}


def _epoch(epoch: Epoch) -> Json:
    clock = WORLD.genesis.clock
    return {
        "first_round": clock.first_round,
        "rounds_per_epoch": clock.params.rounds_per_epoch,
        "settle_rounds": clock.params.settle_rounds,
        "epoch": epoch,
        "first": clock.first(epoch),
        "last": clock.last(epoch),
        "seal": clock.seal(epoch),
    }


def _forgeries(real: dict[Round, bytes]) -> list[tuple[str, int, bytes]]:
    good = real[Round(1000)]
    infinity = b"\xc0" + bytes(47)
    return [
        ("another round's signature", 1000, real[Round(123)]),
        ("the right signature for the next round", 1001, good),
        ("one bit flipped", 1000, good[:-1] + bytes([good[-1] ^ 1])),
        ("the negated point", 1000, bytes([good[0] ^ 0x20]) + good[1:]),
        ("the point at infinity", 1000, infinity),
        ("a point of the curve outside the subgroup", 1000, _OFF_SUBGROUP),
        ("x above the field's prime", 1000, b"\x9f" + b"\xff" * 47),
        ("without the mark of compression", 1000, bytes([good[0] & 0x7F]) + good[1:]),
        ("47 bytes", 1000, good[:-1]),
        ("49 bytes", 1000, good + b"\x00"),
        ("signed by another key", 1000, WORLD.round(Round(1000)).signature),
        ("round 0", 0, good),
    ]


_OFF_SUBGROUP = bytes.fromhex("80" + "00" * 46 + "04")
"""x = 4 is on the curve y^2 = x^3 + 4 (68 is a square modulo p) and not in the subgroup."""


def _as_anchor(number: Round) -> bytes:
    return bls.sign(WORLD.beacon_secret, round_message(number), bls.ANCHOR_DST)


def _forged(chain: Beacon, name: str, number: int, signature: bytes) -> Json:
    return {
        "name": name,
        "public_key": chain.public_key.hex(),
        "round": number,
        "signature": signature.hex(),
        "reason": reason_of(lambda: verified(chain, Round(number), signature)),
    }
