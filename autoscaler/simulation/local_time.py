"""Wall clocks: from Unix seconds to the seconds of a time zone's own clock and back, whole arrays at once.

Local seconds count as Unix seconds do, as if the zone were UTC: equal weekday and hour are equal modulo a week.
"""

from datetime import UTC, datetime, tzinfo

import numpy as np

from autoscaler.simulation.run import Floats

MINUTE_S = 60.0
WEEK_S = 7 * 86_400.0
# Clocks are changed on the quarter of an hour everywhere.
_QUARTER_S = 900.0


def to_local(unix_s: Floats, zone: tzinfo) -> Floats:
    """What the zone's clocks show at these times."""
    return unix_s + _offset_s(unix_s, zone)


def from_local(local_s: Floats, zone: tzinfo) -> Floats:
    """When the zone's clocks show these times; one that is skipped in spring is an hour off."""
    guess = local_s - _offset_s(local_s, zone)
    return local_s - _offset_s(guess, zone)


def _offset_s(unix_s: Floats, zone: tzinfo) -> Floats:
    quarters, place = np.unique(np.floor(unix_s / _QUARTER_S), return_inverse=True)
    moments = (datetime.fromtimestamp(float(quarter) * _QUARTER_S, UTC) for quarter in quarters)
    return np.array([_seconds(moment.astimezone(zone)) for moment in moments], dtype=np.float64)[place]


def _seconds(moment: datetime) -> float:
    offset = moment.utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
