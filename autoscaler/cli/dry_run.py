"""``autoscaler dry-run``: what would be done now, and why, without doing it."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from autoscaler.cli.common import (
    EXIT_CODES,
    EXIT_DEGRADED,
    config_option,
    echo_json,
    format_option,
    load_config,
    open_store,
    reading_of,
    store_exists,
    trouble,
)
from autoscaler.cli.tables import console, decision_table
from autoscaler.config.load import Loaded
from autoscaler.core.decide import Rules
from autoscaler.service.preview import Preview, preview
from autoscaler.sources import make_source
from autoscaler.store.records import decision_to_json


@click.command("dry-run", epilog=EXIT_CODES)
@config_option
@format_option
@click.pass_context
def dry_run(context: click.Context, config_file: Path, output: str) -> None:
    """Show what the policy would do now: per host what is wanted, granted, what cut it, and why. Changes nothing.

    It reads the live facility over connections that cannot write, and the timers of the running controller.

    \b
    Examples:
      autoscaler dry-run --config autoscaler.yaml
      autoscaler dry-run --config autoscaler.yaml --format json | jq .hosts
    """
    loaded = load_config(config_file)
    found = _preview(loaded)
    if output == "json":
        echo_json(_values(found))
    else:
        _show(found, loaded.policy.signals)
    if trouble(found.decision, loaded):
        context.exit(EXIT_DEGRADED)


def _preview(loaded: Loaded) -> Preview:
    settings = loaded.config.controller
    asked, timers = {}, []
    if store_exists(loaded):
        with open_store(loaded) as store:
            asked, timers = dict(store.asked()), list(store.timers())
    return preview(
        loaded.config.facility(),
        Rules(loaded.policy, loaded.config.guards.limits()),
        make_source(loaded.config.source, loaded.policy.history, settings.interval),
        asked=asked,
        timers=timers,
        now=datetime.now(UTC),
        host_timeout=settings.host_timeout,
    )


def _values(found: Preview) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(decision_to_json(found.decision))
    for host in values["hosts"]:
        host["calls"] = list(found.calls.get(host["host"], ()))
        host["problem"] = found.decision.situation.host(host["host"]).problem
    return values


def _show(found: Preview, signals: tuple[str, ...]) -> None:
    decision = found.decision
    out = console()
    workers = "hold" if decision.demand.workers is None else f"{decision.demand.workers} workers"
    out.print(f"demand: {workers}: {decision.demand.reason}")
    if decision.unplaced_workers:
        out.print(f"{decision.unplaced_workers} workers find no host with room")
    for series in decision.situation.window.series:
        unused = "" if series.signal in signals else " (not used by the policy)"
        out.print(f"  {series.signal}: {reading_of(series, decision.at)}{unused}")
    for problem in (seen.problem for seen in decision.situation.hosts if seen.problem):
        out.print(problem)
    out.print(decision_table(decision, found.calls))
    out.print("nothing was changed")
