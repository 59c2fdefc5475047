"""Jobs and nodes as HTCondor's ``condor_q`` and ``condor_status`` show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.htcondor import check_totals, parse_jobs, parse_nodes, system
from tests.exporters.exposition import SAMPLES
from tests.exporters.wn.fakes import install, printing

CONDOR_Q = SAMPLES / "htcondor" / "condor_q-json.NOT-FROM-A-DAEMON.json"
CONDOR_STATUS = SAMPLES / "htcondor" / "condor_status-json.NOT-FROM-A-DAEMON.json"
EXPRESSION = "/Expr(ifThenElse(MyType is undefined, 1, 2))/"
TOTALS = b"\n-- Schedd: ap.example : <127.0.0.1:9618?... @ 11/25/26 14:11:15\nTotal for query: %d jobs; 0 completed\n"


def jobs_of(*ads: dict[str, Any]) -> list[Job]:
    return parse_jobs(json.dumps(ads).encode())


def running(**attributes: Any) -> dict[str, Any]:
    return {"JobStatus": 2, "JobUniverse": 5, "CpusProvisioned": 1, "RemoteHost": "slot1_1@wn01.example", **attributes}


def nodes_of(*ads: dict[str, Any]) -> list[Node]:
    return parse_nodes(json.dumps(ads).encode())


def slot(cpus: Any = 8, state: str = "Unclaimed", **attributes: Any) -> dict[str, Any]:
    return {"Machine": "wn01", "Cpus": cpus, "State": state, **attributes}


def test_the_jobs_of_the_sample_are_one_of_each_kind() -> None:
    assert parse_jobs(CONDOR_Q.read_bytes()) == [
        Job(JobState.RUNNING, "none", cores=1, cores_on={"wn01.example": 1}, core_s=1795347383 - 1795346813),
        Job(JobState.PENDING, "none"),
        Job(JobState.HELD, "none"),
    ]


def test_a_partitionable_slot_and_its_dynamic_ones_are_one_node_with_the_cpus_of_the_machine() -> None:
    assert parse_nodes(CONDOR_STATUS.read_bytes()) == [Node("wn01.example", 7 + 1, NodeState.USABLE)]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (1, JobState.PENDING),
        (2, JobState.RUNNING),
        (3, JobState.OTHER),
        (5, JobState.HELD),
        (6, JobState.RUNNING),
        (7, JobState.OTHER),
        (99, JobState.OTHER),
    ],
)
def test_a_job_is_of_one_state(status: int, state: JobState) -> None:
    assert [job.state for job in jobs_of(running(JobStatus=status))] == [state]


def test_a_completed_job_is_not_live() -> None:
    assert jobs_of(running(JobStatus=4)) == []


@pytest.mark.parametrize("universe", [7, 9, 12])
def test_a_job_of_the_access_point_or_of_another_grid_is_no_load_of_the_worker_nodes(universe: int) -> None:
    assert jobs_of(running(JobUniverse=universe)) == []


def test_an_idle_job_that_cools_down_is_held_until_its_time_has_come() -> None:
    ads = [{"JobStatus": 1, "ServerTime": 100, "JobCoolDownExpiration": end} for end in (99, 101, EXPRESSION, None)]
    expected = [JobState.PENDING, JobState.HELD, JobState.PENDING, JobState.PENDING]
    assert [job.state for job in jobs_of(*ads)] == expected


def test_cores_are_those_provisioned_rather_than_those_requested() -> None:
    assert [job.cores for job in jobs_of(running(CpusProvisioned=8, RequestCpus=1))] == [8]
    assert [job.cores for job in jobs_of(running(CpusProvisioned=None, RequestCpus=4))] == [4]
    assert [job.cores for job in jobs_of(running(RequestCpus=EXPRESSION))] == [1]


def test_a_job_runs_on_the_machine_of_its_slot() -> None:
    assert [job.cores_on for job in jobs_of(running(CpusProvisioned=2))] == [{"wn01.example": 2}]


@pytest.mark.parametrize("host", [None, "", 3])
def test_a_running_job_may_not_say_where(host: Any) -> None:
    assert [(job.cores, job.cores_on) for job in jobs_of(running(RemoteHost=host))] == [(1, {})]


def test_an_accounting_group_is_a_queue() -> None:
    groups = [job.queue for job in jobs_of(running(AcctGroup="atlas.prod"), running(), running(AcctGroup=["x"]))]
    assert groups == ["atlas.prod", "none", "none"]


def test_what_a_job_has_used_is_its_cpu_time_and_its_wall_time_times_its_cores() -> None:
    ad = running(CpusProvisioned=4, RemoteUserCpu=100.0, RemoteSysCpu=20, JobCurrentStartDate=1000, ServerTime=1050)
    assert [(job.cpu_s, job.core_s) for job in jobs_of(ad)] == [(120, 200)]


@pytest.mark.parametrize("value", [None, EXPRESSION, [1], True])
def test_what_is_no_number_is_unknown(value: Any) -> None:
    ad = running(RemoteUserCpu=value, RemoteSysCpu=20, JobCurrentStartDate=value, ServerTime=1050)
    assert [(job.cpu_s, job.core_s) for job in jobs_of(ad)] == [(None, None)]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "condor_q printed nothing"),
        (b"Error: can't find address of local schedd", "not a whole JSON document"),
        (CONDOR_Q.read_bytes()[:-4], "not a whole JSON document"),
        (b"[{'JobStatus': 2}]", "not a whole JSON document"),
        (b"[" * 100_000, "JSON of another kind"),
        (b"{}", r"JSON of another kind than expected: Expected `array`, got `object`"),
        (b"[[]]", r"JSON of another kind than expected: Expected `object`, got `array` - at `\$\[\.\.\.\]`"),
        (b"[{}]", "missing required field `JobStatus`"),
        (b'[{"JobStatus": "2"}]', r"Expected `int`, got `str` - at `\$\[\.\.\.\]\.JobStatus`"),
        (b'[{"JobStatus": 2}]', "neither CpusProvisioned nor RequestCpus"),
        (b'[{"JobStatus": 2, "RequestCpus": -1}]', "neither CpusProvisioned nor RequestCpus"),
    ],
)
def test_output_of_condor_q_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_jobs(output)


def test_an_empty_queue_may_be_an_empty_list() -> None:
    assert parse_jobs(b"[\n]\n") == []


def test_condor_q_is_asked_for_the_jobs_of_all_users_and_only_for_what_is_needed(tmp_path: Path) -> None:
    folder = install(tmp_path, "condor_q", f'echo "$*" > {tmp_path}/call; echo "[]"')
    system(folder, 20).jobs()
    attributes = (
        "JobStatus,JobUniverse,JobCoolDownExpiration,CpusProvisioned,RequestCpus,RemoteHost,AcctGroup,"
        "RemoteUserCpu,RemoteSysCpu,JobCurrentStartDate,ServerTime"
    )
    assert (tmp_path / "call").read_text() == f"-allusers -json -attributes {attributes}\n"


def test_nothing_is_an_empty_queue_if_the_totals_say_so(tmp_path: Path) -> None:
    folder = install(tmp_path, "condor_q", f'case "$*" in *-totals*) {printing(TOTALS % 0, tmp_path)} ;; esac')
    assert system(folder, 20).jobs() == []


@pytest.mark.parametrize("totals", [TOTALS % 10, b"", TOTALS % 0 + TOTALS % 1, b"Error: 0 jobs", b"10 jobs; 0 idle"])
def test_nothing_is_unknown_unless_the_totals_say_that_there_are_no_jobs(totals: bytes) -> None:
    with pytest.raises(SourceUnavailable, match="condor_q -totals does not say that there are 0 jobs"):
        check_totals(totals)


def test_the_totals_of_older_versions_have_no_label() -> None:
    check_totals(b"\n\n0 jobs; 0 completed, 0 removed, 0 idle, 0 running, 0 held, 0 suspended\n")


@pytest.mark.parametrize("state", ["Unclaimed", "Claimed", "Matched", "Preempting", "Backfill"])
def test_a_slot_that_takes_jobs_is_usable(state: str) -> None:
    assert nodes_of(slot(8, state)) == [Node("wn01", 8, NodeState.USABLE)]


@pytest.mark.parametrize("ad", [slot(8, "Drained"), slot(8, "Owner"), slot(8, Start=False)])
def test_a_slot_whose_policy_or_administrator_forbids_jobs_is_drained(ad: dict[str, Any]) -> None:
    assert nodes_of(ad) == [Node("wn01", 8, NodeState.DRAINED)]


def test_a_slot_that_sleeps_is_down() -> None:
    assert nodes_of(slot(8, Offline=True)) == [Node("wn01", 8, NodeState.DOWN)]


def test_a_policy_that_is_an_expression_forbids_nothing() -> None:
    assert nodes_of(slot(8, Start=EXPRESSION)) == [Node("wn01", 8, NodeState.USABLE)]


def test_the_dynamic_slots_of_a_draining_node_are_drained_with_it() -> None:
    ads = [slot(6, "Drained"), slot(2, "Claimed", DynamicSlot=True)]
    assert nodes_of(*ads) == [Node("wn01", 8, NodeState.DRAINED)]


def test_of_static_slots_only_the_usable_ones_count() -> None:
    assert nodes_of(slot(1), slot(1, "Claimed"), slot(1, "Owner")) == [Node("wn01", 2, NodeState.USABLE)]


def test_a_backfill_slot_offers_nothing_of_its_own() -> None:
    assert nodes_of(slot(8), slot(8, SlotBackfill=True)) == [Node("wn01", 8, NodeState.USABLE)]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "condor_status printed nothing"),
        (b"[{}]", "missing required field"),
        (b'[{"Machine": "wn01", "State": "Claimed"}]', "whose Cpus is not a number of CPUs"),
        (b'[{"Machine": "wn01", "State": "Claimed", "Cpus": 1e30}]', "whose Cpus is not a number of CPUs"),
        (CONDOR_Q.read_bytes(), "missing required field `Machine`"),
    ],
)
def test_output_of_condor_status_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_nodes(output)


@pytest.mark.parametrize("group", [b"caf\xe9", b"a\x01b", b"a\x1bb"])
def test_an_odd_group_of_one_user_does_not_hide_the_jobs_of_all(group: bytes) -> None:
    output = b'[{"JobStatus":1,"AcctGroup":"' + group + b'"},{"JobStatus":2,"RequestCpus":1}]'
    assert [job.state for job in parse_jobs(output)] == [JobState.PENDING, JobState.RUNNING]
