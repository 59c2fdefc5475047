"""What a number from outside means: NaN, infinities and negative values are unknown, never 0."""

import math


def known(value: float) -> float | None:
    """The value of a signal (counts, rates and times are never negative), ``None`` where it means nothing."""
    return value if math.isfinite(value) and value >= 0 else None
