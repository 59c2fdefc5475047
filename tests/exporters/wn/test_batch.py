"""What becomes of the values that all batch systems give: the metrics."""

from collections.abc import Iterable, Sequence

import pytest
from prometheus_client.core import Metric

from exporters.wn.batch import Job, JobState, Limits, Node, NodeState, Usage, job_metrics, node_metrics, usage_metrics

NO_LIMIT = Limits(1000, 1000)


def values(metrics: Iterable[Metric]) -> dict[str, float]:
    samples = [sample for metric in metrics for sample in metric.samples]
    named = {" ".join([sample.name, *sample.labels.values()]): sample.value for sample in samples}
    assert len(named) == len(samples)
    return named


def of(name: str, metrics: Iterable[Metric]) -> dict[str, float]:
    return {key.removeprefix(f"{name} "): value for key, value in values(metrics).items() if key.startswith(f"{name} ")}


def running(queue: str = "batch", **cores_on: int) -> Job:
    return Job(JobState.RUNNING, queue, cores=sum(cores_on.values()), cores_on=cores_on)


def test_every_state_has_a_sample_even_without_jobs() -> None:
    assert values(job_metrics([], NO_LIMIT)) == {
        "wn_jobs running": 0, "wn_jobs pending": 0, "wn_jobs held": 0, "wn_jobs other": 0, "wn_cores_allocated": 0,
    }  # fmt: skip


def test_jobs_are_counted_by_state_and_an_array_by_its_tasks() -> None:
    jobs = [running(), Job(JobState.PENDING, "batch"), Job(JobState.PENDING, "batch", 5), Job(JobState.HELD, "batch")]
    assert of("wn_jobs", job_metrics(jobs, NO_LIMIT)) == {"running": 1, "pending": 6, "held": 1, "other": 0}


def test_cores_are_those_of_running_jobs() -> None:
    jobs = [running(wn01=4), running(wn01=2, wn02=2), Job(JobState.OTHER, "batch", cores=7), Job(JobState.HELD, "x", 3)]
    assert values(job_metrics(jobs, NO_LIMIT))["wn_cores_allocated"] == 8


def test_a_queue_with_jobs_has_a_sample_for_every_state() -> None:
    jobs = [running("grid"), Job(JobState.PENDING, "grid", 3), Job(JobState.HELD, "local")]
    assert of("wn_queue_jobs", job_metrics(jobs, NO_LIMIT)) == {
        "grid running": 1, "grid pending": 3, "grid held": 0, "grid other": 0,
        "local running": 0, "local pending": 0, "local held": 1, "local other": 0,
    }  # fmt: skip


def test_the_queues_beyond_the_limit_are_the_smallest_and_added_up() -> None:
    jobs = [Job(JobState.PENDING, queue, count) for queue, count in {"a": 1, "b": 5, "c": 3, "d": 1}.items()]
    pending = {
        queue: count
        for queue, count in of("wn_queue_jobs", job_metrics(jobs, Limits(queues=2))).items()
        if queue.endswith(" pending")
    }
    assert pending == {"b pending": 5, "c pending": 3, "_other pending": 2}


def test_queues_of_the_same_size_are_chosen_by_name_whatever_their_order() -> None:
    jobs = [Job(JobState.PENDING, queue) for queue in "dbac"]
    for order in (jobs, jobs[::-1]):
        of_queues = of("wn_queue_jobs", job_metrics(order, Limits(queues=2)))
        assert {name.split()[0] for name in of_queues} == {"a", "b", "_other"}


@pytest.mark.parametrize("limit", [0, 1, 3, 10])
def test_limits_bound_the_series_and_keep_the_sums(limit: int) -> None:
    jobs = [running(f"q{number}", **{f"wn{number}": 2}) for number in range(5)]
    nodes = [Node(f"wn{number}", 2, NodeState.USABLE) for number in range(5)]
    metrics = [*job_metrics(jobs, Limits(limit, limit)), *node_metrics(nodes, Limits(limit, limit))]
    sums = {"wn_queue_jobs": 5, "wn_node_jobs": 5, "wn_node_cores_allocated": 10, "wn_node_slots_usable": 10}
    for name, total in sums.items():
        found = of(name, metrics)
        assert sum(found.values()) == total
        assert len({key.split()[0] for key in found}) == min(limit, 5) + (limit < 5)


def test_jobs_and_cores_are_told_by_node_and_a_job_on_two_nodes_counts_on_both() -> None:
    metrics = list(job_metrics([running(wn01=4), running(wn01=2, wn02=6)], NO_LIMIT))
    assert of("wn_node_jobs", metrics) == {"wn01": 2, "wn02": 1}
    assert of("wn_node_cores_allocated", metrics) == {"wn01": 6, "wn02": 6}


def test_slots_count_by_the_state_of_their_node_and_every_state_has_a_sample() -> None:
    nodes = [Node("wn01", 8, NodeState.USABLE), Node("wn02", 8, NodeState.DRAINED), Node("wn03", 4, NodeState.USABLE)]
    assert of("wn_slots", node_metrics(nodes, NO_LIMIT)) == {"usable": 12, "drained": 8, "down": 0}


def test_a_node_that_is_not_usable_offers_no_slots() -> None:
    nodes = [Node("wn01", 8, NodeState.USABLE), Node("wn02", 8, NodeState.DRAINED), Node("wn03", 8, NodeState.DOWN)]
    assert of("wn_node_slots_usable", node_metrics(nodes, NO_LIMIT)) == {"wn01": 8, "wn02": 0, "wn03": 0}


def test_efficiency_is_the_sum_of_cpu_time_over_the_sum_of_core_time() -> None:
    assert values(usage_metrics([Usage(90.0, 100.0), Usage(0.0, 200.0)])) == {
        "wn_running_cpu_seconds": 90, "wn_running_core_seconds": 300, "wn_cpu_efficiency_ratio": 0.3,
    }  # fmt: skip


@pytest.mark.parametrize("usages", [[], [Usage(0.0, 0.0)]])
def test_without_any_use_there_is_no_efficiency(usages: Sequence[Usage]) -> None:
    assert values(usage_metrics(usages)) == {}


def test_jobs_that_tell_their_use_give_the_efficiency_and_others_do_not_count() -> None:
    told = [
        Job(JobState.RUNNING, "batch", cpu_s=50.0, core_s=100.0),
        running(),
        Job(JobState.RUNNING, "batch", cpu_s=9),
    ]
    assert values(job_metrics(told, NO_LIMIT))["wn_cpu_efficiency_ratio"] == 0.5


def test_running_jobs_of_which_nobody_says_where_they_run_are_seen_to_be_missing() -> None:
    jobs = [running(wn01=2), Job(JobState.RUNNING, "batch", 3, cores=6), Job(JobState.RUNNING, "batch", 0)]
    jobs.append(Job(JobState.RUNNING, "batch", cores=4, cores_on={"wn01": 3}))
    metrics = list(job_metrics(jobs, NO_LIMIT))
    assert of("wn_node_jobs", metrics) == {"wn01": 2, "_unknown": 3}
    assert of("wn_node_cores_allocated", metrics) == {"wn01": 5, "_unknown": 7}
    assert sum(of("wn_node_cores_allocated", metrics).values()) == values(metrics)["wn_cores_allocated"]
