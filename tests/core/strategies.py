"""Builders and Hypothesis strategies for what the core works on: rosters, views, batches.

Builders are functions of small numbers: `secret(3)` is always the same key, so examples stay small
and failures can be repeated. Anything that signs is cached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from hypothesis import strategies as st

from stkrp2p.core import bls, threshold
from stkrp2p.core.assignment import seed_of
from stkrp2p.core.batch import Batch, BatchBody, EpochView, Row, drawn_rounds, sign_batch
from stkrp2p.core.beacon import EpochClock
from stkrp2p.core.crypto import Secret, node_id_of, sha256
from stkrp2p.core.group import GovernorShare, Group, Purpose, threshold_of
from stkrp2p.core.params import MINIMAL, Params
from stkrp2p.core.roster import Member, Roster
from stkrp2p.core.types import (
    Digest,
    Epoch,
    Kind,
    NetworkId,
    NodeId,
    Operator,
    Outcome,
    Round,
)

NETWORK = NetworkId(sha256(b"a test network"))
EPOCH = Epoch(3)
FIRST_ROUND = Round(101)
CLOCK = EpochClock(first_round=FIRST_ROUND, params=MINIMAL)

Seer = Callable[[NodeId, int], Outcome]
"""What is seen of (target, position of the drawn round)."""


@cache
def secret(number: int) -> bytes:
    """Return the Ed25519 secret of test node `number`."""
    return sha256(b"secret", number.to_bytes(4, "big"))


@cache
def node(number: int) -> NodeId:
    """Return the id of test node `number`."""
    return node_id_of(secret(number))


@cache
def secret_of_node(of: NodeId) -> bytes:
    """Return the secret of one of the first 4,096 test nodes."""
    return next(secret(i) for i in range(4096) if node(i) == of)


def operator(number: int) -> Operator:
    """Return the address of test operator `number`."""
    return Operator(sha256(b"operator", number.to_bytes(4, "big"))[:20])


def member(number: int, *, kind: Kind = Kind.FULL, run_by: int | None = None) -> Member:
    """Return test node `number` as a member; its operator has the same number unless said."""
    return Member(
        node=node(number),
        nonce=number % 3,
        operator=operator(number if run_by is None else run_by),
        kind=kind,
        stake=10**20 + number,
    )


def roster_from(kinds: Sequence[Kind], operators: Sequence[int] | None = None) -> Roster:
    """Return a roster of test nodes 0, 1, … with these kinds and operators."""
    run_by = range(len(kinds)) if operators is None else operators
    members = (
        member(i, kind=kind, run_by=o)
        for i, (kind, o) in enumerate(zip(kinds, run_by, strict=True))
    )
    return Roster(tuple(sorted(members)))


def roster_of_size(full: int, light: int = 0) -> Roster:
    """Return a roster whose members all have operators of their own."""
    return roster_from([Kind.FULL] * full + [Kind.LIGHT] * light)


def randomness(number: int) -> Digest:
    """Return made-up randomness for a round."""
    return sha256(b"randomness", number.to_bytes(8, "big"))


def view_of(
    roster: Roster,
    *,
    params: Params = MINIMAL,
    epoch: Epoch = EPOCH,
    network: NetworkId = NETWORK,
    first_round: Round = FIRST_ROUND,
) -> EpochView:
    """Return a complete epoch of a roster, its rounds' randomness made up."""
    clock = EpochClock(first_round=first_round, params=params)
    values = {Round(r): randomness(r) for r in clock.rounds(epoch)}
    return EpochView(
        network=network,
        epoch=epoch,
        seed=seed_of(network, epoch, values[clock.first(epoch)], roster.root),
        roster=roster,
        params=params,
        drawn=drawn_rounds((m.node for m in roster.full), values, params),
    )


def all_ok(_target: NodeId, _position: int) -> Outcome:
    """See everybody up."""
    return Outcome.OK


def body_of(view: EpochView, auditor: NodeId, *, sees: Seer = all_ok, salt: int = 0) -> BatchBody:
    """Return a valid body; another `salt` makes another batch of the same observations."""
    duty = view.duty(auditor)
    rows = tuple(
        Row(target=t, outcomes=bytes(sees(t, i) for i in range(count)), median_ms=7)
        for t, count in zip(duty.targets, duty.counts, strict=True)
    )
    return BatchBody(
        version=1,
        network=view.network,
        epoch=view.epoch,
        auditor=auditor,
        nonce=duty.nonce or 0,
        seed=view.seed,
        rows=rows,
        receipts_root=sha256(b"receipts", bytes([salt])),
    )


def batch_of(view: EpochView, auditor: NodeId, *, sees: Seer = all_ok, salt: int = 0) -> Batch:
    """Return a valid, signed batch."""
    return sign_batch(secret_of_node(auditor), body_of(view, auditor, sees=sees, salt=salt))


@st.composite
def rosters(draw: st.DrawFn, *, size_max: int = 40, operators_max: int = 40) -> Roster:
    """Draw a roster of full and light members who may share operators."""
    kinds = draw(st.lists(st.sampled_from(Kind), min_size=1, max_size=size_max))
    owners = st.integers(0, operators_max - 1)
    return roster_from(kinds, draw(st.lists(owners, min_size=len(kinds), max_size=len(kinds))))


def outcomes(rounds: int) -> st.SearchStrategy[bytes]:
    """Draw one auditor's outcomes of one target."""
    seen = st.lists(st.sampled_from(Outcome), min_size=rounds, max_size=rounds)
    return seen.map(bytes)


digests = st.binary(min_size=32, max_size=32).map(Digest)


@cache
def dealt(governors: int, salt: int = 0) -> tuple[GovernorShare, ...]:
    """Return the shares of a group of test nodes, as one trusted dealer would hand them out.

    Another `salt` makes other keys.
    """
    t = threshold_of(governors)
    seeds = [[sha256(bytes([salt, p, k])) * 2 for k in range(t)] for p in Purpose]
    polynomials = [[bls.secret_of(seed) for seed in row] for row in seeds]
    group = Group(
        session=salt,
        governors=tuple(node(i) for i in range(governors)),
        commitments=tuple(tuple(map(bls.public_key_of, row)) for row in polynomials),
    )
    return tuple(
        GovernorShare(group, i, tuple(secret_at(row, i) for row in polynomials))
        for i in range(governors)
    )


def secret_at(polynomial: Sequence[int], index: int) -> Secret:
    """Return what the governor at a place holds of a polynomial."""
    return threshold.secret_of_scalar(threshold.value_at(polynomial, index + 1))
