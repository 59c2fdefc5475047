"""The command ``vaf-exporter proof``."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import click
from prometheus_client.core import Metric

from exporters.proof.admin_area import STATUS_MAX_AGE_S, AdminArea
from exporters.proof.connection import parse_user
from exporters.proof.daemon_log import DaemonLog
from exporters.proof.delivery import Delivery
from exporters.proof.metrics import DEFAULT_MAX_USERS
from exporters.proof.notify import Notifier
from exporters.proof.process_table import ProcessTable
from exporters.proof.workers_query import WorkersQuery
from exporters.serving import Address, Seconds, Serving, Source, parse_address, require, serve, serving_options


def parse_url(text: str) -> str:
    """Return ``text`` if it is an HTTP address; raises :class:`click.BadParameter` for anything else."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if text and not usable:
        raise click.BadParameter(f"{text!r} is not a URL, for example http://controller:9610/notify.")
    return text


@click.command("proof")
@click.option(
    "--admin-path",
    type=click.Path(path_type=Path),
    help="The directory all.adminpath of xproofd (its default is /tmp). Required unless --process-table is given.",
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
    help="A session with an older status is of unknown state; if all are, xproofd hangs and there are no sessions' "
    "metrics. Keep it well above 3 x its checkfq.",
)
@click.option(
    "--max-users",
    type=click.IntRange(min=0),
    default=DEFAULT_MAX_USERS,
    show_default=True,
    metavar="N",
    help="So many users (by group) have series of their own, the others are counted together; 0: no users at all.",
)
@click.option(
    "--process-table",
    is_flag=True,
    help="Where there is no admin area (ROOT 5.20 and older), count proofserv and proofslave processes instead.",
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
    help="Follow the log of xproofd (its -l) too, as proof_log_*. Its queue is in there with 'xpd.trace dbg' only, and "
    "then counts for proof_queue_depth from the next scrape on.",
)
@click.option(
    "--notify",
    "notify_url",
    type=parse_url,
    default="",
    metavar="URL",
    help="Post the demand there as JSON as soon as it changes.",
)
@serving_options(default_port=9611)
def command(
    *,
    admin_path: Path | None,
    instance: str,
    port: int,
    status_max_age_s: float,
    max_users: int,
    process_table: bool,
    tcp: Address | None,
    tcp_user: str,
    log: Path | None,
    notify_url: str,
    serving: Serving,
) -> None:
    """Export the PROOF sessions and workers of one xproofd.

    \b
    Examples:
      vaf-exporter proof --admin-path /var/spool/xproofd/admin
      vaf-exporter proof --admin-path /tmp --port 21093 --once
      vaf-exporter proof --process-table
    """
    require("tcp", "tcp_user")
    daemon_log = None if log is None else DaemonLog(log, status_max_age_s)
    read: Callable[[], Iterable[Metric]]
    if admin_path is None:
        _require_nothing_of_an_area(process_table=process_table, notify_url=notify_url)
        read = ProcessTable(max_users).read
    else:
        path = admin_path / instance / f".xproofd.{port}"
        area = AdminArea(path, status_max_age_s=status_max_age_s, max_users=max_users)
        if daemon_log is not None:
            area.waiting = daemon_log.waiting_sessions
        read = _area_or_table(area, ProcessTable(max_users)) if process_table else area.read
        if notify_url and not serving.once:
            # An area of its own: it remembers what it last read.
            notifier = Notifier(replace(area), Delivery(notify_url))
            notifier.start()
            read = notifier.beside(read)
    sources = [Source("proof", read)]
    if tcp is not None:
        sources.append(Source("proof_network", WorkersQuery(tcp, tcp_user).read))
    if daemon_log is not None:
        sources.append(Source("proof_log", daemon_log.read))
    serve(*sources, serving=serving)


def _require_nothing_of_an_area(*, process_table: bool, notify_url: str) -> None:
    if not process_table:
        raise click.UsageError(
            "Missing option '--admin-path'. Where xproofd has no admin area (ROOT 5.20 and older): '--process-table'."
        )
    if notify_url:
        raise click.UsageError("'--notify' needs '--admin-path': processes tell nobody that they come and go.")


def _area_or_table(area: AdminArea, table: ProcessTable) -> Callable[[], Iterable[Metric]]:
    return lambda: table.read() if area.missing else area.read()
