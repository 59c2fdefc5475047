"""Time zones by name, there and back."""

import io
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from autoscaler.service import zone
from autoscaler.service.zone import site_zone, zone_named, zone_text

SUMMER = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "zone", [UTC, ZoneInfo("Europe/Rome"), timezone(timedelta(hours=-8)), timezone(timedelta(hours=5, minutes=30))]
)
def test_a_zone_that_was_named_has_the_same_hours(zone: tzinfo) -> None:
    assert SUMMER.astimezone(zone_named(zone_text(zone))).utcoffset() == SUMMER.astimezone(zone).utcoffset()


def test_this_machines_zone_can_be_named() -> None:
    assert SUMMER.astimezone(zone_named(zone_text(site_zone()))).hour == SUMMER.astimezone(site_zone()).hour


@pytest.mark.parametrize("text", ["", "Moon/Tranquility", "../../etc/passwd", "UTC+99:99", "UTC+", "/etc/localtime"])
def test_what_is_no_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        zone_named(text)


def test_where_the_clock_is_a_copy_the_zone_without_a_name_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    nameless = ZoneInfo.from_file(io.BytesIO(Path("/usr/share/zoneinfo/Europe/Rome").read_bytes()), key="local")
    monkeypatch.setattr(zone, "site_zone", lambda: nameless)
    assert zone_named(zone_text(nameless)) is nameless
