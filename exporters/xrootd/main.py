"""The command ``vaf-exporter xrootd``."""

import click

from exporters.serving import Address, Seconds, Serving, Source, parse_address, serve, serving_options
from exporters.xrootd.pull import Pull
from exporters.xrootd.receiver import receiving_reports


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
@click.option(
    "--pull",
    "servers",
    type=parse_address,
    metavar="HOST:PORT",
    multiple=True,
    help="Ask this server at each scrape whether it lives. No more than that: it tells its throughput late, in a spike "
    "when a connection is closed; its reports tell it in time. May be given several times.",
)
@serving_options(default_port=9613)
def command(report: Address, ttl_s: float, servers: tuple[Address, ...], *, serving: Serving) -> None:
    """Export the throughput of the xrootd servers."""
    with receiving_reports(report, ttl_s) as receiver:
        if serving.once:
            receiver.reported.wait(ttl_s)
        sources = [Source("xrootd", receiver.read, receiver.newest)]
        if servers:
            sources.append(Source("xrootd_pull", Pull(servers).read))
        serve(*sources, serving=serving)
