"""All moves of a comparison with their reasons, for the script of the page: it draws and lists those looked at."""

from datetime import UTC
from typing import Any

import numpy as np

from autoscaler.simulation.report.thin import local_moments
from autoscaler.simulation.report.values import Report
from autoscaler.simulation.run import Floats, Run


def moves(report: Report) -> dict[str, Any]:
    """Columns of whole numbers for each run; hosts and reasons, which repeat, are places in lists of all of them.

    ``at_s`` counts on the local clock, from ``begin_s``, which is the local clock's Unix time if it were that of UTC.
    """
    hosts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    runs = [_columns(report, run, hosts, reasons) for run in report.runs]
    begin_s = round(report.start.replace(tzinfo=UTC).timestamp())
    return {"begin_s": begin_s, "hosts": list(hosts), "reasons": list(reasons), "runs": runs}


def _columns(report: Report, run: Run, hosts: dict[str, int], reasons: dict[str, int]) -> dict[str, Any]:
    at_s = np.array([move.at_s for move in run.moves], dtype=np.float64)
    begin = report.start.replace(tzinfo=None)
    return {
        "policy": run.policy,
        "at_s": [
            round((moment.replace(tzinfo=None) - begin).total_seconds()) for moment in local_moments(report.start, at_s)
        ],
        "host": [hosts.setdefault(move.host, len(hosts)) for move in run.moves],
        "workers_from": [move.workers_from for move in run.moves],
        "workers_to": [move.workers_to for move in run.moves],
        "moved_mib": [move.moved_mib for move in run.moves],
        "swapped_mib": [move.swapped_mib for move in run.moves],
        "reason": [reasons.setdefault(move.reason, len(reasons)) for move in run.moves],
        "supply": _supply_at(run, at_s),
    }


def _supply_at(run: Run, at_s: Floats) -> list[int]:
    if not run.course.at_s.size:
        return [0] * at_s.size
    now = np.maximum(np.searchsorted(run.course.at_s, at_s, side="right") - 1, 0)
    return [round(workers) for workers in run.course.supply[now].tolist()]
