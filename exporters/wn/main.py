"""The command ``vaf-exporter wn``."""

import click

from exporters.serving import Seconds, Serving, Source, serve, serving_options
from exporters.wn.slurm import job_metrics, parse_squeue, run_squeue


@click.command("wn")
# There is one batch system so far; the option is there so that command lines stay valid when there are more.
@click.option("--batch", type=click.Choice(["slurm"]), required=True, expose_value=False, help="The batch system.")
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
@serving_options(default_port=9612)
def command(squeue: str, timeout_s: float, *, serving: Serving) -> None:
    """Export the jobs of the Worker Nodes' batch system."""
    source = Source("wn", lambda: job_metrics(parse_squeue(run_squeue(squeue, timeout_s))))
    serve(source, serving=serving)
