"""Key ceremonies played out in one process, with dealers that break the rules in every known way.

`play` does what honest governors do: they pass on among themselves whatever one of them was handed,
complain, answer and conclude. A faulty dealer's `Act` says what it does instead, a faulty receiver's
answer what it posts. Wrong deals are right ones with something changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import msgspec

from stkrp2p.core import bls, deal as deals, threshold
from stkrp2p.core.crypto import Secret, sha256
from stkrp2p.core.deal import Ceremony, Deal, Dealer, Receiver, hash_of_deal, justification_of
from stkrp2p.core.dkg import (
    Conclusion,
    DkgFailed,
    Posts,
    complaints_of,
    conclude,
    lacking,
    own_share,
    to_justify,
)
from stkrp2p.core.group import GovernorShare, Group, Purpose
from stkrp2p.core.types import NodeId
from stkrp2p.core.wire import encode
from tests.core.strategies import node, secret_of_node

CONTRACT = bytes(range(20))
INFINITY = b"\xc0" + bytes(95)

Shares = Mapping[int, GovernorShare]


def nodes(count: int, *, first: int = 0) -> tuple[NodeId, ...]:
    return tuple(node(first + i) for i in range(count))


def fresh(count: int, *, session: int = 1) -> Ceremony:
    """Return the first key generation of so many test nodes."""
    return Ceremony(
        chain_id=1,
        contract=CONTRACT,
        session=session,
        dealers=nodes(count),
        receivers=nodes(count),
    )


def handed_on(old: Group, receivers: Sequence[NodeId]) -> Ceremony:
    """Return the resharing of a group's keys to a list."""
    return Ceremony(
        chain_id=1,
        contract=CONTRACT,
        session=old.session + 1,
        dealers=old.governors,
        receivers=tuple(receivers),
        old=old,
    )


def dealer_of(ceremony: Ceremony, index: int, old: Shares | None = None) -> Dealer:
    seed = Secret(sha256(b"seed", bytes([index])))
    return Dealer(ceremony=ceremony, index=index, seed=seed, old=old[index] if old else None)


def receiver_of(ceremony: Ceremony, index: int) -> Receiver:
    return Receiver(ceremony=ceremony, secret=Secret(secret_of_node(ceremony.receivers[index])))


def deal_of(dealer: Dealer) -> Deal:
    """Return the dealer's right deal; computed once, for a dealer of `dealer_of`."""
    old = dealer.old.secrets if dealer.old else ()
    return _deal_of(dealer.ceremony, dealer.index, tuple(s.reveal() for s in old))


@cache
def _deal_of(ceremony: Ceremony, index: int, old: tuple[bytes, ...]) -> Deal:
    secrets = tuple(map(Secret, old))
    share = GovernorShare(ceremony.old, index, secrets) if ceremony.old else None
    return deals.deal_of(dealer_of(ceremony, index, {index: share} if share else None))


# ------------------------------------------------------------------------------- faulty dealers


@dataclass(frozen=True)
class Act:
    """What one dealer does."""

    body: bytes | None
    """What it posts the hash of; nothing if `None`."""

    hand: Callable[[int], bytes | None]
    """Receiver -> what it hands out."""

    justify: Callable[[int], bytes | None]
    """Receiver -> what it reveals."""


def nothing(_: int) -> None:
    return None


def acting(dealer: Dealer, deal: Deal | bytes) -> Act:
    """Deal this in place of the right deal, and do the rest as an honest dealer does."""
    body = deal if isinstance(deal, bytes) else encode(deal)
    return Act(body, lambda _: body, partial(justification_of, dealer))


def honest(dealer: Dealer) -> Act:
    return acting(dealer, deal_of(dealer))


def change(deal: Deal, **fields: object) -> Deal:
    return msgspec.structs.replace(deal, **fields)


def with_point(deal: Deal, purpose: Purpose, degree: int, point: bytes) -> Deal:
    rows = [list(row) for row in deal.commitments]
    rows[purpose][degree] = point
    return change(deal, commitments=tuple(map(tuple, rows)))


def with_box(deal: Deal, receiver: int, box: bytes) -> Deal:
    sealed = [box if i == receiver else b for i, b in enumerate(deal.sealed)]
    return change(deal, sealed=tuple(sealed))


def off_by_one(shares: bytes) -> bytes:
    """Return shares whose last scalar is wrong by one."""
    last = (int.from_bytes(shares[-32:], "big") + 1) % bls.ORDER
    return shares[:-32] + last.to_bytes(32, "big")


