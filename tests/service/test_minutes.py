"""Minutes of load: out of sessions, out of windows, with gaps where nothing is known."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from autoscaler.learning.shelf import Range
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    GuardLimits,
    Sample,
    Series,
    Window,
)
from autoscaler.service.minutes import MINUTE, Minutes, TooLittleError, from_sessions, from_windows
from autoscaler.simulation.workload import Session

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ROME = ZoneInfo("Europe/Rome")
nan = math.nan


def minutes(*loads: float) -> Minutes:
    return Minutes("here", START, ROME, np.array(loads, dtype=float))


def of(*sessions: tuple[float, float], start: datetime = START) -> Minutes:
    return from_sessions([Session(submit_s, run_s, 1) for submit_s, run_s in sessions], start, ROME, "trace")


def test_a_session_is_there_at_each_full_minute_from_its_arrival_to_its_end() -> None:
    assert of((0, 120)).loads.tolist() == [1, 1, 0]
    assert of((1, 120)).loads.tolist() == [0, 1, 1, 0]


def test_sessions_at_once_are_added() -> None:
    assert of((0, 180), (60, 60), (60, 120)).loads.tolist() == [1, 3, 2, 0]


def test_minutes_are_full_minutes_of_the_clock() -> None:
    found = of((90, 60), start=START + timedelta(seconds=20))
    assert found.start == START + timedelta(minutes=1)
    assert found.loads.tolist() == [0, 1, 0]


def windows(*values: tuple[float | None, float | None, float]) -> list[Window]:
    """Queued, running, and how old they are."""
    found = []
    for n, (queued, running, age_s) in enumerate(values):
        now = START + n * MINUTE
        fresh_at = now - timedelta(seconds=age_s)
        named = ((PROOF_QUEUED_SESSIONS, queued), (PROOF_RUNNING_SESSIONS, running))
        found.append(Window(now, tuple(Series(name, (Sample(now, value),), fresh_at) for name, value in named)))
    return found


def test_a_load_is_queued_and_running_sessions_and_unknown_where_either_is() -> None:
    read = from_windows(
        windows((1, 2, 0), (None, 2, 0), (1, None, 0), (0, 0, 0)), START, ROME, GuardLimits(), "prometheus"
    )
    assert np.array_equal(read.loads, [3, nan, nan, 0], equal_nan=True)


def test_a_load_that_is_too_old_is_unknown() -> None:
    limits = GuardLimits(fresh_for=timedelta(seconds=90))
    read = from_windows(windows((1, 2, 60), (1, 2, 120)), START, ROME, limits, "prometheus")
    assert np.array_equal(read.loads, [3, nan], equal_nan=True)


def test_beside_the_load_are_those_who_wait_and_the_batch_jobs() -> None:
    (loaded,) = windows((1, 2, 0))
    jobs = Series(WN_RUNNING_JOBS, (Sample(loaded.now, 7.0),), loaded.now)
    busy = Window(loaded.now, (*loaded.series, jobs))
    unread = Window(loaded.now, (jobs,))
    read = from_windows([busy, loaded, unread], START, ROME, GuardLimits(), "prometheus")
    assert read.queued is not None
    assert read.jobs is not None
    assert np.array_equal(read.queued, [1, 1, nan], equal_nan=True)
    assert np.array_equal(read.jobs, [7, nan, 7], equal_nan=True)
    later = read.part(1, 3)
    assert later.jobs is not None
    assert np.array_equal(later.jobs, [nan, 7], equal_nan=True)


def test_who_waited_in_excluded_time_is_not_known_and_batch_jobs_are() -> None:
    there = Minutes("here", START, ROME, np.array([2.0, 2.0]), np.array([1.0, 1.0]), np.array([5.0, 5.0]))
    found = there.without([Range(START, START + MINUTE)])
    assert found.queued is not None
    assert found.jobs is not None
    assert np.array_equal(found.queued, [nan, 1], equal_nan=True)
    assert found.jobs.tolist() == [5, 5]


def test_what_is_excluded_is_a_gap() -> None:
    found = minutes(1, 2, 3, 4, 5).without([Range(START + MINUTE, START + 3 * MINUTE)])
    assert np.array_equal(found.loads, [1, nan, nan, 4, 5], equal_nan=True)


@pytest.mark.parametrize(("begin", "end", "left"), [(-9, -3, 3), (-3, 1, 2), (2, 99, 2), (50, 60, 3), (-5, 50, 0)])
def test_what_is_excluded_may_lie_beyond_either_end(begin: int, end: int, left: int) -> None:
    found = minutes(1, 2, 3).without([Range(START + begin * MINUTE, START + end * MINUTE)])
    assert 3 - found.gap_minutes == left


def test_gaps_at_either_end_are_cut_off() -> None:
    found = minutes(nan, nan, 1, nan, 2, nan).known()
    assert np.array_equal(found.loads, [1, nan, 2], equal_nan=True)
    assert (found.start, found.end) == (START + 2 * MINUTE, START + 5 * MINUTE)


def test_nothing_known_is_a_sentence() -> None:
    with pytest.raises(TooLittleError, match="here: no minute with a known load"):
        minutes(nan, nan).known()
