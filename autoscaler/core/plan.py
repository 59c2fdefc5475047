"""From granted workers to one host's ordered steps: donors shrink, acceptors grow, weights and caps last."""

from dataclasses import replace

from autoscaler.core.allocation import proof_allocation, same_cpu, settled, wn_allocation, wn_floor_mib
from autoscaler.model import Allocation, DomainObservation, Host, HostObservation, Step, StepKind, Transfer


def plan(host: Host, observed: HostObservation, current: int, granted: int) -> Transfer | None:
    """Return the transfer that brings the host to ``granted`` workers, ``None`` when it is there already.

    A domain without CPU cannot inflate its balloon, so the donor keeps its weight until its memory is given.
    """
    proof, wn = observed.domain(host.proof.name), observed.domain(host.wn.name)
    wn_target = _spared(host, observed, wn_allocation(host, granted, observed))
    left = host.memory_for_guests_mib - observed.unmanaged_mib - wn_target.memory_mib
    targets = ((proof, _within(left, proof, proof_allocation(host, granted))), (wn, wn_target))
    memory = [step for domain, target in targets if (step := _memory_step(domain, target)) is not None]
    cpu = [step for domain, target in targets if (step := _cpu_step(domain, target)) is not None]
    steps = (*sorted(memory, key=lambda step: step.kind is StepKind.GROW), *cpu)
    if not steps:
        return None
    return Transfer(host.name, current, granted, host.memory_for_guests_mib, steps)


def _spared(host: Host, observed: HostObservation, target: Allocation) -> Allocation:
    """The Worker Node keeps what it uses, also when memory is only put right (after a change by hand, at adoption)."""
    present = observed.domain(host.wn.name).allocation.memory_mib
    floor = wn_floor_mib(host, observed)
    return replace(target, memory_mib=max(target.memory_mib, present if floor is None else min(present, floor)))


def _within(left_mib: int, domain: DomainObservation, target: Allocation) -> Allocation:
    """A domain grows only into what is left; it is not shrunk for it."""
    return replace(target, memory_mib=min(target.memory_mib, max(left_mib, domain.allocation.memory_mib)))


def _memory_step(domain: DomainObservation, target: Allocation) -> Step | None:
    if settled(domain, target.memory_mib):
        return None
    # An unfinished growth beyond the target is taken back first, even where the domain is still below the target.
    kind = StepKind.SHRINK if target.memory_mib < domain.committed_mib else StepKind.GROW
    return Step(kind, domain.name, domain.allocation, replace(domain.allocation, memory_mib=target.memory_mib))


def _cpu_step(domain: DomainObservation, target: Allocation) -> Step | None:
    if same_cpu(domain.allocation, target, domain.vcpus):
        return None
    return Step(StepKind.CPU, domain.name, domain.allocation, replace(target, memory_mib=domain.allocation.memory_mib))
