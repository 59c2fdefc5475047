"""``autoscaler explain``: why a host got what it got."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import click

from autoscaler.cli.common import (
    EXIT_CODES,
    StoreFailure,
    config_option,
    load_config,
    local,
    open_store,
    policy_words,
    reading_of,
)
from autoscaler.cli.parameters import Moment
from autoscaler.cli.tables import cap_text, demand_lines, demand_text
from autoscaler.core.orders import NO_ORDERS, orders_by_host
from autoscaler.core.tuning import tuning_words
from autoscaler.core.voices import ACTING
from autoscaler.learning.standing import standing
from autoscaler.model import Allocation, DomainState, HostDecision, Memory, Step, StepKind
from autoscaler.store.records import Record


class EndOfSecond(Moment):
    """A time that without a fraction is the end of its second: copied from a table, it finds its decision."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse it, or fail with an example."""
        at = super().convert(value, param, ctx)
        return at if at.microsecond else at.replace(microsecond=999_999)


@click.command(epilog=EXIT_CODES)
@click.argument("host")
@config_option
@click.option(
    "--at",
    type=EndOfSecond(),
    metavar="TIME",
    help="The decision in force then; local time.  [default: the newest]",
)
def explain(host: str, config_file: Path, at: datetime | None) -> None:
    """Tell why HOST got what it got: the inputs with their age, the demand, each guard's cut, the steps, the outcome.

    The demand is what the policy wants; where alerts, announced sessions or the calendar make something else of it,
    that is told, too.

    \b
    Examples:
      autoscaler explain vaf-dom0-001
      autoscaler explain vaf-dom0-001 --at 2026-11-23T14:30
    """
    loaded = load_config(config_file)
    known = [section.name for section in loaded.config.hosts]
    with open_store(loaded) as store:
        record = store.latest(at=at)
    decided = None if record is None else record.host(host)
    if record is None:
        when = "yet" if at is None else f"at or before {local(at)}"
        raise StoreFailure(f"store {store.name} holds no decision {when}")
    if decided is None:
        raise StoreFailure(f"decision {record.number} knows no host {host!r}; configured are {', '.join(known)}")
    click.echo("\n".join(_lines(record, decided)))


def _lines(record: Record, decided: HostDecision) -> Iterator[str]:
    decision = record.decision
    yield f"decision {record.number} at {local(decision.at)}, by {policy_words(decision)}"
    yield from _inputs(record, decided.host)
    for who, since in decision.situation.unknown_since.items():
        whose = "the policy" if who == ACTING else f"the canary {who}"
        yield f"input: signals of {whose} have been unknown since {local(since)}"
    orders = orders_by_host(decision.situation.orders, decision.at)
    for words in orders.get(decided.host, NO_ORDERS).in_words():
        yield f"order: {decided.host}: {words}"
    for tuning in decision.situation.tunings:
        yield f"tuning: {tuning_words(tuning)}"
    yield from demand_lines(decision)
    if decision.safe_split:
        yield f"hosts are walked: {decision.safe_split}"
    yield from _standing("learned", decision.memory)
    for opinion in decision.opinions:
        yield f"shadow {opinion.name}: {demand_text(opinion.demand)}: {opinion.demand.reason}"
        yield from _standing(f"shadow {opinion.name}", opinion.memory)
    current, wanted, granted = map(_count, (decided.current, decided.wanted, decided.granted))
    yield f"{decided.host}: has {current}, wanted {wanted}, granted {granted}"
    for cut in decided.cuts:
        yield f"  {cut.guard} cut {cut.before} to {cut.after}: {cut.reason}"
    yield f"  {decided.reason}"
    for step in decided.transfer.steps if decided.transfer else ():
        yield f"  step: {step.kind} {step.domain}{_change(step)}"
    yield f"change: {record.change(decided.host)}"


def _inputs(record: Record, host: str) -> Iterator[str]:
    for series in record.decision.situation.window.series:
        yield f"input: {series.signal} = {reading_of(series, record.decision.at)}"
    seen = record.decision.situation.host(host)
    yield f"input: {host} is {seen.state}" + (f": {seen.problem}" if seen.problem else "")
    for domain in seen.domains:
        used = "use unknown" if domain.used_mib is None else f"{domain.used_mib} MiB used"
        does = "has" if domain.state is DomainState.RUNNING else f"is {domain.state.in_words}, and has"
        yield f"input: {domain.name} {does} {_allocation(domain.allocation)}, {used}"
    for quiet in (each for each in record.decision.situation.quiet if each.host == host):
        yield f"input: PROOF has done next to nothing on {host} since {local(quiet.since)}"


def _standing(who: str, memory: Memory) -> Iterator[str]:
    found = standing(memory)
    for line in found.in_words() if found else ():
        yield f"{who}: {line}"


def _count(workers: int | None) -> str:
    return "unknown" if workers is None else f"{workers} workers"


def _change(step: Step) -> str:
    before, after = step.before, step.after
    match step.kind:
        case StepKind.LEND | StepKind.CPU:
            return f" weight {before.cpu_weight} to {after.cpu_weight}, {cap_text(before)} to {cap_text(after)}"
        case StepKind.SLEEP if step.state is not None:
            return f", it will be {step.state.in_words}"
        case StepKind.WAKE:
            return ""
        case _:
            return f" memory {before.memory_mib} to {after.memory_mib} MiB"


def _allocation(allocation: Allocation) -> str:
    return f"{allocation.memory_mib} MiB, weight {allocation.cpu_weight}, {cap_text(allocation)}"