def cheating(dealer: Dealer, victims: Sequence[int]) -> Act:
    """Seal wrong shares to the victims, and reveal the right ones."""
    deal = deal_of(dealer)
    for victim in victims:
        wrong = off_by_one(justification_of(dealer, victim))
        to = dealer.ceremony.receivers[victim]
        deal = with_box(deal, victim, deals._seal(wrong, to, sha256(b"ephemeral")))
    return acting(dealer, deal)


def silent_after(act: Act) -> Act:
    """Refuse to justify."""
    return replace(act, justify=nothing)


def wrong_after(act: Act) -> Act:
    """Justify with another wrong share."""
    return replace(act, justify=lambda r: off_by_one(act.justify(r) or b""))


def mixed_up_after(act: Act) -> Act:
    """Justify with the shares of both purposes in each other's place."""
    return replace(act, justify=lambda r: (s := act.justify(r) or b"")[32:] + s[:32])


def copied_key(dealer: Dealer) -> Deal:
    """Return a deal whose constant commitments and proofs are another dealer's."""
    other = deal_of(replace_index(dealer, 0 if dealer.index else 1))
    deal = change(deal_of(dealer), proofs=other.proofs)
    for purpose in Purpose:
        deal = with_point(deal, purpose, 0, other.commitments[purpose][0])
    return deal


def rogue_key(dealer: Dealer) -> Deal:
    """Return a deal that would make the group's key one the dealer knows alone.

    Its constant is that key minus the others' constants, of which it cannot know the sum.
    """
    count = len(dealer.ceremony.dealers)
    others = [deal_of(replace_index(dealer, i)) for i in range(count) if i != dealer.index]
    deal = deal_of(dealer)
    for purpose in Purpose:
        keys = [bls.public_key_of(42), *(o.commitments[purpose][0] for o in others)]
        rogue = threshold.weighted_keys([1] + [bls.ORDER - 1] * len(others), keys)
        deal = with_point(deal, purpose, 0, rogue)
    return deal


def replace_index(dealer: Dealer, index: int) -> Dealer:
    return dealer_of(dealer.ceremony, index)


def replayed(dealer: Dealer) -> Deal:
    """Return the dealer's deal of the session before."""
    ceremony = replace(dealer.ceremony, session=dealer.ceremony.session + 7)
    return deals.deal_of(replace(dealer, ceremony=ceremony))


def lower(deal: Deal) -> Deal:
    return change(deal, commitments=tuple(row[:-1] for row in deal.commitments))


def higher(deal: Deal) -> Deal:
    return change(deal, commitments=tuple((*row, row[0]) for row in deal.commitments))


OUT: dict[str, Callable[[Dealer], Act]] = {
    "is absent": lambda _: Act(None, nothing, nothing),
    "withholds its deal": lambda d: replace(honest(d), hand=nothing),
    "hands out another deal than it posted": lambda d: replace(
        honest(d), hand=lambda _: encode(replayed(d))
    ),
    "posts the hash of nothing it has": lambda d: replace(honest(d), body=b"unknown"),
    "claims another's place": lambda d: acting(
        d, change(deal_of(d), dealer=(d.index + 1) % len(d.ceremony.dealers))
    ),
    "copies another's deal": lambda d: acting(d, deal_of(replace_index(d, 1 - min(d.index, 1)))),
    "replays another session": lambda d: acting(d, replayed(d)),
    "replays it under our session's id": lambda d: acting(
        d, change(replayed(d), ceremony=d.ceremony.id)
    ),
    "copies another's key and proof": lambda d: acting(d, copied_key(d)),
    "computes a key from the others'": lambda d: acting(d, rogue_key(d)),
    "deals a lower degree": lambda d: acting(d, lower(deal_of(d))),
    "deals a higher degree": lambda d: acting(d, higher(deal_of(d))),
    "deals one purpose": lambda d: acting(
        d, change(deal_of(d), commitments=deal_of(d).commitments[:1])
    ),
    "proves one purpose": lambda d: acting(d, change(deal_of(d), proofs=deal_of(d).proofs[:1])),
    "leaves out a receiver": lambda d: acting(d, change(deal_of(d), sealed=deal_of(d).sealed[1:])),
    "commits to the identity as constant": lambda d: acting(
        d, with_point(deal_of(d), Purpose.BEACON, 0, INFINITY)
    ),
    "commits to the identity as highest": lambda d: acting(
        d, with_point(deal_of(d), Purpose.ANCHOR, -1, INFINITY)
    ),
    "commits to the identity in another encoding": lambda d: acting(
        d, with_point(deal_of(d), Purpose.BEACON, 0, INFINITY[:-1] + b"\1")
    ),
    "commits to what is no point": lambda d: acting(
        d, with_point(deal_of(d), Purpose.ANCHOR, 1, bytes(96))
    ),
    "swaps its proofs": lambda d: acting(d, change(deal_of(d), proofs=deal_of(d).proofs[::-1])),
    "posts what cannot be read": lambda d: acting(d, b"\x95garbage"),
    "posts a deal and one byte more": lambda d: acting(d, encode(deal_of(d)) + b"\0"),
    "cheats everybody": lambda d: cheating(d, range(len(d.ceremony.receivers))),
    "boxes zeros for everybody": lambda d: acting(
        d, change(deal_of(d), sealed=(bytes(deals.SEALED_BYTES),) * len(d.ceremony.receivers))
    ),
}
"""What a dealer may do for which it is out of the ceremony, whoever is honest."""


