"""What a learned policy may have noted at noon."""

from datetime import UTC, datetime, timedelta

from autoscaler.learning.notes import Aim, Arrivals, Doubt, Forecast, Judged, Losses, Notes, Who, minute_of

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
# The minute that ends at noon begins then, and what is of it is told as of its beginning: it may not be over.
BEFORE_NOON = NOON - timedelta(minutes=1)
NOW = minute_of(NOON)
NOTES = Notes(
    Aim(0.05, 0.04),
    NOW,
    (1.0, None, 3.0),
    (Forecast(NOW - 1, 0.5, 3.5, 3.0), Forecast(NOW, 1.0, 4.0, 3.0)),
    Losses(80, 0.125, 0.25, 0.75),
    Arrivals(40.0, 0.95),
    Judged(Forecast(NOW - 11, 0.0, 2.5, 2.0), 2.0),
    Who(acts=True, since=NOW - 100, doubt=Doubt.NONE, good_since=None),
    waited=NOW - 30,
)
