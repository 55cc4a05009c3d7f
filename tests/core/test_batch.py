"""A batch is judged by its form, its epoch and the clock; the reasons are the specification's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import msgspec
import pytest
from hypothesis import given, strategies as st

from stkrp2p.core.batch import (
    JUDGEMENTS,
    NO_DUTY,
    OUTCOMES_MAX,
    ROWS_MAX,
    BatchBody,
    Envelope,
    EpochView,
    Row,
    check_batch,
    drawn_rounds,
    judge,
    median_ms,
    read_batch,
    sign_batch,
)
from stkrp2p.core.crypto import sha256
from stkrp2p.core.params import MAINNET, MINIMAL
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Judgement,
    NetworkId,
    NodeId,
    Outcome,
    Ppm,
    ProtocolError,
    Round,
)
from stkrp2p.core.wire import FRAME_BYTES_MAX, encode
from tests.core.strategies import (
    CLOCK,
    EPOCH,
    NETWORK,
    batch_of,
    body_of,
    node,
    randomness,
    roster_of_size,
    secret,
    secret_of_node,
    view_of,
)

LAST, SEAL = CLOCK.last(EPOCH), CLOCK.seal(EPOCH)


@cache
def view() -> EpochView:
    return view_of(roster_of_size(6, 2))


@cache
def alice() -> NodeId:
    """An auditor with two targets or more, the first of them drawn more than three times."""
    return next(
        m.node
        for m in view().roster.members
        if len(view().duty(m.node).counts) > 1
        and view().duty(m.node).counts[0] > MINIMAL.declared_rounds_max
    )


def judged(
    frame: bytes,
    *,
    last_due: int = SEAL,
    is_ready: bool = True,
    known: tuple[Digest, ...] = (),
    network: bytes = NETWORK,
) -> tuple[Judgement, str]:
    result = judge(
        frame,
        network=NetworkId(network),
        clock=CLOCK,
        last_due=Round(last_due),
        view_of={EPOCH: view()} if is_ready else {},
        known=known,
    )
    assert (result.batch is None) == (result.reason not in {"", "duplicate"})
    return result.judgement, result.reason


def changed(**fields: object) -> bytes:
    """Return Alice's batch with other fields, signed by her."""
    body = msgspec.structs.replace(body_of(view(), alice()), **fields)
    return sign_batch(secret_of_node(alice()), body).frame


def with_row(index: int = 0, **fields: object) -> bytes:
    """Return Alice's batch with another row, signed by her."""
    rows = list(body_of(view(), alice()).rows)
    rows[index] = msgspec.structs.replace(rows[index], **fields)
    return changed(rows=tuple(rows))


def outcomes_of_first_row(outcome: int, count: int) -> bytes:
    first = body_of(view(), alice()).rows[0].outcomes
    return bytes([outcome]) * count + first[count:]


def enveloped(raw_body: bytes) -> bytes:
    return encode(Envelope(body=raw_body, signature=bytes(64)))


def signed_by_mallory() -> bytes:
    return sign_batch(secret(999), body_of(view(), alice())).frame


def with_long_epoch() -> bytes:
    """Return a body whose epoch takes two bytes where one would do."""
    raw = encode(body_of(view(), alice()))
    at = raw.index(NETWORK) + len(NETWORK)
    return raw[:at] + b"\xcc" + raw[at:]


