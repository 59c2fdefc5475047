"""Features of loads: the same alone and in a series, blind to what is older, honest about what is unknown."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from autoscaler.learning.features import FEATURES, HISTORY_MIN, Floats, row, rows

ROME = ZoneInfo("Europe/Rome")
NOW = datetime(2024, 3, 14, 9, 30, tzinfo=UTC)

series = st.integers(1, 2 * HISTORY_MIN).flatmap(
    lambda length: arrays(np.float64, length, elements=st.floats(0, 1e6) | st.just(float("nan")))
)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made UTC


def value(name: str, loads: list[float] | Floats, now: datetime = NOW) -> float:
    return float(row(loads, now, ROME)[FEATURES.index(name)])


@given(series, moments)
def test_a_row_is_the_last_row_of_its_series_to_the_bit(loads: Floats, start: datetime) -> None:
    alone = row(loads, start + timedelta(minutes=len(loads) - 1), ROME)
    assert np.array_equal(alone, rows(loads, start, ROME)[-1], equal_nan=True)


@given(series, st.data())
def test_no_row_knows_what_comes_after_it(loads: Floats, data: st.DataObject) -> None:
    end = data.draw(st.integers(1, len(loads)))
    assert np.array_equal(rows(loads[:end], NOW, ROME), rows(loads, NOW, ROME)[:end], equal_nan=True)


@given(series, series)
def test_what_is_older_than_the_history_does_not_count(older: Floats, loads: Floats) -> None:
    newest = np.resize(loads, HISTORY_MIN + 1)
    assert np.array_equal(row(np.concatenate([older, newest]), NOW), row(newest, NOW), equal_nan=True)


def test_there_is_one_column_for_each_name() -> None:
    assert rows(np.zeros(3), NOW).shape == (3, len(FEATURES))
    assert len(set(FEATURES)) == len(FEATURES)


def test_a_series_of_no_minutes_has_no_rows() -> None:
    assert rows(np.zeros(0), NOW).shape == (0, len(FEATURES))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("load", 4),
        ("change_1min", 1),
        ("change_5min", 3),
        ("arrivals_1min", 1),
        ("arrivals_5min", 5),
        ("departures_1min", 0),
        ("departures_5min", 2),
        ("above_highest_15min", -1),
        ("above_mean_15min", 4 - (1 + 3 + 5 + 3 + 3 + 4) / 16),
        ("minutes_since_arrival", 0),
        ("minutes_since_departure", 2),
    ],
)
def test_a_feature_says_what_its_name_says(name: str, expected: float) -> None:
    loads = [0.0] * 300 + [1, 3, 5, 3, 3, 4]
    assert value(name, loads) == pytest.approx(expected)


def test_what_came_at_this_minute_of_the_past_hours_is_seen() -> None:
    loads = np.zeros(HISTORY_MIN + 1)
    for hour in (1, 2):
        loads[-1 - 60 * hour + 2] = 3.0
    assert value("past_hours_0_1min", loads) == 0
    assert value("past_hours_1_2min", loads) == 6
    assert value("past_hours_2_5min", loads) == 0


def test_hour_and_weekday_are_those_of_the_wall_clock() -> None:
    sunday_evening = datetime(2024, 3, 31, 22, 45, tzinfo=UTC)
    assert (value("hour", [0.0], sunday_evening), value("weekday", [0.0], sunday_evening)) == (0.75, 0)
    the_day_before = sunday_evening - timedelta(days=1)
    assert (value("hour", [0.0], the_day_before), value("weekday", [0.0], the_day_before)) == (23.75, 5)


def test_nothing_known_is_unknown_and_not_zero() -> None:
    found = dict(zip(FEATURES, row([float("nan")] * 300, NOW), strict=True))
    unknown = {name for name, number in found.items() if np.isnan(number)}
    assert unknown == set(FEATURES) - {"minutes_since_arrival", "minutes_since_departure", "hour", "weekday"}


def test_a_gap_hides_what_happened_in_it_and_nothing_else() -> None:
    loads = [0.0] * 280 + [3.0] * 10 + [float("nan")] * 3 + [1.0] * 5
    assert value("arrivals_60min", loads) == 3
    assert value("departures_60min", loads) == 0
    assert value("above_highest_15min", loads) == -2
    assert np.isnan(value("change_5min", loads))
