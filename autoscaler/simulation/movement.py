"""How a transfer goes on a machine: what is released how fast, when each worker is there, where it stops.

t = steps + M_free / R_balloon + M_used / R_swap: free memory moves at the balloon's speed, what the guest uses only as
fast as it can be written to its swap. The transfer engine stops at the first sign of thrash and keeps what it got.

A balloon is moved by one CPU of its own guest, and is as slow as that one is. Where the machine has too few cores for
all, a donor is lent the acceptor's weight and gives first; the acceptor takes most of it when weights are set for good.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from autoscaler.core.allocation import BALLOON_TOLERANCE_MIB
from autoscaler.model import Allocation, Host, HostObservation, StepKind, Transfer
from autoscaler.simulation.constants import Physics
from autoscaler.simulation.cpu import Claim, share_cores
from autoscaler.value import Value

Allocations = Mapping[str, Allocation]
Cores = Mapping[str, float]

# MiB per second: what donors release, and what acceptors take until the donors are done, and then.
_Speeds = tuple[float, float, float]

# Looked up for every step, and slow to look up in the enumeration.
_CPU, _LEND, _RESIZES = StepKind.CPU, StepKind.LEND, (StepKind.SHRINK, StepKind.GROW)


class Movement(Value, frozen=True):
    """A transfer in time, in seconds from its beginning.

    ``arrivals`` are when each further worker is there. From ``squeeze_from_s`` on the donors swap, ``None`` = never.
    ``left`` is what each domain has at the end. ``strained``: it stopped because a Worker Node would have thrashed.
    """

    duration_s: float
    arrivals: tuple[float, ...]
    squeeze_from_s: float | None
    left: Mapping[str, Allocation]
    moved_mib: int
    swapped_mib: int
    strained: bool


def movement(
    host: Host, observed: HostObservation, transfer: Transfer, physics: Physics, busy_cores: Mapping[str, float]
) -> Movement:
    """Carry a transfer out on a machine that does what it is asked, as far as memory can be taken from its guests.

    ``busy_cores`` is what the work in each domain would use, had it the machine to itself.
    """
    present = {domain.name: domain.allocation for domain in observed.domains}
    goals = _goals(present, transfer)
    proof, wns = host.proof.name, [wn.name for wn in host.wns]
    growth_mib = goals[proof].memory_mib - present[proof].memory_mib
    paces = _Paces(observed, _lent(present, transfer), goals, busy_cores)
    if growth_mib <= 0:
        # Its workers are idle, so that all it gives is free.
        flow = _Flow(0, -growth_mib, -growth_mib, paces.speeds([proof], wns, physics), physics)
        return Movement(flow.done_s + physics.cpu_change_s, (), None, goals, -growth_mib, 0, strained=False)
    donors = [_Donor(observed, name, goal, physics) for name, goal in goals.items() if name != proof]
    free_mib = max(0, transfer.memory_for_guests_mib - observed.committed_mib)
    unused_mib, used_mib = sum(donor.unused_mib for donor in donors), sum(donor.cold_mib for donor in donors)
    got_mib = min(growth_mib, free_mib + unused_mib + used_mib)
    swapped_mib = max(0, got_mib - free_mib - unused_mib)
    flow = _Flow(free_mib, unused_mib, got_mib, paces.speeds(wns, [proof], physics), physics)
    a_worker_mib = host.proof.memory_per_worker_mib
    first_mib = _missing_mib(host, observed)
    arrivals = [flow.arrival_s(mib) for mib in range(first_mib, got_mib + 1, a_worker_mib)]
    return Movement(
        duration_s=flow.done_s + physics.cpu_change_s,
        arrivals=tuple(arrivals[: transfer.workers_to - transfer.workers_from]),
        squeeze_from_s=flow.released_s(got_mib - swapped_mib) if swapped_mib else None,
        left=goals if got_mib == growth_mib else _kept(goals, proof, donors, growth_mib - got_mib),
        moved_mib=got_mib,
        swapped_mib=swapped_mib,
        strained=got_mib < growth_mib,
    )


class _Paces:
    """What part of a core the CPU has that moves a domain's balloon, while CPU is lent and when it is set for good."""

    def __init__(self, observed: HostObservation, lent: Allocations, final: Allocations, busy_cores: Cores) -> None:
        # In the guest itself the balloon comes before the work.
        wanted = {}
        for each in observed.domains:
            busy = busy_cores.get(each.name, 0.0) + 1
            wanted[each.name] = busy if busy < each.vcpus else float(each.vcpus)
        cores = math.inf if observed.cores is None else observed.cores
        self._lent, self._final = _paces(cores, wanted, lent), _paces(cores, wanted, final)

    def speeds(self, donors: Iterable[str], acceptors: Sequence[str], physics: Physics) -> _Speeds:
        """The slowest donor and the slowest acceptor, which the others of their kind resemble."""
        return (
            physics.balloon_free_mib_per_s * min(map(self._lent.__getitem__, donors)),
            physics.balloon_give_mib_per_s * min(map(self._lent.__getitem__, acceptors)),
            physics.balloon_give_mib_per_s * min(map(self._final.__getitem__, acceptors)),
        )


