"""The shape of a local network."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from testnet.plan import NODES_MAX, NODES_MIN, Plan, Role


@given(
    nodes=st.integers(NODES_MIN, NODES_MAX),
    light=st.integers(0, 10),
    failing=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_every_plan_has_one_council_and_as_many_of_each_role_as_asked(
    nodes: int, light: int, failing: tuple[int, int]
) -> None:
    down, flaky = failing
    if 3 * (down + flaky) > nodes:
        with pytest.raises(ValueError, match="epochs are void by design"):
            Plan(nodes=nodes, light=light, down=down, flaky=flaky)
        return
    roles = Plan(nodes=nodes, light=light, down=down, flaky=flaky).roles()
    assert roles[0] is Role.COUNCIL
    assert roles.count(Role.COUNCIL) == 1
    assert roles.count(Role.DOWN) == down
    assert roles.count(Role.FLAKY) == flaky
    assert roles.count(Role.LIGHT) == light
    assert len(roles) == nodes + light


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": NODES_MIN - 1}, "--nodes must be from 4 to 40, got 3"),
        ({"nodes": NODES_MAX + 1}, "--nodes must be from 4 to 40, got 41"),
        ({"light": -1}, "--light must be from 0 to 40, got -1"),
        ({"epochs": 0}, "--epochs must be at least 1, got 0"),
        ({"down": -1}, "--down and --flaky must not be negative"),
    ],
)
def test_a_plan_that_can_show_nothing_is_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - matched whole below
        Plan(**wrong)
    assert str(error.value) == message
