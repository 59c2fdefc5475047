"""Jobs and nodes as Slurm's commands show them, and the commands themselves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.slurm import system
from exporters.wn.slurm_json import parse_jobs, parse_nodes
from tests.exporters.wn.slurm_documents import (
    counts,
    job,
    jobs_document,
    jobs_of,
    node,
    nodes_document,
    nodes_of,
    sample,
)

DEADLINE_S = 60


def install(folder: Path, name: str, body: str) -> Path:
    script = folder / name
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return folder


def test_a_real_queue_is_counted_as_its_text_form_shows_it() -> None:
    # squeue -r: running 1-4 and 10_1; eligible 5-9 and 10_2..10_6; Dependency, BeginTime, PartitionConfig, JobHeldUser
    jobs = parse_jobs("squeue", sample("squeue.json"))
    assert counts(jobs) == {JobState.RUNNING: 5, JobState.PENDING: 10, JobState.HELD: 4}
    running = [each for each in jobs if each.state is JobState.RUNNING]
    assert [dict(each.cores_on) for each in running] == [
        {"wn01": 2},
        {"wn02": 2},
        {"wn03": 2},
        {"wn04": 1},
        {"wn04": 1},
    ]
    assert sum(each.cores for each in running) == 2 + 2 + 2 + 1 + 1
    assert {each.queue for each in running} == {"batch", "proof"}


def test_an_empty_queue_is_no_jobs() -> None:
    assert parse_jobs("squeue", sample("squeue-empty.json")) == []


def test_an_empty_list_of_jobs_beside_errors_is_unknown_and_not_empty() -> None:
    with pytest.raises(SourceUnavailable, match=r"^squeue reports errors: .*Failed while looking for jobs"):
        parse_jobs("squeue", sample("squeue-ctld-down.json"))


def test_an_empty_list_of_nodes_beside_errors_is_unknown_and_not_empty() -> None:
    with pytest.raises(SourceUnavailable, match=r"^sinfo reports errors: .*Unspecified error"):
        parse_nodes("sinfo", sample("sinfo-ctld-down.json"))


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "printed nothing"),
        (b" \n", "printed nothing"),
        (b"slurm_load_jobs error", "not a whole JSON document"),
        (jobs_document(job())[:-2], "not a whole JSON document"),
        (b"\xff", "not a whole JSON document"),
        (b"[" * 100_000, "another kind"),
        (b'{"jobs": ' + b"[" * 100_000, "another kind"),
        (b'{"other": ' + b"[" * 100_000, "not a whole JSON document"),
        (b"[]", "another kind than expected: Expected `object`"),
        (b"{}", "no list of jobs"),
        (b'{"nodes": []}', "no list of jobs"),
        (b'{"jobs": null}', "no list of jobs"),
        (b'{"jobs": [1]}', r"Expected `object`, got `int` - at `\$\.jobs\[\.\.\.\]`"),
        (b'{"errors": null, "jobs": []}', r"at `\$\.errors`"),
        (b'{"errors": ["broken"], "jobs": []}', r'squeue reports errors: \["broken"\]'),
        (jobs_document({}), "missing required field `job_state`"),
        (jobs_document(job([])), "job_state is empty"),
        (jobs_document(job(["RUNNING", 3])), "Expected `str`, got `int`"),
        (jobs_document(job("RUNNING", cpus=None)), "without its number of cpus"),
        (jobs_document(job("RUNNING", cpus="2")), r"at `\$\.jobs\[\.\.\.\]\.cpus`"),
        (jobs_document(job("RUNNING", cpus=-1)), "without its number of cpus"),
        (jobs_document(job("RUNNING", cpus=2**33)), "without its number of cpus"),
        (jobs_document(job("RUNNING", cpus=True)), r"at `\$\.jobs\[\.\.\.\]\.cpus`"),
        (jobs_document(job("RUNNING", cpus={"set": False, "infinite": False, "number": 0})), "without its number"),
        (jobs_document(job("RUNNING", cpus={"set": True, "infinite": True, "number": 0})), "without its number"),
        (jobs_document(job("RUNNING", cpus={"set": True, "infinite": False, "number": 1.5})), "without its number"),
        (jobs_document(job(array_task_string=5)), r"at `\$\.jobs\[\.\.\.\]\.array_task_string`"),
        (jobs_document(job(array_task_string="1,3,...")), "not a list of task ids"),
        (jobs_document(job(array_task_string="1-9:0")), "not a list of task ids"),
        (jobs_document(job(array_task_string="9-1")), "not a list of task ids"),
    ],
)
def test_output_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason) as caught:
        parse_jobs("squeue", output)
    assert caught.value.reason.startswith("squeue ")


def test_the_reason_is_the_same_whichever_job_is_wrong() -> None:
    reasons = set()
    for before in range(3):
        with pytest.raises(SourceUnavailable) as caught:
            jobs_of(*[job()] * before, job(array_task_string=5))
        reasons.add(caught.value.reason)
    assert len(reasons) == 1


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ("RUNNING", JobState.RUNNING),
        (["RUNNING"], JobState.RUNNING),
        (["PENDING"], JobState.PENDING),
        ("COMPLETING", JobState.OTHER),
        (["COMPLETED", "COMPLETING"], JobState.OTHER),
        (["FAILED", "STAGE_OUT"], JobState.OTHER),
        ("SUSPENDED", JobState.OTHER),
        (["RUNNING", "CONFIGURING"], JobState.RUNNING),
        (["RUNNING", "SIGNALING"], JobState.RUNNING),
        (["RUNNING", "COMPLETING"], JobState.OTHER),
        (["PENDING", "LAUNCH_FAILED"], JobState.PENDING),
        (["PENDING", "RESV_DEL_HOLD"], JobState.HELD),
        (["PENDING", "REQUEUED"], JobState.PENDING),
        (["PENDING", "REQUEUE_HOLD"], JobState.HELD),
        ("REQUEUE_HOLD", JobState.HELD),
        ("SPECIAL_EXIT", JobState.HELD),
        ("A_STATE_OF_THE_FUTURE", JobState.OTHER),
    ],
)
def test_a_live_job_is_in_one_state(states: Any, state: JobState) -> None:
    assert counts(jobs_of(job(states))) == {state: 1}


@pytest.mark.parametrize(
    "state",
    ["COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "REVOKED", ["OUT_OF_MEMORY"], ["FAILED", "NEW_FLAG"]],
)
def test_a_job_that_has_ended_is_not_counted(state: Any) -> None:
    assert jobs_of(job(state)) == []


@pytest.mark.parametrize(
    "reason",
    ["JobHeldUser", "JobHeldAdmin", "Dependency", "BeginTime", "PartitionConfig", "PartitionDown", "Reservation"],
)
def test_a_job_that_may_not_start_is_held(reason: str) -> None:
    assert counts(jobs_of(job("PENDING", reason))) == {JobState.HELD: 1}


@pytest.mark.parametrize(
    "reason", ["None", "Resources", "Priority", "QOSMaxJobsPerUserLimit", "A reason of the future", None]
)
def test_a_job_that_waits_for_its_turn_is_pending(reason: str | None) -> None:
    assert counts(jobs_of(job("PENDING", reason))) == {JobState.PENDING: 1}


def test_cores_are_the_cpus_of_running_jobs_only() -> None:
    later_version = {"set": True, "infinite": False, "number": 8}
    jobs = jobs_of(job("RUNNING", cpus=4), job("RUNNING", cpus=later_version), job("PENDING", cpus=40))
    assert sum(each.cores for each in jobs) == 12


def test_a_job_that_may_start_in_two_partitions_counts_once_in_a_queue_of_both() -> None:
    assert jobs_of(job(partition="batch,proof")) == [Job(JobState.PENDING, "batch,proof")]


@pytest.mark.parametrize("partition", [None, ""])
def test_a_job_without_partition_is_in_no_queue(partition: str | None) -> None:
    assert jobs_of(job(partition=partition)) == [Job(JobState.PENDING, "none")]


@pytest.mark.parametrize(
    ("expression", "tasks"),
    [
        ("7", 1),
        ("2-6%2", 5),
        ("1,3,5-9", 7),
        ("0-10:2", 6),
        ("0-9:2", 5),
        ("1-3,10-20:5%4", 6),
        ("0-4294967295", 2**32),
    ],
)
def test_the_waiting_tasks_of_an_array_are_counted_and_a_huge_range_is_not_walked(expression: str, tasks: int) -> None:
    assert counts(jobs_of(job(array_task_string=expression))) == {JobState.PENDING: tasks}


def test_nodes_are_usable_drained_or_down_whatever_their_idle_cpus_say() -> None:
    assert parse_nodes("sinfo", sample("sinfo-drain-down.json")) == [
        Node("wn01", 2, NodeState.USABLE),
        Node("wn02", 2, NodeState.DOWN),
        Node("wn03", 2, NodeState.DRAINED),
        Node("wn04", 2, NodeState.USABLE),
    ]
    assert [each["idle_cpus"] for each in json.loads(sample("sinfo-drain-down.json"))["nodes"]] == [2, 2, 2, 2]


def test_a_node_in_two_partitions_is_one_node() -> None:
    nodes = parse_nodes("sinfo", sample("sinfo.json"))
    assert [(each.name, each.slots) for each in nodes] == [("wn01", 2), ("wn02", 2), ("wn03", 2), ("wn04", 2)]


@pytest.mark.parametrize(
    ("words", "state"),
    [
        (["IDLE"], NodeState.USABLE),
        (["MIXED"], NodeState.USABLE),
        (["ALLOCATED", "COMPLETING"], NodeState.USABLE),
        (["IDLE", "PLANNED"], NodeState.USABLE),
        (["IDLE", "RESERVED"], NodeState.USABLE),
        (["IDLE", "CLOUD", "DYNAMIC_NORM"], NodeState.USABLE),
        (["MIXED", "REBOOT_REQUESTED"], NodeState.USABLE),
        (["IDLE", "A_FLAG_OF_THE_FUTURE"], NodeState.USABLE),
        (["IDLE", "DRAIN"], NodeState.DRAINED),
        (["ALLOCATED", "DRAIN"], NodeState.DRAINED),
        (["IDLE", "FAIL"], NodeState.DRAINED),
        (["IDLE", "MAINTENANCE", "RESERVED"], NodeState.DRAINED),
        (["MIXED", "POWER_DRAIN"], NodeState.DRAINED),
        (["DOWN"], NodeState.DOWN),
        (["DOWN", "DRAIN"], NodeState.DOWN),
        (["ALLOCATED", "NOT_RESPONDING"], NodeState.DOWN),
        (["IDLE", "DRAIN", "NOT_RESPONDING"], NodeState.DOWN),
        (["IDLE", "INVALID_REG"], NodeState.DOWN),
        (["IDLE", "POWERED_DOWN"], NodeState.DOWN),
        (["IDLE", "POWERING_UP"], NodeState.DOWN),
        (["IDLE", "REBOOT_ISSUED"], NodeState.DOWN),
        (["UNKNOWN"], NodeState.DOWN),
        (["ERROR"], NodeState.DOWN),
        (["A_STATE_OF_THE_FUTURE"], NodeState.DOWN),
        ([], NodeState.DOWN),
    ],
)
def test_a_node_is_as_the_worst_word_of_its_state(words: list[str], state: NodeState) -> None:
    listed = nodes_of(node(state=words))
    assert [each.state for each in listed] == [state]
    if words:
        assert nodes_of(node(state=words[0].lower(), state_flags=words[1:])) == listed  # as 22.05 writes it


def test_a_node_that_may_come_one_day_is_none() -> None:
    assert nodes_of(node(state=["FUTURE"])) == []


def test_cores_set_aside_for_the_system_are_no_slots() -> None:
    assert [each.slots for each in nodes_of(node(cpus=16, effective_cpus=14))] == [14]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"{}", "no list of nodes"),
        (b'{"jobs": []}', "no list of nodes"),
        (nodes_document({"name": "wn01"}), "missing required field"),
        (nodes_document(node(cpus=None)), "without its number of cpus"),
        (nodes_document(node(cpus=-1)), "without its number of cpus"),
        (nodes_document(node(state=None)), r"at `\$\.nodes\[\.\.\.\]\.state`"),
        (b'{"sinfo": [{"node": {}, "nodes": {"nodes": ["a"]}, "cpus": {}}]}', "without its number of cpus"),
        (b'{"sinfo": [{"node": {}, "nodes": {"nodes": ["a", "b"]}, "cpus": {"total": 4}}]}', "not asked with -N"),
    ],
)
def test_a_list_of_nodes_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason) as caught:
        parse_nodes("sinfo", output)
    assert caught.value.reason.startswith("sinfo ")


def test_squeue_is_asked_for_this_clusters_jobs_with_uncut_task_lists(tmp_path: Path) -> None:
    install(tmp_path, "squeue", f'echo "$@ $SLURM_BITSTR_LEN" > {tmp_path}/asked; echo \'{{"jobs": []}}\'')
    assert system(tmp_path, DEADLINE_S).jobs() == []
    assert (tmp_path / "asked").read_text() == "--json --all --local 0\n"


def test_sinfo_is_asked_for_each_node_of_all_partitions(tmp_path: Path) -> None:
    install(tmp_path, "sinfo", f'echo "$@" > {tmp_path}/asked; echo \'{{"nodes": []}}\'')
    assert system(tmp_path, DEADLINE_S).nodes() == []
    assert (tmp_path / "asked").read_text() == "--json -N --all\n"


@pytest.mark.parametrize("ask", ["jobs", "nodes"])
def test_a_command_that_is_not_there_or_fails_is_unavailable(tmp_path: Path, ask: str) -> None:
    slurm = system(tmp_path, DEADLINE_S)
    with pytest.raises(SourceUnavailable, match=rf"cannot run {re.escape(str(tmp_path))}/s\w+: No such file"):
        getattr(slurm, ask)()
    for name in ("squeue", "sinfo"):
        install(tmp_path, name, "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(SourceUnavailable, match=r"^s\w+ failed with exit code 1: Unable to contact slurm controller$"):
        getattr(slurm, ask)()


def test_cpu_efficiency_is_asked_only_if_wanted(tmp_path: Path) -> None:
    assert system(tmp_path, DEADLINE_S).usages is None
    assert system(tmp_path, DEADLINE_S, cpu_efficiency=True).usages is not None


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("QOSMaxWallDurationPerJobLimit", JobState.HELD),
        ("AssocMaxCpuPerJobLimit", JobState.HELD),
        ("AccountNotAllowed", JobState.HELD),
        ("QOSTimeLimit", JobState.HELD),
        ("AssocGrpCPUMinutesLimit", JobState.HELD),
        ("QOSMaxCpuPerUserLimit", JobState.PENDING),
        ("AssocGrpCpuLimit", JobState.PENDING),
        ("Resources", JobState.PENDING),
    ],
)
def test_a_job_that_would_not_start_on_an_empty_farm_is_held(reason: str, state: JobState) -> None:
    assert counts(jobs_of(job(["PENDING"], state_reason=reason))) == {state: 1}
