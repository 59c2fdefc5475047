"""The command ``vaf-exporter proof``."""

from pathlib import Path

import click

from exporters.proof.admin_area import STATUS_MAX_AGE_S, AdminArea
from exporters.serving import Seconds, Serving, Source, serve, serving_options


@click.command("proof")
@click.option(
    "--admin-path",
    type=click.Path(path_type=Path),
    required=True,
    help="The directory all.adminpath of xproofd (its default is /tmp).",
)
@click.option("--instance", default="", help="The name given to xproofd with -n.")
@click.option("--port", type=click.IntRange(1, 65535), default=1093, show_default=True, help="The port of xproofd.")
@click.option(
    "--status-max-age",
    "status_max_age_s",
    type=Seconds(),
    default=STATUS_MAX_AGE_S,
    show_default=True,
    metavar="SECONDS",
    help="A session's older status means that xproofd hangs: all is unknown. Keep it well above 3 x its checkfq.",
)
@serving_options(default_port=9611)
def command(admin_path: Path, instance: str, port: int, status_max_age_s: float, *, serving: Serving) -> None:
    """Export the PROOF sessions and workers of one xproofd."""
    area = AdminArea(admin_path / instance / f".xproofd.{port}", status_max_age_s=status_max_age_s)
    serve(Source("proof", area.read), serving=serving)
