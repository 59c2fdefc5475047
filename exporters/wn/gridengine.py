"""Grid Engine, read from the XML of ``qstat``: Son of Grid Engine 8.1.9, and what Univa and Altair made of it.

One call tells the jobs: only with all of ``-ext -pri -r`` are the CPU time, the start time and the wanted queue in one
record, and only with ``-g t`` there is a record per slot of a parallel job, so that each node gets its own. It cannot
tell the jobs which are not to start before some time (``qsub -a``) from those that wait; ``-s ha`` can.

Where the execution daemon does not run as root, ``cpu_usage`` stays 0: then the CPU time is unknown.
"""

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element

from exporters.serving import SourceUnavailable
from exporters.wn.batch import BatchSystem, Job, JobState, Node, NodeState
from exporters.wn.reading import NO_QUEUE, Commands, count_tasks
from exporters.wn.reading_xml import elements, texts

EVERYBODY = ("-u", "*")
NOBODY = ("-u", ".")  # no user has this name: the queues without their jobs

# Start times are printed in local time without its offset: ambiguous for an hour each autumn.
UTC_TIMES = {"TZ": "UTC"}

FRAME = ("queue_info", "job_info", "job_info")  # qstat's outermost element has the same name as an inner one

COUNT = re.compile(r"[0-9]{1,9}")
QUEUE_NAME = re.compile(r"[\w.-]+")

# Jobs which together have had cores for so many seconds have used some CPU time; none means that nobody counts it.
UNTOLD_AFTER_S = 600.0

# The letters of a queue instance's state, qstat(1). Load alarms (a, A) are not among them: a full node has one.
DOWN_LETTERS = frozenset("uEc")  # unknown: no execution daemon; error; ambiguous configuration
DRAINED_LETTERS = frozenset("dDsSCPo")  # disabled or suspended by hand, calendar, another queue; or orphaned


@dataclass(frozen=True, slots=True)
class _Row:
    """A record of a job, or of one slot of a parallel job on ``host``."""

    number: str
    tasks: str
    state: JobState
    queue: str
    host: str
    slots: int
    granted: int | None
    is_master: bool
    cpu_s: float | None
    started_s: float | None


@dataclass(frozen=True, slots=True)
class _Instance:
    host: str
    slots: int
    processors: int
    state: NodeState


def system(commands: Path | None, timeout_s: float, clock: Callable[[], float] = time.time) -> BatchSystem:
    """Return Grid Engine as asked through its commands in a folder, None = in the PATH."""
    ask = Commands(commands, timeout_s)

    def jobs() -> Sequence[Job]:
        options = ("-ext", "-pri", "-r", "-g", "t", "-xml")
        rows = _rows(ask.run("qstat", *EVERYBODY, *options, environment=UTC_TIMES))
        if any(row.state is JobState.PENDING for row in rows):
            not_yet = parse_numbers(ask.run("qstat", *EVERYBODY, "-s", "ha", "-xml"))
            rows = [_held(row) if row.number in not_yet else row for row in rows]
        return _jobs(rows, clock())

    def nodes() -> Sequence[Node]:
        return parse_nodes(ask.run("qstat", "-f", *NOBODY, "-F", "num_proc", "-xml"))

    return BatchSystem(jobs, nodes)


def parse_jobs(output: bytes, now_s: float) -> list[Job]:
    """Read the jobs from ``qstat -u '*' -ext -pri -r -g t -xml`` with times in UTC.

    ``now_s`` is the time of the answer in seconds since the epoch. A waiting job is in the queue it asks for, if that
    is just one, else in :data:`NO_QUEUE`. ``cpu_s`` is as of the last load report, some 40 seconds ago. Raises
    :class:`SourceUnavailable` if the output cannot be trusted.
    """
    return _jobs(_rows(output), now_s)


def parse_numbers(output: bytes) -> frozenset[str]:
    """Read only the numbers of the jobs from ``qstat -xml``; raises :class:`SourceUnavailable`."""
    return frozenset(_number(texts(element)) for element in elements("qstat", output, "job_list", FRAME))


def parse_nodes(output: bytes) -> list[Node]:
    """Read the nodes from ``qstat -f -F num_proc -xml``; raises :class:`SourceUnavailable`.

    A node with a usable queue instance is usable, and its slots are those of its usable instances. As each queue counts
    the same CPUs again, they are at most the node's CPUs, or the slots of its largest instance if a site gives more.
    """
    hosts: defaultdict[str, list[_Instance]] = defaultdict(list)
    for element in elements("qstat", output, "Queue-List", FRAME):
        instance = _instance(element)
        hosts[instance.host].append(instance)
    return [_node(host, instances) for host, instances in hosts.items()]


def _number(found: Mapping[str, str]) -> str:
    number = found.get("JB_job_number")
    if not number:
        raise SourceUnavailable("qstat printed a job without its JB_job_number")
    return number


