"""The benchmarks run, so that they cannot rot; what they measure is for people to judge."""

from tests.benchmarks.cycle import measure


def test_the_benchmark_of_a_cycle_measures() -> None:
    measured = measure(3)
    assert measured["hosts"] == 3
    assert min(measured.values()) > 0
