"""The protocol's numbers: what a network's members must agree on, and the two presets.

`MINIMAL` is for local networks (an epoch takes 12 seconds), `MAINNET` for public ones (an hour).
The same numbers stand in `protocols/presets/*.json` and in the table of `protocols/README.md`; a
test keeps the three equal. Names end with their unit.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

from stkrp2p.core.types import ONE_PPM, Ppm

LAMBDA_ONE = 1 << 32
"""The value 1 in the fixed point of `decay_q32`."""

K_AUD_MAX = 15
"""Most auditors one target may have: two counts up to 15 share a byte in `verdict.py`."""

CANDIDATES_MAX = 32
"""Most candidates of one target, and so most targets of one auditor: rows of a batch."""

EPOCH_ROUNDS_MAX = 4096
"""Most rounds of an epoch, and so most outcomes of one row."""

BATCH_BYTES_MAX = 40 * 1024
"""Largest batch a preset may lead to: it fits every message that carries batches."""

NODES_MAX = 1 << 20
"""Most members of one roster; bounds bitmaps and tables that peers send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """One preset: every number that changes what is signed, drawn or scored."""

    period_ms: int
    """From one beacon round to the next."""

    rounds_per_epoch: int
    """Length of an epoch."""

    settle_rounds: int
    """After an epoch's last round, how long its batches may travel before it is sealed."""

    k_aud: int
    """Auditors of each target; odd, so that full committees never tie."""

    candidates: int
    """Places on the circle a target's auditors are taken from; more than `k_aud` leaves spares
    for those excluded by the operator rule (Q19)."""

    draw_ppm: Ppm
    """Chance that a target is audited in a round."""

    probe_tries: int
    """Questions an auditor asks before it reports UNREACHABLE."""

    probe_window_ms: int
    """Time from a round's arrival to the last answer that counts."""

    declared_rounds_max: int
    """Rounds of an epoch a target may declare as maintenance."""

    decay_q32: int
    """Share of a score's counts that survives an epoch, in 1/2^32."""

    design_effect: int
    """Observations that weigh as one independent one: rounds of one outage are not independent."""

    tenure_epochs: int
    """Age at which a member's reliability reaches half of what its uptime allows."""

    vetting_epochs: int
    """Age until which a member counts as vetting."""

    floor_ppm: Ppm
    """Uptime below which, with `leeway_ppm`, a member goes to probation (R61)."""

    leeway_ppm: Ppm
    """How far below the median uptime a member must also be."""

    probation_epochs: int
    """Epochs of probation before suspension."""

    suspension_epochs: int
    """Length of a suspension."""

    retain_epochs: int
    """Epochs whose full evidence a full node keeps; a light one keeps two."""

    def __post_init__(self) -> None:
        """Refuse numbers the protocol cannot work with."""
        if self.k_aud % 2 == 0 or not 0 < self.k_aud <= K_AUD_MAX:
            raise ValueError(f"k_aud must be odd and at most {K_AUD_MAX}, got {self.k_aud}")
        if not self.k_aud <= self.candidates <= CANDIDATES_MAX:
            raise ValueError(
                f"candidates must be from k_aud to {CANDIDATES_MAX}, got {self.candidates}"
            )
        if not 0 <= self.draw_ppm <= ONE_PPM:
            raise ValueError(f"draw_ppm must be from 0 to {ONE_PPM}, got {self.draw_ppm}")
        if not 0 < self.decay_q32 < LAMBDA_ONE:
            raise ValueError(f"decay_q32 must be inside (0, 2**32), got {self.decay_q32}")
        if min(astuple(self)) < 0 or min(self.period_ms, self.rounds_per_epoch) < 1:
            raise ValueError("parameters must not be negative, periods and epochs not empty")
        if self.design_effect < 1:
            raise ValueError("design_effect must be positive, got 0")
        if self.rounds_per_epoch > EPOCH_ROUNDS_MAX or self.batch_bytes_max > BATCH_BYTES_MAX:
            raise ValueError(
                f"an epoch has at most {EPOCH_ROUNDS_MAX} rounds, and its largest batch at most"
                f" {BATCH_BYTES_MAX} bytes, got {self.rounds_per_epoch} and {self.batch_bytes_max}"
            )

    @property
    def epoch_ms(self) -> int:
        """Length of an epoch in milliseconds."""
        return self.period_ms * self.rounds_per_epoch

    @property
    def batch_bytes_max(self) -> int:
        """Bound on a valid batch: every candidate a row, every round drawn, and all the rest."""
        return 256 + self.candidates * (48 + self.rounds_per_epoch)


MINIMAL = Params(
    period_ms=1_000,
    rounds_per_epoch=12,
    settle_rounds=4,
    k_aud=3,
    candidates=6,
    draw_ppm=Ppm(500_000),
    probe_tries=3,
    probe_window_ms=800,
    declared_rounds_max=3,
    decay_q32=3_865_470_566,  # floor(0.9 * 2**32): half is forgotten in 6.6 epochs
    design_effect=1,
    tenure_epochs=2,
    vetting_epochs=2,
    floor_ppm=Ppm(600_000),
    leeway_ppm=Ppm(200_000),
    probation_epochs=3,
    suspension_epochs=5,
    retain_epochs=64,
)

MAINNET = Params(
    period_ms=3_000,
    rounds_per_epoch=1_200,
    settle_rounds=100,
    k_aud=9,
    candidates=18,
    draw_ppm=Ppm(10_000),
    probe_tries=3,
    probe_window_ms=2_500,
    declared_rounds_max=4,
    decay_q32=4_289_525_572,  # floor(0.998733 * 2**32): half is forgotten in 22.8 days
    design_effect=48,  # 288 audits a day tell as much as 6 independent ones
    tenure_epochs=720,
    vetting_epochs=168,
    floor_ppm=Ppm(600_000),
    leeway_ppm=Ppm(200_000),
    probation_epochs=24,
    suspension_epochs=168,
    retain_epochs=168,
)

PRESETS = {"minimal": MINIMAL, "mainnet": MAINNET}
