"""elastiq's rule, of the Virtual Analysis Facility in the cloud: VMs start for waiting jobs and stop when idle."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import ClassVar

from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, Demand, Window
from tests.benchmarks.peers.site import UNKNOWN, Site


@dataclass(slots=True)
class Elastiq:
    """More jobs waiting than a threshold for a time: VMs for all of them. A VM idle for a time: stopped.

    From dberzano/elastiq 023ab1b, pylib/elastiq: ``waiting_jobs_threshold`` 0, ``waiting_jobs_time_s`` 40,
    ``n_jobs_per_vm`` 4, ``idle_for_time_s`` 3600 (the example configuration of the first releases has 10 and 100 s),
    ``min_vms`` 0. ``max_vms`` is what the site has; elastiq's 3 is an example's.

    As a policy for PROOF: a job is a worker that a session wants, a VM is four workers. Jobs fill the VMs from the
    first on, so that the last ones can become idle. The queue and the VMs are looked at once a cycle, and a VM that was
    started is there in the next one, so that none is "allegedly running".
    """

    signals: ClassVar[tuple[str, ...]] = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS)
    history: ClassVar[timedelta] = timedelta(0)

    site: Site
    waiting_jobs_threshold: float = 0
    waiting_jobs_time_s: float = 40
    n_jobs_per_vm: int = 4
    idle_for_time_s: float = 3600
    _busy_at: list[datetime] = field(default_factory=list, init=False, repr=False)
    _above_since: datetime | None = field(default=None, init=False, repr=False)

    def decide(self, window: Window) -> Demand:
        """Stop the VMs that have been idle for too long, then start those that jobs have waited for long enough."""
        jobs = self.site.wanted(window)
        if jobs is None:
            return Demand(None, UNKNOWN)
        running = min(jobs, self._slots)
        self._stop(window.now, math.ceil(running / self.n_jobs_per_vm))
        self._start(window.now, jobs - running)
        return Demand(self._slots, f"{jobs - running:g} jobs waiting and {running:g} running, {len(self._busy_at)} VMs")

    @property
    def _slots(self) -> int:
        return len(self._busy_at) * self.n_jobs_per_vm

    def _stop(self, now: datetime, busy: int) -> None:
        """Stop each VM that had no job for longer than the idle time."""
        idle = [at for at in self._busy_at[busy:] if (now - at).total_seconds() <= self.idle_for_time_s]
        self._busy_at = [now] * busy + idle

    def _start(self, now: datetime, waiting: float) -> None:
        """Start VMs when jobs have waited for longer than their time; the time then begins anew."""
        if waiting <= self.waiting_jobs_threshold:
            self._above_since = None
        elif self._above_since is None:
            self._above_since = now
        elif (now - self._above_since).total_seconds() > self.waiting_jobs_time_s:
            quota = math.ceil(self.site.workers_max / self.n_jobs_per_vm)
            vms = min(math.ceil(waiting / self.n_jobs_per_vm), quota - len(self._busy_at))
            self._busy_at += [now] * vms
            self._above_since = None
