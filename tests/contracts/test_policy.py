"""The contract's numbers, units and bounds are the core's (R19, R29, R42, R54, R55)."""

from __future__ import annotations

import pytest
from web3.exceptions import ContractLogicError

from stkrp2p.core.policy import PRESETS, SPECS, Parameter

pytestmark = pytest.mark.chain


@pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS)
def test_the_contract_takes_a_preset_and_has_the_cores_names_units_and_bounds(chain, policy):
    timelock = chain.accounts[1]
    scoring = (1, b"\1" * 32)
    contract = chain.deploy("Policy", timelock, policy.values, policy.distribution, *scoring)
    for parameter, spec in SPECS.items():
        said = contract.functions.specOf(parameter).call()
        assert said == [parameter.label, spec.unit, spec.least, spec.most]
        assert contract.functions.get(parameter).call() == policy.parameters[parameter]
    assert contract.functions.distribution().call() == list(policy.distribution)


def test_the_contract_has_no_number_that_the_core_has_not(chain):
    policy = PRESETS["minimal"]
    scoring = (1, b"\1" * 32)
    contract = chain.deploy(
        "Policy", chain.accounts[1], policy.values, policy.distribution, *scoring
    )
    with pytest.raises(ContractLogicError):
        contract.functions.specOf(len(Parameter)).call()
