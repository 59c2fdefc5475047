"""The oracle wants what its trace will want, and nothing else."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Window
from autoscaler.simulation.oracle import Oracle
from autoscaler.simulation.workload import Session
from autoscaler.testing import NOW, proof_window

# Whole seconds, few of them, so that sessions begin and end together and at the very edges of the horizon.
sessions = st.lists(st.builds(Session, st.integers(0, 60), st.integers(0, 30), st.integers(1, 8)), max_size=12)


def wanted(oracle: Oracle, at_s: float) -> int | None:
    """What it wants so many seconds after the trace began."""
    return oracle.decide(Window(NOW + timedelta(seconds=at_s))).workers


def test_it_wants_a_sessions_workers_a_horizon_before_it_comes() -> None:
    oracle = Oracle([Session(100, 50, 8)], NOW, horizon_s=60)
    assert [wanted(oracle, at_s) for at_s in (0, 39, 40, 100)] == [0, 0, 8, 8]


def test_it_wants_them_until_the_session_ends() -> None:
    oracle = Oracle([Session(100, 50, 8)], NOW, horizon_s=60)
    assert [wanted(oracle, at_s) for at_s in (149, 150, 1e6)] == [8, 0, 0]


def test_sessions_at_the_same_time_add_up() -> None:
    oracle = Oracle([Session(0, 50, 8), Session(20, 50, 4)], NOW, horizon_s=0)
    assert [wanted(oracle, at_s) for at_s in (0, 20, 50, 70)] == [8, 12, 4, 0]


def test_one_that_comes_when_another_leaves_takes_its_workers() -> None:
    oracle = Oracle([Session(0, 50, 8), Session(50, 50, 8)], NOW, horizon_s=200)
    assert wanted(oracle, 0) == 8


def test_a_trace_without_sessions_wants_nothing() -> None:
    assert wanted(Oracle([], NOW, horizon_s=60), 0) == 0


def test_it_says_why() -> None:
    demand = Oracle([Session(100, 50, 8)], NOW, horizon_s=60).decide(Window(NOW + timedelta(seconds=50)))
    assert demand.reason == "the trace wants 8 workers at most in the next 60 s, who is here wants 0"


def test_sessions_that_are_late_keep_their_workers() -> None:
    oracle = Oracle([Session(100, 50, 8), Session(400, 50, 4)], NOW, horizon_s=60)
    assert oracle.decide(proof_window([1.0], [1.0], now=NOW + timedelta(seconds=200))).workers == 16


def test_it_looks_at_who_is_here_and_not_at_the_past() -> None:
    oracle = Oracle([], NOW, horizon_s=60)
    assert (oracle.signals, oracle.history) == ((PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS), timedelta(0))


def test_the_record_of_a_decision_names_it_without_the_trace() -> None:
    assert repr(Oracle([Session(100, 50, 8)], NOW, horizon_s=60)) == "Oracle(horizon_s=60)"


@pytest.mark.parametrize("horizon_s", [-1, float("nan")])
def test_a_horizon_behind_is_refused(horizon_s: float) -> None:
    with pytest.raises(ValueError, match="horizon_s must be 0 or more"):
        Oracle([], NOW, horizon_s)


@settings(deadline=None)
@given(trace=sessions, horizon_s=st.integers(0, 100), at_s=st.integers(-10, 100))
def test_it_is_the_most_that_is_wanted_at_any_moment_of_the_horizon(
    trace: list[Session], horizon_s: int, at_s: int
) -> None:
    def demand(moment_s: int) -> int:
        return sum(each.workers for each in trace if each.submit_s <= moment_s < each.submit_s + each.run_s)

    most = max(demand(moment_s) for moment_s in range(at_s, at_s + horizon_s + 1))
    assert wanted(Oracle(trace, NOW, horizon_s), at_s) == most
