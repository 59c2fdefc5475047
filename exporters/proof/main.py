"""The command ``vaf-exporter proof``."""

from pathlib import Path

import click

from exporters.proof.admin_area import STATUS_MAX_AGE_S, AdminArea
from exporters.proof.connection import parse_user
from exporters.proof.daemon_log import DaemonLog
from exporters.proof.workers_query import WorkersQuery
from exporters.serving import Address, Seconds, Serving, Source, parse_address, serve, serving_options


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
@click.option(
    "--tcp", type=parse_address, metavar="HOST:PORT", help="Ask xproofd there for its workers too, as proof_network_*."
)
@click.option(
    "--tcp-user",
    type=parse_user,
    default="nobody",
    show_default=True,
    metavar="NAME[:GROUP]",
    help="Whom to log in as with --tcp: an account xproofd accepts, never root. No password is needed.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Follow the log of xproofd (its -l) too, as proof_log_*. Its queue is in there with 'xpd.trace dbg' only.",
)
@serving_options(default_port=9611)
def command(
    *,
    admin_path: Path,
    instance: str,
    port: int,
    status_max_age_s: float,
    tcp: Address | None,
    tcp_user: str,
    log: Path | None,
    serving: Serving,
) -> None:
    """Export the PROOF sessions and workers of one xproofd."""
    area = AdminArea(admin_path / instance / f".xproofd.{port}", status_max_age_s=status_max_age_s)
    sources = [Source("proof", area.read)]
    if tcp is not None:
        sources.append(Source("proof_network", WorkersQuery(tcp, tcp_user).read))
    if log is not None:
        sources.append(Source("proof_log", DaemonLog(log, status_max_age_s).read))
    serve(*sources, serving=serving)
