"""A dry run of the live facility: what would be done now."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from autoscaler.cli.common import EXIT_DEGRADED, echo_json, open_store, reading_of, store_exists, trouble
from autoscaler.cli.dry_run_asked import Asked, Configured, configurations, shared_source
from autoscaler.cli.tables import WAITING, console, decision_table, demand_lines
from autoscaler.model import Decision, HostDecision, Orders, Tuning
from autoscaler.service.preview import Preview, preview
from autoscaler.simulation.redecide import Redecided, redecide
from autoscaler.sources import make_source
from autoscaler.store.records import decision_to_json


def look_now(asked: Asked) -> int:
    """Read once, decide by each configuration, show; return the exit code."""
    configured = configurations(asked)
    found = _preview(configured)
    again = [redecide(found.decision, one.side.facility, one.side.rules) for one in configured[1:]]
    if asked.output == "json":
        echo_json(_values(found) | ({"against": _against_values(configured, again[0])} if again else {}))
    else:
        _show(found, configured[0].loaded.policy.signals, again)
        if again:
            _show_both(configured, found.decision, again[0])
        console().print("nothing was changed")
    decisions = [found.decision, *(other.decision for other in again)]
    degraded = any(trouble(decision, one.loaded) for decision, one in zip(decisions, configured, strict=True))
    return EXIT_DEGRADED if degraded else 0


def _preview(configured: Sequence[Configured]) -> Preview:
    first = configured[0]
    settings = first.loaded.config.controller
    asked, timers, orders = {}, [], Orders()
    tunings: tuple[Tuning, ...] = ()
    before, now = None, datetime.now(UTC)
    if store_exists(first.loaded):
        with open_store(first.loaded) as store:
            asked, timers, orders = dict(store.asked()), list(store.timers()), store.orders(now)
            before, tunings = store.newest(), store.tunings(now)
    source, history = shared_source(configured)
    return preview(
        first.side.facility,
        first.side.rules,
        make_source(source, history, settings.interval),
        asked=asked,
        timers=timers,
        orders=orders,
        tunings=tunings,
        before=before,
        now=now,
        host_timeout=settings.host_timeout,
    )


def _values(found: Preview) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(decision_to_json(found.decision))
    for host in values["hosts"]:
        host["calls"] = list(found.calls.get(host["host"], ()))
        host["problem"] = found.decision.situation.host(host["host"]).problem
    return values


def _against_values(configured: Sequence[Configured], other: Redecided) -> dict[str, Any]:
    """The other decision without the situation, which is the same."""
    values: dict[str, Any] = json.loads(decision_to_json(other.decision))
    del values["situation"]
    return {"config": str(configured[1].file), **values, "left_out": dict(other.left_out)}


def _show(found: Preview, signals: tuple[str, ...], again: Sequence[Redecided]) -> None:
    decision = found.decision
    out = console()
    for line in demand_lines(decision):
        out.print(line)
    if decision.unplaced_workers:
        out.print(f"{decision.unplaced_workers} workers find no host with room")
    for series in decision.situation.window.series:
        unused = "" if series.signal in signals else " (not used by the policy)"
        out.print(f"  {series.signal}: {reading_of(series, decision.at)}{unused}")
    for problem in (seen.problem for seen in decision.situation.hosts if seen.problem):
        out.print(problem)
    if not again:
        out.print(decision_table(decision, found.calls))


def _show_both(configured: Sequence[Configured], decision: Decision, other: Redecided) -> None:
    out = console()
    two = configured[1]
    for line in demand_lines(other.decision):
        out.print(f"{two.name}: {line}")
    for name, why in other.left_out.items():
        out.print(f"{name} is left out of {two.name}: {why}")
    headings = [f"{heading} {each.name}" for each in configured for heading in ("Granted", "Why")]
    table = Table("Host", "Workers", *headings)
    others = {host.host: host for host in other.decision.hosts}
    for host in decision.hosts:
        table.add_row(host.host, _count(host.current), *_granted(host), *_granted(others.get(host.host)))
    out.print(table)


def _granted(host: HostDecision | None) -> tuple[str, str]:
    return (WAITING, WAITING) if host is None else (_count(host.granted), host.reason)


def _count(workers: int | None) -> str:
    return WAITING if workers is None else str(workers)
