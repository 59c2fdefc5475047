"""One row of figures per policy: what its run came to, for users, for the Grid, for the machines, and in one price."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from autoscaler.simulation.elasticity import (
    instability_other_percent,
    instability_percent,
    tau_over_percent,
    tau_under_percent,
    theta_over_percent,
    theta_under_percent,
)
from autoscaler.simulation.run import Floats, Run
from autoscaler.simulation.scenario import Scenario

Row = dict[str, float | int | str | None]
HOUR_S = 3600.0
DAY_S = 86400.0
MIB_PER_GIB = 1024.0
# Feitelson's threshold: below it, a slowdown says more about how short a session is than about its wait.
SLOWDOWN_BOUND_S = 10.0
NOTICED_S = 10.0
LONG_S = 60.0
# An oracle that costs less, in core hours and beside the policy, makes a regret of any size that says nothing.
ORACLE_COST_MIN = 0.1
ORACLE_SHARE_MIN = 0.01


@dataclass(frozen=True, slots=True)
class Figure:
    """What a key of the row means. ``better``: which way it should go, if all else stays as it is."""

    unit: str
    better: Literal["lower", "higher", ""]
    meaning: str


FIGURES: Mapping[str, Figure] = {
    "policy": Figure("", "", "The policy, by its label in the scenario."),
    "sessions": Figure("count", "", "PROOF sessions that came."),
    "sessions_unserved": Figure("count", "lower", "Sessions that still waited when the run ended."),
    "proof_wait_p50_s": Figure(
        "seconds",
        "lower",
        "Median, over the sessions, of the time until all workers were there; an unserved one waits to the end.",
    ),
    "proof_wait_p95_s": Figure("seconds", "lower", "The same, 95th percentile (linear between sessions)."),
    "proof_wait_p99_s": Figure("seconds", "lower", "The same, 99th percentile."),
    "proof_wait_mean_s": Figure("seconds", "lower", "The same, mean."),
    "waiting_over_10s_ratio": Figure("ratio, 1 = all", "lower", "Share of the sessions that waited more than 10 s."),
    "waiting_over_60s_ratio": Figure("ratio, 1 = all", "lower", "Share of the sessions that waited more than 60 s."),
    "bounded_slowdown_mean": Figure(
        "ratio, 1 = none",
        "lower",
        "Time from arrival to end over the run time with all workers and free cores, that at least 10 s; at least 1 "
        "(Feitelson); mean of the sessions. What has not ended, ends with the run.",
    ),
    "bounded_slowdown_p95": Figure("ratio, 1 = none", "lower", "The same, 95th percentile."),
    "missed_arrivals_ratio": Figure(
        "ratio, 1 = all", "lower", "Share of the sessions that did not find all their workers free when they came."
    ),
    "spare_workers_mean": Figure("workers", "lower", "Workers that were there and ran no session, mean over the time."),
    "wn_core_hours_lost": Figure(
        "core hours",
        "lower",
        "CPU time that running batch jobs would have used with the machines to themselves less what they got, added up "
        "moment by moment. A slowed job stays longer and wants for longer: on a farm that is not full this is delay, "
        "made up later; on a full one it is work lost.",
    ),
    "wn_cpu_efficiency_ratio": Figure(
        "ratio, 1 = whole", "higher", "CPU time that the batch jobs got of what they wanted."
    ),
    "wn_core_hours_used": Figure("core hours", "higher", "CPU time that the batch jobs got."),
    "proof_core_hours_used": Figure("core hours", "higher", "CPU time that PROOF's queries got."),
    "jobs_submitted": Figure("count", "", "Batch jobs that came."),
    "jobs_finished": Figure("count", "higher", "Batch jobs that ended within the run."),
    "moved_gib_per_day": Figure("GiB per day", "lower", "Memory that PROOF's domains got or gave, both added."),
    "changes_per_day": Figure(
        "1 per day",
        "lower",
        "Transfers, each on one host; also those that put memory or CPU right and those that got no worker.",
    ),
    "swapped_gib_per_day": Figure(
        "GiB per day",
        "lower",
        "Memory that went into swap because a transfer cut into what a guest used. Worker Nodes that have less than "
        "their jobs use all the time add nothing here: that shows in swap_in_gib_per_day and wn_cpu_efficiency_ratio.",
    ),
    "swap_in_gib_per_day": Figure(
        "GiB per day",
        "lower",
        "Memory that guests read back from swap, at most: what transfers put there, once, when there is room for it "
        "again, unless its job has ended; and while jobs miss memory that they use, as much as their swap device gives "
        "in the time that they stand still.",
    ),
    "theta_under_percent": Figure(
        "percent", "lower", "Demand that supply did not meet, of the demand (at least 1 worker), mean over the time."
    ),
    "theta_over_percent": Figure(
        "percent", "lower", "Supply beyond demand, of the demand (at least 1 worker), mean over the time."
    ),
    "tau_under_percent": Figure("percent", "lower", "Share of the time in which supply was below demand."),
    "tau_over_percent": Figure("percent", "lower", "Share of the time in which supply was above demand."),
    "instability_percent": Figure(
        "percent",
        "lower",
        "Share of cycles in which supply grew and demand did not, or demand fell and supply did not.",
    ),
    "instability_other_percent": Figure(
        "percent",
        "lower",
        "Share of cycles in which supply fell and demand did not, or demand grew and supply did not.",
    ),
    "cost": Figure(
        "core hours",
        "lower",
        "All sessions' waiting at the scenario's price per second, plus the core hours that the batch jobs lost, be "
        "they work or only delay (wn_core_hours_lost).",
    ),
    "regret_ratio": Figure(
        "ratio, 0 = none",
        "lower",
        "Cost beyond the oracle's, of the oracle's; null where the oracle's is below 0.1 core hours.",
    ),
}


@dataclass(frozen=True, slots=True)
class Experience:
    """What the users lived through, one value per session; what did not come to pass counts as at the run's end."""

    submit_s: Floats
    start_s: Floats
    slowdown: Floats
    missed: Floats

    @property
    def wait_s(self) -> Floats:
        """How long each session waited until all of its workers were there."""
        return self.start_s - self.submit_s

    def means(self) -> dict[str, Floats]:
        """Return, by the key of the figure, what it is the mean over the sessions of."""
        return {
            "proof_wait_mean_s": self.wait_s,
            "waiting_over_10s_ratio": (self.wait_s > NOTICED_S).astype(np.float64),
            "waiting_over_60s_ratio": (self.wait_s > LONG_S).astype(np.float64),
            "bounded_slowdown_mean": self.slowdown,
            "missed_arrivals_ratio": self.missed,
        }


