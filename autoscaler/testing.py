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
    DomainState,
    Host,
    HostObservation,
    HostReading,
    HostState,
    Pressure,
    ProofDomain,
    Sample,
    Series,
    Window,
    WnDomain,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


A_WN = WnDomain(
    name="wn",
    memory_floor_mib=572,
    memory_max_mib=6911,
    memory_margin_mib=256,
    swap_down_to_mib=None,
    cpu_weight=256,
    cpu_weight_yielding=32,
)

# One that may be squeezed into its swap down to its floor, whatever it uses.
A_SWAPPING_WN = replace(A_WN, swap_down_to_mib=572)


def a_host(name: str = "host-1", **changes: object) -> Host:
    """A host with the prototype's sizes: 7483 MiB for guests, up to 8 workers of 792 MiB.

    ``changes`` replace fields of the host; those of ``proof`` and ``A_WN`` are changed with ``dataclasses.replace``.
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
        wns=(A_WN,),
    )
    return replace(host, **changes)  # type: ignore[arg-type]


def observed(
    host: Host,
    *,
    workers: int = 0,
    wn_used_mib: int | None = 500,
    unmanaged_mib: int = 0,
) -> HostObservation:
    """The host exactly at so many workers, with eight vCPUs in each domain; Worker Nodes share the rest alike."""
    memory_mib = host.proof.dormant.memory_mib + workers * host.proof.memory_per_worker_mib
    proof = Allocation(memory_mib, host.proof.cpu_weight_awake, float(workers)) if workers else host.proof.dormant
    rest = ((host.memory_total_mib or 0) - host.memory_reserve_mib - memory_mib - unmanaged_mib) // len(host.wns)
    wns = [
        DomainObservation(
            wn.name,
            Allocation(min(wn.memory_max_mib, rest), wn.cpu_weight_yielding if workers else wn.cpu_weight),
            wn.memory_max_mib,
            8,
            0.0,
            wn_used_mib,
        )
        for wn in host.wns
    ]
    domains = (DomainObservation(host.proof.name, proof, 6911, 8, 0.0), *wns)
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


# A guest that swaps makes a little more room than it needs; what is in its swap then takes no memory.
RECLAIMED_MIB = 10


@dataclass
class FakeDomain:
    """A domain of a fake host: ``target_mib`` is where its balloon goes.

    With ``tells`` its guest reports its pressure at each step; below ``hot_mib`` it reads back from its swap.
    """

    memory_mib: int
    target_mib: int
    cpu_weight: int = 256
    cpu_cap_cores: float | None = None
    used_mib: int | None = 500
    state: DomainState = DomainState.RUNNING
    start_mib: int = 0
    tells: bool = False
    hot_mib: int = 0
    told_at_s: float = 0.0
    swap_in_mib: float = 0.0
    swap_out_mib: float = 0.0
    cpu_time_s: float = 0.0

    @property
    def moves(self) -> bool:
        """Whether its guest runs."""
        return self.state is DomainState.RUNNING

    def report(self) -> None:
        """Let a second pass in the guest; one that does not run makes no report."""
        if not self.moves:
            return
        self.told_at_s += 1
        used_mib = self.used_mib or 0
        if self.memory_mib < used_mib + RECLAIMED_MIB:
            self.swap_out_mib = max(self.swap_out_mib, used_mib - self.memory_mib + RECLAIMED_MIB)
        if self.memory_mib < self.hot_mib:
            self.swap_in_mib += 50

    @property
    def pressure(self) -> Pressure | None:
        """What the guest last said."""
        if not (self.tells and self.moves):
            return None
        in_memory_mib = max(0, (self.used_mib or 0) - self.swap_out_mib)
        usable = 0 if self.memory_mib < self.hot_mib else max(0, int(self.memory_mib - in_memory_mib))
        return Pressure(self.told_at_s, self.memory_mib, usable, self.swap_in_mib, self.swap_out_mib, 0)


@dataclass
class FakeHost:
    """A hypervisor whose balloons move ``speed_mib`` at each ``step()``, and which can be told to misbehave.

    ``before_call`` runs before every call and may raise; ``stuck`` names domains whose balloon never moves although
    the call succeeds, as with a guest without its driver. A domain that is started anew holds its ``start_mib``.
    """

    domains: dict[str, FakeDomain]
    speed_mib: int = 256
    memory_max_mib: int = 6911
    vcpus: int = 8
    unmanaged_mib: int = 0
    stuck: frozenset[str] = frozenset()
    before_call: Callable[[str], None] = lambda _call: None
    calls: list[str] = field(default_factory=list)
    memory_total_mib: int | None = None
    cores: int | None = None

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
                domain.state,
                domain.start_mib,
            )
            for domain in seen.domains
        }
        return cls(domains, unmanaged_mib=seen.unmanaged_mib, **changes)  # type: ignore[arg-type]

    def step(self) -> None:
        """Let some time pass: every balloon moves towards its target."""
        for name, domain in self.domains.items():
            if name not in self.stuck and domain.moves:
                way = domain.target_mib - domain.memory_mib
                domain.memory_mib += max(-self.speed_mib, min(self.speed_mib, way))
            domain.report()

    @property
    def sum_mib(self) -> int:
        """What the host may come to hold: the larger of present size and target of every domain, and the others."""
        return self.unmanaged_mib + sum(max(domain.memory_mib, domain.target_mib) for domain in self.domains.values())

    def read(self) -> HostReading:
        """The present state."""
        self._call("read")
        seen = tuple(self._observe(name, domain) for name, domain in self.domains.items())
        return HostReading(seen, self.unmanaged_mib, self.memory_total_mib, self.cores)

    def _observe(self, name: str, domain: FakeDomain) -> DomainObservation:
        return DomainObservation(
            name,
            Allocation(domain.memory_mib, domain.cpu_weight, domain.cpu_cap_cores),
            self.memory_max_mib,
            self.vcpus,
            domain.cpu_time_s,
            domain.used_mib if domain.moves else None,
            state=domain.state,
            start_mib=0 if domain.state.holds_memory else domain.start_mib,
            pressure=domain.pressure,
        )

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Set the target; above the maximum, or of a domain that does not run, it fails as libvirt does."""
        self._call(f"set_memory {domain} {memory_mib}")
        found = self._find(domain)
        if not found.state.holds_memory:
            raise HypervisorError(f"fake: {domain}: Requested operation is not valid: domain is not running")
        if memory_mib > self.memory_max_mib:
            raise HypervisorError(f"fake: {domain}: cannot set memory higher than max memory")
        found.target_mib = memory_mib

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap at once."""
        self._call(f"set_cpu {domain} {weight} {cap_cores}")
        found = self._find(domain)
        found.cpu_weight, found.cpu_cap_cores = weight, cap_cores

    def wake(self, domain: str) -> None:
        """Let a domain run at once."""
        self._call(f"wake {domain}")
        found = self._find(domain)
        if found.state is DomainState.RUNNING:
            raise HypervisorError(f"fake: {domain}: Requested operation is not valid: domain is already running")
        if not found.state.holds_memory:
            found.memory_mib = found.target_mib = found.start_mib
        found.state = DomainState.RUNNING

    def sleep(self, domain: str, state: DomainState) -> None:
        """Let a domain sleep at once."""
        self._call(f"sleep {domain} {state.value}")
        found = self._find(domain)
        if found.state is not DomainState.RUNNING:
            raise HypervisorError(f"fake: {domain}: Requested operation is not valid: domain is not running")
        found.state = state
        if not state.holds_memory:
            found.start_mib, found.memory_mib, found.target_mib = found.memory_mib, 0, 0

    def close(self) -> None:
        """Nothing to let go of."""

    def _find(self, domain: str) -> FakeDomain:
        if domain not in self.domains:
            raise HypervisorError(f"fake: there is no domain {domain}")
        return self.domains[domain]

    def _call(self, call: str) -> None:
        self.before_call(call)
        self.calls.append(call)
