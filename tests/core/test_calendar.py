"""Hours by the clocks of a zone, over both changes of the clocks, and what the calendar makes of a demand."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from autoscaler.core.calendar import CalendarEntry, Freeze, Hours, freezes_by_host, limited_demand
from autoscaler.model import Demand, Direction
from tests.core.situations import unhurried

ROME = ZoneInfo("Europe/Rome")
# On this Sunday 02:00 is followed by 03:00 (01:00 UTC), on the other 03:00 by 02:00 (01:00 UTC).
SPRING, AUTUMN = date(2026, 3, 29), date(2026, 10, 25)


def daily(begin: str, end: str, **changes: object) -> Hours:
    return Hours(ROME, begin=time.fromisoformat(begin), end=time.fromisoformat(end), **changes)  # type: ignore[arg-type]


def utc(day: date, at: str) -> datetime:
    return datetime.combine(day, time.fromisoformat(at), UTC)


def held(hours: Hours, day: date) -> list[str]:
    """The times of a day in UTC at which the hours begin or end, to the minute; ``+`` begins, ``-`` ends."""
    minutes = [utc(day, "00:00") + timedelta(minutes=minute) for minute in range(24 * 60)]
    changes = []
    before = hours.hold(minutes[0] - timedelta(minutes=1))
    for minute in minutes:
        now = hours.hold(minute)
        if now != before:
            changes.append(f"{'+' if now else '-'}{minute:%H:%M}")
        before = now
    return changes


class TestHours:
    """When they hold."""

    def test_keep_to_the_local_hour_in_winter_and_in_summer(self) -> None:
        office = daily("08:00", "20:00")
        assert held(office, date(2026, 1, 15)) == ["+07:00", "-19:00"]
        assert held(office, date(2026, 7, 15)) == ["+06:00", "-18:00"]

    def test_the_end_is_not_of_them_and_the_begin_is(self) -> None:
        office, day = daily("08:00", "20:00"), date(2026, 1, 15)
        assert office.hold(utc(day, "07:00"))
        assert not office.hold(utc(day, "19:00"))
        assert office.hold(utc(day, "19:00") - timedelta(microseconds=1))

    def test_that_end_before_they_begin_end_on_the_next_day(self) -> None:
        assert held(daily("22:00", "06:00"), date(2026, 1, 15)) == ["-05:00", "+21:00"]

    def test_of_a_weekday_at_night_go_on_into_the_next_one(self) -> None:
        """2026-01-16 is a Friday."""
        night = daily("22:00", "06:00", weekdays=frozenset({4}))
        assert held(night, date(2026, 1, 16)) == ["+21:00"]
        assert held(night, date(2026, 1, 17)) == ["-05:00"]

    def test_of_dates_hold_from_the_first_to_the_last_one(self) -> None:
        holidays = daily("00:00", "00:00", first=date(2026, 12, 24), last=date(2027, 1, 6))
        assert held(holidays, date(2026, 12, 23)) == ["+23:00"]
        assert held(holidays, date(2026, 12, 31)) == []
        assert held(holidays, date(2027, 1, 6)) == ["-23:00"]

    def test_a_whole_day_is_as_long_as_the_clocks_make_it(self) -> None:
        """23 hours in spring, 25 in autumn."""
        sunday = daily("00:00", "00:00", weekdays=frozenset({6}))
        assert held(sunday, SPRING) == ["-22:00"]
        assert sunday.hold(utc(SPRING, "00:00") - timedelta(hours=1))
        assert held(sunday, AUTUMN) == ["-23:00"]
        assert sunday.hold(utc(AUTUMN, "00:00") - timedelta(hours=2))

    def test_that_begin_in_the_skipped_hour_begin_by_the_offset_before_it(self) -> None:
        """02:30 would have been 01:30 UTC; the clocks show 03:30 then."""
        assert held(daily("02:30", "05:00"), SPRING) == ["+01:30", "-03:00"]

    def test_that_end_in_the_skipped_hour_end_by_the_offset_before_it(self) -> None:
        """The last of these times is the begin of the next day's hours."""
        assert held(daily("01:00", "02:30"), SPRING) == ["+00:00", "-01:30", "+23:00"]

    def test_that_lie_in_the_skipped_hour_are_not_lost(self) -> None:
        assert held(daily("02:10", "02:50"), SPRING) == ["+01:10", "-01:50"]

    def test_that_end_in_the_repeated_hour_end_at_its_first_time_and_do_not_begin_again(self) -> None:
        """02:30 of summer is 00:30 UTC; an hour later the clocks show 02:15 once more."""
        early = daily("01:00", "02:30")
        assert held(early, AUTUMN) == ["-00:30"]
        assert early.hold(utc(AUTUMN, "00:29"))

    def test_that_begin_in_the_repeated_hour_begin_at_its_first_time(self) -> None:
        assert held(daily("02:30", "04:00"), AUTUMN) == ["+00:30", "-03:00"]

    @unhurried
    @given(
        st.sampled_from([SPRING, AUTUMN, date(2026, 7, 15)]),
        st.integers(-48 * 60, 48 * 60),
        st.tuples(st.times(), st.times()).filter(lambda both: both[0] != both[1]),
    )
    def test_at_any_moment_either_they_hold_or_the_hours_between_them(self, day, minutes: int, times) -> None:
        now = utc(day, "00:00") + timedelta(minutes=minutes)
        begin, end = times
        assert Hours(ROME, begin=begin, end=end).hold(now) != Hours(ROME, begin=end, end=begin).hold(now)


def an_entry(**changes: object) -> CalendarEntry:
    return CalendarEntry("Mon-Fri", daily("00:00", "00:00"), **changes)  # type: ignore[arg-type]


class TestLimitedDemand:
    """The whole facility's minimum and maximum."""

    def test_is_at_least_the_minimum_and_says_why(self) -> None:
        found = limited_demand(Demand(0, "nobody is there"), [an_entry(workers_min=4)])
        assert found == Demand(4, "nobody is there; calendar: at least 4 workers (Mon-Fri)")

    def test_is_at_most_the_maximum_and_says_why(self) -> None:
        found = limited_demand(Demand(9, "nine"), [an_entry(workers_max=4)])
        assert found == Demand(4, "nine; calendar: at most 4 workers (Mon-Fri)")

    def test_within_the_limits_is_left_as_it_is(self) -> None:
        assert limited_demand(Demand(5, "five"), [an_entry(workers_min=4, workers_max=6)]) == Demand(5, "five")

    def test_to_hold_is_left_as_it_is(self) -> None:
        assert limited_demand(Demand(None, "unknown"), [an_entry(workers_min=4)]).workers is None

    def test_of_entries_that_contradict_each_other_the_last_one_counts(self) -> None:
        assert limited_demand(Demand(1, ""), [an_entry(workers_min=4), an_entry(workers_max=2)]).workers == 2

    def test_is_not_limited_by_what_is_for_some_hosts(self) -> None:
        assert limited_demand(Demand(1, ""), [an_entry(workers_min=4, hosts=frozenset({"a"}))]).workers == 1


def test_freezes_are_of_the_hosts_of_their_entries() -> None:
    entries = [
        an_entry(frozen=frozenset({Direction.GROW})),
        an_entry(frozen=frozenset({Direction.SHRINK}), hosts=frozenset({"a"})),
    ]
    assert freezes_by_host(entries, ["a", "b"]) == {"a": Freeze("Mon-Fri", "Mon-Fri"), "b": Freeze("Mon-Fri", None)}
    assert freezes_by_host([an_entry(workers_min=1)], ["a", "b"]) == {}
