"""When and where a trace was recorded, from the comments at its beginning."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

# Larger times (in 2096) are slips, and datetime ends not far behind.
LATEST_S = 4e9
# No recording is longer: one of its times is in another unit or from another clock.
LONGEST_TRACE_S = 20 * 366 * 86_400.0
_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Clock:
    """The moment from which a trace counts its seconds, its time zone, and what had to be assumed for both."""

    start: datetime
    timezone: tzinfo
    notes: tuple[str, ...]


def clock(comments: Iterable[str], default_zone: tzinfo | None = None) -> Clock:
    """Read SWF's UnixStartTime and TimeZoneString (or the older TimeZone); CSV has them behind ``#``."""
    said = dict(_statement(comment) for comment in comments)
    start, about_start = _start(said)
    zone, about_zone = _zone(said) if default_zone is None or "TimeZoneString" in said else (default_zone, None)
    return Clock(start, zone, tuple(note for note in (about_start, about_zone) if note))


def _statement(comment: str) -> tuple[str, str]:
    key, _, value = comment.lstrip("\ufeff;# \t").partition(":")
    return key.strip(), value.strip()


def _start(said: Mapping[str, str]) -> tuple[datetime, str | None]:
    text = said.get("UnixStartTime", "")
    start_s = _leading_number(text)
    if start_s is None or not 0 <= start_s <= LATEST_S:
        why = f"its UnixStartTime {text[:40]!r} cannot be read" if text else "has no UnixStartTime"
        return datetime.fromtimestamp(0, UTC), f"{why}: its times are taken as Unix time"
    return datetime.fromtimestamp(start_s, UTC), None


def _zone(said: Mapping[str, str]) -> tuple[tzinfo, str | None]:
    name = said.get("TimeZoneString", "")
    try:
        return ZoneInfo(name), None
    except (ValueError, OSError, KeyError):
        why = f"its time zone {name[:40]!r} is not known here" if name else "has no TimeZoneString"
    offset_s = _leading_number(said.get("TimeZone", ""))
    if offset_s is None or not -_DAY_S < offset_s < _DAY_S:
        return UTC, f"{why}: its hours are taken as UTC"
    return timezone(timedelta(seconds=offset_s)), f"{why}: its hours are taken as {offset_s / 3600:+g} h from UTC"


def _leading_number(text: str) -> float | None:
    """The number before a remark, such as of ``3600  # DEPRECATED``."""
    try:
        return float(text.split(maxsplit=1)[0])
    except (ValueError, IndexError):
        return None
