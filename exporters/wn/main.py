"""The command ``vaf-exporter wn``."""

import click

from exporters.serving import Seconds, Serving, Source, serve, serving_options
from exporters.wn.domains import domain_source
from exporters.wn.slurm import job_metrics, parse_squeue, run_squeue


@click.command("wn")
# There is one batch system so far; the option is there so that command lines stay valid when there are more.
@click.option("--batch", type=click.Choice(["slurm"]), help="The batch system.")
@click.option("--squeue", default="squeue", show_default=True, help="The squeue command to run.")
@click.option(
    "--timeout",
    "timeout_s",
    type=Seconds(),
    default=8.0,
    show_default=True,
    metavar="SECONDS",
    help="Give up on squeue after this long; keep it below Prometheus' scrape_timeout (10 s by default).",
)
@click.option(
    "--libvirt",
    "uris",
    multiple=True,
    metavar="URI",
    help="A hypervisor whose domains to export, too, for example qemu:///system; may be given several times.",
)
@click.option(
    "--max-domains",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="How many domains of all hypervisors get series; running ones come first.",
)
@serving_options(default_port=9612)
def command(
    batch: str | None, squeue: str, timeout_s: float, uris: tuple[str, ...], max_domains: int, *, serving: Serving
) -> None:
    """Export the jobs of the Worker Nodes' batch system, and what hypervisors see of their domains."""
    sources = []
    if batch is not None:
        sources.append(Source("wn", lambda: job_metrics(parse_squeue(run_squeue(squeue, timeout_s)))))
    if uris:
        sources.append(domain_source(uris, max_domains=max_domains, timeout_s=timeout_s))
    if not sources:
        raise click.UsageError("Missing option '--batch' or '--libvirt'.")
    serve(*sources, serving=serving)