class _Flow:
    """Memory on its way: what is free at once, then what donors do not use, then what they have to swap out."""

    def __init__(self, free_mib: float, unused_mib: float, all_mib: float, speeds: _Speeds, physics: Physics) -> None:
        self._free_mib, self._unused_mib = free_mib, unused_mib
        self._release, self._take_meanwhile, self._take_then = speeds
        self._physics = physics
        self._begun_s = 2 * physics.step_s
        self._all_released_s = self.released_s(all_mib)
        self._taken_mib = min(all_mib, self._take_meanwhile * (self._all_released_s - self._begun_s))
        self.done_s = self.arrival_s(all_mib)

    def released_s(self, mib: float) -> float:
        """When so much has come free."""
        quick_mib = mib - self._free_mib
        if quick_mib <= 0:
            return self._begun_s
        slow_mib = quick_mib - self._unused_mib
        if slow_mib <= 0:
            return self._begun_s + quick_mib / self._release
        return self._begun_s + self._unused_mib / self._release + slow_mib / self._physics.balloon_swap_mib_per_s

    def arrival_s(self, mib: float) -> float:
        """When so much is where it is to be."""
        if mib > self._taken_mib:
            return self._all_released_s + (mib - self._taken_mib) / self._take_then
        return max(self.released_s(mib), self._begun_s + mib / self._take_meanwhile)


class _Donor:
    """What a domain gives without swapping, by swapping what it does not miss, and what it cannot give."""

    def __init__(self, observed: HostObservation, name: str, goal: Allocation, physics: Physics) -> None:
        domain = observed.domain(name)
        has_mib, used_mib = domain.allocation.memory_mib, domain.used_mib or 0
        gives_mib = max(0, has_mib - goal.memory_mib)
        self.name = name
        self.unused_mib = min(gives_mib, max(0, has_mib - used_mib))
        hot_mib = int(used_mib * (1 - physics.cold_ratio))
        self.cold_mib = max(0, min(gives_mib - self.unused_mib, has_mib - self.unused_mib - hot_mib))
        self.beyond_mib = gives_mib - self.unused_mib - self.cold_mib


def _goals(present: Allocations, transfer: Transfer) -> dict[str, Allocation]:
    """What each domain is to have in the end: the last word of its memory steps and of its CPU steps."""
    goals = dict(present)
    for step in transfer.steps:
        kind, goal = step.kind, goals[step.domain]
        if kind is _CPU:
            goals[step.domain] = Allocation(goal.memory_mib, step.after.cpu_weight, step.after.cpu_cap_cores)
        elif kind in _RESIZES:
            goals[step.domain] = goal.resized(step.after.memory_mib)
    return goals


def _kept(goals: Allocations, proof: str, donors: Iterable[_Donor], back_mib: int) -> Allocations:
    """What each domain has in the end when donors keep so much of what PROOF was to get."""
    left = {**goals, proof: goals[proof].resized(goals[proof].memory_mib - back_mib)}
    for donor in donors:
        kept_mib = min(back_mib, donor.beyond_mib)
        back_mib -= kept_mib
        left[donor.name] = goals[donor.name].resized(goals[donor.name].memory_mib + kept_mib)
    return left


def _lent(present: Allocations, transfer: Transfer) -> Allocations:
    """What each domain has while memory moves."""
    return {**present, **{step.domain: step.after for step in transfer.steps if step.kind is _LEND}}


def _paces(cores: float, wanted: Cores, allocations: Allocations) -> Cores:
    """How fast a CPU of each domain is when one more of them moves the balloon, 1 = a core of its own."""
    shares = {}
    for name, most in wanted.items():
        cap = allocations[name].cpu_cap_cores
        shares[name] = most if cap is None or cap > most else cap
    # Mostly there are cores for all.
    if sum(shares.values()) > cores:
        claims = {name: Claim(claim, allocations[name].cpu_weight) for name, claim in shares.items()}
        shares = share_cores(cores, claims)
    return {name: shares[name] / most for name, most in wanted.items()}


def _missing_mib(host: Host, observed: HostObservation) -> int:
    """What PROOF lacks for its next worker: the controller counts one that is a balloon's tolerance short."""
    has_mib = observed.domain(host.proof.name).allocation.memory_mib + BALLOON_TOLERANCE_MIB
    beyond_mib = has_mib - host.proof.dormant.memory_mib
    return host.proof.memory_per_worker_mib - beyond_mib % host.proof.memory_per_worker_mib
