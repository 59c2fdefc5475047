"""Fakes and builders for the tests of this project and of a site's own policies; real files, no mock library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from autoscaler.contracts import HypervisorError
from autoscaler.model import (
    PROOF_QUEUED_SESSIONS,
    PROOF_RUNNING_SESSIONS,
    Allocation,
    DomainObservation,
    Host,
    HostObservation,
    HostState,
    ProofDomain,
    Sample,
    Series,
    Window,
    WnDomain,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def a_host(name: str = "host-1", **changes: object) -> Host:
    """A host with the prototype's sizes: 7483 MiB for guests, up to 8 workers of 792 MiB.

    ``changes`` replace fields of the host; ``proof`` and ``wn`` fields are changed with ``dataclasses.replace``.
    """
    host = Host(
        name=name,
        uri="test:///default",
        memory_total_mib=8056,
        memory_reserve_mib=573,
        proof=ProofDomain(
            name="proof",
            dormant=Allocation(572, 32, 1.0),
            memory_per_worker_mib=792,
            workers_min=0,
            workers_max=8,
            cpu_weight_awake=256,
        ),
        wn=WnDomain(
            name="wn",
            memory_floor_mib=572,
            memory_max_mib=6911,
            memory_margin_mib=256,
            may_swap=False,
            cpu_weight=256,
            cpu_weight_yielding=32,
        ),
    )
    return replace(host, **changes)  # type: ignore[arg-type]


def observed(
    host: Host,
    *,
    workers: int = 0,
    wn_used_mib: int | None = 500,
    unmanaged_mib: int = 0,
) -> HostObservation:
    """The host exactly at so many workers, with eight vCPUs in each domain."""
    memory_mib = host.proof.dormant.memory_mib + workers * host.proof.memory_per_worker_mib
    proof = Allocation(memory_mib, host.proof.cpu_weight_awake, float(workers)) if workers else host.proof.dormant
    rest = min(host.wn.memory_max_mib, host.memory_for_guests_mib - memory_mib - unmanaged_mib)
    wn = Allocation(rest, host.wn.cpu_weight_yielding if workers else host.wn.cpu_weight)
    domains = (
        DomainObservation(host.proof.name, proof, 6911, 8, 0.0),
        DomainObservation(host.wn.name, wn, host.wn.memory_max_mib, 8, 0.0, wn_used_mib),
    )
    return HostObservation(host.name, HostState.READY, domains, unmanaged_mib)


def a_window(
    signals: Mapping[str, list[float | None]],
    *,
    now: datetime = NOW,
    step: timedelta = timedelta(minutes=1),
    age: timedelta = timedelta(0),
) -> Window:
    """A window whose series end at ``now``, one sample each ``step``, the newest ``age`` old."""
    series = []
    for name, values in signals.items():
        times = [now - back * step for back in range(len(values) - 1, -1, -1)]
        samples = tuple(Sample(at, value) for at, value in zip(times, values, strict=True))
        problem = "no value" if not values or values[-1] is None else None
        series.append(Series(name, samples, None if problem else now - age, problem))
    return Window(now, tuple(series))


def proof_window(queued: list[float | None], running: list[float | None], *, now: datetime = NOW) -> Window:
    """A window of the two PROOF signals, one sample each minute, the newest last."""
    return a_window({PROOF_QUEUED_SESSIONS: queued, PROOF_RUNNING_SESSIONS: running}, now=now)


@dataclass
class SettableSource:
    """A source that shows the PROOF load it was set to, and remembers what it showed before."""

    queued: float | None = 0.0
    running: float | None = 0.0
    problem: str = "set to unknown"
    _samples: dict[str, list[Sample]] = field(default_factory=dict)

    def read(self, now: datetime) -> Window:
        """The load as set."""
        values = {PROOF_QUEUED_SESSIONS: self.queued, PROOF_RUNNING_SESSIONS: self.running}
        return Window(now, tuple(self._series(name, Sample(now, value)) for name, value in values.items()))

    def _series(self, name: str, sample: Sample) -> Series:
        samples = self._samples.setdefault(name, [])
        samples.append(sample)
        if sample.value is None:
            return Series(name, tuple(samples), problem=self.problem)
        return Series(name, tuple(samples), sample.at)


@dataclass
class FakeDomain:
    """A domain of a fake host: ``target_mib`` is where its balloon goes."""

    memory_mib: int
    target_mib: int
    cpu_weight: int = 256
    cpu_cap_cores: float | None = None
    used_mib: int | None = 500


@dataclass
class FakeHost:
    """A hypervisor whose balloons move ``speed_mib`` at each ``step()``, and which can be told to misbehave.

    ``before_call`` runs before every call and may raise; ``stuck`` names domains whose balloon never moves although
    the call succeeds, as with a guest without its driver.
    """

    domains: dict[str, FakeDomain]
    speed_mib: int = 256
    memory_max_mib: int = 6911
    vcpus: int = 8
    unmanaged_mib: int = 0
    stuck: frozenset[str] = frozenset()
    before_call: Callable[[str], None] = lambda _call: None
    calls: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, seen: HostObservation, **changes: object) -> "FakeHost":
        """A fake host at rest in the observed state."""
        domains = {
            domain.name: FakeDomain(
                domain.allocation.memory_mib,
                domain.allocation.memory_mib,
                domain.allocation.cpu_weight,
                domain.allocation.cpu_cap_cores,
                domain.used_mib,
            )
            for domain in seen.domains
        }
        return cls(domains, unmanaged_mib=seen.unmanaged_mib, **changes)  # type: ignore[arg-type]

    def step(self) -> None:
        """Let some time pass: every balloon moves towards its target."""
        for name, domain in self.domains.items():
            if name not in self.stuck:
                way = domain.target_mib - domain.memory_mib
                domain.memory_mib += max(-self.speed_mib, min(self.speed_mib, way))

    @property
    def sum_mib(self) -> int:
        """What the host may come to hold: the larger of present size and target of every domain, and the others."""
        return self.unmanaged_mib + sum(max(domain.memory_mib, domain.target_mib) for domain in self.domains.values())

    def read(self) -> tuple[tuple[DomainObservation, ...], int]:
        """The present state."""
        self._call("read")
        seen = tuple(
            DomainObservation(
                name,
                Allocation(domain.memory_mib, domain.cpu_weight, domain.cpu_cap_cores),
                self.memory_max_mib,
                self.vcpus,
                0.0,
                domain.used_mib,
            )
            for name, domain in self.domains.items()
        )
        return seen, self.unmanaged_mib

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Set the target; above the maximum it fails as libvirt does."""
        self._call(f"set_memory {domain} {memory_mib}")
        self._require(domain)
        if memory_mib > self.memory_max_mib:
            raise HypervisorError(f"fake: {domain}: cannot set memory higher than max memory")
        self.domains[domain].target_mib = memory_mib

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap at once."""
        self._call(f"set_cpu {domain} {weight} {cap_cores}")
        self._require(domain)
        self.domains[domain].cpu_weight = weight
        self.domains[domain].cpu_cap_cores = cap_cores

    def close(self) -> None:
        """Nothing to let go of."""

    def _require(self, domain: str) -> None:
        if domain not in self.domains:
            raise HypervisorError(f"fake: there is no domain {domain}")

    def _call(self, call: str) -> None:
        self.before_call(call)
        self.calls.append(call)
