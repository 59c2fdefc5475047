"""What the notes of the learned policy mean to people."""

from datetime import timedelta

from autoscaler.learning.notes import Aim, Doubt, Notes, Who
from autoscaler.learning.standing import standing
from tests.learning.noted import BEFORE_NOON, NOON, NOTES, NOW


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
