"""The benchmarks run, so that they cannot rot; what they measure is for people to judge."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.benchmarks import scale


def test_the_benchmark_of_a_facility_measures_its_cycles() -> None:
    measured = scale.cycles(3, "plain", repeats=1)
    assert measured["all_change"]["transfers"] == 3
    assert min(measured["quiet"].values()) > 0


def test_the_benchmark_of_a_facility_measures_deciding_alone() -> None:
    assert min(scale.decide_alone(3, "plain", repeats=1).values()) > 0


def test_the_benchmark_of_a_facility_measures_a_host_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "PACE", replace(scale.PACE, host_timeout=timedelta(seconds=2)))
    measured = scale.hung(3, "plain", repeats=1)
    assert (measured["without"]["transfers"], measured["first"]["transfers"]) == (3, 2)
