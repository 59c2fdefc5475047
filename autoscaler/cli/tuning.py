"""``autoscaler tuning``: what alerts change now, and how to undo it."""

from datetime import UTC, datetime
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
    open_store_to_order,
)
from autoscaler.cli.orders import HEARD, who
from autoscaler.cli.tables import console
from autoscaler.config.document import nobody
from autoscaler.core.tuning import doing, tuning_values

NOTHING = "no alert and no announced session changes anything now"


@click.group(epilog=EXIT_CODES)
def tuning() -> None:
    """See what alerts and announced sessions change now, and undo it.

    \b
    Examples:
      autoscaler tuning list
      autoscaler tuning undo HighQueue
    """


@tuning.command("list", epilog=EXIT_CODES)
@config_option
@format_option
def list_command(config_file: Path, output: str) -> None:
    """Show what is in force, one line for each rule, with the alert that it lasts longest by.

    \b
    Examples:
      autoscaler tuning list
      autoscaler tuning list --format json | jq .[].until
    """
    with open_store(load_config(config_file)) as store:
        found = store.tunings(datetime.now(UTC))
    if output == "json":
        echo_json([tuning_values(each) for each in found])
        return
    if not found:
        click.echo(NOTHING)
        return
    table = Table("Rule", "Does", "Until", "Alert", "Of", "Since")
    for each in found:
        table.add_row(each.rule, doing(each), local(each.until), each.name, each.alert.source, local(each.begun_at))
    console().print(table)


@tuning.command(epilog=EXIT_CODES)
@click.argument("alert", metavar="[ALERT|SESSION]", required=False)
@config_option
def undo(alert: str | None, config_file: Path) -> None:
    """End what an alert or a session changes now, or without a name all of it.

    The alerts that fire now do not begin it again; one that begins anew does.

    \b
    Examples:
      autoscaler tuning undo HighQueue
      autoscaler tuning undo
    """
    loaded, now = load_config(config_file), datetime.now(UTC)
    with open_store_to_order(loaded) as store:
        found = store.tunings(now)
        rules = {each.rule for each in found if alert in (None, each.name)}
        if alert is not None and not rules:
            raise click.BadParameter(nobody(alert, [each.name for each in found], "alert or session"))
        store.end_tunings(rules, who(), now)
    click.echo(f"undone: {'; '.join(sorted(rules))}; {HEARD}" if rules else NOTHING)
