"""Jobs of the Worker Nodes, read from the batch system: Slurm's ``squeue --json``.

The layout is that of Slurm 22.05 (openapi/v0.0.38), plus two things later versions do: job_state as a list and numbers
as ``{set, infinite, number}``. ``squeue --json`` exits 0 and shows an empty list of jobs when slurmctld is down; the
``errors`` beside it tell the difference between an empty queue and an unknown one.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

from exporters.serving import SourceUnavailable
from exporters.subprocesses import run

KINDS = ("running", "pending", "held", "other")

FINISHED_STATES = frozenset({
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
    "REVOKED",
})  # fmt: skip

# Pending for one of these reasons, a job would not start on an empty farm: it is no load that waits for cores.
HELD_REASONS = frozenset({
    "JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue", "Dependency", "DependencyNeverSatisfied", "BeginTime",
    "DeadLine", "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "BadConstraints", "ReservationDeleted",
    "InvalidAccount", "InvalidQOS",
})  # fmt: skip

TASK_RANGE = re.compile(r"(?P<first>[0-9]{1,10})(-(?P<last>[0-9]{1,10})(:(?P<step>[0-9]{1,10}))?)?")

# Slurm counts CPUs in 32 bits.
MOST_CPUS = 2**32


@dataclass(frozen=True, slots=True)
class Jobs:
    """The live jobs: how many of each of :data:`KINDS`, and the cores (Slurm's cpus) of the running ones."""

    counts: Mapping[str, int] = field(default_factory=dict)
    cores_allocated: int = 0


def parse_squeue(output: bytes) -> Jobs:
    """Count the jobs in the output of ``squeue --json``; raises :class:`SourceUnavailable` if it cannot be trusted."""
    counts: Counter[str] = Counter()
    cores_allocated = 0
    for job in _jobs(_document(output)):
        kind = _kind(job)
        if kind is not None:
            counts[kind] += _tasks(job)
        if kind == "running":
            cores_allocated += _cpus(job)
    return Jobs(counts, cores_allocated)


def _document(output: bytes) -> Mapping[str, Any]:
    if not output.strip():
        raise SourceUnavailable("squeue printed nothing")
    try:
        document = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise SourceUnavailable("squeue printed something that is not a whole JSON document") from error
    if not isinstance(document, dict):
        raise SourceUnavailable("squeue printed a JSON document that is not an object")
    return document


def _jobs(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    errors = document.get("errors", [])
    if errors != []:
        raise SourceUnavailable(f"squeue reports errors: {json.dumps(errors)[:300]}")
    jobs = document.get("jobs")
    if not isinstance(jobs, list) or not all(isinstance(job, dict) for job in jobs):
        raise SourceUnavailable("squeue printed no list of jobs")
    yield from jobs


def _kind(job: Mapping[str, Any]) -> str | None:
    """Return one of :data:`KINDS`, None for a job that has ended."""
    states = _states(job)
    if states == ["RUNNING"]:
        return "running"
    if states == ["PENDING"]:
        return "held" if str(job.get("state_reason")) in HELD_REASONS else "pending"
    return None if FINISHED_STATES.issuperset(states) else "other"


def _states(job: Mapping[str, Any]) -> list[str]:
    state = job.get("job_state")
    states = state if isinstance(state, list) else [state]
    names = [each for each in states if isinstance(each, str)]
    if not names or len(names) < len(states):
        raise SourceUnavailable("squeue printed a job whose job_state is neither a string nor a list of strings")
    return names


def _tasks(job: Mapping[str, Any]) -> int:
    """Return how many jobs this record stands for: the waiting tasks of an array share one."""
    expression = job.get("array_task_string") or "0"
    if not isinstance(expression, str):
        raise SourceUnavailable("squeue printed a job whose array_task_string is not a string")
    return count_tasks(expression)


def count_tasks(expression: str) -> int:
    """Count the tasks in Slurm's task expression, for example "1,3,5-9%2" or "0-10:2" (%2: two at a time).

    Raises :class:`SourceUnavailable` if it is not one.
    """
    return sum(_count_range(part) for part in expression.partition("%")[0].split(","))


def _count_range(part: str) -> int:
    match = TASK_RANGE.fullmatch(part)
    if match is None:
        raise SourceUnavailable("squeue printed an array_task_string that is not a list of task ids")
    first, last, step = int(match["first"]), int(match["last"] or match["first"]), int(match["step"] or 1)
    if step == 0 or last < first:
        raise SourceUnavailable("squeue printed an array_task_string with an impossible range")
    return (last - first) // step + 1


def _cpus(job: Mapping[str, Any]) -> int:
    cpus = job.get("cpus")
    if isinstance(cpus, dict):
        cpus = cpus.get("number") if cpus.get("set") and not cpus.get("infinite") else None
    if not isinstance(cpus, int) or isinstance(cpus, bool) or not 0 <= cpus <= MOST_CPUS:
        raise SourceUnavailable("squeue printed a running job without its number of cpus")
    return cpus


def run_squeue(command: str, timeout_s: float) -> bytes:
    """Return what ``command --json`` prints; raises :class:`SourceUnavailable`."""
    # Without the variable, Slurm cuts the task ids of an array after 64 characters.
    return run([command, "--json"], timeout_s, environment={"SLURM_BITSTR_LEN": "0"})


def job_metrics(jobs: Jobs) -> Iterable[Metric]:
    """Yield the metrics of ``jobs``."""
    family = GaugeMetricFamily(
        "wn_jobs", "Live batch jobs by state; held ones are not eligible to run.", labels=["state"]
    )
    for kind in KINDS:
        family.add_metric([kind], jobs.counts.get(kind, 0))
    yield family
    yield GaugeMetricFamily("wn_cores_allocated", "Cores (Slurm's cpus) of the running jobs.", jobs.cores_allocated)
