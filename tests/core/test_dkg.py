"""A ceremony ends in one group for all, or in one reason for all, whatever n of 2n + 1 do."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from random import Random

import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey

from stkrp2p.core import bls, deal as deals, threshold
from stkrp2p.core.crypto import Secret, sha256
from stkrp2p.core.deal import (
    DEAL_BYTES_MAX,
    SEALED_BYTES,
    SHARES_BYTES,
    Ceremony,
    Deal,
    Dealer,
    Receiver,
    check_deal,
    hash_of_deal,
    justification_of,
    open_shares,
    read_shares,
)
from stkrp2p.core.dkg import (
    DkgFailed,
    Posts,
    complaints_of,
    conclude,
    lacking,
    own_share,
    to_justify,
)
from stkrp2p.core.group import (
    DOMAINS,
    GOVERNORS_MAX,
    GovernorShare,
    Group,
    Purpose,
    combine,
    is_partial,
    partial_sign,
)
from stkrp2p.core.types import NodeId, ProtocolError
from stkrp2p.core.wire import encode
from tests.core.ceremonies import (
    OUT,
    Act,
    Played,
    acting,
    cheating,
    deal_of,
    dealer_of,
    fresh,
    handed_on,
    honest,
    mixed_up_after,
    nodes,
    nothing,
    off_by_one,
    play,
    receiver_of,
    silent_after,
    with_box,
    wrong_after,
)
from tests.core.strategies import dealt, node, secret

MESSAGE = b"what is signed"
EVERYBODY = (1 << GOVERNORS_MAX) - 1
few = settings(max_examples=max(20, settings().max_examples // 20))
"""Whole ceremonies are slow: 20 examples, 250 at night."""


@pytest.fixture(autouse=True, scope="module")
def _remembered_checks() -> Iterator[None]:
    """Check each signature once: the same deals come back in every example."""
    check = bls.is_signed_by
    bls.is_signed_by = lru_cache(maxsize=1 << 14)(check)
    yield
    bls.is_signed_by = check


def check_signing(group: Group, shares: dict[int, GovernorShare]) -> None:
    """Check that t of these shares make the group's signatures, and t - 1 do not."""
    for purpose in Purpose:
        partials = {i: partial_sign(s, purpose, MESSAGE) for i, s in shares.items()}
        for chosen in (list(partials)[: group.threshold], list(partials)[-group.threshold :]):
            signature = combine(group, purpose, {i: partials[i] for i in chosen}, MESSAGE)
            key, domain = group.public_key(purpose), DOMAINS[purpose]
            assert signature
            assert bls.is_signed_by(key, MESSAGE, signature, domain)
        less = dict(list(partials.items())[: group.threshold - 1])
        assert combine(group, purpose, less, MESSAGE) is None


def check_success(ceremony: Ceremony, played: Played) -> None:
    """Check that all honest have one group, and each a share with which they sign."""
    assert played.reason == ""
    assert played.group.governors == ceremony.receivers
    assert played.group.session == ceremony.session
    shares = {r: s for r, s in played.shares.items() if s}
    assert len(shares) == len(played.results)
    check_signing(played.group, shares)


# ------------------------------------------------------------------------------- all goes well


@pytest.mark.parametrize("count", [1, 3, 5, 7])
def test_honest_governors_make_one_key_of_which_t_shares_sign(count: int) -> None:
    ceremony = fresh(count)
    played = play(ceremony)
    check_success(ceremony, played)
    assert played.qualified == tuple(range(count))
    assert played.posts.complaints == dict.fromkeys(range(count), 0)


def test_the_key_is_the_sum_of_what_the_dealers_drew() -> None:
    ceremony = fresh(3)
    group = play(ceremony).group
    for purpose in Purpose:
        drawn = [deals._polynomials(dealer_of(ceremony, d))[purpose][0] for d in range(3)]
        assert group.public_key(purpose) == bls.public_key_of(sum(drawn) % bls.ORDER)


def test_beacon_and_anchor_have_keys_of_their_own() -> None:
    group = play(fresh(3)).group
    assert group.public_key(Purpose.BEACON) != group.public_key(Purpose.ANCHOR)


# ------------------------------------------------------------------------------- faulty dealers


