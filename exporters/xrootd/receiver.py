"""The source ``xrootd``: receives the summary reports of the servers, and tells what they add up to."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporters.serving import Address, SourceUnavailable
from exporters.xrootd.reports import BadReport, parse_report
from exporters.xrootd.tallies import Tallies, Tally
from exporters.xrootd.udp import receiving

LABELS = ("server", "name", "program")


class ReportReceiver:
    """Takes the reports that arrive at ``address``, and gives the metrics of those servers that are not silent.

    A server is silent when it has not reported for ``ttl_s`` seconds: then its values are absent, but the age of its
    last report is not, so that an alert can name it. ``dropped`` tells how many packets the kernel dropped, None if
    that is unknown. ``clock`` gives seconds since the epoch.
    """

    def __init__(self, address: Address, ttl_s: float, clock: Callable[[], float] = time.time) -> None:
        self.reported = threading.Event()
        self.dropped: Callable[[], int | None] = lambda: None
        self.address = address
        self._ttl_s = ttl_s
        self._clock = clock
        # Held for as short as can be: while a scrape holds it, packets wait in the kernel's buffer.
        self._lock = threading.Lock()
        self._tallies = Tallies(ttl_s)
        self._newest: float | None = None
        self._bad_reports = 0

    def take(self, packet: bytes, _: tuple[Any, ...] = ()) -> None:
        """Add a packet to the tallies, or count it as bad; never raises."""
        try:
            report = parse_report(packet)
            with self._lock:
                now = self._clock()
                self._tallies.add(report, now)
                self._newest = now
        except BadReport:
            self._bad_reports += 1
        else:
            self.reported.set()

    def newest(self) -> float | None:
        """Return when the newest report came, in seconds since the epoch; None if none has come."""
        return self._newest

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` if no server has reported within the time to live."""
        with self._lock:
            now = self._clock()
            tallies = self._tallies.remembered(now)
        tallies.sort(key=lambda tally: tally.report.sender)
        talking = [tally for tally in tallies if not self._tallies.is_silent(tally, now)]
        known = [*presence_metrics(tallies, len(talking), now), *self._reception_metrics()]
        if not talking:
            since = f"within {self._ttl_s:g} s" if tallies else "so far"
            reason = f"no report {since} on UDP {self.address}; the servers need 'xrd.report ADDR:PORT every 10s all'"
            raise SourceUnavailable(reason, known)
        return [*counter_metrics(talking), *gauge_metrics(talking), *known]

    def _reception_metrics(self) -> Iterator[Metric]:
        yield CounterMetricFamily("xrootd_bad_reports", "Packets that are not summary reports.", self._bad_reports)
        dropped = self.dropped()
        if dropped is not None:
            help_text = "Packets the kernel dropped, as the exporter did not take them in time."
            yield CounterMetricFamily("xrootd_dropped_packets", help_text, dropped)


def counter_metrics(tallies: Iterable[Tally]) -> Iterable[Metric]:
    """Return what the servers have counted since their first reports."""
    counter = partial(CounterMetricFamily, labels=LABELS)
    families = {
        "read_bytes": counter("xrootd_read_bytes", "Bytes sent to clients since the first report."),
        "written_bytes": counter("xrootd_written_bytes", "Bytes clients sent since the first report."),
        "requests": CounterMetricFamily(
            "xrootd_requests", "Requests of clients since the first report.", labels=(*LABELS, "operation")
        ),
        "errors": counter("xrootd_errors", "Requests answered with an error since the first report."),
        "delays": counter("xrootd_delays", "Requests told to come again later since the first report."),
        "logins": CounterMetricFamily("xrootd_logins", "Logins since the first report.", labels=(*LABELS, "result")),
    }
    for tally in tallies:
        for (family, *label), total in tally.totals.items():
            families[family].add_metric((*tally.report.sender, *label), total)
    return families.values()


def gauge_metrics(tallies: Iterable[Tally]) -> Iterable[Metric]:
    """Return how the servers were at their last reports."""
    connections = GaugeMetricFamily("xrootd_connections", "Connections of clients now.", labels=LABELS)
    files = GaugeMetricFamily("xrootd_open_files", "Files that are open now.", labels=(*LABELS, "mode"))
    for tally in tallies:
        connections.add_metric(tally.report.sender, tally.report.connections)
        for mode, number in tally.report.open_files.items():
            files.add_metric((*tally.report.sender, mode), number)
    return connections, files


def presence_metrics(tallies: Sequence[Tally], talking: int, now: float) -> Iterable[Metric]:
    """Return who has reported and when, silent servers too; ``now`` in seconds since the epoch."""
    age = GaugeMetricFamily("xrootd_report_age_seconds", "Age of the last report, in seconds.", labels=LABELS)
    reports = CounterMetricFamily("xrootd_reports", "Reports received.", labels=LABELS)
    servers = GaugeMetricFamily("xrootd_servers", "Servers that have reported, by their state now.", labels=("state",))
    for tally in tallies:
        age.add_metric(tally.report.sender, max(0.0, now - tally.came_at_s))
        reports.add_metric(tally.report.sender, tally.reports)
    servers.add_metric(("reporting",), talking)
    servers.add_metric(("silent",), len(tallies) - talking)
    return age, reports, servers


@contextmanager
def receiving_reports(address: Address, ttl_s: float) -> Iterator[ReportReceiver]:
    """Receive reports in a thread; raises :class:`click.ClickException` if ``address`` cannot be bound."""
    receiver = ReportReceiver(address, ttl_s)
    with receiving("UDP reports", address, receiver.take) as udp:
        receiver.dropped, receiver.address = udp.dropped, udp.address
        yield receiver
