"""The elasticity metrics, by hand and by their laws."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.simulation.elasticity import (
    instability_other_percent,
    instability_percent,
    tau_over_percent,
    tau_under_percent,
    theta_over_percent,
    theta_under_percent,
)
from autoscaler.simulation.run import Floats
from tests.simulation.made_runs import courses

Drawn = tuple[Floats, Floats, Floats, float]

unhurried = settings(deadline=None, max_examples=100)
INTEGRALS = (theta_under_percent, theta_over_percent, tau_under_percent, tau_over_percent)
INSTABILITIES = (instability_percent, instability_other_percent)

# Demand 2 for 10 s, 4 for 20 s, nothing for 10 s; supply 4, 2, 1.
BY_HAND = (np.array([0.0, 10.0, 30.0]), np.array([2.0, 4.0, 0.0]), np.array([4.0, 2.0, 1.0]), 40.0)


def all_of(drawn: Drawn, step_s: float = 60.0) -> list[float | None]:
    return [metric(*drawn) for metric in INTEGRALS] + [metric(*drawn, step_s) for metric in INSTABILITIES]


def test_the_share_of_demand_that_is_not_met_is_weighted_by_time() -> None:
    assert theta_under_percent(*BY_HAND) == 100 / 40 * (4 - 2) / 4 * 20


def test_what_is_too_much_is_divided_by_demand_and_by_one_worker_when_nobody_wants_anything() -> None:
    assert theta_over_percent(*BY_HAND) == 100 / 40 * ((4 - 2) / 2 * 10 + (1 - 0) / 1 * 10)


def test_timeshares_count_how_long_and_not_how_much() -> None:
    assert tau_under_percent(*BY_HAND) == 100 / 40 * 20
    assert tau_over_percent(*BY_HAND) == 100 / 40 * (10 + 10)


def test_instability_counts_the_steps_in_which_supply_and_demand_went_different_ways() -> None:
    # From 0 to 10 s demand grows and supply falls; to 20 s nothing changes; to 30 s both fall.
    assert instability_percent(*BY_HAND, 10.0) == 0
    assert instability_other_percent(*BY_HAND, 10.0) == pytest.approx(100 / 3)


def test_supply_that_grows_by_itself_or_stays_when_demand_falls_is_unstable() -> None:
    at_s = np.array([0.0, 10.0, 20.0])
    demand, supply = np.array([3.0, 3.0, 1.0]), np.array([3.0, 5.0, 5.0])
    assert instability_percent(at_s, demand, supply, 30.0, 10.0) == 100
    assert instability_other_percent(at_s, demand, supply, 30.0, 10.0) == 0


def test_a_change_between_two_samples_that_is_taken_back_is_not_seen_by_instability() -> None:
    at_s, supply = np.array([0.0, 61.0, 62.0]), np.array([1.0, 9.0, 1.0])
    assert instability_percent(at_s, np.zeros(3), supply, 180.0, 60.0) == 0
    assert instability_percent(at_s, np.zeros(3), supply, 180.0, 61.0) == 50


def test_what_comes_at_the_end_or_later_holds_for_no_time() -> None:
    at_s = np.array([0.0, 40.0, 50.0])
    assert theta_under_percent(at_s, np.array([2.0, 9.0, 9.0]), np.array([1.0, 0.0, 0.0]), 40.0) == 50


@pytest.mark.parametrize("duration_s", [0.0, 40.0])
def test_a_course_without_values_or_time_has_no_metrics(duration_s: float) -> None:
    nothing = np.zeros(0)
    assert all_of((nothing, nothing, nothing, duration_s)) == [None] * 6
    assert all_of((np.zeros(1), np.ones(1), np.ones(1), 0.0)) == [None] * 6


@unhurried
@given(courses())
def test_no_metric_is_negative_and_shares_of_time_and_steps_are_at_most_all(drawn: Drawn) -> None:
    _, _, tau_under, tau_over, *instabilities = values = [value for value in all_of(drawn) if value is not None]
    assert all(value >= 0 for value in values)
    assert tau_under + tau_over <= 100 + 1e-9
    assert sum(instabilities) <= 100 + 1e-9


@unhurried
@given(courses())
def test_supply_that_is_always_demand_has_no_fault(drawn: Drawn) -> None:
    at_s, demand, _, duration_s = drawn
    assert not any(all_of((at_s, demand, demand, duration_s)))


@unhurried
@given(courses(), st.floats(0.01, 100))
def test_the_unit_of_time_does_not_matter(drawn: Drawn, scale: float) -> None:
    at_s, demand, supply, duration_s = drawn
    scaled = [metric(at_s * scale, demand, supply, duration_s * scale) for metric in INTEGRALS]
    assert scaled == pytest.approx([metric(*drawn) for metric in INTEGRALS])


@unhurried
@given(courses(), st.integers(-6, 6))
def test_the_unit_of_time_does_not_matter_for_instability(drawn: Drawn, power: int) -> None:
    # Powers of two, so that no time is rounded to the other side of a sample.
    at_s, demand, supply, duration_s = drawn
    scaled = (at_s * 2.0**power, demand, supply, duration_s * 2.0**power)
    assert all_of(scaled, 60.0 * 2.0**power) == pytest.approx(all_of(drawn))


@unhurried
@given(courses(), st.data())
def test_a_value_that_is_written_down_twice_changes_nothing(drawn: Drawn, data: st.DataObject) -> None:
    at_s, demand, supply, duration_s = drawn
    place = data.draw(st.integers(0, len(at_s) - 1))
    end_s = at_s[place + 1] if place + 1 < len(at_s) else duration_s
    between_s = data.draw(st.floats(at_s[place], end_s))
    again = (
        np.insert(at_s, place + 1, between_s),
        np.insert(demand, place + 1, demand[place]),
        np.insert(supply, place + 1, supply[place]),
        duration_s,
    )
    assert all_of(again) == pytest.approx(all_of(drawn))


@unhurried
@given(courses())
def test_exchanging_demand_and_supply_exchanges_the_timeshares_and_the_instabilities(drawn: Drawn) -> None:
    at_s, demand, supply, duration_s = drawn
    _, _, tau_under, tau_over, one, other = all_of(drawn)
    assert all_of((at_s, supply, demand, duration_s))[2:] == [tau_over, tau_under, other, one]