def experience(run: Run) -> Experience:
    """Lay out a run's sessions as arrays."""
    sessions, over_s = run.sessions, run.duration_s
    submit_s = _floats(session.submit_s for session in sessions)
    end_s = _floats(over_s if session.end_s is None else session.end_s for session in sessions)
    run_s = _floats(session.run_s for session in sessions)
    return Experience(
        submit_s=submit_s,
        start_s=_floats(over_s if session.start_s is None else session.start_s for session in sessions),
        slowdown=np.maximum(1.0, (end_s - submit_s) / np.maximum(run_s, SLOWDOWN_BOUND_S)),
        missed=_floats(not session.hit for session in sessions),
    )


def figures(run: Run, scenario: Scenario) -> Row:
    """Return the row of a run, with the keys of ``FIGURES``; what has no value, such as a wait of nobody, is ``None``.

    The regret is ``None`` until it is compared with the oracle's row.
    """
    lived = experience(run)
    row: Row = {"policy": run.policy} | _users(run, lived) | _grid(run) | _moves(run) | _elasticity(run)
    row["spare_workers_mean"] = _ratio(float(run.cycles.spare_worker_s.sum()), run.duration_s)
    row["cost"] = float(scenario.price.wait_core_s * lived.wait_s.sum() + lost_core_s(run).sum()) / HOUR_S
    return {key: row.get(key) for key in FIGURES}


