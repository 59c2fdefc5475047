"""Throughput of the xrootd servers, from the summary reports they send by UDP (``xrd.report ADDR:PORT every 10s all``).

The format is that of XRootD 5.5: one XML document per packet, without a sequence number. Its counters are cumulative
since the server started, so a lost packet costs resolution only. There is no authentication: whatever arrives is
counted as bad unless it is a report, and never does more harm than that.
"""

import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporters.serving import Address, SourceUnavailable, cannot_listen

LABELS = ("server", "name", "program")

# The values of LABELS: the same before and after a restart.
Sender = tuple[str, str, str]

# A real report has about 1.7 kB.
MAX_REPORT_BYTES = 32768
MAX_NAME_CHARACTERS = 256

# More senders than any facility has: someone invents them, and each one would cost memory and time series.
MAX_SERVERS = 1000

INTEGER = re.compile(r"[0-9]{1,19}")


class BadReport(ValueError):  # noqa: N818 - named after what it is about
    """A packet that is not a summary report of xrootd."""


@dataclass(frozen=True, slots=True)
class Report:
    """One summary report; times in seconds since the epoch on the server's clock, bytes since the server started."""

    sender: Sender
    pid: int
    started_at_s: int
    made_at_s: int
    received_bytes: int
    sent_bytes: int
    connections: int

    @property
    def process(self) -> tuple[int, int]:
        """Which process sent it: ``started_at_s`` is in whole seconds, and in a container the pid may always be 1."""
        return self.pid, self.started_at_s

    def is_older_than(self, other: "Report") -> bool:
        """Say whether this report was overtaken by the other one on its way."""
        return self.pid == other.pid and (self.started_at_s, self.made_at_s) < (other.started_at_s, other.made_at_s)


def parse_report(packet: bytes) -> Report:
    """Read a summary report: the attributes of ``<statistics>`` and its ``<stats id="link">``.

    Raises :class:`BadReport` for anything else.
    """
    if len(packet) > MAX_REPORT_BYTES:
        raise BadReport("the packet is too long")
    try:
        document = fromstring(packet.rstrip(b"\0"), forbid_dtd=True)
    except (ParseError, ValueError, LookupError) as error:
        raise BadReport("the packet is not plain XML") from error
    link = document.find("stats[@id='link']")
    if document.tag != "statistics" or link is None:
        raise BadReport("the document has no link statistics")
    return _report(document, link)


def _report(document: Element, link: Element) -> Report:
    return Report(
        sender=(_name(document, "src"), _name(document, "ins"), _name(document, "pgm")),
        pid=_integer(document.get("pid")),
        started_at_s=_integer(document.get("tos")),
        made_at_s=_integer(document.get("tod")),
        received_bytes=_integer(link.findtext("in")),
        sent_bytes=_integer(link.findtext("out")),
        connections=_integer(link.findtext("num")),
    )


def _name(document: Element, attribute: str) -> str:
    name = document.get(attribute)
    if name is None or len(name) > MAX_NAME_CHARACTERS:
        raise BadReport("the report does not say properly who sent it")
    return name


def _integer(text: str | None) -> int:
    if text is None or not INTEGER.fullmatch(text):
        raise BadReport("the report lacks a number or has one that is none")
    return int(text)


@dataclass(frozen=True, slots=True)
class Tally:
    """One server's last report, when it came (seconds since the epoch), and its bytes since its first report.

    ``previous_process`` sent the reports before the last restart.
    """

    report: Report
    came_at_s: float
    read_bytes: int = 0
    written_bytes: int = 0
    previous_process: tuple[int, int] | None = None

    def after(self, report: Report, came_at_s: float) -> "Tally":
        """Return the tally with one more report; unchanged if that one was overtaken on its way."""
        if report.is_older_than(self.report) or report.process == self.previous_process:
            return self
        restarted = report.process != self.report.process
        # A restarted server counts from 0 again, so what it has counted so far is what is new.
        base_sent, base_received = (0, 0) if restarted else (self.report.sent_bytes, self.report.received_bytes)
        return Tally(
            report,
            came_at_s,
            self.read_bytes + max(0, report.sent_bytes - base_sent),
            self.written_bytes + max(0, report.received_bytes - base_received),
            self.report.process if restarted else self.previous_process,
        )


