"""The sections ``maintenance`` and ``calendar``: when hosts are paused, and hours with limits."""

from datetime import UTC, date, datetime, time
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autoscaler.config.hours import parse_hours
from autoscaler.core.calendar import CalendarEntry, Hours
from autoscaler.model import Direction, Pause
from tests.config.texts import grouped, loaded, problems


def maintained(entry: str) -> str:
    return grouped("rack: {hosts: [host-1, host-2]}") + f"maintenance:\n  - {{{entry}}}\n"


class TestMaintenance:
    """Hosts that are paused at a stated time."""

    def test_pauses_its_hosts_in_both_directions(self, file: Path) -> None:
        times = 'from: "2026-12-01 08:00", to: 2026-12-01T12:00:00, timezone: Europe/Rome'
        config = loaded(file, maintained(f"hosts: [rack, host-1], {times}, reason: new disks")).config
        begin, end = datetime(2026, 12, 1, 7, tzinfo=UTC), datetime(2026, 12, 1, 11, tzinfo=UTC)
        assert config.pauses() == tuple(
            Pause(host, direction, begin, end, "maintenance", "new disks")
            for host in ("host-1", "host-2")
            for direction in Direction
        )

    def test_times_with_their_offset_need_no_zone(self, file: Path) -> None:
        times = 'from: 2026-12-01T08:00:00+01:00, to: "2026-12-01T12:00Z"'
        pause, *_ = loaded(file, maintained(f"hosts: [rack], {times}, reason: x")).config.pauses()
        assert (pause.since.hour, pause.until.hour) == (7, 12)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"hosts": "[host-3]"}, ".hosts[0]: no host or group is called 'host-3' (did you mean 'host-2'?)"),
            ({"timezone": "null"}, ": give timezone, such as Europe/Rome, or times with their offset"),
            ({"to": "2026-12-01"}, ": it ends before it begins"),
            ({"from": "soon"}, ".from: 'soon' is not a time such as '2026-12-01 08:00'"),
            (
                {"timezone": "Europe/Roma"},
                ".timezone: the time zone 'Europe/Roma' is not known here: write one such as Europe/Rome",
            ),
            ({"reason": "''"}, ".reason: must have 1 or more characters"),
        ],
    )
    def test_a_mistake_is_named_where_it_is(self, file: Path, change: dict[str, str], problem: str) -> None:
        good = {"hosts": "[rack]", "from": "2026-12-01", "to": "2026-12-02", "timezone": "UTC", "reason": "x"}
        entry = ", ".join(f"{key}: {value}" for key, value in (good | change).items())
        assert problems(file, maintained(entry)) == [f"14: maintenance[0]{problem}"]


AS_SUCH = "write one such as 'Mon-Fri 08:00-20:00', 'Sat,Sun', '2026-12-24/2027-01-06' or '22:00-06:00'"


def scheduled(entry: str) -> str:
    return grouped("rack: {hosts: [host-1, host-2]}") + f"calendar:\n  - {{{entry}}}\n"


class TestCalendar:
    """Hours with limits."""

    def test_is_read(self, file: Path) -> None:
        text = scheduled(
            'when: "Mon-Fri 08:00-20:00", timezone: Europe/Rome, workers_min: 2, workers_max: 8, frozen: grow'
        )
        (entry,) = loaded(file, text).rules.calendar
        assert entry == CalendarEntry(
            "Mon-Fri 08:00-20:00",
            Hours(ZoneInfo("Europe/Rome"), frozenset(range(5)), begin=time(8), end=time(20)),
            None,
            "",
            2,
            8,
            frozenset({Direction.GROW}),
        )

    def test_names_hosts_and_groups(self, file: Path) -> None:
        (entry,) = loaded(file, scheduled("when: Sat, timezone: UTC, hosts: [rack], frozen: both")).rules.calendar
        assert (entry.hosts, entry.where) == (frozenset({"host-1", "host-2"}), "rack")
        assert entry.frozen == frozenset(Direction)

    @pytest.mark.parametrize(
        ("change", "problem"),
        [
            ({"hosts": "[host-3]"}, ".hosts[0]: no host or group is called 'host-3' (did you mean 'host-2'?)"),
            ({"timezone": "CEST"}, ".timezone: the time zone 'CEST' is not known here: write one such as Europe/Rome"),
            ({"workers_min": "9"}, ": workers_min is above workers_max"),
            ({"workers_max": "null"}, ": it says nothing: give workers_min, workers_max or frozen"),
            ({"frozen": "up"}, ".frozen: 'up' is not one of 'grow', 'shrink' or 'both'"),
            ({"when": "2026-12-24"}, ".when: 2026-12-24 is not a text: put it in quotes"),
            ({"when": "weekdays"}, f": 'weekdays' is not a time of the calendar: {AS_SUCH}"),
        ],
    )
    def test_a_mistake_is_named_where_it_is(self, file: Path, change: dict[str, str], problem: str) -> None:
        good = {"when": "Mon", "timezone": "UTC", "workers_max": "8"}
        entry = ", ".join(f"{key}: {value}" for key, value in (good | change).items())
        assert problems(file, scheduled(entry)) == [f"14: calendar[0]{problem}"]


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("Mon-Fri 08:00-20:00", Hours(UTC, frozenset(range(5)), begin=time(8), end=time(20))),
        ("Sat,Sun", Hours(UTC, frozenset({5, 6}))),
        ("Fri-Mon,Wed", Hours(UTC, frozenset({4, 5, 6, 0, 2}))),
        ("22:00-06:00", Hours(UTC, begin=time(22), end=time(6))),
        ("Fri 18:00-24:00", Hours(UTC, frozenset({4}), begin=time(18))),
        ("2026-12-25", Hours(UTC, first=date(2026, 12, 25), last=date(2026, 12, 25))),
        (
            "2026-12-24/2027-01-06 00:00-12:00",
            Hours(UTC, first=date(2026, 12, 24), last=date(2027, 1, 6), end=time(12)),
        ),
    ],
)
def test_hours_are_what_they_say(text: str, hours: Hours) -> None:
    assert parse_hours(text, UTC) == hours


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "mon", "Mon-", "-Fri", "Mon..Fri", "Mon Fri", "Mon,,Tue", "Mon-Fri 08:00 - 20:00"),
        *("08:00", "8:00-20:00", "08:00-25:00", "08:60-09:00", "24:00-06:00x", "2026-12-24/2026-12-23", "2026-02-30"),
    ],
)
def test_what_is_no_time_of_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time of the calendar"):
        parse_hours(text, UTC)
