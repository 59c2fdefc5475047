"""The CPU time of Slurm's running jobs: ``sstat``, which asks the slurmd of each node.

It needs JobAcctGatherType other than none in slurm.conf, and a user that may look at others' jobs: root or SlurmUser.
Measured with 22.05: it exits 0 whatever happens, prints nothing for what it may not see, and 0 tasks with an absurd
time where nothing is gathered. It takes up to 50 ms a step, therefore only a sample of the jobs is asked for; and given
the id of an array's first job it asks for all the array's jobs, therefore it is given steps.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exporters.serving import SourceUnavailable
from exporters.wn.batch import Usage
from exporters.wn.reading import Commands

MOST_STEPS = 100

JOBS = ("--noheader", "--all", "--local", "--states=RUNNING", "--format=%A|%F_%K|%C|%M")
STEPS = ("--noheader", "--all", "--local", "--steps", "--format=%i")
SSTAT = ("--noheader", "--parsable2", "--format=JobID,NTasks,AveCPU")

JOB_LINE = re.compile(
    r"(?P<job>[0-9]{1,10})\|(?P<array>[0-9]{1,10}_([0-9]{1,10}|N/A))\|(?P<cpus>[0-9]{1,10})\|(?P<time>[0-9:-]{1,20})"
)
STEP_LINE = re.compile(r"(?P<name>[^.\s]{1,64})\.(?P<step>[a-zA-Z0-9+]{1,32})")
USE_LINE = re.compile(r"(?P<step>(?P<job>[0-9]{1,10})[^|]*)\|(?P<tasks>[0-9]{1,10})\|(?P<time>[0-9:.-]{0,32})")
TIME = re.compile(
    r"((?P<days>[0-9]{1,12})-)?((?P<hours>[0-9]{1,2}):)?(?P<minutes>[0-9]{1,2}):(?P<seconds>[0-9]{1,2}(\.[0-9]{1,9})?)"
)


@dataclass(frozen=True, slots=True)
class Running:
    """A running job: its id, its name in the list of steps (10_3 for a task of an array), and what it could use."""

    job: str
    name: str
    core_s: float


def read_usages(commands: Commands) -> Sequence[Usage]:
    """Ask squeue which jobs and steps run, and sstat what they have used; raises :class:`SourceUnavailable`."""
    running = parse_running(commands.run("squeue", *JOBS))
    if not running:
        return []
    asked = sample(running, parse_steps(commands.run("squeue", *STEPS)))
    if not asked:
        return []  # jobs that have only just started, or an allocation that nobody uses
    steps = [step for steps in asked.values() for step in steps]
    used = parse_use(commands.run("sstat", *SSTAT, f"--jobs={','.join(steps)}"))
    return combine([each for each in running if each.job in asked], used)


def sample(running: Sequence[Running], steps: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return by job the steps to ask for, at most :data:`MOST_STEPS`: old and new jobs, the same ones at each read."""
    known = sorted((each for each in running if each.name in steps), key=lambda each: int(each.job))
    # Counted in steps, as the room is: with two steps a job, a stride of jobs would leave no room for the newest ones.
    stride = -(-sum(len(steps[each.name]) for each in known) // MOST_STEPS) or 1
    asked: dict[str, list[str]] = {}
    room = MOST_STEPS
    for each in known[::stride]:
        own = steps[each.name]
        if len(own) <= room:
            asked[each.job] = [f"{each.job}.{step}" for step in own]
            room -= len(own)
    return asked


def parse_running(output: bytes) -> list[Running]:
    """Return the running jobs in the output of squeue with :data:`JOBS`."""
    running = []
    for line in _lines("squeue", output):
        match = JOB_LINE.fullmatch(line)
        elapsed_s = seconds(match["time"]) if match else None
        if match is None or elapsed_s is None:
            raise SourceUnavailable("squeue printed a line that is not job|array_task|cpus|time")
        name = match["job"] if match["array"].endswith("N/A") else match["array"]
        running.append(Running(match["job"], name, elapsed_s * int(match["cpus"])))
    return running


def parse_steps(output: bytes) -> dict[str, list[str]]:
    """Return the steps of each job by its name, from the output of squeue with :data:`STEPS`."""
    steps: dict[str, list[str]] = {}
    for line in _lines("squeue", output):
        match = STEP_LINE.fullmatch(line)
        if match is None:
            raise SourceUnavailable("squeue printed a line that is not job.step")
        steps.setdefault(match["name"], []).append(match["step"])
    return steps


def parse_use(output: bytes) -> dict[str, float]:
    """Return by job the CPU time of its steps, in seconds, from the output of sstat with :data:`SSTAT`.

    A step has ``NTasks`` tasks which have used ``AveCPU`` each; without tasks, nothing is known of it.
    """
    steps: dict[str, tuple[str, float]] = {}
    for line in _lines("sstat", output):
        match = USE_LINE.fullmatch(line)
        if match is None:
            raise SourceUnavailable("sstat printed a line that is not job.step|tasks|time")
        tasks, each_s = int(match["tasks"]), seconds(match["time"])
        if tasks and each_s is not None:
            steps[match["step"]] = (match["job"], tasks * each_s)
    used: dict[str, float] = {}
    for job, step_s in steps.values():
        used[job] = used.get(job, 0.0) + step_s
    return used


def combine(running: Iterable[Running], used: Mapping[str, float]) -> list[Usage]:
    """Return what the running jobs have used; raises :class:`SourceUnavailable` if sstat knows none of them."""
    usages = [Usage(used[each.job], each.core_s) for each in running if each.job in used]
    if not usages:
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
        return [line.strip() for line in output.decode("ascii").splitlines()]
    except UnicodeDecodeError as error:
        raise SourceUnavailable(f"{command} printed something that is not text") from error
