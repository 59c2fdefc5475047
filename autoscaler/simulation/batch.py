"""The batch system: jobs wait first come, first served, and start on a machine that runs the fewest.

It knows nothing of PROOF: as on a real site, a squeezed Worker Node gets jobs as before.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial

from autoscaler.simulation.agenda import Agenda
from autoscaler.simulation.machine import Site
from autoscaler.simulation.workload import Job


class Batch:
    """The queue of batch jobs, and which of them run where."""

    def __init__(
        self, agenda: Agenda, sites: Iterable[Site], jobs: Iterable[Job], touched: Callable[[float, Site], None]
    ) -> None:
        self._agenda = agenda
        self._touched = touched
        self._coming = iter(jobs)
        self._waiting: deque[Job] = deque()
        self._sites = list(sites)
        # Sites with a free slot by how full they are; an entry whose number of jobs is not the site's is outdated.
        self._open = [(0, number) for number, site in enumerate(self._sites) if site.job_slots]
        # None twice: a site that goes to and fro would fill the heap.
        self._offered = set(self._open)
        self._numbers = {site.name: number for number, site in enumerate(self._sites)}
        self.running = self.submitted = self.finished = 0
        self._next: Job | None = None
        self._plan_arrival()

    def site_changed(self, site: Site) -> None:
        """Plan when the site's next job ends, unless what is planned holds still."""
        if site.version == site.told_version:
            return
        site.told_version = site.version
        end_s = site.next_end_s()
        if end_s is not None:
            self._agenda.plan(end_s, partial(self._end, site, site.version))

    def _plan_arrival(self) -> None:
        self._next = next(self._coming, None)
        if self._next is not None:
            self._agenda.plan(self._next.submit_s, self._arrive)

    def _arrive(self, at_s: float) -> None:
        if self._next is not None:
            self._waiting.append(self._next)
            self.submitted += 1
            self._start(at_s)
        self._plan_arrival()

    def _start(self, at_s: float) -> None:
        while self._waiting and (site := self._emptiest()) is not None:
            site.start_job(at_s, self._waiting.popleft())
            self.running += 1
            self._offer(site)
            self._touched(at_s, site)

    def _emptiest(self) -> Site | None:
        while self._open:
            jobs, number = entry = heapq.heappop(self._open)
            self._offered.remove(entry)
            if self._sites[number].jobs == jobs:
                return self._sites[number]
        return None

    def _offer(self, site: Site) -> None:
        jobs = site.jobs
        entry = (jobs, self._numbers[site.name])
        if jobs < site.job_slots and entry not in self._offered:
            self._offered.add(entry)
            heapq.heappush(self._open, entry)

    def _end(self, site: Site, version: int, at_s: float) -> None:
        if site.version != version:
            return
        site.end_job(at_s)
        self.running -= 1
        self.finished += 1
        self._offer(site)
        self._touched(at_s, site)
        self._start(at_s)