@pytest.mark.parametrize("name", OUT)
@pytest.mark.parametrize("count", [3, 5])
def test_a_dealer_is_out_that(name: str, count: int) -> None:
    ceremony = fresh(count)
    played = play(ceremony, acts={1: OUT[name](dealer_of(ceremony, 1))})
    check_success(ceremony, played)
    assert played.qualified == (0, *range(2, count))


@pytest.mark.parametrize("count", [3, 5, 7])
def test_a_dealer_that_cheats_few_stays_if_it_reveals_their_shares(count: int) -> None:
    ceremony = fresh(count)
    victims = range(1, ceremony.threshold)
    played = play(ceremony, acts={0: cheating(dealer_of(ceremony, 0), victims)})
    check_success(ceremony, played)
    assert played.qualified == tuple(range(count))
    assert set(played.posts.justifications) == {(0, v) for v in victims}


@pytest.mark.parametrize("after", [silent_after, wrong_after, mixed_up_after])
def test_a_dealer_that_cheats_one_is_out_if_it_does_not_reveal_its_share(
    after: Callable[[Act], Act],
) -> None:
    ceremony = fresh(5)
    played = play(ceremony, acts={2: after(cheating(dealer_of(ceremony, 2), [4]))})
    check_success(ceremony, played)
    assert played.qualified == (0, 1, 3, 4)


@pytest.mark.parametrize("count", [3, 5, 7])
def test_a_dealer_that_cheats_a_threshold_of_receivers_is_out(count: int) -> None:
    ceremony = fresh(count)
    victims = range(ceremony.threshold)
    played = play(ceremony, acts={1: cheating(dealer_of(ceremony, 1), victims)})
    check_success(ceremony, played)
    assert played.qualified == (0, *range(2, count))
    assert played.posts.justifications == {}


def test_a_dealer_evicted_by_a_threshold_is_not_asked_and_its_answer_does_not_count() -> None:
    ceremony = fresh(5)
    dealer = dealer_of(ceremony, 2)
    played = play(ceremony, acts={2: cheating(dealer, [0, 1, 3])})
    assert to_justify(ceremony, played.posts, 2) == ()
    answered = {(2, r): justification_of(dealer, r) for r in (0, 1, 3)}
    posts = replace(played.posts, justifications=answered)
    assert tuple(conclude(ceremony, posts, played.bodies).deals) == (0, 1, 3, 4)


def test_an_equivocating_dealers_posted_deal_reaches_those_to_whom_it_showed_another() -> None:
    ceremony = fresh(5)
    dealer = dealer_of(ceremony, 0)
    shown = encode(deal_of(dealer_of(fresh(5, session=2), 0)))
    act = replace(honest(dealer), hand=lambda r: honest(dealer).body if r == 3 else shown)
    played = play(ceremony, acts={0: act})
    check_success(ceremony, played)
    assert played.qualified == tuple(range(5))


def test_a_deal_that_comes_after_all_responded_is_too_late() -> None:
    ceremony = fresh(3)
    played = play(ceremony, acts={1: OUT["withholds its deal"](dealer_of(ceremony, 1))})
    late = {**played.bodies, 1: encode(deal_of(dealer_of(ceremony, 1)))}
    assert conclude(ceremony, played.posts, late) == played.results[0]


# ------------------------------------------------------------------------------- faulty receivers


def test_false_complaints_change_nothing() -> None:
    ceremony = fresh(5)
    liars = play(ceremony, answers={3: EVERYBODY, 4: EVERYBODY})
    check_success(ceremony, liars)
    assert liars.qualified == tuple(range(5))
    assert liars.group == play(ceremony).group


def test_a_false_complaint_reveals_the_liars_share_and_no_other() -> None:
    ceremony = fresh(3)
    posts = play(ceremony, answers={2: 0b001}).posts
    assert posts.justifications == {(0, 2): justification_of(dealer_of(ceremony, 0), 2)}


def test_a_receiver_that_is_cut_off_keeps_silent_and_has_its_share_once_it_is_back() -> None:
    ceremony = fresh(5)
    whole = play(ceremony)
    receiver = receiver_of(ceremony, 4)
    posts = Posts(deals=whole.posts.deals, complaints={}, justifications={})
    two_lack = {d: whole.bodies[d] for d in (0, 1, 2)}
    assert complaints_of(receiver, posts, two_lack) == 0b11000
    assert complaints_of(receiver, posts, {0: whole.bodies[0], 1: whole.bodies[1]}) is None
    assert complaints_of(receiver, posts, {}) is None
    others = play(ceremony, answers={4: None})
    check_success(ceremony, others)
    share = own_share(receiver, others.posts, conclude(ceremony, others.posts, whole.bodies))
    assert share == whole.shares[4]


