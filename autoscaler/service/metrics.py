"""The policies as Prometheus sees them: what each wants, how well a learned one has forecast, and its nightly training.

What is of policies is of the newest decision; before the first one there is nothing. Holding is no number, so that a
demand that is not there means hold, and an unknown forecast is not a forecast of 0.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from autoscaler.core.orders import NO_ORDERS, orders_by_host
from autoscaler.core.voices import ACTING
from autoscaler.learning.standing import Standing, standing
from autoscaler.model import Decision, Demand, Memory, TuningKind
from autoscaler.service.refit import Refit


class MetricsError(Exception):
    """The address cannot be listened on; the message names it."""


class PolicyMetrics(Collector):
    """Shows the newest decision."""

    def __init__(self) -> None:
        self._newest: Decision | None = None

    def show(self, decision: Decision) -> None:
        """Let this be the newest one."""
        self._newest = decision

    def forget(self) -> None:
        """Another controller decides now."""
        self._newest = None

    def collect(self) -> Iterator[Metric]:
        """The metrics of the newest decision."""
        if self._newest is None:
            return
        heard = list(_heard(self._newest))
        yield from _demands(heard)
        standings = [(name, found) for name, _, memory, _ in heard if (found := standing(memory)) is not None]
        yield from _forecasts(standings)
        yield from _scores(standings)
        yield from _orders(self._newest)
        yield _tunings(self._newest)


class RefitMetrics(Collector):
    """Shows what became of the nightly training."""

    def __init__(self, refit: Refit) -> None:
        self._refit = refit

    def collect(self) -> Iterator[Metric]:
        """The metrics of the newest one; before it has ended there is no time."""
        yield GaugeMetricFamily(
            "autoscaler_refit_failures",
            "Nightly trainings that failed in a row, up to the newest one; 0 since the last good one.",
            self._refit.failed,
        )
        if self._refit.ended_at is not None:
            yield GaugeMetricFamily(
                "autoscaler_refit_ended_timestamp_seconds",
                "When the newest nightly training ended, good or bad; none since the controller was started.",
                self._refit.ended_at.timestamp(),
            )


@contextmanager
def metrics_at(address: tuple[str, int], *metrics: Collector) -> Iterator[tuple[str, int]]:
    """Serve the metrics, and those of the process, while the ``with`` block runs; yield the address with its port.

    Raises ``MetricsError``.
    """
    registry = CollectorRegistry()
    for each in metrics:
        registry.register(each)
    ProcessCollector(registry=registry)
    try:
        server, thread = start_http_server(address[1], address[0], registry)
    except OSError as error:
        raise MetricsError(f"controller.metrics_listen: {address[0]}:{address[1]}: {error.strerror}") from None
    try:
        yield address[0], server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _heard(decision: Decision) -> Iterator[tuple[str, Demand, Memory, str | None]]:
    yield ACTING, decision.demand, decision.memory, decision.policy_error
    for opinion in decision.opinions:
        yield opinion.name, opinion.demand, opinion.memory, opinion.error


def _demands(heard: list[tuple[str, Demand, Memory, str | None]]) -> Iterator[Metric]:
    wanted = _gauge("demand_workers", "Workers that a policy wants in the whole facility; none while it holds.")
    failed = _gauge("policy_failed", "Whether a policy raised instead of answering (1) or not (0).")
    for name, demand, _, error in heard:
        if demand.workers is not None:
            wanted.add_metric([name], demand.workers)
        failed.add_metric([name], float(error is not None))
    yield wanted
    yield failed


def _forecasts(standings: list[tuple[str, Standing]]) -> Iterator[Metric]:
    in_charge = _gauge("forecast_in_charge", "Whether a learned policy uses its forecast (1) or has stepped back (0).")
    doubts = GaugeMetricFamily(
        "autoscaler_forecast_doubt",
        "Why a learned policy has stepped back; none while it has not.",
        labels=["policy", "reason"],
    )
    low = _gauge("forecast_low_sessions", "Lower end of the newest forecast of the load, in sessions.")
    high = _gauge("forecast_high_sessions", "Upper end of it, which workers are wanted for, in sessions.")
    was_high = _gauge("forecast_judged_sessions", "Upper end of the newest forecast whose time is over, in sessions.")
    realised = _gauge("forecast_realised_sessions", "The load that came of that one, in sessions.")
    for name, found in standings:
        in_charge.add_metric([name], float(found.doubt is None))
        if found.doubt is not None:
            doubts.add_metric([name, found.doubt], 1)
        if found.forecast is not None:
            low.add_metric([name], found.forecast.low)
            high.add_metric([name], found.forecast.high)
        if found.judged is not None:
            was_high.add_metric([name], found.judged.forecast.high)
            realised.add_metric([name], found.judged.realised)
    yield from (in_charge, doubts, low, high, was_high, realised)


def _scores(standings: list[tuple[str, Standing]]) -> Iterator[Metric]:
    coverage = _gauge("forecast_coverage_ratio", "Share of the recent arrivals whose load the forecast had reached.")
    target = _gauge("forecast_coverage_target_ratio", "The share that it aims at.")
    loss = GaugeMetricFamily(
        "autoscaler_forecast_pinball_loss_sessions",
        "Rolling mean of the pinball loss, of the forecast and of persistence (nothing changes), in sessions.",
        labels=["policy", "of"],
    )
    for name, found in standings:
        target.add_metric([name], found.coverage_target)
        if found.coverage is not None:
            coverage.add_metric([name], found.coverage)
        for of, value in (("forecast", found.pinball_loss), ("persistence", found.pinball_loss_persistence)):
            if value is not None:
                loss.add_metric([name, of], value)
    yield from (coverage, target, loss)


def _orders(decision: Decision) -> Iterator[Metric]:
    remaining = GaugeMetricFamily(
        "autoscaler_pause_remaining_seconds",
        "How long a host is still paused in one direction, by hand or for maintenance; none where it is not.",
        labels=["host", "direction"],
    )
    workers = GaugeMetricFamily(
        "autoscaler_override_workers", "Workers that a host is set to by hand; none where it is not.", labels=["host"]
    )
    override_remaining = GaugeMetricFamily(
        "autoscaler_override_remaining_seconds", "How long a host is still set to its workers.", labels=["host"]
    )
    orders_of = orders_by_host(decision.situation.orders, decision.at)
    # The store may still hold those of hosts that have left the configuration.
    for host, orders in ((seen.host, orders_of.get(seen.host, NO_ORDERS)) for seen in decision.situation.hosts):
        for pause in (orders.growing, orders.shrinking):
            if pause is not None:
                remaining.add_metric([host, pause.direction], (pause.until - decision.at).total_seconds())
        if (override := orders.override) is not None:
            workers.add_metric([host], override.workers)
            override_remaining.add_metric([host], (override.until - decision.at).total_seconds())
    yield from (remaining, workers, override_remaining)


def _tunings(decision: Decision) -> Metric:
    counts = Counter(tuning.kind for tuning in decision.situation.tunings)
    shown = GaugeMetricFamily(
        "autoscaler_tunings",
        "Rules of alerts, and announced sessions, that change something now.",
        labels=["kind"],
    )
    for kind in TuningKind:
        shown.add_metric([kind], counts[kind])
    return shown


def _gauge(name: str, help_text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"autoscaler_{name}", help_text, labels=["policy"])
