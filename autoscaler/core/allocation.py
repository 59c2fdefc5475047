"""Workers to memory and CPU, and back: the one place that knows what a worker costs."""

from autoscaler.model import Allocation, DomainObservation, Host, HostObservation

# A balloon settles within a few pages of what was asked for; a smaller difference is not worth a transfer.
BALLOON_TOLERANCE_MIB = 8


def proof_memory_mib(host: Host, workers: int) -> int:
    """Memory of the PROOF domain with so many workers, in MiB."""
    return host.proof.dormant.memory_mib + workers * host.proof.memory_per_worker_mib


def workers_fitting(host: Host, memory_mib: int) -> int:
    """How many whole workers a PROOF domain of this size holds; never negative."""
    return max(0, (memory_mib - host.proof.dormant.memory_mib) // host.proof.memory_per_worker_mib)


def workers_now(host: Host, proof: DomainObservation) -> int:
    """How many workers the PROOF domain has, by the memory read back."""
    return workers_fitting(host, proof.allocation.memory_mib + BALLOON_TOLERANCE_MIB)


def proof_allocation(host: Host, workers: int) -> Allocation:
    """The PROOF domain with so many workers: their memory, their cores as the cap, a high weight once awake."""
    if workers == 0:
        return host.proof.dormant
    return Allocation(proof_memory_mib(host, workers), host.proof.cpu_weight_awake, float(workers))


def wn_allocation(host: Host, workers: int, observed: HostObservation) -> Allocation:
    """The Worker Node gets the rest of the memory, and its floor even where domains that are not ours took the rest.

    It has no cap: a cap wastes an idle core, a weight does not. Its weight yields while PROOF has workers.
    """
    proof, goal_mib = observed.domain(host.proof.name), proof_memory_mib(host, workers)
    # A balloon that rests a little off its goal is left there, and holds what it holds.
    held_mib = proof.committed_mib if settled(proof, goal_mib) else goal_mib
    rest = host.memory_for_guests_mib - observed.unmanaged_mib - held_mib
    maximum = min(host.wn.memory_max_mib, observed.domain(host.wn.name).memory_max_mib)
    weight = host.wn.cpu_weight_yielding if workers else host.wn.cpu_weight
    return Allocation(min(max(rest, host.wn.memory_floor_mib), maximum), weight, None)


def settled(domain: DomainObservation, memory_mib: int) -> bool:
    """Whether a domain is at this size, by what is observed and by what was asked for."""
    sizes = (domain.allocation.memory_mib, domain.committed_mib)
    return all(abs(memory_mib - size) <= BALLOON_TOLERANCE_MIB for size in sizes)


def wn_floor_mib(host: Host, observed: HostObservation) -> int | None:
    """The least memory the Worker Node may be brought to now, ``None`` when its use is unknown and it must not swap."""
    if host.wn.may_swap:
        return host.wn.memory_floor_mib
    used = observed.domain(host.wn.name).used_mib
    return None if used is None else max(host.wn.memory_floor_mib, used + host.wn.memory_margin_mib)


def same_cpu(one: Allocation, other: Allocation, vcpus: int) -> bool:
    """Whether two allocations mean the same CPU; a cap of all the domain's vCPUs or more is no cap."""
    return one.cpu_weight == other.cpu_weight and _effective_cap(one, vcpus) == _effective_cap(other, vcpus)


def _effective_cap(allocation: Allocation, vcpus: int) -> float:
    cap = allocation.cpu_cap_cores
    return float(vcpus) if cap is None else round(min(cap, vcpus), 2)
