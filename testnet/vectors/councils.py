"""Vectors of the council's keys: groups and their signatures, deals and what ceremonies make of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import combinations

import msgspec

from stkrp2p.core import bls, threshold
from stkrp2p.core.crypto import Secret, node_id_of
from stkrp2p.core.deal import (
    SEALED_BYTES,
    Ceremony,
    Deal,
    Dealer,
    Receiver,
    check_deal,
    deal_of,
    hash_of_deal,
    justification_of,
    read_shares,
)
from stkrp2p.core.dkg import DkgFailed, Posts, complaints_of, conclude, own_share
from stkrp2p.core.group import (
    GovernorShare,
    Group,
    Purpose,
    combine,
    is_partial,
    partial_sign,
    solo_share,
)
from stkrp2p.core.types import NodeId
from stkrp2p.core.wire import decode, encode
from testnet.vectors.form import Json, fields, plain, reason_of
from testnet.vectors.world import bls_secret_of, secret_of

MESSAGE = secret_of("message")
INFINITY_G1 = b"\xc0" + bytes(47)
INFINITY_G2 = b"\xc0" + bytes(95)

OFF_SUBGROUP_G2 = bytes.fromhex("8123456789abcdef" + "0123456789abcdef" * 11)
"""On the curve and not in the subgroup."""

_FIRST = (0, 1, 2)
_SECOND = (2, 1, 3, 4, 5)
"""Governors of the two ceremonies, by their numbers: a fresh key, then the same handed on."""


def node_secret(number: int) -> Secret:
    """Return a governor's Ed25519 secret."""
    return Secret(secret_of(f"governor {number}"))


def _nodes(numbers: Sequence[int]) -> tuple[NodeId, ...]:
    return tuple(node_id_of(node_secret(i).reveal()) for i in numbers)


# ------------------------------------------------------------------------------- ceremonies


@dataclass(frozen=True)
class Play:
    """One ceremony and who takes part."""

    ceremony: Ceremony
    dealers: tuple[Dealer, ...]
    receivers: tuple[Receiver, ...]

    def shares(self) -> tuple[GovernorShare, ...]:
        """Return what every receiver holds if all go by the book."""
        bodies = {d.index: encode(_deal_of(d)) for d in self.dealers}
        posts = Posts(
            deals={d: hash_of_deal(body) for d, body in bodies.items()},
            complaints=dict.fromkeys(range(len(self.receivers)), 0),
            justifications={},
        )
        conclusion = conclude(self.ceremony, posts, bodies)
        found = [own_share(r, posts, conclusion) for r in self.receivers]
        return tuple(share for share in found if share)


def _play(ceremony: Ceremony, numbers: Sequence[int], old: tuple[GovernorShare, ...] = ()) -> Play:
    return Play(
        ceremony,
        tuple(
            Dealer(
                ceremony=ceremony,
                index=i,
                seed=Secret(secret_of(f"seed {ceremony.session} {i}")),
                old=old[i] if old else None,
            )
            for i in range(len(ceremony.dealers))
        ),
        tuple(Receiver(ceremony=ceremony, secret=node_secret(i)) for i in numbers),
    )


_known: dict[tuple[bytes, int], Deal] = {}


def _deal_of(dealer: Dealer) -> Deal:
    """Return a dealer's deal, made once."""
    key = dealer.ceremony.id, dealer.index
    if key not in _known:
        _known[key] = deal_of(dealer)
    return _known[key]


@cache
def fresh() -> Play:
    """Return the ceremony that makes a key among three."""
    nodes = _nodes(_FIRST)
    board = secret_of("board")[:20]
    ceremony = Ceremony(chain_id=31337, contract=board, session=1, dealers=nodes, receivers=nodes)
    return _play(ceremony, _FIRST)


@cache
def handed_on() -> Play:
    """Return the ceremony that hands it on to five, of whom two are new and one has left."""
    old = fresh().shares()
    first = fresh().ceremony
    ceremony = replace(first, session=2, receivers=_nodes(_SECOND), old=old[0].group)
    return _play(ceremony, _SECOND, old)


# ------------------------------------------------------------------------------- group


