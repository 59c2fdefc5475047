"""What is said of a comparison beside its figures."""

from collections.abc import Mapping
from datetime import UTC, datetime

from autoscaler.contracts import Policy
from autoscaler.simulation.ranking import ORACLE, Trial, report
from autoscaler.simulation.run import Move, Run
from autoscaler.simulation.workload import Job, Workload
from policies.static import Static
from policies.threshold import Threshold
from tests.simulation.made_runs import a_move, a_run, a_scenario, cycles, served, unserved

DAY_S = 86400.0
NO_POLICIES: Mapping[str, Policy] = {}


def said(words: str, *runs: Run, jobs: tuple[Job, ...] = (), policies: Mapping[str, Policy] = NO_POLICIES) -> list[str]:
    """The sentences with these words about runs of one workload, the last of which is the oracle's."""
    workload = Workload(datetime(2026, 5, 4, tzinfo=UTC), 1000, (), jobs)
    trial = Trial("A day", a_scenario(), workload, UTC, policies)
    return [line for line in report(trial, runs).workload if words in line]


def test_an_oracle_that_serves_everybody_at_the_least_cost_is_a_bound() -> None:
    dear = a_run(1000, sessions=(served(0, wait_s=20),), spent=cycles([720], [0]))
    assert said("no bound", dear, a_run(1000, sessions=(served(0),), policy=ORACLE)) == []


def test_an_oracle_whose_sessions_never_got_workers_is_no_bound_though_nobody_is_better() -> None:
    sessions = (served(0), unserved(900), unserved(950))
    (line,) = said("no bound", a_run(1000, sessions=sessions), a_run(1000, sessions=sessions, policy=ORACLE))
    assert line.startswith("the oracle is no bound here: 2 of its 3 sessions never got their workers, as the guards, ")


def test_an_oracle_that_costs_more_than_a_policy_is_no_bound() -> None:
    cheap, dear = (a_run(1000, spent=cycles([720], [used]), policy=name) for used, name in ((500, "x"), (0, ORACLE)))
    (line,) = said("no bound", cheap, dear)
    assert line.startswith("the oracle is no bound here: a policy costs less, as the guards, ")


def slow(wanted_core_s: float, used_core_s: float, *moves: Move) -> list[str]:
    """What is said of the batch jobs' CPU, where PROOF used 36 core seconds."""
    return said("batch jobs got", a_run(DAY_S, spent=cycles([wanted_core_s], [used_core_s]), moves=moves))


def test_a_policy_whose_jobs_lack_memory_though_nothing_was_swapped_is_named() -> None:
    (line,) = slow(3600, 1800)
    assert line.startswith("threshold: the batch jobs got 50% of the CPU that they wanted, although PROOF did not use ")


def test_jobs_that_are_slow_for_a_reason_that_figures_show_need_no_words() -> None:
    assert slow(3600, 1800, a_move(0, swapped_mib=1024)) == []
    assert slow(40, 10) == []  # no more than PROOF used


def test_jobs_that_are_hardly_slowed_need_no_words() -> None:
    assert slow(3600, 3500) == []


def test_jobs_that_no_worker_node_has_memory_for_are_counted() -> None:
    jobs = (Job(0, 60, 1.0, 6911), Job(1, 60, 1.0, 6912), Job(2, 60, 1.0, 700_000))
    (line,) = said("more memory", a_run(1000), jobs=jobs)
    assert line.startswith("2 batch jobs use more memory than the Worker Nodes of any host can have, which is 6911 MiB")


def test_more_workers_than_there_can_be_are_told_of_a_policy_that_always_wants_them() -> None:
    policies = {"all": Static(8), "more": Static(500), "quick": Threshold(500)}
    (line,) = said("always", a_run(1000), policies=policies)
    assert line == "more wants 500 workers always; it is played with 8, which is all there can be"
