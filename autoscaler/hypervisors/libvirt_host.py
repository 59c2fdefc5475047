"""What all libvirt drivers share: connection, look-up, reading, the balloon. Drivers add what differs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import libvirt

from autoscaler.contracts import HypervisorError
from autoscaler.hypervisors.connection import Connection, NotConnectedError
from autoscaler.model import Allocation, DomainObservation, DomainState, HostReading, Pressure

# libvirt prints every error to stderr as well as raising it; we raise it with host and domain, once.
libvirt.registerErrorHandler(lambda _context, _error: None, None)

_KIB_PER_MIB = 1024
_NS_PER_S = 1_000_000_000

# Xen's control domain has this id; a host's own system has none elsewhere.
DOMAIN_0 = 0

# What a domain has that holds no memory; weight and cap are forgotten with it.
NOTHING = Allocation(0, 256, None)

# A crashed or suspended guest cannot move its balloon either.
_STANDING = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED, libvirt.VIR_DOMAIN_CRASHED)


@dataclass(frozen=True, slots=True)
class Memory:
    """A running domain's balloon in KiB, the MiB its guest says it uses (``None``: says nothing), and its pressure."""

    balloon_kib: int
    used_mib: int | None = None
    pressure: Pressure | None = None


class DomainDriver(Protocol):
    """What differs between libvirt's drivers: weight and cap, where the true balloon size is, and how a start goes."""

    def read(self, domain: Any, vcpus: int) -> tuple[int, float | None]:
        """Return weight (Xen's scale) and cap (cores, ``None`` = none)."""
        ...

    def write(self, domain: Any, vcpus: int, weight: int, cap_cores: float | None) -> None:
        """Set both, live."""
        ...

    def memory(self, domain: Any) -> Memory:
        """Return what a domain that runs or is paused has and says."""
        ...

    def start_kib(self, domain: Any) -> int:
        """Return the KiB that a domain which is off will hold at once when it is started."""
        ...


class LibvirtHost:
    """One host through one libvirt connection; ``domains`` are the names of ours.

    The connection is opened by the first call and again after it broke.
    """

    def __init__(self, host: str, uri: str, domains: tuple[str, ...], driver: DomainDriver, *, read_only: bool) -> None:
        self._host = host
        self._uri = uri
        self._domains = domains
        self._driver = driver
        self._connection = Connection(uri, read_only=read_only)

    def read(self) -> HostReading:
        """Return our domains and the host; raises ``HypervisorError``."""
        with self._errors("reading the host"):
            connection = self._connected()
            _, memory_mib, cores, *_ = connection.getInfo()
            found = connection.listAllDomains()
            active = [domain for domain in found if domain.isActive()]
            control_kib = sum(domain.info()[2] for domain in active if domain.ID() == DOMAIN_0)
            others = [domain for domain in active if domain.ID() != DOMAIN_0 and domain.name() not in self._domains]
            unmanaged_mib = sum(_mib(domain.info()[2]) for domain in others)
            ours = {domain.name(): domain for domain in found}
        domains = tuple(self._observe(name, ours.get(name)) for name in self._domains)
        return HostReading(domains, unmanaged_mib, memory_mib, cores, _mib(control_kib))

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Ask for a balloon size, live; raises ``HypervisorError``."""
        with self._errors(f"domain {domain}: setting the memory to {memory_mib} MiB"):
            self._lookup(domain).setMemoryFlags(memory_mib * _KIB_PER_MIB, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap, live; raises ``HypervisorError``."""
        with self._errors(f"domain {domain}: setting CPU weight {weight} and cap {cap_cores}"):
            found = self._lookup(domain)
            self._driver.write(found, found.info()[3], weight, cap_cores)

    def wake(self, domain: str) -> None:
        """Resume a paused domain, restore or start one that is off; raises ``HypervisorError``."""
        with self._errors(f"domain {domain}: waking it"):
            found = self._lookup(domain)
            if found.isActive():
                found.resume()
                return
            found.create()
            # What was saved while it was paused comes back paused.
            if found.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                found.resume()

    def sleep(self, domain: str, state: DomainState) -> None:
        """Pause or save a domain, or ask its guest to shut down; raises ``HypervisorError``."""
        with self._errors(f"domain {domain}: making it {state.in_words}"):
            found = self._lookup(domain)
            if state is DomainState.PAUSED:
                found.suspend()
            elif state is DomainState.SAVED:
                found.managedSave()
            else:
                found.shutdown()

    def close(self) -> None:
        """Close the connection, if there is one."""
        self._connection.close()

    def _observe(self, name: str, domain: Any) -> DomainObservation:
        if domain is None:
            return DomainObservation(name, NOTHING, 0, 0, 0.0, state=DomainState.ABSENT)
        with self._errors(f"domain {name}"):
            _, maximum_kib, _, vcpus, cpu_time_ns = domain.info()
            seen = DomainObservation(name, NOTHING, maximum_kib // _KIB_PER_MIB, vcpus, cpu_time_ns / _NS_PER_S)
            if not domain.isActive():
                state = DomainState.SAVED if domain.hasManagedSaveImage() else DomainState.SHUT_OFF
                return replace(seen, state=state, start_mib=_mib(self._driver.start_kib(domain)))
            memory = self._driver.memory(domain)
            return replace(
                seen,
                allocation=Allocation(_mib(memory.balloon_kib), *self._driver.read(domain, vcpus)),
                used_mib=memory.used_mib,
                pressure=memory.pressure,
                state=DomainState.PAUSED if domain.state()[0] in _STANDING else DomainState.RUNNING,
            )

    def _lookup(self, name: str) -> Any:
        return self._connected().lookupByName(name)

    def _connected(self) -> Any:
        return self._connection.get()

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except libvirt.libvirtError as error:
            self._connection.failed(error)
            raise HypervisorError(f"{self._host} ({self._uri}): {what}: {error.get_error_message()}") from None
        except NotConnectedError as error:
            raise HypervisorError(f"{self._host} ({self._uri}): {error}") from None
        except HypervisorError as error:
            raise HypervisorError(f"{self._host}: {error}") from None


def _mib(kib: int) -> int:
    """Rounded up: what is taken is not understated."""
    return -(-kib // _KIB_PER_MIB)
