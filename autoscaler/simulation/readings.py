"""What exporters and Prometheus would have shown of the model: the signals, as old as readings are there."""

import math
from collections import deque
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from itertools import repeat

from autoscaler.contracts import Policy
from autoscaler.model import (
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    Sample,
    Series,
    Window,
)
from autoscaler.simulation.agenda import Agenda

SIGNALS = (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    DOMAIN_SWAP_IN_BYTES_PER_SECOND,
)
Values = tuple[float, float, float, float, float]
State = Callable[[], Values]


def seen_by(policy: Policy) -> tuple[str, ...]:
    """The signals that a policy looks at."""
    return (*policy.signals, *getattr(policy, "heeds", ()))


class Readings:
    """Reads the facility for each cycle, and keeps the history of the signals that a policy rests on.

    A cycle knows what ``state`` said an ``age`` before it; before the beginning, nobody was there. What comes at the
    very moment of a reading is in the next one, so that it does not matter which of the two was planned first. Of the
    signals that are ``unheard`` nothing is known.
    """

    def __init__(
        self,
        agenda: Agenda,
        policy: Policy,
        start: datetime,
        *,
        interval: timedelta,
        age: timedelta,
        state: State,
        unheard: Collection[str] = (),
    ) -> None:
        self._agenda = agenda
        self._state = state
        self._start = start
        self._interval_s = interval.total_seconds()
        self._signals = tuple(name for name in seen_by(policy) if name not in unheard)
        self._places = [SIGNALS.index(name) for name in self._signals]
        self._age_s = age.total_seconds()
        self._age = age
        before = math.ceil(age / interval)
        # What was read, and no cycle knows of yet.
        self._read: deque[Values] = deque([(0.0, 0.0, 0.0, 0.0, 0.0)] * before)
        self._readings = before
        # One more than fits, so that the oldest lies at or before the start of the history.
        self._length = -(-policy.history // interval) + 2
        self._samples: tuple[deque[Sample], ...] = tuple(deque(maxlen=self._length) for _ in self._signals)
        self._now = start
        self._known: list[float] = []
        self._alike = 0
        self._plan()

    @property
    def still(self) -> bool:
        """Whether this cycle knows what the one before knew, all its history through."""
        return self._alike > self._length

    def begin_cycle(self, at_s: float) -> None:
        """Let the next cycle be now."""
        self._now = self._start + timedelta(seconds=at_s)
        values = self._read.popleft()
        known = [values[place] for place in self._places]
        self._alike = self._alike + 1 if known == self._known else 1
        self._known = known
        for samples, value in zip(self._samples, known, strict=True):
            samples.append(Sample(self._now, value))

    def window(self) -> Window:
        """What this cycle knows: the state of a while ago, and the history of such."""
        fresh_at = self._now - self._age
        return Window(self._now, tuple(map(Series, self._signals, map(tuple, self._samples), repeat(fresh_at))))

    def _plan(self) -> None:
        # Counted, not added up: a sum of fractions would drift.
        self._agenda.plan_before_all(self._readings * self._interval_s - self._age_s, self._observe)

    def _observe(self, _at_s: float) -> None:
        self._read.append(self._state())
        self._readings += 1
        self._plan()