def _count(found: Mapping[str, str], tag: str) -> int:
    if not COUNT.fullmatch(found.get(tag, "")):
        raise SourceUnavailable(f"qstat printed a record whose {tag} is not a number")
    return int(found[tag])


def _rows(output: bytes) -> list[_Row]:
    return [_row(element) for element in elements("qstat", output, "job_list", FRAME)]


def _row(element: Element) -> _Row:
    found = texts(element)
    queue, _, host = found.get("queue_name", "").partition("@")
    return _Row(
        number=_number(found),
        tasks=found.get("tasks", ""),
        state=_state(found.get("state", "")),
        queue=queue or _wanted_queue(element),
        host=host,
        slots=_count(found, "slots"),
        granted=_count(found, "granted_pe") if "granted_pe" in found else None,
        is_master=found.get("master") == "MASTER",
        cpu_s=_seconds(found.get("cpu_usage", "")),
        started_s=_timestamp(found.get("JAT_start_time", "")),
    )


def _state(letters: str) -> JobState:
    """Translate the letters of a job's state, qstat(1): one in error or on hold would not start on an empty farm."""
    if not letters:
        raise SourceUnavailable("qstat printed a job without its state")
    if set("dsSTP") & set(letters):
        return JobState.OTHER
    if "w" in letters:
        return JobState.HELD if set("Eh") & set(letters) else JobState.PENDING
    return JobState.RUNNING if set("rt") & set(letters) else JobState.OTHER


def _wanted_queue(element: Element) -> str:
    wanted = {(each.text or "").partition("@")[0] for each in element.iter("hard_req_queue")}
    name = wanted.pop() if len(wanted) == 1 else ""
    return name if QUEUE_NAME.fullmatch(name) else NO_QUEUE  # a pattern is no queue


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _timestamp(text: str) -> float | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except (ValueError, OverflowError):
        return None


def _held(row: _Row) -> _Row:
    return replace(row, state=JobState.HELD) if row.state is JobState.PENDING else row


def _jobs(rows: Sequence[_Row], now_s: float) -> list[Job]:
    slots_of: defaultdict[tuple[str, str], list[_Row]] = defaultdict(list)
    for row in rows:
        slots_of[row.number, row.tasks].append(row)
    jobs = [_job(rows, now_s) for rows in slots_of.values()]
    core_s = sum(job.core_s for job in jobs if job.core_s is not None)
    if core_s > UNTOLD_AFTER_S and not any(job.cpu_s for job in jobs):
        return [replace(job, cpu_s=None) for job in jobs]
    return jobs


def _job(rows: Sequence[_Row], now_s: float) -> Job:
    """Make a job of its rows; the first one is that of the master task."""
    first = rows[0]
    if first.state is not JobState.RUNNING:
        return Job(first.state, first.queue, count=_tasks(first))
    cores_on = _cores_on(rows)
    cores = sum(cores_on.values())
    cpu_s = [row.cpu_s for row in rows if row.cpu_s is not None]
    core_s = None if first.started_s is None else max(now_s - first.started_s, 0) * cores
    known = {host: count for host, count in cores_on.items() if host}
    return Job(first.state, first.queue, 1, cores, known, sum(cpu_s) if cpu_s else None, core_s)


def _tasks(row: _Row) -> int:
    count = count_tasks(row.tasks) if row.tasks else 1
    if count is None:
        raise SourceUnavailable("qstat printed a job whose tasks are not a list of task ids")
    return count


def _cores_on(rows: Sequence[_Row]) -> dict[str, int]:
    cores: defaultdict[str, int] = defaultdict(int)
    for row in rows:
        cores[row.host] += row.slots
    # Where the master task is not one of the granted ones (job_is_first_task FALSE), it has a row but no slot.
    for row in rows:
        if row.is_master and row.granted is not None and sum(cores.values()) > row.granted:
            cores[row.host] -= row.slots
    return {host: count for host, count in cores.items() if count > 0}


def _instance(element: Element) -> _Instance:
    found = texts(element)
    _, _, host = found.get("name", "").partition("@")
    if not host:
        raise SourceUnavailable("qstat printed a Queue-List without the name of a queue instance, queue@host")
    processors = element.findtext("resource[@name='num_proc']") or ""
    letters = set(found.get("state", ""))
    state = NodeState.DRAINED if letters & DRAINED_LETTERS else NodeState.USABLE
    return _Instance(
        host=host,
        slots=_count(found, "slots_total"),
        processors=int(processors) if COUNT.fullmatch(processors) else 0,
        state=NodeState.DOWN if letters & DOWN_LETTERS else state,
    )


def _node(host: str, instances: Sequence[_Instance]) -> Node:
    states = {instance.state for instance in instances}
    state = next(state for state in (NodeState.USABLE, NodeState.DRAINED, NodeState.DOWN) if state in states)
    these = [instance for instance in instances if instance.state is state]
    most = max(max(instance.slots, instance.processors) for instance in these)
    return Node(host, min(sum(instance.slots for instance in these), most), state)
