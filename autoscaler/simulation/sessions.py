"""PROOF sessions: they wait first come, first served for all their workers, hold them, and leave when done.

PROOF's packetizer gives each worker the next piece of data when it asks for it, so that a session is as fast as its
workers together. All readers of the storage share what it gives: beyond that, more workers bring nothing.
"""

from array import array
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

import numpy as np

from autoscaler.simulation.agenda import Agenda
from autoscaler.simulation.machine import Site
from autoscaler.simulation.meter import Meter
from autoscaler.simulation.run import Course, Served
from autoscaler.simulation.workload import Session


class _Running:
    """A session that has its workers: ``left_s`` of its run time at full speed, and at which speed it goes on."""

    __slots__ = ("at_s", "left_s", "number", "places", "speed", "start_s", "version", "workers")

    def __init__(self, number: int, at_s: float, run_s: float, places: dict[Site, int]) -> None:
        self.number = number
        self.start_s = self.at_s = at_s
        self.left_s = run_s
        self.places = places
        self.workers = sum(places.values())
        self.speed = 0.0
        self.version = 0


class Sessions:
    """The queue of sessions, and which of them run where.

    A session that wants more workers than the facility can have gets what there is at most, for longer.
    """

    def __init__(
        self,
        agenda: Agenda,
        sites: Iterable[Site],
        sessions: tuple[Session, ...],
        *,
        meter: Meter,
        workers_max: int,
        touched: Callable[[float, Site], None],
        storage_bytes_per_s: float | None,
    ) -> None:
        self._agenda = agenda
        self._meter = meter
        self._sites = list(sites)
        self._sessions = sessions
        self._most = workers_max
        self._touched = touched
        self._storage = storage_bytes_per_s
        self._waiting: deque[int] = deque()
        self._running: dict[int, _Running] = {}
        self._tenants: dict[str, dict[int, _Running]] = {site.name: {} for site in self._sites}
        self._starts: dict[int, float] = {}
        self._ends: dict[int, float] = {}
        self._hits = bytearray(len(sessions))
        self._arrived = 0
        self._others_bytes_per_s = 0.0
        self._wanted_bytes_per_s = 0.0
        self._storage_speed = 1.0
        self._demand = 0
        self._course = (array("d", [0.0]), array("d", [0.0]), array("d", [0.0]))
        self._plan_arrival()

    @property
    def queued(self) -> int:
        """Sessions that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Sessions that have workers."""
        return len(self._running)

    @property
    def read_bytes_per_s(self) -> float:
        """What all readers of the storage get together."""
        wanted = self._wanted_bytes_per_s + self._others_bytes_per_s
        return wanted if self._storage is None else min(wanted, self._storage)

    def others_read(self, at_s: float, bytes_per_s: float) -> None:
        """From now on, others want to read so much."""
        self._others_bytes_per_s = bytes_per_s
        self._share_storage(at_s)

    def supplied(self, at_s: float) -> None:
        """The facility has more workers than before, or fewer."""
        self._note(at_s)
        self._start(at_s)

    def site_changed(self, at_s: float, site: Site) -> None:
        """The workers of a site have become faster or slower."""
        for running in self._tenants[site.name].values():
            self._pace(at_s, running)

    def served(self) -> tuple[Served, ...]:
        """What became of each session that came."""
        return tuple(
            Served(each.submit_s, each.run_s, each.workers, self._starts.get(n), self._ends.get(n), bool(self._hits[n]))
            for n, each in enumerate(self._sessions[: self._arrived])
        )

    def course(self) -> Course:
        """Demand and supply over time."""
        return Course(*(np.array(column, dtype=np.float64) for column in self._course))

    def _plan_arrival(self) -> None:
        if self._arrived < len(self._sessions):
            self._agenda.plan(self._sessions[self._arrived].submit_s, self._arrive)

    def _arrive(self, at_s: float) -> None:
        number = self._arrived
        self._arrived += 1
        workers = self._workers(number)
        self._hits[number] = not self._waiting and self._meter.free_workers >= workers
        self._demand += workers
        self._waiting.append(number)
        self._note(at_s)
        self._start(at_s)
        self._plan_arrival()

    def _workers(self, number: int) -> int:
        return min(self._sessions[number].workers, self._most)

    def _start(self, at_s: float) -> None:
        while self._waiting:
            workers = self._workers(self._waiting[0])
            if not workers or self._meter.free_workers < workers:
                return
            free = [(site.free, site) for site in self._sites if site.free]
            self._begin(at_s, self._waiting.popleft(), _spread(workers, free))

    def _begin(self, at_s: float, number: int, places: dict[Site, int]) -> None:
        session = self._sessions[number]
        running = _Running(number, at_s, session.run_s * session.workers / sum(places.values()), places)
        self._running[number] = running
        self._starts[number] = at_s
        self._wanted_bytes_per_s += session.read_bytes / running.left_s if running.left_s else 0.0
        self._share_storage(at_s)
        self._occupy(at_s, running, 1)
        self._pace(at_s, running)

    def _occupy(self, at_s: float, running: _Running, sign: int) -> None:
        for site, workers in running.places.items():
            if sign > 0:
                self._tenants[site.name][running.number] = running
            else:
                del self._tenants[site.name][running.number]
            site.hold(at_s, sign * workers)
            self._touched(at_s, site)

    def _pace(self, at_s: float, running: _Running) -> None:
        """Bring a session up to now, and plan its end at its present speed."""
        running.left_s = max(0.0, running.left_s - (at_s - running.at_s) * running.speed)
        running.at_s = at_s
        speed = sum(workers * site.worker_speed for site, workers in running.places.items()) / running.workers
        reads = self._sessions[running.number].read_bytes > 0
        running.speed = min(speed, self._storage_speed) if reads else speed
        running.version += 1
        if running.speed > 0:
            self._agenda.plan(at_s + running.left_s / running.speed, partial(self._end, running, running.version))

    def _end(self, running: _Running, version: int, at_s: float) -> None:
        if running.version != version:
            return
        number = running.number
        running.version += 1
        del self._running[number]
        self._ends[number] = at_s
        session = self._sessions[number]
        run_s = session.run_s * session.workers / running.workers
        self._wanted_bytes_per_s -= session.read_bytes / run_s if run_s else 0.0
        if not self._running:
            self._wanted_bytes_per_s = 0.0
        self._demand -= running.workers
        self._occupy(at_s, running, -1)
        self._share_storage(at_s)
        self._note(at_s)
        self._start(at_s)

    def _share_storage(self, at_s: float) -> None:
        wanted = self._wanted_bytes_per_s + self._others_bytes_per_s
        speed = 1.0 if self._storage is None or wanted <= self._storage else self._storage / wanted
        if speed != self._storage_speed:
            self._storage_speed = speed
            for running in self._running.values():
                self._pace(at_s, running)

    def _note(self, at_s: float) -> None:
        times, demand, supply = self._course
        if times[-1] == at_s:
            demand[-1], supply[-1] = self._demand, self._meter.workers
            return
        times.append(at_s)
        demand.append(self._demand)
        supply.append(self._meter.workers)


def _spread(workers: int, free: list[tuple[int, Site]]) -> dict[Site, int]:
    """Take workers from the sites evenly: a session is as fast as its places together, and none is crowded."""
    places: dict[Site, int] = {}
    left = workers
    for number, (count, site) in enumerate(sorted(free, key=lambda each: (each[0], -each[1].busy, each[1].name))):
        # The fullest first: what they cannot give falls to the emptier ones, and so does what cannot be divided.
        taken = min(count, left // (len(free) - number))
        if taken:
            places[site] = taken
            left -= taken
    return places
