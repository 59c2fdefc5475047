"""What hypervisors see of their domains, through libvirt: memory, CPU time and steal of each.

This is the only file of the exporters that needs libvirt's Python binding. Nothing is ever changed: all connections
are read-only.
"""

import functools
import logging
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import click
from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.serving import Source, SourceUnavailable
from exporters.wn.domain_stats import DomainState, domain_metrics, parse_domain

try:
    import libvirt
except ImportError:  # a node that exports only what a batch system says does not have it
    libvirt = None

log = logging.getLogger(__name__)

# A QEMU that hangs holds up the call which asks it first, and no later one; a libvirtd that hangs holds up all of them.
CALLS_PER_HOST = 2

# How libvirt notices that the other end is gone without a word: after so many questions, so far apart, unanswered.
KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT = 5, 3

LONGEST_REASON = 1000

# By the names of virDomainMemoryStats (in its Python binding) what the bulk statistics call otherwise.
MEMORY_STATISTICS = {
    "actual": "balloon.current",
    "available": "balloon.available",
    "unused": "balloon.unused",
    "usable": "balloon.usable",
    "swap_in": "balloon.swap_in",
    "swap_out": "balloon.swap_out",
    "major_fault": "balloon.major_fault",
    "last_update": "balloon.last-update",
}

Stats = Mapping[str, Any]

# What the host calls itself, and the statistics of its domains by name.
Answer = tuple[str, Mapping[str, Stats]]


def domain_source(uris: Sequence[str], *, max_domains: int, timeout_s: float) -> Source:
    """Return the source ``domain`` of all these hypervisors; each is given up after ``timeout_s`` by itself.

    Raises :class:`click.ClickException` where libvirt's binding is not installed.
    """
    if libvirt is None:
        raise click.ClickException("--libvirt needs libvirt's Python binding: pip install 'vaf-autoscaler[domains]'")
    reader = DomainReader(uris, max_domains=max_domains, timeout_s=timeout_s)
    return Source("domain", reader.read, deadline_s=timeout_s + 1)


class DomainReader:
    """All hypervisors, read side by side, so that one which is dead or hangs hides only its own domains."""

    def __init__(self, uris: Sequence[str], *, max_domains: int, timeout_s: float) -> None:
        _prepare_libvirt()
        self._hosts = [_Host(uri, timeout_s) for uri in dict.fromkeys(uris)]
        self._max_domains = max_domains
        self._pool = ThreadPoolExecutor(len(self._hosts), thread_name_prefix="hypervisor")

    def read(self) -> Iterator[Metric]:
        """Yield the metrics of all hypervisors; raises :class:`SourceUnavailable` when none can be read."""
        answers = list(self._pool.map(_Host.read, self._hosts))
        names = self._names()
        up = [_host_up({name: answer is not None for name, answer in zip(names, answers, strict=True)})]
        if all(answer is None for answer in answers):
            reasons = "; ".join(f"{host.uri}: {host.trouble}" for host in self._hosts)
            raise SourceUnavailable(f"no hypervisor can be read: {reasons}"[:LONGEST_REASON], known=up)
        for host in self._hosts:
            host.log_changes()
        now = time.time()
        domains = {
            name: [parse_domain(domain, stats, now) for domain, stats in answer.items()]
            for name, answer in zip(names, answers, strict=True)
            if answer is not None
        }
        yield from (*up, *domain_metrics(domains, self._max_domains))

    def _names(self) -> list[str]:
        """Return a name for each host that no other one has: many a machine calls itself localhost."""
        times = Counter(host.name for host in self._hosts)
        return [host.name if times[host.name] == 1 else host.uri for host in self._hosts]


def _host_up(hosts: Mapping[str, bool]) -> Metric:
    help_text = "1 if the hypervisor's domains could be read, 0 if not."
    family = GaugeMetricFamily("domain_host_up", help_text, labels=["host"])
    for host, up in sorted(hosts.items()):
        family.add_metric([host], up)
    return family


class _Host:
    """One hypervisor; ``name`` is what it calls itself, or what its URI calls it as long as it was never asked."""

    def __init__(self, uri: str, timeout_s: float) -> None:
        self.uri = uri
        self.name = _host_in(uri)
        self.trouble: str | None = None
        self._timeout_s = timeout_s
        self._links = [_Link(uri) for _ in range(CALLS_PER_HOST)]
        self._logged: set[str] = set()

    def read(self) -> Mapping[str, Stats] | None:
        """Return the statistics by domain; None, and ``trouble`` says why, when they cannot be read."""
        try:
            self.name, domains = self._ask()
        except SourceUnavailable as unavailable:
            self.trouble = unavailable.reason
            return None
        self.trouble = None
        return domains

    def _ask(self) -> Answer:
        asking: list[Future[Answer]] = []
        for link in self._links:
            if link.busy:
                continue
            asking.append(link.ask())
            answered, _ = wait(asking, self._timeout_s / CALLS_PER_HOST, FIRST_COMPLETED)
            for answer in answered:
                return answer.result()
        raise SourceUnavailable(f"no answer within {self._timeout_s:g} s")

    def log_changes(self) -> None:
        """Say once that it cannot be read and why, and once that it can be read again."""
        if self.trouble is not None:
            if self.trouble not in self._logged:
                log.warning("domain: %s: %s", self.uri, self.trouble)
            self._logged.add(self.trouble)
        elif self._logged:
            log.info("domain: %s: can be read again", self.uri)
            self._logged.clear()


