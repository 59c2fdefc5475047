"""How the loop itself does, and whether its file is in force, as Prometheus sees it."""

import threading
import time
from collections.abc import Callable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class Health(Collector):
    """Counts cycles, and those that fail in a row; knows whether the configuration was refused."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.failed_in_a_row = 0
        self._clock = clock
        self._finished = 0
        self._failed = 0
        self._finished_at_s: float | None = None
        self._safe_split = False
        self._store_fails = False
        self._refused = False
        self._turn = threading.Lock()

    def finished(self) -> None:
        """A cycle came to its end, so the store was written, too."""
        with self._turn:
            self._finished += 1
            self._finished_at_s = self._clock()
            self.failed_in_a_row = 0
            self._safe_split = self._store_fails = False

    def failed(self, *, by_store: bool) -> None:
        """A cycle raised."""
        with self._turn:
            self._failed += 1
            self.failed_in_a_row += 1
            self._store_fails = by_store

    def stands_by(self, *, store_fails: bool) -> None:
        """Another controller runs the cycles: what was of this one's last is over."""
        with self._turn:
            self._finished_at_s = None
            self.failed_in_a_row = 0
            self._safe_split, self._store_fails = False, store_fails

    def gives_up(self) -> None:
        """So many failed that the hosts are walked to the safe split."""
        with self._turn:
            self._safe_split = True

    def reloaded(self, *, refused: bool) -> None:
        """The configuration was read again, and is in force, or not."""
        with self._turn:
            self._refused = refused

    def collect(self) -> Iterator[Metric]:
        """The metrics as of now."""
        with self._turn:
            cycles = CounterMetricFamily("autoscaler_cycles", "Cycles since the start, by result.", labels=["result"])
            cycles.add_metric(["finished"], self._finished)
            cycles.add_metric(["failed"], self._failed)
            yield cycles
            if self._finished_at_s is not None:
                yield GaugeMetricFamily(
                    "autoscaler_last_cycle_timestamp_seconds",
                    "When a cycle last finished, in seconds since the epoch.",
                    self._finished_at_s,
                )
            yield GaugeMetricFamily(
                "autoscaler_failed_cycles_in_a_row", "Cycles that failed since one finished.", self.failed_in_a_row
            )
            yield GaugeMetricFamily(
                "autoscaler_safe_split",
                "Whether so many cycles failed that hosts are walked to the safe split (1) or not (0).",
                float(self._safe_split),
            )
            yield GaugeMetricFamily(
                "autoscaler_store_failing",
                "Whether the newest cycle failed because of the store (1) or not (0).",
                float(self._store_fails),
            )
            yield GaugeMetricFamily(
                "autoscaler_configuration_refused",
                "Whether a changed configuration was refused, so that the one before is in force (1) or not (0).",
                float(self._refused),
            )
