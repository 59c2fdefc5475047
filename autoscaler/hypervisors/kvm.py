"""KVM and plain QEMU: weight as CPU shares, cap as a quota per vCPU, use from the balloon's statistics."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import libvirt
from defusedxml import ElementTree

from autoscaler.contracts import HypervisorError
from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.hypervisors.libvirt_host import Memory
from autoscaler.model import Pressure

# 1024 shares are the kernel's default as 256 is Xen's. Only the ratio between domains counts.
SHARES_PER_WEIGHT = 4

# What both cgroup v1 (2..262144) and cgroup v2 (1..10000) accept.
SHARES_MIN, SHARES_MAX = 2, 10_000

PERIOD_US, LONGEST_PERIOD_US = 100_000, 1_000_000

# The kernel refuses a quota of less than a millisecond.
QUOTA_MIN_US = 1_000
NO_QUOTA = -1

_KIB_PER_MIB = 1024


# A guest silent for so long is stuck or has lost its balloon driver; what it used then says nothing of now.
STATISTICS_MAX_AGE_S = 120


class KvmDriver:
    """libvirt's QEMU driver (https://libvirt.org/formatdomain.html#cpu-tuning); ``clock`` is in Unix seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock

    def read(self, domain: Any, vcpus: int) -> tuple[int, float | None]:
        """Weight from ``cpu_shares``; cap from ``vcpu_quota``, which holds for each vCPU."""
        parameters = domain.schedulerParameters()
        quota, period = parameters.get("vcpu_quota", NO_QUOTA), parameters.get("vcpu_period", PERIOD_US)
        # libvirt shows "no quota" as -1, as 0 or, on cgroup v1, as the largest value.
        unlimited = quota <= 0 or quota >= vcpus * period * 1000
        if "cpu_shares" not in parameters:
            raise HypervisorError(f"domain {domain.name()} has no CPU cgroup: is it of qemu:///system?")
        return parameters["cpu_shares"] // SHARES_PER_WEIGHT, None if unlimited else round(quota * vcpus / period, 2)

    def write(self, domain: Any, vcpus: int, weight: int, cap_cores: float | None) -> None:
        """Set shares and quota in one call."""
        quota, period = NO_QUOTA, PERIOD_US
        if cap_cores is not None and cap_cores < vcpus:
            # A small cap of a domain with many vCPUs is a quota that the kernel takes only of a long period.
            period = PERIOD_US if cap_cores * PERIOD_US / vcpus >= QUOTA_MIN_US else LONGEST_PERIOD_US
            quota = max(QUOTA_MIN_US, round(cap_cores * period / vcpus))
        shares = min(max(weight * SHARES_PER_WEIGHT, SHARES_MIN), SHARES_MAX)
        parameters = {"cpu_shares": shares, "vcpu_period": period, "vcpu_quota": quota}
        domain.setSchedulerParametersFlags(parameters, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def memory(self, domain: Any) -> Memory:
        """The size QEMU itself states (``info()`` lags a second behind), and the guest's use.

        Usable is the guest's MemAvailable at its last report, when its balloon may have been larger: so it is taken
        from the larger of the size now and the total it reported then, which never understates the use.
        """
        statistics = domain.memoryStats()
        if "actual" not in statistics:
            raise HypervisorError(f"domain {domain.name()} has no memory balloon: add <memballoon model='virtio'/>")
        actual: int = statistics["actual"]
        pressure = _pressure(statistics)
        if pressure is None or abs(self._clock() - pressure.told_at_s) > STATISTICS_MAX_AGE_S:
            return Memory(actual, None, pressure)
        had = max(actual, statistics.get("available", 0)) // _KIB_PER_MIB
        return Memory(actual, max(0, had - pressure.usable_mib), pressure)

    def start_kib(self, domain: Any) -> int:
        """All of its maximum, which it has until its balloon driver is up; a saved one comes back as it was saved.

        What ``info()`` states of a saved domain is its definition's size, which does not count.
        """
        maximum_kib: int = domain.info()[1]
        if not domain.hasManagedSaveImage():
            return maximum_kib
        saved = ElementTree.fromstring(domain.managedSaveGetXMLDesc(0)).findtext("currentMemory")
        return maximum_kib if saved is None else int(saved) + BALLOON_TOLERANCE_MIB * _KIB_PER_MIB


def _pressure(statistics: Mapping[str, int]) -> Pressure | None:
    """A guest's own last report (KiB), ``None`` when it never made one."""
    usable = statistics.get("usable", statistics.get("unused"))
    told_at = statistics.get("last_update", 0)
    if usable is None or not told_at:
        return None
    return Pressure(
        told_at_s=float(told_at),
        total_mib=statistics.get("available", statistics["actual"]) // _KIB_PER_MIB,
        usable_mib=usable // _KIB_PER_MIB,
        swap_in_mib=statistics.get("swap_in", 0) / _KIB_PER_MIB,
        swap_out_mib=statistics.get("swap_out", 0) / _KIB_PER_MIB,
        major_faults=statistics.get("major_fault", 0),
    )
