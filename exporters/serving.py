"""What all exporters share: the address they listen on, how they end, and what surrounds the reading of a source.

Missing is not zero: when a source cannot be read, ``<source>_up`` is 0 and its values are absent from the exposition,
neither 0 nor the old ones, so that whoever reads them knows that nothing is known.
"""

import logging
import math
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import click
from prometheus_client import CollectorRegistry, generate_latest, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

log = logging.getLogger(__name__)

PORT = re.compile(r"[0-9]{1,5}")
HIGHEST_PORT = 65535


class SourceUnavailable(Exception):  # noqa: N818 - it is a state of the source, not a mistake
    """The source cannot be read now.

    ``reason`` is one sentence for the log, without numbers that change at each read: a new sentence is a new log line.
    ``known`` holds the metrics that are true nevertheless, for example that the daemon behind the source is down.
    """

    def __init__(self, reason: str, known: Iterable[Metric] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.known = tuple(known)


@dataclass(frozen=True, slots=True)
class Source:
    """One source and how it is read.

    ``read`` returns the value metrics or raises :class:`SourceUnavailable`; it is never called twice at the same time.
    ``last_success`` is for a source that is told rather than asked: when the newest data came, in seconds since the
    epoch, None = never. Without it, the start of the last good read counts.
    """

    name: str
    read: Callable[[], Iterable[Metric]]
    last_success: Callable[[], float | None] | None = None


class SourceCollector:
    """A collector (``collect()`` as prometheus_client wants it) which adds to a source how its reading went.

    ``clock`` gives seconds since the epoch, ``timer`` seconds from any start.
    """

    def __init__(
        self, source: Source, clock: Callable[[], float] = time.time, timer: Callable[[], float] = time.perf_counter
    ) -> None:
        self.up = False
        self._source = source
        self._clock = clock
        self._timer = timer
        self._lock = threading.Lock()
        self._last_success: float | None = None
        self._failures = 0
        self._logged_reasons: set[str] = set()

    def collect(self) -> list[Metric]:
        """Read the source once; never raises."""
        with self._lock:
            begun_at_s, begun = self._clock(), self._timer()
            values = self._read(begun_at_s)
            return [*self._health(self._timer() - begun), *values]

    def _read(self, now: float) -> list[Metric]:
        try:
            values = list(self._source.read())
        except SourceUnavailable as unavailable:
            return self._failed(unavailable)
        except Exception as error:
            # A fault in one exporter's code must be seen as "down" by the one who reads, not as a broken scrape.
            log.debug("%s", self._source.name, exc_info=True)
            return self._failed(SourceUnavailable(f"unexpected {type(error).__name__}: {error}"))
        self._succeeded(now)
        return values

    def _succeeded(self, now: float) -> None:
        if self._logged_reasons:
            log.info("%s: can be read again", self._source.name)
        self._logged_reasons.clear()
        self.up, self._last_success = True, now

    def _failed(self, unavailable: SourceUnavailable) -> list[Metric]:
        if unavailable.reason not in self._logged_reasons:
            log.warning("%s: %s", self._source.name, unavailable.reason)
        self._logged_reasons.add(unavailable.reason)
        self.up = False
        self._failures += 1
        return list(unavailable.known)

    def _health(self, duration_s: float) -> Iterable[Metric]:
        name = self._source.name
        yield GaugeMetricFamily(f"{name}_up", "1 if the source could be read, 0 if not.", self.up)
        last_success = self._source.last_success() if self._source.last_success else self._last_success
        if last_success is not None:
            help_text = "When the source last gave data, in seconds since the epoch."
            yield GaugeMetricFamily(f"{name}_last_success_timestamp_seconds", help_text, last_success)
        yield GaugeMetricFamily(f"{name}_scrape_duration_seconds", "How long reading took, in seconds.", duration_s)
        yield CounterMetricFamily(
            f"{name}_read_failures", "Reads that failed since the exporter started.", self._failures
        )


class Seconds(click.FloatRange):
    """The type of an option that is a time span in seconds: more than 0, at most 366 days."""

    def __init__(self) -> None:
        super().__init__(min=0, max=366 * 86400, min_open=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read it, or fail with a sentence; NaN is in no range, but no comparison refuses it."""
        seconds: float = super().convert(value, param, ctx)
        if math.isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: a host name or an IP address, and a port (0 = any free one)."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read ``ADDR:PORT``, an IPv6 address in brackets; raises :class:`click.BadParameter` for anything else."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not PORT.fullmatch(port) or int(port) > HIGHEST_PORT:
        raise click.BadParameter(f"{text!r} is not ADDR:PORT, for example 127.0.0.1:9611.")
    return Address(host, int(port))


def serving_options(default_port: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options ``--listen`` and ``--once``, which it hands to :func:`serve`."""
    listen = click.option(
        "--listen",
        type=parse_address,
        metavar="ADDR:PORT",
        default=f"127.0.0.1:{default_port}",
        show_default=True,
        help="Where to serve /metrics. There is no authentication: keep it on a trusted network.",
    )
    once = click.option(
        "--once", is_flag=True, help="Print the metrics once and exit: 0 if the source is up, 1 if it is down."
    )
    return lambda function: listen(once(function))


def serve(source: Source, *, listen: Address, once: bool) -> None:
    """Serve ``source`` over HTTP until SIGTERM or SIGINT, or print it ``once`` and exit.

    Raises :class:`click.ClickException` when ``listen`` cannot be listened on.
    """
    collector = SourceCollector(source)
    registry = CollectorRegistry()
    registry.register(collector)
    if once:
        click.echo(generate_latest(registry), nl=False)
        sys.exit(0 if collector.up else 1)
    _serve_until_stopped(source.name, registry, listen)


def _serve_until_stopped(name: str, registry: CollectorRegistry, listen: Address) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        server, thread = start_http_server(listen.port, listen.host, registry)
    except OSError as error:
        raise cannot_listen("HTTP", listen, error) from error
    log.info("%s: serving http://%s/metrics", name, Address(listen.host, server.server_port))
    stop.wait()
    server.shutdown()
    server.server_close()
    thread.join()


def cannot_listen(what: str, address: Address, error: OSError) -> click.ClickException:
    """Return the error for an address that cannot be bound: one sentence, exit code 1."""
    return click.ClickException(f"cannot listen for {what} on {address}: {error.strerror or error}.")
