"""HTCondor, read from ``condor_q -json`` and ``condor_status -json``; names as in the manual's ClassAd attributes.

``condor_q`` tells the jobs of the access point it runs on: a site with several runs one exporter on each. For an empty
queue it may print nothing, and exits 0: then ``condor_q -totals`` must say that there are 0 jobs.

An attribute which is an expression that was not evaluated is printed as the string "/Expr(...)/"; it counts as unknown.
What a job has used is told to the access point every 15 minutes, so the CPU efficiency of young jobs seems low.
"""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from exporters.serving import SourceUnavailable
from exporters.wn.batch import BatchSystem, Job, JobState, Node, NodeState
from exporters.wn.reading import MOST_CORES, NO_QUEUE, Commands, decode

TOTALS = re.compile(rb"^[ \t]*(?:Total for [^:\n]*: )?([0-9]{1,9}) jobs;", re.MULTILINE)

# Scheduler, grid and local universe: these run on the access point or elsewhere, and not on worker nodes.
NOT_ON_WORKER_NODES = frozenset({7, 9, 12})

COMPLETED = 4
STATES = {
    1: JobState.PENDING,  # idle
    2: JobState.RUNNING,
    5: JobState.HELD,
    6: JobState.RUNNING,  # transferring its output: HTCondor counts it as running, and it holds its slot
}  # removed (3), suspended (7) and what the future brings: JobState.OTHER


# All but the status may be anything, as users set attributes of their jobs as they like: what is of another type than
# expected counts as unknown, so that one job cannot hide all the others.
class JobAd(msgspec.Struct, rename="pascal"):
    """What is asked of a job."""

    job_status: int
    job_universe: Any = None
    job_cool_down_expiration: Any = None
    cpus_provisioned: Any = None
    request_cpus: Any = None
    remote_host: Any = None
    acct_group: Any = None
    remote_user_cpu: Any = None
    remote_sys_cpu: Any = None
    job_current_start_date: Any = None
    server_time: Any = None


class SlotAd(msgspec.Struct, rename="pascal"):
    """What is asked of a slot: ``cpus`` is what a partitionable slot has left, beside its dynamic ones."""

    machine: str
    state: str
    cpus: Any = None
    dynamic_slot: Any = None
    start: Any = None
    offline: Any = None
    slot_backfill: Any = None


JOB_ATTRIBUTES = ",".join(field.encode_name for field in msgspec.structs.fields(JobAd))
SLOT_ATTRIBUTES = ",".join(field.encode_name for field in msgspec.structs.fields(SlotAd))


def system(commands: Path | None, timeout_s: float) -> BatchSystem:
    """Return HTCondor as asked through its commands in a folder, None = in the PATH."""
    ask = Commands(commands, timeout_s)

    def jobs() -> Sequence[Job]:
        output = ask.run("condor_q", "-allusers", "-json", "-attributes", JOB_ATTRIBUTES)
        if not output.strip():
            check_totals(ask.run("condor_q", "-allusers", "-totals"))
            return []
        return parse_jobs(output)

    def nodes() -> Sequence[Node]:
        return parse_nodes(ask.run("condor_status", "-json", "-attributes", SLOT_ATTRIBUTES))

    return BatchSystem(jobs, nodes)


def check_totals(output: bytes) -> None:
    """Raise :class:`SourceUnavailable` unless ``condor_q -totals`` says, and only says, that there are 0 jobs."""
    totals = [int(found) for found in TOTALS.findall(output)]
    if not totals or any(totals):
        raise SourceUnavailable("condor_q printed nothing, and condor_q -totals does not say that there are 0 jobs")


def parse_jobs(output: bytes) -> list[Job]:
    """Read the jobs from ``condor_q -json``: an accounting group is a queue, :data:`NO_QUEUE` the jobs without one.

    Raises :class:`SourceUnavailable` if the output cannot be trusted.
    """
    ads = decode("condor_q", output, list[JobAd])
    live = [ad for ad in ads if ad.job_status != COMPLETED]
    return [_job(ad) for ad in live if _number(ad.job_universe) not in NOT_ON_WORKER_NODES]


def parse_nodes(output: bytes) -> list[Node]:
    """Read the nodes from ``condor_status -json``; one that is dead is not in the list, and drops out of it.

    A node is usable if one of its slots is, dynamic ones aside; its slots are the CPUs of these and of their dynamic
    ones. Raises :class:`SourceUnavailable` if the output cannot be trusted.
    """
    machines: defaultdict[str, list[SlotAd]] = defaultdict(list)
    for ad in decode("condor_status", output, list[SlotAd]):
        if ad.slot_backfill is not True:  # it offers again what others do not use at the moment
            machines[ad.machine].append(ad)
    return [_node(machine, ads) for machine, ads in machines.items()]


def _job(ad: JobAd) -> Job:
    state, queue = _job_state(ad), ad.acct_group if isinstance(ad.acct_group, str) and ad.acct_group else NO_QUEUE
    if state is not JobState.RUNNING:
        return Job(state, queue)
    cores = _cores(ad)
    host = ad.remote_host.rpartition("@")[2] if isinstance(ad.remote_host, str) else ""
    return Job(state, queue, 1, cores, {host: cores} if host else {}, _cpu_s(ad), _core_s(ad, cores))


def _job_state(ad: JobAd) -> JobState:
    state = STATES.get(ad.job_status, JobState.OTHER)
    not_before_s, now_s = _number(ad.job_cool_down_expiration), _number(ad.server_time)
    cools_down = not_before_s is not None and now_s is not None and not_before_s > now_s
    return JobState.HELD if state is JobState.PENDING and cools_down else state


def _cores(ad: JobAd) -> int:
    for number in (_number(ad.cpus_provisioned), _number(ad.request_cpus)):
        if number is not None and 0 <= number <= MOST_CORES:
            return int(number)
    raise SourceUnavailable("condor_q printed a running job with neither CpusProvisioned nor RequestCpus as a number")


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) else None


def _cpu_s(ad: JobAd) -> float | None:
    user_s, system_s = _number(ad.remote_user_cpu), _number(ad.remote_sys_cpu)
    return None if user_s is None or system_s is None else max(user_s + system_s, 0)


def _core_s(ad: JobAd, cores: int) -> float | None:
    began_s, now_s = _number(ad.job_current_start_date), _number(ad.server_time)
    return None if began_s is None or now_s is None else max(now_s - began_s, 0) * cores


def _node(machine: str, ads: Sequence[SlotAd]) -> Node:
    state_of = {id(ad): _state(ad) for ad in ads if ad.dynamic_slot is not True}
    state = next((state for state in NodeState if state in state_of.values()), NodeState.USABLE)
    return Node(machine, sum(_cpus(ad) for ad in ads if state_of.get(id(ad), state) is state), state)


def _state(ad: SlotAd) -> NodeState:
    """Return whether the slot takes jobs: State Owner means that its policy (START) forbids all, for now."""
    if ad.offline is True:
        return NodeState.DOWN
    return NodeState.DRAINED if ad.state in {"Drained", "Owner"} or ad.start is False else NodeState.USABLE


def _cpus(ad: SlotAd) -> int:
    cpus = _number(ad.cpus)
    if cpus is None or not 0 <= cpus <= MOST_CORES:
        raise SourceUnavailable("condor_status printed a slot whose Cpus is not a number of CPUs")
    return int(cpus)
