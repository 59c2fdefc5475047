"""No input makes a parser of a batch system's output raise anything but its documented error."""

import json
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporters.serving import SourceUnavailable
from exporters.wn.slurm import count_tasks, job_metrics, parse_squeue
from tests.exporters.exposition import SAMPLES
from tests.exporters.fuzzing import anything, cut_and_changed, unhurried

QUEUE = (SAMPLES / "slurm" / "squeue-ctld-down.json").read_bytes()

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
