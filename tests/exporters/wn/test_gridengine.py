"""Jobs and nodes as Grid Engine's ``qstat`` shows them."""

from collections import Counter
from pathlib import Path

import pytest

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.gridengine import parse_jobs, parse_nodes, parse_numbers, system
from tests.exporters.exposition import SAMPLES
from tests.exporters.wn.fakes import install, printing

QSTAT = SAMPLES / "gridengine" / "qstat-jobs.xml"
NOT_YET = SAMPLES / "gridengine" / "qstat-not-yet.xml"
QUEUES = SAMPLES / "gridengine" / "qstat-queues.xml"
STARTED_S = 1_795_578_000.0  # 2026-11-25T03:40:00Z


def qstat_of(*jobs: str, queues: str = "") -> bytes:
    """Lay out what is inside of job_list elements as qstat does."""
    listed = "".join(f"<job_list>{job}</job_list>" for job in jobs)
    inside = f"<queue_info>{queues}</queue_info><job_info>{listed}</job_info>"
    return f"<?xml version='1.0'?><job_info>{inside}</job_info>".encode()


def job(state: str = "qw", number: int = 7, slots: object = 1, **others: str) -> str:
    elements = {"JB_job_number": number, "state": state, "slots": slots, **others}
    return "".join(f"<{name}>{value}</{name}>" for name, value in elements.items())


def running(queue: str = "batch.q@wn01", start: str = "2026-11-25T03:40:00", **others: str) -> str:
    return job("r", queue_name=queue, JAT_start_time=start, **others)


def slot(host: str, master: str, granted: int = 4, **others: str) -> str:
    return running(f"batch.q@{host}", master=master, granted_pe=str(granted), **others)


def instance(name: str, slots: int, state: str = "", processors: object = 8) -> str:
    return (
        f"<Queue-List><name>{name}</name><slots_total>{slots}</slots_total><state>{state}</state>"
        f"<resource name='num_proc' type='hl'>{processors}</resource></Queue-List>"
    )


def nodes_of(*instances: str) -> list[Node]:
    return parse_nodes(qstat_of(queues="".join(instances)))


def states(jobs: list[Job]) -> Counter[JobState]:
    counts: Counter[JobState] = Counter()
    for each in jobs:
        counts[each.state] += each.count
    return counts


def one(jobs: list[Job]) -> Job:
    (found,) = jobs
    return found


def test_a_real_queue_is_counted_as_its_text_form_shows_it() -> None:
    jobs = parse_jobs(QSTAT.read_bytes(), STARTED_S)
    # running 7 8 9 10.1; waiting 10.3 10.5 11 14 15; held 12 13 16; suspended 17
    assert states(jobs) == {JobState.RUNNING: 4, JobState.PENDING: 5, JobState.HELD: 3, JobState.OTHER: 1}
    assert sum(each.cores for each in jobs) == 1 + 2 + 1 + 1


def test_a_real_farm_has_the_slots_of_its_enabled_queue() -> None:
    assert parse_nodes(QUEUES.read_bytes()) == [Node("vm", 4, NodeState.USABLE)]


def test_an_empty_queue_is_no_jobs() -> None:
    assert parse_jobs(qstat_of(), STARTED_S) == []


@pytest.mark.parametrize("state", ["r", "t", "Rr", "Rt", "hr"])
def test_a_job_on_its_node_runs(state: str) -> None:
    assert states(parse_jobs(qstat_of(job(state)), STARTED_S)) == {JobState.RUNNING: 1}


def test_a_running_job_may_not_say_where() -> None:
    found = one(parse_jobs(qstat_of(job("t", slots=2)), STARTED_S))
    assert (found.cores, found.cores_on) == (2, {})


@pytest.mark.parametrize("state", ["hqw", "hRwq", "Eqw", "Ehqw", "EhRqw"])
def test_a_job_on_hold_or_in_error_is_held(state: str) -> None:
    assert states(parse_jobs(qstat_of(job(state)), STARTED_S)) == {JobState.HELD: 1}


@pytest.mark.parametrize("state", ["qw", "Rqw"])
def test_a_job_that_waits_for_its_turn_is_pending(state: str) -> None:
    assert states(parse_jobs(qstat_of(job(state)), STARTED_S)) == {JobState.PENDING: 1}


@pytest.mark.parametrize("state", ["s", "ts", "S", "tS", "T", "tT", "Rs", "dr", "dt", "dRr", "dqw", "x"])
def test_a_job_that_is_suspended_or_deleted_or_of_the_future_is_neither_running_nor_waiting(state: str) -> None:
    assert states(parse_jobs(qstat_of(job(state)), STARTED_S)) == {JobState.OTHER: 1}


