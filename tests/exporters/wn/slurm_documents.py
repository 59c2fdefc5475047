"""Documents as Slurm prints them, made of a few fields, for the tests of its parsers."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from exporters.wn.batch import Job, JobState, Node
from exporters.wn.slurm_json import parse_jobs, parse_nodes
from tests.exporters.exposition import SAMPLES


def sample(name: str) -> bytes:
    return (SAMPLES / "slurm" / name).read_bytes()


def job(
    job_state: Any = "PENDING", state_reason: Any = "None", cpus: Any = 1, array_task_string: Any = "", **more: Any
) -> dict[str, Any]:
    fields = {"job_state": job_state, "state_reason": state_reason, "cpus": cpus}
    return {**fields, "array_task_string": array_task_string, "partition": "batch", **more}


def node(name: str = "wn01", cpus: Any = 2, state: Any = "idle", **more: Any) -> dict[str, Any]:
    return {"name": name, "cpus": cpus, "state": state, **more}


def jobs_document(*jobs: Any) -> bytes:
    return json.dumps({"meta": {}, "errors": [], "jobs": jobs}).encode()


def nodes_document(*nodes: Any) -> bytes:
    return json.dumps({"meta": {}, "errors": [], "nodes": nodes}).encode()


def jobs_of(*jobs: Any) -> list[Job]:
    return parse_jobs("squeue", jobs_document(*jobs))


def nodes_of(*nodes: Any) -> list[Node]:
    return parse_nodes("sinfo", nodes_document(*nodes))


def counts(jobs: Iterable[Job]) -> dict[JobState, int]:
    counted: Counter[JobState] = Counter()
    for each in jobs:
        counted[each.state] += each.count
    return dict(counted)
