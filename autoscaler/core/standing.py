"""Whether a host's domains are there and do what they should."""

from collections.abc import Sequence

from autoscaler.core.allocation import can_run
from autoscaler.model import DomainObservation, DomainState, Host


def out_of_order(host: Host, domains: Sequence[DomainObservation]) -> str | None:
    """Say which domains are missing or stand still by somebody else's hand, ``None`` when all is well."""
    return "; ".join(f"{host.name}: {_sentence(domain)}" for domain in domains if not _well(host, domain)) or None


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
