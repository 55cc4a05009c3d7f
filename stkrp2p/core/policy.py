"""The numbers that governors set, each with its unit and bounds, and the two presets (R19, R42, R55).

The contract `Policy` holds them and keeps the bounds: `Parameter` is its enum, in the same order. What
each is for, and why its bounds are where they are, is in `protocols/policy.md`. `MINIMAL` is what local
networks are deployed with, `MAINNET` public ones; the same numbers stand in
`protocols/presets/policy-*.json`, and tests keep text, code, files and contract equal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from stkrp2p.core.economics import HOUR_S, UNIT
from stkrp2p.core.types import ONE_BPS

DAY_S = 24 * HOUR_S

_SHARES_BPS_MAX = 5_000


class Parameter(IntEnum):
    """A number that governors set, by its place in the contract."""

    REWARD_BPS = 0
    INSURANCE_BPS = 1
    STAKE_MIN = 2
    STAKE_MAX = 3
    PROVIDER_PRICE_MAX = 4
    BID_BOND = 5
    CHALLENGE_BOND = 6
    K_ETH_UNTRUSTED = 7
    USD_PER_CORE_HOUR = 8
    USD_PER_RAM_GB_HOUR = 9
    USD_PER_STORAGE_GB_HOUR = 10
    USD_PER_MBPS_HOUR = 11
    PROFIT_BPS_PER_YEAR = 12
    COMMIT_S = 13
    REVEAL_S = 14
    DRAW_S = 15
    CHOICE_S = 16
    FUND_S = 17
    START_S = 18
    REVIEW_S = 19
    DISPUTE_S = 20
    ANSWER_S = 21
    UNBOND_S = 22
    DISQUALIFY_S = 23
    FAIL_BELOW_PPM = 24
    DISQUALIFY_BELOW_PPM = 25
    PRICE_AGE_S_MAX = 26
    PRICE_MOVE_BPS_MAX = 27
    PRICE_CONFIRM_S = 28
    COUNCIL_N = 29
    GOVERNOR_STAKE_MIN = 30
    VOTING_S = 31
    QUORUM_BPS = 32
    REFERENDUM_QUORUM_BPS = 33
    MISSED_VOTES_MAX = 34
    ABSENCE_SLASH_BPS = 35
    ELECTION_S = 36

    @property
    def label(self) -> str:
        """The name in the contract and in files, such as `RewardBps`."""
        return "".join(word.capitalize() for word in self.name.split("_"))


class Unit(StrEnum):
    """What a number counts."""

    WEI_ANKR = "wei ANKR"
    WEI_ETH = "wei ETH"
    USD_PER_HOUR = "10^-18 USD per hour"
    BPS = "bps"
    PPM = "ppm"
    SECONDS = "seconds"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Spec:
    """What a parameter may be."""

    unit: Unit
    least: int
    most: int

    def require(self, parameter: Parameter, value: int) -> None:
        """Refuse a value outside the bounds.

        Raises:
            ValueError: It is.
        """
        if not self.least <= value <= self.most:
            bounds = f"from {self.least} to {self.most} {self.unit}"
            raise ValueError(f"{parameter.label} must be {bounds}, got {value}")


SPECS = {
    Parameter.REWARD_BPS: Spec(Unit.BPS, 0, 5_000),
    Parameter.INSURANCE_BPS: Spec(Unit.BPS, 0, 5_000),
    Parameter.STAKE_MIN: Spec(Unit.WEI_ANKR, UNIT, 100_000_000 * UNIT),
    Parameter.STAKE_MAX: Spec(Unit.WEI_ANKR, UNIT, 1_000_000_000 * UNIT),
    Parameter.PROVIDER_PRICE_MAX: Spec(Unit.WEI_ANKR, UNIT, 100_000_000 * UNIT),
    Parameter.BID_BOND: Spec(Unit.WEI_ANKR, UNIT, 10_000 * UNIT),
    Parameter.CHALLENGE_BOND: Spec(Unit.WEI_ANKR, UNIT, 10_000 * UNIT),
    Parameter.K_ETH_UNTRUSTED: Spec(Unit.WEI_ETH, 16 * UNIT, 32 * UNIT),
    Parameter.USD_PER_CORE_HOUR: Spec(Unit.USD_PER_HOUR, 1, 1_000 * UNIT),
    Parameter.USD_PER_RAM_GB_HOUR: Spec(Unit.USD_PER_HOUR, 1, 1_000 * UNIT),
    Parameter.USD_PER_STORAGE_GB_HOUR: Spec(Unit.USD_PER_HOUR, 1, 1_000 * UNIT),
    Parameter.USD_PER_MBPS_HOUR: Spec(Unit.USD_PER_HOUR, 1, 1_000 * UNIT),
    Parameter.PROFIT_BPS_PER_YEAR: Spec(Unit.BPS, 0, 10_000),
    Parameter.COMMIT_S: Spec(Unit.SECONDS, 1, 7 * DAY_S),
    Parameter.REVEAL_S: Spec(Unit.SECONDS, 1, 7 * DAY_S),
    Parameter.DRAW_S: Spec(Unit.SECONDS, 1, 7 * DAY_S),
    Parameter.CHOICE_S: Spec(Unit.SECONDS, 1, 7 * DAY_S),
    Parameter.FUND_S: Spec(Unit.SECONDS, 1, 30 * DAY_S),
    Parameter.START_S: Spec(Unit.SECONDS, 1, 30 * DAY_S),
    Parameter.REVIEW_S: Spec(Unit.SECONDS, 1, 30 * DAY_S),
    Parameter.DISPUTE_S: Spec(Unit.SECONDS, 1, 90 * DAY_S),
    Parameter.ANSWER_S: Spec(Unit.SECONDS, 1, 30 * DAY_S),
    Parameter.UNBOND_S: Spec(Unit.SECONDS, 1, 365 * DAY_S),
    Parameter.DISQUALIFY_S: Spec(Unit.SECONDS, 1, 365 * DAY_S),
    Parameter.FAIL_BELOW_PPM: Spec(Unit.PPM, 100_000, 950_000),
    Parameter.DISQUALIFY_BELOW_PPM: Spec(Unit.PPM, 100_000, 950_000),
    Parameter.PRICE_AGE_S_MAX: Spec(Unit.SECONDS, 60, 7 * DAY_S),
    Parameter.PRICE_MOVE_BPS_MAX: Spec(Unit.BPS, 100, 5_000),
    Parameter.PRICE_CONFIRM_S: Spec(Unit.SECONDS, 1, DAY_S),
    Parameter.COUNCIL_N: Spec(Unit.COUNT, 1, 31),
    Parameter.GOVERNOR_STAKE_MIN: Spec(Unit.WEI_ANKR, UNIT, 100_000_000 * UNIT),
    Parameter.VOTING_S: Spec(Unit.SECONDS, 1, 30 * DAY_S),
    Parameter.QUORUM_BPS: Spec(Unit.BPS, 2_000, 8_000),
    Parameter.REFERENDUM_QUORUM_BPS: Spec(Unit.BPS, 100, 5_000),
    Parameter.MISSED_VOTES_MAX: Spec(Unit.COUNT, 1, 10),
    Parameter.ABSENCE_SLASH_BPS: Spec(Unit.BPS, 1, 5_000),
    Parameter.ELECTION_S: Spec(Unit.SECONDS, 1, 30 * DAY_S),
}
"""What each may be, as the contract's `Specs.sol` has it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All numbers of a policy as it is deployed, and the split of its reward pool.

    Raises:
        ValueError: One is missing or outside its bounds, or they do not go together.
    """

    parameters: Mapping[Parameter, int]
    distribution: tuple[int, int, int, int]
    """Basis points for governance, providers and requesters, stakers, development (R54)."""

    def __post_init__(self) -> None:
        """Refuse what the contract would refuse."""
        if self.parameters.keys() != SPECS.keys():
            raise ValueError(f"a policy has {len(SPECS)} numbers, got {len(self.parameters)}")
        for parameter, value in self.parameters.items():
            SPECS[parameter].require(parameter, value)
        shares = self.parameters[Parameter.REWARD_BPS] + self.parameters[Parameter.INSURANCE_BPS]
        if shares > _SHARES_BPS_MAX:
            raise ValueError(f"the pools take at most {_SHARES_BPS_MAX} bps, got {shares}")
        if self.parameters[Parameter.STAKE_MIN] > self.parameters[Parameter.STAKE_MAX]:
            raise ValueError("StakeMin must not be above StakeMax")
        if min(self.distribution) < 0 or sum(self.distribution) != ONE_BPS:
            raise ValueError(f"shares must sum to {ONE_BPS} bps, got {self.distribution}")

    @property
    def values(self) -> list[int]:
        """The numbers in the contract's order, as its constructor takes them."""
        return [self.parameters[parameter] for parameter in Parameter]


