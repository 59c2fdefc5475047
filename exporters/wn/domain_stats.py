"""What a hypervisor tells of a domain, by the names of libvirt's bulk statistics, and the metrics of it.

The names and units are those of ``virConnectGetAllDomainStats``
(https://libvirt.org/html/libvirt-libvirt-domain.html#virConnectGetAllDomainStats): KiB, nanoseconds, seconds since the
epoch. They are converted here and nowhere else.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

BYTES_PER_KIB = 1024
NS_PER_S = 1_000_000_000

# A guest silent for so long is stuck or has lost its balloon driver; what it said then says nothing of now.
STATISTICS_MAX_AGE_S = 120

# libvirt's way to say "unknown" in an unsigned number is -1, which also arrives divided by 1024: no host is that large.
MOST_KIB = 2**53
MOST = 2**63

VCPU_STATE = re.compile(r"vcpu\.([0-9]{1,5})\.state")
VCPU_OFFLINE = 0


class DomainState(IntEnum):
    """``virDomainState``; ``NO_STATE`` and ``BLOCKED`` are what Xen says of a domain that waits for events."""

    NO_STATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTTING_DOWN = 4
    SHUT_OFF = 5
    CRASHED = 6
    SUSPENDED = 7


# No machine with memory is behind these, only a description.
NO_MACHINE = {DomainState.SHUT_OFF, DomainState.CRASHED}
RUNS = {DomainState.NO_STATE, DomainState.RUNNING, DomainState.BLOCKED, DomainState.SHUTTING_DOWN}


@dataclass(frozen=True, slots=True)
class GuestMemory:
    """The guest's own word, from its balloon driver; all are None if it has said nothing of late.

    Total and usable are MemTotal and MemAvailable of its kernel. With ``autodeflate='on'`` MemTotal includes what the
    balloon holds, and so does the use.
    """

    total_bytes: int | None = None
    unused_bytes: int | None = None
    usable_bytes: int | None = None
    swap_in_bytes: int | None = None
    swap_out_bytes: int | None = None
    major_faults: int | None = None

    @property
    def used_bytes(self) -> int | None:
        """What the guest cannot do without; None when it is unknown."""
        if self.total_bytes is None or self.usable_bytes is None or self.usable_bytes > self.total_bytes:
            return None
        return self.total_bytes - self.usable_bytes


@dataclass(frozen=True, slots=True)
class Domain:
    """One domain; None = unknown. ``balloon_bytes`` is what the guest has been given, used or not.

    ``steal_s`` sums over its vCPUs how long they were runnable but waited for a CPU of the host.
    """

    name: str
    state: DomainState | None
    balloon_bytes: int | None = None
    maximum_bytes: int | None = None
    guest: GuestMemory = GuestMemory()
    statistics_age_s: float | None = None
    vcpus: int | None = None
    cpu_s: float | None = None
    steal_s: float | None = None

    @property
    def runs(self) -> bool | None:
        """Whether it gets CPU time when it wants some."""
        return None if self.state is None else self.state in RUNS


def parse_domain(name: str, stats: Mapping[str, Any], now: float) -> Domain:
    """Read the statistics of one domain, ``now`` in seconds since the epoch; what is missing or odd is None."""
    state = _state(stats)
    if state in NO_MACHINE:
        return Domain(name, state)
    age_s = _age_s(stats, now)
    return Domain(
        name,
        state,
        balloon_bytes=_bytes(stats, "balloon.current"),
        maximum_bytes=_bytes(stats, "balloon.maximum"),
        guest=_guest(stats) if age_s is not None and abs(age_s) <= STATISTICS_MAX_AGE_S else GuestMemory(),
        statistics_age_s=None if age_s is None else max(0.0, age_s),
        vcpus=_natural(stats, "vcpu.current"),
        cpu_s=_seconds(stats, "cpu.time"),
        steal_s=_steal_s(stats),
    )


def _state(stats: Mapping[str, Any]) -> DomainState | None:
    number = _natural(stats, "state.state", len(DomainState))
    return None if number is None else DomainState(number)


def _guest(stats: Mapping[str, Any]) -> GuestMemory:
    return GuestMemory(
        total_bytes=_bytes(stats, "balloon.available"),
        unused_bytes=_bytes(stats, "balloon.unused"),
        usable_bytes=_bytes(stats, "balloon.usable"),
        swap_in_bytes=_bytes(stats, "balloon.swap_in"),
        swap_out_bytes=_bytes(stats, "balloon.swap_out"),
        major_faults=_natural(stats, "balloon.major_fault"),
    )


def _age_s(stats: Mapping[str, Any], now: float) -> float | None:
    """Return the age of the guest's statistics; 0 stands for a guest that has never sent any."""
    last_update_s = _natural(stats, "balloon.last-update")
    return now - last_update_s if last_update_s else None


