"""From a host's libvirt URI to its hypervisor."""

from urllib.parse import urlsplit

from autoscaler.contracts import Hypervisor, HypervisorError
from autoscaler.hypervisors.in_memory import InMemoryDriver
from autoscaler.hypervisors.kvm import KvmDriver
from autoscaler.hypervisors.libvirt_host import DomainDriver, LibvirtHost
from autoscaler.hypervisors.xen import XenDriver
from autoscaler.model import Host

_DRIVERS: dict[str, type[DomainDriver]] = {"qemu": KvmDriver, "xen": XenDriver, "test": InMemoryDriver}


def supports(uri: str) -> bool:
    """Whether we know the driver of a libvirt URI (``qemu+ssh://…`` is driver ``qemu``)."""
    return _driver(uri) in _DRIVERS


def connect(host: Host, *, read_only: bool = False) -> Hypervisor:
    """Return the hypervisor of a host; nothing is opened yet. Raises ``HypervisorError`` for an unknown driver."""
    if not supports(host.uri):
        *others, last = _DRIVERS
        raise HypervisorError(
            f"{host.name} ({host.uri}): only {', '.join(others)} and {last} are known, not {_driver(host.uri)}"
        )
    driver = _DRIVERS[_driver(host.uri)]()
    return LibvirtHost(host.name, host.uri, host.domain_names, driver, read_only=read_only)


def _driver(uri: str) -> str:
    return urlsplit(uri).scheme.partition("+")[0]
