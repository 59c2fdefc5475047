"""What a number from outside means: NaN, infinities and negative values are unknown, never 0."""

import math
from datetime import UTC, datetime


def known(value: float) -> float | None:
    """The value of a signal (counts, rates and times are never negative), ``None`` where it means nothing."""
    return value if math.isfinite(value) and value >= 0 else None


def known_time(seconds: float) -> datetime | None:
    """The time of a Unix timestamp, ``None`` where it means none (milliseconds, for example)."""
    try:
        return None if known(seconds) is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
