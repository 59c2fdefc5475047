"""The section `learning`: when a model is made, from how much, and how far it looks."""

from datetime import time, timedelta

import pytest
from pydantic import ValidationError

from autoscaler.config.schema import LearningSection


def test_a_model_is_made_each_night_from_ninety_days_unless_said_otherwise() -> None:
    section = LearningSection()
    assert (section.refit_at, section.since, section.horizon) == (
        time(3, 30),
        timedelta(days=90),
        timedelta(minutes=2),
    )


def test_null_is_never() -> None:
    assert LearningSection.model_validate({"refit_at": None}).refit_at is None


def test_less_of_the_past_than_a_model_can_be_trained_on_is_refused() -> None:
    with pytest.raises(ValidationError, match="27d is too little to train a model on: 28d or more"):
        LearningSection.model_validate({"since": "27d"})


# YAML reads 03:30 without quotes as a number of minutes, and 24:00 is tomorrow.
@pytest.mark.parametrize("written", [210, "24:00", "3:30", "03:30:00", "at night", ""])
def test_what_is_no_time_of_day_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValidationError, match="is not a time of day: write one in quotes, such as '03:30'"):
        LearningSection.model_validate({"refit_at": written})


@pytest.mark.parametrize("written", ["90s", "2h", "0s", "5"])
def test_a_horizon_is_whole_minutes_and_not_too_long(written: str) -> None:
    with pytest.raises(ValidationError):
        LearningSection.model_validate({"horizon": written})
