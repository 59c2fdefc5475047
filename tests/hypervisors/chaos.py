"""A host on which anything goes wrong at any instant, and which checks its invariant at every one of them.

An *instant* is before and after each call of the hypervisor and each entry into the ledger. At an instant a fault may
come: an error, a reply that is lost after the call took effect, or the death of the controller. Balloons move between
the instants too.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import Enum

from autoscaler.contracts import HypervisorError, StoreError
from autoscaler.core.allocation import workers_now
from autoscaler.core.plan import plan
from autoscaler.hypervisors.transfer import Edges, carry_out
from autoscaler.model import Host, HostObservation, HostState, Outcome, Transfer
from autoscaler.testing import NOW, FakeHost


class CrashError(BaseException):
    """The controller dies here; nothing that it does to survive an exception may help it."""


class Fault(Enum):
    """What may happen at an instant."""

    ERROR = "the call, or the entry, is refused or its reply is lost"
    CRASH = "the controller dies"


@dataclass(frozen=True)
class Restart:
    """A domain that is started anew, with a size of its own and no memory of what it was asked for."""

    domain: str
    memory_mib: int


@dataclass(frozen=True)
class Episode:
    """One life of the controller or one cycle of it: goal, surroundings, and faults by the number of the instant."""

    workers: int
    faults: Mapping[int, Fault] = field(default_factory=dict)
    stuck: frozenset[str] = frozenset()
    speed_mib: int = 500
    stop_after: int | None = None
    steps_before: int = 0
    restarts_before_plan: tuple[Restart, ...] = ()
    restarts_after_plan: tuple[Restart, ...] = ()


class ChaosHost(FakeHost):
    """A fake host with faults; ``laws`` are checked at every instant."""

    limit_mib: int
    ledger: dict[str, int]
    faults: Mapping[int, Fault]
    instant = 0
    settles_short_mib = 0

    def step(self) -> None:
        """As a balloon does: it may come to rest some pages before its target."""
        for name, domain in self.domains.items():
            way = domain.target_mib - domain.memory_mib
            if name in self.stuck or abs(way) <= self.settles_short_mib:
                continue
            way -= self.settles_short_mib if way > 0 else -self.settles_short_mib
            domain.memory_mib += max(-self.speed_mib, min(self.speed_mib, way))
        self.check_laws()

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Set the target; the reply may be lost."""
        super().set_memory(domain, memory_mib)
        self.pass_instant(HypervisorError(f"fake: {domain}: the reply was lost"))

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap; the reply may be lost."""
        super().set_cpu(domain, weight, cap_cores)
        self.pass_instant(HypervisorError(f"fake: {domain}: the reply was lost"))

    def record_asked(self, domain: str, memory_mib: int) -> None:
        """Write the ledger; the store may fail before or after it has written."""
        self.pass_instant(StoreError("fake: disk I/O error"))
        self.ledger[domain] = memory_mib
        self.pass_instant(StoreError("fake: disk I/O error"))

    def _call(self, call: str) -> None:
        super()._call(call)
        self.pass_instant(HypervisorError(f"fake: {call}: refused"))

    def pass_instant(self, error: Exception) -> None:
        """Check the laws, let some time pass, and let come what is due."""
        self.check_laws()
        self.instant += 1
        if self.instant % 3 == 0:
            self.step()
        match self.faults.get(self.instant):
            case Fault.ERROR:
                raise error
            case Fault.CRASH:
                raise CrashError

    def check_laws(self) -> None:
        """The host sum holds, and no domain is on its way to more than the ledger says."""
        assert self.sum_mib <= self.limit_mib, (self.calls[-5:], self.domains)
        for name, domain in self.domains.items():
            assert domain.target_mib <= max(domain.memory_mib, self.ledger.get(name, 0)), (name, domain, self.ledger)

    def start_anew(self, restart: Restart) -> None:
        """Start a domain anew, with as much of its size as the host has room for."""
        domain = self.domains[restart.domain]
        others = self.sum_mib - max(domain.memory_mib, domain.target_mib)
        memory_mib = min(restart.memory_mib, self.limit_mib - others)
        domain.memory_mib = domain.target_mib = memory_mib

    def observation(self, host: Host) -> HostObservation:
        """Read the host without faults, with the ledger, as a cycle does."""
        faults, self.faults = self.faults, {}
        seen = self.read()
        self.faults = faults
        with_asked = tuple(replace(domain, asked_mib=self.ledger.get(domain.name)) for domain in seen.domains)
        return HostObservation(host.name, HostState.READY, with_asked, seen.unmanaged_mib)


def planned(host: Host, fake: ChaosHost, workers: int) -> Transfer | None:
    """Plan as a cycle does."""
    seen = fake.observation(host)
    return plan(host, seen, workers_now(host, seen.domain(host.proof.name)), workers)


def live(host: Host, fake: ChaosHost, episode: Episode) -> Outcome | None:
    """Live through an episode: read, plan, carry out; return the outcome, ``None`` after a crash or without a plan."""
    fake.stuck, fake.speed_mib = episode.stuck, episode.speed_mib
    _start_anew(fake, episode.restarts_before_plan)
    for _ in range(episode.steps_before):
        fake.step()
    transfer = planned(host, fake, episode.workers)
    _start_anew(fake, episode.restarts_after_plan)
    if transfer is None:
        return None
    fake.faults, fake.instant = episode.faults, 0
    waits = 0

    def wait(_seconds: float) -> bool:
        nonlocal waits
        waits += 1
        fake.step()
        return episode.stop_after is not None and waits >= episode.stop_after

    edges = Edges(lambda: NOW, wait, fake.record_asked, stall=timedelta(seconds=1))
    try:
        return carry_out(transfer, fake, dict(fake.ledger), edges)
    except CrashError:
        return None
    finally:
        fake.faults = {}


def _start_anew(fake: ChaosHost, restarts: Iterable[Restart]) -> None:
    for restart in restarts:
        fake.start_anew(restart)
        fake.check_laws()
