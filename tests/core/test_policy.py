"""The policy's presets keep their bounds, and numbers the contract would refuse are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stkrp2p.core.economics import UNIT
from stkrp2p.core.policy import MAINNET, MINIMAL, PRESETS, SPECS, Parameter, Policy


def changed(parameter: Parameter, value: int) -> Policy:
    return replace(MINIMAL, parameters={**MINIMAL.parameters, parameter: value})


@pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
def test_a_preset_takes_what_the_white_paper_says(policy: Policy) -> None:
    # R28, R54, R55, Q8
    assert policy.parameters[Parameter.K_ETH_UNTRUSTED] == 16 * UNIT
    assert policy.parameters[Parameter.REWARD_BPS] == 1_000
    assert policy.parameters[Parameter.INSURANCE_BPS] == 1_000
    assert policy.parameters[Parameter.MISSED_VOTES_MAX] == 3
    assert policy.distribution == (3_000, 4_000, 2_000, 1_000)


def test_a_policys_values_stand_in_the_contracts_order() -> None:
    assert len(MAINNET.values) == len(Parameter)
    assert MAINNET.values[Parameter.COUNCIL_N] == 10
    assert [int(parameter) for parameter in Parameter] == list(range(len(Parameter)))


def test_a_parameters_label_is_its_name_in_the_contract() -> None:
    assert Parameter.K_ETH_UNTRUSTED.label == "KEthUntrusted"
    assert Parameter.PRICE_AGE_S_MAX.label == "PriceAgeSMax"


@pytest.mark.parametrize("parameter", Parameter, ids=lambda parameter: parameter.label)
def test_a_number_outside_its_bounds_is_refused(parameter: Parameter) -> None:
    spec = SPECS[parameter]
    for value in (spec.least - 1, spec.most + 1):
        with pytest.raises(ValueError, match=f"^{parameter.label} must be from .*, got {value}$"):
            changed(parameter, value)


def test_a_missing_number_is_refused() -> None:
    parameters = dict(MINIMAL.parameters)
    del parameters[Parameter.BID_BOND]
    with pytest.raises(ValueError, match=r"^a policy has 37 numbers, got 36$"):
        replace(MINIMAL, parameters=parameters)


def test_the_pools_take_at_most_half_together() -> None:
    # R55
    assert changed(Parameter.REWARD_BPS, 4_000).parameters[Parameter.REWARD_BPS] == 4_000
    with pytest.raises(ValueError, match=r"^the pools take at most 5000 bps, got 5001$"):
        changed(Parameter.REWARD_BPS, 4_001)


def test_the_least_stake_is_not_above_the_largest() -> None:
    stake_max = MINIMAL.parameters[Parameter.STAKE_MAX]
    changed(Parameter.STAKE_MIN, stake_max)
    with pytest.raises(ValueError, match=r"^StakeMin must not be above StakeMax$"):
        changed(Parameter.STAKE_MIN, stake_max + 1)


@pytest.mark.parametrize("shares", [(3_000, 4_000, 2_000, 999), (10_001, -1, 0, 0)])
def test_the_reward_pools_shares_sum_to_the_whole(shares: tuple[int, int, int, int]) -> None:
    # R54
    with pytest.raises(ValueError, match=r"^shares must sum to 10000 bps, got "):
        replace(MINIMAL, distribution=shares)
