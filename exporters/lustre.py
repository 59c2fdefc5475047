"""The command ``vaf-exporter lustre``: throughput of Lustre, where a facility keeps its data there and not on xrootd.

The kernel counts in files called ``stats``, one per mounted file system on a client (``llite``) and one per target on
an object storage server (``obdfilter``); ``lctl get_param`` prints the same text. Its layout is that of
lprocfs_stats_seq_show in Lustre's lustre/obdclass/lprocfs_status.c (2.1 to 2.16), and of the chapter "Lustre
Parameters" of the Lustre Operations Manual: first ``snapshot_time``, then a line for each counter **that is not 0**.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from glob import iglob
from itertools import islice
from pathlib import Path

import click
from prometheus_client.core import CounterMetricFamily, Metric

from exporters.serving import Serving, Source, SourceUnavailable, serve, serving_options, timeout_option
from exporters.subprocesses import run

# Of a client up to Lustre 2.11, and since; only root may read the latter.
CLIENT_STATS = ("/proc/fs/lustre/llite/*/stats", "/sys/kernel/debug/lustre/llite/*/stats")

# A real file has less than 4 kB, and a node less than a hundred of them.
MAX_STATS_BYTES = 65536
MAX_TARGETS = 1000

# snapshot_time and, since 2.15, start_time and elapsed_time.
TIME = re.compile(r"\w+_time +[0-9]+\. *[0-9]+ secs\.\w+", re.ASCII)

# Any counter: with its number of calls only, or with the smallest, largest, sum, and sum of squares.
COUNTER = re.compile(r"\S+ +[0-9]{1,20} samples \[[^\s\]]*\]( -?[0-9]{1,20}){0,4}", re.ASCII)

# name, number of calls, unit, smallest, largest, sum, and since 2.13 the sum of squares, which may overflow.
BYTES = re.compile(
    r"(?P<counter>\w+) +(?P<calls>[0-9]{1,20}) samples \[bytes\] [0-9]{1,20} [0-9]{1,20} (?P<bytes>[0-9]{1,20})"
    r"( -?[0-9]{1,20})?",
    re.ASCII,
)

# The beginning of a target's text in what lctl prints; some versions begin the text in the same line.
HEADER = re.compile(r"[^\s=]*?\.(?P<target>[^\s=]+)\.stats=(?P<rest>.*)")

# A client adds the kernel's address of the mount to the name of the file system, a server the number of the target.
TARGET = re.compile(r"(?P<filesystem>.+)-(OST[0-9a-f]{4,8}|[0-9a-f]{8,16})")


@dataclass(frozen=True, slots=True)
class Stats:
    """What was read and written, in bytes and calls, since the file system was mounted or the counters cleared."""

    read_bytes: int = 0
    read_calls: int = 0
    written_bytes: int = 0
    write_calls: int = 0


def parse_stats(text: str) -> Stats:
    """Read the text of one ``stats`` file; a counter that is not there is 0, as Lustre leaves out what never happened.

    Raises :class:`SourceUnavailable` if the text does not begin with its ``snapshot_time``, is cut off, or has a line
    that is not what it should be: what is missing from half a text is not 0.
    """
    lines = text.strip().splitlines()
    if not lines or lines[0].split(maxsplit=1)[:1] != ["snapshot_time"]:
        raise SourceUnavailable("the text does not begin with snapshot_time: is it a stats file of Lustre?")
    if not text.endswith("\n"):
        raise SourceUnavailable("the text is cut off: it does not end with a newline")
    for line in map(str.strip, lines):
        if line and not TIME.fullmatch(line) and not COUNTER.fullmatch(line):
            raise _unreadable(line.split(maxsplit=1)[0])
    if not TIME.fullmatch(lines[0].strip()):
        raise _unreadable("snapshot_time")
    read_calls, read_bytes = _counter(lines, "read_bytes")
    write_calls, written_bytes = _counter(lines, "write_bytes")
    return Stats(read_bytes, read_calls, written_bytes, write_calls)


def _unreadable(name: str) -> SourceUnavailable:
    return SourceUnavailable(f"the line {name[:40]} cannot be read: is it a stats file of Lustre?")


def _counter(lines: Iterable[str], name: str) -> tuple[int, int]:
    for line in lines:
        if line.split(maxsplit=1)[:1] == [name]:
            found = BYTES.fullmatch(line.strip())
            if found is None:
                raise _unreadable(name)
            return int(found["calls"]), int(found["bytes"])
    return 0, 0


def parse_get_param(output: str) -> dict[str, Stats]:
    """Read what ``lctl get_param llite.*.stats`` prints, by target; raises :class:`SourceUnavailable`."""
    texts: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.splitlines():
        if header := HEADER.fullmatch(line):
            lines = texts[header["target"]] = [header["rest"]]
        else:
            lines.append(line)
    if not texts:
        raise SourceUnavailable("lctl printed no statistics: the parameter must be one that ends in .stats")
    if not output.endswith("\n"):
        raise SourceUnavailable("what lctl printed is cut off: it does not end with a newline")
    return {target: _parse_of(target, "\n".join([*lines, ""])) for target, lines in texts.items()}


def read_files(patterns: Iterable[str]) -> dict[str, Stats]:
    """Read the files that match, by target: the name of their folder. Raises :class:`SourceUnavailable`."""
    patterns = tuple(patterns)
    names = (name for pattern in patterns for name in iglob(pattern))  # noqa: PTH207 - Path.glob wants them relative
    files = [Path(name) for name in islice(names, MAX_TARGETS + 1)]
    if len(files) > MAX_TARGETS:
        raise SourceUnavailable(f"more than {MAX_TARGETS} files match --stats; give a narrower pattern")
    stats: dict[str, Stats] = {}
    for file in files:
        text = _read(file)
        target = _printable(file.parent.name)
        if text is not None and target not in stats:
            stats[target] = _parse_of(_printable(str(file)), text)
    if not stats:
        raise SourceUnavailable(
            f"no statistics of Lustre in {' or '.join(patterns)}: nothing is mounted, or only root may look"
        )
    return stats


def _printable(name: str) -> str:
    """Return the name of a file with a sign in place of every byte that is not UTF-8, which no label may have."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _read(file: Path) -> str | None:
    try:
        with file.open("rb") as opened:
            return opened.read(MAX_STATS_BYTES).decode(errors="replace")
    except FileNotFoundError:  # it was unmounted a moment ago
        return None
    except OSError as error:
        raise SourceUnavailable(f"cannot read {_printable(str(file))}: {error.strerror}") from error