def with_regret(rows: Sequence[Row], oracle: Row) -> list[Row]:
    """Return the rows with their ``regret_ratio`` to the oracle's row, ``None`` where that has hardly any cost."""
    bound = cost_of(oracle)
    return [row | {"regret_ratio": _regret(cost_of(row), bound)} for row in rows]


def cost_of(row: Row) -> float:
    """Return what a row costs; raises ``ValueError`` where it has no cost."""
    cost = row["cost"]
    if not isinstance(cost, float):
        raise ValueError(f"the row of {row['policy']} has no cost")
    return cost


def lost_core_s(run: Run) -> Floats:
    """Core seconds that the batch jobs lost, in each cycle."""
    return run.cycles.wn_wanted_core_s - run.cycles.wn_used_core_s


def _regret(cost: float, bound: float) -> float | None:
    return (cost - bound) / bound if bound >= max(ORACLE_COST_MIN, ORACLE_SHARE_MIN * cost) else None


def _users(run: Run, lived: Experience) -> Row:
    wait_s = lived.wait_s
    return {
        "sessions": len(run.sessions),
        "sessions_unserved": sum(session.start_s is None for session in run.sessions),
        "proof_wait_p50_s": _quantile(wait_s, 0.5),
        "proof_wait_p95_s": _quantile(wait_s, 0.95),
        "proof_wait_p99_s": _quantile(wait_s, 0.99),
        "bounded_slowdown_p95": _quantile(lived.slowdown, 0.95),
        **{key: _mean(values) for key, values in lived.means().items()},
    }


def _grid(run: Run) -> Row:
    used_core_s = float(run.cycles.wn_used_core_s.sum())
    return {
        "wn_core_hours_lost": float(lost_core_s(run).sum()) / HOUR_S,
        "wn_cpu_efficiency_ratio": _ratio(used_core_s, float(run.cycles.wn_wanted_core_s.sum())),
        "wn_core_hours_used": used_core_s / HOUR_S,
        "proof_core_hours_used": float(run.cycles.proof_used_core_s.sum()) / HOUR_S,
        "jobs_submitted": run.jobs_submitted,
        "jobs_finished": run.jobs_finished,
    }


def _moves(run: Run) -> Row:
    days = run.duration_s / DAY_S
    return {
        "moved_gib_per_day": _ratio(sum(abs(move.moved_mib) for move in run.moves) / MIB_PER_GIB, days),
        "changes_per_day": _ratio(len(run.moves), days),
        "swapped_gib_per_day": _ratio(sum(move.swapped_mib for move in run.moves) / MIB_PER_GIB, days),
        "swap_in_gib_per_day": _ratio(float(run.cycles.swap_in_mib.sum()) / MIB_PER_GIB, days),
    }


def _elasticity(run: Run) -> Row:
    """The elasticity metrics; changes are looked for from cycle to cycle."""
    course = (run.course.at_s, run.course.demand, run.course.supply, run.duration_s)
    return {
        "theta_under_percent": theta_under_percent(*course),
        "theta_over_percent": theta_over_percent(*course),
        "tau_under_percent": tau_under_percent(*course),
        "tau_over_percent": tau_over_percent(*course),
        "instability_percent": instability_percent(*course, run.cycles.interval_s),
        "instability_other_percent": instability_other_percent(*course, run.cycles.interval_s),
    }


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _mean(values: Floats) -> float | None:
    return float(np.mean(values)) if values.size else None


def _quantile(values: Floats, q: float) -> float | None:
    return float(np.quantile(values, q)) if values.size else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None
