"""``autoscaler history``: what was done."""

from pathlib import Path

import click
from rich.table import Table

from autoscaler.cli.common import (
    EXIT_CODES,
    config_option,
    echo_json,
    format_option,
    load_config,
    local,
    open_store,
)
from autoscaler.cli.tables import console
from autoscaler.store.records import Record

# What is read is held in memory, and SQLite takes no more numbers in one query.
LIMIT_MOST = 30_000


@click.command(epilog=EXIT_CODES)
@config_option
@format_option
@click.option(
    "--limit", type=click.IntRange(1, LIMIT_MOST), default=20, show_default=True, help="How many decisions at most."
)
@click.option("--all", "everything", is_flag=True, help="Also the decisions that changed nothing.")
def history(config_file: Path, output: str, limit: int, everything: bool) -> None:
    """Show the newest decisions that changed something, oldest first; JSON is one decision per line.

    \b
    Examples:
      autoscaler history
      autoscaler history --all --limit 100 --format json
    """
    with open_store(load_config(config_file)) as store:
        records = store.history(limit, changes_only=not everything)
    if output == "json":
        for record in records:
            echo_json(record.json_values())
    elif records:
        console().print(_table(records))
    else:
        click.echo("nothing was changed so far" if not everything else "no decision was made so far")


def _table(records: list[Record]) -> Table:
    table = Table("No.", "Time", "Host", "Workers", "Outcome", "Why")
    for record in records:
        for host in record.decision.hosts:
            if host.transfer is not None:
                moved = f"{host.transfer.workers_from} -> {host.transfer.workers_to}"
                outcome = record.change(host.host)
                table.add_row(str(record.number), local(record.decision.at), host.host, moved, outcome, host.reason)
        if not record.decision.transfers:
            why = record.decision.demand.reason
            table.add_row(str(record.number), local(record.decision.at), "", "", "no change", why)
    return table
