"""Jobs and nodes as Torque's ``qstat`` and ``pbsnodes`` show them."""

from pathlib import Path

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.torque import check_no_jobs, parse_jobs, parse_nodes, system
from tests.exporters.exposition import SAMPLES
from tests.exporters.wn.fakes import install, printing

QSTAT = SAMPLES / "torque" / "qstat-f-t-x.FROM-DOCS.xml"
PBSNODES = SAMPLES / "torque" / "pbsnodes-x.FROM-DOCS.xml"
SERVER = b"Server: torque01\n    server_state = Active\n    total_jobs = %d\n    state_count = Transit:0 Queued:0\n"


def job(letter: str, inside: str = "<queue>grid</queue>") -> bytes:
    return f"<Data><Job><job_state>{letter}</job_state>{inside}</Job></Data>".encode()


def node(state: str, slots: str = "8") -> bytes:
    return f"<Data><Node><name>wn01</name><state>{state}</state><np>{slots}</np></Node></Data>".encode()


def test_the_jobs_of_the_sample_are_those_that_have_not_ended() -> None:
    wall_s = 335 * 3600 + 34 * 60 + 49
    assert parse_jobs(QSTAT.read_bytes()) == [
        Job(JobState.RUNNING, "grid", 1, 44, {"wn01": 44}, cpu_s=7626, core_s=177 * 44),
        Job(JobState.RUNNING, "grid", 1, 3, {"wn02": 2, "wn03": 1}, cpu_s=923, core_s=wall_s * 3),
        *[Job(JobState.PENDING, "grid")] * 3,
        Job(JobState.HELD, "grid"),
        Job(JobState.OTHER, "grid"),
    ]


def test_the_nodes_of_the_sample_are_usable_when_they_are_full_too() -> None:
    assert parse_nodes(PBSNODES.read_bytes()) == [
        Node("wn01", 44, NodeState.USABLE),
        Node("wn02", 8, NodeState.USABLE),
        Node("wn03", 8, NodeState.DRAINED),
        Node("wn04", 16, NodeState.DOWN),
    ]


@pytest.mark.parametrize(
    ("letter", "state"),
    [("Q", JobState.PENDING), ("H", JobState.HELD), ("W", JobState.HELD), ("S", JobState.OTHER), ("T", JobState.OTHER)],
)
def test_a_job_is_of_one_state(letter: str, state: JobState) -> None:
    assert [job.state for job in parse_jobs(job(letter))] == [state]


@pytest.mark.parametrize(
    ("exec_host", "cores_on"),
    [("wn01/3", {"wn01": 1}), ("wn01/0-3,8", {"wn01": 5}), ("wn01/1+wn01/0+wn02/7", {"wn01": 2, "wn02": 1})],
)
def test_the_cores_of_a_job_are_counted_by_host(exec_host: str, cores_on: dict[str, int]) -> None:
    assert [job.cores_on for job in parse_jobs(job("R", f"<exec_host>{exec_host}</exec_host>"))] == [cores_on]


def test_nothing_is_an_empty_queue_if_the_server_says_so(tmp_path: Path) -> None:
    folder = install(tmp_path, "qstat", f'case "$*" in *-B*) {printing(SERVER % 0, tmp_path)} ;; esac')
    assert system(folder, 20).jobs() == []


@pytest.mark.parametrize("said", [b"", SERVER % 10, b"total_jobs", b"    total_jobs = 05"])
def test_nothing_is_unknown_unless_the_server_says_that_it_has_no_jobs(said: bytes) -> None:
    with pytest.raises(SourceUnavailable, match="qstat -B -f does not say that there are 0 jobs"):
        check_no_jobs(said)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "qstat printed nothing"),
        (b"<job_info/>", "XML of another kind than expected: it lacks Data"),
        (b"<Data><Job/></Data>", "without its job_state"),
        (job("R"), "whose exec_host is not a list of hosts and cores"),
        (job("R", "<exec_host>wn01</exec_host>"), "whose exec_host is not a list of hosts and cores"),
    ],
)
def test_output_of_qstat_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_jobs(output)


@pytest.mark.parametrize(
    "output", [node(""), node("free", slots=""), node("free", slots="-1"), b"<Data><Node/></Data>"]
)
def test_output_of_pbsnodes_that_cannot_be_trusted_is_unavailable(output: bytes) -> None:
    with pytest.raises(SourceUnavailable, match="pbsnodes printed a node without its name, its state or its np"):
        parse_nodes(output)
