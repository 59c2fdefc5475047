"""However runs are made, they are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from distributed import LocalCluster

from autoscaler.simulation.contest import ClusterError, Task, play, play_on_dask
from autoscaler.simulation.simulate import PolicyFailedError
from autoscaler.simulation.workload import Job, Session
from policies.static import Static
from policies.threshold import Threshold
from tests.simulation.plant import a_scenario, a_workload
from tests.simulation.test_simulate import Failing, same

SESSIONS = tuple(Session(500.0 * number, 300.0, 4) for number in range(20))
WORKLOAD = a_workload(*SESSIONS, jobs=(Job(0.0, 9000.0, 0.9, 600),) * 12, duration_s=10_000.0)
POLICIES = {
    "threshold": Threshold(workers_per_session=4),
    "quick": Threshold(workers_per_session=4, idle=timedelta(minutes=1)),
    "static": Static(6),
}
TASKS = [Task(a_scenario(2), WORKLOAD, policy, label) for label, policy in POLICIES.items()]


@contextmanager
def a_cluster() -> Iterator[str]:
    where = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": None}
    with LocalCluster(n_workers=1, processes=False, **where) as cluster:
        yield cluster.scheduler_address


def test_processes_give_what_one_gives_in_the_same_order() -> None:
    told: list[float] = []
    alone, together = play(TASKS, 1, lambda _: None), play(TASKS, 2, told.append)
    assert [run.policy for run in together] == list(POLICIES)
    assert all(same(one, other) for one, other in zip(alone, together, strict=True))
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_gives_what_one_process_gives() -> None:
    with a_cluster() as address:
        clustered = play_on_dask(TASKS, address, lambda _: None)
    assert all(same(one, other) for one, other in zip(play(TASKS, 1, lambda _: None), clustered, strict=True))


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(ClusterError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:1"):
        play_on_dask(TASKS, "tcp://127.0.0.1:1", lambda _: None)


@pytest.mark.parametrize("jobs", [1, 2])
def test_one_run_that_fails_fails_all_of_them(jobs: int) -> None:
    tasks = [*TASKS, Task(a_scenario(), WORKLOAD, Failing(), "failing")]
    with pytest.raises(PolicyFailedError, match="no such thing"):
        play(tasks, jobs, lambda _: None)