def group() -> dict[str, Json]:
    """Return `group.json`: groups, their shares and signatures, and what is none."""
    shares = {
        "one": (
            solo_share(
                _nodes([0])[0],
                tuple(threshold.secret_of_scalar(bls_secret_of(f"solo {p.name}")) for p in Purpose),
            ),
        ),
        "three": fresh().shares(),
        "five": handed_on().shares(),
    }
    return {
        "weights": [_weights(xs) for xs in ((1,), (1, 2), (1, 3), (2, 3, 5), (63, 1, 32, 7))],
        "groups": [_group(name, held) for name, held in shares.items()],
        "partials": [
            _partial(name, purpose, share)
            for name, held in shares.items()
            for purpose in Purpose
            for share in held
        ],
        "forged": [_forged(*case) for case in _forgeries(shares["three"])],
        "combined": [
            _combined(name, held, purpose, sent)
            for name, held in shares.items()
            for purpose in Purpose
            for sent in _selections(held, purpose)
        ],
        "refused": [_refused(*case) for case in _no_groups(shares["three"][0].group)],
    }


def _weights(xs: Sequence[int]) -> Json:
    weights = threshold.weights_at_zero(xs)
    return {"x": list(xs), "weights": [w.to_bytes(32, "big").hex() for w in weights]}


def _group(name: str, held: Sequence[GovernorShare]) -> Json:
    made = held[0].group
    return {
        "name": name,
        "fields": fields(made),
        "frame": encode(made).hex(),
        "hash": made.hash().hex(),
        "threshold": made.threshold,
        "public_shares": [
            [made.public_share(purpose, i).hex() for i in range(len(held))] for purpose in Purpose
        ],
        "secrets": [
            [share.secrets[purpose].reveal().hex() for share in held] for purpose in Purpose
        ],
    }


def _partial(name: str, purpose: Purpose, share: GovernorShare) -> Json:
    return {
        "group": name,
        "purpose": purpose,
        "index": share.index,
        "message": MESSAGE.hex(),
        "partial": partial_sign(share, purpose, MESSAGE).hex(),
    }


def _forgeries(held: Sequence[GovernorShare]) -> list[tuple[str, int, bytes]]:
    good = partial_sign(held[0], Purpose.BEACON, MESSAGE)
    return [
        ("the right one", 0, good),
        ("another governor's", 1, good),
        ("of no governor", 3, good),
        ("of another message", 0, partial_sign(held[0], Purpose.BEACON, b"other")),
        ("of another purpose", 0, partial_sign(held[0], Purpose.ANCHOR, MESSAGE)),
        ("the negated point", 0, bytes([good[0] ^ 0x20]) + good[1:]),
        ("the identity", 0, INFINITY_G1),
        ("47 bytes", 0, good[:-1]),
    ]


def _forged(name: str, index: int, partial: bytes) -> Json:
    made = fresh().shares()[0].group
    return {
        "name": name,
        "group": "three",
        "purpose": Purpose.BEACON,
        "index": index,
        "message": MESSAGE.hex(),
        "partial": partial.hex(),
        "is_partial": is_partial(made, Purpose.BEACON, index, MESSAGE, partial),
    }


def _selections(held: Sequence[GovernorShare], purpose: Purpose) -> list[dict[int, bytes]]:
    """Return sets of partials: two of t, one of t - 1, all of which n are wrong, one wrong more."""
    t = held[0].group.threshold
    good = {share.index: partial_sign(share, purpose, MESSAGE) for share in held}
    chosen = list(combinations(good, t))
    wrong = partial_sign(held[0], purpose, b"other")
    spoilt = good | dict.fromkeys(range(len(held) - t), wrong)
    return [
        *({i: good[i] for i in some} for some in (chosen[0], chosen[-1])),
        {i: good[i] for i in chosen[0][1:]},
        spoilt,
        spoilt | {len(held) - 1: INFINITY_G1},
    ]


def _combined(
    name: str, held: Sequence[GovernorShare], purpose: Purpose, sent: Mapping[int, bytes]
) -> Json:
    signature = combine(held[0].group, purpose, sent, MESSAGE)
    return {
        "group": name,
        "purpose": purpose,
        "message": MESSAGE.hex(),
        "partials": {str(i): partial.hex() for i, partial in sent.items()},
        "signature": signature.hex() if signature else None,
    }


