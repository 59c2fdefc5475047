"""What the learned policy remembers, through its memory and back, and what it means to people."""

from datetime import UTC, datetime, timedelta

import pytest

from autoscaler.learning.notes import (
    Aim,
    Arrivals,
    Doubt,
    Forecast,
    Judged,
    Losses,
    Notes,
    Who,
    minute_of,
    standing,
    time_of,
)

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
# The minute that ends at noon begins then, and what is of it is told as of its beginning: it may not be over.
BEFORE_NOON = NOON - timedelta(minutes=1)
NOW = minute_of(NOON)
NOTES = Notes(
    Aim(0.05, 0.04),
    NOW,
    (1.0, None, 3.0),
    (Forecast(NOW - 1, 0.5, 3.5, 3.0), Forecast(NOW, 1.0, 4.0, 3.0)),
    Losses(80, 0.125, 0.25, 0.75),
    Arrivals(40.0, 0.95),
    Judged(Forecast(NOW - 11, 0.0, 2.5, 2.0), 2.0),
    Who(acts=True, since=NOW - 100, doubt=Doubt.NONE, good_since=None),
    waited=NOW - 30,
)


def test_notes_are_the_same_after_they_were_remembered() -> None:
    assert Notes.of(NOTES.memory(), 0.05) == NOTES


def test_of_nothing_remembered_the_notes_are_empty() -> None:
    assert Notes.of({}, 0.05) == Notes(Aim(0.05, 0.05))


def test_what_was_scored_for_another_target_begins_anew() -> None:
    found = Notes.of(NOTES.memory(), 0.1)
    assert (found.aim, found.losses, found.arrivals) == (Aim(0.1, 0.1), Losses(), Arrivals())
    assert found.loads == NOTES.loads


@pytest.mark.parametrize("name", sorted(NOTES.memory()))
def test_what_is_damaged_alone_is_forgotten(name: str) -> None:
    """One number too many, or none that a clock or a facility has."""
    for damaged in ((*NOTES.memory()[name], 1.0, 2.0), (), (float("nan"),) * len(NOTES.memory()[name])):
        Notes.of({**NOTES.memory(), name: damaged}, 0.05)


def test_a_minute_is_the_one_that_ends_then_or_next() -> None:
    assert time_of(minute_of(NOON)) == NOON
    assert time_of(minute_of(NOON + timedelta(seconds=1))) == NOON + timedelta(minutes=1)


def test_each_doubt_has_its_words() -> None:
    assert len({doubt.in_words for doubt in Doubt}) == len(Doubt)


def test_a_memory_of_another_policy_means_nothing() -> None:
    assert standing({}) is None
    assert standing({"minute": (1.0,), "loads": (1.0,)}) is None


def test_it_is_told_line_by_line() -> None:
    found = standing(NOTES.memory())
    assert found is not None
    first, *lines = found.in_words()
    assert first.startswith("the forecast with the threshold rule decides since 2026-11-23 ")
    assert lines == [
        "forecast 1.0 to 4.0 sessions",
        f"forecast of {(NOON - timedelta(minutes=11)).astimezone():%H:%M} 0.0 to 2.5 sessions, it came to 2",
        "coverage 95.0% of the last 40 arrivals, target 95.0%, alpha 0.040",
        "pinball loss 0.125 sessions, of persistence 0.250",
    ]


def test_of_the_threshold_rule_it_is_told_why_and_since_when_all_is_well() -> None:
    who = Who(acts=False, since=NOW, doubt=Doubt.TOO_OLD, good_since=NOW)
    found = standing(Notes(Aim(0.05, 0.05), NOW, who=who).memory())
    assert found is not None
    since = f"{BEFORE_NOON.astimezone():%Y-%m-%d %H:%M}"
    assert list(found.in_words()) == [
        f"the threshold rule alone decides since {since}: the model is too old",
        f"no doubt since {since}",
    ]


def test_its_values_have_units_and_no_number_where_none_is_known() -> None:
    who = Who(acts=False, since=NOW, doubt=Doubt.NO_MODEL, good_since=None)
    found = standing(Notes(Aim(0.05, 0.05), NOW, who=who).memory())
    assert found is not None
    assert found.values() == {
        "decides": "threshold",
        "since": BEFORE_NOON.isoformat(),
        "doubt": "there is no model",
        "good_since": None,
        "forecast_low_sessions": None,
        "forecast_high_sessions": None,
        "judged_low_sessions": None,
        "judged_high_sessions": None,
        "realised_sessions": None,
        "coverage_ratio": None,
        "coverage_target_ratio": 0.95,
        "coverage_arrivals": 0.0,
        "alpha_ratio": 0.05,
        "pinball_loss_sessions": None,
        "pinball_loss_persistence_sessions": None,
    }
