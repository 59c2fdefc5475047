"""Jobs and nodes as ``squeue --json``, ``sinfo --json`` and slurmrestd tell them.

The commands exit 0 and show an empty list when slurmctld is down; only ``errors`` beside it tells the difference.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Job, JobState, Node, NodeState
from exporters.wn.hostlist import BadHostlist, expand_hostlist
from exporters.wn.reading import MOST_CORES, NO_QUEUE, count_tasks, decode
from exporters.wn.slurm_layout import (
    Count,
    Group,
    JobRecord,
    JobsDocument,
    NodeRecord,
    NodesDocument,
    Number,
    Resources,
    States,
)

FINISHED_STATES = frozenset({
    "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY",
    "REVOKED",
})  # fmt: skip

# A job that has ended with one of these flags beside still holds something: its nodes, or data to be staged out.
NOT_YET_OVER = frozenset({"COMPLETING", "STAGE_OUT", "REQUEUED", "RESIZING"})

# A state is one base word and any flags, as CONFIGURING or SIGNALING: with all but these a running job has its cores.
NOT_RUNNING = frozenset({"COMPLETING", "STOPPED", "SUSPENDED"})

# A requeued job waits again; these are held until somebody releases them.
WAITING_STATES = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT"})
HELD_STATES = frozenset({"REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD"})

# Pending for one of these reasons, a job would not start on an empty farm: it is no load that waits for cores.
HELD_REASONS = frozenset({
    "JobHeldUser", "JobHeldAdmin", "JobHoldMaxRequeue", "Dependency", "DependencyNeverSatisfied", "BeginTime",
    "DeadLine", "PartitionConfig", "PartitionDown", "PartitionInactive", "PartitionNodeLimit", "PartitionTimeLimit",
    "BadConstraints", "Reservation", "ReservationDeleted", "InvalidAccount", "InvalidQOS",
})  # fmt: skip

# Of the many reasons of limits (job_reason_codes), those of what one job asks for, and of a budget that is used up. The
# limits of what a user's or an account's jobs may have together do not hold on an empty farm.
HELD_BY_LIMIT = re.compile(
    r"(QOS|Assoc)Max\w+Per(Job|Node)(Limit)?|(Account|QOS)NotAllowed|(QOS|Association)TimeLimit"
    r"|(QOS|Assoc)Grp\w*Minutes\w*|QOSMin\w+|MaxMemPerLimit"
)

# What the words of a node's state say (NODE_STATE_* in slurm.h); the worst counts. A word that is not here, such as
# COMPLETING, PLANNED, RESERVED (it works for whom it is reserved) or REBOOT_REQUESTED (not before it is idle), does not
# take slots away; a node without any of the first three words has none.
USABLE_WORDS = frozenset({"IDLE", "MIXED", "ALLOCATED"})
DRAINED_WORDS = frozenset({
    "DRAIN", "DRAINED", "DRAINING",  # by an administrator; jobs may still run there, none starts
    "FAIL", "FAILING",  # as drained, because it is about to fail
    "MAINT", "MAINTENANCE",  # in a reservation for maintenance: no jobs but the maintainers'
    "POWER_DRAIN",  # powered down as soon as its jobs have ended
})  # fmt: skip
DOWN_WORDS = frozenset({
    "DOWN", "ERROR", "UNKNOWN",
    "NOT_RESPONDING", "NO_RESPOND",  # no job starts there, and it will be DOWN after SlurmdTimeout
    "INVALID_REG",  # it has less than slurm.conf says
    "REBOOT_ISSUED",
    "POWERED_DOWN", "POWERING_DOWN", "POWER_DOWN", "POWERING_UP", "POWER_UP",  # no slot until it has been started
})  # fmt: skip
# A place in the configuration for a node that may come one day.
NO_NODE_WORD = "FUTURE"


def parse_jobs(teller: str, output: bytes) -> list[Job]:
    """Return the live jobs in what ``teller`` (squeue, slurmrestd) said; raises :class:`SourceUnavailable`."""
    document = decode(teller, output, JobsDocument)
    _refuse_errors(teller, document.errors)
    if document.jobs is None:
        raise SourceUnavailable(f"{teller} printed no list of jobs")
    return list(_live_jobs(teller, document.jobs))


def _live_jobs(teller: str, records: Sequence[JobRecord]) -> Iterator[Job]:
    for record in records:
        state = _job_state(teller, record)
        # A job that may start in several partitions stands in all of them, "batch,proof", until it has started.
        queue = record.partition or NO_QUEUE
        if state is JobState.RUNNING:
            cores = _whole(record.cpus, f"{teller} printed a running job without its number of cpus")
            yield Job(state, queue, 1, cores, _cores_on(record, cores))
        elif state is not None:
            yield Job(state, queue, _tasks(teller, record.array_task_string))


def _refuse_errors(teller: str, errors: Sequence[Any]) -> None:
    if errors:
        raise SourceUnavailable(f"{teller} reports errors: {msgspec.json.encode(errors).decode()[:300]}")


def _words(state: States) -> frozenset[str]:
    return frozenset({state}) if isinstance(state, str) else frozenset(state)


def _job_state(teller: str, record: JobRecord) -> JobState | None:
    """Return the state of a job, None for one that has ended."""
    words = _words(record.job_state)
    if not words:
        raise SourceUnavailable(f"{teller} printed a job whose job_state is empty")
    if "RUNNING" in words and not words & NOT_RUNNING:
        return JobState.RUNNING
    if words <= WAITING_STATES or "PENDING" in words:
        return JobState.HELD if words & HELD_STATES or _never_starts(record.state_reason) else JobState.PENDING
    if words & FINISHED_STATES and not words & NOT_YET_OVER:
        return None
    return JobState.OTHER


def _never_starts(reason: object) -> bool:
    return reason in HELD_REASONS or HELD_BY_LIMIT.fullmatch(str(reason)) is not None


def _tasks(teller: str, expression: str | None) -> int:
    """Return how many jobs a record stands for: the waiting tasks of an array share one, as in "1,3,5-9%2".

    What follows the % is how many of them may run at the same time.
    """
    if not expression:
        return 1
    tasks = count_tasks(expression.partition("%")[0])
    if tasks is None:
        raise SourceUnavailable(f"{teller} printed an array_task_string that is not a list of task ids")
    return tasks


def _whole(count: Count, complaint: str) -> int:
    if isinstance(count, Number):
        count = int(count.number) if count.set and not count.infinite and count.number == count.number // 1 else None
    if count is None or not 0 <= count <= MOST_CORES:
        raise SourceUnavailable(complaint)
    return count


def _cores_on(record: JobRecord, cores: int) -> Mapping[str, int]:
    """Return a running job's cores by node.

    Versions to 23.11 tell its physical cores on each node, of which a CPU may be a thread. Where the numbers do not add
    up, the cores are shared evenly over the nodes: their sum is what matters.
    """
    if record.nodes and not set(record.nodes) & set("[,"):
        return {record.nodes: cores}
    shares = _shares(record.job_resources)
    told = sum(shares.values())
    if told and cores % told == 0:
        return {node: share * (cores // told) for node, share in shares.items()}
    return _evenly(list(shares) or _hosts(record.nodes), cores)


def _shares(raw: msgspec.Raw) -> dict[str, int]:
    try:
        resources = msgspec.json.decode(raw, type=Resources | None)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}  # of a version that is not known yet, or not there at all
    if resources is None:
        return {}
    nodes = resources.allocated_nodes if isinstance(resources.nodes, str) else resources.nodes.allocation
    return {node.name or node.nodename: node.allocated for node in nodes if node.name or node.nodename}


def _hosts(nodes: str | None) -> list[str]:
    try:
        return expand_hostlist(nodes or "")
    except BadHostlist:
        return []


def _evenly(nodes: Sequence[str], cores: int) -> dict[str, int]:
    return {node: cores // len(nodes) + (number < cores % len(nodes)) for number, node in enumerate(nodes)}


def parse_nodes(teller: str, output: bytes) -> list[Node]:
    """Return the nodes in what ``teller`` (sinfo, slurmrestd) said, each once; raises :class:`SourceUnavailable`."""
    document = decode(teller, output, NodesDocument)
    _refuse_errors(teller, document.errors)
    if document.nodes is not None:
        nodes = [_node(teller, record) for record in document.nodes]
    elif document.sinfo is not None:
        nodes = [_grouped_node(teller, group) for group in document.sinfo]
    else:
        raise SourceUnavailable(f"{teller} printed no list of nodes")
    return list({node.name: node for node in nodes if node is not None}.values())


def _node(teller: str, record: NodeRecord) -> Node | None:
    complaint = f"{teller} printed a node without its number of cpus"
    words = _words(record.state) | frozenset(record.state_flags)
    return _known_node(record.name, _whole(record.effective_cpus or record.cpus, complaint), words)


def _grouped_node(teller: str, group: Group) -> Node | None:
    """Return the node of a group, None for the empty group of a partition without nodes."""
    if not group.nodes.nodes:
        return None
    if len(group.nodes.nodes) > 1:
        raise SourceUnavailable(f"{teller} printed nodes in groups: it was not asked with -N")
    slots = _whole(group.cpus.total, f"{teller} printed a node without its number of cpus")
    return _known_node(group.nodes.nodes[0], slots, _words(group.node.state))


def _known_node(name: str, slots: int, words: frozenset[str]) -> Node | None:
    words = frozenset(word.upper() for word in words)
    return None if NO_NODE_WORD in words else Node(name, slots, _node_state(words))


def _node_state(words: frozenset[str]) -> NodeState:
    if words & DOWN_WORDS or not words & USABLE_WORDS:
        return NodeState.DOWN
    return NodeState.DRAINED if words & DRAINED_WORDS else NodeState.USABLE
