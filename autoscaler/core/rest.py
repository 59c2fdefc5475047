"""What is known of hosts from earlier cycles, so that deciding it again can be left out.

Deciding thousands of cycles of which few change anything, most of the work is to find again that a host which keeps its
workers has nothing to do. That rests on its own domains alone: not on the time, and not on what its Worker Nodes use,
which matters only to a host that is to grow, has too little memory for what is there, or a Worker Node beyond its
maximum. How a host comes to other workers rests on the same, and on how small its Worker Nodes may become.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress, count
from operator import attrgetter, is_not

from autoscaler.core.allocation import memory_for_guests_mib, wn_floor_mib
from autoscaler.core.placement import Seat, seat_of, seats_in
from autoscaler.core.plan import plan
from autoscaler.model import Facility, Host, HostDecision, HostObservation, Transfer

# A host by its name, and its workers.
_Key = tuple[str, int | None]

# What a host looked like when a transfer was planned, the floors of its Worker Nodes, and the transfer.
_Planned = tuple[HostObservation, list[int | None], Transfer | None]

# A policy finds the same words again for the same load: so many of them are kept.
REASONS = 100


class Rest:
    """Remembers hosts that were decided to stay as they are, and transfers, by what the hosts looked like then.

    For one facility and one set of guards and limits. With it or without it, ``decide`` decides the same
    (tests/core/test_rest.py).
    """

    def __init__(self) -> None:
        self._resting: dict[_Key, HostObservation] = {}
        self._said: dict[str, dict[_Key, HostDecision]] = {}
        self._planned: dict[tuple[str, int, int], _Planned] = {}
        self._hosts: Sequence[HostObservation] = ()
        self._seats: list[Seat | None] = []

    def resting(
        self, hosts: Iterable[HostObservation], wanted: Mapping[str, int], reason: str
    ) -> dict[str, HostDecision]:
        """The decisions of hosts that are known to stay as they are with the workers that are wanted, by name."""
        found, resting, said = {}, self._resting, self._said_with(reason)
        for observed in hosts:
            name = observed.host
            key = name, wanted.get(name)
            # The very same observation is recognised at once.
            if resting.get(key) is observed or self._recognises(key, observed):
                found[name] = said.get(key) or _say(said, key, reason)
        return found

    def _recognises(self, key: _Key, observed: HostObservation) -> bool:
        """Whether a host with these workers looks as one that was at rest; then so does it when it comes again."""
        known = self._resting.get(key)
        if known is None or not _alike(known, observed):
            return False
        self._resting[key] = observed
        return True

    def _said_with(self, reason: str) -> dict[_Key, HostDecision]:
        """The decisions to leave a host as it is that were made with this reason, of the latest reasons."""
        if reason not in self._said:
            if len(self._said) == REASONS:
                del self._said[next(iter(self._said))]
            self._said[reason] = {}
        return self._said[reason]

    def note(self, host: Host, observed: HostObservation, decided: HostDecision) -> None:
        """Remember a host that was decided with known signals, if it stays as it is."""
        same = decided.wanted == decided.current == decided.granted and decided.transfer is None and not decided.cuts
        if same and decided.current is not None and _fits(host, observed):
            self._resting[observed.host, decided.current] = observed

    def plan(self, host: Host, observed: HostObservation, current: int, granted: int) -> Transfer | None:
        """What ``plan`` plans: what guests use counts there only for the floors of the Worker Nodes.

        The very same transfer comes back only for a host that looks the same, but for what its guests use.
        """
        key, floors = (observed.host, current, granted), [wn_floor_mib(wn, observed) for wn in host.wns]
        known = self._planned.get(key)
        if known is None or known[1] != floors or not _alike(known[0], observed):
            known = self._planned[key] = observed, floors, plan(host, observed, current, granted)
        return known[2]

    def seats(self, facility: Facility, observed: Sequence[HostObservation]) -> list[Seat | None]:
        """What ``seats_in`` says, made anew only for new observations."""
        if len(observed) != len(self._hosts):
            self._seats = seats_in(facility, observed)
        else:
            for number in compress(count(), map(is_not, self._hosts, observed)):
                self._seats[number] = seat_of(facility, observed[number])
        self._hosts = observed
        return self._seats


def _say(said: dict[_Key, HostDecision], key: _Key, reason: str) -> HostDecision:
    name, workers = key
    said[key] = HostDecision(name, workers, workers, workers, reason)
    return said[key]


def _fits(host: Host, observed: HostObservation) -> bool:
    """Whether nothing is larger than it may be: that is taken back as soon as what its guests use allows it."""
    within = observed.committed_mib <= memory_for_guests_mib(host, observed)
    return within and all(observed.domain(wn.name).committed_mib <= wn.memory_max_mib for wn in host.wns)


def _alike(one: HostObservation, other: HostObservation) -> bool:
    """Whether the two differ in nothing that counts for a host at rest: it needs nothing in the other either."""
    if _of_the_host(one) != _of_the_host(other) or len(one.domains) != len(other.domains):
        return False
    # No calls for each domain: this is asked of every host that has changed, in every cycle.
    for mine, its in zip(one.domains, other.domains, strict=True):
        if mine is not its and _of_the_domain(mine) != _of_the_domain(its):
            return False
    return True


# What counts, as tuples: they are compared at once, and what is the same object is not looked into.
_of_the_host = attrgetter("state", "unmanaged_mib", "memory_total_mib", "cores", "control_mib")
_of_the_domain = attrgetter("allocation", "state", "memory_max_mib", "vcpus", "asked_mib", "start_mib")
