"""What is said of a comparison beside its figures."""

from datetime import UTC, datetime

from autoscaler.simulation.ranking import ORACLE, Trial, report
from autoscaler.simulation.run import Run
from autoscaler.simulation.workload import Workload
from tests.simulation.made_runs import a_run, a_scenario, cycles, served, unserved


def said(*runs: Run) -> list[str]:
    """What is said of these runs, the last of which is the oracle's, where they are of one workload."""
    workload = Workload(datetime(2026, 5, 4, tzinfo=UTC), 1000, ())
    trial = Trial("A day", a_scenario(), workload, UTC, {})
    return [line for line in report(trial, runs).workload if "batch jobs" not in line and "had a worker" not in line]


def test_an_oracle_that_serves_everybody_at_the_least_cost_is_a_bound() -> None:
    dear = a_run(1000, sessions=(served(0, wait_s=20),), spent=cycles([720], [0]))
    assert said(dear, a_run(1000, sessions=(served(0),), policy=ORACLE)) == []


def test_an_oracle_whose_sessions_never_got_workers_is_no_bound_though_nobody_is_better() -> None:
    sessions = (served(0), unserved(900), unserved(950))
    (line,) = said(a_run(1000, sessions=sessions), a_run(1000, sessions=sessions, policy=ORACLE))
    assert line.startswith("the oracle is no bound here: 2 of its 3 sessions never got their workers, as the guards, ")


def test_an_oracle_that_costs_more_than_a_policy_is_no_bound() -> None:
    cheap, dear = (a_run(1000, spent=cycles([720], [used]), policy=name) for used, name in ((500, "x"), (0, ORACLE)))
    (line,) = said(cheap, dear)
    assert line.startswith("the oracle is no bound here: a policy costs less, as the guards, ")
