"""What users and Grid ask of a facility: PROOF sessions, batch jobs, and what else reads from the storage.

Times are seconds since ``Workload.start``. Service demand only: what waited in the recorded system waited there.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Session:
    """One PROOF session with its queries: so many workers for so long, were they all there, with free cores.

    ``read_bytes`` is what it reads from the storage in that time, all workers together.
    """

    submit_s: float
    run_s: float
    workers: int
    read_bytes: float = 0.0
    user: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One serial batch job: its run time on a core of its own, the share of it that is CPU time, its memory."""

    submit_s: float
    run_s: float
    cpu_ratio: float = 1.0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What others read from the storage, in bytes per second, each value for ``step_s``; nothing after the last."""

    step_s: float
    bytes_per_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Workload:
    """Everything that arrives between ``start`` and ``duration_s`` later, each kind in the order of its arrival."""

    start: datetime
    duration_s: float
    sessions: tuple[Session, ...]
    jobs: tuple[Job, ...] = ()
    reading: Reading | None = None
