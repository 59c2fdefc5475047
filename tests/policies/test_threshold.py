"""The operator's rule in numbers; windows have one sample each minute."""

from datetime import timedelta
from typing import Any

import pytest

from autoscaler.model import Window
from autoscaler.testing import NOW, proof_window
from policies.threshold import Threshold

QUIET: list[float | None] = [0.0] * 6  # now and each of the last 5 minutes


def rule(**parameters: Any) -> Threshold:
    """The policy with an idle time of five minutes."""
    return Threshold(**{"idle": timedelta(minutes=5), **parameters})


def test_a_queued_session_grows_at_once() -> None:
    demand = rule(workers_per_session=8).decide(proof_window([*QUIET, 1], [*QUIET, 0]))
    assert demand.workers == 1 * 8
    assert demand.reason == "1 queued and 0 running sessions, peak of the last 5 min is 1"


def test_running_sessions_above_the_level_grow() -> None:
    """3 running are above 2."""
    demand = rule(workers_per_session=8, grow_running=2).decide(proof_window([*QUIET, 0], [*QUIET, 3]))
    assert demand.workers == 3 * 8


def test_queued_and_running_sessions_add_up() -> None:
    assert rule(workers_per_session=8).decide(proof_window([2], [3])).workers == (2 + 3) * 8


def test_growing_needs_no_history() -> None:
    """After a restart, the first reading counts."""
    assert rule(workers_per_session=8).decide(proof_window([1], [0])).workers == 8


def test_growing_without_the_whole_history_takes_nothing_away() -> None:
    """What ran before the restart is not known, so the present load is only the least that is needed."""
    assert not rule().decide(proof_window([1], [0])).may_shrink
    assert not rule().decide(proof_window([*QUIET, None, 1], [*QUIET, 0, 0])).may_shrink
    assert rule().decide(proof_window([*QUIET, 1], [*QUIET, 0])).may_shrink


def test_part_of_a_session_gets_whole_workers() -> None:
    """1.2 * 8 = 9.6."""
    assert rule(workers_per_session=8).decide(proof_window([1.2], [0])).workers == 10


def test_a_short_dip_takes_nothing_away() -> None:
    """Five sessions two minutes ago count, although it is one now."""
    window = proof_window(QUIET, [5, 5, 5, 5, 1, 1])
    assert rule(workers_per_session=8).decide(window).workers == 5 * 8


def test_a_peak_is_forgotten_after_the_idle_time() -> None:
    """Five sessions were six minutes ago; in the last five it was two at most."""
    window = proof_window([0, *QUIET], [5, 2, 1, 1, 1, 1, 1])
    assert rule(workers_per_session=8).decide(window).workers == 2 * 8


def test_without_load_for_the_idle_time_it_shrinks() -> None:
    demand = rule(workers_per_session=8).decide(proof_window(QUIET, QUIET))
    assert demand.workers == 0
    assert demand.reason == "0 queued and 0 running sessions, idle for 5 min"


def test_a_session_within_the_idle_time_holds() -> None:
    demand = rule(workers_per_session=8).decide(proof_window(QUIET, [0, 0, 1, 0, 0, 0]))
    assert demand.workers is None
    assert demand.reason == "0 queued and 0 running sessions, not yet idle for 5 min"


def test_shrinking_leaves_the_workers_of_a_small_load() -> None:
    """At most one session at all times, which is not above shrink_load: one session's workers."""
    policy = rule(workers_per_session=8, grow_running=2, shrink_load=1)
    assert policy.decide(proof_window(QUIET, [1, 0, 1, 1, 1, 1])).workers == 1 * 8


def test_between_the_levels_it_holds() -> None:
    """Two sessions are neither above 3 nor at or below 1."""
    policy = rule(workers_per_session=8, grow_running=3, shrink_load=1)
    assert policy.decide(proof_window(QUIET, [2.0] * 6)).workers is None


def test_exactly_at_the_growing_level_it_holds() -> None:
    assert rule(grow_running=3).decide(proof_window(QUIET, [3.0] * 6)).workers is None


def test_a_gap_in_the_history_holds() -> None:
    demand = rule().decide(proof_window(QUIET, [0, 0, None, 0, 0, 0]))
    assert demand.workers is None
    assert demand.reason == "0 queued and 0 running sessions, but the last 5 min are not fully known"


def test_a_gap_before_the_idle_time_does_not_matter() -> None:
    assert rule().decide(proof_window([0, *QUIET], [None, *QUIET])).workers == 0


def test_a_history_shorter_than_the_idle_time_holds() -> None:
    """Five samples reach back 4 minutes."""
    assert rule().decide(proof_window(QUIET[1:], QUIET[1:])).workers is None


def test_one_signal_with_a_shorter_history_holds() -> None:
    assert rule().decide(proof_window(QUIET, QUIET[1:])).workers is None


def test_a_past_with_no_reading_in_it_is_not_known() -> None:
    """The newest reading is older than the idle time."""
    old = proof_window(QUIET, QUIET, now=NOW - timedelta(hours=1))
    assert rule().decide(Window(NOW, old.series)).workers is None


def test_an_unknown_present_holds_whatever_the_past_was() -> None:
    demand = rule().decide(proof_window([*QUIET, None], [*QUIET, 5]))
    assert demand.workers is None
    assert demand.reason == "PROOF load is unknown"


def test_signals_that_are_not_configured_hold() -> None:
    assert rule().decide(Window(NOW)).workers is None


def test_the_history_it_needs_is_the_idle_time() -> None:
    assert rule(idle=timedelta(minutes=7)).history == timedelta(minutes=7)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no worker per session": ({"workers_per_session": 0}, "workers_per_session must be 1 or more"),
    "a negative level": ({"grow_queued": -1}, "must be 0 or more"),
    "a level that is no number": ({"grow_running": float("nan")}, "must be 0 or more"),
    "shrinking above growing": ({"grow_running": 1, "shrink_load": 2}, "shrink_load must not be above"),
    "no idle time": ({"idle": timedelta(0)}, "idle must be longer than 0s"),
}


@pytest.mark.parametrize(("parameters", "reason"), CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_parameters_that_contradict_each_other_are_refused(parameters: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rule(**parameters)
