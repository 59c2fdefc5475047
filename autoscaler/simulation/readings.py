"""What exporters and Prometheus would have shown of the model: the signals, as old as readings are there."""

import math
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import repeat

from autoscaler.contracts import Policy
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    Sample,
    Series,
    Window,
)
from autoscaler.simulation.agenda import Agenda

SIGNALS = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, WN_RUNNING_JOBS, XROOTD_READ_BYTES_PER_SECOND)
Values = tuple[float, float, float, float]
State = Callable[[], Values]


class Readings:
    """Reads the facility for each cycle, and keeps the history of the signals that a policy rests on.

    A cycle knows what ``state`` said an ``age`` before it; before the beginning, nobody was there.
    """

    def __init__(
        self, agenda: Agenda, policy: Policy, start: datetime, *, interval: timedelta, age: timedelta, state: State
    ) -> None:
        self._agenda = agenda
        self._state = state
        self._start = start
        self._interval_s = interval.total_seconds()
        self._signals = policy.signals
        self._places = [SIGNALS.index(name) for name in policy.signals]
        self._age_s = age.total_seconds()
        self._age = age
        before = math.ceil(age / interval)
        # What was read, and no cycle knows of yet.
        self._read: deque[Values] = deque([(0.0, 0.0, 0.0, 0.0)] * before)
        self._readings = before
        # One more than fits, so that the oldest lies at or before the start of the history.
        length = -(-policy.history // interval) + 2
        self._samples: tuple[deque[Sample], ...] = tuple(deque(maxlen=length) for _ in self._signals)
        self._plan()

    def window(self, at_s: float) -> Window:
        """What the next cycle knows, now: the state of a while ago, and the history of such."""
        now = self._start + timedelta(seconds=at_s)
        fresh_at = now - self._age
        values = self._read.popleft()
        for samples, place in zip(self._samples, self._places, strict=True):
            samples.append(Sample(now, values[place]))
        return Window(now, tuple(map(Series, self._signals, map(tuple, self._samples), repeat(fresh_at))))

    def _plan(self) -> None:
        # Counted, not added up: a sum of fractions would drift.
        self._agenda.plan(self._readings * self._interval_s - self._age_s, self._observe)

    def _observe(self, _at_s: float) -> None:
        self._read.append(self._state())
        self._readings += 1
        self._plan()
