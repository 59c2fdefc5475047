"""Xen through libvirt's libxl driver: weight and cap are Xen's own, the balloon's size is what the domain has."""

from typing import Any

import libvirt
from defusedxml import ElementTree

from autoscaler.hypervisors.libvirt_host import Memory

# What the credit scheduler accepts.
WEIGHT_MIN, WEIGHT_MAX = 1, 65_535

CAP_PER_CORE = 100
NO_CAP = 0


class XenDriver:
    """The credit scheduler (https://wiki.xenproject.org/wiki/Credit_Scheduler): libvirt knows no other one's weights.

    Every call without flags acts on the running domain; libxl refuses the variants with flags.
    """

    def read(self, domain: Any, vcpus: int) -> tuple[int, float | None]:  # noqa: ARG002 - as every CPU driver
        """Weight as it is; cap from per cent of one core."""
        parameters = domain.schedulerParameters()
        cap = parameters["cap"]
        return parameters["weight"], None if cap == NO_CAP else cap / CAP_PER_CORE

    def write(self, domain: Any, vcpus: int, weight: int, cap_cores: float | None) -> None:
        """Set both in one call; Xen refuses a cap above the domain's vCPUs, and one of all of them is none."""
        cap = NO_CAP
        if cap_cores is not None and cap_cores < vcpus:
            cap = max(1, round(cap_cores * CAP_PER_CORE))
        domain.setSchedulerParameters({"weight": min(max(weight, WEIGHT_MIN), WEIGHT_MAX), "cap": cap})

    def memory(self, domain: Any) -> Memory:
        """What the domain has while its balloon moves; Xen's guests do not tell what they use.

        Not ``memoryStats()``: that one waits while anybody starts or saves the domain.
        """
        return Memory(domain.info()[2])

    def start_kib(self, domain: Any) -> int:
        """What it is defined with; all of its maximum where it was saved, for libxl does not say with how much.

        ``info()`` states the maximum of every domain that is off.
        """
        maximum_kib: int = domain.info()[1]
        defined = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).findtext("currentMemory")
        return maximum_kib if domain.hasManagedSaveImage() or defined is None else int(defined)
