"""What numbers and words from outside mean: NaN, infinities and negative values are unknown, never 0."""

import math
from datetime import UTC, datetime

# A server's own words may be a whole page; each decision stores them.
MAX_PROBLEM_CHARACTERS = 300


def in_words(problem: str) -> str:
    """A problem as it can be stored and shown: short, and without characters that are none."""
    return problem[:MAX_PROBLEM_CHARACTERS].encode(errors="replace").decode()


def known(value: float) -> float | None:
    """The value of a signal (counts, rates and times are never negative), ``None`` where it means nothing."""
    return value if math.isfinite(value) and value >= 0 else None


def known_time(seconds: float) -> datetime | None:
    """The time of a Unix timestamp, ``None`` where it means none (milliseconds, for example)."""
    try:
        return None if known(seconds) is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
