"""A decision decided again: the same by the same rules, and every difference is found by others."""

from dataclasses import replace
from datetime import timedelta

from autoscaler.core.decide import decide
from autoscaler.core.rules import Rules
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    Decision,
    Facility,
    GuardLimits,
    Sample,
    Series,
    Situation,
    Window,
)
from autoscaler.simulation.redecide import differences, missing_history, redecide
from autoscaler.testing import A_SWAPPING_WN, a_host, observed, proof_window
from policies.static import Static
from policies.threshold import Threshold

FACILITY = Facility(tuple(a_host(name, wns=(A_SWAPPING_WN,)) for name in ("host-1", "host-2")))
RULES = Rules(Static(4), GuardLimits())


def decided(facility: Facility = FACILITY, rules: Rules = RULES) -> Decision:
    situation = Situation(proof_window([0], [0]), tuple(observed(host) for host in facility.hosts))
    return decide(situation, facility, rules)


def test_the_same_rules_decide_the_same() -> None:
    again = redecide(decided(), FACILITY, RULES)
    assert again.decision == decided()
    assert again.left_out == {}
    assert differences(decided(), again.decision) == ()


def test_another_policy_differs_in_demand_and_on_each_host_in_what_it_wants_grants_and_moves() -> None:
    again = redecide(decided(), FACILITY, replace(RULES, policy=Static(8))).decision
    found = [(each.host, each.what, each.one, each.two) for each in differences(decided(), again)]
    assert found[:3] == [(None, "demand", 4, 8), ("host-1", "wanted", 2, 4), ("host-1", "granted", 2, 4)]
    assert [(host, what) for host, what, _, _ in found[3:]] == [
        ("host-1", "transfer"),
        ("host-2", "wanted"),
        ("host-2", "granted"),
        ("host-2", "transfer"),
    ]


def test_a_difference_has_both_reasons() -> None:
    again = redecide(decided(), FACILITY, replace(RULES, policy=Static(8))).decision
    whole, first, *_ = differences(decided(), again)
    assert (whole.why_one, whole.why_two) == (decided().demand.reason, again.demand.reason)
    assert (first.why_one, first.why_two) == (decided().hosts[0].reason, again.hosts[0].reason)


def test_a_cut_that_is_new_is_a_difference() -> None:
    again = redecide(decided(), FACILITY, Rules(Static(4), GuardLimits(dead_band_workers=1), guards=()))
    assert differences(decided(), again.decision) == ()
    smaller = Facility(tuple(replace(host, proof=replace(host.proof, workers_max=1)) for host in FACILITY.hosts))
    again = redecide(decided(), smaller, RULES)
    assert {each.what for each in differences(decided(), again.decision)} >= {"unplaced", "wanted", "granted"}


def test_other_words_for_a_reason_are_no_difference() -> None:
    one = decided()
    hosts = tuple(replace(host, reason="in other words") for host in one.hosts)
    assert differences(one, replace(one, hosts=hosts)) == ()


def test_a_host_that_the_configuration_does_not_know_is_left_out_and_named() -> None:
    again = redecide(decided(), Facility(FACILITY.hosts[:1]), RULES)
    assert again.left_out == {"host-2": "the configuration does not know it"}
    assert [host.host for host in again.decision.hosts] == ["host-1"]


def test_a_host_that_was_not_looked_at_is_named() -> None:
    again = redecide(decided(Facility(FACILITY.hosts[:1])), FACILITY, RULES)
    assert again.left_out == {"host-2": "it was not looked at"}


def test_a_host_whose_domain_has_another_name_now_is_left_out_and_the_domain_named() -> None:
    renamed = a_host("host-2", wns=(replace(A_SWAPPING_WN, name="wn-new"),))
    again = redecide(decided(), Facility((FACILITY.hosts[0], renamed)), RULES)
    assert again.left_out == {"host-2": "its domain wn-new was not looked at"}


def test_a_window_is_as_short_as_its_shortest_series_when_the_policy_looks_back_further() -> None:
    one = decided()
    now = one.situation.window.now
    reaches = (timedelta(minutes=8), timedelta(minutes=3))
    series = tuple(
        Series(name, (Sample(now - reach, 0.0), Sample(now, 0.0)), now)
        for name, reach in zip((PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS), reaches, strict=True)
    )
    one = replace(one, situation=replace(one.situation, window=Window(now, series)))
    assert missing_history(one, Threshold(idle=timedelta(minutes=5))) == timedelta(minutes=3)
    assert missing_history(one, Threshold(idle=timedelta(minutes=3))) is None
    assert missing_history(one, Static(4)) is None


def test_a_signal_without_any_sample_is_unknown_and_not_short() -> None:
    one = decided()
    one = replace(one, situation=replace(one.situation, window=Window(one.situation.window.now)))
    assert missing_history(one, Threshold()) is None