@pytest.mark.parametrize(("tasks", "count"), [("1-4:1", 4), ("1-9:2", 5), ("3,5", 2), ("7", 1), ("1-3:1,9", 4)])
def test_the_waiting_tasks_of_an_array_are_counted(tasks: str, count: int) -> None:
    assert one(parse_jobs(qstat_of(job("qw", tasks=tasks)), STARTED_S)).count == count


def test_each_running_task_of_an_array_is_a_job() -> None:
    jobs = parse_jobs(qstat_of(running(tasks="1"), running(tasks="2"), job("qw", tasks="3-9:1")), STARTED_S)
    assert states(jobs) == {JobState.RUNNING: 2, JobState.PENDING: 7}


def test_a_parallel_job_is_one_job_with_its_slots_on_each_node() -> None:
    rows = [slot("wn01", "MASTER"), slot("wn01", "SLAVE"), slot("wn02", "SLAVE"), slot("wn02", "SLAVE")]
    assert one(parse_jobs(qstat_of(*rows), STARTED_S)).cores_on == {"wn01": 2, "wn02": 2}


def test_the_master_task_of_a_parallel_job_may_have_a_row_but_no_slot() -> None:
    rows = [slot("wn01", "MASTER"), *[slot("wn01", "SLAVE")] * 3, slot("wn02", "SLAVE")]
    job = one(parse_jobs(qstat_of(*rows), STARTED_S))
    assert (job.cores, job.cores_on) == (4, {"wn01": 3, "wn02": 1})


def test_a_running_job_is_in_the_queue_it_runs_in() -> None:
    job = one(parse_jobs(qstat_of(running("batch.q@wn01", hard_req_queue="proof.q")), STARTED_S))
    assert (job.queue, job.cores_on) == ("batch.q", {"wn01": 1})


@pytest.mark.parametrize(
    ("wanted", "queue"),
    [
        (["batch.q"], "batch.q"),
        (["batch.q@wn01", "batch.q@wn02"], "batch.q"),
        (["batch.q", "proof.q"], "none"),
        (["*"], "none"),
        ([], "none"),
    ],
)
def test_a_waiting_job_is_in_the_one_queue_it_asks_for(wanted: list[str], queue: str) -> None:
    asked = "".join(f"<hard_req_queue>{each}</hard_req_queue>" for each in wanted)
    assert one(parse_jobs(qstat_of(job("qw") + asked), STARTED_S)).queue == queue


def test_what_a_job_has_used_is_its_cpu_time_and_its_wall_time_times_its_slots() -> None:
    rows = [slot("wn01", "MASTER", granted=2, cpu_usage="30.5"), slot("wn01", "SLAVE", granted=2, cpu_usage="20")]
    job = one(parse_jobs(qstat_of(*rows), STARTED_S + 60))
    assert (job.cpu_s, job.core_s) == (50.5, 120)


@pytest.mark.parametrize("usage", ["", "NA", "nan", "inf", "-1"])
def test_cpu_time_that_is_not_told_is_unknown(usage: str) -> None:
    assert one(parse_jobs(qstat_of(running(cpu_usage=usage)), STARTED_S)).cpu_s is None


@pytest.mark.parametrize("start", ["", "11/25/2026 03:40:00", "1795578000000"])
def test_wall_time_that_is_not_told_is_unknown(start: str) -> None:
    assert one(parse_jobs(qstat_of(running(start=start)), STARTED_S)).core_s is None


def test_a_job_that_starts_in_the_future_of_this_clock_has_used_nothing() -> None:
    assert one(parse_jobs(qstat_of(running()), STARTED_S - 5)).core_s == 0


