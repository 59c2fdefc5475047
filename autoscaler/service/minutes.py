"""A site's load minute by minute, to learn from: out of Prometheus's history, or out of recorded sessions."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from autoscaler.core.guards import unknown_reason
from autoscaler.learning.features import Floats
from autoscaler.learning.shelf import Range
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, WN_RUNNING_JOBS, GuardLimits, Window
from autoscaler.simulation.workload import Session
from autoscaler.sources.history import PrometheusHistory
from autoscaler.sources.prometheus import PrometheusSource

MINUTE = timedelta(minutes=1)
LOAD = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)


class TooLittleError(Exception):
    """There is too little to learn from; the message says how much there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """How many sessions were there, queued and running, each minute from ``start`` on; NaN where it is not known.

    ``queued`` are those of them that waited, and ``jobs`` the running batch jobs; ``None`` where nobody has looked.
    """

    source: str
    start: datetime
    zone: tzinfo
    loads: Floats
    queued: Floats | None = None
    jobs: Floats | None = None

    @property
    def end(self) -> datetime:
        """The end of the last minute."""
        return self.at(len(self.loads))

    @property
    def gap_minutes(self) -> int:
        """Minutes without a known load."""
        return int(np.isnan(self.loads).sum())

    def at(self, minute: int) -> datetime:
        """When a minute begins."""
        return self.start + minute * MINUTE

    def part(self, first: int, last: int) -> "Minutes":
        """The minutes from ``first`` to before ``last``."""
        queued = None if self.queued is None else self.queued[first:last]
        jobs = None if self.jobs is None else self.jobs[first:last]
        return replace(self, start=self.at(first), loads=self.loads[first:last], queued=queued, jobs=jobs)

    def without(self, ranges: Iterable[Range]) -> "Minutes":
        """The same with gaps in the load where something is excluded."""
        excluded = np.zeros(len(self.loads), dtype=np.bool_)
        for each in ranges:
            first, last = (math.ceil((at - self.start) / MINUTE) for at in (each.begin, each.end))
            excluded[max(0, first) : max(0, last)] = True
        queued = None if self.queued is None else np.where(excluded, math.nan, self.queued)
        return replace(self, loads=np.where(excluded, math.nan, self.loads), queued=queued)

    def known(self) -> "Minutes":
        """The same from the first to the last minute that is known; raises ``TooLittleError`` where none is."""
        places = np.flatnonzero(~np.isnan(self.loads))
        if not len(places):
            raise TooLittleError(f"{self.source}: no minute with a known load")
        return self.part(int(places[0]), int(places[-1]) + 1)


def history_windows(source: PrometheusSource, start: datetime, minutes: int) -> Iterable[Window]:
    """What a controller with a cycle a minute would have read of the load and of batch jobs.

    Raises ``UnreachableError``.
    """
    # The newest value of each minute and no more: the history before it would be asked for again and again.
    signals = {name: source.signals[name] for name in (*LOAD, WN_RUNNING_JOBS)}
    newest = replace(source, signals=signals, history=timedelta(0), step=MINUTE)
    return PrometheusHistory(newest, MINUTE).windows(start, minutes)


def from_windows(windows: Iterable[Window], start: datetime, zone: tzinfo, limits: GuardLimits, source: str) -> Minutes:
    """The load of each window, and its batch jobs, not known where a policy could not rely on them."""
    found = [_of_window(window, limits) for window in windows]
    queued, running, jobs = np.array(found, dtype=np.float64).reshape(-1, 3).T
    return Minutes(source, start, zone, queued + running, queued, jobs)


def _of_window(window: Window, limits: GuardLimits) -> list[float]:
    return [*_newest(window, LOAD, limits), *_newest(window, (WN_RUNNING_JOBS,), limits)]


def _newest(window: Window, signals: tuple[str, ...], limits: GuardLimits) -> list[float]:
    """The newest values of signals that say something together; none of them is known where one is not."""
    values = [window.latest(name) for name in signals]
    unknown = unknown_reason(window, signals, limits) is not None
    return [math.nan if unknown or value is None else value for value in values]


def from_sessions(sessions: Sequence[Session], start: datetime, zone: tzinfo, source: str) -> Minutes:
    """How many sessions would be there at each full minute, had none of them to wait."""
    first = start.timestamp() + sessions[0].submit_s
    begin = math.floor(first / 60) * 60
    shift = start.timestamp() - begin
    come = np.ceil((np.array([each.submit_s for each in sessions]) + shift) / 60).astype(np.int64)
    gone = np.ceil((np.array([each.submit_s + each.run_s for each in sessions]) + shift) / 60).astype(np.int64)
    change = np.zeros(int(gone.max()) + 1)
    np.add.at(change, come, 1.0)
    np.add.at(change, gone, -1.0)
    return Minutes(source, datetime.fromtimestamp(begin, UTC), zone, np.cumsum(change))
