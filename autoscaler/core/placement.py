"""Demand spread over hosts: thinly over all of them, with the least movement and the least harm to the batch jobs."""

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from autoscaler.core.allocation import can_run, workers_now
from autoscaler.core.calendar import NO_FREEZE, CalendarEntry, Freeze
from autoscaler.core.orders import NO_ORDERS, HostOrders
from autoscaler.model import Demand, Facility, Host, HostObservation, HostState
from autoscaler.value import Value


class Placement(Value, frozen=True):
    """Workers wanted per host, the workers that found no place, and how the calendar limited some hosts, in words."""

    wanted: Mapping[str, int]
    unplaced: int
    told: tuple[str, ...] = ()


# Looked up for every host that has changed, and slow to look up in the enumeration.
_READY = HostState.READY

# What a seat is in the heap of those that are filled, or emptied: its order, its name, and where that ends.
_Turn = tuple[bool, int, int, str, int]


# Not frozen, as one is made for each host that has changed, and that takes several times as long.
@dataclass(slots=True)
class Seat:
    """What placement needs to know of one usable host.

    ``wn_unused_mib`` is memory its batch jobs would not miss. ``strained``: one of its Worker Nodes began to swap a
    short while ago. ``kept`` is as many of its present workers as it may have; ``filling`` and ``emptying`` are its
    turn when workers are given or taken, ``None`` where it can have no more, or no fewer.
    """

    host: str
    current: int
    workers_min: int
    workers_max: int
    wn_unused_mib: int
    strained: bool = False
    kept: int = field(init=False)
    filling: _Turn | None = field(init=False)
    emptying: _Turn | None = field(init=False)

    def __post_init__(self) -> None:
        """Reckon once what every cycle begins with."""
        least, most, unused = self.workers_min, self.workers_max, self.wn_unused_mib
        self.kept = kept = min(max(self.current, least), most)
        self.filling = (self.strained, kept, -unused, self.host, most) if kept < most else None
        self.emptying = (not self.strained, -kept, unused, self.host, least) if kept > least else None


SeatsOf = Callable[[Facility, Sequence[HostObservation]], Sequence[Seat | None]]


def place(
    demand: Demand,
    facility: Facility,
    observed: Sequence[HostObservation],
    *,
    quarantined: Collection[str] = (),
    barred: Collection[str] = (),
    strained: Collection[str] = (),
    orders: Mapping[str, HostOrders] = MappingProxyType({}),
    freezes: Mapping[str, Freeze] = MappingProxyType({}),
    entries: Sequence[CalendarEntry] = (),
    seats_of: SeatsOf | None = None,
) -> Placement:
    """Spread the demanded workers over the ready hosts; a demand to hold keeps what every host has.

    A host in a transfer counts with the workers it moves to, a late one and one in quarantine with those they have, and
    none of them gets others; an unusable host counts with none and gets none. A host gets what ``orders`` and
    ``freezes`` let it have, hosts together what the ``entries`` of the calendar do, and the others the rest.
    ``seats_of`` only saves time.
    """
    found = (seats_of or seats_in)(facility, observed)
    if quarantined:
        found = [None if own is None or own.host in quarantined else own for own in found]
    seats = [own for own in found if own is not None]
    fixed: dict[str, int] = {}
    if len(seats) < len(observed):
        fixed = {each.host: _fixed(facility, each) for each, own in zip(observed, found, strict=True) if own is None}
    if barred or strained:
        seats = [_restricted(seat, barred, strained) for seat in seats]
    if orders or freezes:
        seats = [_ordered(seat, orders.get(seat.host, NO_ORDERS), freezes.get(seat.host, NO_FREEZE)) for seat in seats]
    if demand.workers is None:
        return Placement({seat.host: seat.current for seat in seats}, 0)
    present = 0 if demand.may_shrink else sum([seat.current for seat in seats])
    placement = spread(max(present, demand.workers - sum(fixed.values())), seats)
    for entry in entries:
        if entry.hosts is not None:
            placement = _within(placement, entry, seats, fixed, may_shrink=demand.may_shrink)
    return placement


def _fixed(facility: Facility, observed: HostObservation) -> int:
    """The workers that a host without a part in the placement counts with."""
    match observed.state:
        case HostState.MOVING:
            return observed.moving_to_workers or 0
        case HostState.LATE | HostState.READY:
            return seat(facility.by_name[observed.host], observed).current
        case HostState.UNUSABLE:
            return 0


def _restricted(seat: Seat, barred: Collection[str], strained: Collection[str]) -> Seat:
    if seat.host in barred:
        return replace(seat, workers_min=0, workers_max=0)
    return replace(seat, strained=True) if seat.host in strained else seat


