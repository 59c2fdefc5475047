"""Pieces of traces of several sites on one clock, so that weekday and local hour of each agree.

A trace is shifted by whole weeks of its own local time; time itself is never stretched, because the daily cycle stands
in a fixed ratio to what a move of memory takes.
"""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from autoscaler.simulation.local_time import from_local, to_local
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.weeks import Place, place
from autoscaler.simulation.workload import Job, Reading, Session, Workload


@dataclass(frozen=True, slots=True)
class Aligned:
    """A workload, and what was done to the traces for it, one sentence each."""

    workload: Workload
    notes: tuple[str, ...] = ()


def make_workload(
    sessions: Trace[tuple[Session, ...]],
    jobs: Trace[tuple[Job, ...]] | None = None,
    reading: Trace[Reading] | None = None,
    *,
    piece: tuple[float, float] = (0.0, 1.0),
) -> Aligned:
    """Return the piece of the PROOF trace between two shares of its time, and what the other traces have then.

    Raises ``TraceError`` where no session is in it. Jobs that would still run at its beginning are there from the
    beginning, with what is left of their run time; sessions are not.
    """
    its = _piece(sessions, piece)
    notes = []
    batch: tuple[Job, ...] = ()
    if jobs is not None:
        # A second more, so that the last job lies before the end.
        where = its.place(jobs, jobs.content[0].submit_s, jobs.content[-1].submit_s + 1.0)
        batch = _jobs(jobs, its, where)
        notes += [f"{jobs.path}: {where.note}"] if where.note else []
    others: Reading | None = None
    if reading is not None:
        where = its.place(reading, 0.0, len(reading.content.bytes_per_s) * reading.content.step_s)
        others = _reading(reading, its, where)
        notes += [f"{reading.path}: {where.note}"] if where.note else []
    start = datetime.fromtimestamp(0, UTC) + timedelta(seconds=its.begin_unix_s)
    return Aligned(Workload(start, its.duration_s, its.sessions, batch, others), tuple(notes))


@dataclass(frozen=True, slots=True)
class _Piece:
    """The sessions of a piece, from its beginning on, and its time."""

    sessions: tuple[Session, ...]
    begin_unix_s: float
    duration_s: float
    zone: tzinfo

    def local_span(self) -> tuple[float, float]:
        """What the clocks of the PROOF site show at the beginning and at the end."""
        begin, end = to_local(self.begin_unix_s + np.array([0.0, self.duration_s]), self.zone).tolist()
        return begin, end

    def place(self, trace: Trace[object], first_s: float, last_s: float) -> Place:
        """Return where to put a trace that has something between these two of its times."""
        times = trace.start.timestamp() + np.array([first_s, last_s])
        first, last = to_local(times, trace.timezone).tolist()
        return place(self.local_span(), (first, last))


def _piece(trace: Trace[tuple[Session, ...]], shares: tuple[float, float]) -> _Piece:
    first = math.floor(trace.content[0].submit_s)
    last = math.ceil(max(session.submit_s + session.run_s for session in trace.content))
    begin, end = (first + math.floor(share * (last - first)) for share in shares)
    inside = tuple(
        replace(session, submit_s=session.submit_s - begin)
        for session in trace.content
        if begin <= session.submit_s < end
    )
    if not inside:
        raise TraceError(f"{trace.path}: has no session between {shares[0]:g} and {shares[1]:g} of its time")
    return _Piece(inside, trace.start.timestamp() + begin, float(end - begin), trace.timezone)


def _jobs(trace: Trace[tuple[Job, ...]], piece: _Piece, where: Place) -> tuple[Job, ...]:
    submit = trace.start.timestamp() + np.array([job.submit_s for job in trace.content])
    local = to_local(submit, trace.timezone)
    run = np.array([job.run_s for job in trace.content])
    used = where.used(local)
    begin, end = piece.local_span()
    found: list[tuple[float, int]] = []
    for shift in where.shifts(begin - float(run.max()), end):
        there = np.flatnonzero(used & (local + shift < end) & (local + shift + run > begin))
        at = from_local(local[there] + shift, piece.zone) - piece.begin_unix_s
        found += zip(at.tolist(), there.tolist(), strict=True)
    found.sort()
    return tuple(
        replace(job, submit_s=max(at_s, 0.0), run_s=job.run_s + min(at_s, 0.0))
        for at_s, job in ((at_s, trace.content[index]) for at_s, index in found)
        if at_s < piece.duration_s and at_s + job.run_s > 0
    )


def _reading(trace: Trace[Reading], piece: _Piece, where: Place) -> Reading:
    reading = trace.content
    steps = np.arange(math.ceil(piece.duration_s / reading.step_s), dtype=np.float64) * reading.step_s
    local = where.in_window(to_local(piece.begin_unix_s + steps, piece.zone))
    at = from_local(local, trace.timezone) - trace.start.timestamp()
    index = np.floor(at / reading.step_s).astype(np.int64)
    there = (index >= 0) & (index < len(reading.bytes_per_s))
    rates = np.where(there, np.array(reading.bytes_per_s)[np.where(there, index, 0)], 0.0)
    return Reading(reading.step_s, tuple(rates.tolist()))
