"""Demand spread over hosts: thinly over all of them, with the least movement and the least harm to the batch jobs."""

import heapq
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, replace

from autoscaler.core.allocation import can_run, workers_now
from autoscaler.model import Demand, Facility, Host, HostObservation, HostState


@dataclass(frozen=True, slots=True)
class Placement:
    """Workers wanted per host, and the workers that found no place."""

    wanted: Mapping[str, int]
    unplaced: int


@dataclass(frozen=True, slots=True)
class Seat:
    """What placement needs to know of one usable host.

    ``wn_unused_mib`` is memory its batch jobs would not miss. ``strained``: one of its Worker Nodes began to swap a
    short while ago.
    """

    host: str
    current: int
    workers_min: int
    workers_max: int
    wn_unused_mib: int
    strained: bool = False


def place(
    demand: Demand,
    facility: Facility,
    observed: Iterable[HostObservation],
    *,
    quarantined: Container[str] = (),
    barred: Container[str] = (),
    strained: Container[str] = (),
    seat_of: Callable[[Host, HostObservation], Seat] | None = None,
) -> Placement:
    """Spread the demanded workers over the ready hosts; a demand to hold keeps what every host has.

    A host in a transfer counts with the workers it moves to, a late one and one in quarantine with those they have, and
    none of them gets others; an unusable host counts with none and gets none. ``seat_of`` only saves time.
    """
    known = {host.name: host for host in facility.hosts}
    seat_of = seat_of or seat
    fixed = 0
    seats = []
    for observation in observed:
        name, state = observation.host, observation.state
        if state is HostState.MOVING:
            fixed += observation.moving_to_workers or 0
        elif state is HostState.LATE or (state is HostState.READY and name in quarantined):
            fixed += seat_of(known[name], observation).current
        elif state is HostState.READY:
            own = seat_of(known[name], observation)
            if name in barred:
                own = replace(own, workers_min=0, workers_max=0)
            elif name in strained:
                own = replace(own, strained=True)
            seats.append(own)
    if demand.workers is None:
        return Placement({seat.host: seat.current for seat in seats}, 0)
    present = 0 if demand.may_shrink else sum(seat.current for seat in seats)
    return spread(max(present, demand.workers - fixed), seats)


def spread(demand: int, seats: Iterable[Seat]) -> Placement:
    """Fill the emptiest host first, empty the fullest first, starting from what every host has.

    Starting from the present keeps a host's workers where their queries run: nothing moves only to look even. A PROOF
    query is as slow as its slowest worker, so that even filling is what it wants. Ties go to the host whose Worker
    Node would miss the memory least, then by name. Strained hosts are filled last, as a guard will not let them grow,
    and emptied first.
    """
    by_name = {seat.host: seat for seat in seats}
    wanted = {name: min(max(seat.current, seat.workers_min), seat.workers_max) for name, seat in by_name.items()}
    surplus = sum(wanted.values()) - demand
    if surplus >= 0:
        _take_from_fullest(wanted, by_name, surplus)
        return Placement(wanted, 0)
    return Placement(wanted, _give_to_emptiest(wanted, by_name, -surplus))


def _give_to_emptiest(wanted: dict[str, int], seats: Mapping[str, Seat], workers: int) -> int:
    heap = [
        (seat.strained, wanted[name], -seat.wn_unused_mib, name)
        for name, seat in seats.items()
        if wanted[name] < seat.workers_max
    ]
    heapq.heapify(heap)
    while workers and heap:
        strained, _, harm, name = heapq.heappop(heap)
        wanted[name] += 1
        workers -= 1
        if wanted[name] < seats[name].workers_max:
            heapq.heappush(heap, (strained, wanted[name], harm, name))
    return workers


def _take_from_fullest(wanted: dict[str, int], seats: Mapping[str, Seat], workers: int) -> None:
    heap = [
        (not seat.strained, -wanted[name], seat.wn_unused_mib, name)
        for name, seat in seats.items()
        if wanted[name] > seat.workers_min
    ]
    heapq.heapify(heap)
    while workers and heap:
        calm, _, harm, name = heapq.heappop(heap)
        wanted[name] -= 1
        workers -= 1
        if wanted[name] > seats[name].workers_min:
            heapq.heappush(heap, (calm, -wanted[name], harm, name))


def seat(host: Host, observed: HostObservation) -> Seat:
    """What placement needs to know of a ready host."""
    wns = [observed.domain(wn.name) for wn in host.wns]
    unused = sum(wn.allocation.memory_mib - wn.used_mib for wn in wns if wn.used_mib is not None)
    current = workers_now(host, observed.domain(host.proof.name))
    most = host.proof.workers_max if can_run(host, observed.domain(host.proof.name)) else 0
    return Seat(host.name, current, min(host.proof.workers_min, most), most, unused)
