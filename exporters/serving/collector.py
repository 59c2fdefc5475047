"""Reading a source for a scrape: within its deadline, and with what is known about the reading itself around it.

Missing is not zero: when a source cannot be read, ``<source>_up`` is 0 and its values are absent from the exposition,
neither 0 nor the old ones, so that whoever reads them knows that nothing is known.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from exporters.serving.source import Source, SourceUnavailable

log = logging.getLogger(__name__)

Outcome = list[Metric] | SourceUnavailable

# Words of a foreign command may differ at each read; they must fill neither the log nor the memory.
MOST_REASONS = 20


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading of a source: when it began, by the clock and by the timer, and when it is given up."""

    outcome: Future[Outcome]
    begun_at_s: float
    begun: float
    until_s: float


class SourceCollector:
    """A collector (``collect()`` as prometheus_client wants it) which adds to a source how its reading went.

    ``clock`` gives seconds since the epoch, ``timer`` seconds from any start.
    """

    def __init__(
        self, source: Source, clock: Callable[[], float] = time.time, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        self.up = False
        self._source = source
        self._clock = clock
        self._timer = timer
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._last_success: float | None = None
        self._failures = 0
        self._logged_reasons: set[str] = set()

    def collect(self) -> list[Metric]:
        """Read the source; never raises, and never lasts much longer than the source's deadline."""
        return self.finish(self.begin())

    def begin(self) -> _Reading:
        """Start a reading, unless one is under way: those who scrape at the same time get the same answer."""
        with self._lock:
            if self._reading is None or self._reading.outcome.done():
                until_s = time.monotonic() + self._source.deadline_s
                self._reading = _Reading(Future(), self._clock(), self._timer(), until_s)
                # A thread of its own, since neither a lost NFS mount nor a hung libvirt call can be interrupted.
                arguments = (self._reading.outcome,)
                threading.Thread(target=self._read_into, args=arguments, name=self._source.name, daemon=True).start()
            return self._reading

    def finish(self, reading: _Reading) -> list[Metric]:
        """Wait for a reading until its deadline, and return what came of it."""
        outcome = self._outcome(reading)
        with self._lock:
            if isinstance(outcome, SourceUnavailable):
                values = self._failed(outcome)
            else:
                self._succeeded(reading.begun_at_s)
                values = outcome
            return [*self._health(self._timer() - reading.begun), *values]

    def _outcome(self, reading: _Reading) -> Outcome:
        try:
            return reading.outcome.result(max(0.0, reading.until_s - time.monotonic()))
        except TimeoutError:
            return SourceUnavailable(f"no answer within {self._source.deadline_s:g} s")

    def _read_into(self, outcome_of: Future[Outcome]) -> None:
        # No exception goes into the future: its frames hold all that was read, and would refer to it in a circle.
        try:
            outcome: Outcome = [printable(metric) for metric in self._source.read()]
        except SourceUnavailable as unavailable:
            outcome = SourceUnavailable(unavailable.reason, unavailable.known)
        except BaseException as error:  # a fault in an exporter's code must be seen as "down"
            log.debug("%s", self._source.name, exc_info=True)
            outcome = SourceUnavailable(f"unexpected {type(error).__name__}: {error}")
        outcome_of.set_result(outcome)

    def _succeeded(self, now: float) -> None:
        if self._logged_reasons:
            log.info("%s: can be read again", self._source.name)
        self._logged_reasons.clear()
        self.up, self._last_success = True, now

    def _failed(self, unavailable: SourceUnavailable) -> list[Metric]:
        if unavailable.reason not in self._logged_reasons and len(self._logged_reasons) < MOST_REASONS:
            log.warning("%s: %s", self._source.name, unavailable.reason)
            self._logged_reasons.add(unavailable.reason)
        self.up = False
        self._failures += 1
        return list(unavailable.known)

    def _health(self, duration_s: float) -> Iterable[Metric]:
        name = self._source.name
        yield GaugeMetricFamily(f"{name}_up", "1 if the source could be read, 0 if not.", self.up)
        last_success = self._source.last_success() if self._source.last_success else self._last_success
        if last_success is not None:
            help_text = "When the source last gave data, in seconds since the epoch."
            yield GaugeMetricFamily(f"{name}_last_success_timestamp_seconds", help_text, last_success)
        yield GaugeMetricFamily(f"{name}_scrape_duration_seconds", "How long reading took, in seconds.", duration_s)
        yield CounterMetricFamily(
            f"{name}_read_failures", "Reads that failed since the exporter started.", self._failures
        )


class ExporterCollector:
    """All sources of one exporter, read side by side: one that hangs does not make the others late."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._collectors = [SourceCollector(source) for source in sources]

    @property
    def up(self) -> bool:
        """Whether every source could be read at the last scrape."""
        return all(collector.up for collector in self._collectors)

    def collect(self) -> Iterable[Metric]:
        """Read every source once; never raises."""
        yield build_info()
        readings = [(collector, collector.begin()) for collector in self._collectors]
        for collector, reading in readings:
            yield from collector.finish(reading)


def printable(metric: Metric) -> Metric:
    """Return ``metric`` with labels that can be written as UTF-8: names of files and users need not be.

    One that cannot would take the whole exposition down. Such a byte is shown as U+FFFD.
    """
    for number, sample in enumerate(metric.samples):
        if not all(map(_is_utf8, sample.labels.values())):
            labels = {name: _replaced(value) for name, value in sample.labels.items()}
            metric.samples[number] = sample._replace(labels=labels)
    return metric


def _is_utf8(text: str) -> bool:
    return text.isascii() or text == _replaced(text)


def _replaced(text: str) -> str:
    return text.encode(errors="surrogateescape").decode(errors="replace")


def build_info() -> Metric:
    """Return which version of the exporters this is."""
    labels = {"version": version("vaf-autoscaler"), "pythonversion": platform.python_version()}
    return InfoMetricFamily("vaf_exporter_build", "The version of the exporter, and of Python.", labels)
