"""How a council makes its keys together, and hands them on: joint Feldman over a bulletin board.

The board on chain holds the hash of each deal, who complains about which dealer, and the shares that
dealers reveal in answer; the deals themselves travel between peers. From board and deals alone
follows who qualifies, and so the group:

    fresh      the sum of the qualified dealers' polynomials: a key that nobody ever held
    resharing  dealers deal their old shares; Lagrange's weights on them give the old key, new shares

Everything is a pure function of board and deals, so all who hold the same conclude the same: one
group, or one reason why there is none. Specified in `protocols/council.md`, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from stkrp2p.core import threshold
from stkrp2p.core.crypto import Secret
from stkrp2p.core.deal import (
    Ceremony,
    Deal,
    Receiver,
    check_deal,
    hash_of_deal,
    open_shares,
    read_shares,
)
from stkrp2p.core.group import GovernorShare, Group, Purpose
from stkrp2p.core.types import ProtocolError


class DkgFailed(Exception):
    """The ceremony makes no key; all who hold its board and deals find the same `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Posts:
    """What stands on the bulletin board of a session, by the governors' places in its lists."""

    deals: Mapping[int, bytes]
    """Dealer -> hash of its deal, 32 bytes."""

    complaints: Mapping[int, int]
    """Receiver that has responded -> whom it complains about: bit d stands for dealer d."""

    justifications: Mapping[tuple[int, int], bytes]
    """(dealer, receiver) -> the shares that the dealer reveals in answer to a complaint."""

    def complainants(self, dealer: int) -> tuple[int, ...]:
        """Return the receivers that complain about a dealer, in order."""
        return tuple(r for r, about in sorted(self.complaints.items()) if about >> dealer & 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What a ceremony has made: the group, and the deals it is made of."""

    group: Group

    deals: Mapping[int, Deal]
    """Dealer -> its deal, in order, of those whose polynomials make the group's."""


def complaints_of(receiver: Receiver, posts: Posts, bodies: Mapping[int, bytes]) -> int | None:
    """Return whom a receiver complains about, as it responds on the board: bit d is dealer d.

    That is every dealer that posted a hash and whose deal is lacking, is not as it must be, or holds
    a wrong share for us. Nothing if these are a quorum of the dealers: fewer are faulty, so it is we
    who are cut off. Honest dealers would answer by revealing our shares to all, and the faulty, with
    their own, would know a threshold of them. So we keep silent and go on asking for deals.

    Args:
        receiver: Us.
        posts: What is there when the dealing is over.
        bodies: Dealer -> its encoded deal, as far as they were found.
    """
    bad = [
        dealer
        for dealer, posted in _posted(receiver.ceremony, posts)
        if not _is_good(receiver, dealer, posted, bodies.get(dealer, b""))
    ]
    return None if len(bad) >= receiver.ceremony.quorum else sum(1 << dealer for dealer in bad)


def _posted(ceremony: Ceremony, posts: Posts) -> list[tuple[int, bytes]]:
    return [(d, posts.deals[d]) for d in range(len(ceremony.dealers)) if d in posts.deals]


def _is_good(receiver: Receiver, dealer: int, posted: bytes, body: bytes) -> bool:
    try:
        open_shares(receiver, check_deal(receiver.ceremony, dealer, posted, body))
    except ProtocolError:
        return False
    return True


def to_justify(ceremony: Ceremony, posts: Posts, dealer: int) -> tuple[int, ...]:
    """Return the receivers whose shares a dealer must reveal so that it qualifies.

    None if a threshold of them complains: it is out, and what it dealt stays unknown.
    """
    complainants = posts.complainants(dealer)
    return complainants if len(complainants) < ceremony.threshold else ()


def lacking(ceremony: Ceremony, posts: Posts, bodies: Mapping[int, bytes]) -> tuple[int, ...]:
    """Return the dealers whose deals must be found before the ceremony can be concluded.

    Fewer than a threshold of receivers complain about each, so if at most n of 2n + 1 are faulty, an
    honest one has its deal.
    """
    return tuple(
        dealer
        for dealer, posted in _heard(ceremony, posts)
        if hash_of_deal(bodies.get(dealer, b"")) != posted
    )


def _heard(ceremony: Ceremony, posts: Posts) -> list[tuple[int, bytes]]:
    """Return (dealer, hash) of those that no threshold of complaints has evicted."""
    return [
        (dealer, posted)
        for dealer, posted in _posted(ceremony, posts)
        if len(posts.complainants(dealer)) < ceremony.threshold
    ]


def conclude(ceremony: Ceremony, posts: Posts, bodies: Mapping[int, bytes]) -> Conclusion:
    """Return what the ceremony makes; the same for all who hold its board and deals.

    Args:
        ceremony: The session.
        posts: What is there when the time for justifications is over.
        bodies: Dealer -> its encoded deal; none may be `lacking`.

    Raises:
        DkgFailed: It makes no key. `too-few-deals`, `too-few-qualified`: less than a quorum of
            dealers posted, or is left. `too-few-responses`: less than a threshold of receivers
            looked at the deals. `no-group`: the dealers' polynomials cancel out, so they conspired.
            `other-key`: a resharing gives another key than the old one.
        ValueError: A deal is lacking.
    """
    if len(_posted(ceremony, posts)) < ceremony.quorum:
        raise DkgFailed("too-few-deals")
    if sum(r in posts.complaints for r in range(len(ceremony.receivers))) < ceremony.threshold:
        raise DkgFailed("too-few-responses")
    if missing := lacking(ceremony, posts, bodies):
        raise ValueError(f"the deals of dealers {missing} are lacking")
    found = [(d, _qualified(ceremony, posts, d, bodies[d])) for d, _ in _heard(ceremony, posts)]
    deals = {dealer: deal for dealer, deal in found if deal}
    if len(deals) < ceremony.quorum:
        raise DkgFailed("too-few-qualified")
    if ceremony.old:
        deals = dict(islice(deals.items(), ceremony.quorum))
    return Conclusion(group=_group(ceremony, deals), deals=deals)


def _qualified(ceremony: Ceremony, posts: Posts, dealer: int, body: bytes) -> Deal | None:
    try:
        deal = check_deal(ceremony, dealer, posts.deals[dealer], body)
        for receiver in posts.complainants(dealer):
            read_shares(deal, receiver, _revealed(posts, dealer, receiver))
    except ProtocolError:
        return None
    return deal


def _revealed(posts: Posts, dealer: int, receiver: int) -> Secret:
    return Secret(posts.justifications.get((dealer, receiver), b""))


def _group(ceremony: Ceremony, deals: Mapping[int, Deal]) -> Group:
    weights = _weights(ceremony, deals)
    dealt = [[deal.commitments[purpose] for deal in deals.values()] for purpose in Purpose]
    commitments = tuple(
        tuple(threshold.weighted_keys(weights, of_degree) for of_degree in zip(*rows, strict=True))
        for rows in dealt
    )
    try:
        group = Group(
            session=ceremony.session, governors=ceremony.receivers, commitments=commitments
        )
    except ValueError:
        raise DkgFailed("no-group") from None
    if ceremony.old and any(group.public_key(p) != ceremony.old.public_key(p) for p in Purpose):
        raise DkgFailed("other-key")
    return group


def _weights(ceremony: Ceremony, deals: Mapping[int, Deal]) -> tuple[int, ...]:
    """Return what each deal counts for: once in a fresh key, Lagrange's weight in a resharing."""
    if ceremony.old:
        return threshold.weights_at_zero([dealer + 1 for dealer in deals])
    return (1,) * len(deals)


def own_share(receiver: Receiver, posts: Posts, conclusion: Conclusion) -> GovernorShare | None:
    """Return what a receiver holds of the group.

    Nothing if a deal that counts has a wrong share for it and it did not complain in time: it can
    only watch until the next resharing.

    Args:
        receiver: Us.
        posts: What `conclude` was given.
        conclusion: What it returned.
    """
    try:
        shares = [
            _share_of(receiver, posts, dealer, deal) for dealer, deal in conclusion.deals.items()
        ]
    except ProtocolError:
        return None
    weights = _weights(receiver.ceremony, conclusion.deals)
    secrets = tuple(_summed(weights, of_purpose) for of_purpose in zip(*shares, strict=True))
    return GovernorShare(conclusion.group, receiver.index, secrets)


def _share_of(receiver: Receiver, posts: Posts, dealer: int, deal: Deal) -> tuple[Secret, ...]:
    if receiver.index in posts.complainants(dealer):
        return read_shares(deal, receiver.index, _revealed(posts, dealer, receiver.index))
    return open_shares(receiver, deal)


def _summed(weights: Sequence[int], shares: Sequence[Secret]) -> Secret:
    values = [threshold.scalar_of(share) for share in shares]
    return threshold.secret_of_scalar(threshold.weighted_sum(weights, values))