def _no_groups(good: Group) -> list[tuple[str, list[object]]]:
    """Return (what is wrong, the message's values)."""
    nodes, (beacon, anchor) = list(good.governors), [list(row) for row in good.commitments]

    def with_points(*row: bytes) -> list[object]:
        return [1, nodes, [beacon, list(row)]]

    return [
        ("two governors", [1, nodes[:2], [beacon, anchor]]),
        ("no governor", [1, [], [[], []]]),
        ("a governor twice", [1, [nodes[0], nodes[1], nodes[0]], [beacon, anchor]]),
        ("one purpose", [1, nodes, [beacon]]),
        ("three purposes", [1, nodes, [beacon, anchor, anchor]]),
        ("a commitment too few", with_points(anchor[0])),
        ("a commitment too many", with_points(*anchor, anchor[0])),
        ("the identity as key", with_points(INFINITY_G2, anchor[1])),
        ("the identity as highest coefficient", with_points(anchor[0], INFINITY_G2)),
        ("the identity in another encoding", with_points(INFINITY_G2[:-1] + b"\1", anchor[1])),
        ("a point outside the subgroup", with_points(OFF_SUBGROUP_G2, anchor[1])),
        ("no point", with_points(bytes(96), anchor[1])),
    ]


def _refused(name: str, values: list[object]) -> Json:
    frame = encode(values)
    reason = reason_of(lambda: decode(frame, Group))
    return {"name": name, "frame": frame.hex(), "reason": reason}


# ------------------------------------------------------------------------------- dkg


def dkg() -> dict[str, Json]:
    """Return `dkg.json`: deals, the rule for them, and sessions with what they make."""
    plays = {"fresh": fresh(), "reshare": handed_on()}
    return {
        "governors": [
            {"secret": node_secret(i).reveal().hex(), "node": _nodes([i])[0].hex()}
            for i in range(6)
        ],
        "ceremonies": [_ceremony(name, play) for name, play in plays.items()],
        "bodies": {
            label: body.hex()
            for name, play in plays.items()
            for label, body in _bodies(name, play).items()
        },
        "deals": [
            _deal(name, play, dealer) for name, play in plays.items() for dealer in play.dealers
        ],
        "checked": [
            *(_checked("fresh", *case) for case in _bad_deals(fresh())),
            *(_checked("reshare", *case) for case in _bad_reshares(handed_on())),
        ],
        "shares": [_shares(*case) for case in _bad_shares(fresh())],
        "sessions": [
            _session(name, play, case)
            for name, play in plays.items()
            for case in _cases(name, play)
        ],
    }


def _ceremony(name: str, play: Play) -> Json:
    ceremony = play.ceremony
    return {
        "name": name,
        "chain_id": ceremony.chain_id,
        "contract": ceremony.contract.hex(),
        "session": ceremony.session,
        "dealers": plain(ceremony.dealers),
        "receivers": plain(ceremony.receivers),
        "old": encode(ceremony.old).hex() if ceremony.old else None,
        "id": ceremony.id.hex(),
        "threshold": ceremony.threshold,
        "quorum": ceremony.quorum,
    }


def _deal(name: str, play: Play, dealer: Dealer) -> Json:
    return {
        "ceremony": name,
        "dealer": dealer.index,
        "body": f"{name} {dealer.index}",
        "hash": hash_of_deal(encode(_deal_of(dealer))).hex(),
        "seed": dealer.seed.reveal().hex(),
        "old": [s.reveal().hex() for s in dealer.old.secrets] if dealer.old else None,
        "shares": [justification_of(dealer, r).hex() for r in range(len(play.receivers))],
    }


def _changed(deal: Deal, **values: object) -> bytes:
    return encode(msgspec.structs.replace(deal, **values))


def _with_point(deal: Deal, degree: int, point: bytes) -> bytes:
    beacon, anchor = (list(row) for row in deal.commitments)
    anchor[degree] = point
    return _changed(deal, commitments=(tuple(beacon), tuple(anchor)))


