"""The windows that a controller would have read from Prometheus, cycle by cycle, long after."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import requests

from autoscaler.model import Sample, Series, Window
from autoscaler.sources.prometheus import PrometheusSource, UnreachableError
from autoscaler.sources.values import known, known_time

T = TypeVar("T")

# Prometheus refuses more than 11 000 points in one answer.
POINTS_AT_ONCE = 10_000

# As long as Prometheus itself lets a query run, unless told otherwise: nobody waits for the next cycle here.
TIMEOUT = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class PrometheusHistory:
    """Reads what ``source`` would have read at each ``interval``, in few range queries."""

    source: PrometheusSource
    interval: timedelta

    def windows(self, start: datetime, cycles: int) -> Iterator[Window]:
        """Yield the windows of so many cycles, the first one at ``start``; raises ``UnreachableError``.

        A query that is refused makes its signal unknown, as it does in ``PrometheusSource.read``.
        """
        patient = replace(self.source, timeout=max(self.source.timeout, TIMEOUT))
        with patient.session() as session:
            span = _Span(patient, session, start, self.interval, cycles)
            signals = [_Signal(name, span) for name in patient.signals]
            for cycle in range(cycles):
                yield Window(span.at(cycle), tuple(signal.series(cycle) for signal in signals))


@dataclass(frozen=True, slots=True)
class _Span:
    """Which cycles are read, from where."""

    source: PrometheusSource
    session: requests.Session
    start: datetime
    interval: timedelta
    cycles: int

    def at(self, cycle: int) -> datetime:
        """The time of a cycle."""
        return self.start + cycle * self.interval


class _Signal:
    """One signal's values and ages, read piece by piece in the order of time.

    The samples of all windows lie on one grid: those of a window are a step apart, the newest ones an interval.
    """

    def __init__(self, name: str, span: _Span) -> None:
        self._name, self._span = name, span
        source, signal = span.source, span.source.signals[name]
        grid = _common_divider(source.step, span.interval)
        self._per_step, self._per_cycle = source.step // grid, span.interval // grid
        self._back = source.history // source.step * self._per_step
        points = self._back + (span.cycles - 1) * self._per_cycle + 1
        ask = _Ask(source, span.session, signal.query, span.start - self._back * grid, grid)
        self._samples = _Pieces(ask, points, lambda at, value: Sample(at, known(value)))
        ask = _Ask(source, span.session, signal.fresh_at, span.start, span.interval)
        self._ages = _Pieces(ask, span.cycles, lambda _at, value: known_time(value))

    def series(self, cycle: int) -> Series:
        """The series that ends at this cycle; cycles only go forward."""
        newest = self._back + cycle * self._per_cycle
        samples = self._samples.between(newest - self._back, newest, self._per_step)
        ages = (None,) if samples[-1].value is None else self._ages.between(cycle, cycle, 1)
        problem = self._samples.problem or self._ages.problem
        if problem is not None:
            return Series(self._name, (Sample(self._span.at(cycle), None),), problem=problem)
        return self._span.source.series(self._name, samples, ages[-1])


@dataclass(frozen=True, slots=True)
class _Ask:
    """A range query to be asked in pieces: its point number ``n`` lies at ``begin + n * step``."""

    source: PrometheusSource
    session: requests.Session
    query: str
    begin: datetime
    step: timedelta

    def points(self, first: int, last: int) -> tuple[list[tuple[datetime, float]], str | None]:
        """The points ``first`` to ``last``, NaN where there is none, and why they could not be read."""
        begin = self.begin + first * self.step
        values: Mapping[int, float] | None = None
        problem = None
        try:
            values = self.source.numbers(self.session, self.query, begin, self.step, last - first)
        except UnreachableError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an answer holds, its signal is unknown
            problem = self.source.problem(error)
        found = values or {}
        return [(begin + n * self.step, found.get(n, math.nan)) for n in range(last - first + 1)], problem


class _Pieces(Generic[T]):
    """The points of a range query: asked for when they are needed, forgotten when they are past.

    ``problem`` says why the newest piece could not be read.
    """

    def __init__(self, ask: _Ask, points: int, make: Callable[[datetime, float], T]) -> None:
        self._ask, self._points, self._make = ask, points, make
        self._kept: list[T] = []
        self._first = 0
        self.problem: str | None = None

    def between(self, oldest: int, newest: int, stride: int) -> tuple[T, ...]:
        """Every so many points from ``oldest`` to ``newest``; neither goes backward."""
        while newest >= self._first + len(self._kept):
            self._read_on(oldest)
        return tuple(self._kept[oldest - self._first : newest - self._first + 1 : stride])

    def _read_on(self, oldest: int) -> None:
        first = self._first + len(self._kept)
        points, self.problem = self._ask.points(first, min(first + POINTS_AT_ONCE, self._points) - 1)
        del self._kept[: oldest - self._first]
        self._first = min(oldest, first)
        self._kept += [self._make(at, value) for at, value in points]


def _common_divider(one: timedelta, other: timedelta) -> timedelta:
    microsecond = timedelta(microseconds=1)
    return math.gcd(one // microsecond, other // microsecond) * microsecond
