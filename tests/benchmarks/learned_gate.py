"""Whether the nightly gate lets the right models act: what it says of a night, and what the weeks after it cost.

The facility and the traces are those of policies.py. The `threshold` rule is played over the whole PROOF trace once,
and what a Prometheus would have counted each minute is kept: sessions that wait, sessions that run, batch jobs. On some
nights, spread evenly, a model is made as `autoscaler train` makes it: from the counts of the days before, judged on the
later part of them, `closed` on the facility with what the counts say came, `open` in the open loop. `passed` is what
lets a model act.

`then` is the next four weeks, with the recorded sessions and jobs and a model of all days before: core hours of
`threshold` and `learned`. `costs` adds the nights up: with `threshold` always, with `learned` always, and with what
either gate lets act.
"""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from autoscaler.cli.train_contest import REFERENCES, terms_of
from autoscaler.config.policies import policy_like
from autoscaler.contracts import Policy
from autoscaler.learning.training import train
from autoscaler.model import PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, WN_RUNNING_JOBS, Demand, Window
from autoscaler.service.backtest import ClosedLoop, Judge, OfCounts, OpenLoop, split_of
from autoscaler.service.minutes import MINUTE, Minutes
from autoscaler.service.training import LEVELS, has_passed
from autoscaler.simulation.align import make_workload
from autoscaler.simulation.contest import Task, play
from autoscaler.simulation.figures import cost_of, figures
from autoscaler.simulation.simulate import simulate
from policies.learned import Learned
from policies.threshold import Threshold
from tests.benchmarks.learned_closed import AGELESS, HORIZON_MIN
from tests.benchmarks.policies import Ground

PAST, AHEAD = timedelta(days=90), timedelta(days=28)
SIGNALS = (PROOF_QUEUED_SESSIONS, PROOF_RUNNING_SESSIONS, WN_RUNNING_JOBS)

Tell = Callable[[str], Callable[[float], None]]


@dataclass
class Counting:
    """The threshold rule, and what it was shown, cycle by cycle."""

    rule: Threshold
    signals: tuple[str, ...] = SIGNALS
    history: timedelta = timedelta(0)
    counts: list[tuple[float | None, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.history = self.rule.history

    def decide(self, window: Window) -> Demand:
        """Ask the rule."""
        self.counts.append(tuple(window.latest(signal) for signal in SIGNALS))
        return self.rule.decide(window)


def measure(folder: Path, nights: int, jobs: int, tell: Tell) -> dict[str, Any]:
    """Ask the gate on so many nights, and see what comes."""
    ground = Ground.of(folder)
    counted = counts(ground, tell("counting"))
    whole = len(counted.loads)
    first, last = PAST // MINUTE, whole - AHEAD // MINUTE
    asked = partial(night, ground, counted)
    ends = [int(end) for end in np.linspace(first, last, nights)]
    told, found = tell("nights"), []
    for number, each in enumerate(_each(asked, ends, jobs), start=1):
        found.append(each)
        told(number / nights)
    return {"nights": found, "costs": _costs(found)}


def _each(asked: Callable[[int], dict[str, Any]], ends: Sequence[int], jobs: int) -> Iterator[dict[str, Any]]:
    if jobs == 1:
        yield from map(asked, ends)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(asked, ends)


def counts(ground: Ground, tell: Callable[[float], None]) -> Minutes:
    """What would have been counted on the facility, were it run by the threshold rule."""
    workload = make_workload(ground.sessions, ground.jobs, ground.reading).workload
    scenario = replace(ground.loaded.scenario, interval=MINUTE)
    watched = Counting(Threshold(workers_per_session=ground.loaded.traces.workers_per_session))
    simulate(scenario, workload, watched, "threshold", tell)
    queued, running, ran = np.array(watched.counts, dtype=np.float64).T
    return Minutes("counted", workload.start, ground.sessions.timezone, queued + running, queued, ran)


def night(ground: Ground, counted: Minutes, end: int) -> dict[str, Any]:
    """What both gates say, and what comes then."""
    minutes = counted.part(end - PAST // MINUTE, end)
    split = split_of(len(minutes.loads))
    policies = _policies(ground, minutes.part(0, split))
    of_night: dict[str, Any] = {"until": minutes.end.isoformat()}
    for label, judge in _judges(ground, policies["learned"]).items():
        scores = judge.scores(policies, minutes, split, _nobody)
        of_night[label] = {
            "passed": has_passed(scores[1:]),
            "cost_per_week": {each.policy: each.cost_per_week for each in scores},
            "verdict": {each.policy: each.verdict for each in scores[1:]},
        }
    return {**of_night, "then": _then(ground, minutes)}


def _policies(ground: Ground, minutes: Minutes) -> dict[str, Policy]:
    workers = ground.loaded.traces.workers_per_session
    forest = train(minutes.loads, minutes.start, horizon_min=HORIZON_MIN, levels=LEVELS, zone=minutes.zone)
    learned = Learned(
        workers_per_session=workers,
        model_max_age=AGELESS,
        forecaster=forest,
        trained_until=minutes.end,
        zone=minutes.zone,
    )
    return {"learned": learned, **{name: policy_like(name, {"workers_per_session": workers}) for name in REFERENCES}}


def _judges(ground: Ground, learned: Learned) -> Mapping[str, Judge]:
    scenario = ground.loaded.scenario
    memory_mib = scenario.machines[0].host.proof.memory_per_worker_mib
    terms = terms_of(learned, scenario.workers_max, memory_mib)
    came = OfCounts(learned.workers_per_session, ground.loaded.traces.job_memory_mib)
    return {"closed": ClosedLoop(replace(scenario, interval=MINUTE), came), "open": OpenLoop(terms)}


def _then(ground: Ground, minutes: Minutes) -> dict[str, float]:
    policies = _policies(ground, minutes)
    trace, span = ground.sessions, _span(ground)
    begin = (minutes.end - trace.start).total_seconds() - span[0]
    piece = (begin / span[1], min(1.0, (begin + AHEAD.total_seconds()) / span[1]))
    workload = make_workload(trace, ground.jobs, ground.reading, piece=piece).workload
    chosen = [Task(ground.loaded.scenario, workload, policies[name], name) for name in ("threshold", "learned")]
    runs = play(chosen, 1, _nobody)
    return {run.policy: cost_of(figures(run, ground.loaded.scenario)) for run in runs}


def _nobody(_share: float) -> None:
    """Nights are told as they are over."""


def _span(ground: Ground) -> tuple[float, float]:
    """When the first session comes, and how long it is until the last one is over."""
    content = ground.sessions.content
    return content[0].submit_s, max(each.submit_s + each.run_s for each in content) - content[0].submit_s


def _costs(nights: list[dict[str, Any]]) -> dict[str, float]:
    def total(acts: Callable[[dict[str, Any]], bool]) -> float:
        return sum(each["then"]["learned" if acts(each) else "threshold"] for each in nights)

    return {
        "threshold": total(lambda _: False),
        "learned": total(lambda _: True),
        "gated_closed": total(lambda each: each["closed"]["passed"]),
        "gated_open": total(lambda each: each["open"]["passed"]),
    }
