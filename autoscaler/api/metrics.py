"""The API as Prometheus sees it: requests, and what became of the alerts in them."""

import threading
from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector


class ApiMetrics(Collector):
    """Counts; paths are those of the API, whatever is asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, str]] = Counter()
        self._alerts: Counter[tuple[str, str]] = Counter()

    def answered(self, path: str, status: int) -> None:
        """Count a request."""
        with self._lock:
            self._requests[path, str(status)] += 1

    def heard(self, source: str, **results: int) -> None:
        """Count alerts of a source, by what became of them."""
        with self._lock:
            for result, number in results.items():
                self._alerts[source, result] += number

    def collect(self) -> Iterator[Metric]:
        """The counts so far."""
        with self._lock:
            requests, alerts = dict(self._requests), dict(self._alerts)
        yield _family("api_requests", "Requests to the API that were answered.", ("path", "status"), requests)
        yield _family(
            "alerts",
            "What alerts began and ended, were known for already, and alerts that were ignored.",
            ("source", "result"),
            alerts,
        )


def _family(name: str, help_text: str, labels: tuple[str, str], counts: dict[tuple[str, str], int]) -> Metric:
    family = CounterMetricFamily(f"autoscaler_{name}", help_text, labels=labels)
    for key in sorted(counts):
        family.add_metric(key, counts[key])
    return family
