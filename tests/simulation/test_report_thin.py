"""Fewer points for the same picture: nothing that a reader would see is lost."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.simulation.report.thin import drawn_points, local_times, step_line, wn_efficiency
from autoscaler.simulation.run import Cycles

LINES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(-50, 50)), min_size=1, max_size=300)


def test_a_line_with_few_points_keeps_them_all() -> None:
    assert drawn_points(np.array([0.0, 1.0, 5.0]), np.array([1.0, 2.0, 3.0]), 3).tolist() == [0, 1, 2]


def test_a_burst_of_one_point_among_a_million_is_drawn() -> None:
    values = np.zeros(1_000_000)
    values[123_457] = 40.0
    drawn = drawn_points(np.arange(1_000_000.0), values, 5000)
    assert drawn.size <= 5000
    assert 123_457 in drawn


@given(LINES, st.integers(4, 60))
def test_the_drawn_points_are_few_in_order_and_reach_as_far_as_all_do(
    line: list[tuple[int, int]], points_max: int
) -> None:
    at_s, values = np.array(sorted(line), dtype=float).T
    drawn = drawn_points(at_s, values, points_max)
    assert drawn.size <= points_max
    assert (np.diff(drawn) > 0).all()
    assert (drawn[0], drawn[-1]) == (0, at_s.size - 1)
    assert (values[drawn].min(), values[drawn].max()) == (values.min(), values.max())


@given(LINES)
def test_each_span_of_time_keeps_its_lowest_and_its_highest_value(line: list[tuple[int, int]]) -> None:
    at_s, values = np.array(sorted(line), dtype=float).T
    drawn = drawn_points(at_s, values, 20)
    if drawn.size == at_s.size:
        return
    span = np.searchsorted(np.linspace(at_s[0], at_s[-1], 6)[1:-1], at_s, side="right")
    for number in np.unique(span):
        all_of_it, drawn_of_it = values[span == number], values[drawn][span[drawn] == number]
        assert (drawn_of_it.min(), drawn_of_it.max()) == (all_of_it.min(), all_of_it.max())


def test_a_step_line_leaves_out_what_does_not_change_and_goes_to_the_end_of_the_run() -> None:
    at_s, values = step_line(np.array([0.0, 10.0, 20.0, 30.0]), np.array([1.0, 1.0, 2.0, 2.0]), 3600.0, 100)
    assert at_s.tolist() == [0.0, 20.0, 3600.0]
    assert values.tolist() == [1.0, 2.0, 2.0]


def test_a_step_line_of_nothing_is_nothing() -> None:
    at_s, values = step_line(np.empty(0), np.empty(0), 3600.0, 100)
    assert (at_s.size, values.size) == (0, 0)


def test_efficiency_is_of_sums_and_not_a_mean_of_ratios() -> None:
    zero = np.zeros(3)
    cycles = Cycles(60.0, np.array([100.0, 300.0, 0.0]), np.array([100.0, 100.0, 0.0]), zero, zero, zero, zero, zero)
    at_s, ratio, bin_s = wn_efficiency(cycles, 2)
    assert (at_s.tolist(), bin_s) == ([0.0, 120.0], 120.0)
    assert ratio[0] == 0.5  # (100 + 100) / (100 + 300)


def test_efficiency_is_not_a_number_where_no_job_wanted_any() -> None:
    zero = np.zeros(1)
    _, ratio, _ = wn_efficiency(Cycles(60.0, zero, zero, zero, zero, zero, zero, zero), 10)
    assert np.isnan(ratio).all()


@pytest.mark.parametrize(
    ("start", "hours", "shown"),
    [
        (datetime(2026, 3, 2, 8, tzinfo=UTC), 1.5, "2026-03-02 09:30:00"),
        (datetime(2026, 7, 1, 8, tzinfo=ZoneInfo("Europe/Rome")), 24, "2026-07-02 08:00:00"),
        # Clocks go from 2 to 3 o'clock, and in autumn from 3 to 2.
        (datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("Europe/Rome")), 1, "2026-03-29 03:30:00"),
        (datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/Rome")), 3, "2026-10-25 03:30:00"),
    ],
)
def test_times_are_those_of_a_clock_on_the_wall(start: datetime, hours: float, shown: str) -> None:
    assert local_times(start, np.array([0.0, hours * 3600]))[1] == shown
