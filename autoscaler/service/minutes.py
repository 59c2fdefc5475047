"""A site's load minute by minute, to learn from: out of Prometheus's history, or out of recorded sessions."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from autoscaler.core.guards import unknown_reason
from autoscaler.learning.features import Floats
from autoscaler.learning.shelf import Range
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, GuardLimits, Window
from autoscaler.simulation.workload import Session
from autoscaler.sources.history import PrometheusHistory
from autoscaler.sources.prometheus import PrometheusSource

MINUTE = timedelta(minutes=1)
LOAD = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)


class TooLittleError(Exception):
    """There is too little to learn from; the message says how much there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """How many sessions were there, queued and running, each minute from ``start`` on; NaN where it is not known."""

    source: str
    start: datetime
    zone: tzinfo
    loads: Floats

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
        return replace(self, start=self.at(first), loads=self.loads[first:last])

    def without(self, ranges: Iterable[Range]) -> "Minutes":
        """The same with gaps where something is excluded."""
        loads = self.loads.copy()
        for each in ranges:
            first, last = (math.ceil((at - self.start) / MINUTE) for at in (each.begin, each.end))
            loads[max(0, first) : max(0, last)] = np.nan
        return replace(self, loads=loads)

    def known(self) -> "Minutes":
        """The same from the first to the last minute that is known; raises ``TooLittleError`` where none is."""
        places = np.flatnonzero(~np.isnan(self.loads))
        if not len(places):
            raise TooLittleError(f"{self.source}: no minute with a known load")
        return self.part(int(places[0]), int(places[-1]) + 1)


def history_windows(source: PrometheusSource, start: datetime, minutes: int) -> Iterable[Window]:
    """What a controller with a cycle a minute would have read of the load; raises ``UnreachableError``."""
    # The newest value of each minute and no more: the history before it would be asked for again and again.
    signals = {name: source.signals[name] for name in LOAD}
    newest = replace(source, signals=signals, history=timedelta(0), step=MINUTE)
    return PrometheusHistory(newest, MINUTE).windows(start, minutes)


def from_windows(windows: Iterable[Window], start: datetime, zone: tzinfo, limits: GuardLimits, source: str) -> Minutes:
    """The load of each window, not known where a policy could not rely on it."""
    loads = [math.nan if unknown_reason(each, LOAD, limits) else _load(each) for each in windows]
    return Minutes(source, start, zone, np.array(loads, dtype=np.float64))


def _load(window: Window) -> float:
    return sum(window.latest(name) or 0.0 for name in LOAD)


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
