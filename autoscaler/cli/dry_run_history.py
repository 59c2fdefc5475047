"""A dry run over Prometheus's history: what this configuration would have done, beside what was really done."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import click

from autoscaler.cli.common import EXIT_DEGRADED, ConfigFailure, DegradedFailure, echo_json, open_store, store_exists
from autoscaler.cli.dry_run_asked import Asked, Configured, configurations, shared_source
from autoscaler.cli.dry_run_review import Shown
from autoscaler.cli.progress import tracked
from autoscaler.config.schema import PrometheusSection
from autoscaler.config.units import duration_text
from autoscaler.model import Facility, Window
from autoscaler.service.past import LOOK_BACK, Past
from autoscaler.service.review import Review, review
from autoscaler.sources import UnreachableError, make_history
from autoscaler.store.records import Record, Unreadable

# After so many intervals without a cycle, nobody was at the wheel.
LAPSE_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class Span:
    """Which cycles are replayed. They lie at whole multiples of the interval, so that two replays see the same."""

    start: datetime
    interval: timedelta
    cycles: int

    @classmethod
    def until(cls, now: datetime, since: timedelta, interval: timedelta) -> "Span":
        """The whole cycles of the time that ends now; raises ``click.UsageError`` when there is none."""
        cycles = since // interval
        if not cycles:
            raise click.UsageError(f"--since is shorter than a cycle: controller.interval is {duration_text(interval)}")
        epoch = datetime.fromtimestamp(0, UTC)
        return cls(now - (now - epoch) % interval - cycles * interval, interval, cycles)

    @property
    def end(self) -> datetime:
        """Where the last cycle ends."""
        return self.start + self.cycles * self.interval


def replay_history(asked: Asked) -> int:
    """Replay, show; return the exit code."""
    configured = configurations(asked)
    first = configured[0]
    source, history = shared_source(configured)
    if not isinstance(source, PrometheusSection):
        raise ConfigFailure(
            f"{first.file}: source.kind is {source.kind}, which keeps no history: --since needs kind: prometheus "
            "(with --from-decisions it looks at the store)"
        )
    span = Span.until(datetime.now(UTC), asked.since or timedelta(0), first.loaded.config.controller.interval)
    windows = make_history(source, history, span.interval).windows(span.start, span.cycles)
    past, found = _reviewed(configured, tracked(windows, span.cycles, "cycles"), span)
    shown = Shown(configured, span.start, span.interval, span.cycles, past, found)
    if asked.output == "json":
        echo_json(shown.values())
    else:
        shown.print(asked.limit)
    unknown = any(course.unknown_signals_s == course.known_s for course in found.sides)
    return EXIT_DEGRADED if unknown or past.unreadable else 0


def _reviewed(configured: list[Configured], windows: Iterator[Window], span: Span) -> tuple[Past, Review]:
    first = configured[0].loaded
    try:
        if not store_exists(first):
            return _beside((), configured, windows, span)
        with open_store(first) as store:
            return _beside(store.stream(span.start - LOOK_BACK), configured, windows, span)
    except UnreachableError as error:
        raise DegradedFailure(str(error)) from None


def _beside(
    entries: Iterable[Record | Unreadable], configured: list[Configured], windows: Iterator[Window], span: Span
) -> tuple[Past, Review]:
    sides = [one.side for one in configured]
    hosts = {host.name: host for side in reversed(sides) for host in side.facility.hosts}
    rules = sides[0].rules
    lapse = LAPSE_INTERVALS * span.interval
    past = Past(entries, Facility(tuple(hosts.values())), rules.policy.signals, rules.limits, lapse)
    return past, review(sides, windows, past, span.start, span.interval)
