"""What the facility model costs: `python -m tests.benchmarks.replay` prints one JSON document, in some minutes.

Made-up workloads, the same in each run: sessions that come by the hour of the day and of the week, batch jobs that keep
most slots busy. Each run is one policy on one core, in a process of its own; times are CPU seconds, memory is the
greatest resident size of the process.

* `year`: a year in cycles of 60 s on 100 hosts, 96 sessions (as many as in SDSC-BLUE's interactive queue) and 1 000
  jobs a day, for each policy;
* `growth`: the CPU time with twice the hosts, jobs, sessions or days over that without, medians of three; 2 is linear,
  less is better. Cycles cost something whatever comes, so twice the hosts cost little more.
"""

import json
import multiprocessing
import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

import click
import numpy as np

from autoscaler.contracts import Policy
from autoscaler.simulation.simulate import simulate
from autoscaler.simulation.workload import Workload
from policies.queue_length import QueueLength
from policies.static import Static
from policies.target_tracking import TargetTracking
from policies.threshold import Threshold
from tests.benchmarks import made_site
from tests.benchmarks.made_site import DAY_S, VISIT, batch_jobs, interest, scenario

POLICIES: Mapping[str, Policy] = {
    "threshold": Threshold(),
    "target_tracking": TargetTracking(),
    "queue_length": QueueLength(),
    "static": Static(32),
}
START = datetime(2026, 1, 5, tzinfo=UTC)
SEED = 20261125
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Size:
    """How large a run is; jobs and sessions are so many a day."""

    hosts: int
    days: int
    jobs: int
    sessions: int


def workload(size: Size) -> Workload:
    """Sessions by day and weekday, jobs at any time, with run times as skewed as real ones."""
    random = np.random.default_rng(SEED)
    duration_s = size.days * DAY_S
    rates = interest(START, size.days * 24, UTC)
    visits_an_hour = rates / rates.mean() * size.sessions / 24 / VISIT
    sessions = tuple(made_site.sessions(visits_an_hour, duration_s, random))
    jobs = tuple(batch_jobs(size.jobs * size.days, duration_s, random))
    return Workload(START, duration_s, sessions, jobs)


def measure(name: str, size: Size) -> dict[str, Any]:
    """One run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure, (name, size))


def _measure(name: str, size: Size) -> dict[str, Any]:
    played = workload(size)
    before_s, before_wall_s = time.process_time(), time.perf_counter()
    run = simulate(scenario(size.hosts), played, POLICIES[name], name)
    return {
        "cpu_s": round(time.process_time() - before_s, 2),
        "wall_s": round(time.perf_counter() - before_wall_s, 2),
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "cycles": len(run.cycles.wn_used_core_s),
        "decided_in_full": run.evaluated,
        "moves": len(run.moves),
        "sessions": len(run.sessions),
        "jobs": run.jobs_submitted,
    }


def growth(size: Size) -> dict[str, float]:
    """How much more CPU time twice as much of something takes."""
    base_s = median(measure("threshold", size)["cpu_s"] for _ in range(REPEATS))
    twice = {
        "hosts": replace(size, hosts=2 * size.hosts),
        "jobs": replace(size, jobs=2 * size.jobs),
        "sessions": replace(size, sessions=2 * size.sessions),
        "days": replace(size, days=2 * size.days),
    }
    return {
        what: round(median(measure("threshold", each)["cpu_s"] for _ in range(REPEATS)) / base_s, 2)
        for what, each in twice.items()
    }


@click.command()
@click.option("--days", default=365, show_default=True, help="Days of the long runs.")
@click.option("--hosts", default=100, show_default=True, help="Hosts of the long runs.")
@click.option("--policy", "policies", type=click.Choice(list(POLICIES)), multiple=True, help="Only this policy.")
def main(days: int, hosts: int, policies: tuple[str, ...]) -> None:
    """Measure and print."""
    size = Size(hosts, days, jobs=1000, sessions=96)
    small = replace(size, days=max(1, days // 12))
    found = {
        "size": {"hosts": hosts, "days": days, "jobs_per_day": size.jobs, "sessions_per_day": size.sessions},
        "year": {name: measure(name, size) for name in policies or POLICIES},
        "growth": growth(small),
    }
    click.echo(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
