"""``autoscaler status``: how the facility stands, by the controller's last cycle."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from autoscaler.cli.common import (
    EXIT_CODES,
    EXIT_DEGRADED,
    StoreFailure,
    age,
    change_of,
    config_option,
    echo_json,
    format_option,
    load_config,
    local,
    open_store,
)
from autoscaler.cli.tables import WAITING, cap_text, console
from autoscaler.config.load import Loaded
from autoscaler.model import HostState
from autoscaler.store.records import Record

# A cycle may be late by a slow source; after so many intervals without one, nobody is at the wheel.
LATE_INTERVALS = 3


@click.command(epilog=EXIT_CODES)
@config_option
@format_option
@click.pass_context
def status(context: click.Context, config_file: Path, output: str) -> None:
    """Show each host by the last recorded cycle, and whether the controller is alive.

    \b
    Examples:
      autoscaler status
      autoscaler status --format json | jq .late
    """
    loaded = load_config(config_file)
    with open_store(loaded) as store:
        record = store.latest()
    if record is None:
        raise StoreFailure(f"store {loaded.config.controller.store} holds no decision yet")
    now = datetime.now(UTC)
    late = now - record.decision.at > LATE_INTERVALS * loaded.config.controller.interval
    if output == "json":
        echo_json(_values(record, now, late=late))
    else:
        _show(record, now, loaded, late=late)
    if late or any(seen.state is HostState.UNUSABLE for seen in record.decision.situation.hosts):
        context.exit(EXIT_DEGRADED)


def _values(record: Record, now: datetime, *, late: bool) -> dict[str, Any]:
    hosts = [
        {
            "host": seen.host,
            "state": seen.state,
            "problem": seen.problem,
            "workers": decided.current,
            "wanted": decided.wanted,
            "granted": decided.granted,
            "reason": decided.reason,
            "change": change_of(record, seen.host),
            "memory_mib": {domain.name: domain.allocation.memory_mib for domain in seen.domains},
        }
        for seen, decided in zip(record.decision.situation.hosts, record.decision.hosts, strict=True)
    ]
    age_s = (now - record.decision.at).total_seconds()
    return {"number": record.number, "at": record.decision.at.isoformat(), "age_s": age_s, "late": late, "hosts": hosts}


def _show(record: Record, now: datetime, loaded: Loaded, *, late: bool) -> None:
    decision = record.decision
    out = console()
    out.print(f"decision {record.number} at {local(decision.at)}, {age(now, decision.at)}, by {decision.policy}")
    if late:
        out.print(f"the controller is late: a cycle is due every {loaded.config.controller.interval}; is it running?")
    table = Table("Host", "State", "Domain", "Memory", "Cap", "Weight", "Workers", "Granted", "Why", "Change")
    for seen, decided in zip(decision.situation.hosts, decision.hosts, strict=True):
        workers = WAITING if decided.current is None else str(decided.current)
        granted = WAITING if decided.granted is None else str(decided.granted)
        names = "\n".join(domain.name for domain in seen.domains)
        memory = "\n".join(f"{domain.allocation.memory_mib} MiB" for domain in seen.domains)
        caps = "\n".join(cap_text(domain.allocation) for domain in seen.domains)
        weights = "\n".join(str(domain.allocation.cpu_weight) for domain in seen.domains)
        change = change_of(record, seen.host)
        table.add_row(seen.host, seen.state, names, memory, caps, weights, workers, granted, decided.reason, change)
    out.print(table)
