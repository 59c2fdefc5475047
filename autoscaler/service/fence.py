"""No write reaches a host of a controller that leads no more, however long it was stopped or cut off before."""

from collections.abc import Callable

from autoscaler.contracts import Hypervisor
from autoscaler.model import DomainState, HostReading


class Fenced:
    """A hypervisor that is written to only after ``confirm``, which raises ``StoreError`` when that may not be."""

    def __init__(self, hypervisor: Hypervisor, confirm: Callable[[], None]) -> None:
        self._hypervisor = hypervisor
        self._confirm = confirm

    def read(self) -> HostReading:
        """As the hypervisor's; reading is free."""
        return self._hypervisor.read()

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """As the hypervisor's."""
        self._confirm()
        self._hypervisor.set_memory(domain, memory_mib)

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """As the hypervisor's."""
        self._confirm()
        self._hypervisor.set_cpu(domain, weight, cap_cores)

    def wake(self, domain: str) -> None:
        """As the hypervisor's."""
        self._confirm()
        self._hypervisor.wake(domain)

    def sleep(self, domain: str, state: DomainState) -> None:
        """As the hypervisor's."""
        self._confirm()
        self._hypervisor.sleep(domain, state)

    def close(self) -> None:
        """As the hypervisor's."""
        self._hypervisor.close()
