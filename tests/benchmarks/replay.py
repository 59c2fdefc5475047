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
from math import cos, pi
from statistics import median
from typing import Any

import click
import numpy as np

from autoscaler.contracts import Policy
from autoscaler.model import Allocation, Host, ProofDomain, WnDomain
from autoscaler.simulation.scenario import Machine, Price, Scenario
from autoscaler.simulation.simulate import simulate
from autoscaler.simulation.workload import Job, Session, Workload
from policies.queue_length import QueueLength
from policies.static import Static
from policies.target_tracking import TargetTracking
from policies.threshold import Threshold

POLICIES: Mapping[str, Policy] = {
    "threshold": Threshold(),
    "target_tracking": TargetTracking(),
    "queue_length": QueueLength(),
    "static": Static(32),
}
DAY_S, HOUR_S = 86_400.0, 3600.0
START = datetime(2026, 1, 5, tzinfo=UTC)
SEED = 20261125
REPEATS = 3
# Who comes asks several times, with a pause to think: so many sessions a visit, so many seconds.
VISIT = 4
PAUSE_S = 120.0
HOST = Host(
    name="host",
    uri="model:///host",
    memory_total_mib=8056,
    memory_reserve_mib=573,
    proof=ProofDomain("proof", Allocation(572, 32, 1.0), 792, 0, 4, 256),
    wns=(WnDomain("wn", 572, 6911, 256, 572, 256, 32),),
)


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
    hours = np.arange(size.days * 24)
    daily = np.array([1.0 - cos(2 * pi * ((hour % 24) - 3) / 24) for hour in hours])
    rates = daily * np.where(hours // 24 % 7 < 5, 1.0, 0.2)
    counts = random.poisson(rates / rates.mean() * size.sessions / 24 / VISIT)
    visits_s = np.repeat(hours * HOUR_S, counts) + random.uniform(0, HOUR_S, counts.sum())
    runs_s = random.lognormal(5.0, 1.3, (len(visits_s), VISIT))
    pauses_s = random.exponential(PAUSE_S, (len(visits_s), VISIT))
    at_s = visits_s[:, np.newaxis] + np.cumsum(runs_s + pauses_s, axis=1) - runs_s
    rows = sorted(zip(at_s.ravel().tolist(), runs_s.ravel().tolist(), strict=True))
    sessions = tuple(Session(at, run, 8) for at, run in rows if at < duration_s)
    job_count = size.jobs * size.days
    job_at_s, job_runs_s = np.sort(random.uniform(0, duration_s, job_count)), random.lognormal(9.0, 1.2, job_count)
    mib = random.integers(50, 800, job_count)
    jobs = tuple(Job(float(a), float(r), 0.9, int(m)) for a, r, m in zip(job_at_s, job_runs_s, mib, strict=True))
    return Workload(START, duration_s, sessions, jobs)


def measure(name: str, size: Size) -> dict[str, Any]:
    """One run in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_measure, (name, size))


def _measure(name: str, size: Size) -> dict[str, Any]:
    played = workload(size)
    machines = tuple(Machine(replace(HOST, name=f"host-{number:03}"), 8, 8) for number in range(size.hosts))
    before_s, before_wall_s = time.process_time(), time.perf_counter()
    run = simulate(Scenario(machines, Price(8.0)), played, POLICIES[name], name)
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
