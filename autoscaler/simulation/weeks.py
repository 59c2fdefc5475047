"""By how many whole weeks a trace is shifted so that it covers a piece of another one. All times are local ones."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from autoscaler.simulation.local_time import WEEK_S
from autoscaler.simulation.run import Floats

Bools = NDArray[np.bool_]

# A trace of the same weeks that ends a little earlier is not shifted for that.
_SLACK_S = 86_400.0
_EPOCH = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a trace is in the time of the piece: ``shift_s`` later than it was.

    With a ``period_s``, only what it has in so much time from ``window_s`` on, again and again. ``note`` says what was
    done, empty for nothing.
    """

    shift_s: float
    window_s: float = 0.0
    period_s: float | None = None
    note: str = ""

    def used(self, trace_s: Floats) -> Bools:
        """Which times of the trace are used."""
        if self.period_s is None:
            return np.ones(len(trace_s), dtype=np.bool_)
        return (self.window_s <= trace_s) & (trace_s < self.window_s + self.period_s)

    def in_window(self, local_s: Floats) -> Floats:
        """Where in the trace a time of the piece is found."""
        shifted = local_s - self.shift_s
        return shifted if self.period_s is None else self.window_s + (shifted - self.window_s) % self.period_s

    def shifts(self, begin_s: float, end_s: float) -> Iterator[float]:
        """The shifts with which something of the trace comes between two times of the piece."""
        if self.period_s is None:
            yield self.shift_s
            return
        from_s = self.window_s + self.shift_s
        first, last = (math.floor((time_s - from_s) / self.period_s) for time_s in (begin_s, end_s))
        yield from (self.shift_s + number * self.period_s for number in range(first, last + 1))


def place(piece: tuple[float, float], trace: tuple[float, float]) -> Place:
    """Return a place at which a trace between two times covers the piece between two others."""
    (begin, end), (first, last) = piece, trace
    if first <= begin and end <= last + _SLACK_S:
        return Place(0.0)
    # The latest weeks that cover the piece: a machine's first weeks are not its usual ones.
    shift = math.floor((last - end) / WEEK_S) * -WEEK_S
    if first <= begin - shift:
        return Place(shift, note=f"is used from {_day(begin - shift)} on, for {_day(begin)}")
    if last - first < WEEK_S:
        return _once_a_week(piece, trace)
    weeks = math.floor((last - first) / WEEK_S)
    last_weeks = f"its last {weeks} weeks are" if weeks > 1 else "its last week is"
    return _again_and_again(begin, last, weeks, f"is shorter than the piece: {last_weeks} repeated")


def _once_a_week(piece: tuple[float, float], trace: tuple[float, float]) -> Place:
    """Weekdays and hours that the trace does not have are empty, and that is most of the time."""
    (begin, end), (first, last) = piece, trace
    found = _again_and_again(begin, last, 1, "")
    there = sum(max(0.0, min(last + shift, end) - max(first + shift, begin)) for shift in found.shifts(begin, end))
    empty = max(0.0, 1 - there / (end - begin))
    return replace(
        found,
        note=f"is shorter than a week: it is put on its own weekdays and hours, once a week, and {empty:.0%} of the "
        "piece has nothing of it",
    )


def _again_and_again(begin: float, last: float, weeks: int, note: str) -> Place:
    window = last - weeks * WEEK_S
    return Place(math.floor((begin - window) / WEEK_S) * WEEK_S, window, weeks * WEEK_S, note)


def _day(local_s: float) -> str:
    return (_EPOCH + timedelta(seconds=local_s)).strftime("%A %Y-%m-%d")
