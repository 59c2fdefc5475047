"""The closed loop of learned.py: `learned` in the facility model beside what reacts, on weeks that nothing was set on.

The facility and the traces are those of policies.py. A model is trained on the sessions before the piece that is
played; in its real life it would be made anew each night, so that its age is not judged here. On the fifth before the
last one the price of idling is chosen, with a model of what is before that; the last fifth is reported. All figures are
means over dealings of the machines' names (dealing.py), `cost_of_each` has the cost with each of them. `verdict` is of
each beside `threshold`, `learned_is` of `learned` beside each.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from autoscaler.config.schema import LearningSection
from autoscaler.contracts import Policy
from autoscaler.learning.training import train
from autoscaler.service.minutes import from_sessions
from autoscaler.service.training import LEVELS
from autoscaler.simulation.align import make_workload
from autoscaler.simulation.compare import Weekly, compare, weekly
from autoscaler.simulation.contest import Task, play
from autoscaler.simulation.figures import cost_of, figures, with_regret
from autoscaler.simulation.ranking import DECIDES, Trial, tasks, with_verdict
from autoscaler.simulation.run import Floats, Run
from autoscaler.simulation.workload import Workload
from policies.learned import Learned
from policies.queue_length import QueueLength
from policies.target_tracking import TargetTracking
from policies.threshold import Threshold
from tests.benchmarks.dealing import dealt, mean_figures, mean_weeks
from tests.benchmarks.peers import PEERS
from tests.benchmarks.policies import TUNING_PIECE, Ground

# What a site has that says nothing of it.
HORIZON_MIN = LearningSection().horizon // timedelta(minutes=1)
IDLE_PRICES = (0.1, 0.2, 0.4)
AGELESS = timedelta(days=366)
SHOWN = (
    "policy",
    "cost",
    "cost_difference_per_week",
    "cost_difference_interval",
    "verdict",
    "regret_ratio",
    "missed_arrivals_ratio",
    "proof_wait_p95_s",
    "spare_workers_mean",
    "wn_core_hours_lost",
    "changes_per_day",
)

Tell = Callable[[str], Callable[[float], None]]


def closed_loop(folder: Path, dealings: int, jobs: int, tell: Tell) -> dict[str, Any]:
    """Choose the price on the tuning piece, and report the last one."""
    ground = Ground.of(folder)
    tuning = played(ground, TUNING_PIECE, candidates, dealings, partial(play, jobs=jobs, tell=tell("tuning")))
    costs = {row["policy"]: row["cost"] for row in tuning if row["policy"].startswith("learned")}
    best = min(costs, key=costs.__getitem__)

    def contest(forecasting: Mapping[str, Any], workers: int) -> dict[str, Policy]:
        return {**reactive(ground, workers), "learned": candidates(forecasting, workers)[best]}

    return {
        "chosen": best,
        "tuning": tuning,
        "rows": played(
            ground, ground.loaded.traces.piece, contest, dealings, partial(play, jobs=jobs, tell=tell("last"))
        ),
    }


def candidates(forecasting: Mapping[str, Any], workers: int) -> dict[str, Policy]:
    """The threshold rule, and the learned policy at each price."""
    learned = {
        f"learned (idle_core_seconds: {price:g})": Learned(
            workers_per_session=workers, idle_core_seconds=price, model_max_age=AGELESS, **forecasting
        )
        for price in IDLE_PRICES
    }
    return {"threshold": Threshold(workers_per_session=workers), **learned}


def reactive(ground: Ground, workers: int) -> dict[str, Policy]:
    """What reacts: ours, a longer hold, and the rules of others that were not far from it."""
    return {
        "threshold": Threshold(workers_per_session=workers),
        "threshold (idle: 1h)": Threshold(workers_per_session=workers, idle=timedelta(hours=1)),
        "target_tracking": TargetTracking(workers_per_session=workers),
        "queue_length (tuned)": QueueLength(
            workers_per_session=workers, sessions_per_replica=0.5, cooldown=timedelta(minutes=20)
        ),
        "elastiq": PEERS["elastiq"](ground.site),
    }


def played(
    ground: Ground,
    piece: tuple[float, float],
    contest: Callable[[Mapping[str, Any], int], Mapping[str, Policy]],
    dealings: int,
    run_all: Callable[[Sequence[Task]], list[Run]],
) -> list[dict[str, Any]]:
    """One row for each policy, with the worst week beside the first one's, and the oracle."""
    workload = make_workload(ground.sessions, ground.jobs, ground.reading, piece=piece).workload
    policies = contest(forecaster(ground, workload), ground.loaded.traces.workers_per_session)
    trials = [
        Trial("", dealt(ground.loaded.scenario, dealing), workload, ground.sessions.timezone, policies)
        for dealing in range(dealings)
    ]
    runs = run_all([task for trial in trials for task in tasks(trial)])
    by_policy = [runs[place :: len(runs) // dealings] for place in range(len(runs) // dealings)]
    scenario = ground.loaded.scenario
    found = [[figures(run, scenario) for run in dealt_runs] for dealt_runs in by_policy]
    rows = [mean_figures(dealt_rows) for dealt_rows in found]
    weeks = [mean_weeks([weekly(run, scenario) for run in dealt_runs]) for dealt_runs in by_policy]
    each = [{"cost_of_each": [cost_of(row) for row in dealt_rows]} for dealt_rows in found]
    judged = [with_verdict(row, own, weeks[0]) for row, own in zip(with_regret(rows, rows[-1]), weeks, strict=True)]
    shown = [{key: row[key] for key in SHOWN} for row in judged]
    of_weeks = [{**ratios, **beside} for ratios, beside in zip(_weeks(weeks), _beside_all(weeks), strict=True)]
    return [{**row, **costs, **more} for row, costs, more in zip(shown, each, of_weeks, strict=True)]


def forecaster(ground: Ground, workload: Workload) -> Mapping[str, Any]:
    """A model of all the sessions that were over before a workload begins."""
    trace = ground.sessions
    until_s = (workload.start - trace.start).total_seconds()
    past = [session for session in trace.content if session.submit_s + session.run_s < until_s]
    minutes = from_sessions(past, trace.start, trace.timezone, trace.path.name)
    forest = train(minutes.loads, minutes.start, horizon_min=HORIZON_MIN, levels=LEVELS, zone=minutes.zone)
    return {"forecaster": forest, "trained_until": workload.start, "zone": minutes.zone}


def _beside_all(weeks: Sequence[Weekly]) -> Iterator[Mapping[str, Any]]:
    """What the last policy before the oracle, a learned one, costs more than each, and whether that is for sure."""
    learned = weeks[-2]
    for other in weeks:
        found = compare(learned, other)[DECIDES]
        yield {
            "learned_is": None if other is learned else found.verdict,
            "learned_difference_per_week": found.difference.value,
            "learned_difference_interval": [found.difference.low, found.difference.high],
        }


def _weeks(weeks: Sequence[Weekly]) -> Iterator[Mapping[str, Any]]:
    """Each policy's cost by weeks, and what the first one's weeks are multiplied by.

    One week of a full farm can cost more than all others: then a sum says how that week went, and only the ratios say
    how weeks go. The median's 95 % interval is by the sign test (Conover), which asks nothing of how they are spread.
    """
    costs = [each.shares[DECIDES].part for each in weeks]
    there = costs[0] > 0
    for cost in costs:
        yield {"week_costs": np.round(cost, 1).tolist(), **_ratios(cost[there] / costs[0][there])}


def _ratios(of_weeks: Floats) -> Mapping[str, Any]:
    if not len(of_weeks):
        return {}
    ends = stats.quantile_test(of_weeks, q=1.0, p=0.5).confidence_interval(0.95)
    return {
        "weeks_cheaper_ratio": float(np.mean(of_weeks < 1)),
        "median_week_cost_ratio": float(np.median(of_weeks)),
        "median_week_cost_ratio_interval": None if np.isnan(ends).any() else [float(end) for end in ends],
        "worst_week_cost_ratio": float(of_weeks.max()),
    }
