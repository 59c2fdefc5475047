"""The controller's cycles, hosts and transfers as Prometheus sees them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from autoscaler.api.metrics import ApiMetrics
from autoscaler.config.grafana_section import GrafanaSection
from autoscaler.core.guards import GUARDS
from autoscaler.core.rules import Rules
from autoscaler.core.voices import Canary
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    Cut,
    Decision,
    Demand,
    Direction,
    Facility,
    GuardLimits,
    HostDecision,
    HostObservation,
    HostState,
    HostTimers,
    Opinion,
    Orders,
    Outcome,
    Quarantine,
    Result,
    Sample,
    Series,
    Situation,
    Window,
)
from autoscaler.service.controller import Cycle
from autoscaler.service.cycle_metrics import CycleMetrics
from autoscaler.service.grafana import Grafana
from autoscaler.service.health import Health
from autoscaler.service.leader import LeaderMetric
from autoscaler.service.metrics import PolicyMetrics, RefitMetrics
from autoscaler.service.refit import Refit
from autoscaler.testing import NOW, a_host, observed
from policies.queue_length import QueueLength
from policies.static import Static
from tests.core.situations import a_pause, an_override
from tests.exporters.exposition import assert_golden
from tests.service.plant import Plant, hosts_named
from tests.service.test_metrics import LEARNED

GOLDEN = Path(__file__).with_name("golden")
INTERVAL = timedelta(seconds=15)
SECOND = timedelta(seconds=1)
RULES = Rules(QueueLength(workers_per_session=8), GuardLimits(fresh_for=timedelta(seconds=90)))
TWO = Facility((a_host("one"), a_host("two")))


def shown(metrics: Collector) -> dict[tuple[str, ...], float]:
    """Values by name without prefix and labels in the order of their names, through the text that Prometheus reads."""
    registry = CollectorRegistry()
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples]
    return {
        (sample.name.removeprefix("autoscaler_"), *(value for _, value in sorted(sample.labels.items()))): sample.value
        for sample in samples
    }


def a_cycle(*hosts: HostDecision, series: tuple[Series, ...] = (), timers: tuple[HostTimers, ...] = ()) -> Cycle:
    """One that read these hosts, all ready at 2 workers."""
    seen = tuple(observed(a_host(host.host), workers=2) for host in hosts)
    situation = Situation(Window(NOW, series), seen, timers)
    decision = Decision(NOW, "threshold (workers_per_session: 8)", situation, Demand(8, ""), hosts)
    return Cycle(1, decision, 0.02, 0.003, 0.004)


def ended(host: str, result: Result = Result.DONE, *, strained: str | None = None) -> Outcome:
    return Outcome(host, result, "", NOW, NOW + 7 * SECOND, strained=strained)


ONE = HostDecision("one", 2, 8, 5, "", (Cut("wn_floor", 8, 5, ""),))


def test_before_the_first_cycle_nothing_is_said_of_the_facility_and_counts_are_0() -> None:
    found = shown(CycleMetrics(INTERVAL))
    assert found["cycle_interval_seconds",] == 15
    assert {key[1] for key in found if key[0] == "guard_cuts_total"} == {guard.__name__ for guard in GUARDS}
    assert ("unplaced_workers",) not in found


def test_a_cycle_tells_how_long_its_parts_took_and_who_is_in_charge() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE), TWO, RULES)
    found = shown(metrics)
    assert found["cycle_duration_seconds_sum", "read"] == 0.02
    assert found["cycle_duration_seconds_sum", "decide"] == 0.003
    assert found["cycle_duration_seconds_sum", "record"] == 0.004
    assert found["policy_info", "threshold", "acting"] == 1


def test_a_guard_that_raises_is_told_without_blaming_the_policy() -> None:
    cycle = a_cycle(ONE)
    failed = replace(cycle.decision, error="guard failed on one: boom")
    cycles, policies = CycleMetrics(INTERVAL), PolicyMetrics()
    cycles.show(cycle, TWO, RULES)
    assert shown(cycles)["decision_failed",] == 0
    cycles.show(replace(cycle, decision=failed), TWO, RULES)
    policies.show(failed)
    assert shown(cycles)["decision_failed",] == 1
    assert shown(policies)["policy_failed", "acting"] == 0


def test_for_how_long_signals_have_been_unknown_is_told_and_whether_hosts_are_walked_for_it() -> None:
    metrics, cycle = CycleMetrics(INTERVAL), a_cycle(ONE)
    metrics.show(cycle, TWO, RULES)
    assert shown(metrics)["unknown_safe_split",] == 0
    assert ("signals_unknown_seconds", "acting") not in shown(metrics)
    situation = replace(cycle.decision.situation, unknown_since={"acting": NOW - 90 * SECOND})
    walked = replace(cycle.decision, situation=situation, safe_split="safe split, for long")
    metrics.show(replace(cycle, decision=walked), TWO, RULES)
    found = shown(metrics)
    assert (found["unknown_safe_split",], found["signals_unknown_seconds", "acting"]) == (1, 90)


def test_workers_are_told_before_and_after_the_guards_and_as_they_were_with_what_was_cut() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE), TWO, RULES)
    found = shown(metrics)
    assert (found["wanted_workers", "one"], found["granted_workers", "one"], found["observed_workers", "one"]) == (
        8,
        5,
        2,
    )
    assert found["cut_workers", "wn_floor", "one"] == 3
    assert found["guard_cuts_total", "wn_floor"] == 1


def test_what_a_host_has_is_unknown_where_it_could_not_be_read() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(HostDecision("one", None, None, None, "")), TWO, RULES)
    assert not {"wanted_workers", "granted_workers", "observed_workers"} & {key[0] for key in shown(metrics)}


def test_memory_weight_and_cpu_time_are_told_by_role() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE), TWO, RULES)
    found = shown(metrics)
    proof_mib = 572 + 2 * 792
    assert found["memory_bytes", "one", "proof"] == proof_mib * 2**20
    assert found["memory_bytes", "one", "wn"] == (8056 - 573 - proof_mib) * 2**20
    assert (found["cpu_weight", "one", "proof"], found["cpu_weight", "one", "wn"]) == (256, 32)
    assert (found["cpu_seconds_total", "one", "proof"], found["cpu_seconds_total", "one", "wn"]) == (0, 0)


def test_a_signal_tells_its_age_and_an_unknown_one_that_it_is_unknown() -> None:
    known = Series("a", (Sample(NOW, 3.0),), NOW - 20 * SECOND)
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE, series=(known, Series("b", problem="refused"))), TWO, RULES)
    found = shown(metrics)
    assert found["signal_age_seconds", "a"] == 20
    assert ("signal_age_seconds", "b") not in found
    assert (found["signal_known", "a"], found["signal_known", "b"]) == (1, 0)


def test_a_signal_is_needed_when_the_acting_policy_or_the_canary_needs_it() -> None:
    metrics = CycleMetrics(INTERVAL)
    cycle = a_cycle(ONE, series=(Series(PROOF_QUEUED_SESSIONS), Series("wn_running_jobs")))
    metrics.show(cycle, TWO, RULES)
    found = shown(metrics)
    assert (found["signal_needed", PROOF_QUEUED_SESSIONS], found["signal_needed", "wn_running_jobs"]) == (1, 0)
    assert found["signal_fresh_for_seconds",] == 90
    static, shadows = Static(workers=3), {"queue": RULES.policy}
    metrics.show(cycle, TWO, Rules(static, RULES.limits, shadows=shadows))
    assert shown(metrics)["signal_needed", PROOF_QUEUED_SESSIONS] == 0
    canary = Canary("queue", frozenset({"one"}))
    metrics.show(cycle, TWO, Rules(static, RULES.limits, shadows=shadows, canary=canary))
    assert shown(metrics)["signal_needed", PROOF_QUEUED_SESSIONS] == 1


def test_a_quarantine_is_told() -> None:
    quarantine = Quarantine("wn", "stuck", NOW, 1, NOW)
    metrics = CycleMetrics(INTERVAL)
    two = HostDecision("two", 2, 2, 2, "")
    metrics.show(a_cycle(ONE, two, timers=(HostTimers("one", quarantine=quarantine), HostTimers("two"))), TWO, RULES)
    found = shown(metrics)
    assert (found["host_quarantined", "one"], found["host_quarantined", "two"]) == (1, 0)


def test_transfers_are_counted_by_host_and_result_and_timed_by_result() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE), TWO, RULES)
    metrics.ended(ended("one"))
    metrics.ended(ended("one", Result.PARTIAL, strained="wn"))
    found = shown(metrics)
    assert (found["transfers_total", "one", "done"], found["transfers_total", "one", "failed"]) == (1, 0)
    assert found["transfer_duration_seconds_sum", "done"] == 7
    assert found["transfer_duration_seconds_bucket", "5.0", "partial"] == 0
    assert found["transfer_duration_seconds_bucket", "10.0", "partial"] == 1
    assert found["strains_total", "one"] == 1


def test_a_transfer_that_ends_before_its_cycle_is_shown_counts() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.ended(ended("one"))
    metrics.show(a_cycle(ONE), TWO, RULES)
    assert shown(metrics)["transfers_total", "one", "done"] == 1


def test_a_host_that_is_no_longer_decided_about_leaves_all_metrics() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE, HostDecision("two", 2, 2, 2, "")), TWO, RULES)
    metrics.ended(ended("two"))
    assert [key for key in shown(metrics) if "two" in key]
    metrics.show(a_cycle(ONE), Facility((a_host("one"),)), RULES)
    assert [key for key in shown(metrics) if "two" in key] == []


def test_a_controller_that_leads_no_more_shows_no_decision_and_goes_on_counting() -> None:
    metrics = CycleMetrics(INTERVAL)
    metrics.show(a_cycle(ONE), TWO, RULES)
    metrics.ended(ended("one"))
    metrics.forget()
    assert [key for key in shown(metrics) if "granted_workers" in key or "memory_bytes" in key] == []
    assert [key for key in shown(metrics) if "transfers_total" in key and "one" in key]


@pytest.fixture
def plant(tmp_path: Path) -> Iterator[Plant]:
    plant = Plant(tmp_path, hosts_named("one", "two"))
    yield plant
    plant.close()


def test_the_controller_tells_of_each_transfer_that_ended(plant: Plant) -> None:
    outcomes: list[Outcome] = []
    plant.on_outcome = outcomes.append
    plant.start()
    plant.source.queued = 1.0
    plant.cycle()
    assert {(outcome.host, outcome.result) for outcome in outcomes} == {("one", Result.DONE), ("two", Result.DONE)}


def test_the_whole_exposition_is_as_the_golden_file_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoscaler.service.cycle_metrics.version", lambda _: "1.2.3")
    monkeypatch.setattr("autoscaler.service.cycle_metrics.platform.python_version", lambda: "3.11.0")
    away = HostObservation("away", HostState.UNUSABLE, problem="no answer in 10 s")
    ready = observed(a_host("one"), workers=2)
    series = (Series("proof_queued_sessions", (Sample(NOW, 1.0),), NOW - 20 * SECOND), Series("wn_running_jobs"))
    timers = (HostTimers("one", quarantine=Quarantine("wn", "stuck", NOW, 1, NOW)),)
    orders = Orders((a_pause(Direction.GROW, "one"),), (an_override(3, "away"),))
    decision = Decision(
        NOW,
        "threshold (workers_per_session: 8)",
        Situation(
            Window(NOW, series), (ready, away), timers, orders=orders, unknown_since={"acting": NOW - 90 * SECOND}
        ),
        Demand(8, ""),
        (ONE, HostDecision("away", None, None, None, "")),
        unplaced_workers=3,
        opinions=(Opinion("next", "learned", Demand(8, ""), LEARNED),),
    )
    cycles, policies = CycleMetrics(INTERVAL), PolicyMetrics()
    cycles.show(Cycle(1, decision, 0.02, 0.003, 0.004), TWO, RULES)
    for result in (Result.DONE, Result.PARTIAL):
        cycles.ended(ended("one", result))
    policies.show(decision)
    refit = Refit(["/nonexistent/python"], time(3, 30), clock=lambda: NOW)
    refit.run()
    registry = CollectorRegistry()
    health = Health(clock=NOW.timestamp)
    health.finished()
    health.failed(by_store=True)
    heard = ApiMetrics()
    heard.answered("/api/v1/alerts/grafana", 200)
    heard.heard("grafana", begun=1, known=0, ended=0, ignored=2)
    heard.announced("ready")
    heard.restarted()
    others = (LeaderMetric(lambda: True), RefitMetrics(refit), heard, Grafana(GrafanaSection()))
    for each in (cycles, policies, health, *others):
        registry.register(each)
    assert_golden("autoscaler", generate_latest(registry).decode(), GOLDEN)
