"""The command ``vaf-exporter xrootd``."""

import time
from contextlib import ExitStack

import click

from exporters.serving import Address, Seconds, Serving, Source, parse_address, serve, serving_options
from exporters.xrootd.following import Fstream, following, fstream_options
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
@fstream_options
@serving_options(default_port=9613)
def command(
    report: Address, ttl_s: float, servers: tuple[Address, ...], fstream: Fstream | None, *, serving: Serving
) -> None:
    """Export the throughput of the xrootd servers.

    \b
    Examples:
      vaf-exporter xrootd --report 127.0.0.1:9931
      vaf-exporter xrootd --report 10.0.0.1:9931 --fstream 10.0.0.1:9930
      vaf-exporter xrootd --report 10.0.0.1:9931 --pull se1:1094 --pull se2:1094
    """
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving_reports(report, ttl_s))
        sources = [Source("xrootd", receiver.read, receiver.newest)]
        heard = [receiver.reported]
        if fstream:
            traffic = stack.enter_context(following(fstream, ttl_s))
            sources.append(Source("xrootd_fstream", traffic.read, traffic.newest))
            heard.append(traffic.heard)
        if servers:
            sources.append(Source("xrootd_pull", Pull(servers).read))
        if serving.once:
            until = time.monotonic() + ttl_s
            for event in heard:
                event.wait(max(0, until - time.monotonic()))
        serve(*sources, serving=serving)