class Receiver(socketserver.UDPServer):
    """Receives reports on ``address`` and keeps a tally per server.

    A server that has been silent for ``ttl_s`` seconds is left out until it reports again. ``clock`` gives seconds
    since the epoch. Raises :class:`OSError` if the address cannot be bound.
    """

    max_packet_size = 65536

    def __init__(self, address: Address, ttl_s: float, clock: Callable[[], float] = time.time) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        super().__init__((address.host, address.port), socketserver.BaseRequestHandler)
        self.reported = threading.Event()
        self._address = address
        self._ttl_s = ttl_s
        self._clock = clock
        self._lock = threading.Lock()
        self._tallies: dict[Sender, Tally] = {}
        self._bad_reports = 0

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Take one packet from the network (called by :class:`socketserver.UDPServer`)."""
        self.take(request[0])

    def take(self, packet: bytes) -> None:
        """Add a packet to the tallies, or count it as bad; never raises."""
        with self._lock:
            try:
                self._add(parse_report(packet))
            except BadReport:
                self._bad_reports += 1

    def _add(self, report: Report) -> None:
        tally = self._tallies.get(report.sender)
        if tally is None and len(self._tallies) >= MAX_SERVERS:
            raise BadReport("there are too many servers already")
        now = self._clock()
        self._tallies[report.sender] = tally.after(report, now) if tally else Tally(report, now)
        self.reported.set()

    def newest(self) -> float | None:
        """Return when the newest report came, in seconds since the epoch; None if none has come."""
        with self._lock:
            return max((tally.came_at_s for tally in self._tallies.values()), default=None)

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` if no server has reported within the time to live."""
        with self._lock:
            now, tallies = self._clock(), list(self._tallies.values())
            bad = CounterMetricFamily("xrootd_bad_reports", "Packets that are not summary reports.", self._bad_reports)
        fresh = [tally for tally in tallies if now - tally.came_at_s <= self._ttl_s]
        if not fresh:
            since = f"within {self._ttl_s:g} s" if tallies else "so far"
            reason = f"no report {since} on UDP {self._address}; the servers need 'xrd.report ADDR:PORT every 10s all'"
            raise SourceUnavailable(reason, [bad])
        return [*tally_metrics(fresh, now), bad]


def tally_metrics(tallies: Iterable[Tally], now: float) -> Iterator[Metric]:
    """Yield the metrics of ``tallies`` at ``now`` (seconds since the epoch)."""
    read = CounterMetricFamily("xrootd_read_bytes", "Bytes sent to clients since the first report.", labels=LABELS)
    written = CounterMetricFamily("xrootd_written_bytes", "Bytes clients sent since the first report.", labels=LABELS)
    connections = GaugeMetricFamily("xrootd_connections", "Connections of clients now.", labels=LABELS)
    age = GaugeMetricFamily("xrootd_report_age_seconds", "Age of the last report, in seconds.", labels=LABELS)
    for tally in sorted(tallies, key=lambda tally: tally.report.sender):
        read.add_metric(tally.report.sender, tally.read_bytes)
        written.add_metric(tally.report.sender, tally.written_bytes)
        connections.add_metric(tally.report.sender, tally.report.connections)
        age.add_metric(tally.report.sender, now - tally.came_at_s)
    yield from (read, written, connections, age)


@contextmanager
def receiving(address: Address, ttl_s: float) -> Iterator[Receiver]:
    """Receive reports in a thread; raises :class:`click.ClickException` if ``address`` cannot be bound."""
    try:
        receiver = Receiver(address, ttl_s)
    except OSError as error:
        raise cannot_listen("UDP reports", address, error) from error
    with receiver:
        thread = threading.Thread(target=receiver.serve_forever, name="xrootd-reports", daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
