"""No input makes a parser of Slurm's output raise anything but its documented error."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Limits, job_metrics, node_metrics, usage_metrics
from exporters.wn.hostlist import MOST_HOSTS, BadHostlist, expand_hostlist
from exporters.wn.node_map import BadNodeMap, node_info_metrics, parse_node_map
from exporters.wn.slurm_json import parse_jobs, parse_nodes
from exporters.wn.slurm_rest import LONGEST_MESSAGE, message_of, read_token, user_of
from exporters.wn.slurm_usage import combine, parse_running, parse_steps, parse_use
from exporters.wn.slurm_usage import sample as choose
from tests.exporters.fuzzing import anything, cut_and_changed, unhurried
from tests.exporters.wn.slurm_documents import sample

OLD_JOBS, NEW_JOBS = sample("squeue.json"), sample("squeue-24.11.FROM-DOCS.json")
OLD_NODES, NEW_NODES = sample("sinfo-drain-down.json"), sample("sinfo-24.11.FROM-DOCS.json")
LIMITS = Limits(2, 2)

numbers = (
    st.integers(0, 64)
    | st.fixed_dictionaries({"set": st.booleans(), "infinite": st.booleans(), "number": st.integers() | st.floats()})
    | anything
)
states = st.sampled_from(["RUNNING", "PENDING", "COMPLETED", "SUSPENDED", "IDLE", "DOWN", "DRAIN", "mixed"])
tasks = st.from_regex(r"[0-9,:%-]{0,12}", fullmatch=True)
hosts = st.from_regex(r"(wn)?[\[\]0-9,-]{0,12}", fullmatch=True) | st.text(max_size=8)
cores = st.fixed_dictionaries({}, optional={"0": anything, "cores": anything, "status": st.lists(states) | anything})
allocations = st.fixed_dictionaries(
    {}, optional={"name": hosts, "nodename": hosts, "cpus": numbers, "sockets": st.lists(cores) | cores | anything}
)
resources = st.fixed_dictionaries(
    {"nodes": hosts | st.fixed_dictionaries({"allocation": st.lists(allocations)}) | anything},
    optional={"allocated_nodes": st.lists(allocations) | anything},
)
jobs = st.fixed_dictionaries(
    {"job_state": states | st.lists(states) | anything},
    optional={
        "state_reason": st.text() | anything,
        "partition": st.text() | anything,
        "cpus": numbers,
        "array_task_string": tasks | anything,
        "nodes": hosts | anything,
        "job_resources": resources | anything,
    },
)
nodes = st.fixed_dictionaries(
    {"name": st.text() | anything, "state": states | st.lists(states) | anything, "cpus": numbers},
    optional={"effective_cpus": numbers, "state_flags": st.lists(states) | anything},
)
groups = st.fixed_dictionaries(
    {
        "nodes": st.fixed_dictionaries({"nodes": st.lists(st.text()) | anything}) | anything,
        "node": st.fixed_dictionaries({"state": states | st.lists(states) | anything}) | anything,
        "cpus": st.fixed_dictionaries({"total": numbers}) | anything,
    }
)


def as_bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def read_jobs(output: bytes) -> None:
    with suppress(SourceUnavailable):
        metrics = job_metrics(parse_jobs("squeue", output), LIMITS)
        assert all(sample.value >= 0 for metric in metrics for sample in metric.samples)


def read_nodes(output: bytes) -> None:
    with suppress(SourceUnavailable):
        metrics = node_metrics(parse_nodes("sinfo", output), LIMITS)
        assert all(sample.value >= 0 for metric in metrics for sample in metric.samples)


@unhurried
@given(st.binary() | cut_and_changed(OLD_JOBS) | cut_and_changed(NEW_JOBS))
def test_squeue_output_is_read_or_refused(output: bytes) -> None:
    read_jobs(output)


@unhurried
@given(st.lists(jobs | anything) | anything)
def test_jobs_of_any_shape_are_read_or_refused(listed: Any) -> None:
    read_jobs(as_bytes({"errors": [], "jobs": listed}))


@unhurried
@given(st.lists(jobs, max_size=3))
def test_documents_with_errors_are_always_refused(listed: Any) -> None:
    with suppress(SourceUnavailable):
        parse_jobs("squeue", as_bytes({"errors": [{"error": "x"}], "jobs": listed}))
        raise AssertionError


@unhurried
@given(st.binary() | cut_and_changed(OLD_NODES) | cut_and_changed(NEW_NODES))
def test_sinfo_output_is_read_or_refused(output: bytes) -> None:
    read_nodes(output)


@unhurried
@given(st.lists(nodes | anything) | anything, st.lists(groups | anything) | anything, st.booleans())
def test_nodes_of_any_shape_are_read_or_refused(listed: Any, grouped: Any, old: bool) -> None:
    read_nodes(as_bytes({"nodes": listed} if old else {"sinfo": grouped}))


@unhurried
@given(hosts | st.from_regex(r"([a-z]|\[[0-9]{1,6}-[0-9]{1,6}\]|,){0,9}", fullmatch=True))
def test_host_lists_are_expanded_within_their_bound_or_refused(text: str) -> None:
    with suppress(BadHostlist):
        assert len(expand_hostlist(text)) <= MOST_HOSTS


job_lines = st.from_regex(r"([1-9]\|[1-9]_([1-9]|N/A)\|[0-9]{1,3}\|([0-9]-)?([0-9]{1,2}:){0,3}[0-9]{0,2}\n){0,4}")
step_lines = st.from_regex(r"([1-9](_[1-9])?\.(batch|0|extern)\n){0,4}", fullmatch=True)
use_lines = st.from_regex(r"([1-9]\.(batch|0)\|[0-9]{1,3}\|([0-9]-)?([0-9]{1,2}:){0,3}[0-9.]{0,4}\n){0,4}")


@unhurried
@given(*(lines.map(str.encode) | st.binary() for lines in (job_lines, step_lines, use_lines)))
def test_output_of_squeue_and_sstat_is_read_or_refused(jobs: bytes, steps: bytes, used: bytes) -> None:
    with suppress(SourceUnavailable):
        running = parse_running(jobs)
        asked = choose(running, parse_steps(steps))
        assert set(asked) <= {each.job for each in running}
        metrics = usage_metrics(combine(running, parse_use(used)))
        assert all(sample.value >= 0 for metric in metrics for sample in metric.samples)


@unhurried
@given(st.text() | st.from_regex(r"[A-Za-z0-9_=-]{0,20}\.[A-Za-z0-9_=-]{0,40}\.", fullmatch=True))
def test_any_token_names_a_user_or_nobody(token: str) -> None:
    user = user_of(token)
    assert user is None or (user.isascii() and user.isprintable())


@unhurried
@given(st.binary() | st.fixed_dictionaries({"errors": anything}).map(as_bytes) | cut_and_changed(b'{"errors": [{}]}'))
def test_any_refusal_has_a_bounded_message(body: bytes) -> None:
    assert 0 < len(message_of(body)) <= LONGEST_MESSAGE


@unhurried
@given(content=st.binary())
def test_any_token_file_has_a_token_or_none(tmp_path_factory: Any, content: bytes) -> None:
    file: Path = tmp_path_factory.getbasetemp() / "token"
    file.write_bytes(content)
    with suppress(SourceUnavailable):
        token = read_token(file)
        assert token.isascii()
        assert not set(token) & set("\r\n ")


@unhurried
@given(st.text() | st.from_regex(r"([a-z0-9]{1,3}[ \t\n#]){0,12}", fullmatch=True))
def test_a_node_map_is_read_or_refused(text: str) -> None:
    with suppress(BadNodeMap):
        placed = parse_node_map(text)
        assert sum(len(family.samples) for family in node_info_metrics(placed)) == len(placed)
