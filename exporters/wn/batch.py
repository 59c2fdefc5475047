"""What every batch system is asked, in one vocabulary, and the metrics of the answers.

A batch system is one file beside this one: it parses what its commands print into these values. ``cores`` are what the
system counts as slots: Slurm's CPUs, Grid Engine's slots, HTCondor's Cpus, PBS's ncpus.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import repeat

from prometheus_client.core import GaugeMetricFamily, Metric

# The name under which what is beyond a limit of series is added up; no batch system allows it for a queue.
OTHERS = "_other"

# Of running jobs, or parts of them, of which the batch system does not say where they run.
NOWHERE = "_unknown"


class JobState(StrEnum):
    """What a live job does; ``HELD`` would not start on an empty farm, so it is no load that waits for cores."""

    RUNNING = "running"
    PENDING = "pending"
    HELD = "held"
    OTHER = "other"


class NodeState(StrEnum):
    """Whether a worker node takes jobs: ``DRAINED`` by an administrator, ``DOWN`` if the batch system cannot use it."""

    USABLE = "usable"
    DRAINED = "drained"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class Job:
    """One record of the batch system's list: a job, or ``count`` waiting tasks of an array.

    ``cores`` are those allocated to a running job, by node in ``cores_on`` as far as the batch system says where.
    ``cpu_s`` is the CPU time a running job has used, ``core_s`` its wall time times its cores, in seconds; None =
    unknown.
    """

    state: JobState
    queue: str
    count: int = 1
    cores: int = 0
    cores_on: Mapping[str, int] = field(default_factory=dict)
    cpu_s: float | None = None
    core_s: float | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """One worker node: its name in the batch system, its slots, and whether it takes jobs."""

    name: str
    slots: int
    state: NodeState


@dataclass(frozen=True, slots=True)
class Usage:
    """What one running job has used: CPU time, and wall time times cores, in seconds."""

    cpu_s: float
    core_s: float


@dataclass(frozen=True, slots=True)
class BatchSystem:
    """How one batch system is asked; each call raises ``SourceUnavailable`` if the answer cannot be trusted.

    ``usages`` is for a system that tells the CPU time of running jobs by another command than its jobs.
    """

    jobs: Callable[[], Sequence[Job]]
    nodes: Callable[[], Sequence[Node]]
    usages: Callable[[], Sequence[Usage]] | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How many queues and nodes get series of their own; the rest is added up in :data:`OTHERS`."""

    queues: int = 50
    nodes: int = 2000


DEFAULT_LIMITS = Limits()


def job_metrics(jobs: Sequence[Job], limits: Limits) -> Iterator[Metric]:
    """Yield the metrics of ``jobs``."""
    counts: Counter[JobState] = Counter()
    for job in jobs:
        counts[job.state] += job.count
    family = GaugeMetricFamily(
        "wn_jobs", "Live batch jobs by state; held ones are not eligible to run.", labels=["state"]
    )
    for state in JobState:
        family.add_metric([state], counts[state])
    yield family
    running = [job for job in jobs if job.state is JobState.RUNNING]
    yield GaugeMetricFamily("wn_cores_allocated", "Cores of the running jobs.", sum(job.cores for job in running))
    yield _by_queue(jobs, limits.queues)
    yield from _by_node(running, limits.nodes)
    yield from usage_metrics(
        [Usage(job.cpu_s, job.core_s) for job in running if job.cpu_s is not None and job.core_s is not None]
    )


def _by_queue(jobs: Iterable[Job], limit: int) -> Metric:
    counts: Counter[tuple[str, JobState]] = Counter()
    for job in jobs:
        counts[job.queue, job.state] += job.count
    sizes: Counter[str] = Counter()
    for (queue, _), count in counts.items():
        sizes[queue] += count
    own = set(sorted(sizes, key=lambda queue: (-sizes[queue], queue))[:limit])
    pooled: Counter[tuple[str, JobState]] = Counter()
    for (queue, state), count in counts.items():
        pooled[queue if queue in own else OTHERS, state] += count
    family = GaugeMetricFamily("wn_queue_jobs", "Live batch jobs by queue and state.", labels=["queue", "state"])
    for queue in sorted({queue for queue, _ in pooled}):
        for state in JobState:
            family.add_metric([queue, state], pooled[queue, state])
    return family


def _by_node(running: Iterable[Job], limit: int) -> Iterator[Metric]:
    jobs: Counter[str] = Counter()
    cores: Counter[str] = Counter()
    for job in running:
        jobs.update(job.cores_on.keys() or repeat(NOWHERE, job.count))
        cores.update(job.cores_on)
        # Without it, a node whose jobs are not told would look idle, and nobody would see that they are missing.
        untold = job.cores - sum(job.cores_on.values())
        if untold > 0:
            cores[NOWHERE] += untold
    help_text = "Batch jobs on a worker node; one without jobs has no series, and _unknown are those not told where."
    yield _of_nodes("wn_node_jobs", help_text, jobs, limit)
    yield _of_nodes("wn_node_cores_allocated", "Cores of the jobs that run on a worker node.", cores, limit)


def _of_nodes(name: str, help_text: str, values: Mapping[str, int], limit: int) -> Metric:
    """Return a gauge with a series for each of the first ``limit`` nodes; the rest is one more."""
    family = GaugeMetricFamily(name, help_text, labels=["node"])
    nodes = sorted(values)
    for node in nodes[:limit]:
        family.add_metric([node], values[node])
    if nodes[limit:]:
        family.add_metric([OTHERS], sum(values[node] for node in nodes[limit:]))
    return family


def usage_metrics(usages: Sequence[Usage]) -> Iterator[Metric]:
    """Yield the CPU efficiency of the running jobs as the Grid's accounting sees it; nothing without any usage."""
    cpu_s, core_s = sum(usage.cpu_s for usage in usages), sum(usage.core_s for usage in usages)
    if core_s <= 0:
        return
    yield GaugeMetricFamily("wn_running_cpu_seconds", "CPU time that the running jobs have used, in seconds.", cpu_s)
    help_text = "Wall time times cores of the running jobs whose CPU time is known, in seconds."
    yield GaugeMetricFamily("wn_running_core_seconds", help_text, core_s)
    help_text = "CPU efficiency of the running jobs: CPU time over wall time times cores."
    yield GaugeMetricFamily("wn_cpu_efficiency_ratio", help_text, cpu_s / core_s)


def node_metrics(nodes: Sequence[Node], limits: Limits) -> Iterator[Metric]:
    """Yield the slots of the farm and of each node; a drained or down node has no usable slots, whatever it says."""
    slots: Counter[NodeState] = Counter()
    for node in nodes:
        slots[node.state] += node.slots
    family = GaugeMetricFamily("wn_slots", "Job slots by the state of their worker node.", labels=["state"])
    for state in NodeState:
        family.add_metric([state], slots[state])
    yield family
    usable = {node.name: node.slots if node.state is NodeState.USABLE else 0 for node in nodes}
    yield _of_nodes("wn_node_slots_usable", "Job slots that a worker node offers now.", usable, limits.nodes)
