"""Challenges and bonds as the contract `ReputationAnchor` takes and tells them."""

from __future__ import annotations

from dataclasses import dataclass

from stkrp2p.core.anchor import Header
from stkrp2p.core.fraud import Challenge, Shown, duty_max
from stkrp2p.core.merkle import words_in
from stkrp2p.core.params import Params

ANKR = 10**18
"""ANKR wei of one ANKR."""

BURNT = bytes.fromhex("dead".rjust(40, "0"))
"""An address whose key nobody has."""

RIGHT = 255
"""What the contract says of a score with which nothing is wrong."""

_NO_HEADER = (0, *[bytes(32)] * 4, 0, False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What an anchor is worth, and what showing that it is wrong. Amounts are in ANKR wei."""

    bond_min: int = 0
    """Least sum of the governors' bonds with which anything is anchored."""

    deposit: int = 1_000 * ANKR
    """What the challenge of a right score costs."""

    slash_bps: int = 5_000
    """Share of the bonds that a wrong score costs, in 1/10,000; at most 9,000."""

    reward_bps: int = 2_000
    """Share of that for the challenger, in 1/10,000; at most 5,000."""

    challenge_s: int = 3_600
    """How long after it was anchored an epoch may be challenged."""

    sink: bytes = BURNT
    """Address that gets the rest, 20 bytes."""


def policy_fields(policy: Policy) -> tuple[object, ...]:
    """Return a policy as the contract takes it."""
    amounts = (policy.bond_min, policy.deposit)
    return (*amounts, policy.slash_bps, policy.reward_bps, policy.challenge_s, policy.sink)


def policy_of(fields: tuple[int, int, int, int, int, str]) -> Policy:
    """Return a policy from what the contract tells."""
    bond_min, deposit, slash_bps, reward_bps, challenge_s, sink = fields
    return Policy(
        bond_min=bond_min,
        deposit=deposit,
        slash_bps=slash_bps,
        reward_bps=reward_bps,
        challenge_s=challenge_s,
        sink=bytes.fromhex(sink.removeprefix("0x")),
    )


def scoring_fields(params: Params) -> tuple[int, ...]:
    """Return a preset's numbers that scores depend on, as the contract takes and tells them."""
    return (
        params.decay_q32,
        params.design_effect,
        params.tenure_epochs,
        params.vetting_epochs,
        params.floor_ppm,
        params.leeway_ppm,
        params.probation_epochs,
        params.suspension_epochs,
        duty_max(params),
    )


def header_fields(header: Header) -> tuple[object, ...]:
    """Return a header as the contract takes it."""
    roots = (header.roster_root, header.proposal_hash, header.evidence_root, header.score_root)
    return (header.epoch, *roots, header.median_ppm, header.is_void)


def challenge_fields(challenge: Challenge) -> tuple[object, ...]:
    """Return a challenge as the contract takes it."""
    before = challenge.before
    return (
        header_fields(challenge.header),
        _NO_HEADER if before is None else header_fields(before),
        _leaf(challenge.score),
        _leaf(challenge.old),
        [_leaf(shown) for shown in challenge.newcomer],
        _leaf(challenge.evidence),
        challenge.matrix,
        _leaf(challenge.light),
        [_leaf(shown) for shown in challenge.stranger],
    )


def _leaf(shown: Shown | None) -> tuple[list[bytes], list[bytes]]:
    if shown is None:
        return [], []
    return words_in(shown.leaf), list(shown.proof)
