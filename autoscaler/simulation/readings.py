"""What exporters and Prometheus would have shown of the model: the signals, as old as readings are there."""

from collections import deque
from datetime import datetime, timedelta
from itertools import repeat

from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    WN_RUNNING_JOBS,
    XROOTD_READ_BYTES_PER_SECOND,
    Sample,
    Series,
    Window,
)

SIGNALS = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, WN_RUNNING_JOBS, XROOTD_READ_BYTES_PER_SECOND)
Values = tuple[float, float, float, float]


class Readings:
    """Remembers the newest states, and the history that a policy looks back on."""

    def __init__(self, start: datetime, history: timedelta, interval: timedelta, age: timedelta) -> None:
        self._start = start
        self._age_s = age.total_seconds()
        self._age = age
        self._states: deque[tuple[float, Values]] = deque([(-self._age_s, (0.0, 0.0, 0.0, 0.0))])
        # One more than fits, so that the oldest lies at or before the start of the history.
        length = -(-history // interval) + 2
        self._samples: tuple[deque[Sample], ...] = tuple(deque(maxlen=length) for _ in SIGNALS)

    def note(self, at_s: float, values: Values) -> None:
        """The state from now on."""
        self._states.append((at_s, values))

    def window(self, at_s: float) -> Window:
        """What is known now: the state of a while ago, and the history of such."""
        now = self._start + timedelta(seconds=at_s)
        states, known_s = self._states, at_s - self._age_s
        while len(states) > 1 and states[1][0] <= known_s:
            states.popleft()
        fresh_at = now - self._age
        for samples, value in zip(self._samples, states[0][1], strict=True):
            samples.append(Sample(now, value))
        return Window(now, tuple(map(Series, SIGNALS, map(tuple, self._samples), repeat(fresh_at))))
