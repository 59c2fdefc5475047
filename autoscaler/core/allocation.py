"""Workers to memory and CPU, and back: the one place that knows what a worker costs, and what a host has to give."""

import math

from autoscaler.model import Allocation, DomainObservation, DomainState, Host, HostObservation, WnDomain

# A balloon settles within a few pages of what was asked for; a smaller difference is not worth a transfer.
BALLOON_TOLERANCE_MIB = 8

# A hypervisor keeps a cap as a quota of whole microseconds for each vCPU.
CAP_TOLERANCE_CORES = 0.02

# Looked up for every domain in every cycle, and slow to look up in the enumeration.
_RUNNING = DomainState.RUNNING


def memory_for_guests_mib(host: Host, observed: HostObservation) -> int:
    """What all domains together may hold: the machine's memory less the reserve of Domain-0 or the host itself.

    The configured total counts only where the machine has as much; a Domain-0 larger than its reserve takes the more.
    """
    configured, seen = host.memory_total_mib, observed.memory_total_mib
    total = seen if configured is None or (seen is not None and seen < configured) else configured
    reserve, control = host.memory_reserve_mib, observed.control_mib
    left = (total or 0) - (control if control > reserve else reserve)
    return left if left > 0 else 0


def cores_for_guests(host: Host, observed: HostObservation) -> float:
    """The cores that domains may use: the machine's less the reserve; infinite where it does not say."""
    return math.inf if observed.cores is None else max(0.0, observed.cores - host.cpu_reserve_cores)


def proof_memory_mib(host: Host, workers: int) -> int:
    """Memory of the running PROOF domain with so many workers, in MiB."""
    return host.proof.dormant.memory_mib + workers * host.proof.memory_per_worker_mib


def proof_held_mib(host: Host, workers: int) -> int:
    """Memory to keep for PROOF with so many workers: none without workers where it is then saved or shut off."""
    asleep = workers == 0 and not host.proof.dormant_state.holds_memory
    return 0 if asleep else proof_memory_mib(host, workers)


def proof_needs_mib(host: Host, observed: HostObservation, workers: int) -> int:
    """Memory that must be free for PROOF on the way to so many workers, too: a start may take more than its goal.

    It cannot do with less, and each Worker Node may come to rest a little above what was asked of it.
    """
    proof = observed.domain(host.proof.name)
    if not workers or proof.state.holds_memory:
        return proof_held_mib(host, workers)
    return max(proof_held_mib(host, workers), proof.start_mib + BALLOON_TOLERANCE_MIB * len(host.wns))


def workers_fitting(host: Host, memory_mib: int) -> int:
    """How many whole workers a PROOF domain of this size holds; never negative."""
    fitting = (memory_mib - host.proof.dormant.memory_mib) // host.proof.memory_per_worker_mib
    return fitting if fitting > 0 else 0


def workers_now(host: Host, proof: DomainObservation) -> int:
    """How many workers the PROOF domain has, by the memory read back; none unless it runs."""
    if proof.state is not _RUNNING:
        return 0
    return workers_fitting(host, proof.allocation.memory_mib + BALLOON_TOLERANCE_MIB)


def can_run(host: Host, proof: DomainObservation) -> bool:
    """Whether PROOF runs, or is asleep by our own hand; one that somebody else stopped is not started."""
    if proof.state is _RUNNING:
        return True
    return proof.state is not DomainState.ABSENT and host.proof.dormant_state is not DomainState.RUNNING


def proof_allocation(host: Host, workers: int) -> Allocation:
    """The PROOF domain with so many workers: their memory, their cores as the cap, a high weight once awake."""
    if workers == 0:
        return host.proof.dormant
    return Allocation(proof_memory_mib(host, workers), host.proof.cpu_weight_awake, float(workers))


def wn_cpu(host: Host, wn: WnDomain, workers: int, observed: HostObservation) -> tuple[int, float | None]:
    """Weight and cap of a Worker Node beside so many PROOF workers, never below its floors.

    Without a configured cap it has none: a cap wastes an idle core, a weight does not. Only a reserve of cores caps it.
    """
    weight = wn.cpu_weight_yielding if workers else wn.cpu_weight
    caps = [wn.cpu_cap_cores_yielding] if workers and wn.cpu_cap_cores_yielding is not None else []
    if host.cpu_reserve_cores:
        caps.append(cores_for_guests(host, observed))
    cap = min(caps, default=math.inf)
    return max(weight, wn.cpu_weight_floor), None if math.isinf(cap) else max(cap, wn.cpu_cap_floor_cores)


def settled(domain: DomainObservation, memory_mib: int) -> bool:
    """Whether a domain is at this size, by what is observed and by what was asked for."""
    observed, committed = domain.allocation.memory_mib, domain.committed_mib
    return abs(memory_mib - observed) <= BALLOON_TOLERANCE_MIB and abs(memory_mib - committed) <= BALLOON_TOLERANCE_MIB


def wn_floor_mib(wn: WnDomain, observed: HostObservation) -> int | None:
    """The least memory a Worker Node may be brought to now, ``None`` when its use is unknown and it must not swap.

    One that does not run keeps its floor, so that there is room when it is started again. A paused one keeps what it
    was asked for, too: it goes on growing when it is resumed.
    """
    domain = observed.domain(wn.name)
    if domain.state is not _RUNNING:
        return max(wn.memory_floor_mib, domain.committed_mib if domain.state.holds_memory else 0)
    needs = None if domain.used_mib is None else domain.used_mib + wn.memory_margin_mib
    if wn.swap_down_to_mib is not None and (needs is None or needs > wn.swap_down_to_mib):
        needs = wn.swap_down_to_mib
    if needs is None or needs > wn.memory_floor_mib:
        return needs
    return wn.memory_floor_mib


def same_cpu(one: Allocation, other: Allocation, vcpus: int) -> bool:
    """Whether two allocations mean the same CPU; a cap of all the domain's vCPUs or more is no cap."""
    if one.cpu_weight != other.cpu_weight:
        return False
    return abs(_effective_cap(one, vcpus) - _effective_cap(other, vcpus)) < CAP_TOLERANCE_CORES


def cap_cores(allocation: Allocation) -> float:
    """A cap in numbers that can be compared: infinite where there is none."""
    return math.inf if allocation.cpu_cap_cores is None else allocation.cpu_cap_cores


def _effective_cap(allocation: Allocation, vcpus: int) -> float:
    return min(cap_cores(allocation), float(vcpus))
