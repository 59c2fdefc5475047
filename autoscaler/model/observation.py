"""Hosts and their domains as they are read back from their hypervisors."""

from enum import StrEnum

from autoscaler.model.facility import Allocation, DomainState
from autoscaler.value import Value


class Pressure(Value, frozen=True):
    """How near a guest is to swapping, by its own last report, which it made at ``told_at_s`` (Unix seconds).

    ``usable_mib`` of ``total_mib`` is its MemAvailable; swap and major page faults are counted since its boot.
    """

    told_at_s: float
    total_mib: int
    usable_mib: int
    swap_in_mib: float
    swap_out_mib: float
    major_faults: int


class DomainObservation(Value, frozen=True):
    """One domain as read back from its hypervisor.

    ``used_mib`` is what the guest itself says it uses (``None``: it says nothing; the balloon size is not use).
    ``asked_mib`` is the balloon size last asked for, if it may not have been reached yet. ``start_mib`` is what a
    domain that holds no memory now will hold at once when it is started.
    """

    name: str
    allocation: Allocation
    memory_max_mib: int
    vcpus: int
    cpu_time_s: float
    used_mib: int | None = None
    asked_mib: int | None = None
    state: DomainState = DomainState.RUNNING
    start_mib: int = 0
    pressure: Pressure | None = None

    @property
    def committed_mib(self) -> int:
        """Memory that counts as taken: the larger of what is observed and what was asked for."""
        has, asked = self.allocation.memory_mib, self.asked_mib
        return has if asked is None or asked < has else asked


class HostReading(Value, frozen=True):
    """One host as its hypervisor shows it: our domains in the order of their configuration, and the host itself.

    ``unmanaged_mib`` is the memory of running domains that are not ours, ``control_mib`` that of Domain-0 (0 where
    there is none). ``memory_total_mib`` and ``cores`` are the machine's, ``None`` where it does not say.
    """

    domains: tuple[DomainObservation, ...]
    unmanaged_mib: int = 0
    memory_total_mib: int | None = None
    cores: int | None = None
    control_mib: int = 0


class HostState(StrEnum):
    """Whether a host can take part in this cycle; a late one may in the next."""

    READY = "ready"
    LATE = "late"
    MOVING = "moving"
    UNUSABLE = "unusable"


class HostObservation(Value, frozen=True):
    """One host as read back.

    ``problem`` says why the host is unusable, or what of a usable one is out of order; ``moving_to_workers`` is the
    goal of the transfer that still runs; the other fields are those of ``HostReading``, of a late host those of its
    last one.
    """

    host: str
    state: HostState
    domains: tuple[DomainObservation, ...] = ()
    unmanaged_mib: int = 0
    problem: str | None = None
    moving_to_workers: int | None = None
    memory_total_mib: int | None = None
    cores: int | None = None
    control_mib: int = 0

    def domain(self, name: str) -> DomainObservation:
        """Return the domain called ``name``; raises ``KeyError``."""
        for domain in self.domains:
            if domain.name == name:
                return domain
        raise KeyError(name)

    @property
    def committed_mib(self) -> int:
        """Memory taken by all domains of the host, ours and others."""
        return self.unmanaged_mib + sum([domain.committed_mib for domain in self.domains])
