"""Which rows can be used, and the trace that is made of them: what sessions and jobs have in common."""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

from autoscaler.simulation.traces import swf
from autoscaler.simulation.traces.clock import LATEST_S, LONGEST_TRACE_S
from autoscaler.simulation.traces.table import Table
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.workload import Job, Session

Arrival = TypeVar("Arrival", Session, Job)

NOT_A_NUMBER = "no number where one is needed"
_MOST_PROCESSORS = 10_000
_LONGEST_RUN_S = 366 * 86_400.0


def usable_rows(table: Table, queue: int | None = None) -> Iterator[tuple[float, float, list[str]]]:
    """Yield submit time, run time and fields of each row with usable times; the others are counted as skipped."""
    submit, run = table.column("submit_s"), table.column("run_s")
    for fields in table.rows:
        if table.is_swf and fields[swf.STATUS] in swf.PARTS:
            table.skipped["a part of a job, which has a row of its own"] += 1
            continue
        try:
            if queue is not None and float(fields[swf.QUEUE]) != queue:
                table.other_queues.add(fields[swf.QUEUE])
                continue
            submit_s, run_s = float(fields[submit]), float(fields[run])
        except ValueError:
            table.skipped[NOT_A_NUMBER] += 1
            continue
        if 0 <= submit_s <= LATEST_S and 0 < run_s <= _LONGEST_RUN_S:
            yield submit_s, run_s, fields
        else:
            table.skipped[_problem(submit_s, run_s)] += 1


def _problem(submit_s: float, run_s: float) -> str:
    if math.isnan(submit_s) or math.isnan(run_s):
        return NOT_A_NUMBER
    if submit_s < 0:
        return "a negative or unknown submit time"
    if run_s < 0:
        return "a negative or unknown run time"
    return "a run time of 0: it was never started" if run_s == 0 else "a time that is out of this world"


def usable_count(table: Table, count: float, what: str) -> int | None:
    """Return a number of processors or workers as a whole one, ``None`` (and counted) where it cannot be used."""
    if 1 <= count <= _MOST_PROCESSORS:
        return math.ceil(count)
    table.skipped[f"more than {_MOST_PROCESSORS} {what}" if count > 1 else f"an unknown number of {what}"] += 1
    return None


def trace_of(table: Table, arrivals: list[Arrival], *notes: str) -> Trace[tuple[Arrival, ...]]:
    """Return the trace of these sessions or jobs in the order of their arrival; raises ``TraceError`` without any."""
    if not arrivals:
        raise no_row(table)
    late = sum(one.submit_s > other.submit_s for one, other in pairwise(arrivals))
    told = [*table.clock.notes, *notes]
    if late:
        told.append(f"{late} rows came after a later one: they were sorted")
    arrivals.sort(key=lambda arrival: arrival.submit_s)
    if arrivals[-1].submit_s - arrivals[0].submit_s > LONGEST_TRACE_S:
        raise too_long(table.path)
    skipped = dict(table.skipped)
    return Trace(table.path, tuple(arrivals), table.clock.start, table.clock.timezone, skipped, tuple(told))


def too_long(path: Path) -> TraceError:
    """The error of a file with times that are too far apart."""
    return TraceError(f"{path}: spans more than 20 years: are all its times in seconds, and of one clock?")


def no_row(table: Table) -> TraceError:
    """The error of a file without a row that can be used, with what is wrong with its rows."""
    if table.other_queues:
        queues = ", ".join(sorted(table.other_queues, key=lambda queue: (len(queue), queue))[:20])
        return TraceError(
            f"{table.path}: no row of this queue can be used{_why(table.skipped)}; other queues: {queues}"
        )
    return TraceError(f"{table.path}: no row can be used{_why(table.skipped)}")


def _why(skipped: Mapping[str, int]) -> str:
    told = "; ".join(f"{count} x {reason}" for reason, count in skipped.items())
    return f" ({told})" if told else ""
