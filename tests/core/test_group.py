"""Any t governors make the one signature of their group, and t - 1 make none."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from itertools import combinations, permutations

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from stkrp2p.core import bls, threshold
from stkrp2p.core.crypto import Secret, sha256
from stkrp2p.core.group import (
    COMMITMENTS_MAX,
    DOMAINS,
    GOVERNORS_MAX,
    GROUP_TAG,
    GovernorShare,
    Group,
    Purpose,
    are_partials,
    combine,
    interpolated,
    is_partial,
    partial_sign,
    solo_share,
    threshold_of,
)
from stkrp2p.core.types import ProtocolError
from stkrp2p.core.wire import decode, encode
from tests.core.strategies import dealt, node

MESSAGE = b"what is signed"
INFINITY_G1, INFINITY_G2 = b"\xc0" + bytes(47), b"\xc0" + bytes(95)

NOT_IN_G2 = bytes.fromhex("8123456789abcdef" + "0123456789abcdef" * 11)
"""On the curve and not in the subgroup: a case of ethereum/bls12-381-tests, CC0."""

sizes = st.sampled_from([1, 3, 5, 7])
purposes = st.sampled_from(Purpose)
some = settings(max_examples=30)


def partials(size: int, purpose: Purpose, *, salt: int = 0) -> dict[int, bytes]:
    return {s.index: partial_sign(s, purpose, MESSAGE) for s in dealt(size, salt)}


def group_of(size: int, salt: int = 0) -> Group:
    return dealt(size, salt)[0].group


# ------------------------------------------------------------------------------- signing


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize("purpose", Purpose)
def test_any_t_partials_make_the_same_signature_and_it_is_the_groups(
    size: int, purpose: Purpose
) -> None:
    group, sent = group_of(size), partials(size, purpose)
    made = {
        combine(group, purpose, dict(chosen), MESSAGE)
        for chosen in combinations(sent.items(), group.threshold)
    }
    (signature,) = made
    assert signature
    assert bls.is_signed_by(group.public_key(purpose), MESSAGE, signature, DOMAINS[purpose])


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("purpose", Purpose)
def test_t_minus_1_partials_make_none(size: int, purpose: Purpose) -> None:
    group, sent = group_of(size), partials(size, purpose)
    for chosen in combinations(sent.items(), group.threshold - 1):
        assert combine(group, purpose, dict(chosen), MESSAGE) is None
        points = {i + 1: threshold.signature_point(p) for i, p in chosen}
        forged = threshold.combined_signature(points)
        key = group.public_key(purpose)
        assert not bls.is_signed_by(key, MESSAGE, forged, DOMAINS[purpose])


def wrong_partials(size: int, purpose: Purpose, index: int) -> list[bytes]:
    """Return what a bad governor may send in place of its partial."""
    good, own = partials(size, purpose), dealt(size)[index]
    other = Purpose(1 - purpose)
    return [
        b"",
        b"x" * 48,
        bytes(48),
        INFINITY_G1,
        good[(index + 1) % size],
        bytes([good[index][0] ^ 0x20]) + good[index][1:],
        partial_sign(own, purpose, b"another message"),
        partial_sign(own, other, MESSAGE),
        partials(size, purpose, salt=1)[index],
    ]


@some
@given(st.sampled_from([3, 5, 7]), purposes, st.data())
def test_up_to_n_wrong_partials_do_no_harm(
    size: int, purpose: Purpose, data: st.DataObject
) -> None:
    group, sent = group_of(size), partials(size, purpose)
    whole = combine(group, purpose, sent, MESSAGE)
    bad = data.draw(st.sets(st.integers(0, size - 1), max_size=size // 2))
    for index in bad:
        sent[index] = data.draw(st.sampled_from(wrong_partials(size, purpose, index)))
    assert combine(group, purpose, sent, MESSAGE) == whole
    assert [is_partial(group, purpose, i, MESSAGE, sent[i]) for i in range(size)] == [
        i not in bad for i in range(size)
    ]


@some
@given(st.sampled_from([3, 5, 7]), purposes, st.data())
def test_more_than_n_wrong_partials_make_no_signature(
    size: int, purpose: Purpose, data: st.DataObject
) -> None:
    sent = partials(size, purpose)
    bad = data.draw(st.sets(st.integers(0, size - 1), min_size=size // 2 + 1))
    for index in bad:
        sent[index] = data.draw(st.sampled_from(wrong_partials(size, purpose, index)))
    assert combine(group_of(size), purpose, sent, MESSAGE) is None


@some
@given(st.sampled_from([1, 3, 5, 7]), purposes, st.data())
def test_the_first_t_readable_partials_make_the_signature_exactly_if_all_are_good(
    size: int, purpose: Purpose, data: st.DataObject
) -> None:
    group, sent = group_of(size), partials(size, purpose)
    whole = combine(group, purpose, sent, MESSAGE)
    chosen = data.draw(st.permutations(range(size)))[: group.threshold]
    assert interpolated(group, {i: sent[i] for i in chosen}) == whole
    assert interpolated(group, {i: sent[i] for i in chosen[1:]}) is None
    bad = data.draw(st.sampled_from(chosen))
    for wrong in wrong_partials(size, purpose, bad) if size > 1 else ():
        assert interpolated(group, {i: sent[i] for i in chosen} | {bad: wrong}) != whole


@some
@given(st.sampled_from([3, 5, 7]), purposes, st.data())
def test_many_partials_of_one_governor_are_checked_at_once(
    size: int, purpose: Purpose, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    messages = [bytes([i]) for i in range(4)]
    signed = [(m, partial_sign(dealt(size)[index], purpose, m)) for m in messages]
    assert are_partials(group_of(size), purpose, index, signed)
    assert not are_partials(group_of(size), purpose, (index + 1) % size, signed)
    assert not are_partials(group_of(size), Purpose(1 - purpose), index, signed)
    signed[data.draw(st.integers(0, 3))] = (MESSAGE, signed[0][1])
    assert not are_partials(group_of(size), purpose, index, signed)


@pytest.mark.parametrize("index", [-1, 3, 63, 1 << 40])
def test_a_partial_of_a_place_without_governor_counts_for_nothing(index: int) -> None:
    group, sent = group_of(3), partials(3, Purpose.BEACON)
    assert not is_partial(group, Purpose.BEACON, index, MESSAGE, sent[0])
    assert combine(group, Purpose.BEACON, {0: sent[0], index: sent[1]}, MESSAGE) is None
    assert combine(group, Purpose.BEACON, {**sent, index: sent[1]}, MESSAGE)
    with pytest.raises(ValueError, match=rf"^no governor at place {index} of 3$"):
        group.public_share(Purpose.BEACON, index)


@given(st.permutations(range(5)))
def test_the_order_in_which_partials_arrive_does_not_matter(order: list[int]) -> None:
    sent = partials(5, Purpose.ANCHOR)
    arrived = {i: sent[i] for i in order}
    whole = combine(group_of(5), Purpose.ANCHOR, sent, MESSAGE)
    assert combine(group_of(5), Purpose.ANCHOR, arrived, MESSAGE) == whole


def test_a_partial_of_one_purpose_message_or_governor_does_not_pass_for_another() -> None:
    group, sent = group_of(5), partials(5, Purpose.BEACON)
    assert is_partial(group, Purpose.BEACON, 2, MESSAGE, sent[2])
    assert not is_partial(group, Purpose.ANCHOR, 2, MESSAGE, sent[2])
    assert not is_partial(group, Purpose.BEACON, 2, b"another", sent[2])
    assert not is_partial(group, Purpose.BEACON, 3, MESSAGE, sent[2])


def test_a_council_of_one_signs_alone() -> None:
    secrets = tuple(threshold.secret_of_scalar(s) for s in (5, 7))
    share = solo_share(node(0), secrets)
    assert share.group.threshold == 1
    assert share.group.session == 0
    for purpose, secret in zip(Purpose, (5, 7), strict=True):
        partial = partial_sign(share, purpose, MESSAGE)
        assert share.group.public_key(purpose) == bls.public_key_of(secret)
        assert combine(share.group, purpose, {0: partial}, MESSAGE) == partial
        assert partial == bls.sign(secret, MESSAGE, DOMAINS[purpose])


def test_even_with_one_secret_for_both_a_purposes_signature_is_not_the_others() -> None:
    share = solo_share(node(0), (threshold.secret_of_scalar(5),) * len(Purpose))
    for purpose, other in permutations(Purpose):
        partial = partial_sign(share, purpose, MESSAGE)
        assert is_partial(share.group, purpose, 0, MESSAGE, partial)
        assert not is_partial(share.group, other, 0, MESSAGE, partial)


# ------------------------------------------------------------------------------- the group


@given(sizes)
def test_a_groups_hash_is_of_its_tagged_encoding_and_both_go_there_and_back(size: int) -> None:
    group = group_of(size)
    assert decode(encode(group), Group) == group
    assert group.hash() == sha256(GROUP_TAG, encode(group))
    assert len({group.hash(), group_of(size, 1).hash()}) == 2


def test_the_largest_council_has_63_governors_of_whom_32_sign() -> None:
    assert threshold_of(GOVERNORS_MAX) == COMMITMENTS_MAX == 32
    assert group_of(GOVERNORS_MAX).threshold == 32
    sent = partials(GOVERNORS_MAX, Purpose.BEACON)
    assert combine(group_of(GOVERNORS_MAX), Purpose.BEACON, sent, MESSAGE)


@pytest.mark.parametrize("count", [0, 2, 4, 62, 64, 65, -1])
def test_a_council_has_an_odd_number_of_governors_up_to_63(count: int) -> None:
    with pytest.raises(ValueError, match=rf"^a council has an odd number up to 63, not {count}$"):
        threshold_of(count)


def changed(**fields: object) -> Callable[[], Group]:
    return lambda: msgspec.structs.replace(group_of(3), **fields)


def with_point(point: bytes, degree: int) -> Callable[[], Group]:
    beacon, anchor = group_of(3).commitments
    row = tuple(point if k == degree else c for k, c in enumerate(anchor))
    return changed(commitments=(beacon, row))


ROWS = group_of(3).commitments
NO_GROUPS = {
    "an even number of governors": changed(governors=(node(0), node(1))),
    "no governor": changed(governors=()),
    "a governor named twice": changed(governors=(node(0), node(1), node(0))),
    "one purpose": changed(commitments=ROWS[:1]),
    "three purposes": changed(commitments=(*ROWS, ROWS[0])),
    "a degree too low": changed(commitments=(ROWS[0], ROWS[1][:1])),
    "a degree too high": changed(commitments=(ROWS[0], (*ROWS[1], ROWS[1][0]))),
    "the identity as key": with_point(INFINITY_G2, 0),
    "the identity as highest coefficient": with_point(INFINITY_G2, 1),
    "the identity in another encoding": with_point(b"\xc0" + bytes(94) + b"\1", 0),
    "a point outside the subgroup": with_point(NOT_IN_G2, 1),
    "no point": with_point(b"\x80" * 96, 0),
    "an uncompressed mark": with_point(bytes([ROWS[0][0][0] & 0x7F]) + ROWS[0][0][1:], 0),
}


@pytest.mark.parametrize("make", NO_GROUPS.values(), ids=NO_GROUPS)
def test_what_is_no_group_is_refused(make: Callable[[], Group]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  - some messages are arkworks'
        make()


def test_a_group_from_a_peer_is_checked_as_it_is_read() -> None:
    plain = [1, [node(i) for i in range(3)], [list(row) for row in ROWS]]
    assert decode(encode(plain), Group).governors == group_of(3).governors
    plain[2][0][1] = INFINITY_G2  # type: ignore[index]
    with pytest.raises(ProtocolError, match=r"^malformed: the identity is no key"):
        decode(encode(plain), Group)


# ------------------------------------------------------------------------------- shares


@given(sizes, st.data())
def test_a_share_of_an_old_group_or_another_place_is_refused(
    size: int, data: st.DataObject
) -> None:
    share = dealt(size)[data.draw(st.integers(0, size - 1))]
    with pytest.raises(ValueError, match=r"^the beacon share is not of this group and place$"):
        GovernorShare(group_of(size, 1), share.index, share.secrets)
    for index in set(range(size)) - {share.index}:
        with pytest.raises(ValueError, match=r"^the beacon share is not of this group and place$"):
            GovernorShare(share.group, index, share.secrets)


def test_a_share_has_a_scalar_for_each_purpose_and_a_place() -> None:
    share = dealt(3)[0]
    beacon, anchor = share.secrets
    raised = threshold.scalar_of(beacon) + bls.ORDER
    for secrets in ((beacon,), (beacon, anchor, anchor), (anchor, beacon), (Secret(b""), anchor)):
        with pytest.raises(ValueError):  # noqa: PT011  - zip's, the scalar's, the group's
            GovernorShare(share.group, 0, secrets)
    with pytest.raises(ValueError, match=r"^the secret is no scalar of 32 bytes$"):
        GovernorShare(share.group, 0, (Secret(raised.to_bytes(32, "big")), anchor))
    with pytest.raises(ValueError, match=r"^no governor at place 3 of 3$"):
        GovernorShare(share.group, 3, share.secrets)


def test_a_share_never_shows_its_secrets() -> None:
    share = dealt(3)[0]
    shown = [repr(share), str(share), json.dumps({"share": share}, default=str)]
    with pytest.raises(TypeError) as raised:
        msgspec.json.encode(share)
    shown += traceback.format_exception(raised.value)
    with pytest.raises(ValueError) as refused:  # noqa: PT011  - what it shows is the point
        GovernorShare(group_of(3, 1), 0, share.secrets)
    seen = traceback.TracebackException.from_exception(refused.value, capture_locals=True)
    shown += seen.format()
    for secret in share.secrets:
        for text in shown:
            assert secret.reveal().hex() not in text
            assert repr(secret.reveal()) not in text
            assert str(threshold.scalar_of(secret)) not in text
