"""How a transfer goes on a machine: what is released how fast, when each worker is there, where it stops.

t = steps + M_free / R_balloon + M_used / R_swap: free memory moves at the balloon's speed, what the guest uses only as
fast as it can be written to its swap. The transfer engine stops at the first sign of thrash and keeps what it got.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from autoscaler.model import Allocation, Host, HostObservation, StepKind, Transfer
from autoscaler.simulation.constants import Physics


@dataclass(frozen=True, slots=True)
class Movement:
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


def movement(host: Host, observed: HostObservation, transfer: Transfer, physics: Physics) -> Movement:
    """Carry a transfer out on a machine that does what it is asked, as far as memory can be taken from its guests."""
    goals = _goals(observed, transfer)
    proof = host.proof.name
    growth_mib = goals[proof].memory_mib - observed.domain(proof).allocation.memory_mib
    if growth_mib <= 0:
        return _given_back(goals, -growth_mib, physics)
    donors = [_Donor(observed, name, goal, physics) for name, goal in goals.items() if name != proof]
    free_mib = max(0, transfer.memory_for_guests_mib - observed.committed_mib)
    unused_mib, used_mib = sum(donor.unused_mib for donor in donors), sum(donor.cold_mib for donor in donors)
    got_mib = min(growth_mib, free_mib + unused_mib + used_mib)
    swapped_mib = max(0, got_mib - free_mib - unused_mib)

    def released_s(mib: float) -> float:
        at_once, slow = min(mib, free_mib), max(0.0, mib - free_mib - unused_mib)
        quick = max(0.0, mib - at_once - slow)
        return (
            2 * physics.step_s
            + at_once / physics.balloon_give_mib_per_s
            + quick / min(physics.balloon_free_mib_per_s, physics.balloon_give_mib_per_s)
            + slow / physics.balloon_swap_mib_per_s
        )

    a_worker_mib = host.proof.memory_per_worker_mib
    first_mib = _missing_mib(host, observed)
    arrivals = [released_s(mib) for mib in range(first_mib, got_mib + 1, a_worker_mib)]
    left = dict(goals)
    left[proof] = goals[proof].resized(goals[proof].memory_mib - growth_mib + got_mib)
    back_mib = growth_mib - got_mib
    for donor in donors:
        kept_mib = min(back_mib, donor.beyond_mib)
        back_mib -= kept_mib
        left[donor.name] = goals[donor.name].resized(goals[donor.name].memory_mib + kept_mib)
    return Movement(
        duration_s=released_s(got_mib) + physics.cpu_change_s,
        arrivals=tuple(arrivals[: transfer.workers_to - transfer.workers_from]),
        squeeze_from_s=released_s(got_mib - swapped_mib) if swapped_mib else None,
        left=left,
        moved_mib=got_mib,
        swapped_mib=swapped_mib,
        strained=got_mib < growth_mib,
    )


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


def _goals(observed: HostObservation, transfer: Transfer) -> dict[str, Allocation]:
    """What each domain is to have in the end: the last word of its memory steps and of its CPU steps."""
    goals = {domain.name: domain.allocation for domain in observed.domains}
    for step in transfer.steps:
        goal = goals[step.domain]
        if step.kind in (StepKind.SHRINK, StepKind.GROW):
            goals[step.domain] = goal.resized(step.after.memory_mib)
        elif step.kind is StepKind.CPU:
            goals[step.domain] = Allocation(goal.memory_mib, step.after.cpu_weight, step.after.cpu_cap_cores)
    return goals


def _given_back(goals: Mapping[str, Allocation], mib: int, physics: Physics) -> Movement:
    """PROOF shrinks: its workers are idle, what it gives is free."""
    slower = min(physics.balloon_free_mib_per_s, physics.balloon_give_mib_per_s)
    duration_s = 2 * physics.step_s + mib / slower + physics.cpu_change_s
    return Movement(duration_s, (), None, goals, mib, 0, strained=False)


def _missing_mib(host: Host, observed: HostObservation) -> int:
    """What PROOF lacks for its next whole worker."""
    beyond_mib = observed.domain(host.proof.name).allocation.memory_mib - host.proof.dormant.memory_mib
    return host.proof.memory_per_worker_mib - beyond_mib % host.proof.memory_per_worker_mib
