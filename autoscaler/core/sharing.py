"""What the Worker Nodes of a host get of the memory that PROOF does not hold."""

from collections.abc import Mapping

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB, wn_floor_mib
from autoscaler.model import DomainState, Host, HostObservation, WnDomain
from autoscaler.value import Value


class Room(Value, frozen=True):
    """A running Worker Node: its size now, and how small and how large it may become."""

    name: str
    present_mib: int
    least_mib: int
    most_mib: int


def share(host: Host, observed: HostObservation, rest_mib: int) -> Mapping[str, int]:
    """Divide ``rest_mib`` among the Worker Nodes; return the size each one that runs is to have, MiB by name.

    It starts from the present, so that nothing moves among them while PROOF keeps its size. What is to be given is
    taken from each in proportion to what it can spare, what comes back is given in proportion to what each lacks of
    its maximum. None is brought below what it needs now, nor left below its floor, whatever the rest is.
    """
    running = [_room(wn, observed) for wn in host.wns if observed.domain(wn.name).state is DomainState.RUNNING]
    more_mib = rest_mib - asleep_mib(host, observed) - sum(room.present_mib for room in running)
    if more_mib < 0:
        gives = _proportional(-more_mib, [room.present_mib - room.least_mib for room in running])
        return {room.name: room.present_mib - give for room, give in zip(running, gives, strict=True)}
    takes = _proportional(more_mib, [room.most_mib - room.present_mib for room in running])
    return {room.name: room.present_mib + take for room, take in zip(running, takes, strict=True)}


def asleep_mib(host: Host, observed: HostObservation) -> int:
    """What is kept for the Worker Nodes that do not run."""
    asleep = [wn for wn in host.wns if observed.domain(wn.name).state is not DomainState.RUNNING]
    return sum(wn_floor_mib(wn, observed) or 0 for wn in asleep)


def _room(wn: WnDomain, observed: HostObservation) -> Room:
    domain, floor = observed.domain(wn.name), wn_floor_mib(wn, observed)
    has, taken = domain.allocation.memory_mib, domain.committed_mib
    # One that rests a little below what it was asked for has that; nobody else can be given the difference.
    has = taken if taken - has <= BALLOON_TOLERANCE_MIB else has
    least = max(has if floor is None else min(has, floor), wn.memory_floor_mib)
    most = max(min(wn.memory_max_mib, domain.memory_max_mib), least)
    return Room(wn.name, min(max(has, least), most), least, most)


def _proportional(amount: int, limits: list[int]) -> list[int]:
    """Parts of ``amount`` in proportion to ``limits`` and within them; together no more than they allow.

    A little is not divided: each part would be too small for a balloon to move, and nothing would.
    """
    if amount <= BALLOON_TOLERANCE_MIB * len(limits):
        return _from_the_largest(amount, limits)
    left, parts = min(amount, sum(limits)), []
    for number, limit in enumerate(limits):
        # Rounded up, and the later ones share what is left: nothing is lost to rounding.
        remaining = sum(limits[number:])
        part = min(limit, -(-left * limit // remaining)) if remaining else 0
        parts.append(part)
        left -= part
    return parts


def _from_the_largest(amount: int, limits: list[int]) -> list[int]:
    parts = [0] * len(limits)
    for number in sorted(range(len(limits)), key=limits.__getitem__, reverse=True):
        parts[number] = min(limits[number], amount - sum(parts))
    return parts
