"""What xproofd's log (``-l FILE``) says of its sessions and its queue; the file is read at each scrape.

The scheduler's queue is nowhere else: neither in a file nor in any answer over the network.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.proof.log_entries import Entry, Kind, parse_log
from exporters.proof.log_tail import LogTail, Piece
from exporters.serving import SourceUnavailable

# Three times the 30 s after which the scheduler writes its queue again.
QUEUE_MAX_AGE_S = 90.0

# Twice the longest time between two lines of a living xproofd, 5 x checkfq.
LOG_MAX_AGE_S = 300.0


@dataclass(frozen=True, slots=True)
class Known:
    """What is known from the log so far, None = nothing; times in seconds since the epoch.

    ``cron_at_s`` is when xproofd's cron thread last wrote, which checks the sessions and tells that one has changed: as
    long as it writes, what it has not contradicted is true. ``queries`` are those of the first ``sessions_listed`` of
    the sessions that wait: their lines come one by one.
    """

    sessions: int | None = None
    running: int | None = None
    cron_at_s: float = 0.0
    waiting: int | None = None
    waiting_at_s: float = 0.0
    sessions_listed: int = 0
    queries: int = 0

    def after(self, entry: Entry, at_s: float) -> "Known":
        """Return what is known after one more line, written at ``at_s``."""
        match entry.kind:
            case Kind.STARTED:
                return Known()
            case Kind.SESSIONS:
                running = 0 if entry.number == 0 else self.running
                return replace(self, sessions=entry.number, running=running, cron_at_s=at_s)
            case Kind.RUNNING:
                return replace(self, running=entry.number, cron_at_s=at_s)
            case Kind.WAITING:
                return replace(self, waiting=entry.number, waiting_at_s=at_s, sessions_listed=0, queries=0)
            case Kind.QUERIES:
                listed, queries = self.sessions_listed + 1, self.queries + entry.number
                return replace(self, sessions_listed=listed, queries=queries)

    def waiting_sessions(self, now: float) -> int | None:
        """Return how many sessions wait in the queue, None if its last line is too old."""
        return self.waiting if now - self.waiting_at_s <= QUEUE_MAX_AGE_S else None


# A read under way ends sooner; one that does not, hangs.
HUNG_READ_S = 1.0


class DaemonLog:
    """Follows the log of one xproofd; for ``clock``, see :func:`time.time`.

    A log that has not been written to for ``max_age_s`` seconds is no longer that of a living xproofd: nothing is
    known then, as after a gap, since what was left out may have changed it all.
    """

    def __init__(self, path: Path, max_age_s: float = LOG_MAX_AGE_S, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._max_age_s = max_age_s
        self._clock = clock
        self._tail = LogTail(path)
        self._known = Known()
        self._read_at_s = float("-inf")
        self._lock = threading.Lock()

    def read(self) -> list[Metric]:
        """Return the metrics of what is known; raises :class:`SourceUnavailable` if nobody writes the log."""
        with self._lock:
            now = self._follow()
            return list(log_metrics(self._known, now, self._max_age_s))

    def waiting_sessions(self) -> int | None:
        """Return how many sessions wait in the scheduler's queue by the last read, None if it did not say so.

        It reads nothing itself, and may be called from another thread: where the log lies on a file system that hangs,
        only :meth:`read` hangs with it.
        """
        if not self._lock.acquire(timeout=HUNG_READ_S):
            return None
        try:
            return self._known.waiting_sessions(self._clock())
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the file; the next read begins as the first one did."""
        self._tail.close()
        self._known = Known()

    def _follow(self) -> float:
        now = self._clock()
        piece = self._piece()
        if now - piece.written_at_s > self._max_age_s:
            self.close()
            raise SourceUnavailable(
                f"nothing was written to {self._path} for more than {self._max_age_s:g} s, though xproofd does so at "
                "each check of its sessions: it hangs, is not running, or writes to another file"
            )
        self._learn(piece)
        self._read_at_s = now
        return now

    def _piece(self) -> Piece:
        try:
            return self._tail.read()
        except OSError as error:
            self.close()
            raise SourceUnavailable(
                f"cannot read {self._path}: {error.strerror}; --log must be the file xproofd writes to (-l), and this "
                "user must be allowed to read it"
            ) from error

    def _learn(self, piece: Piece) -> None:
        known = self._known if piece.gapless else Known()
        # The clock in the lines may be of another time zone, or be set back in autumn: they cannot be older than the
        # last read, and not younger than the file.
        earliest = self._read_at_s if piece.gapless else float("-inf")
        for entry in parse_log(piece.lines):
            known = known.after(entry, min(max(entry.written_at_s, earliest), piece.written_at_s))
        self._known = known


def log_metrics(known: Known, now: float, max_age_s: float) -> Iterator[Metric]:
    """Yield the metrics of ``known`` at ``now`` (seconds since the epoch), without those that are too old."""
    cron_lives = now - known.cron_at_s <= max_age_s
    if known.sessions is not None and cron_lives:
        help_text = "Users' sessions at xproofd's last check."
        yield GaugeMetricFamily("proof_log_sessions", help_text, known.sessions)
    if known.running is not None and cron_lives:
        help_text = "Sessions (on the master) that run a query."
        yield GaugeMetricFamily("proof_log_running_sessions", help_text, known.running)
    waiting = known.waiting_sessions(now)
    if waiting is None:
        return
    yield GaugeMetricFamily("proof_log_waiting_sessions", "Sessions in the queue of PROOF's scheduler.", waiting)
    if known.sessions_listed == waiting:
        help_text = "Queries of the sessions in the queue of PROOF's scheduler."
        yield GaugeMetricFamily("proof_log_waiting_queries", help_text, known.queries)
