"""The CPU time of Slurm's running jobs: ``sstat``, which asks the slurmd of each node.

It needs JobAcctGatherType other than none in slurm.conf, and a user that may look at others' jobs: root or SlurmUser.
Measured with 22.05: it exits 0 whatever happens, prints nothing for what it may not see, and 0 tasks with an absurd
time where nothing is gathered. It takes some 15 ms a job, therefore only a sample of the jobs is asked for.
"""

import re
from collections.abc import Mapping, Sequence

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Usage
from exporters.wn.reading import Commands

MOST_JOBS = 200

SQUEUE = ("--noheader", "--local", "--states=RUNNING", "--format=%A|%C|%M")
SSTAT = ("--allsteps", "--noheader", "--parsable2", "--format=JobID,NTasks,AveCPU")

RUNNING = re.compile(r"(?P<job>[0-9]{1,10})\|(?P<cpus>[0-9]{1,10})\|(?P<time>[0-9:-]{1,20})")
STEP = re.compile(r"(?P<job>[0-9]{1,10})(_[0-9]+)?\.[^|]*\|(?P<tasks>[0-9]{1,10})\|(?P<time>[0-9:.-]{0,32})")
TIME = re.compile(
    r"((?P<days>[0-9]{1,12})-)?((?P<hours>[0-9]{1,2}):)?(?P<minutes>[0-9]{1,2}):(?P<seconds>[0-9]{1,2}(\.[0-9]{1,9})?)"
)


def read_usages(commands: Commands) -> Sequence[Usage]:
    """Ask squeue which jobs run and sstat what they have used; raises :class:`SourceUnavailable`."""
    running = sample(parse_running(commands.run("squeue", *SQUEUE)))
    if not running:
        return []
    steps = commands.run("sstat", *SSTAT, f"--jobs={','.join(running)}")
    return combine(running, parse_steps(steps))


def sample(running: Mapping[str, float]) -> Mapping[str, float]:
    """Return at most :data:`MOST_JOBS` jobs, spread evenly over the old and the new ones; the same at each read."""
    stride = -(-len(running) // MOST_JOBS) or 1
    return {job: running[job] for job in sorted(running, key=int)[::stride]}


def parse_running(output: bytes) -> dict[str, float]:
    """Return by job its wall time times its CPUs, in seconds, from the output of squeue with :data:`SQUEUE`."""
    running: dict[str, float] = {}
    for line in _lines("squeue", output):
        match = RUNNING.fullmatch(line)
        elapsed_s = seconds(match["time"]) if match else None
        if match is None or elapsed_s is None:
            raise SourceUnavailable("squeue printed a line that is not job|cpus|time")
        running[match["job"]] = elapsed_s * int(match["cpus"])
    return running


def parse_steps(output: bytes) -> dict[str, float]:
    """Return by job the CPU time of its steps, in seconds, from the output of sstat with :data:`SSTAT`.

    A step has ``NTasks`` tasks which have used ``AveCPU`` each; without tasks, nothing is known of it.
    """
    used: dict[str, float] = {}
    for line in _lines("sstat", output):
        match = STEP.fullmatch(line)
        if match is None:
            raise SourceUnavailable("sstat printed a line that is not job.step|tasks|time")
        tasks, each_s = int(match["tasks"]), seconds(match["time"])
        if tasks and each_s is not None:
            used[match["job"]] = used.get(match["job"], 0.0) + tasks * each_s
    return used


def combine(running: Mapping[str, float], used: Mapping[str, float]) -> list[Usage]:
    """Return what the running jobs have used; raises :class:`SourceUnavailable` if sstat knows none of them."""
    usages = [Usage(used[job], core_s) for job, core_s in running.items() if job in used]
    if running and not usages:
        raise SourceUnavailable(
            "sstat knows nothing of the running jobs; the exporter must be root or SlurmUser, and JobAcctGatherType in "
            "slurm.conf not be none"
        )
    return usages


def seconds(text: str) -> float | None:
    """Return the seconds in Slurm's [days-][hours:]minutes:seconds, None for anything else."""
    match = TIME.fullmatch(text)
    if match is None:
        return None
    hours = int(match["days"] or 0) * 24 + int(match["hours"] or 0)
    return hours * 3600 + int(match["minutes"]) * 60 + float(match["seconds"])


def _lines(command: str, output: bytes) -> list[str]:
    try:
        return output.decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise SourceUnavailable(f"{command} printed something that is not text") from error
