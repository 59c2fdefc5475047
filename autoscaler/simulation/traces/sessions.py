"""PROOF sessions from the recorded jobs of people: SWF, or CSV with the columns submit_s, run_s, workers and user."""

from collections.abc import Callable
from pathlib import Path

from autoscaler.simulation.traces import swf
from autoscaler.simulation.traces.table import Table, open_table
from autoscaler.simulation.traces.trace import Trace, TraceError
from autoscaler.simulation.traces.usable import NOT_A_NUMBER, trace_of, usable_count, usable_rows
from autoscaler.simulation.workload import Session


def read_sessions(
    path: Path, *, queue: int | None = None, workers: int | None = None, read_bytes_per_worker_s: float = 0.0
) -> Trace[tuple[Session, ...]]:
    """Return the sessions of a trace, of one ``queue`` of SWF where it is given; raises ``TraceError``.

    Each session wants ``workers`` workers; with ``None`` as many as it had processors, or else requested.
    """
    table = open_table(path, "submit_s", "run_s")
    if queue is not None and not table.is_swf:
        raise TraceError(f"{path}: is CSV, which has no queues to pick queue {queue} from")
    wanted = _wanted(table, workers)
    user = table.columns.get("user")
    sessions = []
    for submit_s, run_s, fields in usable_rows(table, queue):
        try:
            count = usable_count(table, wanted(fields), "workers")
        except ValueError:
            table.skipped[NOT_A_NUMBER] += 1
            continue
        if count is not None:
            read_bytes = read_bytes_per_worker_s * run_s * count
            sessions.append(Session(submit_s, run_s, count, read_bytes, _user(fields, user)))
    return trace_of(table, sessions)


def _wanted(table: Table, workers: int | None) -> Callable[[list[str]], float]:
    if workers is not None:
        return lambda _: workers
    if table.is_swf:
        return swf.processors
    try:
        place = table.column("workers")
    except TraceError as error:
        raise TraceError(f"{error}; without it the scenario must say proof.workers_per_session") from None
    return lambda fields: float(fields[place])


def _user(fields: list[str], place: int | None) -> str:
    return "" if place is None or fields[place] == "-1" else fields[place].strip()