MINIMAL = Policy(
    {
        Parameter.REWARD_BPS: 1_000,
        Parameter.INSURANCE_BPS: 1_000,
        Parameter.STAKE_MIN: 1_000 * UNIT,
        Parameter.STAKE_MAX: 10_000 * UNIT,
        Parameter.PROVIDER_PRICE_MAX: 10_000 * UNIT,
        Parameter.BID_BOND: 10 * UNIT,
        Parameter.CHALLENGE_BOND: 10 * UNIT,
        Parameter.K_ETH_UNTRUSTED: 16 * UNIT,
        Parameter.USD_PER_CORE_HOUR: 2 * 10**16,
        Parameter.USD_PER_RAM_GB_HOUR: 3 * 10**15,
        Parameter.USD_PER_STORAGE_GB_HOUR: 5 * 10**13,
        Parameter.USD_PER_MBPS_HOUR: 2 * 10**14,
        Parameter.PROFIT_BPS_PER_YEAR: 300,
        Parameter.COMMIT_S: 8,
        Parameter.REVEAL_S: 8,
        Parameter.DRAW_S: 60,
        Parameter.CHOICE_S: 10,
        Parameter.FUND_S: 60,
        Parameter.START_S: 60,
        Parameter.REVIEW_S: 45,
        Parameter.DISPUTE_S: 60,
        Parameter.ANSWER_S: 60,
        Parameter.UNBOND_S: 20,
        Parameter.DISQUALIFY_S: 120,
        Parameter.FAIL_BELOW_PPM: 600_000,
        Parameter.DISQUALIFY_BELOW_PPM: 600_000,
        Parameter.PRICE_AGE_S_MAX: DAY_S,
        Parameter.PRICE_MOVE_BPS_MAX: 2_000,
        Parameter.PRICE_CONFIRM_S: 10,
        Parameter.COUNCIL_N: 1,
        Parameter.GOVERNOR_STAKE_MIN: 1_000 * UNIT,
        Parameter.VOTING_S: 6,
        Parameter.QUORUM_BPS: 5_000,
        Parameter.REFERENDUM_QUORUM_BPS: 1_000,
        Parameter.MISSED_VOTES_MAX: 3,
        Parameter.ABSENCE_SLASH_BPS: 1_000,
        Parameter.ELECTION_S: 6,
    },
    (3_000, 4_000, 2_000, 1_000),
)