def _steal_s(stats: Mapping[str, Any]) -> float | None:
    """Sum over the online vCPUs; one of them unknown makes a sum that would grow by a jump later."""
    states = filter(None, map(VCPU_STATE.fullmatch, stats))
    online = [match[1] for match in states if stats[match[0]] != VCPU_OFFLINE]
    delays = [_seconds(stats, f"vcpu.{number}.delay") for number in online]
    known = [delay for delay in delays if delay is not None]
    return sum(known) if known and len(known) == len(delays) else None


def _natural(stats: Mapping[str, Any], key: str, most: int = MOST) -> int | None:
    value = stats.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < most else None


def _bytes(stats: Mapping[str, Any], key: str) -> int | None:
    kib = _natural(stats, key, MOST_KIB)
    return None if kib is None else kib * BYTES_PER_KIB


def _seconds(stats: Mapping[str, Any], key: str) -> float | None:
    nanoseconds = _natural(stats, key)
    return None if nanoseconds is None else nanoseconds / NS_PER_S


@dataclass(frozen=True, slots=True)
class _Series:
    """A metric with one series for each domain whose value is known."""

    family: type[GaugeMetricFamily | CounterMetricFamily]
    name: str
    help: str
    value: Callable[[Domain], float | None]


GAUGE, COUNTER = GaugeMetricFamily, CounterMetricFamily
SERIES = (
    _Series(GAUGE, "domain_running", "1 if the domain runs, 0 if not.", lambda domain: domain.runs),
    _Series(
        GAUGE,
        "domain_memory_balloon_bytes",
        "Memory that the guest has now, in bytes; not what it uses.",
        lambda domain: domain.balloon_bytes,
    ),
    _Series(
        GAUGE,
        "domain_memory_maximum_bytes",
        "Memory that the guest can be given at most, in bytes.",
        lambda domain: domain.maximum_bytes,
    ),
    _Series(
        GAUGE,
        "domain_memory_guest_total_bytes",
        "Memory that the guest's kernel manages (its MemTotal), in bytes.",
        lambda domain: domain.guest.total_bytes,
    ),
    _Series(
        GAUGE,
        "domain_memory_unused_bytes",
        "Memory that is free in the guest (its MemFree), in bytes.",
        lambda domain: domain.guest.unused_bytes,
    ),
    _Series(
        GAUGE,
        "domain_memory_usable_bytes",
        "Memory that the guest could give away without swapping (its MemAvailable), in bytes.",
        lambda domain: domain.guest.usable_bytes,
    ),
    _Series(
        GAUGE,
        "domain_memory_used_bytes",
        "Memory that the guest uses (its total less its usable), in bytes.",
        lambda domain: domain.guest.used_bytes,
    ),
    _Series(
        GAUGE,
        "domain_memory_stats_age_seconds",
        "Age of what the guest last said of its memory, in seconds.",
        lambda domain: domain.statistics_age_s,
    ),
    _Series(
        COUNTER,
        "domain_swap_in_bytes",
        "Bytes that the guest read from its swap.",
        lambda domain: domain.guest.swap_in_bytes,
    ),
    _Series(
        COUNTER,
        "domain_swap_out_bytes",
        "Bytes that the guest wrote to its swap.",
        lambda domain: domain.guest.swap_out_bytes,
    ),
    _Series(
        COUNTER,
        "domain_major_faults",
        "Page faults in the guest that needed its disk.",
        lambda domain: domain.guest.major_faults,
    ),
    _Series(GAUGE, "domain_vcpus", "Virtual CPUs that the domain has.", lambda domain: domain.vcpus),
    _Series(COUNTER, "domain_cpu_seconds", "CPU time of the host that the domain got, in seconds.", lambda d: d.cpu_s),
    _Series(
        COUNTER,
        "domain_steal_seconds",
        "Time that the domain's vCPUs could run but waited for a CPU (steal, vcpu delay), in seconds.",
        lambda domain: domain.steal_s,
    ),
)


def domain_metrics(domains: Mapping[str, Iterable[Domain]], limit: int) -> Iterator[Metric]:
    """Yield the metrics of the domains by host; those beyond ``limit`` have no series, running ones come first."""
    labelled = [(host, domain) for host, of_host in domains.items() for domain in of_host]
    labelled.sort(key=lambda pair: (not pair[1].runs, pair[0], pair[1].name))
    kept = sorted(labelled[:limit], key=lambda pair: (pair[0], pair[1].name))
    yield GaugeMetricFamily(
        "domain_left_out",
        "Domains without series, because there are more than --max-domains.",
        len(labelled) - len(kept),
    )
    yield _state_info(kept)
    for series in SERIES:
        family = series.family(series.name, series.help, labels=["host", "domain"])
        for host, domain in kept:
            value = series.value(domain)
            if value is not None:
                family.add_metric([host, domain.name], value)
        yield family


def _state_info(domains: Sequence[tuple[str, Domain]]) -> Metric:
    labels = ["host", "domain", "state"]
    family = GaugeMetricFamily("domain_state_info", "The domain's state in libvirt's words.", labels=labels)
    for host, domain in domains:
        if domain.state is not None:
            family.add_metric([host, domain.name, domain.state.name.lower()], 1)
    return family
