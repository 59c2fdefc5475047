"""``autoscaler shadows``: the acting policy and its shadows beside each other."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.table import Table

from autoscaler.cli.common import (
    EXIT_CODES,
    StoreFailure,
    config_option,
    echo_json,
    format_option,
    load_config,
    open_store,
)
from autoscaler.cli.parameters import Span
from autoscaler.cli.progress import tracked
from autoscaler.cli.tables import WAITING, console
from autoscaler.config.units import duration_text
from autoscaler.simulation.scores import Score, Scores
from autoscaler.store.records import Record

# Over a longer pause between two cycles, the controller was not there.
LONGEST_GAP = timedelta(minutes=10)


@click.command(epilog=EXIT_CODES)
@config_option
@format_option
@click.option("--since", type=Span(), default="7d", show_default=True, help="How far back to look.")
@click.option(
    "--workers-per-session",
    type=click.IntRange(min=1),
    help="Workers that one session needs.  [default: the acting policy's, or 8]",
)
@click.option(
    "--reaction",
    type=Span(),
    default="2m",
    show_default=True,
    help="From a demand to the workers that it brings: a cycle and a transfer.",
)
def shadows(
    config_file: Path, output: str, since: timedelta, workers_per_session: int | None, reaction: timedelta
) -> None:
    """Show how well the acting policy and its shadows would have met the load that came, by the stored decisions.

    \b
    Examples:
      autoscaler shadows
      autoscaler shadows --since 30d --format json
    """
    loaded = load_config(config_file)
    workers = workers_per_session or int(getattr(loaded.policy, "workers_per_session", 8))
    scores, unreadable = Scores(workers, reaction, LONGEST_GAP), 0
    start = datetime.now(UTC) - since
    with open_store(loaded) as store:
        for entry in tracked(store.stream(start), store.count(start), "decisions"):
            if isinstance(entry, Record):
                scores.add(entry.decision)
            else:
                unreadable += 1
    found = list(scores)
    if not found:
        raise StoreFailure(f"store {store.name} holds no decision of the last {duration_text(since)}")
    if output == "json":
        policies = [_values(each) for each in found]
        echo_json({"workers_per_session": workers, "unreadable": unreadable, "policies": policies})
        return
    console().print(_table(found))
    if unreadable:
        console().print(f"decisions that cannot be read: {unreadable}")


def _values(score: Score) -> dict[str, object]:
    return {
        "name": score.name,
        "policy": score.policy,
        "known_s": score.known_s,
        "arrivals": score.arrivals,
        "missed_arrivals_ratio": score.missed_ratio,
        "spare_workers_mean": score.spare_workers_mean,
        "changes_per_day": score.changes_per_day,
        "holds": score.holds,
        "errors": score.errors,
    }


def _table(scores: list[Score]) -> Table:
    table = Table("Policy", "Known", "Sessions", "Missed", "Spare workers", "Changes/day", "Holds", "Errors", "As")
    for score in scores:
        table.add_row(
            score.name,
            duration_text(timedelta(seconds=round(score.known_s))),
            f"{score.arrivals:g}",
            WAITING if score.missed_ratio is None else f"{score.missed_ratio:.1%}",
            _figure(score.spare_workers_mean),
            _figure(score.changes_per_day),
            str(score.holds),
            str(score.errors),
            score.policy,
        )
    return table


def _figure(value: float | None) -> str:
    return WAITING if value is None else f"{value:.1f}"
