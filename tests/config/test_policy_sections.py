"""The sections ``policy``, ``shadows``, ``canary`` and ``guards``: who decides, and within what."""

from datetime import timedelta
from pathlib import Path

import pytest

from autoscaler.core.voices import ACTING, Canary
from autoscaler.model import GuardLimits
from policies.static import Static
from policies.threshold import Threshold
from tests.config.texts import MINIMAL, bad, grouped, loaded, problems, replaced


def test_policy_parameters_reach_the_policy_with_their_units(file: Path) -> None:
    text = replaced("static\n  workers: 4", "threshold\n  workers_per_session: 3\n  grow_running: 1.5\n  idle: 10m")
    assert loaded(file, text).policy == Threshold(3, grow_running=1.5, idle=timedelta(minutes=10))


def test_guard_limits_are_read(file: Path) -> None:
    text = MINIMAL + "guards: {fresh_for: 1m, dead_band_workers: 2, grow_cooldown: 30s, shrink_cooldown: 10m}\n"
    assert loaded(file, text).config.guards.limits() == GuardLimits(
        timedelta(minutes=1), 2, timedelta(seconds=30), timedelta(minutes=10)
    )


@pytest.mark.parametrize(("text", "after"), [("1h", timedelta(hours=1)), ("null", None)])
def test_signals_may_lead_to_the_safe_split_after_a_time_or_never(
    file: Path, text: str, after: timedelta | None
) -> None:
    guards = loaded(file, MINIMAL + f"guards: {{unknown_to_safe: {text}}}\n").config.guards
    assert guards.limits() == GuardLimits(unknown_to_safe=after)


MISTAKES = {
    "a way to the safe split that is too short to see whether somebody works": (
        MINIMAL + "guards: {unknown_to_safe: 4m}\n",
        "21: guards.unknown_to_safe: must be 5m or more, or null: in less time PROOF's CPU does not tell",
    ),
    "a shadow policy that is unknown": (
        MINIMAL + "shadows:\n  next: {name: thresold}\n",
        "22: shadows.next.name: no policy is called 'thresold'",
    ),
    "a shadow policy with an unknown key": (
        MINIMAL + "shadows:\n  next: {name: threshold, idel: 5m}\n",
        "22: shadows.next.idel: unknown key",
    ),
    "a shadow policy with the name of the one that acts": (
        MINIMAL + "shadows:\n  acting: {name: hold}\n",
        "22: shadows.acting: the policy that acts is called so: give it another name",
    ),
    "a canary that is no shadow policy": (
        MINIMAL + "canary: {policy: next, hosts: [host-1]}\n",
        "21: canary.policy: no policy of shadows is called 'next'",
    ),
    "a canary on a host that is not there": (
        MINIMAL + "shadows: {next: {name: hold}}\ncanary: {policy: next, hosts: [host-9]}\n",
        "22: canary.hosts[0]: no host or group is called 'host-9' (did you mean 'host-1'?)",
    ),
    "a policy that is no mapping": bad("  name: static\n  workers: 4", "  [static]", "4: policy: is not a mapping"),
    "a policy that is not installed": bad(
        "static", "oracle", "5: policy.name: no policy is called 'oracle'; installed are "
    ),
    "a policy parameter it does not have": bad(
        "workers: 4", "wokers: 4", "6: policy.wokers: unknown key; policy static has workers"
    ),
    "a parameter of a policy that has none": bad(
        "static", "hold", "6: policy.workers: unknown key; policy hold has no parameters"
    ),
    "a policy parameter of another type": bad(
        "workers: 4", "workers: 4.5", "6: policy.workers: 4.5 is not a whole number"
    ),
    "a policy parameter that is no number": bad(
        "workers: 4", "workers: yes", "6: policy.workers: 'yes' is not a whole number"
    ),
    "a policy parameter out of range": bad(
        "workers: 4", "workers: -4", "5: policy.name: policy static: workers must be 0 or more"
    ),
    "a policy duration without unit": bad(
        "static\n  workers: 4", "threshold\n  idle: 300", "6: policy.idle: 300 has no unit: write a duration such as"
    ),
    "a policy level that is no number": bad(
        "static\n  workers: 4",
        "threshold\n  grow_running: .nan",
        "5: policy.name: policy threshold: grow_queued, grow_running and shrink_load must be 0 or more",
    ),
    "a policy without a needed parameter": bad("  workers: 4\n", "", "5: policy.name: policy static needs workers"),
}


@pytest.mark.parametrize(("text", "problem"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_named_by_line_key_and_reason(file: Path, text: str, problem: str) -> None:
    (found,) = problems(file, text)
    assert found.startswith(problem.removeprefix(": "))


def test_shadow_policies_and_the_canary_are_part_of_how_it_decides(file: Path) -> None:
    text = MINIMAL + "shadows: {next: {name: threshold, idle: 2h}}\ncanary: {policy: next, hosts: [host-1]}\n"
    rules = loaded(file, text).rules
    assert rules.shadows == {"next": Threshold(idle=timedelta(hours=2))}
    assert rules.canary == Canary("next", frozenset({"host-1"}))
    assert loaded(file, text).history == timedelta(hours=2)


def test_decisions_tell_a_policy_as_the_file_would_write_it_with_what_alerts_have_changed(file: Path) -> None:
    rules = loaded(file, MINIMAL + "shadows: {next: {name: threshold, idle: 2h}}\n").rules
    assert rules.told(ACTING, Static(7)) == "static (workers: 7)"
    assert rules.told("next", rules.shadows["next"]).endswith(", idle: 2h)")


def test_a_canary_acts_on_hosts_and_on_groups(file: Path) -> None:
    more = "shadows: {next: {name: hold}}\ncanary: {policy: next, hosts: [some, host-1]}\n"
    assert loaded(file, grouped("some: {hosts: [host-1, host-2]}") + more).rules.canary == Canary(
        "next", frozenset({"host-1", "host-2"})
    )
