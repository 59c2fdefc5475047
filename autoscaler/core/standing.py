"""Whether a host's domains are there and do what they should."""

from collections.abc import Sequence

from autoscaler.core.allocation import can_run, memory_for_guests_mib
from autoscaler.model import DomainObservation, DomainState, Host, HostObservation


def out_of_order(host: Host, domains: Sequence[DomainObservation]) -> str | None:
    """Say which domains are missing or stand still by somebody else's hand, ``None`` when all is well."""
    return "; ".join(f"{host.name}: {_sentence(domain)}" for domain in domains if not _well(host, domain)) or None


def too_small(host: Host, observed: HostObservation) -> str | None:
    """Say that a host has less memory for guests than its domains need at least: nothing may be planned on it."""
    guests = memory_for_guests_mib(host, observed)
    least = host.proof.dormant.memory_mib + sum(wn.memory_floor_mib for wn in host.wns)
    if guests >= least:
        return None
    total = observed.memory_total_mib if host.memory_total_mib is None else host.memory_total_mib
    has = "does not say how much memory it has: set memory_total" if total is None else f"has {total} MiB in all"
    return (
        f"{host.name}: {guests} MiB are left for guests, and PROOF's dormant_memory with memory_floor of the Worker "
        f"Nodes needs {least} MiB: the host {has}, memory_reserve is {host.memory_reserve_mib} MiB"
    )


def _well(host: Host, domain: DomainObservation) -> bool:
    return can_run(host, domain) if domain.name == host.proof.name else domain.state is DomainState.RUNNING


def _sentence(domain: DomainObservation) -> str:
    match domain.state:
        case DomainState.ABSENT:
            return f"there is no domain {domain.name}: was it renamed, removed or migrated?"
        case DomainState.PAUSED:
            return f"domain {domain.name} is paused: virsh resume {domain.name}"
        case _:
            return f"domain {domain.name} is {domain.state.in_words}: virsh start {domain.name}"
