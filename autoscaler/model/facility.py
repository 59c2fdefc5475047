"""The site as it is configured: its hypervisors, and what a domain may be given."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from autoscaler.value import Value


class Allocation(Value, frozen=True):
    """What one domain has.

    ``cpu_weight`` is on Xen's credit scale (256 is the default); ``cpu_cap_cores`` is in cores, ``None`` = no cap.
    """

    memory_mib: int
    cpu_weight: int
    cpu_cap_cores: float | None = None

    def resized(self, memory_mib: int) -> "Allocation":
        """The same CPU with another memory."""
        return Allocation(memory_mib, self.cpu_weight, self.cpu_cap_cores)


class DomainState(StrEnum):
    """What a domain does, in libvirt's words; ``saved`` is shut off with a managed save image, ``absent`` unknown."""

    RUNNING = "running"
    PAUSED = "paused"
    SAVED = "saved"
    SHUT_OFF = "shut_off"
    ABSENT = "absent"

    @property
    def holds_memory(self) -> bool:
        """Whether the hypervisor holds memory for the domain."""
        return self in _HOLDING_MEMORY

    @property
    def in_words(self) -> str:
        """As libvirt says it."""
        return self.value.replace("_", " ")


# Asked for every host that is to change, and slow to look up in the enumeration.
_HOLDING_MEMORY = (DomainState.RUNNING, DomainState.PAUSED)


class ProofDomain(Value, frozen=True):
    """The PROOF domain of a host, as configured. Zero workers means ``dormant``.

    ``dormant_state`` is what it does then: run on, or be paused, saved or shut off until it is wanted.
    """

    name: str
    dormant: Allocation
    memory_per_worker_mib: int
    workers_min: int
    workers_max: int
    cpu_weight_awake: int
    dormant_state: DomainState = DomainState.RUNNING


class WnDomain(Value, frozen=True):
    """A Worker Node domain of a host, as configured.

    ``cpu_weight`` holds while PROOF is dormant, ``cpu_weight_yielding`` and ``cpu_cap_cores_yielding`` while PROOF has
    workers, but never less than ``cpu_weight_floor`` and ``cpu_cap_floor_cores``. The Worker Node never gets less than
    ``memory_floor_mib``, nor less than what it uses plus ``memory_margin_mib``; only where ``swap_down_to_mib`` is set
    may it be squeezed below that, down to there.
    """

    name: str
    memory_floor_mib: int
    memory_max_mib: int
    memory_margin_mib: int
    swap_down_to_mib: int | None
    cpu_weight: int
    cpu_weight_yielding: int
    cpu_cap_cores_yielding: float | None = None
    cpu_weight_floor: int = 16
    cpu_cap_floor_cores: float = 0.5


class Host(Value, frozen=True):
    """One hypervisor with its PROOF domain and its Worker Node domains; ``uri`` is libvirt's.

    ``memory_total_mib`` is ``None`` where what the host itself says is to count; the reserves are for Domain-0, or for
    the host's own system.
    """

    name: str
    uri: str
    memory_total_mib: int | None
    memory_reserve_mib: int
    proof: ProofDomain
    wns: tuple[WnDomain, ...]
    cpu_reserve_cores: float = 0.0

    @property
    def domain_names(self) -> tuple[str, ...]:
        """The PROOF domain first, then the Worker Nodes."""
        return (self.proof.name, *(wn.name for wn in self.wns))


@dataclass(frozen=True, slots=True)
class Facility:
    """The site's set of hypervisors, also ``by_name``."""

    hosts: tuple[Host, ...]
    by_name: Mapping[str, Host] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look through the hosts once: every cycle asks for each of them."""
        object.__setattr__(self, "by_name", {host.name: host for host in self.hosts})

    def host(self, name: str) -> Host:
        """Return the host called ``name``; raises ``KeyError``."""
        return self.by_name[name]
