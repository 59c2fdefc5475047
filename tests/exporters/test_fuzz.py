"""No input makes a parser raise anything but its documented error."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from exporters.proof import Session, is_alive, parse_integer, parse_role, parse_session_pid
from exporters.serving import Address, Source, SourceCollector, SourceUnavailable
from exporters.wn import count_tasks, job_metrics, parse_squeue
from exporters.xrootd import BadReport, Receiver, parse_report

SAMPLES = Path(__file__).parent / "samples"
REPORT = (SAMPLES / "xrootd" / "06-during-read-a.xml").read_bytes()
QUEUE = (SAMPLES / "slurm" / "squeue-ctld-down.json").read_bytes()

# A slow machine is no finding.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
anything = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner))
states = st.sampled_from(["RUNNING", "PENDING", "COMPLETED", "SUSPENDED"])
tasks = st.from_regex(r"[0-9,:%-]{0,12}", fullmatch=True)
jobs = st.fixed_dictionaries(
    {"job_state": states | st.lists(states) | anything},
    optional={
        "state_reason": anything,
        "cpus": st.integers(0, 64)
        | st.fixed_dictionaries({"set": anything, "infinite": anything, "number": anything})
        | anything,
        "array_task_string": tasks | anything,
    },
)


def cut_and_changed(sample: bytes) -> st.SearchStrategy[bytes]:
    """Return the sample with a piece replaced by other bytes, as a broken writer or an attacker would."""
    place = st.integers(0, len(sample))
    return st.builds(lambda i, j, new: sample[: min(i, j)] + new + sample[max(i, j) :], place, place, st.binary())


@unhurried
@given(st.binary() | cut_and_changed(REPORT))
def test_a_report_is_read_or_refused(packet: bytes) -> None:
    with suppress(BadReport):
        parse_report(packet)


@unhurried
@given(st.lists(st.binary() | cut_and_changed(REPORT)))
def test_any_packets_leave_an_exposition_that_can_be_written(packets: list[bytes]) -> None:
    with Receiver(Address("127.0.0.1", 0), ttl_s=90) as receiver:
        for packet in packets:
            receiver.take(packet)
    registry = CollectorRegistry()
    registry.register(SourceCollector(Source("xrootd", receiver.read)))
    assert b"xrootd_bad_reports_total" in generate_latest(registry)


@unhurried
@given(st.binary() | cut_and_changed(QUEUE))
def test_squeue_output_is_read_or_refused(output: bytes) -> None:
    with suppress(SourceUnavailable):
        parse_squeue(output)


@unhurried
@given(st.lists(jobs | anything) | anything)
def test_squeue_documents_of_any_shape_are_read_or_refused(listed: Any) -> None:
    with suppress(SourceUnavailable):
        parsed = parse_squeue(json.dumps({"errors": [], "jobs": listed}).encode())
        assert all(sample.value >= 0 for metric in job_metrics(parsed) for sample in metric.samples)


@unhurried
@given(tasks | st.text())
def test_task_expressions_are_counted_or_refused(expression: str) -> None:
    with suppress(SourceUnavailable):
        assert count_tasks(expression) > 0


@unhurried
@given(st.text() | st.from_regex(r"[a-z.0-9]{0,20}(\.status)?", fullmatch=True))
def test_any_file_name_is_a_session_or_not(name: str) -> None:
    pid = parse_session_pid(name)
    assert pid is None or isinstance(is_alive(pid), bool)


@unhurried
@given(st.binary(), st.binary() | st.from_regex(rb"[0-9]{0,12}", fullmatch=True), st.floats(0, 2e9))
def test_any_session_has_a_state(body: bytes, status: bytes, now: float) -> None:
    session = Session("u.g.1", parse_role(body), begun_at_s=1e9, status=parse_integer(status), status_at_s=1e9)
    assert session.state(now) in {"idle", "running", "queued", "starting", "terminating", "unknown"}
