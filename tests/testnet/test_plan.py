"""The shape of a local network."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from testnet.plan import COUNCIL_USUAL, NODES_MAX, NODES_MIN, Plan, Role, council_that_fits


@given(
    nodes=st.integers(NODES_MIN, NODES_MAX),
    light=st.integers(0, 10),
    failing=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_every_plan_has_as_many_governors_and_others_as_asked_and_none_of_them_fails(
    nodes: int, light: int, failing: tuple[int, int]
) -> None:
    down, flaky = failing
    council = council_that_fits(nodes - down - flaky)
    assert council in {1, 3, COUNCIL_USUAL}
    if 3 * (down + flaky) > nodes:
        with pytest.raises(ValueError, match="epochs are void by design"):
            Plan(nodes=nodes, light=light, council=1, down=down, flaky=flaky)
        return
    roles = Plan(nodes=nodes, light=light, council=council, down=down, flaky=flaky).roles()
    assert roles[:council] == (Role.COUNCIL,) * council
    assert roles.count(Role.COUNCIL) == council
    assert roles.count(Role.DOWN) == down
    assert roles.count(Role.FLAKY) == flaky
    assert roles.count(Role.LIGHT) == light
    assert len(roles) == nodes + light


def test_a_network_has_five_governors_unless_fewer_are_healthy() -> None:
    assert Plan().council == council_that_fits(6) == 5
    assert [council_that_fits(n) for n in (1, 2, 3, 4, 5, 6, 40)] == [1, 1, 3, 3, 5, 5, 5]


@given(light=st.integers(0, 10), prepared_s=st.floats(0, 600), spare_s=st.integers(0, 60))
def test_round_1_is_as_far_off_as_this_machine_needs_and_no_further_on_an_idle_one(
    light: int, prepared_s: float, spare_s: int
) -> None:
    plan = Plan(light=light, spare_s=spare_s)
    at_once_s = plan.start_lead_s(prepared_s=0.0)
    assert at_once_s == 11 + light // 2 + spare_s
    assert plan.start_lead_s(prepared_s=prepared_s) >= max(at_once_s, prepared_s + spare_s)
    assert plan.start_lead_s(prepared_s=at_once_s - spare_s) == at_once_s


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"nodes": NODES_MIN - 1}, "--nodes must be from 4 to 40, got 3"),
        ({"nodes": NODES_MAX + 1}, "--nodes must be from 4 to 40, got 41"),
        ({"light": -1}, "--light must be from 0 to 40, got -1"),
        ({"epochs": 0}, "--epochs must be at least 1, got 0"),
        (
            {"epochs": 2},
            "--epochs 2 with --down 1: use at least 3, for a score to rise, the node to die, "
            "and the score to fall",
        ),
        ({"down": -1}, "--down and --flaky must not be negative"),
        ({"council": 4}, "--council must be odd, got 4"),
        (
            {"council": 7},
            "--council 7 of 8 nodes, of which 1 down and 1 flaky: governors must be healthy; "
            "use more --nodes",
        ),
    ],
)
def test_a_plan_that_can_show_nothing_is_refused(wrong: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 - matched whole below
        Plan(**wrong)
    assert str(error.value) == message


def test_a_run_goes_on_until_an_epoch_that_counts_was_wholly_without_the_dead_node() -> None:
    plan = Plan(epochs=3)
    assert plan.is_over(folded=3, counted=2, down_from=[2])
    assert not plan.is_over(folded=2, counted=1, down_from=[1])
    assert not plan.is_over(folded=3, counted=2, down_from=[])
    assert not plan.is_over(folded=3, counted=1, down_from=[2])
    assert not plan.is_over(folded=3, counted=None, down_from=[2])
    assert plan.is_over(folded=5, counted=4, down_from=[3])


def test_a_run_in_which_nobody_dies_is_over_with_its_epochs_even_if_all_were_void() -> None:
    plan = Plan(epochs=3, down=0)
    assert not plan.is_over(folded=2, counted=1, down_from=[])
    assert plan.is_over(folded=3, counted=None, down_from=[])
