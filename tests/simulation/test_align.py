"""Traces of several sites are put on one clock: by whole weeks of local time, without stretching it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.simulation.align import make_workload
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.workload import Job, Reading, Session

Content = TypeVar("Content")

DAY_S = 86_400.0
WEEK_S = 7 * DAY_S
ROME, CALIFORNIA = ZoneInfo("Europe/Rome"), ZoneInfo("America/Los_Angeles")
# A Monday, midnight in Rome, without a change of clocks in the eight weeks that follow.
MONDAY = datetime(2026, 5, 4, tzinfo=ROME)


def trace_of(content: Content, start: datetime = MONDAY, name: str = "trace") -> Trace[Content]:
    """A trace from this moment on, in the moment's own time zone."""
    return Trace(Path(name), content, start.astimezone(UTC), start.tzinfo or UTC, {}, ())


def sessions(*submit_s: float, run_s: float = 60.0) -> tuple[Session, ...]:
    return tuple(Session(each, run_s, 8) for each in submit_s)


def jobs(*submit_s: float, run_s: float = 60.0) -> tuple[Job, ...]:
    return tuple(Job(each, run_s) for each in submit_s)


def week_of_sessions() -> tuple[Session, ...]:
    """One at the beginning, and one that ends with the week."""
    return sessions(0, WEEK_S - 60)


def local_times(start: datetime, found: tuple[Job, ...], zone: ZoneInfo) -> list[str]:
    moments = (start + timedelta(seconds=job.submit_s) for job in found)
    return [moment.astimezone(zone).strftime("%a %H:%M") for moment in moments]


def test_a_piece_begins_at_its_share_of_the_time_with_0() -> None:
    trace = trace_of(sessions(100, 140, 150, 199, run_s=1))
    workload = make_workload(trace, piece=(0.5, 1.0)).workload
    assert [session.submit_s for session in workload.sessions] == [0, 49]
    assert workload.duration_s == 50
    assert workload.start == MONDAY + timedelta(seconds=150)
    assert workload.start.tzinfo == UTC
    assert (workload.jobs, workload.reading) == ((), None)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_two_pieces_that_meet_have_all_sessions_once(submit_s: list[float], cut: float) -> None:
    trace = trace_of(sessions(*sorted(submit_s)))
    found = 0
    for piece in ((0.0, cut), (cut, 1.0)):
        try:
            found += len(make_workload(trace, piece=piece).workload.sessions)
        except TraceError as error:
            assert "has no session between" in str(error)  # noqa: PT017 - one of the pieces may be empty
    assert found == len(submit_s)


def test_a_piece_without_a_session_is_an_error() -> None:
    with pytest.raises(TraceError, match=r"^trace: has no session between 0\.4 and 0\.6 of its time$"):
        make_workload(trace_of(sessions(0, 1000)), piece=(0.4, 0.6))


def test_a_trace_of_the_same_weeks_is_not_shifted() -> None:
    both = make_workload(trace_of(week_of_sessions()), trace_of(jobs(0, DAY_S, 6.5 * DAY_S, 8 * DAY_S)))
    assert [job.submit_s for job in both.workload.jobs] == [0, DAY_S, 6.5 * DAY_S]
    assert both.notes == ()


