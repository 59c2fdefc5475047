"""The command ``vaf-exporter xrootd``."""

import click

from exporters.serving import Address, Seconds, Serving, Source, parse_address, serve, serving_options
from exporters.xrootd.reports import receiving


@click.command("xrootd")
@click.option(
    "--report",
    type=parse_address,
    metavar="ADDR:PORT",
    required=True,
    help="Where the servers send their reports (UDP).",
)
@click.option(
    "--report-ttl",
    "ttl_s",
    type=Seconds(),
    default=90.0,
    show_default=True,
    metavar="SECONDS",
    help="Leave a server out when it has been silent for this long; --once waits this long for a first report.",
)
@serving_options(default_port=9613)
def command(report: Address, ttl_s: float, *, serving: Serving) -> None:
    """Export the throughput of the xrootd servers."""
    with receiving(report, ttl_s) as receiver:
        if serving.once:
            receiver.reported.wait(ttl_s)
        serve(Source("xrootd", receiver.read, receiver.newest), serving=serving)
