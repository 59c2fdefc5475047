"""The facility that a workload is played on: machines, speeds, the controller's numbers, and the site's price."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from autoscaler.model import Facility, GuardLimits, Host
from autoscaler.simulation.constants import PHYSICS, Physics


@dataclass(frozen=True, slots=True)
class Machine:
    """One hypervisor, its cores, and how many batch jobs it takes at once, over all of its Worker Nodes.

    ``wn_base_mib`` is what each Worker Node itself uses, without jobs.
    """

    host: Host
    cores: int
    job_slots: int
    wn_base_mib: int = 256

    @property
    def workers_max(self) -> int:
        """How many workers the guards let it have at most: a worker has a core."""
        return min(self.host.proof.workers_max, max(0, int(self.cores - self.host.cpu_reserve_cores)))


@dataclass(frozen=True, slots=True)
class Price:
    """What a second that a PROOF session waits for its workers is worth, in core seconds of batch work."""

    wait_core_s: float


@dataclass(frozen=True, slots=True)
class PolicyChoice:
    """A row of the comparison: a policy by the name of its entry point, and its parameters as a file says them."""

    label: str
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A facility under a controller.

    The controller decides each ``interval`` on readings that are ``reading_age`` old. ``storage_bytes_per_s`` is what
    the storage gives to all readers together, ``None`` = never the bottleneck. ``unheard`` are signals that nobody
    exports there.
    """

    machines: tuple[Machine, ...]
    price: Price
    interval: timedelta = timedelta(seconds=60)
    reading_age: timedelta = timedelta(seconds=15)
    limits: GuardLimits = field(default_factory=GuardLimits)
    storage_bytes_per_s: float | None = None
    physics: Physics = PHYSICS
    unheard: tuple[str, ...] = ()

    @property
    def facility(self) -> Facility:
        """The hosts as the controller knows them."""
        return Facility(tuple(machine.host for machine in self.machines))

    @property
    def workers_max(self) -> int:
        """How many workers the facility can have at most."""
        return sum(machine.workers_max for machine in self.machines)
