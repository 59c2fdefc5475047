"""What the learned policy remembers, through its memory and back."""

from datetime import timedelta

import pytest

from autoscaler.learning.notes import Aim, Arrivals, Doubt, Losses, Notes, minute_of, time_of
from tests.learning.noted import NOON, NOTES


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
