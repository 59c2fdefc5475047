"""Hours of the calendar as people write them: ``Mon-Fri 08:00-20:00``, ``2026-12-24/2027-01-06``, ``22:00-06:00``."""

import re
from datetime import date, time, tzinfo

from autoscaler.core.calendar import EVERY_DAY, MIDNIGHT, Hours

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_TIMES = re.compile(r"([0-9]{2}:[0-9]{2})-([0-9]{2}:[0-9]{2})")
_DATES = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:/([0-9]{4}-[0-9]{2}-[0-9]{2}))?")


def parse_hours(text: str, zone: tzinfo) -> Hours:
    """The hours of a text, in this zone; raises ``ValueError``."""
    try:
        return _parsed(text, zone)
    except ValueError:
        raise ValueError(
            f"{text!r} is not a time of the calendar: write one such as 'Mon-Fri 08:00-20:00', 'Sat,Sun', "
            "'2026-12-24/2027-01-06' or '22:00-06:00'"
        ) from None


def _parsed(text: str, zone: tzinfo) -> Hours:
    *days, last = text.split()
    times = _TIMES.fullmatch(last)
    days = days if times else [*days, last]
    if len(days) > 1:
        raise ValueError
    begin, end = (_time(part) for part in times.groups()) if times else (MIDNIGHT, MIDNIGHT)
    if not days:
        return Hours(zone, begin=begin, end=end)
    if dates := _DATES.fullmatch(days[0]):
        first = date.fromisoformat(dates[1])
        final = date.fromisoformat(dates[2] or dates[1])
        if final < first:
            raise ValueError
        return Hours(zone, EVERY_DAY, first, final, begin, end)
    return Hours(zone, _weekdays(days[0]), begin=begin, end=end)


def _time(text: str) -> time:
    return MIDNIGHT if text == "24:00" else time.fromisoformat(text)


def _weekdays(text: str) -> frozenset[int]:
    """``Mon-Fri``, ``Sat,Sun``, ``Fri-Mon,Wed``."""
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        begin, end = _DAYS.index(first), _DAYS.index(last if dash else first)
        found.update((begin + step) % len(_DAYS) for step in range((end - begin) % len(_DAYS) + 1))
    return frozenset(found)