def test_a_receiver_that_was_silent_when_it_was_cheated_has_no_share() -> None:
    ceremony = fresh(5)
    act = cheating(dealer_of(ceremony, 0), [4])
    played = play(ceremony, acts={0: act}, answers={4: None})
    check_success(ceremony, played)
    conclusion = conclude(ceremony, played.posts, played.bodies)
    assert own_share(receiver_of(ceremony, 4), played.posts, conclusion) is None


def test_a_governor_whose_node_id_is_no_key_is_as_good_as_absent() -> None:
    ids = (*nodes(2), NodeId(bytes(32)))
    ceremony = replace(fresh(3), dealers=ids, receivers=ids)
    bodies = {d: encode(deals.deal_of(dealer_of(ceremony, d))) for d in (0, 1)}
    posts = Posts(
        deals={d: hash_of_deal(b) for d, b in bodies.items()},
        complaints={0: 0, 1: 0},
        justifications={},
    )
    conclusion = conclude(ceremony, posts, bodies)
    assert conclusion.deals[0].sealed[2] == bytes(SEALED_BYTES)
    shares = {r: own_share(receiver_of(ceremony, r), posts, conclusion) for r in (0, 1)}
    check_signing(conclusion.group, {r: s for r, s in shares.items() if s})


# ------------------------------------------------------------------------------- any n of 2n + 1


counts = st.sampled_from([3, 5, 7])


