"""The API as Prometheus sees it: requests, and what became of the alerts in them."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

# How an announced session may stand.
STATES = ("ready", "waiting", "over")


Counted = tuple[tuple[tuple[str, ...], int], ...]


class Counts(msgspec.Struct, frozen=True):
    """What was counted in some time, by labels."""

    requests: Counted = ()
    alerts: Counted = ()
    sessions: Counted = ()


class ApiMetrics(Collector):
    """Counts; paths are those of the API, whatever is asked for.

    The API's process counts for the controller, which outlives it and is asked by Prometheus.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._alerts: Counter[tuple[str, ...]] = Counter()
        self._sessions: Counter[tuple[str, ...]] = Counter({(state,): 0 for state in STATES})
        self._restarts = 0

    def answered(self, path: str, status: int) -> None:
        """Count a request."""
        with self._lock:
            self._requests[path, str(status)] += 1

    def heard(self, source: str, **results: int) -> None:
        """Count alerts of a source, by what became of them."""
        with self._lock:
            for result, number in results.items():
                self._alerts[source, result] += number

    def announced(self, state: str) -> None:
        """Count an announced session, by how it stood when it was answered."""
        with self._lock:
            self._sessions[state,] += 1

    def restarted(self) -> None:
        """Count an end of the API's process that nobody wanted."""
        with self._lock:
            self._restarts += 1

    def taken(self) -> Counts:
        """What was counted since this was called last."""
        with self._lock:
            counters = (self._requests, self._alerts, self._sessions)
            found = [tuple((key, number) for key, number in each.items() if number) for each in counters]
            for each in counters:
                each.clear()
        return Counts(*found)

    def add(self, counts: Counts) -> None:
        """Count what another one has counted."""
        with self._lock:
            for mine, theirs in (
                (self._requests, counts.requests),
                (self._alerts, counts.alerts),
                (self._sessions, counts.sessions),
            ):
                mine.update(dict(theirs))

    def collect(self) -> Iterator[Metric]:
        """The counts so far."""
        with self._lock:
            requests, alerts = dict(self._requests), dict(self._alerts)
            sessions, restarts = dict(self._sessions), self._restarts
        yield _family("api_requests", "Requests to the API that were answered.", ("path", "status"), requests)
        yield _family(
            "alerts",
            "What alerts began and ended, were known for already, and alerts that were ignored.",
            ("source", "result"),
            alerts,
        )
        yield _family(
            "announced_sessions",
            "Announcements of PROOF sessions, by how the session stood when they were answered.",
            ("state",),
            sessions,
        )
        yield CounterMetricFamily(
            "autoscaler_api_restarts", "Times that the API's process ended by itself and was started again.", restarts
        )


def _family(name: str, help_text: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(f"autoscaler_{name}", help_text, labels=labels)
    for key in sorted(counts):
        family.add_metric(key, counts[key])
    return family
