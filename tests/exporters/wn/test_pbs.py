"""Jobs and nodes as PBS's ``qstat`` and ``pbsnodes`` show them."""

import json
from pathlib import Path
from typing import Any

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.pbs import mend, parse_jobs, parse_nodes, system
from tests.exporters.exposition import SAMPLES
from tests.exporters.wn.fakes import install

QSTAT = SAMPLES / "pbs" / "qstat-f-F-json.FROM-DOCS.json"
NO_SERVER = SAMPLES / "pbs" / "qstat-f-F-json-unreachable.FROM-DOCS.json"
UNREADABLE = SAMPLES / "pbs" / "qstat-f-F-json-unreadable-environment.FROM-DOCS.json"
PBSNODES = SAMPLES / "pbs" / "pbsnodes-av-F-json.FROM-DOCS.json"


def jobs_of(*records: dict[str, Any]) -> list[Job]:
    jobs = {f"{number}.pbs01": record for number, record in enumerate(records)}
    return parse_jobs(json.dumps({"pbs_server": "pbs01", "Jobs": jobs}).encode())


def job(job_state: str, **others: Any) -> dict[str, Any]:
    return {"job_state": job_state, "queue": "workq", "Resource_List": {"ncpus": 1}, **others}


def nodes_of(*vnodes: dict[str, Any]) -> list[Node]:
    return parse_nodes(json.dumps({"nodes": {f"v{number}": each for number, each in enumerate(vnodes)}}).encode())


def vnode(state: str, ncpus: Any = 8, host: str = "wn01") -> dict[str, Any]:
    return {"state": state, "resources_available": {"ncpus": ncpus, "host": host}}


def test_the_jobs_of_the_sample_are_a_running_and_a_waiting_one() -> None:
    assert parse_jobs(QSTAT.read_bytes()) == [
        Job(JobState.RUNNING, "workq", cores=1, cores_on={"wn01": 1}, cpu_s=10, core_s=12),
        Job(JobState.PENDING, "workq"),
    ]


def test_the_nodes_of_the_sample_are_hosts_with_the_cpus_of_their_vnodes() -> None:
    assert parse_nodes(PBSNODES.read_bytes()) == [
        Node("wn01", 8, NodeState.USABLE),
        Node("wn02", 4, NodeState.USABLE),  # one of its two vnodes is offline
        Node("wn03", 16, NodeState.DRAINED),
        Node("wn04", 8, NodeState.DOWN),
    ]


def test_an_answer_of_the_server_without_jobs_is_an_empty_queue() -> None:
    assert parse_jobs(b'{"timestamp": 1, "pbs_version": "23.06.06", "pbs_server": "pbs01"}') == []


def test_the_same_answer_with_exit_code_255_is_an_outage(tmp_path: Path) -> None:
    said = "qstat: cannot connect to server pbs01 (errno=15010)"
    folder = install(tmp_path, "qstat", f"cat {NO_SERVER}; echo '{said}' >&2; exit 255")
    with pytest.raises(SourceUnavailable, match=r"qstat failed with exit code 255: .*errno=15010"):
        system(folder, 20).jobs()


@pytest.mark.parametrize(
    ("letter", "state"),
    [
        ("Q", JobState.PENDING),
        ("R", JobState.RUNNING),
        ("H", JobState.HELD),
        ("W", JobState.HELD),
        ("S", JobState.OTHER),
        ("U", JobState.OTHER),
        ("E", JobState.OTHER),
        ("T", JobState.OTHER),
    ],
)
def test_a_job_is_of_one_state(letter: str, state: JobState) -> None:
    assert [job.state for job in jobs_of(job(letter))] == [state]


@pytest.mark.parametrize("letter", ["F", "M", "X"])
def test_a_job_that_has_ended_or_moved_away_is_not_live(letter: str) -> None:
    assert jobs_of(job(letter)) == []


def test_a_job_that_can_never_run_is_held() -> None:
    ads = [job("Q", comment=f"{words}: Insufficient amount of resource") for words in ("Not Running", "Can Never Run")]
    assert [job.state for job in jobs_of(*ads)] == [JobState.PENDING, JobState.HELD]


@pytest.mark.parametrize(("letter", "waiting"), [("B", JobState.PENDING), ("H", JobState.HELD)])
def test_the_tasks_of_an_array_are_counted_by_state(letter: str, waiting: JobState) -> None:
    counts = "Queued:5 Running:2 Exiting:1 Expired:3 "
    assert jobs_of(job(letter, array_state_count=counts, Resource_List={"ncpus": 4})) == [
        Job(waiting, "workq", 5),
        Job(JobState.RUNNING, "workq", 2, cores=8),
        Job(JobState.OTHER, "workq", 1),
    ]


def test_a_job_of_several_chunks_has_cores_on_each_host() -> None:
    ad = job("R", exec_host="wn01/0*8+wn02/3+wn02/4*2+wn03/0*0", Resource_List={"ncpus": 11})
    assert [(job.cores, job.cores_on) for job in jobs_of(ad)] == [(11, {"wn01": 8, "wn02": 3, "wn03": 0})]


