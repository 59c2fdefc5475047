"""``autoscaler demo``: the main job, without a site."""

import logging
from collections.abc import Iterator
from contextlib import suppress

import click
from rich.live import Live

from autoscaler.cli.common import EXIT_CODES, echo_json, format_option
from autoscaler.cli.tables import console, moment_table
from autoscaler.demo.play import CYCLES_PER_DAY, Moment, play
from autoscaler.demo.summary import Summary


@click.command(epilog=EXIT_CODES)
@click.option(
    "--cycles",
    type=click.IntRange(1, CYCLES_PER_DAY),
    default=CYCLES_PER_DAY,
    show_default=True,
    help="How many cycles of five minutes; the default is the whole day.",
)
@format_option
def demo(cycles: int, output: str) -> None:
    """Play a synthetic day of PROOF sessions on three hosts of libvirt's test driver.

    The whole controller runs: exporter, scraping, policy, guards, libvirt, store; only the clock is moved by hand.
    JSON is one decision per line, the summary goes to standard error.

    \b
    Examples:
      autoscaler demo
      autoscaler demo --cycles 120 --format json
    """
    logging.getLogger("autoscaler").setLevel(logging.WARNING)
    summary = Summary()
    moments = play(cycles, summary)
    with suppress(KeyboardInterrupt):
        if output == "json":
            for moment in moments:
                echo_json(moment.record.json_values())
        else:
            _show(moments)
    for line in summary.lines():
        click.echo(line, err=output == "json")


def _show(moments: Iterator[Moment]) -> None:
    """A live table on a terminal; elsewhere the table whenever something changed."""
    out = console()
    if not out.is_terminal:
        for moment in moments:
            if moment.record.decision.transfers:
                out.print(moment_table(moment))
        return
    with Live(console=out, auto_refresh=False) as live:
        for moment in moments:
            live.update(moment_table(moment), refresh=True)
