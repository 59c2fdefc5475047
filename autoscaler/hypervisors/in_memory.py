"""libvirt's in-memory ``test:`` driver: the embedded default, real libvirt without a hypervisor behind it.

It sets memory at once, but accepts CPU parameters and forgets them; so weight and cap are kept in the domain's
metadata, which it does store and gives back.
"""

from typing import Any

import libvirt
from defusedxml import ElementTree

from autoscaler.hypervisors.libvirt_host import Memory

METADATA_URI = "urn:vaf-autoscaler:cpu"
METADATA_KEY = "vaf"

# What a domain has that nobody has touched.
DEFAULT_WEIGHT = 256


class InMemoryDriver:
    """Weight and cap in the domain's metadata."""

    def read(self, domain: Any, vcpus: int) -> tuple[int, float | None]:  # noqa: ARG002 - as every CPU driver
        """What was written last, the defaults before."""
        try:
            text = domain.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, METADATA_URI, libvirt.VIR_DOMAIN_AFFECT_LIVE)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
                return DEFAULT_WEIGHT, None
            raise
        element = ElementTree.fromstring(text)
        cap = element.get("cap")
        return int(element.get("weight", DEFAULT_WEIGHT)), None if cap is None else float(cap)

    def write(self, domain: Any, vcpus: int, weight: int, cap_cores: float | None) -> None:  # noqa: ARG002
        """Write both as one element."""
        cap = "" if cap_cores is None else f' cap="{cap_cores:g}"'
        domain.setMetadata(
            libvirt.VIR_DOMAIN_METADATA_ELEMENT,
            f'<cpu weight="{weight}"{cap}/>',
            METADATA_KEY,
            METADATA_URI,
            libvirt.VIR_DOMAIN_AFFECT_LIVE,
        )

    def memory(self, domain: Any) -> Memory:
        """The size as set; use is always unknown, the driver's statistics are made up (half of the balloon)."""
        return Memory(domain.info()[2])

    def start_kib(self, domain: Any) -> int:
        """The size that it had, or was described with."""
        memory_kib: int = domain.info()[2]
        return memory_kib


def host_xml(memory_total_mib: int, cores: int, domains: dict[str, tuple[int, int]]) -> str:
    """Describe a test host: ``domains`` maps a name to its maximum and present memory in MiB; all get ``cores`` vCPUs.

    Format: https://libvirt.org/drvtest.html.
    """
    described = "".join(
        f"<domain type='test'><name>{name}</name><memory unit='MiB'>{maximum}</memory>"
        f"<currentMemory unit='MiB'>{present}</currentMemory><vcpu>{cores}</vcpu><os><type>hvm</type></os>"
        f"<devices><memballoon model='virtio'/></devices></domain>"
        for name, (maximum, present) in domains.items()
    )
    cpu = f"<cpu><mhz>2000</mhz><model>x86_64</model><active>{cores}</active><nodes>1</nodes><sockets>1</sockets>"
    memory = f"<memory>{memory_total_mib * 1024}</memory>"
    return f"<node>{cpu}<cores>{cores}</cores><threads>1</threads></cpu>{memory}{described}</node>"