def test_a_trace_of_another_year_keeps_weekday_and_hour_and_its_latest_weeks_are_used() -> None:
    """A job each day at nine in the morning, for five weeks from a Wednesday on."""
    wednesday = datetime(2004, 9, 15, 9, tzinfo=ROME)
    daily = trace_of(jobs(*(day * DAY_S for day in range(35))), wednesday, "wn")
    both = make_workload(trace_of(week_of_sessions()), daily)
    expected = [f"{day} 09:00" for day in ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")]
    assert local_times(both.workload.start, both.workload.jobs, ROME) == expected
    # The trace ends on Tuesday, 19 October: the last whole week of it begins on the Monday before the last.
    assert both.notes == ("wn: is used from Monday 2004-10-11 on, for Monday 2026-05-04",)


def test_local_hours_agree_between_time_zones() -> None:
    """Noon in California is played at noon in Rome."""
    noon = datetime(2018, 11, 5, 12, tzinfo=CALIFORNIA)
    daily = trace_of(jobs(*(day * DAY_S for day in range(21))), noon)
    found = make_workload(trace_of(week_of_sessions()), daily).workload
    assert [time[4:] for time in local_times(found.start, found.jobs, ROME)] == ["12:00"] * 7


def test_local_hours_agree_over_a_change_of_clocks() -> None:
    """Rome changes in the night to 29 March 2026, where the jobs come from nothing changes."""
    week = datetime(2026, 3, 23, tzinfo=ROME)
    daily = trace_of(jobs(*(day * DAY_S for day in range(21))), datetime(2018, 1, 1, 9, tzinfo=UTC))
    found = make_workload(trace_of(sessions(0, 2 * WEEK_S), week), daily).workload
    assert [time[4:] for time in local_times(found.start, found.jobs, ROME)] == ["09:00"] * 14


def test_a_shorter_trace_is_repeated_by_whole_weeks() -> None:
    """Eleven days, a job each day: the last seven of them, three times."""
    daily = trace_of(jobs(*(day * DAY_S for day in range(11))), datetime(2005, 11, 21, 9, tzinfo=ROME), "wn")
    both = make_workload(trace_of(sessions(0, 3 * WEEK_S - 60)), daily)
    found = [job.submit_s for job in both.workload.jobs]
    assert found == [9 * 3600 + day * DAY_S for day in range(21)]
    assert both.notes == ("wn: is shorter than the piece: its last week is repeated",)


@pytest.mark.parametrize(
    ("begin_day", "empty"),
    [(0, "76%"), (2, "100%")],  # of Monday to Thursday, of Wednesday to Thursday
)
def test_of_a_trace_shorter_than_a_week_it_is_said_how_much_of_the_piece_it_leaves_empty(
    begin_day: int, empty: str
) -> None:
    """Jobs for a day less a minute, on a Monday of another year."""
    short = trace_of(jobs(*(minute * 60.0 for minute in range(1380))), datetime(2005, 11, 21, tzinfo=ROME), "wn")
    both = make_workload(trace_of(sessions(begin_day * DAY_S, 4 * DAY_S - 60)), short)
    (note,) = both.notes
    assert note.startswith("wn: is shorter than a week: it is put on its own weekdays and hours, once a week, and ")
    assert note.endswith(f"{empty} of the piece has nothing of it")


def test_even_a_single_job_is_repeated_each_week() -> None:
    found = make_workload(trace_of(sessions(0, 3 * WEEK_S - 60)), trace_of(jobs(0), MONDAY + timedelta(days=1000)))
    assert len(found.workload.jobs) == 3


def test_jobs_that_still_run_at_the_beginning_are_there_with_what_is_left() -> None:
    before = (Job(0, 2 * DAY_S, 0.5, 7), Job(DAY_S, DAY_S), Job(DAY_S, DAY_S + 100), Job(2 * DAY_S + 50, 60))
    trace = trace_of(sessions(2 * DAY_S, 9 * DAY_S))
    found = make_workload(trace, trace_of((*before, Job(20 * DAY_S, 60)))).workload.jobs
    assert found == (Job(0, 100), Job(50, 60))


def test_jobs_that_run_over_the_seam_of_a_repetition_are_there_at_the_beginning() -> None:
    """A job of ten days each week: that of the week before still runs."""
    weekly = trace_of(jobs(DAY_S, run_s=10 * DAY_S))
    found = make_workload(trace_of(sessions(21 * DAY_S, 28 * DAY_S - 60)), weekly).workload.jobs
    assert [(job.submit_s, job.run_s) for job in found] == [(0, 4 * DAY_S), (DAY_S, 10 * DAY_S)]


def test_throughput_keeps_its_weekday_and_hour() -> None:
    """Each hour has its number of the week, from Monday in California on, for two weeks."""
    hours = tuple(float(hour) for hour in range(168)) * 2
    trace = trace_of(Reading(3600, hours), datetime(2018, 11, 5, tzinfo=CALIFORNIA), "xrootd")
    both = make_workload(trace_of(sessions(DAY_S, DAY_S + WEEK_S - 60)), reading=trace)
    assert both.workload.reading == Reading(3600, (*hours[24:168], *hours[:24]))
    assert both.notes == ("xrootd: is used from Tuesday 2018-11-06 on, for Tuesday 2026-05-05",)


def test_shorter_throughput_is_repeated_and_nothing_where_it_has_no_day() -> None:
    """Three days from Monday on, in steps of a day."""
    trace = trace_of(Reading(DAY_S, (1.0, 2.0, 3.0)))
    found = make_workload(trace_of(sessions(WEEK_S, 3 * WEEK_S - 60)), reading=trace).workload.reading
    assert found == Reading(DAY_S, (1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.0) * 2)


moments = st.builds(datetime.fromtimestamp, st.integers(10**9, 2 * 10**9), st.sampled_from([ROME, CALIFORNIA]))
offsets = st.lists(st.integers(0, int(5 * WEEK_S)), min_size=1, max_size=20).map(sorted)


@given(moments, offsets, moments, offsets)
@settings(deadline=None)
def test_weekday_and_hour_of_every_job_agree(
    start: datetime, session_s: list[int], other: datetime, job_s: list[int]
) -> None:
    """Only in the nights in which a clock is changed may they be an hour off."""
    named = tuple(Job(each, 60, 1.0, number) for number, each in enumerate(job_s))
    workload = make_workload(trace_of(sessions(*session_s), start), trace_of(named, other)).workload
    for job in workload.jobs:
        if job.submit_s > 0:
            was = (other.astimezone(UTC) + timedelta(seconds=job_s[job.memory_mib])).astimezone(other.tzinfo)
            now = (workload.start + timedelta(seconds=job.submit_s)).astimezone(start.tzinfo)
            off_s = (now.replace(tzinfo=None) - was.replace(tzinfo=None)).total_seconds() % WEEK_S
            assert min(off_s, WEEK_S - off_s) <= (3600 if 1 <= was.hour <= 3 else 0)
