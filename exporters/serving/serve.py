"""Run an exporter: print its metrics once, or serve them until it is told to stop."""

import logging
import signal
import sys
import threading

import click
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

from exporters.serving.collector import ExporterCollector
from exporters.serving.options import Address, Serving
from exporters.serving.source import Source
from exporters.serving.web import WebServer

log = logging.getLogger(__name__)


def serve(*sources: Source, serving: Serving) -> None:
    """Serve ``sources`` until SIGTERM or SIGINT, or print them once and exit; the first one names the exporter.

    Raises :class:`click.ClickException` when the address cannot be listened on.
    """
    collector = ExporterCollector(sources)
    registry = CollectorRegistry()
    registry.register(collector)
    if serving.once:
        click.echo(generate_latest(registry), nl=False)
        sys.exit(0 if collector.up else 1)
    ProcessCollector(registry=registry)
    _serve_until_stopped(sources[0].name, registry, serving)


def _serve_until_stopped(name: str, registry: CollectorRegistry, serving: Serving) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    about = click.get_current_context().command.get_short_help_str(limit=200)
    try:
        server = WebServer(registry, serving, name, about)
    except OSError as error:
        raise cannot_listen("HTTP", serving.listen, error) from error
    log.info("%s: serving %s", name, server.url)
    stop.wait()
    server.close()


def cannot_listen(what: str, address: Address, error: OSError) -> click.ClickException:
    """Return the error for an address that cannot be bound: one sentence, exit code 1."""
    return click.ClickException(f"cannot listen for {what} on {address}: {error.strerror or error}.")
