"""What the council's keys cost: making them, signing with them, and checking many rounds at once.

Times are processor times of this process, medians; what is compared is measured in turns. Each figure
stands beside what it cannot do without: pairings, hashes to the curve, multiplications of points.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random  # noqa: TID251  # seeded: every run measures the same work
from time import process_time

from stkrp2p.core import bls
from stkrp2p.core.beacon import Beacon, round_message, verified, verified_many
from stkrp2p.core.crypto import Secret, node_id_of, sha256
from stkrp2p.core.deal import Ceremony, Dealer, Receiver, check_deal, deal_of, hash_of_deal
from stkrp2p.core.dkg import Posts, complaints_of, conclude, own_share
from stkrp2p.core.group import GovernorShare, Purpose, combine, is_partial, partial_sign
from stkrp2p.core.types import NodeId, Round, UnixMs
from stkrp2p.core.wire import encode
from testnet.bench.figures import Figure, Report, Sense

SIZES = (5, 7, 15, 31)
QUICK_SIZES = (3,)
ROUNDS = 1_000
ROUNDS_PER_S_MIN = 1_000.0
TURNS = 9
_MS = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What one key generation costs each governor."""

    governors: int
    deal_ms: float
    check_ms: float
    """Every deal: its commitments, its proofs, and our shares in it."""

    conclude_ms: float
    """From board and deals to the group and our share."""

    deal_bytes: int

    @property
    def node_ms(self) -> float:
        """All of it."""
        return self.deal_ms + self.check_ms + self.conclude_ms

    @property
    def node_bytes(self) -> int:
        """What a governor sends if everybody asks it for its deal."""
        return self.deal_bytes * (self.governors - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What one signature of a group costs."""

    governors: int
    sign_ms: float
    verify_ms: float
    combine_ms: float
    """Of t partials, with the check of what comes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaughtUp:
    """Checking many rounds at once against one by one."""

    rounds: int
    together_per_s: float
    singly_per_s: float


def cpu_ms(work: Callable[[], object], turns: int = TURNS) -> float:
    """Return the median processor time of a piece of work, in milliseconds."""
    taken = []
    for _ in range(turns):
        began = process_time()
        work()
        taken.append(process_time() - began)
    return _MS * statistics.median(taken)


def make_keys(governors: int) -> tuple[Made, list[GovernorShare]]:
    """Run a whole key generation in this process, and time one governor's part."""
    rng = Random(governors)
    secrets = [rng.randbytes(32) for _ in range(governors)]
    nodes = tuple(NodeId(node_id_of(s)) for s in secrets)
    ceremony = Ceremony(chain_id=1, contract=bytes(20), session=1, dealers=nodes, receivers=nodes)
    dealers = [
        Dealer(ceremony=ceremony, index=i, seed=Secret(rng.randbytes(32))) for i in range(governors)
    ]
    bodies = {d.index: encode(deal_of(d)) for d in dealers}
    deals = {i: hash_of_deal(body) for i, body in bodies.items()}
    dealt = Posts(deals=deals, complaints={}, justifications={})
    receivers = [Receiver(ceremony=ceremony, secret=Secret(s)) for s in secrets]
    first = receivers[0]
    done = Posts(deals=deals, complaints=dict.fromkeys(range(governors), 0), justifications={})

    def finish() -> GovernorShare | None:
        return own_share(first, done, conclude(ceremony, done, bodies))

    made = Made(
        governors=governors,
        deal_ms=cpu_ms(lambda: deal_of(dealers[0]), 3),
        check_ms=cpu_ms(lambda: complaints_of(first, dealt, bodies), 1),
        conclude_ms=cpu_ms(finish, 1),
        deal_bytes=len(bodies[0]),
    )
    check_deal(ceremony, 0, deals[0], bodies[0])
    conclusion = conclude(ceremony, done, bodies)
    shares = [own_share(r, done, conclusion) for r in receivers]
    return made, [s for s in shares if s is not None]


def sign(shares: list[GovernorShare]) -> Signed:
    """Time a partial, its check, and the combination of t of them."""
    group, message = shares[0].group, sha256(b"bench")
    partials = {
        s.index: partial_sign(s, Purpose.BEACON, message) for s in shares[: group.threshold]
    }
    return Signed(
        governors=len(shares),
        sign_ms=cpu_ms(lambda: partial_sign(shares[0], Purpose.BEACON, message)),
        verify_ms=cpu_ms(lambda: is_partial(group, Purpose.BEACON, 0, message, partials[0])),
        combine_ms=cpu_ms(lambda: combine(group, Purpose.BEACON, partials, message)),
    )


def catch_up(count: int) -> CaughtUp:
    """Time the check of so many rounds, together and one by one."""
    secret = bls.secret_of(Random(1).randbytes(48))
    beacon = Beacon(public_key=bls.public_key_of(secret), genesis_ms=UnixMs(0), period_ms=1_000)
    rounds = [
        (Round(n), bls.sign(secret, round_message(Round(n)), bls.ROUND_DST))
        for n in range(1, count + 1)
    ]
    some = rounds[: max(1, count // 5)]
    together_ms = cpu_ms(lambda: verified_many(beacon, rounds), 3)
    singly_ms = cpu_ms(lambda: [verified(beacon, *one) for one in some], 3)
    return CaughtUp(
        rounds=count,
        together_per_s=round(count / together_ms * _MS),
        singly_per_s=round(len(some) / singly_ms * _MS),
    )


def hash_and_scale_ms() -> float:
    """Return the processor time of what one round's check cannot do without.

    A hash to the curve, a signature's decoding with its subgroup check, and a multiplication each of
    hash and signature: what a random combination takes.
    """
    secret = bls.secret_of(Random(2).randbytes(48))
    message = sha256(b"bench")
    return cpu_ms(lambda: bls.sign(secret, message, bls.ROUND_DST))


def measure(*, is_quick: bool) -> Report:
    """Measure key generation at several sizes, signing, and catching up."""
    sizes = QUICK_SIZES if is_quick else SIZES
    made, signed = [], []
    for governors in sizes:
        one, shares = make_keys(governors)
        made.append(one)
        signed.append(sign(shares))
    caught = catch_up(50 if is_quick else ROUNDS)
    figures = [_made_figure(m) for m in made]
    figures += [figure for s in signed for figure in _signed_figures(s)]
    figures.append(
        Figure(
            name=f"check of {caught.rounds:,} rounds to catch up",
            measured=caught.together_per_s,
            unit="rounds/s",
            sense=Sense.AT_LEAST,
            aim=ROUNDS_PER_S_MIN,
            limit=round(_MS / hash_and_scale_ms()),
            limit_is=f"a hash and a multiplication each; singly {caught.singly_per_s:,.0f}",
        )
    )
    detail: dict[str, object] = {
        "made": [{**asdict(m), "node_ms": m.node_ms, "node_bytes": m.node_bytes} for m in made],
        "signed": [asdict(s) for s in signed],
        "caught_up": asdict(caught),
    }
    return Report(figures=tuple(figures), detail=detail)


def _made_figure(made: Made) -> Figure:
    return Figure(
        name=f"key generation of {made.governors}, a node's part",
        measured=made.node_ms,
        unit="ms",
        limit_is=f"deals {made.deal_bytes:,} B, sends {made.node_bytes:,} B",
    )


def _signed_figures(signed: Signed) -> list[Figure]:
    of = f"of {signed.governors}"
    return [
        Figure(name=f"partial {of}: sign", measured=signed.sign_ms, unit="ms"),
        Figure(name=f"partial {of}: check", measured=signed.verify_ms, unit="ms"),
        Figure(
            name=f"t partials {of}: combine and check",
            measured=signed.combine_ms,
            unit="ms",
            limit=signed.verify_ms,
            limit_is="one check",
        ),
    ]