FRAMES: dict[str, list[Callable[[], bytes]]] = {
    "oversized": [lambda: bytes(FRAME_BYTES_MAX + 1)],
    "malformed": [
        lambda: b"",
        lambda: b"\xc1",
        lambda: enveloped(b""),
        lambda: batch_of(view(), alice()).frame[:-1],
        lambda: batch_of(view(), alice()).frame + b"\0",
        lambda: changed(receipts_root=bytes(31)),
        lambda: changed(epoch=-1),
        lambda: changed(epoch=1 << 63),
        lambda: changed(nonce=1.5),
        lambda: changed(
            rows=tuple(
                Row(target=bytes(32), outcomes=b"", median_ms=0) for _ in range(ROWS_MAX + 1)
            )
        ),
        lambda: with_row(outcomes=bytes(OUTCOMES_MAX + 1)),
        lambda: encode({"body": b"", "signature": bytes(64)}),
    ],
    "not-canonical": [
        lambda: enveloped(with_long_epoch()),
        lambda: b"\xdc\x00\x02" + batch_of(view(), alice()).frame[1:],
    ],
    "unknown-version": [lambda: changed(version=2), lambda: changed(version=2, network=bytes(32))],
    "foreign-network": [lambda: changed(network=sha256(b"another network"))],
    "early": [lambda: changed(epoch=EPOCH + 2), lambda: changed(epoch=(1 << 63) - 1)],
    "late": [lambda: changed(epoch=EPOCH - 1), lambda: changed(epoch=0)],
    "other-seed": [lambda: changed(seed=bytes(32))],
    "not-member": [
        lambda: changed(auditor=node(999)),
        lambda: changed(nonce=body_of(view(), alice()).nonce + 1),
    ],
    "unassigned": [
        lambda: changed(rows=()),
        lambda: changed(rows=body_of(view(), alice()).rows[1:]),
        lambda: changed(rows=body_of(view(), alice()).rows[::-1]),
        lambda: changed(rows=body_of(view(), alice()).rows * 2),
        lambda: with_row(target=alice()),
    ],
    "wrong-rounds": [
        lambda: with_row(outcomes=b""),
        lambda: with_row(outcomes=body_of(view(), alice()).rows[0].outcomes + b"\1"),
    ],
    "unknown-outcome": [lambda: with_row(outcomes=outcomes_of_first_row(6, 1))],
    "too-many-declared": [
        lambda: with_row(
            outcomes=outcomes_of_first_row(Outcome.DECLARED, MINIMAL.declared_rounds_max + 1)
        )
    ],
    "bad-median": [lambda: with_row(median_ms=MINIMAL.probe_window_ms + 1)],
    "bad-signature": [
        signed_by_mallory,
        lambda: encode(Envelope(body=encode(body_of(view(), alice())), signature=bytes(64))),
        lambda: encode(Envelope(body=encode(body_of(view(), alice())), signature=b"\xff" * 64)),
    ],
}
"""Frames that are wrong in one way each, by the reason they are judged with."""

OUTSIDE_THE_FRAME = {"duplicate", "not-ready", "other-epoch"}
"""Reasons that lie in who judges; each has a test of its own below."""


def test_every_reason_of_the_specification_is_produced_here() -> None:
    assert FRAMES.keys() | OUTSIDE_THE_FRAME == JUDGEMENTS.keys()


@pytest.mark.parametrize("reason", FRAMES)
def test_a_wrong_batch_gets_the_judgement_of_its_reason(reason: str) -> None:
    for make in FRAMES[reason]:
        assert judged(make()) == (JUDGEMENTS[reason], reason)


@pytest.mark.parametrize(
    "reason", ["malformed", "foreign-network", "unassigned", "wrong-rounds", "bad-signature"]
)
def test_what_no_honest_peer_sends_is_rejected(reason: str) -> None:
    assert JUDGEMENTS[reason] is Judgement.REJECT


@pytest.mark.parametrize(
    "reason", ["early", "late", "duplicate", "not-ready", "other-seed", "unknown-version"]
)
def test_what_an_honest_peer_may_send_is_ignored(reason: str) -> None:
    assert JUDGEMENTS[reason] is Judgement.IGNORE


def test_a_right_batch_is_accepted() -> None:
    for member in view().roster.members:
        assert judged(batch_of(view(), member.node).frame) == (Judgement.ACCEPT, "")


def test_a_batch_at_every_limit_is_accepted() -> None:
    declared = outcomes_of_first_row(Outcome.DECLARED, MINIMAL.declared_rounds_max)
    frame = with_row(outcomes=declared, median_ms=MINIMAL.probe_window_ms)
    assert judged(frame) == (Judgement.ACCEPT, "")


def test_a_batch_is_accepted_from_one_round_before_the_epoch_ends_until_it_is_sealed() -> None:
    frame = batch_of(view(), alice()).frame
    judgements = {r: judged(frame, last_due=r)[1] for r in range(LAST - 3, SEAL + 3)}
    expected = {
        r: "early" if r < LAST - 1 else "late" if r > SEAL else ""
        for r in range(LAST - 3, SEAL + 3)
    }
    assert judgements == expected