MAINNET = Policy(
    {
        Parameter.REWARD_BPS: 1_000,
        Parameter.INSURANCE_BPS: 1_000,
        Parameter.STAKE_MIN: 100_000 * UNIT,
        Parameter.STAKE_MAX: 5_000_000 * UNIT,
        Parameter.PROVIDER_PRICE_MAX: 1_000_000 * UNIT,
        Parameter.BID_BOND: 1_000 * UNIT,
        Parameter.CHALLENGE_BOND: 1_000 * UNIT,
        Parameter.K_ETH_UNTRUSTED: 16 * UNIT,
        Parameter.USD_PER_CORE_HOUR: 2 * 10**16,
        Parameter.USD_PER_RAM_GB_HOUR: 3 * 10**15,
        Parameter.USD_PER_STORAGE_GB_HOUR: 5 * 10**13,
        Parameter.USD_PER_MBPS_HOUR: 2 * 10**14,
        Parameter.PROFIT_BPS_PER_YEAR: 300,
        Parameter.COMMIT_S: 6 * HOUR_S,
        Parameter.REVEAL_S: 6 * HOUR_S,
        Parameter.DRAW_S: DAY_S,
        Parameter.CHOICE_S: DAY_S,
        Parameter.FUND_S: 3 * DAY_S,
        Parameter.START_S: DAY_S,
        Parameter.REVIEW_S: 7 * DAY_S,
        Parameter.DISPUTE_S: 30 * DAY_S,
        Parameter.ANSWER_S: 2 * DAY_S,
        Parameter.UNBOND_S: 14 * DAY_S,
        Parameter.DISQUALIFY_S: 30 * DAY_S,
        Parameter.FAIL_BELOW_PPM: 600_000,
        Parameter.DISQUALIFY_BELOW_PPM: 600_000,
        Parameter.PRICE_AGE_S_MAX: 25 * HOUR_S,
        Parameter.PRICE_MOVE_BPS_MAX: 2_000,
        Parameter.PRICE_CONFIRM_S: 1_800,
        Parameter.COUNCIL_N: 10,
        Parameter.GOVERNOR_STAKE_MIN: 1_000_000 * UNIT,
        Parameter.VOTING_S: 3 * DAY_S,
        Parameter.QUORUM_BPS: 5_000,
        Parameter.REFERENDUM_QUORUM_BPS: 1_000,
        Parameter.MISSED_VOTES_MAX: 3,
        Parameter.ABSENCE_SLASH_BPS: 1_000,
        Parameter.ELECTION_S: 7 * DAY_S,
    },
    (3_000, 4_000, 2_000, 1_000),
)

PRESETS = {"minimal": MINIMAL, "mainnet": MAINNET}
