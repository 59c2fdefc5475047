"""Slurm as a batch system: through its commands, or through slurmrestd."""

from collections.abc import Sequence
from pathlib import Path

from exporters.wn.batch import BatchSystem, Job, Node
from exporters.wn.reading import Commands
from exporters.wn.slurm_json import parse_jobs, parse_nodes
from exporters.wn.slurm_rest import RestServer
from exporters.wn.slurm_usage import read_usages

# Without the variable, Slurm cuts the task ids of an array after 64 characters.
ENVIRONMENT = {"SLURM_BITSTR_LEN": "0"}


def system(
    commands: Path | None, timeout_s: float, rest: RestServer | None = None, *, cpu_efficiency: bool = False
) -> BatchSystem:
    """Return Slurm, asked through its commands in a folder (None = in the PATH), or through slurmrestd if given.

    ``cpu_efficiency`` also asks for the CPU time of running jobs, which only commands tell.
    """
    ask = Commands(commands, timeout_s)

    def jobs() -> Sequence[Job]:
        if rest is not None:
            return parse_jobs("slurmrestd", rest.get("jobs"))
        # --all: also those in hidden partitions; --local: not those of other clusters in a federation.
        return parse_jobs("squeue", ask.run("squeue", "--json", "--all", "--local", environment=ENVIRONMENT))

    def nodes() -> Sequence[Node]:
        if rest is not None:
            return parse_nodes("slurmrestd", rest.get("nodes"))
        # -N: each node by itself; --all: also those in hidden partitions.
        return parse_nodes("sinfo", ask.run("sinfo", "--json", "-N", "--all"))

    return BatchSystem(jobs, nodes, (lambda: read_usages(ask)) if cpu_efficiency else None)
