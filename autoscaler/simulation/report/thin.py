"""Fewer points for the same picture, and the time of each as a clock on the wall shows it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from autoscaler.simulation.run import Cycles, Floats

Indices = NDArray[np.intp]


def drawn_points(at_s: Floats, values: Floats, points_max: int) -> Indices:
    """Which points of a line to draw: all, or the first, lowest, highest and last in each of equal spans of time.

    This is M4 (VLDB 2014): a burst keeps its height and its moment, however short it is.
    """
    if at_s.size <= points_max:
        return np.arange(at_s.size)
    edges_s = np.linspace(at_s[0], at_s[-1], points_max // 4 + 1)[1:-1]
    span = np.searchsorted(edges_s, at_s, side="right")
    first = np.flatnonzero(np.diff(span, prepend=-1))
    last = np.append(first[1:], at_s.size) - 1
    # Sorted by value within each span, a span has the same places as before.
    by_value = np.lexsort((values, span))
    return np.unique(np.concatenate((first, by_value[first], by_value[last], last)))


def step_line(at_s: Floats, values: Floats, duration_s: float, points_max: int) -> tuple[Floats, Floats]:
    """A step line of few points, to the end of the run."""
    if not at_s.size:
        return at_s, values
    changed = np.append(True, values[1:] != values[:-1])
    at_s, values = at_s[changed], values[changed]
    drawn = drawn_points(at_s, values, points_max - 1)
    return np.append(at_s[drawn], duration_s), np.append(values[drawn], values[-1])


def wn_efficiency(cycles: Cycles, bins_max: int) -> tuple[Floats, Floats, float]:
    """Used over wanted CPU time of the batch jobs, in bins of whole cycles: their beginnings, ratios, and length in s.

    A ratio is not a number where no job wanted any.
    """
    count = cycles.wn_wanted_core_s.size
    cycles_a_bin = max(1, -(-count // bins_max))
    first: Indices = np.arange(0, count, cycles_a_bin)
    wanted_core_s, used_core_s = (
        np.add.reduceat(values, first) for values in (cycles.wn_wanted_core_s, cycles.wn_used_core_s)
    )
    ratio = np.divide(used_core_s, wanted_core_s, out=np.full(first.size, np.nan), where=wanted_core_s > 0)
    at_s = first.astype(np.float64) * cycles.interval_s
    return at_s, ratio, cycles_a_bin * cycles.interval_s


def local_times(start: datetime, at_s: Floats) -> list[str]:
    """Moments after ``start`` as the clock of its time zone shows them."""
    return [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in local_moments(start, at_s)]


def local_moments(start: datetime, at_s: Floats) -> Iterator[datetime]:
    """Yield moments after ``start`` in its time zone, also when the clock there was changed in between."""
    # Adding to a local time would miss the hour that a change of the clock gives or takes.
    start_utc, zone = start.astimezone(UTC), start.tzinfo
    return ((start_utc + timedelta(seconds=seconds)).astimezone(zone) for seconds in at_s.tolist())
