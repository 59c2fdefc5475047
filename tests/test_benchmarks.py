"""The benchmarks run, so that they cannot rot; what they measure is for people to judge."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.benchmarks import replay, scale


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


def test_replay_measures_runs_of_the_model_and_how_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "REPEATS", 1)
    size = replay.Size(hosts=2, days=1, jobs=50, sessions=20)
    measured = replay.measure("threshold", size)
    assert (measured["cycles"], measured["jobs"]) == (1440, 50)
    assert 0 < measured["decided_in_full"] < 1440
    assert min(measured["cpu_s"], measured["peak_mib"]) > 0
    assert replay.growth(replace(size, days=2)).keys() == {"hosts", "jobs", "sessions", "days"}


def test_the_workload_of_replay_is_the_same_each_time() -> None:
    size = replay.Size(hosts=2, days=3, jobs=50, sessions=20)
    assert replay.workload(size) == replay.workload(size)
