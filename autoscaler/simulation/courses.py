"""How transfers went on a machine, so that one that goes the same way again need not be reckoned.

A host has a handful of sizes and comes back to them thousands of times a year.
"""

from collections.abc import Mapping

from autoscaler.model import Host, HostObservation, Transfer
from autoscaler.simulation.constants import Physics
from autoscaler.simulation.movement import Movement, movement

# Of a host; real jobs use any part of a core, and no two of their courses are alike.
COURSES = 100

# Workers before and after, and what the work in each domain would use.
_Key = tuple[float, ...]


class Courses:
    """Remembers the movements of one machine that took nothing of what its guests use.

    With it or without it, a movement is the same (tests/simulation/test_courses.py).
    """

    def __init__(self, host: Host, physics: Physics) -> None:
        self._host, self._physics = host, physics
        self._known: dict[_Key, tuple[Transfer, Movement]] = {}

    def of(self, observed: HostObservation, transfer: Transfer, busy_cores: Mapping[str, float]) -> Movement:
        """What ``movement`` says of a transfer that was planned for what is observed."""
        key = (transfer.workers_from, transfer.workers_to, *busy_cores.values())
        known = self._known.get(key)
        # The very same transfer comes again only for a host that is as it was, but for what its guests use.
        if known is not None and known[0] is transfer and _spares_what_is_used(observed, known[1]):
            return known[1]
        course = movement(self._host, observed, transfer, self._physics, busy_cores)
        if _spares_what_is_used(observed, course):
            self._remember(key, transfer, course)
        return course

    def _remember(self, key: _Key, transfer: Transfer, course: Movement) -> None:
        if len(self._known) == COURSES and key not in self._known:
            del self._known[next(iter(self._known))]
        self._known[key] = transfer, course


def _spares_what_is_used(observed: HostObservation, course: Movement) -> bool:
    """Whether each domain is left with all that it uses: how much that is makes no difference then."""
    for domain in observed.domains:
        if domain.used_mib is not None and domain.used_mib > course.left[domain.name].memory_mib:
            return False
    return True
