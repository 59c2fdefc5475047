"""The benchmark of 20 000 jobs runs, so that it cannot rot; what it measures is for people to judge."""

from typing import Any

from tests.benchmarks.exporters_wn import measure


def test_the_benchmark_measures_time_and_memory_of_every_way() -> None:
    measured: dict[str, Any] = measure(30)
    assert measured["jobs"] == 30
    assert all(measured[way]["seconds"] > 0 for way in ("parse", "scrape", "json.loads"))
    assert all(measured[way]["peak_mib"] >= 0 for way in ("parse", "scrape", "json.loads"))
