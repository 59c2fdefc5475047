"""Kubernetes' HPA in numbers; windows have one sample each minute."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoscaler.testing import proof_window
from policies.target_tracking import TargetTracking

QUIET: list[float | None] = [0.0] * 11  # now and each of the last 10 minutes
PRECISE = TargetTracking(tolerance=0)

loads = st.lists(st.integers(0, 60).map(float), min_size=11, max_size=11)
unhurried = settings(deadline=None)


def wanted(policy: TargetTracking, running: list[float | None]) -> int | None:
    """What the policy wants when so many sessions ran in each minute up to now."""
    return policy.decide(proof_window([0.0] * len(running), running)).workers


def test_workers_are_so_many_that_sessions_use_the_target() -> None:
    """1 session of 8 workers at 80 %: 8 / 0.8 = 10."""
    assert wanted(TargetTracking(target_utilisation=0.8), [1.0] * 11) == 10


def test_part_of_a_worker_is_a_worker() -> None:
    """3 * 8 / 0.9 = 26.7."""
    assert wanted(TargetTracking(target_utilisation=0.9), [3.0] * 11) == 27


def test_a_division_that_only_rounding_leaves_a_rest_of_brings_no_worker() -> None:
    """7 / 0.7 is 10.000000000000002 in binary."""
    assert wanted(TargetTracking(workers_per_session=7, target_utilisation=0.7), [1.0] * 11) == 10


def test_queued_and_running_sessions_add_up() -> None:
    demand = TargetTracking().decide(proof_window([2.0] * 11, [3.0] * 11))
    assert demand.workers == 50
    assert demand.reason == "2 queued and 3 running sessions want 50 workers at a use of 80%"


def test_it_grows_at_once() -> None:
    assert wanted(TargetTracking(), [*QUIET, 4.0]) == 40


def test_it_shrinks_to_the_most_of_the_stabilisation_time() -> None:
    """Four sessions were two minutes ago, one is now."""
    demand = TargetTracking().decide(proof_window([0.0] * 11, [*QUIET[:7], 4.0, 4.0, 1.0, 1.0]))
    assert demand.workers == 40
    assert demand.reason == (
        "0 queued and 1 running sessions want 10 workers at a use of 80%; 40 by the last 5 min and the tolerance"
    )


def test_after_the_stabilisation_time_a_peak_is_forgotten() -> None:
    """The four sessions were five minutes ago, and five minutes are no longer less than five."""
    assert wanted(TargetTracking(), [0, 0, 0, 0, 0, 4, 1, 1, 1, 1, 1]) == 10


def test_with_no_session_for_the_stabilisation_time_it_wants_none() -> None:
    assert wanted(TargetTracking(), QUIET) == 0


def test_a_change_within_the_tolerance_is_not_made() -> None:
    """20 sessions have 200 workers; with 21 the use is 168 / 200 = 84 %, within 10 % of 80 %."""
    assert wanted(TargetTracking(), [*[20.0] * 10, 21.0]) == 200
    assert wanted(PRECISE, [*[20.0] * 10, 21.0]) == 210


def test_a_change_beyond_the_tolerance_is_made_in_full() -> None:
    """With 23 sessions it is 184 / 200 = 92 %."""
    assert wanted(TargetTracking(), [*[20.0] * 10, 23.0]) == 230


def test_small_steps_are_measured_from_the_workers_there_are() -> None:
    """20, 21, 22, 23 sessions: 23 is within 10 % of 22, but of the 200 workers that are there it is not."""
    assert wanted(TargetTracking(), [*[20.0] * 8, 21.0, 22.0, 23.0]) == 230


def test_workers_do_not_change_while_the_load_swings_within_the_tolerance() -> None:
    """Also as the window moves on, and with it the load that the play begins with."""
    swinging = [20.0, 21.0] * 20
    assert {wanted(TargetTracking(), swinging[begin : begin + 11]) for begin in range(20)} == {210}


@pytest.mark.parametrize("running", [[4.0], [4.0] * 5, [*[4.0] * 9, None, 4.0]], ids=["one", "short", "a gap"])
def test_without_the_whole_recent_past_nothing_is_taken_away(running: list[float | None]) -> None:
    demand = TargetTracking().decide(proof_window([0.0] * len(running), running))
    assert demand.workers == 40
    assert not demand.may_shrink
    assert demand.reason.endswith("but the last 5 min are not fully known")


def test_the_stabilisation_time_alone_is_enough_to_shrink() -> None:
    """Six samples reach back 5 minutes; what was before only counts for the tolerance."""
    demand = TargetTracking().decide(proof_window([0.0] * 6, [1.0] * 6))
    assert (demand.workers, demand.may_shrink) == (10, True)


def test_a_gap_before_the_stabilisation_time_does_not_matter() -> None:
    demand = TargetTracking().decide(proof_window([0.0] * 11, [1.0, None, *[1.0] * 9]))
    assert (demand.workers, demand.may_shrink) == (10, True)


def test_an_unknown_present_holds_whatever_the_past_was() -> None:
    demand = TargetTracking().decide(proof_window([*QUIET, None], [*QUIET, 5]))
    assert demand.workers is None
    assert demand.reason == "PROOF load is unknown"


def test_it_looks_back_two_stabilisation_times() -> None:
    assert TargetTracking(stabilisation=timedelta(minutes=7)).history == timedelta(minutes=14)


@unhurried
@given(load=loads)
def test_without_tolerance_it_is_the_most_of_the_stabilisation_time(load: list[float]) -> None:
    assert wanted(PRECISE, load) == math.ceil(max(load[-5:]) * 8 / 0.8)


@unhurried
@given(load=loads)
def test_sessions_never_use_more_than_target_and_tolerance(load: list[float]) -> None:
    workers = wanted(TargetTracking(), load)
    assert workers is not None
    assert load[-1] * 8 <= workers * 0.8 * 1.1 + 1e-6


@unhurried
@given(load=loads)
def test_it_never_wants_more_than_the_highest_load_it_sees(load: list[float]) -> None:
    workers = wanted(TargetTracking(), load)
    assert workers is not None
    assert workers <= math.ceil(max(load) * 8 / 0.8)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no worker per session": ({"workers_per_session": 0}, "workers_per_session must be 1 or more"),
    "no target": ({"target_utilisation": 0.0}, "target_utilisation must be more than 0 and at most 1"),
    "more than all workers in use": ({"target_utilisation": 1.1}, "target_utilisation must be"),
    "a target that is no number": ({"target_utilisation": math.nan}, "target_utilisation must be"),
    "a negative tolerance": ({"tolerance": -0.1}, "tolerance must be 0 or more and less than 1"),
    "a tolerance of everything": ({"tolerance": 1.0}, "tolerance must be"),
    "no stabilisation": ({"stabilisation": timedelta(0)}, "stabilisation must be longer than 0s"),
}


@pytest.mark.parametrize(("parameters", "reason"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        TargetTracking(**parameters)
