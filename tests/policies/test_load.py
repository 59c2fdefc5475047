"""The load over time, put together of two signals."""

from datetime import timedelta

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Sample, Series, Window
from autoscaler.testing import NOW
from policies.load import minutes, recent_loads


def window(queued: dict[int, float], running: dict[int, float]) -> Window:
    """Both signals' values by how many seconds ago they were read."""
    named = {PROOF_QUEUED_SESSIONS: queued, PROOF_RUNNING_SESSIONS: running}
    return Window(NOW, tuple(Series(name, samples(values), NOW) for name, values in named.items()))


def samples(values: dict[int, float]) -> tuple[Sample, ...]:
    return tuple(Sample(NOW - timedelta(seconds=ago_s), values[ago_s]) for ago_s in sorted(values, reverse=True))


def loads(queued: dict[int, float], running: dict[int, float], span_s: int) -> dict[int, float | None] | None:
    found = recent_loads(window(queued, running), timedelta(seconds=span_s))
    return None if found is None else {round((NOW - at).total_seconds()): load for at, load in found}


def test_what_was_read_at_the_same_time_is_added() -> None:
    assert loads({120: 1, 60: 2, 0: 3}, {120: 10, 60: 20, 0: 30}, 120) == {120: 11, 60: 22, 0: 33}


def test_where_only_one_signal_was_read_the_load_is_unknown() -> None:
    """As many readings of both, but the middle ones are of different times."""
    assert loads({120: 1, 60: 2, 0: 3}, {120: 10, 50: 20, 0: 30}, 120) == {120: 11, 60: None, 50: None, 0: 33}


def test_what_is_older_than_the_span_is_left_out_and_shows_that_the_history_reaches_back() -> None:
    assert loads({90: 1, 30: 2}, {90: 0, 30: 0}, 60) == {30: 2}
    assert loads({50: 1, 30: 2}, {50: 0, 30: 0}, 60) is None


def test_a_history_that_ends_before_the_span_is_not_known() -> None:
    assert loads({90: 1}, {90: 0}, 60) is None


def test_a_span_is_told_in_minutes_where_those_are_whole() -> None:
    assert [minutes(timedelta(seconds=span_s)) for span_s in (1200, 60, 10, 90)] == ["20 min", "1 min", "10 s", "90 s"]
