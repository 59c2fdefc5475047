"""KEDA's rule in numbers; windows have one sample each minute."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.model import Window
from autoscaler.testing import NOW, proof_window
from policies.queue_length import QueueLength

QUIET: list[float | None] = [0.0] * 6  # now and each of the last 5 minutes


def test_each_session_gets_its_workers_at_once() -> None:
    demand = QueueLength(workers_per_session=8).decide(proof_window([*QUIET, 1], [*QUIET, 2]))
    assert demand.workers == (1 + 2) * 8
    assert demand.reason == "1 queued and 2 running sessions, a replica for 1"


def test_a_target_of_two_sessions_makes_them_share_a_replica() -> None:
    """3 / 2 = 1.5 replicas are 2."""
    assert QueueLength(sessions_per_replica=2).decide(proof_window(QUIET, [3.0] * 6)).workers == 2 * 8


def test_a_target_of_half_a_session_keeps_as_much_again() -> None:
    assert QueueLength(sessions_per_replica=0.5).decide(proof_window(QUIET, [3.0] * 6)).workers == 6 * 8


def test_part_of_a_session_is_a_session() -> None:
    assert QueueLength().decide(proof_window(QUIET, [1.2] * 6)).workers == 2 * 8


def test_fewer_sessions_shrink_at_once() -> None:
    """KEDA itself waits only before it goes to zero."""
    demand = QueueLength().decide(proof_window(QUIET, [4, 4, 4, 4, 4, 1]))
    assert (demand.workers, demand.may_shrink) == (8, True)


def test_one_replica_stays_during_the_cooldown() -> None:
    demand = QueueLength().decide(proof_window(QUIET, [0, 0, 4, 0, 0, 0]))
    assert demand.workers == 8
    assert demand.reason == "0 queued and 0 running sessions, some in the last 5 min"


def test_after_the_cooldown_nothing_stays() -> None:
    demand = QueueLength().decide(proof_window([0, *QUIET], [4, *QUIET]))
    assert demand.workers == 0
    assert demand.reason == "0 queued and 0 running sessions, none for 5 min"


@pytest.mark.parametrize("running", [[4.0], [4.0] * 5, [4, 4, 4, None, 4, 4]], ids=["one", "short", "a gap"])
def test_without_the_whole_cooldown_nothing_is_taken_away(running: list[float | None]) -> None:
    demand = QueueLength().decide(proof_window([0.0] * len(running), running))
    assert (demand.workers, demand.may_shrink) == (4 * 8, False)


@pytest.mark.parametrize("running", [[0.0], [0.0] * 5, [0, 0, 0, None, 0, 0]], ids=["one", "short", "a gap"])
def test_without_load_and_without_the_whole_cooldown_it_holds(running: list[float | None]) -> None:
    demand = QueueLength().decide(proof_window([0.0] * len(running), running))
    assert demand.workers is None
    assert demand.reason == "0 queued and 0 running sessions, but the last 5 min are not fully known"


def test_a_present_from_before_the_cooldown_holds() -> None:
    """The newest reading is older than the time that has to be known."""
    old = proof_window(QUIET, QUIET, now=NOW - timedelta(hours=1))
    assert QueueLength().decide(Window(NOW, old.series)).workers is None


def test_an_unknown_present_holds_whatever_the_past_was() -> None:
    demand = QueueLength().decide(proof_window([*QUIET, 1], [*QUIET, None]))
    assert demand.workers is None
    assert demand.reason == "PROOF load is unknown"


def test_it_looks_back_for_the_cooldown() -> None:
    assert QueueLength(cooldown=timedelta(minutes=7)).history == timedelta(minutes=7)


@settings(deadline=None)
@given(queued=st.lists(st.integers(0, 100), min_size=6, max_size=6), running=st.integers(0, 100))
def test_no_session_is_ever_without_its_workers(queued: list[int], running: int) -> None:
    workers = QueueLength().decide(proof_window([float(value) for value in queued], [float(running)] * 6)).workers
    assert workers is not None
    assert workers >= (queued[-1] + running) * 8


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no worker per session": ({"workers_per_session": 0}, "workers_per_session must be 1 or more"),
    "no target": ({"sessions_per_replica": 0}, "sessions_per_replica must be more than 0"),
    "a target that is no number": ({"sessions_per_replica": math.nan}, "sessions_per_replica must be more than 0"),
    "a target without end": ({"sessions_per_replica": math.inf}, "sessions_per_replica must be more than 0"),
    "no cooldown": ({"cooldown": timedelta(0)}, "cooldown must be longer than 0s"),
}


@pytest.mark.parametrize(("parameters", "reason"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        QueueLength(**parameters)
