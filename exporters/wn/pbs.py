"""PBS Professional and OpenPBS, read from ``qstat -f -F json`` and ``pbsnodes -av -F json``; names as in qstat(1B).

An empty queue has no "Jobs" at all, and so has an answer without a server, which differs by its exit code only.

PBS writes JSON that is none: what a user put into a job's environment may have bare quotes, unknown escapes, numbers
such as 007 or no value at all (openpbs issues 1255 and 2541, pull request 2049). But it writes one member per line, so
a line which is unreadable by itself is left out. Nothing is guessed; a needed member that is missing is an error.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporters.serving import SourceUnavailable
from exporters.wn.batch import BatchSystem, Job, JobState, Node, NodeState
from exporters.wn.reading import MOST_CORES, Commands, decode, duration_s, node_state

STATES = {"Q": JobState.PENDING, "R": JobState.RUNNING, "H": JobState.HELD, "W": JobState.HELD}
ENDED = frozenset("FMX")  # finished, moved to another server, expired
NEVER_RUNS = "Can Never Run"

USABLE_STATES = frozenset({"free", "job-busy", "job-exclusive", "resv-exclusive", "busy"})
DRAINED_STATES = frozenset({"offline", "maintenance", "provisioning", "wait-provisioning"})

# A line of PBS's JSON that is surely right; of the others, which are few, each is tried by itself.
PLAIN = rb"[ !#-\[\]-~]*"  # printable ASCII without quote and backslash
NUMBER = rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
BRACKETS = rb'\{|[}\]],?|"%s":[ \t]*[{\[]' % PLAIN
MEMBER = rb'"%s":[ \t]*(?:"%s"|%s),?' % (PLAIN, PLAIN, NUMBER)
DOUBTFUL_LINE = re.compile(rb"^(?![ \t]*(?:%s|%s)[ \t]*$).*\n?" % (BRACKETS, MEMBER), re.MULTILINE)
COMMA_BEFORE_BRACKET = re.compile(rb",([ \t]*\n[ \t]*[}\]])")

ARRAY_COUNT = re.compile(r"(Queued|Running|Exiting):([0-9]{1,9})(?!\S)")
HOST = re.compile(r"([^/+]+)/[0-9]+(?:\*([0-9]{1,6}))?")


class Record(msgspec.Struct):
    """What is asked of a job."""

    job_state: str
    queue: Any = None
    comment: Any = None
    exec_host: Any = None
    array_state_count: Any = None
    requested: dict[str, Any] = msgspec.field(name="Resource_List", default_factory=dict)
    used: dict[str, Any] = msgspec.field(name="resources_used", default_factory=dict)


class Vnode(msgspec.Struct):
    """What is asked of a vnode."""

    state: str
    available: dict[str, Any] = msgspec.field(name="resources_available", default_factory=dict)


class Queue(msgspec.Struct):
    """What ``qstat`` prints; without the name of the server it is the answer of something else."""

    pbs_server: Any
    jobs: dict[str, Record] = msgspec.field(name="Jobs", default_factory=dict)


class Farm(msgspec.Struct):
    """What ``pbsnodes`` prints."""

    nodes: dict[str, Vnode]


def system(commands: Path | None, timeout_s: float) -> BatchSystem:
    """Return PBS as asked through its commands in a folder, None = in the PATH."""
    ask = Commands(commands, timeout_s)

    def jobs() -> Sequence[Job]:
        return parse_jobs(ask.run("qstat", "-f", "-F", "json"))

    def nodes() -> Sequence[Node]:
        return parse_nodes(ask.run("pbsnodes", "-a", "-v", "-F", "json"))

    return BatchSystem(jobs, nodes)


def parse_jobs(output: bytes) -> list[Job]:
    """Read the jobs from ``qstat -f -F json``; raises :class:`SourceUnavailable` if it cannot be trusted.

    Without ``-t`` an array is one record however many tasks it has; where these run, and what they have used, is not
    told then.
    """
    records = decode("qstat", output, Queue, mend).jobs.values()
    return [job for record in records if record.job_state not in ENDED for job in _jobs(record)]


def parse_nodes(output: bytes) -> list[Node]:
    """Read the nodes from ``pbsnodes -av -F json``; raises :class:`SourceUnavailable` if it cannot be trusted.

    The vnodes of one host are one node; it is usable if one of them is, with the CPUs of the usable ones.
    """
    hosts: defaultdict[str, list[tuple[NodeState, int]]] = defaultdict(list)
    for name, vnode in decode("pbsnodes", output, Farm, mend).nodes.items():
        hosts[str(vnode.available.get("host", name))].append(
            (node_state(vnode.state, USABLE_STATES, DRAINED_STATES), _ncpus(vnode))
        )
    return [_node(host, vnodes) for host, vnodes in hosts.items()]


def mend(output: bytes) -> bytes:
    """Leave out the lines of PBS's JSON that are neither brackets nor, each by itself, a member of an object."""
    return COMMA_BEFORE_BRACKET.sub(rb"\1", DOUBTFUL_LINE.sub(_if_member, output))


