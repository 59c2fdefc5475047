"""A made-up site, the same in each run: equal machines, people who come by the hour and the weekday, batch jobs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from math import cos, pi

import numpy as np
from numpy.typing import NDArray

from autoscaler.model import Allocation, Host, ProofDomain, WnDomain
from autoscaler.simulation.figures import HOUR_S
from autoscaler.simulation.scenario import Machine, Price, Scenario
from autoscaler.simulation.workload import Job, Session

DAY_S = 24 * HOUR_S
CORES, WORKERS = 8, 8
HOST = Host(
    name="host",
    uri="model:///host",
    memory_total_mib=8056,
    memory_reserve_mib=573,
    proof=ProofDomain("proof", Allocation(572, 32, 1.0), 792, 0, 4, 256),
    wns=(WnDomain("wn", 572, 6911, 256, 572, 256, 32),),
)
# Who comes asks several times, with a pause to think.
VISIT, PAUSE_S, RUN_LOG_S, RUN_SPREAD = 4, 120.0, 5.0, 1.3
WEEKEND = 0.2
# A host gives two or three workers without swapping, more only at the cost of its jobs.
JOB_MIB = (50, 800)

Random = np.random.Generator


def scenario(hosts: int) -> Scenario:
    """So many equal machines."""
    machines = [Machine(replace(HOST, name=f"host-{number:03}"), CORES, CORES) for number in range(hosts)]
    return Scenario(tuple(machines), Price(wait_core_s=8.0))


def interest(start: datetime, hours: int, zone: tzinfo) -> NDArray[np.float64]:
    """How much people want to come in each hour, by the local hour and weekday: on workdays 1 in the mean."""
    at = [(start.astimezone(UTC) + timedelta(hours=hour)).astimezone(zone) for hour in range(hours)]
    return np.array([(1.0 - cos(2 * pi * (each.hour - 3) / 24)) * _weight(each) for each in at])


def _weight(at: datetime) -> float:
    return WEEKEND if at.weekday() >= 5 else 1.0


def sessions(visits_an_hour: NDArray[np.float64], duration_s: float, random: Random) -> list[Session]:
    """The sessions of people who come so often in each hour, as far as they begin before the end."""
    counts = random.poisson(visits_an_hour)
    hours_s = np.arange(len(visits_an_hour)) * HOUR_S
    visits_s = np.repeat(hours_s, counts) + random.uniform(0, HOUR_S, counts.sum())
    runs_s = random.lognormal(RUN_LOG_S, RUN_SPREAD, (len(visits_s), VISIT))
    pauses_s = random.exponential(PAUSE_S, (len(visits_s), VISIT))
    at_s = visits_s[:, np.newaxis] + np.cumsum(runs_s + pauses_s, axis=1) - runs_s
    rows = sorted(zip(at_s.ravel().tolist(), runs_s.ravel().tolist(), strict=True))
    return [Session(come_s, run_s, WORKERS) for come_s, run_s in rows if come_s < duration_s]


def batch_jobs(count: int, duration_s: float, random: Random) -> list[Job]:
    """So many jobs at any time, with run times as skewed as real ones: four and a half hours in the mean."""
    at_s, runs_s = np.sort(random.uniform(0, duration_s, count)), random.lognormal(9.0, 1.2, count)
    mib = random.integers(*JOB_MIB, count)
    return [Job(float(a), float(r), 0.9, int(m)) for a, r, m in zip(at_s, runs_s, mib, strict=True)]
