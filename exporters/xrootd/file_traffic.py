"""Who reads and writes how much on the xrootd servers, or in which folders: from their detailed monitoring by UDP.

A server tells the bytes of a file as totals since it was opened: now and then while it is open, and at its close. The
counters here grow by the differences, so what is lost on the way is caught up by the next record of the same file.
Clients since XRootD 5 read and write pages with checksums; of these the server says nothing before the close.
"""

import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from exporters.serving import Address, SourceUnavailable
from exporters.xrootd.file_counters import MAX_SERVERS, FileCounters, Labels
from exporters.xrootd.fstream import FILES, PLUGINS, BadPacket, Packet, ServerNamed, parse_fstream
from exporters.xrootd.open_files import OpenFiles
from exporters.xrootd.sequence import PATIENCE, Sequence

# Open files and users of all servers together; each one takes some 500 bytes.
MAX_ENTRIES = 200_000

WANTED = "xrootd.monitor all fstat 10s lfn ops xfr 1 ident 30s dest fstat user ADDR:PORT"


class Process:
    """One process of a server: its name, its open files, and which of its packets have come."""

    def __init__(self, server: str, started_at_s: int, files: OpenFiles) -> None:
        self.server = self.counted_as = server
        self.started_at_s = started_at_s
        self.heard_at_s = 0.0
        self.files = files
        self._sequences = {"f": Sequence(), "map": Sequence()}
        self._newest: deque[int] = deque(maxlen=PATIENCE)

    def order(self, packet: Packet) -> tuple[str, int, bool]:
        """Return the family of numbers a packet belongs to, how many losses it reveals, and whether it is late.

        The packets about files have numbers of their own, and all others have theirs together (XrdXrootdMonFile::Flush,
        XrdXrootdMonitor::Send).
        """
        family = "f" if packet.stream == FILES else "map"
        sequence = self._sequences[family]
        lost = sequence.lost
        late = sequence.take(packet.number)
        return family, sequence.lost - lost, late

    def has_come_already(self, datagram: bytes) -> bool:
        """Say whether the network has delivered the same packet twice."""
        fingerprint = hash(datagram)
        if fingerprint in self._newest:
            return True
        self._newest.append(fingerprint)
        return False


class FileTraffic:
    """Adds up the packets handed to :meth:`take`, by server and label.

    A server silent for ``ttl_s`` seconds is left out until it is heard again. ``clock`` gives seconds since the epoch.
    """

    def __init__(self, address: Address, ttl_s: float, labels: Labels, clock: Callable[[], float] = time.time) -> None:
        self.heard = threading.Event()
        self._address = address
        self._ttl_s = ttl_s
        self._labels = labels
        self._clock = clock
        self._lock = threading.Lock()
        self._counters = FileCounters(labels)
        # By the address they send from; the one heard last is last.
        self._processes: OrderedDict[tuple[Any, ...], Process] = OrderedDict()
        self._entries = 0
        self._packets = 0
        self._bad_packets = 0

    def take(self, datagram: bytes, sender: tuple[Any, ...]) -> None:
        """Take one datagram from the network, or count it as bad; never raises. ``sender`` begins with a host."""
        with self._lock:
            try:
                packet = parse_fstream(datagram)
            except BadPacket:
                self._bad_packets += 1
                return
            self._packets += 1
            self._add(packet, datagram, sender)
            self.heard.set()

    def _add(self, packet: Packet, datagram: bytes, sender: tuple[Any, ...]) -> None:
        process = self._process(sender, packet.started_at_s)
        process.heard_at_s = self._clock()
        for record in packet.records:
            if isinstance(record, ServerNamed):
                self._name(process, record.server, sender)
        server = process.counted_as = self._counters.hear(process.server, process.heard_at_s)
        late = False
        # Each plug-in numbers its packets for itself, and none of them is of use here.
        if packet.stream != PLUGINS:
            family, lost, late = process.order(packet)
            self._counters.lose(server, family, lost)
        if packet.records and not process.has_come_already(datagram):
            self._follow(process.files, packet, server, late=late)

    def _follow(self, files: OpenFiles, packet: Packet, server: str, *, late: bool) -> None:
        entries = files.entries
        for grown in files.take(packet.records, late=late):
            self._counters.grow(server, grown)
        self._entries += files.entries - entries
        while self._entries > MAX_ENTRIES and len(self._processes) > 1:
            self._end(next(iter(self._processes)))

    def _process(self, sender: tuple[Any, ...], started_at_s: int) -> Process:
        process = self._processes.get(sender)
        if process is None or process.started_at_s != started_at_s:
            name = process.server if process else str(sender[0])
            self._end(sender)
            process = self._processes[sender] = Process(name, started_at_s, OpenFiles(self._labels.by_path))
        self._processes.move_to_end(sender)
        if len(self._processes) > MAX_SERVERS:
            self._end(next(iter(self._processes)))
        return process

    def _name(self, process: Process, server: str, sender: tuple[Any, ...]) -> None:
        if process.server == server:
            return
        process.server = server
        # After a restart, a server sends from another port: what the process before had open is closed.
        before = [at for at, its in self._processes.items() if its.server == server and at[0] == sender[0]]
        for other in before:
            if other != sender:
                self._end(other)

    def _end(self, sender: tuple[Any, ...]) -> None:
        process = self._processes.pop(sender, None)
        if process:
            self._entries -= process.files.entries

    def newest(self) -> float | None:
        """Return when the newest packet came, in seconds since the epoch; None if none has come."""
        with self._lock:
            return self._counters.newest()

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` if no server was heard within the time to live."""
        with self._lock:
            since_s = self._clock() - self._ttl_s
            servers = self._counters.heard_since(since_s)
            known = self._packet_metrics()
            if not servers:
                raise SourceUnavailable(self._silence(), known)
            return [*self._counters.traffic(servers), self._open_files(servers, since_s), *known]

    def _silence(self) -> str:
        since = "so far" if self._counters.newest() is None else f"within {self._ttl_s:g} s"
        return f"no packet of detailed monitoring {since} on UDP {self._address}; the servers need '{WANTED}'"

    def _open_files(self, servers: list[str], since_s: float) -> Metric:
        open_files: Counter[str] = Counter()
        for process in self._processes.values():
            if process.heard_at_s >= since_s:
                open_files[process.counted_as] += len(process.files)
        metric = GaugeMetricFamily("xrootd_fstream_open_files", "Files open now.", labels=["server"])
        for server in servers:
            metric.add_metric([server], open_files[server])
        return metric

    def _packet_metrics(self) -> list[Metric]:
        help_text = "Datagrams that are no packets of detailed monitoring."
        return [
            CounterMetricFamily("xrootd_fstream_packets", "Packets of detailed monitoring received.", self._packets),
            CounterMetricFamily("xrootd_fstream_bad_packets", help_text, self._bad_packets),
            self._counters.lost_packets(),
        ]
