"""``autoscaler run``: the loop."""

import logging
import sys
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click

from autoscaler.cli.common import (
    EXIT_CODES,
    ConfigFailure,
    DegradedFailure,
    StoreFailure,
    config_option,
    load_config,
    trouble,
)
from autoscaler.config.load import Loaded
from autoscaler.config.policies import policy_text
from autoscaler.config.schema import PrometheusSection
from autoscaler.config.units import duration_text
from autoscaler.contracts import StoreError
from autoscaler.hypervisors import connect
from autoscaler.service.controller import Controller, Cycle, Pace
from autoscaler.service.loop import Bell, run_cycles
from autoscaler.service.metrics import MetricsError, PolicyMetrics, RefitMetrics, metrics_at
from autoscaler.service.models import ActingModel, shelf_beside, takes_a_model
from autoscaler.service.nudge import NudgeError, nudged_at
from autoscaler.service.refit import Refit
from autoscaler.service.timed import TimedForecaster
from autoscaler.sources import make_source
from autoscaler.store.sql import SqlStore

_log = logging.getLogger("autoscaler")


@click.command(epilog=EXIT_CODES)
@config_option
@click.option("--cycles", type=click.IntRange(min=1), help="Stop after so many cycles.  [default: go on for ever]")
def run(config_file: Path, cycles: int | None) -> None:
    """Keep the facility in step with its demand, until SIGTERM or SIGINT.

    \b
    Examples:
      autoscaler run --config autoscaler.yaml
      autoscaler run --config autoscaler.yaml --cycles 1
    """
    loaded = load_config(config_file)
    try:
        store = SqlStore(loaded.config.controller.store)
    except StoreError as error:
        raise StoreFailure(str(error)) from None
    settings = loaded.config.controller
    hosts, every = len(loaded.config.hosts), duration_text(settings.interval)
    policy = policy_text(loaded.config.policy.name, loaded.policy)
    _log.info("%d hosts, a cycle every %s, policy %s, store %s", hosts, every, policy, settings.store)
    controller = _controller(loaded, store)
    newest: list[Cycle] = []
    bell, metrics, refit = Bell(), PolicyMetrics(), nightly_training(loaded, config_file)
    shown = [metrics, *([] if refit is None else [RefitMetrics(refit)])]

    def cycle() -> None:
        newest[:] = [controller.cycle()]
        metrics.show(newest[0].decision)

    try:
        with (
            nudged_at(settings.notify_listen, bell.ring) if settings.notify_listen else nullcontext(),
            metrics_at(settings.metrics_listen, *shown) if settings.metrics_listen else nullcontext(),
        ):
            failed = run_cycles(cycle, settings.interval, cycles, bell, refit)
    except (NudgeError, MetricsError) as error:
        raise ConfigFailure(str(error)) from None
    finally:
        controller.stop()
        store.close()
    if failed:
        raise DegradedFailure(f"{failed} cycles failed: see the log above")
    problem = trouble(newest[0].decision, loaded) if cycles and newest else None
    if problem:
        raise DegradedFailure(f"the last cycle left something out: {problem}")


def nightly_training(loaded: Loaded, config_file: Path) -> Refit | None:
    """A training each night, where a policy, or a shadow of it, takes a model."""
    at, source = loaded.config.learning.refit_at, loaded.config.source
    if at is None or not any(map(takes_a_model, (loaded.policy, *loaded.shadows.values()))):
        return None
    if not isinstance(source, PrometheusSection):
        _log.warning("no model is made each night: source.kind is %s, which keeps no history", source.kind)
        return None
    return Refit([sys.executable, "-P", "-m", "autoscaler.cli", "train", "--config", str(config_file.absolute())], at)


def _controller(loaded: Loaded, store: SqlStore) -> Controller:
    settings = loaded.config.controller
    return Controller(
        facility=loaded.config.facility(),
        rules=loaded.rules,
        source=make_source(loaded.config.source, loaded.history, settings.interval),
        connect=connect,
        store=store,
        pace=Pace(settings.host_timeout, settings.transfer_stall),
        clock=lambda: datetime.now(UTC),
        with_model=ActingModel(shelf_beside(settings.store), TimedForecaster).given,
    )
