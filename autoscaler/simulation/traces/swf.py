"""The Standard Workload Format, version 2.2: eighteen columns of numbers, -1 where one is unknown."""

from collections.abc import Mapping

# The columns that are used here.
SUBMIT, RUN, PROCESSORS, CPU, MEMORY, REQUESTED_PROCESSORS, STATUS, USER, QUEUE = 1, 3, 4, 5, 6, 7, 10, 11, 14
COLUMNS: Mapping[str, int] = {"submit_s": SUBMIT, "run_s": RUN, "user": USER, "queue": QUEUE}
WIDTH = 18

# A job that was swapped out has a line for each of its parts, beside the one for the whole job.
PARTS = frozenset({"2", "3", "4"})
_KIB_PER_MIB = 1024


def processors(fields: list[str]) -> float:
    """How many processors a job had, or requested where that is unknown; not positive where both are."""
    used = float(fields[PROCESSORS])
    return used if used > 0 else float(fields[REQUESTED_PROCESSORS])


def cpu_s_and_memory_mib(fields: list[str]) -> tuple[float, float]:
    """What each processor of a job used; negative where it is unknown."""
    return float(fields[CPU]), float(fields[MEMORY]) / _KIB_PER_MIB
