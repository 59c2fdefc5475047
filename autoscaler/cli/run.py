"""``autoscaler run``: the loop."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click
from prometheus_client.registry import Collector

from autoscaler.api.address import ApiError
from autoscaler.api.metrics import ApiMetrics
from autoscaler.api.process import ApiProcess
from autoscaler.api.tokens import TokensError, read_tokens
from autoscaler.cli.common import (
    EXIT_CODES,
    AddressFailure,
    ConfigFailure,
    DegradedFailure,
    StoreFailure,
    config_option,
    load_config,
    store_place,
    trouble,
)
from autoscaler.cli.leading import leadership_in, taken
from autoscaler.config.api_section import ApiSection
from autoscaler.config.load import Loaded
from autoscaler.config.policies import policy_text
from autoscaler.config.schema import Config, PrometheusSection
from autoscaler.config.units import duration_text
from autoscaler.contracts import Policy, Source, StoreError
from autoscaler.hypervisors import connect
from autoscaler.model import Outcome
from autoscaler.service.annotations import Annotations
from autoscaler.service.controller import Controller, Pace
from autoscaler.service.cycle_metrics import CycleMetrics
from autoscaler.service.duty import Duty
from autoscaler.service.grafana import Grafana
from autoscaler.service.health import Health
from autoscaler.service.leader import LeaderMetric
from autoscaler.service.log_format import formatter_of
from autoscaler.service.loop import NO_CYCLE, Bell, run_cycles
from autoscaler.service.metrics import MetricsError, PolicyMetrics, RefitMetrics, metrics_at
from autoscaler.service.models import ActingModel, shelf_beside, takes_a_model
from autoscaler.service.notify import tell
from autoscaler.service.nudge import NudgeError, nudged_at
from autoscaler.service.refit import Refit
from autoscaler.service.reload import Reload
from autoscaler.service.retention import Retention
from autoscaler.service.shift import Shift
from autoscaler.service.timed import TimedForecaster
from autoscaler.sources import make_source
from autoscaler.store.retention import Keep
from autoscaler.store.sql import SqlStore

if TYPE_CHECKING:
    from autoscaler.store.postgresql import PostgresDatabase

_log = logging.getLogger("autoscaler")


@click.command(epilog=EXIT_CODES)
@config_option
@click.option("--cycles", type=click.IntRange(min=1), help="Stop after so many cycles.  [default: go on for ever]")
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Sentences to read, or one JSON object a line for scripts.",
)
def run(config_file: Path, cycles: int | None, log_format: str) -> None:
    """Keep the facility in step with its demand, until SIGTERM or SIGINT.

    \b
    Examples:
      autoscaler run --config autoscaler.yaml
      autoscaler run --config autoscaler.yaml --cycles 1

    SIGHUP reads the configuration again: a good one is in force from the next cycle on, a bad one changes nothing.
    """
    formatter = formatter_of(log_format)
    for handler in logging.getLogger().handlers:
        handler.setFormatter(formatter)
    loaded = load_config(config_file)
    place = store_place(loaded)
    try:
        with taken(place), closing(SqlStore(place)) as store:
            _run(loaded, config_file, cycles, place, store, formatter=formatter)
    except StoreError as error:
        tell(f"STATUS={error}")
        raise StoreFailure(str(error)) from None


def _run(
    loaded: Loaded,
    config_file: Path,
    cycles: int | None,
    place: "Path | PostgresDatabase",
    store: SqlStore,
    *,
    formatter: logging.Formatter,
) -> None:
    settings = loaded.config.controller
    hosts, every = len(loaded.config.hosts), duration_text(settings.interval)
    policy = policy_text(loaded.config.policy.name, loaded.policy)
    _log.info("%d hosts, a cycle every %s, policy %s, store %s", hosts, every, policy, store.name)
    bell, policies, health, refit = Bell(), PolicyMetrics(), Health(), nightly_training(loaded, config_file)
    cycles_shown = CycleMetrics(settings.interval)
    shown = [cycles_shown, policies, health, *([] if refit is None else [RefitMetrics(refit)])]
    heard = ApiMetrics()
    api = ApiProcess(loaded.config, place, formatter, bell.ring, heard)
    shown += [heard, api.usage] if loaded.config.api.listen else []
    grafana = Grafana(loaded.config.grafana)
    shown += [grafana] if loaded.config.grafana.url else []
    controller = _controller(loaded, store, cycles_shown, Annotations(grafana.put))
    duty = Duty(controller, health, settings.failures_to_safe, store.record_failure, _now)
    with ExitStack() as stack:
        grafana.start()
        stack.callback(grafana.end)
        # Whoever stops keeps the lead until its transfers have ended.
        leadership = stack.enter_context(leadership_in(place, bell.ring))
        stack.callback(controller.stop)
        shift = Shift(duty, controller, store.of_term, leadership)
        retention = Retention(lambda keep, now: store.prune(keep, now) if shift.leads else 0, _keep(loaded), _now)

        def take_over(old: Loaded, new: Loaded) -> None:
            _take_over(controller, old, new)
            api.take_over(new.config)
            duty.failures_to_safe, retention.keep = new.config.controller.failures_to_safe, _keep(new)

        reload = Reload(config_file, loaded, take_over)

        def cycle() -> object:
            done, by = shift.cycle(), reload.loaded
            if done is None:
                policies.forget()
                cycles_shown.forget()
                return NO_CYCLE
            policies.show(done.decision)
            cycles_shown.show(done, by.config.facility(), by.rules)
            return done

        with _listening(loaded.config, api, bell, [*shown, LeaderMetric(lambda: shift.leads)]):
            failed = run_cycles(
                cycle,
                settings.interval,
                cycles,
                bell,
                refit=refit,
                reload=lambda: duty.reload(reload.renew),
                retention=retention,
            )
    if failed:
        raise DegradedFailure(f"{failed} cycles failed: see the log above")
    problem = trouble(duty.newest.decision, reload.loaded) if cycles and duty.newest else None
    if problem:
        raise DegradedFailure(f"the last cycle left something out: {problem}")


@contextmanager
def _listening(config: Config, api: ApiProcess, bell: Bell, shown: Sequence[Collector]) -> Iterator[None]:
    """Serve all that is asked for beside the loop; an address that is taken ends the command with exit code 4."""
    nudges, metrics = config.controller.notify_listen, config.controller.metrics_listen
    try:
        with (
            nudged_at(nudges, bell.ring) if nudges else nullcontext(),
            metrics_at(metrics, *shown) if metrics else nullcontext(),
            _api(config.api, api) if config.api.listen else nullcontext(),
        ):
            yield
    except (NudgeError, MetricsError) as error:
        raise AddressFailure(str(error)) from None


def nightly_training(loaded: Loaded, config_file: Path) -> Refit | None:
    """A training each night, where a policy, or a shadow of it, takes a model."""
    at, source = loaded.config.learning.refit_at, loaded.config.source
    if at is None or not any(map(takes_a_model, _policies(loaded))):
        return None
    if not isinstance(source, PrometheusSection):
        _log.warning("no model is made each night: source.kind is %s, which keeps no history", source.kind)
        return None
    return Refit([sys.executable, "-P", "-m", "autoscaler.cli", "train", "--config", str(config_file.absolute())], at)


@contextmanager
def _api(section: ApiSection, api: ApiProcess) -> Iterator[None]:
    """Serve the API beside the loop; what keeps it from that ends the command."""
    # Of an extra that few sites need, and imported by the API's process alone.
    missing = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if missing:
        raise ConfigFailure(
            f"api.listen needs more packages (no module named {missing[0]}): pip install 'vaf-autoscaler[api]'"
        )
    try:
        with api.serving() as (host, port):
            _log.info("the API listens on %s:%d", host, port)
            _tell_of_tokens(section)
            yield
    except ApiError as error:
        raise AddressFailure(str(error)) from None


def _tell_of_tokens(api: ApiSection) -> None:
    """Say why nobody can use the API: a caller is only told that their token is not known."""
    try:
        tokens = read_tokens(api.tokens_file)
    except TokensError as error:
        _log.warning("nobody can use the API: %s", error)
        return
    if not tokens and api.grafana_secret_file is None:
        _log.warning("nobody can use the API: %s has no token, see autoscaler token add --help", api.tokens_file)


def _controller(loaded: Loaded, store: SqlStore, metrics: CycleMetrics, annotations: Annotations) -> Controller:
    def ended(outcome: Outcome) -> None:
        metrics.ended(outcome)
        annotations.ended(outcome)

    return Controller(
        facility=loaded.config.facility(),
        rules=loaded.rules,
        source=_source(loaded),
        connect=connect,
        store=store,
        pace=_pace(loaded),
        clock=_now,
        with_model=ActingModel(shelf_beside(loaded.config.controller.store), TimedForecaster).given,
        on_decision=annotations.decided,
        on_outcome=ended,
    )


def _take_over(controller: Controller, old: Loaded, new: Loaded) -> None:
    # A source that scrapes has its history in memory, which nothing but another source is worth.
    same = (old.config.source, old.history) == (new.config.source, new.history)
    controller.replace(new.config.facility(), new.rules, None if same else _source(new), _pace(new))
    if not any(map(takes_a_model, _policies(old))) and any(map(takes_a_model, _policies(new))):
        _log.warning("a policy takes a model now: the training each night begins with the next start")


def _policies(loaded: Loaded) -> tuple[Policy, ...]:
    return (loaded.policy, *loaded.shadows.values())


def _source(loaded: Loaded) -> Source:
    return make_source(loaded.config.source, loaded.history, loaded.config.controller.interval)


def _pace(loaded: Loaded) -> Pace:
    return Pace(loaded.config.controller.host_timeout, loaded.config.controller.transfer_stall)


def _keep(loaded: Loaded) -> Keep:
    return Keep(loaded.config.controller.keep, loaded.config.controller.keep_size)


def _now() -> datetime:
    return datetime.now(UTC)
