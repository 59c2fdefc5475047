"""The policies as Prometheus sees them."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
import requests
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from autoscaler.learning.notes import Aim, Arrivals, Doubt, Forecast, Judged, Losses, Notes, Who
from autoscaler.model import (
    Decision,
    Demand,
    Direction,
    HostObservation,
    HostState,
    Memory,
    Opinion,
    Orders,
    Situation,
    Window,
)
from autoscaler.service.metrics import MetricsError, PolicyMetrics, RefitMetrics, metrics_at
from autoscaler.service.refit import Refit
from autoscaler.testing import NOW
from tests.core.alerts import a_tuning
from tests.core.situations import a_pause, an_override

LOCAL = ("127.0.0.1", 0)
MINUTE = 29_657_520
LEARNED = Notes(
    Aim(0.05, 0.04),
    MINUTE,
    (1.0, 2.0),
    (Forecast(MINUTE, 1.0, 3.5, 3.0),),
    Losses(80, 0.125, 0.25),
    Arrivals(40.0, 0.95),
    Judged(Forecast(MINUTE - 11, 0.5, 2.5, 2.0), 2.0),
    Who(acts=False, since=MINUTE - 100, doubt=Doubt.TOO_OLD, good_since=None),
).memory()


def decided(memory: Memory, *opinions: Opinion, workers: int | None = 8) -> Decision:
    return Decision(NOW, "", Situation(Window(NOW), ()), Demand(workers, ""), (), memory=memory, opinions=opinions)


def shown(decision: Decision | None) -> dict[tuple[str, ...], float]:
    """Values of policies by name, policy and other labels, through the text that Prometheus reads."""
    metrics, registry = PolicyMetrics(), CollectorRegistry()
    if decision is not None:
        metrics.show(decision)
    registry.register(metrics)
    families = text_string_to_metric_families(generate_latest(registry).decode())
    samples = [sample for family in families for sample in family.samples if "policy" in sample.labels]
    return {(s.name, s.labels.pop("policy"), *s.labels.values()): s.value for s in samples}


def test_before_the_first_decision_there_is_nothing() -> None:
    assert shown(None) == {}


def test_what_each_policy_wants_is_shown_and_holding_is_no_number() -> None:
    patient, still = Opinion("patient", "", Demand(12, "")), Opinion("still", "", Demand(None, ""), error="boom")
    found = shown(decided({}, patient, still))
    assert found == {
        ("autoscaler_demand_workers", "acting"): 8,
        ("autoscaler_demand_workers", "patient"): 12,
        ("autoscaler_policy_failed", "acting"): 0,
        ("autoscaler_policy_failed", "patient"): 0,
        ("autoscaler_policy_failed", "still"): 1,
    }


def test_a_learned_policy_shows_its_forecast_what_came_of_it_and_why_it_stepped_back() -> None:
    found = shown(decided({}, Opinion("next", "", Demand(8, ""), LEARNED)))
    of_next = {key: value for key, value in found.items() if key[1] == "next"}
    assert {key[0].removeprefix("autoscaler_"): (key[2:], value) for key, value in of_next.items()} == {
        "demand_workers": ((), 8),
        "policy_failed": ((), 0),
        "forecast_in_charge": ((), 0),
        "forecast_doubt": (("the model is too old",), 1),
        "forecast_low_sessions": ((), 1.0),
        "forecast_high_sessions": ((), 3.5),
        "forecast_judged_sessions": ((), 2.5),
        "forecast_realised_sessions": ((), 2.0),
        "forecast_coverage_ratio": ((), 0.95),
        "forecast_coverage_target_ratio": ((), 0.95),
        "forecast_pinball_loss_sessions": (("persistence",), 0.25),
    }
    assert found["autoscaler_forecast_pinball_loss_sessions", "next", "forecast"] == 0.125


def of_refit(refit: Refit) -> dict[str, float]:
    return {sample.name: sample.value for metric in RefitMetrics(refit).collect() for sample in metric.samples}


def test_the_nightly_training_shows_its_failures_in_a_row_and_when_the_newest_one_ended() -> None:
    refit = Refit(["/nonexistent/python"], time(3, 30), clock=lambda: NOW)
    assert of_refit(refit) == {"autoscaler_refit_failures": 0}
    refit.run()
    assert of_refit(refit) == {
        "autoscaler_refit_failures": 1,
        "autoscaler_refit_ended_timestamp_seconds": NOW.timestamp(),
    }


def test_pauses_and_overrides_are_shown_with_what_is_left_of_them() -> None:
    orders = Orders(
        (a_pause(Direction.GROW), a_pause(Direction.SHRINK, until=NOW)),
        (an_override(3, "host-2", until=NOW + timedelta(minutes=1)), an_override(3, "a host that has left")),
    )
    hosts = tuple(HostObservation(name, HostState.UNUSABLE) for name in ("host-1", "host-2"))
    metrics, registry = PolicyMetrics(), CollectorRegistry()
    metrics.show(replace(decided({}), situation=Situation(Window(NOW), hosts, orders=orders)))
    registry.register(metrics)
    text = generate_latest(registry).decode()
    assert [line for line in text.splitlines() if line.startswith(("autoscaler_pause", "autoscaler_override"))] == [
        'autoscaler_pause_remaining_seconds{direction="grow",host="host-1"} 3600.0',
        'autoscaler_override_workers{host="host-2"} 3.0',
        'autoscaler_override_remaining_seconds{host="host-2"} 60.0',
    ]


def test_tunings_are_counted_by_what_they_do() -> None:
    metrics = PolicyMetrics()
    metrics.show(replace(decided({}), situation=Situation(Window(NOW), (), tunings=(a_tuning(),))))
    (found,) = [metric for metric in metrics.collect() if metric.name == "autoscaler_tunings"]
    assert {sample.labels["kind"]: sample.value for sample in found.samples} == {
        "boost": 1,
        "cap": 0,
        "freeze": 0,
        "session": 0,
        "step": 0,
        "price": 0,
    }


def test_they_are_served_at_an_address() -> None:
    metrics = PolicyMetrics()
    metrics.show(decided({}))
    refit = RefitMetrics(Refit([], time(3, 30)))
    with metrics_at(LOCAL, metrics, refit) as (host, port):
        answer = requests.get(f"http://{host}:{port}/metrics", timeout=30)
    assert 'autoscaler_demand_workers{policy="acting"} 8.0' in answer.text
    assert "autoscaler_refit_failures 0.0" in answer.text


def test_an_address_that_is_taken_is_an_error_that_names_it() -> None:
    with (
        metrics_at(LOCAL, PolicyMetrics()) as (host, port),
        pytest.raises(MetricsError, match=f"metrics_listen: {host}:{port}: Address already in use"),
        metrics_at((host, port), PolicyMetrics()),
    ):
        pass
