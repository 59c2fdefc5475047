"""Reading a source for a scrape: within its deadline, and with what is known about the reading itself around it.

Missing is not zero: when a source cannot be read, ``<source>_up`` is 0 and its values are absent from the exposition,
neither 0 nor the old ones, so that whoever reads them knows that nothing is known.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric

from exporters.serving.source import Source, SourceUnavailable

log = logging.getLogger(__name__)


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
        self._hanging: Future[list[Metric]] | None = None
        self._last_success: float | None = None
        self._failures = 0
        self._logged_reasons: set[str] = set()

    def collect(self) -> list[Metric]:
        """Read the source once; never raises, and never lasts much longer than the source's deadline."""
        with self._lock:
            begun_at_s, begun = self._clock(), self._timer()
            values = self._read(begun_at_s)
            return [*self._health(self._timer() - begun), *values]

    def _read(self, now: float) -> list[Metric]:
        try:
            values = self._read_in_time()
        except SourceUnavailable as unavailable:
            return self._failed(unavailable)
        except Exception as error:
            # A fault in one exporter's code must be seen as "down" by the one who reads, not as a broken scrape.
            log.debug("%s", self._source.name, exc_info=True)
            return self._failed(SourceUnavailable(f"unexpected {type(error).__name__}: {error}"))
        self._succeeded(now)
        return values

    def _read_in_time(self) -> list[Metric]:
        # A thread of its own, since neither a lost NFS mount nor a hung libvirt call can be interrupted.
        silence = SourceUnavailable(f"no answer within {self._source.deadline_s:g} s")
        if self._hanging is not None and not self._hanging.done():
            raise silence
        reading = self._hanging = Future()
        threading.Thread(target=self._read_into, args=(reading,), name=self._source.name, daemon=True).start()
        try:
            return reading.result(self._source.deadline_s)
        except TimeoutError as error:
            raise (error if reading.done() else silence) from None

    def _read_into(self, reading: Future[list[Metric]]) -> None:
        try:
            reading.set_result(list(self._source.read()))
        except BaseException as error:  # noqa: BLE001 - it is raised again where the result is asked for
            reading.set_exception(error)

    def _succeeded(self, now: float) -> None:
        if self._logged_reasons:
            log.info("%s: can be read again", self._source.name)
        self._logged_reasons.clear()
        self.up, self._last_success = True, now

    def _failed(self, unavailable: SourceUnavailable) -> list[Metric]:
        if unavailable.reason not in self._logged_reasons:
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
        self._pool = ThreadPoolExecutor(max(1, len(sources)), thread_name_prefix="scrape")

    @property
    def up(self) -> bool:
        """Whether every source could be read at the last scrape."""
        return all(collector.up for collector in self._collectors)

    def collect(self) -> Iterable[Metric]:
        """Read every source once; never raises."""
        yield build_info()
        for metrics in self._pool.map(SourceCollector.collect, self._collectors):
            yield from metrics


def build_info() -> Metric:
    """Return which version of the exporters this is."""
    labels = {"version": version("vaf-autoscaler"), "pythonversion": platform.python_version()}
    return InfoMetricFamily("vaf_exporter_build", "The version of the exporter, and of Python.", labels)
