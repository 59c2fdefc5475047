"""The policy that knows the trace: what any other one can be measured against."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from autoscaler.simulation.run import Floats
from autoscaler.simulation.workload import Session


class Oracle:
    """Want the clairvoyant bound ``s(t) = max of d over [t, t + horizon_s]``.

    ``d(t)`` is how many workers the sessions of the trace want at ``t`` if each starts when it comes: no session waits,
    so it is the least demand that any policy can meet in full. ``horizon_s`` is how long what is wanted now has to last
    ahead: until the next decision is in effect, the cycle and the transfer together. Sessions that are late after all
    (the facility is full, a guard holds) keep their workers: it never wants less than who is there wants, waiting or
    running, by what is read. It knows no limit of the facility: placement gives what is there.
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar[timedelta] = timedelta(0)

    def __init__(self, sessions: Sequence[Session], start: datetime, horizon_s: float) -> None:
        if not horizon_s >= 0:  # refuses NaN too
            raise ValueError("horizon_s must be 0 or more")
        self._start = start
        self._horizon_s = horizon_s
        # Of sessions that want more, none is left to starve.
        self._workers_per_session = max((session.workers for session in sessions), default=0)
        # The first step is before all sessions; each one lasts until the next.
        self._at_s, demand = _steps(sessions)
        within = np.searchsorted(self._at_s, self._at_s + horizon_s, side="right") - np.arange(len(self._at_s))
        self._maxima = [demand]
        # The highest of 1, 2, 4, ... steps from each one on: any stretch is covered by two of the same length.
        for power in range((int(within.max()) + 1).bit_length() - 1):
            last = self._maxima[-1]
            self._maxima.append(np.maximum(last[: -(1 << power)], last[1 << power :]))

    def __repr__(self) -> str:
        return f"Oracle(horizon_s={self._horizon_s:g})"

    def decide(self, window: Window) -> Demand:
        """Want the most that the trace will want within the horizon."""
        now_s = (window.now - self._start).total_seconds()
        first = max(0, int(np.searchsorted(self._at_s, now_s, side="right")) - 1)
        end = max(1, int(np.searchsorted(self._at_s, now_s + self._horizon_s, side="right")))
        power = (end - first).bit_length() - 1
        maxima = self._maxima[power]
        ahead = int(max(maxima[first], maxima[end - (1 << power)]))
        present = [window.latest(PROOF_QUEUED_SESSIONS), window.latest(PROOF_RUNNING_SESSIONS)]
        here = int(sum(count or 0 for count in present)) * self._workers_per_session
        reason = f"the trace wants {ahead} workers at most in the next {self._horizon_s:g} s, who is here wants {here}"
        return Demand(max(ahead, here), reason)


def _steps(sessions: Sequence[Session]) -> tuple[Floats, Floats]:
    """When the workers wanted change, and how many are wanted from then on."""
    begins = np.array([session.submit_s for session in sessions])
    ends = begins + np.array([session.run_s for session in sessions])
    workers = np.array([session.workers for session in sessions], dtype=float)
    at_s, where = np.unique(np.concatenate(([-np.inf], begins, ends)), return_inverse=True)
    changes = np.bincount(where, np.concatenate(([0.0], workers, -workers)), len(at_s))
    return at_s, np.cumsum(changes)
