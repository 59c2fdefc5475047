"""Time zones by name, there and back."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

import pytest

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
