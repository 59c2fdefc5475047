"""One machine with its domains: who gets which cores, how fast its jobs and its PROOF workers run, what it shows."""

import heapq
from collections.abc import Iterable
from dataclasses import replace

from autoscaler.core.allocation import wn_cpu
from autoscaler.model import Allocation, DomainObservation, HostObservation, HostState, Transfer
from autoscaler.simulation.constants import Physics
from autoscaler.simulation.cpu import Claim, share_cores
from autoscaler.simulation.evolve import dormant
from autoscaler.simulation.meter import Meter
from autoscaler.simulation.scenario import Machine
from autoscaler.simulation.swap import Swap
from autoscaler.simulation.workload import Job

PROOF, WN = "proof", "wn"

# Looked up whenever jobs have changed, and slow to look up in the enumeration.
_READY, _MOVING = HostState.READY, HostState.MOVING


class Site:
    """A machine while the model runs.

    Its jobs all run at the same speed, so that one clock, ``jobs_clock_s``, tells which ends next whatever the speed
    was meanwhile. ``workers`` are those that are there, ``busy`` those that sessions hold, ``free`` the
    others; ``told_speed`` is the speed of the workers that these sessions know of. ``version`` counts how often it has
    changed when the next job ends, ``told_version`` is what the batch system knows of. ``seen`` is the last
    observation, ``None`` when it no longer holds.
    """

    def __init__(self, machine: Machine, physics: Physics, meter: Meter) -> None:
        self.name = machine.host.name
        self.host = machine.host
        self.cores = machine.cores
        self.job_slots = machine.job_slots
        self.workers = 0
        self.busy = 0
        self.free = 0
        self.worker_speed = self.told_speed = 1.0
        self.transfer: Transfer | None = None
        self.swapping = False
        self.version = self.told_version = 0
        self.at_s = 0.0
        self._physics = physics
        self._meter = meter
        self._base_mib = machine.wn_base_mib
        self._bases_mib = machine.wn_base_mib * len(machine.host.wns)
        self._allocations = _dormant(machine)
        self._jobs: list[tuple[float, int, Job]] = []
        self._jobs_clock_s = 0.0
        self._jobs_speed = 1.0
        self._jobs_cores = 0.0
        self._jobs_mib = 0
        self._jobs_seen = 0
        self._wanted_cores = self._used_cores = self._proof_cores = 0.0
        self._swap = Swap()
        self._swap_in_mib_per_s = 0.0
        self._told_workers = 0
        self._wn_cap = self._sum_of_caps()
        self._wn_mib = self._sum_of_wn_memory()
        self.seen: HostObservation | None = None
        # Jobs come and go far more often than PROOF's allocation changes.
        self._proof_seen = self._domain(self.host.proof.name, None)
        meter.proof_memory_mib += self._allocations[self.host.proof.name].memory_mib
        meter.wn_memory_mib += self._wn_mib

    @property
    def jobs(self) -> int:
        """How many batch jobs run."""
        return len(self._jobs)

    @property
    def busy_cores(self) -> dict[str, float]:
        """What the work in each domain would use, had it the machine to itself."""
        wns = self.host.wns
        return {self.host.proof.name: float(self.busy), **{wn.name: self._jobs_cores / len(wns) for wn in wns}}

    def observation(self) -> HostObservation:
        """What the controller reads of the machine."""
        if self.seen is None:
            state = _READY if self.transfer is None else _MOVING
            moving = None if self.transfer is None else self.transfer.workers_to
            used_mib = self._used_mib()
            wns = (self._domain(wn.name, used_mib) for wn in self.host.wns)
            domains = (self._proof_seen, *wns)
            self.seen = HostObservation(self.name, state, domains, moving_to_workers=moving, cores=self.cores)
        return self.seen

    def start_job(self, at_s: float, job: Job) -> None:
        """Let a job begin, now."""
        self._advance(at_s)
        self._jobs_seen += 1
        entry = (self._jobs_clock_s + job.run_s, self._jobs_seen, job)
        heapq.heappush(self._jobs, entry)
        if self._jobs[0] is entry:
            self.version += 1
        self._jobs_cores += job.cpu_ratio
        self._jobs_mib += job.memory_mib
        self.seen = None
        self._reckon()

    def end_job(self, at_s: float) -> None:
        """Let the next job end, now: its time has come."""
        self._advance(at_s)
        self._jobs_clock_s, number, job = heapq.heappop(self._jobs)
        self.version += 1
        # Without jobs there is none to add up rounding errors for.
        self._jobs_cores = self._jobs_cores - job.cpu_ratio if self._jobs else 0.0
        self._jobs_mib -= job.memory_mib
        self._swap.job_ended(number, job.memory_mib)
        self.seen = None
        self._reckon()

    def next_end_s(self) -> float | None:
        """When the next job ends if nothing changes, ``None`` without jobs, or while they stand still."""
        if not self._jobs or not self._jobs_speed:
            return None
        left_s = self._jobs[0][0] - self._jobs_clock_s
        return self.at_s + left_s / self._jobs_speed if left_s > 0 else self.at_s

    def hold(self, at_s: float, workers: int) -> None:
        """Let sessions hold so many more workers, or fewer."""
        self._advance(at_s)
        self.busy += workers
        self._reckon()

    def begin(self, at_s: float, transfer: Transfer) -> None:
        """Begin a transfer; workers that are to go are gone at once."""
        self._advance(at_s)
        self.transfer = transfer
        self.seen = None
        self.workers = min(self.workers, transfer.workers_to)
        self._reckon_workers()

    def add_worker(self, at_s: float) -> None:
        """One more worker has its memory."""
        self._advance(at_s)
        self.workers += 1
        self._reckon_workers()

    def squeeze(self, at_s: float) -> None:
        """The donors of the transfer begin to swap."""
        self._advance(at_s)
        self.swapping = True
        self._reckon()

    def end(self, at_s: float, left: Iterable[tuple[str, Allocation]], swapped_mib: int) -> None:
        """The transfer is over; domains have what is left to each of them, and so much went into swap for it."""
        self._advance(at_s)
        proof, before = self.host.proof.name, self._allocations
        self._allocations = dict(left)
        self.transfer, self.swapping = None, False
        self.seen = None
        self._meter.proof_memory_mib += self._allocations[proof].memory_mib - before[proof].memory_mib
        wn_before_mib = self._wn_mib
        self._meter.wn_memory_mib -= wn_before_mib
        self._wn_cap, self._wn_mib = self._sum_of_caps(), self._sum_of_wn_memory()
        self._proof_seen = self._domain(proof, None)
        self._meter.wn_memory_mib += self._wn_mib
        if swapped_mib:
            self._swap.put(swapped_mib, self._bases_mib + self._jobs_mib, self._jobs_seen)
        self._meter.read_back(self._swap.read(self._wn_mib - wn_before_mib))
        self._reckon()

    def _advance(self, at_s: float) -> None:
        self._jobs_clock_s += (at_s - self.at_s) * self._jobs_speed
        self.at_s = at_s
        self._meter.advance(at_s)

    def _reckon_workers(self) -> None:
        """Reckon what comes of more workers, fewer, or others to come: nothing for the cores while none is busy."""
        if self.busy:
            self._reckon()
        else:
            self._tell_workers()

    def _reckon(self) -> None:
        """Divide the cores anew, and tell the meter."""
        jobs_cores, busy = self._jobs_cores, self.busy
        # Mostly there is memory for all, and nobody swaps.
        plenty = not self.swapping and self._bases_mib + self._jobs_mib <= self._wn_mib
        memory_speed = 1.0 if plenty else self._memory_speed()
        wn_cores = jobs_cores * memory_speed
        if wn_cores > self._wn_cap:
            wn_cores = self._wn_cap
        proof_cores = self._proof_claim() if busy else 0.0
        if wn_cores + proof_cores > self.cores:
            wn_cores, proof_cores = self._divide(wn_cores, proof_cores)
        jobs_speed = wn_cores / jobs_cores if jobs_cores else memory_speed
        if jobs_speed != self._jobs_speed:
            self._jobs_speed = jobs_speed
            self.version += 1
        self.worker_speed = proof_cores / busy if busy else 1.0
        self._tell_meter(jobs_cores if jobs_cores < self.cores else self.cores, wn_cores, proof_cores)
        swap_in_mib_per_s = 0.0 if memory_speed == 1.0 else self._thrash_mib_per_s()
        if swap_in_mib_per_s != self._swap_in_mib_per_s:
            self._meter.swap_in_mib_per_s += swap_in_mib_per_s - self._swap_in_mib_per_s
            self._swap_in_mib_per_s = swap_in_mib_per_s

    def _tell_meter(self, wn_wanted_cores: float, wn_cores: float, proof_cores: float) -> None:
        """Most changes are of one kind; what they leave as it is, need not be told."""
        meter = self._meter
        if wn_wanted_cores != self._wanted_cores or wn_cores != self._used_cores:
            meter.wn_wanted_cores += wn_wanted_cores - self._wanted_cores
            meter.wn_used_cores += wn_cores - self._used_cores
            self._wanted_cores, self._used_cores = wn_wanted_cores, wn_cores
        if proof_cores != self._proof_cores:
            meter.proof_used_cores += proof_cores - self._proof_cores
            self._proof_cores = proof_cores
        self._tell_workers()

    def _tell_workers(self) -> None:
        meter, workers = self._meter, self.workers
        free = workers - self.busy if workers > self.busy else 0
        if free != self.free or workers != self._told_workers:
            meter.free_workers += free - self.free
            meter.workers += workers - self._told_workers
            self.free, self._told_workers = free, workers

    def _divide(self, wn: float, proof: float) -> tuple[float, float]:
        weight = sum(self._allocations[each.name].cpu_weight for each in self.host.wns)
        proof_weight = self._allocations[self.host.proof.name].cpu_weight
        shares = share_cores(self.cores, {PROOF: Claim(proof, proof_weight), WN: Claim(wn, weight)})
        return shares[WN], shares[PROOF]

    def _proof_claim(self) -> float:
        cap = self._allocations[self.host.proof.name].cpu_cap_cores
        # While a transfer runs, PROOF has the cap that it is to have in the end (plan.py lends it).
        if self.transfer is not None:
            cap = max(1.0, float(self.transfer.workers_to), cap or 0.0)
        return min(self.busy, self.cores if cap is None else cap, self.workers or 1)

    def _sum_of_caps(self) -> float:
        caps = [self._allocations[wn.name].cpu_cap_cores for wn in self.host.wns]
        return sum(self.cores if cap is None else cap for cap in caps)

    def _sum_of_wn_memory(self) -> int:
        return sum(self._allocations[wn.name].memory_mib for wn in self.host.wns)

    def _memory_speed(self) -> float:
        """1 while the jobs have the memory that they miss; less while they swap, or where too little is left."""
        speed = self._speed_with_what_is_missed()
        return min(speed, self._physics.swapping_speed) if self.swapping else speed

    def _speed_with_what_is_missed(self) -> float:
        used_mib = self._bases_mib + self._jobs_mib
        if used_mib <= self._wn_mib:
            return 1.0
        missing_ratio = 1.0 - self._wn_mib / used_mib
        cold_ratio = self._physics.cold_ratio
        missed_ratio = max(0.0, missing_ratio - cold_ratio) / (1.0 - cold_ratio)
        return 1.0 / (1.0 + (self._physics.thrash_slowdown - 1.0) * missed_ratio)

    def _thrash_mib_per_s(self) -> float:
        """What jobs read while they miss memory: as much as their swap gives, in the time that they stand still."""
        return self._physics.balloon_swap_mib_per_s * (1.0 - self._speed_with_what_is_missed())

    def _used_mib(self) -> int:
        return self._base_mib + self._jobs_mib // len(self.host.wns)

    def _domain(self, name: str, used_mib: int | None) -> DomainObservation:
        most_mib = self.host.memory_total_mib or 0
        return DomainObservation(name, self._allocations[name], most_mib, self.cores, 0.0, used_mib)


def _dormant(machine: Machine) -> dict[str, Allocation]:
    """PROOF dormant, the Worker Nodes with the rest, as the controller leaves them: nothing is to be put right."""
    host = machine.host
    observed = replace(dormant(host), cores=machine.cores)
    allocations = {domain.name: domain.allocation for domain in observed.domains}
    for wn in host.wns:
        allocations[wn.name] = Allocation(allocations[wn.name].memory_mib, *wn_cpu(host, wn, 0, observed))
    return allocations