def _bad_deals(play: Play) -> list[tuple[str, bytes]]:
    """Return (what is wrong, what dealer 1 posts)."""
    deal, other = _deal_of(play.dealers[1]), _deal_of(play.dealers[0])
    body = encode(deal)
    rows, others = deal.commitments, other.commitments
    again = replace(play.ceremony, session=9)
    replayed = deal_of(replace(play.dealers[1], ceremony=again))
    copied = tuple((o[0], *row[1:]) for o, row in zip(others, rows, strict=True))
    return [
        ("the right one", body),
        ("a byte too many", body + b"\0"),
        ("an array header of three bytes", b"\xdc\x00\x05" + body[1:]),
        ("of another session", encode(replayed)),
        ("of another session, renamed", _changed(replayed, ceremony=play.ceremony.id)),
        ("another dealer's", encode(other)),
        ("another dealer's, renamed", _changed(other, dealer=1)),
        ("a degree too low", _changed(deal, commitments=tuple(row[:-1] for row in rows))),
        ("a degree too high", _changed(deal, commitments=tuple((*row, row[0]) for row in rows))),
        ("one purpose", _changed(deal, commitments=rows[:1])),
        ("one proof", _changed(deal, proofs=deal.proofs[:1])),
        ("a receiver too few", _changed(deal, sealed=deal.sealed[:-1])),
        ("the identity as constant", _with_point(deal, 0, INFINITY_G2)),
        ("the identity as highest coefficient", _with_point(deal, -1, INFINITY_G2)),
        ("a point outside the subgroup", _with_point(deal, 1, OFF_SUBGROUP_G2)),
        (
            "another dealer's constants and proofs",
            _changed(deal, commitments=copied, proofs=other.proofs),
        ),
        ("the proofs of each other's purpose", _changed(deal, proofs=deal.proofs[::-1])),
    ]


def _bad_reshares(play: Play) -> list[tuple[str, bytes]]:
    """Return the cases in which a resharing differs: a dealer must hand on its own share."""
    by_name = dict(_bad_deals(play))
    drawn = replace(play.ceremony, dealers=play.ceremony.receivers, old=None)
    number = deal_of(Dealer(ceremony=drawn, index=1, seed=play.dealers[1].seed))
    return [
        *((n, by_name[n]) for n in ("the right one", "another dealer's, renamed")),
        ("a number of its own", _changed(number, ceremony=play.ceremony.id)),
    ]


def _checked(ceremony: str, name: str, body: bytes) -> Json:
    play = {"fresh": fresh, "reshare": handed_on}[ceremony]()
    reason = reason_of(lambda: check_deal(play.ceremony, 1, hash_of_deal(body), body))
    return {
        "name": f"{ceremony}: {name}",
        "ceremony": ceremony,
        "dealer": 1,
        "frame": body.hex(),
        "reason": reason,
    }


def _off_by_one(shares: bytes) -> bytes:
    last = (int.from_bytes(shares[-32:], "big") + 1) % bls.ORDER
    return shares[:-32] + last.to_bytes(32, "big")


def _bad_shares(play: Play) -> list[tuple[str, bytes]]:
    good = justification_of(play.dealers[1], 2)
    raised = int.from_bytes(good[32:], "big") + bls.ORDER
    return [
        ("the right ones", good),
        ("another receiver's", justification_of(play.dealers[1], 1)),
        ("another dealer's", justification_of(play.dealers[0], 2)),
        ("one off by 1", _off_by_one(good)),
        ("in each other's place", good[32:] + good[:32]),
        ("the order more", good[:32] + raised.to_bytes(32, "big")),
        ("one purpose's", good[:32]),
        ("a byte too many", good + b"\0"),
        ("nothing", b""),
    ]


def _shares(name: str, shares: bytes) -> Json:
    deal = _deal_of(fresh().dealers[1])
    return {
        "name": name,
        "ceremony": "fresh",
        "dealer": 1,
        "receiver": 2,
        "shares": shares.hex(),
        "reason": reason_of(lambda: read_shares(deal, 2, Secret(shares))),
    }