def test_a_queue_whose_name_is_a_number_is_printed_as_one() -> None:
    assert [job.queue for job in jobs_of(job("Q", queue=42))] == ["42"]


def test_what_a_job_has_used_is_its_cpu_time_and_its_wall_time_times_its_cpus() -> None:
    ad = job("R", Resource_List={"ncpus": 2}, resources_used={"cput": "100:00:30", "walltime": "50:00:10"})
    assert [(job.cpu_s, job.core_s) for job in jobs_of(ad)] == [(360_030, 360_020)]


@pytest.mark.parametrize("used", [{}, {"cput": None, "walltime": "x"}, {"cput": "1:2", "walltime": 5}])
def test_what_is_no_duration_is_unknown(used: dict[str, Any]) -> None:
    assert [(job.cpu_s, job.core_s) for job in jobs_of(job("R", resources_used=used))] == [(None, None)]


def test_unreadable_variables_of_a_jobs_environment_hide_no_jobs() -> None:
    with pytest.raises(ValueError, match=r"Invalid|Expecting"):
        json.loads(UNREADABLE.read_bytes())
    assert parse_jobs(UNREADABLE.read_bytes()) == [
        Job(JobState.RUNNING, "workq", 1, 3, {"wn01": 2, "wn02": 1}, cpu_s=360_030, core_s=180_010 * 3),
        Job(JobState.PENDING, "workq", 5),
        Job(JobState.RUNNING, "workq", 2, cores=8),
        Job(JobState.OTHER, "workq", 1),
    ]


@pytest.mark.parametrize("file", [QSTAT, PBSNODES])
def test_mending_what_is_whole_changes_nothing(file: Path) -> None:
    assert json.loads(mend(file.read_bytes())) == json.loads(file.read_bytes())


def test_a_needed_value_that_is_unreadable_is_not_guessed() -> None:
    output = QSTAT.read_bytes().replace(b'"job_state":"R"', b'"job_state":R')
    with pytest.raises(SourceUnavailable, match="missing required field `job_state`"):
        parse_jobs(output)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "qstat printed nothing"),
        (b"qstat: cannot connect to server", "not a whole JSON document"),
        (QSTAT.read_bytes()[:-3], "not a whole JSON document"),
        (QSTAT.read_bytes()[: len(QSTAT.read_bytes()) // 2], "not a whole JSON document"),
        (b"[]", "JSON of another kind"),
        (b'{"jobs": []}', "missing required field `pbs_server`"),
        (b'{"pbs_server": "pbs01", "Jobs": []}', r"Expected `object`, got `array` - at `\$.Jobs`"),
        (b'{"pbs_server": "pbs01", "Jobs": {"1": {"job_state": 5}}}', r"at `\$.Jobs\[...\].job_state`"),
        (b'{"pbs_server": "pbs01", "Jobs": {"1": {"job_state": "R"}}}', "Resource_List has no ncpus"),
        (b'{"pbs_server": "pbs01", "Jobs": {"1": {"job_state": "B"}}}', "without its array_state_count"),
    ],
)
def test_output_of_qstat_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_jobs(output)


@pytest.mark.parametrize("state", ["free", "job-busy", "job-exclusive", "resv-exclusive", "busy", "job-busy,busy"])
def test_a_vnode_that_takes_jobs_or_is_full_is_usable(state: str) -> None:
    assert nodes_of(vnode(state)) == [Node("wn01", 8, NodeState.USABLE)]


@pytest.mark.parametrize("state", ["offline", "offline,job-busy", "maintenance", "provisioning"])
def test_a_vnode_that_is_kept_from_jobs_is_drained(state: str) -> None:
    assert nodes_of(vnode(state)) == [Node("wn01", 8, NodeState.DRAINED)]


@pytest.mark.parametrize("state", ["down", "offline,down", "state-unknown,down", "stale", "", "of-the-future"])
def test_a_vnode_that_cannot_be_reached_or_understood_is_down(state: str) -> None:
    assert nodes_of(vnode(state)) == [Node("wn01", 8, NodeState.DOWN)]


def test_a_natural_vnode_without_cpus_adds_none() -> None:
    assert nodes_of(vnode("free", 0), vnode("free", 4)) == [Node("wn01", 4, NodeState.USABLE)]


def test_a_vnode_without_a_host_is_a_node_of_its_own_name() -> None:
    assert nodes_of({"state": "free", "resources_available": {"ncpus": 2}}) == [Node("v0", 2, NodeState.USABLE)]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "pbsnodes printed nothing"),
        (PBSNODES.read_bytes()[:-3], "not a whole JSON document"),
        (NO_SERVER.read_bytes(), "missing required field `nodes`"),
        (b'{"nodes": {"wn01": {}}}', "missing required field `state`"),
        (b'{"nodes": {"a": {"state": "free", "resources_available": {"ncpus": "x"}}}}', "no number of ncpus"),
    ],
)
def test_output_of_pbsnodes_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_nodes(output)
