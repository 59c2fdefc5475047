"""What xproofd's scheduler says of its workers: kQueryWorkers (1004) over TCP.

A second source beside the admin area: it says at once, for the whole facility and without any file, which workers PROOF
may use and how many sessions each has been given; the admin area lags by up to 30 s and shows one machine. It cannot
replace it: that a session is queued or runs is not in the answer. xproofd does nothing but print its list.

kQuerySessions (1000) is not asked, however tempting: it shows only the sessions of the user who asks, never says
"queued", waits up to 10 s for each dead session, and each call makes xproofd leave out its next cleanup of sessions.
"""

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.proof.connection import Connection
from exporters.serving import Address, SourceUnavailable
from exporters.sockets import connected

QUERY_WORKERS = 1004

# For all of it; well below the deadline of a source.
TIMEOUT_S = 4.0
FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 60.0

# A worker is two time series. What comes after that many is added up as one.
MAX_WORKERS = 1000
OTHERS = "(others)"

SELECTION = re.compile(r"Selection: (all|(round-robin|random|load-based), max workers: -?[0-9]{1,9} &)")
ITEM = re.compile(r"(?P<type>[A-Z]): (?P<name>[A-Za-z0-9_.:@\[\]-]{1,256}) +sessions: (?P<sessions>[0-9]{1,9}) &")


@dataclass(frozen=True, slots=True)
class Workers:
    """The list of the scheduler.

    ``slots``: how often each worker ("host:port") stands in it, which is how many of its processes one session gets.
    ``assigned``: the sessions given to the slots of each worker. ``master_sessions``: the sessions on the master that
    have been given workers, None without a master in the list.
    """

    slots: Counter[str]
    assigned: Counter[str]
    master_sessions: int | None


def parse_workers(answer: bytes) -> Workers:
    """Read the answer to kQueryWorkers; raises :class:`SourceUnavailable` if it is not one.

    XrdProofSched::ExportInfo writes ``Selection: round-robin, max workers: -1 &`` (nothing after the name, not even
    the ``&``, if it is ``all``), then ``T: host:port  sessions: N &`` for the master (M), submasters (S), workers (W).
    """
    slots: Counter[str] = Counter()
    assigned: Counter[str] = Counter()
    master_sessions = None
    for kind, name, sessions in _items(answer):
        if kind == "W":
            slots[name] += 1
            assigned[name] += sessions
        elif kind == "M":
            master_sessions = (master_sessions or 0) + sessions
    return Workers(slots, assigned, master_sessions)


def _items(answer: bytes) -> Iterator[tuple[str, str, int]]:
    text = answer.decode("ascii", "replace")
    match = SELECTION.match(text)
    while match is not None:
        end = match.end()
        # Without its NUL, it is only the beginning of an answer.
        if end == len(text) - 1 and text[end] == "\0":
            return
        match = ITEM.match(text, end)
        if match is not None:
            yield match["type"], match["name"], int(match["sessions"])
    raise SourceUnavailable("xproofd's list of workers (kQueryWorkers) is not of the known form")


def worker_metrics(workers: Workers) -> Iterator[Metric]:
    """Yield the metrics of ``workers``."""
    yield _by_worker("proof_network_worker_slots", "How often a worker stands in PROOF's list.", workers.slots)
    yield _by_worker(
        "proof_network_assigned_sessions",
        "Sessions assigned to the slots of a worker, added up; with static scheduling the idle ones too.",
        workers.assigned,
    )
    if workers.master_sessions is not None:
        help_text = "Sessions on the master which have workers; with static scheduling the idle ones too."
        yield GaugeMetricFamily("proof_network_master_sessions", help_text, workers.master_sessions)


def _by_worker(name: str, help_text: str, numbers: Counter[str]) -> Metric:
    family = GaugeMetricFamily(name, help_text, labels=["worker"])
    ordered = sorted(numbers.items())
    for worker, number in ordered[:MAX_WORKERS]:
        family.add_metric([worker], number)
    if len(ordered) > MAX_WORKERS:
        family.add_metric([OTHERS], sum(number for _, number in ordered[MAX_WORKERS:]))
    return family


@dataclass(slots=True)
class WorkersQuery:
    """Asks one xproofd for its workers, over one connection that is kept from scrape to scrape.

    A kept connection that turns out to be lost is replaced at once, so that nobody sees a restart of xproofd. After a
    failure, xproofd is left alone for a second, then for twice as long each time, up to a minute: each login costs it
    a line in its log and a folder for five minutes. ``clock`` gives seconds from any start.
    """

    address: Address
    user: str
    timeout_s: float = TIMEOUT_S
    clock: Callable[[], float] = time.monotonic
    connect: Callable[[Address, float], socket.socket] = connected
    _connection: Connection | None = None
    _failures: int = 0
    _quiet_until_s: float = float("-inf")
    _last_failure: str = field(default="", repr=False)

    def read(self) -> list[Metric]:
        """Return the metrics; raises :class:`SourceUnavailable` if xproofd does not tell its workers."""
        if self.clock() < self._quiet_until_s:
            raise SourceUnavailable(self._last_failure)
        try:
            workers = parse_workers(self._ask())
        except SourceUnavailable as unavailable:
            self._give_up(unavailable.reason)
            raise
        except OSError as error:
            self._give_up(self._explained(error))
            raise SourceUnavailable(self._last_failure) from error
        self._failures = 0
        return list(worker_metrics(workers))

    def close(self) -> None:
        """Close the connection, if there is one; the next read makes a new one."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _ask(self) -> bytes:
        until_s = time.monotonic() + self.timeout_s
        if self._connection is not None:
            try:
                return self._connection.ask(QUERY_WORKERS, until_s)
            except ConnectionError:
                self.close()
        self._connection = Connection(self.connect(self.address, until_s), self.address)
        self._connection.log_in(self.user, until_s)
        return self._connection.ask(QUERY_WORKERS, until_s)

    def _give_up(self, reason: str) -> None:
        self.close()
        self._last_failure = reason
        self._quiet_until_s = self.clock() + min(FIRST_BACKOFF_S * 2**self._failures, LONGEST_BACKOFF_S)
        self._failures = min(self._failures + 1, 10)

    def _explained(self, error: OSError) -> str:
        who = f"xproofd at {self.address}"
        if isinstance(error, TimeoutError):
            return f"{who} gave no answer within {self.timeout_s:g} s"
        if isinstance(error, ConnectionError) and not isinstance(error, ConnectionRefusedError):
            return f"{who} closed the connection instead of answering"
        return f"cannot connect to {who}: {error.strerror or error}; does it run, and on the port of --tcp?"
