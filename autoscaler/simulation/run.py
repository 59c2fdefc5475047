"""What one policy made of one workload: the record from which rows, comparisons and plots are made."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoscaler.value import Value

Floats = NDArray[np.float64]


class Served(Value, frozen=True):
    """What became of a session: ``start_s`` and ``end_s`` are ``None`` where the workload ended before.

    ``hit``: it found all its workers there, free, when it came.
    """

    submit_s: float
    run_s: float
    workers: int
    start_s: float | None
    end_s: float | None
    hit: bool


class Move(Value, frozen=True):
    """One transfer on one host; ``moved_mib`` is what PROOF got or gave, ``swapped_mib`` what went into swap for it."""

    at_s: float
    host: str
    workers_from: int
    workers_to: int
    moved_mib: int
    swapped_mib: int
    reason: str


@dataclass(frozen=True, slots=True)
class Course:
    """Workers over time, exactly: each value holds from its time to the next, the last one to the end of the run.

    ``demand`` is what the sessions in the facility want, waiting or running; ``supply`` the workers that are there.
    """

    at_s: Floats
    demand: Floats
    supply: Floats


@dataclass(frozen=True, slots=True)
class Cycles:
    """One value a cycle, of the time from this cycle to the next.

    ``wn_wanted_core_s`` is the CPU time that the batch jobs then there would have used with the machines to themselves,
    ``wn_used_core_s`` what they got; ``proof_used_core_s`` what PROOF's queries used; ``spare_worker_s`` the time of
    workers that no session held; ``swap_in_mib`` what guests read back from swap, at most (simulation/swap.py). Memory
    is that of all domains of the kind, at the beginning of the cycle.
    """

    interval_s: float
    wn_wanted_core_s: Floats
    wn_used_core_s: Floats
    proof_used_core_s: Floats
    spare_worker_s: Floats
    swap_in_mib: Floats
    proof_memory_mib: Floats
    wn_memory_mib: Floats


@dataclass(frozen=True, slots=True)
class Run:
    """One policy on one workload. ``sessions`` are in the order of their arrival, ``moves`` of their beginning.

    ``evaluated`` counts the cycles that were decided in full, the others being proven to decide the same as before.
    """

    policy: str
    duration_s: float
    sessions: tuple[Served, ...]
    moves: tuple[Move, ...]
    course: Course
    cycles: Cycles
    jobs_submitted: int
    jobs_finished: int
    evaluated: int