def test_a_batch_replayed_is_a_duplicate_whatever_its_signature() -> None:
    batch = batch_of(view(), alice())
    resigned = encode(Envelope(body=encode(batch.body), signature=bytes(64)))
    for frame in (batch.frame, resigned):
        assert judged(frame, known=(batch.id,)) == (Judgement.IGNORE, "duplicate")


def test_a_batch_of_an_epoch_not_yet_known_is_ignored() -> None:
    frame = batch_of(view(), alice()).frame
    assert judged(frame, is_ready=False) == (Judgement.IGNORE, "not-ready")


def test_a_batch_checked_against_another_epoch_is_ignored() -> None:
    with pytest.raises(ProtocolError, match=r"^other-epoch: 3$"):
        check_batch(batch_of(view(), alice()), view_of(view().roster, epoch=Epoch(EPOCH + 1)))
    assert JUDGEMENTS["other-epoch"] is Judgement.IGNORE


def test_a_batch_checked_against_another_network_is_foreign() -> None:
    other = view_of(view().roster, network=NetworkId(bytes(32)))
    with pytest.raises(ProtocolError, match=r"^foreign-network$"):
        check_batch(batch_of(view(), alice()), other)


def test_a_batch_of_another_operators_registration_of_the_same_key_is_refused() -> None:
    frame = changed(nonce=body_of(view(), alice()).nonce + 1)
    assert judged(frame) == (Judgement.REJECT, "not-member")


def test_a_read_batch_knows_its_id_auditor_and_epoch() -> None:
    made = batch_of(view(), alice())
    batch = read_batch(made.frame)
    assert batch == made
    assert batch.id == sha256(encode(batch.body))
    assert (batch.auditor, batch.epoch) == (alice(), EPOCH)


def test_two_batches_of_one_auditor_differ_in_id() -> None:
    assert batch_of(view(), alice()).id != batch_of(view(), alice(), salt=1).id


def test_a_duty_computed_alone_equals_the_one_computed_with_all() -> None:
    together = view_of(view().roster)
    together.prepare()
    for member in view().roster.members:
        assert together.duty(member.node) == view().duty(member.node)
    assert together.duty(node(999)) == NO_DUTY


def test_the_largest_batch_of_a_preset_fits_a_message_and_its_own_bound() -> None:
    for params in (MINIMAL, MAINNET):
        rows = tuple(
            Row(
                target=bytes([i]) * 32,
                outcomes=bytes(params.rounds_per_epoch),
                median_ms=params.probe_window_ms,
            )
            for i in range(params.candidates)
        )
        body = BatchBody(
            version=1,
            network=bytes(32),
            epoch=(1 << 63) - 1,
            auditor=bytes(32),
            nonce=(1 << 63) - 1,
            seed=bytes(32),
            rows=rows,
            receipts_root=bytes(32),
        )
        frame = sign_batch(secret(0), body).frame
        assert len(frame) <= params.batch_bytes_max <= FRAME_BYTES_MAX
        assert read_batch(frame).body == body


@given(st.integers(0, 1_000_000))
def test_targets_are_drawn_in_the_rounds_their_hash_says(draw_ppm: int) -> None:
    params = replace(MINIMAL, draw_ppm=Ppm(draw_ppm))
    targets = [node(i) for i in range(5)]
    values = {Round(r): randomness(r) for r in (9, 4, 7)}
    drawn = drawn_rounds(targets, values, params)
    for target in targets:
        expected = [
            r
            for r in (4, 7, 9)
            if int.from_bytes(sha256(b"stkr/draw/1", randomness(r), target)[:4], "big") * 1_000_000
            < params.draw_ppm << 32
        ]
        assert list(drawn[target]) == expected


@given(st.lists(st.integers(0, 3000), max_size=9))
def test_a_median_is_the_lower_of_the_middle_two(latencies_ms: list[int]) -> None:
    median = median_ms(latencies_ms)
    if not latencies_ms:
        assert median == 0
    else:
        assert 2 * sum(x < median for x in latencies_ms) < len(latencies_ms) + 1
        assert 2 * sum(x <= median for x in latencies_ms) >= len(latencies_ms)
        assert median in latencies_ms
