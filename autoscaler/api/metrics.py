"""The API as Prometheus sees it: requests, and what became of the alerts in them."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

# How an announced session may stand.
STATES = ("ready", "waiting", "over")


class ApiMetrics(Collector):
    """Counts; paths are those of the API, whatever is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._alerts: Counter[tuple[str, ...]] = Counter()
        self._sessions: Counter[tuple[str, ...]] = Counter({(state,): 0 for state in STATES})

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

    def collect(self) -> Iterator[Metric]:
        """The counts so far."""
        with self._lock:
            requests, alerts = dict(self._requests), dict(self._alerts)
            sessions = dict(self._sessions)
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


def _family(name: str, help_text: str, labels: tuple[str, ...], counts: Mapping[tuple[str, ...], int]) -> Metric:
    family = CounterMetricFamily(f"autoscaler_{name}", help_text, labels=labels)
    for key in sorted(counts):
        family.add_metric(key, counts[key])
    return family
