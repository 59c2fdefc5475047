"""The same facts in the layouts of all versions of Slurm from 22.05 on.

What 22.05 prints was captured; the later layouts are from Slurm's documentation of its REST API and from documents that
others have published (FROM-DOCS in the names of the samples).
"""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.slurm_json import parse_jobs, parse_nodes
from tests.exporters.wn.slurm_documents import counts, job, jobs_of, node, nodes_of, sample

Layout = Callable[[Mapping[str, int], int], dict[str, Any]]


def wrapped(number: int) -> dict[str, Any]:
    return {"set": True, "infinite": False, "number": number}


def hosts(cores: Mapping[str, int]) -> str:
    return ",".join(cores)


def v22_05(cores: Mapping[str, int], threads: int) -> dict[str, Any]:
    nodes = [
        {"nodename": name, "sockets": {"0": {"cores": {str(core): "allocated" for core in range(count // threads)}}}}
        for name, count in cores.items()
    ]
    resources = {"nodes": hosts(cores), "allocated_cores": sum(cores.values()), "allocated_nodes": nodes}
    cpus = sum(cores.values())
    return job("RUNNING", cpus=cpus, nodes=hosts(cores), job_resources=resources, array_task_id=None)


def v23_02(cores: Mapping[str, int], threads: int) -> dict[str, Any]:
    told = v22_05(cores, threads)
    resources = {**told["job_resources"], "allocated_cores": 0, "allocated_cpus": 0}
    return {**told, "cpus": wrapped(told["cpus"]), "array_task_id": wrapped(0), "job_resources": resources}


def v23_11(cores: Mapping[str, int], threads: int) -> dict[str, Any]:
    return {**v23_02(cores, threads), "job_state": ["RUNNING"]}


def v24_05(cores: Mapping[str, int], threads: int) -> dict[str, Any]:
    def told_cores(count: int) -> list[dict[str, Any]]:
        return [{"index": n, "status": ["ALLOCATED" if n < count // threads else "UNALLOCATED"]} for n in range(16)]

    nodes = [
        {
            "index": index,
            "name": name,
            "cpus": {"count": count, "used": 0},
            "sockets": [{"index": 0, "cores": told_cores(count)}],
        }
        for index, (name, count) in enumerate(cores.items())
    ]
    cpus = sum(cores.values())
    resources = {
        "select_type": ["CPU"],
        "nodes": {"count": len(nodes), "list": hosts(cores), "whole": False, "allocation": nodes},
        "cpus": cpus,
    }
    return job(["RUNNING"], cpus=wrapped(cpus), nodes=hosts(cores), job_resources=resources)


def v25_05_without_counts(cores: Mapping[str, int], threads: int) -> dict[str, Any]:
    told = v24_05(cores, threads)
    for each in told["job_resources"]["nodes"]["allocation"]:
        del each["cpus"]
    return told


LAYOUTS = [v22_05, v23_02, v23_11, v24_05, v25_05_without_counts]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cores", [{"wn01": 8}, {"wn01": 2, "wn02": 6}, {"wn01": 4, "wn02": 2, "gpu1": 2}])
def test_cores_by_node_are_the_same_in_all_layouts(layout: Layout, cores: Mapping[str, int], threads: int) -> None:
    assert jobs_of(layout(cores, threads)) == [Job(JobState.RUNNING, "batch", 1, sum(cores.values()), cores)]


@pytest.mark.parametrize(
    "resources",
    [
        None,
        {},
        {"nodes": "wn[01-02],gpu1"},
        {"nodes": {"list": "wn[01-02],gpu1", "allocation": []}},
        {"nodes": 5},
        {"of": {"another": ["version"]}},
        "text",
        {"nodes": "wn[01-02],gpu1", "allocated_nodes": [{"nodename": node} for node in ("wn01", "wn02", "gpu1")]},
    ],
)
def test_without_details_the_cores_are_shared_evenly_over_the_nodes_of_the_job(resources: Any) -> None:
    [read] = jobs_of(job("RUNNING", cpus=8, nodes="wn[01-02],gpu1", job_resources=resources))
    assert read.cores_on == {"wn01": 3, "wn02": 3, "gpu1": 2}


def test_details_that_do_not_add_up_are_not_believed() -> None:
    told = v22_05({"wn01": 1, "wn02": 2}, 1)
    [read] = jobs_of({**told, "cpus": 4})
    assert read.cores_on == {"wn01": 2, "wn02": 2}


@pytest.mark.parametrize("nodes", ["", None, "wn[01-", "(null),["])
def test_a_running_job_whose_nodes_cannot_be_read_counts_without_them(nodes: str | None) -> None:
    assert jobs_of(job("RUNNING", cpus=4, nodes=nodes)) == [Job(JobState.RUNNING, "batch", 1, 4, {})]


def test_jobs_of_24_11() -> None:
    jobs = parse_jobs("squeue", sample("squeue-24.11.FROM-DOCS.json"))
    assert counts(jobs) == {JobState.RUNNING: 3, JobState.PENDING: 1 + 6, JobState.HELD: 2, JobState.OTHER: 2}
    assert [(each.cores, dict(each.cores_on)) for each in jobs if each.state is JobState.RUNNING] == [
        (8, {"wn01": 8}),
        (5, {"wn02": 4, "wn03": 1}),
        (8, {"wn04": 8}),  # its nodes are being configured
    ]


def test_sinfo_from_23_02_on_lists_a_node_for_each_of_its_partitions_and_it_counts_once() -> None:
    assert parse_nodes("sinfo", sample("sinfo-24.11.FROM-DOCS.json")) == [
        *(Node(f"wn0{number}", 16, NodeState.USABLE) for number in (1, 2, 3, 4)),
        Node("wn05", 16, NodeState.DRAINED),
        Node("wn06", 16, NodeState.DOWN),
        Node("wn07", 32, NodeState.DOWN),
    ]


def test_a_partition_without_nodes_is_no_node() -> None:
    group = b'{"sinfo": [{"node": {"state": []}, "nodes": {"nodes": []}, "cpus": {"total": 0}}]}'
    assert parse_nodes("sinfo", group) == []


def test_nodes_of_slurmrestd() -> None:
    assert [each.name for each in parse_nodes("slurmrestd", sample("slurmrestd-v0.0.38-nodes.json"))] == [
        "wn01", "wn02", "wn03", "wn04",
    ]  # fmt: skip
    assert parse_nodes("slurmrestd", sample("slurmrestd-v0.0.42-nodes.FROM-DOCS.json")) == [
        Node("wn01", 14, NodeState.USABLE),
        Node("wn02", 16, NodeState.DRAINED),
        Node("wn03", 16, NodeState.DOWN),
    ]


def test_numbers_of_nodes_may_be_wrapped() -> None:
    assert nodes_of(node(cpus=wrapped(4), effective_cpus=wrapped(3))) == [Node("wn01", 3, NodeState.USABLE)]


def test_without_effective_cpus_all_cpus_are_slots() -> None:
    assert nodes_of(node(cpus=4, effective_cpus=0)) == [Node("wn01", 4, NodeState.USABLE)]
