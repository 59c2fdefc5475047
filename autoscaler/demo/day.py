"""A synthetic day of PROOF sessions, exposed as the PROOF exporter would expose it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

MIDNIGHT = datetime.fromisoformat("2007-11-20T00:00:00+00:00")

# (begin, minutes) of each session: two early birds, a busy late morning, lunch, an afternoon beyond capacity, one owl.
SESSIONS = (
    ("08:10", 25),
    ("08:55", 50),
    ("09:40", 95),
    ("10:05", 70),
    ("10:20", 40),
    ("10:30", 85),
    ("13:45", 60),
    ("14:10", 110),
    ("14:30", 45),
    ("14:35", 120),
    ("14:50", 75),
    ("15:05", 30),
    ("15:10", 90),
    ("15:20", 60),
    ("21:30", 40),
)


@dataclass(frozen=True, slots=True)
class Load:
    """Sessions at one moment."""

    queued: int
    running: int


def load_at(now: datetime, step: timedelta) -> Load:
    """The sessions at ``now``: those that came within the last ``step`` still queue, the others run."""
    time_of_day = timedelta(hours=now.hour, minutes=now.minute, seconds=now.second)
    open_since = [time_of_day - begin for begin, length in _spans() if begin <= time_of_day < begin + length]
    queued = sum(since < step for since in open_since)
    return Load(queued, len(open_since) - queued)


def _spans() -> Iterator[tuple[timedelta, timedelta]]:
    for begin, minutes in SESSIONS:
        hour, minute = begin.split(":")
        yield timedelta(hours=int(hour), minutes=int(minute)), timedelta(minutes=minutes)


class DayExporter(Collector):
    """Exposes the day under the PROOF exporter's metric names; ``now`` is moved by the demo."""

    def __init__(self, step: timedelta) -> None:
        self.now = MIDNIGHT
        self._step = step

    def collect(self) -> Iterable[Metric]:
        """The load at ``now``."""
        load = load_at(self.now, self._step)
        yield GaugeMetricFamily("proof_up", "1 while the source can be read.", value=1)
        yield GaugeMetricFamily(
            "proof_last_success_timestamp_seconds",
            "Unix time of the last successful read, in seconds.",
            value=self.now.timestamp(),
        )
        yield GaugeMetricFamily("proof_queue_depth", "Sessions that wait for workers.", value=load.queued)
        sessions = GaugeMetricFamily("proof_sessions", "Sessions by state.", labels=["state"])
        sessions.add_metric(["running"], load.running)
        yield sessions
