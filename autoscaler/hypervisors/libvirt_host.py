"""What all libvirt drivers share: connection, look-up, reading, the balloon. Drivers add what differs."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import libvirt

from autoscaler.contracts import HypervisorError
from autoscaler.model import Allocation, DomainObservation

# libvirt prints every error to stderr as well as raising it; we raise it with host and domain, once.
libvirt.registerErrorHandler(lambda _context, _error: None, None)

_KIB_PER_MIB = 1024
_NS_PER_S = 1_000_000_000


class DomainDriver(Protocol):
    """What differs between libvirt's drivers: weight and cap, and where the true balloon size is."""

    def read(self, domain: Any, vcpus: int) -> tuple[int, float | None]:
        """Return weight (Xen's scale) and cap (cores, ``None`` = none)."""
        ...

    def write(self, domain: Any, vcpus: int, weight: int, cap_cores: float | None) -> None:
        """Set both, live."""
        ...

    def memory(self, domain: Any) -> tuple[int, int | None]:
        """Return the balloon's present size in KiB, and the MiB the guest says it uses (``None``: says nothing)."""
        ...


class LibvirtHost:
    """One host through one libvirt connection; ``domains`` are the names of ours.

    The connection is opened by the first call and again by the first call after it broke.
    """

    def __init__(self, host: str, uri: str, domains: tuple[str, ...], driver: DomainDriver, *, read_only: bool) -> None:
        self._host = host
        self._uri = uri
        self._domains = domains
        self._driver = driver
        self._open = libvirt.openReadOnly if read_only else libvirt.open
        self._connection: Any = None

    def read(self) -> tuple[tuple[DomainObservation, ...], int]:
        """Return our domains, and the MiB of running domains that are not ours; raises ``HypervisorError``."""
        with self._errors("reading the domains"):
            connection = self._connected()
            others = [
                domain
                for domain in connection.listAllDomains(libvirt.VIR_CONNECT_LIST_DOMAINS_ACTIVE)
                if domain.name() not in self._domains
            ]
            unmanaged = sum(-(-domain.info()[2] // _KIB_PER_MIB) for domain in others)
        return tuple(self._observe(name) for name in self._domains), unmanaged

    def set_memory(self, domain: str, memory_mib: int) -> None:
        """Ask for a balloon size, live; raises ``HypervisorError``."""
        with self._errors(f"domain {domain}: setting the memory to {memory_mib} MiB"):
            self._lookup(domain).setMemoryFlags(memory_mib * _KIB_PER_MIB, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def set_cpu(self, domain: str, weight: int, cap_cores: float | None) -> None:
        """Set weight and cap, live; raises ``HypervisorError``."""
        with self._errors(f"domain {domain}: setting CPU weight {weight} and cap {cap_cores}"):
            found = self._lookup(domain)
            self._driver.write(found, found.info()[3], weight, cap_cores)

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # A connection that broke cannot be closed either, and nothing is left to let go of.
            with suppress(libvirt.libvirtError):
                connection.close()

    def _observe(self, name: str) -> DomainObservation:
        with self._errors(f"domain {name}"):
            domain = self._lookup(name)
            _, maximum_kib, _, vcpus, cpu_time_ns = domain.info()
            if not domain.isActive():
                raise HypervisorError(f"domain {name} is not running: start it with virsh start {name}")
            weight, cap = self._driver.read(domain, vcpus)
            memory_kib, used_mib = self._driver.memory(domain)
            return DomainObservation(
                name=name,
                allocation=Allocation(-(-memory_kib // _KIB_PER_MIB), weight, cap),
                memory_max_mib=maximum_kib // _KIB_PER_MIB,
                vcpus=vcpus,
                cpu_time_s=cpu_time_ns / _NS_PER_S,
                used_mib=used_mib,
            )

    def _lookup(self, name: str) -> Any:
        return self._connected().lookupByName(name)

    def _connected(self) -> Any:
        if self._connection is None or not self._connection.isAlive():
            self.close()
            self._connection = self._open(self._uri)
        return self._connection

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except libvirt.libvirtError as error:
            raise HypervisorError(f"{self._host} ({self._uri}): {what}: {error.get_error_message()}") from None
        except HypervisorError as error:
            raise HypervisorError(f"{self._host}: {error}") from None
