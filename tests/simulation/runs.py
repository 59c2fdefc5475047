"""Runs made by hand, without the facility model: what reports and tables are shown with."""

from datetime import UTC, datetime
from typing import Any

import numpy as np

from autoscaler.simulation.figures import Figure
from autoscaler.simulation.report.values import Report
from autoscaler.simulation.run import Course, Cycles, Move, Run, Served

START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)

FIGURES = {
    "policy": Figure("", "", "The policy, by its label."),
    "proof_wait_p95_s": Figure("seconds", "", "Time until all workers were there, 95th percentile."),
    "missed_arrivals_ratio": Figure("ratio, 1 = all", "", "Sessions that did not find all workers free."),
    "wn_core_hours_lost": Figure("core hours", "", "What the batch jobs did not get."),
    "cost": Figure("core hours", "", "Waiting at the scenario's price, plus what the batch jobs lost."),
    "regret_ratio": Figure("ratio, 0 = none", "", "Cost beyond the oracle's, of the oracle's."),
}


def a_move(at_s: float = 60.0, **more: Any) -> Move:
    values = {"host": "host-1", "workers_from": 0, "workers_to": 4, "moved_mib": 3250, "swapped_mib": 0}
    return Move(at_s=at_s, **(values | {"reason": "1 queued session"} | more))


def a_run(policy: str = "threshold", **more: Any) -> Run:
    """An hour with two sessions: the first finds nothing and waits 90 s, the second never gets its workers."""
    cycles = np.ones(60)
    values = {
        "duration_s": 3600.0,
        "sessions": (Served(60.0, 600.0, 4, 150.0, 750.0, hit=False), Served(3000.0, 600.0, 40, None, None, hit=False)),
        "moves": (a_move(),),
        "course": Course(
            at_s=np.array([0.0, 60.0, 150.0, 750.0, 3000.0]),
            demand=np.array([0.0, 4.0, 4.0, 0.0, 40.0]),
            supply=np.array([0.0, 0.0, 4.0, 4.0, 8.0]),
        ),
        "cycles": Cycles(60.0, cycles * 120, cycles * 90, cycles, cycles, cycles * 0, cycles * 1024, cycles * 4096),
        "jobs_submitted": 3,
        "jobs_finished": 2,
        "evaluated": 60,
    }
    return Run(policy=policy, **(values | more))


def an_empty_run(policy: str = "static") -> Run:
    """Nobody came, and no time passed."""
    none = np.empty(0)
    cycles = Cycles(60.0, none, none, none, none, none, none, none)
    return a_run(policy, duration_s=0.0, sessions=(), moves=(), course=Course(none, none, none), cycles=cycles)


def a_row(policy: str = "threshold", **more: Any) -> dict[str, Any]:
    """A row with some of the figures, in their order."""
    values = {"proof_wait_p95_s": 88.5, "missed_arrivals_ratio": 0.25, "wn_core_hours_lost": 0.5, "cost": 2.25}
    return {"policy": policy} | values | {"regret_ratio": 1.25} | more


def a_report(*runs: Run, **more: Any) -> Report:
    """A comparison of these runs; the first costs 1 core hour, the next 2, and so on."""
    rows = tuple(a_row(run.policy, cost=float(place)) for place, run in enumerate(runs, start=1))
    values = {"scenario": ("3 hosts, 24 cores",), "workload": ("3 of 120 rows skipped: no run time",), "rows": rows}
    return Report(**({"title": "A day", "start": START, "figures": FIGURES, "runs": runs} | values | more))
