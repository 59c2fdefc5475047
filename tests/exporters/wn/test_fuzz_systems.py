"""No input makes a parser of Grid Engine, HTCondor, PBS or Torque raise anything but its documented error."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporters.serving import SourceUnavailable
from exporters.wn import gridengine, htcondor, pbs, torque
from exporters.wn.batch import Job, Limits, Node, job_metrics, node_metrics
from exporters.wn.reading import count_tasks
from tests.exporters.exposition import SAMPLES
from tests.exporters.fuzzing import anything, cut_and_changed, unhurried

NOW_S = 1_795_578_000.0

QSTAT_XML = (SAMPLES / "gridengine" / "qstat-jobs.xml").read_bytes()
QUEUES_XML = (SAMPLES / "gridengine" / "qstat-queues.xml").read_bytes()
CONDOR_Q = (SAMPLES / "htcondor" / "condor_q-json.NOT-FROM-A-DAEMON.json").read_bytes()
CONDOR_STATUS = (SAMPLES / "htcondor" / "condor_status-json.NOT-FROM-A-DAEMON.json").read_bytes()
PBS_QSTAT = (SAMPLES / "pbs" / "qstat-f-F-json-unreadable-environment.FROM-DOCS.json").read_bytes()
TORQUE_QSTAT = (SAMPLES / "torque" / "qstat-f-t-x.FROM-DOCS.xml").read_bytes()
TORQUE_PBSNODES = (SAMPLES / "torque" / "pbsnodes-x.FROM-DOCS.xml").read_bytes()
PBSNODES = (SAMPLES / "pbs" / "pbsnodes-av-F-json.FROM-DOCS.json").read_bytes()

numbers = st.integers(-1, 64) | st.floats(allow_nan=False, allow_infinity=False) | anything
words = st.text(alphabet="RQHWBEFqwrthdsEu,@-.:0123456789*/+()<&", max_size=12)


def xml(tag: str, fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[str]:
    """Return elements with some of these fields in them, whatever text they hold."""
    return st.fixed_dictionaries({}, optional=fields).map(
        lambda values: f"<{tag}>{''.join(f'<{name}>{value}</{name}>' for name, value in values.items())}</{tag}>"
    )


task_lists = st.from_regex(r"[0-9,:-]{0,12}", fullmatch=True)
job_lists = xml(
    "job_list",
    {
        "JB_job_number": st.integers(0, 3),
        "state": st.sampled_from(["r", "qw", "hqw", "Eqw", "s", "dr", ""]) | st.text(max_size=3),
        "slots": st.integers(0, 9) | st.text(max_size=3),
        "granted_pe": st.integers(0, 9) | st.text(max_size=3),
        "master": st.sampled_from(["MASTER", "SLAVE"]),
        "tasks": task_lists | st.text(max_size=5),
        "queue_name": words,
        "hard_req_queue": words,
        "cpu_usage": st.floats() | st.text(max_size=5),
        "JAT_start_time": st.datetimes().map(lambda time: time.isoformat()) | st.text(max_size=8),
    },
)
queue_lists = xml("Queue-List", {"name": words, "slots_total": st.integers(0, 9) | words, "state": words})

condor_jobs = st.fixed_dictionaries(
    {"JobStatus": st.integers(0, 8)},
    optional={name: numbers for name in htcondor.JOB_ATTRIBUTES.split(",") if name != "JobStatus"},
)
condor_slots = st.fixed_dictionaries(
    {
        "Machine": st.sampled_from(["a", "b"]),
        "State": st.sampled_from(["Drained", "Owner", "Claimed"]),
        "Cpus": numbers,
    },
    optional={name: st.booleans() | anything for name in ("DynamicSlot", "Start", "Offline", "SlotBackfill")},
)

resources = st.dictionaries(st.sampled_from(["ncpus", "cput", "walltime", "host"]), numbers | words)
pbs_jobs = st.fixed_dictionaries(
    {"job_state": st.sampled_from("QRHWBSEFX") | words},
    optional={
        "queue": anything,
        "comment": anything,
        "exec_host": words | anything,
        "array_state_count": st.from_regex(r"Queued:[0-9]{1,3} Running:[0-9] Exiting:[0-9]") | anything,
        "Resource_List": resources | anything,
        "resources_used": resources | anything,
    },
)
pbs_vnodes = st.fixed_dictionaries(
    {"state": st.sampled_from(["free", "offline", "down"]) | words, "resources_available": resources | anything}
)


def check_jobs(parse: Callable[[], Sequence[Job]]) -> None:
    """Parse; what is not refused can be exported, and no value is below zero."""
    with suppress(SourceUnavailable):
        metrics = list(job_metrics(parse(), Limits()))
        assert all(sample.value >= 0 for metric in metrics for sample in metric.samples)


def check_nodes(parse: Callable[[], Sequence[Node]]) -> None:
    with suppress(SourceUnavailable):
        metrics = list(node_metrics(parse(), Limits()))
        assert all(sample.value >= 0 for metric in metrics for sample in metric.samples)


@unhurried
@given(st.binary() | cut_and_changed(QSTAT_XML))
def test_qstat_xml_is_read_or_refused(output: bytes) -> None:
    check_jobs(lambda: gridengine.parse_jobs(output, NOW_S))


@unhurried
@given(st.binary() | cut_and_changed(QUEUES_XML))
def test_queue_instances_are_read_or_refused(output: bytes) -> None:
    check_nodes(lambda: gridengine.parse_nodes(output))


@unhurried
@given(st.lists(job_lists, max_size=4), st.lists(queue_lists, max_size=3))
def test_qstat_xml_of_any_content_is_read_or_refused(jobs: list[str], queues: list[str]) -> None:
    inside = f"<queue_info>{''.join(queues)}</queue_info><job_info>{''.join(jobs)}</job_info>"
    output = f"<job_info>{inside}</job_info>".encode(errors="replace")
    check_jobs(lambda: gridengine.parse_jobs(output, NOW_S))
    check_nodes(lambda: gridengine.parse_nodes(output))


@unhurried
@given(task_lists | st.text())
def test_task_lists_are_counted_or_refused(expression: str) -> None:
    count = count_tasks(expression)
    assert count is None or count > 0


@unhurried
@given(st.binary() | cut_and_changed(CONDOR_Q) | cut_and_changed(CONDOR_STATUS))
def test_condors_json_is_read_or_refused(output: bytes) -> None:
    check_jobs(lambda: htcondor.parse_jobs(output))
    check_nodes(lambda: htcondor.parse_nodes(output))


@unhurried
@given(st.lists(condor_jobs | anything, max_size=4) | anything, st.lists(condor_slots, max_size=4) | anything)
def test_classads_of_any_shape_are_read_or_refused(jobs: Any, slots: Any) -> None:
    check_jobs(lambda: htcondor.parse_jobs(json.dumps(jobs).encode()))
    check_nodes(lambda: htcondor.parse_nodes(json.dumps(slots).encode()))


@unhurried
@given(st.binary())
def test_condors_totals_are_understood_or_refused(output: bytes) -> None:
    with suppress(SourceUnavailable):
        htcondor.check_totals(output)


@unhurried
@given(st.binary() | cut_and_changed(PBS_QSTAT) | cut_and_changed(PBSNODES))
def test_the_json_of_pbs_is_read_or_refused(output: bytes) -> None:
    check_jobs(lambda: pbs.parse_jobs(output))
    check_nodes(lambda: pbs.parse_nodes(output))


@unhurried
@given(st.lists(pbs_jobs, max_size=4), st.lists(pbs_vnodes, max_size=3), anything)
def test_documents_of_pbs_of_any_shape_are_read_or_refused(jobs: Any, vnodes: Any, other: Any) -> None:
    for listed in (dict(enumerate(jobs)), other):
        check_jobs(lambda listed=listed: pbs.parse_jobs(json.dumps({"pbs_server": "a", "Jobs": listed}).encode()))
    for listed in (dict(enumerate(vnodes)), other):
        check_nodes(lambda listed=listed: pbs.parse_nodes(json.dumps({"nodes": listed}).encode()))


torque_jobs = xml("Job", {"job_state": words, "queue": words, "exec_host": words, "resources_used": words})
torque_nodes = xml("Node", {"name": words, "state": st.sampled_from(["free", "offline", "down"]), "np": words})


@unhurried
@given(st.binary() | cut_and_changed(TORQUE_QSTAT) | cut_and_changed(TORQUE_PBSNODES))
def test_the_xml_of_torque_is_read_or_refused(output: bytes) -> None:
    check_jobs(lambda: torque.parse_jobs(output))
    check_nodes(lambda: torque.parse_nodes(output))


@unhurried
@given(st.lists(torque_jobs, max_size=4), st.lists(torque_nodes, max_size=3))
def test_xml_of_torque_of_any_content_is_read_or_refused(jobs: list[str], nodes: list[str]) -> None:
    check_jobs(lambda: torque.parse_jobs(f"<Data>{''.join(jobs)}</Data>".encode()))
    check_nodes(lambda: torque.parse_nodes(f"<Data>{''.join(nodes)}</Data>".encode()))


@unhurried
@given(cut_and_changed(PBS_QSTAT))
def test_mending_again_changes_nothing(output: bytes) -> None:
    once = pbs.mend(output)
    assert pbs.mend(once) == once
