"""What alerts make of the policy: a parameter is stepped within its bounds, a price is another one, for a time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.core.tuned_policy import tuned_policy
from autoscaler.core.tuning import TuningRule, tuning_words
from autoscaler.model import Change, Decision, Facility, GuardLimits, Situation, Tuning, TuningKind
from autoscaler.simulation.redecide import differences, redecide
from autoscaler.testing import a_host, observed, proof_window
from policies.learned import Learned
from policies.threshold import Threshold
from tests.core.alerts import HOUR, MINUTE, a_tuning
from tests.policies.test_learned import Played, Says, learned

POLICY = Threshold(workers_per_session=2, idle=20 * MINUTE)
RULES = Rules(POLICY, GuardLimits())
FACILITY = Facility((a_host(),))


def a_change(parameter: str, by: float, least: float, most: float, alert: str = "Slow") -> Tuning:
    change = Change(parameter, by, least, most, f"{parameter} {by:+g} within {least:g} to {most:g}")
    return a_tuning(TuningRule({"alertname": alert}, TuningKind.STEP, HOUR, change=change))


def a_price(parameter: str, to: float) -> Tuning:
    change = Change(parameter, 0, to, to, f"{parameter} {to:g}")
    return a_tuning(TuningRule({"alertname": "GridBusy"}, TuningKind.PRICE, HOUR, change=change))


def decided(*tunings: Tuning, rules: Rules = RULES) -> Decision:
    situation = Situation(proof_window([1.0], [0.0]), (observed(a_host()),), tunings=tunings)
    return decide(situation, FACILITY, rules)


@pytest.mark.parametrize(("by", "found"), [(1, 3), (-1, 1), (10, 4), (-10, 1)])
def test_a_step_changes_a_parameter_within_its_bounds(by: float, found: int) -> None:
    policy, _ = tuned_policy(POLICY, [a_change("workers_per_session", by, 1, 4)])
    assert policy == Threshold(workers_per_session=found, idle=20 * MINUTE)


def test_a_span_of_time_is_stepped_in_seconds_and_a_number_need_not_be_whole() -> None:
    policy, _ = tuned_policy(POLICY, [a_change("idle", 90, 60, 3600), a_change("grow_queued", 0.5, 0, 2, "Other")])
    assert policy == Threshold(workers_per_session=2, grow_queued=0.5, idle=timedelta(minutes=21, seconds=30))


def test_a_price_is_the_stated_one_and_the_model_stays() -> None:
    forecaster: Any = object()
    learned = Learned(forecaster=forecaster, trained_until=proof_window([], []).now)
    policy, told = tuned_policy(learned, [a_price("idle_core_seconds", 0.4)])
    assert isinstance(policy, Learned)
    assert (policy.idle_core_seconds, policy.forecaster) == (0.4, forecaster)
    assert told == ("alert GridBusy (grafana): idle_core_seconds 0.4 until 2026-11-23 13:00:00 UTC",)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (a_change("patience", 1, 0, 2), "'Threshold' object has no attribute 'patience'"),
        (a_change("shrink_load", 1, 0, 2), "shrink_load must not be above grow_queued + grow_running"),
    ],
)
def test_what_the_policy_cannot_do_is_left_out_and_said_and_the_others_are_done(change: Tuning, why: str) -> None:
    policy, told = tuned_policy(POLICY, [change, a_change("workers_per_session", 1, 1, 4, "Other")])
    assert policy == Threshold(workers_per_session=3, idle=20 * MINUTE)
    assert told[0] == f"{tuning_words(change)}: not done: {why}"


def test_the_decision_is_that_of_the_changed_policy_and_names_the_alert() -> None:
    found = decided(a_change("workers_per_session", 1, 1, 4))
    assert (found.demand.workers, found.hosts[0].wanted) == (3, 3)
    words = "alert Slow (grafana): workers_per_session +1 within 1 to 4 until 2026-11-23 13:00:00 UTC"
    assert words in found.demand.reason
    assert words in found.hosts[0].reason


def test_without_it_the_policy_is_the_configured_one_again() -> None:
    assert decided().demand.workers == 2


def test_it_is_decided_again_as_it_was() -> None:
    found = decided(a_change("workers_per_session", 1, 1, 4))
    again = redecide(found, FACILITY, RULES).decision
    assert differences(found, again) == ()
    assert again.policy == found.policy


def test_a_forecast_at_another_price_is_decided_again_as_it_was() -> None:
    played = Played(learned(Says((0.0, 1.0, 2.0)), hold=timedelta(0)), 1.0)
    window = replace(proof_window([0.0] * len(played.loads), played.loads, now=played.now), memory=played.memory)
    rules = Rules(played.policy, GuardLimits(fresh_for=HOUR))
    price = replace(a_price("idle_core_seconds", 10), until=played.now + HOUR)
    found = [decide(Situation(window, (observed(a_host()),), tunings=each), FACILITY, rules) for each in ((), (price,))]
    assert [each.demand.workers for each in found] == [24, 18]
    for each in found:
        assert differences(each, redecide(each, FACILITY, rules).decision) == ()


def test_the_walk_to_the_safe_split_is_not_tuned() -> None:
    found = decided(a_change("workers_per_session", 1, 1, 4), rules=Rules(POLICY, GuardLimits(), tuned=False))
    assert found.demand.workers == 2
