"""A host after a transfer that was carried out at once and in full, and what a controller remembers of it then."""

from dataclasses import replace
from datetime import datetime

from autoscaler.core.allocation import memory_for_guests_mib, proof_held_mib, proof_memory_mib
from autoscaler.core.quarantine import tried
from autoscaler.core.sharing import share
from autoscaler.model import (
    Allocation,
    DomainObservation,
    DomainState,
    Host,
    HostObservation,
    HostState,
    HostTimers,
    Step,
    StepKind,
    Transfer,
)


def after(observed: HostObservation, transfer: Transfer) -> HostObservation:
    """Return the host as it is read back when every step of the transfer did what it was to do."""
    domains = {domain.name: domain for domain in observed.domains}
    for step in transfer.steps:
        domains[step.domain] = _stepped(domains[step.domain], step)
    return replace(observed, domains=tuple(domains.values()))


def _stepped(domain: DomainObservation, step: Step) -> DomainObservation:
    has = domain.allocation
    match step.kind:
        case StepKind.LEND | StepKind.CPU:
            return replace(domain, allocation=replace(step.after, memory_mib=has.memory_mib))
        case StepKind.SHRINK | StepKind.GROW:
            return replace(domain, allocation=replace(has, memory_mib=step.after.memory_mib), asked_mib=None)
        case StepKind.WAKE:
            memory_mib = has.memory_mib if domain.state.holds_memory else domain.start_mib
            awake = replace(has, memory_mib=memory_mib)
            return replace(domain, allocation=awake, state=DomainState.RUNNING, start_mib=0, asked_mib=None)
        case StepKind.SLEEP:
            return domain if step.state is None else _asleep(domain, step.state)


def _asleep(domain: DomainObservation, state: DomainState) -> DomainObservation:
    if state.holds_memory:
        return replace(domain, state=state)
    off = replace(domain.allocation, memory_mib=0)
    return replace(domain, allocation=off, state=state, start_mib=domain.allocation.memory_mib, asked_mib=None)


def remembered(timers: HostTimers, transfer: Transfer, at: datetime) -> HostTimers:
    """Return what the store keeps of a host when this transfer was decided ``at`` then and carried out.

    As in the store, a change of no workers starts no timer; a domain that was tried in quarantine has moved.
    """
    quarantine = timers.quarantine
    if quarantine is not None and tried(transfer) == quarantine.domain:
        quarantine = None
    grew_at = at if transfer.workers_to > transfer.workers_from else timers.grew_at
    shrank_at = at if transfer.workers_to < transfer.workers_from else timers.shrank_at
    return HostTimers(timers.host, grew_at, shrank_at, timers.strained_at, quarantine)


def dormant(host: Host) -> HostObservation:
    """Return a host that nobody has looked at yet: no workers, and the Worker Nodes have all the memory there is.

    What its guests use is unknown; its domains are as large, and the machine has as many cores, as the configuration
    may ask for.
    """
    proof = host.proof
    state = proof.dormant_state
    held_mib = proof.dormant.memory_mib if state.holds_memory else 0
    domains = [
        DomainObservation(
            proof.name,
            replace(proof.dormant, memory_mib=held_mib),
            proof_memory_mib(host, proof.workers_max),
            proof.workers_max,
            0.0,
            state=state,
            start_mib=0 if state.holds_memory else proof.dormant.memory_mib,
        )
    ]
    domains += [
        DomainObservation(
            wn.name, Allocation(wn.memory_floor_mib, wn.cpu_weight), wn.memory_max_mib, proof.workers_max, 0.0
        )
        for wn in host.wns
    ]
    return _filled(host, HostObservation(host.name, HostState.READY, tuple(domains)))


def _filled(host: Host, observed: HostObservation) -> HostObservation:
    rest_mib = memory_for_guests_mib(host, observed) - proof_held_mib(host, 0)
    sizes = share(host, observed, rest_mib)
    domains = [
        replace(domain, allocation=replace(domain.allocation, memory_mib=sizes[domain.name]))
        if domain.name in sizes
        else domain
        for domain in observed.domains
    ]
    return replace(observed, domains=tuple(domains))
