"""Which hosts are known to need nothing, so that deciding them again can be left out.

Deciding thousands of cycles of which few change anything, most of the work is to find again that a host which keeps its
workers has nothing to do. That rests on its own domains alone: not on the time, and not on what its Worker Nodes use,
which matters only to a host that is to grow or has too little memory for what is there.
"""

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.core.placement import Seat, seat
from autoscaler.model import DomainObservation, Host, HostDecision, HostObservation

_Key = tuple[object, ...]


class Rest:
    """Remembers hosts that were decided to stay as they are, by what they then looked like, and every host's seat.

    For one facility and one set of guards and limits. With it or without it, ``decide`` decides the same
    (tests/core/test_rest.py).
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[HostObservation, int]] = {}
        self._seats: dict[str, tuple[HostObservation, Seat]] = {}

    def workers(self, observed: HostObservation) -> int | None:
        """The workers with which the host needs nothing, ``None`` where that is not known."""
        known = self._known.get(observed.host)
        if known is None or (known[0] is not observed and _key(known[0]) != _key(observed)):
            return None
        return known[1]

    def note(self, host: Host, observed: HostObservation, decided: HostDecision) -> None:
        """Remember a host that was decided with known signals, if it stays as it is."""
        same = decided.wanted == decided.current == decided.granted and decided.transfer is None and not decided.cuts
        fits = observed.committed_mib <= memory_for_guests_mib(host, observed)
        if same and fits and decided.current is not None:
            self._known[observed.host] = observed, decided.current

    def seat(self, host: Host, observed: HostObservation) -> Seat:
        """The host's seat, made anew only for a new observation."""
        known = self._seats.get(observed.host)
        if known is None or known[0] is not observed:
            known = self._seats[observed.host] = observed, seat(host, observed)
        return known[1]


def _key(observed: HostObservation) -> _Key:
    return (
        observed.state,
        observed.unmanaged_mib,
        observed.memory_total_mib,
        observed.cores,
        observed.control_mib,
        *map(_domain_key, observed.domains),
    )


def _domain_key(domain: DomainObservation) -> _Key:
    return domain.allocation, domain.memory_max_mib, domain.vcpus, domain.asked_mib, domain.state, domain.start_mib
