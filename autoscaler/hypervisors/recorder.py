"""The hypervisor of a dry run: reads the real one, writes nothing, and remembers what it would have been asked."""

from dataclasses import replace

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.model import DomainObservation, DomainState, HostReading


class Recorder:
    """Reads through once, then answers as if every request had been fulfilled at once.

    It holds no way to write: the hypervisor it reads is opened read-only (``connect(..., read_only=True)``), so that
    a dry run cannot leak whatever this class does.
    """

    def __init__(self, hypervisor: Hypervisor) -> None:
        self._hypervisor = hypervisor
        self._first: HostReading | None = None
        self._domains: dict[str, DomainObservation] = {}
        self.calls: list[str] = []

    def read(self) -> HostReading:
        """Return the real state, with the recorded requests fulfilled."""
        if self._first is None:
            self._first = self._hypervisor.read()
            # Its guests make no new reports here, and nobody waits for one that shows no pressure.
            self._domains = {domain.name: replace(domain, pressure=None) for domain in self._first.domains}
        return replace(self._first, domains=tuple(self._domains.values()))

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Record the request, or refuse it as the real one would."""
        seen = self._domain(domain)
        if not seen.state.holds_memory:
            raise HypervisorError(f"dry run: domain {domain} is {seen.state.in_words}")
        if memory_mib > seen.memory_max_mib:
            raise HypervisorError(f"dry run: domain {domain}: {memory_mib} MiB is above its {seen.memory_max_mib} MiB")
        self.calls.append(f"{domain}: memory {memory_mib} MiB")
        self._domains[domain] = replace(seen, allocation=replace(seen.allocation, memory_mib=memory_mib))

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Record the request, or refuse it as the real one would."""
        seen = self._domain(domain)
        cap = "no cap" if cap_cores is None else f"cap {cap_cores:g} cores"
        self.calls.append(f"{domain}: CPU weight {weight}, {cap}")
        cpu = replace(seen.allocation, cpu_weight=weight, cpu_cap_cores=cap_cores)
        self._domains[domain] = replace(seen, allocation=cpu)

    def wake(self, domain: str) -> None:
        """Record the request, or refuse it as the real one would."""
        seen = self._domain(domain)
        if seen.state is DomainState.RUNNING:
            raise HypervisorError(f"dry run: domain {domain} is running already")
        self.calls.append(f"{domain}: wake up, it is {seen.state.in_words}")
        memory_mib = seen.allocation.memory_mib if seen.state.holds_memory else seen.start_mib
        awake = replace(seen.allocation, memory_mib=memory_mib)
        self._domains[domain] = replace(seen, state=DomainState.RUNNING, allocation=awake, start_mib=0)

    def sleep(self, domain: str, state: DomainState) -> None:
        """Record the request, or refuse it as the real one would."""
        seen = self._domain(domain)
        if seen.state is not DomainState.RUNNING:
            raise HypervisorError(f"dry run: domain {domain} is {seen.state.in_words}")
        self.calls.append(f"{domain}: sleep, it will be {state.in_words}")
        held = seen.allocation.memory_mib
        asleep = replace(seen.allocation, memory_mib=held if state.holds_memory else 0)
        start_mib = 0 if state.holds_memory else held
        self._domains[domain] = replace(seen, state=state, allocation=asleep, start_mib=start_mib)

    def close(self) -> None:
        """Close the real one."""
        self._hypervisor.close()

    def _domain(self, name: str) -> DomainObservation:
        self.read()
        if name not in self._domains:
            raise HypervisorError(f"dry run: there is no domain {name}")
        return self._domains[name]
