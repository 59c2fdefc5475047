"""``autoscaler set``: a host that is to have so many workers for a while, whatever the policy wants."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

from autoscaler.cli.common import EXIT_CODES, config_option, load_config, local, open_store_to_order
from autoscaler.cli.orders import HEARD, for_option, hosts_of, not_by_hand, reason_option, who
from autoscaler.model import Override


@click.command("set", epilog=EXIT_CODES)
@click.argument("host")
@click.option("--workers", type=click.IntRange(min=0), required=True, help="PROOF workers that the host is to have.")
@for_option
@reason_option(default="none given", show_default=True)
@config_option
def set_workers(host: str, workers: int, span: timedelta, reason: str, config_file: Path) -> None:
    """Give HOST so many PROOF workers for a time, whatever the policy wants and the cooldowns say.

    What the Worker Nodes keep, the host's memory and its bounds still limit them, and a pause wins. The other hosts get
    what the policy wants beside them. It ends by itself, or by `autoscaler resume`.

    \b
    Examples:
      autoscaler set vaf-dom0-001 --workers 4 --for 2h --reason "tutorial"
      autoscaler set vaf-dom0-001 --workers 0 --for 1d --reason "jobs of the production first"
    """
    loaded, since = load_config(config_file), datetime.now(UTC)
    section = next((each for each in loaded.config.hosts if each.name == host), None)
    if section is None:
        hosts_of(loaded, host)
        raise click.BadParameter(f"{host!r} is a group: set one host")
    if workers > section.proof.workers_max:
        raise click.BadParameter(f"{host} may have {section.proof.workers_max} workers at most (proof.workers_max)")
    until = since + span
    with open_store_to_order(loaded) as store:
        store.record_override(Override(host, workers, since, until, who(), reason))
        pauses = (*store.orders(since).pauses, *not_by_hand(loaded, store, since).pauses)
        paused = any(each.host == host for each in pauses)
    click.echo(f"{host}: set to {workers} workers until {local(until)}; {HEARD}")
    if paused:
        click.echo(f"{host} is paused: a pause wins as long as it lasts")
