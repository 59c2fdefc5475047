"""Which hosts are known to need nothing, so that deciding them again can be left out.

Deciding thousands of cycles of which few change anything, most of the work is to find again that a host which keeps its
workers has nothing to do. That rests on its own domains alone: not on the time, and not on what its Worker Nodes use,
which matters only to a host that is to grow, has too little memory for what is there, or a Worker Node beyond its
maximum.
"""

from autoscaler.core.allocation import memory_for_guests_mib
from autoscaler.core.placement import Seat, seat
from autoscaler.model import DomainObservation, Host, HostDecision, HostObservation


class Rest:
    """Remembers hosts that were decided to stay as they are, by what they then looked like, and every host's seat.

    For one facility and one set of guards and limits. With it or without it, ``decide`` decides the same
    (tests/core/test_rest.py).
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], HostObservation] = {}
        self._seats: dict[str, tuple[HostObservation, Seat]] = {}

    def needs_nothing(self, observed: HostObservation, workers: int) -> bool:
        """Whether the host is known to stay as it is with so many workers wanted."""
        known = self._known.get((observed.host, workers))
        if known is observed:
            return True
        if known is None or not _alike(known, observed):
            return False
        # The very same observation is recognised at once, should it come again.
        self._known[observed.host, workers] = observed
        return True

    def note(self, host: Host, observed: HostObservation, decided: HostDecision) -> None:
        """Remember a host that was decided with known signals, if it stays as it is."""
        same = decided.wanted == decided.current == decided.granted and decided.transfer is None and not decided.cuts
        if same and decided.current is not None and _fits(host, observed):
            self._known[observed.host, decided.current] = observed

    def seat(self, host: Host, observed: HostObservation) -> Seat:
        """The host's seat, made anew only for a new observation."""
        known = self._seats.get(observed.host)
        if known is None or known[0] is not observed:
            known = self._seats[observed.host] = observed, seat(host, observed)
        return known[1]


def _fits(host: Host, observed: HostObservation) -> bool:
    """Whether nothing is larger than it may be: that is taken back as soon as what its guests use allows it."""
    within = observed.committed_mib <= memory_for_guests_mib(host, observed)
    return within and all(observed.domain(wn.name).committed_mib <= wn.memory_max_mib for wn in host.wns)


def _alike(one: HostObservation, other: HostObservation) -> bool:
    """Whether a host that needs nothing in the one needs nothing in the other either."""
    return (
        one.state == other.state
        and one.unmanaged_mib == other.unmanaged_mib
        and (one.memory_total_mib, one.cores, one.control_mib)
        == (other.memory_total_mib, other.cores, other.control_mib)
        and len(one.domains) == len(other.domains)
        and all(map(_same_domain, one.domains, other.domains))
    )


def _same_domain(one: DomainObservation, other: DomainObservation) -> bool:
    return one is other or (
        one.allocation == other.allocation
        and one.state == other.state
        and (one.memory_max_mib, one.vcpus) == (other.memory_max_mib, other.vcpus)
        and (one.asked_mib, one.start_mib) == (other.asked_mib, other.start_mib)
    )