@st.composite
def bad_governors(draw: st.DrawFn) -> tuple[int, dict[int, str], dict[int, int | None]]:
    """Draw up to n of 2n + 1 governors with what each does as a dealer and as a receiver."""
    count = draw(counts)
    bad = draw(st.sets(st.integers(0, count - 1), max_size=count // 2))
    ways = ["honest", "cheats one", "cheats a threshold", "cheats one in silence", *OUT]
    acts = {d: draw(st.sampled_from(ways)) for d in sorted(bad)}
    says = st.none() | st.just(0) | st.just(EVERYBODY) | st.integers(0, EVERYBODY)
    return count, acts, {r: draw(says) for r in sorted(bad)}


def act_of(name: str, dealer: Dealer, bad: set[int]) -> Act:
    victim = min(set(range(len(dealer.ceremony.receivers))) - bad)
    match name:
        case "honest":
            return honest(dealer)
        case "cheats one":
            return cheating(dealer, [victim])
        case "cheats a threshold":  # if faulty receivers are among them, it may get away with it
            return cheating(dealer, range(dealer.ceremony.threshold))
        case "cheats one in silence":
            return silent_after(cheating(dealer, [victim]))
    return OUT[name](dealer)


@few
@given(bad_governors())
def test_whatever_n_governors_do_the_others_have_one_key_with_which_they_sign(
    bad: tuple[int, dict[int, str], dict[int, int | None]],
) -> None:
    count, names, answers = bad
    ceremony = fresh(count)
    acts = {d: act_of(n, dealer_of(ceremony, d), set(names)) for d, n in names.items()}
    played = play(ceremony, acts=acts, answers=answers)
    check_success(ceremony, played)
    stay = {"honest", "cheats one", "cheats a threshold"}
    assert set(played.qualified) <= {d for d in range(count) if names.get(d, "honest") in stay}
    assert set(played.qualified) >= set(range(count)) - names.keys()


@few
@given(counts, st.data())
def test_when_more_than_n_governors_are_faulty_all_others_still_agree(
    count: int, data: st.DataObject
) -> None:
    ceremony = fresh(count)
    size = data.draw(st.integers(count // 2 + 1, count - 1))
    bad = data.draw(st.permutations(range(count)))[:size]
    acts = {d: data.draw(st.sampled_from(list(OUT.values())))(dealer_of(ceremony, d)) for d in bad}
    says = st.none() | st.just(0) | st.just(EVERYBODY)
    played = play(ceremony, acts=acts, answers={r: data.draw(says) for r in bad})
    assert played.reason in {
        "",
        "lacking",
        "too-few-deals",
        "too-few-qualified",
        "too-few-responses",
    }
    if played.reason == "":
        assert played.group.governors == ceremony.receivers


# ------------------------------------------------------------------------------- why there is no key


@pytest.mark.parametrize("count", [3, 5, 7])
def test_with_too_few_deals_there_is_no_key(count: int) -> None:
    ceremony = fresh(count)
    absent = {d: Act(None, nothing, nothing) for d in range(count // 2 + 1)}
    assert play(ceremony, acts=absent).reason == "too-few-deals"


@pytest.mark.parametrize("count", [3, 5, 7])
def test_with_too_few_responses_there_is_no_key(count: int) -> None:
    ceremony = fresh(count)
    silent = dict.fromkeys(range(count // 2 + 1))
    assert play(ceremony, answers=silent).reason == "too-few-responses"


@pytest.mark.parametrize("count", [3, 5, 7])
def test_with_too_few_good_deals_there_is_no_key(count: int) -> None:
    ceremony = fresh(count)
    cheats = {
        d: silent_after(cheating(dealer_of(ceremony, d), [(d + 1) % count]))
        for d in range(count // 2 + 1)
    }
    assert play(ceremony, acts=cheats).reason == "too-few-qualified"
    liars = dict.fromkeys(range(count // 2 + 1), EVERYBODY)
    assert play(ceremony, answers=liars).reason == "too-few-qualified"


def test_dealers_whose_polynomials_cancel_out_make_no_group() -> None:
    ceremony = fresh(3)
    dealer = dealer_of(ceremony, 0)
    mirror = mirrored(dealer, 1)
    acts = {1: acting(dealer, mirror), 2: Act(None, nothing, nothing)}
    assert play(ceremony, acts=acts).reason == "no-group"


def mirrored(dealer: Dealer, index: int) -> Deal:
    """Return the deal of a dealer that conspires with another: the other's, times -1."""
    ceremony, rows = dealer.ceremony, deals._polynomials(dealer)
    negative = [[-a % bls.ORDER for a in row] for row in rows]
    commitments = tuple(tuple(map(bls.public_key_of, row)) for row in negative)
    proofs = tuple(
        bls.sign(row[0], deals._possession(ceremony, index, p, c[0]), bls.POSSESSION_DST)
        for p, row, c in zip(Purpose, negative, commitments, strict=True)
    )
    boxes = tuple(
        deals._seal(deals._values(negative, r), to, sha256(bytes([r])))
        for r, to in enumerate(ceremony.receivers)
    )
    return Deal(
        ceremony=ceremony.id, dealer=index, commitments=commitments, proofs=proofs, sealed=boxes
    )


def test_nothing_is_concluded_as_long_as_a_deal_is_lacking() -> None:
    ceremony = fresh(3)
    played = play(ceremony)
    bodies = {**played.bodies, 1: b"another"}
    assert lacking(ceremony, played.posts, bodies) == (1,)
    assert lacking(ceremony, played.posts, {}) == (0, 1, 2)
    with pytest.raises(ValueError, match=r"^the deals of dealers \(1,\) are lacking$"):
        conclude(ceremony, played.posts, bodies)


def test_a_deal_that_is_not_on_the_board_counts_for_nothing() -> None:
    ceremony = fresh(3)
    played = play(ceremony, acts={1: Act(None, nothing, nothing)})
    bodies = {**played.bodies, 1: encode(deal_of(dealer_of(ceremony, 1)))}
    assert conclude(ceremony, played.posts, bodies) == played.results[0]


# ------------------------------------------------------------------------------- resharing


@cache
def made(count: int) -> tuple[Group, tuple[GovernorShare, ...]]:
    """Return a group that a ceremony made, and all its shares."""
    played = play(fresh(count))
    return played.group, tuple(s for s in played.shares.values() if s)


RESHARINGS = {
    "5 to 7": (5, nodes(7)),
    "7 to 5": (7, nodes(5)),
    "5 to the same": (5, nodes(5)),
    "5 to the same in another order": (5, nodes(5)[::-1]),
    "5 to others": (5, nodes(5, first=10)),
    "3 to 1": (3, nodes(1)),
    "1 to 3": (1, nodes(3)),
}


@pytest.mark.parametrize("name", RESHARINGS)
def test_resharing_keeps_the_keys(name: str) -> None:
    count, receivers = RESHARINGS[name]
    old, shares = made(count)
    ceremony = handed_on(old, receivers)
    played = play(ceremony, old=dict(enumerate(shares)))
    check_success(ceremony, played)
    assert len(played.qualified) == old.threshold
    for purpose in Purpose:
        assert played.group.public_key(purpose) == old.public_key(purpose)
    assert old.hash() != played.group.hash()


def reshared(count: int, receivers: tuple[NodeId, ...]) -> tuple[Group, list[GovernorShare]]:
    old, shares = made(count)
    played = play(handed_on(old, receivers), old=dict(enumerate(shares)))
    return played.group, [s for s in played.shares.values() if s]


@pytest.mark.parametrize(("count", "new"), [(5, 7), (7, 5), (5, 5)])
def test_old_and_new_shares_do_not_mix(count: int, new: int) -> None:
    old, old_shares = made(count)
    group, shares = reshared(count, nodes(new))
    for purpose in Purpose:
        of_old = {s.index: partial_sign(s, purpose, MESSAGE) for s in old_shares}
        of_new = {s.index: partial_sign(s, purpose, MESSAGE) for s in shares}
        assert combine(old, purpose, of_old, MESSAGE) == combine(group, purpose, of_new, MESSAGE)
        t = group.threshold
        for mixed in range(1, t):
            sent = {i: of_old[i] if i < mixed else of_new[i] for i in range(t)}
            assert combine(group, purpose, sent, MESSAGE) is None
        for index in range(min(count, new)):
            assert not is_partial(group, purpose, index, MESSAGE, of_old[index])
            assert not is_partial(old, purpose, index, MESSAGE, of_new[index])


def test_an_old_share_is_refused_in_the_new_group() -> None:
    _, old_shares = made(5)
    group, _ = reshared(5, nodes(7))
    for share in old_shares:
        with pytest.raises(ValueError, match=r"^the beacon share is not of this group and place$"):
            GovernorShare(group, share.index, share.secrets)


def test_a_council_that_was_handed_the_keys_hands_them_on() -> None:
    group, shares = reshared(5, nodes(7))
    ceremony = handed_on(group, nodes(5, first=1))
    played = play(ceremony, old=dict(enumerate(shares)))
    check_success(ceremony, played)
    assert played.group.public_key(Purpose.BEACON) == made(5)[0].public_key(Purpose.BEACON)
    assert played.group.session == 3


HANDED_ON = [n for n in OUT if n not in {"copies another's deal", "copies another's key and proof",
                                          "computes a key from the others'"}]  # fmt: skip


@few
@given(st.sampled_from([(3, 5), (5, 3), (5, 7)]), st.data())
def test_whatever_n_dealers_and_n_receivers_do_the_keys_are_handed_on(
    sizes: tuple[int, int], data: st.DataObject
) -> None:
    old, shares = made(sizes[0])
    ceremony = handed_on(old, nodes(sizes[1], first=2))
    held = dict(enumerate(shares))
    bad = data.draw(st.sets(st.integers(0, sizes[0] - 1), max_size=sizes[0] // 2))
    liars = data.draw(st.sets(st.integers(0, sizes[1] - 1), max_size=sizes[1] // 2))
    acts = {
        d: OUT[data.draw(st.sampled_from(HANDED_ON))](dealer_of(ceremony, d, held)) for d in bad
    }
    says = st.none() | st.just(EVERYBODY) | st.integers(0, EVERYBODY)
    answers = {r: data.draw(says) for r in sorted(liars)}
    played = play(ceremony, acts=acts, answers=answers, old=held)
    check_success(ceremony, played)
    assert not set(played.qualified) & bad
    for purpose in Purpose:
        assert played.group.public_key(purpose) == old.public_key(purpose)


def test_a_dealer_that_hands_on_another_share_than_its_own_is_out() -> None:
    old, shares = made(3)
    ceremony = handed_on(old, nodes(3))
    drawn = deals._polynomials(dealer_of(fresh(3), 0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deals, "_polynomials", lambda _: drawn)
        other = deals.deal_of(dealer_of(ceremony, 0, dict(enumerate(shares))))
    played = play(
        ceremony,
        acts={0: acting(dealer_of(ceremony, 1, dict(enumerate(shares))), other)},
        old=dict(enumerate(shares)),
    )
    check_success(ceremony, played)
    assert played.qualified == (1, 2)
    with pytest.raises(ProtocolError, match=r"^other-share$"):
        check_deal(ceremony, 0, hash_of_deal(encode(other)), encode(other))


def test_a_resharing_that_would_give_another_key_fails() -> None:
    old, shares = made(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threshold, "weights_at_zero", lambda xs: (1,) * len(xs))
        assert play(handed_on(old, nodes(3)), old=dict(enumerate(shares))).reason == "other-key"


# ------------------------------------------------------------------------------- deals


def reason_of(ceremony: Ceremony, dealer: int, body: bytes) -> str:
    try:
        check_deal(ceremony, dealer, hash_of_deal(body), body)
    except ProtocolError as error:
        return error.reason
    return ""


REASONS = {
    "claims another's place": "other-dealer",
    "copies another's deal": "other-dealer",
    "replays another session": "other-ceremony",
    "replays it under our session's id": "no-possession",
    "copies another's key and proof": "no-possession",
    "computes a key from the others'": "no-possession",
    "deals a lower degree": "wrong-degree",
    "deals a higher degree": "wrong-degree",
    "deals one purpose": "wrong-degree",
    "proves one purpose": "wrong-count",
    "leaves out a receiver": "wrong-count",
    "commits to the identity as constant": "bad-point",
    "commits to the identity as highest": "bad-point",
    "commits to the identity in another encoding": "bad-point",
    "commits to what is no point": "bad-point",
    "swaps its proofs": "no-possession",
    "posts what cannot be read": "malformed",
    "posts a deal and one byte more": "malformed",
}


@pytest.mark.parametrize("name", REASONS)
def test_a_wrong_deal_is_refused_with_its_reason(name: str) -> None:
    ceremony = fresh(5)
    body = OUT[name](dealer_of(ceremony, 1)).body
    assert body is not None
    assert reason_of(ceremony, 1, body) == REASONS[name]


def test_a_right_deal_is_read_and_any_other_bytes_are_not_it() -> None:
    ceremony = fresh(3)
    deal = deal_of(dealer_of(ceremony, 1))
    posted = hash_of_deal(encode(deal))
    assert check_deal(ceremony, 1, posted, encode(deal)) == deal
    with pytest.raises(ProtocolError, match=r"^other-deal$"):
        check_deal(ceremony, 1, posted, b"")


@pytest.mark.parametrize(
    "other",
    [
        lambda c: replace(c, chain_id=2),
        lambda c: replace(c, contract=bytes(20)),
        lambda c: replace(c, session=2),
        lambda c: replace(c, dealers=c.dealers[::-1], receivers=c.receivers[::-1]),
        lambda c: handed_on(dealt(3)[0].group, c.receivers),
    ],
    ids=["chain", "board", "session", "lists", "old group"],
)
def test_a_ceremony_is_bound_to_its(other: Callable[[Ceremony], Ceremony]) -> None:
    ceremony = fresh(3)
    assert ceremony.id != other(ceremony).id
    assert (
        reason_of(other(ceremony), 1, encode(deal_of(dealer_of(ceremony, 1)))) == "other-ceremony"
    )


def test_a_dealer_that_starts_again_deals_the_same_bytes() -> None:
    ceremony = fresh(3)
    dealer = dealer_of(ceremony, 0)
    assert encode(deals.deal_of(dealer)) == encode(deals.deal_of(dealer_of(fresh(3), 0)))
    other = replace(dealer, seed=Secret(bytes(32)))
    assert deals.deal_of(other).commitments != deal_of(dealer).commitments


def test_a_seed_gives_other_polynomials_in_another_ceremony() -> None:
    first, second = (deals._polynomials(dealer_of(fresh(3, session=s), 0)) for s in (1, 2))
    drawn = [a for rows in (first, second) for row in rows for a in row]
    assert len(set(drawn)) == len(drawn)


def test_the_largest_deal_fits_and_what_is_longer_is_not_read() -> None:
    ceremony = fresh(GOVERNORS_MAX)
    body = encode(deal_of(dealer_of(ceremony, 62)))
    assert reason_of(ceremony, 62, body) == ""
    assert len(body) < DEAL_BYTES_MAX
    padded = body + bytes(DEAL_BYTES_MAX - len(body))
    assert reason_of(ceremony, 62, padded) == "malformed"
    assert reason_of(ceremony, 62, padded + b"\0") == "oversized"


def test_a_mutated_deal_is_read_or_refused_with_the_typed_error() -> None:
    ceremony, rng = fresh(3), Random(5)
    body = encode(deal_of(dealer_of(ceremony, 0)))
    for _ in range(300):
        at = rng.randrange(len(body))
        mutated = body[:at] + rng.randbytes(rng.randrange(3)) + body[at + 1 :]
        if reason_of(ceremony, 0, mutated) == "":
            read = check_deal(ceremony, 0, hash_of_deal(mutated), mutated)
            assert read.commitments == deal_of(dealer_of(ceremony, 0)).commitments


# ------------------------------------------------------------------------------- shares


def test_what_is_sealed_is_libsodiums_sealed_box_to_the_node_key() -> None:
    ceremony = fresh(3)
    dealer = dealer_of(ceremony, 0)
    deal = deal_of(dealer)
    for index in range(3):
        key: PrivateKey = SigningKey(secret(index)).to_curve25519_private_key()
        assert SealedBox(key).decrypt(deal.sealed[index]) == justification_of(dealer, index)
        shares = open_shares(receiver_of(ceremony, index), deal)
        assert b"".join(s.reveal() for s in shares) == justification_of(dealer, index)


WRONG_SHARES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "one purpose's": lambda s: s[:32],
    "a byte too few": lambda s: s[:-1],
    "a byte too many": lambda s: s + b"\0",
    "three": lambda s: s + s[:32],
    "off by one": off_by_one,
    "zeros": lambda _: bytes(SHARES_BYTES),
    "swapped": lambda s: s[32:] + s[:32],
    "the order more": lambda s: (
        s[:32] + (int.from_bytes(s[32:], "big") + bls.ORDER).to_bytes(32, "big")
    ),
}


@pytest.mark.parametrize("name", WRONG_SHARES)
def test_shares_that_do_not_fit_are_refused_sealed_or_revealed(name: str) -> None:
    ceremony = fresh(3)
    dealer = dealer_of(ceremony, 0)
    deal = deal_of(dealer)
    wrong = WRONG_SHARES[name](justification_of(dealer, 1))
    with pytest.raises(ProtocolError, match=r"^wrong-share$"):
        read_shares(deal, 1, Secret(wrong))
    box = deals._seal(wrong.ljust(SHARES_BYTES, b"\0")[:SHARES_BYTES], node(1), sha256(b"e"))
    if len(wrong) == SHARES_BYTES:
        with pytest.raises(ProtocolError, match=r"^wrong-share$"):
            open_shares(receiver_of(ceremony, 1), with_box(deal, 1, box))


def test_a_box_for_another_or_of_noise_opens_for_nobody() -> None:
    ceremony = fresh(3)
    deal = deal_of(dealer_of(ceremony, 0))
    for box in (deal.sealed[0], bytes(SEALED_BYTES), b"\xff" * SEALED_BYTES):
        with pytest.raises(ProtocolError, match=r"^wrong-share$"):
            open_shares(receiver_of(ceremony, 1), with_box(deal, 1, box))


def test_one_receivers_shares_do_not_fit_another() -> None:
    ceremony = fresh(3)
    dealer = dealer_of(ceremony, 0)
    with pytest.raises(ProtocolError, match=r"^wrong-share$"):
        read_shares(deal_of(dealer), 2, Secret(justification_of(dealer, 1)))


# ------------------------------------------------------------------------------- who takes part


def test_a_ceremonys_lists_are_councils_and_its_dealers_those_who_hold_the_key() -> None:
    old = dealt(3)[0].group
    with pytest.raises(ValueError, match=r"^a council has an odd number up to 63, not 2$"):
        fresh(2)
    with pytest.raises(ValueError, match=r"^a council has an odd number up to 63, not 4$"):
        handed_on(old, nodes(4))
    with pytest.raises(ValueError, match=r"^a governor is named twice$"):
        handed_on(old, (node(1), node(2), node(1)))
    no_dealers = r"^a fresh key's receivers deal, or the governors of the old group$"
    with pytest.raises(ValueError, match=no_dealers):
        replace(fresh(3), dealers=nodes(5))
    with pytest.raises(ValueError, match=no_dealers):
        replace(handed_on(old, nodes(5)), dealers=nodes(5))


def test_a_dealer_has_a_place_a_seed_and_the_share_it_hands_on() -> None:
    ceremony, seed = fresh(3), Secret(bytes(32))
    shares = dealt(3)
    after = handed_on(shares[0].group, nodes(3))
    with pytest.raises(ValueError, match=r"^a dealer's seed has 32 bytes$"):
        Dealer(ceremony=ceremony, index=0, seed=Secret(bytes(31)))
    for index in (-1, 3):
        with pytest.raises(ValueError, match=rf"^no dealer at place {index}$"):
            Dealer(ceremony=ceremony, index=index, seed=seed)
    for wrong in (
        lambda: Dealer(ceremony=ceremony, index=0, seed=seed, old=shares[0]),
        lambda: Dealer(ceremony=after, index=0, seed=seed),
        lambda: Dealer(ceremony=after, index=0, seed=seed, old=shares[1]),
        lambda: Dealer(ceremony=after, index=0, seed=seed, old=dealt(3, 1)[0]),
    ):
        with pytest.raises(
            ValueError, match=r"^the share is not the one that this dealer hands on$"
        ):
            wrong()


def test_who_is_no_receiver_receives_nothing() -> None:
    with pytest.raises(ValueError, match=r"^the secret is of no receiver$"):
        Receiver(ceremony=fresh(3), secret=Secret(secret(3)))


# ------------------------------------------------------------------------------- secrets


def shown(value: object) -> list[str]:
    """Return what a log, a JSON file or a debugger would show of a value."""
    found = [repr(value), str(value), f"{value}", json.dumps({"it": value}, default=str)]
    for dump in (msgspec.json.encode, msgspec.msgpack.encode):
        try:
            found.append(repr(dump(value)))
        except TypeError as refused:
            found += traceback.TracebackException.from_exception(
                refused, capture_locals=True
            ).format()
    return found


def raised(work: Callable[[], object], kind: type[Exception]) -> list[str]:
    """Return the traceback of what is raised, with the variables of our own functions."""
    with pytest.raises(kind) as failed:
        work()
    seen = traceback.TracebackException.from_exception(failed.value, capture_locals=True)
    return [
        text
        for frame in seen.stack
        if "stkrp2p" in frame.filename
        for text in (*(frame.locals or {}).values(), str(failed.value), repr(failed.value))
    ]


def test_no_object_and_no_traceback_shows_a_secret() -> None:
    ceremony = fresh(3)
    dealer, receiver = dealer_of(ceremony, 0), receiver_of(ceremony, 1)
    deal, played = deal_of(dealer), play(ceremony)
    share = played.shares[1]
    assert share
    opened = open_shares(receiver, deal)
    wrong = Secret(off_by_one(justification_of(dealer, 1)))
    texts = [
        text
        for value in (dealer, receiver, deal, played.posts, played.results[0], share, opened)
        for text in shown(value)
    ]
    texts += raised(lambda: read_shares(deal, 1, wrong), ProtocolError)
    texts += raised(
        lambda: read_shares(deal, 2, Secret(justification_of(dealer, 1))), ProtocolError
    )
    texts += raised(lambda: open_shares(receiver, with_box(deal, 1, deal.sealed[0])), ProtocolError)
    texts += raised(lambda: GovernorShare(share.group, 2, share.secrets), ValueError)
    texts += raised(lambda: conclude(ceremony, played.posts, {}), ValueError)
    secrets = [dealer.seed.reveal(), receiver.secret.reveal(), wrong.reveal()]
    secrets += [s.reveal() for s in (*share.secrets, *opened)]
    secrets += [a.to_bytes(32, "big") for row in deals._polynomials(dealer) for a in row]
    for hidden in secrets:
        for text in texts:
            assert hidden.hex() not in text
            assert repr(hidden)[2:-1] not in text
            assert str(int.from_bytes(hidden, "big")) not in text


def test_a_failure_says_only_its_reason() -> None:
    assert str(DkgFailed("too-few-deals")) == DkgFailed("too-few-deals").reason == "too-few-deals"