@dataclass(frozen=True)
class Case:
    """What is posted in a session, and the bodies it is about."""

    name: str
    bodies: Mapping[int, str]
    """Dealer -> name of what it posts."""

    said: Mapping[int, int | None] = field(default_factory=dict)
    """Receiver -> its complaints, nothing if it is silent, where they are not its honest ones."""

    justifications: Mapping[tuple[int, int], bytes] = field(default_factory=dict)


def _bodies(name: str, play: Play) -> dict[str, bytes]:
    """Return all deals of a ceremony's sessions by name."""
    last, half = len(play.receivers) - 1, range(play.ceremony.threshold)
    return {
        **{f"{name} {d.index}": encode(_deal_of(d)) for d in play.dealers},
        f"{name} 0, cheating one": _cheat(play, [last]),
        f"{name} 0, cheating a threshold": _cheat(play, half),
    }


def _cheat(play: Play, victims: Sequence[int]) -> bytes:
    """Return dealer 0's deal with boxes of zeros for the victims: they open for nobody."""
    deal = _deal_of(play.dealers[0])
    sealed = (bytes(SEALED_BYTES) if i in victims else box for i, box in enumerate(deal.sealed))
    return _changed(deal, sealed=tuple(sealed))


def _cases(name: str, play: Play) -> list[Case]:
    good = {d.index: f"{name} {d.index}" for d in play.dealers}
    last, half = len(play.receivers) - 1, range(play.ceremony.threshold)
    everybody = (1 << len(play.dealers)) - 1
    cheating = good | {0: f"{name} 0, cheating one"}
    answer = {(0, last): justification_of(play.dealers[0], last)}
    wrong = {(0, last): _off_by_one(answer[0, last])}
    all_answers = {(d, last): justification_of(play.dealers[d], last) for d in good}
    absent = {d: body for d, body in good.items() if d}
    return [
        Case("all by the book", good),
        Case("a dealer is absent", absent),
        Case("a dealer posts another's deal", good | {0: good[1]}),
        Case("a dealer cheats one and reveals its share", cheating, {}, answer),
        Case("a dealer cheats one and says nothing", cheating),
        Case("a dealer cheats one twice", cheating, {}, wrong),
        Case("a dealer cheats a threshold", good | {0: f"{name} 0, cheating a threshold"}),
        Case("the cheated receiver never responds", cheating, {last: None}),
        Case("a receiver complains about all, falsely", good, {last: everybody}, all_answers),
        Case("two deals are missing", {d: body for d, body in good.items() if d > 1}),
        Case("a threshold of receivers never responds", good, dict.fromkeys(half)),
        Case("a threshold complains about all", good, dict.fromkeys(half, everybody)),
    ]


def _session(name: str, play: Play, case: Case) -> Json:
    known = _bodies(name, play)
    bodies = {d: known[label] for d, label in case.bodies.items()}
    before = Posts(
        deals={d: hash_of_deal(body) for d, body in bodies.items()},
        complaints={},
        justifications=case.justifications,
    )
    own = {r.index: complaints_of(r, before, bodies) for r in play.receivers}
    complaints = {r: about for r, about in (own | dict(case.said)).items() if about is not None}
    return {
        "name": f"{name}: {case.name}",
        "ceremony": name,
        "bodies": {str(d): label for d, label in case.bodies.items()},
        "own_complaints": [own[r.index] for r in play.receivers],
        "complaints": {str(r): about for r, about in complaints.items()},
        "justifications": [
            {"dealer": d, "receiver": r, "shares": shares.hex()}
            for (d, r), shares in case.justifications.items()
        ],
        **_outcome(play, replace(before, complaints=complaints), bodies),
    }


def _outcome(play: Play, posts: Posts, bodies: Mapping[int, bytes]) -> dict[str, Json]:
    try:
        found = conclude(play.ceremony, posts, bodies)
    except DkgFailed as failed:
        return {"reason": failed.reason}
    held = [own_share(r, posts, found) for r in play.receivers]
    return {
        "reason": "",
        "deals": list(found.deals),
        "group": encode(found.group).hex(),
        "shares": [plain(share and b"".join(s.reveal() for s in share.secrets)) for share in held],
    }
