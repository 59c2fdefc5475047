"""Batch jobs of Worker Nodes: SWF, or CSV with the columns submit_s, run_s, and maybe cpu_ratio and memory_mib."""

import math
from collections import Counter
from pathlib import Path

from autoscaler.simulation.traces import swf
from autoscaler.simulation.traces.table import Table, open_table
from autoscaler.simulation.traces.trace import Trace
from autoscaler.simulation.traces.usable import NOT_A_NUMBER, trace_of, usable_count, usable_rows
from autoscaler.simulation.workload import Job

# Logs tell CPU time in whole seconds: 0 is less than one, and a job without any would never be done.
_LEAST_CPU_RATIO = 0.01
# No job has more: it is a slip, or in another unit.
_MOST_MIB = 16 * 1024 * 1024
_UNKNOWN = -1.0


def read_jobs(path: Path, *, memory_mib: int, cpu_ratio: float = 1.0) -> Trace[tuple[Job, ...]]:
    """Return the jobs of a trace; raises ``TraceError``. A job of n processors is n jobs.

    ``memory_mib`` and ``cpu_ratio`` are for jobs of which it is unknown; no memory at all is unknown, too.
    """
    table = open_table(path, "submit_s", "run_s")
    jobs: list[Job] = []
    told: Counter[str] = Counter()
    for submit_s, run_s, fields in usable_rows(table):
        try:
            count = usable_count(table, swf.processors(fields) if table.is_swf else 1, "processors")
            ratio, mib = _use(table, fields, run_s)
        except ValueError:
            table.skipped[NOT_A_NUMBER] += 1
            continue
        if count is None:
            continue
        share, about_cpu = _share(ratio, cpu_ratio)
        size_mib, about_memory = _size(mib, memory_mib)
        told.update({about: count for about in (about_cpu, about_memory) if about})
        jobs += [Job(submit_s, run_s, share, size_mib)] * count
    return trace_of(table, jobs, *(f"{count} of {len(jobs)} jobs {about}" for about, count in told.items()))


def _share(ratio: float, unknown: float) -> tuple[float, str]:
    """The share of its run time that a job computes, and what had to be assumed for it."""
    if not ratio >= 0:
        return unknown, f"do not tell their CPU time: taken as {unknown:.0%} of their run time"
    if ratio > 1:
        return 1.0, "have more CPU time than run time (cpu_ratio is 0.9 where it is 90%): taken as 100%"
    if ratio == 0:
        return _LEAST_CPU_RATIO, f"have no CPU time: taken as {_LEAST_CPU_RATIO:.0%} of their run time"
    return max(ratio, _LEAST_CPU_RATIO), ""


def _size(mib: float, unknown_mib: int) -> tuple[int, str]:
    """The memory of a job in MiB, and what had to be assumed for it."""
    if 0 < mib <= _MOST_MIB:
        return math.ceil(mib), ""
    return unknown_mib, f"do not tell their memory: taken as {unknown_mib} MiB each"


def _use(table: Table, fields: list[str], run_s: float) -> tuple[float, float]:
    """Share of its run time that a job computed, and its memory in MiB; negative where it is unknown."""
    if table.is_swf:
        cpu_s, mib = swf.cpu_s_and_memory_mib(fields)
        return cpu_s / run_s, mib
    return _optional(table, fields, "cpu_ratio"), _optional(table, fields, "memory_mib")


def _optional(table: Table, fields: list[str], name: str) -> float:
    place = table.columns.get(name)
    return float(fields[place]) if place is not None and fields[place].strip() else _UNKNOWN
