"""How Slurm lays out jobs and nodes in JSON: ``squeue --json``, ``sinfo --json``, and slurmrestd.

The layout differs by version (the data_parser plugins, v0.0.38 in 22.05 to v0.0.43 in 25.05; the structures are in
https://slurm.schedmd.com/rest_api.html). All are read by what is there, not by the version that is written beside it:

* numbers plain (22.05), or ``{"set", "infinite", "number"}`` (from 23.02);
* ``job_state`` a word (22.05, 23.02), or a list of a word and flags (from 23.11);
* ``job_resources``: ``nodes`` a host list beside ``allocated_nodes`` (to 23.11), or an object with ``allocation`` (from
  24.05), which also lists the cores that are not allocated;
* nodes: a list ``nodes``, in slurmrestd of all versions and in sinfo of 22.05, ``state`` a word beside ``state_flags``
  (22.05) or a list of both; or a list ``sinfo`` with an entry for each node and partition (sinfo from 23.02).
"""

from typing import Any

import msgspec


class Number(msgspec.Struct, gc=False):
    """A number as versions from 23.02 wrap it."""

    set: bool = False
    infinite: bool = False
    number: int | float = 0


Count = int | Number | None
States = str | list[str]


class JobRecord(msgspec.Struct, gc=False):
    """One of ``jobs``. The resources are left as they are: only jobs on several nodes need them."""

    job_state: States
    state_reason: str | None = None
    partition: str | None = None
    array_task_string: str | None = None
    cpus: Count = None
    nodes: str | None = None
    job_resources: msgspec.Raw = msgspec.Raw()


class NodeRecord(msgspec.Struct, gc=False):
    """One of ``nodes``; ``effective_cpus`` (from 23.02) is without the cores set aside for the system."""

    name: str
    state: States
    cpus: Count
    state_flags: list[str] = []
    effective_cpus: Count = None


class GroupNodes(msgspec.Struct, gc=False):
    """The names of the nodes in a group of sinfo."""

    nodes: list[str] = []


class GroupState(msgspec.Struct, gc=False):
    """The state that all nodes of a group are in."""

    state: States = []


class GroupCpus(msgspec.Struct, gc=False):
    """The CPUs of a group's nodes."""

    total: Count = None


class Group(msgspec.Struct, gc=False):
    """One of ``sinfo``: with ``sinfo -N`` one node in one partition."""

    nodes: GroupNodes
    node: GroupState
    cpus: GroupCpus


class JobsDocument(msgspec.Struct, gc=False):
    """What ``squeue --json`` prints, as far as it is read."""

    errors: list[Any] = []
    jobs: list[JobRecord] | None = None


class NodesDocument(msgspec.Struct, gc=False):
    """What ``sinfo --json`` prints, as far as it is read."""

    errors: list[Any] = []
    nodes: list[NodeRecord] | None = None
    sinfo: list[Group] | None = None


class Core(msgspec.Struct, gc=False):
    """A core of a node that a job has a part of."""

    status: list[str] = []


class Socket(msgspec.Struct, gc=False):
    """A socket of such a node; its cores by number (to 23.11), or as a list (from 24.05)."""

    cores: dict[str, str] | list[Core] = {}

    @property
    def allocated(self) -> int:
        """Return how many cores of the socket the job has."""
        if isinstance(self.cores, dict):
            return sum(status.startswith("allocated") for status in self.cores.values())
        return sum("ALLOCATED" in core.status for core in self.cores)


class AllocatedCpus(msgspec.Struct, gc=False):
    """How many CPUs a job has on a node (from 24.05)."""

    count: Count = None


class AllocatedNode(msgspec.Struct, gc=False):
    """A node that a job runs on: by ``nodename`` (to 23.11) or ``name`` (from 24.05)."""

    nodename: str = ""
    name: str = ""
    cpus: AllocatedCpus | None = None
    sockets: dict[str, Socket] | list[Socket] = {}

    @property
    def allocated(self) -> int:
        """Return how many CPUs the job has here, or cores if only those are told."""
        if self.cpus is not None and isinstance(self.cpus.count, int):
            return self.cpus.count
        sockets = self.sockets.values() if isinstance(self.sockets, dict) else self.sockets
        return sum(socket.allocated for socket in sockets)


class Allocation(msgspec.Struct, gc=False):
    """The nodes of a job (from 24.05)."""

    allocation: list[AllocatedNode] = []


class Resources(msgspec.Struct, gc=False):
    """The ``job_resources`` of a running job."""

    nodes: str | Allocation = ""
    allocated_nodes: list[AllocatedNode] = []
