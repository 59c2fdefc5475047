"""Torque, read from the XML of ``qstat -x`` and ``pbsnodes -x``; its ``qstat`` knows no JSON, unlike that of PBS.

For an empty queue ``qstat`` prints nothing, and exits 0: then ``qstat -B -f`` must say that the server has 0 jobs.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from exporters.serving import SourceUnavailable
from exporters.wn.batch import BatchSystem, Job, JobState, Node
from exporters.wn.reading import NO_QUEUE, Commands, count_tasks, duration_s, node_state
from exporters.wn.reading_xml import elements, texts

FRAME = ("Data",)
NO_JOBS = re.compile(rb"^[ \t]*total_jobs = 0[ \t\r]*$", re.MULTILINE)

STATES = {"Q": JobState.PENDING, "R": JobState.RUNNING, "H": JobState.HELD, "W": JobState.HELD}
COMPLETED = "C"

USABLE_STATES = frozenset({"free", "job-exclusive", "job-sharing", "busy", "reserve"})
DRAINED_STATES = frozenset({"offline"})

COUNT = re.compile(r"[0-9]{1,9}")


def system(commands: Path | None, timeout_s: float) -> BatchSystem:
    """Return Torque as asked through its commands in a folder, None = in the PATH."""
    ask = Commands(commands, timeout_s)

    def jobs() -> Sequence[Job]:
        output = ask.run("qstat", "-f", "-t", "-x")  # -t: each task of an array
        if not output.strip():
            check_no_jobs(ask.run("qstat", "-B", "-f"))
            return []
        return parse_jobs(output)

    def nodes() -> Sequence[Node]:
        return parse_nodes(ask.run("pbsnodes", "-x"))

    return BatchSystem(jobs, nodes)


def check_no_jobs(output: bytes) -> None:
    """Raise :class:`SourceUnavailable` unless ``qstat -B -f`` says that the server has 0 jobs."""
    if not NO_JOBS.search(output):
        raise SourceUnavailable("qstat printed nothing, and qstat -B -f does not say that there are 0 jobs")


def parse_jobs(output: bytes) -> list[Job]:
    """Read the jobs from ``qstat -f -t -x``; raises :class:`SourceUnavailable` if it cannot be trusted."""
    jobs = []
    for element in elements("qstat", output, "Job", FRAME):
        used = element.find("resources_used")
        job = _job(texts(element), {} if used is None else texts(used))
        if job is not None:
            jobs.append(job)
    return jobs


def parse_nodes(output: bytes) -> list[Node]:
    """Read the nodes from ``pbsnodes -x``; raises :class:`SourceUnavailable` if it cannot be trusted."""
    return [_node(texts(element)) for element in elements("pbsnodes", output, "Node", FRAME)]


def _job(found: dict[str, str], used: dict[str, str]) -> Job | None:
    letter, queue = found.get("job_state"), found.get("queue") or NO_QUEUE
    if not letter:
        raise SourceUnavailable("qstat printed a job without its job_state")
    if letter == COMPLETED:
        return None
    state = STATES.get(letter, JobState.OTHER)
    if state is not JobState.RUNNING:
        return Job(state, queue)
    cores_on = _cores_on(found.get("exec_host", ""))
    cores, wall_s = sum(cores_on.values()), duration_s(used.get("walltime"))
    core_s = None if wall_s is None else wall_s * cores
    return Job(state, queue, 1, cores, cores_on, duration_s(used.get("cput")), core_s)


def _cores_on(exec_host: str) -> dict[str, int]:
    """Read exec_host: "wn01/0+wn01/1" by older versions, "wn01/0-1,3" by newer ones."""
    cores: defaultdict[str, int] = defaultdict(int)
    for part in exec_host.split("+"):
        host, _, indices = part.partition("/")
        count = count_tasks(indices)
        if not host or count is None:
            raise SourceUnavailable("qstat printed a running job whose exec_host is not a list of hosts and cores")
        cores[host] += count
    return dict(cores)


def _node(found: dict[str, str]) -> Node:
    name, state, slots = found.get("name"), found.get("state"), found.get("np", "")
    if not name or not state or not COUNT.fullmatch(slots):
        raise SourceUnavailable("pbsnodes printed a node without its name, its state or its np")
    return Node(name, int(slots), node_state(state, USABLE_STATES, DRAINED_STATES))