@pytest.mark.parametrize("name", [b"a\x01b", b"a\xffb", b"a\x1b[31m", "a\ufffeb".encode(), b"a%lt;&lt;&quot;"])
def test_a_job_name_that_is_no_xml_hides_no_jobs(name: bytes) -> None:
    output = qstat_of(job("qw", number=6), running(JB_name="NAME")).replace(b"NAME", name)
    assert states(parse_jobs(output, STARTED_S)) == {JobState.PENDING: 1, JobState.RUNNING: 1}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (b"", "qstat printed nothing"),
        (b" \n", "qstat printed nothing"),
        (b"error: commlib error: got select error (Connection refused)", "not a whole XML document"),
        (QSTAT.read_bytes()[:-20], "not a whole XML document"),
        (b"<html><body/></html>", "XML of another kind"),
        (b"<job_info><cluster_queue_summary/></job_info>", "XML of another kind"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + qstat_of(), "not a whole XML document"),
        (qstat_of("<state>r</state><slots>1</slots>"), "without its JB_job_number"),
        (qstat_of(job("")), "without its state"),
        (qstat_of(job(slots="")), "whose slots is not a number"),
        (qstat_of(job(slots="-1")), "whose slots is not a number"),
        (qstat_of(job(slots="1" * 30)), "whose slots is not a number"),
        (qstat_of(job(slots="\N{SUPERSCRIPT TWO}")), "whose slots is not a number"),
        (qstat_of(job(tasks="1-4:0")), "not a list of task ids"),
        (qstat_of(job(tasks="4-1:1")), "not a list of task ids"),
        (qstat_of(job(tasks="1,3,...")), "not a list of task ids"),
    ],
)
def test_output_that_cannot_be_trusted_is_unavailable(output: bytes, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        parse_jobs(output, STARTED_S)


def test_the_numbers_of_jobs_are_read_from_any_list() -> None:
    assert parse_numbers(NOT_YET.read_bytes()) == {"11"}


def test_a_job_that_may_not_start_before_its_time_is_held(tmp_path: Path) -> None:
    not_yet, jobs = printing(NOT_YET, tmp_path), printing(QSTAT, tmp_path)
    folder = install(tmp_path, "qstat", f'case "$*" in *"-s ha"*) {not_yet} ;; *) {jobs} ;; esac')
    counts = states(list(system(folder, 20).jobs()))
    assert counts == {JobState.RUNNING: 4, JobState.PENDING: 4, JobState.HELD: 4, JobState.OTHER: 1}


def test_where_nothing_waits_qstat_is_asked_once(tmp_path: Path) -> None:
    folder = install(tmp_path, "qstat", f"echo >> {tmp_path}/calls; {printing(qstat_of(running()), tmp_path)}")
    system(folder, 20).jobs()
    assert (tmp_path / "calls").read_text() == "\n"


def test_qstat_is_asked_for_the_jobs_of_all_users_with_times_in_utc(tmp_path: Path) -> None:
    folder = install(tmp_path, "qstat", f'echo "$TZ $*" > {tmp_path}/call; {printing(qstat_of(), tmp_path)}')
    system(folder, 20).jobs()
    assert (tmp_path / "call").read_text() == "UTC -u * -ext -pri -r -g t -xml\n"


def test_the_slots_of_a_node_are_those_of_all_its_queues_but_no_more_than_its_cpus() -> None:
    assert nodes_of(instance("a.q@wn01", 3), instance("b.q@wn01", 4)) == [Node("wn01", 7, NodeState.USABLE)]
    assert nodes_of(instance("a.q@wn01", 8), instance("b.q@wn01", 8)) == [Node("wn01", 8, NodeState.USABLE)]


def test_a_queue_with_more_slots_than_cpus_is_the_sites_will() -> None:
    assert nodes_of(instance("a.q@wn01", 12), instance("b.q@wn01", 8)) == [Node("wn01", 12, NodeState.USABLE)]


@pytest.mark.parametrize("state", ["", "a", "A", "aA"])
def test_a_node_with_a_load_alarm_is_usable(state: str) -> None:
    assert nodes_of(instance("a.q@wn01", 8, state)) == [Node("wn01", 8, NodeState.USABLE)]


@pytest.mark.parametrize("state", ["d", "D", "s", "S", "C", "o", "ad", "dA"])
def test_a_node_whose_queues_are_all_disabled_is_drained(state: str) -> None:
    assert nodes_of(instance("a.q@wn01", 8, state)) == [Node("wn01", 8, NodeState.DRAINED)]


@pytest.mark.parametrize("state", ["u", "au", "adu", "E", "c", "dE"])
def test_a_node_that_cannot_be_reached_or_is_in_error_is_down(state: str) -> None:
    assert nodes_of(instance("a.q@wn01", 8, state)) == [Node("wn01", 8, NodeState.DOWN)]


def test_of_a_node_with_a_usable_queue_only_the_usable_slots_count() -> None:
    assert nodes_of(instance("a.q@wn01", 3), instance("b.q@wn01", 8, "d")) == [Node("wn01", 3, NodeState.USABLE)]


def test_a_node_whose_number_of_cpus_is_not_known_has_the_slots_of_its_largest_queue() -> None:
    instances = [instance("a.q@wn01", 3, "u", processors="-"), instance("b.q@wn01", 8, "u", processors="-")]
    assert nodes_of(*instances) == [Node("wn01", 8, NodeState.DOWN)]


@pytest.mark.parametrize(
    ("queue", "reason"),
    [
        (instance("batch.q", 3), "without the name of a queue instance"),
        ("<Queue-List><name>a.q@wn01</name></Queue-List>", "whose slots_total is not a number"),
    ],
)
def test_queues_that_cannot_be_trusted_are_unavailable(queue: str, reason: str) -> None:
    with pytest.raises(SourceUnavailable, match=reason):
        nodes_of(queue)


@pytest.mark.parametrize(("usage", "after_s", "cpu_s"), [("0.0", 599, 0), ("0.0", 601, None), ("0.5", 601, 0.5)])
def test_cpu_time_is_unknown_where_nobody_counts_it(usage: str, after_s: float, cpu_s: float | None) -> None:
    assert one(parse_jobs(qstat_of(running(cpu_usage=usage)), STARTED_S + after_s)).cpu_s == cpu_s
