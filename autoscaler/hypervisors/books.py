"""What a host's domains have and were asked for, and what is free by both: the invariant lives here.

The sum over all domains of max(observed, asked for) stays within the host's memory for guests. The ledger (what each
domain was asked for) is written *before* a domain is asked for more and *after* it was asked for less, so that a crash
between the two leaves the larger number.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from autoscaler.contracts import Hypervisor
from autoscaler.model import DomainObservation as Domain


class Books:
    """One host during one transfer; ``record_asked`` writes the ledger durably."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        asked: Mapping[str, int],
        record_asked: Callable[[str, int], None],
        memory_for_guests_mib: int,
    ) -> None:
        self.domains: tuple[Domain, ...] = ()
        self._hypervisor = hypervisor
        self._asked = dict(asked)
        self._record_asked = record_asked
        self._memory_for_guests_mib = memory_for_guests_mib
        self._unmanaged_mib = 0

    def read(self) -> None:
        """Look at the host anew."""
        reading = self._hypervisor.read()
        self._unmanaged_mib = reading.unmanaged_mib
        self._enter(reading.domains)

    def domain(self, name: str) -> Domain:
        """A domain as last read, with what it was asked for."""
        return next(domain for domain in self.domains if domain.name == name)

    def present_mib(self, name: str) -> int:
        """The size of a domain as last read."""
        return self.domain(name).allocation.memory_mib

    @property
    def free_mib(self) -> int:
        """What no domain has nor was promised; negative where more is taken than there is."""
        committed = sum(domain.committed_mib for domain in self.domains)
        return self._memory_for_guests_mib - self._unmanaged_mib - committed

    def ask(self, name: str, memory_mib: int) -> None:
        """Ask for a balloon size.

        It is the ledger that says whether it is more: a domain observed above it may be on its way below.
        """
        more = memory_mib > self._asked.get(name, 0)
        if more:
            self.record(name, memory_mib)
        self._hypervisor.set_memory(name, memory_mib)
        if not more:
            self.record(name, memory_mib)

    def record(self, name: str, memory_mib: int) -> None:
        """Write the ledger without asking: before a start, and for a domain that holds nothing any more."""
        before = self._asked.get(name, 0)
        # Whether a write that fails was made nobody knows; what is asked for next is more than the smaller of the two.
        self._asked[name] = min(before, memory_mib)
        self._record_asked(name, memory_mib)
        self._asked[name] = memory_mib
        self._enter(self.domains)

    def _enter(self, domains: tuple[Domain, ...]) -> None:
        self.domains = tuple(replace(domain, asked_mib=self._asked.get(domain.name)) for domain in domains)
