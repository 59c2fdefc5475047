"""``autoscaler status``: how the facility stands, by the controller's last cycle."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from autoscaler.cli.common import (
    EXIT_CODES,
    EXIT_DEGRADED,
    StoreFailure,
    age,
    config_option,
    echo_json,
    format_option,
    hosts_in_trouble,
    load_config,
    local,
    open_store,
    policy_words,
)
from autoscaler.cli.tables import WAITING, cap_text, console, memory_text
from autoscaler.config.load import Loaded
from autoscaler.config.units import duration_text
from autoscaler.core.guards import CLOCK_SKEW, unknown_reason
from autoscaler.core.orders import orders_by_host
from autoscaler.core.safe import is_of_safe_split
from autoscaler.core.situation import all_orders
from autoscaler.core.tuning import tuning_values, tuning_words
from autoscaler.learning.standing import standing
from autoscaler.model import Decision, Orders, Override, Pause, Tuning
from autoscaler.service.models import Acts, shelf_beside, take_a_model
from autoscaler.store.database import Leader
from autoscaler.store.failures import FailedCycle
from autoscaler.store.records import Record

# A cycle may be late by a slow source; after so many intervals without one, nobody is at the wheel.
LATE_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Health:
    """What is wrong beyond the hosts: why the controller seems not to run, and what its last cycle did not know.

    ``failing`` is why cycles failed since the last one that did not.
    """

    late: str | None
    failing: str | None
    unknown: str | None
    error: str | None

    @classmethod
    def of(cls, record: Record, failures: Sequence[FailedCycle], now: datetime, loaded: Loaded) -> "Health":
        """Judge the newest record."""
        decision = record.decision
        return cls(
            _late(now - decision.at, loaded.config.controller.interval),
            _failing(decision, failures),
            unknown_reason(decision.situation.window, loaded.policy.signals, loaded.config.guards.limits()),
            decision.error,
        )

    def in_words(self) -> Iterator[str]:
        """What is wrong, a line each."""
        if self.late:
            yield self.late
        if self.failing:
            yield self.failing
        if self.unknown:
            yield f"unknown: {self.unknown}"
        if self.error:
            yield f"error: {self.error}"

    @property
    def good(self) -> bool:
        """Whether there is nothing to say."""
        return not (self.late or self.failing or self.unknown or self.error)


def _late(old: timedelta, interval: timedelta) -> str | None:
    if old < -CLOCK_SKEW:
        return "the last cycle lies in the future: was a clock set back?"
    if old > LATE_INTERVALS * interval:
        return f"the controller is late: a cycle is due every {duration_text(interval)}; is it running?"
    return None


def _failing(decision: Decision, failures: Sequence[FailedCycle]) -> str | None:
    """The newest failure, where no cycle has finished since; the safe split belongs to cycles that failed."""
    safe = is_of_safe_split(decision)
    since = [failed for failed in failures if safe or failed.at > decision.at]
    if not since:
        return "cycles fail: hosts are walked to the safe split" if safe else None
    return f"cycles fail, the newest at {local(since[-1].at)}: {since[-1].error}"


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
            raise StoreFailure(f"store {store.name} holds no decision yet")
        leader = store.leader()
        failures = store.failures(record.decision.at - LATE_INTERVALS * loaded.config.controller.interval)
        now = datetime.now(UTC)
        tunings = store.tunings(now)
        orders = all_orders(store.orders(now), tunings, loaded.rules, now)
    leads = None if loaded.config.store.url is None else _leads_words(leader)
    health = Health.of(record, failures, now, loaded)
    model = Acts.now(shelf_beside(loaded.config.controller.store)) if take_a_model(loaded.rules) else None
    if output == "json":
        values = _values(record, now, health, orders, tunings)
        echo_json(values | {"model": _model_values(model), "leader": _leader_values(leader)})
    else:
        if leads is not None:
            console().print(leads)
        _show(record, now, health, orders, tunings)
        if model is not None:
            console().print(_model_words(model))
    if not health.good or hosts_in_trouble(record.decision):
        context.exit(EXIT_DEGRADED)


def _values(record: Record, now: datetime, health: Health, orders: Orders, tunings: Sequence[Tuning]) -> dict[str, Any]:
    learned = standing(record.decision.memory)
    return {
        "number": record.number,
        "at": record.decision.at.isoformat(),
        "age_s": (now - record.decision.at).total_seconds(),
        "late": health.late is not None,
        "failing": health.failing,
        "unknown": health.unknown,
        "safe_split": record.decision.safe_split,
        "error": health.error,
        "learned": None if learned is None else learned.values(),
        "hosts": record.host_values(),
        "pauses": [_order(each, direction=each.direction) for each in orders.pauses],
        "tunings": [tuning_values(each) for each in tunings],
        "overrides": [_order(each, workers=each.workers) for each in orders.overrides],
    }


def _leader_values(leader: Leader | None) -> dict[str, object] | None:
    return None if leader is None else {"name": leader.name, "since": leader.since.isoformat(), "term": leader.term}


def _leads_words(leader: Leader | None) -> str:
    if leader is None:
        return "nobody leads: no controller runs, or none reaches the store"
    return f"leader is {leader.name}, since {local(leader.since)}"


def _model_values(model: Acts | None) -> dict[str, object] | None:
    if model is None:
        return None
    until = None if model.card is None else model.card.data.end.isoformat()
    return {"acting": model.number, "knows_the_load_until": until, "problem": model.problem}


def _model_words(model: Acts) -> str:
    if model.problem is not None:
        return f"the model that is to act cannot be used: {model.problem}"
    if model.card is None:
        return "no model acts: the learned policy decides as the threshold rule does"
    return f"model {model.number} is to act, it knows the load until {local(model.card.data.end)}"


def _order(order: Pause | Override, **what: object) -> dict[str, object]:
    times = {"since": order.since.isoformat(), "until": order.until.isoformat()}
    return {"host": order.host, **what, **times, "who": order.who, "reason": order.reason}


def _show(record: Record, now: datetime, health: Health, orders: Orders, tunings: Sequence[Tuning]) -> None:
    decision = record.decision
    out = console()
    out.print(f"decision {record.number} at {local(decision.at)}, {age(now, decision.at)}, by {policy_words(decision)}")
    for wrong in health.in_words():
        out.print(wrong)
    if decision.safe_split:
        out.print(f"hosts are walked: {decision.safe_split}")
    for problem in (seen.problem for seen in decision.situation.hosts if seen.problem):
        out.print(problem)
    for tuning in tunings:
        out.print(tuning_words(tuning))
    for host, given in orders_by_host(orders, now).items():
        for words in given.in_words():
            out.print(f"{host}: {words}")
    table = Table("Host", "State", "Domain", "Memory", "Cap", "Weight", "Had", "Granted", "Why", "Change")
    for seen, decided in zip(record.hosts_after(), decision.hosts, strict=True):
        workers = WAITING if decided.current is None else str(decided.current)
        granted = WAITING if decided.granted is None else str(decided.granted)
        names = "\n".join(domain.name for domain in seen.domains)
        memory = "\n".join(memory_text(domain) for domain in seen.domains)
        caps = "\n".join(cap_text(domain.allocation) for domain in seen.domains)
        weights = "\n".join(str(domain.allocation.cpu_weight) for domain in seen.domains)
        change = record.change(seen.host)
        table.add_row(seen.host, seen.state, names, memory, caps, weights, workers, granted, decided.reason, change)
    out.print(table)