def _host_in(uri: str) -> str:
    """Return the host that the URI names; this one if it names none, and the URI itself if it is none."""
    try:
        return urlsplit(uri).hostname or socket.gethostname()
    except ValueError:
        return uri


class _Link:
    """One connection to a hypervisor, opened when it is needed, with at most one call under way."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._connection: Any = None
        self._in_bulk = True
        self._asking: Future[Answer] | None = None

    @property
    def busy(self) -> bool:
        """Whether an earlier call has not come back yet."""
        return self._asking is not None and not self._asking.done()

    def ask(self) -> Future[Answer]:
        """Begin to ask the host; the answer, or :class:`SourceUnavailable`, comes with the future."""
        # A thread of its own, since a libvirt call cannot be interrupted.
        asking = self._asking = Future()
        threading.Thread(target=self._ask_into, args=(asking,), name=self._uri, daemon=True).start()
        return asking

    def _ask_into(self, asking: Future[Answer]) -> None:
        try:
            asking.set_result(self._ask())
        except libvirt.libvirtError as error:
            asking.set_exception(SourceUnavailable(error.get_error_message() or "libvirt failed without a word"))
        except Exception as error:  # noqa: BLE001 - it must not hide the other hosts
            asking.set_exception(SourceUnavailable(f"unexpected {type(error).__name__}: {error}"))

    def _ask(self) -> Answer:
        if self._connection is not None:
            # That libvirtd was started anew shows only when the old connection is used.
            with suppress(libvirt.libvirtError):
                return self._read()
        self._connection = None
        self._connection = _open(self._uri)
        return self._read()

    def _read(self) -> Answer:
        return self._connection.getHostname(), self._domains()

    def _domains(self) -> Mapping[str, Stats]:
        if self._in_bulk:
            domains = _read_in_bulk(self._connection)
            if domains is not None:
                return domains
        self._in_bulk = False  # the driver cannot: it is not asked again
        return dict(_read_one_by_one(self._connection))


def _open(uri: str) -> Any:
    connection = libvirt.openReadOnly(uri)
    # A driver without a network in between has no keepalive, and needs none.
    with suppress(libvirt.libvirtError):
        connection.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)
    return connection


def _read_in_bulk(connection: Any) -> dict[str, Stats] | None:
    """Return the statistics by domain; None if the driver does not offer them, or only the states, in bulk."""
    wanted = (
        libvirt.VIR_DOMAIN_STATS_STATE
        | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
        | libvirt.VIR_DOMAIN_STATS_BALLOON
        | libvirt.VIR_DOMAIN_STATS_VCPU
    )
    try:
        # Not waiting for a domain which something else is being done with: it is shown without its guest's figures.
        listed = connection.getAllDomainStats(wanted, libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
            return None
        raise
    domains: dict[str, Stats] = {domain.name(): stats for domain, stats in listed}
    return domains if not domains or any("balloon.current" in stats for stats in domains.values()) else None


def _read_one_by_one(connection: Any) -> Iterator[tuple[str, Stats]]:
    for domain in connection.listAllDomains():
        try:
            yield domain.name(), _statistics(domain)
        except libvirt.libvirtError:
            # A domain that has gone since it was listed is no trouble, a connection that has gone is.
            if not connection.isAlive():
                raise


def _statistics(domain: Any) -> Stats:
    """Return what the driver says of one domain, by the names of the bulk statistics."""
    state, maximum_kib, current_kib, vcpus, cpu_time_ns = domain.info()
    memory: Iterable[tuple[str, Any]] = ()
    if state != DomainState.SHUT_OFF:
        # Without a balloon device there are none.
        with suppress(libvirt.libvirtError):
            memory = domain.memoryStats().items()
    return {
        "state.state": state,
        "balloon.maximum": maximum_kib,
        "balloon.current": current_kib,
        "vcpu.current": vcpus,
        "cpu.time": cpu_time_ns,
        **{MEMORY_STATISTICS[name]: value for name, value in memory if name in MEMORY_STATISTICS},
    }


@functools.cache
def _prepare_libvirt() -> None:
    """Keep libvirt from printing errors that are raised as well, and run its event loop, which keepalive wants."""
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_events, name="libvirt events", daemon=True).start()


def _run_events() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
