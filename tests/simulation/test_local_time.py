"""Wall clocks of time zones, forth and back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.simulation.local_time import from_local, to_local

ZONES = ["UTC", "Europe/Rome", "America/Los_Angeles", "Asia/Kolkata", "Australia/Lord_Howe"]


@pytest.mark.parametrize("zone", ZONES)
@settings(deadline=None)
@given(unix_s=st.lists(st.integers(0, 4 * 10**9), max_size=5))
def test_local_seconds_show_the_wall_clock_and_lead_back(zone: str, unix_s: list[int]) -> None:
    times, there = np.array(unix_s, dtype=np.float64), ZoneInfo(zone)
    local = to_local(times, there)
    for time_s, shown_s in zip(unix_s, local.tolist(), strict=True):
        assert datetime.fromtimestamp(shown_s, UTC).replace(tzinfo=None) == datetime.fromtimestamp(
            time_s, there
        ).replace(tzinfo=None)
    # In the hour that a clock shows twice, the other one may be meant.
    assert np.all(np.abs(from_local(local, there) - times) <= 3600)


def test_summer_and_winter_time_change_in_the_night() -> None:
    rome = ZoneInfo("Europe/Rome")
    before, after = (datetime(2026, 3, 29, hour, 59, tzinfo=UTC).timestamp() for hour in (0, 1))
    shown = to_local(np.array([before, after]), rome)
    assert np.diff(shown).tolist() == [7200]
    assert from_local(shown, rome).tolist() == [before, after]