def _if_member(line: re.Match[bytes]) -> bytes:
    try:
        msgspec.json.decode(b"{" + line[0].strip().removesuffix(b",") + b"}", type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    return line[0]


def _jobs(record: Record) -> Iterator[Job]:
    queue = str(record.queue)
    state = STATES.get(record.job_state, JobState.OTHER)
    if state is JobState.PENDING and str(record.comment).startswith(NEVER_RUNS):
        state = JobState.HELD
    if record.array_state_count is not None or record.job_state == "B":
        yield from _tasks(record, queue, JobState.HELD if state is JobState.HELD else JobState.PENDING)
    elif state is JobState.RUNNING:
        cores = _cores(record)
        wall_s = duration_s(record.used.get("walltime"))
        core_s = None if wall_s is None else wall_s * cores
        yield Job(state, queue, 1, cores, _cores_on(record), duration_s(record.used.get("cput")), core_s)
    else:
        yield Job(state, queue)


def _tasks(record: Record, queue: str, waiting: JobState) -> Iterator[Job]:
    """Yield the tasks of an array by state: array_state_count is like "Queued:5 Running:2 Exiting:0 Expired:3"."""
    counts = {name: int(count) for name, count in ARRAY_COUNT.findall(str(record.array_state_count))}
    if counts.keys() != {"Queued", "Running", "Exiting"}:
        raise SourceUnavailable("qstat printed an array of jobs without its array_state_count")
    running = counts["Running"]
    yield Job(waiting, queue, counts["Queued"])
    yield Job(JobState.RUNNING, queue, running, cores=running * _cores(record) if running else 0)
    yield Job(JobState.OTHER, queue, counts["Exiting"])


def _cores(record: Record) -> int:
    return _whole_number(record.requested.get("ncpus"), "qstat printed a running job whose Resource_List has no ncpus")


def _whole_number(value: Any, otherwise: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_CORES:
        return value
    raise SourceUnavailable(otherwise)


def _cores_on(record: Record) -> dict[str, int]:
    """Read exec_host, for example "wn01/0*8+wn02/1": host, slash, a number, and how many CPUs if not one."""
    cores: defaultdict[str, int] = defaultdict(int)
    for host, count in HOST.findall(str(record.exec_host or "")):
        cores[host] += int(count or 1)
    return dict(cores)


def _node(host: str, vnodes: Sequence[tuple[NodeState, int]]) -> Node:
    state = next(state for state in NodeState if any(state is each for each, _ in vnodes))
    return Node(host, sum(ncpus for each, ncpus in vnodes if each is state), state)


def _ncpus(vnode: Vnode) -> int:
    return _whole_number(
        vnode.available.get("ncpus", 0), "pbsnodes printed a vnode whose resources_available have no number of ncpus"
    )
