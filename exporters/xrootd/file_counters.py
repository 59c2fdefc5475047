"""The counters of the traffic of files: of which servers, by user or by path, and never more of them than allowed."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, Metric

from exporters.xrootd.fstream import MAX_NAME_CHARACTERS
from exporters.xrootd.open_files import Grown

# More than any facility has: someone invents them.
MAX_SERVERS = 1000
OTHER = "_other"


@dataclass(frozen=True, slots=True)
class Labels:
    """What bytes are counted by: ``user`` or ``path``; of a path, its first ``path_depth`` folders.

    At most ``max_series`` pairs of a server and a label get counters of their own, and keep them; the rest is pooled.
    """

    by: str = "user"
    path_depth: int = 2
    max_series: int = 500

    @property
    def by_path(self) -> Callable[[str], str] | None:
        """The function from a path to its label; None if it is not the path that counts."""
        return self.of_path if self.by == "path" else None

    def of_path(self, path: str) -> str:
        """Return the first folders of a file's path, as ``/store/user``; ``/`` for a file in none."""
        folders = [folder for folder in path.split("/")[:-1] if folder]
        return ("/" + "/".join(folders[: self.path_depth]))[:MAX_NAME_CHARACTERS]


class FileCounters:
    """Adds up bytes and lost packets by server; a server that nobody has heard for long is left out of the metrics."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._heard_at_s: dict[str, float] = {}
        self._bytes: dict[tuple[str, str], list[int]] = {}
        self._lost: Counter[tuple[str, str]] = Counter()

    def hear(self, server: str, at_s: float) -> str:
        """Note that a server was heard at ``at_s`` (seconds since the epoch); return the name it is counted under."""
        if server not in self._heard_at_s and len(self._heard_at_s) >= MAX_SERVERS:
            server = OTHER
        self._heard_at_s[server] = at_s
        return server

    def heard_since(self, at_s: float) -> list[str]:
        """Return the names of the servers heard at ``at_s`` or later, sorted."""
        return sorted(server for server, heard_at_s in self._heard_at_s.items() if heard_at_s >= at_s)

    def newest(self) -> float | None:
        """Return when the last server was heard, in seconds since the epoch; None if none ever was."""
        return max(self._heard_at_s.values(), default=None)

    def grow(self, server: str, grown: Grown) -> None:
        """Count the bytes by which a file has grown."""
        series = (server, grown.label)
        if series not in self._bytes and len(self._bytes) >= self._labels.max_series:
            series = (server, OTHER)
        total = self._bytes.setdefault(series, [0, 0])
        total[0] += grown.read_bytes
        total[1] += grown.written_bytes

    def lose(self, server: str, family: str, packets: int) -> None:
        """Count lost packets; 0 shows that they are looked for."""
        self._lost[server, family] += packets

    def traffic(self, servers: list[str]) -> Iterator[Metric]:
        """Yield the metrics of the bytes that ``servers`` have read and written."""
        what = f"by {self._labels.by}; from clients since XRootD 5 known only when the file is closed"
        labels = ("server", self._labels.by)
        read = CounterMetricFamily("xrootd_fstream_read_bytes", f"Bytes read from files, {what}.", labels=labels)
        help_text = f"Bytes written to files, {what}, and then with 4 bytes of checksum per page of 4 KiB."
        written = CounterMetricFamily("xrootd_fstream_written_bytes", help_text, labels=labels)
        for (server, label), (read_bytes, written_bytes) in sorted(self._bytes.items()):
            if server in servers:
                read.add_metric((server, label), read_bytes)
                written.add_metric((server, label), written_bytes)
        yield from (read, written)

    def lost_packets(self) -> Metric:
        """Return the metric of all packets lost on the way, be their servers silent now or not."""
        help_text = "Packets lost on the way, by their numbers: those about files (f), all others (map)."
        metric = CounterMetricFamily("xrootd_fstream_lost_packets", help_text, labels=("server", "family"))
        for labels, packets in sorted(self._lost.items()):
            metric.add_metric(labels, packets)
        return metric