# ------------------------------------------------------------------------------- the play


@dataclass(frozen=True)
class Played:
    """What came out, for every honest receiver."""

    posts: Posts
    bodies: Mapping[int, bytes]
    """Dealer -> the deal that the honest hold, if it is the one posted."""

    results: Mapping[int, Conclusion | str]
    """Honest receiver -> what it concludes, or the reason why there is no key."""

    shares: Mapping[int, GovernorShare | None]

    @property
    def reason(self) -> str:
        """The one reason that all name; empty if there is a group."""
        (reason,) = {r if isinstance(r, str) else "" for r in self.results.values()}
        return reason

    @property
    def qualified(self) -> tuple[int, ...]:
        """Whose deals count, as all agree."""
        (found,) = {tuple(r.deals) for r in self.results.values() if isinstance(r, Conclusion)}
        return found

    @property
    def group(self) -> Group:
        """The one group that all have."""
        (hashed,) = {r.group.hash() for r in self.results.values() if isinstance(r, Conclusion)}
        groups = [r.group for r in self.results.values() if isinstance(r, Conclusion)]
        assert len(groups) == len(self.results)
        assert groups[0].hash() == hashed
        return groups[0]


def play(
    ceremony: Ceremony,
    *,
    acts: Mapping[int, Act] | None = None,
    answers: Mapping[int, int | None] | None = None,
    old: Shares | None = None,
) -> Played:
    """Play a ceremony to its end.

    Args:
        ceremony: Who deals to whom.
        acts: Faulty dealer -> what it does.
        answers: Faulty receiver -> whom it complains about, nothing if it never responds.
        old: Dealer -> what it hands on, in a resharing.
    """
    acts, answers = acts or {}, answers or {}
    count = len(ceremony.receivers)
    receivers = {r: receiver_of(ceremony, r) for r in range(count) if r not in answers}
    cast = {
        d: acts[d] if d in acts else honest(dealer_of(ceremony, d, old))
        for d in range(len(ceremony.dealers))
    }
    hashes = {d: hash_of_deal(act.body) for d, act in cast.items() if act.body is not None}
    bodies = _exchanged(cast, hashes, receivers)
    posts = Posts(deals=hashes, complaints={}, justifications={})
    told = {r: complaints_of(receiver, posts, bodies) for r, receiver in receivers.items()} | {
        r: None if about is None else about & sum(1 << d for d in hashes)
        for r, about in answers.items()
    }
    posts = replace(posts, complaints={r: c for r, c in told.items() if c is not None})
    revealed = {(d, r): cast[d].justify(r) for d in hashes for r in to_justify(ceremony, posts, d)}
    posts = replace(posts, justifications={k: v for k, v in revealed.items() if v is not None})
    results = {r: _result(ceremony, posts, bodies) for r in receivers}
    shares = {
        r: own_share(receivers[r], posts, found)
        for r, found in results.items()
        if isinstance(found, Conclusion)
    }
    return Played(posts, bodies, results, shares)


def _exchanged(
    cast: Mapping[int, Act], hashes: Mapping[int, bytes], receivers: Mapping[int, Receiver]
) -> dict[int, bytes]:
    """Return what the honest hold once each has passed on what it was handed."""
    handed = {d: [cast[d].hand(r) for r in receivers] for d in hashes}
    return {
        d: next((b for b in found if b is not None and hash_of_deal(b) == hashes[d]), b"")
        for d, found in handed.items()
    }


def _result(ceremony: Ceremony, posts: Posts, bodies: Mapping[int, bytes]) -> Conclusion | str:
    try:
        return conclude(ceremony, posts, bodies)
    except DkgFailed as failed:
        return failed.reason
    except ValueError:
        assert lacking(ceremony, posts, bodies)
        return "lacking"
