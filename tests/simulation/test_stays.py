"""Counts to stays: who came and went, where only is known how many were there each minute."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from autoscaler.simulation.stays import SHORTEST_S, Stays, arrivals, stays

nan = math.nan
counts = st.lists(st.integers(0, 9), min_size=1, max_size=60)


def found(there: list[float], waiting: list[float] | None = None) -> Stays:
    return stays(np.array(there, dtype=float), None if waiting is None else np.array(waiting, dtype=float))


def there_at(stay: Stays, minutes: int) -> list[int]:
    """How many are there at each full minute."""
    ends_s = stay.came_s + stay.run_s
    return [int(((stay.came_s <= at) & (at < ends_s)).sum()) for at in 60.0 * np.arange(minutes)]


@given(counts)
def test_as_many_are_there_each_minute_as_were_counted(there: list[float]) -> None:
    assert there_at(found(there), len(there)) == there


@given(counts, st.data())
def test_nobody_begins_before_coming_nor_runs_for_nothing(there: list[float], data: st.DataObject) -> None:
    waiting = [data.draw(st.integers(0, 12)) for _ in there]
    stay = found(there, waiting)
    assert len(stay.came_s) == len(stay.run_s)
    assert (stay.run_s >= SHORTEST_S).all()
    assert (np.diff(stay.came_s) >= 0).all()


@given(counts)
def test_as_many_arrive_as_are_found(there: list[float]) -> None:
    assert arrivals(np.array(there, dtype=float)) == len(found(there).came_s)


def test_a_negative_count_is_nobody() -> None:
    assert arrivals(np.array([-3.0, 1.0, -1e300, 1.0])) == 2


def test_the_first_to_come_is_the_first_to_go() -> None:
    assert found([1, 2, 1, 1, 0]).run_s.tolist() == [120, 180]


def test_time_in_the_queue_is_no_time_of_running() -> None:
    assert found([1, 1, 1, 1, 0], [1, 1, 0, 0, 0]).run_s.tolist() == [120]


def test_one_that_never_began_is_left_out() -> None:
    assert not len(found([1, 1], [1, 1]).came_s)


def test_one_that_is_still_there_stays_until_the_last_look() -> None:
    assert found([0, 1, 1]).run_s.tolist() == [120]


def test_who_came_in_unknown_time_did_not_come_all_at_its_end() -> None:
    assert there_at(found([0, nan, nan, 3]), 4) == [0, 1, 2, 3]


def test_before_the_first_known_count_and_after_the_last_it_is_as_these() -> None:
    assert there_at(found([nan, 2, 1, nan]), 4) == [2, 2, 1, 1]


def test_of_what_is_never_known_nobody_came() -> None:
    assert not len(found([nan, nan]).came_s)


def test_arrivals_are_spread_over_their_minute() -> None:
    came_s = found([0, 100]).came_s
    assert 0 < came_s.min() < 10
    assert 50 < came_s.max() <= 60