def _within(
    placement: Placement, entry: CalendarEntry, seats: Sequence[Seat], fixed: Mapping[str, int], *, may_shrink: bool
) -> Placement:
    """The placement with as many workers on the entry's hosts as it lets them have; what they lose, others get."""
    hosts, wanted = entry.hosts or frozenset(), placement.wanted
    placed = [replace(seat, current=wanted[seat.host]) for seat in seats]
    inside = [seat for seat in placed if seat.host in hosts]
    outside = [seat for seat in placed if seat.host not in hosts]
    others = sum(workers for host, workers in fixed.items() if host in hosts)
    now = sum(seat.current for seat in inside)
    goal = entry.limited(others + now) - others
    if not may_shrink:
        goal = max(goal, min(now, sum(seat.current for seat in seats if seat.host in hosts)))
    if goal == now:
        return placement
    found = spread(goal, inside)
    lost = now - sum(found.wanted.values())
    elsewhere = spread(sum(seat.current for seat in outside) + max(0, lost), outside)
    told = (*placement.told, entry.in_words(others + now))
    return Placement({**found.wanted, **elsewhere.wanted}, placement.unplaced + elsewhere.unplaced, told)


def _ordered(seat: Seat, orders: HostOrders, freeze: Freeze) -> Seat:
    """The seat of a host of which people or the calendar may have said something.

    One that is set to so many workers is placed as if it had them. One that may not grow has room for none more, one
    that may not shrink none to spare.
    """
    if orders.override is not None:
        workers = min(orders.override.workers, seat.workers_max)
        if orders.pause_of(workers - seat.current) is not None:
            workers = seat.current
        return replace(seat, current=workers, workers_min=workers, workers_max=workers)
    least, most = seat.workers_min, seat.workers_max
    if orders.growing is not None or freeze.growing is not None:
        most = min(most, seat.current)
        least = min(least, most)
    if orders.shrinking is not None or freeze.shrinking is not None:
        least = max(least, seat.current)
        most = max(most, least)
    return replace(seat, workers_min=least, workers_max=most)


def spread(demand: int, seats: Sequence[Seat]) -> Placement:
    """Fill the emptiest host first, empty the fullest first, starting from what every host has.

    Starting from the present keeps a host's workers where their queries run: nothing moves only to look even. A PROOF
    query is as slow as its slowest worker, so that even filling is what it wants. Ties go to the host whose Worker
    Node would miss the memory least, then by name. Strained hosts are filled last, as a guard will not let them grow,
    and emptied first.
    """
    wanted = {seat.host: seat.kept for seat in seats}
    surplus = sum(wanted.values()) - demand
    if surplus > 0:
        _take_from_fullest(wanted, seats, surplus)
    unplaced = _give_to_emptiest(wanted, seats, -surplus) if surplus < 0 else 0
    return Placement(wanted, unplaced)


def _give_to_emptiest(wanted: dict[str, int], seats: Iterable[Seat], workers: int) -> int:
    heap = [seat.filling for seat in seats if seat.filling is not None]
    heapq.heapify(heap)
    while workers and heap:
        strained, has, harm, name, most = heap[0]
        wanted[name] = has + 1
        workers -= 1
        if has + 1 < most:
            heapq.heapreplace(heap, (strained, has + 1, harm, name, most))
        else:
            heapq.heappop(heap)
    return workers


def _take_from_fullest(wanted: dict[str, int], seats: Iterable[Seat], workers: int) -> None:
    heap = [seat.emptying for seat in seats if seat.emptying is not None]
    heapq.heapify(heap)
    while workers and heap:
        calm, lacks, harm, name, least = heap[0]
        wanted[name] = -lacks - 1
        workers -= 1
        if wanted[name] > least:
            heapq.heapreplace(heap, (calm, lacks + 1, harm, name, least))
        else:
            heapq.heappop(heap)


def seats_in(facility: Facility, observed: Iterable[HostObservation]) -> list[Seat | None]:
    """The seat of each host, ``None`` for one that is not ready: it has no part in the placement."""
    return [seat_of(facility, each) for each in observed]


def seat_of(facility: Facility, observed: HostObservation) -> Seat | None:
    """The seat of a host, if it is ready."""
    return seat(facility.by_name[observed.host], observed) if observed.state is _READY else None


def seat(host: Host, observed: HostObservation) -> Seat:
    """What placement needs to know of a ready host."""
    unused = 0
    for each in host.wns:
        wn = observed.domain(each.name)
        unused += 0 if wn.used_mib is None else wn.allocation.memory_mib - wn.used_mib
    proof = observed.domain(host.proof.name)
    current, most = workers_now(host, proof), host.proof.workers_max if can_run(host, proof) else 0
    return Seat(host.name, current, min(host.proof.workers_min, most), most, unused)