def _parse_of(origin: str, text: str) -> Stats:
    try:
        return parse_stats(text)
    except SourceUnavailable as error:
        raise SourceUnavailable(f"{origin}: {error.reason}") from error


def read_lctl(parameters: Iterable[str], timeout_s: float) -> dict[str, Stats]:
    """Ask lctl once for all, by target; gives up after ``timeout_s`` seconds. Raises :class:`SourceUnavailable`."""
    return parse_get_param(run(["lctl", "get_param", *parameters], timeout_s).decode(errors="replace"))


def stats_metrics(stats: dict[str, Stats]) -> Iterator[Metric]:
    """Yield the metrics; the names of the targets, and of their file systems, are labels."""
    labels = ("filesystem", "target")
    where = "on a client those of the applications, be they from the cache or not"
    read = CounterMetricFamily("lustre_read_bytes", f"Bytes read, {where}.", labels=labels)
    written = CounterMetricFamily("lustre_written_bytes", f"Bytes written, {where}.", labels=labels)
    read_calls = CounterMetricFamily("lustre_read_calls", "Calls that read, on a server requests.", labels=labels)
    write_calls = CounterMetricFamily("lustre_write_calls", "Calls that wrote, on a server requests.", labels=labels)
    for target, counted in sorted(stats.items()):
        found = TARGET.fullmatch(target)
        names = (found["filesystem"] if found else target, target)
        read.add_metric(names, counted.read_bytes)
        written.add_metric(names, counted.written_bytes)
        read_calls.add_metric(names, counted.read_calls)
        write_calls.add_metric(names, counted.write_calls)
    yield from (read, written, read_calls, write_calls)


@click.command("lustre")
@click.option(
    "--stats",
    "patterns",
    metavar="GLOB",
    multiple=True,
    default=CLIENT_STATS,
    show_default=True,
    help="The files to read; on a server '/proc/fs/lustre/obdfilter/*/stats'. May be given several times.",
)
@click.option(
    "--lctl",
    "parameters",
    metavar="PARAMETER",
    multiple=True,
    help="Ask 'lctl get_param PARAMETER' instead: 'llite.*.stats' on a client, 'obdfilter.*.stats' on a server. May be "
    "given several times.",
)
@timeout_option("lctl")
@serving_options(default_port=9614)
def command(patterns: Sequence[str], parameters: Sequence[str], timeout_s: float, *, serving: Serving) -> None:
    """Export the throughput of Lustre, on a client or on an object storage server.

    \b
    Examples:
      vaf-exporter lustre --once
      vaf-exporter lustre --lctl 'obdfilter.*.stats'
    """

    def read() -> Iterator[Metric]:
        return stats_metrics(read_lctl(parameters, timeout_s) if parameters else read_files(patterns))

    serve(Source("lustre", read), serving=serving)
